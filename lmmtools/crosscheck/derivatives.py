"""Slope and curvature of the dense criterion in theta, from their definitions, and how far down they lead.

With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, M = P under REML and V^-1 under ML, nu the divisor of
sigma^2 and r^2 = y'Py, the criterion d has (Harville 1977, equations 4.1 and 4.5, sigma profiled out)

    d_k  = tr(M V_k) - (nu/r^2) y'P V_k P y
    d_kl = tr(M V_kl) - tr(M V_k M V_l)
           - (nu/r^2) (y'P V_kl P y - 2 y'P V_k P V_l P y) - (nu/r^4) (y'P V_k P y)(y'P V_l P y)

where V_k = Z (L_k L' + L L_k') Z' and V_kl = Z (L_k L_l' + L_l L_k') Z': Lambda is linear in theta.

In theta the boundary needs no bounds: T = Lambda Lambda' is the same for either sign of a column, so a variance of
zero is a stationary point, and a step off it that leads down shows as negative curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.crosscheck.dense import DenseModel

__all__ = ["Descent", "derivatives", "descend"]

_ROUNDS = 3  # from 1 % beside an optimum, two Newton steps reach its rounding
_NONE = 1e-12  # curvature relative to the largest that is rounding


@dataclass(frozen=True)
class Descent:
    """What slope and curvature at a theta promise, and what following them finds.

    Attributes
    ----------
    gain : float
        Deviance that a Newton step promises: half of g'H^-1 g, curvatures taken without their sign.
    lowest : float
        The lowest criterion met on the way.
    """

    gain: float
    lowest: float


def derivatives(model: DenseModel, theta: NDArray) -> tuple[NDArray, NDArray]:
    """
    First and second derivatives of ``model.criterion``.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray, shape (m,)

    Returns
    -------
    gradient : ndarray, shape (m,)
    hessian : ndarray, shape (m, m)

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is singular to working precision.

    References
    ----------
    Harville, D. A. (1977). Maximum likelihood approaches to variance component estimation and to related
    problems. J. Amer. Statist. Assoc. 72, 320-338.
    """
    M, P, Py = _projections(model, theta)
    r2 = model.response @ Py
    rate, ZL = model.dof / r2, model.Z @ model.Lambda(theta)
    slopes = _slopes(model, theta)
    MV, along, VPy = [], [slope.T @ Py for slope in slopes], []
    for slope in slopes:
        V_k = slope @ ZL.T
        V_k += V_k.T.copy()
        MV.append(M @ V_k)
        VPy.append(V_k @ Py)
    moved = np.array([Py @ v for v in VPy])
    gradient = np.array([np.trace(A) for A in MV]) - rate * moved
    hessian = np.empty((len(slopes),) * 2)
    for k in range(len(slopes)):
        MS = M @ slopes[k]
        for j in range(k + 1):
            traces = 2 * np.sum(MS * slopes[j]) - np.sum(MV[k] * MV[j].T)
            bent = 2 * along[k] @ along[j] - 2 * VPy[k] @ P @ VPy[j]
            hessian[k, j] = hessian[j, k] = traces - rate * bent - rate / r2 * moved[k] * moved[j]
    return gradient, hessian


def descend(model: DenseModel, theta: NDArray) -> Descent:
    """
    Follow the dense criterion downhill from theta: Newton steps, and steps along negative curvature.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray, shape (m,)

    Returns
    -------
    Descent

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is singular to working precision.
    """
    at, lowest, gain = np.asarray(theta, dtype=float), model.criterion(theta), None
    for _ in range(_ROUNDS):
        unit = _units(model, at)
        gradient, hessian = derivatives(model, at)
        values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
        along = vectors.T @ (gradient * unit)
        none = np.abs(values) <= _NONE * np.abs(values).max()
        size = np.where(none, np.inf, np.abs(values))
        gain = 0.5 * float(np.sum(along**2 / size)) if gain is None else gain
        steps = [-vectors @ (along / size), *vectors.T[(values < 0) & ~none]]
        found = [at + unit * step for step in _shortened(steps)]
        criteria = [model.criterion(point) for point in found]
        best = int(np.argmin(criteria))
        if not criteria[best] < lowest:
            break
        at, lowest = found[best], criteria[best]
    return Descent(gain, float(lowest))


def _shortened(steps: list[NDArray]) -> list[NDArray]:
    """Each step, no longer than one unit, and shorter ones to either side where it has no slope to follow."""
    capped = [step / max(1.0, float(np.linalg.norm(step))) for step in steps]
    newton, *bent = capped
    return [newton, 0.1 * newton, *(size * step for step in bent for size in (-1.0, 1.0, -0.1, 0.1, -0.01, 0.01))]


def _units(model: DenseModel, theta: NDArray) -> NDArray:
    """Steps (m,) in each theta of like effect on V: about the residual variance, or the random effects' own."""
    slopes = np.array([np.linalg.norm(slope) for slope in _slopes(model, theta)]) / np.sqrt(len(model.y))
    unit = 1.0 / np.where(slopes > 0, slopes, 1.0)
    return unit * max(1.0, float(np.abs(theta / unit).max()))


def _projections(model: DenseModel, theta: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """M (n, n), P (n, n) and Py (n,) at theta."""
    V_inverse = np.linalg.inv(model.V(theta))
    VX = V_inverse @ model.X
    P = V_inverse - VX @ np.linalg.solve(model.X.T @ VX, VX.T)
    return (P if model.reml else V_inverse), P, P @ model.response


def _slopes(model: DenseModel, theta: NDArray) -> list[NDArray]:
    """Z dLambda/dtheta_k for each k, (n, Q); Lambda is linear in theta, so this is Z Lambda(unit vector)."""
    return [model.Z @ model.Lambda(unit) for unit in np.eye(len(np.atleast_1d(theta)))]
