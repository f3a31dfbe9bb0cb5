"""Steps that end on the boundary of the cone where a variance is on its way to zero, and points next to it.

In Λ a variance that vanishes at the optimum only creeps towards zero, for the criterion is even in it; in T it gets
there at once. Let c be a column of Λ that can vanish alone: T = … + τcc', and τ = 1 here. The derivatives in τ are
those along c's coordinates, halved, less their bend. Where Newton's step in τ alone leads below zero, the whole step is
solved again with τ ≥ 0 in place of the column's coordinates (Bertsekas 1982, SIAM J. Control Optim. 20(2), finds the
active bounds in this way).
"""

from __future__ import annotations

import numpy as np

from lmmtools.core.charts import Chart, chart
from lmmtools.core.covariance import theta_of_covariance
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import bounded_step
from lmmtools.core.solution import Solution, TDerivatives

__all__ = ["Leaps", "leap", "snap"]

# A landing must gain this much of what was promised.
_KEPT = 0.5
# Size of a change of θ̃ against it that changes nothing.
_NOTHING = 1e-13


class Leaps:
    """Leaps of one search: none after the first that misled."""

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted

    def step(self, here: Chart, g: np.ndarray, H: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, float] | None:
        """A step in the chart's coordinates, with the decrease it predicts; None where no leap is to be tried."""
        if not self._trusted:
            return None
        box = here.box()
        near = None if box is None else (box[0] / unit, box[1] / unit)
        found = leap(g * unit, H * np.outer(unit, unit), here.values / unit, here.vanishing, near)
        return None if found is None else (found[0] * unit, found[1])

    def land(
        self, criterion: Criterion, theta: np.ndarray, before: Solution, gain: float
    ) -> tuple[Solution, TDerivatives] | None:
        """What is found at the end of a leap; None if it gains too little, or what it set to zero would rise again."""
        self._trusted = False
        try:
            solution = criterion.solve(criterion.working.stacked(theta))
        except np.linalg.LinAlgError:
            return None
        if not solution.value <= before.value - _KEPT * gain:
            return None
        d = criterion.differentiate(solution)
        self._trusted = chart(criterion.working, theta).held_at_zero(d)
        return (solution, d) if self._trusted else None


def leap(
    g: np.ndarray,
    H: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    box: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, float] | None:
    """A Newton step that ends on the boundary, and the decrease it predicts; None where none leads there.

    Parameters
    ----------
    g, H : ndarray, shape (m,), (m, m)
    values : ndarray, shape (m,)
        The coordinates of this point.
    groups : ndarray of bool, shape (k, m)
        Coordinates of each column that can vanish.
    box : tuple of ndarray, or None
        Bounds on the step.
    """
    outwards = np.where(groups, values, 0.0)
    slope = 0.5 * outwards @ g
    curvature = 0.25 * np.einsum("km,ml,kl->k", outwards, H, outwards) - 0.5 * slope
    beyond = (curvature > 0.0) & (slope > curvature)
    if not beyond.any():
        return None
    outwards, slope = outwards[beyond], slope[beyond]
    rest = np.flatnonzero(~groups[beyond].any(axis=0))
    k, m = len(rest), len(rest) + len(slope)
    basis = np.zeros((len(g), m))
    basis[rest, np.arange(k)] = 1.0
    basis[:, k:] = 0.5 * outwards.T
    mixed = basis.T @ H @ basis
    mixed[range(k, m), range(k, m)] -= 0.5 * slope
    lower, upper = np.full(m, -np.inf), np.full(m, np.inf)
    if box is not None:
        lower[:k], upper[:k] = box[0][rest], box[1][rest]
    lower[k:] = -1.0
    found, gain, _ = bounded_step(basis.T @ g, mixed, (lower, upper))
    if found[k:].min() > -1.0:
        return None
    step = (np.sqrt(1.0 + found[k:]) - 1.0) @ outwards
    step[rest] = found[:k]
    return step, gain


def snap(criterion: Criterion, theta: np.ndarray, solution: Solution) -> tuple[np.ndarray, Solution, int]:
    """Set directions of T that are zero to rounding exactly to zero, if the criterion does not mind."""
    snapped, largest = theta.copy(), float(np.abs(theta).max())
    for term, part in zip(criterion.working.parts, criterion.working.places, strict=True):
        if term.form is not None:
            snapped[part] = term.form.snap(theta[part])
            continue
        U, s, _ = np.linalg.svd(term.working_factor(theta[part]))
        small = s <= max(1e-4, 1e-6 * largest)
        if small.any():
            snapped[part] = _without_rounding(term.structure, (U * np.where(small, 0.0, s) ** 2) @ U.T)
    if np.abs(snapped - theta).max() <= _NOTHING * max(largest, 1.0):
        return snapped, solution, 0
    try:
        after = criterion.solve(criterion.working.stacked(snapped))
    except np.linalg.LinAlgError:  # so far out that rounding is all there is
        return theta, solution, 1
    rounding = 1e-8 + 1e-13 * largest**2  # that of the criterion beside very large variances
    return (snapped, after, 1) if after.value <= solution.value + rounding else (theta, solution, 1)


def _without_rounding(structure: str, T: np.ndarray) -> np.ndarray:
    """θ of a singular T with exact zeros where its factor's rounding would leave 1e-9."""
    theta = theta_of_covariance(structure, T)
    theta[np.abs(theta) <= 1e-7 * max(np.abs(theta).max(), 1e-300)] = 0.0
    return theta
