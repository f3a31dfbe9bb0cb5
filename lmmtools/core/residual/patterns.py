"""Correlations without a sparse inverse: one dense matrix for every pattern of positions that groups share.

With U = C⁻¹H and Y_k = C_kU:  ∂_kC⁻¹H = −C⁻¹Y_k  and  H'∂_k∂_lC⁻¹H = Y_k'C⁻¹Y_l + Y_l'C⁻¹Y_k − U'C_klU.
Patterns of as many rows are computed together.
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

# Numbers in a stack of rows, one for each of some parameters; in derivatives of C that are kept.
_AT_ONCE = 20_000_000
# From this size on a matrix is inverted by the routine that knows it is symmetric.
_LARGE = 64


@dataclass(frozen=True)
class Batch:
    """Patterns of n rows, and the groups that have them.

    Attributes
    ----------
    rows : ndarray of int, shape (J, n)
        Rows of each group, those of a pattern one after the other.
    which : ndarray of int, shape (J,)
        Pattern of each group.
    counts : ndarray of int, shape (P,)
        Groups of each pattern.
    index : ndarray, shape (P, n, n)
        What the shape needs to know of the positions; see `Shape`.
    """

    rows: np.ndarray
    which: np.ndarray
    counts: np.ndarray
    index: np.ndarray

    def of_groups(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices (…, P, n, n) of the patterns as those of the groups, (…, J, n, n) or what broadcasts to it."""
        every = len(self.counts) in (1, len(self.which))
        return matrices if every else matrices[..., self.which, :, :]


@dataclass(frozen=True)
class Patterned:
    """A `Shape` over groups of rows.

    Attributes
    ----------
    shape : Shape
    batches : tuple of Batch
    """

    shape: Shape
    batches: tuple[Batch, ...]

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
        self.logdet, self._parts, self._known = 0.0, [], {}
        for batch in law.batches:
            L, inverse = _factorised(self._values.matrix(batch.index))
            self.logdet += 2.0 * float(batch.counts @ np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1))
            self._parts.append((batch, L, inverse))

    @cached_property
    def smallest(self) -> float:
        """The smallest eigenvalue of C where it may vanish, else infinite."""
        if not self._law.shape.watched:
            return np.inf
        return min(float(np.linalg.eigvalsh(L @ L.transpose(0, 2, 1)).min()) for _, L, _ in self._parts)

    def _derivatives(self, i: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Slopes (m, P, n, n) and bends (m, m, P, n, n) of C of one batch; None where all bends are zero."""
        if i not in self._known:
            found = self._values.derivatives(self._parts[i][0].index)
            if sum(part.size for part in found if part is not None) * len(self._parts) > _AT_ONCE:
                return found
            self._known[i] = found
        return self._known[i]

    @cached_property
    def slope(self) -> np.ndarray:
        """∂ log|C|, shape (m,)."""
        out = np.zeros(self._law.m)
        for i, (batch, _, inverse) in enumerate(self._parts):
            C1 = self._derivatives(i)[0]
            out += C1.reshape(len(out), inverse.size) @ (batch.counts[:, None, None] * inverse).ravel()
        return out

    @cached_property
    def bend(self) -> np.ndarray:
        """∂² log|C|, shape (m, m)."""
        m = self._law.m
        out = np.zeros((m, m))
        for i, (batch, _, inverse) in enumerate(self._parts):
            C1, C2 = self._derivatives(i)
            turned, weight = np.matmul(inverse, C1), batch.counts[:, None, None]
            mirrored = (weight * turned).transpose(0, 1, 3, 2).reshape(m, inverse.size)
            out -= turned.reshape(m, inverse.size) @ mirrored.T
            if C2 is not None:
                out += C2.reshape(m, m, inverse.size) @ (weight * inverse).ravel()
        return out

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""
        return self._apply([inverse for _, _, inverse in self._parts], H)

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂_kC⁻¹H."""
        slopes = [self._derivatives(i)[0][k] for i in range(len(self._parts))]
        return -self.inverse(self._apply(slopes, U))

    def second(self, H: np.ndarray, U: np.ndarray, contract: Any) -> np.ndarray:
        """contract of H and ∂_k∂_lC⁻¹H, shape (m, m, c); so many parameters at a time as memory likes."""
        m = self._law.m
        step = max(1, _AT_ONCE // max(U.size, 1))
        parts = [slice(k, min(k + step, m)) for k in range(0, m, step)]
        half = [[contract(self._times(k, U), self.inverse(self._times(l, U))) for l in parts] for k in parts]
        out = np.concatenate([np.concatenate(row, axis=1) for row in half]) if m else contract(U[None][:0], U[None][:0])
        out = out + out.transpose(1, 0, 2)
        bends = [self._derivatives(i)[1] for i in range(len(self._parts))]
        if any(C2 is not None for C2 in bends):
            for k in range(m):
                bent = np.array([self._apply([C2[k, l] for C2 in bends], U) for l in range(m)])
                out[k] -= contract(U[None], bent)[0]
        return out

    def _times(self, some: slice, U: np.ndarray) -> np.ndarray:
        """C_kU of some parameters, shape (k, n, c)."""
        out = np.empty((some.stop - some.start, *U.shape))
        for i, (batch, *_) in enumerate(self._parts):
            near = U[batch.rows]
            for k, C1 in enumerate(self._derivatives(i)[0][some]):
                out[k, batch.rows] = np.matmul(batch.of_groups(C1), near)
        return out

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """L⁻¹H."""
        return self._apply([np.linalg.inv(L) for _, L, _ in self._parts], H)

    def colour(self, H: np.ndarray) -> np.ndarray:
        """LH."""
        return self._apply([L for _, L, _ in self._parts], H)

    def _apply(self, matrices: Sequence[np.ndarray], H: np.ndarray) -> np.ndarray:
        out = np.empty_like(H)
        for (batch, *_), matrix in zip(self._parts, matrices, strict=True):
            out[..., batch.rows, :] = np.matmul(batch.of_groups(matrix), H[..., batch.rows, :])
        return out


def _factorised(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L with C = LL', and C⁻¹, of matrices (P, n, n)."""
    L = np.linalg.cholesky(C)
    if C.shape[1] < _LARGE:
        root = np.linalg.inv(L)
        return L, np.matmul(root.transpose(0, 2, 1), root)
    inverse = np.empty_like(C)
    for one, root in zip(inverse, L, strict=True):
        found, failed = dpotri(root, lower=1)
        if failed:
            raise np.linalg.LinAlgError("a correlation matrix is singular")
        one[:] = np.tril(found) + np.tril(found, -1).T
    return L, inverse


def patterns_of(index: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> tuple[Batch, ...]:
    """Groups with the same positions together, and patterns of as many rows.

    Parameters
    ----------
    index : sequence of ndarray
        What the shape needs to know of each group's positions.
    rows : sequence of ndarray of int
        Rows of each group.
    """
    found: dict[int, dict[bytes, list[int]]] = {}
    for j, positions in enumerate(index):
        found.setdefault(len(positions), {}).setdefault(positions.tobytes(), []).append(j)
    batches = []
    for patterns in found.values():
        counts = np.array([len(mine) for mine in patterns.values()])
        groups = [j for mine in patterns.values() for j in mine]
        first = np.array([index[mine[0]] for mine in patterns.values()])
        which = np.repeat(np.arange(len(counts)), counts)
        batches.append(Batch(np.array([rows[j] for j in groups]), which, counts, first))
    return tuple(batches)
