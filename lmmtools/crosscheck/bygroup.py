"""The normal law of a model, group by group: an independent witness for any number of rows.

V is block-diagonal over the groups of `layout` (levels of the outermost factor; one group where factors cross),
V_i = Z_i T Z_i' + I, T the relative covariance of each term, once for each of its levels in the group. Each block is
applied through the QR factorisation [Z_i Lambda; I] = Q R, for which V_i^-1 = I - Q_1 Q_1' (Q_1 the upper rows of Q)
and det V_i = det R^2: on the rows themselves, without cross-products of Z, and with Lambda allowed to be singular.

`joint_information` is what statsmodels inverts for its standard errors: half the second derivatives of
-2 log-likelihood in (beta, tau), sigma profiled out, tau the free elements of T, term by term (Lindstrom & Bates 1988
have the same derivatives). With E_k the derivative of T in tau_k, V_k = Z E_k Z', r = y - X beta, q = r'V^-1 r,
S = X'V^-1 X and nu = n - p (REML) or n (ML):

    beta, beta :  (2 nu/q) S
    beta, k    :  (2 nu/q) X'V^-1 V_k V^-1 r
    k, l       :  - tr(V^-1 V_k V^-1 V_l) + (2 nu/q) r'V^-1 V_k V^-1 V_l V^-1 r
                  - (nu/q^2) (r'V^-1 V_k V^-1 r)(r'V^-1 V_l V^-1 r)
                  [+ 2 tr(S^-1 X'V^-1 V_k V^-1 V_l V^-1 X) - tr(S^-1 B_k S^-1 B_l), B_k = X'V^-1 V_k V^-1 X; REML]

References
----------
Lindstrom, M. J., Bates, D. M. (1988). Newton-Raphson and EM algorithms for linear mixed-effects models for
repeated-measures data. J. Amer. Statist. Assoc. 83, 1014-1022.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from lmmtools.crosscheck.layout import Layout, layout_of
from lmmtools.crosscheck.rounding import Rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NARROW = 8  # columns of a group up to which one product over all rows is faster than one each group

__all__ = ["GroupedModel", "Point", "condition_of", "directions", "grouped_model", "relative_factor"]


@dataclass(frozen=True)
class GroupedModel:
    """Arrays sorted by group, rows scaled by the square roots of the weights.

    `directions` (m, q, q) are those of T, the terms side by side; Z (n, width) has all columns of a group.
    """

    y: NDArray
    X: NDArray
    Z: NDArray
    starts: NDArray
    log_weights: float
    directions: NDArray
    layout: Layout
    reml: bool

    @cached_property
    def wide_directions(self) -> NDArray:
        """The directions over a group's columns (m, width, width)."""
        return np.array([self.layout.widen(E) for E in self.directions])

    @property
    def dof(self) -> int:
        """Divisor of sigma^2."""
        return len(self.y) - (self.X.shape[1] if self.reml else 0)

    def at_covariance(self, T: NDArray) -> Point:
        """`at` for a relative covariance T (q, q), singular or not."""
        roots = []
        for block in self.layout.parts(T):
            values, vectors = np.linalg.eigh(block)
            roots.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        return self.at(block_diag(*roots))

    def at(self, Lambda: NDArray) -> Point:
        """Criterion, estimates and derivatives at a relative factor (q, q), T = Lambda Lambda', terms side by side."""
        wide, p = self.layout.widen(Lambda), self.X.shape[1]
        q = len(wide)
        ZL = self.Z @ wide
        Q1, logdet = np.empty_like(ZL), self.log_weights
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            Q, R = np.linalg.qr(np.vstack([ZL[start:stop], np.eye(q)]))
            Q1[start:stop] = Q[: stop - start]
            logdet += 2 * float(np.log(np.abs(np.diag(R))).sum())
        VX = self._solve(Q1, self.X)
        S, beta = self.X.T @ VX, np.zeros(p)
        for _ in range(3 if p else 0):  # refined: the residual is formed anew, so S's rounding washes out
            r = self.y - self.X @ beta
            beta = beta + np.linalg.solve(S, self.X.T @ self._solve(Q1, r[:, None])[:, 0])
        r = self.y - self.X @ beta
        Vr = self._solve(Q1, r[:, None])[:, 0]
        P = self.by_group(self._solve(Q1, self.Z))
        # eigenvalues of V lie in [1, 1 + |ZL|^2], and the products Z L carry errors of |Z||L| eps
        sizes = [np.sqrt(np.add.reduceat((A**2).sum(axis=1), self.starts[:-1]).max())
                 for A in (np.abs(self.Z) @ np.abs(wide), ZL)]  # fmt: skip
        condition = float((1 + sizes[0]) * (1 + sizes[1]))
        return Point(self, Lambda @ Lambda.T, logdet, S, beta, r, Vr, VX, P, condition)

    def by_group(self, rows: NDArray) -> NDArray:
        """Z_i' rows_i for each group: (J, width, columns)."""
        return self._inner(self.Z, rows)

    def _inner(self, left: NDArray, rows: NDArray) -> NDArray:
        """left_i' rows_i for each group; group by group where all products at once would take much memory."""
        if left.shape[1] <= _NARROW:
            return np.add.reduceat(left[:, :, None] * rows[:, None, :], self.starts[:-1], axis=0)
        return np.array([left[a:b].T @ rows[a:b] for a, b in pairwise(self.starts)])

    def _solve(self, Q1: NDArray, rows: NDArray) -> NDArray:
        """V^-1 rows = rows - Q_1 Q_1' rows, group by group."""
        inner = self._inner(Q1, rows)
        if Q1.shape[1] <= _NARROW:
            return rows - np.einsum("nq,nqc->nc", Q1, np.repeat(inner, np.diff(self.starts), axis=0))
        return np.vstack([rows[a:b] - Q1[a:b] @ B for (a, b), B in zip(pairwise(self.starts), inner, strict=True)])


@dataclass(frozen=True)
class Point:
    """What the normal law says at one T; see `GroupedModel.at`."""

    model: GroupedModel
    T: NDArray
    logdet: float
    S: NDArray
    beta: NDArray
    r: NDArray
    Vr: NDArray
    VX: NDArray
    P: NDArray
    condition: float

    @property
    def q(self) -> float:
        """r'V^-1 r."""
        return float(self.r @ self.Vr)

    @property
    def sigma2(self) -> float:
        """Residual variance, sigma^2."""
        return self.q / self.model.dof

    @property
    def criterion(self) -> float:
        """-2 (restricted) log-likelihood with all constants."""
        restricted = float(np.linalg.slogdet(self.S)[1]) if self.model.reml and len(self.beta) else 0.0
        return self.logdet + restricted + self.model.dof * (1 + np.log(2 * np.pi * self.sigma2))

    @property
    def vcov(self) -> NDArray:
        """Covariance of beta (p, p)."""
        return self.sigma2 * np.linalg.inv(self.S)

    def gradient(self) -> NDArray:
        """Derivatives of the criterion in tau, beta profiled out."""
        w = self.model.by_group(self.Vr[:, None])[:, :, 0]
        G = self.P.sum(axis=0) - np.einsum("ja,jb->ab", w, w) / self.sigma2
        if self.model.reml and len(self.beta):
            W = self.model.by_group(self.VX)
            G = G - np.einsum("jap,pr,jbr->ab", W, np.linalg.inv(self.S), W)
        return np.einsum("kab,ab->k", self.model.wide_directions, G)

    def joint_information(self) -> NDArray:
        """Half the Hessian of the criterion in (beta, tau), sigma profiled out: (p + m, p + m)."""
        model, p = self.model, len(self.beta)
        E, W, w = model.wide_directions, self.model.by_group(self.VX), self.model.by_group(self.Vr[:, None])[:, :, 0]
        m, rate = len(E), model.dof / self.q
        out = np.zeros((p + m, p + m))
        out[:p, :p] = rate * self.S
        Ew, PE = w @ E, self.P[:, None] @ E  # (m, J, width) and (J, m, width, width)
        out[:p, p:] = rate * np.einsum("jap,kja->pk", W, Ew)
        out[p:, :p] = out[:p, p:].T
        slopes = np.einsum("ja,kja->k", w, Ew)
        bent = np.einsum("kja,lja->kl", Ew, (self.P @ Ew[..., None])[..., 0])
        second = -np.einsum("jkab,jlba->kl", PE, PE) + rate * 2 * bent - rate / self.q * np.outer(slopes, slopes)
        if model.reml and p:
            S_inverse = np.linalg.inv(self.S)
            EW = E[:, None] @ W  # (m, J, width, p)
            B = np.einsum("jap,kjar->kpr", W, EW)
            D = np.einsum("kjap,ljar->klpr", EW, self.P @ EW, optimize=True)
            SB = S_inverse @ B
            second += 2 * np.einsum("pr,klrp->kl", S_inverse, D) - np.einsum("kpr,lrp->kl", SB, SB)
        out[p:, p:] = 0.5 * (second + second.T) / 2
        return out

    def curvature(self) -> NDArray:
        """Hessian of the criterion in tau with beta profiled out too: the Schur complement, times two."""
        joint, p = self.joint_information(), len(self.beta)
        cross = joint[:p, p:]
        return 2 * (joint[p:, p:] - (cross.T @ np.linalg.solve(joint[:p, :p], cross) if p else 0.0))

    @property
    def digits(self) -> Rounding:
        """What rounding leaves of the estimates."""
        y_norm = float(np.linalg.norm(np.abs(self.model.y) + np.abs(self.model.X) @ np.abs(self.beta)))
        return Rounding(len(self.model.y), self.condition, self.S, self.beta, y_norm, self.q)

    def rounding(self) -> tuple[NDArray, NDArray]:
        """Bounds on rounding errors of beta (absolute) and of its standard errors (relative)."""
        return self.digits.fixed()

    @property
    def residual_rounding(self) -> float:
        """Relative bound on the rounding error of linear forms in V^-1 r."""
        return self.digits.residual

    @property
    def variance_rounding(self) -> float:
        """Relative bound on the rounding error of sigma^2."""
        return self.digits.variance

    def covariance_rounding(self, i: int, j: int) -> tuple[float, float]:
        """Bound on the rounding error of sigma^2 T[i, j] (infinite where nothing can be said), and its scale."""
        scale = self.sigma2 * float(np.sqrt(self.T[i, i] * self.T[j, j]))
        return (self.variance_rounding * scale if np.isfinite(self.condition) else np.inf), scale


def condition_of(T: NDArray) -> float:
    """Condition of a covariance matrix scaled to unit diagonal, which is what its inverse's accuracy depends on.

    (Van der Sluis 1969: no scaling does much better; rows' units cancel in Gaussian elimination.)
    """
    root = np.sqrt(np.diag(T))
    return float(np.linalg.cond(T / np.outer(root, root))) if np.all(root > 0) else float("inf")


def directions(design: Any) -> NDArray:
    """Derivatives E_k (m, q, q) of T in its free elements, the terms side by side."""
    sizes = [t.matrix.shape[1] for t in design.terms]
    out = []
    start = 0
    for term, q in zip(design.terms, sizes, strict=True):
        places = [(i, j) for i in range(q) for j in range(i + 1)]
        if term.structure != "us":
            places = [(i, i) for i in range(q)]
        units = []
        for i, j in places:
            unit = np.zeros((sum(sizes), sum(sizes)))
            unit[start + i, start + j] = unit[start + j, start + i] = 1.0
            units.append(unit)
        out += [sum(units)] if term.structure == "homdiag" else units
        start += q
    return np.array(out)


def relative_factor(design: Any, theta: NDArray) -> NDArray:
    """Lambda (q, q) of the terms side by side, from lme4's theta."""
    values = iter(np.asarray(theta, dtype=float))
    blocks = []
    for term in design.terms:
        q = term.matrix.shape[1]
        Lambda = np.zeros((q, q))
        if term.structure == "us":
            for j in range(q):
                for i in range(j, q):
                    Lambda[i, j] = next(values)
        elif term.structure == "diag":
            Lambda[np.diag_indices(q)] = [next(values) for _ in range(q)]
        else:
            Lambda[np.diag_indices(q)] = next(values)
        blocks.append(Lambda)
    return block_diag(*blocks)


def grouped_model(design: Any, *, reml: bool) -> GroupedModel:
    """Sort a design's rows by the groups of its layout and scale them by their weights."""
    layout = layout_of(design)
    codes = layout.codes
    order = np.argsort(codes, kind="stable")
    y = design.y if design.offset is None else design.y - design.offset
    Z = layout.columns(design.terms)
    scale = np.ones(len(y)) if design.weights is None else np.sqrt(design.weights)
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return GroupedModel(
        y=(y * scale)[order],
        X=(design.X * scale[:, None])[order],
        Z=(Z * scale[:, None])[order],
        starts=np.append(starts, len(y)),
        log_weights=-2 * float(np.log(scale).sum()),
        directions=directions(design),
        layout=layout,
        reml=reml,
    )
