"""Profiles of the correlations of random effects."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.covariance import combine, factor_basis
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution
from lmmtools.core.terms import Term
from lmmtools.core.working import Working
from lmmtools.profiles.forms import Held, HeldCorrelation
from lmmtools.profiles.parameters import Origin, Parameter
from lmmtools.profiles.path import Path, Point, Way, start_between
from lmmtools.profiles.zero import way_without

__all__ = ["CorrelationPath"]

# Correlations nearer to ±1 than this are there.
_AT_ONE = 1e-9


class CorrelationPath(Path):
    """Of an unstructured term, or of one with a single correlation ρ, of which this is a power in an autoregression."""

    def __init__(self, origin: Origin, parameter: Parameter) -> None:
        super().__init__(origin, parameter)
        self.term: Term = origin.working.terms[parameter.term]
        self.low, self.high, self.lag = -1.0, 1.0, 1
        form = self.term.form
        if hasattr(form, "n_sd"):
            bound = float(form.lower[-1])
            self.lag = int(form.lag[parameter.places]) if form.autoregressive else 1
            self.low = 0.0 if self.lag % 2 == 0 else bound**self.lag
            self.key = f"cor of {origin.fit.design.terms[parameter.term].group} at {self.lag}"
        if np.isfinite(self.estimate):
            near_one = [b for b in (self.low, self.high) if abs(self.estimate - b) <= _AT_ONE]
            self.estimate = near_one[0] if near_one else self.estimate
            self.scale = "plain" if near_one or self.lag > 1 else "atanh"

    def why_not(self) -> str:
        """Why there is no profile."""
        if self.term.form is not None and not hasattr(self.term.form, "n_sd"):
            return (
                f"{self.name} is what the structure `{self.term.structure}` makes of its own parameters; it is none of "
                "them, and cannot be held while they move. Its standard deviations have profiles."
            )
        if not np.isfinite(self.estimate):
            return (
                f"{self.name} is not determined: a standard deviation beside it is zero at the optimum, and then every "
                "correlation has the same likelihood."
            )
        return ""

    @cached_property
    def plateau(self) -> Point | None:
        """The best model in which the correlation means nothing: one of its effects does not vary.

        The set of covariances with a given correlation has these on its boundary, whatever the correlation.
        """
        form, effects = self.term.form, range(self.term.q)
        if form is None:
            sets = [(k,) for k in self.parameter.places]
        elif form.common:
            sets = [tuple(effects)]
        else:
            sets = [tuple(i for i in effects if i != k) for k in effects]
        ways = [way_without(self.origin, self.parameter.term, none) for none in sets]
        return self.lowest(np.nan, [self.on(0, way, way.start, np.nan) for way in ways])

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """See `Path`."""
        if self.term.form is None:
            return [self._way(HeldCorrelation(self.term.q, self.parameter.places, value), 0, value, near, 1.0)]
        form = self.term.form
        roots = [float(np.sign(value) * abs(value) ** (1.0 / self.lag))]
        if self.lag % 2 == 0 and form.lower[-1] < 0.0 and value > 0.0:
            roots.append(-roots[0])
        ways = []
        for k, rho in enumerate(roots):
            per_rho = self.lag * rho ** (self.lag - 1)
            rate = 1.0 / per_rho if per_rho else np.nan
            ways.append(self._way(Held(form, form.n_theta - 1, rho), k, value, near, rate))
        return ways

    def _way(self, form: Any, branch: int, value: float, near: tuple[Point, ...], rate: float) -> Way:
        o, k = self.origin, self.parameter.term
        working = _with_form(o.working, k, form)
        held = Criterion(o.fit.design, reml=False, working=working)
        start = start_between(near, value, branch, held)
        if start is None:
            start = self._reduced(o.theta, form)
        others = tuple(self._reduced(theta, form) for theta in o.others)

        def slope(solution: Solution, Lambda: np.ndarray, theta: np.ndarray) -> float:
            if abs(value) >= 1.0:
                return np.nan
            term = working.terms[k]
            G = term.S.T @ held.differentiate(solution).gradient @ term.S
            scaled = theta[working.slices[k]] * form.parameter_scale(term.scale)
            return form.slope(scaled, G) * rate

        return Way(held, start, slope, others=others)

    def _reduced(self, theta: np.ndarray, form: Any) -> np.ndarray:
        """θ of the free model without what is held."""
        parts = [theta[part] for part in self.origin.working.places]
        k = self.parameter.term
        if isinstance(form, HeldCorrelation):
            own = combine(parts[k], factor_basis("us", self.term.q))
            parts[k] = form.theta_of(own @ own.T)
        else:
            parts[k] = parts[k][:-1]
        return np.concatenate(parts)

    def first_step(self, size: float) -> float:
        """See `Path`."""
        levels = len(self.origin.fit.design.terms[self.parameter.term].levels)
        step = size / np.sqrt(max(levels - 3.0, 1.0))
        return step if self.scale == "atanh" else min(step, 0.5)


def _with_form(working: Working, k: int, form: Any) -> Working:
    term = working.terms[k]
    if term.form is None:
        size = np.sqrt((term.K**2).sum(axis=0))
        size[size == 0.0] = 1.0
        term = replace(term, S=term.K / size, scale=size)
    terms = (*working.terms[:k], replace(term, form=form), *working.terms[k + 1 :])
    return replace(working, terms=terms)
