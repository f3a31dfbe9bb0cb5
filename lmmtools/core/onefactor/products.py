"""The products of one grouping factor: criterion, derivatives, identification and modes, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmmtools.core.identify import Gram
from lmmtools.core.modes import Spherical
from lmmtools.core.onefactor.blocks import (
    Blocks,
    blocks_of,
    merge,
    with_responses,
    within_by_rows,
    within_estimate,
    within_residual,
)
from lmmtools.core.onefactor.derivatives import BlockDerivatives, derivatives
from lmmtools.core.onefactor.moments import group_moments
from lmmtools.core.onefactor.pls import inverse_root, solve_pls
from lmmtools.core.solution import Solution

__all__ = ["OneFactor", "one_factor", "one_factor_within"]


@dataclass(frozen=True)
class OneFactor:
    """Cross-products of one grouping factor, merged by pattern for the search.

    Attributes
    ----------
    blocks : Blocks
        What solutions are computed from.
    groups : Blocks
        One block a group.
    """

    blocks: Blocks
    groups: Blocks

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.blocks.n

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return self.blocks.p

    @property
    def exact(self) -> OneFactor:
        """One block a group, nothing merged."""
        return OneFactor(self.groups, self.groups)

    def with_responses(self, borders: Sequence[np.ndarray], C: np.ndarray) -> Iterator[OneFactor | None]:
        """The same products with other responses; see `Products.with_responses`."""
        (border,) = borders
        merged = self.blocks is not self.groups
        for groups in with_responses(self.groups, border, C):
            yield None if groups is None else OneFactor(merge(groups) if merged else groups, groups)

    def solve(self, Lambda: np.ndarray, *, reml: bool) -> Solution:
        """Solve for β̂ and r² at a factor Λ̃ and evaluate the criterion; see `solve_pls`."""
        return solve_pls(self.blocks, Lambda, reml=reml)

    def derivatives(self, solution: Solution) -> BlockDerivatives:
        """Derivatives in T at a solution of these cross-products."""
        return derivatives(self.blocks, solution)

    def gram(self, D: np.ndarray) -> Gram:
        """Inner products of the directions ZD_kZ', D of shape (m, r, r): Σ tr(AD_kAD_l)."""
        m, r, _ = D.shape
        flat = self.blocks.A.reshape(r * r, -1)
        AA = ((flat * self.blocks.counts) @ flat.T).reshape(r, r, r, r)  # Σ A_ab A_cd
        pairs = AA.transpose(1, 2, 3, 0).reshape(r * r, r * r)  # contracted with D_bc D_da
        vec = D.reshape(m, r * r)
        between = vec @ pairs @ vec.T
        return Gram(0.5 * (between + between.T), vec @ (flat @ self.blocks.counts), self.n)

    def residual_products(self) -> np.ndarray:
        """Σ Z'e(Z'e)' over the groups, shape (r, r)."""
        e = self.blocks.B[:, -1]
        return e @ e.T

    def within_residual(self) -> tuple[float, int]:
        """What X leaves of the response within the groups: its sum of squares and degrees of freedom."""
        return within_residual(self.blocks)

    def spherical(self, Lambda: np.ndarray, solution: Solution, widths: Sequence[int]) -> tuple[Spherical]:
        """Modes of the spherical effects at a factor Λ̃ of shape (r, W), with its solution; all W are the factor's.

        With G = F'Λ̃ and M = I + G'G: u = M⁻¹G'N(y − Xβ̂).
        """
        r, w = Lambda.shape
        F, N = self.groups.F, self.groups.N
        G = np.ascontiguousarray((Lambda.T @ F.reshape(r, -1)).reshape(w, r, -1).transpose(1, 0, 2))
        root, _ = inverse_root(G)
        M_inverse = np.einsum("kag,kbg->abg", root, root)
        GN = np.einsum("akg,ajg->kjg", G, N)
        response = np.einsum("kjg,j->kg", GN, solution.contrast)
        u = np.einsum("klg,lg->kg", M_inverse, response)
        return (Spherical(u, M_inverse, np.einsum("klg,ljg->kjg", M_inverse, GN[:, :-1])),)

    def spherical_variance(
        self, Lambda: np.ndarray, solution: Solution, rows: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """s'M⁻¹s of rows given by (s, codes) of the factor; a code of −1 adds nothing."""
        ((s, codes),) = rows
        M_inverse = self.spherical(Lambda, solution, [Lambda.shape[1]])[0].M_inverse
        value = np.einsum("ia,abi,ib->i", s, M_inverse[..., codes], s)
        return np.where(codes < 0, 0.0, value)


def one_factor(
    columns: list[np.ndarray], z: list[int], xy: list[int], codes: np.ndarray, n_groups: int
) -> tuple[OneFactor, np.ndarray | None]:
    """Products of the rows, and β about which they should be taken instead, if so; see `group_moments`."""
    groups = blocks_of(group_moments(columns, z, xy, codes, n_groups))
    return OneFactor(merge(groups), groups), within_estimate(groups)


def one_factor_within(
    columns: list[np.ndarray], z: list[int], xy: list[int], codes: np.ndarray, n_groups: int
) -> OneFactor:
    """The same with what lies within the groups taken from the rows, where differences would lose it."""
    groups = blocks_of(group_moments(columns, z, xy, codes, n_groups))
    groups = within_by_rows(groups, columns, z, xy, codes)
    return OneFactor(merge(groups), groups)
