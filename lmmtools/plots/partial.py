"""Partial residuals against a covariate, with the fitted component and the curve that they follow."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.assumptions import PartialResiduals
from lmmtools.assumptions import partial_residuals as _partial_residuals
from lmmtools.assumptions.components import numeric_names
from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, format_value, listed, quoted, shown, spread, visible, with_unit
from lmmtools.plots.drawing import INK, VERMILLION, PlotData, plot, points, some_of

__all__ = ["partial_residuals"]

# Of more rows a random sample of so many is drawn; component and smooth are those of all rows.
_MOST_ROWS = 5000


def _extract(fit: Any, covariate: str = "", **kw: Any) -> PlotData:
    found = fit if isinstance(fit, PartialResiduals) else _partial_residuals(fit, covariate or _only(fit), **kw)
    table = pd.DataFrame(found)
    line = table.groupby("x")["component"].first()
    shown_rows = table.iloc[some_of(len(table), _MOST_ROWS)]
    facts = {
        "rows": len(table), "line": line, "smooth": found.smooth, "span": found.span, "averaged": found.averaged,
        "random": found.random, "covariate": found.covariate, "response": found.response,
        "gap": _gap(line, found.smooth), "unit": found.response_unit,
    }  # fmt: skip
    labels = {
        "x": with_unit(found.covariate, found.unit),
        "y": f"Partial residual of {with_unit(found.response, found.response_unit)}",
    }
    return PlotData(shown_rows.reset_index(drop=True), MappingProxyType(labels), MappingProxyType(facts))


def _only(fit: Any) -> str:
    """The covariate where there is one."""
    known = numeric_names(fit.design)
    if len(known) == 1:
        return known[0]
    if not known:
        raise LMMError("plots.partial_residuals: the fixed part has no number.")
    raise LMMError(
        f"plots.partial_residuals: name a covariate, as in covariate={known[0]!r}; the fixed part has {quoted(known)}."
    )


def _gap(line: pd.Series, smooth: pd.DataFrame) -> tuple[float, float]:
    """Where the smooth is furthest from the component, and how far."""
    apart = smooth["height"] - np.interp(smooth["x"], line.index, line.to_numpy())
    k = int(np.argmax(np.abs(apart)))
    return float(smooth["x"].iloc[k]), float(apart.iloc[k])


def _describe(data: PlotData) -> Description:
    facts, n = data.facts, len(data.table)
    rows = counted(n, "row")
    if n < facts["rows"]:
        rows = f"a random sample of {rows} of {format_value(facts['rows'], 'int')}"
    averaged = f", averaged over {listed(map(visible, facts['averaged']))}" if facts["averaged"] else ""
    effects = " and the random effects" if facts["random"] else ""
    at, gap = facts["gap"]
    return Description(
        caption=f"Partial residuals of {visible(facts['response'])} in {visible(facts['covariate'])}: the response "
        f"less the rest of the fixed part{effects}, {rows}. Dashed: the fitted component{averaged}. Solid: lines "
        f"fitted locally to {100 * facts['span']:.0f} % of all rows; where it leaves the dashed line, so may the "
        "truth.",
        label=f"fig-partial-{facts['covariate']}",
        alt=f"Scatter plot of {counted(n, 'partial residual')}, {spread(data.table['partial'])}, against "
        f"{visible(data.labels['x'])}, {spread(data.table['x'])}. The smooth is furthest from the fitted component, "
        f"{shown(abs(gap))} {'above' if gap > 0 else 'below'} it, at {shown(at)}.",
        size=(6.0, 3.6),
    )


@plot(_extract, _describe)
def partial_residuals(data: PlotData, ax: Any) -> Any:
    """Partial residuals with the fitted component and a smooth.

    Parameters
    ----------
    fit : LMMFit or PartialResiduals
        A fit, with the arguments of `lmmtools.partial_residuals`, or what that returns.
    ax : matplotlib Axes, optional
    covariate : str, optional
        A number of the fixed part; may be left out where there is one only.

    Returns
    -------
    Axes
    """
    facts = data.facts
    points(ax, data.table["x"], data.table["partial"], **_style(len(data.table)))
    ax.plot(facts["line"].index, facts["line"].to_numpy(), color=VERMILLION, linestyle="--", linewidth=1.6)
    ax.plot(facts["smooth"]["x"], facts["smooth"]["height"], color=INK, linewidth=1.3)
    ax.set(xlabel=visible(data.labels["x"]), ylabel=visible(data.labels["y"]))
    return ax


def _style(n: int) -> dict[str, Any]:
    """Lighter marks than elsewhere: the lines over them are what is read."""
    return {"alpha": 0.3, "markersize": 2.2} if n > 1500 else {"alpha": 0.65, "markersize": 3.4}
