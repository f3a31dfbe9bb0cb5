"""Ranges of spatial correlations that have run beyond all distances: what the data still determine, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution
from lmmtools.formats import shown

__all__ = ["endless_ranges"]

# The semivariogram over σ² (1 − nugget) near zero: a multiple of a power of distance over range.
_NEAR_ZERO = {"exp": (1.0, 1), "spher": (1.5, 1), "gaus": (1.0, 2), "ratio": (1.0, 2)}
# Times the largest distance from where on a range may be called endless, and the deviance that half of it may cost.
_ENDLESS, _UNNOTICED = 50.0, 0.01


def endless_ranges(criterion: Criterion, working: np.ndarray, solution: Solution) -> tuple[str, ...]:
    """Sentences on the ranges beyond all distances that the criterion does not tell from half of them.

    Parameters
    ----------
    criterion : Criterion
    working : ndarray, shape (m,)
        Working parameters, those of the residuals last.
    solution : Solution
        At the same point.

    Notes
    -----
    Over a range r far longer than every distance d the semivariogram is σ²c + σ²(1 − c)k(d/r)^p with nugget c, where p
    is one or two. Unless the level of a group is told too, only σ²c and σ²(1 − c)/r^p are, which half of r with another
    σ and c has as well.
    """
    w, c = criterion.working, _spatial(criterion.design)
    if c is None:
        return ()
    form, place, longest = w.residual.form, w.places[-1], _longest(c)
    phi, parts = form.natural(working[place]), 1 + c.nugget
    sigma2 = float(solution.sigma2) * (w.y_scale * w.noise_scale) ** 2
    said = []
    for k in np.arange(len(c.by_levels)) * parts:
        if phi[k] <= _ENDLESS * longest:
            continue
        multiple, power = _NEAR_ZERO[c.kind]
        nugget, half, there = float(phi[k + 1]) if c.nugget else 0.0, phi.copy(), working.copy()
        half[k] *= 0.5
        if c.nugget:  # of the same proportion to the other number
            half[k + 1] = nugget / (nugget + 0.5**power * (1.0 - nugget))
        there[place] = form.working_of(half)
        if abs(criterion.solve(w.stacked(there)).value - solution.value) <= _UNNOTICED:
            rise = sigma2 * (1.0 - nugget) * multiple / phi[k] ** power
            said.append(_sentence(criterion.design, k, (float(phi[k]), longest, sigma2 * nugget, rise)))
    return tuple(said)


def _spatial(design: Any) -> Any:
    """The correlation where it has a range."""
    c = None if design.residual is None else design.residual.correlation
    return c if c is not None and c.kind in _NEAR_ZERO else None


def _longest(c: Any) -> float:
    """The largest distance within a residual group, or little more: the diagonal of the box that its places lie in."""
    order = np.argsort(c.codes, kind="stable")
    starts = np.flatnonzero(np.diff(c.codes[order], prepend=-1))
    places = c.positions[order]
    sides = np.maximum.reduceat(places, starts) - np.minimum.reduceat(places, starts)
    return float(np.sqrt((sides**2).sum(axis=1)).max())


def _sentence(design: Any, k: int, numbers: tuple[float, float, float, float]) -> str:
    c, unit = design.residual.correlation, design.units.get(design.residual.correlation.variables[0], "")
    found, longest, start, rise = (shown(number) for number in numbers)
    straight = _NEAR_ZERO[c.kind][1] == 1
    slope = f"its slope ({rise} per {unit or 'unit of distance'})" if straight else f"its steepness ({rise} times d²)"
    starts = f"where it starts (σ² times the nugget: {start}) and " if c.nugget else ""
    law = "a straight line" if straight else "a parabola in the distance d"
    rows = "two rows of a group" if c.group else "two rows"
    return (
        f"`{design.residual.names[k]}` has run beyond all distances (to {found}, where no {rows} are more than "
        f"{longest}{f' {unit}' if unit else ''} apart), so the semivariogram is {law}, of which the data determine "
        f"{starts}{slope}, but not how high it would rise: σ and the range grow together without end"
        f"{', and the nugget falls' if c.nugget else ''}. Differences between rows are told all the same; the standard "
        "error of their level, the intercept's, is not"
    )
