"""One parameter by every method: intervals under one another, and which of them decide otherwise."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, shown, visible
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, panels, plot
from lmmtools.triangulation import Triangulation

__all__ = ["by_method"]

_WIDTH, _ROW = 6.4, 0.21
_MOST = 4


def _extract(tables: Any) -> PlotData:
    tables = [tables] if isinstance(tables, Triangulation) else list(tables)
    if not tables or not all(isinstance(table, Triangulation) for table in tables):
        raise ModelError("plots.by_method: takes what triangulate returns, or several of these.")
    parts = []
    for panel, table in enumerate(tables[:_MOST]):
        rows = pd.DataFrame(table)[["method", "estimate", "p_value", "low", "high", "flips", "decision"]]
        rows = rows[rows[["p_value", "low", "high"]].notna().any(axis=1)].reset_index(drop=True)
        parts.append(rows.assign(panel=panel, row=range(len(rows)), reference=rows["method"] == table.reference))
    facts = {
        "names": tuple(table.parameter for table in tables[:_MOST]),
        "nulls": tuple(table.null for table in tables[:_MOST]),
        "levels": tuple(table.level for table in tables[:_MOST]),
        "of": len(tables),
    }
    return PlotData(pd.concat(parts, ignore_index=True), facts=MappingProxyType(facts))


def _describe(data: PlotData) -> Description:
    names, levels = data.facts["names"], sorted(set(data.facts["levels"]))
    first = f"The first {len(names)} of {data.facts['of']} parameters" if data.facts["of"] > len(names) else ""
    percent = listed(f"{100 * level:g} %" for level in levels)
    what = first or listed(map(visible, names))
    parts = [part for _, part in data.table.groupby("panel")]
    said = []
    for name, part in zip(names, parts, strict=True):
        flips = part.loc[part["flips"] != "", "method"]
        turned = f"; decided otherwise: {listed(flips)}" if len(flips) else "; all decide alike"
        widest = part.dropna(subset=["low", "high"])
        span = f" from {shown(widest['low'].min())} to {shown(widest['high'].max())}" if len(widest) else ""
        said.append(f"{visible(name)}: {counted(len(part), 'method')}, intervals{span}{turned}")
    return Description(
        caption=f"{what} by every method, with {percent} intervals and p-values. Square: the method that the others "
        "are held against; open and red: a method that decides otherwise. Dashed: what is tested.",
        label="fig-by-method",
        alt="Intervals of one parameter by several methods, under one another. " + "; ".join(said) + ".",
        size=(_WIDTH, 0.3 + sum(0.62 + _ROW * len(part) for part in parts)),
    )


@plot(_extract, _describe)
def by_method(data: PlotData, ax: Any) -> Any:
    """Intervals and p-values of a parameter by every method, a panel a parameter.

    Parameters
    ----------
    tables : Triangulation, or a sequence of these
        What `lmmtools.triangulate` returns; four at most are drawn.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `tables` is something else.
    """
    names = data.facts["names"]
    parts = [part for _, part in data.table.groupby("panel")]
    axes = panels(ax, len(parts), 1, heights=[2.6 + len(part) for part in parts])
    for here, part, name, null in zip(axes, parts, names, data.facts["nulls"], strict=True):
        _draw(here, part, null)
        here.set_title(shortened(name, 60), loc="left", parse_math=False)
    return ax if len(names) == 1 else ax.figure


def _draw(ax: Any, part: pd.DataFrame, null: float) -> None:
    ax.axvline(null, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    for row in part.itertuples():
        color = VERMILLION if row.flips else BLUE
        marker = "s" if row.reference else "o"
        fill = "white" if row.flips else color
        if np.isfinite(row.low) and np.isfinite(row.high):
            ax.hlines(row.row, row.low, row.high, color=color, linewidth=1.1)
        if np.isfinite(row.estimate):
            ax.plot(row.estimate, row.row, marker=marker, color=color, markerfacecolor=fill, markersize=4.2)
        text = "" if np.isnan(row.p_value) else f"p {format_value(row.p_value, 'p').replace('< ', '<')}"
        ax.annotate(text, (1.01, row.row), xycoords=("axes fraction", "data"), va="center", color=color, fontsize=7.5)
    ax.set_yticks(part["row"], [shortened(method, 44) for method in part["method"]], parse_math=False)
    ax.set_ylim(len(part) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    low = np.nanmin([null, *part["low"][np.isfinite(part["low"])]])
    high = np.nanmax([null, *part["high"][np.isfinite(part["high"])]])
    margin = 0.05 * (high - low or 1.0)
    ax.set_xlim(low - margin, high + margin)
    ax.locator_params(axis="x", nbins=6)
