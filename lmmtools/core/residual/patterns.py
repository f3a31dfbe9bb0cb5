"""Correlations without a sparse inverse: one dense matrix for every pattern of positions that groups share.

With U = C⁻¹H and Y_k = C_kU:  ∂_kC⁻¹H = −C⁻¹Y_k  and  H'∂_k∂_lC⁻¹H = Y_k'C⁻¹Y_l + Y_l'C⁻¹Y_k − U'C_klU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg.lapack import dpotri

from lmmtools.core.residual.shapes import Shape

__all__ = ["Patterned", "PatternedAt", "patterns_of"]

# Numbers in a stack of rows, one for each of some parameters.
_AT_ONCE = 20_000_000
# From this size on a matrix is inverted by the routine that knows it is symmetric.
_LARGE = 64


@dataclass(frozen=True)
class Pattern:
    """Groups whose rows have the same correlations.

    Attributes
    ----------
    rows : ndarray of int, shape (K, n)
        Rows of each group.
    index : ndarray
        What the shape needs to know of the positions; see `Shape`.
    """

    rows: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Patterned:
    """A `Shape` over groups of rows.

    Attributes
    ----------
    shape : Shape
    patterns : tuple of Pattern
    """

    shape: Shape
    patterns: tuple[Pattern, ...]

    @property
    def m(self) -> int:
        """Number of parameters."""
        return self.shape.m

    def at(self, phi: np.ndarray) -> PatternedAt:
        """C at φ."""
        return PatternedAt(self, phi)


class PatternedAt:
    """`Patterned` at one φ.

    Attributes
    ----------
    logdet : float
        log|C|.
    """

    def __init__(self, law: Patterned, phi: np.ndarray) -> None:
        self._law, self._values = law, law.shape.at(phi)
        self.logdet, self._parts = 0.0, []
        for pattern in law.patterns:
            L, inverse = _factorised(self._values.matrix(pattern.index))
            self.logdet += 2.0 * len(pattern.rows) * float(np.log(np.diagonal(L)).sum())
            self._parts.append((pattern.rows, L, inverse))

    @cached_property
    def smallest(self) -> float:
        """The smallest eigenvalue of C where it may vanish, else infinite."""
        if not self._law.shape.watched:
            return np.inf
        return min(float(np.linalg.eigvalsh(L @ L.T)[0]) for _, L, _ in self._parts)

    @cached_property
    def _derivatives(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Slopes and bends of C, pattern by pattern."""
        return [self._values.derivatives(pattern.index) for pattern in self._law.patterns]

    @cached_property
    def _turned(self) -> list[np.ndarray]:
        """C⁻¹C_k, pattern by pattern."""
        pairs = zip(self._parts, self._derivatives, strict=True)
        return [np.matmul(inverse, C1) for (_, _, inverse), (C1, _) in pairs]

    @cached_property
    def slope(self) -> np.ndarray:
        """∂ log|C|, shape (m,)."""
        out = np.zeros(self._law.m)
        for (rows, _, inverse), (C1, _) in zip(self._parts, self._derivatives, strict=True):
            out += len(rows) * np.tensordot(C1, inverse)
        return out

    @cached_property
    def bend(self) -> np.ndarray:
        """∂² log|C|, shape (m, m)."""
        m = self._law.m
        out = np.zeros((m, m))
        for (rows, _, inverse), turned, (_, C2) in zip(self._parts, self._turned, self._derivatives, strict=True):
            flat = turned.reshape(m, inverse.size)
            out -= len(rows) * (flat @ turned.transpose(0, 2, 1).reshape(m, inverse.size).T)
            if C2 is not None:
                out += len(rows) * np.tensordot(C2, inverse)
        return out

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""
        return self._apply([inverse for _, _, inverse in self._parts], H)

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂_kC⁻¹H."""
        return -self.inverse(self._apply([C1[k] for C1, _ in self._derivatives], U))

    def second(self, H: np.ndarray, U: np.ndarray, contract: Any) -> np.ndarray:
        """contract of H and ∂_k∂_lC⁻¹H, shape (m, m, c); so many parameters at a time as memory likes."""
        m = self._law.m
        step = max(1, _AT_ONCE // max(U.size, 1))
        parts = [slice(k, min(k + step, m)) for k in range(0, m, step)]
        half = [[contract(self._times(k, U), self.inverse(self._times(l, U))) for l in parts] for k in parts]
        out = np.concatenate([np.concatenate(row, axis=1) for row in half]) if m else contract(U[None][:0], U[None][:0])
        out = out + out.transpose(1, 0, 2)
        if any(C2 is not None for _, C2 in self._derivatives):
            for k in range(m):
                bent = np.array([self._apply([C2[k, l] for _, C2 in self._derivatives], U) for l in range(m)])
                out[k] -= contract(U[None], bent)[0]
        return out

    def _times(self, some: slice, U: np.ndarray) -> np.ndarray:
        """C_kU of some parameters, shape (k, n, c)."""
        out = np.empty((some.stop - some.start, *U.shape))
        for (rows, *_), (C1, _) in zip(self._parts, self._derivatives, strict=True):
            out[:, rows] = np.matmul(C1[some, None], U[rows])
        return out

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """L⁻¹H."""
        return self._apply([np.linalg.inv(L) for _, L, _ in self._parts], H)

    def colour(self, H: np.ndarray) -> np.ndarray:
        """LH."""
        return self._apply([L for _, L, _ in self._parts], H)

    def _apply(self, matrices: Sequence[np.ndarray], H: np.ndarray) -> np.ndarray:
        out = np.empty_like(H)
        for (rows, *_), matrix in zip(self._parts, matrices, strict=True):
            out[..., rows, :] = np.matmul(matrix, H[..., rows, :])
        return out


def _factorised(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L with C = LL', and C⁻¹."""
    L = np.linalg.cholesky(C)
    if len(C) < _LARGE:
        root = np.linalg.inv(L)
        return L, root.T @ root
    inverse, failed = dpotri(L, lower=1)
    if failed:
        raise np.linalg.LinAlgError("a correlation matrix is singular")
    return L, np.tril(inverse) + np.tril(inverse, -1).T


def patterns_of(index: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> tuple[Pattern, ...]:
    """Groups with the same positions together.

    Parameters
    ----------
    index : sequence of ndarray
        What the shape needs to know of each group's positions.
    rows : sequence of ndarray of int
        Rows of each group.
    """
    found: dict[tuple[tuple[int, ...], bytes], list[int]] = {}
    for j, positions in enumerate(index):
        found.setdefault((positions.shape, positions.tobytes()), []).append(j)
    return tuple(Pattern(np.array([rows[j] for j in mine]), index[mine[0]]) for mine in found.values())
