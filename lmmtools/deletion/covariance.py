"""How far the covariance parameters move, against how well all rows determine them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.optimality import Curvature, curvature
from lmmtools.core.solution import TDerivatives

__all__ = ["Covariance", "covariance_of"]


@dataclass(frozen=True)
class Covariance:
    """The variances and covariances of a fit, σ²T and σ², and φ, with the information about them.

    Attributes
    ----------
    T : ndarray, shape (R, R)
        T̃ of the fit, in its working columns.
    phi : ndarray, shape (f,)
        φ in working coordinates.
    inverse : ndarray, shape (m, R²)
        Gives coordinates of a chart from a change of T̃, by least squares where T̃ is singular.
    of_phi : tuple of (ndarray, ndarray)
        Which coordinates are φ's, and which of φ they are.
    H : ndarray, shape (m, m)
        The criterion's Hessian in these coordinates.
    slope : ndarray, shape (m,)
        Derivatives of log r².
    sigma, nu : float, int
    count : int
        Number of parameters that the data determine, σ² among them.
    derivatives, curvature : TDerivatives, Curvature
        Of the criterion at the fit.
    """

    T: np.ndarray
    phi: np.ndarray
    inverse: np.ndarray
    of_phi: tuple[np.ndarray, np.ndarray]
    H: np.ndarray
    slope: np.ndarray
    sigma: float
    nu: int
    count: int
    derivatives: TDerivatives
    curvature: Curvature

    def moved(self, Lambda: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Coordinates (m,) of other parameters: Λ̃ of shape (R, W) over the fit's working columns, and φ."""
        found = self.inverse @ (Lambda @ Lambda.T - self.T).ravel()
        found[self.of_phi[0]] = (phi - self.phi)[self.of_phi[1]]
        return found

    def distance(self, moved: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Cook's distance of each of K sets, from `moved` (K, m) and σ̂ without them.

        A change of σ²T by Δ and of σ² by δ is one of T by (σ²_(I)/σ²)(T_(I) − T) and of log σ² by δ/σ². With log σ²
        not profiled out the Hessian is [[H + νss', −νs], [−νs', ν]], s the slope of log r², and half of it is the
        information.
        """
        ratio = (sigma / self.sigma) ** 2
        step = moved * ratio[:, None]
        step[:, self.of_phi[0]] = moved[:, self.of_phi[0]]
        along = (ratio - 1.0) - step @ self.slope
        return (0.5 * np.einsum("ik,kl,il->i", step, self.H, step) + 0.5 * self.nu * along**2) / self.count


def covariance_of(fit: Any) -> Covariance:
    """Those of a fit; effects whose variance is zero, and parameters on a bound, are left out."""
    w, s = fit.working, fit.solution
    criterion = Criterion(fit.design, reml=fit.reml, working=w)
    d = criterion.differentiate(s, w.products.exact)
    by_design = len(fit.certificate.flat) if fit.certificate.flat_by == "design" else 0
    found = curvature(criterion, fit.working_theta, d, flat_by_design=by_design)
    here, k = found.chart, len(fit.phi)
    R = (len(w.terms[0].K) - k) if w.terms else 0
    directions = here.directions
    inside = directions[:, :R, :R].reshape(len(directions), R * R)
    part = next((c for c in here.curved if k and c.at.size and here.owner[c.at[0]] == len(w.terms)), None)
    none = np.zeros(0, dtype=np.intp)
    of_phi = (none, none) if part is None else (part.at, part.free)
    slope = (d.shift(directions) @ s.contrast) @ s.contrast / s.r2
    Lambda = w.own_factor(fit.Lambda, fit.phi)[:R]
    return Covariance(
        T=Lambda @ Lambda.T,
        phi=fit.working_theta[len(fit.theta) :],
        inverse=np.linalg.pinv(inside.T) if inside.size else np.zeros((len(directions), R * R)),
        of_phi=of_phi,
        H=here.hessian(d),
        slope=slope,
        sigma=fit.sigma,
        nu=s.nu,
        count=int(found.steep.sum()) + 1,
        derivatives=d,
        curvature=found,
    )
