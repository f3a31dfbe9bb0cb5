"""Satterthwaite's degrees of freedom, from the observed Hessian of the criterion.

For f = l'Var(β̂)l as a function of the covariance parameters, df = 2f²/Var(f̂) (Satterthwaite 1946, Biometrics Bull. 2;
Giesbrecht & Burns 1985, Biometrics 41, eq. 9; Fai & Cornelius 1996, J. Stat. Comput. Simul. 54, for several rows).
The parameters are coordinates of T on the set of covariances of its rank, and σ². With σ² eliminated from the joint
Hessian, and along σ̂² = r²/ν::

    Var(log f̂) = 2 g'H⁻¹g + 2/ν,   g = ∇ log r² + ∇ log l'S_XX⁻¹l

with H the Hessian of the profiled criterion: no parameter is differenced, and df never exceeds ν.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.optimality import curvature
from lmmtools.inference.whitened import Whitened, whitened

__all__ = ["Satterthwaite", "satterthwaite"]

# Eigenvalues of LVar(β̂)L' below this against the largest belong to rows that repeat others.
_REPEATED = float(np.sqrt(np.finfo(float).eps))
# Degrees of freedom that agree to this are one.
_SAME = 1e-8
# How much log f may change along a direction that the criterion does not determine.
_UNMOVED = 1e-4


@dataclass(frozen=True)
class Satterthwaite:
    """What degrees of freedom of any contrast are made of, in whitened coefficients (`inference.whitened`).

    Attributes
    ----------
    whitened : Whitened
        β̂, with a root of Var(β̂) = root root'.
    slopes : ndarray, shape (m, p, p)
        C_k, such that root(I + Σ z_kC_k)root', z of covariance I, is how Var(β̂) varies with coordinates of the
        covariance parameters to first order, σ² following as r²/ν.
    loose : ndarray, shape (k, p, p)
        The same along directions that the data do not determine, or from which the criterion falls.
    nu : int
        n − p under REML, n under ML.
    """

    whitened: Whitened
    slopes: np.ndarray
    loose: np.ndarray
    nu: int

    def df(self, L: np.ndarray) -> np.ndarray:
        """Degrees of freedom of each row of L, shape (k, p) → (k,).

        NaN where Var(lβ̂) changes along a direction of the covariance that the data do not determine.
        """
        return self._of(self.whitened.rows(L))

    def f_test(self, L: np.ndarray) -> tuple[float, int, float]:
        """F, its numerator and its denominator degrees of freedom for Lβ = 0, L of shape (k, p).

        LVar(β̂)L' is diagonalised, each of its q directions has a t of its own, and the denominator is that of the F
        whose expectation is that of the mean of their squares: 2E/(E − q) with E = Σ ν/(ν − 2). The directions, and
        with them the denominator, depend on how the rows of L are written; F and q do not.
        """
        found = self.whitened.independent(L)
        q = len(found)
        if not q:
            return np.nan, 0, np.nan
        rows = self.whitened.axes(found)
        values, vectors = np.linalg.eigh(L @ self.whitened.root @ (L @ self.whitened.root).T)
        keep = values > _REPEATED * values[-1]
        # where the units of the coefficients are so far apart that a direction is lost, any that span the same
        along = self.whitened.rows(vectors[:, keep].T @ L) if keep.sum() == q else rows
        return float(np.sum((rows @ self.whitened.z) ** 2)) / q, q, _pooled(self._of(along))

    def _of(self, rows: np.ndarray) -> np.ndarray:
        """Degrees of freedom along unit rows of whitened coefficients."""
        df = 2.0 / (np.sum(_forms(rows, self.slopes) ** 2, axis=0) + 2.0 / self.nu)
        loose = np.abs(_forms(rows, self.loose)).max(axis=0, initial=0.0) > _UNMOVED
        return np.where(loose, np.nan, df)


def _pooled(nu: np.ndarray) -> float:
    if np.ptp(nu) <= _SAME * nu.max():
        return float(nu.mean())
    if not np.all(nu > 2.0):
        return np.nan if np.isnan(nu).any() else 2.0
    E = float(np.sum(nu / (nu - 2.0)))
    return 2.0 * E / (E - len(nu))


def _forms(rows: np.ndarray, A: np.ndarray) -> np.ndarray:
    """l'A_k l of every row l, shape (m, k) for A of shape (m, p, p)."""
    return np.sum((rows @ A) * rows, axis=2)


def satterthwaite(fit: Any) -> Satterthwaite:
    """Derivatives of Var(β̂) and the observed information, at a fit.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Satterthwaite

    References
    ----------
    Giesbrecht & Burns (1985), Two-stage analysis based on a mixed model, Biometrics 41, 477-486.
    Kuznetsova, Brockhoff & Christensen (2017), lmerTest package, J. Stat. Softw. 82(13), sec. 2.1.
    """
    w, solution = fit.working, fit.solution
    criterion = Criterion(fit.design, reml=fit.reml, working=w)
    d = criterion.differentiate(solution, w.products.exact)
    by_design = len(fit.certificate.flat) if fit.certificate.flat_by == "design" else 0
    found = curvature(criterion, fit.working_theta, d, flat_by_design=by_design)
    shift = d.shift(found.chart.directions)
    p = len(solution.beta)
    v = solution.contrast
    relative = (shift @ v) @ v / solution.r2
    # dVar(β̂) = σ²(d log r² S⁻¹ − S⁻¹ dS S⁻¹)
    own = relative[:, None, None] * np.eye(p) - solution.S_root.T @ shift[:, :p, :p] @ solution.S_root
    along = np.tensordot((found.unit[:, None] * found.vectors).T, own, axes=1)
    known = found.steep & (found.values > 0.0)
    slopes = along[known] * np.sqrt(2.0 / found.values[known])[:, None, None]
    return Satterthwaite(whitened(fit), slopes, along[~known], solution.nu)
