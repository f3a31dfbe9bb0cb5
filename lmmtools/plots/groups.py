"""The data by group with the fitted lines: a panel a group, or a row a group where no x suggests itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, nearest, quoted, shortened, spread, visible, with_unit
from lmmtools.plots.drawing import (
    BLUE,
    INK,
    VERMILLION,
    PlotData,
    plot,
    points,
)
from lmmtools.plots.trellis import Trellis, columns_for

__all__ = ["data_by_group"]

# All groups up to the first number are shown, else the second number of them.
_PANELS, _ROWS = (30, 20), (60, 40)
# Rows a level has on average, for its panel to show something.
_FEW_ROWS = 3


def _home(fit: Any, factor: str | None) -> Any:
    """A term of the grouping factor shown: the first whose levels have a few rows each, else that of fewest levels.

    Without random effects, the groups in which residuals are correlated.
    """
    if not fit.design.terms:
        return _residual_home(fit, factor)
    terms = [terms[0] for terms in fit.design.factors.values()]
    if factor is not None:
        if factor not in fit.design.factors:
            raise LMMError(
                f"`{factor}` is no grouping factor of this model{nearest(str(factor), fit.design.factors)}; factor can "
                f"be {quoted(fit.design.factors)}."
            )
        return fit.design.factors[factor][0]
    large = [term for term in terms if fit.nobs >= _FEW_ROWS * len(term.levels)]
    return large[0] if large else min(terms, key=lambda term: len(term.levels))


@dataclass(frozen=True)
class _Groups:
    """Groups of rows that no random effect is of."""

    factor: str
    codes: np.ndarray
    levels: pd.Index
    names: tuple[str, ...] = ("",)


def _residual_home(fit: Any, factor: str | None) -> _Groups:
    """The groups of correlated residuals; all rows as one where there are none."""
    c = fit.design.correlation
    name = c.group if c is not None else ""
    if factor is not None and factor != name:
        known = f"; factor can be {quoted([name])}" if name else ""
        raise LMMError(f"`{factor}` is no grouping factor of this model, which has no random effects{known}.")
    if not name:
        return _Groups("all rows", np.zeros(fit.nobs, dtype=np.intp), pd.Index([""]))
    return _Groups(name, c.codes, c.levels)


def _covariate(fit: Any, home: Any) -> tuple[str, np.ndarray] | None:
    """The first numeric time, slope, then fixed covariate, of three values or more that varies within groups."""
    design = fit.design
    columns = _time(fit) + [(n, t.matrix[:, k]) for t in design.terms for k, n in enumerate(t.names)]
    columns += [(n, design.X[:, j]) for j, n in enumerate(design.fixed_names) if ":" not in n]
    for name, x in columns:
        if name == "Intercept" or "[" in name or len(np.unique(x)) < 3:
            continue
        by_group = pd.Series(x).groupby(home.codes)
        if (by_group.max() > by_group.min()).mean() >= 0.5:
            return name, x
    return None


def _time(fit: Any) -> list[tuple[str, np.ndarray]]:
    """The time by which residuals are correlated, with its name, where it is one number."""
    c = fit.design.correlation
    if c is None or len(c.variables) != 1 or c.categorical:
        return []
    times = c.positions[:, 0]
    if c.kind == "us":
        times = np.array([float(label) for label in c.occasions])[times.astype(np.intp)]
    return [(c.variables[0], times)]


def _chosen(fit: Any, home: Any, limit: tuple[int, int]) -> np.ndarray:
    """Codes of the groups shown: all, or some evenly spaced in rank of their first conditional mode, or residual."""
    if fit.design.terms:
        first = fit.ranef[home.factor].iloc[:, 0].to_numpy()
    else:
        first = np.bincount(home.codes, fit.resid.to_numpy()) / np.bincount(home.codes)
    if len(first) <= limit[0]:
        return np.arange(len(first))
    ranks = np.linspace(0, len(first) - 1, limit[1]).round().astype(int)
    return np.sort(np.argsort(first, kind="stable")[ranks])


def _rows_by_group(fit: Any, factor: str | None = None) -> PlotData:
    design, term = fit.design, _home(fit, factor)
    covariate = _covariate(fit, term)
    codes = _chosen(fit, term, _PANELS if covariate else _ROWS)
    panel = np.full(len(term.levels), -1)
    panel[codes] = np.arange(len(codes))
    name, x = covariate or ("", np.zeros(fit.nobs))
    table = pd.DataFrame(
        {
            "panel": panel[term.codes],
            "level": term.levels[term.codes].astype(str),
            "x": x,
            "y": design.y,
            "fitted": fit.fitted.to_numpy(),
            "population": fit.predict(random=False).to_numpy(),
        }
    )
    table = table[table["panel"] >= 0].sort_values(["panel", "x"], kind="stable", ignore_index=True)
    return PlotData(
        table,
        MappingProxyType(
            {
                "x": with_unit(name, design.units.get(name)),
                "y": with_unit(fit.response, design.units.get(fit.response)),
                "factor": visible(term.factor),
                "effect": visible(term.names[0]),
            }
        ),
        MappingProxyType(
            {
                "groups": len(term.levels),
                "others": tuple(visible(other) for other in design.factors if other != term.factor),
                "shown": len(codes),
                "x": bool(covariate),
                "lines": bool(covariate) and _is_function(table, "fitted"),
                "population": bool(design.terms) and _one_population(table, bool(covariate)),
                "random": bool(design.terms),
            }
        ),
    )


def _is_function(table: pd.DataFrame, column: str) -> bool:
    """Whether a column is determined by group and x, so that a line through it means something."""
    values = table.groupby(["panel", "x"])[column]
    return bool((values.max() - values.min() <= 1e-9 * max(float(table["y"].abs().max()), 1e-300)).all())


def _one_population(table: pd.DataFrame, lines: bool) -> bool:
    """Whether the fit without random effects can be drawn: as a line in each panel, or one line for all rows."""
    together = table if lines else table.assign(panel=0)
    return _is_function(together, "population")


def _describe_rows_by_group(data: PlotData) -> Description:
    facts, labels = data.facts, data.labels
    factor, n = labels["factor"], facts["shown"]
    some = n < facts["groups"]
    which = f"{n} of {counted(facts['groups'], 'group')}" if some else counted(n, "group")
    rank = f"the conditional mode of {labels['effect']}" if facts["random"] else "their mean residual"
    chosen = f" Shown are {which}, evenly spaced in rank of {rank}." if some else ""
    what = "solid lines" if facts["lines"] else "crosses" if facts["x"] else "upright ticks"
    population = "; dotted: the same without random effects" if facts["population"] else ""
    others = f" of {listed([factor, *facts['others']])}" if facts["others"] else ""
    included = f", random effects{others} included" if facts["random"] else ""
    marks = f"{what.capitalize()}: fitted values{included}{population}."
    against = f" against {labels['x']}" if facts["x"] else ""
    per = "panel" if facts["x"] else "row"
    rows = -(-n // columns_for(n)) if facts["x"] else 0
    return Description(
        caption=f"{labels['y']}{against} by {factor}. {marks}{chosen}",
        label="fig-data",
        alt=f"{labels['y']}{against}, a {per} for each of {which} of {factor}. "
        f"{counted(len(data.table), 'observation')} from {spread(data.table['y'])}; fitted values{included}, "
        f"from {spread(data.table['fitted'])}, drawn as {what}.",
        size=(6.6, 0.9 + 1.15 * rows) if facts["x"] else (6.0, min(8.0, 1.2 + 0.19 * n)),
    )


@plot(_rows_by_group, _describe_rows_by_group)
def data_by_group(data: PlotData, ax: Any) -> Any:
    """Observations and fitted values by group.

    Panels have the first numeric random slope (else fixed covariate) that varies within groups as x; without
    one, groups are rows of a dot plot. With more than 30 panels (60 rows) some groups are chosen, evenly spaced
    in rank of their conditional mode, and the caption says so.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
    factor : str, optional
        The grouping factor. When left out, the first whose levels have three rows or more on average.

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    return _trellis(data, ax) if data.facts["x"] else _dots(data, ax)


def _trellis(data: PlotData, ax: Any) -> Any:
    table, facts = data.table, data.facts
    titles = tuple(table.drop_duplicates("panel")["level"])
    panels = Trellis(titles, _limits(table["x"]), _limits(table[["y", "fitted"]]))
    panels.frame(ax, data.labels["x"], data.labels["y"])
    points(ax, *panels.place(table["panel"], table["x"], table["y"]), label="observed")
    if facts["lines"] and facts["population"]:
        panels.lines(ax, table, "population", color=INK, linestyle=":", linewidth=1, label="population")
    if facts["lines"]:
        panels.lines(ax, table, "fitted", color=VERMILLION, label="this group")
    else:
        crosses = panels.place(table["panel"], table["x"], table["fitted"])
        points(ax, *crosses, marker="x", color=VERMILLION, markeredgewidth=1, alpha=1.0, label="fitted")
    _legend(ax)
    return ax


def _legend(ax: Any) -> None:
    """The marks' names above the panels, where they cover no data."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)


def _limits(values: Any) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _dots(data: PlotData, ax: Any) -> Any:
    """Groups as rows, the first on top."""
    height, n = -data.table["panel"].to_numpy(), data.facts["shown"]
    if data.facts["population"]:
        ax.axvline(data.table["population"].iloc[0], color=INK, linestyle=":", linewidth=1, label="population")
    points(ax, data.table["y"], height, label="observed", markerfacecolor="none", markeredgewidth=0.9,
           markeredgecolor=BLUE)  # fmt: skip
    once = data.table.drop_duplicates(["panel", "fitted"])
    points(ax, once["fitted"], -once["panel"], marker="|", color=VERMILLION, markersize=9, markeredgewidth=1.6,
           alpha=1.0, label="fitted")  # fmt: skip
    names = data.table.drop_duplicates("panel")["level"]
    ax.set_yticks(-np.arange(n), [shortened(name, 24) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=data.labels["y"], ylabel=data.labels["factor"], ylim=(-n + 0.4, 0.6))
    _legend(ax)
    return ax
