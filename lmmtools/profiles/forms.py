"""Covariance structures with one correlation, or one parameter, held."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.covariance import cholesky_psd

__all__ = ["Held", "HeldCorrelation"]

# Relative sds below this, in working columns of unit size, are zero.
_ZERO = 1e-6


class HeldCorrelation:
    """All covariance matrices over q effects in which two of them have a given correlation.

    With those two in front, Λ has the rows (a, 0, …) and b(ρ, √(1 − ρ²), 0, …), and below them it is free: Λ is linear
    in its q(q + 1)/2 − 1 elements, and T = ΛΛ' has the given correlation whatever they are.

    Parameters
    ----------
    q : int
    pair : tuple of int
        The two effects.
    rho : float
        From −1 to 1, bounds included.
    """

    name = "us"

    def __init__(self, q: int, pair: tuple[int, int], rho: float) -> None:
        self.q, self.pair, self.rho = q, pair, rho
        self.order = [*pair, *(i for i in range(q) if i not in pair)]
        self._places = [(r, c) for c in range(q) for r in range(max(c, 2), q)]
        self.n_theta = 2 + len(self._places)
        self.rows = np.array([*pair, *(self.order[r] for r, _ in self._places)])
        self.basis = np.zeros((self.n_theta, q, q))
        self.basis[0, pair[0], 0] = 1.0
        self.basis[1, pair[1], :2] = rho, np.sqrt(max(1.0 - rho * rho, 0.0))
        for k, (r, c) in enumerate(self._places):
            self.basis[2 + k, self.order[r], c] = 1.0
        bounded = [True, True, *(r == c for r, c in self._places)]
        self.lower, self.upper = np.where(bounded, 0.0, -np.inf), np.full(self.n_theta, np.inf)

    def theta_of(self, T: np.ndarray) -> np.ndarray:
        """Parameters whose T has the variances of T, shape (m,): all of T where its correlation is the one held."""
        T = T[np.ix_(self.order, self.order)]
        L = cholesky_psd(T)
        return np.array([L[0, 0], np.sqrt(max(T[1, 1], 0.0)), *(L[r, c] for r, c in self._places)])

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ, shape (q, q)."""
        return np.tensordot(theta, self.basis, 1)

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """T, shape (q, q)."""
        Lambda = self.factor(theta)
        return Lambda @ Lambda.T

    def first(self, theta: np.ndarray) -> np.ndarray:
        """dT along each parameter, shape (m, q, q)."""
        half = self.basis @ self.factor(theta).T
        return half + half.transpose(0, 2, 1)

    def bend(self, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ along each pair of parameters, shape (m, m)."""
        flat = self.basis.reshape(self.n_theta, -1)
        return 2.0 * (G @ self.basis).reshape(flat.shape) @ flat.T

    def second_along(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ Σ d_k d_l d²T_kl, shape (q, q)."""
        D = np.tensordot(direction, self.basis, 1)
        return D @ D.T

    def slope(self, theta: np.ndarray, G: np.ndarray) -> float:
        """⟨G, dT/dρ⟩, the other parameters fixed; for |ρ| < 1."""
        change = np.zeros((self.q, self.q))
        change[self.pair[1], :2] = theta[1] * np.array([1.0, -self.rho / np.sqrt(1.0 - self.rho**2)])
        return 2.0 * float(np.sum(G * (change @ self.factor(theta).T)))

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """The scale of each element's row."""
        return scale[self.rows]

    def same_covariance(self, theta: np.ndarray) -> list[np.ndarray]:
        """θ alone."""
        return [theta]

    def inert(self, theta: np.ndarray) -> np.ndarray:
        """None."""
        return np.zeros(self.n_theta, dtype=bool)

    def snap(self, theta: np.ndarray) -> np.ndarray:
        """θ with standard deviations that are zero to rounding at zero."""
        bounded = np.isfinite(self.lower)
        return np.where(bounded & (theta <= (1e-4 if theta[bounded].max() <= 1e-4 else _ZERO)), 0.0, theta)

    def on_bound(self, theta: np.ndarray) -> np.ndarray:
        """−1 where a parameter is zero and cannot be less."""
        return np.where(np.isfinite(self.lower) & (theta <= _ZERO), -1, 0)

    def singular(self, theta: np.ndarray) -> bool:
        """Whether T has a null space."""
        return bool(np.linalg.svd(self.factor(theta), compute_uv=False)[-1] <= _ZERO)


class Held:
    """A structure with one of its parameters held at a value.

    Parameters
    ----------
    form : Form
    place : int
        Which parameter.
    value : float
        In working units; a correlation has none.
    """

    def __init__(self, form: Any, place: int, value: float) -> None:
        self.of, self.place, self.value = form, place, value
        self.name, self.q = form.name, form.q
        self._free = np.arange(form.n_theta) != place
        self.n_theta = form.n_theta - 1
        self.lower, self.upper = form.lower[self._free], form.upper[self._free]

    def full(self, theta: np.ndarray) -> np.ndarray:
        """All parameters, the one held among them."""
        return np.insert(theta, self.place, self.value)

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ, shape (q, q)."""
        return self.of.factor(self.full(theta))

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """T, shape (q, q)."""
        return self.of.covariance(self.full(theta))

    def first(self, theta: np.ndarray) -> np.ndarray:
        """dT along each free parameter, shape (m, q, q)."""
        return self.of.first(self.full(theta))[self._free]

    def bend(self, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ along each pair of free parameters, shape (m, m)."""
        return self.of.bend(self.full(theta), G)[np.ix_(self._free, self._free)]

    def second_along(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ Σ d_k d_l d²T_kl, shape (q, q)."""
        return self.of.second_along(self.full(theta), np.insert(direction, self.place, 0.0))

    def slope(self, theta: np.ndarray, G: np.ndarray) -> float:
        """⟨G, dT⟩ along the parameter that is held."""
        return float(np.sum(G * self.of.first(self.full(theta))[self.place]))

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """The scales of the free parameters."""
        return self.of.parameter_scale(scale)[self._free]

    def same_covariance(self, theta: np.ndarray) -> list[np.ndarray]:
        """θ, and others with the same T."""
        same = self.of.same_covariance(self.full(theta))
        return [full[self._free] for full in same if full[self.place] == self.value] or [theta]

    def inert(self, theta: np.ndarray) -> np.ndarray:
        """Which free parameters have no effect on T at θ."""
        return self.of.inert(self.full(theta))[self._free]

    def snap(self, theta: np.ndarray) -> np.ndarray:
        """θ with what lies on a bound to rounding set there."""
        return self.of.snap(self.full(theta))[self._free]

    def on_bound(self, theta: np.ndarray) -> np.ndarray:
        """Which free parameters are on a bound."""
        return self.of.on_bound(self.full(theta))[self._free]

    def singular(self, theta: np.ndarray) -> bool:
        """Whether T has a null space."""
        return self.of.singular(self.full(theta))
