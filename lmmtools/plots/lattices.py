"""The lattice of nested models as a graph: a box a model, an arrow a likelihood-ratio test."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.comparison import is_plain
from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, is_missing, shortened, visible
from lmmtools.lattices import Lattice
from lmmtools.lattices import lattice as lattice_of
from lmmtools.plots.drawing import BLUE, INK, PlotData, plot
from lmmtools.plots.layers import Layout, layered

__all__ = ["lattice"]

# All in inches, which are the units of the axes.
_BOX_HEIGHT, _LABEL_HEIGHT, _LABEL_WIDTH, _MARGIN = 0.42, 0.27, 1.02, 0.12
_CHARACTER = 0.078  # of a name, in bold type of 9 points
_TALLEST, _WIDEST = 8.4, 6.4
_ALPHA = 0.05


def _nodes(table: Any) -> PlotData:
    if isinstance(table, Mapping):
        table = lattice_of(table)
    if not isinstance(table, Lattice) or not table.nodes:
        raise ModelError(f"plots.lattice: takes what lattice or fit_models returns; got {type(table).__name__}.")
    nodes = pd.DataFrame(
        {
            "name": [" = ".join([node.name, *node.same]) for node in table.nodes],
            "npar": [node.npar for node in table.nodes],
            "aic": [node.aic for node in table.nodes],
        },
        index=[node.name for node in table.nodes],
    )
    steps = [
        {"edge": (row.smaller, row.larger), "chisq": row.chisq, "df": row.df, "p_value": row.p_value,
         "boundary": not is_plain(row.reference, row.df)}
        for row in pd.DataFrame(table).itertuples()
    ]  # fmt: skip
    layout = _layout(nodes, [step["edge"] for step in steps])
    facts = {"steps": tuple(steps), "layout": layout, "y": _heights(nodes, layout), "box": _box_width(nodes)}
    return PlotData(nodes, facts=MappingProxyType(facts))


def _box_width(nodes: pd.DataFrame) -> float:
    longest = max(len(shortened(name, 22)) for name in nodes["name"])
    return max(1.2, 0.2 + _CHARACTER * longest)


def _layout(nodes: pd.DataFrame, edges: list[tuple[str, str]]) -> Layout:
    """Models in layers of equal numbers of parameters."""
    sizes = sorted(set(nodes["npar"]))
    layers = [list(nodes.index[nodes["npar"] == size]) for size in sizes]
    rank = {name: k for k, layer in enumerate(layers) for name in layer}
    width: dict[Any, float] = dict.fromkeys(nodes.index, _box_width(nodes) + 0.2)
    for edge in edges:
        levels = range(2 * rank[edge[0]] + 1, 2 * rank[edge[1]])
        width |= {(edge, level): 0.3 for level in levels}
        width[edge, _label_level(rank, edge)] = _LABEL_WIDTH
    return layered(layers, edges, width)


def _label_level(rank: Mapping[str, int], edge: tuple[str, str]) -> int:
    """The level between two layers on which the label of an edge stands: the first, nearest the smaller model."""
    return 2 * rank[edge[0]] + 1


def _heights(nodes: pd.DataFrame, layout: Layout) -> tuple[float, ...]:
    """Height of each level, lower where there are many layers."""
    layers = (len(layout.levels) + 1) // 2
    room = (_TALLEST - layers * _BOX_HEIGHT) / max(layers - 1, 1)
    gap = float(np.clip(room, _LABEL_HEIGHT + 0.12, 0.66))
    return tuple(_MARGIN + _BOX_HEIGHT / 2 + level * (gap + _BOX_HEIGHT) / 2 for level in range(len(layout.levels)))


def _extent(data: PlotData) -> tuple[float, float]:
    """Left and right end of what is drawn."""
    half = {True: data.facts["box"] / 2, False: _LABEL_WIDTH / 2}
    x = data.facts["layout"].x
    return (
        min(at - half[key in data.table.index] for key, at in x.items()) - _MARGIN,
        max(at + half[key in data.table.index] for key, at in x.items()) + _MARGIN,
    )


def _describe(data: PlotData) -> Description:
    nodes, steps = data.table, data.facts["steps"]
    left, right = _extent(data)
    best = nodes["aic"].idxmin() if nodes["aic"].notna().all() else None
    caption = (
        "Models by number of parameters, fewest at the bottom. An arrow leads from a model to the next larger one that "
        "contains it, with the likelihood-ratio test of the step; dashed where p is not below 0.05."
        if steps
        else "Models by number of parameters, fewest at the bottom; none is a special case of another."
    )
    if best is not None:
        caption += " Thick frame: the lowest AIC."
    if any(step["boundary"] for step in steps):
        caption += (
            " †: a variance is zero in the smaller model; LR is the likelihood ratio and p that of its own "
            "distribution, which the table names."
        )
    said = [f"{visible(row.name)}, {counted(row.npar, 'parameter')}{_aic(row.aic, ', AIC ')}" for row in _rows(nodes)]
    tested = [f"{visible(step['edge'][0])} to {visible(step['edge'][1])}, {_test(step, ', ')}" for step in steps]
    lowest = f" The lowest AIC is that of {visible(nodes['name'][best])}." if best is not None else ""
    alt = f"Graph of {counted(len(nodes), 'model')}: {'; '.join(said)}.{lowest} "
    alt += f"{counted(len(steps), 'arrow')}: {'; '.join(tested)}." if tested else "No arrows."
    return Description(
        caption=caption,
        label="fig-lattice",
        alt=alt,
        size=(max(right - left, 3.2), data.facts["y"][-1] + _BOX_HEIGHT / 2 + _MARGIN),
    )


def _rows(nodes: pd.DataFrame) -> Any:
    return nodes.itertuples(index=False)


def _aic(aic: float, before: str) -> str:
    return "" if is_missing(aic) else f"{before}{format_value(aic, 'fixed2')}"


def _test(step: Mapping[str, Any], between: str) -> str:
    p = "no p" if is_missing(step["p_value"]) else format_value(step["p_value"], "p")
    p = p if p.startswith("no") else f"p {p}" if p.startswith("<") else f"p = {p}"
    name = "LR" if step["boundary"] else f"χ²({step['df']})"
    return f"{name} = {format_value(step['chisq'], 'fixed2')}{between}{p}{' †' if step['boundary'] else ''}"


@plot(_nodes, _describe)
def lattice(data: PlotData, ax: Any) -> Any:
    """Nested models as a graph, with number of parameters, AIC and the tests between neighbours.

    Parameters
    ----------
    table : Lattice or Models
        What `lmmtools.lattice` returns, or the models themselves.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ModelError
        If `table` is neither.
    """
    ax.set_axis_off()
    left, right = _extent(data)
    slack = max(3.2 - (right - left), 0.0) / 2
    y = data.facts["y"]
    ax.set(xlim=(left - slack, right + slack), ylim=(0.0, y[-1] + _BOX_HEIGHT / 2 + _MARGIN), aspect="equal")
    ports = _ports(data)
    for step in data.facts["steps"]:
        _arrow(data, ax, step, ports)
    best = data.table["aic"].idxmin() if data.table["aic"].notna().all() else None
    for name, row in data.table.iterrows():
        _box(data, ax, name, row, thick=name == best)
    return ax


def _level_of(data: PlotData, name: str) -> int:
    return next(k for k, level in enumerate(data.facts["layout"].levels) if name in level)


def _box(data: PlotData, ax: Any, name: str, row: Any, *, thick: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y, width = data.facts["layout"].x[name], data.facts["y"][_level_of(data, name)], data.facts["box"]
    corner = (x - width / 2, y - _BOX_HEIGHT / 2)
    frame = FancyBboxPatch(corner, width, _BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", facecolor="none",
                           edgecolor=BLUE if thick else INK, linewidth=2.0 if thick else 0.8)  # fmt: skip
    ax.add_patch(frame)
    style = {"ha": "center", "va": "center", "parse_math": False}
    ax.text(x, y + 0.085, shortened(row["name"], 22), fontsize=9, weight="bold", **style)
    facts = f"{row['npar']} par.{_aic(row['aic'], ' · AIC ')}"
    ax.text(x, y - 0.09, facts, fontsize=7.2, **style)


def _ports(data: PlotData) -> dict[tuple[Any, bool], float]:
    """Where each arrow leaves the box of its smaller model and enters that of its larger: side by side, no crossing."""
    layout, edges = data.facts["layout"], [step["edge"] for step in data.facts["steps"]]
    ports = {}
    for name in data.table.index:
        for end in (0, 1):
            ours = [edge for edge in edges if edge[end] == name]
            level = _level_of(data, name) + (1 if end == 0 else -1)
            ours.sort(key=lambda edge: layout.x[edge, level])
            room = min(0.28, 0.8 * data.facts["box"] / max(len(ours), 1))
            for k, edge in enumerate(ours):
                ports[edge, bool(end)] = layout.x[name] + (k - (len(ours) - 1) / 2) * room
    return ports


def _arrow(data: PlotData, ax: Any, step: Mapping[str, Any], ports: Mapping[tuple[Any, bool], float]) -> None:
    """A line from box to label, and from there, past other layers, to the next box."""
    layout, y, edge = data.facts["layout"], data.facts["y"], step["edge"]
    low, high = _level_of(data, edge[0]), _level_of(data, edge[1])
    dashes = "solid" if step["p_value"] < _ALPHA else (0, (3, 2))
    style = {"color": INK, "linewidth": 0.8, "linestyle": dashes}
    at = layout.x[edge, low + 1]
    ax.plot([ports[edge, False], at], [y[low] + _BOX_HEIGHT / 2, y[low + 1] - _LABEL_HEIGHT / 2], **style)
    ax.text(at, y[low + 1], _test(step, "\n"), fontsize=7.2, ha="center", va="center", parse_math=False)
    path = [(at, y[low + 1] + _LABEL_HEIGHT / 2)]
    for level in range(low + 2, high):
        half = (_LABEL_HEIGHT if level % 2 else _BOX_HEIGHT) / 2  # upright past boxes and past others' labels
        path += [(layout.x[edge, level], y[level] - half), (layout.x[edge, level], y[level] + half)]
    end = (ports[edge, True], y[high] - _BOX_HEIGHT / 2)
    if len(path) > 1:
        ax.plot(*zip(*path, strict=True), **style)
    arrow = {"arrowstyle": "-|>,head_width=0.12,head_length=0.28", "shrinkA": 0, "shrinkB": 0} | style
    ax.annotate("", xy=end, xytext=path[-1], arrowprops=arrow)
