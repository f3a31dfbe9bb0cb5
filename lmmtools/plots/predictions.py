"""Predictions over a grid: lines with bands, a surface with contours, or points with intervals."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, across, plot, points, some_of, tiles
from lmmtools.surfaces import PredictionGrid, prediction_grid

__all__ = ["prediction"]

# Lines in one panel that can be told apart, by colour and dashes; panels; levels named on an axis.
_LINES, _PANELS, _LEVELS = 4, 12, 40
_STYLES = ((BLUE, "-", "o"), (VERMILLION, "--", "s"), (INK, ":", "^"), ("#707070", "-.", "D"))
_MOST_POINTS, _MANY = 3000, 300


def _extract(grid: Any, at: Any = None, *, data: bool = True, **kw: Any) -> PlotData:
    if hasattr(grid, "design"):
        grid = prediction_grid(grid, at, **kw)
    elif not isinstance(grid, PredictionGrid):
        raise ModelError(f"plots.prediction: takes a fit, or what prediction_grid returns; got {type(grid).__name__}.")
    elif at is not None or kw:
        raise ModelError("plots.prediction: `at` and the like go with a fit; this grid is made already.")
    made, table = grid.surface, pd.DataFrame(grid)
    numbers, factors = _directions(made, table)
    kind = ("points", "lines", "surface")[len(numbers)]
    inner = factors[:1] if kind != "surface" else ()
    if kind == "lines" and inner and table[inner[0]].nunique() > _LINES:
        inner = ()
    outer = factors[len(inner) :]
    seen = made.observed.copy()
    table["series"], series = _codes(table, inner)
    table["panel"], blocks = _codes(table, outer, named=True)
    lost = [name for name in (*made.numbers, *made.factors) if name not in seen]
    drawn = data and kind != "points" and numbers == made.numbers and not lost and made.observed["y"].size > 0
    if drawn:
        seen["series"], seen["panel"] = _places(seen, inner, series), _places(seen, outer, blocks, named=True)
        seen = seen[(seen["series"] >= 0) & (seen["panel"] >= 0)]
        seen = seen.iloc[some_of(len(seen), _MOST_POINTS)]
    unit = made.units.get(made.response)
    labels = {name: with_unit(name, made.units.get(name)) for name in (*made.numbers, *made.factors)}
    labels |= {"y": with_unit(made.response, unit)}
    facts = {
        "kind": kind, "numbers": numbers, "inner": inner, "outer": outer, "series": tuple(series),
        "panels": tuple(blocks[:_PANELS]), "of_panels": len(blocks), "seen": seen if drawn else None,
        "of_seen": len(made.observed), "interval": made.interval, "level": made.level, "random": made.random,
        "response": made.response, "held": made.held, "groups": made.groups,
    }  # fmt: skip
    table = table[table["panel"] < _PANELS]
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _directions(made: Any, table: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Numbers that are axes, and what makes lines and panels: factors, and numbers at a few values beside another."""
    numbers = made.numbers
    long = tuple(name for name in numbers if table[name].nunique() > _LINES)
    if len(numbers) > 1:
        numbers = long or numbers[:1]
    if len(numbers) > 2:
        raise ModelError(
            f"plots.prediction: {listed(f'`{n}`' for n in numbers)} are {len(numbers)} numbers, and a page has two "
            f"directions: give all but two of them one value each, or {_LINES} at most, as in at={{…: [2, 5]}}."
        )
    return numbers, (*(name for name in made.numbers if name not in numbers), *made.factors)


def _codes(table: pd.DataFrame, names: tuple[str, ...], named: bool = False) -> tuple[np.ndarray, list[str]]:
    labels = _labels(table, names, named)
    levels = list(dict.fromkeys(labels))
    return np.array([levels.index(label) for label in labels]), levels


def _places(table: pd.DataFrame, names: tuple[str, ...], levels: list[str], named: bool = False) -> np.ndarray:
    place = {level: k for k, level in enumerate(levels)}
    return np.array([place.get(label, -1) for label in _labels(table, names, named)])


def _level(value: Any) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}") if isinstance(value, float) else str(value)


def _labels(table: pd.DataFrame, names: tuple[str, ...], named: bool) -> list[str]:
    if not names:
        return [""] * len(table)
    parts = [[f"{name} = {_level(value)}" if named else _level(value) for value in table[name]] for name in names]
    return [", ".join(part) for part in zip(*parts, strict=True)]


# --- words --------------------------------------------------------------------------------------------


def _describe(data: PlotData) -> Description:
    facts, table, labels = data.facts, data.table, data.labels
    percent = f"{100 * facts['level']:g} %"
    what = "a new response" if facts["interval"] == "observation" else "the mean"
    whose = f"with the modes of {listed(map(visible, facts['groups']))}" if facts["random"] else "of the population"
    over = [*facts["numbers"], *facts["inner"], *facts["outer"]]
    by = f" by {listed(map(visible, over))}" if over else ""
    shows = {"lines": f"bands are {percent} intervals of {what}", "points": f"{percent} intervals of {what}",
             "surface": "contours are labelled in its unit"}[facts["kind"]]  # fmt: skip
    parts = [f"Predicted {labels['y']}{by}, {whose}; {shows}."]
    out = table["extrapolated"].to_numpy()
    if out.any():
        how = {"lines": "Thin", "surface": "Hatched", "points": "Hollow"}[facts["kind"]]
        parts.append(f"{how}: beyond what was observed.")
    if facts["seen"] is not None:
        n = len(facts["seen"])
        of = counted(facts["of_seen"], "observation")
        some = "" if n == facts["of_seen"] else f" {format_value(n, 'int')} of {of} are drawn."
        parts.append(("Points: observations" if facts["kind"] == "lines" else "Points: where rows were observed")
                     + f".{some}")  # fmt: skip
    if facts["held"]:
        values = [(visible(name), f"{at:g}" if isinstance(at, float) else at) for name, at in facts["held"]]
        parts.append(f"{listed(f'{name} = {at}' for name, at in values)}.")
    if facts["of_panels"] > len(facts["panels"]):
        parts.append(f"The first {len(facts['panels'])} of {facts['of_panels']} panels are shown.")
    if lost := int(table["prediction"].isna().sum()):
        parts.append(f"{counted(lost, 'prediction')} cannot be estimated.")
    columns = across(len(facts["panels"]))
    rows = -(-len(facts["panels"]) // columns)
    single = len(facts["panels"]) == 1
    levels = max(min(len(facts["series"]), _LEVELS), 3)
    height = {"lines": 3.4 if single else 0.6 + 2.3 * rows, "surface": 3.8 if single else 0.7 + 2.5 * rows,
              "points": 0.9 + rows * (0.5 + 0.22 * levels)}[facts["kind"]]  # fmt: skip
    return Description(
        caption=" ".join(parts), label="fig-prediction",
        alt=f"Predicted {labels['y']}{by}: {_said(data)}.",
        size=(5.4 if single else 6.6, min(height, 8.6)),
    )  # fmt: skip


def _said(data: PlotData) -> str:
    facts, found = data.facts, []
    for (panel, series), part in data.table.groupby(["panel", "series"], sort=True):
        name = ", ".join(filter(None, [facts["panels"][panel], facts["series"][series]]))
        known = part.dropna(subset=["prediction"])
        if known.empty:
            found.append(f"{visible(name)} not estimable")
            continue
        first, last = known.iloc[0], known.iloc[-1]
        if facts["kind"] == "lines":
            x = facts["numbers"][0]
            from_, to = (f"{shown(end['prediction'])} at {visible(x)} {shown(end[x])}" for end in (first, last))
            text = f"{from_} to {to}"
        elif facts["kind"] == "surface":
            text = f"from {spread(known['prediction'])}"
        else:
            text = f"{shown(first['prediction'])} ({shown(first['low'])} to {shown(first['high'])})"
        found.append(f"{visible(name)} {text}".strip())
    more = f"; and {len(found) - 12} more" if len(found) > 12 else ""
    return "; ".join(found[:12]) + more


# --- drawing ------------------------------------------------------------------------------------------


@plot(_extract, _describe)
def prediction(data: PlotData, ax: Any) -> Any:
    """Predictions over a grid: of one number, lines with bands; of two, a surface; of factors alone, intervals.

    The first factor makes lines in one panel while there are few of them; all others make panels. So do numbers at
    four values or fewer beside one that has more, as in ``at={"Days": None, "dose": [0, 5, 10]}``.

    Parameters
    ----------
    grid : PredictionGrid or LMMFit
        What `lmmtools.prediction_grid` returns, whole; or a fit, with the arguments of that.
    at : str, sequence or mapping, optional
        Of a fit: what the predictions run over.
    ax : matplotlib Axes, optional
        Where the panels go.
    data : bool
        Whether the observations are drawn as well, where the design holds their values.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `grid` is something else, or runs over more than two numbers.
    """
    kind, count = data.facts["kind"], len(data.facts["panels"])
    columns = across(len(data.facts["panels"]))
    axes = tiles(ax, count, columns, sharex=True, sharey=True)
    {"lines": _lines, "surface": _surface, "points": _intervals}[kind](data, axes)
    x = data.facts["numbers"][0] if data.facts["numbers"] else "y"
    for panel, here in enumerate(axes):
        if data.facts["panels"][panel]:
            here.set_title(shortened(data.facts["panels"][panel], 34), loc="left", parse_math=False)
        if panel + columns >= count:
            here.set_xlabel(shortened(data.labels[x], 40), parse_math=False)
            here.xaxis.set_tick_params(labelbottom=True)
    return ax if count == 1 else ax.figure


def _lines(data: PlotData, axes: list[Any]) -> None:
    facts, x = data.facts, data.facts["numbers"][0]
    several = len(facts["series"]) > 1
    seen = facts["seen"]
    for panel, here in enumerate(axes):
        for series, name in enumerate(facts["series"]):
            colour, dash, mark = _STYLES[series]
            if seen is not None:
                mine = seen[(seen["panel"] == panel) & (seen["series"] == series)]
                look = {"alpha": 0.3, "markersize": 2.6} if len(seen) > _MANY else {"alpha": 0.55, "markersize": 3.2}
                points(here, mine[x], mine["y"], total=len(seen), color=colour, marker=mark, **look)
            part = data.table[(data.table["panel"] == panel) & (data.table["series"] == series)].sort_values(x)
            inside = part["prediction"].where(~part["extrapolated"])
            here.fill_between(part[x], part["low"], part["high"], color=colour, alpha=0.16, linewidth=0)
            here.plot(part[x], part["prediction"], color=colour, linestyle=dash, linewidth=0.7)
            here.plot(part[x], inside, color=colour, linestyle=dash, linewidth=1.8, label=name)
    if several:
        axes[0].legend(title=shortened(facts["inner"][0], 24), frameon=False)
    for first in axes[:: across(len(facts["panels"]))]:
        first.set_ylabel(shortened(data.labels["y"], 40), parse_math=False)


def _surface(data: PlotData, axes: list[Any]) -> None:
    x, y = data.facts["numbers"]
    values = data.table["prediction"]
    levels = _levels(values)
    colours = None
    for panel, here in enumerate(axes):
        part = data.table[data.table["panel"] == panel]
        square = part.pivot(index=y, columns=x, values="prediction")
        out = part.pivot(index=y, columns=x, values="extrapolated").to_numpy(dtype=float)
        along, up, z = square.columns.to_numpy(dtype=float), square.index.to_numpy(dtype=float), square.to_numpy()
        colours = _tinted(here, along, up, z, (float(values.min()), float(values.max())))
        if min(z.shape) > 1:
            lines = here.contour(along, up, z, levels=levels, colors=INK, linewidths=0.8)
            here.clabel(lines, fontsize="small", fmt="%g", levels=levels[1:-1:2] if len(levels) > 8 else levels)
            if out.any():
                hatched = here.contourf(along, up, out, levels=[0.5, 1.5], colors="none", hatches=["//"])
                hatched.set(edgecolor=INK, linewidth=0.0)
        seen = data.facts["seen"]
        if seen is not None:
            mine = seen[seen["panel"] == panel]
            many = len(seen) > _MANY
            points(here, mine[x], mine[y], total=len(seen), color=VERMILLION, markersize=1.6 if many else 2.6,
                   alpha=0.35 if many else 0.8)  # fmt: skip
    for first in axes[:: across(len(data.facts["panels"]))]:
        first.set_ylabel(shortened(data.labels[y], 40), parse_math=False)
    bar = axes[0].figure.colorbar(colours, ax=axes, shrink=0.9)
    bar.set_label(shortened(data.labels["y"], 40), parse_math=False)
    bar.outline.set_visible(False)


def _tinted(ax: Any, along: np.ndarray, up: np.ndarray, z: np.ndarray, ends: tuple[float, float]) -> Any:
    """The surface in more or less of one colour, through which the page is seen, light or dark."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    tint = LinearSegmentedColormap.from_list("tint", [(*to_rgb(BLUE), 0.04), (*to_rgb(BLUE), 0.75)])
    style = {"cmap": tint, "vmin": ends[0], "vmax": ends[1] if ends[1] > ends[0] else ends[0] + 1.0}
    steps = [np.diff(side) for side in (along, up)]
    even = all(len(step) and np.allclose(step, step[0]) for step in steps)
    if not even:
        return ax.pcolormesh(along, up, z, shading="nearest", rasterized=True, **style)
    extent = (along[0], along[-1], up[0], up[-1])  # colours are those of the points, smooth between them
    return ax.imshow(z, origin="lower", extent=extent, aspect="auto", interpolation="bilinear", **style)


def _levels(values: pd.Series) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(7).tick_values(float(values.min()), float(values.max()))


def _intervals(data: PlotData, axes: list[Any]) -> None:
    names = data.facts["series"][:_LEVELS]
    for panel, here in enumerate(axes):
        part = data.table[(data.table["panel"] == panel) & (data.table["series"] < len(names))]
        part = part.dropna(subset=["prediction"])
        here.hlines(part["series"], part["low"], part["high"], color=BLUE, linewidth=1.1)
        for out, face in ((False, BLUE), (True, "none")):
            some = part[part["extrapolated"] == out]
            here.plot(some["prediction"], some["series"], color=BLUE, marker="o", linestyle="none",
                      markerfacecolor=face, markeredgewidth=0.9)  # fmt: skip
        here.tick_params(axis="y", length=0)
        here.locator_params(axis="x", nbins=5)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for first in axes[:: across(len(data.facts["panels"]))]:
        first.set_yticks(range(len(names)), [shortened(name, 24) for name in names], parse_math=False)
        if data.facts["inner"]:
            first.set_ylabel(shortened(data.facts["inner"][0], 24), parse_math=False)
