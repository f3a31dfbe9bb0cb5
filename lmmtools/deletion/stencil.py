"""Functions of the covariance parameters to second order around θ̂, from their values at few points.

In coordinates t of θ in which half the criterion's Hessian is I, one is a standard error. A function's derivatives are
central differences over a hundredth of that, of all rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lmmtools.deletion.coordinates import Coordinates, coordinates
from lmmtools.deletion.covariance import Covariance

__all__ = ["Stencil", "alone", "far", "newton", "stencil_of"]

# Distance of the points, in standard errors: third derivatives leave a part in 1e5 of first ones, and rounding is
# magnified ten thousandfold in second ones.
_H = 1e-2

# A step of more standard errors than this is made in the design itself, for so many rows of all designs together.
_FAR = 0.1
_MOST = 2_000_000
# No step is longer, in standard errors: what is of second order means nothing there.
_LONGEST = 1.0


@dataclass(frozen=True)
class Stencil:
    """Points around θ̂, the first of which it is itself.

    Attributes
    ----------
    own : Coordinates
    U : ndarray, shape (m, k)
        Coordinates of the chart along each of the k directions, in standard errors.
    t : ndarray, shape (P, k)
        The points along these.
    gradient : ndarray, shape (k,)
        Of the criterion at θ̂: rounding at an optimum.
    first : ndarray, shape (k, P)
        Gives derivatives from values at the points.
    second : ndarray, shape (k, k, P)
        Gives second derivatives.
    """

    own: Coordinates
    U: np.ndarray
    t: np.ndarray
    gradient: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def theta(self, point: int) -> np.ndarray | None:
        """Working parameters at a point; None where they are the fit's."""
        return self.own.theta(self.U @ self.t[point]) if point else None

    def weights(self, delta: np.ndarray) -> np.ndarray:
        """What each point counts at parameters δ, shape (n, k) → (n, P), to second order."""
        found = delta @ self.first + 0.5 * np.einsum("ik,il,klp->ip", delta, delta, self.second, optimize=True)
        found[:, 0] += 1.0
        return found


def stencil_of(covariance: Covariance) -> Stencil:
    """The points around a fit's covariance parameters, directions that the data do not determine left out."""
    d, found = covariance.derivatives, covariance.curvature
    own = coordinates(found.chart)
    unit = np.where(own.log, 1.0, found.unit)
    values, vectors = np.linalg.eigh(own.hessian(d) * np.outer(unit, unit))
    keep = np.argsort(values)[np.sum(~found.steep) :]
    keep = keep[values[keep] > 0.0]
    U = unit[:, None] * vectors[:, keep] * np.sqrt(2.0 / values[keep])
    t, first, second = _points(U.shape[1], _step(own, U))
    return Stencil(own, U, t, U.T @ own.gradient(d), first, second)


def alone(points: Stencil) -> Stencil:
    """θ̂ itself, from which nothing moves."""
    k = np.zeros((len(points.U), 0))
    return Stencil(points.own, k, np.zeros((1, 0)), np.zeros(0), np.zeros((0, 1)), np.zeros((0, 0, 1)))


def far(delta: np.ndarray, lost: np.ndarray, bent: np.ndarray, nobs: int) -> np.ndarray:
    """Which sets to delete from the design itself: those that seem to take something with them, and the longest steps.

    As many of these as are done in seconds.
    """
    size = np.abs(delta).max(axis=1, initial=0.0)
    some = np.flatnonzero((size > _FAR) | bent)
    some = some[np.argsort(-size[some], kind="stable")]
    return np.union1d(np.flatnonzero(lost), some[: max(_MOST // nobs, 1)])


def newton(points: Stencil, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step of every row, shape (n, k), and where the criterion without the row is convex."""
    k = points.U.shape[1]
    if not k:
        return np.zeros((len(c), 0)), np.ones(len(c), dtype=bool)
    g = points.gradient + c @ points.first.T
    H = 2.0 * np.eye(k) + np.einsum("ip,klp->ikl", c, points.second, optimize=True)
    values, vectors = np.linalg.eigh(H)
    convex = values[:, 0] > 1e-2
    along = np.einsum("ikl,ik->il", vectors, g) / np.maximum(values, 1e-2)
    step = -np.einsum("ikl,il->ik", vectors, along)
    return step * np.minimum(1.0, _LONGEST / np.maximum(np.linalg.norm(step, axis=1), _LONGEST))[:, None], convex


def _step(own: Coordinates, U: np.ndarray) -> float:
    """The distance of the points: less where a bound is nearer than two of them."""
    if (box := own.box()) is None or not U.size:
        return _H
    reach = np.abs(U).sum(axis=1)
    room = np.minimum(-box[0], box[1])[reach > 0.0] / reach[reach > 0.0]
    return float(min(_H, 0.5 * room.min(initial=np.inf)))


def _points(k: int, h: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on and between k axes, and what makes derivatives of values there."""
    pairs = list(combinations(range(k), 2))
    eye = h * np.eye(k)
    t = np.vstack([np.zeros((1, k)), eye, -eye, *(s * (eye[[i]] + eye[[j]]) for i, j in pairs for s in (1, -1))])
    first, second = np.zeros((k, len(t))), np.zeros((k, k, len(t)))
    up, down = 1 + np.arange(k), 1 + k + np.arange(k)
    for i in range(k):
        first[i, up[i]], first[i, down[i]] = 0.5 / h, -0.5 / h
        second[i, i, [up[i], down[i]]], second[i, i, 0] = 1.0 / h**2, -2.0 / h**2
    for at, (i, j) in enumerate(pairs):
        both = [1 + 2 * k + 2 * at, 2 + 2 * k + 2 * at]
        second[i, j, both], second[i, j, 0] = 0.5 / h**2, 1.0 / h**2
        second[i, j, [up[i], down[i], up[j], down[j]]] = -0.5 / h**2
        second[j, i] = second[i, j]
    return t, first, second
