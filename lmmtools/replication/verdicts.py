"""What a computed number says of a printed one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from lmmtools.formats import counted
from lmmtools.replication.printed import Printed

__all__ = ["STATUSES", "Verdict", "failed", "judge", "no_estimate", "of_variant"]

_Status = Literal["reproduced", "truncated", "variant", "off by n", "not reproduced", "no estimate", "error"]
STATUSES: tuple[_Status, ...] = get_args(_Status)

# Further off than this a number is not another rounding, or another stop, of the computed one.
_MOST_UNITS, _MOST_SHARE = 9, Fraction(1, 100)


@dataclass(frozen=True)
class Verdict:
    """What became of one printed number.

    Attributes
    ----------
    status : str
        One of `STATUSES`.
    words : str
        The same with its numbers: ``"off by 2 units in the last place"``.
    good : bool
        Whether the number stands as it is printed, or it is known what printed it.
    units : int or None
        How many units in the last place it is off; None where nothing is computed.
    """

    status: _Status
    words: str
    good: bool = False
    units: int | None = None


def judge(printed: Printed, computed: float) -> Verdict:
    """Hold a printed number against the computed one.

    Parameters
    ----------
    printed : Printed
    computed : float

    Returns
    -------
    Verdict
        Before any search: reproduced, truncated, off by n, or not reproduced.

    Examples
    --------
    >>> from lmmtools.replication.printed import read_printed
    >>> [judge(read_printed("24.74"), c).words for c in (24.7409, 24.7488, 24.757, 26.1)]
    ['reproduced', 'truncated', 'off by 2 units in the last place', 'not reproduced; 1 of 4 digits agree']
    """
    if math.isnan(computed):
        return Verdict("error", "what is computed is not a number")
    if printed.prints(computed):
        return Verdict("reproduced", "reproduced", good=True, units=0)
    if printed.no_minimum or math.isinf(computed):
        said = "printed as without a minimum, which it has" if printed.no_minimum else "computed as infinite"
        return Verdict("not reproduced", f"not reproduced; {said}")
    if printed.bound:
        return Verdict("not reproduced", "not reproduced; it is not below the bound")
    units = printed.units_off(computed)
    if printed.cuts(computed):
        return Verdict("truncated", "truncated", good=True, units=units)
    if units <= _MOST_UNITS and units * printed.unit <= _MOST_SHARE * abs(Fraction(computed)):
        return Verdict("off by n", f"off by {counted(units, 'unit')} in the last place", units=units)
    agreeing = printed.agreeing(computed)
    words = f"not reproduced; {agreeing} of {counted(printed.digits, 'digit')} agree"
    return Verdict("not reproduced", words, units=units)


def no_estimate(printed: Printed, *, unbounded: bool, of_criterion: bool) -> Verdict:
    """What it says of a printed number that the model has no estimate.

    Parameters
    ----------
    printed : Printed
    unbounded : bool
        Whether the likelihood is known to grow without bound; else the model could not be estimated for another cause.
    of_criterion : bool
        Whether the number is −2 log-likelihood, or that and a constant: what falls to −∞ then.
    """
    what = "no estimate exists" if unbounded else "the model could not be estimated"
    if not printed.no_minimum:
        return Verdict("no estimate", f"a number is printed, but {what}")
    if unbounded and of_criterion:
        return Verdict("no estimate", what, good=True)
    return Verdict("no estimate", f"{what}; −∞ is printed of what does not fall to it" if unbounded else what)


def of_variant(name: str, before: Verdict) -> Verdict:
    """What it says of a printed number that a variant is its explanation."""
    return Verdict("variant", f"reproduced under a variant: {name}", good=True, units=before.units)


def failed() -> Verdict:
    """What is said where nothing could be computed."""
    return Verdict("error", "error")
