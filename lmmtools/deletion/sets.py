"""Which rows are deleted together: each alone, or the levels of a grouping factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.inference.clusters import levels_of

__all__ = ["Sets", "sets_of"]


@dataclass(frozen=True)
class Sets:
    """Rows that are deleted together.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        The set of each row, 0 … K-1.
    labels : pd.Index, shape (K,)
        What they are called.
    name : str
        What one is a level of; empty for single rows.
    """

    codes: np.ndarray
    labels: pd.Index
    name: str

    @property
    def count(self) -> int:
        """Number of sets."""
        return len(self.labels)

    @property
    def single(self) -> bool:
        """Whether each set is one row."""
        return not self.name

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each set, shape (K,)."""
        return np.bincount(self.codes, minlength=self.count)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over each set of a value a row, shape (K,)."""
        return np.bincount(self.codes, values, self.count)

    def members(self, which: np.ndarray) -> list[np.ndarray]:
        """The rows of each of these sets."""
        if self.single:
            return [np.array([k]) for k in which]
        order = np.argsort(self.codes, kind="stable")
        ends = np.append(0, np.cumsum(self.sizes))
        return [order[ends[k] : ends[k + 1]] for k in which]


def sets_of(fit: Any, by: Any) -> Sets:
    """The rows, or the levels of a factor in its own order, those of an array in that of their appearance.

    Raises
    ------
    LMMError
        If there is no such factor, or values do not match the rows.
    ModelError
        If there is one level only.
    """
    if by is None:
        return Sets(np.arange(fit.nobs), fit.design.index, "")
    codes, levels, name = levels_of(fit, by, what="influence", argument="by")
    if len(levels) < 2:
        raise ModelError(
            f"influence: all {fit.nobs:,} rows are in one level of {name} (`{levels[0]}`), so nothing would be left "
            "without it; name a factor of several levels, or leave `by` out to delete single rows."
        )
    if not isinstance(by, str):
        own = getattr(by, "name", None)
        named = isinstance(own, str) and own != ""
        return Sets(codes, levels.rename(own if named else "level"), own if named else "the values given")
    order = np.argsort(fit.design.groupings[by].levels.get_indexer(levels))
    return Sets(np.argsort(order)[codes], levels[order].rename(by), by)
