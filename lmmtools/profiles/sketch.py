"""Lines through a profile's points: ζ curves, traces and the sketched contours of pairs.

The contours are those of Bates & Watts (1988), Nonlinear Regression Analysis and Its Applications, appendix A6: at
(ζ_p, ζ_q) = c(cos(a + d/2), cos(a − d/2)) a contour is a curve d(a), of which each profile gives two points, for where
ζ_p = ±c the conditional optimum of q lies on it; between them d is a periodic cubic spline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.profiles.path import Point

__all__ = ["contour", "curve_through", "joint_cutoff", "trace", "values_at", "zetas_at"]


def curve_through(points: Sequence[Point], n: int = 200) -> np.ndarray:
    """Values and ζ on a smooth curve through the points, slopes included, shape (m, 2)."""
    from scipy.interpolate import CubicHermiteSpline

    value, zeta = _columns(points)
    if len(value) < 3:
        return np.column_stack([value, zeta])
    rate = np.array([p.rate for p in points])[_kept(points)]
    drawn = np.gradient(zeta, value)  # of second order on uneven steps; for the estimate and for bounds
    rate = np.where(np.isfinite(rate), rate, drawn)
    at = np.unique(np.concatenate([np.linspace(value[0], value[-1], n), value]))
    return np.column_stack([at, CubicHermiteSpline(value, zeta, rate)(at)])


def values_at(points: Sequence[Point], zeta: np.ndarray) -> np.ndarray:
    """ψ at given ζ; NaN where the profile does not go so far, and on a plateau its inner end."""
    line = curve_through(points)
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(line[:, 1])) > 0.0])
    return np.interp(zeta, line[rising, 1], line[rising, 0], left=np.nan, right=np.nan)


def zetas_at(points: Sequence[Point], value: np.ndarray) -> np.ndarray:
    """ζ at given ψ, beyond the points on the straight line through the last two."""
    line = curve_through(points)
    found = np.interp(value, line[:, 0], line[:, 1])
    for end, inner in ((0, 1), (-1, -2)):
        rate = (line[end, 1] - line[inner, 1]) / (line[end, 0] - line[inner, 0])
        beyond = value < line[0, 0] if end == 0 else value > line[-1, 0]
        found = np.where(beyond, line[end, 1] + rate * (value - line[end, 0]), found)
    return found


def trace(points: Sequence[Point], place: int) -> np.ndarray:
    """The held parameter and, at its optimum given that, the parameter at a place, shape (m, 2)."""
    kept = _kept(points)
    pairs = np.array([(p.value, p.parameters[place]) for p in points])[kept]
    return pairs[np.isfinite(pairs).all(axis=1)]


def joint_cutoff(level: float) -> float:
    """Root of the χ²₂ quantile: |ζ| of a joint region of two parameters."""
    return float(np.sqrt(-2.0 * np.log1p(-level)))


def contour(
    first: Sequence[Point], second: Sequence[Point], places: tuple[int, int], level: float, n: int = 181
) -> np.ndarray:
    """The joint region's border of two parameters, sketched from their profiles.

    Parameters
    ----------
    first, second : sequence of Point
        Their profiles.
    places : tuple of int
        Where each stands among all parameters.
    level : float
    n : int

    Returns
    -------
    ndarray, shape (n, 2)
        NaN where the border leaves what the parameters can be; empty where the profiles do not tell.
    """
    from scipy.interpolate import CubicSpline

    c = joint_cutoff(level)
    across, along = _conditional(first, second, places[1], c), _conditional(second, first, places[0], c)
    if across is None or along is None:
        return np.empty((0, 2))
    low, high = np.arccos(np.clip(-across[0] / c, -1, 1)), np.arccos(np.clip(across[1] / c, -1, 1))
    left, right = np.arccos(np.clip(-along[0] / c, -1, 1)), np.arccos(np.clip(along[1] / c, -1, 1))
    a = np.array([-high / 2, right / 2, np.pi - low / 2, np.pi + left / 2, 2 * np.pi - high / 2])
    if np.any(np.diff(a) <= 1e-9):
        return np.empty((0, 2))
    d = CubicSpline(a, [high, right, low, left, high], bc_type="periodic")
    around = np.linspace(a[0], a[-1], n)
    zetas = c * np.cos(around + d(around) / 2), c * np.cos(around - d(around) / 2)
    return np.column_stack([values_at(first, zetas[0]), values_at(second, zetas[1])])


def _conditional(held: Sequence[Point], other: Sequence[Point], place: int, c: float) -> tuple[float, float] | None:
    """ζ of the other parameter at its optimum where the held one's ζ is −c and c; None where that is not known."""
    kept = _kept(held)
    zeta = np.array([p.zeta for p in held])[kept]
    there = np.array([p.parameters[place] for p in held])[kept]
    known = np.isfinite(there)
    if known.sum() < 3:
        return None
    z, g = zeta[known], zetas_at(other, there[known])
    low, high = (_extended(z, g, end) for end in (-c, c))
    return float(low), float(high)


def _extended(z: np.ndarray, g: np.ndarray, at: float) -> float:
    """g at a ζ, beyond its ends on the line through the last two."""
    from scipy.interpolate import PchipInterpolator

    # a profile with a plateau, or that falls again, does not give every ζ once
    rising = np.concatenate([[True], z[1:] > np.maximum.accumulate(z)[:-1] + 1e-9])
    z, g = z[rising], g[rising]
    if len(z) < 2:
        return float(g[0])
    if z[0] <= at <= z[-1]:
        return float(PchipInterpolator(z, g)(at))
    end, inner = (0, 1) if at < z[0] else (-1, -2)
    return float(g[end] + (at - z[end]) * (g[end] - g[inner]) / (z[end] - z[inner]))


def _columns(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
    kept = _kept(points)
    return np.array([p.value for p in points])[kept], np.array([p.zeta for p in points])[kept]


def _kept(points: Sequence[Point]) -> np.ndarray:
    """Which points stand beyond the one before."""
    value = np.array([p.value for p in points])
    return np.concatenate([[True], np.diff(value) > 1e-12 * np.abs(value).max()])
