"""New rows for prediction: the design's columns, computed from other data with the same state."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design.frame import Columns, numbers, take
from lmmtools.design.levels import categorise, interaction
from lmmtools.design.observed import Observed
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, quoted

if TYPE_CHECKING:
    from formulaic import ModelSpecs

    from lmmtools.core.rank import Dependence
    from lmmtools.design.matrices import Blueprint, Matrices
    from lmmtools.design.positions import Axis
    from lmmtools.design.residual.rows import ResidualRecipe
    from lmmtools.design.value import Design, RandomTerm
    from lmmtools.formula import ParsedFormula

__all__ = ["NewRows", "NewTerm", "Recipe", "fixed_columns", "new_rows"]


@dataclass(frozen=True)
class Recipe:
    """How a design's columns were made.

    Attributes
    ----------
    blueprint : Blueprint
    learnt : ModelSpecs or None
        What formulaic learnt from the data: levels, contrasts, knots, scalings; None where all columns are plain.
    contrasts : Mapping
    kept : ndarray, shape (p,)
        Columns of the fixed part that stayed.
    offset : str or None
        Column given as the `offset` argument.
    offset_was_array : bool
        Whether that argument was an array, which new data cannot have.
    axes : tuple of Axis or None
        Positions of each bar that has such.
    dropped : tuple of Dependence
        Columns of the fixed part that did not stay, and what they repeat.
    observed : Observed
        What the rows say of the predictors, for means over them.
    residual : ResidualRecipe or None
        How the residual structure was read.
    """

    blueprint: Blueprint
    learnt: ModelSpecs | None
    contrasts: Mapping[str, object]
    kept: np.ndarray
    offset: str | None
    offset_was_array: bool
    axes: tuple[Axis | None, ...] = ()
    dropped: tuple[Dependence, ...] = ()
    observed: Observed = field(default_factory=Observed)
    residual: ResidualRecipe | None = None

    @property
    def specs(self) -> ModelSpecs:
        """What builds the same columns from new data: a copy, because formulaic writes into it, even when it fails."""
        if self.learnt is not None:
            return deepcopy(self.learnt)
        from lmmtools.design.matrices import plain_specs

        return deepcopy(plain_specs(self.blueprint))


@dataclass(frozen=True)
class NewTerm:
    """A random term's part of new rows: `matrix` (m, q) and `codes` (m,), -1 for a level not seen."""

    matrix: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class NewRows:
    """Columns of a design at new rows.

    Attributes
    ----------
    X : ndarray, shape (m, p)
        NaN where a value is missing.
    offset : ndarray, shape (m,), or None
    terms : tuple of NewTerm
        One for each of the design's terms.
    index : pd.Index, shape (m,)
    """

    X: np.ndarray
    offset: np.ndarray | None
    terms: tuple[NewTerm, ...]
    index: pd.Index


def new_rows(design: Design, newdata: object, *, unseen: str = "raise", groups: bool = True) -> NewRows:
    """Build a design's columns from new data.

    Parameters
    ----------
    design : Design
    newdata : data frame
        With the columns of the formula's right side; the response is not needed.
    unseen : {"raise", "population"}
        What to do with a level of a grouping factor that the design does not have.
    groups : bool
        Whether the rows belong to groups; without, the grouping columns are not needed and every code is −1.

    Returns
    -------
    NewRows

    Raises
    ------
    DataError
        If a column is missing, a factor has a level the model does not know, or, with
        ``unseen="raise"``, a grouping factor has one.
    """
    if unseen not in ("raise", "population"):
        raise ModelError(f"unseen={unseen!r} is unknown: choose 'raise' or 'population' (zero for a new level).")
    from lmmtools.design.matrices import materialise

    parsed, recipe = design.parsed, design.recipe
    if recipe.offset_was_array:
        raise DataError(
            "the model's offset was given as an array, so new rows have none: fit with offset= naming a column, "
            "or with offset(…) in the formula."
        )
    named = (*parsed.predictors, *(parsed.groups if groups else ()), *((recipe.offset,) if recipe.offset else ()))
    wanted = dict.fromkeys(named)
    columns = take(newdata, wanted, empty=True)
    if not len(columns):
        none = tuple(NewTerm(t.matrix[:0], t.codes[:0]) for t in design.terms)
        return NewRows(design.X[:0], None if design.offset is None else design.offset[:0], none, columns.index)
    made = materialise(recipe.blueprint, columns, recipe.contrasts, recipe.specs)
    X = np.asfortranarray(made.values[0][:, recipe.kept])
    offsets = [made.values[i][:, 0] for i in recipe.blueprint.offsets]
    if recipe.offset:
        offsets.append(numbers(recipe.offset, columns.series[recipe.offset], "the offset"))
    matrices = _left_sides(parsed, recipe, made, columns, groups)
    _finite(design, X, columns)
    nowhere = np.full(len(columns), -1, dtype=np.intp)
    terms = tuple(
        NewTerm(matrices[t.label], _codes(t, parsed, columns, unseen) if groups else nowhere) for t in design.terms
    )
    return NewRows(X, sum(offsets) if offsets else None, terms, columns.index)


def fixed_columns(design: Design, columns: Columns) -> np.ndarray:
    """All columns of the fixed part, those that were dropped as well, at other values of its variables.

    Parameters
    ----------
    design : Design
    columns : Columns
        What the fixed part reads (`fixed_variables`), m values of each.

    Returns
    -------
    ndarray, shape (m, p + dropped)
        The design's columns are those at ``recipe.kept``.
    """
    from formulaic import ModelSpecs

    from lmmtools.design.matrices import materialise

    recipe = design.recipe
    fixed = ModelSpecs(part0=recipe.specs.part0)
    return materialise(recipe.blueprint, columns, recipe.contrasts, fixed).values[0]


def _left_sides(
    parsed: ParsedFormula, recipe: Recipe, made: Matrices, columns: Columns, groups: bool
) -> dict[str, np.ndarray]:
    """The model matrix of each bar, by its label."""
    found = {}
    for k, (bar, part) in enumerate(zip(parsed.random, recipe.blueprint.bars, strict=True)):
        axis = recipe.axes[k] if recipe.axes else None
        if axis is None:
            found[bar.label] = made.values[part]
        elif not groups:  # positions have a meaning within groups only
            found[bar.label] = np.zeros((len(columns), len(axis.levels)))
        elif part is None:
            found[bar.label] = axis.indicators(axis.codes_of(columns.series[bar.terms[0][0].value]))
        elif axis.is_number:
            found[bar.label] = axis.indicators(axis.codes_of(pd.Series(made.values[part][:, 0])))
        else:
            found[bar.label] = made.values[part]
    return found


def _finite(design: Design, X: np.ndarray, columns: Columns) -> None:
    for name, column in zip(design.fixed_names, X.T, strict=True):
        bad = np.isinf(column)
        if bad.any():
            raise DataError(
                f"`{name}` is infinite in {counted(bad.sum(), 'new row')}, first in row "
                f"{columns.index[np.argmax(bad)]}: correct or remove these rows."
            )


def _codes(term: RandomTerm, parsed: ParsedFormula, columns: Columns, unseen: str) -> np.ndarray:
    """Codes of new rows among a term's levels; -1 where the level is new or missing."""
    group = next(bar.group for bar in parsed.random if bar.factor == term.factor)
    series = [columns.series[name] for name in group]
    gone = np.logical_or.reduce([pd.isna(s).to_numpy() for s in series])
    codes = np.full(len(columns), -1, dtype=np.intp)
    if not gone.all():
        codes[~gone] = _places(term, group, [s[~gone] for s in series])
    if unseen == "raise" and (codes < 0).any():
        labels = [":".join(str(s.iloc[i]) for s in series) for i in np.flatnonzero(codes < 0)]
        new, rows = list(dict.fromkeys(labels)), counted(len(labels), "new row")
        raise DataError(
            f"`{term.factor}` has {quoted(new)} in {rows}, which the model has no effect for "
            f"({counted(len(term.levels), 'level')} known): predict with unseen='population', or random=False."
        )
    return codes


def _places(term: RandomTerm, group: tuple[str, ...], series: list[pd.Series]) -> np.ndarray:
    found = interaction([categorise(name, s) for name, s in zip(group, series, strict=True)])
    # as objects, 1 and 1.0 are one label and whole numbers are compared exactly
    return term.levels.astype(object).get_indexer(found.levels.astype(object))[found.codes]
