"""Pictures of columns before a model: where each varies, and how the response is distributed."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, shortened, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, evenly, panels, plot, points
from lmmtools.plots.explore import nothing, or_sentence

__all__ = ["response", "within_between"]

_MOST_FACTORS, _MOST_COLUMNS = 4, 12
# Groups that fit one under another; of more, some are shown.
_MOST_STRIPS = 40


# --- within and between -------------------------------------------------------------------------------


def _shares(exploration: Any) -> PlotData:
    variables = exploration.variables
    if not variables.groups:
        return nothing("The formula has no grouping factor, so all variation is between rows.")
    columns = [variables.response, *variables.covariates][:_MOST_COLUMNS]
    rows = [
        {"panel": panel, "factor": group.name, "column": column.name, "within": split.share}
        for panel, group in enumerate(variables.groups[:_MOST_FACTORS])
        for column in columns
        if (split := exploration.splits[group.name, column.name]).total > 0
    ]
    if not rows:
        return nothing("No column varies, so there is no variation to split.")
    left = 1 + len(variables.covariates) - len(columns)
    return PlotData(pd.DataFrame(rows), facts=MappingProxyType({"left_out": left}))


def _describe_shares(data: PlotData) -> Description:
    parts = [part for _, part in data.table.groupby("panel")]
    said = [
        f"{visible(part['factor'].iloc[0])}: "
        + ", ".join(f"{visible(row.column)} {format_value(row.within, 'percent')}" for row in part.itertuples())
        for part in parts
    ]
    more = data.facts["left_out"]
    return Description(
        caption="Where each column varies: share of its sum of squares within groups (hatched) and between them "
        f"(plain).{f' The first {_MOST_COLUMNS} columns are shown.' if more else ''}",
        label="fig-within-between",
        alt=f"Share of the variation of each column that lies within groups. {'; '.join(said)}.",
        size=(5.2, min(8.6, 0.5 + sum(0.62 + 0.28 * len(part) for part in parts))),
    )


@or_sentence(_shares, _describe_shares, "fig-within-between")
def within_between(data: PlotData, ax: Any) -> Any:
    """Shares of the variation of response and covariates within and between the groups of each factor.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels
    """
    parts = [part for _, part in data.table.groupby("panel")]
    axes = panels(ax, len(parts), 1)
    for place, (here, part) in enumerate(zip(axes, parts, strict=True)):
        height, within = -np.arange(len(part)), part["within"].to_numpy()
        here.barh(height, within, height=0.6, facecolor="none", edgecolor=VERMILLION, hatch="////", linewidth=0.8)
        here.barh(height, 1 - within, left=within, height=0.6, color=BLUE)
        for y, share in zip(height, within, strict=True):
            here.text(1.02, y, format_value(share, "percent"), va="center", fontsize=8)
        here.set_yticks(height, [shortened(name, 24) for name in part["column"]])
        here.tick_params(axis="y", length=0)
        here.spines["left"].set_visible(False)
        here.set(xlim=(0, 1.14), ylim=(height[-1] - 0.6, 0.6))
        here.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        here.set_title(f"Levels of {visible(part['factor'].iloc[0])}", loc="left")
        here.set_xlabel("Share within (hatched), between (plain)" if place == len(axes) - 1 else "")
    return ax if len(axes) == 1 else ax.figure


# --- the response -------------------------------------------------------------------------------------


def _response_values(exploration: Any) -> PlotData:
    variables = exploration.variables
    y = variables.response
    label = with_unit(y.name, y.unit)
    groups = [group for group in variables.groups if len(group.levels) > 1]
    facts: dict[str, Any] = {"values": y.values[y.present], "groups": 0, "shown": 0, "factor": ""}
    if not groups:
        return PlotData(pd.DataFrame(), MappingProxyType({"x": label}), MappingProxyType(facts))
    group = min(groups, key=lambda one: (len(one.levels) < 3, len(one.levels) > _MOST_STRIPS, len(one.levels)))
    here = y.present & group.present
    rows = pd.DataFrame({"code": group.values[here], "y": y.values[here]}).groupby("code")["y"]
    table = rows.quantile([0.0, 0.25, 0.75, 1.0]).unstack()
    table.columns = ["smallest", "lower", "upper", "largest"]
    table = table.assign(mean=rows.mean(), level=group.levels[table.index].astype(str))
    table = table.sort_values(["mean", "level"], kind="stable")
    facts |= {"groups": len(table), "factor": group.name}
    if len(table) > _MOST_STRIPS:
        table = table.iloc[evenly(len(table), _MOST_STRIPS)]
    facts["shown"] = len(table)
    return PlotData(table.reset_index(drop=True), MappingProxyType({"x": label}), MappingProxyType(facts))


def _describe_response(data: PlotData) -> Description:
    facts, label = data.facts, data.labels["x"]
    values, groups, shown_groups = facts["values"], facts["groups"], facts["shown"]
    middle = shown(np.median(values))
    alt = f"Histogram of {counted(len(values), 'value')} of {label}, {spread(values)}, median {middle}."
    if not groups:
        return Description(f"Distribution of {label}. Dashed: the median.", "fig-response", alt, (5.2, 2.6))
    factor = visible(facts["factor"])
    some = f", {shown_groups} of them evenly spaced in rank" if shown_groups < groups else ""
    low, high = data.table["mean"].iloc[0], data.table["mean"].iloc[-1]
    return Description(
        caption=f"Distribution of {label}, over all rows (top) and in each level of {factor} (below): range, middle "
        f"half and mean (upright); {counted(groups, 'level')} in order of the mean{some}. Dashed: the median of all "
        "rows.",
        label="fig-response",
        alt=f"{alt} Below, a strip for each of {counted(shown_groups, 'level')} of {factor}; means from {shown(low)} "
        f"({visible(data.table['level'].iloc[0])}) to {shown(high)} ({visible(data.table['level'].iloc[-1])}).",
        size=(5.2, min(8.4, 2.5 + 0.35 + 0.15 * max(shown_groups, 3))),
    )


@plot(_response_values, _describe_response)
def response(data: PlotData, ax: Any) -> Any:
    """Histogram of the response, and its quartiles in each group below on the same scale.

    The grouping factor is the one with the fewest levels, three or more if there is one.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels
    """
    n = data.facts["shown"]
    if n:
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(2, 1, height_ratios=(1.6, 0.35 + 0.15 * max(n, 3)))
        top, below = grid.subplots(sharex=True)
    else:
        top = ax
    _histogram(top, data.facts["values"])
    top.set(ylabel="Rows")
    if not n:
        top.set(xlabel=data.labels["x"])
        return ax
    table, height = data.table, np.arange(n)
    below.hlines(height, table["smallest"], table["largest"], color=BLUE, linewidth=0.7)
    below.hlines(height, table["lower"], table["upper"], color=BLUE, linewidth=3.2)
    # Taller than the bar, so that it is seen on it in grey too.
    points(below, table["mean"], height, total=0, marker="|", color=VERMILLION, markersize=7, markeredgewidth=1.6,
           alpha=1.0)  # fmt: skip
    below.set_yticks(height, [shortened(name, 24) for name in table["level"]])
    below.tick_params(axis="y", length=0, labelsize=7)
    below.set(xlabel=data.labels["x"], ylabel=visible(data.facts["factor"]), ylim=(-0.8, n - 0.2))
    return ax.figure


def _histogram(ax: Any, values: np.ndarray) -> None:
    """Bars at whole numbers where the values are few whole numbers, else of Freedman and Diaconis' width or less."""
    low, high = float(values.min()), float(values.max())
    if np.all(values == np.round(values)) and high - low <= 40:
        edges = np.arange(low, high + 2) - 0.5
    else:
        quartiles = np.quantile(values, [0.25, 0.75])
        width = 2 * (quartiles[1] - quartiles[0]) / len(values) ** (1 / 3)
        least = np.log2(len(values)) + 1  # Sturges' number, which is larger for few values
        bins = int(np.clip(np.ceil(max(least, (high - low) / width if width > 0 else 10)), 1, 60))
        edges = np.linspace(low, high, bins + 1)
    ax.hist(values, bins=edges, color=BLUE, edgecolor="none", rwidth=0.92)
    ax.axvline(float(np.median(values)), color=INK, linewidth=0.8, linestyle="--")
