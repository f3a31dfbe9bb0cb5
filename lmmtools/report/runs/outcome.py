"""How a run ended: as the index shows it, and as its JSON file tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run

__all__ = ["SUFFIXES", "Outcome", "failed_outcome", "file_names", "outcome_of", "result_text"]

# In the order they are linked; json and ipynb are always there, log is of a run that failed.
SUFFIXES = ("html", "pdf", "json", "ipynb", "log")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what the index shows.

    Attributes
    ----------
    run : Run
    status : str
        One of the record's statuses.
    reasons : tuple of str
    record : Mapping
        The run record, empty when there is none.
    files : tuple of str
        Names of the files it left.
    warnings : tuple of str
        Warnings raised while it ran, and what its pages could not show.
    seconds : Mapping of str to float
        Clock times.
    current : bool
        Whether the result is of the run as it is now; if not, ``reasons`` say why and the numbers are old.
    """

    run: Run
    status: str
    reasons: tuple[str, ...]
    record: Mapping[str, Any]
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    current: bool = True


def outcome_of(run: Run, text: str | bytes, suffixes: Sequence[str], seconds: Mapping[str, float]) -> Outcome:
    """Return the outcome that the text of a run's JSON file tells of, so that a kept one is as a new one."""
    result = json.loads(text)
    return Outcome(
        run=run,
        status=str(result["status"]),
        reasons=tuple(result["reasons"]),
        record=result["record"] or {},
        files=file_names(run, suffixes),
        warnings=tuple(result["warnings"]),
        seconds=seconds,
    )


def failed_outcome(run: Run, reason: str, suffixes: Sequence[str] = ()) -> Outcome:
    """Return the outcome of a run that failed and left no more than these files."""
    return Outcome(run, "failed", (reason,), {}, file_names(run, suffixes))


def file_names(run: Run, suffixes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a run's files, in the order they are linked."""
    return tuple(f"{run.name}.{suffix}" for suffix in SUFFIXES if suffix in suffixes)


def result_text(
    run: Run,
    record: Mapping[str, Any],
    *,
    status: str,
    reasons: Sequence[str],
    warnings: Sequence[str] = (),
    log: str = "",
) -> str:
    """Return the text of a run's JSON file."""
    result = {
        "schema": 1,
        "run": run.name,
        "status": status,
        "reasons": list(dict.fromkeys(reasons)),
        "dataset": run.dataset,
        "variant": run.variant,
        "formula": run.formula,
        "method": run.method,
        "kind": record.get("kind", ""),
        "focal": run.focal,
        "parameters": {one.name: value for one, value, _ in run.parameters},
        "record": record or None,
        "warnings": list(dict.fromkeys(warnings)),
        "log": log,
    }
    return json.dumps(result, ensure_ascii=False, indent=1, default=str) + "\n"
