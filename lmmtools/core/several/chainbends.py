"""Second derivatives of quadratic forms in what a chain of nested factors leaves, one for every two columns."""

from __future__ import annotations

import numpy as np

from lmmtools.core.onefactor.derivatives import half_bends
from lmmtools.core.several.chain import Chain, ChainState, ChainTangents, Pulled
from lmmtools.core.several.elimination import apply

__all__ = ["half_bends_along"]


def half_bends_along(chain: Chain, state: ChainState, pulled: Pulled, tangents: ChainTangents) -> np.ndarray:
    """Half the second derivatives of ψ'Sψ along each pair of directions, for the ψ (w, k) that was pulled.

    Parameters
    ----------
    chain : Chain
    state : ChainState
    pulled : Pulled
        With ψ as what is `along`.
    tangents : ChainTangents

    Returns
    -------
    ndarray, shape (m, m, k, k)
        What stands beside Φ in the second derivatives of elimination.py, its columns left apart: symmetric in the two
        directions up to the order of the columns.
    """
    own, k = tangents.own, pulled.left[0].along_b.shape[1]
    ends = np.cumsum([0, *map(len, own)])
    value = np.zeros((ends[-1], ends[-1], k, k))
    for f, stage in enumerate(state.stages):
        before, mine = slice(0, ends[f]), slice(ends[f], ends[f + 1])
        y = pulled.left[f].residual(stage.U)
        value[mine, mine] += half_bends(y, stage.P, own[f])
        if ends[f]:
            r, front = chain.products.widths[f], tangents.fronts[f]
            R = front[:, :r, r:] - np.einsum("mabg,bwg->mawg", front[:, :r, :r], stage.D)
            x = pulled.left[f].residual(R)
            value[before, before] -= _inner(x, np.einsum("abg,mbkg->makg", stage.Q, x))
            across = _inner(np.einsum("abg,mbkg->makg", stage.E, x), apply(own[f], y))
            value[before, mine] -= across
            value[mine, before] -= across.swapaxes(0, 1)
    return np.einsum("ik,klpq,jl->ijpq", tangents.coefficients, value, tangents.coefficients, optimize=True)


def _inner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Σ x_i'y_j over rows and levels of (m, r, k, J): shape (m, m, k, k)."""
    return np.tensordot(x, y, axes=([1, 3], [1, 3])).transpose(0, 2, 1, 3)
