"""Residuals against fitted values, and their quantiles against the normal distribution's."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, shown, spread
from lmmtools.plots.drawing import (
    INK,
    VERMILLION,
    PlotData,
    normal_quantiles,
    outside,
    plot,
    points,
    qq,
)
from lmmtools.plots.residual_kinds import binned_means, left_out, plural, residual_of, stands_at

__all__ = ["qq_residuals", "residuals_fitted"]


def _residual_points(fit: Any, kind: str | None = None) -> PlotData:
    residual, label = residual_of(fit, kind)
    fitted, below = stands_at(fit, kind)
    table = pd.DataFrame({"fitted": fitted, "residual": residual})
    here = np.isfinite(residual)
    facts = {"random": bool(fit.design.terms) and below.startswith("Fitted"), "kind": label,
             "missing": int((~here).sum()), "mean": binned_means(fitted[here], residual[here])}  # fmt: skip
    return PlotData(
        table[here].reset_index(drop=True),
        MappingProxyType({"x": below, "y": label}),
        MappingProxyType(facts),
    )


def _describe_residual_points(data: PlotData) -> Description:
    fitted, residual = data.table["fitted"], data.table["residual"]
    effects = " The fitted values include the random effects." if data.facts["random"] else ""
    line = " Solid: means of about equal numbers of neighbours." if len(data.facts["mean"]) else ""
    return Description(
        caption=f"{plural(data.facts['kind'])} against fitted values, {counted(len(residual), 'observation')}."
        f"{effects}{line}{left_out(data.facts['missing'])}",
        label="fig-residuals-fitted",
        alt=f"Scatter plot of {counted(len(residual), 'residual')} against fitted values. Fitted values run "
        f"from {spread(fitted)}, residuals from {spread(residual)} with standard deviation "
        f"{shown(np.std(residual))}. A horizontal line marks zero.",
    )


@plot(_residual_points, _describe_residual_points)
def residuals_fitted(data: PlotData, ax: Any) -> Any:
    """Residuals against fitted values, random effects included where there are any.

    Parameters
    ----------
    fit : LMMFit
        With weights or a variance function, Pearson residuals are shown, of correlated residuals normalized ones.
    kind : str, optional
        Another kind; see `lmmtools.residuals.residuals`.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    ax.axhline(0, color=INK, linewidth=0.7, linestyle="--")
    points(ax, data.table["fitted"], data.table["residual"])
    ax.plot(data.facts["mean"]["x"], data.facts["mean"]["y"], color=VERMILLION, linewidth=1.5)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    return ax


def _residual_quantiles(fit: Any, kind: str | None = None) -> PlotData:
    residual, label = residual_of(fit, kind)
    here = np.isfinite(residual)
    facts = MappingProxyType({"missing": int((~here).sum())})
    labels = MappingProxyType({"x": "Standard normal quantile", "y": label})
    return PlotData(normal_quantiles(residual[here]), labels, facts)


def _describe_residual_quantiles(data: PlotData) -> Description:
    out, n = outside(data.table), len(data.table)
    return Description(
        caption="Normal quantile plot of the residuals. Dashed: a normal distribution with their mean and "
        "standard deviation. Grey: where each point would lie 95 % of the time if the residuals were independent "
        f"draws from it, which residuals of a fit are only nearly.{left_out(data.facts.get('missing', 0))}",
        label="fig-qq-residuals",
        alt=f"Normal quantile plot of {counted(n, 'residual')}, from {spread(data.table['sample'])}. "
        f"{counted(out, 'point')} of {format_value(n, 'int')} ({100 * out / n:.1f} %) "
        f"{'lies' if out == 1 else 'lie'} outside the pointwise 95 % band.",
        size=(4.8, 3.8),
    )


@plot(_residual_quantiles, _describe_residual_quantiles)
def qq_residuals(data: PlotData, ax: Any) -> Any:
    """Normal quantile plot of the residuals with a pointwise 95 % band.

    Parameters
    ----------
    fit : LMMFit
        With weights or a variance function, Pearson residuals are shown, of correlated residuals normalized ones.
    kind : str, optional
        Another kind; see `lmmtools.residuals.residuals`.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    qq(ax, data.table)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    return ax
