"""A factor of many levels eliminated in front of the dense step, with its sparse coupling to the other factors.

Per level, with A = Z'Z = FF', B = FN the cross-products with the last step's columns and T = ΛΛ'::

    M = I + F'TF     P = FM⁻¹F'     U = FM⁻¹N     Y'V_c⁻¹Y = Y'Y − Σ N'(I − M⁻¹)N

for the border Y = [Z_t X e]. For the fixed effects and the response the last is written (Y'Y − Σ N'N) + Σ N'M⁻¹N, so
that what lies within the levels is a difference only once. With Φ = [Q 0; 0 0] + JKJ' the weights that the last step
puts on Y'V_c⁻¹Y, and Y_i = U_iΦU_i' = U_iQU_i' + W_iKW_i'::

    gradient   Σ(P − Y)          tangents   d(Y'V_c⁻¹Y) = −Σ U'dT U
    curvature  Σ[2 tr(Y dT₁ P dT₂) − tr(P dT₁ P dT₂)]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import blas

from lmmtools.core.onefactor.blocks import bordered, by_root, factorise
from lmmtools.core.onefactor.derivatives import half_bends
from lmmtools.core.onefactor.pls import inverse_root
from lmmtools.core.several.coupling import Coupling
from lmmtools.core.several.frame import Frame
from lmmtools.core.several.trailing import Trailing

__all__ = ["Leaf"]

# Effects of the last step from which on the traces of second derivatives are formed in single precision.
_SINGLE = 500


@dataclass
class LeafState:
    """The factor eliminated at one Λ.

    Attributes
    ----------
    logdet : float
        Σ log|M|.
    A, B, C : ndarray
        Y'V_c⁻¹Y: among the last step's effects, shape (N, N), of these with [X e], and of [X e]; A is given away.
    half : ndarray, shape (r, r, J)
        FR⁻¹ with M = R'R: P = half half'.
    shrunk : ndarray, shape (r, p + 1, J)
        R⁻ᵀN of [X e].
    spherical : ndarray, shape (w, w, J)
        (I + Λ'AΛ)⁻¹.
    """

    Lambda: np.ndarray
    logdet: float
    A: np.ndarray | None
    B: np.ndarray
    C: np.ndarray
    root: np.ndarray
    half: np.ndarray
    shrunk: np.ndarray
    spherical: np.ndarray
    pulled: Pulled | None = None

    def release(self) -> None:
        """Forget A, which the last step has taken."""
        self.A = None


@dataclass(frozen=True)
class Pulled:
    """Weights of the last step carried back to the levels.

    Attributes
    ----------
    H : ndarray, shape (r, r, J)
        What U_i = Z_i'V_c⁻¹Z_t is to the coupling: FM⁻¹ level by level.
    W : ndarray, shape (r, p + 1, J)
        Z_i'V⁻¹[X e].
    P : ndarray, shape (r, r, J)
    quadratic : ndarray, shape (r, r, J)
        U_iQU_i'.
    Y : ndarray, shape (r, r, J)
        U_iΦU_i'.
    """

    H: np.ndarray
    W: np.ndarray
    P: np.ndarray
    quadratic: np.ndarray
    Y: np.ndarray


class Leaf:
    """Elimination of one factor.

    Parameters
    ----------
    home : int
        The factor's number.
    A : ndarray, shape (r, r, J)
    B : ndarray, shape (r, p + 1, J)
        Z'[X e].
    coupling : tuple
        Of Z'Z_t: levels, columns, the values (r, cells) there, and whether columns come sorted by their rows.
    frame : Frame
        Of the last step.
    rest : object
        With `.add_to(A)`, which adds Z_t'Z_t to a matrix, `.B`, Z_t'[X e], and `.with_borders(borders)` with another.
    C : ndarray, shape (p + 1, p + 1)
        [X e]'[X e].
    """

    def __init__(
        self, home: int, block: slice, A: np.ndarray, B: np.ndarray,
        coupling: tuple[np.ndarray, np.ndarray, np.ndarray, bool], frame: Frame, rest: Any, C: np.ndarray,
    ) -> None:  # fmt: skip
        self.order, self.block, self.frame, self.rest, self.C = (home,), block, frame, rest, C
        self.F, self.N = factorise(A, B)
        rows, cols, values, leading = coupling
        per_root = self._per_root(values, np.bincount(rows, minlength=A.shape[2]))
        self.coupling = Coupling(A.shape[2], frame.N, rows, cols, per_root, leading=leading)
        flat = self.N.transpose(1, 0, 2).reshape(len(C), -1)
        self.within_products = C - flat @ flat.T

    def with_response(self, borders: list[np.ndarray], last: list[np.ndarray], C: np.ndarray) -> Leaf:
        """The same with another response, given every factor's Z'[X e], its last columns, and [X e]'[X e]."""
        (home,) = self.order
        twin = copy(self)
        N = by_root(self.F, last[home][:, None])
        twin.C, twin.N = C, np.concatenate([self.N[:, :-1], N], axis=1)
        flat = twin.N.transpose(1, 0, 2).reshape(len(C), -1)
        twin.within_products = bordered(self.within_products, C[-1] - flat @ flat[-1])
        twin.rest = self.rest.with_borders(borders)
        return twin

    def _per_root(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """F⁻¹ times the coupling."""
        out = np.zeros_like(values)
        for j in range(len(values)):
            rest = values[j].copy()
            for k in range(j):
                rest -= np.repeat(self.F[j, k], counts) * out[k]
            pivot = self.F[j, j]
            out[j] = rest * np.repeat(np.where(pivot > 0, 1.0 / np.where(pivot > 0, pivot, 1.0), 0.0), counts)
        return out

    def forward(self, parts: list[np.ndarray]) -> LeafState:
        """Eliminate at Λ, shape (r, w)."""
        (Lambda,) = parts
        r, J = len(self.F), self.F.shape[-1]
        m = len(self.C)
        root, logdet = inverse_root((Lambda.T @ self.F.reshape(r, -1)).reshape(Lambda.shape[1], r, J))
        G = np.einsum("abj,aw->bwj", self.F, Lambda)
        sphere, _ = inverse_root(G)
        shrunk = np.einsum("abj,bmj->amj", root, self.N)
        taken = np.einsum("vwj,bwj->vbj", sphere, G)  # I − M⁻¹ = taken'taken
        full = any(width > 1 for width in self.frame.widths)
        A = self.coupling.gram(taken, full=full)
        np.negative(A, out=A)
        self.rest.add_to(A)
        removed = np.einsum("vbj,vmj->bjm", taken, np.einsum("vbj,bmj->vmj", taken, self.N))
        B = self.rest.B - self.coupling.back(removed)
        flat = shrunk.transpose(1, 0, 2).reshape(m, -1)
        return LeafState(
            Lambda, float(logdet.sum()), A, B, self.within_products + flat @ flat.T, root,
            np.einsum("abj,cbj->acj", self.F, root), shrunk, np.einsum("kaj,kbj->abj", sphere, sphere),
        )  # fmt: skip

    def pull(self, state: LeafState, last: Trailing, kappa: np.ndarray) -> Pulled:
        """Carry the last step's weights back; what does not depend on κ is done once a state."""
        if state.pulled is None:
            state.pulled = self._pulled(state, last)
        pulled = state.pulled
        WK = np.einsum("amj,mk->akj", pulled.W, kappa)
        return dataclasses.replace(pulled, Y=pulled.quadratic + np.einsum("akj,bkj->abj", WK, WK))

    def _pulled(self, state: LeafState, last: Trailing) -> Pulled:
        """The weights at κ = 0."""
        H = np.einsum("abj,bcj->acj", state.half, state.root)
        W = np.einsum("abj,bmj->amj", state.half, state.shrunk)
        W += np.einsum("abj,bjm->amj", H, self.coupling.times(last.J))
        quadratic = np.einsum("abj,bcj->acj", H, self.coupling.quadratic(last))
        quadratic = np.einsum("acj,bcj->abj", quadratic, H)
        P = np.einsum("akj,bkj->abj", state.half, state.half)
        return Pulled(H, W, P, quadratic, quadratic)

    def gradient(self, state: LeafState, pulled: Pulled) -> list[np.ndarray]:
        """Σ(P − Y), shape (r, r)."""
        G = (pulled.P - pulled.Y).sum(axis=2)
        return [0.5 * (G + G.T)]

    def hessian_cost(self, N: int) -> float:
        """Multiplications of the exact second derivatives."""
        r = len(self.F)
        return 0.5 * r * (r + 1) * float(N) ** 3

    def second(self, state: LeafState, pulled: Pulled, tangents: LeafTangents) -> np.ndarray:
        """Second derivatives along each pair of directions at fixed weights, shape (m, m)."""
        return _pairs(tangents.dT, 2.0 * pulled.Y - pulled.P, pulled.P)

    def half_bends(self, state: LeafState, pulled: Pulled, tangents: LeafTangents) -> np.ndarray:
        """Σ W'dT₁ P dT₂ W for each pair of directions, shape (m, m, p + 1, p + 1), symmetric in the two."""
        return half_bends(pulled.W, pulled.P, tangents.dT)

    def own_quadratic(self, state: LeafState, pulled: Pulled, dT: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        """Σ tr(WK W' dT₁ P dT₂), K = κκ', for each pair of directions."""
        WK = np.einsum("amj,mk->akj", pulled.W, kappa)
        return _pairs(dT[:, self.block, self.block], np.einsum("akj,bkj->abj", WK, WK), pulled.P)

    def first_order(self, state: LeafState, pulled: Pulled, dT: np.ndarray) -> LeafTangents:
        """Tangents of what has to do with [X e]."""
        dT = dT[:, self.block, self.block]
        moved = np.einsum("kab,bmj->kamj", dT, pulled.W)
        m = len(self.C)
        back = np.einsum("abj,kamj->bjkm", pulled.H, moved)
        R = -self.coupling.back(back.reshape(*back.shape[:2], len(dT) * m)).reshape(self.frame.N, len(dT), m)
        R = np.ascontiguousarray(R.transpose(1, 0, 2))
        shifts = -np.einsum("amj,kanj->kmn", pulled.W, moved, optimize=True)
        return LeafTangents(self, dT, R, shifts, pulled)

    def tangents(self, state: LeafState, pulled: Pulled, last: Trailing, dT: np.ndarray) -> LeafTangents:
        """Tangents of Y'V_c⁻¹Y; those of its largest part are formed when their traces are asked for."""
        return self.first_order(state, pulled, dT)

    def within(self) -> tuple[np.ndarray, int]:
        """[X e]'[X e] less its projection on the levels, and how many dimensions that took."""
        return self.within_products, int(np.count_nonzero(np.diagonal(self.F)))

    def modes(self, state: LeafState, last: Trailing) -> list[tuple[np.ndarray, np.ndarray]]:
        """W, and the blocks of M⁻¹ of the whole model."""
        inner = np.einsum("aw,abj,bv->wvj", state.Lambda, state.pulled.quadratic, state.Lambda, optimize=True)
        return [(state.pulled.W, state.spherical + inner)]

    def variance(self, state: LeafState, last: Trailing, parts: list[Any], compact: list[Any]) -> np.ndarray:
        """What rows (s, codes) of this factor add to s'M⁻¹s, alone and with those of the last step."""
        ((s, codes),) = parts
        blocks = self.modes(state, last)[0][1]
        value = np.einsum("iw,wvi,iv->i", s, blocks[:, :, codes], s)
        x = s @ state.Lambda.T
        right = last.from_spheres(np.ascontiguousarray(last.full_inverse))  # ΛM⁻¹
        order = np.argsort(codes, kind="stable")
        step = max(2**22 // max(right.shape[1], 1), 1)
        for start in range(0, self.coupling.shape[0], step):
            stop = min(start + step, self.coupling.shape[0])
            rows = order[slice(*np.searchsorted(codes[order], [start, stop]))]
            if not len(rows):
                continue
            for b, matrix in enumerate(self.coupling.matrices):
                along = np.einsum("ia,ai->i", x[rows], state.pulled.H[:, b, codes[rows]])
                value[rows] -= 2.0 * along * _read(last, matrix[start:stop] @ right, codes[rows] - start, rows, compact)
        return value


@dataclass
class LeafTangents:
    """First-order changes of Y'V_c⁻¹Y along directions dT, shape (m, r, r).

    Attributes
    ----------
    R : ndarray, shape (m, N, p + 1)
        (dS J)_t.
    shifts : ndarray, shape (m, p + 1, p + 1)
        J'dS J.
    """

    leaf: Leaf
    dT: np.ndarray
    R: np.ndarray
    shifts: np.ndarray
    pulled: Pulled

    def _products(self) -> Iterator[np.ndarray]:
        """dS_tt = −Σ U'dT U of each direction, an elementary one."""
        coupling, H = self.leaf.coupling, self.pulled.H
        if self.leaf.frame.N >= _SINGLE:
            H = H.astype(np.float32)
        full = any(width > 1 for width in self.leaf.frame.widths)
        squares: dict[int, np.ndarray] = {}

        def square(a: int) -> np.ndarray:
            if a not in squares:
                squares[a] = coupling.gram(H[a : a + 1], full=full)
            return squares[a]

        for dT in self.dT:
            a, b = np.unravel_index(np.argmax(np.abs(np.tril(dT))), dT.shape)
            if a == b:
                yield -square(a)
            else:  # U_a'U_b + U_b'U_a
                yield square(a) + square(b) - coupling.gram((H[a] + H[b])[None], full=full)

    def traces(self, last: Trailing, mine: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """tr(Q dA₁ Q dA₂) of each pair, and tr(dA H dT H') with each element of the last step."""
        m = len(self.dT)
        between, across = np.zeros((m, m)), np.zeros((m, len(mine)))
        moved = []
        for k, dA in enumerate(self._products()):
            soft = {f: _bent(last, dA, f) for f in {e[0] for e in mine} if last.soft[f]}
            sphere = last.frame.congruence([c.root for c in last.factors], dA, overwrite=True)
            X = _product(sphere, last.full_inverse)
            moved.append(X)
            for i, (f, a, b) in enumerate(mine):
                value = soft[f] if f in soft else _through(last, X, f)
                across[k, i] = value[a, b] * (1.0 if a == b else 2.0)
        for k, X in enumerate(moved):
            for j, Y in enumerate(moved[: k + 1]):
                between[k, j] = between[j, k] = _trace_of_product(X, Y)
        return between, across


def _product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """AB of symmetric matrices, the lower triangle of A and both of B filled; large ones to seven digits."""
    if not A.size:
        return A
    if len(A) < _SINGLE:
        return blas.dsymm(1.0, A, B, lower=1)
    # The traces that follow lose no more than that: second derivatives to about 1e-6 of themselves.
    return blas.ssymm(1.0, A.astype(np.float32, order="F"), B.astype(np.float32, order="F"), lower=1)


def _through(last: Trailing, X: np.ndarray, f: int) -> np.ndarray:
    """Σ over levels of the diagonal blocks of H'dA H, for a factor with an inverse, from X = Λ'dAΛM⁻¹."""
    k = last.spheres.widths[f]
    inner = np.empty((k, k))
    for a in range(k):
        for b in range(k):
            left, right = last.full_inverse[:, last.spheres.column(f, a)], X[:, last.spheres.column(f, b)]
            inner[a, b] = np.einsum("nj,nj->", left, right)
    value = last.outer[f] @ inner @ last.outer[f].T
    return 0.5 * (value + value.T)


def _bent(last: Trailing, dA: np.ndarray, f: int) -> np.ndarray:
    """The same from H itself, where Λ has no inverse."""
    H = -last.from_spheres(np.ascontiguousarray(last.half_rows[f].T))
    mine = last.frame.slice(f)
    H[mine] += np.eye(mine.stop - mine.start)
    moved = blas.dsymm(1.0, dA, H, lower=1)
    r, J = last.frame.widths[f], last.frame.levels[f]
    value = np.einsum("naj,nbj->ab", H.reshape(-1, r, J), moved.reshape(-1, r, J), optimize=True)
    return 0.5 * (value + value.T)


def _pairs(dT: np.ndarray, left: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Σ_j tr(left dT₁ P dT₂) of each pair of directions."""
    r, J = len(P), P.shape[-1]
    form = (left.reshape(r * r, J) @ P.reshape(r * r, J).T).reshape(r, r, r, r)
    flat = dT.reshape(len(dT), -1)
    value = flat @ form.transpose(1, 2, 3, 0).reshape(r * r, r * r) @ flat.T
    return 0.5 * (value + value.T)


def _read(last: Trailing, Y: np.ndarray, at: np.ndarray, rows: np.ndarray, compact: list[Any]) -> np.ndarray:
    """Σ over the last step's factors of their s times Y's row at their level."""
    value = np.zeros(len(rows))
    for f, (s, codes, root) in enumerate(compact):
        for a in range(s.shape[1]):
            block = Y[:, last.spheres.column(f, a)]
            block = block if root is None else block @ root.T
            value += s[rows, a] * block[at, codes[rows]]
    return value


def _trace_of_product(X: np.ndarray, Y: np.ndarray) -> float:
    """tr(XY), tile by tile."""
    total, step = 0.0, 512
    for i in range(0, len(X), step):
        for j in range(0, len(X), step):
            total += float(np.einsum("ij,ji->", X[i : i + step, j : j + step], Y[j : j + step, i : i + step]))
    return total
