"""What the checks of assumptions are made of, by n x n matrices: deviations of residuals and modes, scores, statistics.

With V = Var(y)/sigma^2, R that of the residuals, T that of the random effects of all terms (A (x) T side by side) and
P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1,

    Var(y - yhat) = sigma^2 R P R,   Var(bhat) = sigma^2 T Z' P Z T,   score_k = y' P V_k P y / (y' P y)

(the score of the criterion profiled over beta and sigma, but for its mean and a factor).

References
----------
Shapiro, S. S., Francia, R. S. (1972). An approximate analysis of variance test for normality. J. Am. Stat. Assoc. 67.
Cleveland, W. S. (1979). Robust locally weighted regression and smoothing scatterplots. J. Am. Stat. Assoc. 74.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f_oneway, norm

from tests.definitions.marginal import derivatives_of_V

__all__ = ["Standardised", "levene", "local_line", "shapiro_francia", "standardised"]


@dataclass(frozen=True)
class Standardised:
    """P (n, n) and V_k (m, n, n) at theta; standard deviations over sigma of residuals (n,) and of modes, per term."""

    P: np.ndarray
    slopes: np.ndarray
    residual: np.ndarray
    modes: list[np.ndarray]

    def scores(self, y):
        """Of responses less their offset, shape (n, m) -> (k, m)."""
        left = self.P @ y
        return np.array([np.sum(left * (dV @ left), axis=0) for dV in self.slopes]) / np.sum(y * left, axis=0)


def standardised(model, theta):
    V, R, X = model.V(theta), model.R(theta), model.X
    W = np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W) if X.shape[1] else W
    modes = []
    for term, own in zip(model.terms, model.split(theta), strict=True):
        Z = model.spread(term.matrix, term.codes, term)
        root = term.levels_root()
        T = np.kron(root @ root.T, term.law.covariance(own))
        modes.append(np.sqrt(np.clip(np.diagonal(T @ Z.T @ P @ Z @ T), 0.0, None)).reshape(len(root), -1))
    residual = np.sqrt(np.clip(np.diagonal(R @ P @ R), 0.0, None))
    return Standardised(P, derivatives_of_V(model, theta)[0], residual, modes)


def shapiro_francia(values):
    """The squared correlation of ordered values and normal scores."""
    n = len(values)
    scores = norm.ppf((np.arange(1, n + 1) - 3 / 8) / (n + 1 / 4))
    return np.corrcoef(np.sort(values), scores)[0, 1] ** 2


def levene(residual, codes):
    """F between levels of absolute values."""
    return f_oneway(*(np.abs(residual[codes == level]) for level in np.unique(codes))).statistic


def local_line(x, y, at, taken):
    """Height at one point of the line by tricube weights over the distance of the furthest of the points taken."""
    distance = np.abs(x - at)
    reach = np.sort(distance)[taken - 1]
    root = np.sqrt(np.where(distance <= reach, (1 - np.minimum(distance / reach, 1) ** 3) ** 3, 0.0))
    X = np.column_stack([np.ones(len(x)), x - at])
    return np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0][0]


