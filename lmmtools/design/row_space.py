"""Which linear functions of the fixed effects the data determine."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["determined"]

# What a function asks beyond the rows of X, against the size of what it is the difference of: rank is decided at 1e-7.
_BEYOND = 1e-6


def determined(design: Any, full: np.ndarray, size: np.ndarray | None = None) -> np.ndarray:
    """Whether each row is a combination of the rows of the fixed part's matrix, dropped columns included.

    A dropped column d equals X c on the data. So l is in the row space if and only if l_d = l_kept'c for each of them;
    elsewhere the data give no estimate, and what the kept columns would give depends on which were kept.

    Parameters
    ----------
    design : Design
    full : ndarray, shape (k, p + dropped)
        Linear functions over all columns of the fixed part.
    size : ndarray, shape (k, p + dropped), optional
        Absolute values of what the rows were computed from, where that is more than their own.

    Returns
    -------
    ndarray of bool, shape (k,)

    References
    ----------
    Searle (1971), Linear Models, sec. 5.4.
    """
    found = np.ones(len(full), dtype=bool)
    kept, size = design.recipe.kept, np.abs(full) if size is None else size
    for dropped in design.recipe.dropped:
        beyond = full[:, dropped.column] - full[:, kept] @ dropped.coefficients
        scale = size[:, dropped.column] + size[:, kept] @ np.abs(dropped.coefficients)
        found &= np.abs(beyond) <= _BEYOND * scale
    return found
