"""Four views of the residuals of one fit on one figure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, shown, spread
from lmmtools.plots.drawing import (
    INK,
    VERMILLION,
    PlotData,
    flat_limits,
    normal_quantiles,
    outside,
    panels,
    plot,
    points,
    qq,
)
from lmmtools.plots.residual_groups import FEW, draw_small, residuals_by_group
from lmmtools.plots.residual_kinds import binned_means, left_out, plural, residual_of, stands_at

__all__ = ["residual_panels"]


def _extract(fit: Any, factor: str | None = None, kind: str | None = None) -> PlotData:
    residual, label = residual_of(fit, kind)
    fitted, below = stands_at(fit, kind)
    here = np.isfinite(residual)
    residual, fitted = residual[here], fitted[here]
    root = np.sqrt(np.abs(residual))
    table = pd.DataFrame({"fitted": fitted, "residual": residual, "root": root})
    facts = {"mean": binned_means(fitted, residual), "spread": binned_means(fitted, root),
             "quantiles": normal_quantiles(residual), "kind": label,
             "groups": residuals_by_group.extract(fit, factor=factor, kind=kind, most=FEW)}  # fmt: skip
    plain = label.partition(" (")[0]
    labels = {"fitted": below, "residual": label, "root": f"√|{plain[0].lower()}{plain[1:]}|"}
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    groups = facts["groups"]
    total, drawn, factor = groups.facts["groups"], len(groups.table), groups.labels["factor"]
    by = f"by {factor}, in order of the median" if total > 1 else "all together"
    some = f"{drawn} of {counted(total, 'group')}, evenly spaced" if drawn < total else counted(total, "group")
    line = " Solid: means of about equal numbers of neighbours." if len(facts["mean"]) else ""
    out = outside(facts["quantiles"])
    ends = ""
    if len(facts["spread"]) > 1:
        first, last = facts["spread"]["y"].iloc[[0, -1]]
        ends = f" Means of their root size from {shown(first)} at the left to {shown(last)} at the right."
    return Description(
        caption=f"{plural(facts['kind'])}: against fitted values; the root of their size against fitted values; their "
        f"normal quantiles, with a pointwise 95 % band; {by} ({some}).{line}{left_out(groups.facts['missing'])}",
        label="fig-residual-panels",
        alt=f"Four panels of {counted(len(table), 'residual')} from {spread(table['residual'])}, standard deviation "
        f"{shown(np.std(table['residual']))}.{ends} {out:,} of {len(table):,} outside the band of the quantile plot. "
        f"Medians of groups from {spread(groups.table['median'])}.",
        size=(6.6, 5.6),
    )


@plot(_extract, _describe)
def residual_panels(data: PlotData, ax: Any) -> Any:
    """Residuals against fitted values, their size against fitted values, their normal quantiles, and by group.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        Of the last panel: as of `residuals_by_group`.
    kind : str, optional
        Of residual, see `lmmtools.residuals.residuals`; when left out, response residuals, with weights or a variance
        function Pearson residuals, of correlated residuals normalized ones.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Figure

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name, or there is no such kind.

    References
    ----------
    Cleveland (1993), Visualizing Data, ch. 2, Hobart Press (spread against location).
    """
    table, facts, labels = data.table, data.facts, data.labels
    axes = panels(ax, 2, 2)
    for here, column, line in ((axes[0], "residual", facts["mean"]), (axes[1], "root", facts["spread"])):
        points(here, table["fitted"], table[column], total=4 * len(table))
        if column == "residual":
            here.axhline(0, color=INK, linewidth=0.7, linestyle="--")
        here.plot(line["x"], line["y"], color=VERMILLION, linewidth=1.5)
        here.set_xlabel(labels["fitted"], parse_math=False)
        here.set_ylabel(labels[column], parse_math=False)
        flat_limits(here, table[column])
    qq(axes[2], facts["quantiles"], total=4 * len(table))
    axes[2].set_xlabel("Standard normal quantile")
    axes[2].set_ylabel(labels["residual"], parse_math=False)
    draw_small(facts["groups"], axes[3])
    return ax.figure
