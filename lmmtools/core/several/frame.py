"""Where the effects of several factors stand in one long vector, and small matrices applied level by level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Frame", "mirror"]

# Rows and columns copied at a time when a triangle is mirrored: both tiles stay in cache.
_TILE = 256


@dataclass(frozen=True)
class Frame:
    """Effects of factor after factor, column after column, level after level.

    Attributes
    ----------
    widths : tuple of int
        Number of columns of each factor.
    levels : tuple of int
        Number of levels of each.
    """

    widths: tuple[int, ...]
    levels: tuple[int, ...]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each factor begins, and the end."""
        return tuple(int(s) for s in np.cumsum([0, *(r * J for r, J in zip(self.widths, self.levels, strict=True))]))

    @property
    def N(self) -> int:
        """Number of effects."""
        return self.starts[-1]

    def slice(self, f: int) -> slice:
        """The effects of factor f."""
        return slice(self.starts[f], self.starts[f + 1])

    def column(self, f: int, a: int) -> slice:
        """The effects of column a of factor f."""
        start = self.starts[f] + a * self.levels[f]
        return slice(start, start + self.levels[f])

    def by_level(self, x: np.ndarray, f: int) -> np.ndarray:
        """Rows of factor f of (N, m), as (r_f, J_f, m)."""
        return x[self.slice(f)].reshape(self.widths[f], self.levels[f], *x.shape[1:])

    def apply(self, small: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
        """Rows of (N, m) multiplied by a matrix (k_f, r_f) at every level, (ΣkJ, m)."""
        parts = []
        for f, matrix in enumerate(small):
            part = x[self.slice(f)].reshape(self.widths[f], self.levels[f] * math.prod(x.shape[1:]))
            parts.append((matrix @ part).reshape(len(matrix) * self.levels[f], *x.shape[1:]))
        return np.concatenate(parts) if parts else x[:0]

    def congruence(self, small: Sequence[np.ndarray], x: np.ndarray, *, overwrite: bool = False) -> np.ndarray:
        """Λ'xΛ of a symmetric (N, N) matrix in Fortran order with Λ of (r_f, k_f) at every level.

        Only its lower triangle is read. Where all are scalars the result has no other, and may take the place of x;
        else x is given its upper one.
        """
        if all(s.shape == (1, 1) for s in small):
            d = np.repeat([s[0, 0] for s in small], self.levels)
            out = x if overwrite else np.empty_like(x, order="F")
            np.multiply(x, d[:, None], out=out)
            out *= d
            return out
        mirror(x)
        rows = self.apply([s.T for s in small], np.ascontiguousarray(x.T))
        return self.apply([s.T for s in small], np.ascontiguousarray(rows.T)).T

    def diagonal_blocks(self, x: np.ndarray, f: int) -> np.ndarray:
        """Blocks of each level of factor f, shape (r_f, r_f, J_f), of a matrix whose lower triangle is read."""
        r = self.widths[f]
        out = np.empty((r, r, self.levels[f]))
        for a in range(r):
            for b in range(a + 1):
                out[a, b] = out[b, a] = x[self.column(f, a), self.column(f, b)].diagonal()
        return out

    def quadratic_blocks(self, x: np.ndarray, y: np.ndarray, f: int) -> np.ndarray:
        """Σ_m x_(a,j),m y_(b,j),m of rows of factor f alone, (r_f J_f, m) each: shape (r_f, r_f, J_f)."""
        r, J = self.widths[f], self.levels[f]
        return np.einsum("ajm,bjm->abj", x.reshape(r, J, -1), y.reshape(r, J, -1))


def mirror(x: np.ndarray) -> np.ndarray:
    """Copy the lower triangle of a square matrix to the upper, in place."""
    n = len(x)
    for i in range(0, n, _TILE):
        rows = slice(i, min(i + _TILE, n))
        tile = x[rows, rows]
        x[rows, rows] = np.tril(tile) + np.tril(tile, -1).T
        for j in range(0, i, _TILE):
            x[j : j + _TILE, rows] = x[rows, j : j + _TILE].T
    return x
