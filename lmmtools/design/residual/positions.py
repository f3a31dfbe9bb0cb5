"""Where the rows of a residual group stand: times, occasions, coordinates; never the order of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.design.levels import Levels
from lmmtools.design.residual.value import ROUNDING, SPATIAL
from lmmtools.design.residual.variables import Variable, label_of, rows_named
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ResidualPart

__all__ = ["check_apart", "check_dense", "check_numbers", "check_sizes", "coordinates_differ", "group_named", "whole"]

_LARGEST_GROUP = 2000  # rows whose correlations are held as one dense matrix
_DENSE = ("arma", "toep", "us", *SPATIAL)


def group_named(part: ResidualPart, groups: Levels, j: int) -> str:
    """A residual group in words: ``"group `M01` of `Subject`"``."""
    return f"group `{label_of(groups.levels[j])}` of `{part.factor}`" if part.group else "the data"


def check_sizes(part: ResidualPart, groups: Levels, by: Levels) -> None:
    """Raise ModelError where no two rows are in one group, at all or in a level of `by`, or a group is too large.

    Parameters
    ----------
    part : ResidualPart
    groups, by : Levels
    """
    sizes = np.bincount(groups.codes, minlength=len(groups.levels))
    if sizes.max() == 1:
        what = f"every group of `{part.factor}` has one row" if part.group else "there is one row"
        raise ModelError(
            f"`{part.label}`: {what}, so no two residuals are correlated and nothing tells the correlation: leave it "
            "out, or group by a factor that several rows share."
        )
    if part.by:
        largest = np.zeros(len(by.levels), dtype=np.intp)
        np.maximum.at(largest, by.codes, sizes[groups.codes])
        if (largest < 2).any():
            none = [label_of(level) for level in by.levels[largest < 2]]
            raise ModelError(
                f"`{part.label}`: every group has one row where `{':'.join(part.by)}` is {quoted(none)}, so nothing "
                "tells the correlation there: leave `by` out, or merge levels."
            )
    if len(groups.levels) == 1 and part.kind in ("cs", "us"):
        where = f"`{part.factor}` has one level" if part.group else "all rows are one group"
        raise ModelError(
            f"`{part.label}`: {where}, and its correlations are told by what differs between groups: name a factor "
            "with several groups of correlated rows."
        )
    check_dense(part, groups, sizes)


def check_dense(part: ResidualPart, groups: Levels, sizes: np.ndarray) -> None:
    """Raise ModelError where the correlations of one group are too many for a dense matrix."""
    j = int(sizes.argmax())
    if part.kind not in _DENSE or sizes[j] <= _LARGEST_GROUP:
        return
    if part.kind in ("arma", "toep", "us"):
        remedy = "ar1, car1 and cs have no such limit; or group by a factor with smaller groups"
    else:
        remedy = "group by a factor with smaller groups, such as blocks; along a line car1 is exp without a nugget"
    raise ModelError(
        f"`{part.label}`: {counted(sizes[j], 'row')} in {group_named(part, groups, j)}, whose correlations are a dense "
        f"matrix of {8e-9 * float(sizes[j]) ** 2:.2g} GB, inverted at every step, with one more for each parameter; "
        f"{_LARGEST_GROUP} rows are the most: {remedy}."
    )


def check_numbers(part: ResidualPart, variable: Variable) -> None:
    """Raise DataError where categories stand for what is measured."""
    if variable.categorical:
        raise DataError(
            f"`{part.label}`: `{variable.name}` holds categories ({quoted(variable.levels, 4)}), and car1 needs times "
            f"that are numbers: give a column of numbers, or write ar1({variable.name} | {part.factor or 1}), which "
            "takes the positions of levels."
        )


def whole(part: ResidualPart, variable: Variable, index: pd.Index) -> np.ndarray:
    """Times as whole numbers, shape (n,).

    Raises
    ------
    DataError
        If one is not whole.
    """
    values = variable.values
    nearest = np.rint(values)
    off = np.flatnonzero(np.abs(values - nearest) > ROUNDING * np.maximum(1.0, np.abs(values)))
    if len(off):
        kind, name, factor = part.kind, variable.name, part.factor or "1"
        found = "is no whole number" if len(off) == 1 else "are no whole numbers"
        other = f"car1({name} | {factor}) takes any times" if kind == "ar1" else "multiply them until they are whole"
        raise DataError(
            f"`{part.label}`: {counted(len(off), 'time')} of `{name}` {found} ({label_of(values[off[0]])} in row "
            f"{index[off[0]]} is the first), and {kind} is defined for whole "
            f"steps: {other}, factor({name}) in its place takes the order of the distinct times as steps."
        )
    return nearest


def check_apart(
    part: ResidualPart, groups: Levels, positions: np.ndarray, variables: tuple[Variable, ...], index: pd.Index
) -> np.ndarray:
    """Rows by group and position, where no two rows of a group have one position.

    Parameters
    ----------
    part : ResidualPart
    groups : Levels
    positions : ndarray, shape (n, k)
    variables : tuple of Variable, length k
        What they were read from.
    index : pd.Index, shape (n,)

    Returns
    -------
    ndarray of intp, shape (n,)
        The order of the rows.

    Raises
    ------
    DataError
        If two rows have, and their correlation would be one.
    """
    order = _sorted(groups.codes, positions)
    codes, sorted_positions = groups.codes[order], positions[order]
    same = (codes[1:] == codes[:-1]) & (sorted_positions[1:] == sorted_positions[:-1]).all(axis=1)
    if not same.any() or (part.kind in SPATIAL and part.option("nugget", False)):
        return order
    first = int(np.argmax(same))
    run = first + 1
    while run < len(same) and same[run]:
        run += 1
    rows, involved = np.sort(order[first : run + 1]), np.unique(codes[1:][same])
    where, names = group_named(part, groups, codes[first]), quoted(part.variables)
    at = ", ".join(variable.levels[variable.codes[rows[0]]] for variable in variables)
    more = f" (and {counted(len(involved) - 1, 'more group')} {'has' if len(involved) == 2 else 'have'} such rows)"
    what = "place" if part.kind in SPATIAL else "time"
    remedy = (
        f"write nugget=True, which lets rows at one place differ, or average them{_or_groups(part)}"
        if part.kind in SPATIAL
        else f"keep one of them, average them, or make the groups finer, as in a:b; {_or_else(part)}"
    )
    raise DataError(
        f"`{part.label}`: {rows_named(index, rows)} of {where} have one {what}, {names} = {at}"
        f"{more if len(involved) > 1 else ''}. Their residuals would have correlation one: {remedy}."
    )


def _or_groups(part: ResidualPart) -> str:
    places = " + ".join(part.variables)
    return "" if part.group else f"; where the data have groups, name them, as in {part.kind}({places} | g)"


def _or_else(part: ResidualPart) -> str:
    return f"cs({part.factor}) needs no times" if part.group else "name the factor that tells the series apart"


def _sorted(codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rows by group, then position; at once where they stand so already."""
    if positions.shape[1] == 1:
        x = positions[:, 0]
        step = np.diff(codes)
        if ((step > 0) | ((step == 0) & (x[1:] > x[:-1]))).all():
            return np.arange(len(codes))
    return np.lexsort((*positions.T[::-1], codes))


def coordinates_differ(part: ResidualPart, groups: Levels, positions: np.ndarray) -> None:
    """Raise ModelError where distances within groups are too few to tell a range, and a nugget, from.

    Parameters
    ----------
    part : ResidualPart
    groups : Levels
    positions : ndarray, shape (n, k)
    """
    nugget = part.option("nugget", False)
    order = np.argsort(groups.codes, kind="stable")
    ends = np.cumsum(np.bincount(groups.codes, minlength=len(groups.levels)))
    found: set[str] = set()
    for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        points = positions[order[start:end]]
        for i in range(len(points) - 1):
            far = np.linalg.norm(points[i + 1 :] - points[i], axis=1)
            found.update(f"{d:.9g}" for d in far[:_LARGEST_GROUP])
            if found - {"0"} and len(found) > nugget:
                return
    places, here = quoted(part.variables), "within groups" if part.group else "in the data"
    if not found - {"0"}:
        raise ModelError(
            f"`{part.label}`: all rows of a group have the same {places}, so no distance tells how far the correlation "
            f"reaches: check the columns, or write cs({part.factor or 'g'}), which needs no places."
        )
    raise ModelError(
        f"`{part.label}`: only one distance of {places} ({max(found)}) is seen {here}, so a range and a nugget cannot "
        "be told apart: leave the nugget out."
    )
