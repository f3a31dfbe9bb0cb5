"""What a table of marginal means must say of how its rows came about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lmmtools.design.row_space import determined
from lmmtools.formats import format_value, listed, quoted
from lmmtools.formula.translate import columns as columns_of
from lmmtools.inference.means.grid import Axis, Grid
from lmmtools.inference.means.weights import cell_counts

__all__ = ["notes_of", "number"]


def notes_of(
    grid: Grid, names: tuple[str, ...], weights: str, trend: str | None, full: np.ndarray, base: np.ndarray
) -> tuple[str, ...]:
    """Sentences for under the table.

    Parameters
    ----------
    grid : Grid
    names : tuple of str
        The variables that make the rows.
    weights : str
    trend : str or None
        The variable whose slopes they are.
    full : ndarray, shape (k, p + dropped)
        The rows.
    base : ndarray, shape (k, combinations, p + dropped)
        What they are averages of.
    """
    rest = grid.rest(names)
    said = [
        *_averaged(grid, names, rest, weights, trend),
        *_levels(grid, rest),
        *_numbers(rest, trend),
        *_beyond(grid),
        *_offset(grid, trend),
    ]
    cells = grid.cells(names)
    return (*said, *_without_rows(grid, names, cells, full), *_not_estimable(grid, cells, full, base))


def number(value: float) -> str:
    """A number as recorded, up to six decimals."""
    return format_value(float(value), "data")


def _averaged(grid: Grid, names: tuple[str, ...], rest: Sequence[Axis], weights: str, trend: str | None) -> list[str]:
    over = [axis.name for axis in rest if axis.is_factor]
    if not over:
        return []
    how = (
        "levels weighted equally"
        if weights == "equal"
        else f"weighted by the rows that have each {'combination of their levels' if len(over) > 1 else 'level'}"
    )
    said = [f"Averaged over {listed(f'`{name}`' for name in over)}, {how}."]
    # means differ where an interaction holds one of theirs, slopes where it holds their variable
    own = set(names) if trend is None else {trend}
    terms = [term for term in _interactions(grid) if set(term) & set(over) and set(term) & own]
    if terms:
        hidden = [name for name in over if any(name in term for term in terms)]
        said.append(f"The model has {quoted(dict.fromkeys(':'.join(term) for term in terms))}, so these averages hide "
                    f"what differs between levels of {listed(f'`{name}`' for name in hidden)}.")  # fmt: skip
    return said


def _interactions(grid: Grid) -> list[tuple[str, ...]]:
    """Variables of each interaction."""
    terms = (tuple(dict.fromkeys(n for node in term for n in columns_of(node))) for term in
             grid.design.parsed.fixed_terms)  # fmt: skip
    return [term for term in terms if len(term) > 1]


def _levels(grid: Grid, rest: Sequence[Axis]) -> list[str]:
    some = [axis for axis in rest if axis.is_factor and axis.given]
    return [f"Of `{axis.name}` only {quoted(axis.values)}." for axis in some]


def _numbers(rest: Sequence[Axis], trend: str | None) -> list[str]:
    said = []
    for axis in (axis for axis in rest if not axis.is_factor):
        values = listed(number(x) for x in axis.values)
        if not axis.given:
            said.append(f"`{axis.name}` = {values}, its mean over the rows used.")
        elif len(axis) > 1:
            said.append(f"Averaged over `{axis.name}` = {values}, weighted equally.")
        else:
            said.append(f"`{axis.name}` = {values}.")
    if trend is not None:
        said.append(f"Slopes are derivatives of the fixed part in `{trend}`, at the values of the others as said.")
    return said


def _beyond(grid: Grid) -> list[str]:
    """Numbers outside the data."""
    said = []
    for axis in grid.axes.values():
        if axis.is_factor or not axis.given:
            continue
        out = [x for x in axis.values if not axis.extent.low <= x <= axis.extent.high]
        if out:
            said.append(f"`{axis.name}` = {listed(number(x) for x in out)} lies outside the data, which have "
                        f"{number(axis.extent.low)} to {number(axis.extent.high)}.")  # fmt: skip
    return said


def _offset(grid: Grid, trend: str | None) -> list[str]:
    offset = grid.design.offset
    if offset is None:
        return []
    if trend is not None:
        return ["Slopes are of the fixed effects: what the offset adds is not in them."]
    return [f"The offset's mean over the rows used, {number(offset.mean())}, is in every mean."]


def _without_rows(grid: Grid, names: tuple[str, ...], cells: pd.DataFrame, full: np.ndarray) -> list[str]:
    """Estimable rows of a table of several factors for whose combination there are no data."""
    factors = [grid.axes[name] for name in names if grid.axes[name].is_factor]
    if len(factors) < 2:
        return []
    counts = cell_counts(factors).reshape([len(axis) for axis in factors])
    at = tuple(axis.values.get_indexer(cells[axis.name]) for axis in factors)
    empty = (counts[at] == 0) & determined(grid.design, full)
    found = dict.fromkeys(_called(cells[[axis.name for axis in factors]], np.flatnonzero(empty)))
    if not found:
        return []
    return [f"No row used has {quoted(found)}: what is said there follows from the other cells, as the model has no "
            "interaction that would need it."]  # fmt: skip


def _called(cells: pd.DataFrame, rows: Sequence[int]) -> list[str]:
    return [", ".join(f"{name} = {value}" for name, value in cells.iloc[row].items()) for row in rows]


def _not_estimable(grid: Grid, cells: pd.DataFrame, full: np.ndarray, base: np.ndarray) -> list[str]:
    """Each row that the data do not determine, with the cells that are to blame."""
    said = []
    lost = np.flatnonzero(~determined(grid.design, full))
    for row in lost[:8]:
        name = _called(cells, [row])[0] or "the mean"
        single = ~determined(grid.design, base[row])
        inner = grid.cells([axis.name for axis in reversed(grid.rest(list(cells)))])
        parts = [axis.name for axis in grid.rest(list(cells)) if axis.is_factor]
        blame = dict.fromkeys(_called(inner[parts], np.flatnonzero(single))) if parts else {}
        over = f", as it averages over {quoted(blame)} there, for which" if blame else ", because for it"
        said.append(f"Not estimable: {name}{over} the data do not determine the fixed part (no rows, or effects that "
                    "cannot be told apart).")  # fmt: skip
    if len(lost) > 8:
        said.append(f"{len(lost) - 8} further rows are not estimable for the like reason.")
    return said
