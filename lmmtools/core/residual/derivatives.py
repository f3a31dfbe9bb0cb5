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
from math import prod
from typing import Any

import numpy as np

from lmmtools.core.residual.clusters import Kind, Rows
from lmmtools.core.solution import Solution

__all__ = ["JointDerivatives"]


@dataclass(frozen=True)
class _Local:
    """Clusters of one kind: of each Q, J, P, W, and A_k and Y_k of each parameter of φ."""

    kind: Kind
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
    def _kappa(self) -> np.ndarray:
        return self.solution.kappa()

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
            kind = part.kind
            Z, c = inner.G[:, : kind.r], inner.G.shape[1]
            Q = np.matmul(part.q, part.q.transpose(0, 2, 1))
            AY = np.array([kind.cross(Z, F) for F in self._moved]).reshape(-1, kind.J, kind.r, c)
            found.append(
                _Local(
                    kind,
                    Q,
                    np.eye(kind.r) - np.matmul(Q, part.A),
                    _shrunk(part.A, part.Lambda),
                    kind.cross(Z, inner.U[:, r:]),
                    np.ascontiguousarray(AY[:, :, :, : kind.r]),
                    np.ascontiguousarray(AY[:, :, :, r:]),
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
            logdet += local.A.reshape(len(logdet), local.Q.size) @ local.Q.ravel()
        S = np.array([E.T @ F[:, r:] for F in self._moved]).reshape(len(logdet), E.shape[1], E.shape[1])
        return logdet, 0.5 * (S + S.transpose(0, 2, 1))

    @cached_property
    def gradient(self) -> np.ndarray:
        """The criterion's gradient: G in T, shape (R, R), zero between factors, and that in φ on the diagonal."""
        logdet, S = self._slopes
        kappa = self._kappa
        out = np.zeros((self.columns + len(logdet),) * 2)
        for local in self._locals:
            WK = np.matmul(local.W, kappa)
            self._gather(local.kind, local.P - np.matmul(WK, WK.transpose(0, 2, 1)), out)
        at = np.arange(self.columns, len(out))
        out[at, at] = logdet + S.reshape(len(logdet), kappa.shape[0] ** 2) @ (kappa @ kappa.T).ravel()
        return 0.5 * (out + out.T)

    def _gather(self, kind: Kind, full: np.ndarray, out: np.ndarray) -> None:
        """Add the diagonal blocks of every level of (J, r, r) matrices to those of their factors."""
        total, i, a = full.sum(axis=0), 0, 0
        for count, width in zip(kind.counts, self.rows.widths, strict=True):
            for _ in range(count):
                out[a : a + width, a : a + width] += total[i : i + width, i : i + width]
                i += width
            a += width

    def _split(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions of T, shape (m, R, R), and of φ, shape (m, number of φ)."""
        R = self.columns
        return dT[:, :R, :R], np.diagonal(dT, axis1=1, axis2=2)[:, R:]

    def _spread(self, kind: Kind, D: np.ndarray) -> np.ndarray:
        """Directions of a whole cluster's T, shape (m, r, r)."""
        out, i, a = np.zeros((len(D), kind.r, kind.r)), 0, 0
        for count, width in zip(kind.counts, self.rows.widths, strict=True):
            for _ in range(count):
                out[:, i : i + width, i : i + width] = D[:, a : a + width, a : a + width]
                i += width
            a += width
        return out

    def shift(self, dT: np.ndarray) -> np.ndarray:
        """The derivative of S along each direction, shape (m, p + 1, p + 1)."""
        D, dphi = self._split(dT)
        out = _combined(dphi, self._slopes[1])
        for local in self._locals:
            DW = np.matmul(self._spread(local.kind, D)[:, None], local.W)
            out -= np.matmul(_flat(local.W).T, DW.reshape(len(D), len(_flat(local.W)), DW.shape[3]))
        return 0.5 * (out + out.transpose(0, 2, 1))

    def bends(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of log|V| and of S: shapes (m, m) and (m, m, p + 1, p + 1)."""
        D, dphi = self._split(dT)
        logdet, S = self._phi_bends
        logdet = dphi @ logdet @ dphi.T
        S = _combined(dphi, _combined(dphi, S).swapaxes(0, 1)).swapaxes(0, 1)
        for local in self._locals:
            spread = self._spread(local.kind, D)
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
            logdet = logdet - _pairs(QA, QA)
            half = _products(local.Y, np.matmul(local.Q, local.Y))
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
                for rows, Zq in part.kind.times(whole[:, : part.kind.r], part.q):
                    out[rows, : Zq.shape[1]] = Zq
            found.append(out)
        return found[0], found[1], w

    def _bent(self, dT: np.ndarray) -> np.ndarray:
        """Second derivatives of log|V| + ⟨S, K⟩ for K = κκ' as it is, shape (m, m): `bends` for the Hessian."""
        D, dphi = self._split(dT)
        kappa = self._kappa
        value = dphi @ self._phi_bent(kappa) @ dphi.T
        for local in self._locals:
            spread = self._spread(local.kind, D)
            WK, YK = np.matmul(local.W, kappa), np.matmul(local.Y, kappa)
            DW = np.matmul(spread[:, None], WK)
            PD = np.matmul(local.P, spread[:, None])
            own = 2.0 * _inner(DW, np.matmul(local.P, DW)) - _pairs(PD, PD)
            Jt = local.J.transpose(0, 2, 1)
            A = np.matmul(Jt, np.matmul(local.A, local.J)).sum(axis=1)
            mixed = dphi @ (_inner(A, spread) - 2.0 * _inner(np.matmul(Jt, YK), DW))
            value = value + own + mixed + mixed.T
        return value

    def _phi_bent(self, kappa: np.ndarray) -> np.ndarray:
        """The same in φ alone."""
        inner = self.solution.inner
        G, U, w = self._effective()
        G, U = (np.hstack([rows[:, :w], rows[:, w:] @ kappa]) for rows in (G, U))
        value = inner.noise.bend + inner.noise.second(G, U, lambda a, b: _inner(a, b)[:, :, None])[..., 0]
        for local in self._locals:
            QA, YK = np.matmul(local.Q, local.A), np.matmul(local.Y, kappa)
            value = value - _pairs(QA, QA) - 2.0 * _inner(YK, np.matmul(local.Q, YK))
        return 0.5 * (value + value.T)

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Observed second derivatives of the criterion along each pair of directions, shape (m, m)."""
        s = self.solution
        p, v = len(s.beta), s.contrast
        first = self.shift(dT)
        value = self._bent(dT)
        along = first @ v
        D, quadratic = along[:, :p], along @ v
        value -= 2.0 * s.rate * D @ s.S_inverse @ D.T
        value -= s.bend * np.outer(quadratic, quadratic)
        if s.reml and p:
            SE = np.matmul(s.S_inverse, first[:, :p, :p])
            value -= SE.reshape(len(SE), p * p) @ SE.transpose(0, 2, 1).reshape(len(SE), p * p).T
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
    PD = np.matmul(local.P, D[:, None])
    DW = np.matmul(D[:, None], local.W)
    half = _products(DW, np.matmul(local.P, DW))
    return -_pairs(PD, PD), half + half.swapaxes(2, 3)


def _mixed_bends(local: _Local, D: np.ndarray, dphi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In φ, T: Σ tr(J'A_kJD) and −Σ (W'DJ'Y_k + Y_k'JDW), φ along the first index."""
    Jt = local.J.transpose(0, 2, 1)
    A = np.matmul(Jt, np.matmul(local.A, local.J)).sum(axis=1)
    logdet = dphi @ (A.reshape(len(A), Jt[0].size) @ D.reshape(len(D), Jt[0].size).T)
    half = _combined(dphi, _products(np.matmul(Jt, local.Y), np.matmul(D[:, None], local.W)))
    return logdet, -(half + half.swapaxes(2, 3))


def _combined(weights: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Σ w_ik a_k of arrays a of shape (k, …)."""
    flat = parts.reshape(len(parts), prod(parts.shape[1:]))
    return (weights @ flat).reshape(len(weights), *parts.shape[1:])


def _flat(a: np.ndarray) -> np.ndarray:
    """Matrices (J, r, i) one below the other."""
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2])


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ a_k b_l over all elements of stacks (k, …) and (l, …), shape (k, l)."""
    size = prod(a.shape[1:])
    return a.reshape(len(a), size) @ b.reshape(len(b), size).T


def _pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ tr(a_k b_l) of matrices (k, J, r, r) and (l, J, r, r), shape (k, l)."""
    (k, J, r, _), l = a.shape, len(b)
    return a.reshape(k, J * r * r) @ b.transpose(0, 1, 3, 2).reshape(l, J * r * r).T


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ a_k'b_l of matrices (k, J, r, i) and (l, J, r, c), shape (k, l, i, c)."""
    (k, J, r, i), (l, _, _, c) = a.shape, b.shape
    left = a.transpose(0, 3, 1, 2).reshape(k * i, J * r)
    right = b.transpose(1, 2, 0, 3).reshape(J * r, l * c)
    return (left @ right).reshape(k, i, l, c).transpose(0, 2, 1, 3)
