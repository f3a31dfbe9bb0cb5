"""Quantile residuals with the tests of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.frames import Frame

__all__ = ["QuantileResiduals"]


@dataclass(frozen=True, repr=False, eq=False)
class QuantileResiduals:
    """Quantile residuals; made by :func:`lmmtools.quantile_residuals`. Shows itself as the table of its tests.

    Attributes
    ----------
    residuals : Series
        Between 0 and 1, on the rows used, with the data's index; NaN for rows of leverage one.
    tests : Frame
        A row a test: ``statistic, expected, p_value, mc_error, suggests``.
    groups : Frame, or None without `by`
        A row a level: ``rows, mean, distance, p_value, p_adjusted``.
    predicted : Series
        Xβ̂ + offset, or ŷ for conditional residuals.
    quantiles, quartiles : DataFrame
        What `plots.quantile_residuals` draws: quantiles of all residuals, and quartiles along predictions, each with
        the limits of draws, point by point.
    n : int
        Responses drawn, failed refits not counted.
    coverage : float
        Of the limits.
    conditional : bool
    refit : bool or str
    failures : tuple of str
        Reasons of refits that have no estimates.
    singular : int
        Singular refits; they count.
    response, unit, by : str
    """

    residuals: pd.Series
    tests: Frame
    groups: Frame | None
    predicted: pd.Series
    quantiles: pd.DataFrame
    quartiles: pd.DataFrame
    n: int
    coverage: float
    conditional: bool
    refit: bool | str
    failures: tuple[str, ...]
    singular: int
    response: str
    unit: str
    by: str

    @property
    def normal(self) -> pd.Series:
        """Φ⁻¹ of the residuals, which lie between ± Φ⁻¹((n + ½)/(n + 1)): for those used to normal residuals."""
        from scipy.special import ndtri

        return pd.Series(ndtri(self.residuals.to_numpy()), index=self.residuals.index, name="normal quantile residual")

    @property
    def outliers(self) -> pd.Index:
        """Rows beyond all that was drawn for them."""
        u, edge = self.residuals.to_numpy(), 0.75 / (self.n + 1)
        with np.errstate(invalid="ignore"):
            return self.residuals.index[(u < edge) | (u > 1.0 - edge)]

    def __repr__(self) -> str:
        return repr(self.tests)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.tests._repr_mimebundle_(include, exclude)
