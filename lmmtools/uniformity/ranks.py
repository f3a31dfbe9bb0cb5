"""The rank of every residual among those of its row, the data's and all that were drawn."""

from __future__ import annotations

import numpy as np

__all__ = ["along_ranks", "determined", "row_ranks"]

# Numbers sorted at a time, and the size against the others' of residuals that are nothing but rounding.
_AT_ONCE, _NOTHING = 4_000_000, 1e-7


def determined(z: np.ndarray) -> np.ndarray:
    """Whether a row's residual is not zero by construction, as with leverage one; shape (n,)."""
    size = np.abs(z[:, 1:]).max(axis=1)
    return size > _NOTHING * np.median(size)


def row_ranks(z: np.ndarray) -> np.ndarray:
    """How many of the others of its row are smaller, shape (n, m): 0 to m − 1."""
    n, m = z.shape
    ranks = np.empty((n, m), dtype=np.int16 if m < 2**15 else np.int32)
    step = max(_AT_ONCE // m, 1)
    for start in range(0, n, step):
        order = np.argsort(z[start : start + step], axis=1)
        np.put_along_axis(ranks[start : start + step], order, np.arange(m, dtype=ranks.dtype)[None], axis=1)
    return ranks


def along_ranks(x: np.ndarray) -> np.ndarray:
    """Ranks of predictions between 0 and 1, ties, but for rounding, at their mean: ½ where all are equal.

    Parameters
    ----------
    x : ndarray, shape (n,)
    """
    n = len(x)
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    new = np.append(True, np.diff(ordered) > 1e-10 * max(float(np.abs(x).max()), 1e-300))
    level = np.cumsum(new) - 1
    count = np.bincount(level)
    ends = np.cumsum(count)
    found = np.empty(n)
    found[order] = ((ends - count / 2.0) / n)[level]
    return found
