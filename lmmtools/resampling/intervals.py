"""Confidence limits from replicates, each with the error that the number of replicates leaves in it.

A limit is a quantile of the replicates, taken at the k-th smallest with k = (B + 1)α (Davison & Hinkley 1997, Bootstrap
methods and their application, sec. 5.2, interpolated where k is no whole number). Its Monte-Carlo standard error is
Maritz and Jarrett's (1978, JASA 73, 194-196): the moments of that order statistic under the replicates' own
distribution, whose weights are those of a Beta(k, B + 1 − k); no density is estimated, and ties do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Limits", "basic", "bca", "needed", "none", "percentile", "quantile"]

# Difference to the estimate, against the size of the replicates, that is rounding: the two count as equal.
_EQUAL = 1e-7


@dataclass(frozen=True)
class Limits:
    """An interval with Monte-Carlo standard errors of its ends; NaN, with a reason, where there is none."""

    low: float
    high: float
    low_error: float
    high_error: float
    reason: str = ""


def needed(level: float) -> int:
    """Replicates from which on both limits lie within the most extreme ones."""
    return int(np.ceil(2.0 / (1.0 - level) - 1e-9)) - 1


def quantile(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """The α-quantile of replicates, shape (B,), and its Monte-Carlo standard error."""
    from scipy.special import betainc

    B = len(values)
    k = (B + 1) * alpha
    x = np.sort(values)
    weights = np.diff(betainc(k, B + 1 - k, np.arange(B + 1) / B))
    mean = weights @ x
    return float(np.quantile(x, alpha, method="weibull")), float(np.sqrt(weights @ (x - mean) ** 2))


def percentile(values: np.ndarray, level: float) -> Limits:
    """The quantiles (1 ∓ level)/2 of the replicates."""
    tail = (1.0 - level) / 2.0
    (low, low_error), (high, high_error) = quantile(values, tail), quantile(values, 1.0 - tail)
    return Limits(low, high, low_error, high_error)


def basic(values: np.ndarray, estimate: float, level: float) -> Limits:
    """The same reflected in the estimate, 2θ̂ − quantile: the distribution of θ* − θ̂ stands for that of θ̂ − θ."""
    p = percentile(values, level)
    return Limits(2.0 * estimate - p.high, 2.0 * estimate - p.low, p.high_error, p.low_error)


def bca(values: np.ndarray, estimate: float, level: float, left_out: np.ndarray) -> Limits:
    """Efron's bias-corrected and accelerated interval.

    Parameters
    ----------
    values : ndarray, shape (B,)
    estimate : float
    level : float
    left_out : ndarray, shape (J,)
        The estimate without each part of the data in turn, from whose skewness the acceleration follows.

    Notes
    -----
    The bias correction is z₀ = Φ⁻¹(p), p the share of replicates below the estimate, half of those equal to it
    included. Its own Monte-Carlo error is part of that of the limits, to first order, with its correlation: at the
    level α₁ = Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))), and c = (∂α₁/∂z₀)/φ(z₀), a quantile's error is multiplied by the
    root of [α₁(1 − α₁) − 2c(min(α₁, p) − α₁p) + c²p(1 − p)]/[α₁(1 − α₁)].

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, JASA 82(397), 171-185; acceleration from the jackknife as in
    Efron & Tibshirani (1993), An introduction to the bootstrap, eqs. 14.9-14.15.
    """
    from scipy.special import ndtri

    B = len(values)
    equal = np.abs(values - estimate) <= _EQUAL * max(abs(estimate), float(np.abs(values).max()))
    p = (np.sum((values < estimate) & ~equal) + 0.5 * equal.sum()) / B
    if not 0.0 < p < 1.0:
        return none("all replicates lie on one side of the estimate")
    off = left_out.mean() - left_out
    square = float(off @ off)
    if square <= (_EQUAL * max(abs(estimate), float(np.abs(values).max()))) ** 2:
        return none("the estimate is the same whatever is left out")
    a, z0 = float(np.sum(off**3)) / (6.0 * square**1.5), float(ndtri(p))
    ends = []
    for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0):
        alpha, c = _corrected(z0, a, float(ndtri(tail)))
        if not 1.0 <= (B + 1) * alpha <= B:
            beyond = min(alpha, 1.0 - alpha)
            more = f"; at least {int(np.ceil(1.0 / beyond)) - 1:,} are needed" if beyond > 1e-6 else ""
            return none(f"a limit lies beyond the most extreme of {B:,} replicates{more}")
        value, error = quantile(values, alpha)
        spread = alpha * (1.0 - alpha)
        both = spread - 2.0 * c * (min(alpha, p) - alpha * p) + c * c * p * (1.0 - p)
        ends.append((value, error * np.sqrt(max(both, 0.0) / spread)))
    return Limits(ends[0][0], ends[1][0], float(ends[0][1]), float(ends[1][1]))


def _corrected(z0: float, a: float, z: float) -> tuple[float, float]:
    """The level α₁ in place of Φ(z), and (∂α₁/∂z₀)/φ(z₀); a level of 0 where the correction has a pole."""
    from scipy.special import ndtr

    left = 1.0 - a * (z0 + z)
    if left <= 0.0:
        return 0.0, 0.0
    at = z0 + (z0 + z) / left
    return float(ndtr(at)), float(np.exp(0.5 * (z0 * z0 - at * at)) * (1.0 + 1.0 / left**2))


def none(reason: str) -> Limits:
    """No interval, and why."""
    return Limits(np.nan, np.nan, np.nan, np.nan, reason)
