"""Pictures of data before a model: group sizes and missing values; what these pictures share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, visible
from lmmtools.plots.drawing import BLUE, VERMILLION, PlotData, panels, plot, points

__all__ = ["group_sizes", "missing", "nothing", "or_sentence"]

# Where there is nothing to draw, `facts` has a sentence of this name that says why.
_SENTENCE = "nothing"

# Levels that fit one under another; beyond, sizes become a histogram.
_MOST_BARS = 32
_MOST_PATTERNS, _MOST_FACTORS = 12, 4


def nothing(sentence: str) -> PlotData:
    """What a plot extracts when there is nothing to draw."""
    return PlotData(pd.DataFrame(), facts=MappingProxyType({_SENTENCE: sentence}))


def or_sentence(extract: Callable, describe: Callable, label: str) -> Callable:
    """As `plot`, but where there is nothing to draw, the sentence that says why stands in the picture's place."""

    def described(data: PlotData) -> Description:
        sentence = data.facts.get(_SENTENCE)
        if sentence is None:
            return describe(data)
        return Description(caption=sentence, label=label, alt=sentence, size=(5.2, 0.6))

    def decorate(draw: Callable[[PlotData, Any], Any]) -> Callable:
        @functools.wraps(draw)
        def drawn(data: PlotData, ax: Any) -> Any:
            return _draw_sentence(data.facts[_SENTENCE], ax) if _SENTENCE in data.facts else draw(data, ax)

        return plot(extract, described)(drawn)

    return decorate


def _draw_sentence(sentence: str, ax: Any) -> Any:
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True, fontsize=9)
    return ax


# --- group sizes --------------------------------------------------------------------------------------


def _sizes(exploration: Any) -> PlotData:
    groups = [group for group in exploration.variables.groups if len(group.levels)][:_MOST_FACTORS]
    if not groups:
        return nothing("The formula has no grouping factor, so there are no group sizes to show.")
    sizes = [np.bincount(group.values[group.present], minlength=len(group.levels)) for group in groups]
    if all(rows.min() == rows.max() for rows in sizes):
        said = [f"of {visible(g.name)} {counted(rows[0], 'row')}" for g, rows in zip(groups, sizes, strict=True)]
        return nothing(f"Group sizes are equal: each level {listed(said)}.")
    parts = []
    for panel, (group, rows) in enumerate(zip(groups, sizes, strict=True)):
        levels, count = group.levels.astype(str), np.ones(len(rows), dtype=int)
        if len(rows) > 1 and rows.min() == rows.max():  # one bar says it
            levels, count, rows = [f"each of {len(rows)} levels"], count[:1] * len(rows), rows[:1]
        part = pd.DataFrame({"level": levels, "rows": rows, "levels": count, "panel": panel, "factor": group.name})
        parts.append(part.sort_values("rows", kind="stable", ascending=False))
    return PlotData(pd.concat(parts, ignore_index=True), facts=MappingProxyType({"factors": len(groups)}))


def _describe_sizes(data: PlotData) -> Description:
    said, heights = [], []
    for _, part in data.table.groupby("panel"):
        levels = counted(part["levels"].sum(), "level")
        low, high = int(part["rows"].min()), int(part["rows"].max())
        sizes = f"{counted(low, 'row')} each" if low == high else f"{low} to {counted(high, 'row')}"
        said.append(f"{visible(part['factor'].iloc[0])}: {levels} of {sizes}")
        heights.append(0.75 + (0.16 * max(len(part), 2) if len(part) <= _MOST_BARS else 1.6))
    binned = any(len(part) > _MOST_BARS for _, part in data.table.groupby("panel"))
    return Description(
        caption="Rows of each level of the grouping factors."
        + (f" Factors of more than {_MOST_BARS} levels: how many levels have how many rows." if binned else ""),
        label="fig-group-sizes",
        alt=f"Bars of group sizes, {counted(len(said), 'panel')}. {'; '.join(said)}.",
        size=(5.2, min(8.6, sum(heights) + 0.1)),
    )


@or_sentence(_sizes, _describe_sizes, "fig-group-sizes")
def group_sizes(data: PlotData, ax: Any) -> Any:
    """Rows of each level of each grouping factor, or a histogram where there are many levels.

    Where all groups of every factor are equally large, that is said instead.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels
    """
    k = data.facts["factors"]
    for here, (_, part) in zip(panels(ax, k, 1), data.table.groupby("panel"), strict=True):
        factor = visible(part["factor"].iloc[0])
        if len(part) > _MOST_BARS:
            values, low = part["rows"].to_numpy(), int(part["rows"].min())
            width = max(1, -(-(int(values.max()) - low + 1) // 40))
            edges = np.arange(low, int(values.max()) + width + 1, width) - 0.5
            here.hist(values, bins=edges, color=BLUE, edgecolor="none", rwidth=0.9)
            here.set(xlabel=f"Rows in a level of {factor}", ylabel="Levels")
            continue
        height = -np.arange(len(part))
        here.barh(height, part["rows"], height=0.62, color=BLUE)
        here.set_yticks(height, [shortened(name, 24) for name in part["level"]])
        here.tick_params(axis="y", length=0, labelsize=7)
        here.set(xlabel="Rows", ylabel=factor, ylim=(height[-1] - 0.7, 0.7), xlim=(0, None))
        here.xaxis.get_major_locator().set_params(integer=True)
    return ax if k == 1 else ax.figure


# --- missing values -----------------------------------------------------------------------------------


def _patterns(exploration: Any) -> PlotData:
    from lmmtools.explore.missing import patterns

    found, counts = patterns(exploration.variables)
    names, n = list(exploration.variables.missing), len(exploration.variables.index)
    if not found.any():
        return nothing(f"No value is missing: all {counted(n, 'row')} have all {counted(len(names), 'column')}.")
    rows = [
        {"pattern": i, "rows": int(counts[i]), "column": j, "name": name, "missing": bool(found[i, j])}
        for i in range(min(len(found), _MOST_PATTERNS))
        for j, name in enumerate(names)
    ]
    totals = tuple(int(mask.sum()) for mask in exploration.variables.missing.values())
    facts = {"rows": n, "patterns": len(found), "names": tuple(names), "totals": totals}
    return PlotData(pd.DataFrame(rows), facts=MappingProxyType(facts))


def _describe_patterns(data: PlotData) -> Description:
    facts = data.facts
    said = [f"{visible(name)} in {counted(total, 'row')}" for name, total in _missing_totals(data) if total]
    drawn = data.table["pattern"].nunique()
    some = f" The {drawn} commonest of {facts['patterns']} patterns are shown." if drawn < facts["patterns"] else ""
    return Description(
        caption="Missing values: each line is a pattern with its number of rows, a filled square a column missing in "
        f"all of them. Below each column: the rows in which it is missing.{some}",
        label="fig-missing",
        alt=f"Patterns of missing values in {counted(facts['rows'], 'row')}, {counted(facts['patterns'], 'pattern')}. "
        f"Missing: {listed(said)}.",
        size=(min(6.4, 1.8 + 0.6 * len(facts["names"])), 1.5 + 0.27 * drawn),
    )


def _missing_totals(data: PlotData) -> list[tuple[str, int]]:
    return list(zip(data.facts["names"], data.facts["totals"], strict=True))


@or_sentence(_patterns, _describe_patterns, "fig-missing")
def missing(data: PlotData, ax: Any) -> Any:
    """Which columns are missing together, and in how many rows.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    gone = data.table["missing"].to_numpy()
    height = -data.table["pattern"].to_numpy()
    for here, style in ((gone, {"markerfacecolor": VERMILLION}), (~gone, {"markerfacecolor": "none"})):
        points(ax, data.table["column"][here], height[here], total=0, marker="s", markersize=9, alpha=1.0,
               markeredgewidth=0.8, markeredgecolor=VERMILLION if here is gone else "#808080", **style)  # fmt: skip
    once = data.table.drop_duplicates("pattern")
    ax.set_yticks(-once["pattern"], [counted(rows, "row") for rows in once["rows"]])
    labels = [f"{shortened(name)}\n{format_value(total, 'int')}" for name, total in _missing_totals(data)]
    turned = len(labels) > 7
    ax.set_xticks(np.arange(len(labels)), labels, rotation=60 if turned else 0, ha="right" if turned else "center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlim=(-0.6, len(labels) - 0.4), ylim=(height.min() - 0.6, 0.6))
    return ax
