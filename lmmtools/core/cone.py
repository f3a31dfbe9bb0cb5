"""Feasible directions at the boundary: which ways lead out of a singular T, and whether one leads down.

On the cone of positive semi-definite T the optimality conditions are GT = 0 and, on the null space of T, G ⪰ 0
(the dual cone). The first is the gradient in Λ; the second it cannot see, because dT = FΛ' + ΛF' has no part in
the null space. For a diagonal term the cone is the orthant and the condition G_ii ≥ 0 at each zero; for one
common variance it is tr G ≥ 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.charts import ZERO
from lmmtools.core.covariance import cholesky_psd, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.core.terms import Term

__all__ = ["Escape", "null_space", "steepest_escape"]


@dataclass(frozen=True)
class Escape:
    """A feasible direction dT out of the boundary, in one term.

    Attributes
    ----------
    term : Term
    part : slice
        Where the term's parameters stand.
    slope : float
        Derivative of the criterion along it; a way down if negative.
    length : float
        Newton's step length.
    gain : float
        Decrease it predicts (zero if the slope is not negative).
    direction : ndarray, shape (q, q)
        dT in the term's working columns.
    """

    term: Term
    part: slice
    direction: np.ndarray
    slope: float
    length: float
    gain: float

    def point(self, theta: np.ndarray, length: float) -> np.ndarray:
        """Working parameters of T + length × direction."""
        Lambda = self.term.working_factor(theta[self.part])
        moved = theta.copy()
        moved[self.part] = theta_of(self.term.structure, cholesky_psd(Lambda @ Lambda.T + length * self.direction))
        return moved


def null_space(term: Term, theta: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the null space of the term's T in working columns, shape (q, k)."""
    U, s, _ = np.linalg.svd(term.working_factor(theta))
    return U[:, s <= ZERO]


def steepest_escape(
    criterion: Criterion, theta: np.ndarray, solution: Solution, d: TDerivatives | None = None
) -> Escape | None:
    """The feasible direction with the largest predicted gain, over all terms; None in the interior.

    The derivatives at the solution are formed only where some term is on the boundary, unless they are given.
    """
    best = None
    for term, part in zip(criterion.working.terms, criterion.working.slices, strict=True):
        N = null_space(term, theta[part])
        if not N.shape[1]:
            continue
        d = d or criterion.differentiate(solution)
        G = term.S.T @ d.gradient @ term.S
        for dT in _extreme_directions(term.structure, G, N):
            lifted = (term.S @ dT @ term.S.T)[None]
            slope, curvature = float(np.sum(G * dT)), float(d.hessian(lifted)[0, 0])
            length = -slope / curvature if curvature > 0 else 1.0
            gain = -slope * length / 2.0 if slope < 0 else 0.0
            if best is None or (gain, -slope) > (best.gain, -best.slope):
                best = Escape(term, part, dT, slope, length, gain)
    return best


def _extreme_directions(structure: str, G: np.ndarray, N: np.ndarray) -> list[np.ndarray]:
    """The directions among which the steepest lies."""
    if structure == "us":
        q = N @ np.linalg.eigh(N.T @ G @ N)[1][:, 0]
        return [np.outer(q, q)]
    if structure == "diag":
        return [np.diag(e) for e in np.eye(len(G)) if np.allclose(N @ (N.T @ e), e)]
    return [np.eye(len(G))]
