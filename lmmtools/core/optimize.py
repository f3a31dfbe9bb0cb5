"""Newton's method on the exact derivatives, started by MINQUE(0), with the cone condition at the boundary."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmtools.core.algorithms import algorithm, check_method, early_end
from lmmtools.core.algorithms.points import deviance_left
from lmmtools.core.algorithms.trace import Recorder, Trace
from lmmtools.core.basins import Basins
from lmmtools.core.boundary import Leaps, snap
from lmmtools.core.charts import Chart, chart
from lmmtools.core.cone import Escape, on_boundary, steepest_escape
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import Secant, bounded_step, newton_step, tempered
from lmmtools.core.runaway import refuse_runaway, runs_off
from lmmtools.core.solution import Solution
from lmmtools.core.starts import ordered, other_starts, reopened, starts
from lmmtools.errors import LMMWarning, ModelError

__all__ = ["Optimum", "minimize"]

# The criterion is a deviance: 1e-10 of it is far below anything statistical, and above its rounding.
_TOLERANCE = 1e-10
# A pure Newton step that promises less than this is the last; so is one on the average information that promises less
# than the second number, and one of either kind that promises less than the third and is sure to leave less than the
# fourth.
_LAST_STEP, _LAST_STEERED, _SURE_STEP, _LEFT = 1e-7, 1e-8, 1e-6, 1e-9
# Where each evaluation is dear, a search ends without a step that promises less than the first number and would change
# no parameter by more than the second, relative: standard errors then have five digits.
_NEGLIGIBLE, _SAME = 1e-7, 4e-6
_MAX_STEPS = 100
# Most halvings of a step; one halved more than the second number that gains less than the third, relative, is rounding.
_HALVINGS, _MANY, _ROUNDING = 40, 8, 1e-11
# Starts are tried beyond the first where a fit of at most so many rows ends on the boundary (in larger ones no second
# minimum was met), or a relative sd exceeds the second number.
_FEW_ROWS = 1000
_LARGE = 1e4
# Evaluations after which no further start is tried: an end that took so many is at the limit of what rounding lets see.
_PATIENCE = 200
# Searches in a row that end on their way to a known optimum, after which none is started with a residual structure.
# With so few parameters one such search will do.
_AGREED, _FEW_PARAMETERS = 2, 3
_MAX_ESCAPES = 10
_LOST = (
    "the random effects and the fixed effects leave so little of the response that its residual variance is lost in "
    "rounding: the differences between groups are some 10⁷ times those within them. Check the units and whether the "
    "response was computed from the other columns; else leave out a random effect."
)


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
    ended : str
        Where more than that was left, a sentence that says so; else empty.
    trace : Trace or None
        The iterations, if they were asked for, of the search that ended lowest; `lmmtools.iteration_table` shows them.
    """

    working: np.ndarray
    theta: np.ndarray
    value: float
    n_evaluations: int
    converged: bool
    ended: str = ""
    trace: Trace | None = None


def minimize(
    criterion: Criterion,
    start: np.ndarray | None = None,
    method: str = "newton",
    *,
    max_iterations: int | None = None,
    trace: bool = False,
) -> Optimum:
    """Minimise the criterion over the cone of admissible covariances.

    Parameters
    ----------
    criterion : Criterion
    start : array_like, shape (m,), optional
        θ to start from; MINQUE(0) by default.
    method : str
        ``"newton"``, the fastest by far, or for comparison ``"em"``, ``"ecme"``, ``"gls"``, ``"bfgs"``,
        ``"nelder-mead"`` or ``"cobyqa"``; see `lmmtools.core.algorithms`.
    max_iterations : int, optional
        Where a search is stopped; by default where going on is of no use.
    trace : bool
        Whether to keep the iterations.

    Returns
    -------
    Optimum

    Raises
    ------
    LMMError
        If `start` does not hold m finite numbers, or there is no such method.
    ModelError
        If the criterion falls, or stays level, all the way to an infinite variance.

    Notes
    -----
    θ = 0 is stationary whatever the data, as is any rank-deficient Λ along its null directions: the gradient
    2GΛ vanishes there. So where Newton stops, G must also be positive semi-definite on the null space of T;
    a negative direction is a way down, and the search goes on from a step along it. The other methods are stuck
    there in the same way, and are taken off in the same way.
    """
    w = criterion.working
    if not w.parts or not w.places[-1].stop:  # nothing to search: least squares
        none = np.zeros(0)
        return Optimum(none, none, criterion.total(criterion.solve(_factor(criterion, none))), 1, True)
    points = starts(w) if start is None else [w.from_theta(criterion.check_theta(start))]
    points = [_approached(criterion, theta) for theta in points] if start is None and method == "newton" else points
    others = None
    if start is None and w.residual is not None:
        points, others = ordered(criterion, points, few_rows=_FEW_ROWS)
    way = _Way(check_method(method), max_iterations, trace)
    found = [_descend(criterion, theta, way=way) for theta in points]
    best = min(found, key=lambda optimum: optimum.value)
    if start is None and _doubtful(criterion, best):
        _try(criterion, other_starts(w) if others is None else others, found, way)
        _try(criterion, reopened(w, _lowest(found).working), found, way)
        best = _lowest(found)
    refuse_runaway(criterion, best.working, converged=best.converged)
    if best.ended:
        warnings.warn(best.ended, LMMWarning, stacklevel=2)
    return dataclasses.replace(best, n_evaluations=sum(optimum.n_evaluations for optimum in found))


@dataclass(frozen=True)
class _Way:
    """How to search: by which method, for how many iterations, and whether to keep them."""

    method: str = "newton"
    limit: int | None = None
    trace: bool = False


_NEWTON = _Way()


def _try(criterion: Criterion, points: list[np.ndarray], found: list[Optimum], way: _Way) -> None:
    """More searches, until those before took so many evaluations that the user would wait, or some came to the same."""
    lowest, same = _lowest(found).value, 0
    for theta in points:
        agreed = criterion.working.residual is not None and same >= (1 if len(theta) <= _FEW_PARAMETERS else _AGREED)
        if agreed or sum(optimum.n_evaluations for optimum in found) > _PATIENCE:
            return
        found.append(_descend(criterion, theta, found, way))
        same = same + (not found[-1].converged) if found[-1].value >= lowest else 0
        lowest = min(lowest, found[-1].value)


def _approached(criterion: Criterion, theta: np.ndarray) -> np.ndarray:
    """A start nearer to the optimum, where the products know a way there that takes no factorisation."""
    w = criterion.working
    way = getattr(w.products, "approach", None)
    if way is None or w.residual is not None:
        return theta
    if any(t.q != 1 or t.form is not None for t in w.terms) or len(set(w.homes)) < len(w.terms):
        return theta
    times = way(w.stacked(theta), reml=criterion.reml)
    return theta if times is None else theta * times[list(w.homes)]


def _doubtful(criterion: Criterion, optimum: Optimum) -> bool:
    """Whether the criterion may well have another, lower minimum.

    So with little data at an end at an extreme of the cone, and wherever T is not linear in its parameters.
    """
    if np.abs(optimum.working).max() > _LARGE:
        return True
    w = criterion.working
    if w.products.n > _FEW_ROWS:
        return False
    parts = zip(w.parts, w.places, strict=True)
    return any(t.form is not None or on_boundary(t, optimum.working[s]) for t, s in parts)


def _lowest(found: Sequence[Optimum]) -> Optimum:
    """The lowest, or of those that rounding cannot tell apart the one with the smallest θ."""
    low = min(optimum.value for optimum in found)
    near = [optimum for optimum in found if optimum.value <= low + 1e-12 * max(abs(low), 1.0)]
    return min(near, key=lambda optimum: np.abs(optimum.working).max())


def _descend(
    criterion: Criterion, theta: np.ndarray, known: Sequence[Optimum] = (), way: _Way = _NEWTON
) -> Optimum:
    """One search from one start, leaving the boundary wherever a feasible direction leads down.

    Given optima already `known`, it ends where it is plainly on its way to one of them.
    """
    evaluations, record = 0, Recorder(criterion, way.method) if way.trace else None
    basins = Basins(criterion.working, known)
    for _ in range(_MAX_ESCAPES):
        theta, solution, used, converged = _search(criterion, theta, known, way, record)
        if known and not converged and basins.given_up(theta, criterion.total(solution)):
            evaluations += used
            break
        theta, solution, snapping = snap(criterion, theta, solution)
        evaluations += used + snapping
        if record:
            record.at(theta, solution, evaluations)
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
    ended = "" if converged or way == _NEWTON else _ended(criterion, theta, solution, way)
    kept = record.trace() if record else None
    value = criterion.total(solution)
    return Optimum(theta, criterion.working.to_theta(theta), value, evaluations, converged, ended, kept)


def _search(
    criterion: Criterion, theta: np.ndarray, known: Sequence[Optimum], way: _Way, record: Recorder | None
) -> tuple[np.ndarray, Solution, int, bool]:
    """θ̃, the solution there, evaluations and whether nothing is left to gain, on the face of the cone it ends on."""
    if way.method == "newton":
        return _newton(criterion, theta, known, way.limit, record)
    return algorithm(way.method)(criterion, theta, record or (lambda *_: None), way.limit)


def _ended(criterion: Criterion, theta: np.ndarray, solution: Solution, way: _Way) -> str:
    """What to say of an end at which more is left than the certificate allows."""
    return early_end(way.method, deviance_left(criterion, theta, solution, criterion.differentiate(solution)))


def _factor(criterion: Criterion, theta: np.ndarray) -> np.ndarray:
    return criterion.working.stacked(theta)


def _newton(
    criterion: Criterion,
    theta: np.ndarray,
    known: Sequence[Optimum] = (),
    limit: int | None = None,
    record: Recorder | None = None,
) -> tuple[np.ndarray, Solution, int, bool]:
    """Newton steps with the Hessian's eigenvalues made positive, each accepted only if it descends.

    Where the step is a pure Newton step and predicts a gain below `_LAST_STEP` it is the last: convergence is
    quadratic, so what it leaves is of the order of gain^(3/2), and the certificate will see. Steps on the average
    information, corrected by what the gradient did along the last ones, must promise less to be the last.
    """
    solution = _attempt(criterion, theta)
    if solution is None:
        raise ModelError(_LOST)
    evaluations, secant, leaps, before, d = 1, Secant(), Leaps(trusted=not known), 0.0, None
    basins = Basins(criterion.working, known)
    for _ in range(limit or _MAX_STEPS):
        if record:
            record(theta, solution.value, None, evaluations)
        if runs_off(criterion, theta):
            return theta, solution, evaluations, False
        here = chart(criterion.working, theta)
        d = d or criterion.differentiate(solution)
        g, H = here.gradient(d), here.hessian(d, steering=True)
        if not d.exact_steering:
            H = secant.correct(theta, here.plain, g, H)
        box = here.box()
        unit = tempered(here.sizes, H, criterion.working.products.n)
        scaled = g * unit, H * np.outer(unit, unit)
        near = None if box is None else (box[0] / unit, box[1] / unit)
        step, gain, pure = newton_step(*scaled) if near is None else bounded_step(*scaled, near)
        step = step * unit
        if pure and basins.entered(theta, here.theta(step), criterion.total(solution), gain):
            return theta, solution, evaluations, False
        if pure and not d.exact_steering and gain <= _NEGLIGIBLE and _moves_none(here, theta, step):
            return theta, solution, evaluations, True
        if gain <= _enough(pure, gain, before, exact=d.exact_steering):
            return *_last_step(criterion, here, step, theta, solution), evaluations + 1, True
        if (leap := leaps.step(here, g, H, unit)) is not None:
            trial, evaluations = here.theta(leap[0]), evaluations + 1
            if (landed := leaps.land(criterion, trial, solution, leap[1])) is not None:
                theta, (solution, d), before = trial, landed, gain
                continue
        d, tried = None, evaluations
        for _ in range(_HALVINGS):
            trial = here.theta(step)
            attempt = _attempt(criterion, trial)
            evaluations += 1
            if attempt is not None and attempt.value <= solution.value + 1e-4 * (g @ step):
                break
            step = step / 2.0
        else:
            # No step in the direction of descent descends: rounding is all that is left, or next to it.
            return theta, solution, evaluations, gain <= 1e-6
        stuck = evaluations - tried > _MANY and solution.value - attempt.value <= _ROUNDING * (1.0 + abs(attempt.value))
        left = basins.left(trial, criterion.total(solution), criterion.total(attempt))
        theta, solution, before = trial, attempt, gain
        if stuck or left:
            return theta, solution, evaluations, stuck and gain <= 1e-6
    return theta, solution, evaluations, False


def _moves_none(here: Chart, theta: np.ndarray, step: np.ndarray) -> bool:
    """Whether a step changes no parameter beyond its sixth digit."""
    return bool(np.all(np.abs(here.theta(step) - theta) <= _SAME * np.abs(theta)))


def _enough(pure: bool, gain: float, before: float, *, exact: bool) -> float:
    """The predicted gain at which a step is the last.

    Also where it will leave little even if convergence is linear, at the rate seen from the gain `before`.
    """
    if not pure:
        return _TOLERANCE
    sure = 3.0 * gain * gain <= _LEFT * before
    return _SURE_STEP if sure else _LAST_STEP if exact else _LAST_STEERED


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
