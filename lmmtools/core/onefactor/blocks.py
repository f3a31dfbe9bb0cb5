"""Cross-products in the form the criterion is computed from: within and between groups, and groups merged.

With A = FF' and N = F⁻¹B, the cross-products split into what lies within the groups, C_w = C − Σ N'N, and what Z
explains between them; V⁻¹ shrinks only the second (see pls.py). All terms are then sums of squares: nothing is
subtracted once C_w is known, however far the groups lie apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmmtools.core.onefactor.moments import Moments

__all__ = [
    "Blocks",
    "blocks_of",
    "bordered",
    "by_root",
    "factorise",
    "merge",
    "with_responses",
    "within_by_rows",
    "within_estimate",
    "within_residual",
]

# Below this many groups there is nothing to gain from looking for groups of equal design.
_MIN_GROUPS = 200
# Relative size of a pivot of A that is rounding: the column adds nothing to those before it in this group.
_NO_PIVOT = 1e-12
# Where less of the response than this is left within groups, C − ΣN'N is not accurate enough.
_MOSTLY_BETWEEN = 1e-5


@dataclass(frozen=True)
class Blocks:
    """Cross-products by group, or by pattern of groups that share A.

    Attributes
    ----------
    A : ndarray, shape (r, r, P)
        Z'WZ of each pattern.
    F : ndarray, shape (r, r, P)
        Lower triangular, A = FF'; a zero column where A has no further rank.
    N : ndarray, shape (r, p + 1, K)
        F⁻¹Z'W[X e]; several of the K blocks may belong to one pattern.
    within : ndarray, shape (p + 1, p + 1)
        C_w: [X e]'W[X e] less its projection on the groups' Z.
    C : ndarray, shape (p + 1, p + 1)
        [X e]'W[X e].
    counts : ndarray, shape (P,)
        Number of groups of each pattern.
    pattern : ndarray of int, shape (K,), or None
        Pattern of each block of N, in increasing order; None when block g belongs to pattern g.
    n : int
        Number of rows.
    """

    A: np.ndarray
    F: np.ndarray
    N: np.ndarray
    within: np.ndarray
    C: np.ndarray
    counts: np.ndarray
    pattern: np.ndarray | None
    n: int

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return self.C.shape[0] - 1

    @property
    def B(self) -> np.ndarray:
        """Z'W[X e] of each block, shape (r, p + 1, K)."""
        return np.einsum("abg,bjg->ajg", self.spread(self.F), self.N)

    def spread(self, per_pattern: np.ndarray) -> np.ndarray:
        """Values of a (…, P) array for each block of N, shape (…, K)."""
        return per_pattern if self.pattern is None else per_pattern[..., self.pattern]

    def by_pattern(self, per_block: np.ndarray) -> np.ndarray:
        """Sums of a (…, K) array over the blocks of each pattern, shape (…, P)."""
        if self.pattern is None:
            return per_block
        starts = np.searchsorted(self.pattern, np.arange(self.A.shape[-1]))
        return np.add.reduceat(per_block, starts, axis=-1)


def blocks_of(moments: Moments) -> Blocks:
    """One block a group."""
    F, N = factorise(moments.A, moments.B)
    flat = N.transpose(1, 0, 2).reshape(len(moments.C), -1)
    return Blocks(
        moments.A, F, N, moments.C - flat @ flat.T, moments.C, np.ones(moments.A.shape[-1]), None, moments.n
    )


def with_responses(blocks: Blocks, border: np.ndarray, C: np.ndarray) -> Iterator[Blocks | None]:
    """The same blocks, one a group, with other responses.

    Parameters
    ----------
    blocks : Blocks
    border : ndarray, shape (r, J, m)
        Z'We of each response.
    C : ndarray, shape (p + 1, m)
        [X e]'We of each.

    Yields
    ------
    Blocks or None
        None where what lies within the groups would be lost in differences and must be taken from the rows.
    """
    p = blocks.p
    N = by_root(blocks.F, np.ascontiguousarray(border.transpose(0, 2, 1)))
    own = np.einsum("amg,amg->m", N, N)
    across = np.einsum("ajg,amg->jm", blocks.N[:, :p], N, optimize=True)
    within = C - np.vstack([across, own])
    inverse = np.linalg.pinv(blocks.within[:p, :p], rcond=1e-8, hermitian=True)
    left = within[p] - np.einsum("im,ij,jm->m", within[:p], inverse, within[:p])
    for k in range(C.shape[1]):
        if not left[k] >= _MOSTLY_BETWEEN * C[p, k]:
            yield None
            continue
        last = N[:, k : k + 1]
        yield dataclasses.replace(
            blocks, N=np.concatenate([blocks.N[:, :p], last], axis=1), within=bordered(blocks.within, within[:, k]),
            C=bordered(blocks.C, C[:, k]),
        )  # fmt: skip


def bordered(S: np.ndarray, last: np.ndarray) -> np.ndarray:
    """A symmetric matrix with another last row and column."""
    S = S.copy()
    S[-1], S[:, -1] = last, last
    return S


def within_estimate(blocks: Blocks) -> np.ndarray | None:
    """β from within the groups alone, shape (p,), where almost all of the response lies between them; else None.

    There C_w as a difference has lost its digits, and so will r²: e should be taken about this β instead, and C_w
    from the rows (`within_by_rows`).
    """
    beta, left, _ = _regress_within(blocks)
    return beta if left < _MOSTLY_BETWEEN * blocks.C[-1, -1] else None


def within_residual(blocks: Blocks) -> tuple[float, int]:
    """What X leaves of the response within the groups: its sum of squares and degrees of freedom."""
    _, left, rank = _regress_within(blocks)
    used = int(blocks.counts @ np.count_nonzero(np.diagonal(blocks.F), axis=1))
    return left, blocks.n - used - rank


def _regress_within(blocks: Blocks) -> tuple[np.ndarray, float, int]:
    """β from C_w, the sum of squares it leaves, and the rank of X within the groups."""
    p, W = blocks.p, blocks.within
    beta, _, rank, _ = np.linalg.lstsq(W[:p, :p], W[:p, p], rcond=1e-8)
    return beta, float(W[p, p] - W[:p, p] @ beta), int(rank)


def factorise(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F and N with A = FF', FN = B for every group; rows of N without a pivot are zero."""
    F = np.zeros_like(A)
    for j in range(len(A)):
        column = A[j:, j] - np.einsum("ikg,kg->ig", F[j:, :j], F[j, :j]) if j else A[j:, j]
        pivot = column[0]
        has = pivot > _NO_PIVOT * A[j, j]
        F[j:, j] = column * np.where(has, 1.0 / np.sqrt(np.where(has, pivot, 1.0)), 0.0)
    return F, by_root(F, B)


def by_root(F: np.ndarray, B: np.ndarray) -> np.ndarray:
    """F⁻¹B of every group, F (r, r, J) and B (r, m, J); rows without a pivot are zero."""
    N = np.zeros_like(B)
    for j in range(len(F)):
        pivot = F[j, j]
        rest = B[j] - np.einsum("kg,kig->ig", F[j, :j], N[:j]) if j else B[j]
        N[j] = rest * np.where(pivot > 0, 1.0 / np.where(pivot > 0, pivot, 1.0), 0.0)
    return N


def within_by_rows(
    blocks: Blocks, columns: list[np.ndarray], z: list[int], xy: list[int], codes: np.ndarray
) -> Blocks:
    """The blocks with C_w from the rows' own residuals about their group's least-squares fit.

    The arguments after the first are those of `group_moments`.
    """
    F, N = blocks.F, blocks.N
    coefficients = np.zeros_like(N)
    for i in range(len(z) - 1, -1, -1):  # F'⁻¹N by back substitution
        rest = N[i] - np.einsum("kg,kjg->jg", F[i + 1 :, i], coefficients[i + 1 :])
        pivot = F[i, i]
        coefficients[i] = np.where(pivot > 0, rest / np.where(pivot > 0, pivot, 1.0), 0.0)
    residuals = []
    for b, j in enumerate(xy):
        e = columns[j].copy()
        for a, i in enumerate(z):
            e -= columns[i] * coefficients[a, b][codes]
        residuals.append(e)
    E = np.array(residuals)
    return dataclasses.replace(blocks, within=E @ E.T)


def merge(blocks: Blocks) -> Blocks:
    """Merge groups that share A, when many do.

    Every quantity of the criterion and its derivatives is, within such a pattern, a function of A and of
    Σ vec(N)vec(N)', so the N of c groups are replaced by the R factor of their stack: at most r(p + 1) blocks
    with the same second moments.

    Parameters
    ----------
    blocks : Blocks
        One block a group.

    Returns
    -------
    Blocks
        Equal in every use to the input; the input itself where merging does not pay.
    """
    r, _, n_groups = blocks.A.shape
    width = r * (blocks.p + 1)
    if n_groups < _MIN_GROUPS:
        return blocks
    lower = blocks.A[np.tril_indices(r)]
    sample = lower[:, :: max(n_groups // _MIN_GROUPS, 1)]
    few = _MIN_GROUPS // 2
    # the last row alone nearly always tells, and costs next to nothing
    if len(np.unique(sample[-1])) > few or np.unique(sample, axis=1).shape[1] > few:
        return blocks
    first, inverse, counts = _equal_columns(lower)
    if len(first) * width > n_groups // 2:
        return blocks
    stacks = np.split(
        blocks.N.reshape(width, n_groups)[:, np.argsort(inverse, kind="stable")].T, np.cumsum(counts)[:-1]
    )
    factors = [np.linalg.qr(s, mode="r") if len(s) > width else s for s in stacks]
    return dataclasses.replace(
        blocks,
        A=np.ascontiguousarray(blocks.A[..., first]),
        F=np.ascontiguousarray(blocks.F[..., first]),
        N=np.ascontiguousarray(np.concatenate(factors).T).reshape(r, blocks.p + 1, -1),
        counts=counts.astype(float),
        pattern=np.repeat(np.arange(len(first)), [len(f) for f in factors]),
    )


def _equal_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First place, number of the pattern of each column, and counts, of columns equal to the last bit."""
    if len(values) == 1:
        keys = values[0]
    else:
        keys = np.ascontiguousarray(values.T).view(np.dtype((np.void, 8 * len(values)))).ravel()
    _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return first, inverse, counts
