"""What a residual structure reads from the data: numbers, or categories in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_finite
from lmmtools.design.frame import Columns, numbers
from lmmtools.design.levels import Levels, categorise, interaction, is_categorical, is_text
from lmmtools.design.residual.value import ROUNDING
from lmmtools.errors import DataError
from lmmtools.formula import ParsedFormula
from lmmtools.formula.syntax import Call, Name, Node

if TYPE_CHECKING:
    from formulaic import ModelSpecs

__all__ = [
    "Variable",
    "category_of",
    "combined",
    "distinct",
    "label_of",
    "labels_of",
    "read_numbers",
    "read_variable",
    "rows_named",
]

_CATEGORICAL = ("C", "factor", "as.factor", "ordered")


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable on the rows used.

    Attributes
    ----------
    name : str
        As written.
    values : ndarray, shape (n,)
        Numbers as they are; of a category its place in the order of all categories.
    codes : ndarray of intp, shape (n,)
        Which of the distinct values each row has.
    levels : tuple of str, length T
        Labels of the distinct values, in order.
    categorical : bool
    alphabetical : bool
        Whether the order is that of the alphabet, for want of another.
    places : Mapping[str, float]
        The place of every category, also of those without rows; empty for numbers.
    """

    name: str
    values: np.ndarray
    codes: np.ndarray
    levels: tuple[str, ...]
    categorical: bool
    alphabetical: bool = False
    places: Mapping[str, float] = field(default_factory=dict)


def read_variable(node: Node, name: str, columns: Columns, role: str, learnt: dict[str, ModelSpecs]) -> Variable:
    """A variable as positions: a category, or numbers.

    Parameters
    ----------
    node : Node
    name : str
        As written.
    columns : Columns
        At the rows used.
    role : str
        What it is used as, for errors: ``"the time"``.
    learnt : dict
        Takes what formulaic learns of an expression, by its name.

    Returns
    -------
    Variable

    Raises
    ------
    DataError
        If it is neither, or a value is infinite.
    """
    column = node.value if isinstance(node, Name) else category_of(node)
    if column is not None and (not isinstance(node, Name) or is_categorical(columns.series[column])):
        series = columns.series[column]
        found = categorise(column, series)
        ordered = isinstance(series.dtype, pd.CategoricalDtype)
        # a category without rows leaves its place free, as a missed occasion does
        places = series.cat.categories.get_indexer(found.levels) if ordered else np.arange(len(found.levels))
        alphabetical = not ordered and is_text(series)
        values = places.astype(np.float64)[found.codes]
        every = labels_of(series.cat.categories if ordered else found.levels)
        known = {label: float(place) for place, label in enumerate(every)}
        return Variable(name, values, found.codes, labels_of(found.levels), True, alphabetical, known)
    values = read_numbers(node, name, columns, role, learnt)
    levels, codes = distinct(values)
    return Variable(name, levels[codes], codes, tuple(map(label_of, levels)), False)


def category_of(node: Node) -> str | None:
    """The column of ``factor(x)``, or None."""
    match node:
        case Call(func=func, args=(Name(value=column),), keywords=()) if func in _CATEGORICAL:
            return column
    return None


def read_numbers(
    node: Node, name: str, columns: Columns, role: str, learnt: dict[str, ModelSpecs], *, new: bool = False
) -> np.ndarray:
    """A variable's numbers, finite.

    Parameters
    ----------
    node, name, columns, role
        As for `read_variable`.
    learnt : dict
        What formulaic has learnt of an expression, by its name; it is added where it is not there.
    new : bool
        Whether `learnt` has it already, and is used.

    Raises
    ------
    DataError
        If a value is no number, or infinite.
    """
    if isinstance(node, Name):
        values = numbers(name, columns.series[node.value], role)
    else:
        values = _computed(node, name, columns, learnt, new)
    check_finite(name, values, columns.index)
    return values


def _computed(node: Node, name: str, columns: Columns, learnt: dict[str, ModelSpecs], new: bool) -> np.ndarray:
    """An expression, by formulaic."""
    from lmmtools.design.matrices import blueprint_of, materialise, plain_specs

    blueprint = blueprint_of(ParsedFormula("", Name(0, ""), ((node,),), (), ()))
    made = materialise(blueprint, columns, {}, learnt[name] if new else None)
    if made.values[0].shape[1] != 1:
        raise DataError(
            f"`{name}` is no single number in each row, as a residual structure needs: add what is meant to the data "
            "as a column of its own."
        )
    learnt[name] = plain_specs(blueprint) if made.specs is None else made.specs
    return made.values[0][:, 0].astype(np.float64)


def distinct(values: np.ndarray, roundings: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values in order, and which of them each row has.

    Parameters
    ----------
    values : ndarray, shape (n,)
    roundings : float
        How many roundings of the largest value two may differ by and be one: as read, or more where they are computed.

    Returns
    -------
    levels : ndarray, shape (T,)
    codes : ndarray of intp, shape (n,)
    """
    levels, codes = np.unique(values, return_inverse=True)
    near = roundings * ROUNDING * np.abs(levels[[0, -1]]).max() if len(levels) else 0.0
    new = np.append(True, np.diff(levels) > near)[: len(levels)]
    return levels[new], (np.cumsum(new) - 1)[codes]


def combined(names: tuple[str, ...], columns: Columns) -> Levels:
    """The combinations that occur of several columns' levels; one level with an empty label for no column."""
    if not names:
        return Levels(np.zeros(len(columns), dtype=np.intp), pd.Index([""]))
    return interaction([categorise(name, columns.series[name]) for name in names])


def labels_of(levels: pd.Index) -> tuple[str, ...]:
    """Levels as text; dates without a time of day as dates."""
    if isinstance(levels, pd.DatetimeIndex) and (levels == levels.normalize()).all():
        return tuple(levels.strftime("%Y-%m-%d"))
    return tuple(map(label_of, levels))


def label_of(value: object) -> str:
    """A level as people write it: whole numbers without a point."""
    return f"{value:.10g}" if isinstance(value, float | np.floating) else str(value)


def rows_named(index: pd.Index, rows: np.ndarray, most: int = 6) -> str:
    """``"rows 3, 5 and 12 more"``: the labels of some rows."""
    labels = [str(index[i]) for i in rows[:most]]
    if len(rows) > most:
        return f"rows {', '.join(labels)} and {len(rows) - most} more"
    *first, last = labels
    return f"rows {', '.join(first)} and {last}" if first else f"row {last}"
