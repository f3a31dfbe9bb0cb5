"""The marginal covariance and its derivatives in every parameter, as n x n matrices; and residuals made independent.

Var(y) = sigma^2 V, V = sum_t Z_t (A_t (x) T_t) Z_t' + R. The normalized residuals are those given the random effects,
L^-1 (y - X beta - Z b) with L lower triangular, L L' = sigma^2 R, rows of a residual group in the order of time.

References
----------
Pinheiro, J. C., Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS. Springer, sections 5.1.1, 5.3.1 (residuals).
"""

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["derivatives_of_V", "marginal_covariance", "normalized_residuals"]

_TIMES = ("ar1", "car1", "arma", "toep", "us")


def marginal_covariance(model, theta):
    """Var(y) (n, n) at theta and its sigma."""
    return model.fit_at(theta).sigma ** 2 * model.V(theta)


def derivatives_of_V(model, theta):
    """First (m) and second (m, m) derivatives of V in theta, each (n, n); those of the residuals' own come last."""
    n, m = len(model.y), len(theta)
    first, second = np.zeros((m, n, n)), np.zeros((m, m, n, n))
    start = 0
    for term, own in zip(model.terms, model.split(theta), strict=True):
        Z = model.spread(term.matrix, term.codes, term)
        A = term.levels_root() @ term.levels_root().T
        for k, slope in enumerate(term.law.slopes(own)):
            first[start + k] = Z @ np.kron(A, slope) @ Z.T
            for j, bend in enumerate(term.law.bends(own)[k]):
                second[start + k, start + j] = Z @ np.kron(A, bend) @ Z.T
        start += term.n_theta
    if model.law is not None:
        first[start:] = model.law.slopes(theta[start:])
        second[start:, start:] = model.law.bends(theta[start:])
    return first, second


def normalized_residuals(model, theta):
    """The residuals (n,) given the random effects, less what those of the group before them in time say.

    Rows without times (compound symmetry, coordinates, no correlation) go in the order in which they stand.
    """
    fit = model.fit_at(theta)
    left = model.y - fit.fitted
    R = fit.sigma**2 * model.R(theta)
    order = np.arange(len(left))
    given = None if model.residual is None else model.residual.correlation
    if given is not None and given.kind in _TIMES:
        order = np.argsort(given.positions[:, 0], kind="stable")
    L = np.linalg.cholesky(R[np.ix_(order, order)])  # zero between groups: each group's own, whatever lies between
    out = np.empty_like(left)
    out[order] = solve_triangular(L, left[order], lower=True)
    return out
