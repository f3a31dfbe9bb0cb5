"""Σ = XΩX' + σ²I given residuals: the most likely Ω and σ², in closed form.

With X = Q_X R_X, Ω̃ = R_X Ω R_X' and T = Ω̃ + σ²I,

    Σ = Q_X T Q_X' + σ² Q_2 Q_2',    log det Σ = log det T + (m − p) log σ²,

so that the deviance is that of residuals R Q_X with covariance T and of R Q_2 with σ². With S_1 = Q_X'R'R Q_X / n, of
eigenvalues λ_1 ≥ … ≥ λ_p, and s = ‖R Q_2‖² / n:

Ω symmetric, Σ ≻ 0: T = S_1 and σ² = s / (m − p).

Ω ⪰ 0, that is T ⪰ σ²I: T shares the eigenvectors of S_1 (tr T⁻¹S_1 is least so, whatever the eigenvalues of T), and its
eigenvalues are max(λ_i, σ²), σ² the mean of s and the k smallest λ over the m − p + k dimensions that they come from.
The k is the smallest for which λ_{p−k} ≥ σ²: pooling adjacent violators, of a function convex in log t.

References
----------
Lange, N. and Laird, N. M. (1989). The effect of covariance structure on variance estimation in balanced growth-curve
models with random parameters. Journal of the American Statistical Association 84, 241-247: that there are closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.growth.problem import Problem

__all__ = ["Components", "components"]


@dataclass(frozen=True, eq=False)
class Components:
    """Ω and σ² in an orthonormal basis of X.

    Attributes
    ----------
    vectors : ndarray, shape (p, p)
        Eigenvectors of T, by columns.
    values : ndarray, shape (p,)
        Its eigenvalues, falling.
    sigma2 : float
    """

    vectors: np.ndarray
    values: np.ndarray
    sigma2: float

    @property
    def Omega(self) -> np.ndarray:
        """Ω̃, shape (p, p); zero without rounding in directions that were pooled with σ²."""
        return (self.vectors * (self.values - self.sigma2)) @ self.vectors.T + 0.0  # no −0

    @property
    def rank(self) -> int:
        """Directions in which Ω is not zero."""
        return int(np.sum(self.values != self.sigma2))

    def Sigma(self, problem: Problem) -> np.ndarray:
        """Σ, shape (m, m)."""
        turned = problem.within[0] @ self.vectors
        rest = problem.within[2]
        return (turned * self.values) @ turned.T + self.sigma2 * rest @ rest.T

    def logdet(self, problem: Problem) -> float:
        """log det Σ."""
        return float(np.sum(np.log(self.values)) + (problem.m - problem.p) * np.log(self.sigma2))


def components(problem: Problem, R: np.ndarray, restricted: bool) -> Components:
    """The most likely Ω and σ² given residuals.

    Parameters
    ----------
    problem : Problem
        With more occasions than columns of X.
    R : ndarray, shape (n, m)
    restricted : bool
        Whether Ω is a covariance matrix; else it is any symmetric matrix that leaves Σ positive definite.
    """
    QX, _, Q2 = problem.within
    p, free = problem.p, problem.m - problem.p
    # singular values of the residuals: eigenvalues of their cross-products have half the digits
    _, roots, rows = np.linalg.svd(np.linalg.qr(R @ QX, mode="r"))
    values = np.zeros(p)
    values[: len(roots)] = roots**2 / problem.n
    pooled = float(np.sum((R @ Q2) ** 2)) / problem.n
    sigma2, k = pooled / free, 0
    while restricted and k < p and values[p - 1 - k] < sigma2:
        pooled += values[p - 1 - k]
        k += 1
        sigma2 = pooled / (free + k)
    values[p - k :] = sigma2
    return Components(rows.T, values, sigma2)
