"""One stage of block elimination: a factor whose levels are coupled only to what is eliminated after them.

Per level of the factor, with A = Z'Z = FF' its own cross-products, B = FN those with everything that is eliminated
later and C the cross-products of the latter with each other (sums over levels are taken by the caller)::

    M = I + F'TF             log|M| adds to log|V|
    P = FM⁻¹F'               D = QB,  Q = Λ(I + Λ'AΛ)⁻¹Λ' = T(I + AT)⁻¹,  T = ΛΛ'
    U = EB = FM⁻¹N           C' = (C − N'N) + N'M⁻¹N   (= C − B'QB)
    E = I − AQ = (I + AT)⁻¹

P is Z'V⁻¹Z where V holds this factor (and those before it) alone, and C' what the next stage starts from. Derivatives
along (dA, dB, dC) coming in from earlier stages and dT of the own factor, with R = dB − dA·D::

    dC' = dC − (dB − ½dA·D)'D − D'(dB − ½dA·D) − U'dT U
    d log|M| = tr(Q dA) + tr(P dT)

and for a symmetric weight Φ on C', the value log|M| + ⟨Φ, C'⟩ has the adjoint [Q 0; 0 0] + JΦJ', J = [−D; I], on
[A B; B' C], P − UΦU' on T, and the second derivatives (k, l incoming; s, t own)::

    −2 tr(R_kΦR_l'Q) − tr(Q dA_k Q dA_l)
    tr(dT_s E(dA_k E' − 2R_kΦU'))
    2 tr(UΦU' dT_s P dT_t) − tr(P dT_s P dT_t)

Levels are the last axis of every array. The formulas are those of V⁻¹ = W − WZ(T⁻¹ + A)⁻¹Z'W taken one factor at a
time; T and A may be singular. The tests hold them against V written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmtools.core.onefactor.pls import inverse_root
from lmmtools.core.several.chainlevels import Tree

__all__ = [
    "Stage",
    "Weights",
    "apply",
    "by_level",
    "eliminate",
    "front_weights",
    "incoming_curvature",
    "own_curvature",
    "transposed_by_level",
]


def by_level(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ab at every level: (…, i, k, J), (k, j, J) → (…, i, j, J)."""
    if a.shape[-2] == 1:
        return a * b
    return np.einsum("...ikg,kjg->...ijg", a, b)


def transposed_by_level(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a'b at every level: (…, k, i, J), (k, j, J) → (…, i, j, J)."""
    if len(b) == 1:
        return a[..., 0, :, None, :] * b
    return np.einsum("...kig,kjg->...ijg", a, b)


def apply(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One matrix at every level: (…, i, k), (k, j, J) → (…, i, j, J)."""
    flat = np.matmul(matrix, x.reshape(len(x), int(np.prod(x.shape[1:]))))
    return flat.reshape(*matrix.shape[:-1], *x.shape[1:])


@dataclass(frozen=True)
class Stage:
    """One factor eliminated at one T = ΛΛ'.

    Attributes
    ----------
    Lambda : ndarray, shape (r, k)
    A, F : ndarray, shape (r, r, J)
    N : ndarray, shape (r, w, J)
    root : ndarray, shape (r, r, J)
        M⁻¹ = root' root.
    shrunk : ndarray, shape (r, w, J)
        root N.
    logdet : float
        Σ log|M|.
    """

    Lambda: np.ndarray
    A: np.ndarray
    F: np.ndarray
    N: np.ndarray
    root: np.ndarray
    shrunk: np.ndarray
    logdet: float

    @cached_property
    def _half(self) -> np.ndarray:
        """A root of P: P = HH'."""
        if len(self.F) == 1:
            return self.F * self.root
        return np.einsum("abg,cbg->acg", self.F, self.root)

    @cached_property
    def P(self) -> np.ndarray:
        """FM⁻¹F', shape (r, r, J)."""
        return np.einsum("akg,bkg->abg", self._half, self._half)

    @cached_property
    def U(self) -> np.ndarray:
        """EB = FM⁻¹N, shape (r, w, J)."""
        return by_level(self._half, self.shrunk)

    @cached_property
    def spherical(self) -> np.ndarray:
        """(I + Λ'AΛ)⁻¹, shape (k, k, J)."""
        G = np.einsum("bag,bk->akg", self.F, self.Lambda)  # F'Λ
        root, _ = _inverse_root(G)
        return root**2 if len(root) == 1 else np.einsum("cag,cbg->abg", root, root)

    @cached_property
    def solved(self) -> np.ndarray:
        """(I + Λ'AΛ)⁻¹Λ'B, shape (k, w, J)."""
        return by_level(self.spherical, apply(self.Lambda.T, by_level(self.F, self.N)))

    @cached_property
    def D(self) -> np.ndarray:
        """QB, shape (r, w, J)."""
        return apply(self.Lambda, self.solved)

    @cached_property
    def Q(self) -> np.ndarray:
        """ΛM⁻¹Λ' = T(I + AT)⁻¹, shape (r, r, J)."""
        half = apply(self.Lambda, self.spherical)
        return np.einsum("akg,bk->abg", half, self.Lambda)

    @cached_property
    def E(self) -> np.ndarray:
        """I − AQ, shape (r, r, J)."""
        r = len(self.A)
        if r == 1:
            return self.root**2
        return np.eye(r)[..., None] - by_level(self.A, self.Q)


def eliminate(A: np.ndarray, F: np.ndarray, N: np.ndarray, Lambda: np.ndarray) -> Stage:
    """Eliminate a factor at Λ; F and N as `factorise(A, B)` has them."""
    root, logdet = _inverse_root(apply(Lambda.T, F))
    return Stage(Lambda, A, F, N, root, by_level(root, N), float(logdet.sum()))


def _inverse_root(G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A root of (I + G'G)⁻¹ and log|I + G'G|, at once where that is a scalar; see `inverse_root`."""
    if G.shape[1] != 1:
        return inverse_root(G)
    square = np.einsum("kag,kag->ag", G, G)
    return 1.0 / np.sqrt(1.0 + square)[None], np.log1p(square[0])


@dataclass(frozen=True)
class Weights:
    """A weight Φ + ψψ' at every level, on what is eliminated later: c chain columns, then w of the border.

    Attributes
    ----------
    cc : ndarray, shape (c, c, J)
    cb : ndarray, shape (c, w, J)
    bb : ndarray, shape (w, w)
        Φ; the border's own part is the same for all levels.
    along_c : ndarray, shape (c, k, J)
    along_b : ndarray, shape (w, k)
        ψ, kept apart: ψ'B is a residual, which its square multiplied out would lose in what it is the difference of.
    """

    cc: np.ndarray
    cb: np.ndarray
    bb: np.ndarray
    along_c: np.ndarray
    along_b: np.ndarray

    @cached_property
    def _border(self) -> bool:
        """Whether Φ has any part in the border."""
        return bool(np.any(self.bb))

    def times(self, left: np.ndarray) -> np.ndarray:
        """(left)Φ at every level, shape (…, r, c + w, J)."""
        c = len(self.cc)
        chain, border = left[..., :c, :], left[..., c:, :]
        out = np.zeros_like(left)
        if c:
            out[..., :c, :] = by_level(chain, self.cc)
        if self._border:
            np.matmul(self.bb, border, out=out[..., c:, :])
            if c:
                out[..., c:, :] += by_level(chain, self.cb)
                out[..., :c, :] += np.einsum("...wg,cwg->...cg", border, self.cb)
        return out

    def residual(self, left: np.ndarray) -> np.ndarray:
        """(left)ψ at every level, shape (…, r, k, J)."""
        c = len(self.cc)
        out = np.matmul(self.along_b.T, left[..., c:, :])
        return out + by_level(left[..., :c, :], self.along_c) if c else out

    def form(self, left: np.ndarray) -> np.ndarray:
        """(left)(Φ + ψψ')(left)' at every level, shape (r, r, J)."""
        own = self.residual(left)
        value = np.einsum("akg,bkg->abg", own, own)
        if len(self.cc) or self._border:
            value += np.einsum("awg,bwg->abg", self.times(left), left)
        return value

    def at(self, tree: Tree) -> Weights:
        """The same for the levels below."""
        return Weights(tree.down(self.cc), tree.down(self.cb), self.bb, tree.down(self.along_c), self.along_b)


def front_weights(stage: Stage, weights: Weights) -> Weights:
    """The adjoint [Q 0; 0 0] + J(Φ + ψψ')J' of a stage."""
    r, c = len(stage.A), len(weights.cc)
    DW = weights.times(stage.D)
    cc = np.empty((r + c, r + c, DW.shape[-1]))
    cc[:r, :r] = stage.Q + np.einsum("awg,bwg->abg", DW, stage.D)
    cc[:r, r:] = -DW[:, :c]
    cc[r:, :r] = cc[:r, r:].swapaxes(0, 1)
    cc[r:, r:] = weights.cc
    cb = np.concatenate([-DW[:, c:], weights.cb])
    along = np.concatenate([-weights.residual(stage.D), weights.along_c])
    return Weights(cc, cb, weights.bb, along, weights.along_b)


def own_curvature(P: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Σ(2Y ⊗ P − P ⊗ P) over levels as a form in vec(dT_s), vec(dT_t), shape (r², r²)."""
    r, _, J = P.shape
    flat_P, flat_Y = P.reshape(r * r, J), Y.reshape(r * r, J)
    form = (2.0 * flat_Y - flat_P) @ flat_P.T  # [a, b, c, d], contracted with dT_s[b, c] dT_t[d, a]
    form = form.reshape(r, r, r, r).transpose(1, 2, 3, 0).reshape(r * r, r * r)
    return 0.5 * (form + form.T)


def incoming_curvature(stage: Stage, weights: Weights, dA: np.ndarray, R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second derivatives between incoming directions, shape (m, m), and with own ones, ⟨·, dT⟩, shape (m, r, r).

    Parameters
    ----------
    stage : Stage
    weights : Weights
        On what the stage leaves.
    dA : ndarray, shape (m, r, r, J)
    R : ndarray, shape (m, r, w, J)
        dB − dA·D.
    """
    m = len(R)
    R_weights, residual = weights.times(R), weights.residual(R)
    QR = np.einsum("abg,mbwg->mawg", stage.Q, R_weights)
    QdA = np.einsum("abg,mbcg->macg", stage.Q, dA)
    between = -2.0 * QR.reshape(m, -1) @ R.reshape(m, -1).T
    Q_residual = np.einsum("abg,mbkg->makg", stage.Q, residual)
    between -= 2.0 * Q_residual.reshape(m, -1) @ residual.reshape(m, -1).T
    between -= QdA.reshape(m, -1) @ QdA.swapaxes(1, 2).reshape(m, -1).T
    inner = np.einsum("mabg,cbg->macg", dA, stage.E) - 2.0 * np.einsum("mawg,cwg->macg", R_weights, stage.U)
    inner -= 2.0 * np.einsum("makg,ckg->macg", residual, weights.residual(stage.U))
    return 0.5 * (between + between.T), np.einsum("abg,mbcg->mac", stage.E, inner)
