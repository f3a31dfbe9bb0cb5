"""Newton's method on the exact derivatives, started by MINQUE(0), with the cone condition at the boundary."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from lmmtools.core.charts import Chart, chart
from lmmtools.core.cone import Escape, null_space, steepest_escape
from lmmtools.core.covariance import cholesky_psd, combine, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution, theta_gradient, theta_hessian
from lmmtools.core.starts import other_starts, starts
from lmmtools.errors import ModelError

__all__ = ["Optimum", "minimize"]

# The criterion is a deviance: 1e-10 of it is far below anything statistical, and above its rounding.
_TOLERANCE = 1e-10
# A pure Newton step that promises less than this is the last.
_LAST_STEP = 1e-7
_MAX_STEPS = 100
# Starts are tried beyond the first where a fit of at most so many rows ends on the boundary (in larger ones no second
# minimum was met), or a relative sd exceeds the second number; beyond the third it is on its way to infinity.
_FEW_ROWS = 1000
_LARGE = 1e4
_INFINITE = 3e7
_MAX_ESCAPES = 10


@dataclass(frozen=True)
class Optimum:
    """Where a search ended.

    Attributes
    ----------
    working : ndarray, shape (m,)
        Working parameters.
    theta : ndarray, shape (m,)
        The same point in lme4's parameterisation.
    value : float
        The criterion there, with all constants.
    n_evaluations : int
        Evaluations of the criterion.
    converged : bool
        Whether the search stopped because nothing was left to gain, by its own account.
    """

    working: np.ndarray
    theta: np.ndarray
    value: float
    n_evaluations: int
    converged: bool


def minimize(criterion: Criterion, start: np.ndarray | None = None) -> Optimum:
    """Minimise the criterion over the cone of admissible covariances.

    Parameters
    ----------
    criterion : Criterion
    start : array_like, shape (m,), optional
        θ to start from; MINQUE(0) by default.

    Returns
    -------
    Optimum

    Raises
    ------
    LMMError
        If `start` does not hold m finite numbers.
    ModelError
        If the criterion falls, or stays level, all the way to an infinite variance.

    Notes
    -----
    θ = 0 is stationary whatever the data, as is any rank-deficient Λ along its null directions: the gradient
    2GΛ vanishes there. So where Newton stops, G must also be positive semi-definite on the null space of T;
    a negative direction is a way down, and the search goes on from a step along it.
    """
    w = criterion.working
    points = starts(w) if start is None else [w.from_theta(criterion.check_theta(start))]
    found = [_descend(criterion, theta) for theta in points]
    best = min(found, key=lambda optimum: optimum.value)
    if start is None and _doubtful(criterion, best):
        found += [_descend(criterion, theta) for theta in other_starts(w)]
        best = _lowest(found)
    _refuse_infinite(criterion, best)
    return dataclasses.replace(best, n_evaluations=sum(optimum.n_evaluations for optimum in found))


def _doubtful(criterion: Criterion, optimum: Optimum) -> bool:
    """Whether the criterion may well have another, lower minimum: little data, and an end at an extreme of the cone."""
    if np.abs(optimum.working).max() > _LARGE:
        return True
    w = criterion.working
    parts = zip(w.terms, w.slices, strict=True)
    return w.products.n <= _FEW_ROWS and any(null_space(t, optimum.working[s]).shape[1] for t, s in parts)


def _lowest(found: list[Optimum]) -> Optimum:
    """The lowest, or of those that rounding cannot tell apart the one with the smallest θ."""
    low = min(optimum.value for optimum in found)
    near = [optimum for optimum in found if optimum.value <= low + 1e-12 * max(abs(low), 1.0)]
    return min(near, key=lambda optimum: np.abs(optimum.working).max())


def _refuse_infinite(criterion: Criterion, optimum: Optimum) -> None:
    largest = np.abs(optimum.working).max()
    if largest <= _INFINITE:
        return
    term = criterion.design.terms[0]
    raise ModelError(
        f"the variance of the random effects of `{term.factor}` runs off to infinity against the residual variance "
        f"(their standard deviations' ratio has reached {largest:.1g}): the rows within its {len(term.levels)} levels "
        "leave nothing from which to estimate a residual variance. Leave out fixed or random effects, or collect more "
        "rows per level."
    )


def _descend(criterion: Criterion, theta: np.ndarray) -> Optimum:
    """Newton from one start, leaving the boundary wherever a feasible direction leads down."""
    evaluations = 0
    for _ in range(_MAX_ESCAPES):
        theta, solution, used, converged = _newton(criterion, theta)
        theta, solution, snapping = _snap_to_boundary(criterion, theta, solution)
        evaluations += used + snapping
        escape = steepest_escape(criterion, theta, solution)
        if escape is None or escape.gain <= _TOLERANCE:
            break
        off, used = _follow(criterion, theta, solution.value, escape)
        evaluations += used
        if off is None:
            break
        theta = off
    else:
        solution, converged = criterion.solve(_factor(criterion, theta)), False
    return Optimum(theta, criterion.working.to_theta(theta), criterion.total(solution), evaluations, converged)


def _factor(criterion: Criterion, theta: np.ndarray) -> np.ndarray:
    return combine(theta, criterion.working_map)


def _newton(criterion: Criterion, theta: np.ndarray) -> tuple[np.ndarray, Solution, int, bool]:
    """Newton steps with the Hessian's eigenvalues made positive, each accepted only if it descends.

    Where the step is a pure Newton step and predicts a gain below `_LAST_STEP` it is the last: convergence is
    quadratic, so what it leaves is of the order of gain^(3/2), and the certificate will see.
    """
    solution = criterion.solve(_factor(criterion, theta))
    evaluations = 1
    for _ in range(_MAX_STEPS):
        if not np.abs(theta).max() <= _INFINITE:
            return theta, solution, evaluations, False
        here = chart(criterion.working, theta)
        d = criterion.differentiate(solution)
        g, H = theta_gradient(d, here.Lambda, here.F), theta_hessian(d, here.Lambda, here.F)
        step, gain, pure = _newton_step(g, H, theta)
        if gain <= (_LAST_STEP if pure else _TOLERANCE):
            return *_last_step(criterion, here, step, theta, solution), evaluations + 1, True
        for _ in range(40):
            trial = here.theta(step)
            attempt = _attempt(criterion, trial)
            evaluations += 1
            if attempt is not None and attempt.value <= solution.value + 1e-4 * (g @ step):
                break
            step = step / 2.0
        else:
            # No step in the direction of descent descends: rounding is all that is left, or next to it.
            return theta, solution, evaluations, gain <= 1e-6
        theta, solution = trial, attempt
    return theta, solution, evaluations, False


def _attempt(criterion: Criterion, theta: np.ndarray) -> Solution | None:
    """The solution there; None where X'V⁻¹X is singular to rounding, so far out that no optimum lies beyond."""
    try:
        return criterion.solve(_factor(criterion, theta))
    except np.linalg.LinAlgError:
        return None


def _last_step(
    criterion: Criterion, here: Chart, step: np.ndarray, theta: np.ndarray, solution: Solution
) -> tuple[np.ndarray, Solution]:
    """One more step, kept unless it raises the criterion by more than rounding."""
    trial = here.theta(step)
    attempt = _attempt(criterion, trial)
    if attempt is None:
        return theta, solution
    rounding = 1e-13 * abs(solution.value)
    return (trial, attempt) if attempt.value <= solution.value + rounding else (theta, solution)


def _newton_step(g: np.ndarray, H: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The step −|H|⁻¹g, bounded; the decrease it predicts; whether H was positive definite as it stood."""
    values, vectors = np.linalg.eigh(H)
    along = vectors.T @ g
    floor = 1e-9 * max(np.abs(values).max(), 1e-300)
    size = np.maximum(np.abs(values), floor)
    # Along a flat direction gradient and curvature are both rounding: moving there only adds noise.
    along = np.where(np.abs(values) <= floor, 0.0, along)
    step = -vectors @ (along / size)
    gain = 0.5 * float(np.sum(along**2 / size))
    limit = 2.0 * max(1.0, np.abs(theta).max())
    longest = np.abs(step).max()
    return (step * (limit / longest) if longest > limit else step), gain, bool(values[0] > floor)


def _follow(
    criterion: Criterion, theta: np.ndarray, value: float, escape: Escape
) -> tuple[np.ndarray | None, int]:
    """The first point along an escape, halving from its Newton length, that descends; None if none does."""
    length = escape.length
    for i in range(40):
        trial = escape.point(theta, length)
        attempt = _attempt(criterion, trial)
        if attempt is not None and attempt.value < value:
            return trial, i + 1
        length /= 2.0
    return None, 40


def _snap_to_boundary(
    criterion: Criterion, theta: np.ndarray, solution: Solution
) -> tuple[np.ndarray, Solution, int]:
    """Set directions of T that are zero to rounding exactly to zero, if the criterion does not mind."""
    snapped = theta.copy()
    for term, part in zip(criterion.working.terms, criterion.working.slices, strict=True):
        U, s, _ = np.linalg.svd(term.working_factor(theta[part]))
        small = s <= 1e-4
        if small.any():
            T = (U * np.where(small, 0.0, s) ** 2) @ U.T
            snapped[part] = theta_of(term.structure, _singular_factor(T))
    if np.array_equal(snapped, theta):
        return theta, solution, 0
    after = criterion.solve(_factor(criterion, snapped))
    return (snapped, after, 1) if after.value <= solution.value + 1e-8 else (theta, solution, 1)


def _singular_factor(T: np.ndarray) -> np.ndarray:
    """Lower factor of a singular T with exact zeros where its own rounding would leave 1e-9."""
    L = cholesky_psd(T)
    L[np.abs(L) <= 1e-7 * max(np.abs(L).max(), 1e-300)] = 0.0
    return L
