"""Profiles of the standard deviations of random effects."""

from __future__ import annotations

import numpy as np

from lmmtools.core.covariance import combine, factor_basis, theta_of_covariance
from lmmtools.profiles.held import HeldDeviation
from lmmtools.profiles.parameters import Origin, Parameter
from lmmtools.profiles.path import Path, Point, Way, slope_of_scale, start_between
from lmmtools.profiles.zero import way_without

__all__ = ["DeviationPath"]

# A derivative in T that is none, and a relative sd against a good one that has all but vanished on a straight line.
_LEVEL, _VANISHED = 1e-8, 1e-2


class DeviationPath(Path):
    """The standard deviation of one effect, of any structure."""

    low = 0.0

    def __init__(self, origin: Origin, parameter: Parameter) -> None:
        super().__init__(origin, parameter)
        group = origin.fit.design.terms[parameter.term]
        if (group.group, group.names[parameter.places[0]]) in origin.fit.zero_effects:
            self.estimate = 0.0
        self.scale = "log" if self.estimate > 0.0 else "plain"
        form = origin.working.terms[parameter.term].form
        self.low_is_known = form is None or hasattr(form, "n_sd")
        if origin.working.terms[parameter.term].structure == "homdiag" or getattr(form, "common", False):
            self.key = f"sd of {group.group}"

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """See `Path`."""
        if value == 0.0:
            return [way_without(self.origin, self.parameter.term, self.parameter.places)]
        held = HeldDeviation(self.origin.free, self.parameter.term, self.parameter.places[0], value)
        start = self._scaled(near[0], value)
        if len(near) > 1 and near[0].value > 0.0 < near[1].value:
            further = start_between(near, value, 0, held)
            start = start if further is None or _vanishes(held, further, start) else further
        return [Way(held, start, slope_of_scale(value), others=self.origin.others)]

    def _scaled(self, near: Point, value: float) -> np.ndarray:
        """The nearest point's θ with the effect's own sd changed in proportion, or opened where it is zero."""
        o, (i,) = self.origin, self.parameter.places
        near = near if near.theta is not None and len(near.theta) == len(o.theta) else self.origin_point()
        theta = near.theta.copy()
        w, k = o.working, self.parameter.term
        term, part = w.terms[k], w.slices[k]
        opened = not near.value > 0.0
        times = value / np.sqrt(o.solution.sigma2) / (w.y_scale * w.noise_scale) if opened else value / near.value
        if term.form is None and term.structure == "us":
            L = combine(theta[part], factor_basis("us", term.q)).copy()
            if not opened:
                L[i] *= times
            T = L @ L.T
            T[i, i] += times**2 if opened else 0.0
            theta[part] = theta_of_covariance("us", T)
        elif hasattr(term.form, "n_sd") or term.form is None:
            common = term.structure == "homdiag" or getattr(term.form, "common", False)
            at = part.start + (0 if common else i)
            theta[at] = times if opened else theta[at] * times
        elif opened:
            theta[part] = term.form.start(np.eye(term.q), 0.0)
        return theta

    def first_step(self, size: float) -> float:
        """See `Path`."""
        o = self.origin
        levels = len(o.fit.design.terms[self.parameter.term].levels)
        if self.scale == "log":
            return size / np.sqrt(2.0 * max(levels - 1, 1)) * 1.1
        # the criterion rises with s² near zero, at the rate of its derivative in T_ii
        held = HeldDeviation(o.free, self.parameter.term, self.parameter.places[0], 1.0)
        rise, sigma = held.rise(o.free.differentiate(o.solution)), float(o.estimates[-1])
        return size * sigma / np.sqrt(rise) if rise > _LEVEL else size * sigma / np.sqrt(levels)


def _vanishes(held: HeldDeviation, theta: np.ndarray, beside: np.ndarray) -> bool:
    """Whether at θ next to nothing is left of the relative sd that is held away from zero."""
    w = held.working
    sizes = [np.sqrt(held.tau(w.stacked(w.from_theta(one)))) for one in (theta, beside)]
    return bool(sizes[0] <= _VANISHED * sizes[1])
