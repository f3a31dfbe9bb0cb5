"""Residuals that the fitted model makes of responses drawn from it: what a diagnostic is to be held against.

With rows whitened by R(φ̂), y = Xβ + Uu + e, U = L⁻¹ZΛ̂, residuals of a response depend on β and on the units of y not
at all, so that responses are drawn with β = 0 and σ = 1. Given θ̂ and φ̂ they are

    ε = A⁻¹(y − Xβ*),   A = I + UU',   A⁻¹w = w − U(I + U'U)⁻¹U'w,   σ*² = (y − Xβ*)'ε/ν

β*, the random effects and σ* being those of the drawn response: they are estimated again, θ̂ and φ̂ are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.arguments import check_count, check_level
from lmmtools.errors import LMMError
from lmmtools.noise import spherical_effects

__all__ = ["Reestimated", "envelope", "ranks_of"]

# Numbers held at a time.
_AT_ONCE = 4_000_000


class Reestimated:
    """Draws residuals of new responses of a fitted model.

    Parameters
    ----------
    fit : LMMFit
    what, instead : str
        The function that asks, and what to do where residuals cannot be drawn.

    Raises
    ------
    ModelError
        If groups of correlated residuals reach across very many levels of random effects.
    """

    def __init__(self, fit: Any, what: str, instead: str = "use n=0, which draws no envelope") -> None:
        self.fit = fit
        self.noise = fit.noise
        X = self.noise.whiten(fit.design.X)
        self.Q = np.linalg.qr(X)[0] if X.shape[1] else X
        self.nu = fit.nobs - (self.Q.shape[1] if fit.reml else 0)
        self.U = spherical_effects(fit, what, instead).tocsc() if fit.design.terms else None
        if self.U is not None:
            from scipy.sparse import eye_array
            from scipy.sparse.linalg import splu

            self._M = splu((self.U.T @ self.U + eye_array(self.U.shape[1])).tocsc())
        AQ = self._solve(self.Q)
        self._S = self.Q.T @ AQ
        self._AQ = AQ

    def _solve(self, w: np.ndarray) -> np.ndarray:
        """A⁻¹w, w of shape (n, c)."""
        return w if self.U is None else w - self.U @ self._M.solve(np.ascontiguousarray(self.U.T @ w))

    def normalized(self, y: np.ndarray) -> np.ndarray:
        """Normalized residuals of whitened responses, shape (n, m)."""
        return self.estimated(y)[0]

    def estimated(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normalized residuals of whitened responses, shape (n, m), and σ* of each, shape (m,)."""
        beta = np.linalg.solve(self._S, self._AQ.T @ y) if self.Q.shape[1] else np.zeros((0, y.shape[1]))
        left = y - self.Q @ beta
        e = self._solve(left)
        sigma = np.sqrt(np.einsum("im,im->m", left, e) / self.nu)
        return e / sigma, sigma

    def of_kind(self, e: np.ndarray, kind: str) -> np.ndarray:
        """Residuals of the kind asked for, from normalized ones."""
        return e if kind == "normalized" else self.noise.colour(e) / self.noise.sd[:, None]

    def draws(self, n: int, rng: np.random.Generator, kind: str) -> Iterator[np.ndarray]:
        """Residuals of n drawn responses, a few at a time, each of shape (nobs, m)."""
        for y in self.responses(n, rng):
            yield self.of_kind(self.normalized(y), kind)

    def responses(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """n whitened responses with β = 0 and σ = 1, a few at a time, each of shape (nobs, m)."""
        rows = self.fit.nobs
        step = max(_AT_ONCE // rows, 1)
        for start in range(0, n, step):
            m = min(step, n - start)
            y = rng.standard_normal((rows, m))
            if self.U is not None:
                y += self.U @ rng.standard_normal((self.U.shape[1], m))
            yield y


def ranks_of(n: int, level: float, what: str) -> tuple[int, float]:
    """Which of n ordered simulations bound an envelope, and its coverage.

    Of n + 1 exchangeable values the last lies between the k-th smallest and the k-th largest of the others with
    probability 1 − 2k/(n + 1); k is the largest for which that is `level` at least.

    Raises
    ------
    LMMError
        If there are too few for the level.
    """
    n = check_count(n, f"{what}: n, the number of simulations,", at_least=0)
    level = check_level(level)
    k = int((n + 1) * (1.0 - level) / 2.0 + 1e-9)
    if n and not k:
        raise LMMError(
            f"{what}: {n} simulations bound no envelope of {100 * level:g} %; at least "
            f"{int(np.ceil(2.0 / (1.0 - level) - 1e-9)) - 1} do, or n=0 for none."
        )
    return k, 1.0 - 2.0 * k / (n + 1)


def envelope(statistics: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k-th smallest, k-th largest and mean of each statistic over simulations, shape (n, bins)."""
    ordered = np.sort(statistics, axis=0)
    return ordered[k - 1], ordered[-k], ordered.mean(axis=0)
