"""Autoregressions of first order, in discrete and in continuous time: C⁻¹ is tridiagonal, whatever the gaps.

Within a group, in the order of time, two neighbours Δ apart have correlation a = φ^Δ, and

    x'C⁻¹x = x₁² + Σ (x_t − a_t x_{t−1})²/(1 − a_t²),    log|C| = Σ log(1 − a_t²)

so C⁻¹ has 1 + f_t + f_{t+1} on its diagonal and g_t beside it, with f = a²/(1 − a²), g = −a/(1 − a²). Its derivatives
in φ have the same form (Jones & Boadi-Boateng 1991, Biometrics 47, for the continuous case).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Markov", "MarkovAt"]

# Below it derivatives of φ^Δ are those here: correlations so small are reached only where there are none.
_LEAST = 1e-140


@dataclass(frozen=True)
class Markov:
    """`ar1` or `car1` over rows in the order of group and time.

    Attributes
    ----------
    gap : ndarray, shape (n,)
        Time since the row before of the same group; 0 in a group's first row.
    first : ndarray of bool, shape (n,)
        Whether a row is a group's first.
    """

    gap: np.ndarray
    first: np.ndarray
    m = 1

    def at(self, phi: np.ndarray) -> MarkovAt:
        """C at φ."""
        value = float(phi[0])
        if not -1.0 < value < 1.0:
            raise np.linalg.LinAlgError("an autoregression is stationary for |φ| < 1 only")
        return MarkovAt(self, value)


class MarkovAt:
    """`Markov` at one φ."""

    def __init__(self, law: Markov, phi: float) -> None:
        self._law, self._phi = law, phi
        a = np.where(law.first, 0.0, np.power(phi, law.gap, where=~law.first, out=np.zeros_like(law.gap)))
        w = 1.0 / (1.0 - a * a)
        if not np.all(np.isfinite(w)):
            raise np.linalg.LinAlgError("neighbours are perfectly correlated to rounding")
        self._a, self._w = a, w
        self._zeroth = 1.0 + _both(a * a * w), -a * w
        self.logdet = -float(np.log(w).sum())

    @cached_property
    def _orders(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """First and second derivatives of f and g in φ."""
        a, w, a1, a2 = self._a, self._w, *self._powers
        f1, g1 = 2.0 * a * w**2, -w - 2.0 * a**2 * w**2
        f2, g2 = 2.0 * w**2 + 8.0 * a**2 * w**3, -6.0 * a * w**2 - 8.0 * a**3 * w**3
        return _both(f1 * a1), g1 * a1, _both(f2 * a1**2 + f1 * a2), g2 * a1**2 + g1 * a2

    @cached_property
    def _powers(self) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivatives of a = φ^Δ."""
        follows = ~self._law.first
        return _power_slope(self._phi, self._law.gap, follows), _power_bend(self._phi, self._law.gap, follows)

    @cached_property
    def slope(self) -> np.ndarray:
        """∂ log|C|, shape (1,)."""
        return np.array([float(-2.0 * self._a * self._w @ self._powers[0])])

    @cached_property
    def bend(self) -> np.ndarray:
        """∂² log|C|, shape (1, 1)."""
        a, w, a1, a2 = self._a, self._w, *self._powers
        return np.array([[float((-2.0 * w - 4.0 * a**2 * w**2) @ a1**2 - 2.0 * a * w @ a2)]])

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""
        return _tridiagonal(*self._zeroth, H)

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂C⁻¹H."""
        return _tridiagonal(*self._orders[:2], H)

    def second(self, H: np.ndarray, U: np.ndarray, contract: Any) -> np.ndarray:
        """contract of H and ∂²C⁻¹H, shape (1, 1, c)."""
        return contract(H[None], _tridiagonal(*self._orders[2:], H)[None])

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """What each row adds to the one before it, over its standard deviation."""
        out = H.copy()
        out[1:] -= self._a[1:, None] * H[:-1]
        return out * np.sqrt(self._w)[:, None]

    def colour(self, H: np.ndarray) -> np.ndarray:
        """Rows from independent ones: in the order of time, all groups at once."""
        out = H / np.sqrt(self._w)[:, None]
        starts = np.flatnonzero(self._law.first)
        length = np.diff(np.append(starts, len(H)))
        for step in range(1, int(length.max(initial=1))):
            rows = starts[length > step] + step
            out[rows] += self._a[rows, None] * out[rows - 1]
        return out


def _kept(phi: float) -> float:
    """φ, not so near zero that negative powers and their squares have no number."""
    return max(phi, _LEAST) if phi > 0.0 else phi


def _power_slope(phi: float, gap: np.ndarray, follows: np.ndarray) -> np.ndarray:
    out = np.zeros_like(gap)
    np.power(_kept(phi), gap - 1.0, where=follows & (gap != 1.0), out=out)
    return np.where(follows, np.where(gap == 1.0, 1.0, gap * out), 0.0)


def _power_bend(phi: float, gap: np.ndarray, follows: np.ndarray) -> np.ndarray:
    out = np.zeros_like(gap)
    curved = follows & (gap != 1.0)
    np.power(_kept(phi), gap - 2.0, where=curved & (gap != 2.0), out=out)
    out[curved & (gap == 2.0)] = 1.0
    return np.where(curved, gap * (gap - 1.0) * out, 0.0)


def _both(f: np.ndarray) -> np.ndarray:
    """f_t + f_{t+1}: each step has its share in the two rows it joins."""
    out = f.copy()
    out[:-1] += f[1:]
    return out


def _tridiagonal(diagonal: np.ndarray, beside: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Rows of a symmetric tridiagonal matrix times H; beside[t] stands at (t, t − 1)."""
    out = diagonal[:, None] * H
    out[1:] += beside[1:, None] * H[:-1]
    out[:-1] += beside[1:, None] * H[1:]
    return out
