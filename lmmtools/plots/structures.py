"""Residual structures compared: their information criteria, and the fixed effects under each."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, shown, visible
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, plot, tiles
from lmmtools.residual_choice import ResidualStructures, StructureEffects

__all__ = ["residual_structures", "structure_effects"]

_LONGEST, _SMALL = 38, 7.0
# Beyond this the differences are drawn on a scale that is linear up to ten and logarithmic from there.
_WIDE = 60.0
_TALLEST, _ROW, _BOTH, _AROUND = 8.4, 0.25, 0.26, 0.78
_COLUMNS = 3
_STYLES = (
    {"color": BLUE, "marker": "o", "markersize": 4.6},
    {"color": VERMILLION, "marker": "s", "markersize": 4.6, "markerfacecolor": "none", "markeredgewidth": 1.1},
)


def _criteria(found: Any) -> PlotData:
    table = found.table if isinstance(found, ResidualStructures) else found
    if not isinstance(table, pd.DataFrame) or not {"npar", "aic", "bic"} <= set(table.columns):
        raise ModelError(
            f"plots.residual_structures: takes what residual_structures returns; got {type(found).__name__}."
        )
    rows = pd.DataFrame(table)[["npar", "aic", "bic"]].astype(float).dropna()
    rows = rows.assign(aic=rows["aic"] - rows["aic"].min(), bic=rows["bic"] - rows["bic"].min(), row=range(len(rows)))
    lost = len(table) - len(rows)
    return PlotData(rows, facts=MappingProxyType({"names": tuple(map(str, rows.index)), "lost": lost}))


def _describe_criteria(data: PlotData) -> Description:
    names, rows = data.facts["names"], data.table
    lost = f" {counted(data.facts['lost'], 'structure')} without a fit." if data.facts["lost"] else ""
    wide = " Linear up to 10, logarithmic beyond." if _is_wide(rows) else ""
    said = [f"{visible(n)} {shown(a)} and {shown(b)}" for n, a, b in zip(names, rows["aic"], rows["bic"], strict=True)]
    return Description(
        caption="Information criteria of the residual structures, less the lowest: AIC (dots) and BIC (open squares). "
        f"At the right, numbers of parameters.{wide}{lost}",
        label="fig-residual-structures",
        alt=f"AIC and BIC of {counted(len(names), 'residual structure')} above the lowest: {'; '.join(said)}.",
        size=(6.4, 0.8 + _ROW * len(names)),
    )


def _is_wide(rows: pd.DataFrame) -> bool:
    return float(rows[["aic", "bic"]].max().max()) > _WIDE


@plot(_criteria, _describe_criteria)
def residual_structures(data: PlotData, ax: Any) -> Any:
    """AIC and BIC of residual structures, each less the lowest.

    Parameters
    ----------
    structures : ResidualStructures
        What `lmmtools.residual_structures` returns, or its table.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ModelError
        If `structures` is something else.
    """
    rows = data.table
    ax.hlines(rows["row"], 0.0, rows[["aic", "bic"]].max(axis=1), color=INK, linewidth=0.5, alpha=0.35)
    for name, style in zip(("bic", "aic"), _STYLES[::-1], strict=True):
        ax.plot(rows[name], rows["row"], linestyle="none", **({"markeredgewidth": 0} | style))
    for npar, row in zip(rows["npar"], rows["row"], strict=True):
        ax.annotate(f"{npar:.0f}", (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    ax.axvline(0.0, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    if _is_wide(rows):
        ax.set_xscale("symlog", linthresh=10.0, linscale=1.0)
        ticks = [t for t in (0, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)
                 if t <= 1.3 * float(rows[["aic", "bic"]].max().max())]  # fmt: skip
        ax.set_xticks(ticks, [f"{t:,}" for t in ticks])
        ax.minorticks_off()
        ax.set_xlim(left=-1.0)
    _name_rows(ax, data.facts["names"])
    ax.set_xlabel("Above the lowest")
    return ax


def _name_rows(ax: Any, names: tuple[str, ...]) -> None:
    labels = [_row_name(name) for name in names]
    ax.set_yticks(range(len(names)), labels, parse_math=False)
    for label, text in zip(ax.get_yticklabels(), labels, strict=True):
        if "\n" in text:  # two lines in the place of one
            label.set(fontsize=_SMALL, linespacing=0.95)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def _row_name(name: str) -> str:
    """A structure's name, on two lines where it is long and a product."""
    short = name.replace(", nugget=True", ", nugget")
    first, times, rest = short.partition(" * ")
    if len(short) <= _LONGEST or not times:
        return shortened(short, _LONGEST)
    return f"{shortened(first, _LONGEST)}\n* {shortened(rest, _LONGEST - 2)}"


def _effects(found: Any) -> PlotData:
    if not isinstance(found, StructureEffects) or found.intervals is None:
        raise ModelError(f"plots.structure_effects: takes what structure_effects returns; got {type(found).__name__}.")
    rows = found.intervals
    names, structures, methods = (list(dict.fromkeys(rows[c])) for c in ("coefficient", "structure", "method"))
    methods = methods[: len(_STYLES)]
    fit_in = _COLUMNS * max(int((_TALLEST - 0.2) / (_AROUND + _BOTH * len(structures))), 1)
    rows = rows[rows["method"].isin(methods)]
    rows = rows.assign(panel=rows["coefficient"].map(names.index), row=rows["structure"].map(structures.index),
                       of=rows["method"].map(methods.index))  # fmt: skip
    facts = {"names": tuple(names[:fit_in]), "of": len(names), "structures": tuple(structures),
             "methods": tuple(methods), "preferred": found.preferred, "level": found.level,
             "units": found.units or {}}  # fmt: skip
    return PlotData(rows[rows["panel"] < fit_in], facts=MappingProxyType(facts))


_SAID = {"satterthwaite": "Satterthwaite's", "kenward-roger": "Kenward and Roger's",
         "kenward-roger-observed": "Kenward and Roger's observed-information", "residual": "residual",
         "normal": "infinite"}  # fmt: skip


def _describe_effects(data: PlotData) -> Description:
    facts = data.facts
    names, methods = facts["names"], facts["methods"]
    percent = f"{100 * facts['level']:g} %"
    marks = [f"{_SAID[m]} ({mark})" for m, mark in zip(methods, ("dots", "open squares"), strict=False)]
    first = f" The first {len(names)} of {facts['of']} coefficients." if facts["of"] > len(names) else ""
    said = []
    for (_, part), name in zip(data.table.groupby("panel"), names, strict=True):
        clear = int(((part["low"] > 0) | (part["high"] < 0)).sum())
        known = int(part["low"].notna().sum())
        ends = f"{shown(part['low'].min())} to {shown(part['high'].max())}" if known else "missing"
        said.append(f"{visible(name)}: intervals from {ends}, {clear} of {known} clear of zero")
    return Description(
        caption=f"Fixed effects under each residual structure, with {percent} intervals by {listed(marks)} degrees of "
        f"freedom. Heavy: {visible(facts['preferred'])}, which has the lowest AIC. Dashed: zero, where it is near."
        + first,
        label="fig-structure-effects",
        alt=f"Estimates and intervals of {counted(len(names), 'coefficient')} under "
        f"{counted(len(facts['structures']), 'residual structure')}. {'; '.join(said)}.",
        size=(6.4, 0.2 + -(-len(names) // _COLUMNS) * (_AROUND + _BOTH * len(facts["structures"]))),
    )


@plot(_effects, _describe_effects)
def structure_effects(data: PlotData, ax: Any) -> Any:
    """Coefficients with their intervals under each residual structure, a panel a coefficient.

    Parameters
    ----------
    effects : StructureEffects
        What `lmmtools.structure_effects` returns; its first two methods are drawn.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `effects` is something else.
    """
    facts = data.facts
    columns = min(len(facts["names"]), _COLUMNS)
    axes = tiles(ax, len(facts["names"]), columns, sharey=True)
    apart = 0.17 if len(facts["methods"]) > 1 else 0.0
    for (panel, part), here in zip(data.table.groupby("panel"), axes, strict=True):
        for of, shift in zip(range(len(facts["methods"])), (-apart, apart), strict=False):
            mine, style = part[(part["of"] == of) & part["low"].notna()], _STYLES[of]
            at = mine["row"] + shift
            heavy = np.where(mine["structure"] == facts["preferred"], 2.2, 1.0)
            here.hlines(at, mine["low"], mine["high"], color=style["color"], linewidth=heavy)
            here.plot(mine["estimate"], at, linestyle="none", **({"markeredgewidth": 0} | style))
        _zero(here, part)
        here.set_title(_both_ends(facts["names"][panel], 60 // columns), loc="left", parse_math=False)
        here.set_xlabel(visible(facts["units"].get(facts["names"][panel]) or ""), parse_math=False)
        here.locator_params(axis="x", nbins=4 if columns > 2 else 6)
        here.tick_params(axis="y", length=0)
    for first in axes[::columns]:
        _name_rows(first, facts["structures"])
    return ax if len(axes) == 1 else ax.figure


def _both_ends(name: str, most: int) -> str:
    """A coefficient's name without its middle: interactions begin alike, levels are told at the end."""
    name = visible(name)
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most - most // 2) :]}"


def _zero(ax: Any, part: pd.DataFrame) -> None:
    """Limits that hold all intervals, and zero where that no more than doubles them."""
    ends = part[["low", "high", "estimate"]].to_numpy()
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    size = high - low or max(abs(low), 1.0)
    if low <= size and high >= -size:
        low, high = min(low, 0.0), max(high, 0.0)
        ax.axvline(0.0, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    ax.set_xlim(low - 0.05 * size, high + 0.05 * size)
