"""Quantile residuals: against a uniform distribution, and along the predictions."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, spread
from lmmtools.plots.drawing import INK, VERMILLION, PlotData, panels, plot, points, some_of
from lmmtools.uniformity import QuantileResiduals
from lmmtools.uniformity import quantile_residuals as _quantile_residuals
from lmmtools.uniformity.ranks import along_ranks

__all__ = ["quantile_residuals"]

# Residuals drawn one by one along the predictions, and crosses that do not run into a line.
_MOST, _CROSSES = 3000, 60
_DASHES = {0.25: (0, (4, 1.5)), 0.5: "-", 0.75: (0, (4, 1.5))}


def _of_quantiles(fit: Any, **kw: Any) -> PlotData:
    found = fit if isinstance(fit, QuantileResiduals) else _quantile_residuals(fit, **kw)
    u, predicted = found.residuals.to_numpy(), found.predicted.to_numpy()
    there = np.isfinite(u)
    rank = along_ranks(predicted[there])
    flat = bool(np.ptp(rank) == 0.0)
    table = pd.DataFrame({"along": (np.arange(len(u)) + 0.5)[there] / len(u) if flat else rank, "residual": u[there]})
    table["outlier"] = found.residuals.index[there].isin(found.outliers)
    facts = {
        "rows": len(table), "outliers": int(table["outlier"].sum()), "n": found.n, "coverage": found.coverage,
        "response": found.response, "conditional": found.conditional, "flat": flat, "quantiles": found.quantiles,
        "quartiles": found.quartiles,
    }  # fmt: skip
    if facts["outliers"] > _CROSSES:
        table["outlier"] = False
    table = table.iloc[np.union1d(some_of(len(table), _MOST), np.flatnonzero(table["outlier"]))]
    what = "prediction" if found.conditional else "population prediction"
    labels = {"x": "Row, in the data's order" if flat else f"Rank of the {what}", "y": "Quantile residual"}
    return PlotData(table.reset_index(drop=True), MappingProxyType(labels), MappingProxyType(facts))


def _describe_quantiles(data: PlotData) -> Description:
    facts, n = data.facts, data.facts["rows"]
    q, quarters = facts["quantiles"], facts["quartiles"]
    given = " given the random effects" if facts["conditional"] else ""
    drawn = int((~data.table["outlier"]).sum())
    shown = f" Points: {format_value(drawn, 'int')} of the rows, chosen at random." if len(data.table) < n else ""
    some = f" at {len(q)} quantiles" if len(q) < n else ""
    beyond = f"{counted(facts['outliers'], 'row')} beyond all draws"
    out = f" Crosses: {beyond}." if data.table["outlier"].any() else f" {beyond[0].upper()}{beyond[1:]}."
    along = "in the data's order, predictions being all equal" if facts["flat"] else "along the predictions"
    cover = f"{100 * facts['coverage']:.3g} %"
    return Description(
        caption=f"Quantile residuals of {facts['response']}{given}: {counted(n, 'row')} among "
        f"{format_value(facts['n'], 'int')} responses drawn from the fitted model. Left: against a uniform distribution"
        f"{some}; grey, {cover} of draws, point by point. Right: {along}; lines, the quartiles in "
        f"{counted(len(quarters) // 3, 'bin')}, with {cover} of draws in grey and their medians dotted."
        f"{shown}{out}",
        label="fig-quantile-residuals",
        alt=f"Left: quantiles of {counted(n, 'quantile residual')} against those of a uniform distribution; "
        f"{_outside(q)} of {len(q)} lie outside the band of draws, the largest distance being "
        f"{float((q['observed'] - q['expected']).abs().max()):.3f}. Right: the residuals {along}; medians of bins run "
        f"from {spread(quarters.loc[quarters['quartile'] == 0.5, 'observed'])}, and {_outside(quarters)} of "
        f"{counted(len(quarters), 'quartile')} lie outside what draws have. {counted(facts['outliers'], 'row')} "
        f"{'lies' if facts['outliers'] == 1 else 'lie'} beyond all draws.",
        size=(7.2, 3.4),
    )  # fmt: skip


def _outside(table: pd.DataFrame) -> int:
    return int(((table["observed"] < table["low"] - 1e-12) | (table["observed"] > table["high"] + 1e-12)).sum())


@plot(_of_quantiles, _describe_quantiles)
def quantile_residuals(data: PlotData, ax: Any) -> Any:
    """Quantile residuals against a uniform distribution (left) and along the predictions (right), with what draws have.

    Parameters
    ----------
    fit : LMMFit or QuantileResiduals
        A fit, with the arguments of `lmmtools.quantile_residuals`, or what that returns.
    ax : matplotlib Axes, optional
        Blanked; two panels take its place.

    Returns
    -------
    Axes
    """
    left, right = panels(ax, 1, 2)
    _against_uniform(left, data.facts["quantiles"], data.labels["y"])
    _along_predictions(right, data)
    return ax


def _against_uniform(ax: Any, table: pd.DataFrame, label: str) -> None:
    ax.fill_between(table["expected"], table["low"], table["high"], color=INK, alpha=0.12, linewidth=0)
    ax.plot([0, 1], [0, 1], color=VERMILLION, linestyle="--", linewidth=1)
    points(ax, table["expected"], table["observed"], markersize=3.2)
    ax.set(xlabel="Uniform quantile", ylabel=label)
    _unit(ax)


def _along_predictions(ax: Any, data: PlotData) -> None:
    table = data.table
    inside, out = table[~table["outlier"]], table[table["outlier"]]
    faint = {"markersize": 2.0, "alpha": 0.3} if len(table) > 1000 else {"alpha": 0.75}
    points(ax, inside["along"], inside["residual"], data.facts["rows"], **faint)
    if len(out):  # marks that are not clipped and not there would confuse the layout
        points(ax, out["along"], out["residual"], data.facts["rows"], marker="x", color=INK, markersize=4.5,
               markeredgewidth=1.0, alpha=1.0, clip_on=False)  # fmt: skip
    for quartile, line in data.facts["quartiles"].groupby("quartile"):
        x = line["along"].to_numpy()
        wide = np.array([0.02, 0.98]) if len(x) == 1 else x
        ax.fill_between(wide, *(np.broadcast_to(line[end], wide.shape) for end in ("low", "high")), color=INK,
                        alpha=0.09, linewidth=0)  # fmt: skip
        ax.plot(wide, np.broadcast_to(line["expected"], wide.shape), color=INK, linestyle=":", linewidth=0.9)
        ax.plot(wide, np.broadcast_to(line["observed"], wide.shape), color=VERMILLION, linewidth=1.4,
                linestyle=_DASHES[quartile])  # fmt: skip
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    _unit(ax)


def _unit(ax: Any) -> None:
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), xticks=(0, 0.25, 0.5, 0.75, 1), yticks=(0, 0.25, 0.5, 0.75, 1))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
