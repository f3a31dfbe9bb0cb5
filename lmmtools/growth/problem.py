"""The model in orthonormal bases: what every estimator, test and check of existence computes with.

With G = Q_G R_G, X = Q_X R_X and Q_2 an orthonormal basis of what X leaves of the occasions,

    E = (I − P_G) Y,    U = Q_G'Y,    B = R_G⁻¹ A R_X⁻ᵀ,    GBX' = Q_G A Q_X'

so that the fit depends on the spaces of G and X alone: raw and orthogonal polynomials give the same to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import qr, solve_triangular

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Y, G and X, of full column rank, in orthonormal bases.

    Attributes
    ----------
    Y : ndarray, shape (n, m)
    G, X : ndarray, shape (n, g), (m, p)
    """

    Y: np.ndarray
    G: np.ndarray
    X: np.ndarray

    @property
    def n(self) -> int:
        """Subjects."""
        return self.Y.shape[0]

    @property
    def m(self) -> int:
        """Occasions."""
        return self.Y.shape[1]

    @property
    def g(self) -> int:
        """Columns of G."""
        return self.G.shape[1]

    @property
    def p(self) -> int:
        """Columns of X."""
        return self.X.shape[1]

    @cached_property
    def between(self) -> tuple[np.ndarray, np.ndarray]:
        """Q_G and R_G."""
        return qr(self.G, mode="economic")

    @cached_property
    def within(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q_X, R_X and Q_2, shape (m, m − p)."""
        Q, R = qr(self.X)
        return Q[:, : self.p], R[: self.p], Q[:, self.p :]

    @cached_property
    def U(self) -> np.ndarray:
        """Q_G'Y, shape (g, m)."""
        return self.between[0].T @ self.Y

    @cached_property
    def least_squares(self) -> np.ndarray:
        """A of ordinary least squares, UQ_X, shape (g, p)."""
        return self.U @ self.within[0]

    @cached_property
    def E(self) -> np.ndarray:
        """(I − P_G) Y, shape (n, m); projected twice, which leaves nothing but rounding of P_G Y in it."""
        Q = self.between[0]
        once = self.Y - Q @ self.U
        return once - Q @ (Q.T @ once)

    def residuals(self, A: np.ndarray) -> np.ndarray:
        """Y − Q_G A Q_X', shape (n, m), from its parts within and outside the space of G."""
        return self.E + self.between[0] @ (self.U - A @ self.within[0].T)

    def coefficients(self, A: np.ndarray) -> np.ndarray:
        """B, shape (g, p)."""
        left = solve_triangular(self.between[1], A)
        return solve_triangular(self.within[1], left.T).T

    @cached_property
    def gram_inverse(self) -> np.ndarray:
        """(G'G)⁻¹."""
        root = solve_triangular(self.between[1], np.eye(self.g))
        return root @ root.T

    def from_within(self, P: np.ndarray) -> np.ndarray:
        """R_X⁻¹ P R_X⁻ᵀ: a covariance of rows of A as one of rows of B."""
        half = solve_triangular(self.within[1], P)
        return solve_triangular(self.within[1], half.T).T
