"""All groups' lines in one panel, with everybody's on top."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, nearest, shortened, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, plot, rgb
from lmmtools.plots.layers import spaced
from lmmtools.plots.lines import (
    HELD,
    at_random,
    chosen_groups,
    held_lines,
    home_of,
    is_held,
    needed_covariate,
    population_line,
)

__all__ = ["spaghetti"]

# Lines drawn of very many groups; groups that are named.
_MOST_LINES, _MOST_NAMED = 200, 8
# Cells of a density of lines.
_ACROSS, _UP = 160, 120
# Height of a name at a line's end, as a share of the axes.
_NAME = 0.045


def _extract(
    fit: Any,
    factor: str | None = None,
    covariate: str | None = None,
    show: str = "fitted",
    highlight: Any = None,
    seed: int = 0,
    many: str = "sample",
) -> PlotData:
    for value, name, known in ((show, "show", ("fitted", "observed")), (many, "many", ("sample", "density"))):
        if value not in known:
            words = " or ".join(map(repr, known))
            raise LMMError(f"plots.spaghetti: {name}={value!r} is unknown{nearest(str(value), known)}; use {words}.")
    design, home = fit.design, home_of(fit, factor)
    name, x = needed_covariate(fit, home, covariate, "plots.spaghetti")
    held = held_lines(fit, home, name)
    table = pd.DataFrame({"code": home.codes, "x": x, "y": design.y if show == "observed" else held["fitted"]})
    # What several rows of a group have at one x is drawn as their mean.
    table = table.groupby(["code", "x"], as_index=False)["y"].mean()
    levels = len(home.levels)
    named, how = _highlighted(home, highlight, seed)
    drawn = np.arange(levels)
    if levels > _MOST_LINES:
        drawn = np.union1d(at_random(levels, _MOST_LINES, seed, "plots.spaghetti"), named)
    density = _density(table) if many == "density" and levels > _MOST_LINES else None
    kept = table[table["code"].isin(named if density is not None else drawn)].reset_index(drop=True)
    kept = kept.assign(level=home.levels[kept["code"]].astype(str), named=kept["code"].isin(named))
    unit = design.units.get(fit.response)
    labels = {"x": with_unit(name, design.units.get(name)), "factor": visible(home.factor),
              "y": with_unit(fit.response if show == "observed" else f"Fitted {fit.response}", unit)}  # fmt: skip
    facts = {"groups": levels, "drawn": len(drawn), "seed": seed, "show": show, "density": density, "how": how,
             "named": tuple(str(home.levels[code]) for code in named), "ends": (table["y"].min(), table["y"].max()),
             "range": (table["x"].min(), table["x"].max()),
             "population": population_line(fit, name, x), "random": bool(design.terms),
             "held": is_held(fit, held)}  # fmt: skip
    return PlotData(kept, MappingProxyType(labels), MappingProxyType(facts))


def _highlighted(home: Any, asked: Any, seed: int) -> tuple[np.ndarray, str]:
    """Codes of the groups to be named, and how they were chosen."""
    if asked is None:
        return np.zeros(0, dtype=np.intp), ""
    codes, how = chosen_groups(home, asked, seed, "plots.spaghetti")
    if len(codes) > _MOST_NAMED:
        raise LMMError(
            f"plots.spaghetti: {len(codes)} groups are to be highlighted, and at most {_MOST_NAMED} names can be "
            "read beside their lines: name fewer, or use plots.trellis."
        )
    return codes, how


def _density(table: pd.DataFrame) -> np.ndarray:
    """How many lines pass each cell, (up, across) over the ranges of y and x, from the bottom."""
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    at = np.linspace(x.min(), x.max(), _ACROSS)
    low, high = y.min(), y.max()
    counts = np.zeros((_UP, _ACROSS))
    starts = np.flatnonzero(np.diff(table["code"].to_numpy(), prepend=-1))
    step = (high - low) / _UP or 1.0
    for a, b in zip(starts, [*starts[1:], len(x)], strict=True):
        inside = np.flatnonzero((at >= x[a]) & (at <= x[b - 1]))
        up = ((np.interp(at[inside], x[a:b], y[a:b]) - low) / step).astype(int).clip(0, _UP - 1)
        counts[up, inside] += 1
    return counts


def _describe(data: PlotData) -> Description:
    facts, labels = data.facts, data.labels
    groups = counted(facts["groups"], "group")
    what = "observations joined" if facts["show"] == "observed" else "fitted values"
    some = ""
    if facts["density"] is not None:
        some = f" Tint: how many of the {groups} have their line there, at most {facts['density'].max():,.0f}."
    elif facts["drawn"] < facts["groups"]:
        some = f" {facts['drawn']} of {groups} are drawn, chosen at random (seed {facts['seed']})."
    thick = " Thick and dashed: the population, all else at its mean." if facts["population"] is not None else ""
    named = listed(map(visible, facts["named"])) if facts["named"] else ""
    how = f", {facts['how']}" if facts["how"] else ""
    heavy = f" Heavy lines: {named}{how}." if named else ""
    fitted = facts["show"] == "fitted"
    held = HELD if facts["held"] and fitted else ""
    population = ""
    if facts["population"] is not None:
        first, last = facts["population"][1][[0, -1]]
        population = f" The population's runs from {shown(first, 4)} to {shown(last, 4)}."
    return Description(
        caption=f"{labels['y']} against {labels['x']}: {what} of each level of {labels['factor']} as a line.{thick}"
        f"{heavy}{some}{held}",
        label="fig-spaghetti",
        alt=f"Lines of {groups} of {labels['factor']}, {labels['y']} against {labels['x']}, from "
        f"{spread(np.array(facts['ends']))}.{population}{heavy}{some}",
        size=(5.8, 3.8),
    )


@plot(_extract, _describe)
def spaghetti(data: PlotData, ax: Any) -> Any:
    """A line a group over a covariate in one panel, and the population's on top.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        The grouping factor; when left out, the first whose levels have three rows or more on average.
    covariate : str, optional
        What lines run along; when left out, the first number that varies within groups, random slopes first.
    show : {"fitted", "observed"}
        Fitted values with all else at its mean within the group, or the observations joined.
    highlight : levels or int, optional
        Groups drawn heavily with their names, at most eight: by name, or how many are drawn at random.
    seed : int
        Of what is drawn at random.
    many : {"sample", "density"}
        What is shown of more than 200 groups: 200 of them at random, or how many lines pass where.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If a factor, covariate or group is unknown, more than eight are to be highlighted, or no number varies
        within groups.
    """
    from matplotlib.collections import LineCollection

    facts, table = data.facts, data.table
    if facts["density"] is not None:
        _shade(ax, facts)
    faint = table[~table["named"]]
    if len(faint):
        alpha = max(0.25, min(0.8, 25 / facts["drawn"]))
        ax.add_collection(LineCollection(_parts(faint), colors=INK, linewidths=0.7, alpha=alpha))
        _alone(ax, faint)
    heavy = table[table["named"]]
    for _, line in heavy.groupby("code"):
        ax.plot(line["x"], line["y"], color=BLUE if facts["density"] is None else INK, linewidth=1.8)
    if facts["population"] is not None:
        ax.plot(*facts["population"], color=VERMILLION, linewidth=2.4, linestyle=(0, (4, 1.5)))
    ax.autoscale_view()
    _name(ax, heavy)
    ax.set_xlabel(data.labels["x"], parse_math=False)
    ax.set_ylabel(data.labels["y"], parse_math=False)
    return ax


def _parts(rows: pd.DataFrame) -> list[np.ndarray]:
    return np.split(rows[["x", "y"]].to_numpy(), np.flatnonzero(np.diff(rows["code"].to_numpy())) + 1)


def _alone(ax: Any, rows: pd.DataFrame) -> None:
    """Groups with a single x, which make no line, as short dashes."""
    one = rows[~rows["code"].duplicated(keep=False)]
    if len(one):
        ax.plot(one["x"], one["y"], linestyle="none", marker="_", color=INK, markersize=5, alpha=0.6)


def _shade(ax: Any, facts: Any) -> None:
    """A density as opacity, which grows with the root of the count."""
    counts = facts["density"]
    pixels = np.zeros((*counts.shape, 4))
    pixels[..., :3] = rgb(BLUE)
    pixels[..., 3] = np.sqrt(counts / max(counts.max(), 1.0))
    low, high = facts["ends"]
    ax.imshow(pixels, origin="lower", extent=(*facts["range"], low, high), aspect="auto", interpolation="nearest")


def _name(ax: Any, heavy: pd.DataFrame) -> None:
    """Names at the right ends of their lines, moved apart where ends meet."""
    if not len(heavy):
        return
    ends = heavy.drop_duplicates("code", keep="last").sort_values("y", kind="stable")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    apart = spaced(list((ends["y"] - low) / (high - low)), [_NAME] * len(ends))
    for name, at in zip(ends["level"], apart, strict=True):
        ax.text(1.01, at, shortened(name), transform=ax.transAxes, ha="left", va="center", fontsize=8.5, color=INK,
                parse_math=False)  # fmt: skip
