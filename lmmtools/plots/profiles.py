"""Profiles: ζ of each parameter, and pairs of parameters with their traces and joint regions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, listed, shortened, shown, visible
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, across, panels, plot, tiles
from lmmtools.profiles import Profile, profile
from lmmtools.profiles.sketch import contour, curve_through, trace, values_at

__all__ = ["profile_pairs", "profile_zeta"]

_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_MAIN = 0.95
_WIDTH, _ROW = 6.4, 1.9
_MOST_PANELS, _MOST_PAIRS = 12, 6
_PER_PAIR, _LEAST_PAIRS = 1.3, 3.4
_TOP = 3.35


def _profile(table: Any, name: str, which: Any) -> Profile:
    if hasattr(table, "design") and hasattr(table, "beta_cov"):
        table = profile(table, which)
    if not isinstance(table, Profile) or table.origin is None:
        raise ModelError(f"plots.{name}: takes a fit, or what profile returns; got {type(table).__name__}.")
    if not table.names:
        raise ModelError(f"plots.{name}: no parameter of this profile has a curve.")
    return table


def _cutoff(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2.0))


def _zeta(table: Any, which: Any = None) -> PlotData:
    table = _profile(table, "profile_zeta", which)
    names = table.names[:_MOST_PANELS]
    lines, marks = [], []
    cutoffs = {level: _cutoff(level) for level in _LEVELS}
    for panel, name in enumerate(names):
        points = table.curves[name]
        line = curve_through(points)
        line = line[np.abs(line[:, 1]) <= _TOP]
        lines.append(pd.DataFrame({"panel": panel, "value": line[:, 0], "zeta": line[:, 1]}))
        for level, cutoff in cutoffs.items():
            low, high = values_at(points, np.array([-cutoff, cutoff]))
            marks.append((panel, level, cutoff, low, high))
    facts = {
        "names": names,
        "of": len(table.names),
        "marks": pd.DataFrame(marks, columns=["panel", "level", "cutoff", "low", "high"]),
        "estimates": {name: float(value) for name, value in table.estimates.items()},
        "slopes": {name: _tangent(table.curves[name]) for name in names},
        "units": table.units,
        "reml": table.reml,
    }
    return PlotData(pd.concat(lines, ignore_index=True), facts=MappingProxyType(facts))


def _tangent(points: Any) -> float:
    """dζ/dψ at the estimate; NaN where that is on a bound."""
    line, at = curve_through(points), next(k for k, p in enumerate(points) if p.zeta == 0.0)
    if at in (0, len(points) - 1):
        return np.nan
    return float(np.interp(points[at].value, line[:, 0], np.gradient(line[:, 1], line[:, 0])))


def _describe_zeta(data: PlotData) -> Description:
    names, of, marks = data.facts["names"], data.facts["of"], data.facts["marks"]
    which = f"the first {len(names)} of {of} parameters" if of > len(names) else listed(map(visible, names))
    which = which if len(names) <= 3 or of > len(names) else counted(len(names), "parameter")
    main = marks[marks["level"] == _MAIN].set_index("panel")
    said = [f"{visible(name)}, {_interval(main.loc[k])}" for k, name in enumerate(names)]
    rows = -(-len(names) // across(len(names)))
    return Description(
        caption=f"Profile ζ of {which} (ML). Uprights: {listed(f'{100 * level:g}' for level in _LEVELS)} % intervals, "
        f"the {100 * _MAIN:g} % one heavy. Dashed: the straight line that a Wald interval supposes.",
        label="fig-profile-zeta",
        alt=f"ζ against the value of {counted(len(names), 'parameter')}, a panel each; {100 * _MAIN:g} % intervals: "
        + "; ".join(said) + ".",
        size=(_WIDTH, 0.35 + _ROW * rows),
    )  # fmt: skip


def _interval(row: Any) -> str:
    low, high = (shown(end) if np.isfinite(end) else "not reached" for end in (row["low"], row["high"]))
    return f"{low} to {high}"


@plot(_zeta, _describe_zeta)
def profile_zeta(data: PlotData, ax: Any) -> Any:
    """ζ of each parameter against its value, a panel a parameter, with intervals and the straight line of a Wald one.

    Parameters
    ----------
    table : Profile or LMMFit
        What `lmmtools.profile` returns, or a fit to profile.
    which : str or sequence of str, optional
        The parameters of a fit to profile; all when left out.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `table` is something else, or has no curve.

    References
    ----------
    Bates & Watts (1988), Nonlinear Regression Analysis and Its Applications, sec. 6.1.
    """
    names, marks = data.facts["names"], data.facts["marks"]
    columns = across(len(names))
    axes = tiles(ax, len(names), columns, sharey=True)
    for panel, line in data.table.groupby("panel"):
        here, name = axes[panel], names[panel]
        _uprights(here, marks[marks["panel"] == panel])
        _straight(here, line, data.facts["estimates"][name], data.facts["slopes"][name])
        here.plot(line["value"], line["zeta"], color=BLUE, linewidth=1.6)
        here.plot([data.facts["estimates"][name]], [0.0], marker="o", color=BLUE, markersize=4, markeredgewidth=0)
        here.axhline(0.0, color=INK, linewidth=0.6, zorder=0)
        here.set_ylim(-_TOP, _TOP)
        here.set_yticks(range(-3, 4), ["", "−2", "", "0", "", "2", ""])
        here.set_title(shortened(name, 30), loc="left", parse_math=False)
        here.set_xlabel(visible(data.facts["units"].get(name) or ""), parse_math=False)
        here.locator_params(axis="x", nbins=4)
        here.set_ylabel("ζ" if panel % columns == 0 else "", rotation=0, va="center")
    return ax if len(axes) == 1 else ax.get_figure()


def _uprights(ax: Any, marks: pd.DataFrame) -> None:
    for row in marks.itertuples():
        for end, sign in ((row.low, -1.0), (row.high, 1.0)):
            if np.isfinite(end):
                main = row.level == _MAIN
                style = {"color": VERMILLION, "linewidth": 1.6} if main else {"color": INK, "linewidth": 0.6}
                ax.plot([end, end], [0.0, sign * row.cutoff], alpha=1.0 if main else 0.55, **style)


def _straight(ax: Any, line: pd.DataFrame, estimate: float, slope: float) -> None:
    if np.isfinite(slope) and slope > 0.0:
        low, high = float(line["value"].min()), float(line["value"].max())
        ends = np.clip([estimate - _TOP / slope, estimate + _TOP / slope], low, high)
        ax.plot(ends, slope * (ends - estimate), color=INK, linewidth=0.8, linestyle="--", alpha=0.8)


def _pairs(table: Any, which: Any = None) -> PlotData:
    table = _profile(table, "profile_pairs", which)
    if len(table.names) < 2:
        raise ModelError("plots.profile_pairs: needs the profiles of at least two parameters; got one.")
    names, lines = table.names[:_MOST_PAIRS], []
    places = {p.name: k for k, p in enumerate(table.origin.parameters)}
    for row, below in enumerate(names):
        for column, left in enumerate(names[:row]):
            first, second = table.curves[left], table.curves[below]
            for level in _LEVELS:
                border = contour(first, second, (places[left], places[below]), level)
                lines.append(_line(row, column, "region", level, border))
            lines.append(_line(row, column, "across", 0.0, trace(first, places[below])))
            lines.append(_line(row, column, "along", 0.0, trace(second, places[left])[:, ::-1]))
    facts = {
        "names": names,
        "of": len(table.names),
        "estimates": {name: float(value) for name, value in table.estimates.items()},
        "ranges": {name: _range(table.curves[name]) for name in names},
        "units": table.units,
    }
    return PlotData(pd.concat(lines, ignore_index=True), facts=MappingProxyType(facts))


def _line(row: int, column: int, kind: str, level: float, xy: np.ndarray) -> pd.DataFrame:
    xy = xy.reshape(-1, 2)
    return pd.DataFrame({"row": row, "column": column, "kind": kind, "level": level, "x": xy[:, 0], "y": xy[:, 1]})


def _range(points: Any) -> tuple[float, float]:
    line = curve_through(points)
    line = line[np.abs(line[:, 1]) <= _TOP]
    return float(line[:, 0].min()), float(line[:, 0].max())


def _describe_pairs(data: PlotData) -> Description:
    names, of = data.facts["names"], data.facts["of"]
    first = f" The first {len(names)} of {of} parameters." if of > len(names) else ""
    side = max(_PER_PAIR * (len(names) - 1) + 0.6, _LEAST_PAIRS)
    return Description(
        caption=f"Pairs of parameters (ML). Closed lines: joint {listed(f'{100 * level:g}' for level in _LEVELS)} % "
        f"regions, sketched from the profiles, the {100 * _MAIN:g} % one heavy. Blue and dashed red: each parameter's "
        f"optimum where the other is held.{first}",
        label="fig-profile-pairs",
        alt=f"{counted(len(names) * (len(names) - 1) // 2, 'panel')}, one for each pair of "
        f"{listed(map(visible, names))}, with joint regions and the traces of the two profiles.",
        size=(max(side, _WIDTH if len(names) > 3 else side), max(side, 3.0)),
    )


@plot(_pairs, _describe_pairs)
def profile_pairs(data: PlotData, ax: Any) -> Any:
    """Every pair of parameters: traces of the two profiles and joint regions sketched from them.

    Parameters
    ----------
    table : Profile or LMMFit
        What `lmmtools.profile` returns, of at least two parameters, or a fit to profile; the first six are drawn.
    which : str or sequence of str, optional
        The parameters of a fit to profile; all when left out.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `table` is something else, or has fewer than two curves.

    References
    ----------
    Bates & Watts (1988), Nonlinear Regression Analysis and Its Applications, sec. 6.1 and appendix A6.
    """
    names = data.facts["names"]
    size = len(names) - 1
    grid = np.array(panels(ax, size, size, sharex="col", sharey="row"), dtype=object).reshape(size, size)
    for (row, column), lines in data.table.groupby(["row", "column"]):
        _pair(grid[row - 1, column], lines, data.facts, (names[column], names[row]))
    for row in range(size):
        for unused in grid[row, row + 1 :]:
            unused.set_axis_off()
        grid[row, 0].set_ylabel(_axis(names[row + 1], data.facts["units"]), parse_math=False)
        grid[-1, row].set_xlabel(_axis(names[row], data.facts["units"]), parse_math=False)
    return ax if size == 1 else ax.get_figure()


def _axis(name: str, units: Mapping[str, str]) -> str:
    unit = units.get(name)
    wide = ",\n".join(shortened(part, 18) for part in name.split(", "))
    return f"{wide}\n({visible(unit)})" if unit else wide


def _pair(ax: Any, lines: pd.DataFrame, facts: Mapping[str, Any], names: tuple[str, str]) -> None:
    for (kind, level), line in lines.groupby(["kind", "level"]):
        if kind == "region":
            main = level == _MAIN
            ax.plot(line["x"], line["y"], color=INK, linewidth=1.4 if main else 0.6, alpha=1.0 if main else 0.6)
        else:
            style = (BLUE, "-") if kind == "across" else (VERMILLION, (0, (4, 1.5)))
            ax.plot(line["x"], line["y"], color=style[0], linestyle=style[1], linewidth=1.1)
    ax.plot(*[[facts["estimates"][name]] for name in names], marker="o", color=INK, markersize=3, markeredgewidth=0)
    for set_limits, name in zip((ax.set_xlim, ax.set_ylim), names, strict=True):
        low, high = facts["ranges"][name]
        margin = 0.04 * (high - low)
        set_limits(low - margin, high + margin)
    ax.locator_params(nbins=3)
    ax.label_outer()
