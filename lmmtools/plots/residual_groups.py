"""Residuals by group: range, middle half and median of each, or single residuals where groups are small."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, shortened, shown, spread, visible
from lmmtools.matrices import Groups
from lmmtools.plots.drawing import BLUE, INK, RASTER_ABOVE, VERMILLION, PlotData, evenly, plot, points
from lmmtools.plots.lines import home_of
from lmmtools.plots.residual_kinds import left_out, residual_of

__all__ = ["FEW", "draw_small", "group_table", "residuals_by_group"]

#: Groups of a small panel among several.
FEW = 40

# Groups up to the first number are all drawn, else so many; groups whose names fit.
_MOST, _NAMES = 120, 45
# Names on a small panel, and its height in points.
_FEW_NAMES, _ROOM = 14, 150
# Groups of fewer rows than this on the median have single residuals in place of quartiles.
_QUARTILES = 6
# Tukey's fences: residuals further than so many quartile ranges from the quartiles stand alone.
_FENCE = 1.5


def group_table(codes: np.ndarray, levels: pd.Index, residual: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Quartiles and fences of each group, in order of the median; and rows that stand alone.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
    levels : pd.Index
    residual : ndarray, shape (n,)

    Returns
    -------
    DataFrame
        ``level, rows, mean, low, lower, median, upper, high``; low and high are the last residuals within the fences.
    ndarray of bool, shape (n,)
        Which residuals are beyond them.

    References
    ----------
    Tukey (1977), Exploratory Data Analysis, sec. 2D, Addison-Wesley.
    """
    by = pd.Series(residual).groupby(codes)
    table = by.quantile([0.25, 0.5, 0.75]).unstack().set_axis(["lower", "median", "upper"], axis=1)
    table = table.assign(rows=by.size(), mean=by.mean(), level=levels[table.index].astype(str))
    reach = _FENCE * (table["upper"] - table["lower"])
    fence = pd.DataFrame({"low": table["lower"] - reach, "high": table["upper"] + reach}).loc[codes]
    beyond = (residual < fence["low"].to_numpy()) | (residual > fence["high"].to_numpy())
    inside = pd.Series(np.where(beyond, np.nan, residual)).groupby(codes)
    table = table.assign(low=inside.min(), high=inside.max(), code=table.index)
    return table.sort_values("median", kind="stable", ignore_index=True), beyond


def _home(fit: Any, factor: str | None) -> Groups:
    """Groups by a factor of the fixed part or of the residuals, which need have no random effects; else `home_of`."""
    own, fixed = fit.design.correlation, fit.design.recipe.observed.factors
    if factor is not None and factor not in fit.design.factors:
        if own is not None and factor == own.group:
            return Groups(factor, own.codes, own.levels)
        if factor in fixed:
            return Groups(factor, fixed[factor].codes, fixed[factor].levels)
    return home_of(fit, factor)


def _extract(fit: Any, factor: str | None = None, kind: str | None = None, most: int = _MOST) -> PlotData:
    home = _home(fit, factor)
    residual, label = residual_of(fit, kind)
    here = np.isfinite(residual)
    residual, codes = residual[here], home.codes[here]
    table, beyond = group_table(codes, home.levels, residual)
    groups = len(table)
    if groups > most:
        table = table.iloc[evenly(groups, most)].reset_index(drop=True)
    boxes = bool(np.median(table["rows"]) >= _QUARTILES)
    place = pd.Series(np.arange(len(table)), index=table["code"])
    alone = pd.DataFrame({"place": place.reindex(codes).to_numpy(), "residual": residual})
    alone = alone[(beyond if boxes else True) & alone["place"].notna()].reset_index(drop=True)
    facts = {"groups": groups, "boxes": boxes, "alone": alone, "kind": label, "beyond": int(beyond.sum()),
             "missing": int((~here).sum())}  # fmt: skip
    labels = {"x": label, "factor": visible(home.factor)}
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    n, factor = len(table), data.labels["factor"]
    some = f" Shown are {n} of {counted(facts['groups'], 'group')}, evenly spaced." if n < facts["groups"] else ""
    stride = -(-n // _NAMES)
    named = f" One group in {stride} is named." if stride > 1 else ""
    boxes = "Thick: the middle half; thin: to the last within 1.5 of its widths; marks: beyond; upright: the median."
    marks = boxes if facts["boxes"] else "Marks: single residuals; upright: the median."
    order = ", in order of the median" if n > 1 else ""
    return Description(
        caption=f"{facts['kind']} by {factor}{order}. {marks}{some}{named}"
        f"{left_out(facts['missing'])}",
        label="fig-residuals-by-group",
        alt=f"{facts['kind']} in {counted(facts['groups'], 'group')} of {factor}: medians from "
        f"{spread(table['median'])}, interquartile ranges from {spread(table['upper'] - table['lower'])}; "
        f"{facts['beyond']:,} beyond the fences of their groups, {shown(table['low'].min())} and "
        f"{shown(table['high'].max())} the last within.",
        size=(5.6, _height(n)),
    )


def _height(groups: int) -> float:
    """Of the figure, in inches."""
    return float(np.clip(1.1 + 0.16 * groups, 2.0, 7.6))


@plot(_extract, _describe)
def residuals_by_group(data: PlotData, ax: Any) -> Any:
    """Residuals of each group as quartiles, fences and what lies beyond, in order of the median.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        A grouping factor, or a factor of the fixed part; when left out, the first grouping factor whose levels have
        three rows or more on average.
    kind : str, optional
        Of residual, see `lmmtools.residuals.residuals`; that which fits the model when left out.
    most : int
        Of more groups than this so many are drawn, evenly spaced in rank of their median.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name, or there is no such kind.
    """
    _draw(data, ax, _NAMES, 72 * _height(len(data.table)) - 60)
    return ax


def draw_small(data: PlotData, ax: Any) -> None:
    """The same on a panel that has room for few names, and at most `FEW` groups."""
    _draw(data, ax, _FEW_NAMES, _ROOM)


def _draw(data: PlotData, ax: Any, names: int, room: float) -> None:
    """Groups as rows, the lowest median at the bottom, at most so many named; `room` upwards in points."""
    table, alone, n = data.table, data.facts["alone"], len(data.table)
    at = np.arange(n)
    many = 3 * n + len(alone) > RASTER_ABOVE
    ax.axvline(0, color=INK, linewidth=0.7, linestyle="--")
    if data.facts["boxes"]:
        ax.hlines(at, table["low"], table["high"], color=BLUE, linewidth=0.8 if n <= _NAMES else 0.6, rasterized=many)
        ax.hlines(at, table["lower"], table["upper"], color=BLUE, linewidth=float(np.clip(0.5 * room / n, 0.9, 6)),
                  rasterized=many)  # fmt: skip
    points(ax, alone["residual"], alone["place"], total=len(alone), markersize=2.6, alpha=0.7)
    size = float(np.clip(0.8 * room / n, 2.0, 9))
    ax.plot(table["median"], at, linestyle="none", marker="|", color=VERMILLION, markersize=size, markeredgewidth=1.4)
    stride = -(-n // names)
    ax.set_yticks(at[::stride], [shortened(name) for name in table["level"].iloc[::stride]], parse_math=False)
    ax.tick_params(axis="y", length=0, labelsize=8 if n // stride <= 30 else 7)
    ax.set_ylim(-0.8, n - 0.2)
    ax.set_xlabel(data.labels["x"], parse_math=False)
    ax.set_ylabel(data.labels["factor"], parse_math=False)
