"""Variance of the error of a prediction, from the joint normal law of y, a new mean and a new observation.

Henderson (1975), Biometrics 31, sec. 3: given theta, x0'b + z0'u is predicted by x0'beta^ + C'V^-1(y - X beta^) with
C = Cov(y, z0'u), and its error has the variance of z0'u given y, plus that of (x0 - X'V^-1 C)'beta^.
"""

import numpy as np

__all__ = ["new_responses", "prediction_variance"]


def prediction_variance(model, theta, X0, rows, *, random=True):
    """Variance of the error of predicting the mean, and one new observation (weight one), at given theta.

    `rows` has (matrix (m, q), codes (m,)) for each term, code -1 for a level that was not in the data: its
    effect is predicted by zero, and its whole variance counts. Without `random` the mean is the population's
    X0 beta, and an observation is of levels not yet seen.
    """
    fit = model.fit_at(theta)
    sigma2 = fit.sigma**2
    parts = zip(rows, model.blocks(theta), strict=True)
    new = [sigma2 * ((M @ factor) ** 2).sum(axis=1) for (M, _), (factor, _) in parts]
    if not random:
        mean = np.einsum("ij,jk,ik->i", X0, fit.vcov, X0)
        return mean, mean + sum(new) + sigma2
    Z0 = np.hstack([model.spread(M, codes, t) for (M, codes), t in zip(rows, model.terms, strict=True)])
    L = model.Lambda(theta)
    cov = model.Z @ L @ L.T @ Z0.T  # Cov(y, z0'b) over sigma^2
    weights = np.linalg.solve(model.V(theta), cov)  # z0'b is predicted by weights'(y - X beta)
    d = X0 - weights.T @ model.X
    known = sigma2 * (((Z0 @ L) ** 2).sum(axis=1) - (cov * weights).sum(axis=0))
    unseen = sum(np.where(codes < 0, variance, 0.0) for (_, codes), variance in zip(rows, new, strict=True))
    mean = known + np.einsum("ij,jk,ik->i", d, fit.vcov, d) + unseen
    return mean, mean + sigma2


def new_responses(model, theta, X0, rows, R):
    """Best linear unbiased predictions of new responses and the variances of their errors, at given theta.

    From the joint normal law of all responses, seen and new: R (n + m, n + m) is the covariance of their residuals over
    sigma^2, `rows` as above. With C = Cov(y, y0)/sigma^2, y0 is predicted by X0 beta^ + C'V^-1(y - X beta^).
    """
    fit, n = model.fit_at(theta), len(model.y)
    parts = zip(rows, model.blocks(theta), strict=True)
    new = [np.where(codes < 0, ((M @ factor) ** 2).sum(axis=1), 0.0) for (M, codes), (factor, _) in parts]
    Z0 = np.hstack([np.zeros((len(X0), 0)),
                    *(model.spread(M, codes, t) for (M, codes), t in zip(rows, model.terms, strict=True))])  # fmt: skip
    T = model.Lambda(theta) @ model.Lambda(theta).T
    C = model.Z @ T @ Z0.T + R[:n, n:]
    weights = np.linalg.solve(model.V(theta), C)
    own = np.einsum("ij,jk,ik->i", Z0, T, Z0) + sum(new) + np.diag(R)[n:]
    d = X0 - weights.T @ model.X
    value = X0 @ fit.beta + weights.T @ (model.response - model.X @ fit.beta)
    return value, fit.sigma**2 * (own - (C * weights).sum(axis=0)) + np.einsum("ij,jk,ik->i", d, fit.vcov, d)
