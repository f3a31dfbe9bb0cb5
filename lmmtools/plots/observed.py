"""Observed against fitted values, with and without the random effects."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shown, spread, with_unit
from lmmtools.plots.drawing import INK, PlotData, panels, plot, points

__all__ = ["observed_fitted"]

_TITLES = {"conditional": "Random effects included", "marginal": "Without random effects"}


def _extract(fit: Any) -> PlotData:
    unit = fit.design.units.get(fit.response)
    table = pd.DataFrame({"observed": fit.design.y, "marginal": fit.predict(random=False).to_numpy()})
    if fit.design.terms:
        table["conditional"] = fit.fitted.to_numpy()
    kinds = tuple(kind for kind in _TITLES if kind in table)
    facts = {"kinds": kinds, "cor": {kind: _correlation(table["observed"], table[kind]) for kind in kinds},
             "rms": {kind: float(np.sqrt(np.mean((table["observed"] - table[kind]) ** 2))) for kind in kinds},
             "unit": unit or ""}  # fmt: skip
    labels = {"x": with_unit(f"Fitted {fit.response}", unit), "y": with_unit(f"Observed {fit.response}", unit)}
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _correlation(a: pd.Series, b: pd.Series) -> float:
    """The correlation; NaN where fitted values are all equal."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if float(np.abs(b).max()) > 1e-10 * float(np.abs(a).max()) else np.nan


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    unit = f" {facts['unit']}" if facts["unit"] else ""
    said = [_said(kind, facts, unit) for kind in facts["kinds"]]
    which = "with the random effects (left) and without them (right)" if len(said) > 1 else "of the fixed part"
    return Description(
        caption=f"Observed against fitted values, {which}, {counted(len(table), 'observation')}. Dashed: where the two "
        "are equal.",
        label="fig-observed-fitted",
        alt=f"Observed values from {spread(table['observed'])} against fitted ones: {listed(said)}.",
        size=(6.4, 3.4) if len(said) > 1 else (4.2, 3.8),
    )


def _said(kind: str, facts: Any, unit: str) -> str:
    cor = facts["cor"][kind]
    how = "all fitted values equal" if np.isnan(cor) else f"correlation {cor:.3f}".replace("-", "\N{MINUS SIGN}")
    return f"{kind}, {how}, root mean square difference {shown(facts['rms'][kind])}{unit}"


@plot(_extract, _describe)
def observed_fitted(data: PlotData, ax: Any) -> Any:
    """Observed against fitted values: conditional on the random effects, and marginal.

    Parameters
    ----------
    fit : LMMFit
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are two panels

    Notes
    -----
    The conditional values follow the response that they are compared with, through the conditional modes: points near
    the line do not show that new ones would be.
    """
    table, kinds = data.table, data.facts["kinds"]
    axes = panels(ax, 1, len(kinds), sharex=True, sharey=True)
    ends = [float(table.min().min()), float(table.max().max())]
    for here, kind in zip(axes, kinds, strict=True):
        points(here, table[kind], table["observed"], total=len(kinds) * len(table))
        here.plot(ends, ends, color=INK, linewidth=0.9, linestyle="--")  # over the points, of which there may be many
        here.set_xlabel(data.labels["x"], parse_math=False)
        if len(kinds) > 1:
            here.set_title(_TITLES[kind], loc="left")
    axes[0].set_ylabel(data.labels["y"], parse_math=False)
    return ax if len(kinds) == 1 else ax.figure
