"""Empirical and fitted covariances of occasions side by side: correlations, differences, standard deviations."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.dependence import CovarianceMatch
from lmmtools.dependence import covariance_match as _covariance_match
from lmmtools.figures import Description
from lmmtools.formats import MINUS, counted, shortened, shown, spread, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, panels, plot, points, rgb

__all__ = ["covariance_match"]

# Up to this many occasions each cell has its number, and up to the second each occasion its name.
_NUMBERS, _NAMED = 12, 14
# Colours end here: a number is read on them, on a light page and on a dark one.
_STRONGEST = 0.62
_FAR = 2.0


def _extract(fit: Any, **kw: Any) -> PlotData:
    found = fit if isinstance(fit, CovarianceMatch) else _covariance_match(fit, **kw)
    facts = {name: found.matrix(name).to_numpy() for name in ("empirical_cor", "fitted_cor", "z", "groups")}
    facts |= {f"sd_{name}": np.sqrt(np.diagonal(found.matrix(name).to_numpy())) for name in ("empirical", "fitted")}
    facts |= {"names": found.occasions, "group": found.group, "response": found.response,
              "scale": with_unit("Standard deviation", found.scale),
              "axis": with_unit(found.variable, found.unit)}  # fmt: skip
    return PlotData(pd.DataFrame(found), facts=MappingProxyType(facts))


def _describe(data: PlotData) -> Description:
    facts, table = data.facts, data.table
    names = facts["names"]
    off = table[table["first"] != table["second"]]
    far = table[table["z"].abs() > _FAR]
    worst = table.loc[table["z"].abs().idxmax()]
    never = int((table["groups"] == 0).sum())
    gone = [f"Dots: {counted(never, 'pair')} never seen together."] if never else []
    mark = "" if len(names) <= _NUMBERS else f" Signs: beyond {_FAR:g}."
    pair = f"{visible(worst['first'])} and {visible(worst['second'])}"
    cor = "" if off.empty else (f" Empirical correlations from {spread(off['empirical_cor'].dropna())}, fitted from "
                                f"{spread(off['fitted_cor'].dropna())}.")  # fmt: skip
    return Description(
        caption=f"Empirical and fitted correlations of marginal residuals of {visible(facts['response'])} by occasion "
        f"of {facts['axis']}; differences of the covariances (of the variances on the diagonal) in standard errors; "
        "standard deviations, filled empirical, open fitted. Blue is positive, vermillion negative, the stronger the "
        f"further from zero.{mark}" + "".join(f" {sentence}" for sentence in gone),
        label="fig-covariance-match",
        alt=f"Four panels over {counted(len(names), 'occasion')}.{cor} Of {counted(len(table), 'difference')} "
        f"{len(far)} {'is' if len(far) == 1 else 'are'} beyond {_FAR:g} standard errors, the largest "
        f"{shown(worst['z'])} for {pair}. Standard deviations: empirical {spread(facts['sd_empirical'])}, fitted "
        f"{spread(facts['sd_fitted'])}.",
        size=(6.4, 5.4 if len(names) <= 5 else 6.4),
    )


@plot(_extract, _describe)
def covariance_match(data: PlotData, ax: Any) -> Any:
    """Empirical against fitted correlations and covariances of occasions that groups have in common.

    Parameters
    ----------
    fit : LMMFit or CovarianceMatch
        A fit, with the arguments of `lmmtools.covariance_match`, or what that returns.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Figure
    """
    facts = data.facts
    axes = panels(ax, 2, 2)
    _heat(axes[0], facts["empirical_cor"], facts, "Empirical correlation", diagonal=False)
    _heat(axes[1], facts["fitted_cor"], facts, "Fitted correlation", diagonal=False)
    _heat(axes[2], facts["z"], facts, "Difference in standard errors", diagonal=True)
    _deviations(axes[3], facts)
    return ax.figure


def _heat(ax: Any, values: np.ndarray, facts: Any, title: str, *, diagonal: bool) -> None:
    """A coloured cell for each pair of occasions, as transparency, with its number where there is room."""
    occasions = len(values)
    full = 3.0 if diagonal else 1.0
    share = np.clip(np.abs(np.nan_to_num(values)) / full, 0.0, 1.0)
    pixels = np.zeros((occasions, occasions, 4))
    for color, sign in ((BLUE, 1.0), (VERMILLION, -1.0)):
        pixels[sign * np.nan_to_num(values) > 0, :3] = rgb(color)
    pixels[..., 3] = _STRONGEST * share
    zoom = max(1, 480 // occasions)
    ax.imshow(pixels.repeat(zoom, axis=0).repeat(zoom, axis=1), extent=(-0.5, occasions - 0.5, occasions - 0.5, -0.5),
              interpolation="nearest")  # fmt: skip
    size = 8.0 if occasions <= 6 else 6.8 if occasions <= 8 else 6.0
    for i in range(occasions):
        for j in range(occasions):
            text = _cell(values[i, j], occasions, diagonal=diagonal, same=i == j)
            if text:
                ax.text(j, i, text, ha="center", va="center", fontsize=size, color=INK)
    ax.set_title(title, loc="left", fontsize=9.5)
    stride = 1 if occasions <= _NAMED else -(-occasions // _NAMED)
    ticks, names = range(0, occasions, stride), [shortened(name, 10) for name in facts["names"]]
    turned = max(map(len, names)) * occasions > 30
    ax.set_xticks(ticks, names[::stride], rotation=90 if turned else 0, parse_math=False, fontsize=8)
    ax.set_yticks(ticks, names[::stride], parse_math=False, fontsize=8)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _cell(value: float, occasions: int, *, diagonal: bool, same: bool) -> str:
    if np.isnan(value):
        return "·"
    if same and not diagonal:
        return ""
    if occasions > _NUMBERS:
        beyond = abs(value) > _FAR if diagonal else value < 0
        return ("+" if value > 0 else MINUS) if beyond else ""
    text = f"{abs(value):.1f}" if diagonal else f"{abs(value):.2f}".removeprefix("0" if occasions > 8 else "")
    negative = value < 0 and float(text) != 0.0
    return f"{MINUS}{text}" if negative else text


def _deviations(ax: Any, facts: Any) -> None:
    x = np.arange(len(facts["names"]))
    ax.plot(x, facts["sd_fitted"], color=VERMILLION, linewidth=1.0, linestyle="--", marker="s", markersize=5.5,
            markerfacecolor="none", markeredgewidth=1.0)  # fmt: skip
    points(ax, x, facts["sd_empirical"], alpha=1.0, markersize=4.2)
    stride = 1 if len(x) <= _NAMED else -(-len(x) // _NAMED)
    names = [shortened(name, 10) for name in facts["names"]][::stride]
    turned = max(map(len, names)) * len(x) > 30
    ax.set_xticks(x[::stride], names, rotation=90 if turned else 0, parse_math=False, fontsize=8)
    ax.set_ylim(0.0, 1.1 * float(np.nanmax([facts["sd_empirical"], facts["sd_fitted"]])))
    ax.set_xlim(-0.5, len(x) - 0.5)
    ax.set_title(shortened(facts["scale"], 40), loc="left", fontsize=9.5, parse_math=False)
    ax.set_xlabel(shortened(facts["axis"], 40), parse_math=False)
