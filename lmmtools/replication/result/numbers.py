"""A printed number and what became of it, and many of them as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from lmmtools.formats import MINUS
from lmmtools.frames import Frame, frame
from lmmtools.replication.ledger.entries import Entry

if TYPE_CHECKING:
    from lmmtools.replication.alternatives import Search

__all__ = ["ReplicatedNumber", "number_table"]


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
    shared : bool
        Whether `reason` and `says` are those of its table.
    own_remark : str
        The remark without what the `remark` of its place says of all of them.
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
    shared: bool = field(default=False, kw_only=True)
    own_remark: str = field(default="", kw_only=True)

    @property
    def as_printed(self) -> bool:
        """Whether the model as stated gives what is printed, be it that there is no estimate."""
        return self.verdict == "reproduced" or (self.verdict == "no estimate" and self.good)

    @property
    def printed_text(self) -> str:
        """What is printed, with a true minus sign."""
        if self.number is not None and self.number.no_minimum:
            return f"{MINUS}∞"
        return self.printed.replace("-", MINUS) if self.number is not None else self.printed


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
