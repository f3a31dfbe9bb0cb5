"""Derivatives of the criterion in T and φ together.

A parameter moves V by dV. With E and u as in `products`, J = I − QA, W = J'B = Z'V⁻¹[X e], P = Z'V⁻¹Z and, for a
parameter k of φ, A_k = Z'∂_kR⁻¹Z and Y_k = Z'∂_kR⁻¹E in every cluster, the derivatives of log|V| and of
S = [X e]'V⁻¹[X e] are

    in φ_k            log|R|_k + Σ tr(QA_k)                                E'∂_kR⁻¹E
    in T along D      Σ tr(PD)                                             −Σ W'DW
    in φ_k, φ_l       log|R|_kl + Σ tr(Q Z'∂_klR⁻¹Z) − Σ tr(QA_kQA_l)      E'∂_klR⁻¹E − Σ (Y_k'QY_l + Y_l'QY_k)
    in φ_k, T         Σ tr(J'A_kJ D)                                       −Σ (W'DJ'Y_k + Y_k'JDW)
    in T, T           −Σ tr(PD₁PD₂)                                        Σ W'(D₁PD₂ + D₂PD₁)W

and those of the criterion follow from these two by the chain rule, with β̂ and σ̂² profiled out (Lindstrom & Bates 1988,
JASA 83, sec. 3, for R = I; Wolfinger, Tobias & Sall 1994, SIAM J. Sci. Comput. 15, for a general V).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from lmmtools.core.residual.clusters import Rows, Stack
from lmmtools.core.solution import Solution

__all__ = ["JointDerivatives"]


@dataclass(frozen=True)
class _Local:
    """One stack's part: of each cluster Q, J, P, W, and A_k and Y_k of each parameter of φ."""

    stack: Stack
    Q: np.ndarray
    J: np.ndarray
    P: np.ndarray
    W: np.ndarray
    A: np.ndarray
    Y: np.ndarray


@dataclass(frozen=True)
class JointDerivatives:
    """Derivatives at one solution; directions are block-diagonal, that of φ on the diagonal of the last block.

    Attributes
    ----------
    solution : Solution
    rows : Rows
    columns : int
        Working columns of all factors, after which φ stands.
    """

    solution: Solution
    rows: Rows
    columns: int

    exact_steering = True

    @cached_property
    def _moved(self) -> list[np.ndarray]:
        """S∂_kR⁻¹[Z E] of each parameter of φ, shape (n, r + p + 1)."""
        inner = self.solution.inner
        return [inner.noise.first(k, inner.G, inner.U) for k in range(len(inner.noise.slope))]

    @cached_property
    def _locals(self) -> list[_Local]:
        inner, r = self.solution.inner, self.rows.Z.shape[1]
        found = []
        for part in inner.parts:
            stack = part.stack
            shape = (stack.J, stack.n, -1)
            Zt = inner.G[stack.rows, : stack.r].reshape(shape).transpose(0, 2, 1)
            Q = np.matmul(part.q, part.q.transpose(0, 2, 1))
            A = [np.matmul(Zt, F[stack.rows, : stack.r].reshape(shape)) for F in self._moved]
            Y = [np.matmul(Zt, F[stack.rows, r:].reshape(shape)) for F in self._moved]
            found.append(
                _Local(
                    stack,
                    Q,
                    np.eye(stack.r) - np.matmul(Q, part.A),
                    _shrunk(part.A, part.Lambda),
                    np.matmul(Zt, inner.U[stack.rows, r:].reshape(shape)),
                    np.array(A).reshape(-1, stack.J, stack.r, stack.r),
                    np.array(Y).reshape(-1, stack.J, stack.r, inner.G.shape[1] - r),
                )
            )
        return found

    @cached_property
    def _slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """First derivatives in φ of log|V|, shape (m,), and of S, shape (m, p + 1, p + 1)."""
        inner, r = self.solution.inner, self.rows.Z.shape[1]
        E = inner.G[:, r:]
        logdet = inner.noise.slope.copy()
        for local in self._locals:
            logdet += np.einsum("jab,kjab->k", local.Q, local.A)
        S = np.array([E.T @ F[:, r:] for F in self._moved]).reshape(len(logdet), E.shape[1], E.shape[1])
        return logdet, 0.5 * (S + S.transpose(0, 2, 1))

    @cached_property
    def gradient(self) -> np.ndarray:
        """The criterion's gradient: G in T, shape (R, R), zero between factors, and that in φ on the diagonal."""
        logdet, S = self._slopes
        kappa = self.solution.kappa()
        out = np.zeros((self.columns + len(logdet),) * 2)
        for local in self._locals:
            WK = np.matmul(local.W, kappa)
            self._gather(local.stack, local.P - np.matmul(WK, WK.transpose(0, 2, 1)), out)
        at = np.arange(self.columns, len(out))
        out[at, at] = logdet + np.tensordot(S, kappa @ kappa.T)
        return 0.5 * (out + out.T)

    def _gather(self, stack: Stack, full: np.ndarray, out: np.ndarray) -> None:
        """Add the diagonal blocks of every level of (J, r, r) matrices to those of their factors."""
        total, i, a = full.sum(axis=0), 0, 0
        for count, width in zip(stack.counts, self.rows.widths, strict=True):
            for _ in range(count):
                out[a : a + width, a : a + width] += total[i : i + width, i : i + width]
                i += width
            a += width

    def _split(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions of T, shape (m, R, R), and of φ, shape (m, number of φ)."""
        R = self.columns
        return dT[:, :R, :R], np.diagonal(dT, axis1=1, axis2=2)[:, R:]

    def _spread(self, stack: Stack, D: np.ndarray) -> np.ndarray:
        """Directions of a whole cluster's T, shape (m, r, r)."""
        out, i, a = np.zeros((len(D), stack.r, stack.r)), 0, 0
        for count, width in zip(stack.counts, self.rows.widths, strict=True):
            for _ in range(count):
                out[:, i : i + width, i : i + width] = D[:, a : a + width, a : a + width]
                i += width
            a += width
        return out

    def shift(self, dT: np.ndarray) -> np.ndarray:
        """The derivative of S along each direction, shape (m, p + 1, p + 1)."""
        D, dphi = self._split(dT)
        out = np.tensordot(dphi, self._slopes[1], 1)
        for local in self._locals:
            W = local.W
            DW = np.matmul(self._spread(local.stack, D)[:, None], W)
            out -= np.einsum("jai,mjak->mik", W, DW, optimize=True)
        return 0.5 * (out + out.transpose(0, 2, 1))

    def bends(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of log|V| and of S: shapes (m, m) and (m, m, p + 1, p + 1)."""
        D, dphi = self._split(dT)
        logdet, S = self._phi_bends
        logdet = dphi @ logdet @ dphi.T
        S = np.einsum("mk,klij,nl->mnij", dphi, S, dphi, optimize=True)
        for local in self._locals:
            spread = self._spread(local.stack, D)
            own, mixed = _own_bends(local, spread), _mixed_bends(local, spread, dphi)
            logdet += own[0] + mixed[0] + mixed[0].T
            S += own[1] + mixed[1] + mixed[1].transpose(1, 0, 2, 3)
        return logdet, 0.5 * (S + S.swapaxes(2, 3))

    @cached_property
    def _phi_bends(self) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives in φ of log|V|, shape (m, m), and of S."""
        inner, r = self.solution.inner, self.rows.Z.shape[1]
        k = inner.G.shape[1] - r
        G, U, w = self._effective()
        together = inner.noise.second(G, U, partial(_forms, w=w))
        logdet = inner.noise.bend + together[..., -1]
        S = together[..., :-1].reshape(*logdet.shape, k, k)
        for local in self._locals:
            QA = np.matmul(local.Q, local.A)
            logdet = logdet - np.einsum("kjab,ljba->kl", QA, QA, optimize=True)
            half = np.einsum("kjai,ljac->klic", local.Y, np.matmul(local.Q, local.Y), optimize=True)
            S = S - half - half.transpose(1, 0, 2, 3)
        return 0.5 * (logdet + logdet.T), 0.25 * _symmetric(S)

    def _effective(self) -> tuple[np.ndarray, np.ndarray, int]:
        """[Zq E] with q a root of Q, C⁻¹ of it, and the columns of the first."""
        inner, r = self.solution.inner, self.rows.Z.shape[1]
        if not inner.parts:
            return inner.G, inner.U, 0
        w = max(part.q.shape[2] for part in inner.parts)
        found = []
        for whole in (inner.G, inner.U):
            out = np.zeros((len(whole), w + whole.shape[1] - r))
            out[:, w:] = whole[:, r:]
            for part in inner.parts:
                stack = part.stack
                Z = whole[stack.rows, : stack.r].reshape(stack.J, stack.n, stack.r)
                out[stack.rows, : part.q.shape[2]] = np.matmul(Z, part.q).reshape(stack.J * stack.n, part.q.shape[2])
            found.append(out)
        return found[0], found[1], w

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Observed second derivatives of the criterion along each pair of directions, shape (m, m)."""
        s = self.solution
        p, v = len(s.beta), s.contrast
        first = self.shift(dT)
        value, S = self.bends(dT)
        along = first @ v
        D, quadratic = along[:, :p], along @ v
        value = value + s.rate * (S @ v @ v) - 2.0 * s.rate * D @ s.S_inverse @ D.T
        value -= s.bend * np.outer(quadratic, quadratic)
        if s.reml and p:
            SE = np.matmul(s.S_inverse, first[:, :p, :p])
            value += np.tensordot(S[:, :, :p, :p], s.S_inverse)
            value -= np.einsum("kab,lba->kl", SE, SE)
        return 0.5 * (value + value.T)

    steering = hessian

    def beta_derivative(self, dT: np.ndarray) -> np.ndarray:
        """dβ̂ along each direction, shape (m, p)."""
        s = self.solution
        return (self.shift(dT) @ s.contrast)[:, :-1] @ s.S_inverse


def _shrunk(A: np.ndarray, Lambda: np.ndarray) -> np.ndarray:
    """P = F(I + F'TF)⁻¹F' with A = FF': no difference of large numbers, whatever T."""
    values, vectors = np.linalg.eigh(A)
    F = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
    FL = np.matmul(F.transpose(0, 2, 1), Lambda)
    inner = np.eye(A.shape[1]) + np.matmul(FL, FL.transpose(0, 2, 1))
    half = np.linalg.solve(np.linalg.cholesky(inner), F.transpose(0, 2, 1))
    return np.matmul(half.transpose(0, 2, 1), half)


def _forms(a: np.ndarray, b: np.ndarray, w: int) -> np.ndarray:
    """Of stacks (k, n, c) and (l, n, c) of rows: a'b of the columns from w on, flattened, and tr(a'b) of the others."""
    (k, n, c), l = a.shape, len(b)
    left = a[:, :, w:].transpose(0, 2, 1).reshape(k * (c - w), n)
    right = b[:, :, w:].transpose(1, 0, 2).reshape(n, l * (c - w))
    forms = (left @ right).reshape(k, c - w, l, c - w).transpose(0, 2, 1, 3).reshape(k, l, (c - w) ** 2)
    traces = a[:, :, :w].reshape(k, n * w) @ b[:, :, :w].reshape(l, n * w).T
    return np.concatenate([forms, traces[:, :, None]], axis=2)


def _symmetric(S: np.ndarray) -> np.ndarray:
    """Four times the part that is symmetric in each pair of indices."""
    S = S + S.transpose(1, 0, 2, 3)
    return S + S.swapaxes(2, 3)


def _own_bends(local: _Local, D: np.ndarray) -> tuple[np.ndarray, Any]:
    """In T, T: −Σ tr(PD₁PD₂) and Σ W'(D₁PD₂ + D₂PD₁)W."""
    PD = np.matmul(local.P[:, None], D)
    logdet = -np.einsum("jmab,jnba->mn", PD, PD, optimize=True)
    DW = np.matmul(D, local.W[:, None])
    half = np.einsum("jmai,jnak->mnik", DW, np.matmul(local.P[:, None], DW), optimize=True)
    return logdet, half + half.swapaxes(2, 3)


def _mixed_bends(local: _Local, D: np.ndarray, dphi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In φ, T: Σ tr(J'A_kJD) and −Σ (W'DJ'Y_k + Y_k'JDW), φ along the first index."""
    J = local.J
    A = np.matmul(J.transpose(0, 2, 1), np.matmul(local.A, J)).sum(axis=1)
    logdet = dphi @ np.tensordot(A, D, axes=((1, 2), (1, 2)))
    JY = np.matmul(J.transpose(0, 2, 1), local.Y)
    DW = np.matmul(D, local.W[:, None])
    half = np.einsum("kjai,jnac->knic", JY, DW, optimize=True)
    half = np.tensordot(dphi, half, 1)
    return logdet, -(half + half.swapaxes(2, 3))
