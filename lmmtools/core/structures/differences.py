"""First and second derivatives of a matrix function within a box, from its values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

__all__ = ["differences"]

# Points to a line, and their distance over the size of the parameter: seven points are exact for polynomials of
# degree six, so that what is left is of the order of distance⁶ in the first derivative and distance⁵ in the second.
_POINTS = 7
_DISTANCE = 0.01


@lru_cache(maxsize=16)
def _weights(first: int) -> np.ndarray:
    """Weights of the values at first, first + 1, … for the first and second derivative at 0, shape (2, points)."""
    nodes = np.arange(first, first + _POINTS, dtype=float)
    powers = np.vander(nodes, increasing=True).T  # row k: nodes^k
    wanted = np.zeros((_POINTS, 2))
    wanted[1, 0], wanted[2, 1] = 1.0, 2.0
    return np.linalg.solve(powers, wanted).T


def differences(
    function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives at θ from values inside the box only, one-sided where a bound is near.

    Parameters
    ----------
    function : callable
        θ ↦ array, shape (q, q).
    theta, lower, upper : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (m, q, q)
        First derivatives.
    ndarray, shape (m, m, q, q)
        Second derivatives.
    """
    m, half = len(theta), _POINTS // 2
    step = np.minimum(_DISTANCE * np.maximum(1.0, np.abs(theta)), (upper - lower) / (2.0 * _POINTS))
    below = np.floor(np.minimum((theta - lower) / step + 1e-9, half)).astype(int)
    above = np.floor(np.minimum((upper - theta) / step + 1e-9, half)).astype(int)
    first = np.where(above < half, above - _POINTS + 1, -below)
    weights = [_weights(int(a)) for a in first]
    offsets = [step[k] * np.arange(first[k], first[k] + _POINTS) for k in range(m)]

    def along(k: int, at: np.ndarray) -> np.ndarray:
        points = np.repeat(at[None], _POINTS, axis=0)
        points[:, k] = np.clip(at[k] + offsets[k], lower[k], upper[k])
        return np.array([function(point) for point in points])

    size = function(theta).shape
    one, two = np.zeros((m, *size)), np.zeros((m, m, *size))
    for k in range(m):
        values = along(k, theta)
        one[k] = np.tensordot(weights[k][0], values, 1) / step[k]
        two[k, k] = np.tensordot(weights[k][1], values, 1) / step[k] ** 2
        for j in range(k):
            rows = np.repeat(theta[None], _POINTS, axis=0)
            rows[:, k] = np.clip(theta[k] + offsets[k], lower[k], upper[k])
            slopes = np.array([np.tensordot(weights[j][0], along(j, row), 1) / step[j] for row in rows])
            two[k, j] = two[j, k] = np.tensordot(weights[k][0], slopes, 1) / step[k]
    return one, two
