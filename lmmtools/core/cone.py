"""Feasible directions at the boundary: which ways lead out of a singular T, and whether one leads down.

On the cone of positive semi-definite T the optimality conditions are GT = 0 and, on the null space of T, G ⪰ 0
(the dual cone). The first is the gradient in Λ; the second it cannot see, because dT = FΛ' + ΛF' has no part in
the null space. For a diagonal term the cone is the orthant and the condition G_ii ≥ 0 at each zero; for one
common variance it is tr G ≥ 0.

A structure whose T is not linear in θ has a box for its cone. On a bound the condition is on the one-sided
derivative; where T does not move to first order, as at sd = 0, it is on ½⟨G, d²T⟩, over every combination of such
parameters and over every value of a correlation that has no effect there: with one common sd of zero
min_ρ ⟨G, R(ρ)⟩ ≥ 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from lmmtools.core.charts import ZERO
from lmmtools.core.covariance import theta_of_covariance
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.core.terms import Term

__all__ = ["Escape", "null_space", "on_boundary", "steepest_escape"]

# Up to so many parameters on a bound every subset is looked at for the combination that descends most.
_EVERY_SUBSET = 8
# A slope, against the derivatives in T, that is none.
_LEVEL = 1e-9
# Relative size of dT below which it vanishes.
_NO_MOTION = 1e-9


@dataclass(frozen=True)
class Escape:
    """A feasible way out of the boundary, in one term.

    Attributes
    ----------
    term : Term
    part : slice
        Where the term's parameters stand.
    direction : ndarray
        dT in the term's working columns, shape (q, q); for a structure with its own θ, the direction of θ, shape (m,).
    slope : float
        Derivative of the criterion along it; a way down if negative.
    length : float
        Newton's step length.
    gain : float
        Decrease it predicts (zero if the slope is not negative).
    origin : ndarray, shape (m,), or None
        θ from which `direction` leads, with the same T as where the search stands.
    order : int
        1 where T moves with the length of the step in θ, 2 where with its square.
    """

    term: Term
    part: slice
    direction: np.ndarray
    slope: float
    length: float
    gain: float
    origin: np.ndarray | None = None
    order: int = 1

    def point(self, theta: np.ndarray, length: float) -> np.ndarray:
        """Working parameters of T + length × direction."""
        moved = theta.copy()
        if self.origin is not None:
            lower, upper = self.term.bounds
            moved[self.part] = np.clip(self.origin + length ** (1.0 / self.order) * self.direction, lower, upper)
            return moved
        Lambda = self.term.working_factor(theta[self.part])
        moved[self.part] = theta_of_covariance(self.term.structure, Lambda @ Lambda.T + length * self.direction)
        return moved


def null_space(term: Term, theta: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the null space of the term's T in working columns, shape (q, k)."""
    U, s, _ = np.linalg.svd(term.working_factor(theta))
    return U[:, s <= ZERO]


def on_boundary(term: Term, theta: np.ndarray) -> bool:
    """Whether the term's T has a null space, or one of its parameters is on a bound."""
    if term.form is None:
        return null_space(term, theta).shape[1] > 0
    return bool(np.any(term.form.on_bound(theta)) or term.form.singular(theta))


def steepest_escape(
    criterion: Criterion, theta: np.ndarray, solution: Solution, d: TDerivatives | None = None
) -> Escape | None:
    """The feasible direction with the largest predicted gain, over all terms; None in the interior.

    The derivatives at the solution are formed only where some term is on the boundary, unless they are given. Given,
    they say how far each direction leads by the observed Hessian; else by what steers.
    """
    best, exact = None, d is not None
    for term, part in zip(criterion.working.parts, criterion.working.places, strict=True):
        if term.form is not None:
            if not _held(term, theta[part]):
                continue
            d = d or criterion.differentiate(solution)
            found = _from_box(term, part, theta[part], _Slopes(term, d, exact))
        else:
            N = null_space(term, theta[part])
            if not N.shape[1]:
                continue
            d = d or criterion.differentiate(solution)
            found = _from_cone(term, part, N, _Slopes(term, d, exact))
        for escape in found:
            if best is None or (escape.gain, -escape.slope) > (best.gain, -best.slope):
                best = escape
    return best


class _Slopes:
    """Derivatives of the criterion in one term's T, in its working columns."""

    def __init__(self, term: Term, d: TDerivatives, exact: bool) -> None:
        self.G = term.S.T @ d.gradient @ term.S
        self.size = float(np.abs(self.G).max(initial=0.0))
        self._columns, self._second = term.S, d.hessian if exact else d.steering

    def curvature(self, dT: np.ndarray) -> float:
        """Second derivative of the criterion along dT, shape (q, q)."""
        return float(self._second((self._columns @ dT @ self._columns.T)[None])[0, 0])


def _from_cone(term: Term, part: slice, N: np.ndarray, d: _Slopes) -> list[Escape]:
    found = []
    for dT in _extreme_directions(term.structure, d.G, N):
        slope = float(np.sum(d.G * dT))
        found.append(Escape(term, part, dT, slope, *_length(slope, d.curvature(dT))))
    return found


def _length(slope: float, curvature: float) -> tuple[float, float]:
    """Newton's step length along a direction, and the decrease it predicts."""
    length = -slope / curvature if curvature > 0 else 1.0
    return length, (-slope * length / 2.0 if slope < 0 else 0.0)


def _extreme_directions(structure: str, G: np.ndarray, N: np.ndarray) -> list[np.ndarray]:
    """The directions among which the steepest lies."""
    if structure == "us":
        q = N @ np.linalg.eigh(N.T @ G @ N)[1][:, 0]
        return [np.outer(q, q)]
    if structure == "diag":
        return [np.diag(e) for e in np.eye(len(G)) if np.allclose(N @ (N.T @ e), e)]
    return [np.eye(len(G))]


def _held(term: Term, theta: np.ndarray) -> bool:
    """Whether some parameter of a structure is on a bound, or does not move T to first order."""
    return bool(np.any(term.form.on_bound(theta)) or _still(term.form.first(theta)).any())


def _still(dT: np.ndarray) -> np.ndarray:
    moves = np.abs(dT).max(axis=(1, 2), initial=0.0)
    return moves <= _NO_MOTION * float(moves.max(initial=1.0))


def _from_box(term: Term, part: slice, theta: np.ndarray, d: _Slopes) -> list[Escape]:
    """Ways out of a structure's bounds: to first order off each bound, to second where T does not move."""
    form, ways = term.form, {1: [], 2: []}
    for origin in form.same_covariance(theta):
        dT, side = form.first(origin), form.on_bound(origin)
        still = _still(dT)
        for k in np.flatnonzero((side != 0) & ~still):
            ways[1].append((-side[k] * np.sum(dT[k] * d.G), -side[k] * np.eye(len(theta))[k], origin))
        if still.any():
            value, x = _lowest_form(0.5 * form.bend(origin, d.G)[np.ix_(still, still)], side[still])
            direction = np.zeros(len(theta))
            direction[still] = x
            ways[2].append((value, direction, origin))
    found = []
    for order, known in ways.items():
        if not known:
            continue
        slope, direction, origin = min(known, key=lambda way: way[0])
        if order == 1:
            curvature = _bend_along(form, origin, direction, d)
            level = [way for way in known if 0.0 <= way[0] <= _LEVEL * d.size] if slope >= 0.0 else []
            bends = [(_bend_along(form, start, off, d), i) for i, (_, off, start) in enumerate(level)]
            if bends and min(bends)[0] < -_LEVEL * d.size:
                found.append(_falling(term, part, level[min(bends)[1]], min(bends)[0]))
                continue
        else:
            curvature = d.curvature(form.second_along(origin, direction))
        found.append(Escape(term, part, direction, float(slope), *_length(slope, curvature), origin, order))
    return found


def _bend_along(form: Any, origin: np.ndarray, direction: np.ndarray, d: _Slopes) -> float:
    """Second derivative of the criterion along a direction of θ."""
    along = np.tensordot(direction, form.first(origin), 1)
    return d.curvature(along) + float(direction @ form.bend(origin, d.G) @ direction)


def _falling(term: Term, part: slice, way: tuple[float, np.ndarray, np.ndarray], curvature: float) -> Escape:
    """The way off a bound along which the criterion falls from level: no group has that effect beside another."""
    return Escape(term, part, way[1], float(way[0]), 1.0, -0.5 * curvature, way[2])


def _lowest_form(B: np.ndarray, side: np.ndarray) -> tuple[float, np.ndarray]:
    """Smallest x'Bx over unit x that lead off the bounds: x ≥ 0 on a lower bound (side −1), x ≤ 0 on an upper one.

    Exact for few parameters, where the lowest x is an eigenvector of some principal block; for many, the best of
    single parameters and of the lowest eigenvector with what points outwards left out.
    """
    sign = np.where(side > 0, -1.0, 1.0)
    B, held = B * np.outer(sign, sign), side != 0
    m = len(B)
    best = int(np.argmin(np.diagonal(B)))
    lowest, x = float(B[best, best]), np.eye(m)[best]
    supports = (
        [list(s) for size in range(2, m + 1) for s in combinations(range(m), size)]
        if m <= _EVERY_SUBSET
        else [list(range(m))]
    )
    for support in supports:
        vectors = np.linalg.eigh(B[np.ix_(support, support)])[1]
        vector = vectors[:, 0] * (1.0 if vectors[held[support], 0].sum() >= 0 else -1.0)
        if m > _EVERY_SUBSET:
            vector = np.where(held[support], np.maximum(vector, 0.0), vector)
            vector /= max(np.linalg.norm(vector), 1e-300)
        elif np.any(vector[held[support]] < 0):
            continue
        value = float(vector @ B[np.ix_(support, support)] @ vector)
        if value < lowest:
            lowest, x = value, np.zeros(m)
            x[support] = vector
    return lowest, sign * x
