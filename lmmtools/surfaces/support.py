"""What was observed, and what lies beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.observed import extent_of
from lmmtools.inference.means.grid import Axis, Grid

__all__ = ["beyond", "constants", "observed_values"]

# Beside the range of a number, what is rounding.
_ROUNDING = 1e-9


def observed_values(design: Any, axis: Axis) -> Any:
    """A variable's values in the rows used, where the design holds them; else None."""
    n = len(design.y)
    if axis.is_factor:
        found = design.recipe.observed.factors[axis.name]
        return found.levels.take(found.codes) if len(found.codes) == n else None
    values = extent_of(design, axis.name).values
    return values if len(values) == n else None


def constants(design: Any, axes: Sequence[Axis], levels: Mapping[str, tuple[Any, int]]) -> dict[str, Any]:
    """Variables that are constant within the levels of a factor named, with their values in these groups.

    Parameters
    ----------
    design : Design
    axes : sequence of Axis
        The variables that may.
    levels : Mapping[str, (label, code)]
        By grouping factor; none for the population, which has no value of its own.
    """
    if not levels:
        return {}
    found = {}
    for axis in axes:
        values = None if axis.given else observed_values(design, axis)
        if values is None:
            continue
        for name, (_, code) in levels.items():
            codes = design.factors[name][0].codes
            first = np.zeros(codes.max() + 1, dtype=np.intp)
            first[codes] = np.arange(len(codes))
            if np.all(np.asarray(values) == np.asarray(values)[first[codes]]):
                found[axis.name] = values[first[code]]
    return found


def beyond(design: Any, grid: Grid, table: pd.DataFrame) -> np.ndarray:
    """Whether each row of the table lies beyond the rows used.

    A number is compared with its range, and two numbers with the convex hull of their pairs, in the rows that have the
    factor levels of the table's row; rows without such levels in the data are beyond. Where the design does not hold
    the values, the range over all rows is taken.

    Parameters
    ----------
    design : Design
    grid : Grid
    table : DataFrame, shape (k, …)
        With a column for each variable of the grid that it runs over.

    Returns
    -------
    ndarray of bool, shape (k,)
    """
    axes = [axis for name, axis in grid.axes.items() if name in table]
    factors = [axis for axis in axes if axis.is_factor]
    numbers = [axis.name for axis in axes if not axis.is_factor]
    known = design.recipe.observed.factors
    n, found = len(design.y), np.zeros(len(table), dtype=bool)
    if any(observed_values(design, axis) is None for axis in axes):
        for name in numbers:
            extent = extent_of(design, name)
            found |= _outside(table[name].to_numpy(), extent.low, extent.high)
        return found
    values = np.column_stack([np.zeros((n, 0)), *(extent_of(design, name).values for name in numbers)])
    theirs = np.column_stack([np.zeros((n, 0), dtype=int), *(known[axis.name].codes for axis in factors)])
    ours = np.column_stack([np.zeros((len(table), 0), dtype=int),
                            *(known[a.name].levels.get_indexer(table[a.name]) for a in factors)])  # fmt: skip
    cells, which = np.unique(ours, axis=0, return_inverse=True) if factors else (ours[:1], np.zeros(len(table), int))
    at = table[numbers].to_numpy(dtype=float)
    for cell, levels in enumerate(cells):
        mine = which.ravel() == cell
        found[mine] = _beyond_rows(values[np.all(theirs == levels, axis=1)], at[mine])
    return found


def _outside(x: np.ndarray, low: float, high: float) -> np.ndarray:
    slack = _ROUNDING * max(high - low, abs(low), abs(high))
    return (x < low - slack) | (x > high + slack)


def _beyond_rows(seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    if not len(seen):
        return np.ones(len(at), dtype=bool)
    found = np.zeros(len(at), dtype=bool)
    for x, column in zip(at.T, seen.T, strict=True):
        found |= _outside(x, column.min(), column.max())
    if seen.shape[1] == 2:
        found |= _outside_hull(seen, at)
    return found


def _outside_hull(seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    from scipy.spatial import ConvexHull, QhullError

    size = np.ptp(seen, axis=0)
    if not np.all(size > 0.0):
        return np.zeros(len(at), dtype=bool)
    scaled, points = (seen - seen.min(axis=0)) / size, (at - seen.min(axis=0)) / size
    try:
        faces = ConvexHull(np.unique(scaled, axis=0)).equations
    except QhullError:  # the pairs lie on a line, or are two
        return np.zeros(len(at), dtype=bool)
    return np.any(points @ faces[:, :-1].T + faces[:, -1] > _ROUNDING, axis=1)
