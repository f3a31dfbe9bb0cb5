"""Adjustment of p-values and intervals for several contrasts."""

from __future__ import annotations

import numpy as np

from lmmtools.errors import LMMError
from lmmtools.formats import nearest
from lmmtools.inference.contrasts import t_quantile, two_sided
from lmmtools.inference.means.ranges import range_quantile, range_tail

__all__ = ["ADJUSTMENTS", "WORDS", "adjusted", "check_adjustment", "half_width", "holm"]

ADJUSTMENTS = ("tukey", "holm", "bonferroni", "sidak", "none")
# What is said of each: "adjusted by …".
WORDS = {
    "tukey": "Tukey's method",
    "holm": "Holm's method",
    "bonferroni": "Bonferroni's method",
    "sidak": "Šidák's method",
    "none": "",
}


def check_adjustment(adjust: str | None, method: object) -> str:
    """The name of an adjustment; where it is None, Tukey's for all pairs, Holm's for other families.

    Raises
    ------
    LMMError
        If it is unknown, or Tukey's for anything but all pairs.
    """
    pairs = isinstance(method, str) and method == "pairwise"
    if adjust is None:
        if pairs:
            return "tukey"
        return "holm" if isinstance(method, str) and method != "poly" else "none"
    if adjust not in ADJUSTMENTS:
        names = ", ".join(f'"{name}"' for name in ADJUSTMENTS)
        raise LMMError(f"contrasts: adjust={adjust!r} is unknown{nearest(str(adjust), ADJUSTMENTS)}; use {names}.")
    if adjust == "tukey" and not pairs:
        raise LMMError(
            'contrasts: Tukey\'s method is for all pairwise differences, and these are others: use adjust="holm", '
            '"sidak" or "bonferroni".'
        )
    return adjust


def adjusted(statistic: np.ndarray, df: np.ndarray, adjust: str, means: int) -> np.ndarray:
    """p-values of one family of contrasts.

    Parameters
    ----------
    statistic, df : ndarray, shape (c,)
        NaN for contrasts that have no test; they do not count.
    adjust : str
        One of `ADJUSTMENTS`.
    means : int
        How many means the contrasts compare, for Tukey's method.

    References
    ----------
    Kramer (1956), Biometrics 12 (Tukey's method with unequal variances, each contrast with its own df); Holm (1979),
    Scand. J. Stat. 6; Šidák (1967), JASA 62.
    """
    p = two_sided(statistic, df)
    tested = np.isfinite(p)
    c = int(tested.sum())
    if adjust == "none" or c < 2:
        return p
    p = p.copy()
    if adjust == "tukey":
        p[tested] = range_tail(np.sqrt(2.0) * np.abs(statistic[tested]), means, df[tested])
    elif adjust == "holm":
        p[tested] = holm(p[tested])
    elif adjust == "bonferroni":
        p[tested] = np.minimum(c * p[tested], 1.0)
    else:
        with np.errstate(divide="ignore"):  # p = 1
            p[tested] = -np.expm1(c * np.log1p(-p[tested]))
    return p


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjustment of c p-values: the largest of (c − i) p_(i) so far, in order of size."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.minimum(np.arange(len(p), 0, -1) * p[order], 1.0))
    found = np.empty_like(p)
    found[order] = stepped
    return found


def half_width(df: np.ndarray, adjust: str, means: int, level: float) -> np.ndarray:
    """What a standard error is multiplied with for intervals that hold together; Bonferroni's with Holm's p-values."""
    tested = np.isfinite(two_sided(np.ones(len(df)), df))
    c = int(tested.sum())
    if adjust == "none" or c < 2:
        return t_quantile(df, level)
    if adjust == "tukey":
        width = np.full(len(df), np.nan)
        width[tested] = range_quantile(level, means, df[tested]) / np.sqrt(2.0)
        return width
    return t_quantile(df, level ** (1.0 / c) if adjust == "sidak" else 1.0 - (1.0 - level) / c)
