"""The data by group with the fitted lines: a panel a group, or a row a group where no x suggests itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, evenly, legend_above, plot, points
from lmmtools.plots.lines import covariate_of, home_of, is_function
from lmmtools.plots.trellis import Trellis, columns_for

__all__ = ["data_by_group", "draw_panels"]

# All groups up to the first number are shown, else the second number of them.
_PANELS, _ROWS = (30, 20), (60, 40)


def _chosen(fit: Any, home: Any, limit: tuple[int, int]) -> np.ndarray:
    """Codes of the groups shown: all, or some evenly spaced in rank of their first conditional mode, or residual."""
    if fit.design.terms:
        first = fit.ranef[home.factor].iloc[:, 0].to_numpy()
    else:
        first = np.bincount(home.codes, fit.resid.to_numpy()) / np.bincount(home.codes)
    if len(first) <= limit[0]:
        return np.arange(len(first))
    return np.sort(np.argsort(first, kind="stable")[evenly(len(first), limit[1])])


def _rows_by_group(fit: Any, factor: str | None = None) -> PlotData:
    design, home = fit.design, home_of(fit, factor)
    covariate = covariate_of(fit, home)
    codes = _chosen(fit, home, _PANELS if covariate else _ROWS)
    panel = np.full(len(home.levels), -1)
    panel[codes] = np.arange(len(codes))
    name, x = covariate or ("", np.zeros(fit.nobs))
    table = pd.DataFrame(
        {
            "panel": panel[home.codes],
            "level": home.levels[home.codes].astype(str),
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
                "factor": visible(home.factor),
                "effect": visible(design.factors[home.factor][0].names[0]) if design.terms else "",
            }
        ),
        MappingProxyType(
            {
                "groups": len(home.levels),
                "others": tuple(visible(other) for other in design.factors if other != home.factor),
                "shown": len(codes),
                "x": bool(covariate),
                "lines": bool(covariate) and is_function(table, "fitted"),
                "population": bool(design.terms) and _one_population(table, bool(covariate)),
                "random": bool(design.terms),
            }
        ),
    )


def _one_population(table: pd.DataFrame, lines: bool) -> bool:
    """Whether the fit without random effects can be drawn: as a line in each panel, or one line for all rows."""
    together = table if lines else table.assign(panel=0)
    return is_function(together, "population")


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
    return draw_panels(data, ax) if data.facts["x"] else _dots(data, ax)


def draw_panels(data: PlotData, ax: Any) -> Any:
    """A panel a group: observations, and the lines that the facts name; marks where fitted values make none."""
    table, facts = data.table, data.facts
    titles = tuple(table.drop_duplicates("panel")["level"])
    lines = [name for name in ("fitted", "separate") if facts.get(name, name == "fitted")]
    panels = Trellis(titles, _limits(table["x"]), _limits(table[["y", *lines]]))
    panels.frame(ax, data.labels["x"], data.labels["y"])
    points(ax, *panels.place(table["panel"], table["x"], table["y"]), label="observed")
    if facts["lines"] and facts["population"]:
        panels.lines(ax, table, "population", color=INK, linestyle=":", linewidth=1, label="population")
    if facts.get("separate"):
        own = table[table["separate"].notna()]
        panels.lines(ax, own, "separate", color=INK, linestyle=(0, (4, 2)), linewidth=1, label="least squares")
    if facts["lines"] and "fitted" in lines:
        panels.lines(ax, table, "fitted", color=VERMILLION, label="this group")
    elif "fitted" in lines:
        crosses = panels.place(table["panel"], table["x"], table["fitted"])
        points(ax, *crosses, marker="x", color=VERMILLION, markeredgewidth=1, alpha=1.0, label="fitted")
    legend_above(ax, 4, faint=True)
    return ax


def _limits(values: Any) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.06 * ((high - low) or 1.0)
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
    legend_above(ax, 4, faint=True)
    return ax
