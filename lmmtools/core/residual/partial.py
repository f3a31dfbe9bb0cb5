"""Coefficients of an autoregression from its partial autocorrelations, and back.

Any numbers between −1 and 1 are the partial autocorrelations of one stationary autoregression (Barndorff-Nielsen &
Schou 1973, J. Multivariate Anal. 3): with the coefficients a of order k − 1 and the k-th partial autocorrelation r,

    a_j ← a_j − r a_{k−j},   a_k = r    (Durbin & Levinson)
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["blocks_of", "coefficients", "lonely_ends", "partial_autocorrelations"]

# How near to one a partial autocorrelation is divided by what it leaves.
_NEAR = 1e-12
# A moving average that may well be one; the autoregression's polynomial where it has no root.
_AT_END, _APART = 0.99, 0.1


def blocks_of(residual: Any) -> list[tuple[slice, float]]:
    """Where φ holds two coefficients or more of an autoregression, and its sign, −1 for a moving average."""
    c = residual.correlation
    if c is None or c.kind != "arma":
        return []
    p, q = c.order
    found = []
    for level in range(len(c.by_levels)):
        start = level * (p + q)
        found += [(slice(start, start + p), 1.0), (slice(start + p, start + p + q), -1.0)]
    return [(at, sign) for at, sign in found if at.stop - at.start > 1]


def lonely_ends(residual: Any, phi: np.ndarray) -> list[int]:
    """Places of single moving averages so near ±1 that they may lie there, and no root beside them nearly cancels."""
    c = residual.correlation
    if c is None or c.kind != "arma" or c.order[1] != 1 or not c.order[0]:
        return []
    p, found = c.order[0], []
    for at in range(p, len(c.by_levels) * (p + 1), p + 1):
        end = float(np.sign(phi[at]))
        if abs(phi[at]) > _AT_END and abs(np.polyval(np.append(1.0, -phi[at - p : at]), -end)) > _APART:
            found.append(at)
    return found


def coefficients(r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, shape (p,), with their slopes (p, p) and bends (p, p, p) in r, along the last axes."""
    p = len(r)
    a, J, H = np.zeros(0), np.zeros((0, p)), np.zeros((0, p, p))
    for k, value in enumerate(r):
        back, J_back = a[::-1], J[::-1]
        H = np.concatenate([H - value * H[::-1], np.zeros((1, p, p))])
        H[:k, :, k] -= J_back
        H[:k, k, :] -= J_back
        J = np.concatenate([J - value * J_back, np.zeros((1, p))])
        J[:k, k] -= back
        J[k, k] = 1.0
        a = np.append(a - value * back, value)
    return a, J, H


def partial_autocorrelations(a: np.ndarray) -> np.ndarray:
    """The partial autocorrelations of an autoregression with coefficients a, shape (p,)."""
    out = np.zeros(len(a))
    for k in range(len(a) - 1, -1, -1):
        out[k] = a[k]
        r = float(np.clip(a[k], _NEAR - 1.0, 1.0 - _NEAR))
        a = (a[:k] + r * a[:k][::-1]) / (1.0 - r * r)
    return out
