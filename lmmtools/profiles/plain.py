"""Profiles of fixed effects and of σ: what is held is held in the penalised least squares solution."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lmmtools.core.solution import Solution
from lmmtools.profiles.path import Path, Point, Way, slope_of_scale, start_between

__all__ = ["CoefficientPath", "NoisePath"]


class CoefficientPath(Path):
    """A fixed effect."""

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """See `Path`."""
        held = self.origin.free.held(direction=self._direction, value=value)

        def slope(_: Solution, Lambda: np.ndarray, __: np.ndarray) -> float:
            o = self.origin
            along = np.linalg.solve(o.working.R.T, self._direction)
            free = o.free.solve(Lambda)
            half, unit = free.S_root.T @ along, o.working.y_scale
            gap = (value - float(along @ o.working.beta_shift)) / unit - float(along @ free.beta)
            return 2.0 * free.nu * gap / (float(half @ half) * free.r2 + gap * gap) / unit

        return [Way(held, start_between(near, value, 0, held), slope, others=self.origin.others)]

    @cached_property
    def _direction(self) -> np.ndarray:
        return np.eye(self.origin.working.products.p)[self.parameter.places[0]]

    def first_step(self, size: float) -> float:
        """See `Path`."""
        return size * float(self.origin.fit.stderr.iloc[self.parameter.places[0]])


class NoisePath(Path):
    """σ."""

    scale, low, low_is_known = "log", 0.0, False

    def ways(self, value: float, near: tuple[Point, ...]) -> list[Way]:
        """See `Path`."""
        held = self.origin.free.held(sigma=value)
        return [Way(held, start_between(near, value, 0, held), slope_of_scale(value), others=self.origin.others)]

    def first_step(self, size: float) -> float:
        """See `Path`."""
        products = self.origin.working.products
        effects = sum(len(t.levels) * len(t.names) for t in self.origin.fit.design.terms)
        return size / np.sqrt(2.0 * max(products.n - products.p - effects, products.n / 4.0, 1.0))
