"""Cross-products of several grouping factors, from the rows: cell by cell of each pair's cross-table.

The columns of one factor are r working columns, each spread over its levels. Two factors' products fill only the
cells of their cross-table that hold rows, so they are kept by cell, in the order of the first factor's levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmtools.core.onefactor.moments import group_sum, is_repeated

__all__ = ["Cells", "FactorColumns", "border_products", "pair_cells"]

# With at most this many cells in the cross-table for each row, cells are found in a table rather than by sorting.
_TABLE_CELLS_PER_ROW = 4


@dataclass(frozen=True)
class FactorColumns:
    """One grouping factor's part of the random effects' design.

    Attributes
    ----------
    z : list of int
        Its distinct working columns.
    codes : ndarray of int, shape (n,)
        Level of each row.
    n_levels : int
    root : ndarray, shape (n_levels, k), or None
        L with A = LL' the known covariance of the levels: the effects are (L ⊗ I)u.
    """

    z: list[int]
    codes: np.ndarray
    n_levels: int
    root: np.ndarray | None = None

    @property
    def r(self) -> int:
        """Number of working columns."""
        return len(self.z)

    @property
    def n_effects(self) -> int:
        """Number of spherical effects a column."""
        return self.n_levels if self.root is None else self.root.shape[1]


@dataclass(frozen=True)
class Cells:
    """Z_f'Z_g by cell of the cross-table of two factors, sorted by row and then column.

    Attributes
    ----------
    rows, cols : ndarray of int, shape (cells,)
        Effects of the first and the second factor.
    data : ndarray, shape (r_f, r_g, cells)
    """

    rows: np.ndarray
    cols: np.ndarray
    data: np.ndarray

    def moments(self) -> np.ndarray:
        """Σ over cells of data ⊗ data, shape (r_f, r_g, r_f, r_g)."""
        flat = self.data.reshape(-1, self.data.shape[2])
        return (flat @ flat.T).reshape(self.data.shape[:2] * 2)


def pair_cells(columns: Sequence[np.ndarray], f: FactorColumns, g: FactorColumns) -> Cells:
    """Products of two factors, or of one with itself where f is g."""
    if f is g:
        levels = np.arange(f.n_levels)
        data = np.empty((f.r, f.r, f.n_levels))
        for a, i in enumerate(f.z):
            for b, j in enumerate(f.z[: a + 1]):
                data[a, b] = data[b, a] = group_sum(columns[i], columns[j], f.codes, f.n_levels)
        cells = Cells(levels, levels, data)
    else:
        cells = _cross_table(columns, f, g)
    return cells if f.root is None and g.root is None else _with_roots(cells, f, g)


def border_products(columns: Sequence[np.ndarray], f: FactorColumns, xy: Sequence[int]) -> np.ndarray:
    """Z_f'[X e], shape (r_f, p + 1, effects)."""
    out = np.empty((f.r, len(xy), f.n_levels))
    for a, i in enumerate(f.z):
        for b, j in enumerate(xy):
            out[a, b] = group_sum(columns[i], columns[j], f.codes, f.n_levels)
    return out if f.root is None else out @ f.root


def _cross_table(columns: Sequence[np.ndarray], f: FactorColumns, g: FactorColumns) -> Cells:
    n_cells = f.n_levels * g.n_levels
    key = f.codes.astype(np.int64) * g.n_levels + g.codes
    if n_cells <= _TABLE_CELLS_PER_ROW * len(key):
        counts = np.bincount(key, minlength=n_cells)
        found = np.flatnonzero(counts)
        counts = counts[found]

        def sums(weights: np.ndarray) -> np.ndarray:
            return np.bincount(key, weights, minlength=n_cells)[found]
    else:
        order = np.argsort(key)
        ordered = key[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        found, counts = ordered[starts], np.diff(np.append(starts, len(key)))

        def sums(weights: np.ndarray) -> np.ndarray:
            return np.add.reduceat(weights[order], starts)

    data = np.empty((f.r, g.r, len(found)))
    for a, i in enumerate(f.z):
        for b, j in enumerate(g.z):
            x, y = columns[i], columns[j]
            if is_repeated(x) and is_repeated(y):
                data[a, b] = counts * (x[0] * y[0])
            elif is_repeated(x) or is_repeated(y):
                constant, varying = (x, y) if is_repeated(x) else (y, x)
                data[a, b] = sums(varying) * constant[0]
            else:
                data[a, b] = sums(x * y)
    rows, cols = np.divmod(found, g.n_levels)
    return Cells(rows, cols, data)


def _with_roots(cells: Cells, f: FactorColumns, g: FactorColumns) -> Cells:
    """Products of sums over levels, L_f'(Z_f'Z_g)L_g: every cell is filled."""
    data = np.empty((*cells.data.shape[:2], f.n_effects, g.n_effects))
    for a in range(data.shape[0]):
        for b in range(data.shape[1]):
            table = np.zeros((f.n_levels, g.n_levels))
            table[cells.rows, cells.cols] = cells.data[a, b]
            table = table if f.root is None else f.root.T @ table
            data[a, b] = table if g.root is None else table @ g.root
    rows, cols = np.divmod(np.arange(f.n_effects * g.n_effects), g.n_effects)
    return Cells(rows, cols, data.reshape(*data.shape[:2], -1))
