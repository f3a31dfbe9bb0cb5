"""A whole replication: sources with their numbers, what they come to, and all of it as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import closest, counted
from lmmtools.frames import Frame, frame
from lmmtools.replication.frozen import Frozen
from lmmtools.replication.result.as_json import as_json
from lmmtools.replication.result.numbers import ReplicatedNumber, number_table
from lmmtools.replication.result.sources import ReplicatedSource
from lmmtools.replication.verdicts import STATUSES

__all__ = ["Replication"]


@dataclass(frozen=True, repr=False)
class Replication(Frozen):
    """Published numbers, printed and computed.

    Attributes
    ----------
    sources : tuple of ReplicatedSource
    versions : Mapping[str, str]
        Of lmmtools, Python and the packages that compute.
    seconds : Mapping[str, float]
        How long the fits and searches of each group of models took, by its label, and all of it: ``"all"``.
        The rest of the value is the same in every run.
    """

    sources: tuple[ReplicatedSource, ...]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def entries(self) -> tuple[ReplicatedNumber, ...]:
        """Every number, source by source."""
        return tuple(entry for source in self.sources for entry in source.entries)

    @property
    def good(self) -> bool:
        """Whether no ledger has a mistake, and each number that fails has a reason, be it that none is found."""
        return all(source.good for source in self.sources)

    @cached_property
    def summary(self) -> Frame:
        """A row a source, and one of all: how many of its numbers have which verdict."""
        rows = {source.name: _counts(source.entries, source.problems) for source in self.sources}
        if len(self.sources) > 1:
            rows["all"] = {key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
        table = pd.DataFrame.from_dict(rows, orient="index")
        titles = [source.title for source in self.sources] + ["All sources"][: len(self.sources) > 1]
        table.insert(0, "title", titles)
        headings = {"title": "Source"}
        others = [name for name in table.columns if name not in headings]
        return frame(
            table.rename_axis("name"),
            caption="Published numbers, printed and computed",
            label="tbl-replication",
            notes=(
                "Accounted for: reproduced, cut off instead of rounded, printed by a variant, or without an estimate "
                "where the source says that there is none. No reason: neither accounted for nor looked at. Mistakes: "
                "in the ledger, in no number.",
            ),
            headings={"name": "Name"} | headings | {name: name.capitalize() for name in others},
        )

    def source(self, name: str) -> ReplicatedSource:
        """One of the sources.

        Raises
        ------
        LMMError
            If there is none of that name; with the nearest.
        """
        known = {source.name: source for source in self.sources}
        if name not in known:
            meant = closest(name, known)
            hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(known)}."
            raise LMMError(f"no source is called `{name}`: {hint}")
        return known[name]

    def table(self, source: str) -> Frame:
        """All numbers of a source, in its order.

        Parameters
        ----------
        source : str
            Its name.

        Returns
        -------
        Frame
            ``place, quantity, printed, computed, verdict, remark``.

        Raises
        ------
        LMMError
            If there is none of that name.
        """
        found = self.source(source)
        return number_table(found.entries, caption=found.title, label=f"tbl-{source}", where=("place",))

    @cached_property
    def misses(self) -> Frame:
        """The numbers that are not reproduced as printed, with what is known of each: also those that are cut off."""
        found = tuple(entry for entry in self.entries if not entry.as_printed)
        caption = f"Not reproduced as printed: {len(found)} of {counted(len(self.entries), 'number')}"
        return number_table(found, caption=caption, label="tbl-misses", where=("source", "place"))

    def to_json(self) -> str:
        """All of it as JSON text; ``docs/replication.md`` says what stands where."""
        return as_json(self.sources, self.good, self.versions, self.seconds)

    def __repr__(self) -> str:
        return repr(self.summary)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self.summary._repr_mimebundle_(include, exclude)


def _counts(entries: tuple[ReplicatedNumber, ...], problems: tuple) -> dict[str, int]:
    by = Counter(entry.verdict for entry in entries)
    good = sum(entry.good for entry in entries)
    open_ = sum(not entry.looked_at for entry in entries)
    counts = {"numbers": len(entries)} | {status: by[status] for status in STATUSES}
    return counts | {"accounted for": good, "no reason": open_, "mistakes": len(problems)}
