"""The dense oracle, under the names the tests use, with what only they ask of it."""

from dataclasses import fields

import numpy as np

from lmmtools.crosscheck import dense
from lmmtools.crosscheck.dense import DenseFit, DenseTerm
from lmmtools.crosscheck.derivatives import derivatives, descend

__all__ = ["DenseFit", "DenseModel", "DenseTerm", "dense_model", "derivatives", "descend"]


class DenseModel(dense.DenseModel):
    """The oracle, with the density at any parameters and the errors of predictions."""

    def deviance(self, theta, beta, sigma):
        """-2 log of the normal density of y at any beta, theta, sigma; under REML restricted to (n - p)."""
        V, r = self.V(theta), self.response - self.X @ beta
        out = np.linalg.slogdet(V)[1] + self.dof * np.log(2 * np.pi * sigma**2) + r @ np.linalg.solve(V, r) / sigma**2
        if self.reml and self.X.shape[1]:
            out += np.linalg.slogdet(self.X.T @ np.linalg.solve(V, self.X))[1]
        return float(out)

    def prediction_variance(self, theta, X0, rows, *, random=True):
        """Variance of the error of predicting the mean, and one new observation (weight one), at given theta.

        `rows` has (matrix (m, q), codes (m,)) for each term, code -1 for a level that was not in the data: its
        effect is predicted by zero, and its whole variance counts. Without `random` the mean is the population's
        X0 beta, and an observation is of a level not yet seen.
        """
        fit = self.fit_at(theta)
        sigma2 = fit.sigma**2
        parts = zip(rows, self.blocks(theta), strict=True)
        new = sigma2 * sum(((M @ factor) ** 2).sum(axis=1) for (M, _), (factor, _) in parts)
        if not random:
            mean = np.einsum("ij,jk,ik->i", X0, fit.vcov, X0)
            return mean, mean + new + sigma2
        Z0 = np.hstack([self.spread(M, codes, t) for (M, codes), t in zip(rows, self.terms, strict=True)])
        L = self.Lambda(theta)
        cov = self.Z @ L @ L.T @ Z0.T  # Cov(y, z0'b) over sigma^2
        weights = np.linalg.solve(self.V(theta), cov)  # z0'b is predicted by weights'(y - X beta)
        d = X0 - weights.T @ self.X
        known = sigma2 * (((Z0 @ L) ** 2).sum(axis=1) - (cov * weights).sum(axis=0))
        mean = known + np.einsum("ij,jk,ik->i", d, fit.vcov, d) + np.where(rows[0][1] < 0, new, 0.0)
        return mean, mean + sigma2


def dense_model(design, *, reml=True):
    """The oracle of a design."""
    model = dense.dense_model(design, reml=reml)
    return DenseModel(**{field.name: getattr(model, field.name) for field in fields(model)})
