"""Covariance structures as their definitions have them: the covariance T of one level's effects, from theta.

    us        T = L L', L lower triangular, theta down its columns (lme4's order)
    diag      T = diag(theta^2)
    homdiag   T = theta^2 I
    cs        T = D R D, D = diag(sd), R_ij = rho off the diagonal;  theta = (sd_1, ..., sd_q, rho)
    homcs     the same with one sd;                                  theta = (sd, rho)
    ar1       T = sd^2 R, R_ij = rho^|t_i - t_j|;                    theta = (sd, rho)
    hetar1    T = D R D with that R;                                 theta = (sd_1, ..., sd_q, rho)

Standard deviations are relative to the residual one; with a single effect there is no rho. Of a structure that a
user brings (`lmmtools.Structure`) only its factor and its bounds are used, and its derivatives are numerical.

References
----------
Pinheiro, J. C., Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS. Springer, sections 2.2.7, 4.2.2 and
5.3 (the structures; cs and ar1 are positive semi-definite for rho from -1/(q - 1), or -1, up to 1).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Structure", "numerical", "structure_of"]

_STEP = 5e-3  # of numerical derivatives: seven points leave its sixth power in truncation, eps over it in rounding


class Structure:
    """The covariance (q, q) of one level's effects as a function of theta, with its derivatives.

    Attributes
    ----------
    q, m : int
        Effects of a level, and parameters.
    bounds : ndarray (m, 2)
        Lowest and highest value of each parameter; where Lambda is linear in theta there are none.
    """

    q: int
    m: int
    bounds: NDArray

    def covariance(self, theta: NDArray) -> NDArray:
        """T (q, q)."""
        root = self.root(theta)
        return root @ root.T

    def root(self, theta: NDArray) -> NDArray:
        """Some L (q, k) with L L' = T; here the symmetric one."""
        values, vectors = np.linalg.eigh(self.covariance(theta))
        return vectors * np.sqrt(np.maximum(values, 0.0))

    def slopes(self, theta: NDArray) -> NDArray:
        """First derivatives of T, (m, q, q)."""
        return numerical(self.covariance, theta, self.bounds)

    def bends(self, theta: NDArray) -> NDArray:
        """Second derivatives of T, (m, m, q, q)."""
        bends = numerical(lambda at: numerical(self.covariance, at, self.bounds), theta, self.bounds)
        return 0.5 * (bends + bends.swapaxes(0, 1))


class _Linear(Structure):
    """Lambda is linear in theta: us, diag, homdiag."""

    def __init__(self, kind: str, q: int) -> None:
        if kind == "us":
            places = [[(i, j)] for j in range(q) for i in range(j, q)]  # lme4's order
        elif kind == "diag":
            places = [[(i, i)] for i in range(q)]
        else:
            places = [[(i, i) for i in range(q)]]
        self.q, self.m = q, len(places)
        self.E = np.zeros((self.m, q, q))
        for k, cells in enumerate(places):
            for i, j in cells:
                self.E[k, i, j] = 1.0
        self.bounds = np.tile([-np.inf, np.inf], (self.m, 1))

    def root(self, theta: NDArray) -> NDArray:
        return sum((t * E for t, E in zip(theta, self.E, strict=True)), np.zeros((self.q, self.q)))

    def slopes(self, theta: NDArray) -> NDArray:
        half = self.E @ self.root(theta).T
        return half + half.swapaxes(1, 2)

    def bends(self, theta: NDArray) -> NDArray:
        half = np.einsum("kab,lcb->klac", self.E, self.E)
        return half + half.swapaxes(0, 1)


class _Correlated(Structure):
    """Standard deviations, one or one each, and a correlation matrix of one parameter: cs, homcs, ar1, hetar1."""

    def __init__(self, kind: str, q: int, positions: NDArray | None) -> None:
        self.q, self.common = q, kind in ("homcs", "ar1")
        self.sds = 1 if self.common else q
        self.m = self.sds + (q > 1)
        self.distance = np.ones((q, q)) - np.eye(q)
        lowest = -1.0 / max(q - 1, 1)
        if kind in ("ar1", "hetar1"):
            at = np.arange(q, dtype=float) if positions is None else np.asarray(positions, dtype=float)
            self.distance = np.abs(at[:, None] - at[None, :])
            lowest = 0.0 if np.all(self.distance % 2 == 0) else -1.0  # no odd power: rho and -rho are one model
        self.bounds = np.array([[0.0, np.inf]] * self.sds + [[lowest, 1.0]] * (q > 1))

    def _correlation(self, rho: float, order: int = 0) -> NDArray:
        """R, or its first or second derivative in rho."""
        d, factor = self.distance, np.ones_like(self.distance)
        for k in range(order):
            factor = factor * (d - k)
        power = d - order
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(factor == 0, 0.0, factor * np.power(rho, np.where(factor == 0, 0.0, power)))

    def _split(self, theta: NDArray) -> tuple[NDArray, NDArray, float]:
        """The sd of each effect (q,), which of them each sd parameter moves (sds, q), and rho."""
        moves = np.ones((1, self.q)) if self.common else np.eye(self.q)
        return np.asarray(theta[: self.sds]) @ moves, moves, float(theta[-1]) if self.q > 1 else 0.0

    def covariance(self, theta: NDArray) -> NDArray:
        sd, _, rho = self._split(theta)
        return np.outer(sd, sd) * self._correlation(rho)

    def slopes(self, theta: NDArray) -> NDArray:
        sd, moves, rho = self._split(theta)
        by_sd = [(np.outer(move, sd) + np.outer(sd, move)) * self._correlation(rho) for move in moves]
        by_rho = [np.outer(sd, sd) * self._correlation(rho, 1)] * (self.q > 1)
        return np.array([*by_sd, *by_rho])

    def bends(self, theta: NDArray) -> NDArray:
        sd, moves, rho = self._split(theta)
        R, R1, R2 = (self._correlation(rho, order) for order in range(3))
        out = np.zeros((self.m, self.m, self.q, self.q))
        for k, j in product(range(self.sds), repeat=2):
            out[k, j] = (np.outer(moves[k], moves[j]) + np.outer(moves[j], moves[k])) * R
        if self.q > 1:
            for k in range(self.sds):
                out[k, -1] = out[-1, k] = (np.outer(moves[k], sd) + np.outer(sd, moves[k])) * R1
            out[-1, -1] = np.outer(sd, sd) * R2
        return out


class _Supplied(Structure):
    """A user's object: its factor and its bounds."""

    def __init__(self, given: Any, q: int) -> None:
        self.given, self.q, self.m = given, q, int(given.n_theta(q))
        self.bounds = np.array(given.bounds(q), dtype=float).reshape(self.m, 2)

    def root(self, theta: NDArray) -> NDArray:
        return np.asarray(self.given.factor(np.array(theta, dtype=float), self.q), dtype=float)


def structure_of(kind: Any, q: int, positions: NDArray | None = None) -> Structure:
    """
    The structure of a term.

    Parameters
    ----------
    kind : str or object
        Its name, or the object that a user gave.
    q : int
        Effects of a level.
    positions : ndarray (q,), optional
        Where the effects of `ar1` and `hetar1` lie; 0, 1, 2, ... by default.

    Returns
    -------
    Structure
    """
    if kind in ("us", "diag", "homdiag"):
        return _Linear(kind, q)
    return _Correlated(kind, q, positions) if isinstance(kind, str) else _Supplied(kind, q)


def numerical(function: Any, theta: NDArray, bounds: NDArray | None = None, step: float = _STEP) -> NDArray:
    """
    Derivatives of an array-valued function by differences of seven points, none of them out of bounds.

    Parameters
    ----------
    function : callable
    theta : ndarray (m,)
    bounds : ndarray (m, 2), optional
    step : float
        Distance of the points.

    Returns
    -------
    ndarray (m, ...)
    """
    theta = np.asarray(theta, dtype=float)
    low, high = (-np.inf, np.inf) if bounds is None else np.asarray(bounds).T
    room = np.broadcast_to(np.stack(np.broadcast_arrays((theta - low) / step, (high - theta) / step)), (2, len(theta)))
    out = []
    for unit, below, above in zip(np.eye(len(theta)), *room, strict=True):
        lowest = -3 + max(0, 3 - int(min(below + 1e-9, 3))) - max(0, 3 - int(min(above + 1e-9, 3)))
        at = lowest + np.arange(7)
        weights = np.linalg.solve(np.vander(at.astype(float), increasing=True).T, np.eye(7)[1])  # exact to 6th order
        out.append(sum(w * function(theta + k * step * unit) for w, k in zip(weights, at, strict=True) if w) / step)
    return np.array(out)
