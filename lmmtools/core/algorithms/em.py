"""EM and ECME: the random effects as missing data.

With J vectors of random effects behind a term, b = TZ'V⁻¹(y − Xβ̂) and Var(b | y) = σ²(T − TZ'V⁻¹ZT), EM's new
covariance is the mean of what bb' is expected to be, over σ² (Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39;
Laird & Ware 1982, Biometrics 38, whose β̂ is the generalised least squares one at each V)::

    T⁺ = 1/J Σ_j [b_jb_j'/σ² + Var(b_j | y)/σ²]  =  T − TGT/J

where G is the criterion's gradient in T: under REML β is missing as well, and both sides gain the same part from its
variance. So EM is a step down the gradient, of a length that never overshoots, and one line serves any number of
factors, known covariances of levels, and weights. Where T is not free, the new one is that which makes
log|T| + tr(T⁻¹T⁺) smallest: T⁺'s diagonal, its mean diagonal, or a small search over the structure's parameters. Where
T has no inverse, EM cannot turn its range: its parameters move to where the likelihood itself is highest.

* `em` moves σ² in the same way: nσ²⁺ = E‖y − Xβ − Zb‖² = r² + σ²(n − ν) + σ²⟨G, T⟩, and the covariance itself is
  σ²T. Its criterion is that at its own σ² and T, not the profiled one.
* `ecme` puts σ² where the likelihood itself is highest at each T (Liu & Rubin 1994, Biometrika 81): the criterion is
  the profiled one, and G vanishes with it.

Neither ever raises its criterion. Both are slow where the data say little about the random effects, and towards a
variance of zero slower than any geometric sequence: T falls as J/(k tr G) in k iterations. So now and then the smallest
variance is tried at zero, and left there if the criterion is lower and no step off it leads down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmtools.core.algorithms.points import (
    ENOUGH,
    Evaluator,
    deviance_left,
    engine_levels,
    refuse_residual,
    slopes,
    working_gradient,
)
from lmmtools.core.charts import ZERO
from lmmtools.core.cone import steepest_escape
from lmmtools.core.covariance import cholesky_psd, lower_factor, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import bounded_step
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.core.terms import Term

__all__ = ["ecme", "em", "expected_factor"]

_LIMIT = 20_000
# What a step expects to gain, below which it stands still: on a face of the cone, or at the optimum.
_STILL = 1e-13
# The first iteration after which a small variance is tried at zero; then at each doubling, where its square root has
# fallen to this share, as one does that tends to zero (by then to 0.71).
_FIRST_TRY = 16
_FALLEN = 0.8

# For the searches of scipy within a step, and what stands where there is no value.
_PRECISE = {"ftol": 1e-15, "gtol": 1e-9}
_NOWHERE = 1e100


@dataclass(frozen=True)
class _Point:
    """Where EM stands: T by its working parameters, σ² (EM's own, or the profiled one), and what follows from both."""

    theta: np.ndarray
    sigma2: float
    solution: Solution
    value: float
    d: TDerivatives


def em(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """EM for T and σ², β̂ by generalised least squares; see the module."""
    refuse_residual(criterion, "em")
    return _Expectations(criterion, own_sigma=True).iterate(theta, report, limit or _LIMIT)


def ecme(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """EM for T; β̂ and σ̂² maximise the likelihood itself at each T; see the module."""
    refuse_residual(criterion, "ecme")
    return _Expectations(criterion, own_sigma=False).iterate(theta, report, limit or _LIMIT)


class _Expectations:
    """EM on one criterion."""

    def __init__(self, criterion: Criterion, *, own_sigma: bool) -> None:
        self.criterion, self.own_sigma = criterion, own_sigma
        self.terms = list(zip(criterion.working.terms, criterion.working.slices, engine_levels(criterion), strict=True))
        self.evaluator = Evaluator(criterion)

    def iterate(self, theta: np.ndarray, report: Callable, limit: int) -> tuple[np.ndarray, Solution, int, bool]:
        point, look, try_at, seen = self._at(theta), 2.0 * ENOUGH, _FIRST_TRY, {}
        for k in range(1, limit + 1):
            slope = working_gradient(self.criterion.working, point.theta, point.d.gradient)
            report(point.theta, point.value, float(np.linalg.norm(slope)), self.evaluator.count)
            moved, sigma2, gain = self._step(point)
            if gain <= look:
                d = self.criterion.differentiate(point.solution) if self.own_sigma else point.d
                left = deviance_left(self.criterion, point.theta, point.solution, d)
                if left <= ENOUGH or gain <= _STILL:
                    return point.theta, point.solution, self.evaluator.count, left <= ENOUGH
                look = max(gain * ENOUGH / left, _STILL)  # both fall at the same rate
            if k == try_at:
                try_at *= 2
                zero = self._at_zero(point, seen)
                if zero is not None:
                    point = zero
                    continue
            point = self._at(moved, sigma2)
        return point.theta, point.solution, self.evaluator.count, False

    def _at(self, theta: np.ndarray, sigma2: float | None = None) -> _Point:
        """The point at T and σ²; without σ², at the best."""
        solution = self.evaluator.solve(theta)
        if solution is None:
            raise np.linalg.LinAlgError("X'V⁻¹X is singular to rounding")
        best = solution.sigma2
        if not self.own_sigma or sigma2 is None:
            return _Point(theta, best, solution, solution.value, self.criterion.differentiate(solution))
        held = solution.at_noise(sigma2)
        return _Point(theta, sigma2, solution, held.value, self.criterion.differentiate(held))

    def _step(self, point: _Point) -> tuple[np.ndarray, float | None, float]:
        """The next working parameters and σ², and what the step expects to gain."""
        moved, gain, along, held = point.theta.copy(), 0.0, 0.0, []
        for term, part, levels in self.terms:
            Lambda, G = term.working_factor(point.theta[part]), term.S.T @ point.d.gradient @ term.S
            along += float(np.sum(G * (Lambda @ Lambda.T)))
            new = _closest(term, point.theta[part], expected_factor(Lambda, G, levels))
            if new is None:
                held.append(part)
                continue
            moved[part] = new
            L = term.working_factor(moved[part])
            gain -= float(np.sum(G * (L @ L.T - Lambda @ Lambda.T)))
        if held:
            best = self._highest(moved, held)
            change = working_gradient(self.criterion.working, point.theta, point.d.gradient) @ (best - moved)
            return best, None, gain - float(change)
        if not self.own_sigma:
            return moved, None, gain
        s, n = point.solution, self.criterion.working.products.n
        sigma2 = (s.r2 + point.sigma2 * (n - s.nu + along)) / n
        ratio = point.sigma2 / sigma2
        return self._rescaled(moved, np.sqrt(ratio)), sigma2, gain + n * np.log(ratio) ** 2

    def _rescaled(self, theta: np.ndarray, factor: float) -> np.ndarray:
        """The same covariance σ²T relative to another σ²: every Λ times `factor`."""
        moved = theta.copy()
        for term, part, _ in self.terms:
            if term.form is None:
                moved[part] = factor * theta[part]
                continue
            new = _closest(term, theta[part], factor * term.working_factor(theta[part]))
            moved[part] = theta[part] if new is None else new
        return moved

    def _at_zero(self, point: _Point, seen: dict[tuple[int, int], float]) -> _Point | None:
        """The point with a variance that is falling to zero at zero, if that is lower and no step off it leads down."""
        for k, (term, part, _) in enumerate(self.terms):
            for i, (size, part_at_zero) in enumerate(_without_one(term, point.theta[part])):
                before, seen[k, i] = seen.get((k, i), np.inf), size
                if not size <= _FALLEN * before or before == np.inf:
                    continue
                theta = point.theta.copy()
                theta[part] = part_at_zero
                found = self._at(theta)
                if found.value > point.value:
                    continue
                escape = steepest_escape(self.criterion, theta, found.solution)
                if escape is None or escape.gain <= ENOUGH:
                    return found
        return None

    def _highest(self, theta: np.ndarray, held: list[slice]) -> np.ndarray:
        """θ with the parameters of some terms moved to where the likelihood itself is highest, given the others."""
        from scipy.optimize import minimize

        w, free = self.criterion.working, np.concatenate([np.arange(w_part.start, w_part.stop) for w_part in held])

        def objective(part: np.ndarray) -> tuple[float, np.ndarray]:
            at = theta.copy()
            at[free] = part
            solution = self.evaluator.solve(at)
            if solution is None:
                return _NOWHERE, np.zeros(len(free))
            G = self.criterion.differentiate(solution).gradient
            return solution.value, working_gradient(w, at, G)[free]

        lower, upper = w.bounds
        bounds = list(zip(lower[free], upper[free], strict=True))
        start = objective(theta[free])[0]
        found = minimize(objective, theta[free], jac=True, method="L-BFGS-B", bounds=bounds, options=_PRECISE)
        moved = theta.copy()
        if found.fun < start:
            moved[free] = found.x
        return moved


def expected_factor(Lambda: np.ndarray, G: np.ndarray, levels: int) -> np.ndarray:
    """F with FF' = T − TGT/J = Λ(I − Λ'GΛ/J)Λ', of shape (q, q)."""
    return Lambda @ cholesky_psd(np.eye(Lambda.shape[1]) - Lambda.T @ G @ Lambda / levels)


def _closest(term: Term, theta: np.ndarray, F: np.ndarray) -> np.ndarray | None:
    """Parameters of the T with the term's structure for which log|T| + tr(T⁻¹FF') is smallest; None at a singular T."""
    if term.form is not None:
        return _closest_of_form(term, theta, F @ F.T)
    if term.structure == "us":
        alive = np.linalg.svd(term.working_factor(theta), compute_uv=False) > ZERO
        return None if alive.any() and not alive.all() else theta_of("us", lower_factor(F))
    variances = np.sum(F**2, axis=1)
    if term.structure == "homdiag":
        variances = np.full(term.q, variances.mean())
    return theta_of(term.structure, np.diag(np.sqrt(variances)))


def _closest_of_form(term: Term, theta: np.ndarray, B: np.ndarray) -> np.ndarray | None:
    """The same by Fisher scoring over the structure's parameters, within their bounds."""
    lower, upper = term.bounds
    value, inverse = _distance(term, theta, B)
    for _ in range(50):
        if inverse is None:
            return None
        weighted = inverse @ slopes(term, theta)
        gradient = np.einsum("kab,ba->k", weighted, np.eye(term.q) - inverse @ B)
        information = np.einsum("kab,lba->kl", weighted, weighted)
        step, gain, _ = bounded_step(gradient, information, (lower - theta, upper - theta), np.inf)
        if gain <= 1e-14:
            break
        for _ in range(40):
            trial = np.clip(theta + step, lower, upper)
            after, its_inverse = _distance(term, trial, B)
            if after < value:
                break
            step = step / 2.0
        else:
            break
        theta, value, inverse = trial, after, its_inverse
    return theta


def _distance(term: Term, theta: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray | None]:
    """log|T| + tr(T⁻¹B), and T⁻¹; infinite, and None, where T has no inverse."""
    L = term.working_factor(theta)
    diagonal = np.abs(np.diagonal(L))
    if diagonal.min() <= ZERO:
        return np.inf, None
    L_inverse = np.linalg.inv(L)
    T_inverse = L_inverse.T @ L_inverse
    return 2.0 * float(np.log(diagonal).sum()) + float(np.sum(T_inverse * B)), T_inverse


def _without_one(term: Term, theta: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Ways to put one variance at zero, or another parameter on its bound: how far off that is, and θ there."""
    if term.form is not None:
        ends = [(i, end[i]) for end in term.bounds for i in range(len(theta)) if np.isfinite(end[i])]
        places = [(i, end, abs(theta[i] - end)) for i, end in ends]
        return [(d, np.where(np.arange(len(theta)) == i, end, theta)) for i, end, d in places if d > ZERO]
    if term.structure != "us":
        alive = np.flatnonzero(np.abs(theta) > ZERO)
        return [(abs(float(theta[i])), np.where(np.arange(len(theta)) == i, 0.0, theta)) for i in alive]
    U, s, _ = np.linalg.svd(term.working_factor(theta))
    alive = np.flatnonzero(s > ZERO)
    if not len(alive):
        return []
    rest = np.where(np.arange(term.q) == alive[-1], 0.0, s)
    return [(float(s[alive[-1]]), theta_of("us", lower_factor(U * rest)))]
