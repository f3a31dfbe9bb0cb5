"""A prediction grid, from what is asked to the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag, check_level
from lmmtools.design.row_space import determined
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, estimate_format, listed, nearest, visible, with_unit
from lmmtools.frames import frame
from lmmtools.inference.contrasts import check_ddf, reference, reference_notes, t_quantile
from lmmtools.inference.means.grid import Grid, reference_grid
from lmmtools.inference.means.rows import Rows, estimates
from lmmtools.inference.means.shown import among
from lmmtools.inference.means.weights import averaging_weights
from lmmtools.inference.means.words import notes_of
from lmmtools.predictive import between_variance, mean_variance, point
from lmmtools.surfaces.asked import groups_asked, values_asked
from lmmtools.surfaces.rows import Cells, cells_of, sd_of_cells
from lmmtools.surfaces.support import beyond, constants, observed_values
from lmmtools.surfaces.value import PredictionGrid, Surface

__all__ = ["prediction_grid"]

_TAKEN = ("prediction", "std_error", "df", "low", "high", "extrapolated")


def prediction_grid(
    fit: Any,
    at: str | Sequence[str] | Mapping[str, Any] | None = None,
    random: bool = False,
    groups: Mapping[str, Any] | None = None,
    interval: str = "mean",
    *,
    points: int | None = None,
    weights: str = "equal",
    ddf: str = "normal",
    level: float = 0.95,
) -> PredictionGrid:
    """Predictions over values of one or several predictors, the others held at one value or averaged over.

    Parameters
    ----------
    fit : LMMFit
    at : str, sequence of str or mapping, optional
        The predictors of the grid, ``"age"``, ``["age", "Sex"]``, or with their values,
        ``{"age": [8, 10, 12], "Sex": None}``: a number without values runs over its observed range, a factor over its
        levels; a single value (``{"dose": 5}``) holds a predictor there. By default the first number and the first
        factor of the fixed part.
    random : bool
        Whether the conditional modes of the groups named are added; without, predictions are of the population.
    groups : mapping, optional
        With `random`: levels by grouping factor, ``{"Subject": ["308", "309"]}``. Predictors that are constant within
        a group, and not in the grid, are at its value. A factor that is not named is at a level that was not seen: its
        mode is zero, its variance is in the interval.
    interval : {"mean", "observation"}
        Of the mean, or of a new response with weight one; see `predict`.
    points : int, optional
        Points over the range of each number without values: 50, or 25 of each where there are two.
    weights : {"equal", "proportional"}
        Of the levels of factors that are not in the grid, over which predictions are averaged; see `marginal_means`.
        Numbers that are not in it are at their means over the rows used.
    ddf : {"normal", "satterthwaite", "kenward-roger", "kenward-roger-observed", "residual"}
        Standard errors and degrees of freedom for means of the population; all other intervals are those of the normal
        distribution, as `predict`'s.
    level : float

    Returns
    -------
    PredictionGrid
        A frame: the variables (the first varies fastest), ``prediction, std_error, low, high`` and ``extrapolated``:
        whether a cell lies beyond what was observed, a number out of the range it has in the rows with these levels,
        or two numbers out of the convex hull of their pairs. With `ddf` other than normal also ``df``.

    Raises
    ------
    ModelError
        If the fixed part lacks a variable or level, or has no columns.
    LMMError
        If an argument is none of its values, or a new response's variance depends on what the grid does not name.

    Notes
    -----
    A prediction averaged over levels is that of no single row: it is the mean of theirs, as a marginal mean is, and the
    interval of a new response is one around this mean. Cells that the data do not determine are NaN. An offset enters
    by its mean over the rows used.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", lt.load_dataset("Orthodont"))
    >>> for row in lt.prediction_grid(fit, {"age": [8, 14], "Sex": None}).itertuples():
    ...     print(f"{row.age:g} {row.Sex}: {row.prediction:.2f}, {row.low:.2f} to {row.high:.2f}")
    8 Male: 22.62, 21.56 to 23.67
    14 Male: 27.32, 26.27 to 28.38
    8 Female: 21.21, 19.94 to 22.48
    14 Female: 24.09, 22.81 to 25.36
    """
    _check(fit, random, interval)
    level, ddf = check_level(level), check_ddf(ddf, fit, "prediction_grid")
    if ddf != "normal" and (random or interval == "observation"):
        raise LMMError(f"prediction_grid: ddf={ddf!r} is for means of the population; with random=True, or for "
                       "observations, intervals are those of the normal distribution.")  # fmt: skip
    asked, single = values_asked(fit.design, at, points)
    if taken := [name for name in asked if name in _TAKEN]:
        raise LMMError(f"prediction_grid: a variable called `{taken[0]}` would have the name of a column of the table: "
                       "rename it in the data.")  # fmt: skip
    given = {name: values for name, values in asked.items() if values is not None}
    grid, names = reference_grid(fit.design, given), tuple(asked)
    made, parts, effects = {}, [], random or interval == "observation"
    for levels in groups_asked(fit, check_flag(random, "prediction_grid: random"), groups):
        own = constants(fit.design, grid.rest(names), levels)
        key = tuple(own.items())
        if key not in made:
            mine = reference_grid(fit.design, given | {name: [value] for name, value in key})
            made[key] = (mine, own, cells_of(mine, names, averaging_weights(mine, names, weights), effects=effects))
        parts.append(_predicted(fit, made[key][-1], levels, random, interval, ddf, level))
    table = pd.concat(parts, ignore_index=True)
    table["extrapolated"] = beyond(fit.design, grid, table)
    first = next(iter(made.values()))
    notes = _notes(fit, *first, weights, table, ddf)
    facts = _facts(fit, grid, first[-1].table, single, tuple(levels), interval, level, random)
    return _framed(fit, table, facts, notes, ddf)


def _check(fit: Any, random: bool, interval: str) -> None:
    if not (hasattr(fit, "design") and hasattr(fit, "beta_cov")):
        raise LMMError(f"prediction_grid: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    if interval not in ("mean", "observation"):
        raise LMMError(f"prediction_grid: interval={interval!r} is unknown"
                       f'{nearest(str(interval), ("mean", "observation"))}; use "mean" or "observation".')  # fmt: skip
    if not fit.design.X.shape[1]:
        raise ModelError(f"prediction_grid: `{fit.formula}` has no fixed effects, so there is nothing to run over.")


def _predicted(
    fit: Any, cells: Cells, levels: dict[str, Any], random: bool, interval: str, ddf: str, level: float
) -> pd.DataFrame:
    """The cells with their predictions, of one combination of groups or of the population."""
    offset = 0.0 if fit.design.offset is None else float(fit.design.offset.mean())
    if not random and interval == "mean":
        return _of_population(fit, cells, offset, ddf, level)
    rows = cells.rows(fit.design, {name: code for name, (_, code) in levels.items()})
    value = point(fit, rows, random) + offset
    variance = mean_variance(fit, rows, random)
    if interval == "observation":
        variance = variance + (fit.sigma * sd_of_cells(fit, cells, value)) ** 2
        variance = variance if random else variance + between_variance(fit, rows)
    lost = ~determined(fit.design, cells.full)
    value, variance = np.where(lost, np.nan, value), np.where(lost, np.nan, variance)
    half = float(t_quantile(np.inf, level)) * np.sqrt(variance)
    labels = {name: [label] * len(value) for name, (label, _) in levels.items()}
    return cells.table.assign(
        **labels, prediction=value, std_error=np.sqrt(variance), low=value - half, high=value + half
    )


def _of_population(fit: Any, cells: Cells, offset: float, ddf: str, level: float) -> pd.DataFrame:
    found = estimates(Rows(fit, cells.table, cells.full, offset, (), (), ddf, level, "", None, "", ()))
    half = np.where(found.zero, 0.0, t_quantile(found.df, level) * found.std_error)
    table = cells.table.assign(prediction=found.estimate, std_error=found.std_error)
    if ddf != "normal":
        table["df"] = found.df
    return table.assign(low=found.estimate - half, high=found.estimate + half)


def _notes(
    fit: Any, grid: Grid, own: dict[str, Any], cells: Cells, weights: str, table: pd.DataFrame, ddf: str
) -> tuple[str, ...]:
    """What must be said of how the predictions came about."""
    names = (*cells.table, *own)
    quiet = {name: replace(axis, given=axis.given and name not in names) for name, axis in grid.axes.items()}
    notes = list(notes_of(Grid(fit.design, quiet), names, weights, None, cells.full, cells.base))
    notes = [note for note in notes if not note.startswith(("Not estimable", "No row used has"))]
    if own:
        are = "is" if len(own) == 1 else "are"
        notes.append(
            f"{listed(f'`{name}`' for name in own)}, constant within groups, {are} at the value of each group."
        )
    out, lost = int(table["extrapolated"].sum()), int(table["prediction"].isna().sum())
    of = counted(len(table), "prediction")
    if out:
        notes.append(f"{out:,} of {of} {'lies' if out == 1 else 'lie'} beyond what was observed.")
    if lost:
        notes.append(f"{lost:,} of {of} the data do not determine (no rows, or effects that cannot be told apart).")
    return (*notes, *(reference_notes(fit, ddf, table["df"].to_numpy()) if "df" in table else ()))


def _facts(
    fit: Any, grid: Grid, cells: pd.DataFrame, single: tuple[str, ...], groups: tuple[str, ...], interval: str,
    level: float, random: bool,
) -> Surface:  # fmt: skip
    names = list(cells)
    numbers = tuple(n for n in names if not grid.axes[n].is_factor and n not in single)
    factors = tuple(n for n in names if grid.axes[n].is_factor and n not in single)
    design = fit.design
    return Surface(
        numbers, (*factors, *groups), groups, tuple((n, cells[n].iloc[0]) for n in single), interval, level, random,
        design.response, dict(design.units), _observed(fit, names, groups, grid),
    )  # fmt: skip


def _framed(fit: Any, table: pd.DataFrame, facts: Surface, notes: tuple[str, ...], ddf: str) -> PredictionGrid:
    names = [name for name in table if name in (*facts.numbers, *facts.factors, *dict(facts.held))]
    shared, unit, percent = ["prediction", "low", "high"], facts.units.get(facts.response), f"{100 * facts.level:g} %"
    what = "a new response" if facts.interval == "observation" else "the mean"
    groups = listed(map(visible, facts.groups)) if facts.groups else ""
    whose = f"with the modes of {groups}" if facts.random else "of the population"
    made = frame(
        table,
        caption=f"Predictions of {visible(facts.response)}{among(names)}, {whose}, each with its {percent} interval of "
        f"{what}; reference: {reference(fit, ddf)}",
        label="tbl-predictions", notes=notes, index=False, cls=PredictionGrid,
        headings={**{name: with_unit(name, facts.units.get(name)) for name in names},
                  "prediction": with_unit("Prediction", unit), "std_error": "Std. error", "df": "df",
                  "low": f"{percent} low", "high": "high", "extrapolated": "Extrapolated"},
        formats={**dict.fromkeys(shared, estimate_format(table[shared].dropna().to_numpy().ravel())),
                 **{name: _format(table[name]) for name in table[names].select_dtypes("float")},
                 "std_error": "estimate"},
    )  # fmt: skip
    made._surface = facts
    return made


def _format(values: pd.Series) -> str:
    """As given, or four digits of what a range was divided into."""
    return "data" if np.allclose(values, np.round(values, 3), rtol=0.0, atol=1e-12) else "sig4"


def _observed(fit: Any, names: Sequence[str], groups: Sequence[str], grid: Grid) -> pd.DataFrame:
    """The rows used, in the variables of the grid."""
    found = {"y": fit.design.y}
    for name in names:
        values = observed_values(fit.design, grid.axes[name])
        if values is not None:
            found[name] = values
    for name in groups:
        term = fit.design.factors[name][0]
        found[name] = term.levels.take(term.codes)
    return pd.DataFrame({name: np.asarray(values) for name, values in found.items()})
