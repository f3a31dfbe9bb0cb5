"""Kenward and Roger's inference for fixed effects, from V and its derivatives written out.

    Var(y) = Sigma = sum_i gamma_i G_i        (gamma: the elements of Cov(b) of every term, and sigma^2; G_0 = W^-1)
    Phi  = (X' Sigma^-1 X)^-1
    P_i  = -X' Sigma^-1 G_i Sigma^-1 X        Q_ij = X' Sigma^-1 G_i Sigma^-1 G_j Sigma^-1 X
    I_ij = 1/2 [tr(Sigma^-1 G_i Sigma^-1 G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j)],    W = I^-1
    Phi_A = Phi + 2 Phi [sum_ij W_ij (Q_ij - P_i Phi P_j)] Phi

Sigma is linear in gamma, so the second derivatives R_ij of the paper are zero. Scaled F statistic, its two moments
and the degrees of freedom as pbkrtest 0.5-2 has them, the places included where a moment has no value.

References
----------
Kenward, M. G., Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum likelihood.
Biometrics 53, 983-997.
Halekoh, U., Hojsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap methods for tests in linear
mixed models - the R package pbkrtest. J. Statist. Softw. 59(9).
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["KenwardRoger", "covariance_directions", "kenward_roger"]

# Eigenvalues of the information, scaled to a unit diagonal, that are rounding: parameters that the design cannot tell
# apart. What is computed does not depend on how such parameters are divided up.
_RANK = 1e-9


@dataclass(frozen=True)
class KenwardRoger:
    """Phi and Phi_A (p, p), P (m, p, p), and W (m, m), the covariance of gamma."""

    beta: np.ndarray
    Phi: np.ndarray
    covariance: np.ndarray
    P: np.ndarray
    W: np.ndarray

    def moments(self, L):
        """A_1 and A_2 of the hypothesis L beta = 0, and its number q of rows; L (q, p) of full row rank."""
        Theta = L.T @ np.linalg.solve(L @ self.Phi @ L.T, L)
        moved = [Theta @ self.Phi @ P @ self.Phi for P in self.P]
        traces = np.array([np.trace(u) for u in moved])
        products = np.array([[np.trace(u @ v) for v in moved] for u in moved])
        return traces @ self.W @ traces, np.sum(self.W * products), len(L)

    def df(self, l):
        """Degrees of freedom of the one contrast l'beta."""
        return degrees_of_freedom(*self.moments(np.atleast_2d(l)))[0]

    def f_test(self, L):
        """F statistic (scaled), its two degrees of freedom, and the scale; NaN where they are those of no F."""
        A1, A2, q = self.moments(L)
        ddf, scale = degrees_of_freedom(A1, A2, q)
        if not (ddf > 0 and scale > 0):
            return np.nan, q, np.nan, np.nan
        wald = (L @ self.beta) @ np.linalg.solve(L @ self.covariance @ L.T, L @ self.beta)
        return scale * wald / q, q, ddf, scale


def degrees_of_freedom(A1, A2, q):
    """Denominator degrees of freedom, and what F is multiplied with."""
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = (c / (3 * q + 2 * (1 - g)) for c in (g, q - g, q + 2 - g))
    V0, V1, V2 = 1 + c1 * B, 1 - c2 * B, 1 - c3 * B
    V0 = 0.0 if abs(V0) < 1e-10 else V0
    mean = 1 - A2 / q
    ratio = 1.0 if abs(mean) < 1e-14 and abs(V1) < 1e-14 else mean / V1
    with np.errstate(divide="ignore"):
        rho = ratio**2 * np.divide(V0, V2) / q
    ddf = 4 + (q + 2) / (q * rho - 1)
    return ddf, 1.0 if abs(ddf - 2) < 0.01 else ddf * mean / (ddf - 2)


def covariance_directions(term):
    """Basis of the linear space of one level's covariance matrices, (m, q, q)."""
    q, kind = term.matrix.shape[1], term.structure
    if q <= 2:  # no more (co)variances than parameters
        kind = {"cs": "us", "hetar1": "us", "ar1": "homcs"}.get(kind, kind)
    eye = np.eye(q)
    if kind == "homdiag" or (kind == "homcs" and q == 1):
        return eye[None]
    if kind == "homcs":
        return np.stack([eye, 1 - eye])
    diagonal = [np.outer(e, e) for e in eye]
    if kind == "diag":
        return np.array(diagonal)
    assert kind == "us"
    crossed = [np.outer(eye[i], eye[j]) for i in range(q) for j in range(i)]
    return np.array(diagonal + [D + D.T for D in crossed])


def kenward_roger(model, theta):
    """
    The adjusted covariance of the fixed effects and what degrees of freedom take, at theta and its sigma.

    Parameters
    ----------
    model : DenseModel
        REML; terms unstructured, diagonal or compound symmetric with one variance.
    theta : ndarray (m,)

    Returns
    -------
    KenwardRoger
    """
    fit, X = model.fit_at(theta), model.X
    G = [np.eye(len(X)) if model.weights is None else np.diag(1.0 / model.weights)]
    for term in model.terms:
        Z, A = model.spread(term.matrix, term.codes, term), term.levels_root() @ term.levels_root().T
        G += [Z @ np.kron(A, D) @ Z.T for D in covariance_directions(term)]
    G = np.array(G)
    inverse = np.linalg.inv(fit.sigma**2 * model.V(theta))
    Phi = np.linalg.inv(X.T @ inverse @ X)
    VG, VX = inverse @ G, inverse @ X
    P = -(VX.T @ G @ VX)
    GX = G @ VX
    Q = np.einsum("inp,jnq->ijpq", GX, inverse @ GX, optimize=True)
    traces = np.einsum("iab,jba->ij", VG, VG)
    PhiP = Phi @ P
    information = 0.5 * (traces - 2 * np.einsum("ab,ijba->ij", Phi, Q) + np.einsum("iab,jba->ij", PhiP, PhiP))
    size = np.sqrt(np.diagonal(traces))
    size[size == 0] = 1.0
    W = np.linalg.pinv(information / np.outer(size, size), rcond=_RANK, hermitian=True) / np.outer(size, size)
    U = np.einsum("ij,ijab->ab", W, Q) - np.einsum("ij,iab,bc,jcd->ad", W, P, Phi, P, optimize=True)
    return KenwardRoger(fit.beta, Phi, Phi + 2 * Phi @ U @ Phi, P, W)
