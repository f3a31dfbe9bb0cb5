"""Deletion of every single row at once, from 𝒫 at a few covariance parameters around θ̂.

At given parameters, without row i (Christensen, Pearson & Johnson 1992, Technometrics 34, sec. 2),

    r²_(i) = r² − (𝒫y)_i²/𝒫_ii,   log|V_(i)| = log|V| + log (V⁻¹)_ii,
    log|V_(i)| + log|X'V_(i)⁻¹X| = log|V| + log|X'V⁻¹X| + log 𝒫_ii

so that the restricted criterion is d + c_i, and that of ML the same with (V⁻¹)_ii for 𝒫_ii, where

    c_i = log 𝒫_ii + (ν − 1) log r²_(i) − ν log r².

One step of Newton's method goes to δ_i = −(∇²d + ∇²c_i)⁻¹(∇d + ∇c_i), of the order 1/n. Derivatives of c_i are taken
on a `stencil` around θ̂, and estimates at δ_i are expanded to second order on the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.deletion.covariance import Covariance
from lmmtools.deletion.expanded import displaced, expanded_parameters, quadratic
from lmmtools.deletion.stencil import Stencil, alone, far, newton, stencil_of
from lmmtools.deletion.values import Deleted
from lmmtools.projection import Projection, projection
from lmmtools.resampling.parameters import Parameters

__all__ = ["rowwise"]

# Numbers of all projections together that are kept: 400 MB.
_KEPT = 50_000_000
# 𝒫_ii over (V⁻¹)_ii below which the other rows do not determine all that X'β takes of row i.
_NOTHING_LEFT = 1e-10


def rowwise(
    fit: Any, first: Projection, method: str, what: Parameters, covariance: Covariance
) -> tuple[Deleted, np.ndarray]:
    """Estimates without each row, and which rows must be deleted from the design itself.

    Parameters
    ----------
    fit : LMMFit
    first : Projection
        At the fit.
    method : {"one-step", "fixed"}
    what : Parameters
        Of the fit's model.
    covariance : Covariance
        Of the fit.
    """
    points = stencil_of(covariance)
    if method == "fixed" or not points.U.size:
        points = alone(points)
    around = _Around(fit, points, first)
    lost = first.diagonal <= _NOTHING_LEFT * first.inverse
    c = np.empty((fit.nobs, len(points.t)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(len(points.t)):
            c[:, k] = _change(fit, around(k))
    lost |= ~np.isfinite(c).all(axis=1)
    c[lost] = 0.0
    delta, convex = newton(points, c)
    found = _estimates(fit, around, delta, what, covariance)
    return found, far(delta, lost, ~convex, fit.nobs)


class _Around:
    """𝒫 at the points of a stencil, which are looked at twice: kept where memory allows."""

    def __init__(self, fit: Any, points: Stencil, first: Projection) -> None:
        self.fit, self.points, self._kept = fit, points, {0: first}
        self._few = fit.nobs * len(points.t) * (2 * len(fit.beta) + 5) <= _KEPT

    def __call__(self, k: int) -> Projection:
        """𝒫 at point k."""
        if k in self._kept:
            return self._kept[k]
        found = projection(self.fit, self.points.theta(k), what="influence")
        if self._few:
            self._kept[k] = found
        return found


def _change(fit: Any, at: Projection) -> np.ndarray:
    """c_i of every row."""
    nu, taken = fit.solution.nu, at.response**2 / at.diagonal
    size = at.diagonal if fit.reml else at.inverse
    return np.log(size) + (nu - 1) * np.log1p(-taken / at.r2) - np.log(at.r2)


@dataclass(frozen=True)
class _Without:
    """What the rows without i have at one point of a stencil, β in whitened coordinates z, β = β̂ + root z.

    Attributes
    ----------
    z : ndarray, shape (n, p)
        Of β̂_(i).
    rows : ndarray, shape (n, 3)
        log r²_(i) − log r², log 𝒫_ii/(V⁻¹)_ii and (V⁻¹)_ii.
    VX : ndarray, shape (n, p)
        V⁻¹X·root.
    gap : ndarray, shape (p,)
        Of β̂ with all rows.
    A : ndarray, shape (p, p)
        root'X'V⁻¹X·root.
    whole : ndarray, shape (2,)
        log r² and log|(X'V⁻¹X)⁻¹| with all rows.
    """

    z: np.ndarray
    rows: np.ndarray
    VX: np.ndarray
    gap: np.ndarray
    A: np.ndarray
    whole: np.ndarray


def _at_point(fit: Any, root: np.ndarray, at: Projection) -> _Without:
    p = len(fit.beta)
    turn = np.linalg.solve(root, at.root) if p else at.root
    gap = np.linalg.solve(root, at.beta - fit.beta) if p else at.beta
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gap - (at.half @ turn.T) * (at.response / at.diagonal)[:, None]
        rest = np.log1p(-(at.response**2) / at.diagonal / at.r2)
        rows = np.column_stack([rest, np.log(at.diagonal / at.inverse), at.inverse])
    back = np.linalg.inv(turn)
    logdet = 2.0 * np.linalg.slogdet(at.root)[1] if p else 0.0
    return _Without(z, rows, at.VX @ root, gap, back.T @ back, np.array([np.log(at.r2), logdet]))


def _estimates(
    fit: Any, around: _Around, delta: np.ndarray, what: Parameters, covariance: Covariance
) -> Deleted:
    """Estimates without each row at its own parameters δ."""
    points, first = around.points, around(0)
    n, p, nu, root = fit.nobs, len(fit.beta), fit.solution.nu, first.root
    weights = points.weights(delta)
    z, rows, VX, small = np.zeros((n, p)), np.zeros((n, 3)), np.zeros((n, p)), []
    for k, own in enumerate(weights.T):
        here = _at_point(fit, root, around(k))
        z += own[:, None] * here.z
        rows += own[:, None] * here.rows
        VX += own[:, None] * here.VX
        small.append((here.gap, here.A, here.whole))
    gap, A, whole = (np.array(part) for part in zip(*small, strict=True))
    log_r2, logdet = (weights @ whole).T
    sigma = np.exp(0.5 * (log_r2 + rows[:, 0])) / np.sqrt(nu - 1)
    off = z - weights @ gap
    parameters, moved = expanded_parameters(fit, points, weights, sigma, what, covariance)
    return Deleted(
        beta=fit.beta + z @ root.T,
        sigma=sigma,
        spread=logdet - whole[0, 1] - rows[:, 1],
        shift=quadratic(z, weights, A) - np.sum(VX * z, axis=1) ** 2 / rows[:, 2],
        displacement=displaced(points, delta, log_r2, sigma, nu) + quadratic(off, weights, A) / sigma**2,
        held=first.r2 - first.response**2 / first.diagonal,
        parameters=parameters,
        moved=moved,
    )
