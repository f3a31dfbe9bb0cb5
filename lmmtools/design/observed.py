"""What the rows used say of each predictor of the fixed part: levels by row of a factor, mean and range of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.frame import Columns, numbers
from lmmtools.design.levels import is_categorical
from lmmtools.formula.translate import columns as columns_of

if TYPE_CHECKING:
    from lmmtools.design.levels import Levels
    from lmmtools.design.matrices import Blueprint
    from lmmtools.design.value import Design
    from lmmtools.formula import ParsedFormula

__all__ = ["Extent", "Observed", "extent_of", "fixed_variables", "is_number", "observe"]


@dataclass(frozen=True)
class Extent:
    """Mean, smallest and largest value of a number over the rows used, and the values themselves, shape (n,)."""

    mean: float
    low: float
    high: float
    values: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Observed:
    """Predictors of a fixed part, as far as its model matrix does not hold them.

    Attributes
    ----------
    factors : Mapping[str, Levels]
        Every variable that stands for categories, somewhere at least.
    extents : Mapping[str, Extent]
        Variables that are read as numbers and are no column of X by themselves, such as that in ``poly(x, 2)``.
    """

    factors: Mapping[str, Levels] = field(default_factory=dict)
    extents: Mapping[str, Extent] = field(default_factory=dict)


def fixed_variables(parsed: ParsedFormula) -> tuple[str, ...]:
    """Columns that the fixed part reads, offsets apart."""
    return tuple(dict.fromkeys(name for term in parsed.fixed_terms for node in term for name in columns_of(node)))


def observe(
    blueprint: Blueprint,
    parsed: ParsedFormula,
    columns: Columns,
    factors: Mapping[str, Levels],
    fixed_names: tuple[str, ...],
) -> Observed:
    """What is not in a model matrix of columns `fixed_names`.

    Parameters
    ----------
    blueprint : Blueprint
    parsed : ParsedFormula
    columns : Columns
        At the rows used.
    factors : Mapping[str, Levels]
        Of every categorical column.
    fixed_names : tuple of str
        Columns of X that stayed.
    """
    names = fixed_variables(parsed)
    as_they_are = {*blueprint.plain, *(name for name, as_category in blueprint.columns if not as_category)}
    numeric = [
        name
        for name in names
        if name in as_they_are and name not in fixed_names and not is_categorical(columns.series[name])
    ]
    return Observed(
        {name: factors[name] for name in names if name in factors},
        {name: _extent(numbers(name, columns.series[name], "the column")) for name in numeric},
    )


def is_number(design: Design, name: str) -> bool:
    """Whether the fixed part reads a variable as a number (as a category besides, perhaps)."""
    return name in design.recipe.observed.extents or name in design.fixed_names


def extent_of(design: Design, name: str) -> Extent:
    """Mean and range of a variable that the fixed part reads as a number."""
    known = design.recipe.observed.extents
    return known[name] if name in known else _extent(design.X[:, design.fixed_names.index(name)])


def _extent(values: np.ndarray) -> Extent:
    return Extent(float(values.mean()), float(values.min()), float(values.max()), values)
