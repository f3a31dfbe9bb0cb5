"""Marginal means and slopes of a fit, from the reference grid to the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmtools.arguments import check_level
from lmmtools.errors import DataError, LMMError
from lmmtools.formats import effect_unit, visible
from lmmtools.inference.contrasts import check_ddf
from lmmtools.inference.means.asked import check_names, check_trend, names_of
from lmmtools.inference.means.grid import Grid, reference_grid
from lmmtools.inference.means.result import MarginalMeans, means_table
from lmmtools.inference.means.rows import Rows
from lmmtools.inference.means.slopes import slope_columns
from lmmtools.inference.means.weights import averaging_weights
from lmmtools.inference.means.words import notes_of, number

__all__ = ["marginal_means"]


def marginal_means(
    fit: Any,
    specs: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    weights: str = "equal",
    trend: str | None = None,
    ddf: str = "satterthwaite",
    level: float = 0.95,
) -> MarginalMeans:
    """Means of the response by factor level, the other predictors held at one value or averaged over; or slopes.

    Parameters
    ----------
    fit : LMMFit
    specs : str or sequence of str, optional
        Factors whose levels are compared: ``"A"``, ``"A:B"`` or ``["A", "B"]``; an empty list for one overall mean. A
        number whose values are in `at` may stand among them. By default the first factor of the fixed part.
    by : str or sequence of str, optional
        Factors within whose levels they are compared: contrasts and their adjustment stay within them.
    at : mapping, optional
        Values by variable: of numbers (``{"age": [8, 14]}``), which are otherwise at their mean over the rows used; or
        levels of factors, of which the others are then left out. What is not in `specs` or `by` is averaged over.
    weights : {"equal", "proportional"}
        Of the levels of factors that are averaged over: all alike, or by the number of rows that have each combination
        of them, in all rows used.
    trend : str, optional
        A number: slopes in it are given instead of means, derivatives of the fixed part.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Method of standard errors and degrees of freedom.
    level : float
        Confidence level.

    Returns
    -------
    MarginalMeans
        A frame: `specs` and `by`, then ``estimate, std_error, df, ci_low, ci_high``; the first of `specs` varies
        fastest, the last of `by` slowest. ``.contrasts()`` compares the rows, ``.test()`` tests each of them, ``.L``
        has the linear functions of the fixed effects.

    Raises
    ------
    ModelError
        If a variable or level is not in the fixed part, or is none that has means; with Kenward and Roger's method if
        the fit is by ML.
    LMMError
        If an argument is none of its values, or `fit` is no fit.
    DataError
        If the fixed part has no value at a point asked for, as ``log(x)`` at zero.

    Notes
    -----
    The grid has every level of every factor of the fixed part, and one value of each number; random effects are at
    zero. Numbers inside functions are put in before the function is taken: ``log(x)`` is at log(mean of x). A mean
    that the data do not determine, as over a cell without rows in a model with that interaction, is NaN and named in
    the notes. An offset enters means by its average over the rows used, and slopes not at all. Numbers with two
    values only, such as 0 and 1, are at their mean like all others (the R package emmeans averages over the two).

    References
    ----------
    Searle, Speed & Milliken (1980), Population marginal means in the linear model, Am. Stat. 34, 216-221.
    Lenth (2016), Least-squares means: the R package lsmeans, J. Stat. Softw. 69(1).

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("angle ~ recipe + temperature + (1 | recipe:replicate)", lt.load_dataset("cake"))
    >>> pairs = lt.marginal_means(fit, "recipe").contrasts()
    >>> [f"{pair.contrast}: {pair.estimate:.3f}, p = {pair.p_value:.2f}" for pair in pairs.itertuples()]
    ['A - B: 1.478, p = 0.82', 'A - C: 1.522, p = 0.81', 'B - C: 0.044, p = 1.00']
    """
    if not (hasattr(fit, "design") and hasattr(fit, "beta_cov")):
        raise LMMError(f"marginal_means: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    level, ddf = check_level(level), check_ddf(ddf, fit, "marginal_means")
    grid = reference_grid(fit.design, at)
    by = names_of(grid, by, "by")
    specs = _first_factor(grid, by) if specs is None else names_of(grid, specs, "specs")
    check_names(grid, specs, by)
    names = (*specs, *by)
    if trend is None:
        base = _values(grid, names)
    else:
        base = slope_columns(grid, names, check_trend(grid, trend))
    full = np.einsum("krp,r->kp", base, averaging_weights(grid, names, weights))
    offset = fit.design.offset
    design = fit.design
    return means_table(
        Rows(
            fit=fit,
            levels=grid.cells(names),
            full=full,
            offset=0.0 if offset is None or trend is not None else float(offset.mean()),
            specs=specs,
            by=by,
            ddf=ddf,
            level=level,
            what=_what(design.response, trend),
            trend=trend,
            unit=effect_unit(design.units, design.response, "Intercept" if trend is None else trend) or "",
            notes=notes_of(grid, names, weights, trend, full, base),
        )
    )


def _first_factor(grid: Grid, by: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name, axis in grid.axes.items() if axis.is_factor and name not in by)[:1]


def _what(response: str, trend: str | None) -> str:
    if trend is None:
        return f"marginal means of {visible(response)}"
    return f"slopes of {visible(response)} in {visible(trend)}"


def _values(grid: Grid, names: tuple[str, ...]) -> np.ndarray:
    """The fixed part's columns over the grid."""
    base = grid.columns(names)
    if not np.all(np.isfinite(base)):
        numbers = [axis for axis in grid.axes.values() if not axis.is_factor]
        at = ", ".join(f"{axis.name} = {', '.join(number(x) for x in axis.values)}" for axis in numbers)
        raise DataError(
            f"marginal_means: the fixed part of `{grid.design.formula}` has no finite value at {at}: give others by "
            "at={…}."
        )
    return base
