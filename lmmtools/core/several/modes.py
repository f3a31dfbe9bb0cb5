"""Modes of the spherical effects of several factors, their covariances, and the variance of any combination of them.

u = M⁻¹Λ'Z'(y − Xβ̂) = Λ'Wv and Var(u | y) = σ²M⁻¹, M over all effects of all factors. The block of M⁻¹ that belongs
to the last step is the inverse of that step's own M; what was eliminated before adds to it as its stage says.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.modes import Spherical
from lmmtools.core.solution import Solution

__all__ = ["spherical", "spherical_variance"]


def _owners(widths: Sequence[int]) -> list[slice]:
    """Which columns of Λ̃ belong to each factor."""
    return [slice(int(a), int(b)) for a, b in pairwise(np.cumsum([0, *widths]))]


def spherical(products: Any, solution: Solution, widths: Sequence[int]) -> tuple[Spherical, ...]:
    """Modes of each factor at the solution's own Λ̃."""
    inner = solution.inner
    last, Lambda = inner.last, inner.Lambda
    owners = _owners(widths)
    found: dict[int, Spherical] = {}
    for f, home in enumerate(products.order):
        L = Lambda[products.blocks[home], owners[home]]
        W = last.frame.by_level(last.W, f).transpose(0, 2, 1)
        blocks = _with_root(last, f, products.roots[home])
        modes = _modes(L, W, blocks, solution, products.roots[home])
        found[home] = _placed(modes, products.places.get(home))
    if products.head is not None:
        products.head.pull(inner.head, last, solution.kappa())
        stages = products.head.modes(inner.head, last)
        for home, (W, blocks) in zip(products.head.order, stages, strict=True):
            found[home] = _modes(Lambda[products.blocks[home], owners[home]], W, blocks, solution, None)
    return tuple(found[home] for home in range(len(products.blocks)))


def _placed(modes: Spherical, place: np.ndarray | None) -> Spherical:
    """The levels in their own order again."""
    if place is None:
        return modes
    return Spherical(modes.u[..., place], modes.M_inverse[..., place], modes.sensitivity[..., place])


def _modes(L: np.ndarray, W: np.ndarray, blocks: np.ndarray, solution: Solution, root: np.ndarray | None) -> Spherical:
    """From W = Z'V⁻¹[X e], (r, p + 1, J), and the blocks of M⁻¹ in the columns of L that are not zero."""
    half = np.einsum("aw,apj->wpj", L, W)
    if root is not None:
        half = half @ root.T
    used = np.flatnonzero(np.any(L != 0, axis=0))
    prior = np.ones(half.shape[2]) if root is None else np.einsum("jk,jk->j", root, root)
    inverse = np.eye(L.shape[1])[:, :, None] * prior
    inverse[np.ix_(used, used)] = blocks
    u = np.einsum("wpj,p->wj", half, solution.contrast)
    return Spherical(u, inverse, np.ascontiguousarray(half[:, :-1]))


def _with_root(last: Any, f: int, root: np.ndarray | None) -> np.ndarray:
    """Diagonal blocks of M⁻¹ of a factor of the last step, of (L ⊗ I)u where its levels have a known root L."""
    if root is None:
        return last.factors[f].spherical(last.inverse_blocks(f))
    k = last.spheres.widths[f]
    blocks = np.empty((k, k, len(root)))
    for a in range(k):
        for b in range(a + 1):
            inner = last.full_inverse[last.spheres.column(f, a), last.spheres.column(f, b)]
            blocks[a, b] = blocks[b, a] = np.einsum("jk,jk->j", root @ inner, root)
    R = last.factors[f].rotation
    prior = np.einsum("jk,jk->j", root, root)
    return np.einsum("ka,klj,lb->abj", R, blocks, R) + (np.eye(R.shape[1]) - R.T @ R)[:, :, None] * prior


def spherical_variance(products: Any, solution: Solution, rows: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """s'M⁻¹s for every row."""
    inner = solution.inner
    last, Lambda = inner.last, inner.Lambda
    owners = _owners([s.shape[1] for s, _ in rows])
    value = np.zeros(len(rows[0][1]))
    compact = []
    for f, home in enumerate(products.order):
        s, codes = rows[home]
        used = np.any(Lambda[products.blocks[home], owners[home]] != 0, axis=0)
        R, root = last.factors[f].rotation, products.roots[home]
        s = np.where((codes < 0)[:, None], 0.0, s)
        inside = s[:, used] @ R.T
        outside = np.einsum("iw,iw->i", s, s) - np.einsum("ik,ik->i", inside, inside)
        value += outside if root is None else outside * np.einsum("jk,jk->j", root, root)[codes]
        codes, place = np.maximum(codes, 0), products.places.get(home)
        compact.append((inside, codes if place is None else place[codes], root))
    value += _gathered(last, compact)
    if products.head is not None:
        parts = []
        for home in products.head.order:
            s, codes = rows[home]
            used = np.any(Lambda[products.blocks[home], owners[home]] != 0, axis=0)
            s = np.where((codes < 0)[:, None], 0.0, s)
            value += np.einsum("iw,iw->i", s[:, ~used], s[:, ~used])
            parts.append((s[:, used], np.maximum(codes, 0)))
        products.head.pull(inner.head, last, solution.kappa())
        value += products.head.variance(inner.head, last, parts, compact)
    return value


def _gathered(last: Any, compact: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> np.ndarray:
    """Σ s_fa s_gb M⁻¹ over the columns of the last step's factors."""
    value = np.zeros(len(compact[0][1]) if compact else 0)
    if not compact:
        return 0.0
    for f, (s, codes, root) in enumerate(compact):
        for g, (t, others, other_root) in enumerate(compact[: f + 1]):
            times = 1.0 if f == g else 2.0
            for a in range(s.shape[1]):
                for b in range(t.shape[1]):
                    block = last.full_inverse[last.spheres.column(f, a), last.spheres.column(g, b)]
                    block = block if root is None else root @ block
                    block = block if other_root is None else block @ other_root.T
                    value += times * s[:, a] * t[:, b] * block[codes, others]
    return value
