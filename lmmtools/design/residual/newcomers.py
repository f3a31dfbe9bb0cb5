"""Where new rows stand among the residual groups, on which the correlation of their residuals depends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design.frame import Columns, take
from lmmtools.design.levels import categorise
from lmmtools.design.residual.positions import whole
from lmmtools.design.residual.value import SPATIAL, Correlation
from lmmtools.design.residual.variables import (
    Variable,
    category_of,
    combined,
    label_of,
    labels_of,
    read_numbers,
    rows_named,
)
from lmmtools.errors import DataError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ResidualPart
from lmmtools.formula.syntax import Name

if TYPE_CHECKING:
    from lmmtools.design.value import Design

__all__ = ["correlation_columns", "correlation_rows"]


def correlation_columns(design: Design) -> tuple[str, ...]:
    """The columns that say where a row stands: those of its group and its time or place."""
    if design.correlation is None:
        return ()
    part = design.recipe.residual.parsed.correlation
    return tuple(name for name in part.columns if name in part.group or name not in part.by)


def correlation_rows(design: Design, newdata: object) -> Correlation:
    """The correlation of a design at new rows.

    Parameters
    ----------
    design : Design
        With correlated residuals.
    newdata : data frame
        With the columns of `correlation_columns`, no value missing.

    Returns
    -------
    Correlation
        Codes are those of the design's residual groups, −1 for a new one; levels of `by` are left at zero, for a
        group keeps its own.

    Raises
    ------
    DataError
        If a time or place is none the correlation is defined for.
    """
    c, recipe = design.correlation, design.recipe.residual
    part = recipe.parsed.correlation
    columns = take(newdata, correlation_columns(design), empty=True)
    n = len(columns)
    groups = combined(part.group, columns)
    codes = c.levels.astype(object).get_indexer(groups.levels.astype(object))[groups.codes]
    nothing = np.zeros(n, dtype=np.intp)
    at = np.empty((n, c.positions.shape[1]))
    if n and c.kind in SPATIAL:
        learnt = dict(recipe.learnt)
        at = np.column_stack([
            read_numbers(node, name, columns, "the coordinate", learnt, new=True)
            for node, name in zip(part.nodes, part.variables, strict=True)
        ])  # fmt: skip
    elif n and c.kind != "cs":
        at = _times(part, c, columns, dict(recipe.learnt))[:, None]
    made = replace(c, codes=codes.astype(np.intp), positions=at, by_codes=nothing)
    if c.kind == "toep":
        _check_lags(part, c, made, columns.index)
    return made


def _times(part: ResidualPart, c: Correlation, columns: Columns, learnt: dict) -> np.ndarray:
    """Positions in time, as those of the rows fitted."""
    node, name = part.nodes[0], part.variables[0]
    if c.categorical:
        column = node.value if isinstance(node, Name) else category_of(node)
        found = categorise(column, columns.series[column])
        places = {label: float(k) for k, label in enumerate(c.occasions)} if c.kind == "us" else c.places
        return _placed(part, places, labels_of(found.levels), found.codes, columns.index) - c.origin
    values = read_numbers(node, name, columns, "the time", learnt, new=True)
    if c.kind == "us":
        places = {label: float(k) for k, label in enumerate(c.occasions)}
        return _placed(part, places, tuple(map(label_of, values)), np.arange(len(values)), columns.index)
    if c.kind in ("ar1", "arma"):
        return whole(part, Variable(name, values, values, (), False), columns.index)
    return values - c.origin


def _placed(
    part: ResidualPart, places: dict[str, float], labels: tuple[str, ...], codes: np.ndarray, index: pd.Index
) -> np.ndarray:
    known = np.array([places.get(label, np.nan) for label in labels])
    lost = np.flatnonzero(np.isnan(known[codes]))
    if len(lost):
        new = dict.fromkeys(labels[k] for k in codes[lost])
        raise DataError(
            f"`{part.label}`: `{part.variables[0]}` is {quoted(new, 6)} in {counted(len(lost), 'new row')} "
            f"({rows_named(index, lost)}), an occasion the correlation knows nothing of; it knows "
            f"{quoted(places, 12)}: correct or remove these rows, or predict without residuals=True."
        )
    return known[codes]


def _check_lags(part: ResidualPart, c: Correlation, new: Correlation, index: pd.Index) -> None:
    """Refuse distances without a correlation, but those above the ones that `k` leaves."""
    beyond = c.lags[-1] if part.option("k", 0) and len(c.lags) else np.inf
    for group in np.unique(new.codes[new.codes >= 0]):
        mine = np.flatnonzero(new.codes == group)
        apart = np.abs(c.positions[c.codes == group, :1] - new.positions[mine, 0])
        unknown = (c.lag_codes(apart) < 0) & (apart > 0.0) & (apart < beyond)
        if unknown.any():
            row, column = np.argwhere(unknown)[0]
            raise DataError(
                f"`{part.label}`: new row {index[mine[column]]} is {label_of(apart[row, column])} away from a row of "
                f"its group, a distance without a correlation; those with one are {quoted(c.occasions, 12)}: correct "
                "or remove the row, or predict without residuals=True."
            )
