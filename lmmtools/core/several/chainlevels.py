"""Nested factors: how their levels lie in each other, and in which order they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["Tree", "chain_bytes", "choose_chain", "longest_chain", "parents", "trees"]

# So few effects are best taken all at once.
_SMALL = 60
# Measured costs of a solution with its derivatives, in units of what a cube of the dense step's size takes: a square of
# it, and the square of the border's size for each of the finest factor's effects.
_PER_SQUARE, _PER_EFFECT = 850, 3.5
# Memory that a border may take, unless what it saves takes more: so many matrices of the dense step's size.
_MOST_BYTES, _SQUARES = 2_000_000_000, 6


def parents(codes: np.ndarray, n_levels: int, coarser: np.ndarray) -> np.ndarray | None:
    """The level of `coarser` that each level of `codes` lies in, −1 for one without rows; None if not nested.

    Parameters
    ----------
    codes, coarser : ndarray of int, shape (n,)
        Levels of each row.
    n_levels : int
        Levels of `codes`.
    """
    parent = np.full(n_levels, -1, dtype=np.intp)
    step = max(len(codes) // 64, 1)  # most pairs that are not nested show it in a few rows
    parent[codes[::step]] = coarser[::step]
    if not np.array_equal(parent[codes[::step]], coarser[::step]):
        return None
    parent[codes] = coarser
    return parent if np.array_equal(parent[codes], coarser) else None


def longest_chain(factors: list[tuple[np.ndarray, int]], sizes: list[int]) -> list[int]:
    """Which factors to eliminate one after the other, finest first: nested, and of the largest total size.

    Parameters
    ----------
    factors : list of (codes, n_levels)
    sizes : list of int
        Effects of each factor.
    """
    order = sorted(range(len(factors)), key=lambda f: -factors[f][1])
    best: dict[int, tuple[int, list[int]]] = {}
    for place in reversed(range(len(order))):
        f = order[place]
        codes, n_levels = factors[f]
        longer = [best[g] for g in order[place + 1 :] if parents(codes, n_levels, factors[g][0]) is not None]
        total, rest = max(longer, key=lambda item: item[0], default=(0, []))
        best[f] = (total + sizes[f], [f, *rest])
    return max(best.values(), key=lambda item: item[0])[1] if best else []


@dataclass(frozen=True)
class Tree:
    """Levels of one factor, those of one parent side by side, and their parents in the next factor.

    Attributes
    ----------
    parent : ndarray of int, shape (J,)
        Non-decreasing.
    n_parents : int
    starts : ndarray of int
        First level of each parent that has one.
    filled : ndarray of int, or None
        Parents that have levels; None where all have.
    """

    parent: np.ndarray
    n_parents: int
    starts: np.ndarray
    filled: np.ndarray | None

    @property
    def is_identity(self) -> bool:
        """Whether every parent has one level."""
        return self.filled is None and len(self.parent) == self.n_parents

    def up(self, x: np.ndarray) -> np.ndarray:
        """Sums over the levels of each parent, (…, J) → (…, J')."""
        if self.is_identity:
            return x
        sums = np.add.reduceat(x, self.starts, axis=-1)
        if self.filled is None:
            return sums
        out = np.zeros((*x.shape[:-1], self.n_parents))
        out[..., self.filled] = sums
        return out

    def down(self, x: np.ndarray) -> np.ndarray:
        """The parent's value for each level, (…, J') → (…, J)."""
        return x if self.is_identity else np.take(x, self.parent, axis=-1)


def trees(factors: list[tuple[np.ndarray, int]]) -> tuple[list[Tree], list[np.ndarray]]:
    """The trees between successive factors of a chain, finest first, and each factor's levels' places in them.

    Parameters
    ----------
    factors : list of (codes, n_levels)
        Each nested in the next.

    Returns
    -------
    links : list of Tree
        One less than there are factors.
    places : list of ndarray of int, shape (J_f,)
        Where each level stands.
    """
    places: list[np.ndarray] = [np.arange(factors[-1][1])]
    links: list[Tree] = []
    for (codes, n_levels), (coarser, n_parents) in reversed(list(pairwise(factors))):
        parent = parents(codes, n_levels, coarser)
        if parent is None:
            raise ValueError("chain: a factor is not nested in the next")
        parent = places[0][np.maximum(parent, 0)]  # a level without rows may stand anywhere
        if np.all(parent[1:] >= parent[:-1]):
            place = np.arange(n_levels)
        else:
            order = np.argsort(parent, kind="stable")
            place = np.empty(n_levels, dtype=np.intp)
            place[order] = np.arange(n_levels)
            parent = parent[order]
        starts = np.flatnonzero(np.concatenate([[True], parent[1:] != parent[:-1]]))
        filled = None if len(starts) == n_parents else parent[starts]
        links.insert(0, Tree(parent, n_parents, starts, filled))
        places.insert(0, place)
    return links, places


def choose_chain(factors: Sequence[Any], width: int) -> list[int]:
    """Which factors to eliminate as a chain, finest first; none where another way is cheaper.

    Parameters
    ----------
    factors : sequence of FactorColumns
    width : int
        Columns of [X e].
    """
    sizes = [f.r * f.n_effects for f in factors]
    free = [k for k, f in enumerate(factors) if f.root is None]
    if sum(sizes) <= _SMALL or len(free) < 2:
        return []
    order = longest_chain([(factors[k].codes, factors[k].n_levels) for k in free], [sizes[k] for k in free])
    order = [free[k] for k in order]
    if len(order) < 2:
        return []
    border = sum(sizes) - sum(sizes[k] for k in order)
    if not border:
        return order
    other = sum(sizes) - max(sizes)
    cost = _PER_EFFECT * sizes[order[0]] * (border + width) ** 2 + border**3
    pays = cost < other**3 + _PER_SQUARE * other**2
    fits = chain_bytes(factors, order, width) < max(_MOST_BYTES, 8 * _SQUARES * other**2)
    return order if pays and fits else []


def chain_bytes(factors: Sequence[Any], order: Sequence[int], width: int) -> int:
    """Memory that a chain takes with its derivatives, roughly."""
    r = [factors[k].r for k in order]
    border = width + sum(f.r * f.n_effects for k, f in enumerate(factors) if k not in order)
    leaf = r[0] * (sum(r) + border) * factors[order[0]].n_levels
    coarser = sum(r[1:]) * (sum(r[1:]) + border) * factors[order[1]].n_levels if len(r) > 1 else 0
    directions = sum(q * (q + 1) // 2 for q in r[:-1])
    return 8 * (8 * leaf + (6 + 3 * directions) * coarser)
