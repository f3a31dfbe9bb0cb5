"""The conditional AIC, from V and its derivatives written out, and the derivative of the fitted values row by row.

With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, R the residuals' covariance over sigma^2 (W^-1 with weights and nothing
else) and y less its offset,

    yhat = y - R P y,    dyhat/dy = I - R P + sum_k (R P V_k P y - R_k P y) (dtheta_k/dy)',
    dtheta/dy = -H^-1 d2/dtheta dy,    d2/dtheta_l dy = -2 (nu/r2) P V_l P y + 2 (nu/r2^2) (y'P V_l P y) P y

with d the criterion (-2 log-likelihood, restricted under REML) profiled over beta and sigma, r2 = y'P y, and H its
observed second derivatives. An unstructured T of rank s moves as T = UU' with U of s columns, so that what has
collapsed stays collapsed; U turns freely, which H^-1 leaves out as a pseudo-inverse. Other structures move in their own
parameters, those on a bound held there, and so do the residuals', in which V_k = R_k.

References
----------
Greven, S., Kneib, T. (2010). On the behaviour of marginal and conditional AIC in linear mixed models. Biometrika 97,
773-789.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Conditional", "conditional", "perturbed_trace"]

_RANK, _COLLAPSED = 1e-7, 1e-6


@dataclass(frozen=True)
class Conditional:
    """d yhat / d y with theta held and moving, both (n, n), and the log-density given the random effects."""

    hat: np.ndarray
    jacobian: np.ndarray
    loglik: float

    @property
    def caic(self):
        """-2 loglik + 2 (trace + 1)."""
        return -2 * self.loglik + 2 * (np.trace(self.jacobian) + 1)


def conditional(model, theta):
    """
    The conditional AIC's parts at an optimum.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray (m,)

    Returns
    -------
    Conditional
    """
    fit, X, n = model.fit_at(theta), model.X, len(model.y)
    R = model.R(theta)
    V_inverse = np.linalg.inv(model.V(theta))
    P = V_inverse - V_inverse @ X @ np.linalg.pinv(X.T @ V_inverse @ X) @ X.T @ V_inverse
    Py, nu = P @ model.response, model.dof
    r2, M = model.response @ Py, P if model.reml else V_inverse
    hat = np.eye(n) - R @ P
    first, second, of_residuals = _moves(model, theta)
    m = len(first)
    H, mixed = np.zeros((m, m)), np.zeros((m, n))
    shifted = np.array([V @ Py for V in first]).reshape(m, n)  # V_k P y
    quadratic = shifted @ Py
    for k in range(m):
        mixed[k] = -2 * nu / r2 * (P @ shifted[k]) + 2 * nu / r2**2 * quadratic[k] * Py
        for j in range(m):
            H[k, j] = np.trace(M @ second[k][j]) - np.trace(M @ first[k] @ M @ first[j])
            H[k, j] -= nu / r2 * (Py @ second[k][j] @ Py - 2 * shifted[k] @ P @ shifted[j])
            H[k, j] -= nu / r2**2 * quadratic[k] * quadratic[j]
    size = np.sqrt(np.maximum(np.abs(np.diagonal(H)), 1e-300))
    moved = -np.linalg.pinv(H / np.outer(size, size), rcond=_RANK, hermitian=True) @ (mixed / size[:, None])
    slopes = (R @ P @ shifted.T - (of_residuals[:, None] * shifted).T) / size
    e = model.y - fit.fitted
    density = -0.5 * (np.linalg.slogdet(2 * np.pi * fit.sigma**2 * R)[1] + e @ np.linalg.solve(R, e) / fit.sigma**2)
    return Conditional(hat, hat + slopes @ moved, float(density))


def perturbed_trace(fit, step=1e-4):
    """Sum of d yhat_i / d y_i by refitting with each response moved up and down, in residual standard deviations."""
    total, h = 0.0, step * fit.sigma
    for i in range(fit.nobs):
        up, down = fit.design.y.copy(), fit.design.y.copy()
        up[i], down[i] = up[i] + h, down[i] - h
        total += (fit.refit(y=up).fitted.iloc[i] - fit.refit(y=down).fitted.iloc[i]) / (2 * h)
    return total


def _moves(model, theta):
    """First (m) and second (m, m) derivatives of V along all that T and R can move in, each (n, n); which are R's."""
    first, second = [], []
    for term, own in zip(model.terms, model.split(theta), strict=True):
        Z = model.spread(term.matrix, term.codes, term)
        A = term.levels_root() @ term.levels_root().T
        slopes, bends = _of_term(term, own)
        first += [Z @ np.kron(A, slope) @ Z.T for slope in slopes]
        second.append([[Z @ np.kron(A, bend) @ Z.T for bend in row] for row in bends])
    if model.law is not None:
        phi, (low, high) = model.phi(theta), model.law.bounds.T
        free = np.flatnonzero((phi > low + 1e-8) & (phi < high - 1e-8))
        first += list(model.law.slopes(phi)[free])
        second.append(model.law.bends(phi)[np.ix_(free, free)])
    n, m = len(model.y), len(first)
    of_residuals = np.arange(m) >= m - (0 if model.law is None else len(free))
    out, start = np.zeros((m, m, n, n)), 0
    for block in second:
        k = len(block)
        if k:
            out[start : start + k, start : start + k] = block
        start += k
    return np.array(first).reshape(m, n, n), out, of_residuals


def _of_term(term, theta):
    """Derivatives of one level's T: first (k, q, q) and second (k, k, q, q)."""
    if term.structure != "us":
        low, high = term.law.bounds.T
        free = np.flatnonzero((theta > low + 1e-8) & (theta < high - 1e-8))
        return term.law.slopes(theta)[free], [[term.law.bends(theta)[k][j] for j in free] for k in free]
    T, q = term.law.covariance(theta), term.matrix.shape[1]
    unit = np.sqrt((term.matrix**2).mean(axis=0))
    values, vectors = np.linalg.eigh(T * np.outer(unit, unit))
    alive = values > _COLLAPSED**2
    U = (vectors[:, alive] * np.sqrt(values[alive])) / unit[:, None]
    units = []
    for i in range(q):
        for j in range(U.shape[1]):
            E = np.zeros_like(U)
            E[i, j] = 1 / unit[i]
            units.append(E)
    slopes = np.array([E @ U.T + U @ E.T for E in units]).reshape(-1, q, q)
    return slopes, [[E @ F.T + F @ E.T for F in units] for E in units]
