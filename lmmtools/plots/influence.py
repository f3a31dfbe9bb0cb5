"""Influence of rows or levels: one measure by position, and leverage against residual."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.deletion import HEADINGS, Influence, influence, ranked
from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, shown, spread, visible
from lmmtools.plots.drawing import BLUE, INK, RASTER_ABOVE, VERMILLION, PlotData, plot, rgb

__all__ = ["influence_bubble", "influence_index"]

# Levels that have room for their names below an axis; stems that do not run into one another.
_MOST_NAMES, _APART = 24, 600
# Circles among a great many points, for the largest Cook's distances.
_CIRCLES = 50
# Area of the largest circle, in square points.
_AREA = 500.0
# Letters of a name beside its mark.
_LONG = 16
# How many are named when that is left open, and of few the share.
_NAMED, _SHARE = 5, 3
_LABELS = {"cooks_distance": "Cook's distance", "cooks_distance_joint": "Cook's distance, random effects included",
           "cooks_distance_varcomp": "Cook's distance of the covariance parameters",
           "studentized": "Studentized residual", "rows": "Rows"}  # fmt: skip
# Where a measure stands when deletion changes nothing.
_NO_CHANGE = {"covratio": 1.0}


def _found(source: Any, by: Any) -> Influence:
    """The table of influence, or that of a fit."""
    if isinstance(source, Influence):
        if by is not None:
            raise LMMError("plots: `by`, the second argument, goes with a fit; this table of influence says itself "
                           "what was deleted. A measure is named as in measure='leverage'.")  # fmt: skip
        return source
    return influence(source, by)


def _how_many(found: Influence, named: int | None) -> int:
    """How many are marked: of few rows or levels not all, for what is marked should stand apart."""
    if named is None:
        return min(_NAMED, -(-len(found) // _SHARE))
    return check_count(named, "plots: named, the number of names,", at_least=0)


def _common(found: Influence) -> dict[str, Any]:
    return {"single": not found.by, "by": visible(found.by), "method": found.method, "all": len(found),
            "missing": len(found.reasons)}  # fmt: skip


def _place(found: Influence) -> tuple[Any, str]:
    """Where each row or level stands, and the axis label: labels that are rising whole numbers, or counted from 1."""
    index = found.index
    if found.by:
        return np.arange(1, len(found) + 1), visible(found.by)
    if pd.api.types.is_integer_dtype(index.dtype) and index.is_monotonic_increasing and index.is_unique:
        return index.to_numpy(), "Row"
    return np.arange(1, len(found) + 1), f"Row (its place among {len(found):,})"


def _index_points(source: Any, by: Any = None, measure: str = "cooks_distance", named: int | None = None) -> PlotData:
    found = _found(source, by)
    named, facts = _how_many(found, named), _common(found)
    order = ranked(found, measure)[:named]
    place, below = _place(found)
    table = pd.DataFrame({"place": place, "value": found[measure].to_numpy(dtype=float)})
    table["name"] = [shortened(str(label), _LONG) for label in found.index]
    table["named"] = np.isin(np.arange(len(found)), order) & table["value"].notna()
    label = _LABELS.get(measure) or HEADINGS.get(measure, measure)
    facts |= {"measure": label, "base": _NO_CHANGE.get(measure, 0.0),
              "order": tuple(table["name"].to_numpy()[[k for k in order if table["named"].iloc[k]]]),
              "ticks": not facts["single"] and len(found) <= _MOST_NAMES}  # fmt: skip
    return PlotData(table[table["value"].notna()], MappingProxyType({"x": below, "y": label}), MappingProxyType(facts))


def _deleted(facts: Any) -> str:
    """What was deleted and how, in words."""
    what = "row" if facts["single"] else f"level of {facts['by']}"
    how = {"one-step": "covariance parameters by one Newton step", "refit": "everything estimated anew",
           "fixed": "covariance parameters held"}[facts["method"]]  # fmt: skip
    return f"deletion of each {what} in turn ({how})"


def _left_out(facts: Any) -> str:
    if not facts["missing"]:
        return ""
    return f" {facts['missing']:,} of {facts['all']:,} cannot be deleted and are left out."


def _describe_index(data: PlotData) -> Description:
    facts, values = data.facts, data.table["value"]
    named = f" Marked: the largest, {listed(facts['order'])}." if facts["order"] else ""
    side = "rows" if facts["single"] else f"levels of {facts['by']}"
    return Description(
        caption=f"{facts['measure']} by {_deleted(facts)}.{named}{_left_out(facts)}",
        label="fig-influence-index",
        alt=f"Stem plot of {facts['measure']} for {len(values):,} {side}, from {spread(values)}.{named}",
    )


@plot(_index_points, _describe_index)
def influence_index(data: PlotData, ax: Any) -> Any:
    """One measure of influence, row by row or level by level, the most influential named.

    Parameters
    ----------
    found : Influence or LMMFit
    by : str or array, optional
        Of a fit: what is deleted; see `lmmtools.influence`.
    measure : str
        A column of the table.
    named : int, optional
        How many are named: five, of few a third, when left out.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    table, base = data.table, data.facts["base"]
    many = len(table) > _APART
    if not many:
        ax.vlines(table["place"], base, table["value"], color=BLUE, linewidth=1.1, alpha=0.8)
    _marks(ax, table["place"], table["value"], table["named"], many)
    ax.axhline(base, color=INK, linewidth=0.7)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    if data.facts["ticks"]:
        long = table["name"].str.len().max() > 4 or len(table) > 12
        ax.set_xticks(table["place"], table["name"], rotation=90 if long and len(table) > 6 else 0)
    else:
        _names(ax, table["place"], table["value"], table[["name", "named"]])
    return ax


def _marks(ax: Any, x: Any, y: Any, named: pd.Series, many: bool) -> None:
    """Points, the named ones in the other colour and larger."""
    plain = ~named
    style = {"linestyle": "none", "markeredgewidth": 0, "rasterized": len(x) > RASTER_ABOVE}
    ax.plot(x[plain], y[plain], marker="o", color=BLUE, markersize=2.4 if many else 3.6,
            alpha=0.5 if many else 1.0, **style)  # fmt: skip
    ax.plot(x[named], y[named], marker="D", color=VERMILLION, markersize=4.4, **style)


def _names(ax: Any, x: Any, y: Any, table: pd.DataFrame, radius: Any = 1.0) -> None:
    """Names beside their marks, where no other name or mark stands: right, left, then above and below."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    named = np.flatnonzero(table["named"])
    marks = [((float(x.iloc[k]) - left) / (right - left), (float(y.iloc[k]) - low) / (high - low)) for k in named]
    taken: list[tuple[float, float]] = []
    gap = 4.0 + np.broadcast_to(np.asarray(radius, dtype=float), len(table))
    for at, here in zip(named, marks, strict=True):
        wide, tall = 0.011 * (len(table["name"].iloc[at]) + 2), 0.05
        sides = (-1, 1) if here[0] > 0.88 else (1, -1)
        tries = [(side, up) for up in (0, 1, -1, 2, -2, 3, -3) for side in sides]
        boxes = [(here[0] + 0.5 * side * wide, here[1] + up * tall) for side, up in tries]
        others = [(c, d, wide, tall) for c, d in taken]
        others += [(c, d, 0.5 * wide + 0.01, 0.5 * tall) for c, d in marks if (c, d) != here]
        free = [k for k, (a, b) in enumerate(boxes) if all(abs(a - c) >= w or abs(b - d) >= t for c, d, w, t in others)]
        k = free[0] if free else 0
        taken.append(boxes[k])
        side, up = tries[k]
        ax.annotate(
            table["name"].iloc[at], (float(x.iloc[at]), float(y.iloc[at])), xytext=(gap[at] * side, 2 + 10 * up),
            textcoords="offset points", ha="left" if side > 0 else "right", va="center", fontsize=8.5, color=INK,
        )  # fmt: skip


def _bubble_points(source: Any, by: Any = None, named: int = _NAMED) -> PlotData:
    found = _found(source, by)
    facts = _common(found)
    named = check_count(named, "plots: named, the number of names,", at_least=0)
    order = ranked(found, "cooks_distance")
    table = pd.DataFrame({
        "leverage": found["leverage"], "studentized": found["studentized"], "cook": found["cooks_distance"],
    }).reset_index(drop=True)  # fmt: skip
    table["name"] = [shortened(str(label), _LONG) for label in found.index]
    table["named"] = np.isin(np.arange(len(found)), order[:named])
    table["circle"] = np.isin(np.arange(len(found)), order[: len(found) if len(found) <= _APART else _CIRCLES])
    if table["cook"].isna().all():
        raise LMMError("plots: the model has no fixed effects, so there is no Cook's distance; see `influence_index`.")
    table = table[table["cook"].notna() & table["studentized"].notna()]
    facts["circles"] = int(table["circle"].sum())
    facts["order"] = tuple(found.index[k] for k in order[:named] if k in table.index)
    y = "Studentized residual" if facts["single"] else "Studentized residuals, root mean square"
    x = "Leverage" if facts["single"] else "Leverage, summed over the level"
    return PlotData(table, MappingProxyType({"x": x, "y": y}), MappingProxyType(facts))


def _describe_bubble(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    named = f" Named: {listed(facts['order'])}." if facts["order"] else ""
    few = f" Circles for the {facts['circles']} largest of {format_value(len(table), 'int')}, points for the others."
    what = "row" if facts["single"] else "level"
    return Description(
        caption=f"Leverage and studentized residual of each {what}; areas of circles are Cook's distances, the largest "
        f"{shown(table['cook'].max())}, by {_deleted(facts)}.{few if facts['circles'] < len(table) else ''}{named}"
        f"{_left_out(facts)}",
        label="fig-influence-bubble",
        alt=f"Bubble plot of {counted(len(table), what)}: leverage from {spread(table['leverage'])}, studentized "
        f"residual from {spread(table['studentized'])}, Cook's distance from {spread(table['cook'])}.{named}",
        size=(5.6, 4.0),
    )


@plot(_bubble_points, _describe_bubble)
def influence_bubble(data: PlotData, ax: Any) -> Any:
    """Studentized residual against leverage, Cook's distance as the area of a circle.

    Parameters
    ----------
    found : Influence or LMMFit
    by : str or array, optional
        Of a fit: what is deleted; see `lmmtools.influence`.
    named : int
        How many are named, by Cook's distance.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    table = data.table
    if data.facts["single"]:
        ax.axhline(0.0, color=INK, linewidth=0.7, linestyle="--")
    rest, own = table[~table["circle"]], table[table["circle"]]
    ax.plot(rest["leverage"], rest["studentized"], linestyle="none", marker="o", markersize=1.8, markeredgewidth=0,
            color=BLUE, alpha=0.35, rasterized=len(rest) > RASTER_ABOVE)  # fmt: skip
    area = 3.0 + _AREA * own["cook"] / max(float(table["cook"].max()), 1e-300)
    ax.scatter(own["leverage"], own["studentized"], s=area, facecolor=(*rgb(BLUE), 0.18),
               edgecolor=[VERMILLION if named else BLUE for named in own["named"]],
               linewidth=[1.3 if named else 0.8 for named in own["named"]])  # fmt: skip
    ax.margins(0.09)
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.set(xlabel=data.labels["x"], ylabel=data.labels["y"])
    _names(ax, own["leverage"], own["studentized"], own[["name", "named"]], np.sqrt(area / np.pi))
    return ax
