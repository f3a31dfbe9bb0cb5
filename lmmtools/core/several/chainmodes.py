"""Conditional modes of a chain's effects, their covariances, and quadratic forms in them.

With the border's effects known, the chain's follow root to leaf: given those of the coarser factors b_c and a vector g
over the border, Z'V⁻¹Yg = U[−b_c; g] at every level of a factor, its modes are b = TZ'V⁻¹Yg, and the spherical ones
u = Λ'Z'V⁻¹Yg. Their joint covariance over σ² is that of a walk down the tree with independent steps of covariance
(I + Λ'AΛ)⁻¹, so that a quadratic form is gathered leaf to root. Levels come in the order of the factors' codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.core.several.chain import Chain, ChainState
from lmmtools.core.several.elimination import by_level

__all__ = ["inverse_blocks", "marginal_products", "quadratic"]


def marginal_products(chain: Chain, state: ChainState, border: np.ndarray) -> list[np.ndarray]:
    """Z'V⁻¹[X e] of each factor, shape (r_f, k, J_f).

    Parameters
    ----------
    chain : Chain
    state : ChainState
    border : ndarray, shape (w, k)
        For each column minus the modes of the border's effects, then a vector over [X e].
    """
    k = border.shape[1]
    coarser = np.zeros((0, k, state.stages[-1].A.shape[-1]))
    found: list[np.ndarray] = []
    for f in reversed(range(len(state.stages))):
        stage = state.stages[f]
        if f < len(chain.links):
            coarser = chain.links[f].down(coarser)
        c = len(coarser)
        value = np.matmul(border.T, stage.U[:, c:])
        if c:
            value -= by_level(stage.U[:, :c], coarser)
        found.insert(0, value[..., chain.products.places[f]])
        b = np.matmul(border.T, stage.D[:, c:])
        if c:
            b -= by_level(stage.D[:, :c], coarser)
        coarser = np.concatenate([b, coarser])
    return found


def inverse_blocks(chain: Chain, state: ChainState, border: np.ndarray) -> list[np.ndarray]:
    """Diagonal blocks of M⁻¹, the covariance over σ² of each level's spherical effects, shape (k_f, k_f, J_f).

    Parameters
    ----------
    chain : Chain
    state : ChainState
    border : ndarray, shape (w, w)
        Covariance over σ² of the border's effects, zero for [X e].
    """
    pulled = chain.pull(state, border, np.zeros((len(border), 0)))
    found = []
    for stage, weights, place in zip(state.stages, pulled.left, chain.products.places, strict=True):
        spread = np.einsum("awg,bwg->abg", weights.times(stage.solved), stage.solved)
        found.append((stage.spherical + spread)[..., place])
    return found


def quadratic(
    chain: Chain, state: ChainState, rows: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Quadratic forms s'M⁻¹s in the spherical effects, up to the border's part.

    Parameters
    ----------
    chain : Chain
    state : ChainState
    rows : sequence of (s, codes)
        For each factor of the chain s (n, k_f) and its level, −1 for none. The levels need not lie in each other.

    Returns
    -------
    value : ndarray, shape (n,)
        The chain's part.
    border : ndarray, shape (n, w)
        What to add to the rows' own vector over the border before the border's form is taken.
    """
    n = len(rows[0][1])
    value, border = np.zeros(n), np.zeros((n, len(chain.C)))
    paths: list[_Path] = []
    for f, ((s, codes), stage, place) in enumerate(zip(rows, state.stages, chain.products.places, strict=True)):
        r, c = len(stage.A), sum(chain.products.widths[f + 1 :])
        own = np.where(codes < 0, -1, place[np.maximum(codes, 0)])
        arriving = [(level, beyond[:, :r] @ stage.Lambda, beyond[:, r:]) for level, _, beyond in paths]
        paths = []
        for level, vector, beyond in _joined([*arriving, (own, s, np.zeros((n, c)))]):
            here = np.flatnonzero(level >= 0)
            at, x = level[here], vector[here]
            value[here] += np.einsum("ia,abi,ib->i", x, stage.spherical[..., at], x)
            push = np.einsum("awi,ia->iw", stage.solved[..., at], x)
            border[here] -= push[:, c:]
            if c:
                beyond[here] -= push[:, :c]
                above = np.full(n, -1, dtype=np.intp)
                above[here] = chain.links[f].parent[at]
                paths.append((above, vector, beyond))
    return value, border


# Of every row: the level it has come to (−1: none), its vector there, and what it has gathered for coarser factors.
_Path = tuple[np.ndarray, np.ndarray, np.ndarray]


def _joined(paths: list[_Path]) -> list[_Path]:
    """Paths that have come to the same level of a row made one."""
    found: list[_Path] = []
    for level, vector, beyond in paths:
        level, vector, beyond = level.copy(), vector.copy(), beyond.copy()
        for other, there, gathered in found:
            same = (level >= 0) & (other == level)
            there[same] += vector[same]
            gathered[same] += beyond[same]
            level[same] = -1
        if np.any(level >= 0):
            found.append((level, vector, beyond))
    return found
