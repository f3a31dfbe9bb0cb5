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

__all__ = ["Moments", "group_moments", "group_sum", "is_repeated"]


@dataclass(frozen=True)
class Moments:
    """Cross-products by group.

    Attributes
    ----------
    A : ndarray, shape (r, r, J)
        Z'WZ of each group.
    B : ndarray, shape (r, p + 1, J)
        Z'W[X e].
    C : ndarray, shape (p + 1, p + 1)
        [X e]'W[X e] over all rows.
    n : int
        Number of rows.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    n: int

    def __add__(self, other: Moments) -> Moments:
        """Cross-products of the union of two sets of rows over the same groups and columns."""
        if not isinstance(other, Moments):
            return NotImplemented
        if self.A.shape != other.A.shape or self.B.shape != other.B.shape:
            raise ValueError("moments: only cross-products over the same groups and columns can be added")
        return Moments(self.A + other.A, self.B + other.B, self.C + other.C, self.n + other.n)


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
    """
    sums: dict[tuple[int, int], np.ndarray] = {}

    def total(i: int, j: int) -> np.ndarray:
        key = (min(i, j), max(i, j))
        if key not in sums:
            sums[key] = group_sum(columns[key[0]], columns[key[1]], codes, n_groups)
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
    return Moments(A, B, C, len(codes))


def group_sum(x: np.ndarray, y: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Σ xᵢyᵢ by group; columns of ones cost nothing."""
    if is_repeated(x) and is_repeated(y):
        return np.bincount(codes, minlength=n_groups) * (x[0] * y[0])
    if is_repeated(x) or is_repeated(y):
        constant, varying = (x, y) if is_repeated(x) else (y, x)
        return np.bincount(codes, weights=varying, minlength=n_groups) * constant[0]
    return np.bincount(codes, weights=x * y, minlength=n_groups)


def is_repeated(column: np.ndarray) -> bool:
    """Whether a column is one number repeated without storage, as `broadcast_to` makes it."""
    return column.strides == (0,)
