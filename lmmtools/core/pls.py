"""The profiled criterion of one grouping factor, from its cross-products.

Notation (V is the marginal covariance over σ², T = ΛΛ'; sums run over groups)::

    M = I + Λ'AΛ          Q = ΛM⁻¹Λ'         P = A − AQA  (= Z'V⁻¹Z)
    W = (I − AQ)B  (= Z'V⁻¹[X y])            S = C − Σ B'QB  (= [X y]'V⁻¹[X y])
    β̂ = S_XX⁻¹S_Xy        r² = S_yy − S_yXβ̂

The criterion is −2 times the profiled log-likelihood, or restricted log-likelihood, with all constants
(Bates, Mächler, Bolker & Walker 2015, J. Stat. Softw. 67(1), eqs. 34 and 41, written for V)::

    d = Σ log|M| + ν(1 + log(2πr²/ν)) [+ log|S_XX|],    ν = n − p [REML] or n [ML].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.covariance import lower_factor
from lmmtools.core.moments import Moments

__all__ = ["Solution", "cholesky_inverse", "solve_pls", "spherical_information", "times_transpose"]


@dataclass(frozen=True)
class Solution:
    """The penalised least squares solution at one Λ.

    Attributes
    ----------
    value : float
        The criterion d.
    beta : ndarray, shape (p,)
        β̂, in the basis of the cross-products.
    r2 : float
        [y − Xβ̂]'V⁻¹[y − Xβ̂].
    nu : int
        Divisor of r² in σ̂².
    S_inverse : ndarray, shape (p, p)
        S_XX⁻¹; σ²S_XX⁻¹ is Var(β̂).
    H : ndarray, shape (r, s, P)
        Q = HH', H = LC⁻ᵀ with M = CC' and L the lower factor of Λ.
    HB : ndarray, shape (s, p + 1, N)
        H'B.
    """

    value: float
    beta: np.ndarray
    r2: float
    nu: int
    reml: bool
    S_inverse: np.ndarray
    H: np.ndarray
    HB: np.ndarray

    @property
    def sigma2(self) -> float:
        """σ̂² = r²/ν."""
        return self.r2 / self.nu


def solve_pls(moments: Moments, Lambda: np.ndarray, *, reml: bool) -> Solution:
    """Solve for β̂ and r² at a factor Λ of shape (r, q) and evaluate the criterion.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V⁻¹X is not positive definite, which a full-rank X excludes up to rounding.
    """
    p = moments.p
    # LL' = ΛΛ'; a triangular L keeps M graded, and so accurate, when Λ is nearly singular.
    L = Lambda if _is_lower(Lambda) else lower_factor(Lambda)
    C_inverse, logdet = cholesky_inverse(spherical_information(moments.A, L))
    H = times_transpose(L, C_inverse)
    HB = np.einsum("akg,ajg->kjg", moments.spread(H), moments.B)
    flat = HB.transpose(1, 0, 2).reshape(p + 1, -1)
    S = moments.C - flat @ flat.T
    S_factor = np.linalg.cholesky(S[:p, :p])
    half = np.linalg.solve(S_factor, np.eye(p))
    S_inverse = half.T @ half
    beta = S_inverse @ S[:p, p]
    r2 = float(S[p, p] - S[:p, p] @ beta)
    nu = moments.n - p if reml else moments.n
    value = moments.counts @ logdet + nu * (1.0 + np.log(2.0 * np.pi * max(r2, np.finfo(float).tiny) / nu))
    if reml:
        value += 2.0 * np.log(np.diagonal(S_factor)).sum()
    return Solution(float(value), beta, r2, nu, reml, S_inverse, H, HB)


def _is_lower(Lambda: np.ndarray) -> bool:
    return Lambda.shape[0] == Lambda.shape[1] and not np.triu(Lambda, 1).any()


def spherical_information(A: np.ndarray, L: np.ndarray) -> np.ndarray:
    """M = I + L'AL for every pattern, shape (s, s, P)."""
    r, s = L.shape
    M = np.matmul(L.T, (L.T @ A.reshape(r, -1)).reshape(s, r, -1))
    M[np.arange(s), np.arange(s)] += 1.0
    return M


def times_transpose(L: np.ndarray, C: np.ndarray) -> np.ndarray:
    """LC' for every pattern: (q, s) by (s, s, P), shape (q, s, P)."""
    q, s = L.shape
    return (L @ C.transpose(1, 0, 2).reshape(s, -1)).reshape(q, s, -1)


def cholesky_inverse(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse Cholesky factors and log-determinants of many small matrices, group axis last.

    Parameters
    ----------
    M : ndarray, shape (s, s, P)
        Symmetric, eigenvalues at least one.

    Returns
    -------
    C_inverse : ndarray, shape (s, s, P)
        Lower triangular; M = CC'.
    logdet : ndarray, shape (P,)
    """
    s = M.shape[0]
    C = np.zeros_like(M)
    for j in range(s):
        column = M[j:, j]
        if j:
            column = column - np.einsum("ikg,kg->ig", C[j:, :j], C[j, :j])
        C[j:, j] = column / np.sqrt(column[0])
    C_inverse = np.zeros_like(M)
    for i in range(s):
        C_inverse[i, i] = 1.0 / C[i, i]
        if i:
            C_inverse[i, :i] = -C_inverse[i, i] * np.einsum("kg,kjg->jg", C[i, :i], C_inverse[:i, :i])
    logdet = 2.0 * np.log(C[np.arange(s), np.arange(s)]).sum(axis=0)
    return C_inverse, logdet
