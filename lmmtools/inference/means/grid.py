"""The reference grid: where the fixed part is evaluated, every level of every factor and one value of each number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_memory
from lmmtools.design.frame import Columns
from lmmtools.design.newdata import fixed_columns
from lmmtools.design.observed import Extent, extent_of, fixed_variables, is_number
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import nearest, quoted

__all__ = ["Axis", "Grid", "reference_grid"]

# A grid holds its columns, the factors' indicators and products of them at once.
_COPIES = 4


@dataclass(frozen=True, eq=False)
class Axis:
    """One variable of the grid.

    Attributes
    ----------
    name : str
    values : pd.Index, shape (k,)
        Levels of a factor; values of a number.
    is_factor : bool
    extent : Extent or None
        What the data hold of a number.
    given : bool
        Whether the values were asked for by `at`.
    codes : ndarray, shape (n,), or None
        Which of `values` each row used has, of a factor; −1 for a level that `at` leaves out.
    """

    name: str
    values: pd.Index
    is_factor: bool
    extent: Extent | None = None
    given: bool = False
    codes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Grid:
    """The variables of a fixed part, each with the values at which it is evaluated.

    Attributes
    ----------
    design : Design
    axes : Mapping[str, Axis]
        In the order of the formula.
    """

    design: Any
    axes: Mapping[str, Axis]

    def rest(self, names: Sequence[str]) -> tuple[Axis, ...]:
        """The axes that are not named."""
        return tuple(axis for name, axis in self.axes.items() if name not in names)

    def cells(self, names: Sequence[str]) -> pd.DataFrame:
        """Every combination of the named axes, the first varying fastest."""
        axes = [self.axes[name] for name in names]
        places = _places([len(axis) for axis in reversed(axes)])[::-1]
        return pd.DataFrame(
            {axis.name: axis.values.take(place) for axis, place in zip(axes, places, strict=True)},
            index=pd.RangeIndex(int(np.prod([len(axis) for axis in axes]))),
        )

    def columns(self, names: Sequence[str], shift: tuple[str, np.ndarray] | None = None) -> np.ndarray:
        """The fixed part's columns, those dropped too, at every cell and every combination of the rest.

        Parameters
        ----------
        names : sequence of str
            The axes that make the cells; the first varies fastest.
        shift : (str, ndarray of shape (k,)), optional
            A number to move, and the values it takes in place of its axis'.

        Returns
        -------
        ndarray, shape (cells, combinations of the rest, p + dropped)
        """
        kept, rest = [self.axes[name] for name in reversed(names)], self.rest(names)
        sizes = [len(axis) for axis in (*kept, *rest)]
        rows, p = float(np.prod([float(size) for size in sizes])), self.design.X.shape[1]
        check_memory(
            8.0 * _COPIES * rows * (p + len(self.design.dropped_columns) + len(sizes)),
            f"the {rows:,.0f} combinations of {quoted(self.axes)}",
            "leave levels out by at={…}",
        )
        variables = {}
        for axis, place in zip((*kept, *rest), _places(sizes), strict=True):
            values = axis.values
            if shift is not None and shift[0] == axis.name:
                values = pd.Index(shift[1])
            variables[axis.name] = _series(self.design, axis, values, place)
        made = fixed_columns(self.design, Columns(variables, pd.RangeIndex(int(rows))))
        return made.reshape(int(np.prod([len(axis) for axis in kept])), -1, made.shape[1])


def _places(sizes: Sequence[int]) -> list[np.ndarray]:
    """Places on each axis of all combinations, the last axis varying fastest."""
    if not sizes:
        return []
    return [place.ravel() for place in np.indices(sizes)]


def _series(design: Any, axis: Axis, values: pd.Index, place: np.ndarray) -> pd.Series:
    if axis.is_factor and not is_number(design, axis.name):
        return pd.Series(pd.Categorical.from_codes(place, categories=values))
    return pd.Series(values.to_numpy()[place])


def reference_grid(design: Any, at: Mapping[str, Any] | None) -> Grid:
    """The grid of a design.

    Parameters
    ----------
    design : Design
    at : mapping, optional
        Values by variable: numbers, or the levels of a factor that count.

    Raises
    ------
    ModelError
        If the fixed part has no columns, or `at` names a variable or level it does not have.
    LMMError
        If `at` is no mapping, or holds what is no number where one is needed.
    """
    if at is not None and not isinstance(at, Mapping):
        raise LMMError(f"at={at!r} does not say of which variable: give a mapping such as {{'age': [8, 14]}}.")
    if not design.X.shape[1]:
        raise ModelError(f"`{design.formula}` has no fixed effects, so there is no mean to give.")
    at, names = dict(at or {}), fixed_variables(design.parsed)
    for name in at:
        if name not in names:
            has = f"; it has {quoted(names, 12)}" if names else ""
            raise ModelError(f"at: the fixed part has no variable `{name}`{nearest(str(name), names)}{has}.")
    return Grid(design, {name: _axis(design, name, at.get(name)) for name in names})


def _axis(design: Any, name: str, given: Any) -> Axis:
    found = design.recipe.observed.factors.get(name)
    if found is None:
        extent = extent_of(design, name)
        values = [extent.mean] if given is None else _numbers(name, given)
        return Axis(name, pd.Index(values, dtype=float), False, extent, given is not None)
    if given is None:
        return Axis(name, found.levels, True, codes=found.codes)
    wanted = list(dict.fromkeys(_listed(given)))
    places = found.levels.astype(object).get_indexer(pd.Index(wanted, dtype=object))
    for level, place in zip(wanted, places, strict=True):
        if place < 0:
            hint = nearest(str(level), [str(known) for known in found.levels])
            raise ModelError(f"at: `{name}` has no level {level!r}{hint}; it has {quoted(found.levels, 12)}.")
    if not wanted:
        raise LMMError(f"at: no level of `{name}` is left; it has {quoted(found.levels, 12)}.")
    new = np.full(len(found.levels), -1, dtype=np.intp)
    new[places] = np.arange(len(places))
    return Axis(name, found.levels[places], True, given=True, codes=new[found.codes])


def _listed(given: Any) -> list:
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _numbers(name: str, given: Any) -> np.ndarray:
    try:
        values = np.array(_listed(given), dtype=float)
    except (TypeError, ValueError) as error:
        raise LMMError(f"at: `{name}` is a number, and {given!r} holds what is none.") from error
    if values.ndim != 1 or not len(values) or not np.all(np.isfinite(values)):
        raise LMMError(f"at: `{name}` needs one finite number or several, not {given!r}.")
    return np.array(list(dict.fromkeys(values.tolist())))
