"""Least squares within all levels of a factor at once: levels of equally many rows are one stack of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Within", "products", "within"]

# Singular values below this share of the largest, of columns of unit length, are rounding: a covariate that differs
# within a level by less than 1e-10 of its size does not vary there.
_RANK = 1e-10
# A column whose size in a level is this share of its size elsewhere is zero there: what centring leaves of one row.
_NOTHING = 1e-12
# A coefficient is determined where the null space of its level has no part in it. Null vectors are good to rounding
# over the gap of singular values, 1e-16/1e-10.
_DETERMINED = 1e-5


@dataclass(frozen=True, eq=False)
class Within:
    """Regressions within J levels on Q columns, of m right sides.

    Attributes
    ----------
    coef : ndarray, shape (J, Q, m)
        NaN where a coefficient is not determined.
    rss : ndarray, shape (J, m)
    rank : ndarray of int, shape (J,)
    determined : ndarray of bool, shape (J, Q)
    unscaled : ndarray, shape (J, Q, Q)
        (Z_j'Z_j)⁻¹; NaN in rows and columns that are not determined.
    """

    coef: np.ndarray
    rss: np.ndarray
    rank: np.ndarray
    determined: np.ndarray
    unscaled: np.ndarray


def within(Z: np.ndarray, Y: np.ndarray, codes: np.ndarray, J: int) -> Within:
    """Least squares of Y on Z within each level, by singular values of each level's own rows.

    Parameters
    ----------
    Z : ndarray, shape (n, Q)
    Y : ndarray, shape (n, m)
        Both whitened where residuals are not independent and alike.
    codes : ndarray of int, shape (n,)
    J : int

    Notes
    -----
    An undetermined coefficient has no value here, not that of the shortest solution: a pseudo-inverse would return
    one, which is no estimate of anything.
    """
    (_, Q), m = Z.shape, Y.shape[1]
    found = Within(
        np.full((J, Q, m), np.nan), np.zeros((J, m)), np.zeros(J, dtype=int), np.zeros((J, Q), dtype=bool),
        np.full((J, Q, Q), np.nan),
    )  # fmt: skip
    size = np.sqrt(np.mean(Z**2, axis=0))
    for levels, rows in _stacks(codes, J):
        _regress(found, levels, Z[rows], Y[rows], size)
    return found


def products(A: np.ndarray, B: np.ndarray, codes: np.ndarray, J: int) -> np.ndarray:
    """A_j'B_j of each level's rows, shape (J, a, b)."""
    found = np.zeros((J, A.shape[1], B.shape[1]))
    for levels, rows in _stacks(codes, J):
        found[levels] = A[rows].transpose(0, 2, 1) @ B[rows]
    return found


def _stacks(codes: np.ndarray, J: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Levels of one number of rows, shape (K,), and their rows, shape (K, n), for each such number."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=J)
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[counts > 0]):
        levels = np.flatnonzero(counts == n)
        yield levels, order[starts[levels][:, None] + np.arange(n)]


def _regress(found: Within, levels: np.ndarray, Z: np.ndarray, Y: np.ndarray, size: np.ndarray) -> None:
    """The levels of one number of rows: Z of shape (K, n, Q), Y of shape (K, n, m)."""
    length = np.sqrt(np.sum(Z**2, axis=1))
    zero = length <= _NOTHING * np.sqrt(Z.shape[1]) * size
    unit = np.where(zero, 1.0, length)
    U, s, Vt = np.linalg.svd(np.where(zero[:, None, :], 0.0, Z / unit[:, None, :]), full_matrices=False)
    kept = s > _RANK * np.maximum(s[:, :1], 1e-300)
    inverse = np.where(kept, 1.0 / np.where(kept, s, 1.0), 0.0)
    V = Vt.transpose(0, 2, 1)
    projected = np.where(kept[:, :, None], U.transpose(0, 2, 1) @ Y, 0.0)
    coef = (V @ (inverse[:, :, None] * projected)) / unit[:, :, None]
    root = (V * inverse[:, None, :]) / unit[:, :, None]
    unscaled = root @ root.transpose(0, 2, 1)
    seen = np.einsum("kqr,kqr,kr->kq", V, V, kept.astype(float))  # squared length of each axis in the row space
    determined = 1.0 - seen <= _DETERMINED**2
    found.coef[levels] = np.where(determined[:, :, None], coef, np.nan)
    both = determined[:, :, None] & determined[:, None, :]
    found.unscaled[levels] = np.where(both, unscaled, np.nan)
    found.determined[levels] = determined
    found.rank[levels] = kept.sum(axis=1)
    found.rss[levels] = np.sum((Y - U @ projected) ** 2, axis=1)
