"""The left sides of the bars at other values of their variables, whatever the groups."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.frame import Columns
from lmmtools.formula.translate import columns as columns_of

if TYPE_CHECKING:
    from lmmtools.design.value import Design
    from lmmtools.formula import ParsedFormula

__all__ = ["left_columns", "left_variables"]


def left_variables(parsed: ParsedFormula) -> dict[str, tuple[str, ...]]:
    """Columns that each bar's left side reads, by its label."""
    return {
        bar.label: tuple(dict.fromkeys(name for term in bar.terms for node in term for name in columns_of(node)))
        for bar in parsed.random
    }


def left_columns(design: Design, columns: Columns, labels: Collection[str]) -> dict[str, np.ndarray]:
    """The random terms' columns at other values of their variables.

    Parameters
    ----------
    design : Design
    columns : Columns
        m values of each variable that these left sides read.
    labels : collection of str
        Of the bars asked for.

    Returns
    -------
    dict[str, ndarray]
        By label, shape (m, q); terms over positions are left out, since these have a meaning within groups only.
    """
    from formulaic import ModelSpecs

    from lmmtools.design.matrices import materialise

    recipe = design.recipe
    axes = recipe.axes or (None,) * len(design.parsed.random)
    parts = {
        bar.label: part
        for bar, part, axis in zip(design.parsed.random, recipe.blueprint.bars, axes, strict=True)
        if axis is None and bar.label in labels
    }
    if not parts:
        return {}
    specs = recipe.specs
    wanted = ModelSpecs(**{f"part{part}": getattr(specs, f"part{part}") for part in sorted(set(parts.values()))})
    made = materialise(recipe.blueprint, columns, recipe.contrasts, wanted)
    return {label: made.values[part] for label, part in parts.items()}
