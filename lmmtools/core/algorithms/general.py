"""General-purpose optimisers of scipy on the criterion: quasi-Newton with the exact gradient, and without derivatives.

They move in working parameters, Λ over columns that are centred and of unit size, whose signs do not matter: an
unbounded and smooth problem, in which a variance of zero is an ordinary minimum. Each is started again where it stops,
with its memory of curvature, simplex or model rebuilt, until a Newton step from there would gain next to nothing.
The derivative-free ones use derivatives for that one question only, between runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmmtools.core.algorithms.points import ENOUGH, Evaluator, deviance_left, search_bounds, working_gradient
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution

__all__ = ["bfgs", "cobyqa", "nelder_mead"]

_RUNS = 12
_LIMIT = 10_000
# Without derivatives the last digits of a minimum are out of reach: half the digits are lost in each parameter.
_ENOUGH_WITHOUT = 2e-7
# In place of a value where there is none, on the way to infinity.
_NOWHERE = 1e100
_BACK = 100.0


def bfgs(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995, SIAM J. Sci. Comput. 16) on the analytic gradient."""
    options = {"ftol": 1e-15, "gtol": 1e-9, "maxcor": 30, "maxfun": 10 * _LIMIT}
    return _Runs(criterion, report, limit or _LIMIT, ENOUGH).go("L-BFGS-B", theta, options, gradient=True)


def nelder_mead(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """The simplex of Nelder & Mead (1965, Computer J. 7), smaller at each restart."""
    options = {"xatol": 1e-7, "fatol": 1e-10, "adaptive": len(theta) > 4, "maxfev": 10 * _LIMIT}
    return _Runs(criterion, report, limit or _LIMIT, _ENOUGH_WITHOUT).go("Nelder-Mead", theta, options)


def cobyqa(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """COBYQA (Ragonneau 2022), quadratic models in a trust region, as Powell's BOBYQA has them."""
    options = {"final_tr_radius": 1e-7, "maxfev": 10 * _LIMIT}
    return _Runs(criterion, report, limit or _LIMIT, _ENOUGH_WITHOUT).go("COBYQA", theta, options)


class _Stop(Exception):
    """The limit of iterations is reached."""


class _Runs:
    """One optimiser of scipy, restarted until it is done; the lowest point seen is kept."""

    def __init__(self, criterion: Criterion, report: Callable, limit: int, enough: float) -> None:
        self.criterion, self.report, self.limit, self.enough = criterion, report, limit, enough
        self.evaluator = Evaluator(criterion)
        self.iterations = 0
        self.lowest: tuple[np.ndarray, Solution] | None = None

    def go(
        self, name: str, theta: np.ndarray, options: dict[str, Any], *, gradient: bool = False
    ) -> tuple[np.ndarray, Solution, int, bool]:
        from scipy.optimize import minimize

        self._value(theta)
        if self.lowest is None:
            raise np.linalg.LinAlgError("X'V⁻¹X is singular to rounding")
        self._report()
        options = options | {"bounds": list(zip(*search_bounds(self.criterion.working), strict=True))}
        value, left, before = (self._value_and_slope if gradient else self._value), np.inf, np.inf
        try:
            for run in range(_RUNS):
                start = self.lowest[0]
                settings = self._settings(name, start, 0.3 * 0.3 ** min(run, 4), options)
                minimize(value, start, jac=gradient or None, method=name, callback=self._count, **settings)
                theta, solution = self.lowest
                left = deviance_left(self.criterion, theta, solution, self.criterion.differentiate(solution))
                if left <= self.enough or (run > 1 and solution.value >= before):
                    break
                before = solution.value
        except _Stop:
            pass
        theta, solution = self.lowest
        return theta, solution, self.evaluator.count, left <= self.enough

    def _settings(self, name: str, theta: np.ndarray, size: float, options: dict[str, Any]) -> dict[str, Any]:
        """Arguments of scipy's minimize for a run from θ̃ with a first step of relative `size`."""
        options = dict(options)
        bounds = options.pop("bounds")
        if name == "Nelder-Mead":
            options["initial_simplex"] = self._simplex(theta, size)
        elif name == "COBYQA":
            options["initial_tr_radius"] = size * max(1.0, float(np.abs(theta).max()))
        return {"bounds": bounds, "options": options}

    def _simplex(self, theta: np.ndarray, size: float) -> np.ndarray:
        """Corners around θ, a step along each parameter, turned back where a bound is in the way."""
        _, upper = search_bounds(self.criterion.working)
        steps = size * np.maximum(np.abs(theta), 0.3)
        steps = np.where(theta + steps > upper, -steps, steps)
        return np.vstack([theta, theta + np.diag(steps)])

    def _solve(self, theta: np.ndarray) -> Solution | None:
        """The solution at θ̃, remembered if it is the lowest; None where there is none."""
        solution = self.evaluator.solve(theta) if np.all(np.isfinite(theta)) else None
        if solution is None or not np.isfinite(solution.value):
            return None
        if self.lowest is None or solution.value < self.lowest[1].value:
            self.lowest = theta.copy(), solution
        return solution

    def _value(self, theta: np.ndarray) -> float:
        solution = self._solve(theta)
        return self._nowhere(theta)[0] if solution is None else solution.value

    def _nowhere(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """In place of value and slope; where R is not positive definite, a slope back that a line search can follow."""
        if self.criterion.working.residual is None or self.lowest is None:
            return _NOWHERE, np.zeros(len(theta))
        back = np.nan_to_num(theta - self.lowest[0])
        return self.lowest[1].value + _BACK * (1.0 + float(back @ back)), 2.0 * _BACK * back

    def _value_and_slope(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        solution = self._solve(theta)
        if solution is None:
            return self._nowhere(theta)
        d = self.criterion.differentiate(solution)
        return solution.value, working_gradient(self.criterion.working, theta, d.gradient)

    def _count(self, *_: Any) -> None:
        self.iterations += 1
        self._report()
        if self.iterations >= self.limit:
            raise _Stop

    def _report(self) -> None:
        """The lowest point so far: a simplex has no other place of its own."""
        theta, solution = self.lowest
        self.report(theta, solution.value, None, self.evaluator.count)
