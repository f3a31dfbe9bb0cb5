"""A ledger as it is run: the numbers of one source, the models that give them, and what is wrong in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lmmtools.replication.frozen import Frozen
from lmmtools.replication.ledger.schema import Model, Variant
from lmmtools.replication.printed import Printed

__all__ = ["Entry", "Ledger"]


@dataclass(frozen=True)
class Entry:
    """A printed number, what computes it, and where both stand.

    Attributes
    ----------
    source : str
        The ledger's name.
    at, table : int
        Its line in the ledger, and the place of its table there, from 0.
    place, page, line, read : str
        Where it is in the source, and where it was read.
    quantity, printed, path, model, note, reason, says : str
        As in the ledger; `model` is a name of its models.
    number : Printed or None
        What is printed; None where that is no number.
    fault : str
        Why nothing can be computed; empty if it can.
    table_reason, table_says : str
        Reason and says of its table, which hold for it if it fails and has no reason of its own.
    """

    source: str
    at: int
    table: int
    place: str
    page: str
    line: str
    read: str
    quantity: str
    printed: str
    path: str
    model: str
    note: str
    reason: str
    says: str
    number: Printed | None
    fault: str
    table_reason: str = field(default="", kw_only=True)
    table_says: str = field(default="", kw_only=True)

    @property
    def where(self) -> str:
        """File and line of the ledger: ``"bates_2015.toml:31"``."""
        return f"{self.source}.toml:{self.at}"


@dataclass(frozen=True)
class Ledger(Frozen):
    """The numbers of one source.

    Attributes
    ----------
    name : str
        Of the file, without its suffix.
    folder : pathlib.Path
        Where it is, and where the paths of its data files start.
    sha256 : str
        Of the file.
    title, citation, read, remarks : str
        What the file says of the source.
    models : Mapping[str, Model]
        Those without mistakes.
    variants : tuple of Variant
        Those without mistakes.
    entries : tuple of Entry
        In the order of the file.
    problems : tuple of (int, str)
        Line and sentence of each mistake that is in no number: in a model, a variant, or a key of the file.
    """

    name: str
    folder: Path
    sha256: str
    title: str
    citation: str
    read: str
    remarks: str
    models: Mapping[str, Model]
    variants: tuple[Variant, ...]
    entries: tuple[Entry, ...]
    problems: tuple[tuple[int, str], ...]
