"""The fixed effects in coordinates in which their estimates are uncorrelated and of variance one.

Tests of several functions together are lengths of projections there, so that neither units nor covariates far from
zero, which make coefficients all but collinear, cost digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Whitened", "whitened"]

# What a row has beside others, in standard errors of the coefficients, below which it repeats them.
_REPEATED = 1e-9


@dataclass(frozen=True)
class Whitened:
    """β̂ = root z, where Var(z) = I.

    Attributes
    ----------
    root : ndarray, shape (p, p)
        A root of Var(β̂) = root root'.
    z : ndarray, shape (p,)
    """

    root: np.ndarray
    z: np.ndarray

    def independent(self, L: np.ndarray) -> np.ndarray:
        """Those rows of L, shape (k, p), that do not repeat others, shape (q, p), each of a size of order one."""
        sizes = np.linalg.norm(self.root, axis=1)
        in_errors = L * sizes  # the rows as they would be were the estimates uncorrelated
        length = np.linalg.norm(in_errors, axis=1)
        some = length > 0.0
        if not some.any():
            return L[:0]
        from scipy.linalg import qr

        L, in_errors = L[some] / length[some, None], in_errors[some] / length[some, None]
        triangle, order = qr(in_errors.T, mode="r", pivoting=True)
        left = np.abs(np.diagonal(triangle))
        return L[np.sort(order[: len(left)][left > _REPEATED * left[0]])]

    def rows(self, L: np.ndarray) -> np.ndarray:
        """Rows of unit length that give the functions Lβ̂ in z, shape (k, p); NaN for a row of zeros."""
        rows = np.atleast_2d(L) @ self.root
        with np.errstate(invalid="ignore"):
            return rows / np.linalg.norm(rows, axis=1)[:, None]

    def axes(self, L: np.ndarray) -> np.ndarray:
        """Orthonormal rows that span those of independent rows L, shape (q, p)."""
        return np.linalg.qr(self.rows(L).T)[0].T


def whitened(fit: Any) -> Whitened:
    """The estimates of a fit, whitened by its unadjusted covariance of them."""
    w, s = fit.working, fit.solution
    size = np.sqrt(s.sigma2) * w.y_scale
    if not len(s.beta):
        return Whitened(w.R, s.beta)
    z = np.linalg.solve(s.S_root, s.beta + w.beta_shift / w.y_scale) / np.sqrt(s.sigma2)
    return Whitened(size * np.linalg.solve(w.R, s.S_root), z)
