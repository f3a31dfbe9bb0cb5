"""What the engine asks of a correlation structure C(φ), and how structures of several strata stand side by side.

Never C itself: products C⁻¹H of rows H, and the same with the derivatives ∂C⁻¹ in place of C⁻¹. Where C⁻¹ has few
elements (autoregressions) or two numbers (compound symmetry) they cost what reading the rows costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np

__all__ = ["Correlated", "Independent", "Law", "Strata", "StrataAt"]

Contract = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Correlated(Protocol):
    """C at one φ; rows H of shape (n, c) stand in the order the law was made for.

    Attributes
    ----------
    logdet : float
        log|C|.
    slope : ndarray, shape (m,)
        Its derivatives in φ.
    bend : ndarray, shape (m, m)
        Its second derivatives.
    """

    logdet: float
    slope: np.ndarray
    bend: np.ndarray

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂_kC⁻¹H, U being C⁻¹H."""

    def second(self, H: np.ndarray, U: np.ndarray, contract: Contract) -> np.ndarray:
        """contract of H and ∂_k∂_lC⁻¹H for every pair, shape (m, m, c).

        `contract` takes stacks of rows, (k, n, c) and (l, n, c), and is linear in both: shape (k, l, c).
        """

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """L⁻¹H with C = LL', L lower triangular in the order of the rows."""

    def colour(self, H: np.ndarray) -> np.ndarray:
        """LH."""


class Law(Protocol):
    """φ ↦ C(φ) over given rows.

    Attributes
    ----------
    m : int
        Number of parameters.
    """

    m: int

    def at(self, phi: np.ndarray) -> Correlated:
        """C at φ, shape (m,).

        Raises
        ------
        numpy.linalg.LinAlgError
            If C is not positive definite there.
        """


class Independent:
    """C = I: no parameters; a law and its value at once."""

    m = 0
    logdet = 0.0
    slope = np.zeros(0)
    bend = np.zeros((0, 0))

    def at(self, phi: np.ndarray) -> Independent:
        """I, whatever φ (which is empty)."""
        return self

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """H."""
        return H

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """There is no parameter."""
        raise IndexError(k)

    def second(self, H: np.ndarray, U: np.ndarray, contract: Contract) -> np.ndarray:
        """Of no pairs."""
        return contract(H[None][:0], H[None][:0])

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """H."""
        return H

    colour = whiten


@dataclass(frozen=True)
class Strata:
    """One law for each level of a factor, over its own rows, with parameters of its own.

    Attributes
    ----------
    laws : tuple of Law
    rows : tuple of ndarray of int
        Rows of each.
    """

    laws: tuple[Law, ...]
    rows: tuple[np.ndarray, ...]

    @property
    def m(self) -> int:
        """Number of parameters, of all strata."""
        return sum(law.m for law in self.laws)

    def at(self, phi: np.ndarray) -> StrataAt:
        """C at φ: the parameters of the first stratum, then of the second."""
        parts = np.split(phi, np.cumsum([law.m for law in self.laws])[:-1])
        at = tuple(law.at(part) for law, part in zip(self.laws, parts, strict=True))
        return StrataAt(at, self.rows, [law.m for law in self.laws])


class StrataAt:
    """`Strata` at one φ."""

    def __init__(self, parts: Sequence[Correlated], rows: Sequence[np.ndarray], sizes: Sequence[int]) -> None:
        self._parts, self._rows = parts, rows
        ends = np.cumsum([0, *sizes])
        self._where = [(i, k) for i, size in enumerate(sizes) for k in range(size)]
        self._places = [slice(a, b) for a, b in pairwise(ends)]
        self.logdet = float(sum(part.logdet for part in parts))

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue of C where it may vanish, else infinite."""
        return min(getattr(part, "smallest", np.inf) for part in self._parts)

    @cached_property
    def slope(self) -> np.ndarray:
        """∂ log|C|, shape (m,)."""
        return np.concatenate([part.slope for part in self._parts])

    @cached_property
    def bend(self) -> np.ndarray:
        """∂² log|C|, shape (m, m)."""
        out = np.zeros((self._places[-1].stop,) * 2)
        for part, at in zip(self._parts, self._places, strict=True):
            out[at, at] = part.bend
        return out

    def inverse(self, H: np.ndarray) -> np.ndarray:
        """C⁻¹H."""
        return self._each("inverse", H)

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """L⁻¹H."""
        return self._each("whiten", H)

    def colour(self, H: np.ndarray) -> np.ndarray:
        """LH."""
        return self._each("colour", H)

    def _each(self, what: str, H: np.ndarray) -> np.ndarray:
        out = np.empty_like(H)
        for part, rows in zip(self._parts, self._rows, strict=True):
            out[rows] = getattr(part, what)(H[rows])
        return out

    def first(self, k: int, H: np.ndarray, U: np.ndarray) -> np.ndarray:
        """∂_kC⁻¹H: zero but for the rows of the parameter's stratum."""
        i, own = self._where[k]
        out, rows = np.zeros_like(H), self._rows[i]
        out[rows] = self._parts[i].first(own, H[rows], U[rows])
        return out

    def second(self, H: np.ndarray, U: np.ndarray, contract: Contract) -> np.ndarray:
        """contract of H and ∂_k∂_lC⁻¹H: zero for parameters of different strata."""
        m = len(self.slope)
        out = np.zeros((m, m, contract(H[None][:0], H[None][:0]).shape[2]))
        for part, rows, at in zip(self._parts, self._rows, self._places, strict=True):
            out[at, at] = part.second(H[rows], U[rows], contract)
        return out
