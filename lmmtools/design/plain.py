"""Parts of a formula that are columns as they stand: an intercept and numbers, nothing to compute.

Most formulas are no more than that, and then formulaic, which would give the same columns under the same names, is not
asked: on small data it takes longer than the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from lmmtools.formula.syntax import Name
from lmmtools.formula.terms import Term

__all__ = ["INTERCEPT", "Joiner", "plain_matrices", "plain_sources"]

INTERCEPT = "Intercept"  # formulaic's name for it


class Joiner:
    """Puts columns side by side, and lets a matrix that is part of an earlier one share its memory.

    Parameters
    ----------
    rows : int
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._made: list[tuple[tuple[str, ...], np.ndarray]] = []

    def join(self, columns: Iterable[tuple[str, object]]) -> np.ndarray:
        """One matrix, shape (rows, columns), each column contiguous, from names and values (a number fills one)."""
        columns = list(columns)
        names = tuple(name for name, _ in columns)
        for known, matrix in self._made:  # a bar's columns are often some of the fixed part's
            for start in range(len(known) - len(names) + 1):
                if names and known[start : start + len(names)] == names:
                    return matrix[:, start : start + len(names)]
        out = np.empty((self._rows, len(columns)), order="F")
        for j, (_, values) in enumerate(columns):
            out[:, j] = values
        self._made.append((names, out))
        return out


def plain_sources(terms: Sequence[Term], name: Callable[[Name, bool], str]) -> tuple[str | None, ...] | None:
    """What each column of a part is read from, None for the intercept; None in all if something must be computed.

    Parameters
    ----------
    terms : sequence of Term
    name : callable
        What the data call a column, ``name(node, False)``.
    """
    if all(len(term) == 0 or (len(term) == 1 and isinstance(term[0], Name)) for term in terms):
        return tuple(name(term[0], False) if term else None for term in terms)
    return None


def plain_matrices(
    parts: Sequence[tuple[str | None, ...] | None], data: Mapping[str, object], rows: int
) -> list[tuple[tuple[str, ...], np.ndarray]] | None:
    """Names and matrix of each part; None if a part must be computed, or reads what is no column of numbers.

    Parameters
    ----------
    parts : sequence of tuple of str or None
        As `plain_sources` gives them.
    data : Mapping[str, object]
        Numbers as arrays of shape (rows,), anything else as what is no array.
    rows : int
    """
    if not all(
        part is not None and all(source is None or isinstance(data.get(source), np.ndarray) for source in part)
        for part in parts
    ):
        return None
    joiner, found = Joiner(rows), []
    for part in parts:
        names = tuple(INTERCEPT if source is None else source for source in part)
        values = [1.0 if source is None else data[source] for source in part]
        found.append((names, joiner.join(zip(names, values, strict=True))))
    return found
