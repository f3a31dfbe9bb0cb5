"""Whether residuals of neighbours within groups are correlated, in order of time where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.assumptions.look import Look, Written, picture
from lmmtools.assumptions.simulated import Drawn, Question
from lmmtools.assumptions.value import Finding, interval, judged, untested
from lmmtools.dependence.places import Places, places_of
from lmmtools.formats import counted, format_value

__all__ = ["in_order"]

CHECK = "No autocorrelation"
# Pairs of neighbours, of fewer a correlation says nothing; lags of a picture of all rows in their order.
_LEAST, _FIRST_LAGS = 8, 10


@dataclass(frozen=True)
class Sequence:
    """Rows within groups, one after the other.

    Attributes
    ----------
    codes : ndarray, shape (n,)
        Group of each row.
    time : ndarray, shape (n,)
    name, group : str
        What the order is of, empty for that of the rows; within what, empty where all rows are one group.
    see : Look
    """

    codes: np.ndarray
    time: np.ndarray
    name: str
    group: str
    see: Look

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that follow one another within a group."""
        order = np.lexsort((np.arange(len(self.time)), self.time, self.codes))
        same = self.codes[order[1:]] == self.codes[order[:-1]]
        return order[:-1][same], order[1:][same]


def in_order(fit: Any, time: Any = None) -> Question | Finding:
    """The correlation of normalized residuals of neighbours: what a first-order autoregression would pick up.

    Parameters
    ----------
    fit : LMMFit
    time : optional
        As of `lmmtools.autocorrelation`.
    """
    found = _sequence(fit, time)
    within = f" within {found.group}" if found.group else ""
    of = f"residuals in order of {found.name or 'the rows'}{within}"
    i, j = found.pairs
    if len(i) < _LEAST:
        return untested(CHECK, of, f"{counted(len(i), 'pair')} of neighbours are too few", found.see)

    def measure(drawn: Drawn) -> np.ndarray:
        e = drawn.normalized
        return (np.einsum("im,im->m", e[i], e[j]) / len(i) / np.mean(e**2, axis=0))[None]

    by_rows = "" if found.name else " The order of the rows tells something only if they were taken in that order."

    def said(p_value: float, observed: np.ndarray, simulated: np.ndarray) -> str:
        left = format_value(float(simulated[0].mean()), "fixed2")
        return (
            f"Neighbours correlate {format_value(observed[0], 'fixed2')}; {left} is expected of the fitted model (95 % "
            f"of simulations: {interval(simulated[0])}). {judged(p_value)}{by_rows}"
        )

    return Question(CHECK, of, found.see, measure, said, "both")


def _sequence(fit: Any, time: Any) -> Sequence:
    """Groups and order: the residual structure's, else of a covariate that tells a group's rows apart, else of rows."""
    own = fit.design.correlation
    if time is not None or (own is not None and own.positions.shape[1] == 1):
        group = None if own is not None or fit.design.terms else np.zeros(fit.nobs)
        places = places_of(fit, time, group, "check_assumptions")
        alone = group is not None
        return Sequence(places.codes, places.positions[:, 0], places.axis, "" if alone else places.group,
                        _picture(places, _asked(time), alone))  # fmt: skip
    codes, group = (own.codes, own.group) if own is not None else _finest(fit)
    name, values = _covariate(fit, codes) if group else ("", None)
    if values is not None:
        whole = group if own is None else None
        known = name if name in fit.design.fixed_names else Written(values, f"data[{name!r}]")
        named = group if own is None and len(fit.design.factors) > 1 else ""
        at = known.value if isinstance(known, Written) else known
        see = _picture(places_of(fit, at, whole, "check_assumptions"), known, False, named)
        return Sequence(codes, values, name, group, see)
    options = {"time": Written(range(fit.nobs), "range(fit.nobs)")} | ({} if group else _together(fit.nobs))
    see = picture("autocorrelation", **options, max_lag=_FIRST_LAGS)
    return Sequence(codes, np.arange(fit.nobs, dtype=float), "", group, see)


def _finest(fit: Any) -> tuple[np.ndarray, str]:
    """The grouping factor with most levels among those that have neighbours; none is one group of all rows."""
    for term in sorted(fit.design.terms, key=lambda term: -len(term.levels)):
        if fit.nobs - len(term.levels) >= _LEAST:
            return term.codes, term.factor
    return np.zeros(fit.nobs, dtype=np.intp), ""


def _covariate(fit: Any, codes: np.ndarray) -> tuple[str, np.ndarray | None]:
    """A column that takes another value in every row of a group: of a random slope, or of the fixed part."""
    design = fit.design
    columns = [(name, t.matrix[:, k]) for t in design.terms for k, name in enumerate(t.names)]
    columns += [(name, design.X[:, k]) for k, name in enumerate(design.fixed_names)]
    for name, values in columns:
        if ":" in name or "[" in name:  # a product, or an indicator
            continue
        order = np.lexsort((values, codes))
        same = np.diff(codes[order]) == 0
        if same.any() and np.all(np.diff(values[order])[same] > 0.0):
            return name, values
    return "", None


def _together(n: int) -> dict[str, Any]:
    """The option that makes all rows one group."""
    return {"group": Written([1] * n, "[1] * fit.nobs")}


def _asked(time: Any) -> Any:
    """What a user gave as time, which the text of a call has no other name for."""
    return time if time is None or isinstance(time, str) else Written(time, "time")


def _picture(places: Places, time: Any, alone: bool, group: str = "") -> Look:
    """What draws that which is regular by lag, else by distance."""
    options = {} if time is None else {"time": time}
    options |= _together(len(places.codes)) if alone else {"group": group} if group else {}
    return picture("autocorrelation" if places.regular else "semivariogram", **options)
