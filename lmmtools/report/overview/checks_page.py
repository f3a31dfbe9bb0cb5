"""The study's cross-checks: every run, every engine, every kind of quantity, and each number that is not equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmmtools.formats import counted, format_value, listed
from lmmtools.report.overview.entries import VERDICT_CLASSES, Check, Entry, verdict_class

__all__ = ["GROUPS", "CheckRow", "Difference", "check_rows", "summary_sentence", "without_empty_groups"]

# Kinds of quantity, by how their names in a cross-check begin.
GROUPS = (
    ("Fixed effects", ("fixed effect",)),
    ("Standard errors", ("standard error",)),
    ("Variances", ("variance", "covariance", "residual variance")),
    ("Modes, fitted values", ("conditional modes", "their covariances", "fitted values")),
    ("Likelihood, optimum", ("log-likelihood", "criterion", "deviance", "lowest criterion", "restricted")),
)
_NO_CHECK = {
    "failed": "The run failed: there is nothing to check.",
    "out of date": "Out of date: what was checked is no longer what is asked for.",
    "not made": "Not made yet.",
}


@dataclass(frozen=True)
class Difference:
    """Lines of one verdict and one explanation: ``numbers`` are quantity, ours, theirs, difference as texts."""

    verdict: str
    kind: str
    explanation: str
    numbers: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class CheckRow:
    """One engine's check of one run, or a run that was not checked, and why.

    ``cells`` has for each of `GROUPS` the counts of its classes; None where the record does not say.
    """

    entry: Entry
    engine: str
    worst: str
    counts: Mapping[str, int]
    cells: tuple[tuple[tuple[str, int], ...], ...]
    differences: tuple[Difference, ...]
    missing: str


def check_rows(entries: Sequence[Entry]) -> list[CheckRow]:
    """Return the lines of the page, in the study's order."""
    return [row for entry in entries for row in _rows_of(entry)]


def summary_sentence(rows: Sequence[CheckRow]) -> tuple[str, str, str]:
    """Return the whole study's cross-check in a sentence of three parts; the middle one is what alarms, if anything."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.counts)
    compared = total["equal"] + total["explained"] + total["unexplained"]
    if not compared:
        return "No number of this study was compared with another engine.", "", ""
    engines = listed(dict.fromkeys(row.engine for row in rows if row.engine))
    runs = counted(len({row.entry.name for row in rows if row.engine}), "run")
    parts = [f"{format_value(total['equal'], 'int')} equal to rounding"]
    if total["explained"]:
        parts.append(f"{format_value(total['explained'], 'int')} different for a known reason")
    start = f"{counted(compared, 'number')} of {runs} compared with {engines}: {', '.join(parts)} and "
    if total["unexplained"]:
        return start, f"{format_value(total['unexplained'], 'int')} unexplained", "."
    return f"{start}none unexplained.", "", ""


def _rows_of(entry: Entry) -> Iterator[CheckRow]:
    for check in entry.checks:
        classes = check.classes
        worst = next((one for one in reversed(VERDICT_CLASSES) if classes[one]), "not compared")
        yield CheckRow(entry, check.engine, worst, classes, tuple(_cells(check)), tuple(_differences(check)), "")
    if not entry.checks:
        missing = _NO_CHECK.get(entry.status, "Not checked.")
        yield CheckRow(entry, "", "not checked", {}, ((),) * len(GROUPS), (), missing)


def without_empty_groups(rows: Sequence[CheckRow]) -> tuple[list[str], list[CheckRow]]:
    """Return the kinds of quantity that some engine was asked for, all if none, and the lines with those alone."""
    asked = [place for place in range(len(GROUPS)) if any(row.cells[place] for row in rows)]
    kept = asked or list(range(len(GROUPS)))
    lines = [replace(row, cells=tuple(row.cells[place] for place in kept)) for row in rows]
    return [GROUPS[place][0] for place in kept], lines


def _cells(check: Check) -> Iterator[tuple[tuple[str, int], ...]]:
    found: list[Counter[str]] = [Counter() for _ in GROUPS]
    named = [(name, "equal") for name in check.equal]
    named += [(str(row.get("quantity")), verdict_class(str(row.get("verdict")))) for row in check.rows]
    for quantity, kind in named:
        for number, (_, beginnings) in enumerate(GROUPS):
            if quantity.startswith(beginnings):
                found[number][kind] += 1
                break
    for counts in found:
        yield tuple((kind, counts[kind]) for kind in VERDICT_CLASSES if counts[kind])


def _differences(check: Check) -> Iterator[Difference]:
    """Put together neighbouring lines that say the same; what is unexplained comes first."""
    lines: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    for row in check.rows:
        key = str(row.get("verdict") or ""), str(row.get("explanation") or "")
        numbers = (_number(row.get("ours")), _number(row.get("theirs")), _number(row.get("difference"), "sci"))
        lines.setdefault(key, []).append((str(row.get("quantity") or ""), *numbers))
    found = [
        Difference(verdict, verdict_class(verdict), explanation, tuple(numbers))
        for (verdict, explanation), numbers in lines.items()
    ]
    yield from sorted(found, key=lambda one: one.kind != "unexplained")


def _number(value: Any, spec: str = "sig8") -> str:
    return format_value(value if isinstance(value, (int, float)) else None, spec)
