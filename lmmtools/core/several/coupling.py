"""The coupling of a factor's many levels with the effects of the last step: sparse rows, some columns of them heavy.

Products Σ V_i'V_i over the levels i are needed at every evaluation. Columns that are filled at many levels go through
dense BLAS, the others through sparse products: popularity is uneven in ratings, purchases and enrolments, and either
alone would do most of its work in the wrong place. Where every two cells of a level can be kept, neither is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import blas, lapack

from lmmtools.core.several.frame import mirror
from lmmtools.core.several.pairs import Pairs, worth_keeping

__all__ = ["Coupling"]

# Multiplications a second, about: dense products; a sparse row times dense ones; sparse times sparse.
_DENSE, _ROWS, _SPARSE = 4e10, 1.5e9, 1e8
# Elements of a dense block of rows at a time.
_CHUNK = 2**23
# So many pairs of cells are kept from one evaluation to the next.
_KEPT_PAIRS = 5e6


class Coupling:
    """The coupling V_i of every level, r rows of it.

    Parameters
    ----------
    n_rows, n_cols : int
        Levels; effects of the last step.
    rows, cols : ndarray of int, shape (cells,)
        Sorted by row, and by column within a row.
    values : ndarray, shape (r, cells)
    leading : bool
        Whether columns are sorted by how many rows they have, about: the first are then the heavy ones.
    """

    def __init__(
        self, n_rows: int, n_cols: int, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, *, leading: bool
    ) -> None:
        self.shape, self.values = (n_rows, n_cols), values
        self.rows, self.cols = rows, cols.astype(np.int32)
        self.counts = np.bincount(rows, minlength=n_rows)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int32)
        by_col = np.bincount(cols, minlength=n_cols)
        order = np.arange(n_cols) if leading else np.argsort(-by_col, kind="stable")
        self._seconds, n_heavy = self._cheapest(by_col, order)
        self.heavy, self.light = np.sort(order[:n_heavy]), np.sort(order[n_heavy:])
        self.leading = n_heavy == 0 or self.heavy[-1] == n_heavy - 1
        place = np.empty(n_cols, np.int32)
        place[self.heavy], place[self.light] = np.arange(n_heavy), np.arange(n_cols - n_heavy)
        is_heavy = np.zeros(n_cols, bool)
        is_heavy[self.heavy] = True
        mask = is_heavy[cols]
        self.in_heavy, self.in_light = np.flatnonzero(mask), np.flatnonzero(~mask)
        heavy_rows = rows[self.in_heavy]
        self.heavy_at = heavy_rows.astype(np.int64) * n_heavy + place[cols[self.in_heavy]]
        self.light_rows, self.light_cols = rows[self.in_light], place[cols[self.in_light]]
        self.heavy_starts = np.searchsorted(heavy_rows, np.arange(n_rows + 1))
        self.light_starts = np.searchsorted(self.light_rows, np.arange(n_rows + 1)).astype(np.int32)

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be made again."""
        return {k: v for k, v in self.__dict__.items() if k not in ("pairs", "_kept_pairs", "matrices")}

    def _cheapest(self, by_col: np.ndarray, order: np.ndarray) -> tuple[float, int]:
        """Seconds for Σ V_i'V_i, and how many columns to take as dense."""
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
        return best

    @cached_property
    def pairs(self) -> Pairs | None:
        """Every two cells of a level, where that is the faster way."""
        r = len(self.values)
        if not worth_keeping(self.counts, r, 1.5 * (r + 1) * r * self._seconds):
            return None
        return Pairs(self.shape[1], self.starts, self.cols, self.values)

    @cached_property
    def matrices(self) -> list[sp.csr_array]:
        """Each row of V_i as a sparse matrix of all levels."""
        return [self.matrix(x) for x in self.values]

    def times(self, Y: np.ndarray) -> np.ndarray:
        """V_iY of every level, (N, m) → (r, levels, m)."""
        Y = np.ascontiguousarray(Y)
        return np.array([matrix @ Y for matrix in self.matrices])

    def back(self, Y: np.ndarray) -> np.ndarray:
        """Σ V_i'Y_i over levels, (r, levels, m) → (N, m)."""
        return sum(matrix.T @ np.ascontiguousarray(y) for matrix, y in zip(self.matrices, Y, strict=True))

    def matrix(self, values: np.ndarray) -> sp.csr_array:
        """Values of one column, (cells,), as a sparse matrix of all levels."""
        return sp.csr_array((values, self.cols, self.starts), shape=self.shape)

    def by_level(self, matrices: np.ndarray) -> np.ndarray:
        """G_iV_i of every level, (k, r, levels) → (k, cells), in the precision of G."""
        out = np.zeros((len(matrices), self.values.shape[1]), dtype=matrices.dtype)
        for a, row in enumerate(matrices):
            for b, entry in enumerate(row):
                out[a] += np.repeat(entry, self.counts) * self.values[b]
        return out

    def _chunks(self) -> Iterator[slice]:
        step = max(_CHUNK // max(len(self.heavy), 1), 1)
        for i in range(0, self.shape[0], step):
            yield slice(i, min(i + step, self.shape[0]))

    def _dense(self, values: np.ndarray, part: slice) -> np.ndarray:
        """Heavy columns of some rows."""
        cells = slice(self.heavy_starts[part.start], self.heavy_starts[part.stop])
        out = np.zeros((part.stop - part.start, len(self.heavy)), dtype=values.dtype)
        at = self.heavy_at[cells]
        at = at - part.start * len(self.heavy) if part.start else at
        out.reshape(-1)[at] = values if len(at) == len(values) else values[self.in_heavy[cells]]
        return out

    def _sparse(self, values: np.ndarray, part: slice) -> sp.csr_array:
        """Light columns of some rows."""
        starts = self.light_starts[part.start : part.stop + 1]
        cells = slice(starts[0], starts[-1])
        shape = (part.stop - part.start, len(self.light))
        return sp.csr_array((values[self.in_light[cells]], self.light_cols[cells], starts - starts[0]), shape=shape)

    def gram(self, G: np.ndarray, *, full: bool) -> np.ndarray:
        """Σ V_i'G_i'G_iV_i over levels, shape (N, N) in Fortran order, its lower triangle or both; G (k, r, levels).

        To about the precision of G.
        """
        if self.pairs is None:
            return self._gram(self.by_level(G), full=full)
        out = self.pairs.gram(np.einsum("kaj,kbj->abj", G, G))
        return mirror(out) if full else out

    def _gram(self, values: np.ndarray, *, full: bool) -> np.ndarray:
        n_heavy, n_light, dtype = len(self.heavy), len(self.light), values.dtype
        syrk = blas.ssyrk if dtype == np.float32 else blas.dsyrk
        dense, across = np.zeros((n_heavy, n_heavy), dtype, order="F"), np.zeros((n_light, n_heavy), dtype)
        for part in self._chunks() if n_heavy else ():
            for V in values:
                D = self._dense(V, part)
                dense = syrk(1.0, D.T, beta=1.0, c=dense, overwrite_c=1, lower=1)
                if n_light:
                    across += self._sparse(V, part).T @ D
        rest = None
        for V in values if n_light else ():
            light = self._sparse(V, slice(0, self.shape[0]))
            square = light.T.tocsr() @ light
            rest = square if rest is None else rest + square
        out = np.zeros((self.shape[1],) * 2, dtype, order="F")
        if self.leading:
            out[:n_heavy, :n_heavy] = dense
            out[n_heavy:, :n_heavy] = across
            if rest is not None:
                out[n_heavy:, n_heavy:] = rest.toarray().T
            return mirror(out) if full else out
        out[np.ix_(self.heavy, self.heavy)] = mirror(dense)
        out[np.ix_(self.light, self.heavy)] = across
        out[np.ix_(self.heavy, self.light)] = across.T
        if rest is not None:
            rest = rest.tocoo()
            out[self.light[rest.coords[0]], self.light[rest.coords[1]]] = rest.data
        return out

    def quadratic(self, last: Any) -> np.ndarray:
        """V_iQV_i' of every level, shape (r, r, levels), with the Q of a last step."""
        if self.pairs is not None:
            return self.pairs.quadratic(last.lower_Q)
        scale, weight = last.weight()
        return self._quadratic(self.values if scale is None else self.values * scale[self.cols], weight)

    def _quadratic(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        r, n_heavy, n_light = len(values), len(self.heavy), len(self.light)
        out = np.zeros((r, r, self.shape[0]))
        if n_heavy:
            times = _half(self._block(weight, self.heavy, self.heavy))
            across = np.ascontiguousarray(self._block(weight, self.light, self.heavy))
            for part in self._chunks():
                D = [self._dense(V, part) for V in values]
                L = [self._sparse(V, part) @ across for V in values] if n_light else None
                left, right = times(D)
                for a in range(r):
                    for b in range(a + 1):
                        out[a, b, part] = np.einsum("ij,ij->i", left[a], right[b])
                        if L is not None:
                            out[a, b, part] += np.einsum("ij,ij->i", L[a], D[b])
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


def _half(weight: np.ndarray) -> Callable[[list[np.ndarray]], tuple[list[np.ndarray], list[np.ndarray]]]:
    """What takes every D to (X, Y) with XY' = D weight D': through a triangular root if there is one, half the work."""
    root, info = lapack.dpotrf(weight, lower=1, clean=0)
    if info:
        return lambda D: ([blas.dsymm(1.0, weight, x.T, lower=1).T for x in D], D)

    def times(D: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        X = [blas.dtrmm(1.0, root, x.T, lower=1, trans_a=1).T for x in D]
        return X, X

    return times
