"""R over some rows, as a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_array, diags_array

from lmmtools.matrices.blockwise import from_blocks, stacks
from lmmtools.matrices.room import check_room

__all__ = ["residual_matrix"]


def residual_matrix(fit: Any, rows: np.ndarray) -> csc_array:
    """R(φ̂) of some rows, shape (k, k): its entries between them, whatever other rows are correlated with them.

    Parameters
    ----------
    fit : LMMFit
    rows : ndarray of int, shape (k,)

    Raises
    ------
    LMMError
        If the residual groups are too large to write out.
    """
    noise = fit.noise
    if fit.design.correlation is None:
        return diags_array(noise.sd[rows] ** 2).tocsc()
    touched = np.flatnonzero(np.isin(noise.groups, noise.groups[rows]))
    members = list(stacks(noise.groups[touched]))
    longest = max((at.shape[1] for at in members), default=0)
    check_room("R", float(len(noise.sd)) * longest, len(rows))
    # Groups are independent: one column a place within the group colours all of them at once.
    basis = np.zeros((len(noise.sd), longest))
    for at in members:
        basis[touched[at], np.arange(at.shape[1])] = 1.0
    half = noise.colour(basis)[rows]
    return from_blocks([(at, half[at] @ half[at].transpose(0, 2, 1)) for at in stacks(noise.groups[rows])], len(rows))
