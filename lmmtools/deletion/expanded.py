"""Estimates at parameters around θ̂, from those at the points of a stencil."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from lmmtools.deletion.covariance import Covariance
from lmmtools.deletion.stencil import Stencil
from lmmtools.resampling.parameters import Parameters

__all__ = ["displaced", "expanded_parameters", "quadratic"]


def quadratic(z: np.ndarray, weights: np.ndarray, A: np.ndarray) -> np.ndarray:
    """z'Az of every row of z, A being that of each point by the row's weights."""
    return sum(own * np.sum((z @ one) * z, axis=1) for own, one in zip(weights.T, A, strict=True))


def displaced(points: Stencil, delta: np.ndarray, log_r2: np.ndarray, sigma: np.ndarray, nu: int) -> np.ndarray:
    """What the criterion of all rows is above its minimum at parameters δ and σ, β being the best there.

    d moves by its gradient and Hessian, which in these coordinates is 2I, and by ν(ρ − 1 − log ρ) where σ² is r²/(νρ).
    """
    rho = np.exp(log_r2) / (nu * sigma**2)
    return delta @ points.gradient + np.sum(delta**2, axis=1) + nu * (rho - 1.0 - np.log(rho))


def expanded_parameters(
    fit: Any, points: Stencil, weights: np.ndarray, sigma: np.ndarray, what: Parameters, covariance: Covariance
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations, correlations, σ and φ without each row, and how far they moved."""
    w, m = fit.working, len(fit.theta)
    values, moved = [], []
    for k in range(len(points.t)):
        at = fit.working_theta if k == 0 else points.theta(k)
        Lambda = fit.Lambda if k == 0 else w.factors(at)
        phi = fit.phi if k == 0 else w.to_theta(at)[m:]
        values.append(what(SimpleNamespace(beta=np.zeros(0), Lambda=Lambda, sigma=1.0, phi=phi)))
        moved.append(covariance.moved(w.own_factor(Lambda, phi)[: len(covariance.T)], at[m:]))
    with_sigma = [i == j for i, j in what.elements]
    scaled = np.concatenate([*with_sigma, [True], np.zeros(len(fit.phi), dtype=bool)]).astype(bool)
    found = weights @ np.array(values)
    return np.where(scaled, found * sigma[:, None], found), weights @ np.array(moved)
