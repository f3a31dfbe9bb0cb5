"""Coefficients of several models side by side, each with its interval."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, shown, visible
from lmmtools.models import Coefficients
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, across, plot, tiles

__all__ = ["forest"]

_TALLEST, _WIDTH = 8.4, 6.4
_COLUMNS = 3


def _estimates(table: Any, shared: bool = False) -> PlotData:
    if not isinstance(table, Coefficients):
        raise ModelError(f"plots.forest: takes what coefficients returns; got {type(table).__name__}.")
    models, names = list(dict.fromkeys(table["model"])), list(dict.fromkeys(table["coefficient"]))
    fit_in = _COLUMNS * max(int((_TALLEST - 0.2) / _panel_height(len(models))), 1)
    rows = pd.DataFrame(table)
    rows = rows.assign(panel=rows["coefficient"].map(names.index), row=rows["model"].map(models.index))
    facts = {"models": tuple(models), "names": tuple(names[:fit_in]), "of": len(names), "shared": bool(shared),
             "level": table.level, "units": table.units, "preferred": table.preferred}  # fmt: skip
    return PlotData(rows[rows["panel"] < fit_in], facts=MappingProxyType(facts))


def _panel_height(models: int) -> float:
    """Inches for a panel with its title and its axis."""
    return 0.72 + 0.165 * models


def _describe(data: PlotData) -> Description:
    models, names, preferred = data.facts["models"], data.facts["names"], data.facts["preferred"]
    percent = f"{100 * data.facts['level']:g} %"
    of = (
        f"The first {len(names)} of {data.facts['of']} coefficients"
        if len(names) < data.facts["of"]
        else "Coefficients"
    )
    caption = (
        f"{of} of {counted(len(models), 'model')} by REML, with {percent} intervals. Squares: {visible(preferred)}, "
        "the preferred model. Dashed: zero, where it is near. "
    )
    caption += "All panels share one scale." if data.facts["shared"] else "Each panel has its own scale."
    said = [_said(name, part, preferred) for (_, part), name in zip(data.table.groupby("panel"), names, strict=True)]
    rows = -(-len(names) // across(len(names)))
    return Description(
        caption=caption,
        label="fig-forest",
        alt=f"Forest plot of {listed(map(visible, models))}: {counted(len(names), 'panel')}, a coefficient each, with "
        f"{percent} intervals. " + "; ".join(said) + ".",
        size=(_WIDTH, 0.2 + rows * _panel_height(len(models))),
    )


def _said(name: str, part: pd.DataFrame, preferred: str) -> str:
    clear = int(((part["low"] > 0) | (part["high"] < 0)).sum())
    low, high = shown(part["estimate"].min()), shown(part["estimate"].max())
    among = f"in {counted(len(part), 'model')} " + (f"from {low} to {high}" if low != high else low)
    text = f"{visible(name)}: {among}, {clear} of {len(part)} intervals clear of zero"
    for row in part[part["model"] == preferred].itertuples():
        text += f"; in {visible(preferred)} {shown(row.estimate)} ({shown(row.low)} to {shown(row.high)})"
    return text


@plot(_estimates, _describe)
def forest(data: PlotData, ax: Any) -> Any:
    """Coefficients of several models with their intervals, a panel a coefficient.

    Parameters
    ----------
    table : Coefficients
        What `lmmtools.coefficients` returns.
    ax : matplotlib Axes, optional
        Where the panels go.
    shared : bool
        Whether all panels have one scale, for coefficients in the same units.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `table` is something else.
    """
    models, names = data.facts["models"], data.facts["names"]
    columns = across(len(names))
    axes = tiles(ax, len(names), columns, sharey=True, sharex=data.facts["shared"])
    for panel, part in data.table.groupby("panel"):
        here = axes[panel]
        _intervals(here, part, data.facts["preferred"])
        _limits(here, data.table if data.facts["shared"] else part)
        here.set_title(shortened(names[panel], 30), loc="left", parse_math=False)
        here.set_xlabel(visible(data.facts["units"].get(names[panel]) or ""), parse_math=False)
        here.tick_params(axis="y", length=0)
    axes[0].set_ylim(len(models) - 0.4, -0.6)
    for first in axes[::columns]:
        first.set_yticks(range(len(models)), [shortened(name) for name in models], parse_math=False)
    return ax if len(names) == 1 else ax.figure


def _intervals(ax: Any, part: pd.DataFrame, preferred: str) -> None:
    for chosen, color, marker, size, width in ((False, BLUE, "o", 3.6, 1.1), (True, VERMILLION, "s", 5.0, 1.8)):
        some = part[(part["model"] == preferred) == chosen]
        ax.hlines(some["row"], some["low"], some["high"], color=color, linewidth=width)
        ax.plot(some["estimate"], some["row"], color=color, marker=marker, markersize=size, linestyle="none",
                markeredgewidth=0)  # fmt: skip


def _limits(ax: Any, part: pd.DataFrame) -> None:
    """A scale that holds all intervals, and zero where that no more than doubles it."""
    low, high = float(part["low"].min()), float(part["high"].max())
    size = high - low if high > low else max(abs(low), 1.0)
    if low <= size and high >= -size:
        low, high = min(low, 0.0), max(high, 0.0)
        ax.axvline(0, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    margin = 0.05 * (high - low if high > low else size)
    ax.set_xlim(low - margin, high + margin)
    ax.locator_params(axis="x", nbins=4)
