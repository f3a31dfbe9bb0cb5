"""What was computed, put back where it belongs: number by number into the places of each source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import groupby

from lmmtools.replication.compute import Computed, Finding
from lmmtools.replication.groups import Group
from lmmtools.replication.ledger import Entry, Ledger
from lmmtools.replication.result import ModelRun, Place, ReplicatedNumber, ReplicatedSource
from lmmtools.replication.schema import Model
from lmmtools.replication.verdicts import failed
from lmmtools.replication.words import computed_text, model_line, model_method, model_options, remark

__all__ = ["gathered"]


def gathered(
    ledgers: Sequence[Ledger], groups: Sequence[Group], computed: Sequence[Computed]
) -> tuple[ReplicatedSource, ...]:
    """The sources with their numbers, printed and computed.

    Parameters
    ----------
    ledgers : sequence of Ledger
    groups : sequence of Group
        Of these ledgers.
    computed : sequence of Computed
        What became of each group.
    """
    findings: dict[tuple[int, int], Finding] = {}
    models: dict[tuple[int, str], tuple[str, str]] = {}
    for group, found in zip(groups, computed, strict=True):
        findings |= zip(group.entries, found.findings, strict=True)
        models |= zip(group.models, found.models, strict=True)
    return tuple(
        ReplicatedSource(
            **{name: getattr(ledger, name) for name in ("name", "title", "citation", "read", "remarks", "sha256")},
            models={name: _model(name, model, *models[i, name]) for name, model in ledger.models.items()},
            places=tuple(_places(_number(one, findings.get((i, j))) for j, one in enumerate(ledger.entries))),
            problems=ledger.problems,
        )
        for i, ledger in enumerate(ledgers)
    )


def _places(numbers: Iterator[ReplicatedNumber]) -> Iterator[Place]:
    for _, found in groupby(numbers, key=lambda one: one.table):
        first, *rest = found
        line = first.line if all(one.line == first.line for one in rest) else ""
        yield Place(first.place, first.page, line, first.read, (first, *rest))


def _number(entry: Entry, finding: Finding | None) -> ReplicatedNumber:
    found = finding or Finding(None, failed())  # one with a fault was in no group
    return ReplicatedNumber(
        **{field.name: getattr(entry, field.name) for field in fields(entry)},
        computed=found.computed,
        computed_text=computed_text(entry, found),
        verdict=found.verdict.status,
        verdict_text=found.verdict.words,
        units=found.verdict.units,
        good=found.verdict.good,
        looked_at=found.verdict.good or bool(entry.reason and found.verdict.status != "error"),
        remark=remark(entry, found),
        search=found.search,
    )


def _model(name: str, model: Model, status: str, message: str) -> ModelRun:
    return ModelRun(
        name=name,
        printed=model.printed,
        run=model_line(model),
        method=model_method(model),
        data=model.data,
        options=model_options(model),
        status=status,
        message=message,
    )
