"""Linear functions over all columns of the fixed part, and what the fit says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.row_space import determined
from lmmtools.inference.contrasts import linear_functions

__all__ = ["Estimates", "Rows", "estimates"]

# A combination this small beside what it is the difference of is zero.
_CANCELLED = 1e-10
# Functions whose covariances are held at once.
_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class Rows:
    """The means of one call, as linear functions of the fixed effects.

    Attributes
    ----------
    fit : LMMFit
    levels : DataFrame, shape (k, specs + by)
        What each row is the mean of.
    full : ndarray, shape (k, p + dropped)
        Over all columns of the fixed part, those dropped as well.
    offset : float
        Added to each, besides the fixed effects.
    specs, by : tuple of str
    ddf : str
    level : float
    what : str
        In words: ``"marginal means of yield (bushels)"``.
    trend : str or None
        The variable whose slopes they are.
    unit : str
        Of the estimates; empty where the data do not know it.
    notes : tuple of str
        How the rows came about.
    """

    fit: Any
    levels: pd.DataFrame
    full: np.ndarray
    offset: float
    specs: tuple[str, ...]
    by: tuple[str, ...]
    ddf: str
    level: float
    what: str
    trend: str | None
    unit: str
    notes: tuple[str, ...]

    @property
    def L(self) -> np.ndarray:
        """The rows over the fixed effects of the fit, shape (k, p)."""
        return self.full[:, self.fit.design.recipe.kept]

    def __len__(self) -> int:
        return len(self.levels)


@dataclass(frozen=True, eq=False)
class Estimates:
    """What the fit says of c linear functions; NaN where it says nothing.

    Attributes
    ----------
    estimate, std_error, df : ndarray, shape (c,)
    known : ndarray of bool, shape (c,)
        Whether the data determine the function.
    zero : ndarray of bool, shape (c,)
        Whether it has no coefficients: it is zero whatever the data.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    known: np.ndarray
    zero: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Which functions have a standard error that is not zero."""
        return self.known & ~self.zero


def estimates(rows: Rows, C: np.ndarray | None = None) -> Estimates:
    """Estimates, standard errors and degrees of freedom of the rows, or of combinations C (c, k) of them."""
    full, offset = rows.full, np.full(len(rows), rows.offset)
    size = np.abs(full)
    if C is not None:
        full, offset, size = C @ full, C @ offset, np.abs(C) @ size
    known = determined(rows.fit.design, full, size)
    kept = rows.fit.design.recipe.kept
    zero = np.all(np.abs(full[:, kept]) <= _CANCELLED * size[:, kept], axis=1)
    estimate, std_error, df = (np.full(len(full), np.nan) for _ in range(3))
    estimate[known], std_error[known & zero] = offset[known], 0.0
    use = np.flatnonzero(known & ~zero)
    for some in np.array_split(use, -(-len(use) // _AT_ONCE)) if len(use) else ():
        found = linear_functions(rows.fit, full[some][:, kept], rows.ddf)
        estimate[some] += found.estimate
        std_error[some], df[some] = found.std_error, found.df
    return Estimates(estimate, std_error, df, known, zero)
