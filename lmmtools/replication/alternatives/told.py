"""A search in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmmtools.formats import counted, format_value, shown

if TYPE_CHECKING:
    from lmmtools.replication.alternatives.tried import Search

__all__ = ["rise_words", "small", "told"]

# Rises that a search with a usual stopping rule may leave, and those that no two double-precision programs agree on.
_EARLY, _ROUNDING = 1e-2, 1e-10
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def told(search: Search) -> str:
    """Sentences that say what prints the number, by what chance, and how near to the minimum it is printed."""
    if search.explanation is not None and search.explanation.says:
        one = search.explanation
        return f"The explanation is: {one.name}; the source says so ({one.says.rstrip('.')})."
    if not search.prints:
        return f"{_nothing(search.tried)}{_distance(search.distance)}."
    near = "" if search.explanation is not None or search.distance is None else _distance(search.distance, also=", too")
    return f"{_something(search)}{near}."


def small(value: float, digits: int = 2) -> str:
    """A number within a sentence, one below a hundredth with a power of ten: ``"1.3×10⁻⁹"``, ``"10⁻⁷"``."""
    if not 0.0 < abs(value) < 1e-2:
        return shown(value, digits)
    return _raised(value, digits).removeprefix("1×")


def rise_words(rise: float | None) -> str:
    """How far above the minimum, for a column of such numbers: ``"1.3×10⁻⁹"``, ``"< 10⁻¹⁰"``; nothing for None."""
    if rise is None:
        return ""
    return "< 10⁻¹⁰" if rise < _ROUNDING else _raised(rise, 2)


def _raised(value: float, digits: int) -> str:
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa}×10{str(int(power)).translate(_RAISED)}"


def _nothing(tried: int) -> str:
    if tried > 1:
        return f"None of {counted(tried, 'alternative')} prints it"
    return "The one alternative tried does not print it" if tried else "There is no alternative to try"


def _something(search: Search) -> str:
    """What prints it, and how often luck would find as much."""
    first, count = search.explanation or search.prints[0], len(search.prints)
    name = f"{first.name}, a variant that the ledger states" if first.stated else first.name
    if search.tried == 1:
        prints = "The one alternative tried prints it"
    else:
        prints = f"{count} of {counted(search.tried, 'alternative')} {'prints' if count == 1 else 'print'} it"
    lead = "first: " if count > 1 and first is search.prints[0] else ""
    return f"{prints} ({lead}{name}){_luck(search.chance)}"


def _luck(chance: float | None) -> str:
    if chance is None:
        return ""
    if chance >= 1.0:
        return ", as luck would in every such case"
    if chance >= 0.01:
        return f", as luck would in {round(100.0 * chance)} of 100 such numbers"
    return f", as luck would in 1 of {format_value(int(float(f'{1.0 / chance:.1e}')), 'int')} such numbers"


def _distance(rise: float | None, also: str = "") -> str:
    if rise is None:
        return ""
    if rise < _ROUNDING:
        return f"; a search that stops less than 10⁻¹⁰ above the minimum can{also}"
    if rise <= _EARLY:
        return f"; a search that stops {small(rise)} above the minimum can{also}"
    return f"; parameters that do lie {small(rise)} above the minimum, where no search stops"
