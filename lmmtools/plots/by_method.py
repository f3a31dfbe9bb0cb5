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
# What is tested is drawn if it lies within so many lengths of all intervals together.
_NEAR = 1.5


def _extract(tables: Any) -> PlotData:
    tables = [tables] if isinstance(tables, Triangulation) else list(tables)
    if not tables or not all(isinstance(table, Triangulation) for table in tables):
        raise ModelError("plots.by_method: takes what triangulate returns, or several of these.")
    parts, near = [], []
    for panel, table in enumerate(tables[:_MOST]):
        rows = pd.DataFrame(table)[["method", "estimate", "p_value", "low", "high", "flips"]]
        rows = rows[rows[["p_value", "low", "high"]].notna().any(axis=1)].reset_index(drop=True)
        parts.append(rows.assign(panel=panel, row=range(len(rows)), reference=rows["method"] == table.reference))
        low, high = _span(parts[-1])
        near.append(bool(low - _NEAR * (high - low) <= table.null <= high + _NEAR * (high - low)))
    facts = {
        name: tuple(getattr(table, source) for table in tables[:_MOST])
        for name, source in (("names", "parameter"), ("nulls", "null"), ("levels", "level"), ("units", "unit"))
    }
    return PlotData(
        pd.concat(parts, ignore_index=True), facts=MappingProxyType(facts | {"near": tuple(near), "of": len(tables)})
    )


def _span(part: pd.DataFrame) -> tuple[float, float]:
    """From the lowest to the highest of all numbers that are drawn; NaN if there are none."""
    numbers = part[["estimate", "low", "high"]].to_numpy(dtype=float).ravel()
    numbers = numbers[np.isfinite(numbers)]
    return (float(numbers.min()), float(numbers.max())) if len(numbers) else (np.nan, np.nan)


def _describe(data: PlotData) -> Description:
    names, levels = data.facts["names"], sorted(set(data.facts["levels"]))
    what = listed(map(visible, names))
    if data.facts["of"] > len(names):
        what = f"The first {len(names)} of {data.facts['of']} parameters"
    parts = [part for _, part in data.table.groupby("panel")]
    turned = bool((data.table["flips"] != "").any())
    key = ["Square: the method that the others are held against."]
    key += ["Red, a diamond: a method that decides otherwise."] if turned else []
    key += ["Dashed: what is tested."] if any(data.facts["near"]) else []
    return Description(
        caption=f"{what} by every method, with {listed(f'{100 * level:g} %' for level in levels)} intervals and "
        f"p-values. {' '.join(key)}",
        label="fig-by-method",
        alt=f"Intervals of {listed(map(visible, names))} by several methods, under one another. "
        + "; ".join(_said(name, part) for name, part in zip(names, parts, strict=True)) + ".",
        size=(_WIDTH, 0.3 + sum(0.62 + _ROW * len(part) for part in parts)),
    )  # fmt: skip


def _said(name: str, part: pd.DataFrame) -> str:
    flips = part.loc[part["flips"] != "", "method"]
    turned = f"decided otherwise: {listed(flips)}" if len(flips) else "all decide alike"
    low, high = _span(part)
    span = f", intervals from {shown(low)} to {shown(high)}" if np.isfinite(low) else ""
    return f"{visible(name)}: {counted(len(part), 'method')}{span}, {turned}"


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
    facts = data.facts
    parts = [part for _, part in data.table.groupby("panel")]
    axes = panels(ax, len(parts), 1, heights=[2.6 + len(part) for part in parts])
    for panel, (here, part) in enumerate(zip(axes, parts, strict=True)):
        _draw(here, part, facts["nulls"][panel] if facts["near"][panel] else None)
        here.set_title(shortened(facts["names"][panel], 60), loc="left", parse_math=False)
        here.set_xlabel(visible(facts["units"][panel]), parse_math=False)
    return ax if len(parts) == 1 else ax.figure


def _draw(ax: Any, part: pd.DataFrame, null: float | None) -> None:
    ends = [end for end in (*_span(part), null) if end is not None and np.isfinite(end)] or [0.0, 1.0]
    margin = 0.05 * (max(ends) - min(ends) or 1.0)
    left, right = min(ends) - margin, max(ends) + margin
    ax.set_xlim(left, right)
    if null is not None:
        ax.axvline(null, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    for row in part.itertuples():
        color = VERMILLION if row.flips else BLUE
        if np.isfinite(row.low) or np.isfinite(row.high):  # an open end goes to the edge
            low, high = (end if np.isfinite(end) else edge for end, edge in ((row.low, left), (row.high, right)))
            ax.hlines(row.row, low, high, color=color, linewidth=1.1)
        if np.isfinite(row.estimate):
            marker = "s" if row.reference else "D" if row.flips else "o"
            ax.plot(row.estimate, row.row, marker=marker, color=color, markersize=4.2, markeredgewidth=0)
        text = "" if np.isnan(row.p_value) else format_value(row.p_value, "p").replace("< ", "<")
        ax.annotate(text, (1.02, row.row), xycoords=("axes fraction", "data"), va="center", color=color, fontsize=7.5)
    ax.annotate("p", (1.02, 1.0), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", fontsize=7.5)
    ax.set_yticks(part["row"], [shortened(method, 44) for method in part["method"]], parse_math=False)
    ax.set_ylim(len(part) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=6)
