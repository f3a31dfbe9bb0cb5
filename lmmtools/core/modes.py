"""Conditional modes of the random effects, their covariances, and how they depend on β̂."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.pls import Solution, inverse_root
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
    With G = F'KΛ, M = I + G'G and M⁻¹ = L'L: b = ΛM⁻¹G'N(y − Xβ̂) and Var(b | y) = σ²ΛM⁻¹Λ'
    (Bates et al. 2015, eqs. 56 and 58).
    """
    G, root, H = _spherical(working, factors)
    Nv = np.matmul(np.append(-solution.beta, 1.0), working.groups.N)
    u = np.einsum("klg,lg->kg", root, np.einsum("akg,ag->kg", G, Nv))
    scale = working.y_scale * working.noise_scale
    b = np.einsum("akg,kg->ga", H, u) * scale
    return Modes(b, solution.sigma2 * scale**2 * np.einsum("akg,bkg->gab", H, H))


def mode_sensitivity(working: Working, factors: tuple[np.ndarray, ...]) -> np.ndarray:
    """−∂b̂/∂β̂ = TZ'V⁻¹X in the original columns of X, shape (J, Q, p)."""
    G, root, H = _spherical(working, factors)
    half = np.einsum("klg,ljg->kjg", root, np.einsum("akg,ajg->kjg", G, working.groups.N[:, :-1]))
    return np.einsum("akg,kjg->gaj", H, half) @ working.R * working.noise_scale


def _spherical(
    working: Working, factors: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G = F'KΛ (r, Q, J); L (Q, Q, J) with L'L = (I + G'G)⁻¹; H = ΛL' (Q, Q, J)."""
    Lambda, F = _block_diagonal(factors), working.groups.F
    r, q = len(F), len(Lambda)
    KL = np.hstack([t.K for t in working.terms]) @ Lambda
    G = np.ascontiguousarray((KL.T @ F.reshape(r, -1)).reshape(q, r, -1).transpose(1, 0, 2))
    root, _ = inverse_root(G)
    return G, root, (Lambda @ root.transpose(1, 0, 2).reshape(q, -1)).reshape(q, q, -1)


def _block_diagonal(blocks: tuple[np.ndarray, ...]) -> np.ndarray:
    size = sum(len(b) for b in blocks)
    out, i = np.zeros((size, size)), 0
    for b in blocks:
        out[i : i + len(b), i : i + len(b)] = b
        i += len(b)
    return out
