"""One correlation structure of a formula → `Correlation`: groups, positions and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.crossing import is_within
from lmmtools.design.frame import Columns
from lmmtools.design.levels import Levels
from lmmtools.design.residual.pairs import check_orders, check_pairs, lags_of
from lmmtools.design.residual.positions import (
    check_apart,
    check_numbers,
    check_sizes,
    coordinates_differ,
    group_named,
    whole,
)
from lmmtools.design.residual.value import SPATIAL, Correlation
from lmmtools.design.residual.variables import Variable, combined, distinct, label_of, labels_of, read_variable
from lmmtools.errors import DataError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ResidualPart

if TYPE_CHECKING:
    from formulaic import ModelSpecs

__all__ = ["correlation_of"]

_NO_LAGS = np.empty(0)


def correlation_of(
    part: ResidualPart, columns: Columns, learnt: dict[str, ModelSpecs], messages: list[str]
) -> Correlation:
    """The correlation a formula asks for, on the rows used.

    Parameters
    ----------
    part : ResidualPart
    columns : Columns
        At the rows used.
    learnt : dict
        Takes what formulaic learns of expressions.
    messages : list of str
        Told what a reader of the result must know.

    Raises
    ------
    DataError, ModelError
        If the data cannot tell its parameters, or have two rows where one can be.
    """
    groups, by = combined(part.group, columns), combined(part.by, columns)
    _check_by(part, groups, by)
    check_sizes(part, groups, by)
    positions, occasions, lags, categorical = np.empty((len(columns), 0)), (), _NO_LAGS, False
    places: Mapping[str, float] = {}
    origin = 0.0
    if part.kind in SPATIAL:
        read = tuple(_number(part, i, columns, learnt) for i in range(len(part.nodes)))
        positions = np.column_stack([variable.values for variable in read])
        check_apart(part, groups, positions, read, columns.index)
        _in_levels(part, groups, by, positions)
    elif part.kind != "cs":
        variable = read_variable(part.nodes[0], part.variables[0], columns, "the time", learnt)
        positions, occasions, lags = _of_times(part, groups, by, variable, columns, messages)
        categorical, places = variable.categorical, variable.places
        origin = float(variable.values.min()) if part.kind == "toep" else 0.0
    return Correlation(
        part.kind, part.label, part.factor, groups.codes, groups.levels, positions, part.variables, occasions, lags,
        (part.option("p", 0), part.option("q", 0)), bool(part.option("nugget", False)), ":".join(part.by), by.codes,
        labels_of(by.levels), categorical, places, origin,
    )  # fmt: skip


def _check_by(part: ResidualPart, groups: Levels, by: Levels) -> None:
    """Raise DataError where `by` has one level, or changes within a residual group."""
    if not part.by:
        return
    name = ":".join(part.by)
    if len(by.levels) == 1:
        raise DataError(
            f"`{part.label}`: `{name}` has one level only (`{label_of(by.levels[0])}`), so there is nothing to tell "
            "apart: leave `by` out."
        )
    if is_within(groups, by):
        return
    first = np.zeros(len(groups.levels), dtype=np.intp)
    first[groups.codes] = by.codes
    j = groups.codes[np.argmax(first[groups.codes] != by.codes)]
    found = quoted(map(label_of, by.levels[np.unique(by.codes[groups.codes == j])]), 4)
    others = len(np.unique(groups.codes[first[groups.codes] != by.codes])) - 1
    more = f" (and {counted(others, 'more group')} {'changes' if others == 1 else 'change'} so)" if others else ""
    finer = f" ({':'.join((*part.group, *part.by))} is finer)" if part.group else ""
    raise DataError(
        f"`{part.label}`: {group_named(part, groups, j)} has {found} of `{name}`{more}, but rows that are correlated "
        f"share the parameters of one level: take a factor that is constant within groups, or finer groups{finer}."
    )


def _number(part: ResidualPart, i: int, columns: Columns, learnt: dict[str, ModelSpecs]) -> Variable:
    variable = read_variable(part.nodes[i], part.variables[i], columns, "the coordinate", learnt)
    if variable.categorical:
        raise DataError(
            f"`{part.label}`: `{variable.name}` holds categories ({quoted(variable.levels, 4)}), and distances need "
            "coordinates that are numbers: convert the column."
        )
    return variable


def _in_levels(part: ResidualPart, groups: Levels, by: Levels, positions: np.ndarray) -> None:
    """Distances in each level of `by`."""
    for b in range(len(by.levels)):
        inside = by.codes == b
        coordinates_differ(part, Levels(groups.codes[inside], groups.levels), positions[inside])


def _of_times(
    part: ResidualPart, groups: Levels, by: Levels, variable: Variable, columns: Columns, messages: list[str]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Positions in time, labels of occasions or distances, and the distances that have a parameter."""
    if part.kind == "car1":
        check_numbers(part, variable)
    values = variable.values
    if part.kind in ("ar1", "arma") and not variable.categorical:
        values = whole(part, variable, columns.index)
    elif part.kind == "us":
        values = variable.codes.astype(np.float64)
    positions = values[:, None]
    order = check_apart(part, groups, positions, (variable,), columns.index)
    if variable.alphabetical and part.kind != "us":
        messages.append(
            f"`{variable.name}` is text, so its positions are in alphabetical order: {quoted(variable.levels)}. Where "
            "that is not the order meant, make it numbers or an ordered Categorical."
        )
    if part.kind == "us":
        check_pairs(part, groups, by, variable, messages)
        return positions, variable.levels, _NO_LAGS
    if part.kind == "toep":
        values, lags = lags_of(part, groups, by, variable, messages)
        return values[:, None], tuple(map(label_of, lags)), lags
    if part.kind in ("ar1", "arma"):
        _common_step(part, groups, variable, values, order, messages)
    if part.kind == "arma":
        for b in range(len(by.levels)):
            rows = order[by.codes[order] == b]
            check_orders(part, distinct(groups.codes[rows])[1], values[rows])
    return positions, (), _NO_LAGS


def _common_step(
    part: ResidualPart, groups: Levels, variable: Variable, values: np.ndarray, order: np.ndarray, messages: list[str]
) -> None:
    """Tell where all times within groups are several steps apart."""
    x, codes = values[order], groups.codes[order]
    apart = np.diff(x)[codes[1:] == codes[:-1]]
    if apart.min() == 1.0:
        return
    step = int(np.gcd.reduce(apart.astype(np.int64)))
    if step == 1:
        return
    name, factor = variable.name, part.factor or 1
    sign = " As all distances are even, its sign cannot be told." if part.kind == "ar1" and step % 2 == 0 else ""
    messages.append(
        f"`{part.label}`: times of `{name}` within groups are whole multiples of {step} apart, and the parameters are "
        f"those of time in steps of one: rows next to each other are {step} steps apart.{sign} "
        f"{part.kind}(factor({name}) | {factor}{_orders(part)}) counts the distinct times instead."
    )


def _orders(part: ResidualPart) -> str:
    return "".join(f", {value}" for _, value in part.options)
