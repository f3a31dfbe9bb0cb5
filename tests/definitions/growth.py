"""The growth curve model with nm x nm matrices: likelihood of vec(Y), least squares, and Khatri's formulae with S^-1.

    vec(Y') ~ N((G kron X) vec(B'), I_n kron Sigma)

References
----------
Khatri, C. G. (1966). A note on a MANOVA model applied to problems in growth curve. Ann. Inst. Stat. Math. 18, 75-86.
Grizzle, J. E., Allen, D. M. (1969). Analysis of growth and dose response curves. Biometrics 25, 357-381.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

__all__ = ["alternate", "deviance", "khatri", "lowest_random", "path_to_minus_infinity", "wilks"]


def deviance(Y, G, X, B, Sigma):
    """-2 log L of vec(Y') as one normal vector, and the same without nm log 2 pi."""
    n, m = Y.shape
    mean, V = np.kron(G, X) @ B.ravel(), np.kron(np.eye(n), Sigma)
    whole = -2 * multivariate_normal(mean, V).logpdf(Y.ravel())
    return whole, whole - n * m * np.log(2 * np.pi)


def _de_leeuw(R, Sigma):
    """n log det Sigma + tr R Sigma^-1 R', for a Sigma so near to singular that no library takes it for a covariance."""
    return len(R) * np.linalg.slogdet(Sigma)[1] + np.sum(R * np.linalg.solve(Sigma, R.T).T)


def alternate(Y, G, X, structure, C=None, D=None, T=0.0, steps=4000):
    """
    B and Sigma by alternating least squares on vec(Y'), from Sigma = I; C B D = T by its null space.

    Returns
    -------
    B, Sigma : ndarray (g, p), (m, m)
    covariance : ndarray (gp, gp)
        Of vec(B').
    """
    n, m = Y.shape
    design, y, Sigma = np.kron(G, X), Y.ravel(), np.eye(m)
    offset, basis = np.zeros(design.shape[1]), np.eye(design.shape[1])
    if C is not None:
        L = np.kron(C, D.T)
        offset = np.linalg.pinv(L) @ np.broadcast_to(T, (len(C), D.shape[1])).ravel()
        basis = np.linalg.svd(L)[2][np.linalg.matrix_rank(L) :].T
    for _ in range(steps):
        W = np.kron(np.eye(n), np.linalg.inv(Sigma))
        normal = basis.T @ design.T @ W
        b = offset + basis @ np.linalg.solve(normal @ design @ basis, normal @ (y - design @ offset))
        R = (y - design @ b).reshape(n, m)
        after = R.T @ R / n
        if structure != "free":
            after = np.diag(np.diagonal(after)) if structure == "diagonal" else np.eye(m) * np.trace(after) / m
        still, Sigma = np.abs(after - Sigma).max() < 1e-14 * np.abs(after).max(), after
        if still:
            break
    W = np.kron(np.eye(n), np.linalg.inv(Sigma))
    return b.reshape(G.shape[1], X.shape[1]), Sigma, np.linalg.inv(design.T @ W @ design)


def khatri(Y, G, X):
    """B and Sigma of Khatri's closed form, as printed, with S^-1."""
    n = len(Y)
    P = G @ np.linalg.inv(G.T @ G) @ G.T
    S = np.linalg.inv(Y.T @ (np.eye(n) - P) @ Y)
    B = np.linalg.inv(G.T @ G) @ G.T @ Y @ S @ X @ np.linalg.inv(X.T @ S @ X)
    R = Y - G @ B @ X.T
    return B, R.T @ R / n


def wilks(Y, G, X, C, D, T=0.0):
    """Wilks' Lambda of C B D = T by the matrices of Khatri and of Grizzle & Allen."""
    n = len(Y)
    G_inverse = np.linalg.inv(G.T @ G)
    S = np.linalg.inv(Y.T @ (np.eye(n) - G @ G_inverse @ G.T) @ Y)
    middle = S - S @ X @ np.linalg.inv(X.T @ S @ X) @ X.T @ S
    R1 = G_inverse + G_inverse @ G.T @ Y @ middle @ Y.T @ G @ G_inverse
    off = C @ khatri(Y, G, X)[0] @ D - T
    H = off.T @ np.linalg.inv(C @ R1 @ C.T) @ off
    E = D.T @ np.linalg.inv(X.T @ S @ X) @ D
    return np.linalg.det(E) / np.linalg.det(E + H)


def path_to_minus_infinity(Y, G, X, structure, tries=6):
    """
    Deviances along Sigma -> singular, where some B leaves residuals of lower rank.

    A direction v of the occasions with (I - P)Yv = 0 is fitted exactly by B = (G'G)^-1 G'Yv (X'v)' / |X'v|^2; for a
    diagonal Sigma v is one occasion. Empty where there is none, or X'v = 0 and Yv is not.
    """
    n, m = Y.shape
    own = np.linalg.lstsq(G, Y, rcond=None)[0]
    E = Y - G @ own
    if structure == "free":
        _, sizes, rows = np.linalg.svd(E)
        directions = rows[int(np.sum(sizes > 1e-9 * np.linalg.norm(Y))) :]
    else:
        directions = np.eye(m)[np.linalg.norm(E, axis=0) <= 1e-9 * np.linalg.norm(Y, axis=0)]
    if structure == "free" and len(directions):  # among all v in the null space the one that X reaches best
        turned = np.linalg.svd(directions @ X)[0]
        directions = turned.T @ directions
    for v in directions:
        x = X.T @ v
        if np.linalg.norm(x) < 1e-6 and np.linalg.norm(Y @ v) > 1e-9 * np.linalg.norm(Y):
            continue
        B = np.outer(own @ v, x) / (x @ x) if np.linalg.norm(x) >= 1e-6 else np.zeros((G.shape[1], X.shape[1]))
        R = Y - G @ B @ X.T
        rest = np.diag(np.diagonal(R.T @ R / n)) if structure == "diagonal" else R.T @ R / n
        keep = np.eye(m) - np.outer(v, v)
        base = keep @ rest @ keep + keep * 1e-6 * np.trace(rest)
        return [_de_leeuw(R, base + 10.0**-k * np.outer(v, v)) for k in range(2, 2 + tries)]
    return []


def lowest_random(Y, G, X, restricted, C=None, D=None):
    """
    The lowest n log det Sigma + tr R Sigma^-1 R' that a search finds, Sigma = X Omega X' + s I, B being searched too.

    Restricted, Omega = LL' and s = exp(.); else Omega is symmetric, and no search goes where Sigma is not positive
    definite. C B D = 0 by the null space of C kron D'.
    """
    (m, p), g = X.shape, G.shape[1]
    start = np.linalg.lstsq(G, Y @ X @ np.linalg.inv(X.T @ X), rcond=None)[0]
    basis = np.eye(g * p)
    if C is not None:
        L = np.kron(C, D.T)
        basis = np.linalg.svd(L)[2][np.linalg.matrix_rank(L) :].T
    lower, free = np.tril_indices(p), basis.shape[1]

    def at(v):
        root = np.zeros((p, p))
        root[lower] = v[free:-1]
        Omega = root @ root.T if restricted else root + np.tril(root, -1).T
        Sigma = X @ Omega @ X.T + np.exp(v[-1]) * np.eye(m)
        if np.linalg.eigvalsh(Sigma)[0] <= 0:
            return 1e10
        return _de_leeuw(Y - G @ (basis @ v[:free]).reshape(g, p) @ X.T, Sigma)

    R = Y - G @ start @ X.T
    size = np.log(np.mean(R**2))
    best = np.inf
    for share in (0.05, 1.0):
        root = np.eye(p) * (np.exp(size / 2) if restricted else np.exp(size)) * share
        v = np.r_[basis.T @ start.ravel(), root[lower], size]
        for method in ("Nelder-Mead", "BFGS", "Nelder-Mead", "BFGS"):
            many = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-10, "fatol": 1e-12} if method[0] == "N" else {}
            v = minimize(at, v, method=method, options=many).x
        best = min(best, at(v))
    return best
