"""Symmetric sparse matrices that fall into blocks: each block dense, all of one size at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csc_array

__all__ = ["block_sizes", "blockwise", "from_blocks", "stacks"]


def stacks(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Members of each block, (blocks, size) for each size in turn; members in ascending order.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Which block each row belongs to.
    """
    order = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):
        yield order[starts[sizes == size][:, None] + np.arange(size)]


def block_sizes(labels: np.ndarray) -> float:
    """Number of entries of all blocks together."""
    return float(np.sum(np.unique(labels, return_counts=True)[1].astype(float) ** 2))


def from_blocks(blocks: list[tuple[np.ndarray, np.ndarray]], n: int) -> csc_array:
    """The sparse matrix of stacks of members (c, k) and blocks (c, k, k)."""
    rows = [np.broadcast_to(at[:, :, None], dense.shape).ravel() for at, dense in blocks]
    columns = [np.broadcast_to(at[:, None, :], dense.shape).ravel() for at, dense in blocks]
    values = [dense.ravel() for _, dense in blocks]
    if not blocks:
        return csc_array((n, n))
    found = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)).tocsc()
    found.eliminate_zeros()
    return found


def blockwise(A: Any, labels: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> csc_array:
    """`change` of each diagonal block of A, as a sparse matrix.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        Zero between blocks.
    labels : ndarray of int, shape (n,)
    change : callable
        Takes and returns stacks, shape (c, k, k).
    """
    entries, n = A.tocoo(), A.shape[0]
    place, size_of, at_block = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    members = list(stacks(labels))
    for at in members:
        count, size = at.shape
        place[at], size_of[at], at_block[at] = np.arange(size), size, np.arange(count)[:, None]
    made = []
    row, column = entries.coords
    for at in members:
        mine = size_of[row] == at.shape[1]
        i, j = row[mine], column[mine]
        dense = np.zeros((*at.shape, at.shape[1]))
        dense[at_block[i], place[i], place[j]] = entries.data[mine]
        made.append((at, change(dense)))
    return from_blocks(made, n)
