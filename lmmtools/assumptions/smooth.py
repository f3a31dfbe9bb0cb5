"""A smooth curve through points: straight lines fitted locally."""

from __future__ import annotations

import numpy as np

__all__ = ["local_linear"]

# Points at which the curve is found, where x has more values.
_MOST = 80


def local_linear(x: np.ndarray, y: np.ndarray, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights of lines fitted to the nearest points, those at hand weighing most.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
    span : float
        Share of the points that each line is fitted to, in (0, 1].

    Returns
    -------
    at, height : ndarray, shape (k,)
        Each different x, or of many some, as many rows between one and the next.

    Notes
    -----
    Weights are the tricube of the distance over that of the furthest point taken; the points are not weighed again by
    their residuals.

    References
    ----------
    Cleveland (1979), Robust locally weighted regression and smoothing scatterplots, J. Am. Stat. Assoc. 74, sec. 2.
    """
    at = np.unique(x)
    if len(at) > _MOST:
        at = np.unique(np.quantile(x, np.linspace(0.0, 1.0, _MOST)))
    taken = min(max(int(np.ceil(span * len(x))), 2), len(x))
    return at, np.array([_height(x - here, y, taken) for here in at])


def _height(x: np.ndarray, y: np.ndarray, taken: int) -> float:
    """The line's height at zero."""
    distance = np.abs(x)
    reach = float(np.partition(distance, taken - 1)[taken - 1])
    near = np.flatnonzero(distance <= reach)
    x, y, distance = x[near], y[near], distance[near]
    # where so many rows lie at one value that none is further off, all of them weigh alike
    weight = (1.0 - np.minimum(distance / (1.000001 * reach), 1.0) ** 3) ** 3 if reach > 0.0 else np.ones(len(near))
    weight = weight / weight.sum()
    centre, mean = weight @ x, weight @ y
    spread = weight @ (x - centre) ** 2
    slope = (weight * (x - centre)) @ y / spread if spread > 1e-12 * reach**2 else 0.0
    return float(mean - slope * centre)
