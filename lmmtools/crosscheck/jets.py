"""Arrays with their first and second derivatives in some parameters, only those that are not zero.

The rules of sum, product and substitution (Leibniz; the chain rule to second order) are all that the residual laws
differentiate with: what is written down by hand is the derivative of one formula of one variable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Jet", "product"]


@dataclass(frozen=True)
class Jet:
    """An array as a function of parameters, at one point.

    Attributes
    ----------
    value : ndarray
    first : dict of int to ndarray
        Its derivative in parameter k; zero where there is no k.
    second : dict of (int, int) to ndarray
        Its second derivative in k and l, k <= l.
    """

    value: NDArray
    first: dict[int, NDArray] = field(default_factory=dict)
    second: dict[tuple[int, int], NDArray] = field(default_factory=dict)

    def map(self, change: Callable[[NDArray], NDArray]) -> Jet:
        """A linear change of the array, such as a choice of its entries."""
        return Jet(
            change(self.value),
            {k: change(d) for k, d in self.first.items()},
            {at: change(d) for at, d in self.second.items()},
        )

    def numbered(self, start: int) -> Jet:
        """The same with parameters counted from `start`."""
        first = {k + start: d for k, d in self.first.items()}
        return Jet(self.value, first, {(k + start, j + start): d for (k, j), d in self.second.items()})

    def __add__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.first, self.second)
        return Jet(self.value + other.value, _sum(self.first, other.first), _sum(self.second, other.second))

    def __mul__(self, other: Jet) -> Jet:
        """The product, entry by entry."""
        first = _sum(_times(self.first, other.value), _times(other.first, self.value))
        second = _sum(_times(self.second, other.value), _times(other.second, self.value))
        crossed: dict[tuple[int, int], NDArray] = {}
        for k, a in self.first.items():
            for j, b in other.first.items():
                at = (min(k, j), max(k, j))
                own = a * b if k != j else 2 * a * b
                crossed[at] = crossed[at] + own if at in crossed else own
        return Jet(self.value * other.value, first, _sum(second, crossed))

    def through(self, value: NDArray, slope: NDArray, bend: NDArray) -> Jet:
        """f of the array, from f, f' and f'' there."""
        first = {k: slope * d for k, d in self.first.items()}
        second = {at: slope * d for at, d in self.second.items()}
        pairs = combinations_with_replacement(sorted(self.first), 2)
        outer = {(k, j): bend * self.first[k] * self.first[j] for k, j in pairs}
        return Jet(value, first, _sum(second, outer))


def product(jets: list[Jet]) -> Jet:
    """The product of several."""
    return reduce(Jet.__mul__, jets)


def _times(parts: dict, factor: NDArray) -> dict:
    return {at: part * factor for at, part in parts.items()}


def _sum(left: dict, right: dict) -> dict:
    out = dict(left)
    for at, part in right.items():
        out[at] = out[at] + part if at in out else part
    return out
