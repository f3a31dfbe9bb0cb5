"""Pairs of random effects: conditional modes beside the fitted normal distribution of the effects."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, shown, visible
from lmmtools.groupwise import Shrinkage
from lmmtools.groupwise import shrinkage as shrinkage_of
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, normal_quantiles, panels, plot, points, qq

__all__ = ["PROBABILITIES", "ellipse", "ranef_pairs", "taken"]

#: Probabilities that the fitted distribution gives to the ellipses drawn.
PROBABILITIES = (0.5, 0.95)

_MOST_EFFECTS, _MOST_BINS, _CORNERS = 4, 30, 120
_DIAGONALS = ("histogram", "qq")


def ellipse(covariance: np.ndarray, probability: float, centre: Any = (0.0, 0.0)) -> np.ndarray:
    """Corners, shape (k, 2), of the ellipse that holds so much of a normal distribution; a line where it is singular.

    Of the squared distance x'Σ⁻¹x, χ² with two degrees of freedom, the quantile is −2 log(1 − probability).
    """
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, _CORNERS)
    circle = np.sqrt(-2.0 * np.log1p(-probability)) * np.vstack([np.cos(angle), np.sin(angle)])
    return (vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * circle)).T + np.asarray(centre)


def taken(given: Any, factor: str | None) -> Shrinkage:
    """What `shrinkage` found, or finds of a fit.

    Raises
    ------
    LMMError
        If a factor is asked for that is not the one it was found for.
    """
    if not isinstance(given, Shrinkage):
        return shrinkage_of(given, factor)
    if factor not in (None, given.factor):
        raise LMMError(f"this shrinkage is of `{given.factor}`; for `{factor}` pass the fit.")
    return given


def _extract(fit: Any, factor: str | None = None, diagonal: str = "histogram") -> PlotData:
    if diagonal not in _DIAGONALS:
        known = " or ".join(map(repr, _DIAGONALS))
        raise LMMError(f"plots.ranef_pairs: diagonal={diagonal!r} is unknown; use {known}.")
    s = taken(fit, factor)
    shown_effects = s.effects[:_MOST_EFFECTS]
    k = len(shown_effects)
    modes, covariance = s.mode[:, :k], s.covariance[:k, :k]
    table = pd.DataFrame(modes, columns=list(shown_effects))
    table.insert(0, "level", s.columns.levels.astype(str))
    ends = [_limits(modes[:, i], covariance[i, i]) for i in range(k)]
    variances = np.diagonal(covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(variances > 0, np.mean(modes**2, axis=0) / variances, np.nan)
    facts = {
        "factor": visible(s.factor), "levels": len(modes), "effects": tuple(map(visible, shown_effects)),
        "all": len(s.effects), "diagonal": diagonal, "limits": tuple(ends), "kept": tuple(kept),
        "pairs": tuple(_pair(modes, covariance, i, j) for i in range(k) for j in range(i)),
        "own": tuple(_margin(modes[:, i], covariance[i, i], ends[i], diagonal) for i in range(k)),
    }  # fmt: skip
    return PlotData(table, MappingProxyType(dict(enumerate(s.headings))), MappingProxyType(facts))


def _limits(values: np.ndarray, variance: float) -> tuple[float, float]:
    """Room for the modes and for 99 % of the fitted distribution."""
    half = max(float(np.abs(values).max()), 2.6 * float(np.sqrt(variance)))
    return (-1.05 * half, 1.05 * half) if half > 0 else (-1.0, 1.0)


def _pair(modes: np.ndarray, covariance: np.ndarray, i: int, j: int) -> dict[str, Any]:
    """Ellipses of two effects, the j-th across and the i-th upwards, how many modes they hold, and correlations."""
    both = covariance[np.ix_([j, i], [j, i])]
    sd = np.sqrt(np.diagonal(both))
    found: dict[str, Any] = {"row": i, "column": j, "ellipses": tuple(ellipse(both, p) for p in PROBABILITIES)}
    found["fitted"] = float(both[0, 1] / sd.prod()) if sd.all() else np.nan
    pair = modes[:, [j, i]]
    flat = np.ptp(pair, axis=0) <= 1e-9 * np.abs(pair).max(axis=0)
    found["modes"] = np.nan if flat.any() or len(pair) < 3 else float(np.corrcoef(pair.T)[0, 1])
    singular = not sd.all() or abs(found["fitted"]) > 1 - 1e-9
    distance = None if singular else np.einsum("jk,kl,jl->j", pair, np.linalg.inv(both), pair)
    found["inside"] = None if distance is None else int(np.sum(distance <= -2 * np.log1p(-PROBABILITIES[1])))
    return found


def _margin(values: np.ndarray, variance: float, ends: tuple[float, float], diagonal: str) -> dict[str, Any]:
    """Histogram with the fitted density, or quantiles with the fitted line, of one effect's modes."""
    if diagonal == "qq":
        return {"quantiles": normal_quantiles(values)}
    bins = int(np.clip(np.sqrt(len(values)) * 1.6, 6, _MOST_BINS))
    heights, edges = np.histogram(values if variance > 0 else [], bins=bins, range=ends, density=variance > 0)
    at = np.linspace(*ends, 200)
    density = np.exp(-0.5 * at**2 / variance) / np.sqrt(2 * np.pi * variance) if variance > 0 else None
    return {"heights": heights, "edges": edges, "at": at, "density": density}


def _describe(data: PlotData) -> Description:
    facts = data.facts
    k, levels = len(facts["effects"]), counted(facts["levels"], "level")
    some = f" Shown are the first {k} of {facts['all']} effects." if k < facts["all"] else ""
    said = [
        f"{facts['effects'][p['row']]} against {facts['effects'][p['column']]}: fitted correlation "
        + ("not defined, a variance is zero" if np.isnan(p["fitted"]) else shown(p["fitted"], 2))
        + ("" if p["inside"] is None else f", {p['inside']} of {levels} within the 95 % ellipse")
        for p in facts["pairs"]
    ]
    kept = [
        f"{name}, estimated as zero, nothing" if np.isnan(share) else f"{name} {100 * share:.0f} %"
        for name, share in zip(facts["effects"], facts["kept"], strict=True)
    ]
    own = "a histogram, and dashed the fitted density" if facts["diagonal"] == "histogram" else "normal quantile plots"
    one = "Histogram" if facts["diagonal"] == "histogram" else "Normal quantile plot"
    kind = "Scatter plot matrix" if k > 1 else one
    pairs = " Ellipses hold 50 and 95 % of the fitted distribution of the effects." if k > 1 else ""
    between = f"; on the diagonal {own}" if k > 1 else f": {own}"
    return Description(
        caption=f"Conditional modes of {levels} of {facts['factor']}{between}.{pairs} Modes are drawn towards zero and "
        f"spread less than the effects: of their fitted variance the modes have {listed(kept)}.{some}",
        label="fig-ranef-pairs",
        alt=f"{kind} of the conditional modes of {listed(facts['effects'])}, {levels} of "
        f"{facts['factor']}. " + ("; ".join(said) + ". " if said else "")
        + f"Mean squares of the modes over the fitted variances: {listed(kept)}.",
        size=(4.4, 3.0) if k == 1 else (min(6.8, 1.0 + 2.1 * k), min(6.8, 0.8 + 1.9 * k)),
    )  # fmt: skip


@plot(_extract, _describe)
def ranef_pairs(data: PlotData, ax: Any) -> Any:
    """Scatter plot matrix of the conditional modes of one factor, with the fitted ellipses of their effects.

    Parameters
    ----------
    fit : LMMFit or Shrinkage
    ax : matplotlib Axes, optional
        Where the panels go.
    factor : str, optional
        A grouping factor. By default the one of most effects a level, of which the first four are shown.
    diagonal : {"histogram", "qq"}

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If the fit has no random effects.
    LMMError
        If it has no grouping factor of that name, or `diagonal` is unknown.
    """
    k = len(data.facts["effects"])
    axes = np.array(panels(ax, k, k), dtype=object).reshape(k, k)
    total = len(data.table) * k * (k - 1) // 2
    for i, own in enumerate(data.facts["own"]):
        _draw_margin(axes[i, i], own, data.facts["limits"][i])
    for pair in data.facts["pairs"]:
        i, j = pair["row"], pair["column"]
        _draw_pair(axes[i, j], data, pair, total)
        _write(axes[j, i], pair)
    _label(axes, data)
    return ax if k == 1 else ax.figure


def _draw_pair(ax: Any, data: PlotData, pair: dict[str, Any], total: int) -> None:
    x, y = (data.table.iloc[:, 1 + pair[name]] for name in ("column", "row"))
    ax.axhline(0, color=INK, linewidth=0.5, alpha=0.4)
    ax.axvline(0, color=INK, linewidth=0.5, alpha=0.4)
    points(ax, x, y, total, markersize=3.2 if total <= 3000 else 2.0)
    for corners, style in zip(pair["ellipses"], (":", "--"), strict=True):
        ax.plot(*corners.T, color=VERMILLION, linestyle=style, linewidth=1.2, zorder=4)
    ax.set(xlim=data.facts["limits"][pair["column"]], ylim=data.facts["limits"][pair["row"]])


def _draw_margin(ax: Any, own: dict[str, Any], ends: tuple[float, float]) -> None:
    if "quantiles" in own:
        qq(ax, own["quantiles"])
        return
    edges = own["edges"]
    if own["density"] is None:
        ax.text(0.5, 0.5, "variance zero", ha="center", va="center", transform=ax.transAxes, fontsize=8.5)
    ax.bar(edges[:-1], own["heights"], np.diff(edges), align="edge", color=BLUE, alpha=0.45, linewidth=0)
    if own["density"] is not None:
        ax.plot(own["at"], own["density"], color=VERMILLION, linestyle="--", linewidth=1.2)
    ax.set(xlim=ends, yticks=[])
    ax.spines["left"].set_visible(False)


def _write(ax: Any, pair: dict[str, Any]) -> None:
    """Correlations, in the place across the diagonal."""
    ax.set_axis_off()
    lines = [
        "no fitted correlation" if np.isnan(pair["fitted"]) else f"fitted r = {shown(pair['fitted'], 2)}",
        "" if np.isnan(pair["modes"]) else f"modes r = {shown(pair['modes'], 2)}",
    ]
    ax.text(0.5, 0.5, "\n".join(lines), ha="center", va="center", transform=ax.transAxes, fontsize=8.5)


def _label(axes: np.ndarray, data: PlotData) -> None:
    """Names along the left and the bottom; ticks of inner panels without numbers."""
    k, labels = len(axes), data.labels
    quantiles = data.facts["diagonal"] == "qq"
    for i in range(k):
        for j in range(i + 1):
            here = axes[i, j]
            here.locator_params(nbins=5)
            own = i == j
            if i == k - 1 or (own and quantiles):
                here.set_xlabel("Normal quantile" if own and quantiles else shortened(labels[j], 34))
            else:
                here.tick_params(labelbottom=False)
            if (j == 0 and not own) or (own and quantiles):
                here.set_ylabel(shortened(labels[i], 34))
            elif not own:
                here.tick_params(labelleft=False)
    if not quantiles:
        axes[0, 0].set_ylabel("Density" if k == 1 else shortened(labels[0], 34))
