"""The coupling of a factor's many levels with the effects of the last step: sparse rows, some columns of them heavy.

Products Σ V_i'V_i over the levels i are needed at every evaluation. Columns that are filled at many levels go through
dense BLAS, the others through sparse products: popularity is uneven in ratings, purchases and enrolments, and either
alone would do most of its work in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.linalg import blas

from lmmtools.core.several.frame import mirror

__all__ = ["Coupling"]

# Multiplications a second, about: dense products; a sparse row times dense ones; sparse times sparse.
_DENSE, _ROWS, _SPARSE = 4e10, 1.5e9, 1e8
# Elements of a dense block of rows at a time.
_CHUNK = 2**23
# So many pairs of cells are kept from one evaluation to the next.
_KEPT_PAIRS = 5e6


class Coupling:
    """Sparsity of the coupling, with r values a cell; (r, cells) arrays of values are given to its methods.

    Parameters
    ----------
    n_rows, n_cols : int
        Levels; effects of the last step.
    rows, cols : ndarray of int, shape (cells,)
        Sorted by row.
    leading : bool
        Whether columns are sorted by how many rows they have, about: the first are then the heavy ones.
    """

    def __init__(self, n_rows: int, n_cols: int, rows: np.ndarray, cols: np.ndarray, *, leading: bool) -> None:
        self.shape = (n_rows, n_cols)
        self.rows, self.cols = rows, cols.astype(np.int32)
        self.counts = np.bincount(rows, minlength=n_rows)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int32)
        by_col = np.bincount(cols, minlength=n_cols)
        order = np.arange(n_cols) if leading else np.argsort(-by_col, kind="stable")
        n_heavy = self._cheapest(by_col, order)
        self.heavy, self.light = np.sort(order[:n_heavy]), np.sort(order[n_heavy:])
        self.leading = n_heavy == 0 or self.heavy[-1] == n_heavy - 1
        place = np.empty(n_cols, np.int32)
        place[self.heavy], place[self.light] = np.arange(n_heavy), np.arange(n_cols - n_heavy)
        is_heavy = np.zeros(n_cols, bool)
        is_heavy[self.heavy] = True
        mask = is_heavy[cols]
        self.in_heavy, self.in_light = np.flatnonzero(mask), np.flatnonzero(~mask)
        self.heavy_rows, self.heavy_cols = rows[self.in_heavy], place[cols[self.in_heavy]]
        self.light_rows, self.light_cols = rows[self.in_light], place[cols[self.in_light]]
        self.heavy_starts = np.searchsorted(self.heavy_rows, np.arange(n_rows + 1))
        self.light_starts = np.searchsorted(self.light_rows, np.arange(n_rows + 1)).astype(np.int32)

    def _cheapest(self, by_col: np.ndarray, order: np.ndarray) -> int:
        """How many columns to take as dense."""
        n_rows, n_cols = self.shape
        place = np.empty(n_cols, np.int64)
        place[order] = np.arange(n_cols)
        at = place[self.cols]
        best = (np.inf, 0)
        for share in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0):
            heavy = int(np.ceil(share * n_cols))
            light = np.bincount(self.rows[at >= heavy], minlength=n_rows).astype(float)
            cost = 2.0 * n_rows * heavy**2 / _DENSE + light.sum() * heavy / _ROWS + light @ light / _SPARSE
            best = min(best, (cost, heavy))
        return best[1]

    def matrix(self, values: np.ndarray) -> sp.csr_array:
        """Values of one column, (cells,), as a sparse matrix of all levels."""
        return sp.csr_array((values, self.cols, self.starts), shape=self.shape)

    def by_level(self, matrices: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values (r, cells) multiplied at every level by a matrix, (k, r, levels) → (k, cells)."""
        out = np.zeros((len(matrices), values.shape[1]))
        for a, row in enumerate(matrices):
            for b, entry in enumerate(row):
                out[a] += np.repeat(entry, self.counts) * values[b]
        return out

    def _chunks(self) -> Iterator[slice]:
        step = max(_CHUNK // max(len(self.heavy), 1), 1)
        for i in range(0, self.shape[0], step):
            yield slice(i, min(i + step, self.shape[0]))

    def _dense(self, values: np.ndarray, part: slice) -> np.ndarray:
        """Heavy columns of some rows."""
        cells = slice(self.heavy_starts[part.start], self.heavy_starts[part.stop])
        out = np.zeros((part.stop - part.start, len(self.heavy)))
        out[self.heavy_rows[cells] - part.start, self.heavy_cols[cells]] = values[self.in_heavy[cells]]
        return out

    def _sparse(self, values: np.ndarray, part: slice) -> sp.csr_array:
        """Light columns of some rows."""
        starts = self.light_starts[part.start : part.stop + 1]
        cells = slice(starts[0], starts[-1])
        shape = (part.stop - part.start, len(self.light))
        return sp.csr_array((values[self.in_light[cells]], self.light_cols[cells], starts - starts[0]), shape=shape)

    def gram(self, values: np.ndarray, *, full: bool) -> np.ndarray:
        """Σ V_a'V_a over rows and a, shape (N, N) in Fortran order; its lower triangle, or both."""
        n_heavy, n_light = len(self.heavy), len(self.light)
        dense, across = np.zeros((n_heavy, n_heavy), order="F"), np.zeros((n_light, n_heavy))
        for part in self._chunks() if n_heavy else ():
            for V in values:
                D = self._dense(V, part)
                dense = blas.dsyrk(1.0, D.T, beta=1.0, c=dense, overwrite_c=1, lower=1)
                if n_light:
                    across += self._sparse(V, part).T @ D
        rest = None
        for V in values if n_light else ():
            light = self._sparse(V, slice(0, self.shape[0]))
            square = light.T.tocsr() @ light
            rest = square if rest is None else rest + square
        out = np.zeros((self.shape[1],) * 2, order="F")
        if self.leading:
            out[:n_heavy, :n_heavy] = dense
            out[n_heavy:, :n_heavy] = across
            if rest is not None:
                _add(out[n_heavy:, n_heavy:], rest)
            return mirror(out) if full else out
        out[np.ix_(self.heavy, self.heavy)] = mirror(dense)
        out[np.ix_(self.light, self.heavy)] = across
        out[np.ix_(self.heavy, self.light)] = across.T
        if rest is not None:
            rest = rest.tocoo()
            out[self.light[rest.coords[0]], self.light[rest.coords[1]]] = rest.data
        return out

    def quadratic(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """V_i weight V_i' of every level, shape (r, r, levels), of a symmetric weight with both triangles."""
        r, n_heavy, n_light = len(values), len(self.heavy), len(self.light)
        out = np.zeros((r, r, self.shape[0]))
        if n_heavy:
            dense = self._block(weight, self.heavy, self.heavy)
            across = np.ascontiguousarray(self._block(weight, self.light, self.heavy))
            for part in self._chunks():
                D = [self._dense(V, part) for V in values]
                L = [self._sparse(V, part) @ across for V in values] if n_light else None
                for a in range(r):
                    half = blas.dsymm(1.0, dense, D[a].T, lower=1).T
                    half = half if L is None else half + L[a]
                    for b in range(a + 1):
                        out[a, b, part] = np.einsum("ij,ij->i", half, D[b])
                        if L is not None:
                            out[a, b, part] += np.einsum("ij,ij->i", D[a], L[b])
        if n_light:
            self._add_light(out, values, weight)
        for a in range(r):
            out[:a, a] = out[a, :a]
        return out

    def _block(self, weight: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        if len(rows) == len(weight) == len(cols):
            return weight
        if self.leading:
            n = len(self.heavy)
            return weight[: n if rows is self.heavy else None, :n] if rows is self.heavy else weight[n:, :n]
        return weight[np.ix_(rows, cols)]

    def _add_light(self, out: np.ndarray, values: np.ndarray, weight: np.ndarray) -> None:
        """Add what light cells give: each alone, and every two of one row."""
        light = [V[self.in_light] for V in values]
        alone = weight.diagonal()[self.light[self.light_cols]]
        flat = weight.T.reshape(-1)
        for a, V in enumerate(light):
            for b in range(a + 1):
                out[a, b] += np.bincount(self.light_rows, V * light[b] * alone, minlength=self.shape[0])
        for first, second, at, starts, levels in self._pairs:
            w = flat[at]
            for a, V in enumerate(light):
                x, y = V[first] * w, V[second]
                for b in range(a):
                    z = V[second] * w
                    out[a, b, levels] += np.add.reduceat(x * light[b][second] + z * light[b][first], starts)
                x *= y
                out[a, a, levels] += 2.0 * np.add.reduceat(x, starts)

    @property
    def _pairs(self) -> Iterable[tuple[np.ndarray, ...]]:
        return self._kept_pairs or self._make_pairs()

    @cached_property
    def _kept_pairs(self) -> list[tuple[np.ndarray, ...]]:
        """The pairs, if they are few."""
        per_row = np.diff(self.light_starts).astype(float)
        return list(self._make_pairs()) if 0.5 * per_row @ per_row <= _KEPT_PAIRS else []

    def _make_pairs(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Pairs of light cells of one row: first > second, their place in a matrix, where each level begins."""
        begins = self.light_starts.astype(np.int64)
        own = np.arange(begins[-1]) - np.repeat(begins[:-1], np.diff(begins))  # place of a cell in its row
        before = np.concatenate([[0], np.cumsum(own)])
        per_level = before[begins]
        cols, index = self.light[self.light_cols], np.int32 if self.shape[1] < 46000 else np.int64
        level = 0
        while level < self.shape[0]:
            stop = int(np.searchsorted(per_level, per_level[level] + _CHUNK // 4, side="right")) - 1
            stop = min(max(stop, level + 1), self.shape[0])
            cells = np.arange(begins[level], begins[stop])
            first = np.repeat(cells, own[cells])
            if len(first):
                # The k-th pair of cell c, counted from where its pairs begin, is with the k-th cell of its row.
                begin = before[cells] - per_level[level] + own[cells] - cells
                second = np.arange(len(first)) - np.repeat(begin, own[cells])
                at = cols[first].astype(index) * self.shape[1] + cols[second]
                levels = level + np.flatnonzero(np.diff(per_level[level : stop + 1]))
                starts = per_level[levels] - per_level[level]
                yield first.astype(np.int32), second.astype(np.int32), at.astype(index), starts, levels
            level = stop

    @cached_property
    def size(self) -> int:
        """Number of cells."""
        return len(self.rows)


def _add(out: np.ndarray, sparse: sp.csr_array) -> None:
    """Add a sparse matrix to a view, row by row of its stored entries."""
    sparse = sparse.tocoo()
    out[sparse.coords[0], sparse.coords[1]] += sparse.data
