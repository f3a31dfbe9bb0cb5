"""A replication as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmmtools.replication.result.models import ModelRun
from lmmtools.replication.result.numbers import ReplicatedNumber
from lmmtools.replication.result.sources import Place, ReplicatedSource
from lmmtools.replication.verdicts import STATUSES

if TYPE_CHECKING:
    from lmmtools.replication.alternatives import Search

__all__ = ["as_json"]


def as_json(
    sources: Sequence[ReplicatedSource], good: bool, versions: Mapping[str, str], seconds: Mapping[str, float]
) -> str:
    """JSON text of a replication, its numbers finite: ``null`` stands for what is not.

    Parameters
    ----------
    sources : sequence of ReplicatedSource
    good : bool
    versions, seconds : mapping

    Returns
    -------
    str
    """
    found = {
        "schema": 1,
        "good": good,
        "versions": dict(versions),
        "sources": [_source(source) for source in sources],
        "seconds": {label: round(value, 3) for label, value in seconds.items()},
    }
    return json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1)


def _source(source: ReplicatedSource) -> dict[str, Any]:
    by = Counter(entry.verdict for entry in source.entries)
    texts = ("name", "title", "citation", "read", "remarks", "sha256")
    return {name: getattr(source, name) for name in texts} | {
        "good": source.good,
        "counts": {status: by[status] for status in STATUSES},
        "problems": [{"at": at, "text": text} for at, text in source.problems],
        "models": {name: _model(model) for name, model in source.models.items()},
        "places": [_place(place) for place in source.places],
    }


def _model(model: ModelRun) -> dict[str, Any]:
    names = ("printed", "run", "method", "data", "status", "message")
    return {name: getattr(model, name) for name in names} | {"options": dict(model.options)}


def _place(place: Place) -> dict[str, Any]:
    texts = ("place", "page", "line", "read", "remark")
    return {name: getattr(place, name) for name in texts} | {"entries": [_entry(entry) for entry in place.entries]}


def _entry(entry: ReplicatedNumber) -> dict[str, Any]:
    names = ("at", "quantity", "printed", "path", "model", "page", "line", "note", "reason", "says")
    more = ("shared", "computed_text", "verdict", "verdict_text", "units", "good", "looked_at", "remark")
    return {name: getattr(entry, name) for name in names} | {
        "computed": _finite(entry.computed),
        **{name: getattr(entry, name) for name in more},
        "search": None if entry.search is None else _search(entry.search),
    }


def _search(search: Search) -> dict[str, Any]:
    return {
        "tried": search.tried,
        "alternatives": [
            {
                "name": one.name,
                "stated": one.stated,
                "says": one.says,
                "computed": _finite(one.computed),
                "prints": one in search.prints,
            }
            for one in search.alternatives
        ],
        "chance": _finite(search.chance),
        "distance": _finite(search.distance),
        "faults": list(search.faults),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
