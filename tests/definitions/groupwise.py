"""Regressions within levels, weights of a compromise, errors of conditional modes: level by level, as defined."""

import numpy as np

__all__ = ["error_covariance", "own_regression", "weights"]


def own_regression(Z, y, R):
    """Generalised least squares of y on Z with residual covariance R: coefficients (Q,), NaN where not determined,
    their covariances (Q, Q), and the residual sum of squares.

    The k-th is determined where e_k is a combination of the rows of Z: adding it as a row leaves the rank.
    """
    scale = np.abs(Z).max(axis=0)
    unit = Z / np.where(scale > 0, scale, 1.0)
    inverse = np.linalg.inv(R)
    rank = np.linalg.matrix_rank(unit, tol=1e-9)
    added = [np.vstack([unit, row]) for row in np.eye(len(scale))]
    determined = np.array([np.linalg.matrix_rank(rows, tol=1e-9) == rank for rows in added])
    bread = np.linalg.pinv(Z.T @ inverse @ Z, hermitian=True, rcond=1e-13)
    b = bread @ Z.T @ inverse @ y
    left = y - Z @ b
    both = np.outer(determined, determined)
    return np.where(determined, b, np.nan), np.where(both, bread, np.nan), left @ inverse @ left


def weights(Z, T, R):
    """E(b | y) for y in the span of Z is W times its coefficients: W = TZ'(ZTZ' + R)⁻¹Z, T and R over sigma^2."""
    return T @ Z.T @ np.linalg.solve(Z @ T @ Z.T + R, Z)


def error_covariance(model, theta):
    """Var(b^ - b) of all effects, beta estimated: of the mixed model equations' inverse (Henderson 1975, sec. 3).

    For spherical effects, since T may be singular: b = Lambda u.
    """
    L = model.Lambda(theta)
    C = np.hstack([model.X, model.Z @ L])
    p = model.X.shape[1]
    A = C.T @ np.linalg.solve(model.R(theta), C)
    A[p:, p:] += np.eye(L.shape[1])
    return model.fit_at(theta).sigma ** 2 * L @ np.linalg.inv(A)[p:, p:] @ L.T
