"""Semivariogram and autocorrelation of residuals, each with what the fitted model leaves to be expected of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pandas as pd

from lmmtools.dependence import Autocorrelation, Semivariogram
from lmmtools.dependence import autocorrelation as _autocorrelation
from lmmtools.dependence import semivariogram as _semivariogram
from lmmtools.dependence.common import KINDS
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, plot, points

__all__ = ["autocorrelation", "semivariogram"]

# Values outside an envelope that the alternative text names one by one.
_NAMED = 6
# Curves of strata: dashes that are told apart in grey.
_DASHES = ("--", "-.", ":", (0, (6, 2)), (0, (3, 1, 1, 1)))


def _of_variogram(fit: Any, cloud: bool = False, **kw: Any) -> PlotData:
    found = fit if isinstance(fit, Semivariogram) else _semivariogram(fit, **kw)
    facts = {
        "kind": found.kind, "curve": found.curve, "cloud": found.cloud if cloud else None, "pairs": found.pairs,
        "total": found.total, "simulations": found.simulations, "coverage": found.coverage, "group": found.group,
        "axis": with_unit(found.variable, found.unit),
    }  # fmt: skip
    labels = {"x": f"Distance in {with_unit(found.variable, found.unit)}", "y": "Semivariance"}
    return PlotData(pd.DataFrame(found), MappingProxyType(labels), MappingProxyType(facts))


def _describe_variogram(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    within = f" within {visible(facts['group'])}" if facts["group"] else ""
    of = f"a random sample of {counted(facts['pairs'], 'pair')}" if facts["pairs"] < facts["total"] else counted(
        facts["pairs"], "pair")  # fmt: skip
    curve = [] if facts["curve"].empty else [_curve_said(facts)]
    cloud = [] if facts["cloud"] is None else [f"Small: {counted(len(facts['cloud']), 'single pair')}."]
    return Description(
        caption=" ".join(
            [f"Semivariogram of {KINDS[facts['kind']]} residuals by distance in {facts['axis']}{within}, {of} in "
             f"{counted(len(table), 'bin')}.", *curve, *cloud, *_envelope_said(facts)]
        ),
        label=f"fig-semivariogram-{facts['kind']}",
        alt=f"Semivariance against distance, from {spread(table['semivariance'])} over distances of "
        f"{spread(table['distance'])}. {_outside_said(table, 'distance', 'semivariance')}",
        size=(6.0, 3.4),
    )  # fmt: skip


def _curve_said(facts: Any) -> str:
    if facts["kind"] == "normalized":
        return "Dashed: one, where residuals have the correlation that the model fits."
    levels = list(dict.fromkeys(facts["curve"]["level"]))
    return "Dashed: the fitted correlation's." if len(levels) == 1 else (
        f"Dashed: the fitted correlations', of {listed(map(visible, levels))}.")  # fmt: skip


def _envelope_said(facts: Any) -> list[str]:
    if not facts["simulations"]:
        return []
    return [
        f"Grey: {100 * facts['coverage']:.3g} % of {format_value(facts['simulations'], 'int')} responses drawn from "
        "the fitted model, point by point, with their mean; fixed effects, random effects and σ estimated again from "
        "each, the other covariance parameters kept."
    ]


def _outside_said(table: pd.DataFrame, x: str, y: str) -> str:
    """Which values lie outside their envelope."""
    if "low" not in table:
        return "There is no envelope."
    out = table[(table[y] < table["low"]) | (table[y] > table["high"])]
    if not len(out):
        return f"All {len(table)} lie within the envelope."
    some = [
        f"{shown(row[y])} at {shown(row[x])} ({'above' if row[y] > row['high'] else 'below'})"
        for _, row in out.head(_NAMED).iterrows()
    ]
    more = f" and {len(out) - _NAMED} more" if len(out) > _NAMED else ""
    verb = "lies" if len(out) == 1 else "lie"
    return f"{len(out)} of {len(table)} {verb} outside the envelope: {', '.join(some)}{more}."


def _band(ax: Any, table: pd.DataFrame, x: str) -> None:
    """The envelope with its middle; of a single value an upright bar."""
    if "low" not in table:
        return
    if len(table) == 1:
        ax.vlines(table[x], table["low"], table["high"], color=INK, alpha=0.15, linewidth=12)
        return
    ax.fill_between(table[x], table["low"], table["high"], color=INK, alpha=0.12, linewidth=0)
    ax.plot(table[x], table["expected"], color=INK, alpha=0.5, linewidth=0.8)


@plot(_of_variogram, _describe_variogram)
def semivariogram(data: PlotData, ax: Any) -> Any:
    """Semivariances of residuals against the distance of their times or places.

    Parameters
    ----------
    fit : LMMFit or Semivariogram
        A fit, with the arguments of `lmmtools.semivariogram`, or what that returns.
    ax : matplotlib Axes, optional
    cloud : bool
        Whether single pairs are drawn too.

    Returns
    -------
    Axes
    """
    table, facts = data.table, data.facts
    _band(ax, table, "distance")
    for (_, line), dash in zip(facts["curve"].groupby("level", sort=False), _DASHES * 9, strict=False):
        ax.plot(line["distance"], line["semivariance"], color=VERMILLION, linestyle=dash, linewidth=1.2)
    ax.plot(table["distance"], table["semivariance"], color=BLUE, linewidth=1.1)
    points(ax, table["distance"], table["semivariance"], markersize=4.5, alpha=1.0)
    top = _top(table, facts["curve"], ("semivariance", "high"))
    if facts["cloud"] is not None:
        some = facts["cloud"][facts["cloud"]["semivariance"] <= 2.5 * top]
        points(ax, some["distance"], some["semivariance"], markersize=1.8, alpha=0.35)
        top = 2.5 * top
    ax.set(xlabel=visible(data.labels["x"]), ylabel=data.labels["y"], ylim=(0.0, 1.06 * top))
    ax.set_xlim(0.0, 1.03 * float(table["distance"].max()) or 1.0)
    return ax


def _top(table: pd.DataFrame, curve: pd.DataFrame, columns: tuple[str, ...]) -> float:
    highest = [float(table[c].max()) for c in columns if c in table]
    return max([*highest, *curve["semivariance"]], default=1.0) or 1.0


def _of_acf(fit: Any, **kw: Any) -> PlotData:
    found = fit if isinstance(fit, Autocorrelation) else _autocorrelation(fit, **kw)
    facts = {"kind": found.kind, "simulations": found.simulations, "coverage": found.coverage, "level": found.level,
             "group": found.group, "axis": with_unit(found.variable, found.unit)}  # fmt: skip
    labels = {"x": f"Lag in {with_unit(found.variable, found.unit)}", "y": "Autocorrelation"}
    return PlotData(pd.DataFrame(found), MappingProxyType(labels), MappingProxyType(facts))


def _describe_acf(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    within = f" within {visible(facts['group'])}" if facts["group"] else ""
    fitted = ["Open squares: the fitted correlation."] if "fitted" in table else []
    return Description(
        caption=" ".join(
            [f"Autocorrelation of {KINDS[facts['kind']]} residuals by lag in {facts['axis']}{within}, from "
             f"{spread(table['pairs'])} pairs a lag.",
             f"Dashed: {100 * facts['level']:g} % limits if residuals were independent.",
             *fitted, *_envelope_said(facts)]
        ),
        label=f"fig-autocorrelation-{facts['kind']}",
        alt=f"Autocorrelation of {KINDS[facts['kind']]} residuals at {counted(len(table), 'lag')} of "
        f"{spread(table['lag'])}, from {spread(table['autocorrelation'])}. "
        + _outside_said(table, "lag", "autocorrelation"),
        size=(6.0, 3.0),
    )  # fmt: skip


@plot(_of_acf, _describe_acf)
def autocorrelation(data: PlotData, ax: Any) -> Any:
    """Autocorrelations of residuals against the lag of their times.

    Parameters
    ----------
    fit : LMMFit or Autocorrelation
        A fit, with the arguments of `lmmtools.autocorrelation`, or what that returns.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    table = data.table
    _band(ax, table, "lag")
    for sign in (-1.0, 1.0):
        ax.plot(table["lag"], sign * table["limit"], color=VERMILLION, linestyle="--", linewidth=1.0)
    ax.axhline(0.0, color=INK, linewidth=0.7)
    ax.vlines(table["lag"], 0.0, table["autocorrelation"], color=BLUE, linewidth=1.6)
    points(ax, table["lag"], table["autocorrelation"], markersize=4.5, alpha=1.0)
    if "fitted" in table:
        ax.plot(table["lag"], table["fitted"], color=VERMILLION, marker="s", markersize=5, linestyle="none",
                markerfacecolor="none", markeredgewidth=1.0)  # fmt: skip
    if len(table) <= 12:
        ax.set_xticks(table["lag"], [f"{lag:g}" for lag in table["lag"]])
    if len(table) == 1:
        ax.set_xlim(table["lag"].iloc[0] - 1.0, table["lag"].iloc[0] + 1.0)
    ax.set(xlabel=visible(data.labels["x"]), ylabel=data.labels["y"])
    return ax
