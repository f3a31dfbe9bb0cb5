"""Whether residuals spread alike: with the fitted values, and between levels of factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.assumptions.look import Look, picture
from lmmtools.assumptions.simulated import Drawn, Question
from lmmtools.assumptions.value import Finding, interval, judged, untested
from lmmtools.formats import format_value

__all__ = ["against_fitted", "between_levels"]

CHECK = "Constant variance"
# A level has a spread of its own from so many rows on; and so many rows there must be in all.
LEAST_ROWS, _LEAST = 3, 8


def against_fitted(fit: Any, of: str = "against fitted values") -> Question | Finding:
    """n R² of absolute residuals on fitted values.

    References
    ----------
    Glejser (1969), A new test for heteroskedasticity, J. Am. Stat. Assoc. 64; Breusch & Pagan (1979), A simple test for
    heteroscedasticity and random coefficient variation, Econometrica 47, whose squares are more easily carried by a few
    rows.
    """
    see = picture("residuals_fitted")
    fitted = fit.fitted.to_numpy()
    if fit.nobs < _LEAST:
        return untested(CHECK, of, f"{fit.nobs} rows are too few", see)
    if np.ptp(fitted) <= 1e-9 * max(np.abs(fitted).max(), fit.sigma):
        return untested(CHECK, of, "the fitted values are all the same", see)
    return Question(CHECK, of, see, _glejser, _fitted_said)


def _glejser(drawn: Drawn) -> np.ndarray:
    """n R², and what the straight line of absolute residuals is at one deviation above the mean, over one below."""
    size, z = np.abs(drawn.residual), drawn.fitted - drawn.fitted.mean(axis=0)
    mean = size.mean(axis=0)
    size -= mean
    a, b = np.sqrt(np.einsum("im,im->m", size, size)), np.sqrt(np.einsum("im,im->m", z, z))
    r = np.einsum("im,im->m", size, z) / np.where(a * b > 0.0, a * b, np.inf)
    step = r * a / np.sqrt(len(z))
    return np.array([len(z) * r**2, np.maximum(mean + step, 0.0) / np.maximum(mean - step, 1e-3 * mean)])


def _fitted_said(p_value: float, observed: np.ndarray, simulated: np.ndarray) -> str:
    ratio = format_value(observed[1], "fixed2")
    return (
        f"One sd above the mean fitted value residuals spread {ratio} times as much as one sd below it (95 % of "
        f"simulations: {interval(simulated[1])}). {judged(p_value)}"
    )


def between_levels(
    factor: str, codes: np.ndarray, labels: pd.Index, see: Look | None, own_variance: bool = False
) -> Question | Finding:
    """F of absolute residuals between levels.

    Parameters
    ----------
    factor : str
    codes : ndarray, shape (n,)
    labels : pd.Index
        Of the levels.
    see : Look or None
    own_variance : bool
        Whether the model has a variance for each.

    References
    ----------
    Levene (1960), Robust tests for equality of variances, in Contributions to probability and statistics.
    """
    of = f"between levels of {factor}"
    sizes = np.bincount(codes, minlength=len(labels))
    used = np.flatnonzero(sizes >= LEAST_ROWS)
    if own_variance:
        return untested(CHECK, of, "the model gives each of them a variance of its own", see)
    if len(used) < 2:
        few = "one level only" if len(labels) == 1 else f"fewer than two levels have {LEAST_ROWS} rows"
        return untested(CHECK, of, few, see)
    place = np.full(len(labels), -1)
    place[used] = np.arange(len(used))
    rows = np.flatnonzero(place[codes] >= 0)
    levels = _Levels(rows, place[codes[rows]], labels[used].astype(str), sizes[used], len(labels) - len(used))
    return Question(CHECK, of, see, levels.measure, levels.said)


class _Levels:
    """Rows of levels that have rows enough."""

    def __init__(self, rows: np.ndarray, codes: np.ndarray, labels: pd.Index, sizes: np.ndarray, left: int) -> None:
        from scipy.sparse import csr_array

        self.rows, self.codes, self.labels, self.sizes, self.left = rows, codes, labels, sizes[:, None], left
        at = (codes, np.arange(len(rows)))
        self.indicator = csr_array((np.ones(len(rows)), at), shape=(len(labels), len(rows)))

    def measure(self, drawn: Drawn) -> np.ndarray:
        """Levene's F; how much the levels spread that do so least and most, beside all, and which these are."""
        size = np.abs(drawn.residual[self.rows])
        n, k = len(self.rows), len(self.labels)
        sums = self.indicator @ size
        between = np.sum(sums**2 / self.sizes, axis=0)
        total = size.sum(axis=0) ** 2 / n
        within = np.einsum("im,im->m", size, size) - between
        f = (between - total) / (k - 1) / np.where(within > 0.0, within, np.inf) * (n - k)
        spreads = sums / self.sizes / size.mean(axis=0)
        return np.array([f, spreads.min(axis=0), spreads.max(axis=0), spreads.argmin(axis=0), spreads.argmax(axis=0)])

    def said(self, p_value: float, observed: np.ndarray, simulated: np.ndarray) -> str:
        """The levels that spread least and most."""
        least, most = (self.labels[int(place)] for place in observed[3:])
        numbers = [format_value(float(x), "fixed2") for x in (*observed[1:3], *np.median(simulated[1:3], axis=1))]
        left = f" {self.left:,} smaller levels are left out." if self.left else ""
        return (
            f"Residuals spread from {numbers[0]} ({least}) to {numbers[1]} ({most}) times as much as on average "
            f"(median of simulations: {numbers[2]} to {numbers[3]}).{left} {judged(p_value)}"
        )
