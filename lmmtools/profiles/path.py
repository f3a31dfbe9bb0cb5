"""Profiles of single parameters: the least ML criterion with one parameter held, its slope, and ζ.

ζ(ψ) = sign(ψ − ψ̂)√(d(ψ) − d̂) (Bates & Watts 1988, Nonlinear Regression Analysis and Its Applications, eq. 6.2 for
their τ). By the envelope theorem d'(ψ) is the derivative of the criterion in ψ alone, all else fixed at its optimum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import minimize
from lmmtools.core.solution import Solution
from lmmtools.errors import ModelError
from lmmtools.formats import shown
from lmmtools.profiles.parameters import Origin, Parameter

__all__ = ["BelowTheFit", "Path", "Point", "Way", "slope_of_scale", "start_between"]

# A profile this much below the fit's criterion, absolute and relative, shows that the fit is not the optimum.
_LOWER, _ROUNDING = 1e-4, 1e-10
# A relative sd beyond which the criterion is rounding.
_LOST = 1e6
# Rows up to which other starts are tried.
_FEW_ROWS = 1000


class BelowTheFit(ModelError):
    """A point of a profile lies below the fit, which then is not the optimum."""


@dataclass(frozen=True)
class Point:
    """One point of a profile.

    Attributes
    ----------
    value : float
        ψ.
    deviance : float
        The least criterion with ψ held.
    slope : float
        Its derivative in ψ; NaN on a bound.
    zeta : float
    theta : ndarray or None
        θ there, in the parameterisation of the criterion minimised.
    branch : int
        Which of several criteria it belongs to.
    parameters : ndarray
        All parameters there.
    factors : tuple of ndarray, shape (q, q)
        Λ of each term in its own columns.
    """

    value: float
    deviance: float
    slope: float
    zeta: float
    theta: np.ndarray | None
    branch: int
    parameters: np.ndarray
    factors: tuple[np.ndarray, ...]

    @property
    def rate(self) -> float:
        """dζ/dψ; NaN where it is not known."""
        return self.slope / (2.0 * self.zeta) if self.zeta else np.nan


@dataclass(frozen=True)
class Way:
    """One criterion with ψ held: where to start, its slope, each term's Λ in its own columns, and other starts."""

    criterion: Criterion
    start: np.ndarray | None
    slope: Callable[[Solution, np.ndarray, np.ndarray], float]
    factors: Callable[[tuple[np.ndarray, ...]], tuple[np.ndarray, ...]] | None = None
    others: tuple[np.ndarray, ...] = ()


class Path:
    """The profile of one parameter.

    Attributes
    ----------
    origin : Origin
    parameter : Parameter
    estimate : float
        ψ̂; NaN for a correlation with an effect that does not vary.
    low, high : float
        Bounds of ψ.
    scale : str
        Where ζ is about straight: ``"plain"``, ``"log"`` or ``"atanh"``.
    low_is_known, high_is_known : bool
        Whether there is a criterion with ψ on its lower, its upper bound.
    has_gaps : bool
        Whether some ψ within the bounds may have no model at all, so that a search must turn back before them.
    key : str
        The same for parameters that are one in the model, such as a common sd of several effects.
    plateau : Point or None
        The least criterion with which every ψ goes, so that ζ never exceeds it.
    """

    scale = "plain"
    low_is_known = high_is_known = True
    has_gaps = False
    plateau: Point | None = None
    low, high = -np.inf, np.inf

    def __init__(self, origin: Origin, parameter: Parameter) -> None:
        self.origin, self.parameter = origin, parameter
        self.estimate = float(origin.estimates[origin.parameters.index(parameter)])
        self.key = parameter.name

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.parameter.name

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """The criteria of which the profile is the least, each with its start."""
        raise NotImplementedError

    def first_step(self, size: float) -> float:
        """About how far from the estimate |ζ| = size is, on `scale`."""
        raise NotImplementedError

    def why_not(self) -> str:
        """Why there is no profile, as a sentence; empty where there is one."""
        return ""

    def origin_point(self) -> Point:
        """The fit itself."""
        o = self.origin
        return Point(self.estimate, o.lowest, 0.0, 0.0, o.theta, 0, o.estimates, o.factors)

    def at(self, value: float, near: tuple[Point, ...] = ()) -> Point:
        """The profile at a value.

        Parameters
        ----------
        value : float
        near : tuple of Point
            One or two points from which the search for the others starts, the nearest first.

        Raises
        ------
        BelowTheFit
            If the criterion is below the fit's.
        ModelError
            If it has no minimum.
        """
        ways = enumerate(self.ways(value, near or (self.origin_point(),)))
        return self.lowest(value, [self._reached(k, way, value) for k, way in ways])

    def _reached(self, branch: int, way: Way, value: float) -> Point:
        """The minimum of one criterion from its start, or from another where that one leads nowhere."""
        try:
            return self.on(branch, way, way.start, value)
        except ModelError:
            for start in way.others:
                with contextlib.suppress(ModelError):
                    return self.on(branch, way, start, value)
            raise

    def elsewhere(self, point: Point) -> Point | None:
        """A lower point at the same value, from other starts; None where there is none, or hardly could be.

        Looked for where the fit itself is started more than once: with few rows, where T is not linear in its
        parameters or the point lies on the boundary.
        """
        w = self.origin.working
        singular = any(np.linalg.matrix_rank(L) < len(L) for L in point.factors)
        if w.products.n > _FEW_ROWS or (w.linear and not singular) or point.value in (self.low, self.high):
            return None
        found = []
        for k, way in enumerate(self.ways(point.value, (point,))):
            for start in way.others:
                with contextlib.suppress(ModelError):  # as where the search runs off to an infinite variance
                    found.append(self.on(k, way, start, point.value))
        lowest = min(found, key=lambda p: p.deviance, default=point)
        return self.lowest(point.value, [lowest]) if lowest.deviance < point.deviance - _LOWER else None

    def lowest(self, value: float, found: list[Point]) -> Point:
        """The lowest of several points, with its ζ.

        Raises
        ------
        BelowTheFit
            If it is.
        """
        point = min(found, key=lambda p: p.deviance)
        lowest = self.origin.lowest
        if point.deviance < lowest - _LOWER - _ROUNDING * abs(lowest):
            raise BelowTheFit(
                f"profile: with {self.name} = {shown(value)} the ML criterion is {point.deviance:.6f}, "
                f"{shown(lowest - point.deviance)} below the {lowest:.6f} of the fit: the fit is not at the optimum, "
                "and no profile can start from it. Look for the optimum with certify(fit, restarts=20)."
            )
        side = 1.0 if np.isnan(value) else np.sign(value - self.estimate)
        zeta = side * np.sqrt(max(point.deviance - lowest, 0.0))
        return replace(point, zeta=float(zeta))

    def on(self, branch: int, way: Way, start: np.ndarray | None, value: float) -> Point:
        """The minimum of one criterion from one start; no ζ yet."""
        criterion, o = way.criterion, self.origin
        theta = np.zeros(0)
        if start is None:  # no covariance parameter is left
            Lambda = np.zeros((len(o.working.stacked(o.fit.working_theta)), 1))
            factors = tuple(np.zeros_like(L) for L in o.factors)
        else:
            optimum = minimize(criterion, np.clip(start, *criterion.bounds))
            if np.abs(optimum.working).max(initial=0.0) > _LOST:
                raise ModelError(
                    f"profile: with {self.name} = {shown(value)} the residual variance is lost in rounding beside "
                    "those of the random effects."
                )
            theta, Lambda = optimum.theta, criterion.working.stacked(optimum.working)
            factors = criterion.working.factors(optimum.working)
            factors = factors if way.factors is None else way.factors(factors)
        solution = criterion.solve(Lambda)
        slope = way.slope(solution, Lambda, theta)
        parameters = o.values(solution, factors, o.phi(Lambda))
        return Point(value, criterion.total(solution), slope, 0.0, theta, branch, parameters, factors)


def start_between(near: tuple[Point, ...], value: float, branch: int, criterion: Criterion) -> np.ndarray | None:
    """θ on the line through the two nearest points, within its bounds; None where none is of use."""
    lower, upper = criterion.bounds
    useful = [p for p in near if p.theta is not None and len(p.theta) == len(lower) and p.branch == branch]
    if not useful:
        return None
    theta = useful[0].theta
    if len(useful) > 1 and useful[0].value != useful[1].value:
        share = (value - useful[0].value) / (useful[1].value - useful[0].value)
        if abs(share) <= 4.0:
            theta = theta + share * (useful[1].theta - theta)
    return np.clip(theta, lower, upper)


def slope_of_scale(value: float) -> Callable[[Solution, np.ndarray, np.ndarray], float]:
    """The criterion's derivative in σ where that is held, or in an sd that σ follows, all else held."""
    return lambda s, *_: 2.0 * (s.nu - s.r2 / s.sigma2) / value
