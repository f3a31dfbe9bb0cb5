"""The ML criterion with the standard deviation of one random effect held, above zero or at it.

s = σ√τ, τ = T_ii, ties σ to T. With σ² = s²/τ put in, what is left is a criterion of T alone, smooth on the whole cone
of admissible covariances, so that `minimize` goes down it as it goes down the free one, boundaries included; τ stays
positive of itself, for the criterion grows without limit as τ → 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Products, Solution, TDerivatives
from lmmtools.core.working import Working

__all__ = ["HeldDeviation"]


class HeldDeviation(Criterion):
    """The criterion with one random effect's standard deviation held above zero.

    Parameters
    ----------
    free : Criterion
    term, effect : int
    value : float
        In the units of the fit.

    Notes
    -----
    Two terms of one factor may share columns of Z̃, and then the variance of an effect is no function of T̃. So this
    criterion stands over the terms' own working columns, side by side: T' is block-diagonal by term, T̃ = PT'P'.
    """

    def __init__(self, free: Criterion, term: int, effect: int, value: float) -> None:
        lifted, self._P, ends = _lifted(free.working)
        super().__init__(free.design, reml=False, working=lifted)
        self.value = value
        self._s2 = (value / (lifted.y_scale * lifted.noise_scale)) ** 2
        scale = free.working.terms[term].scale
        own = np.linalg.inv(scale if scale.ndim == 2 else np.diag(scale))[effect]
        self._k = np.zeros(self._P.shape[1])
        self._k[ends[term] : ends[term + 1]] = own

    def solve(self, Lambda: np.ndarray, products: Products | None = None) -> Solution:
        """The solution at Λ' with σ² = s²/τ.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where τ is zero.
        """
        tau = self.tau(Lambda)
        if not tau > 0.0:
            raise np.linalg.LinAlgError("a standard deviation that is held above zero cannot vanish")
        return super().solve(self._P @ Lambda, products).at_noise(self._s2 / tau)

    def tau(self, Lambda: np.ndarray) -> float:
        """The effect's relative variance at Λ'."""
        row = self._k @ Lambda
        return float(row @ row)

    def differentiate(self, solution: Solution, products: Products | None = None) -> TDerivatives:
        """Derivatives in T'."""
        d = super().differentiate(solution, products)
        return _TiedDerivatives(d, solution, self._P, self._k, self._s2 / solution.sigma2)

    def rise(self, d: TDerivatives) -> float:
        """The free criterion's derivative in T_ii alone, from its derivatives in T̃."""
        column = self._k / float(self._k @ self._k)
        return float(column @ self._P.T @ d.gradient @ self._P @ column)


def _lifted(working: Working) -> tuple[Working, np.ndarray, np.ndarray]:
    """The working model over its terms' working columns side by side; P, shape (R, Σq); where each term starts.

    Parameters φ of the residual structure stand below, as they do in T̃.
    """
    ends = np.cumsum([0, *(t.q for t in working.terms)])
    residual, m = working.residual, 0 if working.residual is None else working.residual.n_theta
    size = ends[-1] + m
    terms = []
    for k, t in enumerate(working.terms):
        S = np.zeros((size, t.q))
        S[ends[k] : ends[k + 1]] = np.eye(t.q)
        K = S @ t.scale if t.scale.ndim == 2 else S * t.scale
        terms.append(replace(t, K=K, S=S))
    P = np.hstack([t.S for t in working.parts])
    if residual is not None:
        own = np.eye(size)[:, size - m :]
        residual = replace(residual, K=own, S=own)
    return replace(working, terms=tuple(terms), homes=tuple(range(len(terms))), residual=residual), P, ends


class _TiedDerivatives:
    """Derivatives of F(T') = f(PT'P', u(T')), u = log σ² = log s² − log τ, by the chain rule.

    f_u = n − r²/σ², f_uu = r²/σ², f_uT = −(dr²/dT)/σ²; du = −⟨kk', dT'⟩/τ, d²u = du₁du₂.
    """

    def __init__(self, d: TDerivatives, solution: Solution, P: np.ndarray, k: np.ndarray, tau: float) -> None:
        self._d, self._solution, self._P, self._k, self._tau = d, solution, P, k, tau
        self._per_u = solution.nu - solution.r2 / solution.sigma2
        self.exact_steering = d.exact_steering
        self.gradient = P.T @ d.gradient @ P - (self._per_u / tau) * np.outer(k, k)

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Second derivatives along each pair of directions, shape (m, R', R') → (m, m)."""
        return self._tied(dT, self._d.hessian)

    def steering(self, dT: np.ndarray) -> np.ndarray:
        """The same from what steers."""
        return self._tied(dT, self._d.steering)

    def _tied(self, dT: np.ndarray, second: Any) -> np.ndarray:
        s = self._solution
        below = self._P @ dT @ self._P.T
        v = s.contrast
        r2 = self._d.shift(below) @ v @ v
        du = -(dT @ self._k @ self._k) / self._tau
        mixed = np.outer(-r2 / s.sigma2, du)
        return second(below) + mixed + mixed.T + (s.r2 / s.sigma2 + self._per_u) * np.outer(du, du)
