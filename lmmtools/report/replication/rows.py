"""Printed numbers beside computed ones, as rows of a table, and where they stand in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmmtools.formats import FIGURE_SPACE, MINUS, POINT_SPACE, shown
from lmmtools.report.replication.signs import Sign, sign_of

__all__ = ["Row", "line_words", "number_rows", "place_words"]

_PAGED = re.compile(r"\b(p\.|pp\.|page)\s*\d")
_PLAIN_WORD = re.compile(r"[a-z]+\s")
# Verdicts whose words hold a name or a message.
_LONG = {"variant", "no estimate", "error"}


@dataclass(frozen=True)
class Row:
    """A printed number beside the computed one.

    Attributes
    ----------
    anchor : str
        Its name within its source: ``n45``, after its line in the ledger.
    source, place : str
        Where it is printed; the name of the ledger, and the place in words.
    quantity, model, path : str
        What is printed, of which model, and where in the result the computed number stands.
    line, note : str
        Where in the place it stands, and what a reader should know of it whatever the verdict.
    printed, computed, more : str
        As shown; ``more`` are the digits of the computed number beyond those printed.
    pads : tuple of str
        Spaces after the printed and after the computed number, with which the points of a column align.
    sign : Sign
    words : str
        The verdict.
    why : str
        What is to be said of this number alone, if it is not reproduced; empty otherwise.
    reason : str
        The same without what `tried` and `rise` say.
    tried : str
        How many alternatives print it, of how many, and the chance that one does by luck.
    rise : str
        How far above the minimum of the criterion parameters lie that print it.
    """

    anchor: str
    source: str
    place: str
    quantity: str
    model: str
    path: str
    line: str
    note: str
    printed: str
    computed: str
    more: str
    pads: tuple[str, str]
    sign: Sign
    words: str
    why: str
    reason: str
    tried: str
    rise: str


def number_rows(entries: Sequence[Any]) -> tuple[Row, ...]:
    """Return the rows of entries that stand in one table, their points aligned."""
    printed = [one.printed_text.strip().replace("-", MINUS) for one in entries]
    computed = [_split(one.printed, one.computed_text) for one in entries]
    pads = zip(_pads(printed), _pads([head + more for head, more in computed]), strict=True)
    return tuple(
        Row(
            anchor=f"n{one.at}",
            source=one.source,
            place=place_words(one),
            quantity=one.quantity,
            model=one.model,
            path=one.path,
            line=line_words(one.line),
            note=one.note,
            printed=number,
            computed=head,
            more=more,
            pads=spaces,
            sign=sign_of(one),
            words=_words(one),
            why=_why(one),
            reason=_begun(_unsearched(one)),
            tried=_tried(one),
            rise="" if one.search is None else one.search.rise,
        )
        for one, number, (head, more), spaces in zip(entries, printed, computed, pads, strict=True)
    )


def place_words(place: Any) -> str:
    """Return a place with its page and line, as one looks for it."""
    page = f"p. {place.page}" if place.page and not _PAGED.search(place.place) else ""
    return ", ".join(part for part in (place.place, page) if part)


def line_words(line: str) -> str:
    """Return ``"line 61"``, ``"lines 61-64"``; words that say what they are stay as they are."""
    if not line[:1].isdigit():
        return line
    return f"line {line}" if line.isdigit() else f"lines {line}"


def _words(entry: Any) -> str:
    """Return a verdict in the few words there is room for beside its number."""
    sign = sign_of(entry)
    if sign.status in _LONG:
        return sign.heading
    return str(entry.verdict_text).partition(";")[0].removesuffix(" in the last place")


def _why(entry: Any) -> str:
    """Return what the verdict says beyond those words, and what is remarked of this number alone."""
    sign, said, remark = sign_of(entry), str(entry.verdict_text), entry.own_remark
    rest = said if sign.status in _LONG else said.partition(";")[2].strip()
    told = rest in (sign.heading, sign.status) or (rest.partition(": ")[2] or rest) in remark
    parts = ("" if told or not rest else f"{_begun(rest)}.", _begun(remark))
    return " ".join(part for part in parts if part)


def _unsearched(entry: Any) -> str:
    """Return the remark without what was tried in vain."""
    searched = entry.search is not None and entry.search.explanation is None
    return " ".join(entry.own_remark.replace(entry.search.sentence, "").split()) if searched else entry.own_remark


def _tried(entry: Any) -> str:
    """Return ``"none of 14"``, or ``"3 of 17, luck 100 %"``."""
    search = entry.search
    if search is None or not search.tried:
        return ""
    if not search.prints:
        return f"none of {search.tried}"
    luck = "" if search.chance is None else f", luck {shown(100.0 * search.chance, 2)} %"
    return f"{len(search.prints)} of {search.tried}{luck}"


def _begun(words: str) -> str:
    """Return words as a sentence begins; names, of files and options too, stay as they are."""
    return words[:1].upper() + words[1:] if _PLAIN_WORD.match(words) else words


def _split(printed: str, computed: str) -> tuple[str, str]:
    """Return a computed number as far as the printed one goes, and its further digits."""
    if "e" in computed.lower() or not computed.strip(MINUS).replace(".", "").isdigit():
        return computed, ""
    decimals = len(printed.strip().partition(".")[2])
    whole, point, rest = computed.partition(".")
    if not decimals:
        return whole, point + rest
    return f"{whole}{point}{rest[:decimals]}", rest[decimals:]


def _pads(texts: Sequence[str]) -> list[str]:
    """Return the spaces, as wide as digits and points are, after which the points of a flush-right column align."""
    plain = [text.strip(MINUS).replace(".", "").replace(",", "").isdigit() for text in texts]
    tails = [len(text.partition(".")[2]) for text in texts]
    longest = max((tail for tail, number in zip(tails, plain, strict=True) if number), default=0)
    return [
        (POINT_SPACE if not tail and longest else "") + FIGURE_SPACE * (longest - tail) if number else ""
        for tail, number in zip(tails, plain, strict=True)
    ]
