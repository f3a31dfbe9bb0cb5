"""Where figures and tables stand in the PDF: seen in a first layout, corrected until no page has a hole.

A figure or table that stays whole goes to the next page when this one has no room left, and leaves a hole. In
Typst itself nothing can look ahead; so the layout is asked where everything came to stand, and is told for
each block what to do otherwise: be a little smaller, or stand at the head of the next page while the text goes on.
What stands below code that is to be read stays there, and a figure can only be smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Lesson", "lessons"]

_TOP, _BOTTOM = 25.0, 273.0  # of the text on a page, in mm: the margins of templates/lmm_pdf/stand.typ on A4
_HOLE = 32.0  # what may stay empty at the foot of a page, in mm
_LEAST = 0.8  # no figure is made smaller than this for the page's sake: its letters must be read
_ROWS = 16.0  # three rows of a table, in mm
_LEAD = 90.0  # a heading, a paragraph and the code that lead to a figure, in mm
_PASSES = 32  # each teaches one lesson; a report has learned all it needs in a few, a gallery in a dozen


@dataclass(frozen=True)
class Lesson:
    """How one block differs from the usual: a scale, the head of the next page, a space before it, a turned page."""

    scale: float = 1.0
    float: bool = False
    nudge: float = 0.0
    turn: bool = False


def lessons(look: Callable[[dict[str, Any]], Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Return what to do for which block, by its place.

    Parameters
    ----------
    look : callable
        Lays the pages out with the lessons learned so far and returns the marks, in the order of the source.
    """
    learned: dict[int, Lesson] = {}
    for _ in range(_PASSES):
        found = _next(look(_plain(learned)), learned)
        if found is None:
            break
        learned[found[0]] = found[1]
    return _plain(learned)


def _plain(learned: dict[int, Lesson]) -> dict[str, Any]:
    return {str(place): asdict(one) for place, one in learned.items()}


def _next(marks: Sequence[dict[str, Any]], learned: dict[int, Lesson]) -> tuple[int, Lesson] | None:
    """Return the first block that must stand otherwise, and how."""
    last: dict[bool, tuple[int, float]] = {}
    for number, mark in enumerate(marks):
        place, now = mark["place"], learned.get(mark["place"], Lesson())
        if mark["kind"] == "turn" and not now.turn:
            return place, replace(now, turn=True)
        if mark["kind"] == "end" and not now.nudge and _alone(marks[:number], mark):
            return place, replace(now, nudge=_ROWS)
        if mark["kind"] != "inside":
            continue
        drawn, here = mark["picture"] > 0, (mark["page"], mark["y"])
        if not now.float:
            if here < last.get(drawn, (0, 0.0)):  # an earlier one stands later: this one must wait for it
                return place, Lesson(float=True)
            if now == Lesson() and number + 1 < len(marks):
                better = _without_hole(marks, number)
                if better is not None:
                    return place, better
        last[drawn] = max(here, last.get(drawn, (0, 0.0)))
    return None


def _without_hole(marks: Sequence[dict[str, Any]], number: int) -> Lesson | None:
    """Return how the block would leave no hole on the page before, if it does leave one."""
    mark = marks[number]
    led = mark.get("led", False)
    before = _foot(marks, number, _LEAD if led else _HOLE)
    if before is None or _BOTTOM - before < _HOLE:
        return None
    if before < _TOP:
        return None if led else Lesson(float=True)
    above = mark["y"] - _TOP  # headings that go with it
    room = _BOTTOM - before - above - 8.0
    scale = (room - (mark["height"] - mark["picture"])) / mark["picture"] if mark["picture"] else 0.0
    if _LEAST <= scale < 1:
        return Lesson(scale=round(scale, 3))
    return None if led else Lesson(float=True)


def _foot(marks: Sequence[dict[str, Any]], number: int, reach: float) -> float | None:
    """Return where the text on the page before ended, if nothing but headings stands between that and this block.

    Of these none is further than `reach` above the next, in mm.

    Nought when it ended on a page still before, and only what stands at the heads of pages came between.
    """
    page, y = marks[number]["page"], marks[number]["y"]
    for one in reversed(marks[:number]):
        if one["kind"] not in ("before", "heading", "headed"):
            return None
        if one["page"] < page:  # where a heading stands itself says that text came after it; its mark stays behind
            if one["kind"] == "headed":
                return None
            return float(one["y"]) if one["page"] == page - 1 else 0.0
        if y - one["y"] > reach:
            return None
        y = one["y"]
    return None


def _alone(before: Sequence[dict[str, Any]], end: dict[str, Any]) -> bool:
    """Say whether no more than two rows and the repeated head of a broken table stand on its last page."""
    start = next(one for one in reversed(before) if one["kind"] == "before" and one["place"] == end["place"])
    return bool(start["page"] < end["page"] and end["y"] - _TOP < _ROWS)
