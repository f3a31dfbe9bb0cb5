"""Exact first and second derivatives of the criterion in T, and their chain rule to any linear Λ(θ).

With v = (−β̂, 1), w = Wv and K = (ν/r²)vv' [+ S_XX⁻¹ padded with zeros under REML]::

    gradient    G = Σ (P − WKW')
    Hessian     H(dT₁, dT₂) = Σ [2 tr(WKW' dT₁ P dT₂) − tr(P dT₁ P dT₂)]
                              − 2(ν/r²) D₁'S_XX⁻¹D₂ − (ν/r⁴)(Σ w'dT₁w)(Σ w'dT₂w)
                              [− tr(S_XX⁻¹E₁S_XX⁻¹E₂)],   D = Σ W_X'dT w,  E = Σ W_X'dT W_X

All sums over groups are formed once, as moments of W and P; any number of directions then costs nothing more.
These are the derivatives of pls.py's formulas by dV = Z dT Z' (Lindstrom & Bates 1988, JASA 83, sec. 3, give
the like for θ); the tests hold them against finite differences and against V written out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.blocks import Blocks
from lmmtools.core.pls import Solution

__all__ = ["TDerivatives", "derivatives", "theta_gradient", "theta_hessian"]


@dataclass(frozen=True)
class TDerivatives:
    """What every directional derivative in T is made of.

    Attributes
    ----------
    solution : Solution
        The point.
    gradient : ndarray, shape (r, r)
        G, symmetric: dd = ⟨G, dT⟩.
    curvature : ndarray, shape (r, r, r, r)
        Σ (2WKW' ⊗ P − P ⊗ P), contracted as [a, b, c, d] with dT₁[b, c] dT₂[d, a].
    WW : ndarray, shape (r, p + 1, r, p + 1)
        Σ W ⊗ W.
    """

    solution: Solution
    gradient: np.ndarray
    curvature: np.ndarray
    WW: np.ndarray

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Second derivatives along each pair of symmetric directions dT, shape (m, r, r) → (m, m)."""
        m, r, _ = dT.shape
        s = self.solution
        p = len(s.beta)
        flat = dT.reshape(m, r * r)
        pairs = self.curvature.transpose(1, 2, 3, 0).reshape(r * r, r * r)
        value = flat @ pairs @ flat.T
        D, quadratic = self._mean_shift(dT)
        value -= 2.0 * s.nu / s.r2 * D @ s.S_inverse @ D.T
        value -= s.nu / s.r2**2 * np.outer(quadratic, quadratic)
        if s.reml and p:
            E = flat @ self.WW[:, :p, :, :p].transpose(0, 2, 1, 3).reshape(r * r, p * p)
            SE = np.matmul(s.S_inverse, E.reshape(m, p, p))
            value -= SE.reshape(m, p * p) @ SE.transpose(0, 2, 1).reshape(m, p * p).T
        return 0.5 * (value + value.T)

    def beta_derivative(self, dT: np.ndarray) -> np.ndarray:
        """dβ̂ = −S_XX⁻¹D along each direction, shape (m, p)."""
        return -self._mean_shift(dT)[0] @ self.solution.S_inverse

    def _mean_shift(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D = Σ W_X'dT w, shape (m, p), and Σ w'dT w, shape (m,)."""
        v = np.append(-self.solution.beta, 1.0)
        Ww = self.WW @ v
        flat = dT.reshape(len(dT), dT.shape[1] ** 2)
        D = flat @ Ww[:, :-1].transpose(0, 2, 1).reshape(flat.shape[1], -1)
        return D, flat @ (Ww.transpose(0, 2, 1) @ v).reshape(-1)


def derivatives(blocks: Blocks, solution: Solution) -> TDerivatives:
    """Gradient in T and the moments that give its second derivatives."""
    r, _, n_patterns = blocks.A.shape
    p = blocks.p
    HP = np.einsum("abg,cbg->acg", blocks.F, solution.root)  # FR̂⁻¹, P = HP HP'
    P = np.einsum("akg,bkg->abg", HP, HP)
    W = np.einsum("akg,kjg->ajg", blocks.spread(HP), solution.shrunk)
    flat_W = W.reshape(r * (p + 1), -1)
    WW = (flat_W @ flat_W.T).reshape(r, p + 1, r, p + 1)
    kappa = _kappa(solution)
    WK = np.matmul(kappa.T, W)
    Y = blocks.by_pattern(np.einsum("akg,bkg->abg", WK, WK))
    P_flat, Y_flat = P.reshape(r * r, n_patterns), Y.reshape(r * r, n_patterns)
    G = (P_flat @ blocks.counts - Y_flat.sum(axis=1)).reshape(r, r)
    curvature = 2.0 * Y_flat @ P_flat.T - (P_flat * blocks.counts) @ P_flat.T
    return TDerivatives(solution, 0.5 * (G + G.T), curvature.reshape(r, r, r, r), WW)


def _kappa(solution: Solution) -> np.ndarray:
    """A factor of K = κκ': (√(ν/r²) v, and under REML a square root of S_XX⁻¹), shape (p + 1, k)."""
    p = len(solution.beta)
    v = np.append(-solution.beta, 1.0) * np.sqrt(solution.nu / solution.r2)
    if not (solution.reml and p):
        return v[:, None]
    return np.column_stack([v, np.vstack([solution.S_root, np.zeros(p)])])


def theta_gradient(d: TDerivatives, Lambda: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Gradient in θ of a linear map Λ(θ) = Σ θ_k F_k: 2⟨GΛ, F_k⟩, shape (m,)."""
    return 2.0 * F.reshape(len(F), Lambda.size) @ (d.gradient @ Lambda).reshape(-1)


def theta_hessian(d: TDerivatives, Lambda: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Hessian in θ of a linear map: H(dT_k, dT_l) + 2⟨G, F_kF_l'⟩ with dT_k = F_kΛ' + ΛF_k'."""
    FL = np.matmul(F, Lambda.T)
    width = F.shape[1] * F.shape[2]
    bend = 2.0 * np.matmul(d.gradient, F).reshape(len(F), width) @ F.reshape(len(F), width).T
    return d.hessian(FL + FL.transpose(0, 2, 1)) + 0.5 * (bend + bend.T)
