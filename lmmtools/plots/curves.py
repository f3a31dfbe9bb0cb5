"""The curves of a growth curve model over the occasions, told apart by what subjects are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, quoted, shortened, spread, visible, with_unit
from lmmtools.growth import GmanovaFit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, legend_above, plot

__all__ = ["growth_curves"]

# Told apart in grey by their dashes; more kinds of curves than these no eye keeps apart in one panel.
_STYLES = ((BLUE, "-"), (VERMILLION, (0, (4, 1.6))), (INK, (0, (1, 1.4))), (INK, (0, (6, 1.4, 1, 1.4))))
_WORDS = ("solid", "dashed", "dotted", "dashes and dots")
_FEW = 6  # curves that are drawn thick
_SAME = 1e-9  # of the range of Y: curves closer than this are one
_MARGIN = 0.04


def _extract(fit: Any, by: Any = None) -> PlotData:
    if not isinstance(fit, GmanovaFit):
        raise ModelError(f"plots.growth_curves: takes what fit_gmanova returns; got {type(fit).__name__}.")
    kinds, names = _kinds(fit, by)
    curves = fit.conditional.to_numpy() @ fit.within.to_numpy().T
    at, ticks = _places(fit.Y.columns)
    seen = fit.Y.to_numpy()
    step = _SAME * (np.ptp(seen) or 1.0)
    keys = np.column_stack([kinds, np.round(curves / step)])
    _, first = np.unique(keys, axis=0, return_index=True)
    first = np.sort(first)
    order = np.argsort(at, kind="stable")
    table = pd.DataFrame(
        {
            "curve": np.repeat(np.arange(len(first)), len(at)),
            "subject": np.repeat(fit.Y.index[first].astype(str), len(at)),
            "kind": np.repeat(kinds[first], len(at)),
            "x": np.tile(at[order], len(first)),
            "y": curves[np.ix_(first, order)].ravel(),
        }
    )
    response, time = fit.response.partition("~")[0].strip(), str(fit.Y.columns.name or "occasion")
    basis = fit.problem.within[0]  # the subjects' own curves count whatever the model: axes are then the same
    spanned = np.concatenate([seen.ravel(), (seen @ basis @ basis.T).ravel(), table["y"]])
    low, high = float(spanned.min()), float(spanned.max())
    labels = {"x": with_unit(time, fit.units.get(time)), "y": with_unit(response, fit.units.get(response))}
    facts = {"names": names, "curves": len(first), "subjects": len(seen), "ticks": ticks, "ends": (low, high),
             "conditional": fit.random is not None, "by": str(getattr(by, "name", None) or "")}  # fmt: skip
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _kinds(fit: GmanovaFit, by: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """A code for each subject, and what the codes stand for."""
    subjects = fit.Y.index
    if by is None:
        return np.zeros(len(subjects), dtype=int), ("",)
    if not isinstance(by, pd.Series | Mapping):
        raise LMMError(
            f"plots.growth_curves: by must say of each subject what it is, as a Series or a mapping by subject; got "
            f"{type(by).__name__}."
        )
    known = by.index if isinstance(by, pd.Series) else pd.Index(list(by))
    lacking = subjects[~subjects.isin(known)]
    if len(lacking) or not known.is_unique:
        what = f"does not name {quoted(lacking, 5)}" if len(lacking) else "names a subject twice"
        raise LMMError(f"plots.growth_curves: by {what}: give each subject of Y one value.")
    values = pd.Series(by).loc[subjects]
    kinds = values.astype("category").cat.remove_unused_categories()
    if values.isna().any() or len(kinds.cat.categories) > len(_STYLES):
        raise LMMError(
            f"plots.growth_curves: by has {counted(len(kinds.cat.categories), 'value')}"
            f"{' and some that are missing' if values.isna().any() else ''}; at most {len(_STYLES)} kinds of curves, "
            "none missing, can be told apart in one panel."
        )
    return kinds.cat.codes.to_numpy().astype(int), tuple(map(str, kinds.cat.categories))


def _places(occasions: pd.Index) -> tuple[np.ndarray, tuple[str, ...]]:
    """Where occasions stand: at their times where they are numbers, else evenly, with their names."""
    try:
        return np.array([float(label) for label in occasions]), ()
    except (TypeError, ValueError):
        return np.arange(len(occasions), dtype=float), tuple(map(str, occasions))


def _describe(data: PlotData) -> Description:
    facts, labels, names = data.facts, data.labels, data.facts["names"]
    key = ""
    if len(names) > 1:
        told = [f"{visible(name)} {_WORDS[k]}" for k, name in enumerate(names)]
        key = f" {listed(told)}."
    subjects = counted(facts["subjects"], "subject")
    what = "Expected" if not facts["conditional"] else "Conditional expectation of"
    curves = f"one for each of {subjects}" if facts["curves"] == facts["subjects"] else (
        f"{counted(facts['curves'], 'curve')} for {subjects}")  # fmt: skip
    parts = [f"{visible(names[k]) or 'all'}: {spread(part['y'])}" for k, part in data.table.groupby("kind")]
    return Description(
        caption=f"{what} {labels['y']} against {labels['x']}, {curves}.{key} The axes span observations and "
        "least-squares curves.",
        label="fig-growth-curves",
        alt=f"Curves of {labels['y']} over {labels['x']}, {curves}. {'; '.join(parts)}.{key}",
        size=(5.2, 3.8),
    )


@plot(_extract, _describe)
def growth_curves(data: PlotData, ax: Any) -> Any:
    """The curves that a growth curve model has for its subjects, joined from occasion to occasion.

    Curves are GBX', or with random coefficients the conditional expectations given the observations. The upright axis
    spans all observations and the subjects' least-squares curves, so that models of the same data and X can be held
    beside one another.

    Parameters
    ----------
    fit : GmanovaFit
    by : Series or Mapping, optional
        Of each subject what it is, at most four kinds: solid, dashed, dotted, dashed and dotted, in the order of a
        factor's levels, of texts in that of the alphabet.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If `by` does not say of each subject what it is, or there are more kinds than can be told apart.
    ModelError
        If `fit` is no growth curve model.
    """
    facts = data.facts
    few = facts["curves"] <= _FEW
    for k, name in enumerate(facts["names"]):
        color, dashes = _STYLES[k]
        shown = shortened(name) or "_"
        for _, part in data.table[data.table["kind"] == k].groupby("curve"):
            ax.plot(part["x"], part["y"], color=color, linestyle=dashes, linewidth=2.0 if few else 1.0, label=shown)
            shown = "_"
    low, high = facts["ends"]
    ax.set_ylim(low - _MARGIN * (high - low or 1.0), high + _MARGIN * (high - low or 1.0))
    at = np.unique(data.table["x"])
    if facts["ticks"]:
        ax.set_xticks(at, [shortened(tick) for tick in facts["ticks"]], parse_math=False)
    elif len(at) <= 8:
        ax.set_xticks(at, [f"{x:g}" for x in at])
    ax.set_xlabel(data.labels["x"], parse_math=False)
    ax.set_ylabel(data.labels["y"], parse_math=False)
    if len(facts["names"]) > 1:
        legend_above(ax, len(facts["names"]))
    return ax
