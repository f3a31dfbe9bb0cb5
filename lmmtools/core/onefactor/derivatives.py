"""Exact first and second derivatives of the criterion in T.

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

from lmmtools.core.onefactor.blocks import Blocks
from lmmtools.core.solution import Solution

__all__ = ["BlockDerivatives", "derivatives", "half_bends"]


@dataclass(frozen=True)
class BlockDerivatives:
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
    W : ndarray, shape (r, p + 1, K)
        Of each block.
    P : ndarray, shape (r, r, P)
        Of each pattern.
    blocks : Blocks
    """

    solution: Solution
    gradient: np.ndarray
    curvature: np.ndarray
    WW: np.ndarray
    W: np.ndarray
    P: np.ndarray
    blocks: Blocks

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Second derivatives along each pair of symmetric directions dT, shape (m, r, r) → (m, m)."""
        m, r, _ = dT.shape
        s = self.solution
        p = len(s.beta)
        flat = dT.reshape(m, r * r)
        pairs = self.curvature.transpose(1, 2, 3, 0).reshape(r * r, r * r)
        value = flat @ pairs @ flat.T
        D, quadratic = self._mean_shift(dT)
        value -= 2.0 * s.rate * D @ s.S_inverse @ D.T
        value -= s.bend * np.outer(quadratic, quadratic)
        if s.reml and p:
            E = flat @ self.WW[:, :p, :, :p].transpose(0, 2, 1, 3).reshape(r * r, p * p)
            SE = np.matmul(s.S_inverse, E.reshape(m, p, p))
            value -= SE.reshape(m, p * p) @ SE.transpose(0, 2, 1).reshape(m, p * p).T
        return 0.5 * (value + value.T)

    exact_steering = True
    steering = hessian

    def beta_derivative(self, dT: np.ndarray) -> np.ndarray:
        """dβ̂ = −S_XX⁻¹D along each direction, shape (m, p)."""
        return -self._mean_shift(dT)[0] @ self.solution.S_inverse

    def shift(self, dT: np.ndarray) -> np.ndarray:
        """−Σ W'dT W, the derivative of [X e]'V⁻¹[X e] along each direction, shape (m, p + 1, p + 1)."""
        r, p1 = self.WW.shape[:2]
        flat = self.WW.transpose(0, 2, 1, 3).reshape(r * r, p1 * p1)
        return -(dT.reshape(len(dT), r * r) @ flat).reshape(len(dT), p1, p1)

    def bends(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of log|V|, −Σ tr(P dT₁ P dT₂), and of [X e]'V⁻¹[X e], Σ W'(dT₁ P dT₂ + dT₂ P dT₁)W."""
        m, r, _ = dT.shape
        flat, P = dT.reshape(m, r * r), self.P.reshape(r * r, -1)
        pairs = ((P * self.blocks.counts) @ P.T).reshape(r, r, r, r).transpose(1, 2, 3, 0).reshape(r * r, r * r)
        half = half_bends(self.W, self.blocks.spread(self.P), dT)
        return -(flat @ pairs @ flat.T), half + half.swapaxes(2, 3)

    def _mean_shift(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D = Σ W_X'dT w, shape (m, p), and Σ w'dT w, shape (m,)."""
        v = self.solution.contrast
        Ww = self.WW @ v
        flat = dT.reshape(len(dT), dT.shape[1] ** 2)
        D = flat @ Ww[:, :-1].transpose(0, 2, 1).reshape(flat.shape[1], -1)
        return D, flat @ (Ww.transpose(0, 2, 1) @ v).reshape(-1)


def derivatives(blocks: Blocks, solution: Solution) -> BlockDerivatives:
    """Gradient in T and the moments that give its second derivatives."""
    r, _, n_patterns = blocks.A.shape
    p = blocks.p
    HP = np.einsum("abg,cbg->acg", blocks.F, solution.inner.root)  # FR̂⁻¹, P = HP HP'
    P = np.einsum("akg,bkg->abg", HP, HP)
    W = np.einsum("akg,kjg->ajg", blocks.spread(HP), solution.inner.shrunk)
    flat_W = W.reshape(r * (p + 1), -1)
    WW = (flat_W @ flat_W.T).reshape(r, p + 1, r, p + 1)
    kappa = solution.kappa()
    WK = np.matmul(kappa.T, W)
    Y = blocks.by_pattern(np.einsum("akg,bkg->abg", WK, WK))
    P_flat, Y_flat = P.reshape(r * r, n_patterns), Y.reshape(r * r, n_patterns)
    G = (P_flat @ blocks.counts - Y_flat.sum(axis=1)).reshape(r, r)
    curvature = 2.0 * Y_flat @ P_flat.T - (P_flat * blocks.counts) @ P_flat.T
    return BlockDerivatives(solution, 0.5 * (G + G.T), curvature.reshape(r, r, r, r), WW, W, P, blocks)


def half_bends(W: np.ndarray, P: np.ndarray, dT: np.ndarray) -> np.ndarray:
    """The part symmetric in the directions of Σ W'dT₁ P dT₂ W, shape (m, m, k, k).

    Parameters
    ----------
    W : ndarray, shape (r, k, J)
    P : ndarray, shape (r, r, J)
        Symmetric at every level.
    dT : ndarray, shape (m, r, r)
        Symmetric.
    """
    r, k, J = W.shape
    flat, value = W.reshape(r * k, J), np.zeros((len(dT), len(dT), k, k))
    with_part = [np.flatnonzero(np.any(dT[:, b], axis=1)) for b in range(r)]
    for b, first in enumerate(with_part):
        for c, second in enumerate(with_part[: b + 1]):
            moment = ((flat * P[b, c]) @ flat.T).reshape(r, k, r, k)  # Σ P_bc W_a'W_d
            part = np.einsum("ia,apdq,jd->ijpq", dT[first, b], moment, dT[second, c], optimize=True)
            value[np.ix_(first, second)] += 0.5 * part if b == c else part
    value += value.transpose(1, 0, 3, 2)  # P_cb with P_bc
    return 0.5 * (value + value.swapaxes(0, 1))
