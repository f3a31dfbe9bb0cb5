"""Conditional modes of the random effects: their quantiles, and each with its uncertainty."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, effect_unit, nearest, quoted, shortened, spread, visible, with_unit
from lmmtools.plots.drawing import (
    BLUE,
    INK,
    RASTER_ABOVE,
    PlotData,
    normal_quantiles,
    outside,
    panels,
    plot,
    points,
    qq,
)

__all__ = ["caterpillar", "qq_ranef"]

# Names that fit one under another on a figure of the tallest size.
_MOST_NAMES = 60
_Z95 = 1.959963984540054  # Φ⁻¹(0.975)


def _label(fit: Any, effect: str) -> str:
    return with_unit(effect, effect_unit(fit.design.units, fit.response, effect))


def _modes(fit: Any, factor: str | None) -> tuple[str, pd.DataFrame, np.ndarray]:
    """Grouping factor, conditional modes (levels × effects) and their sd's, effects by position."""
    factor = next(iter(fit.ranef)) if factor is None else factor
    if factor not in fit.ranef:
        raise LMMError(
            f"`{factor}` is no grouping factor of this model{nearest(str(factor), fit.ranef)}; factor can be "
            f"{quoted(fit.ranef)}."
        )
    return factor, fit.ranef[factor], np.sqrt(np.einsum("jkk->jk", fit.ranef_cov[factor]))


def _mode_quantiles(fit: Any, factor: str | None = None) -> PlotData:
    factor, modes, _ = _modes(fit, factor)
    parts = []
    for k, effect in enumerate(modes.columns):
        part = normal_quantiles(modes.iloc[:, k].to_numpy())
        parts.append(part.assign(panel=k, label=_label(fit, effect)))
    facts = MappingProxyType({"factor": visible(factor), "effects": modes.shape[1], "levels": len(modes)})
    return PlotData(pd.concat(parts, ignore_index=True), facts=facts)


def _describe_mode_quantiles(data: PlotData) -> Description:
    factor, levels, k = data.facts["factor"], data.facts["levels"], data.facts["effects"]
    said = [
        f"{part['label'].iloc[0]}: {spread(part['sample'])}, {outside(part)} of {levels} outside the band"
        if np.ptp(part["sample"]) > 0
        else f"{part['label'].iloc[0]}: all equal to zero"
        for _, part in data.table.groupby("panel")
    ]
    return Description(
        caption=f"Normal quantile plot of the conditional modes, {counted(levels, 'level')} of {factor}. Dashed: a "
        "normal distribution with their mean and standard deviation. Grey: where each point would lie 95 % of the "
        "time if the modes were independent draws from it.",
        label="fig-qq-ranef",
        alt=f"Normal quantile plot of the conditional modes of {factor}, {counted(k, 'panel')}. "
        + "; ".join(said)
        + ".",
        size=(min(6.6, 1.4 + 2.9 * min(k, 3)), 1.0 + 2.6 * -(-k // 3)),
    )


@plot(_mode_quantiles, _describe_mode_quantiles)
def qq_ranef(data: PlotData, ax: Any) -> Any:
    """Normal quantile plots of the conditional modes, a panel an effect.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        The grouping factor; the first when left out.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    k = data.facts["effects"]
    columns = min(k, 3)
    axes = panels(ax, -(-k // columns), columns)
    for panel, part in data.table.groupby("panel"):
        qq(axes[panel], part, total=len(data.table))
        axes[panel].set(xlabel="Standard normal quantile", ylabel=part["label"].iloc[0])
    for unused in axes[k:]:
        unused.set_axis_off()
    return ax if k == 1 else ax.figure


def _intervals(fit: Any, factor: str | None = None) -> PlotData:
    factor, modes, sd = _modes(fit, factor)
    # A stable order by the first effect, which the other panels share.
    order = np.argsort(modes.iloc[:, 0].to_numpy(), kind="stable")
    parts = []
    for k, effect in enumerate(modes.columns):
        mode, half = modes.iloc[order, k].to_numpy(), _Z95 * sd[order, k]
        part = {"level": modes.index[order].astype(str), "mode": mode, "low": mode - half, "high": mode + half}
        parts.append(pd.DataFrame(part).assign(panel=k, label=_label(fit, effect)))
    facts = {"factor": visible(factor), "effects": modes.shape[1], "levels": len(modes)}
    return PlotData(pd.concat(parts, ignore_index=True), facts=MappingProxyType(facts))


def _describe_intervals(data: PlotData) -> Description:
    factor, levels, k = data.facts["factor"], data.facts["levels"], data.facts["effects"]
    said = []
    for _, part in data.table.groupby("panel"):
        if np.ptp(part["mode"]) == 0:
            said.append(f"{part['label'].iloc[0]}: all equal to zero")
            continue
        clear = int(((part["low"] > 0) | (part["high"] < 0)).sum())
        said.append(f"{part['label'].iloc[0]}: {spread(part['mode'])}, {clear} of {levels} intervals clear of zero")
    first, last = (visible(data.table["level"].iloc[i]) for i in (0, levels - 1))
    ends = f", from {first} (lowest) to {last} (highest)" if np.ptp(data.table["mode"][:levels]) > 0 else ""
    order = f", ordered by {data.table['label'].iloc[0]}" if k > 1 else ""
    thinned = f" One level in {_stride(levels)} is named." if _stride(levels) > 1 else ""
    return Description(
        caption=f"Conditional modes of {counted(levels, 'level')} of {factor}{order}, each ± 1.96 conditional "
        f"standard deviations.{thinned}",
        label="fig-caterpillar",
        alt=f"Conditional modes with intervals for {counted(levels, 'level')} of {factor}{ends}. "
        + "; ".join(said)
        + ".",
        size=(6.4, min(8.2, 1.1 + 0.155 * max(levels, 4))),
    )


def _stride(levels: int) -> int:
    """Every how many levels one is named."""
    return -(-levels // _MOST_NAMES)


@plot(_intervals, _describe_intervals)
def caterpillar(data: PlotData, ax: Any) -> Any:
    """Conditional modes ± 1.96 conditional sd's, levels ordered by the first effect.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        The grouping factor; the first when left out.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    k, levels = data.facts["effects"], data.facts["levels"]
    axes = panels(ax, 1, k, sharey=True)
    height = np.arange(levels)
    many = 2 * levels * k > RASTER_ABOVE  # a mark and an interval each
    for panel, part in data.table.groupby("panel"):
        here = axes[panel]
        here.axvline(0, color=INK, linewidth=0.7, linestyle="--")
        here.hlines(height, part["low"], part["high"], color=BLUE, linewidth=1.1, rasterized=many)
        points(here, part["mode"], height, total=2 * levels * k, alpha=1.0)
        here.set(xlabel=part["label"].iloc[0], ylim=(-0.8, levels - 0.2))
    stride = _stride(levels)
    named = data.table["level"].iloc[:levels:stride]
    axes[0].set_yticks(height[::stride], [shortened(name, 24) for name in named])
    axes[0].tick_params(axis="y", labelsize=7, length=0)
    axes[0].set_ylabel(data.facts["factor"])
    return ax if k == 1 else ax.figure
