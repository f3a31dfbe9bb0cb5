"""Pictures of groups against a covariate: a line each, their slopes, and which levels meet which."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, effect_unit, quoted, shortened, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, RASTER_ABOVE, VERMILLION, PlotData, evenly, points, ranked
from lmmtools.plots.explore import nothing, or_sentence
from lmmtools.plots.trellis import Trellis, columns_for

__all__ = ["group_lines", "slopes"]

# Up to this many groups have a panel each; beyond, all lines share one, and this many names are shown.
_MOST_PANELS, _MOST_NAMES = 30, 60
# Lines drawn of very many groups, evenly spaced in rank of their slope.
_MOST_LINES = 200


def _lines(exploration: Any, factor: str | None, covariate: str | None) -> Any:
    """The lines asked for; the first when nothing is; None when there are none at all."""
    known = {(one.factor, one.covariate): one for one in exploration.lines}
    for key, one in known.items():
        if factor in (None, key[0]) and covariate in (None, key[1]):
            return one
    if not known:
        return None
    pairs = [f"{of} by {by}" for by, of in known]
    raise LMMError(
        f"there are no lines on `{covariate}` by `{factor}`: a line needs numbers that vary within groups. There are "
        f"lines on {quoted(pairs)}."
    )


# --- lines --------------------------------------------------------------------------------------------


def _group_lines(
    exploration: Any, factor: str | None = None, covariate: str | None = None, dashed: bool = False
) -> PlotData:
    lines = _lines(exploration, factor, covariate)
    variables = exploration.variables
    if lines is None:
        return _profiles(exploration, factor, covariate)
    group = next(one for one in variables.groups if one.name == lines.factor)
    x = next(one for one in variables.covariates if one.name == lines.covariate)
    here = group.present & x.present & variables.response.present
    rows = pd.DataFrame(
        {"level": group.levels[group.values[here]].astype(str), "x": x.values[here],
         "y": variables.response.values[here]}
    )  # fmt: skip
    fitted = lines.table.set_index("level")
    rows["line"] = rows["level"].map(fitted["intercept"]) + rows["level"].map(fitted["slope"]) * rows["x"]
    facts = {"groups": len(group.levels), "slopes": fitted["slope"], "kind": "lines", "pooled": lines.pooled,
             "dashed": bool(dashed)}  # fmt: skip
    return _placed(rows, list(group.levels.astype(str)), x, variables.response, group.name, facts)


def _profiles(exploration: Any, factor: str | None, covariate: str | None) -> PlotData:
    """Means at the levels of a factor that varies within groups, where no number does."""
    variables = exploration.variables
    for group in variables.groups:
        for x in variables.covariates_of(group.name):
            asked = factor in (None, group.name) and covariate in (None, x.name)
            if asked and not x.is_number and exploration.splits[group.name, x.name].varying >= 2:
                here = group.present & x.present & variables.response.present
                rows = pd.DataFrame(
                    {"level": group.levels[group.values[here]].astype(str), "x": x.values[here].astype(float),
                     "y": variables.response.values[here]}
                )  # fmt: skip
                rows["line"] = rows.groupby(["level", "x"])["y"].transform("mean")
                facts = {"groups": len(group.levels), "kind": "means"}
                facts["ticks"] = tuple(map(str, x.levels))
                return _placed(rows, list(group.levels.astype(str)), x, variables.response, group.name, facts)
    return nothing("No covariate varies within groups, so there are no lines to draw.")


def _placed(rows: pd.DataFrame, levels: list[str], x: Any, y: Any, factor: str, facts: dict[str, Any]) -> PlotData:
    """Rows with the panel of their group: all groups in order, each a panel or, if they are many, all in one."""
    trellis = len(levels) <= _MOST_PANELS and facts["kind"] == "lines"
    if not trellis and len(levels) > _MOST_LINES:
        if facts["kind"] == "lines":
            levels = list(facts["slopes"].sort_values(kind="stable").index)
        levels = [levels[i] for i in evenly(len(levels), _MOST_LINES)]
        rows = rows[rows["level"].isin(levels)]
    order = {level: place for place, level in enumerate(levels)}
    rows = rows.assign(panel=rows["level"].map(order)).sort_values(["panel", "x"], kind="stable", ignore_index=True)
    labels = {"x": with_unit(x.name, x.unit), "y": with_unit(y.name, y.unit), "factor": visible(factor)}
    facts |= {"trellis": trellis, "shown": len(levels), "common": _common(rows, facts.get("pooled"))}
    return PlotData(rows, MappingProxyType(labels), MappingProxyType(facts))


def _common(rows: pd.DataFrame, pooled: float | None) -> tuple[np.ndarray, np.ndarray]:
    """The line of the pooled slope through the means of the rows drawn; without a slope, their means at each x."""
    if pooled is None:
        average = rows.groupby("x")["y"].mean()
        return average.index.to_numpy(), average.to_numpy()
    ends = np.array([rows["x"].min(), rows["x"].max()])
    return ends, rows["y"].mean() + pooled * (ends - rows["x"].mean())


def _describe_lines(data: PlotData) -> Description:
    facts, labels = data.facts, data.labels
    groups = counted(facts["groups"], "group")
    some = f" {facts['shown']} of {groups} are drawn, evenly spaced." if facts["shown"] < facts["groups"] else ""
    what = "the means joined by lines" if facts["kind"] == "means" else "a least-squares line"
    where = "a panel each" if facts["trellis"] else "all in one panel"
    means = facts["kind"] == "means"
    common = " Thick and dashed: the means of all rows drawn." if means else " Thick and dashed: the pooled slope."
    common = "" if facts["trellis"] else common
    found = facts.get("slopes")
    slopes = "" if found is None else f" Slopes from {spread(found)}, median {shown(found.median())}."
    height = 0.9 + 1.15 * -(-facts["shown"] // columns_for(facts["shown"])) if facts["trellis"] else 3.6
    return Description(
        caption=f"{labels['y']} against {labels['x']} by {labels['factor']}, with {what} for each of {groups}."
        f"{common}{some} Nothing is shared between groups: no model is fitted.",
        label="fig-group-lines",
        alt=f"{counted(len(data.table), 'observation')} of {labels['y']}, {spread(data.table['y'])}, against "
        f"{labels['x']}; {groups} of {labels['factor']}, {where}, with {what}.{slopes}",
        size=(6.6, height) if facts["trellis"] else (5.2, height),
    )


@or_sentence(_group_lines, _describe_lines, "fig-group-lines")
def group_lines(data: PlotData, ax: Any) -> Any:
    """Observations with one least-squares line a group, or means where the covariate is a factor.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
    factor, covariate : str, optional
        Which groups and covariate; the first that have lines when left out.
    dashed : bool
        Draw the lines of panels broken.

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If there are lines, but not of these.
    """
    return _trellis(data, ax) if data.facts["trellis"] else _together(data, ax)


def _trellis(data: PlotData, ax: Any) -> Any:
    rows = data.table
    titles = tuple(rows.drop_duplicates("panel")["level"])
    place = {level: i for i, level in enumerate(titles)}
    rows = rows.assign(panel=rows["level"].map(place))
    grid = Trellis(titles, _limits(rows["x"]), _limits(rows[["y", "line"]]))
    grid.frame(ax, data.labels["x"], data.labels["y"])
    points(ax, *grid.place(rows["panel"], rows["x"], rows["y"]))
    dash = "--" if data.facts["dashed"] else "-"
    grid.lines(ax, rows[rows["line"].notna()], "line", color=VERMILLION, linestyle=dash)
    return ax


def _limits(values: Any) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.06 * ((high - low) or 1.0)
    return low - margin, high + margin


def _together(data: PlotData, ax: Any) -> Any:
    """Every group's line over faint observations, and what they have in common."""
    from matplotlib.collections import LineCollection

    rows, n = data.table, data.facts["shown"]
    means = data.facts["kind"] == "means"
    if not means:
        points(ax, rows["x"], rows["y"], alpha=0.25, markersize=2.2)
    once = rows[rows["line"].notna()].drop_duplicates(["panel", "x"])
    if not means:  # a straight line has two ends
        panel = once["panel"]
        once = once[~(panel.duplicated() & panel.duplicated(keep="last"))]
    corners = once[["x", "line"]].to_numpy()
    parts = np.split(corners, np.flatnonzero(np.diff(once["panel"].to_numpy())) + 1)
    faint = max(0.2, min(0.9, 60 / n))  # each a path of its own, so that they darken where many lie
    ax.add_collection(LineCollection(parts, colors=INK, linewidths=0.8, alpha=faint))
    if means and n <= _MOST_PANELS:
        points(ax, corners[:, 0], corners[:, 1], alpha=1.0)
    common = data.facts["common"]
    ax.plot(*common, color=VERMILLION, linewidth=2.2, linestyle="--")
    if means:
        ticks = data.facts["ticks"]
        ax.set_xticks(np.arange(len(ticks)), [shortened(tick) for tick in ticks])
    ax.autoscale_view()
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    return ax


# --- slopes -------------------------------------------------------------------------------------------


def _slopes(exploration: Any, factor: str | None = None, covariate: str | None = None) -> PlotData:
    lines = _lines(exploration, factor, covariate)
    if lines is None:
        return nothing("No covariate of the formula is a number that varies within groups, so there are no slopes.")
    table = lines.table.iloc[ranked(lines.table["slope"])].reset_index(drop=True)
    units = {exploration.variables.response.name: exploration.variables.response.unit}
    units |= {one.name: one.unit for one in exploration.variables.covariates}
    unit = effect_unit({k: v for k, v in units.items() if v}, exploration.variables.response.name, lines.covariate)
    labels = {"x": with_unit(f"Slope of {lines.covariate}", unit), "factor": visible(lines.factor)}
    facts = {"pooled": lines.pooled, "level": exploration.level, "ratio": lines.heterogeneity}
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _describe_slopes(data: PlotData) -> Description:
    table, pooled, n = data.table, data.facts["pooled"], len(data.table)
    clear = int(((table["slope_low"] > pooled) | (table["slope_high"] < pooled)).sum())
    percent = f"{100 * data.facts['level']:g} %"
    stride = -(-n // _MOST_NAMES)
    thinned = f" One level in {stride} is named." if stride > 1 else ""
    exact = table["slope_se"].isna().all()
    intervals = "" if exact else f", each with its {percent} interval"
    return Description(
        caption=f"Slopes of the least-squares lines of {counted(n, 'level')} of {data.labels['factor']}{intervals}. "
        f"Dashed: their pooled slope.{thinned}",
        label="fig-slopes",
        alt=f"{data.labels['x']} for {counted(n, 'level')} of {data.labels['factor']}, in order, "
        f"{spread(table['slope'])}; pooled slope {shown(pooled)}"
        + ("." if exact else f"; {clear} of {counted(n, 'interval')} {'does' if clear == 1 else 'do'} not contain it."),
        size=(5.2, min(8.2, 1.1 + 0.155 * max(n, 4))),
    )


@or_sentence(_slopes, _describe_slopes, "fig-slopes")
def slopes(data: PlotData, ax: Any) -> Any:
    """Slopes of the groups' least-squares lines with intervals, in order.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
    factor, covariate : str, optional
        Which groups and covariate; the first that have lines when left out.

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If there are lines, but not of these.
    """
    table, n = data.table, len(data.table)
    height = np.arange(n)
    ax.axvline(data.facts["pooled"], color=VERMILLION, linewidth=1.1, linestyle="--")
    many = 2 * n > RASTER_ABOVE  # a mark and an interval each
    ax.hlines(height, table["slope_low"], table["slope_high"], color=BLUE, linewidth=1.1, rasterized=many)
    points(ax, table["slope"], height, total=2 * n, alpha=1.0)
    stride = -(-n // _MOST_NAMES)
    ax.set_yticks(height[::stride], [shortened(name, 24) for name in table["level"].iloc[::stride]])
    ax.tick_params(axis="y", labelsize=7, length=0)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["factor"], ylim=(-0.8, n - 0.2))
    return ax
