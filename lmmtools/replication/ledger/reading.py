"""A ledger file is read so that a mistake costs the number it is in, and no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from lmmtools.formats import visible
from lmmtools.replication.ledger.entries import Entry, Ledger
from lmmtools.replication.ledger.mistakes import beyond_types
from lmmtools.replication.ledger.schema import Model, Source, Variant
from lmmtools.replication.printed import read_printed
from lmmtools.toml import Mistake, find_mistakes, key_text, line_of, positions, read_toml

__all__ = ["read_ledger"]

Path_ = tuple[str | int, ...]


def read_ledger(path: Path) -> Ledger:
    """Read a file of published numbers.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    Ledger
        A mistake in a number, or in the model it needs, stands in the number's `fault`; any other in `problems`.

    Raises
    ------
    StudyError
        If the file cannot be read, or is not TOML.
    """
    text, content = read_toml(path, "ledger")
    return _Reading(path, text, content).ledger()


@dataclass(frozen=True)
class _Reading:
    """One file while it is read."""

    path: Path
    text: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(".toml")

    @cached_property
    def lines(self) -> dict[Path_, int]:
        return positions(self.text)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """All that is wrong, in the order of the file."""
        found = [*find_mistakes(Source, self.content), *beyond_types(self.content)]
        return sorted(found, key=lambda one: self.line(one.path))

    def line(self, path: Path_) -> int:
        return line_of(path, self.lines)

    @cached_property
    def below(self) -> dict[Path_, list[Mistake]]:
        """The mistakes at each key and below it."""
        found: dict[Path_, list[Mistake]] = {}
        for one in self.mistakes:
            for length in range(len(one.path) + 1):
                found.setdefault(one.path[:length], []).append(one)
        return found

    def of(self, *path: str | int) -> list[Mistake]:
        """The mistakes at a key and below it."""
        return self.below.get(path, [])

    def said(self, one: Mistake) -> str:
        """A mistake with its file, line and key."""
        key = f"{key_text(one.path)}: " if one.path else ""
        return f"{visible(self.path.name)}:{self.line(one.path)}: {key}{one.text}"

    def at(self, path: Path_) -> Any:
        """What stands at a path; None where nothing does."""
        value: Any = self.content
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def word(self, path: Path_, key: str) -> str:
        """A text of the file; empty where there is none, or something else."""
        found = self.at((*path, key))
        return found if isinstance(found, str) else ""

    def items(self, *path: str | int) -> Sequence[Any]:
        """A list of the file; empty where there is none, or something else."""
        found = self.at(path)
        return found if isinstance(found, list) else []

    def ledger(self) -> Ledger:
        """The numbers, and what they need."""
        given = self.content.get("models")
        models = {
            name: msgspec.convert(one, Model)
            for name, one in (given.items() if isinstance(given, Mapping) else ())
            if not self.of("models", name)
        }
        variants = [
            msgspec.convert(one, Variant)
            for place, one in enumerate(self.items("variants"))
            if not self.of("variants", place)
        ]
        return Ledger(
            name=self.name,
            folder=self.path.resolve().parent,
            sha256=hashlib.sha256(self.text.encode()).hexdigest(),
            title=self.word((), "title") or self.name,
            **{key: self.word((), key) for key in ("citation", "read", "remarks")},
            models=models,
            variants=tuple(variants),
            entries=tuple(self.entries(models)),
            problems=tuple((self.line(one.path), self.said(one)) for one in self.mistakes if not _in_number(one)),
        )

    def entries(self, models: Mapping[str, Model]) -> Iterator[Entry]:
        for i in range(len(self.items("tables"))):
            for j in range(len(self.items("tables", i, "numbers"))):
                yield self.entry(("tables", i), ("tables", i, "numbers", j), models)

    def entry(self, table: Path_, number: Path_, models: Mapping[str, Model]) -> Entry:
        keys = ("quantity", "printed", "path", "line", "note", "reason", "says")
        texts = {key: self.word(number, key) for key in keys}
        texts["line"] = texts["line"] or self.word(table, "line")
        texts |= {key: texts[key].strip() for key in ("reason", "says")}  # blanks are no reason
        model = self.word(number, "model") or self.word(table, "model")
        faults = [self.said(one) for one in self.of(*number)]
        if not faults and model not in models:  # it is there, or its absence would be a mistake of the number
            faults = [f"its model is malformed: {self.said(one)}" for one in self.of("models", model)]
        return Entry(
            source=self.name,
            at=self.line(number),
            table=int(table[1]),
            place=self.word(table, "place") or f"Table {int(table[1]) + 1} of the ledger",
            page=self.word(table, "page"),
            read=self.word(table, "read"),
            table_reason=self.word(table, "reason").strip(),
            table_says=self.word(table, "says").strip(),
            model=model,
            number=None if faults else read_printed(texts["printed"]),
            fault="; ".join(faults),
            **texts,
        )


def _in_number(one: Mistake) -> bool:
    return len(one.path) >= 4 and one.path[0] == "tables" and one.path[2] == "numbers"
