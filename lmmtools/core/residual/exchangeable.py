"""Compound symmetry, C = (1 − ρ)I + ρ11' in every group: C⁻¹ = αI − β11' with two numbers for a group of n rows.

α = 1/(1 − ρ),  β = ρ/((1 − ρ)(1 + (n − 1)ρ)) = (α − 1/(1 + (n − 1)ρ))/n,  |C| = (1 − ρ)ⁿ⁻¹(1 + (n − 1)ρ)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Exchangeable", "ExchangeableAt"]


@dataclass(frozen=True)
class Exchangeable:
    """`cs` over rows in the order of groups.

    Attributes
    ----------
    starts : ndarray of int, shape (J,)
        First row of each group.
    sizes : ndarray of int, shape (J,)
        Number of its rows.
    """

    starts: np.ndarray
    sizes: np.ndarray
    m = 1

    def at(self, phi: np.ndarray) -> ExchangeableAt:
        """C at ρ."""
        rho = float(phi[0])
        if not (rho < 1.0 and 1.0 + (self.sizes.max(initial=1) - 1) * rho > 0.0):
            raise np.linalg.LinAlgError("a common correlation lies between −1/(n − 1) and 1")
        return ExchangeableAt(self, rho)


class ExchangeableAt:
    """`Exchangeable` at one ρ."""

    def __init__(self, law: Exchangeable, rho: float) -> None:
        n = law.sizes.astype(float)
        self._law, self._rho = law, rho
        others = n - 1.0
        alpha, total = 1.0 / (1.0 - rho), 1.0 / (1.0 + others * rho)
        # derivatives of α and of τ = 1/(1 + (n − 1)ρ) in ρ
        alphas = alpha, alpha**2, 2.0 * alpha**3
        totals = total, -others * total**2, 2.0 * others**2 * total**3
        self._orders = [(a, (a - t) / n) for a, t in zip(alphas, totals, strict=True)]
        self.logdet = float(-others.sum() * np.log(alpha) - np.log(total).sum())
        self.slope = np.array([float(others @ (total - alpha))])
        self.bend = np.array([[float(-others @ (alpha**2 + others * total**2))]])

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""
        return self._apply(*self._orders[0], H)

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂C⁻¹H."""
        return self._apply(*self._orders[1], H)

    def second(self, H: np.ndarray, U: np.ndarray, contract: Any) -> np.ndarray:
        """contract of H and ∂²C⁻¹H, shape (1, 1, c)."""
        return contract(H[None], self._apply(*self._orders[2], H)[None])

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """Each row less what those before it say of it, over its standard deviation."""
        n_before, sums = self._before(H)
        share, sd = self._conditional(n_before)
        return (H - share[:, None] * sums) / sd[:, None]

    def colour(self, H: np.ndarray) -> np.ndarray:
        """Rows from independent ones, in their order, all groups at once."""
        out = np.empty_like(H)
        running = np.zeros((len(self._law.starts), H.shape[1]))
        for step in range(int(self._law.sizes.max())):
            alive = np.flatnonzero(self._law.sizes > step)
            rows = self._law.starts[alive] + step
            share, sd = self._conditional(np.full(1, float(step)))
            out[rows] = share * running[alive] + sd * H[rows]
            running[alive] += out[rows]
        return out

    def _apply(self, alpha: float, beta: np.ndarray, H: np.ndarray) -> np.ndarray:
        if not len(H):
            return H
        sums = np.add.reduceat(H, self._law.starts, axis=0)
        return alpha * H - np.repeat(beta[:, None] * sums, self._law.sizes, axis=0)

    def _before(self, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number and sum of the rows before each in its group."""
        starts, sizes = self._law.starts, self._law.sizes
        running = np.cumsum(H, axis=0) - H
        return (
            np.arange(len(H), dtype=float) - np.repeat(starts, sizes),
            running - np.repeat(running[starts], sizes, axis=0),
        )

    def _conditional(self, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the sum of the rows before, and standard deviation given them."""
        share = self._rho / (1.0 + (before - 1.0) * self._rho)
        return share, np.sqrt(np.maximum(1.0 - before * self._rho * share, 0.0))
