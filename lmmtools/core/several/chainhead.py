"""A chain of nested factors in front of the dense last step of several factors, pure nesting among them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.several.chain import Chain, ChainState, ChainTangents, Pulled
from lmmtools.core.several.chainbends import half_bends_along
from lmmtools.core.several.chainmodes import inverse_blocks, marginal_products, quadratic
from lmmtools.core.several.chainproducts import ChainProducts, chain_products
from lmmtools.core.several.columns import Cells, FactorColumns, border_products, pair_cells
from lmmtools.core.several.frame import Frame
from lmmtools.core.several.products import Several, dense_products

__all__ = ["ChainHead", "chain_several"]

# Rows of new data whose vectors over the last step's effects are held at a time, times their length.
_CHUNK = 2_000_000
# Eigenvalues of what is left of the last step's columns, scaled by their size, that are rounding.
_NO_RANK = 1e-10
# Where less of the response than this is left within the finest levels, it is taken from the rows: see `Chain.within`.
_MOSTLY_BETWEEN = 1e-5


@dataclass
class HeadState:
    """The chain eliminated, and what it leaves to the last step.

    Attributes
    ----------
    chain : ChainState
    A : ndarray, shape (N, N)
        In Fortran order.
    B : ndarray, shape (N, p + 1)
    C : ndarray, shape (p + 1, p + 1)
    """

    chain: ChainState
    A: np.ndarray | None
    B: np.ndarray
    C: np.ndarray

    @property
    def logdet(self) -> float:
        """log|V_c|."""
        return self.chain.logdet

    def release(self) -> None:
        """A now belongs to the last step."""
        self.A = None


@dataclass
class HeadPulled:
    """The adjoints of a solution, and J = [−QB; I] of its last step."""

    chain: Pulled
    J: np.ndarray


@dataclass
class HeadTangents:
    """Derivatives of what the chain leaves along directions in its factors' T.

    Attributes
    ----------
    chain : ChainTangents
    N : int
        Effects of the last step.
    J : ndarray, shape (N + p + 1, p + 1)
    """

    chain: ChainTangents
    N: int
    J: np.ndarray

    @cached_property
    def _dSJ(self) -> np.ndarray:
        return self.chain.dS @ self.J

    @property
    def shifts(self) -> np.ndarray:
        """J'dS J, the derivatives of [X e]'V⁻¹[X e], shape (m, p + 1, p + 1)."""
        return self.J.T @ self._dSJ

    @property
    def R(self) -> np.ndarray:
        """The first N rows of dS J, shape (m, N, p + 1)."""
        return self._dSJ[:, : self.N]

    def traces(self, last: Any, mine: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """tr(Q dA_k Q dA_l), shape (m, m), and tr(dA_k H dT H') for elements of the last step."""
        m = len(self.chain.dS)
        across = np.zeros((m, len(mine)))
        if not self.N:
            return np.zeros((m, m)), across
        QdA = []
        for k, dS in enumerate(self.chain.dS):
            dA = np.asfortranarray(dS[: self.N, : self.N])
            QdA.append(last.Q(dA))
            moved = last.shrink(np.asfortranarray(last.shrink(dA).T))
            for e, (f, a, b) in enumerate(mine):
                block = moved[last.frame.column(f, a), last.frame.column(f, b)]
                across[k, e] = np.trace(block) * (1.0 if a == b else 2.0)
        left = np.array([x.reshape(-1) for x in QdA])
        right = np.array([x.T.reshape(-1) for x in QdA])
        between = left @ right.T
        return 0.5 * (between + between.T), across


class ChainHead:
    """What `Several` asks of the factors that are eliminated before its last step, answered by a chain.

    Parameters
    ----------
    chain : Chain
    order : tuple of int
        The chain's factors, finest first.
    blocks : sequence of slice
        Where every factor's columns stand among the R.
    frame : Frame
        Of the effects of the last step.
    """

    def __init__(self, chain: Chain, order: tuple[int, ...], blocks: Sequence[slice], frame: Frame) -> None:
        self.chain, self.order, self.frame, self.N = chain, order, frame, frame.N
        self.blocks = [blocks[f] for f in order]

    def with_response(self, borders: list[np.ndarray], last: list[np.ndarray], C: np.ndarray) -> ChainHead | None:
        """The same with another response, given every factor's Z'[X e], its last columns, and [X e]'[X e].

        None for a chain of more than two factors, whose products by level are not all made of these, and where what
        lies within the finest levels would be lost in differences.
        """
        if len(self.order) > 2:
            return None
        rest = [f for f in range(len(last)) if f not in self.order]
        border = np.concatenate([*(last[f].reshape(-1) for f in rest), C[-1]])
        own = [last[f][:, np.argsort(place)] for f, place in zip(self.order, self.chain.products.places, strict=True)]
        chain = self.chain.with_response(own, border)
        if chain.within[-1, -1] < _MOSTLY_BETWEEN * C[-1, -1]:
            return None
        twin = copy(self)
        twin.chain = chain
        return twin

    def forward(self, factors: Sequence[np.ndarray]) -> HeadState:
        """Eliminate at Λ_f of every factor of the chain."""
        state = self.chain.forward(factors)
        S, N = state.S, self.N
        return HeadState(state, np.array(S[:N, :N], order="F"), np.array(S[:N, N:]), S[N:, N:])

    def within(self) -> tuple[np.ndarray, int]:
        """[X e]'[X e] less its projection on the effects of all factors, and their rank."""
        S, rank = self.chain.project()
        N = self.N
        scale = np.sqrt(np.diagonal(self.chain.C)[:N])
        scale = 1.0 / np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(S[:N, :N] * np.outer(scale, scale))
        keep = values > _NO_RANK
        half = vectors[:, keep].T @ (scale[:, None] * S[:N, N:]) / np.sqrt(values[keep])[:, None]
        return S[N:, N:] - half.T @ half, rank + int(keep.sum())

    def pull(self, state: HeadState, last: Any, kappa: np.ndarray) -> HeadPulled:
        """The adjoints, with the weight [Q 0; 0 0] + JKJ' on S."""
        J = np.concatenate([last.J, np.eye(len(kappa))])
        return HeadPulled(self.chain.pull(state.chain, self._covariance(last), J @ kappa), J)

    def gradient(self, state: HeadState, pulled: HeadPulled) -> list[np.ndarray]:
        """Derivatives in each factor's T."""
        return self.chain.gradient(state.chain, pulled.chain)

    def hessian_cost(self, N: int) -> float:
        """Beyond a few solves with the levels nothing is dear: the exact Hessian always steers."""
        return 0.0

    def first_order(self, state: HeadState, pulled: HeadPulled, dT: np.ndarray) -> HeadTangents:
        """Tangents along directions dT, shape (m, R, R)."""
        tangents = self.chain.tangents(state.chain, [dT[:, b, b] for b in self.blocks])
        return HeadTangents(tangents, self.N, pulled.J)

    def tangents(self, state: HeadState, pulled: HeadPulled, last: Any, dT: np.ndarray) -> HeadTangents:
        """The same: what second derivatives need is in them."""
        return self.first_order(state, pulled, dT)

    def second(self, state: HeadState, pulled: HeadPulled, tangents: HeadTangents) -> np.ndarray:
        """Second derivatives of log|V_c| + ⟨Φ, S⟩ at fixed Φ, shape (m, m)."""
        return self.chain.second(state.chain, pulled.chain, tangents.chain)

    def half_bends(self, state: HeadState, pulled: HeadPulled, tangents: HeadTangents) -> np.ndarray:
        """Half of J'd²S J along each pair of directions, shape (m, m, p + 1, p + 1)."""
        along = self.chain.pull(state.chain, np.zeros_like(self.chain.C), pulled.J)
        return half_bends_along(self.chain, state.chain, along, tangents.chain)

    def modes(self, state: HeadState, last: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """Z'V⁻¹[X e], shape (r, p + 1, J), and the diagonal blocks of M⁻¹, (k, k, J), of each factor."""
        border = np.concatenate([last.J, np.eye(len(self.chain.C) - self.N)])
        products = marginal_products(self.chain, state.chain, border)
        return list(zip(products, inverse_blocks(self.chain, state.chain, self._covariance(last)), strict=True))

    def _covariance(self, last: Any) -> np.ndarray:
        """[Q 0; 0 0]: the covariance over σ² of the last step's effects, and none of [X e], shape (w, w)."""
        out = np.zeros_like(self.chain.C)
        if self.N:
            roots = [c.root.T for c in last.factors]
            out[: self.N, : self.N] = last.spheres.congruence(roots, last.full_inverse)
        return out

    def variance(
        self, state: HeadState, last: Any, parts: Sequence[tuple[np.ndarray, np.ndarray]],
        trailing: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
    ) -> np.ndarray:  # fmt: skip
        """s'M⁻¹s less what the last step's effects have alone.

        Parameters
        ----------
        state : HeadState
        last : Trailing
        parts : sequence of (s, codes)
            For every factor of the chain, over the columns of Λ_f.
        trailing : sequence of (s, codes, root)
            For every factor of the last step, over its spherical effects or, with a root, sums of them.
        """
        n = len(parts[0][1])
        step = max(_CHUNK // len(self.chain.C), 1)
        value = np.empty(n)
        for start in range(0, n, step):
            rows = slice(start, start + step)
            value[rows], border = quadratic(self.chain, state.chain, [(s[rows], codes[rows]) for s, codes in parts])
            if not self.N:
                continue
            push = np.asfortranarray(border[:, : self.N].T)
            solved = last.solve(push)
            value[rows] += np.einsum("ni,ni->i", push, last.from_spheres(solved))
            for f, (s, codes, root) in enumerate(trailing):
                for a in range(s.shape[1]):
                    own = solved[last.spheres.column(f, a)]
                    own = own if root is None else root @ own
                    value[rows] += 2.0 * s[rows, a] * own[codes[rows], np.arange(own.shape[1])]
        return value


@dataclass(frozen=True)
class LevelCells:
    """Z_f'Z_g of a factor and a coarser one, or one whose products are dense: of `Cells`, what `gram` asks for.

    Attributes
    ----------
    data : ndarray, shape (r_f, r_g, cells)
    """

    data: np.ndarray

    def moments(self) -> np.ndarray:
        """Σ over cells of data ⊗ data, shape (r_f, r_g, r_f, r_g)."""
        flat = self.data.reshape(-1, self.data.shape[2])
        return (flat @ flat.T).reshape(self.data.shape[:2] * 2)


def chain_several(
    columns: Sequence[np.ndarray], factors: Sequence[FactorColumns], xy: Sequence[int], order: Sequence[int]
) -> Several:
    """Products of several factors with a chain of nested ones eliminated first.

    Parameters
    ----------
    columns, factors, xy
        See `several_products`.
    order : sequence of int
        The chain's factors, finest first, each nested in the next; the others are left to the dense last step.
    """
    rest = tuple(f for f in range(len(factors)) if f not in order)
    products = chain_products(columns, [factors[f] for f in order], [factors[f] for f in rest], xy)
    frame = Frame(tuple(factors[f].r for f in rest), tuple(factors[f].n_effects for f in rest))
    pairs = _pairs(columns, factors, order, rest, products, frame)
    borders = {f: border_products(columns, factors[f], xy) for f in rest}
    for k, f in enumerate(order):
        borders[f] = products.rows(k)[:, -len(xy) :][..., products.places[k]]
    C = np.array([[columns[i] @ columns[j] for j in xy] for i in xy])
    A = dense_products(pairs, rest, frame)
    B = np.concatenate([*(borders[f].transpose(0, 2, 1).reshape(-1, len(xy)) for f in rest), np.zeros((0, len(xy)))])
    chain = Chain(products, np.block([[A, B], [B.T, C]]))
    if chain.within[-1, -1] < _MOSTLY_BETWEEN * C[-1, -1]:
        residuals = _residuals(columns, factors[order[0]], xy, chain.leaf_coefficients(len(xy)), products.places[0])
        chain.within[frame.N :, frame.N :] = residuals @ residuals.T
    ends = np.cumsum([0, *(f.r for f in factors)])
    blocks = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    head = ChainHead(chain, tuple(order), blocks, frame)
    roots = tuple(f.root for f in factors)
    return Several(pairs, [borders[f] for f in range(len(factors))], C, len(columns[xy[-1]]), roots, rest, head)


def _residuals(
    columns: Sequence[np.ndarray], leaf: FactorColumns, xy: Sequence[int], coefficients: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """[X e] less its least-squares fit on the finest factor, row by row, shape (p + 1, n)."""
    out = np.array([columns[j] for j in xy])
    at = place[leaf.codes]
    for a, i in enumerate(leaf.z):
        out -= columns[i] * coefficients[a][:, at]
    return out


def _pairs(
    columns: Sequence[np.ndarray], factors: Sequence[FactorColumns], order: Sequence[int], rest: Sequence[int],
    products: ChainProducts, frame: Frame,
) -> dict[tuple[int, int], Any]:  # fmt: skip
    """Z_f'Z_g of every two factors, f ≥ g; from the chain's products where it has them."""
    pairs: dict[tuple[int, int], Any] = {}

    def put(f: int, g: int, data: np.ndarray) -> None:
        pairs[max(f, g), min(f, g)] = LevelCells(data if f > g else data.transpose(1, 0, 2))

    for k, f in enumerate(order):
        rows, r = products.rows(k), factors[f].r
        levels = np.arange(rows.shape[2])
        pairs[f, f] = Cells(levels, levels, rows[:, :r])
        start = r
        for g in order[k + 1 :]:
            put(f, g, rows[:, start : start + factors[g].r])
            start += factors[g].r
        for t, g in enumerate(rest):
            mine = frame.slice(t)
            put(f, g, rows[:, start + mine.start : start + mine.stop].reshape(r, factors[g].r, -1))
    for i, f in enumerate(rest):
        for g in rest[: i + 1]:
            pairs[f, g] = pair_cells(columns, factors[f], factors[g])
    return pairs
