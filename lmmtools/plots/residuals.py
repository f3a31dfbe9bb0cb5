"""Residuals against fitted values, and their quantiles against the normal distribution's."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, shown, spread, with_unit
from lmmtools.plots.drawing import (
    INK,
    PlotData,
    normal_quantiles,
    outside,
    plot,
    points,
    qq,
)

__all__ = ["qq_residuals", "residuals_fitted"]


def _residual(fit: Any) -> tuple[np.ndarray, str]:
    """Residuals to look at and their axis label: over their sd where that differs, decorrelated where they are not."""
    structure = fit.design.residual
    if structure is not None and structure.correlation is not None:
        return fit.residuals("normalized").to_numpy(), "Normalized residual"
    if structure is not None:
        return fit.residuals("pearson").to_numpy(), "Pearson residual"
    if fit.design.weights is not None:
        return fit.residuals("pearson").to_numpy(), "Pearson residual"
    return fit.resid.to_numpy(), with_unit("Residual", fit.design.units.get(fit.response))


def _residual_points(fit: Any) -> PlotData:
    residual, label = _residual(fit)
    unit = fit.design.units.get(fit.response)
    return PlotData(
        pd.DataFrame({"fitted": fit.fitted.to_numpy(), "residual": residual}),
        MappingProxyType({"x": with_unit(f"Fitted {fit.response}", unit), "y": label}),
        MappingProxyType({"formula": fit.formula, "random": bool(fit.design.terms), "kind": label}),
    )


def _describe_residual_points(data: PlotData) -> Description:
    fitted, residual = data.table["fitted"], data.table["residual"]
    effects = " The fitted values include the random effects." if data.facts["random"] else ""
    what = "Residuals"
    if not data.facts["kind"].startswith("Residual"):
        what = f"{data.facts['kind']}s"
    return Description(
        caption=f"{what} against fitted values, {counted(len(residual), 'observation')}.{effects}",
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
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    ax.axhline(0, color=INK, linewidth=0.7, linestyle="--")
    points(ax, data.table["fitted"], data.table["residual"])
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    return ax


def _residual_quantiles(fit: Any) -> PlotData:
    residual, label = _residual(fit)
    return PlotData(normal_quantiles(residual), MappingProxyType({"x": "Standard normal quantile", "y": label}))


def _describe_residual_quantiles(data: PlotData) -> Description:
    out, n = outside(data.table), len(data.table)
    return Description(
        caption="Normal quantile plot of the residuals. Dashed: a normal distribution with their mean and "
        "standard deviation. Grey: where each point would lie 95 % of the time if the residuals were independent "
        "draws from it, which residuals of a fit are only nearly.",
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
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    qq(ax, data.table)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    return ax
