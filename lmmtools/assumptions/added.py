"""The model of a fit with more columns in its fixed part, and the test of what was added."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.rank import column_rank
from lmmtools.errors import LMMWarning, ModelError
from lmmtools.formats import counted, format_value
from lmmtools.inference.contrasts import FTest, f_test
from lmmtools.results import estimate

__all__ = ["Enlarged", "degrees", "enlarge"]


@dataclass(frozen=True)
class Enlarged:
    """A model with columns added to its fixed part, fitted by REML.

    Attributes
    ----------
    fit : LMMFit
    kept : tuple of int
        Which of the columns are in it; the others repeat what the model has.
    places : tuple of int
        Where these are among the fixed effects.
    """

    fit: Any
    kept: tuple[int, ...]
    places: tuple[int, ...]

    def row(self, weights: dict[int, float]) -> np.ndarray:
        """A linear function of the fixed effects, shape (p,), by places."""
        row = np.zeros(len(self.fit.beta))
        row[list(weights)] = list(weights.values())
        return row

    def test(self, ddf: str) -> FTest:
        """The F test that none of what was added is needed."""
        return f_test(self.fit, np.array([self.row({place: 1.0}) for place in self.places]), ddf)


def enlarge(fit: Any, columns: np.ndarray, names: Sequence[str]) -> Enlarged:
    """The model with these columns as well, all its parameters estimated again.

    Parameters
    ----------
    fit : LMMFit
    columns : ndarray, shape (n, k)
    names : sequence of str, length k

    Raises
    ------
    ModelError
        If the columns add nothing, leave too few rows, or the model cannot be fitted with them.
    """
    design = fit.design
    p = design.X.shape[1]
    X = np.hstack([design.X, columns])
    rank = column_rank(X)
    kept = tuple(int(k) - p for k in rank.kept if k >= p)
    if not kept:
        raise ModelError("the model already has what would be added")
    if len(design.y) - p - len(kept) < 2:
        raise ModelError(f"{counted(len(design.y), 'row')} are too few for {counted(len(kept), 'more column')}")
    taken = [k for k in rank.kept if k < p]
    if len(taken) < p:
        raise ModelError("columns of the model could not be told from what would be added")
    larger = dataclasses.replace(
        design,
        X=np.asfortranarray(X[:, [*range(p), *(p + k for k in kept)]]),
        fixed_names=(*design.fixed_names, *(names[k] for k in kept)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # the fit's own were told, and this one is not shown
        return Enlarged(estimate(larger, reml=True), kept, tuple(range(p, p + len(kept))))


def degrees(test: FTest) -> str:
    """Degrees of freedom of an F test in a cell."""
    below = "∞" if np.isinf(test.den_df) else format_value(test.den_df, "fixed1")
    return f"{test.num_df}, {below}"
