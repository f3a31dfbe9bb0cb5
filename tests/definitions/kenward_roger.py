"""Kenward and Roger's inference for fixed effects, from V and its derivatives written out.

    Var(y) = Sigma(gamma),  G_i and G_ij its first and second derivatives
    Phi  = (X' Sigma^-1 X)^-1
    P_i  = -X' Sigma^-1 G_i Sigma^-1 X        Q_ij = X' Sigma^-1 G_i Sigma^-1 G_j Sigma^-1 X
    R_ij = X' Sigma^-1 G_ij Sigma^-1 X
    I_ij = 1/2 [tr(Sigma^-1 G_i Sigma^-1 G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j)],    W = I^-1
    Phi_A = Phi + 2 Phi [sum_ij W_ij (Q_ij - P_i Phi P_j - 1/4 R_ij)] Phi

gamma are the elements of Cov(b) of every term, sigma^2 and what the residuals have. Where all their covariances make
up a linear space (W^-1 alone; sds by group; compound symmetry; an unstructured matrix with an sd for each occasion),
gamma are its coordinates: Sigma is linear in them, all R_ij are zero, and no choice of coordinates matters. Where they
do not, gamma are sigma^2 and the structure's own parameters, and Phi_A depends on that choice. In place of I there may
be the observed information, half the second derivatives of the restricted deviance; with P = Sigma^-1 - Sigma^-1 X Phi
X' Sigma^-1 they are

    1/2 [tr(P G_ij) - tr(P G_i P G_j) + 2 y'P G_i P G_j P y - y'P G_ij P y]

(SAS PROC MIXED; the R package mmrm, which differentiates automatically). Scaled F statistic, its
two moments and the degrees of freedom as pbkrtest 0.5-2 has them, the places included where a moment has no value.

References
----------
Kenward, M. G., Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum likelihood.
Biometrics 53, 983-997.
Halekoh, U., Hojsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap methods for tests in linear
mixed models - the R package pbkrtest. J. Statist. Softw. 59(9).
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["KenwardRoger", "covariance_directions", "kenward_roger", "linear_directions", "with_derivatives"]

# Eigenvalues of the information, scaled to a unit diagonal, that are rounding: parameters that the design cannot tell
# apart. What is computed does not depend on how such parameters are divided up.
_RANK = 1e-9
# Singular values of covariances of the residuals, relative to the largest, that are rounding.
_SPAN = 1e-8


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


def linear_directions(model):
    """Basis (k, n, n) of the linear space that the residuals' covariances make up; None where they make up none.

    A family is (an open part of) a linear space where its members span no more dimensions than it has at each of them.
    """
    if model.law is None:
        return model.R(())[None]
    law, rng = model.law, np.random.default_rng(0)
    low = np.where(law.bounds[:, 0] == 0, 0.3, -0.3)
    high = np.where(np.isinf(law.bounds[:, 1]) & (low > 0), 2.0, 0.5)
    jets = [law.entries(rng.uniform(low, high)) for _ in range(law.m + 3)]
    members = np.array([jet.value for jet in jets])
    _, sizes, rows = np.linalg.svd(members / np.linalg.norm(members, axis=1)[:, None], full_matrices=False)
    k = int(np.sum(sizes > _SPAN * sizes[0]))
    # a correlation of occasions that no group has together moves nothing
    there = np.array([jets[0].value, *(slope for slope in jets[0].first.values() if slope.any())])
    sizes = np.linalg.svd(there / np.linalg.norm(there, axis=1)[:, None], compute_uv=False)
    return np.array([law.dense(row) for row in rows[:k]]) if k == np.sum(sizes > _SPAN * sizes[0]) else None


def kenward_roger(model, theta, *, linear=True, observed=False):
    """
    The adjusted covariance of the fixed effects and what degrees of freedom take, at theta and its sigma.

    Parameters
    ----------
    model : DenseModel
        REML; terms unstructured, diagonal or compound symmetric with one variance.
    theta : ndarray (m,)
    linear : bool
        Whether residuals whose covariances make up a linear space have its coordinates; otherwise the parameters
        are sigma^2 and the structure's own.
    observed : bool
        Whether W is the inverse of the observed information.

    Returns
    -------
    KenwardRoger
    """
    G = []
    for term in model.terms:
        Z, A = model.spread(term.matrix, term.codes, term), term.levels_root() @ term.levels_root().T
        G += [Z @ np.kron(A, D) @ Z.T for D in covariance_directions(term)]
    directions = linear_directions(model) if linear or model.law is None else None
    if directions is not None:
        return with_derivatives(model, theta, np.array([*directions, *G]), observed=observed)
    fit, phi, q = model.fit_at(theta), model.phi(theta), len(G)
    slopes = model.law.slopes(phi)
    G = np.array([*G, model.R(theta), *(fit.sigma**2 * slopes)])
    H = np.zeros((len(G), *G.shape))
    H[q, q + 1 :] = H[q + 1 :, q] = slopes
    H[q + 1 :, q + 1 :] = fit.sigma**2 * model.law.bends(phi)
    return with_derivatives(model, theta, G, H, observed=observed)


def with_derivatives(model, theta, G, H=None, *, observed=False):
    """The same for parameters in which Var(y) has the derivatives G (m, n, n) and H (m, m, n, n), None where zero."""
    fit, X = model.fit_at(theta), model.X
    inverse = np.linalg.inv(fit.sigma**2 * model.V(theta))
    Phi = np.linalg.inv(X.T @ inverse @ X)
    VG, VX = inverse @ G, inverse @ X
    P = -(VX.T @ G @ VX)
    GX = G @ VX
    Q = np.einsum("inp,jnq->ijpq", GX, inverse @ GX, optimize=True)
    traces = np.einsum("iab,jba->ij", VG, VG)
    PhiP = Phi @ P
    information = 0.5 * (traces - 2 * np.einsum("ab,ijba->ij", Phi, Q) + np.einsum("iab,jba->ij", PhiP, PhiP))
    if observed:
        information = observed_information(inverse - VX @ Phi @ VX.T, model.response, G, H)
    size = np.sqrt(np.diagonal(traces))
    size[size == 0] = 1.0
    W = np.linalg.pinv(information / np.outer(size, size), rcond=_RANK, hermitian=True) / np.outer(size, size)
    U = np.einsum("ij,ijab->ab", W, Q) - np.einsum("ij,iab,bc,jcd->ad", W, P, Phi, P, optimize=True)
    if H is not None:
        U -= 0.25 * VX.T @ np.tensordot(W, H) @ VX
    return KenwardRoger(fit.beta, Phi, Phi + 2 * Phi @ U @ Phi, P, W)


def observed_information(P, y, G, H=None):
    """Half the second derivatives of log|Sigma| + log|X'Sigma^-1 X| + y'Py (m, m)."""
    PG, Py = P @ G, P @ y
    GPy = G @ Py
    found = 0.5 * (2 * GPy @ P @ GPy.T - np.einsum("iab,jba->ij", PG, PG, optimize=True))
    if H is not None:
        found += 0.5 * (np.einsum("ab,ijba->ij", P, H) - np.einsum("a,ijab,b->ij", Py, H, Py))
    return found
