"""Maximum likelihood: closed forms where there are any, and alternating generalised least squares for all.

Σ scalar: ordinary least squares; so is B of Σ = XΩX' + σ²I, whose Ω and σ² are in `components`. Σ free: Khatri's
estimator (1966) as covariance adjustment (Rao 1965): B from the regression of Y_1 = YQ_X on G and Y_2 = YQ_2, without
S⁻¹ and without iteration. Σ diagonal has no closed form.

Alternating (de Leeuw 2004): B by generalised least squares given Σ, then Σ of its own structure as is most likely given
the residuals, such as their mean cross-products; each step lowers the deviance. A hypothesis C B D = T enters the
first, still in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmtools.growth.components import Components, components
from lmmtools.growth.problem import Problem
from lmmtools.growth.structures import RANDOM

__all__ = ["ALGORITHMS", "Constraint", "Estimate", "Regression", "alternating", "estimate", "regression",
           "start_values"]  # fmt: skip

ALGORITHMS = ("closed form", "alternating")

_MOST_STEPS = 20_000
_STILL = 1e-13  # relative change of Σ at which the iteration has arrived
_HEAVY = 1e-6  # variance of the occasion that a start follows, relative to the others
_SAME = 1e-7  # of a deviance: above it two optima are different


@dataclass(frozen=True, eq=False)
class Constraint:
    """C B D = T in orthonormal bases: C̃ A D̃ = T with C̃ (c, g) and D̃ (p, d) of full rank."""

    C: np.ndarray
    D: np.ndarray
    T: np.ndarray


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where a search ended.

    Attributes
    ----------
    A : ndarray, shape (g, p)
        B in orthonormal bases.
    Sigma : ndarray, shape (m, m)
    deviance : float
        n log det Σ + nm: −2 log L without nm log 2π.
    steps : int
        Times that Σ was computed.
    converged : bool
    others : tuple of float
        Deviances of other local minima.
    components : Components or None
        Ω and σ² of Σ = XΩX' + σ²I.
    """

    A: np.ndarray
    Sigma: np.ndarray
    deviance: float
    steps: int
    converged: bool = True
    others: tuple[float, ...] = ()
    components: Components | None = None


def estimate(problem: Problem, structure: str, algorithm: str) -> Estimate:
    """The maximum-likelihood estimate.

    Parameters
    ----------
    problem : Problem
    structure : {"scalar", "diagonal", "free", "random", "random, unrestricted"}
    algorithm : {"closed form", "alternating"}
    """
    if algorithm == "alternating":
        return alternating(problem, structure)
    return _at(problem, regression(problem, structure).A, structure, 1)


@dataclass(frozen=True, eq=False)
class Regression:
    """Estimates of A that are normal given the covariates, and what their exact tests are made of.

    Attributes
    ----------
    A : ndarray, shape (g, p)
    W : ndarray, shape (p, p)
        Cross-products of the residuals, Wishart with the covariance of a row of A.
    M : ndarray, shape (g, g)
        Var(rows of A) over that covariance.
    df : int
        Of W.
    """

    A: np.ndarray
    W: np.ndarray
    M: np.ndarray
    df: int


def regression(problem: Problem, structure: str) -> Regression:
    """The multivariate regression of Y_1 = YQ_X on G, and with Σ free on Y_2 = YQ_2 too.

    Parameters
    ----------
    problem : Problem
    structure : {"scalar", "free", "random", "random, unrestricted"}

    Notes
    -----
    Σ free: Khatri's estimator, W = (Q_X'S⁻¹Q_X)⁻¹, and M the block of G in the inverse of [Q_G, Y_2]'[Q_G, Y_2].
    Else Y_2 is independent of Y_1 and no covariate: least squares. With Σ = XΩX' + σ²I rows of Y_1 have the covariance
    T = Ω̃ + σ²I; that T ⪰ σ²I is not made use of, and need not be for the tests to be exact.
    """
    QX, _, Q2 = problem.within
    U2, E1, df = problem.U @ Q2, problem.E @ QX, problem.n - problem.g
    if structure != "free" or not Q2.shape[1]:
        return Regression(problem.least_squares, E1.T @ E1, np.eye(problem.g), df)
    Q, R = np.linalg.qr(problem.E @ Q2)
    across = Q.T @ E1
    A = problem.least_squares - U2 @ np.linalg.solve(R, across)
    left = E1 - Q @ across
    half = np.linalg.solve(R.T, U2.T)
    return Regression(A, left.T @ left, np.eye(problem.g) + half.T @ half, df - Q2.shape[1])


def _most_likely(problem: Problem, R: np.ndarray, structure: str) -> np.ndarray:
    """The Σ of a structure that is most likely given residuals."""
    if structure in RANDOM:
        return components(problem, R, structure == "random").Sigma(problem)
    n, m = R.shape
    if structure == "free":
        return R.T @ R / n
    squares = np.einsum("ij,ij->j", R, R) / n
    return np.diag(np.full(m, squares.mean()) if structure == "scalar" else squares)


def _at(problem: Problem, A: np.ndarray, structure: str, steps: int, converged: bool = True) -> Estimate:
    R = problem.residuals(A)
    if structure in RANDOM:
        found = components(problem, R, structure == "random")
        deviance = float(problem.n * (found.logdet(problem) + problem.m))
        return Estimate(A, found.Sigma(problem), deviance, steps, converged, components=found)
    Sigma = _most_likely(problem, R, structure)
    size = np.sqrt(np.diagonal(Sigma))
    logdet = 2.0 * np.sum(np.log(size))
    if structure == "free":  # from the residuals: their cross-products have half the digits of a near-singular Σ
        root = np.linalg.qr(R / (size * np.sqrt(problem.n)), mode="r")
        logdet += 2.0 * np.sum(np.log(np.abs(np.diagonal(root))))
    return Estimate(A, Sigma, float(problem.n * (logdet + problem.m)), steps, converged)


def start_values(problem: Problem, structure: str) -> list[np.ndarray]:
    """Where the iteration starts from.

    With Σ diagonal a curve that follows one occasion closely may be a local minimum (each term of the deviance is the
    logarithm of a quadratic): besides equal variances, those of S and each single occasion are followed.
    """
    m = problem.m
    if structure != "diagonal":
        return [np.eye(m)]
    spread = np.einsum("ij,ij->j", problem.E, problem.E)
    pure = np.where(spread > 0.0, spread, max(spread.max(), 1.0))
    starts = [np.diag(np.full(m, pure.mean())), np.diag(pure)]
    for j in range(m):
        starts.append(np.diag(pure * np.where(np.arange(m) == j, _HEAVY, 1.0)))
    return starts


def alternating(problem: Problem, structure: str, constraint: Constraint | None = None) -> Estimate:
    """The best end of alternating generalised least squares from each start."""
    ends = [_search(problem, structure, start, constraint) for start in start_values(problem, structure)]
    best = min(ends, key=lambda end: end.deviance)
    others: list[float] = []
    for end in sorted(ends, key=lambda end: end.deviance):
        if end.converged and all(end.deviance - known > _SAME for known in (best.deviance, *others)):
            others.append(end.deviance)
    return replace(best, steps=sum(e.steps for e in ends), others=tuple(others))


def _search(problem: Problem, structure: str, Sigma: np.ndarray, constraint: Constraint | None) -> Estimate:
    for step in range(1, _MOST_STEPS + 1):
        A = _generalised(problem, Sigma, constraint)
        after = _most_likely(problem, problem.residuals(A), structure)
        size = np.sqrt(np.diagonal(after))
        moved = np.max(np.abs(after - Sigma) / np.outer(size, size))
        Sigma = after
        if moved <= _STILL * problem.m:
            return _at(problem, A, structure, step)
    return _at(problem, A, structure, _MOST_STEPS, converged=False)


def _generalised(problem: Problem, Sigma: np.ndarray, constraint: Constraint | None) -> np.ndarray:
    """A by generalised least squares given Σ, under a hypothesis if there is one."""
    QX = problem.within[0]
    size = np.sqrt(np.diagonal(Sigma))
    weighted = np.linalg.solve(Sigma / np.outer(size, size), QX / size[:, None]) / size[:, None]
    P = np.linalg.inv(QX.T @ weighted)
    A = problem.U @ weighted @ P
    if constraint is None:
        return A
    C, D = constraint.C, constraint.D
    off = np.linalg.solve(C @ C.T, C @ A @ D - constraint.T)
    return A - C.T @ off @ np.linalg.solve(D.T @ P @ D, D.T @ P)
