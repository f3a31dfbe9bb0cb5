"""The design's columns at the cells of a grid, averaged over what the grid does not name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.newdata import NewRows, NewTerm
from lmmtools.errors import LMMError
from lmmtools.formats import quoted
from lmmtools.inference.means.grid import Grid
from lmmtools.predictive import residual_sd

__all__ = ["Cells", "cells_of", "sd_of_cells"]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a grid.

    Attributes
    ----------
    table : DataFrame, shape (k, names)
    full : ndarray, shape (k, p + dropped)
        The fixed part, averaged.
    base : ndarray, shape (k, combinations, p + dropped)
        What it is an average of.
    weights : ndarray, shape (combinations,)
    matrices : tuple of ndarray, shape (k, q)
        Each random term's left side, averaged; empty where it is not needed.
    variables : DataFrame, shape (k · combinations, …)
        The variables themselves.
    """

    table: pd.DataFrame
    full: np.ndarray
    base: np.ndarray
    weights: np.ndarray
    matrices: tuple[np.ndarray, ...]
    variables: pd.DataFrame

    def rows(self, design: Any, codes: dict[str, int]) -> NewRows:
        """The cells as rows of these levels, −1 where a factor is not named."""
        k = len(self.table)
        terms = tuple(
            NewTerm(matrix, np.full(k, codes.get(term.factor, -1), dtype=np.intp))
            for term, matrix in zip(design.terms, self.matrices, strict=bool(self.matrices))
        )
        return NewRows(self.full[:, design.recipe.kept], None, terms, self.table.index)


def cells_of(grid: Grid, names: Sequence[str], weights: np.ndarray, *, effects: bool) -> Cells:
    """Columns of the fixed part and, with `effects`, of the random terms' left sides.

    Raises
    ------
    LMMError
        If a left side reads a variable that the fixed part has not.
    """
    base, design, table = grid.columns(names), grid.design, grid.cells(names)
    rest = [axis.name for axis in grid.rest(names)]
    inner = grid.cells(rest[::-1])[rest] if rest else pd.DataFrame(index=range(1))  # the last varies fastest
    times, k = len(inner), len(table)
    variables = table.loc[table.index.repeat(times)].reset_index(drop=True)
    for name in rest:
        variables[name] = pd.concat([inner[name]] * k, ignore_index=True) if k > 1 else inner[name]
    matrices: tuple[np.ndarray, ...] = ()
    if effects and design.terms:
        made = _left_sides(design, variables)
        matrices = tuple(np.einsum("krq,r->kq", t.matrix.reshape(k, times, -1), weights) for t in made.terms)
    return Cells(table, np.einsum("krp,r->kp", base, weights), base, weights, matrices, variables)


def _left_sides(design: Any, variables: pd.DataFrame) -> NewRows:
    """The design at these values; what it reads besides is of no consequence, or must be known."""
    data, parsed = variables.copy(), design.parsed
    bars = dict.fromkeys(n for bar in parsed.random for term in bar.terms for node in term for n in _columns(node))
    for name in bars:
        if name not in data:
            columns = [t.matrix[:, t.names.index(name)] for t in design.terms if name in t.names]
            if not columns:
                raise LMMError(
                    f"prediction_grid: a random effect's columns read `{name}`, which the fixed part does not have, so "
                    "the grid has no value of it: take it into the fixed part, or use predict with rows of your own."
                )
            data[name] = float(columns[0].mean())
    for name in parsed.groups:
        if name not in data:
            data[name] = "?"  # codes are set by who asks
    for name in parsed.predictors:
        if name not in data:
            data[name] = 1.0  # read by an offset, of which the mean is taken instead
    plain = replace(design, recipe=replace(design.recipe, offset=None, offset_was_array=False))
    return plain.new_rows(data, unseen="population", groups=True)


def _columns(node: Any) -> Any:
    from lmmtools.formula.translate import columns

    return columns(node)


def sd_of_cells(fit: Any, cells: Cells, value: np.ndarray) -> np.ndarray:
    """Residual standard deviations over σ at each cell, of weight one.

    Raises
    ------
    LMMError
        If they depend on what the grid averages over, or does not name.
    """
    residual = fit.design.residual
    if residual is None or not residual.variances:
        return np.ones(len(value))
    parts = fit.design.recipe.residual.parsed.variances
    k = len(cells.table)
    times = len(cells.variables) // k
    read = dict.fromkeys(name for part in parts for name in part.columns)
    lost = [
        name for name in read
        if name not in cells.variables
        or (times > 1 and cells.variables[name].iloc[:times].nunique() > 1)
    ]  # fmt: skip
    if lost:
        raise LMMError(
            f"prediction_grid: the residual sd depends on {quoted(lost)} (`{residual.text}`), over which this grid "
            'averages or of which it has no value: name it in at=, or ask for interval="mean".'
        )
    return residual_sd(fit, fit.design.residual_rows(cells.variables.iloc[::times]), value)
