"""A covariance structure written as a matrix: which entry of Λ is which parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from lmmtools.errors import ModelError

__all__ = ["LambdaPattern"]

# Standard deviations relative to σ: squares of larger numbers leave nothing of the others in floating point.
_LARGEST = 1e8


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
        If the rows differ in length, an entry is neither a name nor a number, or there is no name.

    Notes
    -----
    The q effects of a level have Var(b) = σ²ΛΛ'. The parameters take any value. Where all of some columns may change
    their sign without changing ΛΛ', as in a column that no number and no other column ties, they are reported with
    the first of them not negative. The order of θ is that in which names first appear, column by column, as in lme4.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1),
    sec. 2.2: the mapping from θ to the entries of Λ.

    Examples
    --------
    Intercepts and slopes whose correlation is zero and whose relative standard deviations are one number:

    >>> from lmmtools import LambdaPattern
    >>> one = LambdaPattern([["sd", 0], [0, "sd"]])
    >>> one.names(("Intercept", "x"))
    ('sd',)
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
        self._turning = self._turned_together()

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
        """None: at a bound of zero the criterion may rise to one side and fall on the other, which is the same T."""
        self._check(q)
        return [(-np.inf, np.inf)] * len(self._names)

    def _turned_together(self) -> list[np.ndarray]:
        """Places in θ of the parameters that may change their signs together, a set each: of columns with no number."""
        inside = self._places.any(axis=1)  # which parameter stands in which column
        tied = self._numbers.any(axis=0)
        count, member = connected_components(inside.astype(int) @ inside.T.astype(int), directed=False)
        sets = [np.flatnonzero(member == k) for k in range(count)]
        return [one for one in sets if not tied[inside[one].any(axis=0)].any()]

    def upright(self, theta: Any, q: int) -> np.ndarray:
        """θ with the same ΛΛ' of which the first of each set that turns together is not negative."""
        self._check(q)
        theta = np.array(theta, dtype=float)
        for one in self._turning:
            theta[one] = -theta[one] if theta[one[0]] < 0.0 else theta[one]
        return theta

    def start(self, q: int) -> np.ndarray:
        """One for parameters on the diagonal of the pattern and the first of each set, a half for the others."""
        self._check(q)
        first = {int(one[0]) for one in self._turning}
        ones = [np.trace(place) > 0 or k in first for k, place in enumerate(self._places)]
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
    if hasattr(rows, "to_numpy"):  # a data frame, which by itself runs over the names of its columns
        rows = rows.to_numpy()
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise ModelError(f"LambdaPattern: takes a list of rows of names and numbers; got {rows!r}.")
    found = [list(row) if isinstance(row, Iterable) and not isinstance(row, str) else [row] for row in rows]
    lengths = {len(row) for row in found}
    if len(lengths) != 1 or lengths == {0}:
        raise ModelError(
            f"LambdaPattern: the rows must have one length, at least one; they have {[len(row) for row in found]}."
        )
    return [[_entry(one, f"row {i}, column {j}") for j, one in enumerate(row, 1)] for i, row in enumerate(found, 1)]


def _entry(one: Any, where: str) -> str | float:
    """A name without spaces around it, or a number."""
    if _named(one):
        if _reads_as_number(one):  # an array of names and numbers makes texts of the numbers
            raise ModelError(
                f"LambdaPattern: the entry in {where} is the text {str(one)!r}, which reads as a number; write a "
                f"number without quotes, in lists, since an array turns all into texts; or a name such as 't{one}'."
            )
        if one.strip():
            return one.strip()
    elif isinstance(one, int | float | np.number) and not isinstance(one, bool | complex | np.complexfloating):
        if abs(one) < _LARGEST:
            return float(one)
    raise ModelError(
        f"LambdaPattern: the entry in {where} is {one!r}; it must be a name or a number, relative to σ and below "
        f"{_LARGEST:g} in size."
    )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
