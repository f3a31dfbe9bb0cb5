"""Residual structures as values: which rows are correlated, how far apart they are, and what their sds depend on.

Var(ε) = σ² W^(-1/2) S C S W^(-1/2): W holds precision weights, S = diag(s) the product of the variance functions, C the
correlation, zero between residual groups. Only φ, the parameters of S and C, is missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lmmtools.design.value import freeze

__all__ = ["ROUNDING", "SPATIAL", "Correlation", "Residual", "Variance", "lag_codes"]

SPATIAL = ("exp", "gaus", "spher", "ratio")
# Times and distances closer than this, against the largest, differ by rounding alone: 0.3 and 0.1 + 0.2 are one time.
ROUNDING = 1e-12


def lag_codes(lags: np.ndarray, distances: np.ndarray, scale: float) -> np.ndarray:
    """Which of the ascending `lags` each distance of positions up to `scale` is, up to rounding; -1 where none."""
    distances = np.asarray(distances, dtype=np.float64)
    if not len(lags):
        return np.full(distances.shape, -1, dtype=np.intp)
    right = np.clip(np.searchsorted(lags, distances), 0, len(lags) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(lags[left] - distances) < np.abs(lags[right] - distances), left, right)
    return np.where(np.abs(lags[nearest] - distances) <= 4 * ROUNDING * scale, nearest, -1)


@dataclass(frozen=True, eq=False)
class Correlation:
    """The correlation of the residuals within groups.

    Attributes
    ----------
    kind : str
        ``ar1``, ``car1``, ``arma``, ``cs``, ``toep``, ``us``, ``exp``, ``gaus``, ``spher`` or ``ratio``.
    label : str
        As written: ``"ar1(time | Subject)"``.
    group : str
        The columns whose combinations are the groups: ``"Subject"``, ``"a:b"``; empty when all rows are one group.
    codes : ndarray of intp, shape (n,)
        Which residual group each row is in, 0 … J-1.
    levels : pd.Index, shape (J,)
        Labels of the groups, in order of codes.
    positions : ndarray, shape (n, k)
        Whole numbers for ``ar1`` and ``arma``; the occasion, 0 … T-1, for ``us``; times for ``car1``; numbers whose
        differences are the distances for ``toep``; coordinates for the spatial ones; no column for ``cs``.
    variables : tuple of str
        What the positions are read from, as written.
    occasions : tuple of str
        Labels of the occasions (``us``) or of the distances that have a parameter (``toep``), else none.
    lags : ndarray, shape (L,)
        The distances that have a parameter (``toep``), ascending, else none.
    order : tuple of (int, int)
        p and q of ``arma``, else zeros.
    nugget : bool
        Whether a spatial correlation starts below one.
    by : str
        The factor whose levels have parameters of their own; empty without.
    by_codes : ndarray of intp, shape (n,)
        Which of its levels each row has; zeros without.
    by_levels : tuple of str
        Labels of these levels; ``("",)`` without.
    categorical : bool
        Whether times are a factor's levels, so that distances count levels.
    places : Mapping[str, float]
        Of every category of such times its position.
    origin : float
        What was taken off the times of ``toep``.
    """

    kind: str
    label: str
    group: str
    codes: np.ndarray
    levels: pd.Index
    positions: np.ndarray
    variables: tuple[str, ...]
    occasions: tuple[str, ...]
    lags: np.ndarray
    order: tuple[int, int]
    nugget: bool
    by: str
    by_codes: np.ndarray
    by_levels: tuple[str, ...]
    categorical: bool = False
    places: Mapping[str, float] = field(default_factory=dict)
    origin: float = 0.0

    def __post_init__(self) -> None:
        freeze(self)

    def of_rows(self, rows: np.ndarray) -> Correlation:
        """The same for some rows, or for all in another order; groups keep their codes."""
        return replace(self, codes=self.codes[rows], positions=self.positions[rows], by_codes=self.by_codes[rows])

    def lag_codes(self, distances: np.ndarray) -> np.ndarray:
        """Which of `lags` each distance is, of any shape; -1 where it has no parameter."""
        return lag_codes(self.lags, distances, float(np.abs(self.positions).max(initial=0.0)))


@dataclass(frozen=True, eq=False)
class Variance:
    """A variance function: what multiplies the residual sd of each row.

    Attributes
    ----------
    kind : str
        ``varident``, ``varpower``, ``varexp``, ``varconstpower`` or ``varfixed``.
    label : str
        As written: ``"varpower(age | Sex)"``.
    variables : tuple of str
        The factor's columns (``varident``), or the covariate, as written; ``("fitted()",)`` for the fitted values.
    codes : ndarray of intp, shape (n,)
        The level of each row (``varident``), or its stratum; zeros without strata.
    levels : tuple of str
        Labels of the levels, the first of which has multiplier one, or of the strata; ``("",)`` without.
    values : ndarray, shape (n,)
        The covariate; shape (0,) for ``varident``, NaN for fitted values until a fit sets them.
    fitted : bool
        Whether the covariate is the fitted values.
    strata : str
        The columns whose combinations are the strata, ``"Sex"`` or ``"a:b"``; empty without strata.
    """

    kind: str
    label: str
    variables: tuple[str, ...]
    codes: np.ndarray
    levels: tuple[str, ...]
    values: np.ndarray
    fitted: bool
    strata: str = ""

    def __post_init__(self) -> None:
        freeze(self)

    def of_rows(self, rows: np.ndarray) -> Variance:
        """The same for some rows, or for all in another order."""
        values = self.values[rows] if len(self.values) else self.values
        return replace(self, codes=self.codes[rows], values=values)


@dataclass(frozen=True, eq=False)
class Residual:
    """A residual structure on the rows of a design.

    Attributes
    ----------
    text : str
        As written: ``"ar1(time | Subject) * varident(Sex)"``.
    correlation : Correlation or None
    variances : tuple of Variance
        In the order written.
    names : tuple of str, length m
        Names of φ: ``("ar1.phi", "varident[Female]")``.
    bounds : ndarray, shape (m, 2)
        The range of each parameter on its natural scale, open but for a nugget's zero.
    slices : tuple of slice
        Of φ: the correlation's first, if there is one, then each variance function's.
    """

    text: str
    correlation: Correlation | None
    variances: tuple[Variance, ...]
    names: tuple[str, ...]
    bounds: np.ndarray
    slices: tuple[slice, ...]

    def __post_init__(self) -> None:
        freeze(self)

    def of_rows(self, rows: np.ndarray) -> Residual:
        """The same for some rows, or for all in another order; groups and levels keep their codes."""
        correlation = None if self.correlation is None else self.correlation.of_rows(rows)
        return replace(self, correlation=correlation, variances=tuple(part.of_rows(rows) for part in self.variances))
