"""Searches for one optimum, iteration by iteration: how far each still lies above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.algorithms import DESCRIPTIONS
from lmmtools.core.optimize import Optimum
from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, shortened, shown, visible
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, legend_above, plot

__all__ = ["iterations"]

_STYLES = (
    (BLUE, "o", "-"), (VERMILLION, "s", "--"), (INK, "^", ":"), (BLUE, "D", "-."), (VERMILLION, "v", "-"),
    (INK, "x", "--"), (BLUE, "P", ":"),
)  # fmt: skip
_ROUNDING = 1e-13  # of the criterion; differences below are its rounding
_FEW = 30  # iterations that have a mark each


def _extract(searches: Any) -> PlotData:
    named = _named(searches)
    lowest = min(float(np.min(one.trace.criterion)) for one in named.values())
    floor = _ROUNDING * max(abs(lowest), 1.0)
    parts = [
        pd.DataFrame(
            {"search": k, "iteration": one.trace.iteration, "criterion": one.trace.criterion,
             "above": np.maximum(one.trace.criterion - lowest, floor)}
        )
        for k, one in enumerate(named.values())
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    facts = {"names": tuple(named), "floor": floor, "lowest": lowest, "ends": tuple(len(part) - 1 for part in parts),
             "long": bool(table["iteration"].max() > _FEW)}  # fmt: skip
    return PlotData(table, facts=MappingProxyType(facts))


def _named(searches: Any) -> dict[str, Optimum]:
    """The searches by name; without names, by that of their algorithm."""
    if isinstance(searches, Optimum):
        searches = [searches]
    if isinstance(searches, Mapping):
        named = {str(name): one for name, one in searches.items()}
    else:
        given = list(searches) if isinstance(searches, Iterable) else [searches]
        named = {str(getattr(getattr(one, "trace", None), "method", k)): one for k, one in enumerate(given)}
        if len(named) < len(given):
            raise ModelError("plots.iterations: two searches are by one algorithm: give a mapping of names to them.")
    untraced = [name for name, one in named.items() if getattr(one, "trace", None) is None]
    if untraced or not named:
        what = f"{listed(untraced)} {'has' if len(untraced) == 1 else 'have'} none" if untraced else "there is none"
        raise ModelError(
            f"plots.iterations: draws traces of searches, minimize(criterion, method=…, trace=True), and {what}."
        )
    if len(named) > len(_STYLES):
        raise ModelError(f"plots.iterations: draws up to {len(_STYLES)} searches together; got {len(named)}.")
    return named


def _describe(data: PlotData) -> Description:
    facts = data.facts
    each = [f"{visible(name)} {counted(end, 'iteration')}" for name, end in zip(facts["names"], facts["ends"],
                                                                              strict=True)]  # fmt: skip
    floor = f"Differences below {shown(facts['floor'], 1)} are rounding and drawn there."
    axis = " Iterations are counted from 1, the start, so that a logarithm shows them." if facts["long"] else ""
    return Description(
        caption=f"How far the criterion lies above the lowest value found, {shown(facts['lowest'], 8)}, iteration by "
        f"iteration: {listed(each)}. {floor}{axis}",
        label="fig-iterations",
        alt=f"Curves of the criterion above its minimum against iterations, on logarithmic axes: {listed(each)}.",
        size=(5.6, 3.4),
    )


@plot(_extract, _describe)
def iterations(data: PlotData, ax: Any) -> Any:
    """How far searches lie above the optimum, iteration by iteration, on a logarithmic axis.

    A straight fall is convergence at a constant rate, as EM's; a curve that bends downwards is quadratic convergence,
    as Newton's. Iterations of different algorithms are not of one size.

    Parameters
    ----------
    searches : Optimum, or several
        What ``minimize(criterion, method=…, trace=True)`` returns; a mapping gives them names.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ModelError
        If a search has no trace, two have one name, or there are more than can be told apart.
    """
    facts = data.facts
    first = 1 if facts["long"] else 0
    for k, name in enumerate(facts["names"]):
        part = data.table[data.table["search"] == k]
        color, marker, dashes = _STYLES[k]
        label = shortened(DESCRIPTIONS.get(name, name).split(" (")[0], 40)
        ax.plot(part["iteration"] + first, part["above"], color=color, linestyle=dashes, linewidth=1.4, label=label,
                marker=marker if len(part) <= _FEW else None, markersize=4.5, markeredgewidth=0)  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(bottom=facts["floor"] / 3)
    _plain(ax.yaxis, lambda value, place: format_value(value, "sci").partition("×")[2])
    if facts["long"]:
        ax.set_xscale("log")
        _plain(ax.xaxis, lambda value, place: f"{value:,.0f}")
    ax.set_xlabel("Iterations, the start counted" if facts["long"] else "Iteration")
    ax.set_ylabel("Criterion above the lowest")
    legend_above(ax, 1 if len(facts["names"]) > 2 else 2)
    return ax


def _plain(axis: Any, words: Any) -> None:
    """Powers of ten in letters: matplotlib's own are mathematics, which the style leaves as it is written."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(words))
    axis.set_minor_formatter(NullFormatter())
