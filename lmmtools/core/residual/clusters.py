"""Rows that hang together: by a level of some grouping factor, or by a residual group.

V is block-diagonal over these clusters, however factors and residual groups are nested or crossed. In each the random
effects of all its levels stand side by side, their covariance being T once for each level; clusters with as many rows
and levels are computed together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np

from lmmtools.core.residual.noise import time_order
from lmmtools.errors import TooLarge

__all__ = ["Grouping", "Kind", "Rows", "Stack", "rows_of"]


@dataclass(frozen=True)
class Grouping:
    """One grouping factor's part of the random effects.

    Attributes
    ----------
    Z : ndarray, shape (n, r)
        Its working columns.
    codes : ndarray of int, shape (n,)
    levels : int
    root : ndarray, shape (levels, k), or None
        Of the known covariance of the levels: then there are k vectors of effects, each in every row.
    """

    Z: np.ndarray
    codes: np.ndarray
    levels: int
    root: np.ndarray | None = None

    @property
    def r(self) -> int:
        """Number of working columns."""
        return self.Z.shape[1]

    @property
    def vectors(self) -> int:
        """Number of independent vectors of effects."""
        return self.levels if self.root is None else self.root.shape[1]


@dataclass(frozen=True)
class Stack:
    """Clusters of one size.

    Attributes
    ----------
    rows : slice
        Of the ordered rows: J clusters of n rows each, one after the other.
    J, n : int
    counts : tuple of int
        Vectors of effects of each factor in a cluster.
    places : tuple of ndarray of int, shape (J, count)
        Which vectors these are.
    r : int
        Number of effects in a cluster.
    """

    rows: slice
    J: int
    n: int
    counts: tuple[int, ...]
    places: tuple[np.ndarray, ...]
    r: int

    def of(self, a: np.ndarray) -> np.ndarray:
        """Its part of rows a, shape (J, n, columns)."""
        return a[self.rows].reshape(self.J, self.n, a.shape[1])


@dataclass(frozen=True)
class Kind:
    """Clusters with as many vectors of effects of every factor, of all sizes.

    Attributes
    ----------
    stacks : tuple of Stack
    J : int
        Number of clusters.
    counts : tuple of int
    places : tuple of ndarray of int, shape (J, count)
    r : int
        Number of effects in a cluster.
    """

    stacks: tuple[Stack, ...]
    J: int
    counts: tuple[int, ...]
    places: tuple[np.ndarray, ...]
    r: int

    def cross(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a'b of every cluster from rows a and b, shape (J, columns of a, columns of b)."""
        parts = [np.matmul(s.of(a).transpose(0, 2, 1), s.of(b)) for s in self.stacks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def times(self, a: np.ndarray, u: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows a times each cluster's matrix u, shape (J, columns of a, k), a stack at a time."""
        start = 0
        for s in self.stacks:
            mine = np.matmul(s.of(a), u[start : start + s.J])
            yield s.rows, mine.reshape(s.J * s.n, u.shape[2])
            start += s.J


@dataclass(frozen=True)
class Rows:
    """The rows in the order of clusters, residual groups and positions.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
    Z : ndarray, shape (n, r)
        Columns of each row's cluster, those it lacks zero.
    stacks : tuple of Stack
    kinds : tuple of Kind
        The same, put together.
    widths : tuple of int
        Working columns of each factor.
    """

    order: np.ndarray
    Z: np.ndarray
    stacks: tuple[Stack, ...]
    kinds: tuple[Kind, ...]
    widths: tuple[int, ...]


def rows_of(factors: Sequence[Grouping], correlation: Any, n: int) -> Rows:
    """Order the rows and lay their random effects out by cluster.

    Raises
    ------
    TooLarge
        If so many effects stand together that they would not fit in memory.
    """
    in_time = time_order(correlation, n)
    widths = tuple(f.r for f in factors)
    if not factors:
        whole = Stack(slice(0, n), 1, n, (), (), 0)
        return Rows(in_time, np.zeros((n, 0)), (whole,), (), widths)
    cluster, of_level = _components(factors, correlation)
    counts = np.array([np.bincount(mine, minlength=cluster.max() + 1) for mine in of_level]).T
    sizes = np.bincount(cluster)
    keys = np.column_stack([counts, sizes])
    ranked = np.lexsort(keys.T[::-1])
    rank = np.empty(len(ranked), dtype=int)
    rank[ranked] = np.arange(len(ranked))
    order = in_time[np.argsort(rank[cluster[in_time]], kind="stable")]
    _refuse_large(n, counts @ np.array(widths), sizes, factors)
    at_level = [_places(rank[mine]) for mine in of_level]
    Z = _laid_out(factors, order, counts[cluster[order]], [at for at, _ in at_level])
    stacks = tuple(_stacks(keys[ranked], widths, at_level))
    return Rows(order, Z, stacks, _kinds(stacks), widths)


def _components(factors: Sequence[Grouping], correlation: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cluster of each row, and of each vector of effects of every factor."""
    import scipy.sparse
    import scipy.sparse.csgraph

    codes = [f.codes if f.root is None else np.zeros_like(f.codes) for f in factors]
    sizes = [f.levels if f.root is None else 1 for f in factors]
    if correlation is not None:
        codes, sizes = [*codes, correlation.codes], [*sizes, int(correlation.codes.max()) + 1]
    starts = np.cumsum([0, *sizes])
    if len(codes) == 1:
        label = np.arange(starts[-1])
    else:
        first = np.tile(codes[0], len(codes) - 1)
        others = np.concatenate([c + a for c, a in zip(codes[1:], starts[1:], strict=False)])
        edges = scipy.sparse.coo_array((np.ones(len(first)), (first, others)), shape=(starts[-1],) * 2)
        label = scipy.sparse.csgraph.connected_components(edges, directed=False)[1]
    used = np.unique(label[codes[0]], return_inverse=True)
    new = np.full(label.max() + 1, -1)
    new[used[0]] = np.arange(len(used[0]))
    found = []
    for f, a, size in zip(factors, starts, sizes, strict=False):
        mine = new[label[a : a + size]]
        found.append(mine if f.root is None else np.repeat(mine, f.vectors))
    return used[1].reshape(-1), found


def _places(rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of each vector within its cluster, and the vectors in the order of clusters."""
    order = np.argsort(rank, kind="stable")
    first = np.searchsorted(rank[order], rank[order])
    at = np.empty(len(rank), dtype=int)
    at[order] = np.arange(len(rank)) - first
    return at, order


def _laid_out(
    factors: Sequence[Grouping], order: np.ndarray, counts: np.ndarray, at_level: Sequence[np.ndarray]
) -> np.ndarray:
    """Each row's part in the effects of its cluster, shape (n, widest cluster)."""
    widths = np.array([f.r for f in factors])
    starts = np.cumsum(np.column_stack([np.zeros(len(order), dtype=int), counts * widths]), axis=1)
    Z = np.zeros((len(order), int(starts[:, -1].max())))
    rows = np.arange(len(order))
    for k, (f, at) in enumerate(zip(factors, at_level, strict=True)):
        code = f.codes[order]
        for a in range(f.r):
            column = f.Z[order, a]
            if f.root is None:
                Z[rows, starts[:, k] + at[code] * f.r + a] = column
            else:
                start = int(starts[0, k])
                Z[:, start + a : start + f.vectors * f.r : f.r] = f.root[code] * column[:, None]
    return Z


def _stacks(
    keys: np.ndarray, widths: tuple[int, ...], at_level: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[Stack]:
    """Runs of equal keys (vectors of every factor, then rows) among the ranked clusters."""
    edges = np.flatnonzero(np.any(np.diff(keys, axis=0) != 0, axis=1)) + 1
    found, row, used = [], 0, [0] * len(widths)
    for a, b in zip([0, *edges], [*edges, len(keys)], strict=True):
        *counts, n = (int(value) for value in keys[a])
        J, places = int(b - a), []
        for k, count in enumerate(counts):
            mine = at_level[k][1][used[k] : used[k] + J * count]
            places.append(mine.reshape(J, count))
            used[k] += J * count
        r = int(np.dot(counts, widths))
        found.append(Stack(slice(row, row + J * n), J, n, tuple(counts), tuple(places), r))
        row += J * n
    return found


def _kinds(stacks: Sequence[Stack]) -> tuple[Kind, ...]:
    found = []
    for counts, mine in groupby(stacks, attrgetter("counts")):
        some = tuple(mine)
        places = tuple(np.concatenate(parts) for parts in zip(*(s.places for s in some), strict=True))
        found.append(Kind(some, sum(s.J for s in some), counts, places, some[0].r))
    return tuple(found)


def _refuse_large(n: int, effects: np.ndarray, sizes: np.ndarray, factors: Sequence[Grouping]) -> None:
    from lmmtools.core.several.sizes import memory_limit

    widest = int(effects.max())
    needed = 8.0 * (10.0 * n * widest + 8.0 * float(np.sum(effects.astype(float) ** 2)))
    if needed <= 1e9 or needed <= memory_limit():
        return
    raise TooLarge(
        f"with a residual structure, {widest:,} random effects that hang together through shared levels or residual "
        f"groups are computed at once, over up to {int(sizes.max()):,} rows: that needs about {needed / 1e9:.0f} GB of "
        f"memory, where {memory_limit() / 1e9:.1f} GB can be used. Leave out a crossed factor or the residual "
        "structure."
    )
