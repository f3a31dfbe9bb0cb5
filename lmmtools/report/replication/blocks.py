"""What only these pages hold: blocks of numbers, of models, and the tables of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmtools.report.pages.blocks import Block, Prose
from lmmtools.report.pages.page import Page
from lmmtools.report.replication.earlier import Earlier
from lmmtools.report.replication.rows import Row
from lmmtools.report.replication.signs import Sign

__all__ = [
    "EarlierPages",
    "LedgerPage",
    "Link",
    "Meanings",
    "Misses",
    "Models",
    "Notebooks",
    "Numbers",
    "PlaceMisses",
    "Sources",
    "Start",
]


@dataclass(frozen=True)
class Link:
    """Words that lead somewhere: to a file beside the page, or to a place within it."""

    words: str
    to: str


@dataclass(frozen=True)
class Start(Prose):
    """The heading of a source within the PDF, and what follows it; ``starts`` is the source's name."""

    starts: str = ""
    title: str = ""

    @property
    def kind(self) -> str:
        """Prose to templates, like all that is converted."""
        return "prose"


@dataclass(frozen=True)
class Models(Block):
    """The models whose numbers follow, as the source writes them and as they are run."""

    models: tuple[Any, ...]


@dataclass(frozen=True)
class Numbers(Block):
    """Printed numbers in the source's order.

    ``several`` says that they are of more than one model; ``remark`` why those that fail do, if one reason holds for
    ``shared`` of them.
    """

    rows: tuple[Row, ...]
    several: bool = False
    remark: str = ""
    shared: int = 0


@dataclass(frozen=True)
class PlaceMisses:
    """What is not reproduced of one place, and why, if the reason is that of all of them."""

    place: str
    remark: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Misses(Block):
    """What is not reproduced of one source, place by place; each number leads to where it stands beside its source."""

    places: tuple[PlaceMisses, ...]


@dataclass(frozen=True)
class Sources(Block):
    """The table of sources: a row each, with who wrote it and when, and counts by verdict."""

    rows: tuple[tuple[Any, str, tuple[int, ...]], ...]
    signs: tuple[Sign, ...]
    totals: tuple[int, ...]


@dataclass(frozen=True)
class EarlierPages(Block):
    """Pages of sources that were in the folder before, and are not of this run."""

    rows: tuple[Earlier, ...]


@dataclass(frozen=True)
class Notebooks(Block):
    """The notebooks, with what became of them."""

    rows: tuple[Any, ...]


@dataclass(frozen=True)
class Meanings(Block):
    """What the verdicts mean."""

    signs: tuple[Sign, ...]


@dataclass(frozen=True)
class LedgerPage(Page):
    """A page of the replication.

    Attributes
    ----------
    ledger : str
        The name of its source; empty on the index.
    counts : tuple of (Sign, int)
    trail : tuple of Link
        Where one can go from here.
    jumps : tuple of Link
        Where on this page numbers are not reproduced.
    """

    ledger: str = ""
    counts: tuple[tuple[Sign, int], ...] = ()
    trail: tuple[Link, ...] = ()
    jumps: tuple[Link, ...] = ()
