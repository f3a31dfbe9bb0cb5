"""Which levels of two grouping factors occur together: a mark a pair, or a picture of very many."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, shortened, shown, visible, with_unit
from lmmtools.plots.drawing import BLUE, PlotData, rgb
from lmmtools.plots.explore import nothing, or_sentence

__all__ = ["crossing"]

_MOST_PAIRS = 3
# Up to so many levels each pair is a square; beyond, neighbouring levels share a cell, so many along each side.
_MOST_SQUARES, _CELLS = 40, 60
_NAMED = 30


def _pairs(exploration: Any) -> PlotData:
    found = exploration.crossings[:_MOST_PAIRS]
    if not found:
        return nothing("There are fewer than two grouping factors, so nothing is crossed or nested.")
    parts, about = [], []
    for panel, pair in enumerate(found):
        # the factor of more levels goes up the side, in order of the first level of the other that it meets
        side, base = (0, 1) if len(pair.levels[0]) >= len(pair.levels[1]) else (1, 0)
        first_met = np.full(len(pair.levels[side]), len(pair.levels[base]))
        np.minimum.at(first_met, pair.codes[side], pair.codes[base])
        order = np.argsort(first_met, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        part = pd.DataFrame({"x": pair.codes[base], "y": rank[pair.codes[side]], "rows": pair.counts, "panel": panel})
        parts.append(part)
        about.append(
            {
                "relation": pair.relation, "first": visible(pair.first), "second": visible(pair.second),
                "x": visible((pair.first, pair.second)[base]), "y": visible((pair.first, pair.second)[side]),
                "x_levels": tuple(pair.levels[base].astype(str)),
                "y_levels": tuple(pair.levels[side][order].astype(str)), "pairs": len(pair.counts),
                "possible": pair.possible,
            }
        )  # fmt: skip
    more = len(exploration.crossings) - len(found)
    facts = {"about": tuple(about), "more": more}
    return PlotData(pd.concat(parts, ignore_index=True), facts=MappingProxyType(facts))


def _is_small(about: dict[str, Any]) -> bool:
    return max(len(about["x_levels"]), len(about["y_levels"])) <= _MOST_SQUARES


def _height(about: dict[str, Any]) -> float:
    return 0.8 + min(6.0, 0.16 * max(len(about["y_levels"]), 4)) if _is_small(about) else 3.2


def _describe_pairs(data: PlotData) -> Description:
    said = []
    for about in data.facts["about"]:
        how = about["relation"]
        relation = f"{about['first']} is nested in {about['second']}" if how == "nested" else (
            f"{about['first']} and {about['second']} are {how}"
        )  # fmt: skip
        share = format_value(about["pairs"] / about["possible"], "percent")
        said.append(f"{relation} ({format_value(about['pairs'], 'int')} of {format_value(about['possible'], 'int')} "
                    f"pairs of levels occur, {share})")  # fmt: skip
    small = all(_is_small(about) for about in data.facts["about"])
    marks = (
        "A square is a pair of levels that occurs, the larger the more rows."
        if small
        else "A square is a pair of levels that occurs; with many levels, neighbours share a cell, the stronger "
        f"the more of its pairs occur ({_CELLS} cells along a side at most)."
    )
    more = f" {counted(data.facts['more'], 'further pair')} of factors not drawn." if data.facts["more"] else ""
    return Description(
        caption=f"Levels of grouping factors that occur together. {marks}{more}",
        label="fig-crossing",
        alt=f"Levels of grouping factors against each other, {counted(len(said), 'panel')}. {'; '.join(said)}.",
        size=(5.2, min(9.0, sum(_height(about) for about in data.facts["about"]))),
    )


@or_sentence(_pairs, _describe_pairs, "fig-crossing")
def crossing(data: PlotData, ax: Any) -> Any:
    """Which levels of every two grouping factors occur together.

    Parameters
    ----------
    exploration : Exploration
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels
    """
    about = data.facts["about"]
    if len(about) == 1:
        axes = [ax]
    else:
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(len(about), 1, height_ratios=[_height(one) for one in about])
        axes = list(np.ravel(grid.subplots()))
    for here, one, (_, part) in zip(axes, about, data.table.groupby("panel"), strict=True):
        (_squares if _is_small(one) else _image)(here, one, part)
        here.set(xlabel=_axis_label(one, "x"), ylabel=_axis_label(one, "y"))
        how = one["relation"]
        title = f"{one['first']} nested in {one['second']}" if how == "nested" else how
        here.set_title(title[:1].upper() + title[1:] if how != "nested" else title, loc="left")
    return ax if len(about) == 1 else ax.figure


def _axis_label(about: dict[str, Any], axis: str) -> str:
    named = _is_small(about) or len(about[f"{axis}_levels"]) <= _NAMED
    return with_unit(about[axis], "" if named else "levels, counted")


def _squares(ax: Any, about: dict[str, Any], part: pd.DataFrame) -> None:
    size = 30 * part["rows"] / part["rows"].max()
    ax.scatter(part["x"], part["y"], s=np.maximum(size, 3), marker="s", color=BLUE, linewidths=0)
    _name(ax.xaxis, about["x_levels"], 0.0)
    _name(ax.yaxis, about["y_levels"], 0.0)
    ax.set(xlim=(-0.7, len(about["x_levels"]) - 0.3), ylim=(-0.7, len(about["y_levels"]) - 0.3))


def _name(axis: Any, levels: tuple[str, ...], shift: float) -> None:
    """Levels along an axis, as many as can be read."""
    stride = -(-len(levels) // _NAMED)
    ticks = np.arange(len(levels))[::stride]
    turned = axis.axis_name == "x" and max(map(len, levels)) * len(levels) > 60
    axis.set_ticks(ticks + shift, [shortened(levels[i], 14) for i in ticks], **({"rotation": 90} if turned else {}))
    axis.set_tick_params(length=0, labelsize=7)


def _image(ax: Any, about: dict[str, Any], part: pd.DataFrame) -> None:
    """Share of the pairs that occur in each cell of neighbouring levels, as transparency: light and dark pages do."""
    sizes = len(about["y_levels"]), len(about["x_levels"])
    cells = tuple(min(size, _CELLS) for size in sizes)
    where = [part[name].to_numpy() * count // size for name, count, size in zip("yx", cells, sizes, strict=True)]
    occur, room = np.zeros(cells), [np.bincount(np.arange(s) * c // s) for s, c in zip(sizes, cells, strict=True)]
    np.add.at(occur, tuple(where), 1)
    share = occur / np.outer(*room)
    top = float(share.max())
    color = rgb(BLUE)
    pixels = np.empty((*cells, 4))
    pixels[..., :3], pixels[..., 3] = color, np.where(occur > 0, 0.12 + 0.88 * share / top, 0.0)
    zoom = [max(1, 600 // count) for count in cells]
    pixels = pixels.repeat(zoom[0], axis=0).repeat(zoom[1], axis=1)
    extent = (0, sizes[1], 0, sizes[0])
    ax.imshow(pixels, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    for axis in (ax.xaxis, ax.yaxis):
        levels = about[f"{axis.axis_name}_levels"]
        if len(levels) <= _NAMED:
            _name(axis, levels, 0.5)
    ax.text(1.0, 1.02, f"strongest: {shown(100 * top)} % of pairs", transform=ax.transAxes, ha="right", fontsize=7)
