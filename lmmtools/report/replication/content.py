"""What stands on the pages: of a source, of all sources, and in the one PDF that holds both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lmmtools.formats import counted
from lmmtools.report.pages.blocks import Block, Prose
from lmmtools.report.replication.blocks import (
    EarlierPages,
    LedgerPage,
    Link,
    Meanings,
    Misses,
    Models,
    Notebooks,
    Numbers,
    PlaceMisses,
    Sources,
    Start,
)
from lmmtools.report.replication.earlier import Earlier
from lmmtools.report.replication.notebooks import Notebook
from lmmtools.report.replication.rows import Row, line_words, number_rows, place_words
from lmmtools.report.replication.signs import SIGNS, counted_signs, counts_sentence

__all__ = ["document", "index_page", "source_page", "summary_sentence"]

TITLE = "Published numbers, computed again"
_EARLIER = (
    "They were in the folder before and are as they were: this run has not computed them, and they are in none of the "
    "tables below, nor in the PDF or the JSON. Without names, `lmmtools replicate` computes every source anew."
)
_COLUMNS = (
    "Each leads to its row beside its source. *Tried*: how many of the alternatives print it, and the chance that one "
    "does by luck. *Distance*: how far above its minimum the criterion is at the nearest parameters that print it, "
    "which is how early a search would have to stop."
)
_FEW = 4  # models that stand above their numbers; more of them would hide these
# Of a reference, as far as the year.
_AUTHORS = re.compile(r".{1,160}?\(\d{4}[^)]{0,20}\)")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$@&^\"'.:/-])")


def source_page(replication: Any, source: Any, notebooks: Sequence[Notebook]) -> LedgerPage:
    """Return the page of one source, to be held beside it.

    Parameters
    ----------
    replication : Replication
    source
        One of its sources.
    notebooks : sequence of Notebook
        Those that were asked for; the page leads to the source's own.
    """
    places = [one.name for one in replication.sources]
    at = places.index(source.name)
    trail = [Link("All sources", "index.html")]
    own = [one for one in notebooks if one.source == source.name and one.page]
    trail += [Link(f"Notebook: {one.title}", one.page) for one in own]
    trail += [Link(f"Before: {one.title}", f"{one.name}.html") for one in replication.sources[at - 1 : at] if at]
    trail += [Link(f"Next: {one.title}", f"{one.name}.html") for one in replication.sources[at + 1 : at + 2]]
    return _page(
        ledger=source.name,
        title=source.title,
        subtitle=source.citation,
        facts=_source_facts(source),
        provenance=_provenance(replication, [source]),
        blocks=source_blocks(source, 2),
        counts=counted_signs(source.entries),
        trail=tuple(trail),
        jumps=_jumps(source),
    )


def index_page(replication: Any, notebooks: Sequence[Notebook], earlier: Sequence[Earlier] = ()) -> LedgerPage:
    """Return the page over all sources.

    Parameters
    ----------
    replication : Replication
    notebooks : sequence of Notebook
    earlier : sequence of Earlier
        Pages in the folder that are not of this run.
    """
    return _page(
        title=TITLE,
        subtitle="",
        facts=(),
        provenance=_provenance(replication, replication.sources),
        blocks=overview_blocks(replication, notebooks, earlier),
        trail=(Link("This run as PDF", "replication.pdf"), Link("This run as JSON", "replication.json")),
    )


def document(replication: Any, notebooks: Sequence[Notebook]) -> LedgerPage:
    """Return the pages of the PDF: what the index says, then source after source."""
    page = index_page(replication, notebooks)
    blocks = list(page.blocks)
    for source in replication.sources:
        facts = [("", source.citation), *_source_facts(source)]
        about = "\n\n".join(f"{label}: {text(said)}" if label else text(said) for label, said in facts)
        start = Start(f"## {text(source.title)}\n\n{about}", starts=source.name, title=source.title)
        blocks += [start, *source_blocks(source, 3)]
    return _page(title=page.title, subtitle="", facts=(), provenance=page.provenance, blocks=tuple(blocks))


def overview_blocks(
    replication: Any, notebooks: Sequence[Notebook], earlier: Sequence[Earlier] = ()
) -> tuple[Block, ...]:
    """Return the summary, the notebooks, what is not reproduced, and what the words mean."""
    blocks: list[Block] = []
    if replication.sources:
        blocks += [Prose(summary_sentence(replication)), _sources(replication)]
    if earlier:
        blocks += [Prose(f"## Pages of earlier runs\n\n{_EARLIER}"), EarlierPages(tuple(earlier))]
    if notebooks:
        said = "Each follows its source section by section and computes, beside every formula, both of its sides."
        blocks += [Prose(f"## Notebooks\n\n{said}"), Notebooks(tuple(notebooks))]
    if replication.sources:
        blocks += _misses(replication)
        blocks += [Prose("## What the verdicts mean"), Meanings(SIGNS)]
    return tuple(blocks)


def source_blocks(source: Any, level: int) -> tuple[Block, ...]:
    """Return the places of a source in its own order, each with its models and its numbers.

    Parameters
    ----------
    source
    level : int
        Of the headings.
    """
    blocks: list[Block] = []
    if source.problems:
        wrong = "\n".join(f"> - {text(said)}" for _, said in source.problems)
        said = "These parts of the ledger cannot be read; all others are here."
        blocks.append(Prose(f"> [!CAUTION]\n> {said}\n>\n{wrong}"))
    for place in source.places:
        rows = number_rows(place.entries)
        names = list(dict.fromkeys(one.model for one in place.entries))
        read = f"\n\nRead in: {text(place.read)}" if place.read else ""
        line = line_words(place.line) if place.line[:1].isdigit() else ""  # else words that are said of each number
        where = ", ".join(part for part in (place_words(place), line) if part)
        blocks.append(Prose(f"{'#' * level} {text(where)}{read}"))
        shared = sum(one.shared and not one.as_printed for one in place.entries)
        numbers = Numbers(rows, several=len(names) > 1, remark=place.remark if shared else "", shared=shared)
        models = Models(tuple(_told_once(source.models[name], place) for name in names if name in source.models))
        if not models.models:
            blocks.append(numbers)
        elif len(models.models) > _FEW:  # the numbers are what is looked for
            blocks += [numbers, models]
        else:
            blocks += [models, numbers]
    return tuple(blocks)


def _told_once(model: Any, place: Any) -> Any:
    """Return a model without its message where a number of the place tells it too."""
    told = any(model.message in one.own_remark for one in place.entries if one.model == model.name)
    return replace(model, message="") if told else model


def _jumps(source: Any) -> tuple[Link, ...]:
    """Return links to where numbers are not reproduced, each with how many."""
    missed = [(place, [one for one in place.entries if not one.as_printed]) for place in source.places]
    return tuple(
        Link(f"{place_words(place)}: {_numbers(found) if len(found) > 1 else found[0].quantity}", f"#n{found[0].at}")
        for place, found in missed if found
    )  # fmt: skip


def missed_rows(source: Any) -> tuple[Row, ...]:
    """Return the rows of a source that are not reproduced as they are printed."""
    return number_rows([one for one in source.entries if not one.as_printed])


def summary_sentence(replication: Any) -> str:
    """Return in a sentence how many printed numbers there are, and what became of them."""
    counts = counts_sentence(counted_signs(replication.entries))
    of = counted(len(replication.sources), "source")
    return f"Of {counted(len(replication.entries), 'printed number')} in {of}, {counts}."


def text(words: str) -> str:
    r"""Return words as Markdown in which no character has a meaning."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def _page(**values: Any) -> LedgerPage:
    return LedgerPage(status="", reasons=(), settings=(), **values)


def _sources(replication: Any) -> Sources:
    signs = tuple(sign for sign, _ in counted_signs(replication.entries))
    rows = []
    for source in replication.sources:
        found = {sign.status: n for sign, n in counted_signs(source.entries)}
        written = _AUTHORS.match(source.citation)
        rows.append((source, written[0] if written else "", tuple(found.get(sign.status, 0) for sign in signs)))
    totals = tuple(sum(counts[place] for _, _, counts in rows) for place in range(len(signs)))
    return Sources(tuple(rows), signs, totals)


def _misses(replication: Any) -> list[Block]:
    """Return all that is not reproduced as printed, source by source and place by place."""
    missed = [one for one in replication.entries if not one.as_printed]
    if not missed:
        return [Prose("## Not reproduced as printed\n\nEvery number is.")]
    counts = counts_sentence(counted_signs(missed))
    blocks: list[Block] = [Prose(f"## Not reproduced as printed\n\nOf {_numbers(missed)}, {counts}. {_COLUMNS}")]
    for source in replication.sources:
        # one table, so that the points align from place to place
        rows = {row.anchor: row for row in missed_rows(source)}
        places = [
            PlaceMisses(place_words(place), place.remark if any(one.shared for one in found) else "",
                        tuple(rows[f"n{one.at}"] for one in found))
            for place in source.places
            if (found := [one for one in place.entries if not one.as_printed])
        ]  # fmt: skip
        if places:
            blocks += [Prose(f"### {text(source.title)}"), Misses(tuple(places))]
    return blocks


def _numbers(entries: Sequence[Any]) -> str:
    return counted(len(entries), "number")


def _source_facts(source: Any) -> tuple[tuple[str, str], ...]:
    facts = (("Read in", source.read), ("Remarks", source.remarks))
    return tuple((label, said) for label, said in facts if said)


def _provenance(replication: Any, sources: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    versions = ", ".join(f"{name} {version}" for name, version in replication.versions.items())
    hashes = tuple((f"Ledger {one.name}", f"sha256 {one.sha256}") for one in sources)
    return (*hashes, ("Versions", versions))
