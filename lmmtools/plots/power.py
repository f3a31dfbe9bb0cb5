"""Power against the size of the study, with the simulation's error."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, nearest, quoted, shortened, shown, visible
from lmmtools.planning import Power
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, legend_above, plot

__all__ = ["power_curve"]

_SIZE = (5.6, 3.4)
# Lines that can be told apart, in grey as well: by marks and dashes.
_STYLES = (
    (BLUE, "o", "-"), (VERMILLION, "s", "--"), (INK, "^", ":"), (BLUE, "D", "-."), (VERMILLION, "v", (0, (1, 1))),
    (INK, "P", (0, (5, 1, 1, 1, 1, 1))),
)  # fmt: skip
# Distance of the intervals of neighbouring lines: over the smallest distance of two sizes, and over their range.
_APART, _OF_RANGE = 0.06, 0.015


def _extract(table: Any, *, x: str | None = None, target: float | None = 0.8) -> PlotData:
    if not isinstance(table, Power):
        raise ModelError(
            f"plots.power_curve: takes the whole table that power returns; got {type(table).__name__}."
        )
    varied = list(table.varied)
    if not varied:
        raise ModelError("plots.power_curve: one design has no curve: give power several sizes, or several models.")
    if x is not None and x not in varied:
        raise LMMError(
            f"plots.power_curve: x={x!r} was not varied{nearest(str(x), varied)}; it may be {quoted(varied)}."
        )
    if target is not None and not (isinstance(target, float | int) and 0.0 < target < 1.0):
        raise LMMError(f"plots.power_curve: target must lie between 0 and 1, or be None; got {target!r}.")
    data = pd.DataFrame(table)
    if x is None:  # what has most values, a number of levels rather than models
        x = max(varied, key=lambda name: (name != "model", data[name].nunique()))
    others = [name for name in varied if name != x]
    labels = _lines(data, others)
    names = list(dict.fromkeys(labels))
    parts = data[["power", "low", "high"]].assign(
        x=data[x] if x != "model" else pd.factorize(data[x])[0], line=[names.index(label) for label in labels]
    )
    parts = parts[parts["line"] < len(_STYLES)].sort_values(["line", "x"]).reset_index(drop=True)
    facts = {
        "names": tuple(names[: len(_STYLES)]), "of_names": len(names), "x": x, "target": target,
        "others": tuple(others),
        "models": tuple(dict.fromkeys(data[x])) if x == "model" else (), "n": int(data["n"].iloc[0]),
        "alpha": table.alpha, "test": table.test,
    }  # fmt: skip
    counts = "" if x == "model" or " per " in x or x == "rows" else " (number of levels)"
    axis = {"x": "Model" if x == "model" else x[:1].upper() + x[1:] + counts, "y": "Power"}
    return PlotData(parts, MappingProxyType(axis), MappingProxyType(facts))


def _lines(data: pd.DataFrame, others: list[str]) -> list[str]:
    """What each design's line is called: its other sizes, with what they are of."""
    parts = [[str(v) if name == "model" else _counted(name, v) for v in data[name]] for name in others]
    return [", ".join(part) for part in zip(*parts, strict=True)] if parts else [""] * len(data)


def _counted(name: str, value: int) -> str:
    return f"{name} {value}" if " per " not in name else f"{value} {name}"


def _describe(data: PlotData) -> Description:
    facts = data.facts
    by = f", a line for each {listed(visible(_said_of(name)) for name in facts['others'])}" if facts["others"] else ""
    cut = f" The first {len(facts['names'])} of {facts['of_names']} lines are shown." if _is_cut(facts) else ""
    target = f" Dashed: a power of {facts['target']:g}." if facts["target"] is not None else ""
    said = "; ".join(_said(facts, part) for _, part in data.table.groupby("line"))
    return Description(
        caption=f"Power at the {100 * facts['alpha']:g} % level against {visible(_said_of(facts['x']))}{by}, from "
        f"{counted(facts['n'], 'simulated study', 'simulated studies')} for each design, with exact 95 % limits for "
        f"the simulation: {visible(facts['test'])}.{target}{cut}",
        label="fig-power",
        alt=f"Power against {visible(_said_of(facts['x']))}. {said}.",
        size=_SIZE,
    )


def _said_of(name: str) -> str:
    return name if name in ("model", "rows") or " per " in name else f"number of levels of {name}"


def _is_cut(facts: Any) -> bool:
    return facts["of_names"] > len(facts["names"])


def _said(facts: Any, part: pd.DataFrame) -> str:
    name = facts["names"][int(part["line"].iloc[0])]
    models = facts["models"]
    at = [models[int(v)] if models else f"{v:g}" for v in part["x"]]
    each = ", ".join(f"{shown(p, 2)} at {visible(str(where))}" for where, p in zip(at, part["power"], strict=True))
    return f"{visible(name)}: {each}" if name else each[:1].upper() + each[1:]


@plot(_extract, _describe)
def power_curve(data: PlotData, ax: Any) -> Any:
    """Power against a size of the study, with intervals, a line for each combination of the other sizes.

    Parameters
    ----------
    table : Power
        What `lmmtools.power` returns, of several sizes.
    ax : matplotlib Axes, optional
    x : str, optional
        The size along the axis; by default the one with most values.
    target : float, optional
        The power that is wanted, drawn as a line; None for none.

    Returns
    -------
    Axes

    Raises
    ------
    ModelError
        If `table` is something else, or has one design.
    LMMError
        If `x` was not varied, or `target` is no power.
    """
    facts = data.facts
    if facts["target"] is not None:
        ax.axhline(facts["target"], color=INK, linewidth=0.7, linestyle="--", zorder=0)
    names, places = facts["names"], np.unique(data.table["x"].to_numpy(dtype=float))
    step = min(_APART * np.diff(places).min(), _OF_RANGE * np.ptp(places)) if len(places) > 1 else _APART
    for line, part in data.table.groupby("line"):
        color, marker, dashes = _STYLES[int(line)]
        at = part["x"].to_numpy(dtype=float) + step * (line - (len(names) - 1) / 2)
        ax.vlines(at, part["low"], part["high"], color=color, linewidth=1.0)
        joined = "none" if facts["models"] else dashes
        ax.plot(at, part["power"], color=color, marker=marker, linestyle=joined, markersize=4.5, markeredgewidth=0,
                label=shortened(names[int(line)], 32) or "_")  # fmt: skip
    ax.set_ylim(0.0, 1.02)
    ax.set_ylabel(data.labels["y"])
    ax.set_xlabel(shortened(data.labels["x"], 60), parse_math=False)
    if facts["models"]:
        ax.set_xticks(places, [shortened(facts["models"][int(k)], 18) for k in places], parse_math=False)
        ax.set_xlim(-0.5, len(places) - 0.5)
    elif len(places) <= 8:
        ax.set_xticks(places, [f"{int(k):,}" for k in places])
    longest = max(map(len, names))
    if len(names) > 1:
        legend_above(ax, min(len(names), 2 if longest > 22 else 3))
    return ax
