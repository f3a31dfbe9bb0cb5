"""How the levels of factors that are averaged over are weighted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import nearest
from lmmtools.inference.means.grid import Axis, Grid

__all__ = ["WEIGHTS", "averaging_weights", "cell_counts"]

WEIGHTS = ("equal", "proportional")


def averaging_weights(grid: Grid, names: Sequence[str], weights: str) -> np.ndarray:
    """Weights of the combinations of the axes that are not `names`, summing to one.

    Parameters
    ----------
    grid : Grid
    names : sequence of str
        The axes that make the cells.
    weights : {"equal", "proportional"}
        Proportional to the number of rows that have a combination of the factors averaged over, whatever cell they
        are in; the values that `at` gives to a number count equally. Rows count alike, whatever their weights.

    Returns
    -------
    ndarray, shape (combinations,)

    Raises
    ------
    LMMError
        If `weights` is unknown.
    ModelError
        If no row has any of the combinations.

    References
    ----------
    Searle, Speed & Milliken (1980), Population marginal means in the linear model, Am. Stat. 34, 216-221.
    """
    if weights not in WEIGHTS:
        raise LMMError(
            f"marginal_means: weights={weights!r} is unknown{nearest(str(weights), WEIGHTS)}; use "
            '"equal" or "proportional".'
        )
    rest = grid.rest(names)
    sizes = [len(axis) for axis in rest]
    if weights == "equal" or not any(axis.is_factor for axis in rest):
        return np.full(int(np.prod(sizes)), 1.0 / np.prod(sizes))
    factors = [axis for axis in rest if axis.is_factor]
    inside = np.logical_and.reduce([axis.codes >= 0 for axis in grid.axes.values() if axis.is_factor])
    counts = _counts([axis.codes[inside] for axis in factors], [len(axis) for axis in factors])
    if not counts.any():
        raise ModelError(
            "marginal_means: no row used has any of the levels that `at` leaves, so they have no proportions: "
            'use weights="equal".'
        )
    shaped = counts.reshape([len(axis) if axis.is_factor else 1 for axis in rest])
    spread = np.broadcast_to(shaped, sizes).ravel().astype(float)
    return spread / spread.sum()


def cell_counts(axes: Sequence[Axis]) -> np.ndarray:
    """Rows used in each combination of factors, the last varying fastest."""
    inside = np.logical_and.reduce([axis.codes >= 0 for axis in axes])
    return _counts([axis.codes[inside] for axis in axes], [len(axis) for axis in axes])


def _counts(codes: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    return np.bincount(np.ravel_multi_index(tuple(codes), tuple(sizes)), minlength=int(np.prod(sizes)))
