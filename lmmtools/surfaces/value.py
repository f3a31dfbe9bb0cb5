"""The table of a prediction grid, which knows what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.frames import Frame

__all__ = ["PredictionGrid", "Surface"]


@dataclass(frozen=True, eq=False)
class Surface:
    """What a grid's rows are.

    Attributes
    ----------
    numbers : tuple of str
        Columns that run over numbers, in the order asked.
    factors : tuple of str
        Columns that run over levels; those of grouping factors last.
    groups : tuple of str
        Which of these are grouping factors, whose modes are in.
    held : tuple of (str, object)
        Variables with one value.
    interval : str
        ``"mean"`` or ``"observation"``.
    level : float
    random : bool
    response : str
    units : dict of str
    observed : DataFrame, shape (n, …)
        The rows used: ``y``, and of `numbers` and `factors` those that the design holds.
    """

    numbers: tuple[str, ...]
    factors: tuple[str, ...]
    groups: tuple[str, ...]
    held: tuple[tuple[str, Any], ...]
    interval: str
    level: float
    random: bool
    response: str
    units: dict[str, str]
    observed: pd.DataFrame


class PredictionGrid(Frame):
    """Predictions at combinations of values: a row each, with standard error and interval.

    Made by :func:`lmmtools.prediction_grid`.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "_surface"]
    _surface: Surface | None = None

    @property
    def _constructor(self) -> type[PredictionGrid]:
        return PredictionGrid

    @property
    def surface(self) -> Surface:
        """What the rows are made of."""
        if self._surface is None or not self._described:
            raise LMMError("this table is a changed copy of what prediction_grid returned: ask that one.")
        return self._surface

    def array(self, column: str = "prediction") -> np.ndarray:
        """A column as an array with an axis for each variable of the grid, in their order.

        Parameters
        ----------
        column : str

        Returns
        -------
        ndarray
            For two numbers of 25 values each, shape (25, 25).
        """
        made = self.surface
        names = [name for name in self.columns if name in (*made.numbers, *made.factors, *dict(made.held))]
        sizes = [self[name].nunique() for name in names]
        return self[column].to_numpy().reshape(sizes[::-1]).T
