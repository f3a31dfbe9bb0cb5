"""Over what a grid runs: variables, their values, groups."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.design.observed import extent_of, fixed_variables
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import nearest, quoted

__all__ = ["groups_asked", "values_asked"]

# Points of one number, and of each of several.
_LINE, _SURFACE = 50, 25


def values_asked(design: Any, at: Any, points: int | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Values by variable, those without any for a factor's own levels; and the variables that have one value only.

    Raises
    ------
    ModelError
        If the fixed part has no such variable.
    LMMError
        If `at` names nothing, or `points` is no number of points.
    """
    names = fixed_variables(design.parsed)
    numbers = [name for name in names if name not in design.recipe.observed.factors]
    if at is None:
        factors = [name for name in names if name not in numbers]
        at = [*numbers[:1], *factors[:1]]
    if isinstance(at, str):
        at = [at] if at in names else [part.strip() for part in at.split(":")]
    asked = dict(at) if isinstance(at, Mapping) else dict.fromkeys(at)
    for name in asked:
        if name not in names:
            group = name in design.factors or name in design.parsed.groups
            why = f"; it is a grouping factor: groups={{{name!r}: […]}} names its levels" if group else ""
            raise ModelError(
                f"prediction_grid: the fixed part of `{design.formula}` has no variable `{name}`"
                f"{'' if group else nearest(str(name), names)}; it has {quoted(names, 12) if names else 'none'}{why}."
            )
    free = [name for name in asked if name in numbers and asked[name] is None]
    count = _SURFACE if len(free) > 1 else _LINE
    if points is not None:
        count = check_count(points, "prediction_grid: points, of each number,", at_least=2)
    for name in free:
        extent = extent_of(design, name)
        asked[name] = np.linspace(extent.low, extent.high, count) if extent.high > extent.low else [extent.low]
    single = tuple(name for name, value in asked.items() if value is not None and np.ndim(value) == 0)
    return asked, single


def groups_asked(fit: Any, random: bool, groups: Any) -> list[dict[str, tuple[Any, int]]]:
    """Every combination of the levels named: by factor, its label and code.

    Raises
    ------
    LMMError
        If groups are named and not wanted, or wanted and not named, or unknown.
    """
    if groups is None and not random:
        return [{}]
    factors = fit.design.factors
    if not random:
        raise LMMError("prediction_grid: groups= names levels whose modes are added, which random=False leaves out: "
                       "say random=True, or leave groups out.")  # fmt: skip
    if not isinstance(groups, Mapping) or not groups:
        example = next(iter(factors), None)
        if example is None:
            raise LMMError("prediction_grid: this model has no random effects, so random=True has none to add.")
        first = list(factors[example][0].levels[:2])
        raise LMMError(
            f"prediction_grid: random=True adds the modes of groups, which must be named, as in "
            f"groups={{{example!r}: {first!r}}}."
        )
    axes = []
    for name, given in groups.items():
        if name not in factors:
            raise LMMError(f"prediction_grid: groups has `{name}`, which is no grouping factor of this model"
                           f"{nearest(str(name), factors)}; these are {quoted(factors)}.")  # fmt: skip
        levels = factors[name][0].levels
        place = {str(level): k for k, level in enumerate(levels)}
        wanted = [given] if isinstance(given, str) or not np.ndim(given) else list(given)
        for level in wanted:
            if str(level) not in place:
                raise LMMError(f"prediction_grid: `{name}` has no level {level!r}{nearest(str(level), place)}; it has "
                               f"{quoted(levels, 12)}.")  # fmt: skip
        axes.append([(name, (levels[place[str(level)]], place[str(level)])) for level in dict.fromkeys(wanted)])
    return [dict(combination) for combination in product(*axes)]
