"""What the plots share: the three-step form, axes and panels, marks, units and quantile plots."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError

__all__ = [
    "BLUE",
    "INK",
    "VERMILLION",
    "RASTER_ABOVE",
    "PlotData",
    "across",
    "evenly",
    "flat_limits",
    "legend_above",
    "normal_quantiles",
    "outside",
    "panels",
    "plot",
    "points",
    "qq",
    "ranked",
    "rgb",
    "some_of",
    "tiles",
]

# Okabe and Ito's blue and vermillion: apart for every common colour blindness, and both clear of black and
# white. In grey they are told apart by marks and dashes.
BLUE, VERMILLION, INK = "#0072B2", "#D55E00", "#000000"

# Beyond this many marks the layer becomes a picture inside the SVG; axes and text stay lines and letters.
RASTER_ABOVE = 3000

# Beyond this many, marks of a scatter plot run into one blot.
_BLOT = 8000

# A band is drawn through this many points at most: as smooth as the eye can tell.
_MOST_CORNERS = 400


@dataclass(frozen=True, eq=False)
class PlotData:
    """The numbers of one plot.

    Attributes
    ----------
    table : DataFrame
        What is drawn, a row a mark.
    labels : Mapping[str, str]
        Axis labels and the like, with units.
    facts : Mapping[str, object]
        Counts and other values that drawing and words need.
    """

    table: pd.DataFrame
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def plot(extract: Callable[..., PlotData], describe: Callable[[PlotData], Any]) -> Callable:
    """Make a plot of a drawing function: it then takes a fit (or its extracted numbers) and an optional `ax`."""

    def decorate(draw: Callable[[PlotData, Any], None]) -> Callable:
        asked_for = _checked(extract, draw.__name__)

        @functools.wraps(draw)
        def plotted(fit: Any, *asked: Any, ax: Any = None, **kw: Any) -> Any:
            if asked and hasattr(asked[0], "get_subplotspec"):  # axes in second place, as matplotlib's own users write
                ax, *asked = asked
            data = fit if isinstance(fit, PlotData) else asked_for(fit, *asked, **kw)
            ax = _own_axes(describe(data).size) if ax is None else ax
            return draw(data, ax)

        plotted.extract, plotted.describe = asked_for, describe
        plotted.__signature__ = _signature(extract)
        return plotted

    return decorate


def _checked(extract: Callable[..., PlotData], name: str) -> Callable[..., PlotData]:
    """`extract`, with a sentence for arguments that it does not know and for what it cannot draw."""
    known = inspect.signature(extract)

    @functools.wraps(extract)
    def checked(*args: Any, **kw: Any) -> PlotData:
        try:
            known.bind(*args, **kw)
        except TypeError as error:
            rest = [key for key in list(known.parameters)[1:] if key != "kw"]
            raise TypeError(f"plots.{name}: {error}; it takes {', '.join([*rest, 'ax'])}.") from None
        try:
            return extract(*args, **kw)
        except AttributeError as error:  # of what was passed itself: it is not what is drawn here
            if args and error.obj is args[0]:
                first = next(iter(known.parameters))
                what = "a fit, as fit_lmm returns it" if first == "fit" else f"`{first}`; see its help"
                raise LMMError(f"plots.{name}: takes {what}; got {type(args[0]).__name__}.") from error
            raise

    return checked


def _signature(extract: Callable[..., PlotData]) -> inspect.Signature:
    """What is shown of a plot where arguments are looked up: those of `extract`, and the axes."""
    known = inspect.signature(extract)
    ax = inspect.Parameter("ax", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Any")
    before = [p for p in known.parameters.values() if p.kind != inspect.Parameter.VAR_KEYWORD]
    after = [p for p in known.parameters.values() if p.kind == inspect.Parameter.VAR_KEYWORD]
    return inspect.Signature([*before, ax, *after], return_annotation="Any")


def _own_axes(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained").subplots()


def panels(ax: Any, rows: int, columns: int, heights: Any = None, **share: Any) -> list[Any]:
    """Axes on a grid in the place of `ax`, which is blanked; `ax` itself when one is asked for."""
    if rows * columns == 1:
        return [ax]
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(rows, columns, height_ratios=heights)
    return list(np.ravel(grid.subplots(**share)))


def across(count: int) -> int:
    """How many of so many panels stand side by side: at most three, and four two by two."""
    return 2 if count == 4 else min(count, 3)


def tiles(ax: Any, count: int, columns: int, **share: Any) -> list[Any]:
    """So many axes, row by row in the place of `ax`; what is left of the last row is blank."""
    axes = panels(ax, -(-count // columns), columns, **share)
    for unused in axes[count:]:
        unused.set_axis_off()
    return axes[:count]


def ranked(values: Any) -> np.ndarray:
    """Places in rising order of values; those equal but for rounding keep theirs, so that no processor decides it."""
    values = np.asarray(values, dtype=float)
    size = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return np.argsort(np.round(values / size, 9), kind="stable")


def evenly(count: int, some: int) -> np.ndarray:
    """Places of `some` of `count` in a row, evenly spaced, both ends among them."""
    return np.linspace(0, count - 1, some).round().astype(int)


def some_of(count: int, most: int) -> np.ndarray:
    """Places of all, or of so many drawn at random, ascending: every k-th row may be of one time of measurement."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(1).choice(count, most, replace=False))  # the same picture every time


def rgb(color: str) -> tuple[float, ...]:
    """Shares of red, green and blue of ``"#rrggbb"``."""
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def legend_above(ax: Any, columns: int, *, faint: bool = False, wider: bool = False) -> None:
    """The marks' names above the axes, where they cover no data.

    Parameters
    ----------
    ax : matplotlib Axes
    columns : int
    faint : bool
        Whether marks are, of which one by itself would not be seen.
    wider : bool
        Whether it may be wider than its panel, whose width it must not change.
    """
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns)
    if faint:
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)
    if wider:
        legend.set_in_layout(False)
        ax.set_title(" ")


def points(ax: Any, x: Any, y: Any, total: int | None = None, **kw: Any) -> None:
    """Marks without lines; a picture when the figure has very many (`total`, or these)."""
    many = (len(x) if total is None else total) > RASTER_ABOVE
    style = {"marker": "o", "linestyle": "none", "color": BLUE, "markeredgewidth": 0, "rasterized": many}
    style |= {"markersize": 2.4, "alpha": 0.5} if many else {"alpha": 0.75 if len(x) > 300 else 1.0}
    if len(x) > _BLOT:  # the fainter the more there are, so that it is seen where most of them lie
        style |= {"markersize": 1.8, "alpha": max(0.06, 0.5 * _BLOT / len(x))}
    ax.plot(np.asarray(x), np.asarray(y), **(style | kw))


def normal_quantiles(values: np.ndarray, level: float = 0.95) -> pd.DataFrame:
    """Sample and normal quantiles with a pointwise band.

    Parameters
    ----------
    values : ndarray, shape (n,)
    level : float
        Coverage of the band, point by point.

    Returns
    -------
    DataFrame
        ``normal`` (Φ⁻¹ of Blom's (i − 3/8)/(n + 1/4)), ``sample`` (in order), ``line``, ``low`` and ``high``: mean +
        sd·z, z the quantiles of the i-th of n independent standard normal values, Φ⁻¹ of Beta(i, n + 1 − i).

    References
    ----------
    Blom (1958), Statistical estimates and transformed beta-variables; David & Nagaraja (2003), Order
    statistics, eq. 2.1.5.
    """
    from scipy.special import betaincinv, ndtri

    n = len(values)
    i = np.arange(1, n + 1)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1)) if n > 1 else 0.0
    tail = (1 - level) / 2
    normal = ndtri((i - 0.375) / (n + 0.25))
    return pd.DataFrame(
        {
            "normal": normal,
            "sample": np.sort(values),
            "line": mean + sd * normal,
            "low": mean + sd * ndtri(betaincinv(i, n + 1 - i, tail)),
            "high": mean + sd * ndtri(betaincinv(i, n + 1 - i, 1 - tail)),
        }
    )


def outside(table: pd.DataFrame) -> int:
    """Number of points outside the band; rounding aside, as when all are equal."""
    slack = 1e-9 * float(np.abs(table["sample"]).max())
    return int(((table["sample"] < table["low"] - slack) | (table["sample"] > table["high"] + slack)).sum())


def qq(ax: Any, table: pd.DataFrame, total: int | None = None) -> None:
    """A normal quantile plot of :func:`normal_quantiles`."""
    even = np.linspace(table["normal"].iloc[0], table["normal"].iloc[-1], _MOST_CORNERS)
    some = table.iloc[np.unique(np.searchsorted(table["normal"], even).clip(max=len(table) - 1))]
    ax.fill_between(some["normal"], some["low"], some["high"], color=INK, alpha=0.12, linewidth=0)
    ax.plot(some["normal"], some["line"], color=VERMILLION, linestyle="--", linewidth=1)
    points(ax, table["normal"], table["sample"], total)
    flat_limits(ax, table["sample"])


def flat_limits(ax: Any, values: Any) -> None:
    """Limits for values that are all equal, around which matplotlib would zoom into rounding noise."""
    values = np.asarray(values, dtype=float)
    size = max(float(np.abs(values).max()), 1e-300)
    if np.ptp(values) <= 1e-9 * size:
        half = 1.0 if size < 1e-12 else size
        ax.set_ylim(values[0] - half, values[0] + half)
