"""Deletion of many levels at once, where rows of different levels are independent.

Then [X e]'V⁻¹[X e] and log|V| of all rows are sums over the levels, and those of the rows left are these less the
level's own, at any covariance parameters. The step, and the estimates there, are as for single rows (`rowwise`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.deletion.covariance import Covariance
from lmmtools.deletion.expanded import displaced, expanded_parameters, quadratic
from lmmtools.deletion.sets import Sets
from lmmtools.deletion.stencil import Stencil, alone, far, newton, stencil_of
from lmmtools.deletion.values import Deleted
from lmmtools.inference.clusters import clusters_of
from lmmtools.resampling.parameters import Parameters

__all__ = ["clusterwise"]

# Smallest eigenvalue of X'V⁻¹X without a level, where that of all rows is I, below which a coefficient is lost.
_LOST = 1e-9


@dataclass(frozen=True)
class _Sums:
    """Of every level at one point: [Xroot e]'V⁻¹[Xroot e], shape (K, p + 1, p + 1), and log|V| but for the weights."""

    S: np.ndarray
    logdet: np.ndarray


def clusterwise(
    fit: Any, sets: Sets, method: str, what: Parameters, covariance: Covariance
) -> tuple[Deleted, np.ndarray]:
    """Estimates without each level, and which must be deleted from the design itself.

    Parameters
    ----------
    fit : LMMFit
    sets : Sets
    method : {"one-step", "fixed"}
    what : Parameters
        Of the fit's model.
    covariance : Covariance
        Of the fit.

    Raises
    ------
    ModelError
        If rows of different levels are not independent.
    """
    points = stencil_of(covariance)
    if method == "fixed" or not points.U.size:
        points = alone(points)
    root = fit.solution.S_root / fit.working.noise_scale
    sums = [_sums(fit, sets, root, points.theta(k)) for k in range(len(points.t))]
    nu, p = fit.solution.nu, len(root)
    whole = [np.sum(one.S, axis=0) for one in sums]
    lost = (nu <= sets.sizes) | _one_level_left(fit, sets)
    if p:
        lost |= np.linalg.eigvalsh(whole[0][:p, :p] - sums[0].S[:, :p, :p])[:, 0] < _LOST
    c = np.array([_change(fit, one, sets.sizes, S, lost) for one, S in zip(sums, whole, strict=True)]).T
    delta, convex = newton(points, c)
    found = _estimates(fit, points, delta, sums, whole, lost, sets.sizes, what, covariance)
    return found, far(delta, lost, ~convex, fit.nobs)


def _one_level_left(fit: Any, sets: Sets) -> np.ndarray:
    """Sets without which some factor, whose levels lie each within a set, has fewer than two."""
    lost = np.zeros(sets.count, dtype=bool)
    for terms in fit.design.factors.values():
        first = np.unique(terms[0].codes, return_index=True)[1]
        lost |= len(first) - np.bincount(sets.codes[first], minlength=sets.count) < 2
    return lost


def _sums(fit: Any, sets: Sets, root: np.ndarray, theta: np.ndarray | None) -> _Sums:
    """At the fit's covariance parameters, or at working parameters θ̃; residuals are those of the fit's β̂."""
    at = fit
    if theta is not None:
        phi = fit.working.to_theta(theta)[len(fit.theta) :]
        at = dataclasses.replace(fit, Lambda=fit.working.factors(theta), phi=phi)
    clusters = clusters_of(at, sets.codes, whiten=True)
    number, p = pd.unique(sets.codes), len(root)  # of clusters, which are numbered as they appear
    S, logdet = np.zeros((sets.count, p + 1, p + 1)), np.zeros(sets.count)
    squares = np.add.reduceat(clusters.e**2, clusters.starts[:-1])
    for stack in clusters.stacks():
        L = np.linalg.cholesky(stack.V)
        H = np.linalg.solve(L, np.concatenate([stack.X @ root, stack.e[..., None]], axis=2))
        mine = number[stack.which]
        S[mine] = H.transpose(0, 2, 1) @ H
        # what lies outside the basis of a cluster's effects and columns, where V is I
        S[mine, p, p] += np.maximum(squares[stack.which] - np.sum(stack.e**2, axis=1), 0.0)
        logdet[mine] = 2.0 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
    return _Sums(S, logdet)


def _profiled(S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, r² and log|X'V⁻¹X| of matrices [X e]'V⁻¹[X e], shape (..., p + 1, p + 1)."""
    p = S.shape[-1] - 1
    if not p:
        return S[..., :0, 0], S[..., 0, 0], np.zeros(S.shape[:-2])
    z = np.linalg.solve(S[..., :p, :p], S[..., :p, p:])[..., 0]
    return z, S[..., p, p] - np.sum(S[..., :p, p] * z, axis=-1), np.linalg.slogdet(S[..., :p, :p])[1]


def _without(one: _Sums, whole: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """[X e]'V⁻¹[X e] of the rows left; of all rows in place of those that do not determine β."""
    return np.where(lost[:, None, None], whole, whole - one.S)


def _change(fit: Any, one: _Sums, sizes: np.ndarray, whole: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """The criterion without each level, less that of all rows and a constant."""
    nu, (_, r2, logdet) = fit.solution.nu, _profiled(whole)
    _, own, left = _profiled(_without(one, whole, lost))
    c = -one.logdet + (nu - sizes) * np.log(own / r2) - sizes * np.log(r2)
    return c + (left - logdet) if fit.reml else c


def _estimates(
    fit: Any, points: Stencil, delta: np.ndarray, sums: list[_Sums], whole: list[np.ndarray], lost: np.ndarray,
    sizes: np.ndarray, what: Parameters, covariance: Covariance,
) -> Deleted:  # fmt: skip
    """Estimates without each level at its own parameters δ."""
    w, s = fit.working, fit.solution
    root = s.S_root / w.noise_scale
    root = np.linalg.solve(w.R, root) if len(root) else root
    weights, p = points.weights(delta), len(root)
    at = sum(own[:, None, None] * _without(one, S, lost) for own, one, S in zip(weights.T, sums, whole, strict=True))
    z, r2, logdet = _profiled(at)
    of_all = np.array(whole)
    gap, all_r2, _ = _profiled(np.tensordot(weights, of_all, 1))
    nu = s.nu
    sigma = np.sqrt(r2 / (nu - sizes))
    off = quadratic(z - gap, weights, of_all[:, :p, :p]) / sigma**2
    parameters, moved = expanded_parameters(fit, points, weights, sigma, what, covariance)
    return Deleted(
        beta=fit.beta + z @ root.T,
        sigma=sigma,
        spread=_profiled(whole[0])[2] - logdet,
        shift=np.einsum("ia,iab,ib->i", z, at[:, :p, :p], z),
        displacement=displaced(points, delta, np.log(all_r2), sigma, nu) + off,
        held=_profiled(_without(sums[0], whole[0], lost))[1],
        parameters=parameters,
        moved=moved,
    )
