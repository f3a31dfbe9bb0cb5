"""Groups side by side in panels: observations, the model's lines, and each group's own least-squares line."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, nearest, quoted, spread, visible, with_unit
from lmmtools.plots.drawing import PlotData, plot
from lmmtools.plots.groups import draw_panels
from lmmtools.plots.lines import (
    HELD,
    chosen_groups,
    held_lines,
    home_of,
    is_function,
    is_held,
    least_squares,
    needed_covariate,
)
from lmmtools.plots.trellis import columns_for

__all__ = ["trellis"]

# Panels on one figure; up to the second number all groups are shown unasked, else the third number of them.
_MOST, _ALL, _SOME = 60, 30, 20
_LINES = {
    "fitted": "solid lines: fitted values, random effects included",
    "population": "dotted: the same without random effects",
    "separate": "dashed: each group's own least-squares line, from its rows alone",
}
_ORDERS = ("level", "given", "size", "mean")


def _extract(
    fit: Any,
    factor: str | None = None,
    covariate: str | None = None,
    groups: Any = None,
    seed: int = 0,
    order: str = "level",
    lines: Any = ("fitted", "population"),
) -> PlotData:
    design, home = fit.design, home_of(fit, factor)
    lines = _lines(lines)
    name, x = needed_covariate(fit, home, covariate, "plots.trellis")
    codes, said = _chosen(home, groups, seed)
    codes = _ordered(fit, home, codes, order)
    panel = np.full(len(home.levels), -1)
    panel[codes] = np.arange(len(codes))
    table = pd.DataFrame({"panel": panel[home.codes], "level": home.levels[home.codes].astype(str), "x": x})
    held = held_lines(fit, home, name)
    table = table.assign(y=design.y, fitted=held["fitted"], population=held["population"])
    if "separate" in lines:
        table["separate"] = least_squares(home.codes, x, design.y, design.weights)
    table = table[table["panel"] >= 0].sort_values(["panel", "x"], kind="stable", ignore_index=True)
    labels = {"x": with_unit(name, design.units.get(name)),
              "y": with_unit(fit.response, design.units.get(fit.response)), "factor": visible(home.factor)}  # fmt: skip
    straight = is_function(table, "fitted")
    facts = {"groups": len(home.levels), "shown": len(codes), "said": said, "random": bool(design.terms), "x": True,
             "fitted": "fitted" in lines, "separate": "separate" in lines, "lines": straight or "fitted" not in lines,
             "held": is_held(fit, held),
             "population": "population" in lines and bool(design.terms) and is_function(table, "population"),
             "order": "" if order in ("level", "given") else order}  # fmt: skip
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _lines(asked: Any) -> tuple[str, ...]:
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    for name in names:
        if name not in _LINES:
            known = ", ".join(map(repr, _LINES))
            raise LMMError(f"plots.trellis: there are no lines {name!r}{nearest(str(name), _LINES)}; use {known}.")
    return names


def _chosen(home: Any, groups: Any, seed: int) -> tuple[np.ndarray, str]:
    """Codes of the groups shown, and how they were chosen."""
    levels = len(home.levels)
    if groups is None and levels > _ALL:
        groups = _SOME
    if groups is None or (isinstance(groups, str) and groups == "all" and "all" not in set(home.levels)):
        codes, how = np.arange(levels), ""
    else:
        codes, how = chosen_groups(home, groups, seed, "plots.trellis")
    if len(codes) > _MOST:
        raise LMMError(
            f"plots.trellis: {counted(len(codes), 'group')} of `{home.factor}` are asked for, and {_MOST} panels are "
            "the most that can be read on one figure: name fewer, or ask for a number of them, drawn at random by seed."
        )
    return codes, (how or "as named") if len(codes) < levels else ""


def _ordered(fit: Any, home: Any, codes: np.ndarray, order: str) -> np.ndarray:
    """The groups as asked: by level, as given, by size, by mean of the response, or by a random effect."""
    effects = fit.ranef.get(home.factor, pd.DataFrame()) if fit.design.terms else pd.DataFrame()
    if order == "given":
        return codes
    if order == "level":
        return np.sort(codes)
    rows = np.bincount(home.codes, minlength=len(home.levels))
    if order == "size":
        by = -rows
    elif order == "mean":
        by = np.bincount(home.codes, fit.design.y, len(home.levels)) / np.maximum(rows, 1)
    elif order in effects:
        by = effects[order].to_numpy()
    else:
        known = [*_ORDERS, *effects]
        raise LMMError(f"plots.trellis: groups have no order {order!r}{nearest(str(order), known)}; use one of "
                       f"{quoted(known)}.")  # fmt: skip
    return codes[np.argsort(by[codes], kind="stable")]


def _describe(data: PlotData) -> Description:
    facts, labels = data.facts, data.labels
    n = facts["shown"]
    which = f"{n} of {counted(facts['groups'], 'group')}" if n < facts["groups"] else counted(n, "group")
    drawn = [_LINES[name] for name in ("fitted", "population", "separate") if facts[name]]
    if facts["fitted"] and not facts["lines"]:
        drawn[0] = drawn[0].replace("solid lines", "crosses")
    if not facts["random"] and facts["fitted"]:
        drawn[0] = drawn[0].replace(", random effects included", "")
    held = HELD if facts["held"] and facts["fitted"] else ""
    chosen = f" Shown are {which}, {facts['said']}." if facts["said"] else ""
    by = {"": "", "size": ", largest first", "mean": f", in order of mean {labels['y']}"}
    order = by.get(facts["order"], f", in order of the conditional mode of {visible(facts['order'])}")
    fitted = f"; fitted values from {spread(data.table['fitted'])}" if facts["fitted"] else ""
    own = _own_said(data.table) if facts["separate"] else ""
    return Description(
        caption=f"{labels['y']} against {labels['x']} by {labels['factor']}{order}.{_sentence(drawn)}{held}{chosen}",
        label="fig-trellis",
        alt=f"{labels['y']} against {labels['x']}, a panel for each of {which} of {labels['factor']}: "
        f"{counted(len(data.table), 'observation')} from {spread(data.table['y'])}{fitted}"
        f"{'; ' + listed(_short(facts)) if drawn else ''}.{own}",
        size=(6.6, 0.9 + 1.15 * -(-n // columns_for(n))),
    )


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _short(facts: Any) -> list[str]:
    names = {"fitted": "the model's line", "population": "the population's", "separate": "the group's own"}
    return [word for name, word in names.items() if facts[name]]


def _own_said(table: pd.DataFrame) -> str:
    without = int(table.groupby("panel")["separate"].apply(lambda own: own.isna().all()).sum())
    return f" {counted(without, 'group')} without a least-squares line." if without else ""


@plot(_extract, _describe)
def trellis(data: PlotData, ax: Any) -> Any:
    """A panel a group over a covariate: observations, fitted and population lines, separate least-squares lines.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        The grouping factor; when left out, the first whose levels have three rows or more on average.
    covariate : str, optional
        What lines run along; when left out, the first number that varies within groups, random slopes first.
    groups : levels, int or "all", optional
        The groups by name, or how many are drawn at random; all of up to 30, else 20 at random, when left out.
    seed : int
        Of groups drawn at random.
    order : str
        ``"level"``, ``"given"``, ``"size"``, ``"mean"`` (of the response), or the name of a random effect.
    lines : str or tuple of str
        Of ``"fitted"``, ``"population"`` and ``"separate"``: each group's own least-squares line (with the fit's
        weights).
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If a factor, covariate, group, order or line is unknown, more than 60 panels are asked for, or no number
        varies within groups.

    Notes
    -----
    Where other parts of the model vary within groups, lines are drawn with these at their mean within the group.
    """
    return draw_panels(data, ax)
