"""Regressions within each level of a grouping factor, coefficient by coefficient, with their intervals."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, spread, visible, with_unit
from lmmtools.groupwise import GroupFits, fit_groups, shrinkage
from lmmtools.plots.drawing import BLUE, INK, RASTER_ABOVE, VERMILLION, PlotData, legend_above, panels, plot, points

__all__ = ["group_intervals"]

_MOST_NAMES, _MOST_EFFECTS = 60, 6
# Levels up to which intervals do not run into one another.
_APART = 200
# Levels drawn of more, evenly spaced in their order: one in two, in three and so on.
_MOST_LEVELS = 1200
# Estimates farther from the middle half than this many of its widths are left outside the frame, and intervals end at
# it that reach farther beyond the other estimates than this share of their range; of very many levels, the middle
# share is what the frame is for.
_FAR, _BEYOND, _MIDDLE = 10.0, 1.5, 0.98


def _extract(groups: Any, factor: str | None = None, level: float = 0.95, pooled: bool = True) -> PlotData:
    if not isinstance(groups, GroupFits):
        groups = fit_groups(groups, factor=factor)
    elif factor not in (None, groups.factor):
        raise LMMError(f"plots.group_intervals: these regressions are within levels of `{groups.factor}`; for "
                       f"`{factor}` pass the fit.")  # fmt: skip
    made = pd.DataFrame(groups.intervals(level, pooled))
    levels, effects = len(groups.columns.levels), len(groups.effects)
    shown = min(effects, _MOST_EFFECTS)
    made["panel"] = np.tile(np.arange(effects), levels)
    if groups.fit is not None:
        made["model"] = shrinkage(groups.fit, groups.factor).compromise.ravel()
    first = groups.found.coef[:, 0, 0]
    empty = ~groups.found.determined[:, :shown].any(axis=1) & (levels > _MOST_NAMES)
    order = np.argsort(np.where(empty, np.inf, np.nan_to_num(first, nan=np.finfo(float).max)), kind="stable")
    place = np.empty(levels, dtype=int)
    place[order] = np.arange(levels)
    made["row"] = np.repeat(place, effects)
    made = made[(made["panel"] < shown) & ~np.repeat(empty, effects)].sort_values(["panel", "row"], ignore_index=True)
    facts = {
        "factor": visible(groups.factor), "levels": levels, "rows": levels - int(empty.sum()),
        "effects": tuple(map(visible, groups.effects[:shown])), "of": effects, "level": level, "pooled": pooled,
        "model": groups.fit is not None, "others": _others(groups), "response": groups.response,
        "limits": tuple(_limits(part) for _, part in made.groupby("panel")),
    }  # fmt: skip
    labels = [with_unit(n, u) for n, u in zip(groups.effects, groups.units, strict=True)]
    return PlotData(made, MappingProxyType(dict(enumerate(labels))), MappingProxyType(facts))


def _others(groups: GroupFits) -> tuple[str, ...]:
    """Other factors of the fit, whose effects are residuals here."""
    factors = () if groups.fit is None else groups.fit.design.factors
    return tuple(visible(name) for name in factors if name != groups.factor)


def _limits(part: pd.DataFrame) -> tuple[float, float] | None:
    """A frame for all that is not far away; None where there is no estimate."""
    known = part.dropna(subset=["estimate"])
    if known.empty:
        return None
    first, third = known["estimate"].quantile([0.25, 0.75])
    far = _FAR * (third - first)
    near = known[known["estimate"].between(first - far, third + far)] if far > 0 else known
    if len(known) > _APART:
        near = known[known["estimate"].between(*known["estimate"].quantile([0.5 - _MIDDLE / 2, 0.5 + _MIDDLE / 2]))]
    ends = near["estimate"].min(), near["estimate"].max()
    low, high = near["low"].fillna(near["estimate"]).min(), near["high"].fillna(near["estimate"]).max()
    beyond = (_BEYOND if len(known) <= _APART else 0.2) * (ends[1] - ends[0])
    if beyond > 0:
        low, high = max(low, ends[0] - beyond), min(high, ends[1] + beyond)
    margin = 0.04 * (high - low) or max(abs(low), 1.0)
    return float(low - margin), float(high + margin)


def _stride(facts: Any) -> int:
    """Of so many levels in order one is named, which is one that is drawn."""
    every = _every(facts)
    return every * -(-facts["rows"] // (every * _MOST_NAMES))


def _every(facts: Any) -> int:
    """Of so many levels in order one is drawn."""
    return -(-facts["rows"] // _MOST_LEVELS)


def _outside(data: PlotData) -> tuple[int, int]:
    """Estimates outside the frame, and further intervals that it cuts."""
    out = cut = 0
    for (_, part), ends in zip(data.table.groupby("panel"), data.facts["limits"], strict=True):
        if ends is not None:
            beyond = (part["estimate"] < ends[0]) | (part["estimate"] > ends[1])
            out += int(beyond.sum())
            cut += int((~beyond & ((part["low"] < ends[0]) | (part["high"] > ends[1]))).sum())
    return out, cut


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    n, percent = facts["levels"], f"{100 * facts['level']:g} %"
    how = "one residual variance for all" if facts["pooled"] else "each with its own residual variance"
    none = "" if table["low"].notna().any() else " There are no residual degrees of freedom, so no intervals."
    parts = [
        f"Coefficients of {facts['response']} by least squares within each of {counted(n, 'level')} of "
        f"{facts['factor']}, with {percent} intervals ({how}), ordered by {facts['effects'][0]}.{none}"
    ]
    if facts["model"]:
        mark = "Upright ticks" if facts["rows"] <= _APART else "Crosses"
        parts.append(f"{mark}: the same coefficients in the fitted model.")
    if facts["others"]:
        parts.append(f"Effects of {listed(facts['others'])} are part of the residuals here.")
    lacking = [int(part["estimate"].isna().sum()) for _, part in table.groupby("panel")]
    if any(lacking):
        each = [f"{name} of {counted(k, 'level')}" for name, k in zip(facts["effects"], lacking, strict=True) if k]
        parts.append(f"Cannot be estimated: {listed(each)}.")
    out, cut = _outside(data)
    if out:
        parts.append(f"{counted(out, 'estimate')} {'lies' if out == 1 else 'lie'} outside the frame.")
    if cut:
        parts.append(f"{counted(cut, 'interval')} {'is' if cut == 1 else 'are'} cut by the frame.")
    if empty := n - facts["rows"]:
        parts.append(f"{counted(empty, 'level')} without any estimate {'is' if empty == 1 else 'are'} left out.")
    if (every := _every(facts)) > 1:
        parts.append(f"One level in {every} is drawn, evenly spaced in their order.")
    if (stride := _stride(facts)) > 1:
        parts.append(f"One level in {stride} is named.")
    if len(facts["effects"]) < facts["of"]:
        parts.append(f"Shown are the first {len(facts['effects'])} of {facts['of']} coefficients.")
    said = [
        f"{name}: {spread(part['estimate'].dropna())}" if part["estimate"].notna().any() else f"{name}: none"
        for name, (_, part) in zip(facts["effects"], table.groupby("panel"), strict=True)
    ]
    return Description(
        caption=" ".join(parts),
        label="fig-group-intervals",
        alt=f"Least-squares coefficients with {percent} intervals for {counted(n, 'level')} of {facts['factor']}. "
        + "; ".join(said) + ".",
        size=(6.4, min(8.2, 1.1 + 0.155 * max(n, 4))),
    )  # fmt: skip


@plot(_extract, _describe)
def group_intervals(data: PlotData, ax: Any) -> Any:
    """Intervals for the coefficients of each level's own regression, a panel a coefficient.

    Parameters
    ----------
    groups : GroupFits or LMMFit
        What `lmmtools.fit_groups` returns; of a fit, the regressions on its random effects' columns, with the model's
        coefficients beside them.
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        A grouping factor of a fit.
    level : float
    pooled : bool
        Whether standard errors have one residual variance.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If a fit has no random effects.
    LMMError
        If it has no grouping factor of that name, or level lies outside (0, 1).
    """
    facts, n = data.facts, data.facts["rows"]
    axes = panels(ax, 1, len(facts["effects"]), sharey=True)
    marks, every = 2 * n * len(axes), _every(facts)
    line = {"linewidth": 1.1} if n <= _APART else {"linewidth": 0.5, "alpha": 0.3}
    for (panel, part), here in zip(data.table.groupby("panel"), axes, strict=True):
        ends, part = facts["limits"][panel], part[part["row"] % every == 0]
        here.hlines(part["row"], part["low"], part["high"], color=BLUE, rasterized=marks > RASTER_ABOVE, **line)
        points(here, part["estimate"], part["row"], total=marks, alpha=1.0, label="least squares")
        if facts["model"]:
            mark = {"marker": "|", "markersize": 6, "markeredgewidth": 1.4} if n <= _APART else {"marker": "x"}
            mark = {"markersize": 2.6, "markeredgewidth": 0.7, "alpha": 1.0} | mark
            points(here, part["model"], part["row"], total=marks, color=VERMILLION, label="model", **mark)
        if ends is not None:
            here.set_xlim(*ends)
            if ends[0] < 0 < ends[1]:
                here.axvline(0, color=INK, linewidth=0.7, linestyle="--", zorder=0)
        here.set(xlabel=data.labels[panel], ylim=(-0.8, n - 0.2))
        here.locator_params(axis="x", nbins=5)
    stride = _stride(facts)
    names = data.table.loc[data.table["panel"] == 0, "level"].iloc[::stride]
    axes[0].set_yticks(np.arange(n)[::stride], [shortened(name, 24) for name in names])
    axes[0].tick_params(axis="y", labelsize=7, length=0)
    axes[0].set_ylabel(facts["factor"])
    if facts["model"]:
        legend_above(axes[0], 2, faint=True, wider=True)
    return ax if len(axes) == 1 else ax.figure
