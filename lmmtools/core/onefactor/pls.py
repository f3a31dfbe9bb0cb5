"""The profiled criterion of one grouping factor, from its cross-products.

Notation (V is the marginal covariance over σ², T = ΛΛ'; A = FF', N = F⁻¹B; sums run over groups)::

    M = I + F'TF = R̂'R̂           P = FM⁻¹F'   (= Z'V⁻¹Z)
    W = FM⁻¹N  (= Z'V⁻¹[X y])     S = C_w + Σ N'M⁻¹N  (= [X y]'V⁻¹[X y])
    β̂ = S_XX⁻¹S_Xy               r² = S_yy − S_yXβ̂

which is V⁻¹ = W − WZ(T⁻¹ + A)⁻¹Z'W (Henderson, Kempthorne, Searle & von Krosigk 1959, Biometrics 15) written so
that T may be singular, A may be singular, and nothing cancels. The criterion is −2 times the profiled
log-likelihood, or restricted log-likelihood, with all constants (Bates, Mächler, Bolker & Walker 2015, J. Stat.
Softw. 67(1), eqs. 34 and 41, written for V)::

    d = Σ log|M| + ν(1 + log(2πr²/ν)) [+ log|S_XX|],    ν = n − p [REML] or n [ML].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.onefactor.blocks import Blocks
from lmmtools.core.solution import Solution, profile

__all__ = ["Roots", "inverse_root", "solve_pls"]


@dataclass(frozen=True)
class Roots:
    """What a solution keeps.

    Attributes
    ----------
    root : ndarray, shape (r, r, P)
        R̂⁻ᵀ, lower triangular: M⁻¹ = root' root.
    shrunk : ndarray, shape (r, p + 1, K)
        R̂⁻ᵀN.
    """

    root: np.ndarray
    shrunk: np.ndarray


def solve_pls(blocks: Blocks, Lambda: np.ndarray, *, reml: bool) -> Solution:
    """Solve for β̂ and r² at a factor Λ of shape (r, w) and evaluate the criterion.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V⁻¹X is not positive definite, which a full-rank X excludes up to rounding.
    """
    p, r = blocks.p, len(Lambda)
    root, logdet = inverse_root((Lambda.T @ blocks.F.reshape(r, -1)).reshape(Lambda.shape[1], r, -1))
    shrunk = np.einsum("abg,bjg->ajg", blocks.spread(root), blocks.N)
    flat = shrunk.transpose(1, 0, 2).reshape(p + 1, -1)
    S = blocks.within + flat @ flat.T
    return profile(S, blocks.n, float(blocks.counts @ logdet), reml=reml, inner=Roots(root, shrunk))


def inverse_root(G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R̂⁻ᵀ and log|M| for M = I + G'G = R̂'R̂ of every pattern.

    Parameters
    ----------
    G : ndarray, shape (w, r, P)
        Λ'F.

    Returns
    -------
    root : ndarray, shape (r, r, P)
        Lower triangular.
    logdet : ndarray, shape (P,)

    Notes
    -----
    Householder's QR of the stack of G and I, all patterns at once: forming G'G would square its condition, and
    with it the ratio of the largest variance to the smallest.
    """
    w, r, n_patterns = G.shape
    stack = np.zeros((w + r, r, n_patterns))
    stack[:w] = G
    stack[w + np.arange(r), np.arange(r)] = 1.0
    diagonal = np.empty((r, n_patterns))
    for j in range(r):
        v = stack[j : w + j + 1, j]  # below, this column is still that of I
        length = np.sqrt(np.einsum("ig,ig->g", v, v))
        diagonal[j] = -np.copysign(length, v[0])
        if j + 1 < r:
            v = v.copy()
            v[0] -= diagonal[j]
            scale = 1.0 / (length * np.abs(v[0]))
            rest = stack[j : w + j + 1, j + 1 :]
            rest -= v[:, None] * (np.einsum("ig,ikg->kg", v, rest) * scale)
    root = np.zeros((r, r, n_patterns))
    for i in range(r):
        root[i, i] = 1.0 / diagonal[i]
        if i:
            root[i, :i] = -root[i, i] * np.einsum("kg,kjg->jg", stack[:i, i], root[:i, :i])
    return root, 2.0 * np.log(np.abs(diagonal)).sum(axis=0)
