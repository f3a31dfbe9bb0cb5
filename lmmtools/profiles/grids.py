"""The criterion over a grid of its parameters: curves and surfaces on which an optimum can be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError
from lmmtools.formats import listed, nearest, quoted, shown, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.profiles.coordinates import SIGMA, Coordinates, known_parameters

__all__ = ["CriterionGrid", "Landscape", "criterion_grid"]

# Points along one parameter, and along each of two.
_LINE, _SQUARE = 101, 41
# Ranges that are not given end where the criterion has risen so far, unless a bound comes first.
_RISE = 8.0
# What is so near a bound is meant to be on it.
_NEAR = 1e-6
# Points of one grid: more are not seen, and each is a criterion to compute.
_MOST = 100_000


@dataclass(frozen=True)
class Landscape:
    """What a grid of the criterion shows.

    Attributes
    ----------
    formula : str
    method : str
        ``"ML"`` or ``"REML"``.
    names : tuple of str
        The parameters that vary, the first along the rows of the table fastest.
    estimates : tuple of float
        Where the optimum lies in them.
    edges : tuple of bool
        Which of them are zero there because they cannot be negative.
    minimum : float
        The criterion at the optimum, with all constants.
    held : tuple of str
        Parameters that stay at their estimates.
    scale : str
    labels, units : Mapping[str, str]
        What each of `names` is called, and its unit; an empty text where it has none.
    """

    formula: str
    method: str
    names: tuple[str, ...]
    estimates: tuple[float, ...]
    edges: tuple[bool, ...]
    minimum: float
    held: tuple[str, ...]
    scale: str
    labels: Mapping[str, str]
    units: Mapping[str, str]

    def __reduce__(self) -> tuple:
        """Pickle the mappings as dicts, since mapping proxies have no pickled form."""
        plain = (getattr(self, one.name) for one in fields(self)[:-2])
        return _landscape, (*plain, dict(self.labels), dict(self.units))


def _landscape(*given: Any) -> Landscape:
    """A landscape whose mappings cannot change."""
    *plain, labels, units = given
    return Landscape(*plain, MappingProxyType(labels), MappingProxyType(units))


class CriterionGrid(Frame):
    """The criterion at combinations of parameters: a row each, ``criterion`` and how far it lies ``above`` the minimum.

    Made by :func:`lmmtools.criterion_grid`.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "_landscape"]
    _landscape: Landscape | None = None

    @property
    def _constructor(self) -> type[CriterionGrid]:
        return CriterionGrid

    @property
    def landscape(self) -> Landscape:
        """What varies, what is held, and where the optimum lies."""
        if self._landscape is None or not self._described:
            raise LMMError("this table is a changed copy of what criterion_grid returned: ask that one.")
        return self._landscape


def criterion_grid(
    fit: Any,
    at: str | Sequence[str] | Mapping[str, Any] | None = None,
    *,
    points: int | None = None,
    scale: str = "theta",
) -> CriterionGrid:
    """The criterion of a fit over values of one or two of its covariance parameters.

    Parameters
    ----------
    fit : LMMFit
    at : str, sequence of str or mapping, optional
        One parameter or two: names of θ (`fit.theta_names`), of `fit.residual_params`, or ``"sigma"``, the residual
        standard deviation. With a mapping, their values: two numbers are the ends of a range, three or more are the
        values themselves, None takes the range in which the criterion rises by eight. All of θ and φ where they have no
        more than two elements and nothing is said, σ where they have none.
    points : int, optional
        Points along each range: 101 for one parameter, 41 for each of two.
    scale : {"theta", "variance"}
        What values are of: of θ, relative to σ; or variances θ²σ² and σ² in squared units of the response, for random
        effects without correlations and with ``"sigma"`` among the parameters.

    Returns
    -------
    CriterionGrid
        The parameters (the first varies fastest), ``criterion``, with all constants, and ``above``, its difference
        from that of the fit. NaN where the criterion has no value.

    Raises
    ------
    LMMError
        If a parameter is not one of the fit's, there are more than two, values lie outside its bounds, or there are
        more than 100 000 points.

    Notes
    -----
    β is profiled out, and so is σ unless it is one of the parameters: the criterion is at its minimum over them at each
    point. All other parameters stay at their estimates; `lmmtools.profile` minimises over them.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> grid = lt.criterion_grid(fit, {"Batch.Intercept": [0, 0.5, 1]})
    >>> grid["criterion"].round(4).tolist()
    [326.0232, 320.8791, 319.7924]
    """
    if not (hasattr(fit, "design") and hasattr(fit, "working")):
        raise LMMError(f"criterion_grid: takes a fit made by fit_lmm or fit_gls; got {type(fit).__name__}.")
    asked = _asked(fit, at)
    count = points if points is not None else _LINE if len(asked) == 1 else _SQUARE
    count = check_count(count, "criterion_grid: points", at_least=2)
    if count ** len(asked) > _MOST:
        raise LMMError(f"criterion_grid: {count ** len(asked)} points are asked for, and {_MOST} are the most.")
    criterion = Coordinates(fit, tuple(asked), scale)
    axes = [_values(criterion, name, given, count) for name, given in asked.items()]
    mesh = [side.ravel() for side in np.meshgrid(*axes)]
    found = np.array([criterion(place) for place in zip(*mesh, strict=True)])
    table = dict(zip(asked, mesh, strict=True)) | {"criterion": found, "above": found - fit.criterion}
    return _framed(fit, pd.DataFrame(table), criterion)


def _asked(fit: Any, at: Any) -> dict[str, Any]:
    """The parameters with what is said of their values."""
    own = known_parameters(fit) or (SIGMA,)
    known = tuple(dict.fromkeys((*own, SIGMA)))
    if at is None and len(own) > 2:
        raise LMMError(f"criterion_grid: name one or two of the parameters {quoted(known)}.")
    given = own if at is None else (at,) if isinstance(at, str) else at
    if not isinstance(given, Iterable):
        raise LMMError(f"criterion_grid: at must name parameters; got {at!r}.")
    pairs = list(given.items()) if isinstance(given, Mapping) else [(name, None) for name in given]
    for name, _ in pairs:
        if not isinstance(name, str) or name not in known:
            raise LMMError(
                f"criterion_grid: `{name}` is no parameter of this fit{nearest(str(name), known)}; it has "
                f"{quoted(known)}."
            )
    asked = dict(pairs)
    if not 1 <= len(asked) <= 2:
        raise LMMError(f"criterion_grid: takes one or two parameters, which can be drawn; got {len(asked)}.")
    return asked


def _values(criterion: Coordinates, name: str, given: Any, count: int) -> np.ndarray:
    """Ascending values of one parameter."""
    low, high = criterion.bounds(name)
    if given is None:
        return np.linspace(*_range(criterion, name, low, high), count)
    try:
        values = np.unique(np.asarray(given, dtype=float).ravel())
    except (TypeError, ValueError):
        values = np.empty(0)
    if len(values) < 2 or not np.all(np.isfinite(values)):
        raise LMMError(f"criterion_grid: `{name}` needs two ends of a range, or its values; got {given!r}.")
    for bound in (low, high):  # correlations end a little before ±1, where the criterion has no value
        values[np.abs(values - bound) <= _NEAR] = bound
    if values[0] < low or values[-1] > high or (name == SIGMA and values[0] == 0.0):
        raise LMMError(
            f"criterion_grid: `{name}` must lie between {low:g} and {high:g}"
            f"{', zero left out' if name == SIGMA else ''}; got {values[0]:g} to {values[-1]:g}."
        )
    return np.linspace(values[0], values[-1], count) if len(values) == 2 else values


def _range(criterion: Coordinates, name: str, low: float, high: float) -> tuple[float, float]:
    """Where the criterion has risen by `_RISE` along one parameter, or the bounds."""
    place = [criterion.optimum(other) for other in criterion.names]
    k, at = criterion.names.index(name), criterion.optimum(name)
    least, size = criterion(tuple(place)), abs(at) or criterion.size

    def far(value: float) -> bool:
        rise = criterion((*place[:k], value, *place[k + 1 :])) - least
        return not rise < _RISE

    ends = []
    for sign, bound in ((-1.0, low), (1.0, high)):
        step = 0.05 * size
        while step < 50.0 * size and (at + sign * step - bound) * sign < 0 and not far(at + sign * step):
            step *= 1.15
        end = at + sign * step
        ends.append(bound if (end - bound) * sign >= 0 else end)
    return max(ends[0], 1e-3 * size) if name == SIGMA else ends[0], ends[1]


def _framed(fit: Any, table: pd.DataFrame, criterion: Coordinates) -> CriterionGrid:
    names, held = criterion.names, criterion.held
    estimates = tuple(criterion.optimum(name) for name in names)
    lows = [criterion.bounds(name)[0] for name in names]
    labels, units = {name: criterion.word(name) for name in names}, {name: criterion.unit(name) for name in names}
    where = listed(f"{label} = {shown(value)}" for label, value in zip(labels.values(), estimates, strict=True))
    out = "β" if SIGMA in names else "β and σ"
    said = f"{fit.method} criterion of {fit.formula} over {listed(labels.values())}, {out} profiled out"
    at = ", the other parameters at their estimates" if held else ""
    made = frame(
        table, caption=said + at, label="tbl-criterion-grid", index=False, cls=CriterionGrid,
        notes=(f"`above` is the difference from the optimum, {where}, where the criterion is {fit.criterion:.4f}.",),
        headings={**{name: with_unit(labels[name], units[name]) for name in names}, "criterion": "Criterion",
                  "above": "Above"},
        formats={**dict.fromkeys(names, "sig4"), "criterion": "fixed4", "above": "sig4"},
    )  # fmt: skip
    edges = tuple(value == low == 0.0 for value, low in zip(estimates, lows, strict=True))
    scale = "variance" if criterion.variances else "theta"
    facts = (fit.formula, fit.method, names, estimates, edges, float(fit.criterion), held, scale)
    made._landscape = _landscape(*facts, labels, units)
    return made
