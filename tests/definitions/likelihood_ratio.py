"""Likelihood ratios of variances, and the information their mixtures are made of, written out with n x n matrices.

References
----------
Crainiceanu, C. M., Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with one variance component.
J. R. Statist. Soc. B 66, 165-185.
Self, S. G., Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and likelihood ratio tests
under nonstandard conditions. J. Am. Statist. Assoc. 82, 605-610.
"""

import numpy as np

__all__ = ["efficient_information", "spectral_parts", "squared_length"]


def efficient_information(V, directions, nuisance):
    """Expected information of V's parameters along some directions G, with sigma^2 and other directions projected out.

    Var(y) = sigma^2 V: I_ij = tr(V^-1 G_i V^-1 G_j) / 2, and V itself is sigma^2's direction.
    """
    W = np.linalg.inv(V)
    G = [W @ one for one in (*directions, *nuisance, V)]
    I = np.array([[0.5 * np.sum(a * b.T) for b in G] for a in G])
    m = len(directions)
    return I[:m, :m] - I[:m, m:] @ np.linalg.pinv(I[m:, m:], rcond=1e-11) @ I[m:, :m]


def spectral_parts(y, X, Z):
    """Eigenvalues of Z'P0Z and of Z'Z, squares w^2 of the response's components, and what is left of it.

    P0 = AA' with A an orthonormal basis of what X leaves. A'ZZ'A = U diag(mu) U', w = U'A'y.
    """
    A = np.linalg.svd(X)[0][:, X.shape[1] :]
    mu, U = np.linalg.eigh(A.T @ Z @ Z.T @ A)
    w = (U.T @ A.T @ y) ** 2
    own = mu > 1e-10 * mu[-1]
    xi = np.linalg.eigvalsh(Z.T @ Z)
    return mu[own], xi[xi > 1e-10 * xi[-1]], w[own], w[~own].sum()


def squared_length(J, z, rays, tries=2000, seed=0):
    """Squared length, by J, of the projection of z on the cone of non-negative combinations of some rays.

    The cone is sampled: each combination of rays has its own best multiple.
    """
    rng = np.random.default_rng(seed)
    a = rng.exponential(size=(tries, len(rays))) ** 4 @ rays
    along = a @ J @ z
    return np.max(np.maximum(along, 0.0) ** 2 / np.einsum("ij,jk,ik->i", a, J, a))
