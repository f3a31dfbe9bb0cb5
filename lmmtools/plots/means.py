"""Marginal means, or slopes by group, with their intervals."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, shown, visible, with_unit
from lmmtools.inference.means import MarginalMeans
from lmmtools.plots.drawing import BLUE, INK, PlotData, plot, tiles

__all__ = ["marginal_means"]

_WIDTH, _ROW, _AROUND = 6.4, 0.2, 0.6
_COLUMNS, _TALLEST, _MOST_ROWS = 3, 8.4, 36


def _extract(means: Any) -> PlotData:
    if not isinstance(means, MarginalMeans):
        raise ModelError(f"plots.marginal_means: takes what marginal_means returns; got {type(means).__name__}.")
    rows = means.rows
    table = pd.DataFrame(means)
    labels, within = _labels(table, rows.specs), _labels(table, rows.by, "{} = {}")
    names, blocks = list(dict.fromkeys(labels)), list(dict.fromkeys(within))
    shown_names = names[:_MOST_ROWS]
    columns = min(len(blocks), _COLUMNS)
    most = columns * max(int(_TALLEST / _height(len(shown_names))), 1)
    table = table[["estimate", "ci_low", "ci_high"]].assign(
        row=[names.index(label) for label in labels], panel=[blocks.index(block) for block in within]
    )
    facts = {
        "names": tuple(shown_names), "of_names": len(names), "panels": tuple(blocks[:most]), "of_panels": len(blocks),
        "level": rows.level, "what": rows.what, "slopes": rows.trend is not None,
        "specs": rows.specs, "by": rows.by,
    }  # fmt: skip
    response = rows.fit.response
    label = response if rows.trend is None else f"Slope of {response} in {rows.trend}"
    table = table[(table["row"] < len(shown_names)) & (table["panel"] < most)]
    return PlotData(table, MappingProxyType({"x": with_unit(label, rows.unit)}), MappingProxyType(facts))


def _labels(table: pd.DataFrame, names: tuple[str, ...], named: str = "") -> list[str]:
    """Levels side by side, numbers with the name of what they are."""
    parts = []
    for name in names:
        values = table[name].tolist()
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        form = named or ("{} {}" if numeric else "{1}")
        parts.append([form.format(name, f"{value:g}" if isinstance(value, float) else value) for value in values])
    return [", ".join(part) for part in zip(*parts, strict=True)] if parts else [""] * len(table)


def _height(rows: int) -> float:
    """Inches for a panel with its title."""
    return _AROUND + _ROW * rows


def _describe(data: PlotData) -> Description:
    facts, percent = data.facts, f"{100 * data.facts['level']:g} %"
    what = facts["what"][:1].upper() + facts["what"][1:]
    by = f" by {listed(map(visible, facts['specs']))}" if facts["specs"] else ""
    each = "combination" if len(facts["by"]) > 1 else "level"
    within = f", a panel for each {each} of {listed(map(visible, facts['by']))}" if facts["by"] else ""
    cut = [
        f"The first {len(facts[some])} of {facts[of]} {word} are shown."
        for some, of, word in (("names", "of_names", "levels"), ("panels", "of_panels", "panels"))
        if facts[of] > len(facts[some])
    ]
    lost = int(data.table["estimate"].isna().sum())
    gone = [f"{counted(lost, 'combination')} cannot be estimated."] if lost else []
    zero = ["Dashed: no slope."] if facts["slopes"] else []
    said = [_said(name, part, facts["names"]) for (_, part), name in zip(data.table.groupby("panel"), facts["panels"],
                                                                         strict=True)]  # fmt: skip
    rows = -(-len(facts["panels"]) // _COLUMNS)
    return Description(
        caption=" ".join([f"{what}{by}{within}, each with its {percent} interval.", *zero, *gone, *cut]),
        label="fig-means",
        alt=f"{what}{by} with {percent} intervals. {'; '.join(said)}.",
        size=(_WIDTH, 0.35 + rows * _height(len(facts["names"]))),
    )


def _said(block: str, part: pd.DataFrame, names: tuple[str, ...]) -> str:
    each = [
        f"{visible(names[row.row]) or 'overall'} cannot be estimated"
        if np.isnan(row.estimate)
        else f"{visible(names[row.row]) or 'overall'} {shown(row.estimate)} ({shown(row.ci_low)} to "
        f"{shown(row.ci_high)})"
        for row in part.itertuples()
    ]
    return (f"{visible(block)}: " if block else "") + ", ".join(each)


@plot(_extract, _describe)
def marginal_means(data: PlotData, ax: Any) -> Any:
    """Marginal means, or slopes, with an interval for each, a panel for each combination of `by`.

    Parameters
    ----------
    means : MarginalMeans
        What `lmmtools.marginal_means` returns.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `means` is something else.
    """
    names, blocks = data.facts["names"], data.facts["panels"]
    columns = min(len(blocks), _COLUMNS)
    axes = tiles(ax, len(blocks), columns, sharey=True, sharex=True)
    for panel, part in data.table.groupby("panel"):
        here = axes[panel]
        known = part.dropna(subset=["estimate"])
        here.hlines(known["row"], known["ci_low"], known["ci_high"], color=BLUE, linewidth=1.1)
        here.plot(known["estimate"], known["row"], color=BLUE, marker="o", linestyle="none", markeredgewidth=0)
        for row in part.loc[part["estimate"].isna(), "row"]:
            here.text(0.5, row, "not estimable", transform=here.get_yaxis_transform(), va="center", ha="center",
                      fontsize="small", fontstyle="italic")  # fmt: skip
        if data.facts["slopes"]:
            here.axvline(0, color=INK, linewidth=0.7, linestyle="--", zorder=0)
        here.set_title(shortened(blocks[panel], 30), loc="left", parse_math=False)
        here.tick_params(axis="y", length=0)
        here.locator_params(axis="x", nbins=5)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for first in axes[::columns]:
        first.set_yticks(range(len(names)), [shortened(name, 24) for name in names], parse_math=False)
        first.set_ylabel(shortened(", ".join(data.facts["specs"]), 24), parse_math=False)
    for last in axes[-columns:]:
        last.set_xlabel(shortened(data.labels["x"], 96 // columns), parse_math=False)
        last.xaxis.set_tick_params(labelbottom=True)
    return ax if len(blocks) == 1 else ax.figure
