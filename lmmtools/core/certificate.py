"""Proof that a fit is an optimum, computed from the criterion's derivatives and not from the optimiser.

At the fitted T, of rank s in each term, the criterion is examined on the smooth set of covariances of that rank
(its free directions) and, across it, on the cone of feasible directions: the projected gradient must vanish,
the observed Hessian must be positive definite on the free directions, and no feasible direction may lead down.
What a Newton step would still gain bounds what is left, in deviance and in standard errors of β.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.charts import chart
from lmmtools.core.cone import steepest_escape
from lmmtools.core.criterion import Criterion
from lmmtools.core.derivatives import TDerivatives, theta_gradient, theta_hessian
from lmmtools.core.pls import Solution

__all__ = ["Certificate", "certify_point"]

# Deviance that may be left: a thousandth of a thousandth changes no printed digit of any test.
_DEVIANCE_LEFT = 1e-6
# Eigenvalues of the Hessian relative to the largest below which a direction is flat. Directions that the design
# makes flat are curves in these coordinates, along which what is left of the gradient bends: they are the smallest
# eigenvalues, below the second bound.
_FLAT = 1e-8
_FLAT_BY_DESIGN = 1e-3
# Curvature in the logarithm of the largest relative sd, in deviance, below which there is none at all.
_NO_CURVATURE = 1e-7


@dataclass(frozen=True)
class Certificate:
    """What was found at the fitted parameters.

    Attributes
    ----------
    status : str
        ``certified``, ``certified at the boundary``, ``flat direction`` or ``not an optimum``.
    sentence : str
        The same for a reader, with its numbers.
    gradient : ndarray, shape (f,)
        Of the criterion along the free directions, in working parameters (columns centred and of unit size).
    hessian_eigenvalues : ndarray, shape (f,)
        Of the observed Hessian there, increasing.
    deviance_left : float
        What a Newton step, and a step along the best feasible direction, would still gain.
    beta_shift : ndarray, shape (p,)
        What that Newton step would do to each β, in its standard errors.
    flat : tuple of str
        Directions in which the data do not determine the covariance, in words.
    """

    status: str
    sentence: str
    gradient: np.ndarray
    hessian_eigenvalues: np.ndarray
    deviance_left: float
    beta_shift: np.ndarray
    flat: tuple[str, ...]


def certify_point(
    criterion: Criterion,
    working: np.ndarray,
    solution: Solution,
    d: TDerivatives,
    flat: tuple[str, ...] = (),
) -> Certificate:
    """Certificate at working parameters θ̃.

    Parameters
    ----------
    criterion : Criterion
    working : ndarray, shape (m,)
    solution, d : Solution, TDerivatives
        At the same point.
    flat : tuple of str
        Directions known from the design to be flat.
    """
    here = chart(criterion.working, working, reduced=True)
    Lambda, F = here.Lambda, here.F
    gradient, H = theta_gradient(d, Lambda, F), theta_hessian(d, Lambda, F)
    values, vectors = np.linalg.eigh(H)
    none = _NO_CURVATURE / (1.0 + np.max(Lambda**2, initial=0.0)) / _FLAT
    relative = np.abs(values) / max(np.abs(values).max(initial=0.0), none)
    smallest = np.argsort(relative)[: len(flat)]
    steep = relative > _FLAT
    steep[smallest] &= relative[smallest] > _FLAT_BY_DESIGN
    along = vectors.T @ gradient
    step = -vectors[:, steep] @ (along[steep] / values[steep])
    escape = steepest_escape(criterion, working, solution, d)
    left = 0.5 * float(np.sum(along[steep] ** 2 / np.abs(values[steep]))) + (escape.gain if escape else 0.0)
    FL = np.matmul(F, Lambda.T)
    dbeta = step @ d.beta_derivative(FL + FL.transpose(0, 2, 1))
    se = np.sqrt(solution.sigma2 * np.diagonal(solution.S_inverse))
    found = tuple(_describe(criterion, here.owner, vectors[:, k]) for k in np.flatnonzero(~steep))
    status = _status(left, bool(np.any(values[steep] < 0)), flat or found, here.singular)
    if status == "flat direction":
        sentence = _flat_by_design(flat) if flat else _flat_by_data(found)
    else:
        sentence = _sentence(status, left, values, np.abs(gradient).max(initial=0.0), escape is not None)
    flat = flat or found
    return Certificate(status, sentence, gradient, values, left, dbeta / se, flat)


def _status(left: float, saddle: bool, flat: tuple[str, ...], singular: bool) -> str:
    if saddle or not left <= _DEVIANCE_LEFT:
        return "not an optimum"
    if flat:
        return "flat direction"
    return "certified at the boundary" if singular else "certified"


def _sentence(status: str, left: float, values: np.ndarray, slope: float, boundary: bool) -> str:
    """One sentence that an applied reader understands."""
    rest = f"at most {left:.1g} of deviance is left to gain" if left > 1e-12 else "no deviance is left to gain"
    many = len(values) > 1
    upwards = f"the criterion rises in every one of {len(values)} directions" if many else "it rises on both sides"
    if status == "certified":
        return f"This is an optimum: the slope of the criterion is {slope:.1g} at most, {upwards}, and {rest}."
    if status == "certified at the boundary":
        inside = f"along it {upwards}, " if len(values) else ""
        return (
            "This is an optimum on the boundary, where some random effect, or combination of random effects, has "
            f"variance zero: {inside}no step off it leads down, and {rest}."
        )
    if not left <= _DEVIANCE_LEFT:
        where = " along a direction off the boundary or" if boundary else ""
        return f"This is not an optimum: about {left:.2g} of deviance could still be gained{where} by further steps."
    return f"This is not an optimum but a saddle: the criterion falls in some direction (curvature {values[0]:.2g})."


def _flat_by_design(flat: tuple[str, ...]) -> str:
    """V is the same all along the direction, and so is everything that depends on V alone."""
    return (
        "The fit is as good as any, but not the only one: the data do not determine "
        + "; nor ".join(flat)
        + ". The criterion, the fixed effects, their standard errors and the marginal covariance are "
        "meaningful; what is named here, and the conditional modes as far as they rest on it, is not."
    )


def _flat_by_data(flat: tuple[str, ...]) -> str:
    """V changes along the direction, and the criterion does not notice."""
    return (
        "The fit is as good as any, but not the only one: given the fixed effects, the data say nothing about "
        + "; nor ".join(flat)
        + ". Standard errors that rest on it mean nothing either; leave the random effect out, or the fixed effects "
        "that already contain its groups."
    )


def _describe(criterion: Criterion, owner: np.ndarray, direction: np.ndarray) -> str:
    """The terms that a flat direction of the Hessian moves."""
    size = np.array([np.abs(direction[owner == k]).sum() for k in range(len(criterion.design.terms))])
    touched = [t.label for t, s in zip(criterion.design.terms, size, strict=True) if s > 1e-6 * size.sum()]
    return "one combination of the (co)variances of " + " and ".join(touched)
