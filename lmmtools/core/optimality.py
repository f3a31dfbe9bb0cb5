"""Is this point an optimum? Answered from the criterion's derivatives, not from the optimiser's account.

At a T of rank s in each term, the criterion is examined on the smooth set of covariances of that rank (its free
directions) and, across it, on the cone of feasible directions: the projected gradient must vanish, the observed
Hessian must be positive definite on the free directions, and no feasible direction may lead down. What a Newton
step would still gain bounds what is left, in deviance and in standard errors of β.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.charts import Chart, chart
from lmmtools.core.cone import steepest_escape
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import tempered
from lmmtools.core.solution import Solution, TDerivatives

__all__ = ["Curvature", "Optimality", "curvature", "examine"]

# Eigenvalues of the Hessian relative to the largest below which a direction is flat. Directions that the design
# makes flat are curves in these coordinates, along which what is left of the gradient bends: they are the smallest
# eigenvalues, below the second bound.
_FLAT = 1e-8
_FLAT_BY_DESIGN = 1e-3
# Curvature in the logarithm of the largest relative sd, in deviance, below which there is none at all.
_NO_CURVATURE = 1e-7


@dataclass(frozen=True)
class Optimality:
    """First- and second-order conditions at a point.

    Attributes
    ----------
    gradient : ndarray, shape (f,)
        Along the free directions, in working parameters (columns centred and of unit size), those of effects that
        vary more than the residuals relative to their standard deviation.
    hessian_eigenvalues : ndarray, shape (f,)
        Of the observed Hessian there, increasing.
    curvature : float
        The smallest eigenvalue that is not flat; infinite if there is none.
    deviance_left : float
        What a Newton step, and a step along the best feasible direction, would still gain.
    off_boundary : bool
        Whether part of that lies along a direction off the boundary.
    beta_shift : ndarray, shape (p,)
        What that Newton step would do to each β, in its standard errors.
    singular : bool
        Whether T of some term has a null space.
    held : tuple of (int, int)
        Term and place of each parameter on a bound, of structures that have bounds.
    flat : tuple of tuple of int
        For each flat direction, the terms whose parameters it moves.
    """

    gradient: np.ndarray
    hessian_eigenvalues: np.ndarray
    curvature: float
    deviance_left: float
    off_boundary: bool
    beta_shift: np.ndarray
    singular: bool
    held: tuple[tuple[int, int], ...]
    flat: tuple[tuple[int, ...], ...]


def examine(
    criterion: Criterion, working: np.ndarray, solution: Solution, d: TDerivatives, *, flat_by_design: int = 0
) -> Optimality:
    """Examine working parameters θ̃.

    Parameters
    ----------
    criterion : Criterion
    working : ndarray, shape (m,)
    solution, d : Solution, TDerivatives
        At the same point.
    flat_by_design : int
        Number of directions known from the design to be flat.
    """
    found = curvature(criterion, working, d, flat_by_design=flat_by_design)
    here, steep, values, vectors = found.chart, found.steep, found.values, found.vectors
    gradient = found.unit * here.gradient(d)
    along = vectors.T @ gradient
    step = -found.unit * (vectors[:, steep] @ (along[steep] / values[steep]))
    escape = steepest_escape(criterion, working, solution, d)
    off = escape.gain if escape else 0.0
    dbeta = step @ d.beta_derivative(here.directions)
    return Optimality(
        gradient=gradient,
        hessian_eigenvalues=values,
        curvature=float(values[steep].min(initial=np.inf)),
        deviance_left=0.5 * float(np.sum(along[steep] ** 2 / np.abs(values[steep]))) + off,
        off_boundary=off > 0.0,
        beta_shift=dbeta / np.sqrt(solution.sigma2 * np.diagonal(solution.S_inverse)),
        singular=here.singular,
        held=here.held,
        flat=tuple(_moved_terms(here.owner, vectors[:, k]) for k in np.flatnonzero(~steep)),
    )


@dataclass(frozen=True)
class Curvature:
    """The observed Hessian on the free directions, diagonalised.

    Attributes
    ----------
    chart : Chart
        Coordinates of the covariances of the same rank.
    unit : ndarray, shape (f,)
        Units of the coordinates in which the Hessian is taken.
    values : ndarray, shape (f,)
        Its eigenvalues, increasing.
    vectors : ndarray, shape (f, f)
        Its eigenvectors, as columns.
    steep : ndarray of bool, shape (f,)
        Which eigenvalues are not those of flat directions.
    """

    chart: Chart
    unit: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    steep: np.ndarray


def curvature(
    criterion: Criterion, working: np.ndarray, d: TDerivatives, *, flat_by_design: int = 0
) -> Curvature:
    """The observed Hessian at working parameters θ̃ with the derivatives there; parameters as of `examine`."""
    here = chart(criterion.working, working, reduced=True)
    H = here.hessian(d)
    unit = tempered(here.sizes, H, criterion.working.products.n)
    values, vectors = np.linalg.eigh(H * np.outer(unit, unit))
    return Curvature(here, unit, values, vectors, _steep(values, flat_by_design))


def _steep(values: np.ndarray, flat_by_design: int) -> np.ndarray:
    """Which eigenvalues are not those of flat directions."""
    none = _NO_CURVATURE / _FLAT
    relative = np.abs(values) / max(np.abs(values).max(initial=0.0), none)
    steep = relative > _FLAT
    smallest = np.argsort(relative)[:flat_by_design]
    steep[smallest] &= relative[smallest] > _FLAT_BY_DESIGN
    return steep


def _moved_terms(owner: np.ndarray, direction: np.ndarray) -> tuple[int, ...]:
    terms = np.unique(owner)
    size = np.array([np.abs(direction[owner == k]).sum() for k in terms])
    return tuple(int(k) for k in terms[size > 1e-6 * size.sum()])
