"""What a design can identify, from its cross-products alone and before any iteration.

The marginal covariance is V = Σ t_k ZD_kZ' + σ²I. Two parameter points with one V cannot be told apart by any
data, so identification is linear algebra: the Gram matrix ⟨ZD_kZ', ZD_lZ'⟩ = Σ tr(AD_kAD_l), bordered by
⟨ZD_kZ', I⟩ = Σ tr(AD_k) and ⟨I, I⟩ = n, is singular exactly along what is not identified.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Gram", "eliminated"]

# Gram matrices of identified designs, scaled to a unit diagonal, stay far above this; rounding far below.
_RELATIVE_ZERO = 1e-11


@dataclass(frozen=True)
class Gram:
    """Inner products of the derivatives of V.

    Attributes
    ----------
    between : ndarray, shape (m, m)
        ⟨ZD_kZ', ZD_lZ'⟩.
    with_residual : ndarray, shape (m,)
        ⟨ZD_kZ', I⟩.
    n : int
    """

    between: np.ndarray
    with_residual: np.ndarray
    n: int

    def _eigen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        scale = np.sqrt(np.maximum(np.diagonal(self.between), 0.0))
        scale = np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(self.between / np.outer(scale, scale))
        return values, vectors, scale, values <= _RELATIVE_ZERO * max(values[-1], 1.0)

    @property
    def rank(self) -> int:
        """Number of directions that change V independently."""
        return int(np.sum(~self._eigen()[3]))

    def null_space(self) -> np.ndarray:
        """Directions t with Σ t_k ZD_kZ' = 0, as few parameters in each as elimination gives, shape (k, m)."""
        _, vectors, scale, null = self._eigen()
        return eliminated(vectors[:, null].T) / scale

    def residual_is_confounded(self) -> bool:
        """Whether I itself is some Σ t_k ZD_kZ'."""
        values, vectors, scale, null = self._eigen()
        along = vectors[:, ~null].T @ (self.with_residual / scale)
        explained = np.sum(along**2 / values[~null])
        return bool(self.n - explained <= 1e-9 * self.n)

    def subset(self, keep: np.ndarray) -> Gram:
        """The Gram matrix of some of the directions."""
        return Gram(self.between[np.ix_(keep, keep)], self.with_residual[keep], self.n)


def eliminated(basis: np.ndarray) -> np.ndarray:
    """Rows that span what those of `basis` do, each with a one where the others have none: few elements in each."""
    basis = basis.copy()
    for i in range(len(basis)):
        pivot = int(np.argmax(np.abs(basis[i])))
        others = np.arange(len(basis)) != i
        basis[i] /= basis[i, pivot]
        basis[others] -= np.outer(basis[others, pivot], basis[i])
    return basis
