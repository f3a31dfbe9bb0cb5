"""A number in print: its digits say between which ends the number that was rounded lies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from lmmtools.errors import StudyError
from lmmtools.formats import MINUS, shortened, visible

__all__ = ["Printed", "read_printed"]

_NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)?(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)
_NO_MINIMUM = ("-inf", "-infinity", "-∞")
# Beyond these powers of ten no floating point number is left to compare with.
_SMALLEST, _LARGEST = -330, 306
# With so many more digits than are printed a double is shown whole.
_MOST_MORE = 20


@dataclass(frozen=True)
class Printed:
    """A number as it is printed.

    Attributes
    ----------
    text : str
        As printed.
    value : decimal.Decimal
        The number itself; minus infinity where the source says that there is no minimum.
    place : int
        The power of ten of the last digit: −2 of ``"0.50"``, 0 of ``"1500"``, −12 of ``"8.8e-11"``.
    digits : int
        How many significant digits are printed: 2, 4, 2; those of a zero are its decimals.
    bound : bool
        Whether only a bound is printed, ``"< 0.0001"``, which the computed number is to lie below.
    """

    text: str
    value: Decimal
    place: int
    digits: int
    bound: bool = False

    @property
    def no_minimum(self) -> bool:
        """Whether minus infinity is printed: the criterion has no minimum."""
        return self.value.is_infinite()

    @cached_property
    def unit(self) -> Fraction:
        """One in the last place."""
        return Fraction(10) ** self.place

    @cached_property
    def exact(self) -> Fraction:
        """The value as a fraction, whose arithmetic rounds nothing."""
        return Fraction(self.value)

    @property
    def low(self) -> Fraction:
        """The least number that rounds to it."""
        return self.exact - self.unit / 2

    @property
    def high(self) -> Fraction:
        """The greatest number that rounds to it, whichever way ties go; a bound itself."""
        return self.exact if self.bound else self.exact + self.unit / 2

    def prints(self, computed: float) -> bool:
        """Whether a computed number is printed so: between `low` and `high`, both ends included; or below a bound."""
        if self.no_minimum or not math.isfinite(computed):
            return self.no_minimum and computed == -math.inf
        if self.bound:
            return Fraction(computed) < self.exact
        return self.low <= Fraction(computed) <= self.high

    def cuts(self, computed: float) -> bool:
        """Whether it is a computed number cut off toward zero, instead of rounded."""
        if self.no_minimum or self.bound or not math.isfinite(computed):
            return False
        return math.trunc(Fraction(computed) / self.unit) * self.unit == self.exact

    def rounded(self, computed: float) -> Fraction:
        """A computed number rounded to the last place; ties away from zero."""
        scaled = Fraction(computed) / self.unit
        half_up = math.floor(abs(scaled) + Fraction(1, 2))
        return (half_up if scaled >= 0 else -half_up) * self.unit

    def units_off(self, computed: float) -> int:
        """How many units in the last place lie between it and a computed number rounded there."""
        return int(abs(self.rounded(computed) - self.exact) / self.unit)

    def agreeing(self, computed: float) -> int:
        """How many of its significant digits are right: it is within half a unit of that many digits; of 0 none."""
        off = abs(Fraction(computed) - self.exact)
        first = self.value.adjusted()
        right = (k for k in range(self.digits, 0, -1) if off <= Fraction(10) ** (first - k + 1) / 2)
        return next(right, 0) if self.exact else 0

    def shown(self, computed: float) -> str:
        """A computed number with two more digits than are printed, or as many as tell whether it is printed so.

        A whole number of which no decimals are printed is a count, and shown as such.

        Examples
        --------
        >>> read_printed("24.74").shown(24.7404515), read_printed("1.8438").shown(1.84374967)
        ('24.7405', '1.8437497')
        >>> read_printed("3").shown(3.0), read_printed("3").shown(3.4), read_printed("3.0").shown(3.0)
        ('3', '3.40', '3.000')
        """
        if math.isnan(computed):
            return "not a number"
        if math.isinf(computed):
            return "∞" if computed > 0 else f"{MINUS}∞"
        if self.no_minimum or self.bound:
            return f"{computed:.6g}".replace("-", MINUS)
        if self.place >= 0 and float(computed).is_integer() and "e" not in self.text.lower():
            return f"{int(computed)}".replace("-", MINUS)  # a count: no decimals would say more
        for more in range(2, _MOST_MORE):
            text = self._with(computed, more)
            if self.prints(float(text)) == self.prints(computed):
                break
        return text.replace("-", MINUS) if text.strip("-0.") else text.removeprefix("-")

    def _with(self, computed: float, more: int) -> str:
        """A computed number with so many more digits, with a power of ten if it is printed with one."""
        if "e" in self.text.lower():
            return f"{computed:.{self.digits - 1 + more}e}"
        return f"{computed:.{max(more - self.place, 0)}f}"


def read_printed(text: str) -> Printed:
    """Read a number as it is printed.

    Parameters
    ----------
    text : str
        Digits with a point: ``"1743.6"``, ``"-61.089"`` (or with a true minus sign), ``"12,034.5"``, ``"8.8e-11"``;
        ``"< .0001"`` where it prints a bound; ``"-inf"`` or ``"−∞"`` where it says that there is no minimum.

    Returns
    -------
    Printed

    Raises
    ------
    StudyError
        If it is not a number, or one beyond floating point.

    Examples
    --------
    >>> number = read_printed("0.50")
    >>> number.digits, float(number.low), float(number.high)
    (2, 0.495, 0.505)
    >>> number.prints(0.4962), read_printed("0.5").prints(0.4572)
    (True, True)
    """
    plain = text.strip().replace(MINUS, "-")
    if plain.lower() in _NO_MINIMUM:
        return Printed(text, Decimal("-Infinity"), 0, 0)
    bound = plain.startswith("<")
    match = _NUMBER.fullmatch(plain[bound:].strip())
    if match is None or not (match[2] or match[3]):
        raise StudyError(
            f'"{visible(shortened(text, 40))}" is not a number as printed: digits with a point, such as "0.50", '
            '"-61.089" or "8.8e-11"; "< .0001" for a bound; "-inf" where the source says that there is no minimum.'
        )
    sign, whole, decimals, power = match[1], (match[2] or "").replace(",", ""), match[3] or "", int(match[4] or 0)
    place = power - len(decimals)
    value = Decimal(f"{sign}{whole + decimals}E{place}")
    if place < _SMALLEST or value.adjusted() > _LARGEST:
        raise StudyError(f'"{visible(shortened(text, 40))}" is beyond the numbers that can be computed.')
    return Printed(text, value, place, len((whole + decimals).lstrip("0")) or len(decimals) or 1, bound)
