"""Variance functions at new rows: what the sd of an observation there depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.frame import Columns, missing_mask, take
from lmmtools.design.residual.value import Variance
from lmmtools.design.residual.variables import combined, labels_of, rows_named
from lmmtools.design.residual.variances import covariate_of
from lmmtools.errors import DataError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ParsedResidual, ResidualPart

if TYPE_CHECKING:
    from formulaic import ModelSpecs

    from lmmtools.design.value import Design

__all__ = ["ResidualRecipe", "residual_rows"]


@dataclass(frozen=True)
class ResidualRecipe:
    """How a residual structure was read.

    Attributes
    ----------
    parsed : ParsedResidual
    learnt : Mapping[str, ModelSpecs]
        What formulaic learnt of its expressions, by their names.
    """

    parsed: ParsedResidual
    learnt: Mapping[str, ModelSpecs] = field(default_factory=dict)


def residual_rows(design: Design, newdata: object) -> tuple[Variance, ...]:
    """The variance functions of a design at new rows, in the order written.

    Parameters
    ----------
    design : Design
    newdata : data frame
        With the columns the variance functions read; those of the correlation are not needed.

    Returns
    -------
    tuple of Variance
        Codes are those of the design's levels; the values of ``fitted()`` are NaN, the prediction is to stand there.
        None where the residuals have one variance.

    Raises
    ------
    DataError
        If a column is not there, a value is missing or none the function is defined for, or a level has no sd.
    """
    if design.residual is None:
        return ()
    recipe = design.recipe.residual
    parts = recipe.parsed.variances
    columns = take(newdata, dict.fromkeys(name for part in parts for name in part.columns), empty=True)
    _complete(columns)
    return tuple(
        _at(part, known, columns, dict(recipe.learnt))
        for part, known in zip(parts, design.residual.variances, strict=True)
    )


def _complete(columns: Columns) -> None:
    for name, series in columns.series.items():
        if (gone := missing_mask(series)) is not None:
            raise DataError(
                f"`{name}` is missing in {counted(int(gone.sum()), 'new row')} "
                f"({rows_named(columns.index, np.flatnonzero(gone))}), and the residual sd depends on it: fill in or "
                "remove these rows."
            )


def _at(part: ResidualPart, known: Variance, columns: Columns, learnt: dict[str, ModelSpecs]) -> Variance:
    n = len(columns)
    factor = part.variables if part.kind == "varident" else part.group
    codes = _codes(part, ":".join(factor), known, columns, factor) if factor and n else np.zeros(n, dtype=np.intp)
    values = known.values[:0]
    if known.fitted:
        values = np.full(n, np.nan)
    elif part.nodes and n:
        values = covariate_of(part, columns, learnt, new=True)
    return replace(known, codes=codes, values=values)


def _codes(part: ResidualPart, name: str, known: Variance, columns: Columns, factor: tuple[str, ...]) -> np.ndarray:
    """Codes of the rows among the levels that have a parameter."""
    found = combined(factor, columns)
    place = {level: k for k, level in enumerate(known.levels)}
    codes = np.array([place.get(level, -1) for level in labels_of(found.levels)], dtype=np.intp)[found.codes]
    if (codes < 0).any():
        rows = np.flatnonzero(codes < 0)
        new = [level for level in labels_of(found.levels) if level not in place]
        raise DataError(
            f"`{part.label}`: `{name}` has {quoted(new)} in {counted(len(rows), 'new row')} "
            f"({rows_named(columns.index, rows)}), for which the model has no residual sd; it knows "
            f"{quoted(known.levels)}: correct or remove these rows."
        )
    return codes
