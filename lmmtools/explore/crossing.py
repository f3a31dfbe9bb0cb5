"""How two grouping factors lie to each other: nested, partially crossed or fully crossed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from lmmtools.explore.variables import Variable, Variables
from lmmtools.frames import Frame, frame

__all__ = ["Crossing", "crossing_of", "crossing_table", "crossings"]

SAME, NESTED, FULL, PARTIAL = "the same groups", "nested", "fully crossed", "partially crossed"


@dataclass(frozen=True, eq=False)
class Crossing:
    """Two grouping factors by the pairs of levels that occur.

    Attributes
    ----------
    first, second : str
        A nested factor is the first.
    relation : str
        ``"the same groups"``, ``"nested"`` (the first in the second), ``"fully crossed"`` (every pair occurs) or
        ``"partially crossed"``.
    codes : tuple of ndarray, each shape (pairs,)
        Level of the first and of the second factor of every pair that occurs.
    counts : ndarray, shape (pairs,)
        Rows of each pair.
    levels : tuple of pd.Index
        All levels of the first and of the second factor.
    """

    first: str
    second: str
    relation: str
    codes: tuple[np.ndarray, np.ndarray]
    counts: np.ndarray
    levels: tuple[pd.Index, pd.Index]

    @property
    def possible(self) -> int:
        """Pairs there could be."""
        return len(self.levels[0]) * len(self.levels[1])


def crossing_of(first: Variable, second: Variable) -> Crossing:
    """Classify two grouping factors on the rows that have both."""
    here = first.present & second.present
    size = len(second.levels)
    pairs, counts = np.unique(first.values[here].astype(np.int64) * size + second.values[here], return_counts=True)
    a, b = pairs // size, pairs % size
    levels = len(np.unique(a)), len(np.unique(b))
    inside = tuple(len(pairs) == number for number in levels)  # one level of the other for each of its own
    if inside[1] and not inside[0]:
        first, second, a, b = second, first, b, a
    if all(inside):
        relation = SAME
    elif any(inside):
        relation = NESTED
    else:
        relation = FULL if len(pairs) == levels[0] * levels[1] else PARTIAL
    return Crossing(first.name, second.name, relation, (a, b), counts, (first.levels, second.levels))


def crossings(variables: Variables) -> tuple[Crossing, ...]:
    """Every two grouping factors that occur in one row."""
    pairs = combinations(variables.groups, 2)
    return tuple(crossing_of(a, b) for a, b in pairs if (a.present & b.present).any())


def crossing_table(found: tuple[Crossing, ...]) -> Frame:
    """A row a pair of factors."""
    rows = [
        (
            f"{c.first} and {c.second}", len(c.counts), c.possible, len(c.counts) / c.possible,
            int(c.counts.min()), int(c.counts.max()),
            f"{c.first} nested in {c.second}" if c.relation == NESTED else c.relation,
        )
        for c in found
    ]  # fmt: skip
    return frame(
        pd.DataFrame(rows, columns="factors pairs possible share fewest most relation".split()),
        caption="Grouping factors by the pairs of levels that occur",
        label="tbl-crossing",
        headings={
            "factors": "Factors", "pairs": "Pairs", "possible": "of", "share": "Share", "fewest": "Fewest rows",
            "most": "Most rows", "relation": "Relation",
        },
        formats={"share": "percent"},
        index=False,
    )  # fmt: skip


def may_be_reused(crossing: Crossing, formula_columns: set[str]) -> bool:
    """Whether labels of one factor may have been used again in each level of the other: no count can tell."""
    single = ":" not in crossing.first + crossing.second
    return crossing.relation == FULL and single and {crossing.first, crossing.second} <= formula_columns
