"""Conditional modes of the random effects, their covariances, and how they depend on β̂."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.pls import Solution, cholesky_inverse, spherical_information, times_transpose
from lmmtools.core.working import Working

__all__ = ["Modes", "conditional_modes", "mode_sensitivity"]


@dataclass(frozen=True)
class Modes:
    """Conditional modes of all terms of one factor, side by side.

    Attributes
    ----------
    b : ndarray, shape (J, Q)
        TZ'V⁻¹(y − Xβ̂), in units of the response over those of Z's columns.
    cov : ndarray, shape (J, Q, Q)
        Var(b | y) at β̂ and θ̂: σ²(T − TZ'V⁻¹ZT).
    """

    b: np.ndarray
    cov: np.ndarray


def conditional_modes(working: Working, factors: tuple[np.ndarray, ...], solution: Solution) -> Modes:
    """Modes and covariances at the factors Λ_k of the terms.

    Parameters
    ----------
    working : Working
    factors : tuple of ndarray, shape (q_k, q_k)
        Λ of each term in its own columns.
    solution : Solution
        Of the uncompressed cross-products `working.groups`, at the same Λ.

    Notes
    -----
    With KΛ = LO' (O with orthonormal columns), M = I + L'AL and M⁻¹ = C⁻ᵀC⁻¹ the covariance is
    σ²(ΛO M⁻¹ O'Λ' + Λ(I − OO')Λ'): M stays graded where the columns of Z are nearly collinear.
    """
    m = working.groups
    Lambda, LO, R, C_inverse = _spherical(working, factors)
    H = times_transpose(LO, C_inverse)
    sigma2 = solution.sigma2 * working.y_scale**2
    rest = Lambda @ Lambda.T - LO @ LO.T
    cov = np.einsum("akg,bkg->gab", H, H) + rest
    v = np.append(-solution.beta, 1.0)
    Bv = np.matmul(v, m.B)
    # b = ΛO M⁻¹ O'Λ'K'Bv, and O'Λ'K' = L' = R.
    u = np.einsum("klg,lg->kg", C_inverse, R @ Bv)
    b = np.einsum("akg,kg->ga", H, u) * working.y_scale
    return Modes(b, cov * sigma2)


def mode_sensitivity(working: Working, factors: tuple[np.ndarray, ...]) -> np.ndarray:
    """−∂b̂/∂β̂ = TZ'V⁻¹X in the original columns of X, shape (J, Q, p)."""
    _, LO, R, C_inverse = _spherical(working, factors)
    RB = np.einsum("ka,ajg->kjg", R, working.groups.B[:, :-1])
    half = np.einsum("klg,ljg->kjg", C_inverse, RB)
    inner = np.einsum("lkg,ljg->kjg", C_inverse, half)
    return np.einsum("ak,kjg,ji->gai", LO, inner, working.R, optimize=True)


def _spherical(
    working: Working, factors: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Λ (Q, Q), ΛO (Q, s), R = L' (s, r) and C⁻¹ (s, s, J) with KΛ = LO' and CC' = I + L'AL."""
    Lambda = _block_diagonal(factors)
    O, R = np.linalg.qr((np.hstack([t.K for t in working.terms]) @ Lambda).T)
    return Lambda, Lambda @ O, R, cholesky_inverse(spherical_information(working.groups.A, R.T))[0]


def _block_diagonal(blocks: tuple[np.ndarray, ...]) -> np.ndarray:
    size = sum(len(b) for b in blocks)
    out, i = np.zeros((size, size)), 0
    for b in blocks:
        out[i : i + len(b), i : i + len(b)] = b
        i += len(b)
    return out
