"""A covariance structure written as a matrix: which entry of Λ is which parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lmmtools.errors import ModelError

__all__ = ["LambdaPattern"]


class LambdaPattern:
    """θ ↦ Λ(θ) by a pattern: an entry that is a name is that element of θ, an entry that is a number stays as it is.

    Names that stand more than once are one parameter. What is given is a `Structure`, to be used like any other of
    one's own: ``fit_lmm("y ~ x + mine(x | g)", data, structures={"mine": LambdaPattern(…)})``.

    Parameters
    ----------
    rows : sequence of sequences of str or float, shape (q, s)
        A row for each effect of the term, any number of columns.

    Raises
    ------
    ModelError
        If the rows differ in length, an entry is neither a name nor a finite number, or there is no name.

    Notes
    -----
    The q effects of a level have Var(b) = σ²ΛΛ'. Where all parameters of some columns may change their sign without
    changing ΛΛ', as in a column that no number and no other column ties, the first of them is not negative; the others
    take any value. The order of θ is that in which names first appear, column by column, as in lme4.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1),
    sec. 2.2: the mapping from θ to the entries of Λ.

    Examples
    --------
    Intercepts and slopes whose correlation is zero and whose relative standard deviations are one number:

    >>> from lmmtools import LambdaPattern
    >>> one = LambdaPattern([["sd", 0], [0, "sd"]])
    >>> one.names(("Intercept", "x")), one.bounds(2)
    (('sd',), [(0.0, inf)])
    >>> one.factor([2.0], 2).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, rows: Sequence[Sequence[str | float]]) -> None:
        entries = _entries(rows)
        names = list(dict.fromkeys(one for column in zip(*entries, strict=True) for one in column if _named(one)))
        if not names:
            raise ModelError(
                "LambdaPattern: no entry is a name, so there is nothing to estimate; known covariances go to `known`."
            )
        numbers = np.array([[0.0 if _named(one) else float(one) for one in row] for row in entries])
        places = np.array([[[one == name for one in row] for row in entries] for name in names], dtype=float)
        for array in (numbers, places):
            array.setflags(write=False)
        self._names, self._numbers, self._places = tuple(names), numbers, places

    def __repr__(self) -> str:
        (q, s), m = self._numbers.shape, len(self._names)
        return f"<LambdaPattern of {q} × {s} entries, {m} {'parameter' if m == 1 else 'parameters'}>"

    def _check(self, q: int) -> None:
        rows = len(self._numbers)
        if q != rows:
            raise ModelError(f"LambdaPattern: it has {rows} rows, and the term {q} effects; give a row for each effect")

    def n_theta(self, q: int) -> int:
        """Number of names."""
        self._check(q)
        return len(self._names)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        """The names, in the order of θ."""
        self._check(len(effects))
        return self._names

    def bounds(self, q: int) -> list[tuple[float, float]]:
        """Zero and infinity for the parameters that take a sign, none for the others."""
        self._check(q)
        signed = self._signed()
        return [(0.0 if k in signed else -np.inf, np.inf) for k in range(len(self._names))]

    def _signed(self) -> set[int]:
        """The first parameter of each set of columns whose signs can be turned together."""
        inside = self._places.any(axis=1)  # which parameter stands in which column
        tied = self._numbers.any(axis=0)
        found, seen = set(), np.zeros(len(self._names), dtype=bool)
        for k in range(len(self._names)):
            if seen[k]:
                continue
            mine = np.zeros(len(self._names), dtype=bool)
            mine[k] = True
            while True:
                columns = inside[mine].any(axis=0)
                grown = inside[:, columns].any(axis=1)
                if np.array_equal(grown, mine):
                    break
                mine = grown
            seen |= mine
            if not tied[columns].any():
                found.add(k)
        return found

    def start(self, q: int) -> np.ndarray:
        """One for parameters on the diagonal of the pattern and those that take a sign, a half for the others."""
        self._check(q)
        signed = self._signed()
        ones = [np.trace(place) > 0 or k in signed for k, place in enumerate(self._places)]
        return np.where(ones, 1.0, 0.5)

    def factor(self, theta: Any, q: int) -> np.ndarray:
        """Λ(θ), shape (q, s)."""
        self._check(q)
        return self._numbers + np.tensordot(np.asarray(theta, dtype=float), self._places, 1)

    def derivatives(self, theta: Any, q: int) -> tuple[np.ndarray, np.ndarray]:
        """dΛ/dθ, which is the pattern of each name, and zero, since Λ is linear in θ."""
        self._check(q)
        m, shape = len(self._names), self._numbers.shape
        return self._places, np.zeros((m, m, *shape))


def _named(entry: Any) -> bool:
    return isinstance(entry, str)


def _entries(rows: Any) -> list[list[Any]]:
    """The rows as lists of equal length, of names and numbers."""
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise ModelError(f"LambdaPattern: takes a list of rows of names and numbers; got {rows!r}.")
    found = [list(row) if isinstance(row, Iterable) and not isinstance(row, str) else [row] for row in rows]
    lengths = {len(row) for row in found}
    if len(lengths) != 1 or lengths == {0}:
        raise ModelError(
            f"LambdaPattern: the rows must have one length, at least one; they have {[len(row) for row in found]}."
        )
    for i, row in enumerate(found):
        for j, one in enumerate(row):
            number = isinstance(one, int | float | np.number) and not isinstance(one, bool) and np.isfinite(one)
            if not (number or (_named(one) and one.strip())):
                raise ModelError(
                    f"LambdaPattern: the entry in row {i + 1}, column {j + 1} is {one!r}; it must be a name or a "
                    "finite number."
                )
    return found
