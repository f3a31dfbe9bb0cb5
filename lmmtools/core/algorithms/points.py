"""What every algorithm asks of a point: the criterion there, its gradient, what is left to gain."""

from __future__ import annotations

import dataclasses

import numpy as np

from lmmtools.core.covariance import factor_basis
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimality import examine
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.core.terms import Term
from lmmtools.core.working import Working
from lmmtools.errors import LMMError

__all__ = [
    "ENOUGH",
    "Evaluator",
    "deviance_left",
    "engine_levels",
    "log_det_alone",
    "refuse_residual",
    "search_bounds",
    "slopes",
    "working_gradient",
]

# A search ends where a Newton step from there would gain less than this: a hundredth of what the certificate allows.
ENOUGH = 1e-8


def slopes(term: Term, theta: np.ndarray) -> np.ndarray:
    """dT of a term along each of its parameters, shape (m, q, q)."""
    if term.form is not None:
        return term.form.first(theta)
    EL = np.matmul(factor_basis(term.structure, term.q), term.working_factor(theta).T)
    return EL + EL.transpose(0, 2, 1)


def working_gradient(working: Working, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Gradient in working parameters, shape (m,), from that in T and φ."""
    parts = zip(working.parts, working.places, strict=True)
    return np.concatenate(
        [np.einsum("kab,ab->k", slopes(term, theta[part]), term.S.T @ G @ term.S) for term, part in parts]
    )


def search_bounds(working: Working) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of working parameters, each (m,)."""
    lower, upper = zip(*(part.bounds for part in working.parts), strict=True)
    return np.concatenate(lower), np.concatenate(upper)


def refuse_residual(criterion: Criterion, method: str) -> None:
    """Refuse parameters of the residuals, for algorithms that are made for R = W⁻¹.

    Raises
    ------
    LMMError
    """
    if criterion.working.residual is None:
        return
    raise LMMError(
        f'minimize: method="{method}" is made for independent residuals, R = W⁻¹, and has no step for the parameters '
        f'of `{criterion.design.residual.text}`; use "newton", "bfgs", "nelder-mead" or "cobyqa".'
    )


def engine_levels(criterion: Criterion) -> list[int]:
    """Independent vectors of random effects behind each term: levels, or the columns of a known covariance's root."""
    terms = criterion.design.terms
    return [len(term.levels) if term.known_root is None else term.known_root.shape[1] for term in terms]


def log_det_alone(solution: Solution) -> Solution:
    """The same with neither response nor restriction: what it gives are the derivatives of log|V|.

    Its gradient in T is ΣP, P = Z'V⁻¹Z, and its Hessian −tr(V⁻¹ dV₁ V⁻¹ dV₂).
    """
    return dataclasses.replace(solution, r2=np.inf, reml=False)


def deviance_left(criterion: Criterion, theta: np.ndarray, solution: Solution, d: TDerivatives) -> float:
    """What a Newton step, and a step off the boundary, would still gain."""
    return examine(criterion, theta, solution, d).deviance_left


class Evaluator:
    """The criterion at working parameters, counted.

    Parameters
    ----------
    criterion : Criterion

    Attributes
    ----------
    count : int
        Evaluations so far.
    """

    def __init__(self, criterion: Criterion) -> None:
        self.criterion, self.count = criterion, 0

    def solve(self, theta: np.ndarray) -> Solution | None:
        """The solution there; None where X'V⁻¹X is singular to rounding, so far out that no optimum lies beyond."""
        self.count += 1
        try:
            return self.criterion.solve(self.criterion.working.stacked(theta))
        except np.linalg.LinAlgError:
            return None
