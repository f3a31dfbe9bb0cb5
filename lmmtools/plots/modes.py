"""Conditional modes of the random effects: their quantiles, and each with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, effect_unit, listed, nearest, quoted, shortened, spread, visible, with_unit
from lmmtools.groupwise.columns import factor_of
from lmmtools.plots.drawing import (
    BLUE,
    INK,
    RASTER_ABOVE,
    PlotData,
    across,
    normal_quantiles,
    outside,
    panels,
    plot,
    points,
    qq,
    ranked,
    tiles,
)

__all__ = ["caterpillar", "qq_ranef"]

# Names that fit one under another on a figure of the tallest size; those of a factor among several; panels of a factor.
_MOST_NAMES, _MOST_ROWS, _MOST_EFFECTS = 60, 30, 6
# Letters of a label for which the side of a panel has room.
_LONG_LABEL = 30
# Levels up to which intervals do not run into one another.
_APART = 200
_Z95 = 1.959963984540054  # Φ⁻¹(0.975)


def _label(fit: Any, effect: str) -> str:
    return with_unit(effect, effect_unit(fit.design.units, fit.response, effect))


@dataclass(frozen=True)
class _Part:
    """Modes of one effect of one factor: `factor` as it is, its number and the effect's, the axis label."""

    factor: str
    block: int
    effect: int
    label: str
    modes: pd.Series
    sd: np.ndarray


def _parts(fit: Any, factor: str | None, effect: str | None = None) -> list[_Part]:
    """Every effect shown of one factor, or of all; a factor's first few where it has many, or the one asked for."""
    if not fit.ranef:
        raise LMMError("plots: the model has no random effects, so there are no conditional modes to draw.")
    if factor is not None:
        factor = factor_of(fit, factor, "plots")
    parts = []
    modes, covariances = fit.ranef, fit.ranef_cov
    for block, name in enumerate([factor] if factor is not None else modes):
        sd = np.sqrt(np.einsum("jkk->jk", covariances[name]))
        for k, own in enumerate(_asked(modes[name].columns, name, effect)):
            at = modes[name].columns.get_loc(own)
            parts.append(_Part(name, block, k, _label(fit, own), modes[name].iloc[:, at], sd[:, at]))
    return parts


def _asked(effects: pd.Index, factor: str, effect: str | None) -> list[str]:
    if effect is None:
        return list(effects[:_MOST_EFFECTS])
    if effect not in effects:
        raise LMMError(
            f"`{factor}` has no effect `{effect}`{nearest(str(effect), list(effects))}; effect can be "
            f"{quoted(list(effects))}."
        )
    return [effect]


def _facts(fit: Any, parts: list[_Part]) -> MappingProxyType:
    """Names, levels and effects of the factors shown."""
    first = [part for part in parts if not part.effect]
    return MappingProxyType({
        "factors": tuple(visible(part.factor) for part in first),
        "levels": tuple(len(part.modes) for part in first),
        "effects": tuple(sum(other.block == part.block for other in parts) for part in first),
        "all": tuple(fit.ranef[part.factor].shape[1] for part in first),
    })  # fmt: skip


def _groups(data: PlotData) -> str:
    """How many levels of which factors: "24 levels of plate and 6 levels of sample"."""
    pairs = zip(data.facts["levels"], data.facts["factors"], strict=True)
    return listed(f"{counted(levels, 'level')} of {factor}" for levels, factor in pairs)


def _left_out(data: PlotData) -> str:
    """That of many effects some are shown."""
    facts = data.facts
    rows = zip(facts["factors"], facts["effects"], facts["all"], strict=True)
    said = [f"the first {shown} of {whole} effects by {factor}" for factor, shown, whole in rows if shown < whole]
    return f" Shown are {listed(said)}." if said else ""


def _mode_quantiles(fit: Any, factor: str | None = None, effect: str | None = None) -> PlotData:
    parts = _parts(fit, factor, effect)
    facts = _facts(fit, parts)
    if effect is not None:  # nothing is left out that was asked for
        facts = MappingProxyType({**facts, "all": facts["effects"]})
    several = len(facts["factors"]) > 1
    tables = []
    for panel, part in enumerate(parts):
        by = facts["factors"][part.block] if several else ""
        label = f"{part.label} by {by}" if several else part.label
        quantiles = normal_quantiles(part.modes.to_numpy())
        tables.append(quantiles.assign(panel=panel, label=label, effect=part.label, by=by))
    return PlotData(pd.concat(tables, ignore_index=True), facts=facts)


def _describe_mode_quantiles(data: PlotData) -> Description:
    k = sum(data.facts["effects"])
    said = [
        f"{part['label'].iloc[0]}: {spread(part['sample'])}, {outside(part)} of {len(part)} outside the band"
        if np.ptp(part["sample"]) > 0
        else f"{part['label'].iloc[0]}: all equal to zero"
        for _, part in data.table.groupby("panel")
    ]
    return Description(
        caption=f"Normal quantile plot of the conditional modes, {_groups(data)}. Dashed: a "
        "normal distribution with their mean and standard deviation. Grey: where each point would lie 95 % of the "
        f"time if the modes were independent draws from it.{_left_out(data)}",
        label="fig-qq-ranef",
        alt=f"Normal quantile plot of the conditional modes of {listed(data.facts['factors'])}, {counted(k, 'panel')}. "
        + "; ".join(said)
        + ".",
        size=(min(6.6, 1.4 + 2.9 * min(k, 3)), 1.0 + 2.6 * -(-k // across(k))),
    )


def _broken(label: str) -> str:
    """A long label in two lines, the unit in the second."""
    return label.replace(" (", "\n(", 1) if len(label) > _LONG_LABEL else label


@plot(_mode_quantiles, _describe_mode_quantiles)
def qq_ranef(data: PlotData, ax: Any) -> Any:
    """Normal quantile plots of the conditional modes, a panel an effect.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        The grouping factor; all when left out. Of a factor with many effects the first six are shown.
    effect : str, optional
        One effect only.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    LMMError
        If the model has no grouping factor, or that no effect, of that name.
    """
    k = sum(data.facts["effects"])
    axes = tiles(ax, k, across(k))
    for panel, part in data.table.groupby("panel"):
        qq(axes[panel], part, total=len(data.table))
        effect, by = part[["effect", "by"]].iloc[0]
        axes[panel].set(xlabel="Standard normal quantile" if k < 3 else "Normal quantile", ylabel=_broken(effect))
        if by:
            axes[panel].set_title(f"by {shortened(by, _LONG_LABEL)}", loc="left", parse_math=False)
    return ax if k == 1 else ax.figure


def _intervals(fit: Any, factor: str | None = None) -> PlotData:
    parts = _parts(fit, factor)
    # A stable order by the first effect, which the other panels of a factor share.
    orders = {part.block: ranked(part.modes) for part in parts if not part.effect}
    tables = []
    for part in parts:
        order = orders[part.block]
        mode, half = part.modes.to_numpy()[order], _Z95 * part.sd[order]
        table = {"level": part.modes.index[order].astype(str), "mode": mode, "low": mode - half, "high": mode + half}
        tables.append(pd.DataFrame(table).assign(block=part.block, panel=part.effect, label=part.label))
    return PlotData(pd.concat(tables, ignore_index=True), facts=_facts(fit, parts))


def _describe_intervals(data: PlotData) -> Description:
    facts = data.facts
    several = len(facts["factors"]) > 1
    said, notes = [], []
    for (block, _), part in data.table.groupby(["block", "panel"]):
        what = part["label"].iloc[0] + (f" by {facts['factors'][block]}" if several else "")
        if np.ptp(part["mode"]) == 0:
            said.append(f"{what}: all equal to zero")
            continue
        clear = int(((part["low"] > 0) | (part["high"] < 0)).sum())
        said.append(f"{what}: {spread(part['mode'])}, {clear} of {len(part)} intervals clear of zero")
    for block, factor in enumerate(facts["factors"]):
        first = data.table[(data.table["block"] == block) & (data.table["panel"] == 0)]
        ends = [visible(first["level"].iloc[i]) for i in (0, -1)]
        if np.ptp(first["mode"]) > 0:
            notes.append(f"{f'{factor} ' if several else ''}from {ends[0]} (lowest) to {ends[1]} (highest)")
    order = [data.table.loc[data.table["block"] == b, "label"].iloc[0] for b, k in enumerate(facts["effects"]) if k > 1]
    ordered = f", ordered by {listed(dict.fromkeys(order))}" if order else ""
    strides = zip(facts["levels"], facts["factors"], strict=True)
    thinned = [
        f" One level in {_stride(n, several)}{f' of {f}' if several else ''} is named."
        for n, f in strides
        if _stride(n, several) > 1
    ]
    return Description(
        caption=f"Conditional modes of {_groups(data)}{ordered}, each ± 1.96 conditional "
        f"standard deviations.{''.join(thinned)}{_left_out(data)}",
        label="fig-caterpillar",
        alt=f"Conditional modes with intervals for {_groups(data)}{', ' if notes else ''}{', '.join(notes)}. "
        + "; ".join(said)
        + ".",
        size=(6.4, min(8.2, sum(_heights(facts["levels"])))),
    )


def _heights(levels: tuple[int, ...]) -> list[float]:
    """Height of each factor's panels in inches."""
    most = [n if len(levels) == 1 else min(n, _MOST_ROWS) for n in levels]
    return [(1.1 if i == 0 else 0.8) + 0.155 * max(n, 4) for i, n in enumerate(most)]


def _stride(levels: int, several: bool) -> int:
    """Every how many levels one is named."""
    return -(-levels // (_MOST_ROWS if several else _MOST_NAMES))


@plot(_intervals, _describe_intervals)
def caterpillar(data: PlotData, ax: Any) -> Any:
    """Conditional modes ± 1.96 conditional sd's, levels ordered by the first effect.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        The grouping factor; all when left out, one under another. Of a factor with many effects the first six are
        shown.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    facts = data.facts
    grids = _stacked(ax, facts)
    marks = sum(2 * n * k for n, k in zip(facts["levels"], facts["effects"], strict=True))  # a mark and an interval
    for (block, panel), part in data.table.groupby(["block", "panel"]):
        here, levels = grids[block][panel], len(part)
        height = np.arange(levels)
        here.axvline(0, color=INK, linewidth=0.7, linestyle="--")
        line = {"linewidth": 1.1} if levels <= _APART else {"linewidth": 0.5, "alpha": 0.3}
        here.hlines(height, part["low"], part["high"], color=BLUE, rasterized=marks > RASTER_ABOVE, **line)
        points(here, part["mode"], height, total=marks, alpha=1.0)
        here.set(xlabel=part["label"].iloc[0], ylim=(-0.8, levels - 0.2))
        if panel == 0:
            stride = _stride(levels, len(grids) > 1)
            here.set_yticks(height[::stride], [shortened(name, 24) for name in part["level"].iloc[::stride]])
            here.tick_params(axis="y", labelsize=7, length=0)
            here.set_ylabel(facts["factors"][block])
    return ax if len(grids) == len(grids[0]) == 1 else ax.figure


def _stacked(ax: Any, facts: Any) -> list[list[Any]]:
    """Axes of each effect of each factor: a factor's side by side, factors one under another."""
    if len(facts["factors"]) == 1:
        return [panels(ax, 1, facts["effects"][0], sharey=True)]
    ax.set_axis_off()
    heights = _heights(facts["levels"])
    rows = ax.get_subplotspec().subgridspec(len(heights), 1, height_ratios=heights)
    made = []
    for row, k in zip(rows, facts["effects"], strict=True):
        made.append(list(np.ravel(row.subgridspec(1, k).subplots(sharey=True))))
    return made
