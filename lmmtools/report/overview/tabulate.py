"""A study's results for other programs: ``index.json`` holds everything, ``index.csv`` a row for each run."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lmmtools.formats import visible
from lmmtools.report.overview.entries import FILE_KINDS, VERDICT_CLASSES, Entry

__all__ = ["as_csv", "as_json"]

_RISKY = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # ASCII and full width


def as_json(title: str, entries: Sequence[Entry]) -> str:
    """Return everything the study found, as JSON text without clock times.

    The object has the keys

    - ``schema``: 1;
    - ``title``: the study's;
    - ``counts``: runs by status;
    - ``runs``: in the study's order, one object each with

      - ``name``, ``title``, ``dataset``, ``variant``, ``kind`` ("model", "comparison" or "exploration"), ``formula``,
        ``method``: what was asked for; ``name`` is the stem of the run's files;
      - ``parameters``: every parameter of the notebook with its value, defaults included;
      - ``status``: "ok", "singular", "flat direction", "unexplained", "failed", "out of date" or "not made";
        ``current``: false for the last two, whose numbers are left out; ``verdict``: what a comparison found;
        ``reasons``: sentences;
      - ``focal``: ``name``, ``estimate``, ``se``, ``low``, ``high``, ``level`` of the coefficient the index shows,
        ``model`` (the one a comparison chose), and ``missing``, which says why where there is no estimate;
      - ``files``: kind to file name;
      - ``record``: the whole run record as in ``<name>.json`` (numbers, certificate, cross-checks), or null.

    A number that is not finite is null.

    Parameters
    ----------
    title : str
    entries : sequence of Entry
    """
    result = {
        "schema": 1,
        "title": title,
        "counts": dict(Counter(entry.status for entry in entries)),
        "runs": [_run_object(entry) for entry in entries],
    }
    text = json.dumps(_plain(result), ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"  # half a surrogate pair: JSON's own escape


def as_csv(entries: Sequence[Entry]) -> str:
    r"""Return one row for each run, as RFC 4180 asks: commas, CRLF, quotes where needed, UTF-8 without a mark.

    Numbers are unrounded; a missing one is empty. Every row is one line: line breaks within a text stand as ``\n``.
    A text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-`` or ``@``) has an apostrophe
    before it, as OWASP recommends; ``index.json`` gives all texts unchanged.

    Parameters
    ----------
    entries : sequence of Entry
    """
    rows = [_csv_row(entry) for entry in entries]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(rows[0] if rows else ())
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _run_object(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "dataset": entry.dataset,
        "variant": entry.variant,
        "kind": entry.kind,
        "formula": entry.formula,
        "method": entry.method,
        "parameters": entry.parameters,
        "status": entry.status,
        "current": entry.current,
        "verdict": entry.verdict,
        "reasons": entry.reasons,
        "focal": asdict(entry.focal),
        "files": {kind: file for file, kind in entry.files},
        "record": entry.record or None,
    }


def _csv_row(entry: Entry) -> dict[str, Any]:
    files = {kind: file for file, kind in entry.files}
    focal = entry.focal
    return {
        "name": entry.name,
        "title": entry.title,
        "dataset": entry.dataset,
        "variant": entry.variant,
        "kind": entry.kind,
        "method": entry.method,
        "formula": entry.formula,
        "status": entry.status,
        "verdict": entry.verdict,
        "reasons": " ".join(entry.reasons),
        "focal": focal.name,
        "model": focal.model,
        "estimate": focal.estimate,
        "se": focal.se,
        "low": focal.low,
        "high": focal.high,
        "level": focal.level,
        **entry.numbers,
        "icc": "; ".join(f"{group}: {share!r}" for group, share in entry.icc if share is not None),
        "groups": "; ".join(f"{group}: {count}" for group, count in entry.groups),
        "certificate": entry.certificate,
        "engines": "; ".join(check.engine for check in entry.checks),
        **{f"checks_{key.replace(' ', '_')}": _compared(entry, key) for key in VERDICT_CLASSES},
        **{kind: files.get(kind, "") for kind in FILE_KINDS},
    }


def _compared(entry: Entry, key: str) -> int | None:
    """Return how many numbers the cross-checks put into a class; None where nothing was checked."""
    return sum(check.classes[key] for check in entry.checks) if entry.checks else None


def _cell(value: Any) -> Any:
    """Return a cell: a number as it is, a text on one line that no spreadsheet runs."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_RISKY) else text


def _plain(value: Any) -> Any:
    """Return the value as JSON has it: plain containers, and null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
