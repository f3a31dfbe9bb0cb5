"""The forest plot of a study: each run's estimate and interval, on one scale for each data set and coefficient."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lmmtools.formats import format_value
from lmmtools.report.overview.entries import Entry, Focal

__all__ = ["Mark", "Scale", "forest", "interval_words"]

_MARGIN = 7.0  # per cent of the width that stays free on either side, where tick labels reach over
_FAR = 12.0  # typical half-widths beyond which an interval runs out of the scale rather than flatten all others
_TICKS = 4


@dataclass(frozen=True)
class Scale:
    """An axis: its ends in the coefficient's unit, ticks as (place, label), and the place of zero if it is on it."""

    low: float
    high: float
    ticks: tuple[tuple[str, str], ...]
    zero: str

    def at(self, value: float) -> str:
        """Return a value's place, in per cent of the width; a value beyond an end is at the edge."""
        if value < self.low or value > self.high:
            return "0%" if value < self.low else "100%"
        share = (value - self.low) / (self.high - self.low)
        return f"{_MARGIN + (100 - 2 * _MARGIN) * share:.1f}%"


@dataclass(frozen=True)
class Mark:
    """One run's line: the number of its scale, places of its point and ends, and what it shows in words.

    ``beyond`` holds the edges, ``0%`` and ``100%``, over which the line runs out.
    """

    scale: int
    point: str
    start: str
    end: str
    beyond: tuple[str, ...]
    words: str


def forest(entries: Sequence[Entry]) -> tuple[tuple[Scale, ...], tuple[Mark | None, ...]]:
    """Return the scales, and for each entry its mark, or None where there is no estimate.

    Runs share a scale when data set, response and coefficient are the same, so that places can be compared.
    """
    groups: dict[tuple[str, str, str], list[Focal]] = {}
    for entry in entries:
        if entry.focal.estimate is not None:
            groups.setdefault(_group(entry), []).append(entry.focal)
    scales = {key: _scale(members) for key, members in groups.items()}
    numbers = {key: number for number, key in enumerate(scales)}
    marks = tuple(
        _mark(entry.focal, numbers[_group(entry)], scales[_group(entry)]) if entry.focal.estimate is not None else None
        for entry in entries
    )
    return tuple(scales.values()), marks


def interval_words(focal: Focal, with_level: bool = True) -> str:
    """Return the interval in words, ``"95 %: 0.52 to 0.80"``; nothing where none was computed."""
    if focal.low is None or focal.high is None:
        return ""
    level = "" if focal.level is None or not with_level else f"{100 * focal.level:g} %: "
    return f"{level}{format_value(focal.low, 'sig4')} to {format_value(focal.high, 'sig4')}"


def _group(entry: Entry) -> tuple[str, str, str]:
    formula = str(entry.record.get("formula") or entry.formula)
    return entry.dataset, formula.partition("~")[0].strip(), entry.focal.name


def _scale(members: Sequence[Focal]) -> Scale:
    """Return the scale of a group: all its estimates and intervals, except what would flatten the others."""
    centre = statistics.median(one.estimate for one in members)
    halves = [(one.high - one.low) / 2 for one in members if one.low is not None]
    offs = [abs(one.estimate - centre) for one in members]
    reach = _FAR * max(statistics.median(halves) if halves else 0.0, statistics.median(offs)) or math.inf
    values = [end for one in members for end in (one.low, one.estimate, one.high) if end is not None]
    low = max(min(values), centre - reach)
    high = min(max(values), centre + reach)
    far = max(abs(low), abs(high))
    if far <= 4 * (high - low):  # zero is near: it belongs in the picture
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * far:  # one number: a scale around it
        low, high = low - 0.1 * far, high + 0.1 * far
    if high - low < sys.float_info.min:
        low, high = -1.0, 1.0
    ticks = _ticks(low, high)
    scale = Scale(low, high, (), "")
    zero = scale.at(0.0) if low <= 0 <= high else ""
    return Scale(low, high, tuple((scale.at(value), label) for value, label in ticks), zero)


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return round values within the ends, at most `_TICKS` or so, with labels of equal decimals."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    plain = decimals <= 4 and max(abs(low), abs(high)) < 1e6
    spec = f"fixed{decimals}" if plain else "sig3"
    return [(value, format_value(value, spec) if value else "0") for value in values]


def _mark(focal: Focal, number: int, scale: Scale) -> Mark:
    low, high = (focal.estimate if end is None else end for end in (focal.low, focal.high))
    span = high - low if focal.low is not None else 0.0
    beyond = tuple(edge for edge, out in (("0%", low < scale.low), ("100%", high > scale.high)) if out)
    interval = interval_words(focal)
    ends = " to ".join(format_value(end, "sig3") if end else "0" for end in (scale.low, scale.high))
    words = f"{focal.name} {format_value(focal.estimate, 'sig4')}"
    return Mark(
        scale=number,
        point=scale.at(focal.estimate) if scale.low <= focal.estimate <= scale.high else "",
        start=scale.at(low) if span else "",
        end=scale.at(high) if span else "",
        beyond=beyond,
        words=f"{words}; {f'{interval}; ' if interval else ''}scale from {ends}",
    )
