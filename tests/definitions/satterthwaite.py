"""Satterthwaite's degrees of freedom, from V and its derivatives written out.

The variance f of l'beta is a function of the covariance parameters phi = (theta, sigma), theta with the parameters of
the residuals if these have a structure, and

    df = 2 f^2 / (g' C g),    f = sigma^2 l'(X'V^-1 X)^-1 l,    g = df/dphi,    C = 2 H^-1

with H the observed second derivatives in phi of the criterion (-2 log-likelihood, restricted under REML) with beta
profiled out and sigma not. Hypotheses of several rows as lmerTest 3.1-3: along the eigenvectors of L Var L', each with
its own df nu_k,

    ddf = 2E / (E - q),    E = sum nu_k / (nu_k - 2);    2 where some nu_k <= 2;    nu where all are equal.

References
----------
Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics Bull. 2.
Fai, A. H.-T., Cornelius, P. L. (1996). Approximate F-tests of multiple degree of freedom hypotheses in generalized
least squares analyses of unbalanced split-plot experiments. J. Statist. Comput. Simul. 54, 363-378.
Kuznetsova, A., Brockhoff, P. B., Christensen, R. H. B. (2017). lmerTest package. J. Statist. Softw. 82(13).
"""

from dataclasses import dataclass

import numpy as np

from tests.definitions.marginal import derivatives_of_V

__all__ = ["Satterthwaite", "satterthwaite"]

# Eigenvalues of H, scaled to a unit diagonal, that are rounding: along them the model does not change.
_RANK = 1e-9
# Equal degrees of freedom, and eigenvalues of L Var L' that are rounding; both lmerTest's.
_EQUAL, _ZERO = 1e-8, 1.5e-8


@dataclass(frozen=True)
class Satterthwaite:
    """Var(beta) (p, p), its derivatives in phi (k, p, p), and C (k, k)."""

    beta: np.ndarray
    vcov: np.ndarray
    slopes: np.ndarray
    C: np.ndarray

    def df(self, l):
        """Degrees of freedom of l'beta."""
        g = np.array([l @ slope @ l for slope in self.slopes])
        return 2 * (l @ self.vcov @ l) ** 2 / (g @ self.C @ g)

    def f_test(self, L):
        """F statistic and its two degrees of freedom."""
        values, vectors = np.linalg.eigh(L @ self.vcov @ L.T)
        keep = values > _ZERO * values.max()
        rows, values = vectors[:, keep].T @ L, values[keep]
        q = len(rows)
        nu = np.array([self.df(row) for row in rows])
        return np.sum((rows @ self.beta) ** 2 / values) / q, q, combined(nu)


def combined(nu):
    """One denominator for several."""
    if np.ptp(nu) < _EQUAL:
        return nu.mean()
    if np.any(nu <= 2):
        return 2.0
    E = np.sum(nu / (nu - 2))
    return 2 * E / (E - len(nu))


def satterthwaite(model, theta):
    """
    What degrees of freedom take, at an optimum theta and its sigma.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray (m,)
        Parameters that lie on a bound of their structure stay there.

    Returns
    -------
    Satterthwaite
    """
    fit, X = model.fit_at(theta), model.X
    sigma2, V_inverse = fit.sigma**2, np.linalg.inv(model.V(theta))
    VX = V_inverse @ X
    S_inverse = np.linalg.inv(X.T @ VX)
    P = V_inverse - VX @ S_inverse @ VX.T
    M, Py = P if model.reml else V_inverse, P @ model.response
    first, second = derivatives_of_V(model, theta)
    m = len(first)
    H = np.zeros((m + 1, m + 1))
    moved, MV = first @ Py, M @ first
    H[:m, :m] = np.tensordot(second, M - np.outer(Py, Py) / sigma2) - np.einsum("kab,jba->kj", MV, MV)
    H[:m, :m] += 2 * moved @ P @ moved.T / sigma2
    H[:m, m] = H[m, :m] = 2 * moved @ Py / sigma2**1.5
    H[m, m] = -2 * model.dof / sigma2 + 6 * (model.response @ Py) / sigma2**2
    slopes = [sigma2 * S_inverse @ VX.T @ V @ VX @ S_inverse for V in first]
    slopes.append(2 * np.sqrt(sigma2) * S_inverse)
    low, high = model.bounds.T
    free = np.append(~((theta <= low + _EQUAL) | (theta >= high - _EQUAL)), True)
    return Satterthwaite(fit.beta, fit.vcov, np.array(slopes)[free], 2 * _inverse(H[np.ix_(free, free)]))


def _inverse(H):
    """H^-1, along the eigenvectors that have one."""
    size = np.sqrt(np.abs(np.diagonal(H)))
    size[size == 0] = 1.0
    return np.linalg.pinv(H / np.outer(size, size), rcond=_RANK, hermitian=True) / np.outer(size, size)
