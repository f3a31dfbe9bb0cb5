"""Residuals of every kind, with V written out: its inverse taken, its root found, rows left out one by one.

References
----------
Nobre, J. S., Singer, J. M. (2007). Residual analysis for linear mixed models. Biometrical Journal 49, 863-875.
Houseman, E. A., Ryan, L. M., Coull, B. A. (2004). Cholesky residuals for assessing normal errors in a linear model with
correlated outcomes. JASA 99, 383-394.
"""

import numpy as np
from scipy.linalg import solve_triangular

from tests.definitions.deletion import projected

__all__ = ["marginal", "pearson", "sigma_without", "standardized", "studentized", "time_order", "whitened"]


def marginal(model, theta):
    """y - X beta - offset (n,)."""
    return model.response - model.X @ model.fit_at(theta).beta


def pearson(model, theta):
    """Conditional residuals (n,) over the standard deviations of the errors."""
    fit = model.fit_at(theta)
    return (model.y - fit.fitted) / (fit.sigma * np.sqrt(np.diagonal(model.R(theta))))


def standardized(model, theta):
    """Conditional residuals (n,) over their own standard deviations."""
    at = projected(model, theta)
    return at.R @ at.Py / (model.fit_at(theta).sigma * np.sqrt(np.diagonal(at.R @ at.P @ at.R)))


def studentized(model, theta):
    """The same (n,), each with the sigma of all other rows."""
    at = projected(model, theta)
    sigma = np.array([sigma_without(model, theta, row) for row in range(len(model.y))])
    return at.R @ at.Py / (sigma * np.sqrt(np.diagonal(at.R @ at.P @ at.R)))


def sigma_without(model, theta, row):
    """sigma of generalised least squares over the other rows, at the same theta."""
    keep = np.arange(len(model.y)) != row
    V, X, y = model.V(theta)[np.ix_(keep, keep)], model.X[keep], model.response[keep]
    V_inverse = np.linalg.inv(V)
    if np.linalg.matrix_rank(X) < X.shape[1]:
        return np.nan  # a coefficient is this row's alone: of leverage one, it has no studentized residual
    r = y - X @ np.linalg.solve(X.T @ V_inverse @ X, X.T @ V_inverse @ y) if X.shape[1] else y
    return np.sqrt(r @ V_inverse @ r / (len(y) - (X.shape[1] if model.reml else 0)))


def whitened(model, theta):
    """K^-1 (y - X beta - offset) / sigma (n,), K K' = V, rows by residual group and position."""
    order = time_order(model)
    K = np.linalg.cholesky(model.V(theta)[np.ix_(order, order)])
    out = np.empty(len(order))
    out[order] = solve_triangular(K, marginal(model, theta)[order], lower=True) / model.fit_at(theta).sigma
    return out


def time_order(model):
    """Rows by residual group and position; as they stand without a correlation."""
    given = None if model.residual is None else model.residual.correlation
    if given is None:
        return np.arange(len(model.y))
    return np.array(sorted(range(len(model.y)), key=lambda i: (given.codes[i], *given.positions[i], i)))
