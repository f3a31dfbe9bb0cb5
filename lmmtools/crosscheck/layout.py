"""How the rows of a design fall into independent groups, and which random effects each group has.

With one factor, and with factors nested in one of them, the groups are the levels of the outermost factor, and a
nested factor has a slot in its group for each of its levels there. Crossed factors leave one group of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Layout", "layout_of"]


@dataclass(frozen=True)
class Layout:
    """Groups of rows between which V is zero, and the slots of each term in them.

    Attributes
    ----------
    codes : ndarray (n,)
        The group of each row.
    factor : str
        The factor whose levels they are; empty where all rows are one group.
    slots : tuple of ndarray (n,)
        For each term, which of its levels in the group a row has.
    copies : tuple of int
        For each term, the most levels that a group has.
    sizes : tuple of int
        Effects of a level, by term.
    """

    codes: NDArray
    factor: str
    slots: tuple[NDArray, ...]
    copies: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.codes.max()) + 1

    @property
    def width(self) -> int:
        """Random effects of a group, at most."""
        return sum(copies * q for copies, q in zip(self.copies, self.sizes, strict=True))

    def columns(self, terms: Any) -> NDArray:
        """Random-effects columns within the group (n, width): by term, then slot, then effect."""
        out = []
        for term, slots, copies in zip(terms, self.slots, self.copies, strict=True):
            n, q = term.matrix.shape
            block = np.zeros((n, copies, q))
            block[np.arange(n), slots] = term.matrix
            out.append(block.reshape(n, copies * q))
        return np.hstack(out)

    def parts(self, M: NDArray) -> list[NDArray]:
        """The diagonal blocks (q, q), by term, of a matrix over the terms side by side."""
        ends = np.cumsum([0, *self.sizes])
        return [M[a:b, a:b] for a, b in pairwise(ends)]

    def widen(self, M: NDArray) -> NDArray:
        """A block-diagonal matrix over the terms side by side as one over a group's columns (width, width)."""
        pairs = zip(self.parts(M), self.copies, strict=True)
        return block_diag(*(np.kron(np.eye(copies), block) for block, copies in pairs))


def layout_of(design: Any) -> Layout:
    """The layout of a design: the groups of the factor with most levels in which all others are nested."""
    factors = {t.factor: t.codes for t in design.terms}
    outer = [name for name, codes in factors.items() if all(_nested(other, codes) for other in factors.values())]
    name = max(outer, key=lambda name: factors[name].max(), default="")
    codes = factors[name] if name else np.zeros(len(design.y), dtype=int)
    slots = [np.zeros(len(codes), dtype=int) if t.factor == name else _slots(t.codes, codes) for t in design.terms]
    return Layout(
        codes=codes,
        factor=name,
        slots=tuple(slots),
        copies=tuple(int(slot.max()) + 1 for slot in slots),
        sizes=tuple(t.matrix.shape[1] for t in design.terms),
    )


def _nested(inner: NDArray, outer: NDArray) -> bool:
    """Whether each level of `inner` lies in one level of `outer`."""
    pairs = np.unique(inner.astype(np.int64) * (int(outer.max()) + 1) + outer)
    return len(pairs) == len(np.unique(inner))


def _slots(inner: NDArray, groups: NDArray) -> NDArray:
    """Numbers 0, 1, ... of the inner levels within each group, in order of their codes."""
    levels, at = np.unique(inner, return_inverse=True)
    home = np.zeros(len(levels), dtype=int)
    home[at] = groups
    order = np.argsort(home, kind="stable")
    starts = np.searchsorted(home[order], home[order])
    slot = np.empty(len(levels), dtype=int)
    slot[order] = np.arange(len(levels)) - starts
    return slot[at]
