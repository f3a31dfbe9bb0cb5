"""Coordinates in which one step of Newton's method goes far: logarithms of what is positive.

Without some rows a variance may be half of what it was. In a standard deviation s, −2 log-likelihood is about
2ν log s + S/s², and where S is ρνs² Newton's step goes to s(1 − (1 − ρ)/(3ρ − 1)), which is no step at all at ρ = ⅓; in
log s it goes to s·exp(−(1 − ρ)/2ρ), nearer to √ρ s, and there is a step for every ρ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.charts import Chart
from lmmtools.core.solution import TDerivatives

__all__ = ["Coordinates", "coordinates"]


@dataclass(frozen=True)
class Coordinates:
    """Coordinates t of a chart, its point at t = 0.

    Attributes
    ----------
    chart : Chart
    value : ndarray, shape (m,)
        What a logarithm is taken of; one where none is.
    log : ndarray of bool, shape (m,)
        Which coordinates of the chart are value·exp(t): the pivots of a term's Λ, and parameters that lie between zero
        and infinity. The others move by t.
    """

    chart: Chart
    value: np.ndarray
    log: np.ndarray

    def step(self, t: np.ndarray) -> np.ndarray:
        """The step in the chart's own coordinates, shape (m,)."""
        return np.where(self.log, self.value * np.expm1(np.where(self.log, t, 0.0)), t)

    def theta(self, t: np.ndarray) -> np.ndarray:
        """Working parameters at t."""
        return self.chart.theta(self.step(t))

    def gradient(self, d: TDerivatives) -> np.ndarray:
        """The criterion's gradient at t = 0, shape (m,)."""
        return self.value * self.chart.gradient(d)

    def hessian(self, d: TDerivatives) -> np.ndarray:
        """Its Hessian there, shape (m, m)."""
        bend = np.where(self.log, self.gradient(d), 0.0)
        return self.chart.hessian(d) * np.outer(self.value, self.value) + np.diag(bend)

    def box(self) -> tuple[np.ndarray, np.ndarray] | None:
        """How far each may step down and up; None where there are no bounds."""
        if (box := self.chart.box()) is None:
            return None
        return np.where(self.log, -np.inf, box[0]), np.where(self.log, np.inf, box[1])


def coordinates(here: Chart) -> Coordinates:
    """Those of a reduced chart, in which nothing that is positive is zero."""
    value, log = np.ones(here.ends[-1]), np.zeros(here.ends[-1], dtype=bool)
    for part, at in here.linear:
        own = here.values[at]
        pivots = np.ones(len(own), dtype=bool)
        if part.structure == "us" and len(own):
            column = part.E.any(axis=1).argmax(axis=1)  # the first of each column is its pivot
            pivots = np.append(True, column[1:] != column[:-1])
        log[at] = pivots & (own > 0.0)
        value[at] = np.where(log[at], own, 1.0)
    for part in here.curved:
        own = part.theta[part.free]
        low, high = part.form.lower[part.free], part.form.upper[part.free]
        log[part.at] = (low == 0.0) & np.isinf(high) & (own > 0.0)
        value[part.at] = np.where(log[part.at], own, 1.0)
    return Coordinates(here, value, log)
