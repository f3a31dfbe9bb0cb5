"""What each parameter of a residual structure is: its ends, how the search measures it, and where it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.errors import ModelError

__all__ = ["Parameter", "out_of_numbers", "parameters_of"]

# Logarithms of ratios and constants are looked for up to so much either way.
FAR = 25.0
# A correlation that is none; the least φ whose powers are numbers, and the least that is left of one.
_NOTHING, _LEAST, _LEFT = 1e-6, 1e-300, 1e-13
# A correlation that is some.
_SOME = 1e-3
# Distance over range at which a spatial correlation is none.
_NO_CORRELATION = {"exp": 14.0, "gaus": 3.75, "spher": 1.0, "ratio": 1e3}
# Logarithm of the longest range looked for, over the longest distance: C is all but constant there, and what it lacks,
# a power of distance over range, still has digits.
_ENDLESS = {"exp": 16.0, "gaus": 8.0, "spher": 16.0, "ratio": 8.0}
# Of order (1, 1), beside the moving average's, so that some nearly cancel: a correlation that is small and never fades.
_NEARLY_CANCEL = (0.3, 0.7, -0.2, 0.9, 0.97, 0.5, -0.9)
# Partial autocorrelations from which starts of autoregressions and moving averages of higher order are made.
_PARTIAL = ((0.3, 0.2), (0.7, -0.3), (-0.4, 0.3), (0.9, 0.1), (0.5, 0.5), (0.2, -0.6), (-0.7, -0.3))


@dataclass(frozen=True)
class Parameter:
    """One parameter of φ.

    Attributes
    ----------
    low, high : float
        Its ends.
    measure : str
        ``open`` between ends at which R is singular; ``log`` for what is positive; ``rate`` for a φ = e^(−1/range), by
        the logarithm of that; ``share`` for what may be zero but is searched by its logit; ``linear``.
    start : float
        Of residuals that are all but independent with equal variances.
    others : tuple of float, length 7
        Other starts.
    generic : float
        Where R moves with it, and not as with another: not a power of zero, which no constant can be told from.
    unit : float
        Of linear ones, a step of some effect.
    spread : float
        How far, as the search measures it, starts at random lie from one of `others`.
    can_run_off : bool
        Whether its ends stand for zero and infinity.
    nothing : float
        What is as good as its lower end: R is the same to rounding.
    span : tuple of float, or None
        Of a constant that a power is added to, the least and largest logarithm of what is raised: beside a large power
        a small constant is nothing.
    beyond : tuple of bool
        Whether at its ends only the numbers end that double precision has, not what R can be.
    """

    low: float
    high: float
    measure: str
    start: float
    others: tuple[float, ...]
    generic: float
    unit: float = 1.0
    spread: float = 0.7
    can_run_off: bool = False
    nothing: float = -np.inf
    span: tuple[float, float] | None = None
    beyond: tuple[bool, bool] = (False, False)


# Beside a range that grows without end a nugget vanishes in proportion: by logarithms both do so along a line.
_NUGGET = Parameter(
    0.0, 1.0 - 1e-7, "share", 0.1, (0.1, 0.3, 0.05, 0.6, 0.2, 0.4, 0.02), 0.2, spread=1.5, nothing=1e-7
)


def parameters_of(residual: Any) -> tuple[Parameter, ...]:
    """The parameters of a residual structure, in the order of φ."""
    found: list[Parameter] = []
    if residual.correlation is not None:
        found += _of_correlation(residual.correlation) * len(residual.correlation.by_levels)
    for part in residual.variances:
        found += _of_variance(part)
    return tuple(found)


def _of_correlation(c: Any) -> list[Parameter]:
    if c.kind == "car1" or (c.kind == "ar1" and _only_even(c)):
        shortest, longest = _distances(c)
        others = tuple(x ** (1.0 / shortest) for x in (0.3, 0.7, 0.1, 0.9, 0.2, 0.6, 0.8))
        ends = max(_LEAST, _NOTHING ** (2.0 / shortest)), 1.0 - min(max(1e-7 / longest, _LEFT), 1e-4)
        start, generic = 0.3 ** (1.0 / shortest), 0.5 ** (1.0 / shortest)
        if ends[0] ** shortest > 0.3 or ends[1] ** shortest < 0.9:
            raise ModelError(out_of_numbers(c, ends[int(shortest > 1.0)]))
        beyond = ends[0] ** shortest > _SOME, ends[1] ** longest < 1.0 - _SOME
        nothing = -np.inf if beyond[0] else _NOTHING ** (1.0 / shortest)
        return [Parameter(*ends, "rate", start, others, generic, nothing=nothing, beyond=beyond)]
    if c.kind == "ar1":
        return [_correlation(-1.0)]
    if c.kind == "cs":
        return [_correlation(-1.0 / max(int(np.bincount(c.codes).max()) - 1, 1))]
    if c.kind == "toep":
        return [_correlation(-1.0)] * len(c.lags)
    if c.kind == "us":
        return [_correlation(-1.0)] * (len(c.occasions) * (len(c.occasions) - 1) // 2)
    if c.kind == "arma":
        p, q = c.order
        first = [replace(_correlation(-1.0), others=_NEARLY_CANCEL)] if p == q == 1 else _autoregressive(p)
        return first + _moving(q, beside=p)
    return [_range(c), _NUGGET] if c.nugget else [_range(c)]


def out_of_numbers(c: Any, value: float) -> str:
    """What to say where a correlation one unit of time apart cannot be told from zero or one."""
    return (
        f"`{c.kind}.phi` of `{c.label}`, the correlation of residuals 1 apart in `{c.variables[0]}`, would lie beyond "
        f"{value:.6g}, where double precision has no numbers: rows of a group are too near, or too far apart, in these "
        f"units. Give `{c.variables[0]}` in others, so that neighbours are about 1 apart."
    )


def _of_variance(part: Any) -> list[Parameter]:
    strata = len(part.levels)
    if part.kind == "varident":
        return [_positive((1.0, 1.5, 0.7, 1.0, 2.0, 0.5, 1.0), 1.3)] * (strata - 1)
    if part.kind == "varfixed":
        return []
    values = part.values if part.kind == "varexp" else np.log(np.abs(part.values[part.values != 0.0]))
    spread = float(np.std(values)) if len(values) else 1.0
    unit = 1.0 / spread if np.isfinite(spread) and spread > 0 else 1.0
    sizes = (0.0, 0.5, -0.5, 1.0, -1.0, 0.2, 2.0)
    power = Parameter(-np.inf, np.inf, "linear", 0.0, tuple(unit * size for size in sizes), 0.5 * unit, unit)
    if part.kind != "varconstpower":
        return [power] * strata
    sizes = (1.0, 0.1, 10.0, 1.0, 0.3, 3.0, 0.01)
    typical = [np.exp(other * float(np.mean(values))) for other in (*power.others, power.generic)]
    constant = _positive(tuple(np.multiply(sizes, typical[:-1])), 0.8 * typical[-1])
    far = np.exp(FAR + 3.0 * float(np.abs(values).max()))
    span = float(values.min()), float(values.max())
    return [replace(constant, low=1.0 / far, high=far, span=span), power] * strata


def _correlation(low: float) -> Parameter:
    return Parameter(low, 1.0, "open", 0.1, (0.3, 0.7, -0.2, 0.9, 0.1, 0.5, 0.8), 0.2)


def _positive(others: tuple[float, ...], generic: float) -> Parameter:
    return Parameter(np.exp(-FAR), np.exp(FAR), "log", 1.0, others, generic, can_run_off=True)


def _autoregressive(p: int) -> list[Parameter]:
    """Of two coefficients or more, the partial autocorrelations; see `partial`."""
    if p == 1:
        return [_correlation(-1.0)]
    starts = np.array([_partial(i, p) for i in range(7)])
    generic = starts[0]
    return [Parameter(-1.0, 1.0, "open", 0.0, tuple(starts[:, k]), generic[k]) for k in range(p)]


def _moving(q: int, *, beside: int) -> list[Parameter]:
    """A moving average may lie on the ends of what is invertible; its starts are an autoregression's, mirrored.

    Beside an autoregression both may come near one and cancel, along a line only if both have the same measure.
    """
    if q == 1:
        others = (-0.3, 0.4, 0.3, -0.6, -0.9, 0.2, 0.7) if beside == 1 else (-0.3, 0.4, 0.3, -0.6, 0.0, 0.2, -0.1)
        return [Parameter(-1.0, 1.0, "open" if beside else "linear", 0.0, others, 0.35, spread=0.4)]
    starts = 0.5 * np.array([_partial(i, q) for i in range(7)])
    generic = 0.8 * starts[1]
    return [Parameter(-1.0, 1.0, "linear", 0.0, tuple(starts[:, k]), generic[k], spread=0.4) for k in range(q)]


def _partial(i: int, p: int) -> np.ndarray:
    return np.array([_PARTIAL[i][k % 2] * 0.5 ** (k // 2) for k in range(p)])


def _range(c: Any) -> Parameter:
    """From where even neighbours are uncorrelated to thousands of times the longest distance of a group, or more."""
    shortest, longest = _distances(c)
    shares = (0.1, 0.3, 0.6, 1.0, 0.05, 0.2, 1.5)
    others = tuple(shortest ** (1.0 - share) * longest**share for share in shares)
    nothing = shortest / _NO_CORRELATION[c.kind]
    ends = 0.5 * nothing, longest * np.exp(_ENDLESS[c.kind])
    start, generic = shortest**0.75 * longest**0.25, shortest**0.3 * longest**0.7
    return Parameter(*ends, "log", start, others, generic, nothing=nothing)


def _distances(c: Any) -> tuple[float, float]:
    """Shortest distance between neighbours, and longest across a group."""
    order = np.lexsort([*c.positions.T[::-1], c.codes])
    at, codes = c.positions[order], c.codes[order]
    step = np.sqrt(((at[1:] - at[:-1]) ** 2).sum(axis=1))[codes[1:] == codes[:-1]]
    step = step[step > 0]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    extent = np.maximum.reduceat(at, starts) - np.minimum.reduceat(at, starts)
    shortest = float(step.min()) if len(step) else 1.0
    return shortest, max(float(np.sqrt((extent**2).sum(axis=1)).max()), 1.5 * shortest)


def _only_even(c: Any) -> bool:
    """Whether all lags within groups are even: then φ and −φ are the same model, and φ is taken from (0, 1)."""
    odd = np.mod(c.positions[:, 0], 2.0)
    groups = int(c.codes.max()) + 1
    some = np.bincount(c.codes, weights=odd, minlength=groups)
    return bool(np.all((some == 0) | (some == np.bincount(c.codes, minlength=groups))))
