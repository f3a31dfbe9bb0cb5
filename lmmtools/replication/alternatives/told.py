"""A search in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmmtools.formats import counted, shown

if TYPE_CHECKING:
    from lmmtools.replication.alternatives.tried import Search

__all__ = ["told"]

# Rises that a search with a usual stopping rule may leave, and those that no two double-precision programs agree on.
_EARLY, _ROUNDING = 1e-2, 1e-10


def told(search: Search) -> str:
    """Sentences that say what prints the number, by what chance, and how near to the minimum it is printed."""
    near = "" if search.explanation is not None else _distance(search.distance)
    return " ".join(filter(None, (_alternatives(search), near)))


def _alternatives(search: Search) -> str:
    tried = counted(search.tried, "alternative")
    if not search.tried:
        return "There was no alternative to try."
    if not search.prints:
        return f"None of {tried} prints it." if search.tried > 1 else "The one alternative tried does not print it."
    first, count = search.explanation or search.prints[0], len(search.prints)
    if first.says:
        return f"Printed by: {first.name}. The source says so: {first.says}."
    if search.tried == 1:
        return f"The one alternative tried prints it: {first.name}."
    many = "1 prints it" if count == 1 else f"{count} print it, the first of them"
    percent = "" if search.chance is None else f"{shown(100.0 * search.chance, 2)} %"
    chance = f"; the chance that one of them does so by luck is {percent}" if percent else ""
    return f"Of {tried} {many}: {first.name}{chance}."


def _distance(rise: float | None) -> str:
    if rise is None:
        return ""
    if rise < _ROUNDING:
        return (
            "Parameters that print it lie less than 1e-10 above the minimum of the criterion, which is as near as "
            "computing with 16 digits comes."
        )
    above = f"Parameters that print it lie {shown(rise, 2)} above the minimum of the criterion"
    if rise <= _EARLY:
        return f"{above}: a search that stops so early can print it."
    return f"{above}, which is more than a search leaves that stops early."
