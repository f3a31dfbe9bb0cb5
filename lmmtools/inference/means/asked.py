"""Which variables the means are of: names checked against the fixed part, with what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import listed, nearest, quoted
from lmmtools.inference.means.grid import Grid

__all__ = ["check_names", "check_trend", "names_of"]

# Columns of the tables, which no variable can be called.
_TAKEN = ("contrast", "estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high")


def names_of(grid: Grid, given: Any, what: str) -> tuple[str, ...]:
    """Names in ``"A"``, ``"A:B"`` or a sequence of names.

    Raises
    ------
    LMMError
        If `given` holds no names, or one twice.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given] if given in grid.axes else given.split(":")
    given = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(name, str) for name in given):
        raise LMMError(f'marginal_means: {what}={given!r} does not name variables: give "A", "A:B" or a list of names.')
    names = tuple(name.strip() for name in given)
    if len(set(names)) < len(names):
        raise LMMError(f"marginal_means: {what} names {quoted(n for n in dict.fromkeys(names) if names.count(n) > 1)} "
                       "more than once.")  # fmt: skip
    return names


def check_names(grid: Grid, specs: tuple[str, ...], by: tuple[str, ...]) -> None:
    """Refuse what the fixed part does not have as a factor, or as a number whose values are given.

    Raises
    ------
    ModelError
        If there is no such variable, or it is a number without values, or a grouping factor.
    LMMError
        If a name is in both, or is that of a column of the result.
    """
    for name in (*specs, *by):
        axis = grid.axes.get(name)
        if axis is None:
            raise ModelError(f"marginal_means: {_why_absent(grid, name)}")
        if not (axis.is_factor or axis.given):
            raise ModelError(
                f"marginal_means: `{name}` is a number, {axis.extent.low:g} to {axis.extent.high:g} in the data, and "
                f"no factor: give values, as in at={{'{name}': [{axis.extent.low:g}, {axis.extent.high:g}]}}; or ask "
                f"for slopes by trend='{name}'; or make it a factor, as C({name}) in the formula."
            )
        if name in _TAKEN:
            raise LMMError(f"marginal_means: a factor called `{name}` would have the name of a column of the table: "
                           "rename it in the data.")  # fmt: skip
    both = [name for name in specs if name in by]
    if both:
        raise LMMError(f"marginal_means: {quoted(both)} stands in specs and in by: leave it out of one.")


def _why_absent(grid: Grid, name: str) -> str:
    parsed = grid.design.parsed
    if name in parsed.groups or name in grid.design.factors:
        return (
            f"`{name}` is a grouping factor: its effects are random, with a mean of zero over all groups there could "
            f"be, so its levels have conditional modes (fit.ranef) and predictions (fit.predict), no marginal means."
        )
    if name == grid.design.response:
        return f"`{name}` is the response; give a factor of the fixed part."
    factors = [axis.name for axis in grid.axes.values() if axis.is_factor]
    numbers = [axis.name for axis in grid.axes.values() if not axis.is_factor]
    have = [f"the {kind} {quoted(names, 12)}" for kind, names in (("factors", factors), ("numbers", numbers)) if names]
    return (
        f"the fixed part has no variable `{name}`{nearest(name, grid.axes)}; it has "
        f"{listed(have) if have else 'an intercept only'}."
    )


def check_trend(grid: Grid, trend: Any) -> str:
    """A variable that has slopes.

    Raises
    ------
    ModelError
        If the fixed part has no such variable, or has it as a factor.
    """
    axis = grid.axes.get(trend) if isinstance(trend, str) else None
    if axis is None:
        raise ModelError(f"marginal_means: trend={trend!r}: {_why_absent(grid, str(trend))}")
    if axis.is_factor:
        raise ModelError(
            f"marginal_means: trend={trend!r} is a factor in this model, whose levels have means and no slope; "
            "slopes are those of numbers."
        )
    return trend
