"""Deletion of rows from a mixed model, with V written out and its inverse taken, of all rows and of those left.

With V = Var(y)/sigma^2 at given covariance parameters theta, P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1 and R the
residuals' covariance over sigma^2, the leverage is 1 - (R P)_ii. What deletion does is computed from the model of the
rows that are left: nothing is updated.

References
----------
Cook, R. D. (1977). Detection of influential observation in linear regression. Technometrics 19, 15-18.
Belsley, D. A., Kuh, E., Welsch, R. E. (1980). Regression Diagnostics. Wiley.
Christensen, R., Pearson, L. M., Johnson, W. (1992). Case-deletion diagnostics for mixed models. Technometrics 34.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from lmmtools.crosscheck.derivatives import derivatives

__all__ = ["Projected", "Without", "left", "measures", "projected", "without"]


@dataclass(frozen=True)
class Projected:
    """P and what is made of it; matrices (n, n), y less its offset."""

    V_inverse: np.ndarray
    P: np.ndarray
    R: np.ndarray
    Py: np.ndarray
    VX: np.ndarray

    @property
    def leverage(self):
        """d yhat_i / d y_i at fixed theta."""
        return 1.0 - np.diagonal(self.R @ self.P)


def projected(model, theta):
    """P at theta."""
    V_inverse, X = np.linalg.inv(model.V(theta)), model.X
    VX = V_inverse @ X
    P = V_inverse - VX @ np.linalg.solve(X.T @ VX, VX.T) if X.shape[1] else V_inverse
    return Projected(V_inverse, P, model.R(theta), P @ model.response, VX)


@dataclass(frozen=True)
class Without:
    """Estimates from the rows that are left: beta (p,), sigma, Var(beta) (p, p), at theta; and r2 at theta of all."""

    beta: np.ndarray
    sigma: float
    vcov: np.ndarray
    theta: np.ndarray
    held: float


def left(model, rows):
    """The model of all rows but these; levels and groups keep their numbers."""
    keep = np.setdiff1d(np.arange(len(model.y)), rows)
    part = lambda values: None if values is None else values[keep]  # noqa: E731 - as for a column
    terms = tuple(dataclasses.replace(t, matrix=t.matrix[keep], codes=t.codes[keep]) for t in model.terms)
    residual = None if model.residual is None else model.residual.of_rows(keep)
    return dataclasses.replace(
        model, y=model.y[keep], X=model.X[keep], terms=terms, weights=part(model.weights), offset=part(model.offset),
        residual=residual,
    )  # fmt: skip


def without(model, rows, theta, *, steps=0):
    """Estimates without some rows, theta held, or moved by Newton's method in its logarithms.

    `steps` is for models whose theta are all standard deviations over sigma; with many it is the optimum.
    """
    part, here = left(model, rows), np.array(theta, dtype=float)
    held = part.fit_at(here).sigma ** 2 * part.dof
    for _ in range(steps):
        g, H = derivatives(part, here)
        g, H = here * g, np.outer(here, here) * H + np.diag(here * g)
        here = here * np.exp(-np.linalg.solve(H, g))
    fit = part.fit_at(here)
    return Without(fit.beta, fit.sigma, fit.vcov, here, held)


def measures(model, theta, sigma, rows, found):
    """What deletion of `rows` does, by the definitions; `found` is `without` them.

    Christensen, Pearson & Johnson (1992) and Belsley, Kuh & Welsch (1980) for the fixed effects; the displacement is
    the density's at the estimates without, less that at those with all rows.
    """
    whole, p = model.fit_at(theta), model.X.shape[1]
    at, step = projected(model, theta), found.beta - whole.beta
    C = whole.vcov / sigma**2
    nu, k, r2 = model.dof, len(rows), sigma**2 * model.dof
    of_all = {
        "leverage": at.leverage[rows].sum(),
        "studentized": np.sqrt((r2 - found.held) / k / (found.held / (nu - k))),
        "likelihood_displacement": model.deviance(found.theta, found.beta, found.sigma)
        - model.deviance(theta, whole.beta, sigma),
    }
    if not p:
        return of_all
    x = model.X[rows]
    fits = x @ -step / np.sqrt(np.einsum("ij,jk,ik->i", x, C, x)) / found.sigma
    return of_all | {
        "cooks_distance": step @ np.linalg.solve(whole.vcov, step) / p,
        "dffits": fits[0] if k == 1 else np.sqrt(np.mean(fits**2)),
        "mdffits": step @ np.linalg.solve(found.vcov, step) / p,
        "covratio": np.linalg.det(found.vcov) / np.linalg.det(whole.vcov),
        "dfbeta": step,
        "dfbetas": step / (found.sigma * np.sqrt(np.diagonal(C))),
    }
