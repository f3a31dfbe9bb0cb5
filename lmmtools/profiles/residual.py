"""Profiles of the parameters φ of a residual structure: the structure with one of them held."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.residual import ResidualForm, ResidualTerm
from lmmtools.core.solution import Solution
from lmmtools.errors import ModelError
from lmmtools.profiles.forms import Held
from lmmtools.profiles.parameters import Origin, Parameter
from lmmtools.profiles.path import BelowTheFit, Path, Point, Way, start_between

__all__ = ["HeldResidual", "HeldResidualTerm", "ResidualPath"]

# A parameter nearer to its bound than this is there.
_AT_BOUND = 1e-6
# Halvings of the way from a known point to one that no start reaches.
_HALVED = 4
# Where the criterion does not bend, a first step of this size, on the scale of the profile.
_BLIND = 0.2


class HeldResidual(Held):
    """A residual structure with one parameter held.

    Parameters
    ----------
    form : ResidualForm
    place : int
    value : float
        φ_k, on its natural scale.
    """

    def __init__(self, form: ResidualForm, place: int, value: float) -> None:
        self.of, self.place, self.name = form, place, form.name
        self._free = np.arange(form.n_theta) != place
        self.n_theta = form.n_theta - 1
        self.lower, self.upper = form.lower[self._free], form.upper[self._free]
        self.phi = value
        self.value = float(self._working_all(self._filled(form))[place])

    def _filled(self, form: ResidualForm) -> np.ndarray:
        phi = form.natural(form.base)
        phi[self.place] = self.phi
        return phi

    def _working_all(self, phi: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):  # a value on a bound is infinitely far
            return self.of.working_of(phi)

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """φ, the one held among them, shape (m,)."""
        return self.of.natural(self.full(psi))

    def run_off(self, psi: np.ndarray) -> list[int]:
        """Ratios that have run off to zero or infinity; a constant can, while a power is held."""
        names = self.of.residual.names
        return [k for k in self.of.run_off(self.full(psi)) if k != self.place and "const" not in names[k]]

    def beyond(self, psi: np.ndarray) -> list[int]:
        """Free parameters at an end that is only that of the numbers."""
        return [k for k in self.of.beyond(self.full(psi)) if k != self.place]

    def working_of(self, phi: np.ndarray) -> np.ndarray:
        """ψ of the free φ, shape (m − 1,)."""
        return self._working_all(np.insert(phi, self.place, self.phi))[self._free]


class HeldResidualTerm(ResidualTerm):
    """φ with one parameter held, in a working model."""

    @cached_property
    def own_form(self) -> HeldResidual:
        """The same with φ itself for coordinates."""
        natural = ResidualForm(self.form.of.residual, natural=True)
        return HeldResidual(natural, self.form.place, self.form.phi)

    def own_factor(self, theta: np.ndarray) -> np.ndarray:
        """All of φ on a diagonal."""
        return np.diag(np.insert(theta, self.form.place, self.form.phi))

    def own(self, theta: np.ndarray) -> np.ndarray:
        """The free φ, from ψ."""
        return np.delete(self.form.natural(theta), self.form.place)


class ResidualPath(Path):
    """A correlation, range, nugget, ratio of standard deviations or coefficient of a variance function."""

    low_is_known = high_is_known = False
    has_gaps = True

    def __init__(self, origin: Origin, parameter: Parameter) -> None:
        super().__init__(origin, parameter)
        (self.place,) = parameter.places
        residual = origin.fit.design.residual
        self.low, self.high = (float(bound) for bound in residual.bounds[self.place])
        if self.low < 0.0 <= float(origin.working.residual.own_form.lower[self.place]):
            self.low = 0.0  # lags that are all even do not tell −φ from φ
        c = residual.correlation
        of_correlation = c is not None and self.place < residual.slices[0].stop
        if of_correlation and c.nugget and (self.low, self.high) == (0.0, 1.0):
            self.low_is_known = True
        elif of_correlation and c.kind == "arma" and np.isfinite(self.low) and ".theta" in self.name:
            self.low_is_known = self.high_is_known = True  # a moving average may have its root on the unit circle
        elif np.isfinite(self.low) and np.isfinite(self.high):
            self.scale = "atanh"
        elif np.isfinite(self.low):
            self.scale = "log"
        for bound in (self.low, self.high):
            if abs(self.estimate - bound) <= _AT_BOUND:
                self.estimate = bound

    def why_not(self) -> str:
        """Why there is no profile."""
        known = {self.low: self.low_is_known, self.high: self.high_is_known}
        if not known.get(self.estimate, True):
            return (
                f"{self.name} is at {self.estimate:g}, the end of what the structure allows, where the residuals' "
                "covariance is singular: no profile can start there."
            )
        return ""

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """See `Path`."""
        o, k = self.origin, self.place
        free: ResidualTerm = o.working.residual
        term = HeldResidualTerm(**{name: getattr(free, name) for name in ("structure", "K", "S", "scale", "spread")},
                                form=HeldResidual(self._form, k, value))  # fmt: skip
        held = Criterion(o.fit.design, reml=False, working=replace(o.working, residual=term))
        start = start_between(near, value, 0, held)
        place = len(o.theta) - free.n_theta + k
        if start is None:
            start = np.delete(self._of_form(o.theta), place)
        others = (*(np.delete(self._of_form(theta), place) for theta in o.others), *self._alike(value, place, held))

        def slope(solution: Solution, Lambda: np.ndarray, theta: np.ndarray) -> float:
            at = k - free.n_theta
            return float(held.differentiate(solution).gradient[at, at])

        return [Way(held, start, slope, others=others)]

    @property
    def _form(self) -> ResidualForm:
        """The structure in coordinates of which the one held is a function of φ_k alone.

        A search for the coefficients of a process of a higher order moves them together: here they are themselves.
        """
        free: ResidualTerm = self.origin.working.residual
        c = self.origin.fit.design.residual.correlation
        together = c is not None and c.kind == "arma" and max(c.order) > 1
        return free.own_form if together else free.form

    def _of_form(self, theta: np.ndarray) -> np.ndarray:
        """[θ̃, ψ] with the ψ of that form."""
        free: ResidualTerm = self.origin.working.residual
        if self._form is free.form:
            return theta
        first = len(theta) - free.n_theta
        return np.append(theta[:first], self._form.working_of(free.form.natural(theta[first:])))

    def _alike(self, value: float, place: int, held: Criterion) -> list[np.ndarray]:
        """Starts in which the other correlations are all as the one held, or nothing."""
        o, c = self.origin, self.origin.fit.design.residual.correlation
        if c is None or c.kind not in ("us", "toep"):
            return []
        found, lower, upper = [], *held.bounds
        first = len(o.theta) - len(o.fit.phi)
        for size in (0.0, value, 0.5 * value):
            theta = o.theta.copy()
            theta[first : first + o.fit.design.residual.slices[0].stop] = size
            found.append(np.clip(np.delete(theta, place), lower, upper))
        return found

    def at(self, value: float, near: tuple[Point, ...] = ()) -> Point:
        """See `Path`; where no start leads on, by way of points in between."""
        return self._by_way_of(value, near or (self.origin_point(),), _HALVED)

    def _by_way_of(self, value: float, near: tuple[Point, ...], halvings: int) -> Point:
        try:
            return super().at(value, near)
        except BelowTheFit:
            raise
        except ModelError:
            if not halvings or near[0].value == value:
                raise
            middle = self._by_way_of(0.5 * (near[0].value + value), near[:1], halvings - 1)
            return self._by_way_of(value, (middle, near[0]), halvings - 1)

    def first_step(self, size: float) -> float:
        """See `Path`."""
        error = self._standard_error
        if not np.isfinite(error):
            return _BLIND * size
        if self.scale == "log":
            return min(size * error / self.estimate, 2.0)
        if self.scale == "atanh":
            return min(size * error / (1.0 - self.estimate**2), 1.0)
        if self.estimate in (self.low, self.high):
            return min(size * error, 0.2 * (self.high - self.low))
        return size * error

    @cached_property
    def _standard_error(self) -> float:
        """Of φ_k, by the observed information; infinite where it does not tell."""
        o = self.origin
        H: Any = o.free.hessian(o.theta)
        k = len(o.theta) - o.working.residual.n_theta + self.place
        scale = np.sqrt(np.maximum(np.diagonal(H), 0.0))
        alive = np.flatnonzero(scale > 0.0)
        if k not in alive:
            return np.inf
        H = H[np.ix_(alive, alive)] / np.outer(scale[alive], scale[alive])
        at = int(np.flatnonzero(alive == k)[0])
        variance = 2.0 * np.linalg.pinv(H, rcond=1e-10, hermitian=True)[at, at]
        return float(np.sqrt(variance) / scale[k]) if variance > 0.0 else np.inf
