"""The numbers of one source, printed and computed, place by place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmmtools.replication.frozen import Frozen
from lmmtools.replication.result.models import ModelRun
from lmmtools.replication.result.numbers import ReplicatedNumber

__all__ = ["Place", "ReplicatedSource"]


@dataclass(frozen=True)
class Place:
    """A place in the source, with what is printed there.

    Attributes
    ----------
    place, page, line, read : str
    entries : tuple of ReplicatedNumber
    remark : str
        The reason that numbers which fail here share; empty where they share none.
    """

    place: str
    page: str
    line: str
    read: str
    entries: tuple[ReplicatedNumber, ...]
    remark: str = ""


@dataclass(frozen=True)
class ReplicatedSource(Frozen):
    """The numbers of one source, printed and computed.

    Attributes
    ----------
    name, title, citation, read, remarks, sha256 : str
        As of `Ledger`.
    models : Mapping[str, ModelRun]
    places : tuple of Place
        In the source's order.
    problems : tuple of (int, str)
        Mistakes of the ledger that belong to no number: line and sentence.
    """

    name: str
    title: str
    citation: str
    read: str
    remarks: str
    sha256: str
    models: Mapping[str, ModelRun]
    places: tuple[Place, ...]
    problems: tuple[tuple[int, str], ...]

    @property
    def entries(self) -> tuple[ReplicatedNumber, ...]:
        """Its numbers in the source's order."""
        return tuple(entry for place in self.places for entry in place.entries)

    @property
    def good(self) -> bool:
        """Whether the file has no mistakes, and each number that fails has been looked at."""
        return not self.problems and all(entry.looked_at for entry in self.entries)
