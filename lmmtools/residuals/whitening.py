"""Marginal residuals made independent: K⁻¹(y − Xβ̂ − offset)/σ̂, with K lower triangular and KK' = V.

R = LL' and U = L⁻¹ZΛ give V = L(I + UU')L', so that K = LC with C the Cholesky factor of I + UU': one for each set of
rows that random effects connect. Block by block of its rows, C⁻¹e is what is left of e when the effects, as far as the
rows before tell them, are taken out (the innovations of recursive least squares).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.noise import spherical_effects

__all__ = ["whitened"]

# Rows taken at a time, at least; and rows times the square of the effects that connect them, at most (half a minute).
_BLOCK, _MOST = 256, 2e11


def whitened(fit: Any, e: np.ndarray) -> np.ndarray:
    """K⁻¹e of deviations from the mean, shape (n,).

    Raises
    ------
    ModelError
        If rows that random effects connect, and these effects, are too many.
    """
    e = fit.noise.whiten(e)
    if not fit.design.terms:
        return e
    order = fit.noise.order
    U = spherical_effects(fit, _WHAT, _INSTEAD)[order]
    U.eliminate_zeros()  # effects of variance zero connect nothing
    found = e[order]
    parts = _connected(U)
    cost = sum(len(rows) * min(len(rows), len(effects)) ** 2.0 for rows, effects in parts)
    if cost > _MOST:
        rows, effects = max(parts, key=lambda part: len(part[0]))
        raise ModelError(
            f"{_WHAT}: {counted(len(rows), 'row')} are correlated through {counted(len(effects), 'random effect')}, "
            f"and the root of V takes some {cost:.0e} operations, rows × effects² of what hangs together, more than "
            f"{_MOST:.0e}; {_INSTEAD}."
        )
    place = np.empty(U.shape[1], dtype=np.intp)
    for rows, effects in parts:
        place[effects] = np.arange(len(effects))
        found[rows] = _innovations(U, rows, place, len(effects), found[rows])
    out = np.empty_like(found)
    out[order] = found
    return out


_WHAT = 'residuals of kind="whitened"'
_INSTEAD = 'look at kind="normalized", which takes out the random effects instead of their covariance'


def _connected(U: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows, in order, and effects of each set that hangs together; rows without any effect are left out."""
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    n = U.shape[0]
    _, label = connected_components(block_array([[None, U], [U.T, None]], format="csr"), directed=False)
    by_label = np.argsort(label, kind="stable")
    sets = np.split(by_label, np.flatnonzero(np.diff(label[by_label])) + 1)
    parts = [(members[members < n], members[members >= n] - n) for members in sets]
    return [(rows, effects) for rows, effects in parts if len(rows) and len(effects)]


def _innovations(U: Any, rows: np.ndarray, place: np.ndarray, effects: int, e: np.ndarray) -> np.ndarray:
    """C⁻¹e of one set of rows, C the Cholesky factor of I + UU' there."""
    out = np.empty_like(e)
    block = max(_BLOCK, min(len(rows), effects))
    M, told = np.eye(effects), np.zeros(effects)  # I + U'U and U'e of the rows before
    for start in range(0, len(rows), block):
        mine = slice(start, start + block)
        part = _dense(U, rows[mine], place, effects)
        S, left = part @ part.T, e[mine]
        if start:
            factor = cho_factor(M, lower=True)
            half = solve_triangular(factor[0], part.T, lower=True)
            S, left = half.T @ half, left - part @ cho_solve(factor, told)
        S[np.diag_indices_from(S)] += 1.0
        out[mine] = solve_triangular(cholesky(S, lower=True), left, lower=True)
        if start + block < len(rows):
            M += part.T @ part
            told += part.T @ e[mine]
    return out


def _dense(U: Any, rows: np.ndarray, place: np.ndarray, effects: int) -> np.ndarray:
    """Those rows of a sparse matrix over the effects of their set."""
    starts, ends = U.indptr[rows], U.indptr[rows + 1]
    lengths = ends - starts
    at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    dense = np.zeros((len(rows), effects))
    dense[np.repeat(np.arange(len(rows)), lengths), place[U.indices[at]]] = U.data[at]
    return dense
