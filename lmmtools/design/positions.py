"""Positions of a first-order autoregression: ``ar1(t | g)`` has one effect for each position that occurs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_memory
from lmmtools.design.frame import numbers
from lmmtools.design.levels import categorise, is_categorical, is_text
from lmmtools.errors import DataError
from lmmtools.formats import counted, quoted

__all__ = ["Axis", "axis_of_column", "axis_of_matrix"]

# Numbers this close to a whole multiple, in steps, are one: sums of decimal fractions leave this much.
_WHOLE = 1e-6
# Where the smallest distance is no common step, a step this many times smaller is still looked for.
_FINEST = 12


@dataclass(frozen=True, eq=False)
class Axis:
    """The positions that occur, in order.

    Attributes
    ----------
    variable : str
        As written: ``"week"``.
    levels : pd.Index, shape (q,)
        The numbers or labels.
    places : ndarray of int64, shape (q,)
        Positions in whole steps, ascending; a category without rows leaves its place free.
    names : tuple of str, length q
        Of the effects: ``"week[3]"``.
    origin, step : float
        number = origin + step × place; NaN for categories.
    """

    variable: str
    levels: pd.Index
    places: np.ndarray
    names: tuple[str, ...]
    origin: float = field(default=np.nan)
    step: float = field(default=np.nan)

    @property
    def is_number(self) -> bool:
        """Whether positions are measured."""
        return bool(np.isfinite(self.step))

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        """Columns of the positions, shape (n, q); a row of NaN where the code is -1."""
        q = len(self.levels)
        check_memory(
            8 * len(codes) * q, f"{counted(q, 'position')} of `{self.variable}` in {counted(len(codes), 'row')}",
            "give positions on a coarser grid",
        )  # fmt: skip
        matrix = np.zeros((len(codes), q), order="F")
        matrix[np.arange(len(codes)), codes] = 1.0
        matrix[codes < 0] = np.nan
        return matrix

    def codes_of(self, series: pd.Series) -> np.ndarray:
        """Codes of new rows, -1 where missing.

        Raises
        ------
        DataError
            If a position has no effect.
        """
        gone = pd.isna(series).to_numpy()
        codes = np.full(len(series), -1, dtype=np.intp)
        if self.is_number:
            steps = (numbers(self.variable, series, "the position")[~gone] - self.origin) / self.step
            places = np.rint(steps)
            found = pd.Index(self.places).get_indexer(places.astype(np.int64))
            found[np.abs(steps - places) > _WHOLE * np.maximum(1.0, np.abs(steps))] = -1
        else:
            found = self.levels.astype(object).get_indexer(pd.Index(series[~gone]).astype(object))
        if (found < 0).any():
            new = list(dict.fromkeys(series[~gone][found < 0]))
            raise DataError(
                f"`{self.variable}` has {quoted(new)} in {counted(int((found < 0).sum()), 'new row')}, positions the "
                f"model has no effect for; it has {quoted(map(_text, self.levels))}: predict with random=False."
            )
        codes[~gone] = found
        return codes


def axis_of_column(name: str, series: pd.Series, messages: list[str]) -> tuple[Axis, np.ndarray]:
    """Positions of a column and each row's code among them: numbers as they are, categories by their order.

    Parameters
    ----------
    name : str
    series : pd.Series, shape (n,)
        Without missing values.
    messages : list of str
        Told the distance of positions where it is not one, and the order of text.

    Raises
    ------
    DataError
        If numbers are no multiples of a common step, or there is one position only.
    """
    if not is_categorical(series):
        return _axis_of_numbers(name, numbers(name, series, "the position"), messages)
    found = categorise(name, series)
    if is_text(series) and not isinstance(series.dtype, pd.CategoricalDtype):
        messages.append(
            f"`{name}` is text, so its positions are in alphabetical order: {quoted(found.levels)}. Where that is not "
            "the order meant, make it numbers or an ordered Categorical."
        )
    places = np.arange(len(found.levels))
    if isinstance(series.dtype, pd.CategoricalDtype):
        places = series.cat.categories.get_indexer(found.levels)
    return _checked(Axis(name, found.levels, places.astype(np.int64), _names(name, found.levels))), found.codes


def axis_of_matrix(
    name: str, columns: tuple[str, ...], matrix: np.ndarray, messages: list[str]
) -> tuple[Axis, np.ndarray]:
    """Positions of an expression: one column of numbers, or a category's indicator columns."""
    if matrix.shape[1] == 1:
        return _axis_of_numbers(name, matrix[:, 0], messages)
    q = matrix.shape[1]
    return Axis(name, pd.Index(columns), np.arange(q, dtype=np.int64), columns), matrix.argmax(axis=1)


def _axis_of_numbers(name: str, values: np.ndarray, messages: list[str]) -> tuple[Axis, np.ndarray]:
    distinct, codes = np.unique(values, return_inverse=True)
    step = _common_step(name, distinct)
    places, first = np.unique(np.rint((distinct - distinct[0]) / step).astype(np.int64), return_index=True)
    if len(places) < len(distinct):  # numbers that differ by rounding are one position
        codes = (np.searchsorted(first, np.arange(len(distinct)), side="right") - 1)[codes]
    if step != 1.0:
        messages.append(
            f"the positions of `{name}` are multiples of {_text(step)}, counted from {_text(distinct[0])}: the "
            f"correlation of an autoregression is that of positions {_text(step)} apart."
        )
    levels = pd.Index(distinct[first])
    return _checked(Axis(name, levels, places, _names(name, levels), float(distinct[0]), step)), codes.astype(np.intp)


def _common_step(name: str, distinct: np.ndarray) -> float:
    """The largest number of which all distances are whole multiples."""
    if len(distinct) == 1:
        return 1.0
    far = distinct - distinct[0]
    noise = 1e-12 * max(abs(distinct[0]), abs(distinct[-1]))
    gaps = np.diff(distinct)
    smallest = step = float(gaps[gaps > noise].min())
    for gap in np.unique(np.round(gaps[gaps > noise] / smallest, 9)) * smallest:
        a, b = gap, step
        while b > max(noise, _WHOLE * smallest):  # Euclid's algorithm, remainders to the nearest multiple
            a, b = b, abs(a - b * np.rint(a / b))
        step = float(a)
    if np.all(distinct == np.rint(distinct)):
        return max(float(np.rint(step)), 1.0)
    if step >= smallest / _FINEST:
        return float(far[-1] / np.rint(far[-1] / step))  # over the whole range rounding averages out
    sizes, counts = np.unique(np.round(gaps[gaps > noise] / smallest, 9), return_counts=True)
    grids = [1.0, float(sizes[np.argmax(counts)])]  # the grid most numbers lie on says best which do not
    off = min((_off(far / (grid * smallest)) for grid in grids), key=np.count_nonzero)
    raise DataError(
        f"the positions `{name}` are no whole multiples of a common step, counted from {_text(distinct[0])}: "
        f"{quoted(map(_text, distinct[off]), 6)} {'does' if off.sum() == 1 else 'do'} not fit the others. Round them "
        f"to a grid, or take their order as positions: factor({name})."
    )


def _off(steps: np.ndarray) -> np.ndarray:
    return np.abs(steps - np.rint(steps)) > _WHOLE * np.maximum(1.0, steps)


def _checked(axis: Axis) -> Axis:
    if len(axis.levels) == 1:
        raise DataError(
            f"`{axis.variable}` has one position only ({_text(axis.levels[0])}), so an autoregression over it has "
            "nothing to correlate: write a random intercept, or use data with more positions."
        )
    return axis


def _names(name: str, levels: pd.Index) -> tuple[str, ...]:
    return tuple(f"{name}[{_text(level)}]" for level in levels)


def _text(value: object) -> str:
    """A position as people write it: whole numbers without a point."""
    return f"{value:.10g}" if isinstance(value, float | np.floating) else str(value)
