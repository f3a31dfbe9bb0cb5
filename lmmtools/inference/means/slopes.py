"""Slopes: the derivative of the fixed part in one of its variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.errors import DataError, ModelError
from lmmtools.inference.means.grid import Grid

__all__ = ["slope_columns"]

# Steps of about this part of the variable's range: differences of fourth order are then exact to 1e-12 of the slope.
_STEP = 1e-3
# Central differences of fourth order: f'(x) = Σ w (f(x + m h) − f(x − m h)) / h, with an error of h⁴f⁽⁵⁾/30.
_STENCIL = ((1, 2 / 3), (2, -1 / 12))


def slope_columns(grid: Grid, names: Sequence[str], variable: str) -> np.ndarray:
    """Derivatives of the fixed part's columns in a variable, at every cell and combination of the rest.

    Parameters
    ----------
    grid : Grid
    names : sequence of str
        The axes that make the cells.
    variable : str
        A number; columns are differentiated as functions of it, by central differences of fourth order, which are
        exact for columns that are linear in it.

    Returns
    -------
    ndarray, shape (cells, combinations of the rest, p + dropped)

    Raises
    ------
    ModelError
        If the variable is the same in all rows.
    DataError
        If the fixed part has no value on both sides of a point, as ``log(x)`` near zero.

    References
    ----------
    Abramowitz & Stegun (1964), Handbook of Mathematical Functions, 25.3.6.
    """
    axis = grid.axes[variable]
    spread = axis.extent.high - axis.extent.low
    if not spread > 0:
        raise ModelError(f"trend: `{variable}` is {axis.extent.mean:g} in all rows, so it has no slope.")
    step = 2.0 ** np.round(np.log2(_STEP * spread))
    grain = step * 2.0**-16  # so x + m h is exact, and so is the derivative of x itself
    centre = np.round(axis.values.to_numpy() / grain) * grain
    found = 0.0
    for multiple, weight in _STENCIL:
        above = grid.columns(names, (variable, centre + multiple * step))
        found = found + weight * (above - grid.columns(names, (variable, centre - multiple * step)))
    if not np.all(np.isfinite(found)):
        raise DataError(
            f"trend: the fixed part of `{grid.design.formula}` has no slope in `{variable}` at "
            f"{', '.join(f'{x:g}' for x in axis.values)}, as it has no value nearby: give others by at={{…}}."
        )
    return found / step
