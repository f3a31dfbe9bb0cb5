"""How likely it is that one of several alternatives prints a given number by luck."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from lmmtools.replication.printed import Printed

__all__ = ["Luck", "luck"]


@dataclass(frozen=True)
class Luck:
    """What alternatives print of the numbers that could as well have been printed.

    Attributes
    ----------
    numbers : int
        Numbers of the printed precision no further from the computed one than the printed one, the computed one's own
        rounding left out: K.
    hit : int
        How many of them one alternative or another prints: k.
    """

    numbers: int
    hit: int

    @property
    def chance(self) -> float:
        """k/K: had the printed number been any of these, an alternative would have been found for so many of them."""
        return self.hit / self.numbers


def luck(printed: Printed, computed: float, values: Iterable[float]) -> Luck | None:
    """The chance that alternatives print a number by luck.

    Parameters
    ----------
    printed : Printed
    computed : float
        What is computed in its place.
    values : iterable of float
        What the alternatives give.

    Returns
    -------
    Luck or None
        None where it has no meaning: nothing finite is computed, what is printed is a bound or −∞, or what is computed
        prints it.

    Examples
    --------
    Twelve numbers of one decimal lie within 0.6 of 3.0, itself left out; the alternatives print two of them.

    >>> from lmmtools.replication.printed import read_printed
    >>> luck(read_printed("3.6"), 3.0, [3.61, 2.8, 2.83, 3.01, 9.0])
    Luck(numbers=12, hit=2)
    """
    if printed.no_minimum or printed.bound or not math.isfinite(computed) or printed.prints(computed):
        return None
    exact = Fraction(computed)
    away = abs(printed.exact - exact)
    first, last = math.ceil((exact - away) / printed.unit), math.floor((exact + away) / printed.unit)
    own = printed.rounded(computed)
    seen = {_number(printed, value) for value in values if math.isfinite(value)}
    hit = sum(number != own and first * printed.unit <= number <= last * printed.unit for number in seen)
    return Luck(last - first, hit)


def _number(printed: Printed, value: float) -> Fraction:
    """The number that a value prints: the printed one wherever it can, as ties may go either way."""
    return printed.exact if printed.prints(value) else printed.rounded(value)
