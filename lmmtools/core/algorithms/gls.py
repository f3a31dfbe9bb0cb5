"""Alternating generalised least squares: β given V, then V by regressing the residuals' cross-products on its parts.

With r = y − Xβ̂ the expectation of rr' is linear in (co)variances: σ²V = Σ τ_k Z D_kZ' + σ²I. Generalised least squares
of rr' on these directions, weighted by V⁻¹ ⊗ V⁻¹, gives the next V, and that the next β̂ (de Leeuw 2004; Goldstein 1986,
Biometrika 73, as IGLS; 1989, Biometrika 76, as RIGLS: under REML X(X'V⁻¹X)⁻¹X' is added to rr'). It is Fisher's
scoring. In T = τ/σ², with c the scale of V, the normal equations are::

    M dT + h dc = −g      M_kl = tr(V⁻¹Z D_kZ' V⁻¹Z D_lZ'),  h_k = tr(V⁻¹Z D_kZ')
    h'dT + n dc = 0       g_k = ⟨G, D_k⟩, the criterion's gradient

and T⁺ = T + dT/(1 + dc) is the regression's own solution: nothing is approximated by profiling σ out. M and h are the
derivatives of log|V| alone, which the products of any design give. Where T⁺ leaves the cone of covariances the
regression is confined to it; the step is halved until the criterion falls. A T that is not linear in its parameters
moves along its tangent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmmtools.core.algorithms.points import (
    ENOUGH,
    Evaluator,
    deviance_left,
    log_det_alone,
    refuse_residual,
    slopes,
    working_gradient,
)
from lmmtools.core.covariance import cholesky_psd, combine, covariance_basis, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import bounded_step
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.core.terms import Term

__all__ = ["gls"]

_LIMIT = 500
_STILL = 1e-13
# Relative size of a negative eigenvalue of T that is rounding.
_ROUNDING = 1e-12


def gls(criterion: Criterion, theta: np.ndarray, report: Callable, limit: int | None = None) -> tuple:
    """IGLS (ML) or RIGLS (REML); see the module."""
    refuse_residual(criterion, "gls")
    evaluator = Evaluator(criterion)
    solution = evaluator.solve(theta)
    if solution is None:
        raise np.linalg.LinAlgError("X'V⁻¹X is singular to rounding")
    for _ in range(limit or _LIMIT):
        d = criterion.differentiate(solution)
        slope = working_gradient(criterion.working, theta, d.gradient)
        report(theta, solution.value, float(np.linalg.norm(slope)), evaluator.count)
        regression = _Regression(criterion, theta, solution, d)
        step, gain, length = regression.step()
        if gain <= ENOUGH:
            left = deviance_left(criterion, theta, solution, d)
            if left <= ENOUGH or gain <= _STILL:
                return theta, solution, evaluator.count, left <= ENOUGH
        for _ in range(40):
            trial = regression.moved(length * step)
            attempt = evaluator.solve(trial)
            if attempt is not None and attempt.value < solution.value:
                break
            length /= 2.0
        else:
            return theta, solution, evaluator.count, gain <= 1e-6
        theta, solution = trial, attempt
    return theta, solution, evaluator.count, False


class _Regression:
    """The regression of the residuals' cross-products at one V, in T's own elements or a structure's parameters."""

    def __init__(self, criterion: Criterion, theta: np.ndarray, solution: Solution, d: TDerivatives) -> None:
        w = criterion.working
        self.theta, self.bounds, self.terms = theta, w.bounds, list(zip(w.terms, w.slices, strict=True))
        D = np.concatenate([term.S @ _directions(term, theta[part]) @ term.S.T for term, part in self.terms])
        alone = criterion.differentiate(log_det_alone(solution))
        h = np.einsum("kab,ab->k", D, alone.gradient)
        M = -alone.hessian(D) - np.outer(h, h) / w.products.n
        g = np.einsum("kab,ab->k", D, d.gradient)
        self.scale = np.sqrt(np.maximum(np.diagonal(M), 0.0))
        self.scale[self.scale == 0.0] = 1.0  # a direction that V does not have: nothing moves along it
        self.M, self.g = M / np.outer(self.scale, self.scale), g / self.scale
        self.h, self.n = h / self.scale, w.products.n

    def step(self) -> tuple[np.ndarray, float, float]:
        """The step in the coordinates, what it promises, and the length at which it is the regression's solution."""
        bounds = [_bounds(term, self.theta[part]) for term, part in self.terms]
        lower, upper = (np.concatenate(side) * self.scale for side in zip(*bounds, strict=True))
        step, _, _ = bounded_step(self.g, self.M, (lower, upper), np.inf)
        dc = -float(self.h @ step) / self.n
        length = 1.0 / (1.0 + dc) if 1.0 + dc > 0.1 else 1.0
        if not self._inside(length * step / self.scale):
            step, length = self._confined(step), 1.0
        gain = -float(self.g @ step + 0.5 * step @ self.M @ step)
        return step / self.scale, gain, length

    def _inside(self, step: np.ndarray) -> bool:
        """Whether every T is a covariance after a step."""
        eigenvalues = [np.linalg.eigvalsh(T) for T, _, _ in self._matrices(step)]
        return all(values[0] >= -_ROUNDING * max(values[-1], 1.0) for values in eigenvalues)

    def _matrices(self, step: np.ndarray) -> list[tuple[np.ndarray, Term, slice]]:
        """T of each term that is linear in its elements, after a step."""
        found = []
        for term, part in self.terms:
            if term.form is None:
                L = term.working_factor(self.theta[part])
                found.append((L @ L.T + combine(step[part], covariance_basis(term.structure, term.q)), term, part))
        return found

    def moved(self, step: np.ndarray) -> np.ndarray:
        """Working parameters after a step, put back into the cone where it has left it."""
        moved = self.theta.copy()
        for term, part in self.terms:
            if term.form is not None:
                moved[part] = np.clip(self.theta[part] + step[part], *term.bounds)
        for T, term, part in self._matrices(step):
            moved[part] = _parameters(term, T, 0.0)
        return moved

    def _confined(self, free: np.ndarray) -> np.ndarray:
        """The step to where the regression's sum of squares is smallest within the cone, from its free solution."""
        from scipy.optimize import minimize

        here = np.concatenate([_coordinates(term, self.theta[part]) for term, part in self.terms])

        def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
            there = np.concatenate([_coordinates(term, theta[part]) for term, part in self.terms])
            step = (there - here) * self.scale
            pull = self.M @ step
            slope = (self.g + pull) * self.scale
            by_theta = np.concatenate([_slopes(term, theta[part]) @ slope[part] for term, part in self.terms])
            return float((self.g + 0.5 * pull) @ step), by_theta

        start = self.theta.copy()
        for term, part in self.terms:
            if term.form is not None:
                start[part] = np.clip(self.theta[part] + (free / self.scale)[part], *term.bounds)
        for T, term, part in self._matrices(free / self.scale):
            start[part] = _parameters(term, T, 0.05)
        bounds = list(zip(*self.bounds, strict=True))
        options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000, "maxcor": 30}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        there = np.concatenate([_coordinates(term, found.x[part]) for term, part in self.terms])
        return (there - here) * self.scale


def _directions(term: Term, theta: np.ndarray) -> np.ndarray:
    """dT along each coordinate, shape (m, q, q)."""
    return covariance_basis(term.structure, term.q) if term.form is None else term.form.first(theta)


def _coordinates(term: Term, theta: np.ndarray) -> np.ndarray:
    """T's free elements, or a structure's own parameters."""
    if term.form is not None:
        return theta
    L = term.working_factor(theta)
    return theta_of(term.structure, L @ L.T)


def _slopes(term: Term, theta: np.ndarray) -> np.ndarray:
    """Derivatives of the coordinates by the working parameters: a row a parameter, a column a coordinate."""
    if term.form is not None:
        return np.eye(len(theta))
    return np.array([theta_of(term.structure, dT) for dT in slopes(term, theta)])


def _bounds(term: Term, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the coordinates may step down and up: T's elements are held by the cone, not by bounds."""
    lower, upper = term.bounds
    return (lower - theta, upper - theta) if term.form is not None else (lower, upper)


def _parameters(term: Term, T: np.ndarray, floor: float) -> np.ndarray:
    """Working parameters of the nearest T in the cone, no eigenvalue below a share of the largest."""
    values, vectors = np.linalg.eigh(T)
    low = floor * max(values[-1], 1e-3)
    T = (vectors * np.maximum(values, low)) @ vectors.T
    return theta_of(term.structure, cholesky_psd(T))
