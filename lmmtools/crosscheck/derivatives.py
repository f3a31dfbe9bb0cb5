"""Gradient and Hessian of the dense criterion in theta, from their definitions.

With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, M = P under REML and V^-1 under ML, nu the divisor of
sigma^2 and r^2 = y'Py, the criterion d has (Harville 1977, equations 4.1 and 4.5, sigma profiled out)

    d_k  = tr(M V_k) - (nu/r^2) y'P V_k P y
    d_kl = tr(M V_kl) - tr(M V_k M V_l)
           - (nu/r^2) (y'P V_kl P y - 2 y'P V_k P V_l P y) - (nu/r^4) (y'P V_k P y)(y'P V_l P y)

where V_k = Z (L_k L' + L L_k') Z' and V_kl = Z (L_k L_l' + L_l L_k') Z': Lambda is linear in theta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.crosscheck.dense import DenseModel

__all__ = ["gradient", "hessian"]


def _projections(model: DenseModel, theta: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """M (n, n), P (n, n) and Py (n,) at theta."""
    V_inverse = np.linalg.inv(model.V(theta))
    VX = V_inverse @ model.X
    P = V_inverse - VX @ np.linalg.solve(model.X.T @ VX, VX.T)
    return (P if model.reml else V_inverse), P, P @ model.response


def _slopes(model: DenseModel, theta: NDArray) -> list[NDArray]:
    """Z dLambda/dtheta_k for each k, (n, Q); Lambda is linear in theta, so this is Z Lambda(unit vector)."""
    return [model.Z @ model.Lambda(unit) for unit in np.eye(len(np.atleast_1d(theta)))]


def gradient(model: DenseModel, theta: NDArray) -> NDArray:
    """Derivatives (m,) of ``model.criterion`` at theta."""
    M, _, Py = _projections(model, theta)
    ratio = model.dof / (model.response @ Py)
    ZL = model.Z @ model.Lambda(theta)
    out = []
    for slope in _slopes(model, theta):
        V_k = slope @ ZL.T + ZL @ slope.T
        out.append(np.sum(M * V_k) - ratio * Py @ V_k @ Py)
    return np.array(out)


def hessian(model: DenseModel, theta: NDArray) -> NDArray:
    """Second derivatives (m, m) of ``model.criterion`` at theta."""
    M, P, Py = _projections(model, theta)
    r2 = model.response @ Py
    ratio = model.dof / r2
    ZL = model.Z @ model.Lambda(theta)
    slopes = _slopes(model, theta)
    first = [slope @ ZL.T + ZL @ slope.T for slope in slopes]
    size = len(first)
    out = np.empty((size, size))
    for k in range(size):
        for j in range(k + 1):
            V_kj = slopes[k] @ slopes[j].T + slopes[j] @ slopes[k].T
            traces = np.sum(M * V_kj) - np.sum((M @ first[k]) * (M @ first[j]).T)
            bent = Py @ V_kj @ Py - 2 * Py @ first[k] @ P @ first[j] @ Py
            product = (Py @ first[k] @ Py) * (Py @ first[j] @ Py)
            out[k, j] = out[j, k] = traces - ratio * bent - ratio / r2 * product
    return out
