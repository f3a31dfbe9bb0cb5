"""The criterion as a picture: curves over one parameter, contours over two, the optimum marked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, shown, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, legend_above, plot, rgb
from lmmtools.profiles.grids import CriterionGrid, criterion_grid

__all__ = ["criterion"]

# How far above the minimum contours may lie, and how many are drawn.
_STEPS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_MOST_STEPS = 6
_STYLES = ((BLUE, "-"), (VERMILLION, "--"), (INK, ":"), (INK, "-."))


def _extract(grid: Any, at: Any = None, points: int | None = None, scale: str = "theta") -> PlotData:
    grids = _grids(grid, at, points, scale)
    if min(map(len, grids.values())) < 2:
        raise ModelError("plots.criterion: a grid has fewer than two points, of which nothing can be drawn.")
    names = {one.landscape.names for one in grids.values()}
    if len(names) > 1 or (len(grids) > 1 and len(next(iter(names))) > 1):
        raise ModelError("plots.criterion: draws several grids together if all run over the same single parameter.")
    if len(grids) > len(_STYLES):
        raise ModelError(f"plots.criterion: draws up to {len(_STYLES)} curves together; got {len(grids)}.")
    (chosen,) = names
    shared = ["criterion", "above"]
    columns = dict(zip(chosen, ("x", "y"), strict=False))
    parts = [
        pd.DataFrame(one)[[*chosen, *shared]].rename(columns=columns).assign(curve=k)
        for k, one in enumerate(grids.values())
    ]
    first = next(iter(grids.values())).landscape
    facts = {"curves": tuple(grids), "landscapes": tuple(one.landscape for one in grids.values())}
    labels = {part: with_unit(first.labels[name], first.units[name]) for name, part in columns.items()}
    return PlotData(pd.concat(parts, ignore_index=True), MappingProxyType(labels), MappingProxyType(facts))


def _grids(grid: Any, at: Any, points: int | None, scale: str) -> dict[str, CriterionGrid]:
    if hasattr(grid, "design") and hasattr(grid, "working"):
        grid = criterion_grid(grid, at, points=points, scale=scale)
    elif (at, points, scale) != (None, None, "theta"):
        raise ModelError("plots.criterion: at, points and scale are of a fit; a grid has its own.")
    if isinstance(grid, CriterionGrid):
        return {"": grid}
    found = dict(grid) if isinstance(grid, Mapping) else {}
    if not found or not all(isinstance(one, CriterionGrid) for one in found.values()):
        raise ModelError(
            "plots.criterion: takes what criterion_grid returns, a mapping of names to several of these, or a fit; got "
            f"{type(grid).__name__}."
        )
    return {str(name): one for name, one in found.items()}


def _describe(data: PlotData) -> Description:
    (first, *others), curves = data.facts["landscapes"], data.facts["curves"]
    over = listed(first.labels.values())
    out = "β" if "sigma" in first.names else "β and σ"
    held = f"; {listed(map(visible, first.held))} at the estimate" if first.held else ""
    places = [_place(one) for one in data.facts["landscapes"]]
    if others:
        marks = "; ".join(f"{name} {place}" for name, place in zip(curves, places, strict=True))
        what = f"Criterion above its minimum over {over}, {out} profiled out{held}. Points: the optima, {marks}."
        saw = f"{counted(len(curves), 'curve')} of the criterion over {over}, lowest at {marks}."
        return Description(what, "fig-criterion", saw, (5.6, 3.4))
    marks = f"{places[0]}, {format_value(first.minimum, 'fixed2')}{_edge(first)}"
    shape = "Contours: how far it lies above its minimum. " if "y" in data.table else ""
    what = f"{first.method} criterion over {over}, {out} profiled out{held}. {shape}Point: the optimum at {marks}."
    rise = float(data.table["above"].max())
    kind = "Surface" if "y" in data.table else "Curve"
    rises = f"it rises to {shown(rise)} above its minimum, which is at {marks}"
    saw = f"{kind} of the {first.method} criterion over {over}: {rises}."
    return Description(what, "fig-criterion", saw, (5.4, 4.0) if "y" in data.table else (5.6, 3.4))


def _place(landscape: Any) -> str:
    """The optimum in numbers."""
    values = [shown(value) if value else "0" for value in landscape.estimates]
    return values[0] if len(values) == 1 else f"({', '.join(values)})"


def _edge(landscape: Any) -> str:
    names = [landscape.labels[name] for name, edge in zip(landscape.names, landscape.edges, strict=True) if edge]
    return f", on the edge, since {listed(names)} cannot be negative" if names else ""


@plot(_extract, _describe)
def criterion(data: PlotData, ax: Any) -> Any:
    """The profiled criterion over one parameter, as a curve, or two, as contours, with its optimum.

    Parameters
    ----------
    grid : CriterionGrid, mapping of names to several, or LMMFit
        What `lmmtools.criterion_grid` returns; several over the same parameter are drawn in one picture, each above
        its own minimum; or a fit, with the arguments of that.
    at, points, scale : optional
        Of a fit: the parameters and their values, see `lmmtools.criterion_grid`.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ModelError
        If `grid` is something else, or several grids do not run over the same parameter.
    """
    if "y" in data.table:
        _contours(data, ax)
        ax.set_ylabel(shortened(data.labels["y"], 44), parse_math=False)
    else:
        _curves(data, ax)
    ax.set_xlabel(shortened(data.labels["x"], 44), parse_math=False)
    return ax


def _curves(data: PlotData, ax: Any) -> None:
    landscapes, several = data.facts["landscapes"], len(data.facts["curves"]) > 1
    for curve, part in data.table.groupby("curve"):
        colour, dash = _STYLES[curve]
        one = landscapes[curve]
        ax.plot(part["x"], part["above" if several else "criterion"], color=colour, linestyle=dash, linewidth=1.6,
                label=data.facts["curves"][curve])  # fmt: skip
        _mark(ax, one.estimates[0], 0.0 if several else one.minimum, colour)
    ax.set_ylabel("Criterion above its minimum" if several else f"{landscapes[0].method} criterion")
    if several:
        legend_above(ax, len(landscapes))


def _contours(data: PlotData, ax: Any) -> None:
    square = data.table.pivot(index="y", columns="x", values="above")
    x, y, z = square.columns.to_numpy(dtype=float), square.index.to_numpy(dtype=float), square.to_numpy(dtype=float)
    z = np.ma.masked_invalid(z)
    levels = _levels(z)
    # Darker where it is lower; what is beyond the last contour is the page.
    strength = np.linspace(0.55, 0.06, len(levels))
    ax.contourf(x, y, z, levels=[min(float(z.min()), 0.0) - 1e-9, *levels],
                colors=[(*rgb(BLUE), float(a)) for a in strength])  # fmt: skip
    lines = ax.contour(x, y, z, levels=levels, colors=INK, linewidths=0.7)
    ax.clabel(lines, fontsize="small", fmt="%g")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    _mark(ax, *data.facts["landscapes"][0].estimates, VERMILLION)


def _levels(z: np.ndarray) -> list[float]:
    """Steps within the values, each two to two and a half times the one before."""
    top, low = float(z.max()), max(float(z.min()), 0.0)
    inside = [step for step in _STEPS if low < step < top]
    return inside[-_MOST_STEPS:] or [low + (top - low) / 2.0 or 1.0]


def _mark(ax: Any, x: float, y: float, colour: str) -> None:
    """The optimum, whole where it lies on the edge; nothing where it is outside the picture."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    if left <= x <= right and low <= y <= high:
        ax.plot([x], [y], marker="o", color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.9,
                clip_on=False, zorder=5)  # fmt: skip
