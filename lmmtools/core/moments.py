"""Cross-products of one grouping factor: all that a linear mixed model needs of its rows.

With R = σ²W⁻¹ the criterion depends on the rows only through, per group, A = Z'WZ and B = Z'W[X e] and,
over all rows, C = [X e]'W[X e], with e the response (here: its least-squares residual). Their size does not
depend on the number of rows, and the cross-products of two sets of rows are the sum of theirs.

The group axis comes *last* in every array, so that small dense algebra over many groups is a few long vector
operations rather than many small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Moments", "compress", "group_moments"]

# Below this many groups there is nothing to gain from looking for groups of equal design.
_MIN_GROUPS = 200


@dataclass(frozen=True)
class Moments:
    """Cross-products by group, or by pattern of groups that share A.

    Attributes
    ----------
    A : ndarray, shape (r, r, P)
        Z'WZ of each pattern.
    B : ndarray, shape (r, p + 1, N)
        Z'W[X e]; several columns blocks may belong to one pattern.
    C : ndarray, shape (p + 1, p + 1)
        [X e]'W[X e] over all rows.
    counts : ndarray, shape (P,)
        Number of groups of each pattern.
    pattern : ndarray of int, shape (N,), or None
        Pattern of each block of B, in increasing order; None when block g belongs to pattern g.
    n : int
        Number of rows.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    counts: np.ndarray
    pattern: np.ndarray | None
    n: int

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return self.C.shape[0] - 1

    def __add__(self, other: Moments) -> Moments:
        """Cross-products of the union of two sets of rows over the same groups and columns."""
        if not isinstance(other, Moments):
            return NotImplemented
        if self.pattern is not None or other.pattern is not None or self.A.shape != other.A.shape:
            raise ValueError("moments: only uncompressed cross-products over the same groups can be added")
        return Moments(
            self.A + other.A, self.B + other.B, self.C + other.C, self.counts, None, self.n + other.n
        )

    def spread(self, per_pattern: np.ndarray) -> np.ndarray:
        """Values of a (…, P) array for each block of B, shape (…, N)."""
        return per_pattern if self.pattern is None else per_pattern[..., self.pattern]

    def by_pattern(self, per_block: np.ndarray) -> np.ndarray:
        """Sums of a (…, N) array over the blocks of each pattern, shape (…, P)."""
        if self.pattern is None:
            return per_block
        starts = np.searchsorted(self.pattern, np.arange(self.A.shape[-1]))
        return np.add.reduceat(per_block, starts, axis=-1)


def group_moments(
    columns: list[np.ndarray], z: list[int], xy: list[int], codes: np.ndarray, n_groups: int
) -> Moments:
    """Cross-products of whitened columns by group.

    Parameters
    ----------
    columns : list of ndarray, shape (n,)
        Distinct columns, already multiplied by the square roots of the weights.
    z, xy : list of int
        Which columns form Z (r of them) and [X e] (p + 1 of them); a column may serve in both.
    codes : ndarray of int, shape (n,)
        Group of each row.
    n_groups : int

    Returns
    -------
    Moments
        Uncompressed: one pattern a group.
    """
    sums: dict[tuple[int, int], np.ndarray] = {}

    def total(i: int, j: int) -> np.ndarray:
        key = (min(i, j), max(i, j))
        if key not in sums:
            sums[key] = _group_sum(columns[key[0]], columns[key[1]], codes, n_groups)
        return sums[key]

    A = np.empty((len(z), len(z), n_groups))
    B = np.empty((len(z), len(xy), n_groups))
    for a, i in enumerate(z):
        for b, j in enumerate(z[: a + 1]):
            A[a, b] = A[b, a] = total(i, j)
        for b, j in enumerate(xy):
            B[a, b] = total(i, j)
    C = np.empty((len(xy), len(xy)))
    for a, i in enumerate(xy):
        for b, j in enumerate(xy[: a + 1]):
            C[a, b] = C[b, a] = columns[i] @ columns[j]
    return Moments(A, B, C, np.ones(n_groups), None, len(codes))


def _group_sum(x: np.ndarray, y: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Σ xᵢyᵢ by group; columns of ones (zero stride, made by `broadcast_to`) cost nothing."""
    if x.strides == (0,) and y.strides == (0,):
        return np.bincount(codes, minlength=n_groups) * (x[0] * y[0])
    if x.strides == (0,) or y.strides == (0,):
        constant, varying = (x, y) if x.strides == (0,) else (y, x)
        return np.bincount(codes, weights=varying, minlength=n_groups) * constant[0]
    return np.bincount(codes, weights=x * y, minlength=n_groups)


def compress(moments: Moments) -> Moments:
    """Merge groups that share A, when many do.

    Every quantity of the criterion and its derivatives is, within such a pattern, a function of A and of
    Σ vec(B)vec(B)', so the B of c groups are replaced by the R factor of their stack: at most r(p + 1) blocks
    with the same second moments.

    Parameters
    ----------
    moments : Moments
        Uncompressed.

    Returns
    -------
    Moments
        Equal in every use to the input; the input itself where merging does not pay.
    """
    r, _, n_groups = moments.A.shape
    width = r * (moments.p + 1)
    if n_groups < _MIN_GROUPS:
        return moments
    lower = moments.A[np.tril_indices(r)]
    _, sample = np.unique(lower[:, :: max(n_groups // _MIN_GROUPS, 1)], axis=1, return_index=True)
    if len(sample) > _MIN_GROUPS // 2:
        return moments
    keys = np.ascontiguousarray(lower.T).view(np.dtype((np.void, lower.shape[0] * 8))).ravel()
    if r == 1:
        keys = lower[0]
    _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if len(first) * width > n_groups // 2:
        return moments
    order = np.argsort(inverse, kind="stable")
    blocks = moments.B.reshape(width, n_groups)[:, order].T
    ends = np.cumsum(counts)
    factors = [
        np.linalg.qr(blocks[end - c : end], mode="r") if c > width else blocks[end - c : end]
        for c, end in zip(counts, ends, strict=True)
    ]
    B = np.ascontiguousarray(np.concatenate(factors).T).reshape(r, moments.p + 1, -1)
    pattern = np.repeat(np.arange(len(first)), [len(f) for f in factors])
    A = np.ascontiguousarray(moments.A[..., first])
    return Moments(A, B, moments.C, counts.astype(float), pattern, moments.n)
