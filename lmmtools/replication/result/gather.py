"""What was computed, put back where it belongs: number by number into the places of each source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import groupby

from lmmtools.replication.computing.findings import Computed, Finding
from lmmtools.replication.computing.groups import Group
from lmmtools.replication.ledger.entries import Entry, Ledger
from lmmtools.replication.result.models import model_run
from lmmtools.replication.result.numbers import ReplicatedNumber
from lmmtools.replication.result.sources import Place, ReplicatedSource
from lmmtools.replication.result.words import computed_text, reason_words, remarks
from lmmtools.replication.verdicts import Verdict, failed

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
            models={name: model_run(name, model, *models[i, name]) for name, model in ledger.models.items()},
            places=tuple(_places(_number(one, findings.get((i, j))) for j, one in enumerate(ledger.entries))),
            problems=ledger.problems,
        )
        for i, ledger in enumerate(ledgers)
    )


def _places(numbers: Iterator[ReplicatedNumber]) -> Iterator[Place]:
    for _, found in groupby(numbers, key=lambda one: one.table):
        first, *rest = found
        every = (first, *rest)
        line = first.line if all(one.line == first.line for one in rest) else ""
        yield Place(first.place, first.page, line, first.read, every, _shared(every))


def _shared(numbers: Sequence[ReplicatedNumber]) -> str:
    """What is said once of the numbers of a table that share its reason."""
    found = [one for one in numbers if one.shared]
    if not found:  # a reason that none needs says nothing of what is printed here
        return ""
    worst = next((one for one in found if not one.good), found[0])
    return reason_words(worst.reason, worst.says, Verdict(worst.verdict, worst.verdict_text, worst.good))


def _number(entry: Entry, finding: Finding | None) -> ReplicatedNumber:
    found = finding or Finding(None, failed())  # one with a fault was in no group
    verdict = found.verdict
    # the reason of a table is for those of its numbers that are not printed so, and have none of their own
    fails = verdict.status not in ("reproduced", "error") and not (verdict.status == "no estimate" and verdict.good)
    shared = bool(fails and entry.table_reason and not entry.reason)
    reason, says = (entry.table_reason, entry.table_says) if shared else (entry.reason, entry.says)
    whole, own = remarks(entry, found, reason_words(reason, says, verdict))
    return ReplicatedNumber(
        **{field.name: getattr(entry, field.name) for field in fields(entry)} | {"reason": reason, "says": says},
        computed=found.computed,
        computed_text=computed_text(entry, found),
        verdict=verdict.status,
        verdict_text=verdict.words,
        units=verdict.units,
        good=verdict.good,
        looked_at=(verdict.good or bool(reason and verdict.status != "error"))
        and not (found.search is not None and found.search.faults),
        remark=whole,
        search=found.search,
        shared=shared,
        own_remark=own if shared else whole,
    )
