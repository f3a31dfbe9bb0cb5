"""Cluster-robust covariance and degrees of freedom, from n x n matrices.

With Phi the fitted covariance of y, W = Phi^-1, M = (X'WX)^-1, H = X M X'W, and for each cluster j (rows of I as J_j)

    Var(beta) = M (sum_j X_j'W_j A_j e_j e_j'A_j' W_j X_j) M,
    A_j = D_j' B_j^{+1/2} D_j,    B_j = D_j [(I - H) Phi (I - H)']_jj D_j',    D_j'D_j = Phi_jj  (Cholesky),

and for a contrast c, with G the columns (I - H)' J_j' A_j' W_j X_j M c,

    df = (tr G' Phi G)^2 / tr (G' Phi G G' Phi G).

References
----------
Pustejovsky, J. E., Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and hypothesis
testing in fixed effects models. J. Bus. Econ. Statist. 36, 672-683.
Bell, R. M., McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with multi-stage samples.
Survey Methodology 28, 169-181.
"""

import numpy as np

__all__ = ["robust"]


def robust(model, theta, codes, kind):
    """
    Covariance (p, p) and degrees of freedom (p,).

    Parameters
    ----------
    model : DenseModel
    theta : ndarray (m,)
    codes : ndarray of int (n,)
        Cluster of each row; V must be zero between clusters.
    kind : {"CR0", "CR1", "CR2"}

    Returns
    -------
    V, df : ndarray
    """
    fit, X, n = model.fit_at(theta), model.X, len(model.y)
    Phi = fit.sigma**2 * model.V(theta)
    clusters = [np.flatnonzero(codes == c) for c in np.unique(codes)]
    assert all(np.all(np.delete(Phi[rows], rows, axis=1) == 0) for rows in clusters)
    W = np.linalg.inv(Phi)
    M = np.linalg.inv(X.T @ W @ X)
    rest = np.eye(n) - X @ M @ X.T @ W
    e = model.response - X @ fit.beta
    around = rest @ Phi @ rest.T
    meat, sides = np.zeros_like(M), []
    for rows in clusters:
        A = _adjustment(Phi[np.ix_(rows, rows)], around[np.ix_(rows, rows)], kind, len(clusters))
        E = X[rows].T @ np.linalg.inv(Phi[np.ix_(rows, rows)]) @ A
        meat += np.outer(E @ e[rows], E @ e[rows])
        sides.append(rest[rows].T @ E.T @ M)
    df = []
    for c in range(X.shape[1]):
        G = np.column_stack([side[:, c] for side in sides])
        P = G.T @ Phi @ G
        df.append(np.trace(P) ** 2 / np.trace(P @ P))
    return M @ meat @ M, np.array(df)


def _adjustment(Phi, around, kind, m):
    if kind != "CR2":
        return np.eye(len(Phi)) * (np.sqrt(m / (m - 1)) if kind == "CR1" else 1.0)
    D = np.linalg.cholesky(Phi).T
    values, vectors = np.linalg.eigh(D @ around @ D.T)
    root = np.where(values > 1e-11 * values[-1], 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    return D.T @ (vectors * root) @ vectors.T @ D
