"""Nested factors eliminated one after the other, finest first, in front of a dense border.

The border Y = [Z_t X e] holds the factors that are not part of the chain, the fixed effects and the response. With V_c
the marginal covariance of the chain's factors alone, elimination gives log|V_c| and S = Y'V_c⁻¹Y, and first and
second derivatives of log|V_c| + f(S) for any f: its gradient in S is pulled back through the stages (`pull`), tangents
of S are carried forwards (`tangents`), and what the stages themselves bend is weighted by the adjoints (`second`). The
caller adds f's own second derivatives. Cost and memory are linear in the number of levels; see elimination.py for
the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from lmmtools.core.onefactor.blocks import bordered, by_root, factorise
from lmmtools.core.several.chainproducts import ChainProducts
from lmmtools.core.several.elimination import (
    Stage,
    Weights,
    apply,
    by_level,
    eliminate,
    front_weights,
    incoming_curvature,
    own_curvature,
    transposed_by_level,
)

__all__ = ["Chain", "ChainState", "ChainTangents", "Pulled"]

# Share of a column's sum of squares within levels that is rounding: the column is constant in each of them.
_NOTHING_WITHIN = 1e-12
# Where less of the response than this is left by a factor, it is taken level by level, not as a difference.
_MOSTLY_BETWEEN = 1e-5


@dataclass(frozen=True)
class ChainState:
    """The chain eliminated at one Λ.

    Attributes
    ----------
    stages : list of Stage
    logdet : float
        log|V_c|.
    S : ndarray, shape (w, w)
        Y'V_c⁻¹Y.
    """

    stages: list[Stage]
    logdet: float
    S: np.ndarray


@dataclass(frozen=True)
class Pulled:
    """Weights on S carried back to every stage.

    Attributes
    ----------
    left : list of Weights
        Φ on what each stage leaves, for each of its levels.
    Y : list of ndarray, shape (r_f, r_f, J_f)
        U(Φ + ψψ')U' of each stage.
    """

    left: list[Weights]
    Y: list[np.ndarray]


@dataclass(frozen=True)
class ChainTangents:
    """Derivatives of every stage and of S along directions in T.

    Attributes
    ----------
    dS : ndarray, shape (m, w, w)
    coefficients : ndarray, shape (m, M)
        The directions as combinations of M elementary ones, each in one factor.
    own : list of ndarray, shape (m_f, r_f, r_f)
        The elementary directions of each factor.
    fronts : list of ndarray, shape (m_1 + … + m_{f−1}, c_f, c_f + w, J_f)
        What comes into each stage along those of finer factors.
    """

    dS: np.ndarray
    coefficients: np.ndarray
    own: list[np.ndarray]
    fronts: list[np.ndarray]


class Chain:
    """Elimination of a chain of nested factors.

    Parameters
    ----------
    products : ChainProducts
    C : ndarray, shape (w, w)
        Y'Y.

    Attributes
    ----------
    within : ndarray, shape (w, w)
        Y'Y less its projection on the finest factor's columns; where little is left a better one may take its place.

    Notes
    -----
    Everything that has a part for each factor has it in the order of the chain, finest first.
    """

    def __init__(self, products: ChainProducts, C: np.ndarray) -> None:
        self.products, self.links = products, products.links
        r = products.widths[0]
        self.A = products.leaf[:, :r]
        self.F, self.N = factorise(np.ascontiguousarray(self.A), np.ascontiguousarray(products.leaf[:, r:]))
        self.C = C
        self.within = _cleared(C - _border_gram(self.N, sum(products.widths[1:])), C)
        if products.coarser is not None:
            c = len(products.coarser)
            explained = self.links[0].up(transposed_by_level(self.N[:, :c], self.N))
            self.front = _nothing_left(products.coarser - explained, products.coarser)

    def with_response(self, last: list[np.ndarray], border: np.ndarray) -> Chain:
        """The same with another last column of the border, for a chain of one or two factors.

        Parameters
        ----------
        last : list of ndarray, shape (r_f, J_f)
            Each factor's columns with it.
        border : ndarray, shape (w,)
            The border's columns with it.
        """
        twin = copy(self)
        N = by_root(self.F, last[0][:, None])[:, 0]
        twin.N = _with_last(self.N, N)
        coarser, c = self.products.coarser, sum(self.products.widths[1:])
        left = border - np.einsum("awg,ag->w", twin.N[:, c:], N)
        keep = np.diagonal(self.within) > 0  # others were cleared
        keep[-1] = True
        twin.within, twin.C = bordered(self.within, np.where(keep, left, 0.0)), bordered(self.C, border)
        if coarser is not None:
            coarser = _with_last(coarser, last[1])
            left = last[1] - self.links[0].up(np.einsum("acg,ag->cg", self.N[:, :c], N))
            twin.front = _with_last(self.front, np.where(np.einsum("aag->ag", self.front[:, :c]) > 0, left, 0.0))
        twin.products = replace(self.products, leaf=_with_last(self.products.leaf, last[0]), coarser=coarser)
        return twin

    def leaf_coefficients(self, width: int) -> np.ndarray:
        """Least-squares coefficients of the border's last columns on the finest factor's, (r_1, width, J_1)."""
        return _coefficients(self.F, self.N[:, -width:])

    def forward(self, factors: Sequence[np.ndarray]) -> ChainState:
        """Eliminate at T_f = Λ_fΛ_f', given Λ_f of shape (r_f, k_f)."""
        stages: list[Stage] = []
        left = S = self.within
        A, F, N, rest = self.A, self.F, self.N, None
        for f, Lambda in enumerate(factors):
            stage = eliminate(A, F, N, Lambda)
            stages.append(stage)
            c = sum(self.products.widths[f + 1 :])
            S = left + _border_gram(stage.shrunk, c)
            if c:
                explained = self.links[f].up(transposed_by_level(stage.shrunk[:, :c], stage.shrunk))
                front = self._left(f, rest, N)
                A, F, N, rest = self._next(f, front + explained)
                less = S - _border_gram(N, c - len(A))
                if less[-1, -1] < _MOSTLY_BETWEEN * S[-1, -1]:
                    less = self._left_by_level(f, left, front, stage.shrunk, _coefficients(F, N[:, c - len(A) :]))
                left = _cleared(less, S)
        return ChainState(stages, sum(s.logdet for s in stages), S)

    def _left_by_level(
        self, f: int, left: np.ndarray, front: np.ndarray, shrunk: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray:
        """What the factor after f leaves of the border, as squares of residuals of what f has left, level by level.

        Parameters
        ----------
        f : int
        left : ndarray, shape (w, w)
            What is left of the border within the levels of f.
        front : ndarray, shape (c, c + w, J)
            What is left within them of the coarser columns, by level of the next factor.
        shrunk : ndarray, shape (r_f, c + w, J_f)
        coefficients : ndarray, shape (r, w, J)
            Of the border on the next factor's columns.
        """
        c, r = len(front), len(coefficients)
        residual = shrunk[:, c:] - by_level(shrunk[:, :r], self.links[f].down(coefficients))
        across = front[:r, c:] - 0.5 * by_level(front[:r, :r], coefficients)
        bend = _border_product(coefficients, across, 0)
        return left + _border_gram(residual, 0) - bend - bend.T

    def pull(self, state: ChainState, weights: np.ndarray, along: np.ndarray) -> Pulled:
        """Carry a weight on S back through the stages, for derivatives of log|V_c| + f(S).

        Parameters
        ----------
        state : ChainState
        weights : ndarray, shape (w, w)
        along : ndarray, shape (w, k)
            The gradient of f is weights + along along'.
        """
        J = state.stages[-1].A.shape[-1]
        w, k = along.shape
        front = Weights(np.zeros((0, 0, J)), np.zeros((0, w, J)), weights, np.zeros((0, k, J)), along)
        left: list[Weights] = []
        Ys: list[np.ndarray] = []
        for f in reversed(range(len(state.stages))):
            stage = state.stages[f]
            if f < len(self.links):
                front = front.at(self.links[f])
            left, Ys = [front, *left], [front.form(stage.U), *Ys]
            if f:
                front = front_weights(stage, front)
        return Pulled(left, Ys)

    def gradient(self, state: ChainState, pulled: Pulled) -> list[np.ndarray]:
        """Derivatives in each factor's T, shape (r_f, r_f): Σ(P − UΦU')."""
        blocks = [(s.P - Y).sum(axis=-1) for s, Y in zip(state.stages, pulled.Y, strict=True)]
        return [0.5 * (G + G.T) for G in blocks]

    def tangents(self, state: ChainState, dT: Sequence[np.ndarray]) -> ChainTangents:
        """Carry m directions, each factor's part of shape (m, r_f, r_f), forwards to S."""
        own, coefficients = _elementary(dT)
        w = len(self.C)
        dS = np.zeros((0, w, w))
        front = np.zeros((0, sum(self.products.widths), *self.products.leaf.shape[1:]))
        fronts = []
        for f, stage in enumerate(state.stages):
            fronts.append(front)
            r, c = self.products.widths[f], sum(self.products.widths[f + 1 :])
            dS = np.concatenate([dS, -_border_moment(stage.U, own[f], c)])
            if len(front):
                dA, dB = front[:, :r, :r], front[:, :r, r:]
                mid = dB - 0.5 * np.einsum("mabg,bwg->mawg", dA, stage.D)
                bend = np.array([_border_product(y, stage.D, c) for y in mid])
                dS[: len(front)] -= bend + bend.swapaxes(1, 2)
            if not c:
                break
            outgoing = -np.einsum("kig,mkjg->mijg", stage.U[:, :c], apply(own[f], stage.U))
            if len(front):
                front = front[:, r:, r:] - transposed_by_level(mid[:, :, :c], stage.D)
                front -= np.einsum("kig,mkjg->mijg", stage.D[:, :c], mid)
                outgoing = np.concatenate([front, outgoing])
            front = self.links[f].up(outgoing)
        return ChainTangents(np.tensordot(coefficients, dS, axes=1), coefficients, own, fronts)

    def second(self, state: ChainState, pulled: Pulled, tangents: ChainTangents) -> np.ndarray:
        """Second derivatives of log|V_c| + ⟨Φ, S⟩ at fixed Φ along each pair of directions, shape (m, m)."""
        own = tangents.own
        ends = np.cumsum([0, *map(len, own)])
        value = np.zeros((ends[-1], ends[-1]))
        for f, stage in enumerate(state.stages):
            before, mine = slice(0, ends[f]), slice(ends[f], ends[f + 1])
            flat = own[f].reshape(len(own[f]), own[f].shape[1] ** 2)
            value[mine, mine] += flat @ own_curvature(stage.P, pulled.Y[f]) @ flat.T
            if ends[f]:
                r, front = self.products.widths[f], tangents.fronts[f]
                dA = front[:, :r, :r]
                R = front[:, :r, r:] - np.einsum("mabg,bwg->mawg", dA, stage.D)
                between, across = incoming_curvature(stage, pulled.left[f], dA, R)
                across = across.reshape(ends[f], r * r) @ flat.T
                value[before, before] += between
                value[before, mine] += across
                value[mine, before] += across.T
        return tangents.coefficients @ value @ tangents.coefficients.T

    def project(self) -> tuple[np.ndarray, int]:
        """Y'Y less its projection on the columns of all the chain's factors, shape (w, w), and their rank."""
        S, rank = self.within, _rank(self.F)
        N, rest = self.N, None
        for f in range(len(self.links)):
            c = sum(self.products.widths[f + 1 :])
            A, F, N, rest = self._next(f, self._left(f, rest, N))
            S = _cleared(S - _border_gram(N, c - len(A)), S)
            rank += _rank(F)
        return S, rank

    def _left(self, f: int, rest: np.ndarray | None, N: np.ndarray) -> np.ndarray:
        """What factor f leaves of the coarser columns within its levels, by level of the next factor."""
        if f == 0:
            return self.front
        c, up = len(rest), self.links[f].up
        return _nothing_left(up(rest - transposed_by_level(N[:, :c], N)), up(rest))

    def _next(self, f: int, front: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A, F and N of the factor after f, and the rows of those after it."""
        r = self.products.widths[f + 1]
        return front[:r, :r], *factorise(front[:r, :r], front[:r, r:]), front[r:, r:]


def _with_last(x: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Columns (r, w, J) with another last one, (r, J)."""
    return np.concatenate([x[:, :-1], last[:, None]], axis=1)


def _rank(F: np.ndarray) -> int:
    return int(np.count_nonzero(np.einsum("aag->ag", F)))


def _border_gram(x: np.ndarray, c: int) -> np.ndarray:
    """Σ x_b'x_b over levels for the border's columns of (r, c + w, J), shape (w, w)."""
    return _border_product(x, x, c)


def _border_product(x: np.ndarray, y: np.ndarray, c: int) -> np.ndarray:
    return sum((a @ b.T for a, b in zip(x[:, c:], y[:, c:], strict=True)), np.zeros((x.shape[1] - c, y.shape[1] - c)))


def _border_moment(U: np.ndarray, dT: np.ndarray, c: int) -> np.ndarray:
    """Σ U_b'dT U_b for each direction, shape (m, w, w)."""
    r, w = len(U), U.shape[1] - c
    out = np.zeros((len(dT), w, w))
    for a in range(r):
        for b in range(a + 1):
            if len(dT) and np.any(dT[:, a, b]):
                moment = U[a, c:] @ U[b, c:].T
                moment = moment if a == b else moment + moment.T
                out += dT[:, a, b, None, None] * moment
    return out


def _cleared(left: np.ndarray, S: np.ndarray) -> np.ndarray:
    """What is left of S, with exact zeros for columns of the border that nothing is left of, e apart."""
    keep = np.diagonal(left) > _NOTHING_WITHIN * np.diagonal(S)
    keep[-1] = True
    return left if np.all(keep) else left * np.outer(keep, keep)


def _coefficients(F: np.ndarray, N: np.ndarray) -> np.ndarray:
    """F'⁻¹N at every level by back substitution; zero for columns without a pivot."""
    out = np.zeros_like(N)
    for i in reversed(range(len(F))):
        rest = N[i] - np.einsum("kg,kjg->jg", F[i + 1 :, i], out[i + 1 :])
        pivot = F[i, i]
        out[i] = np.where(pivot > 0, rest / np.where(pivot > 0, pivot, 1.0), 0.0)
    return out


def _nothing_left(within: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The cross-products within levels, with exact zeros for columns that are constant there."""
    c = len(within)
    left, all_ = np.einsum("aag->ag", within[:, :c]), np.einsum("aag->ag", total[:, :c])
    keep = left > _NOTHING_WITHIN * all_
    if not np.all(keep):
        within = within * keep[:, None]
        within[:, :c] *= keep
    return within


def _elementary(blocks: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Directions within one factor that span the given ones, and the coefficients of these in them."""
    own, coefficients = [], []
    for D in blocks:
        m, r, _ = D.shape
        used = np.flatnonzero(np.any(D != 0, axis=(1, 2)))
        if len(used) <= r * (r + 1) // 2:
            own.append(D[used])
            coefficients.append(np.equal.outer(np.arange(m), used).astype(float))
            continue
        rows, columns = np.triu_indices(r)
        basis = np.zeros((len(rows), r, r))
        basis[np.arange(len(rows)), rows, columns] = basis[np.arange(len(rows)), columns, rows] = 1.0
        own.append(basis)
        coefficients.append(D[:, rows, columns])
    return own, np.concatenate(coefficients, axis=1)
