"""What a run of ledgers found: number by number, place by place, source by source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from lmmtools.formats import MINUS
from lmmtools.frames import Frame, frame
from lmmtools.replication.ledger import Entry

if TYPE_CHECKING:
    from lmmtools.replication.alternatives import Search

__all__ = ["ModelRun", "Place", "ReplicatedNumber", "ReplicatedSource", "number_table"]


@dataclass(frozen=True)
class ReplicatedNumber(Entry):
    """A printed number and what became of it.

    Attributes
    ----------
    computed : float or None
        None where there is no estimate, or nothing could be computed.
    computed_text : str
        The same with two more digits than are printed; ``"no estimate"`` where there is none, empty where it failed.
    verdict : str
        ``"reproduced"``, ``"truncated"``, ``"variant"``, ``"off by n"``, ``"not reproduced"``, ``"no estimate"`` or
        ``"error"``.
    verdict_text : str
        The same with its numbers.
    units : int or None
        How many units in the last place it is off.
    good : bool
        Whether it is reproduced as printed, or cut off, or a variant prints it, or there is no estimate and the
        source says so.
    looked_at : bool
        Whether it is good, or the ledger gives a reason, be it that none is found.
    remark : str
        Reason, what the search found, or why nothing could be computed: sentences.
    search : Search or None
    """

    computed: float | None
    computed_text: str
    verdict: str
    verdict_text: str
    units: int | None
    good: bool
    looked_at: bool
    remark: str
    search: Search | None

    @property
    def printed_text(self) -> str:
        """What is printed, with a true minus sign."""
        if self.number is not None and self.number.no_minimum:
            return f"{MINUS}∞"
        return self.printed.replace("-", MINUS) if self.number is not None else self.printed


@dataclass(frozen=True)
class ModelRun:
    """A model as the source writes it and as it is run.

    Attributes
    ----------
    name, printed, data : str
    run : str
        In a line: ``"Reaction ~ Days + (Days | Subject)"``.
    method : str
        ``"REML"`` or ``"ML"``.
    options : tuple of (str, str)
        What is set besides, with what it is called.
    status : str
        What the fit's certificate says; empty where there is none, or no fit.
    message : str
        Why it could not be fitted; empty if it could.
    """

    name: str
    printed: str
    run: str
    method: str
    data: str
    options: tuple[tuple[str, str], ...]
    status: str
    message: str


@dataclass(frozen=True)
class Place:
    """A place in the source, with what is printed there.

    Attributes
    ----------
    place, page, line, read : str
    entries : tuple of ReplicatedNumber
    """

    place: str
    page: str
    line: str
    read: str
    entries: tuple[ReplicatedNumber, ...]

    @property
    def table(self) -> Frame:
        """Its numbers, printed and computed."""
        caption = f"{self.place}, p. {self.page}" if self.page else self.place
        return number_table(self.entries, caption=caption, label="tbl-place")


@dataclass(frozen=True)
class ReplicatedSource:
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", MappingProxyType(dict(self.models)))

    def __reduce__(self) -> tuple:
        # a mapping proxy cannot be pickled, a dict can
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return ReplicatedSource, tuple((values | {"models": dict(self.models)}).values())

    @property
    def entries(self) -> tuple[ReplicatedNumber, ...]:
        """Its numbers in the source's order."""
        return tuple(entry for place in self.places for entry in place.entries)

    @property
    def good(self) -> bool:
        """Whether the file has no mistakes, and each number that fails has been looked at."""
        return not self.problems and all(entry.looked_at for entry in self.entries)


def number_table(
    entries: tuple[ReplicatedNumber, ...], *, caption: str, label: str, where: tuple[str, ...] = ()
) -> Frame:
    """Printed and computed numbers, a row each.

    Parameters
    ----------
    entries : tuple of ReplicatedNumber
    caption, label : str
    where : tuple of str
        What tells where they are, as columns before the rest: ``("source", "place")``.

    Returns
    -------
    Frame
    """
    columns = {
        "source": "Source", "place": "Place", "quantity": "Quantity", "printed_text": "Printed",
        "computed_text": "Computed", "verdict_text": "Verdict", "remark": "Remark",
    }  # fmt: skip
    names = [name for name in columns if name in where or name not in ("source", "place")]
    rows = [[getattr(entry, name) for name in names] for entry in entries]
    named = [name.removesuffix("_text") for name in names]
    return frame(
        pd.DataFrame(rows, columns=named, dtype=object),
        caption=caption,
        label=label,
        headings=dict(zip(named, (columns[name] for name in names), strict=True)),
        index=False,
    )
