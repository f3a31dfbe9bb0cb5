"""Shrinkage: arrows from each level's least-squares estimates to what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, nearest, quoted, shortened, shown, spread, visible
from lmmtools.groupwise import Shrinkage
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, across, evenly, legend_above, plot, points, tiles
from lmmtools.plots.ellipses import PROBABILITIES, ellipse, taken

__all__ = ["shrinkage"]

_MOST_EFFECTS = 3
# Levels with a named row each; beyond, one effect is a slope chart.
_MOST_ROWS = 60
# Arrows up to the first number are all drawn, else the second number of them.
_MOST_ARROWS = (320, 200)
# Different populations that can be told apart; beyond, everything is a deviation from the level's own.
_MOST_POPULATIONS = 4
# Starts farther than this many widths of all ends are left outside the frame; of very many levels nearer ones too.
_REACH = (1.0, 0.6)


def _extract(
    fit: Any, factor: str | None = None, effects: Sequence[str] | None = None, deviations: bool | None = None
) -> PlotData:
    s = taken(fit, factor)
    places = _places(s, effects)
    centres = _populations(s, places)
    deviations = len(centres) > _MOST_POPULATIONS if deviations is None else bool(deviations)
    pop = s.population[:, places]
    base = pop if deviations else np.zeros_like(pop)
    end = s.compromise[:, places] - base
    own = np.isfinite(s.least_squares[:, places])
    start = np.where(own, s.least_squares[:, places], pop) - base
    some = np.isfinite(end).all(axis=1)
    centres = np.zeros((1, len(places))) if deviations else centres
    covariance = s.covariance[np.ix_(places, places)]
    pairs = tuple(combinations(range(len(places)), 2))
    table = pd.DataFrame({"level": s.columns.levels.astype(str)[some], "own": own.all(axis=1)[some]})
    for k in range(len(places)):
        table[f"start{k}"], table[f"end{k}"] = start[some, k], end[some, k]
    table["drawn"] = _chosen(table["start0"].to_numpy(), *_MOST_ARROWS)
    facts = {
        "factor": visible(s.factor), "effects": tuple(visible(s.effects[k]) for k in places), "of": len(s.effects),
        "others": s.others, "levels": len(s.mode), "lost": int((~some).sum()), "deviations": deviations,
        "centres": centres,
        "pairs": pairs, "zero": not np.diagonal(covariance).any(),
        "ellipses": tuple(_around(covariance[np.ix_(pair, pair)], centres[:, pair]) for pair in pairs),
        "reliability": tuple(s.reliability[:, places].mean(axis=0)),
    }  # fmt: skip
    facts["limits"] = tuple(_limits(table, k, facts) for k in range(len(places)))
    labels = {k: s.headings[place] for k, place in enumerate(places)}
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _places(s: Shrinkage, effects: Sequence[str] | None) -> list[int]:
    if effects is None:
        return list(range(min(len(s.effects), _MOST_EFFECTS)))
    effects = [effects] if isinstance(effects, str) else list(effects)
    for name in effects:
        if name not in s.effects:
            raise LMMError(
                f"plots.shrinkage: `{name}` is no effect of `{s.factor}`{nearest(str(name), s.effects)}; it has "
                f"{quoted(s.effects)}."
            )
    if not effects or len(set(effects)) < len(effects):
        raise LMMError("plots.shrinkage: effects must name different effects, one at least.")
    return [s.effects.index(name) for name in effects[:_MOST_EFFECTS]]


def _populations(s: Shrinkage, places: list[int]) -> np.ndarray:
    """The different populations of the effects shown, shape (m, k)."""
    known = s.population[:, places]
    known = known[np.isfinite(known).all(axis=1)]
    if not len(known):
        return np.zeros((0, len(places)))
    size = np.sqrt(np.diagonal(s.covariance))[places] + np.abs(known).max(axis=0)
    rounded = np.round(known / np.where(size > 0, size, 1.0), 7)
    return known[np.sort(np.unique(rounded, axis=0, return_index=True)[1])]


def _around(covariance: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, ...]:
    """Ellipses about each population; none where nothing varies."""
    if not np.diagonal(covariance).any():
        return ()
    return tuple(ellipse(covariance, p, centre) for centre in centres for p in PROBABILITIES)


def _chosen(first: np.ndarray, all_up_to: int, some: int) -> np.ndarray:
    """Which levels are drawn: all, or some evenly spaced in rank."""
    if len(first) <= all_up_to:
        return np.ones(len(first), dtype=bool)
    drawn = np.zeros(len(first), dtype=bool)
    drawn[np.argsort(first, kind="stable")[evenly(len(first), some)]] = True
    return drawn


def _limits(table: pd.DataFrame, k: int, facts: dict[str, Any]) -> tuple[float, float]:
    """Room for all ends, populations and ellipses, and for starts that are not far beyond."""
    values = [table[f"end{k}"].to_numpy(), facts["centres"][:, k]]
    for pair, corners in zip(facts["pairs"], facts["ellipses"], strict=True):
        if k in pair:
            values += [c[:, pair.index(k)] for c in corners]
    inner = np.concatenate(values)
    start = table.loc[table["drawn"], f"start{k}"].to_numpy()
    if not len(inner) or not len(start):
        return (-1.0, 1.0)
    low, high = float(inner.min()), float(inner.max())
    far = (high - low) * _REACH[not table["drawn"].all()]
    if facts["zero"] or far == 0:  # all ends are one point
        low, high = min(low, float(start.min())), max(high, float(start.max()))
    else:
        low, high = min(low, max(float(start.min()), low - far)), max(high, min(float(start.max()), high + far))
    margin = 0.05 * (high - low) or max(abs(low), 1.0)
    return low - margin, high + margin


def _outside(data: PlotData) -> int:
    """Arrows drawn that start outside the frame."""
    table, beyond = data.table, np.zeros(len(data.table), dtype=bool)
    for k, (low, high) in enumerate(data.facts["limits"]):
        beyond |= (table[f"start{k}"] < low) | (table[f"start{k}"] > high)
    return int((beyond & table["drawn"]).sum())


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    k, n, drawn = len(facts["effects"]), facts["levels"], int(data.table["drawn"].sum())
    levels = f"{counted(n, 'level')} of {facts['factor']}"
    about = " as deviations from each level's population" if facts["deviations"] else ""
    mark = ("dashed line" if k == 1 else "cross") + ("s" if len(facts["centres"]) > 1 and k == 1 else "")
    mark = "crosses" if len(facts["centres"]) > 1 and k > 1 else mark
    where = "zero" if facts["deviations"] else f"the population ({mark})"
    what = "Lines lead" if k == 1 and len(table) > _MOST_ROWS else "Arrows point"
    parts = [f"From least squares within each of {levels} to the fitted model{about}. {what} to {where} where a "
             "level says little."]  # fmt: skip
    if facts["others"]:
        parts.append(f"The modes of {listed(map(visible, facts['others']))} are part of the population.")
    if k > 1 and not facts["zero"]:
        parts.append("Ellipses: 50 and 95 % of the fitted distribution of the effects.")
    if facts["zero"]:
        parts.append("All variances are estimated as zero, so that every arrow ends at the population.")
    if drawn < len(table):
        rest = "; small dots: where the others end" if k > 1 else ""
        parts.append(f"{drawn} of {counted(n, 'level')} are drawn, evenly spaced in rank of least squares{rest}.")
    without = int((~table["own"]).sum())
    if without:
        whose = "its" if without == 1 else "their"
        parts.append(f"Squares: {counted(without, 'level')} without {whose} own estimate, from the population.")
    if facts["lost"]:
        parts.append(f"{counted(facts['lost'], 'level')} without a population cannot be shown.")
    if out := _outside(data):
        parts.append(f"{counted(out, 'arrow')} {'starts' if out == 1 else 'start'} outside the frame.")
    if k < facts["of"]:
        parts.append(f"{k} of {facts['of']} effects {'is' if k == 1 else 'are'} shown.")
    said = [
        f"{name}: least squares from {spread(table[f'start{i}'])}, compromise from {spread(table[f'end{i}'])}, mean "
        f"reliability {shown(facts['reliability'][i], 2)}"
        for i, name in enumerate(facts["effects"])
        if len(table)
    ]
    return Description(
        caption=" ".join(parts),
        label="fig-shrinkage",
        alt=f"Shrinkage of {levels}, {listed(facts['effects'])}{about}. " + "; ".join(said) + ".",
        size=_size(k, len(table)),
    )


def _size(effects: int, levels: int) -> tuple[float, float]:
    if effects == 1:
        return (5.6, 1.2 + 0.155 * max(levels, 4)) if levels <= _MOST_ROWS else (4.8, 4.6)
    return (5.4, 4.7) if effects == 2 else (7.6, 3.2)


@plot(_extract, _describe)
def shrinkage(data: PlotData, ax: Any) -> Any:
    """Arrows from least squares within each level to what the model makes of it.

    Two effects span the plane of the arrows, three have a panel for each pair; one effect has a row a level, or, beyond
    60 levels, two columns joined by lines. The population is marked, with the ellipses of the fitted covariance about
    it.

    Parameters
    ----------
    fit : LMMFit or Shrinkage
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        A grouping factor. By default the one of most effects a level.
    effects : sequence of str, optional
        One to three of its effects; its first three by default.
    deviations : bool, optional
        Whether everything is drawn as deviation from the level's own population. By default where there are more than
        four different ones, as with a covariate of the levels.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If the fit has no random effects, or its residuals are correlated across levels.
    LMMError
        If it has no grouping factor, or the factor no effect, of that name.
    """
    facts = data.facts
    if len(facts["effects"]) == 1:
        return _rows(data, ax) if len(data.table) <= _MOST_ROWS else _two_columns(data, ax)
    pairs = facts["pairs"]
    axes = tiles(ax, len(pairs), across(len(pairs)))
    for here, pair, corners in zip(axes, pairs, facts["ellipses"], strict=True):
        _plane(here, data, pair, corners)
    legend_above(axes[0], 3, wider=len(pairs) > 1)
    return ax if len(pairs) == 1 else ax.figure


def _axis_label(data: PlotData, k: int) -> str:
    label = data.labels[k]
    if not data.facts["deviations"]:
        return label
    name, bracket, unit = label.partition(" (")
    return f"{name}, deviation{bracket}{unit}"


def _plane(ax: Any, data: PlotData, pair: tuple[int, int], corners: tuple[np.ndarray, ...]) -> None:
    i, j = pair
    table = data.table
    for shape, style in zip(corners, (":", "--") * len(corners), strict=False):
        ax.plot(*shape.T, color=VERMILLION, linestyle=style, linewidth=1.1, zorder=4)
    if not table["drawn"].all():
        rest = table[~table["drawn"]]
        points(ax, rest[f"end{i}"], rest[f"end{j}"], total=10_000, markersize=1.6, alpha=0.35)
    here = table[table["drawn"]]
    many = len(here) > 100
    own = here[here["own"]]
    points(ax, own[f"start{i}"], own[f"start{j}"], markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.6,
           markersize=2.6 if many else 3.6, alpha=0.55, label="least squares")  # fmt: skip
    _arrows(ax, here, i, j, many)
    points(ax, own[f"end{i}"], own[f"end{j}"], markersize=2.4 if many else 3.4, alpha=1.0, label="compromise")
    without = here[~here["own"]]
    points(ax, without[f"end{i}"], without[f"end{j}"], marker="s", markersize=3.6, markerfacecolor="none",
           markeredgecolor=BLUE, markeredgewidth=0.9, alpha=1.0)  # fmt: skip
    ax.plot(*data.facts["centres"][:, [i, j]].T, linestyle="none", marker="P", markersize=7.5, color=VERMILLION,
            markeredgecolor=INK, markeredgewidth=0.6, zorder=5, label="population")  # fmt: skip
    ax.set(xlim=data.facts["limits"][i], ylim=data.facts["limits"][j])
    ax.set(xlabel=_axis_label(data, i), ylabel=_axis_label(data, j))


def _arrows(ax: Any, rows: pd.DataFrame, i: int, j: int, many: bool) -> None:
    start, end = (rows[[f"{what}{i}", f"{what}{j}"]].to_numpy() for what in ("start", "end"))
    ax.quiver(
        *start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, color=BLUE, units="dots",
        width=0.7 if many else 0.9, headwidth=5, headlength=6, headaxislength=5, alpha=0.5 if many else 0.8,
    )  # fmt: skip


def _rows(data: PlotData, ax: Any) -> Any:
    """One effect, a row a level, in order of least squares."""
    table = data.table.sort_values("start0", kind="stable", ignore_index=True)
    height = np.arange(len(table))
    for which, centre in enumerate(data.facts["centres"][:, 0]):
        label = "_" if which else "population"
        ax.axvline(centre, color=VERMILLION, linestyle="--", linewidth=1.1, label=label)
    own = table["own"].to_numpy()
    points(ax, table["start0"][own], height[own], markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.8,
           alpha=0.8, label="least squares")  # fmt: skip
    start, end = table["start0"].to_numpy(), table["end0"].to_numpy()
    ax.quiver(start, height, end - start, np.zeros(len(table)), angles="xy", scale_units="xy", scale=1, color=BLUE,
              units="dots", width=1.0, headwidth=5, headlength=6, headaxislength=5)  # fmt: skip
    points(ax, end[own], height[own], alpha=1.0, label="compromise")
    points(ax, end[~own], height[~own], marker="s", markerfacecolor="none", markeredgecolor=BLUE, markeredgewidth=0.9,
           alpha=1.0)  # fmt: skip
    ax.set_yticks(height, [shortened(name, 24) for name in table["level"]])
    ax.tick_params(axis="y", labelsize=7, length=0)
    ax.set(xlabel=_axis_label(data, 0), ylabel=data.facts["factor"], xlim=data.facts["limits"][0],
           ylim=(-0.8, len(table) - 0.2))  # fmt: skip
    legend_above(ax, 3)
    return ax


def _two_columns(data: PlotData, ax: Any) -> Any:
    """One effect of many levels: least squares on the left, the compromise on the right."""
    from matplotlib.collections import LineCollection

    table = data.table[data.table["drawn"]]
    ends = table[["start0", "end0"]].to_numpy()
    lines = np.stack([np.broadcast_to([0.0, 1.0], ends.shape), ends], axis=2)
    faint = max(0.25, min(0.8, 60 / len(ends)))
    ax.add_collection(LineCollection(lines, colors=BLUE, linewidths=0.7, alpha=faint))
    for centre in data.facts["centres"][:, 0]:
        ax.axhline(centre, color=VERMILLION, linestyle="--", linewidth=1.2, zorder=3)
    points(ax, np.zeros(len(ends)), ends[:, 0], markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.5,
           markersize=2.6, alpha=0.6)  # fmt: skip
    points(ax, np.ones(len(ends)), ends[:, 1], markersize=2.6, alpha=0.8)
    ax.set_xticks([0.0, 1.0], ["Least squares", "Compromise"])
    ax.set(xlim=(-0.12, 1.12), ylim=data.facts["limits"][0], ylabel=_axis_label(data, 0))
    return ax
