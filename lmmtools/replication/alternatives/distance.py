"""How far above the minimum of the criterion the nearest parameters lie at which a quantity is printed as it is.

Programs for mixed models search over θ (and the parameters φ of the residuals); β and σ follow. Where one stops
short of the minimum, every printed number is that of a nearby θ. So the question is the least value of the
criterion among all θ at which the quantity lies within the rounding interval: a minimum on one end of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.errors import LMMError
from lmmtools.replication.alternatives.stops import at_theta, follows_fitted
from lmmtools.replication.printed import Printed
from lmmtools.replication.quantities import value_at
from lmmtools.replication.quantities.paths import read_call, split_path
from lmmtools.results import LMMFit

__all__ = ["distance", "least_rise"]

# Paths that lead to no function of the fit's own θ: to other fits, or to what is found by further searches.
_OF_OTHERS = ("lrt", "criterion_at", "confint", "intervals", "ranova", "caic", "hat_trace")
# Step of differences, in units in which the criterion rises by half its square: a rise of 5e-9.
_STEP = 1e-4
# Rises below this are integrals of the gradient: as differences of criteria they would be rounding.
_SMALL = 1e-5
# A constraint that is met to this part of the way from the estimate to the end of the interval is met.
_MET = 1e-4
# Curvature below this part of the largest is flat: there the data say nothing.
_FLAT = 1e-10


def distance(printed: Printed, path: str, fit: Any) -> float | None:
    """The least rise of the criterion at which a quantity is printed so.

    Parameters
    ----------
    printed : Printed
    path : str
    fit : LMMFit or GmanovaFit

    Returns
    -------
    float or None
        In units of the criterion, −2 log-likelihood. None where the quantity does not depend on θ, no θ is found
        that prints it, or nothing is searched for: growth curves, least squares, variances that follow the fitted
        values.
    """
    if not isinstance(fit, LMMFit) or printed.no_minimum or not len(fit.working_theta) or follows_fitted(fit):
        return None
    if read_call(split_path(path)[0], path).name in _OF_OTHERS:
        return None
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)

    def quantity(theta: np.ndarray) -> float:
        return value_at(path, at_theta(fit, criterion, np.clip(theta, *criterion.bounds)))

    try:
        return least_rise(criterion, np.concatenate([fit.theta, fit.phi]), quantity, printed)
    except (LMMError, np.linalg.LinAlgError):
        return None


def least_rise(
    criterion: Criterion, theta: np.ndarray, quantity: Callable[[np.ndarray], float], printed: Printed
) -> float | None:
    """The least rise of a criterion above its minimum at which a function of θ is printed so.

    Parameters
    ----------
    criterion : Criterion
    theta : ndarray, shape (m,)
        [θ, φ] at the minimum.
    quantity : callable
    printed : Printed

    Returns
    -------
    float or None
        None where no such θ is found.

    Notes
    -----
    With S such that S'HS = I, H the Hessian, the criterion rises by ½‖z‖² at θ̂ + Sz, as long as it is quadratic. There
    a quantity with the gradient a in z reaches the end e of the interval at z = a(e − q)/‖a‖². From that start the rise
    itself is minimised on q = e by sequential quadratic programming, in units of the start's size.
    """
    value = quantity(theta)
    if printed.prints(value):
        return 0.0
    target = float(printed.low) if value < printed.low else float(printed.high)
    curvature, axes = np.linalg.eigh(criterion.hessian(theta))
    if not curvature[-1] > 0.0:
        return None
    unit = axes / np.sqrt(np.maximum(curvature, _FLAT * curvature[-1]))
    problem = _Problem(criterion, theta, unit, quantity, value, target)
    found = [rise for start in problem.starts() if (rise := problem.solve(start)) is not None]
    return min(found, default=None)


class _Problem:
    """The rise of a criterion around its minimum and the quantity that is to reach a value, in coordinates z."""

    def __init__(
        self, criterion: Criterion, theta: np.ndarray, unit: np.ndarray, quantity: Callable, value: float, target: float
    ) -> None:
        self.criterion, self.theta, self.unit, self.quantity = criterion, theta, unit, quantity
        self.value, self.target, self.lowest = value, target, criterion(theta)

    def at(self, z: np.ndarray) -> np.ndarray:
        """θ, kept within its bounds."""
        return np.clip(self.theta + self.unit @ z, *self.criterion.bounds)

    def missing(self, z: np.ndarray) -> float:
        """What the quantity lacks to the value it is to reach, over what it lacks at the minimum."""
        return (self.quantity(self.at(z)) - self.target) / (self.target - self.value)

    def slope(self, z: np.ndarray) -> np.ndarray:
        """Gradient of `missing` by central differences."""
        steps = _STEP * np.eye(len(z))
        return np.array([self.missing(z + one) - self.missing(z - one) for one in steps]) / (2.0 * _STEP)

    def rise(self, z: np.ndarray) -> float:
        """How far the criterion is above its minimum."""
        theta = self.at(z)
        plain = self.criterion(theta) - self.lowest
        if abs(plain) > _SMALL:
            return plain
        nodes, weights = np.polynomial.legendre.leggauss(3)
        along = theta - self.theta
        slopes = [self.criterion.gradient(self.theta + 0.5 * (1.0 + node) * along) @ along for node in nodes]
        return 0.5 * float(weights @ slopes)

    def starts(self) -> list[np.ndarray]:
        """Where the quadratic approximation has the answer; along each axis where the quantity is level there."""
        origin = np.zeros(len(self.unit))
        slope = self.slope(origin)
        size = float(slope @ slope)
        first = [slope / size] if size > _STEP**2 else []
        if first:
            return first
        # A level quantity, such as the criterion itself or a variance of zero, may leave along any axis.
        axes = [sign * axis for axis in np.eye(len(self.unit)) for sign in (1.0, -1.0)]
        return [z for axis in axes if (z := self._along(axis)) is not None]

    def _along(self, axis: np.ndarray) -> np.ndarray | None:
        """Where on a half-line from the minimum the quantity reaches its value; None if not within reach."""
        from scipy.optimize import brentq

        size = _STEP
        while size < 1e2:
            try:
                if self.missing(size * axis) >= 0.0:
                    return axis * brentq(lambda t: self.missing(t * axis), 0.0, size)
            except (LMMError, np.linalg.LinAlgError):
                return None
            size *= 4.0
        return None

    def solve(self, start: np.ndarray) -> float | None:
        """The least rise near a start."""
        from scipy.optimize import minimize

        size = float(np.linalg.norm(start))
        reached = {"fun": lambda w: self.missing(size * w), "jac": lambda w: size * self.slope(size * w)}
        found = minimize(
            lambda w: 2.0 * self.rise(size * w) / size**2,
            start / size,
            jac=lambda w: 2.0 * self.unit.T @ self.criterion.gradient(self.at(size * w)) / size,
            constraints={"type": "eq", **reached},
            method="SLSQP",
            options={"ftol": 1e-4, "maxiter": 40},
        )
        z = size * found.x
        return float(self.rise(z)) if abs(self.missing(z)) <= _MET else None
