"""How estimating the covariance parameters moves a statistic.

A statistic T of residuals at the estimates of [θ, φ] is, to first order, what it is at the truth less its regression on
their scores (Durbin 1970; Pierce 1982): what a parameter has been fitted to is no longer there to be seen. Where
responses are drawn at known parameters, T and the scores of each are known, and so is that regression. With 𝒫 as in
`projection` the scores of [θ, φ] are y'𝒫(∂V)𝒫y over σ*², constants apart::

    Σ_j v_j'(∂T)v_j,  v = Z'𝒫y;      −∂‖L(φ)⁻¹r‖²,  r = R𝒫y = y − ŷ,  R = LL'
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.noise import residual_covariance

__all__ = ["Scores", "without"]

# Steps of central differences, beside the size of a parameter; only the directions of the scores matter.
_STEP = 1e-4
# Size of what is left of Λ in a direction, beside others or alone, that counts as nothing.
_COLLAPSED = 1e-6


class Scores:
    """Scores of the covariance parameters of responses drawn from a fit.

    Parameters
    ----------
    fit : LMMFit
    """

    def __init__(self, fit: Any) -> None:
        self.fit = fit
        self.forms = [_forms(fit, k) for k in range(len(fit.design.terms))]
        lower, upper = fit.working.bounds
        m = len(fit.theta)
        self.pairs = [_either_side(fit, k, lower[m + k], upper[m + k]) for k in range(len(fit.phi))]

    def of_term(self, k: int, u: np.ndarray) -> np.ndarray:
        """Of a term's parameters, from u = Λ'v of its levels, shape (levels, q, m) → (parameters, m)."""
        return np.array([np.einsum("jam,ab,jbm->m", u, form, u, optimize=True) for form in self.forms[k]])

    def of_residuals(self, e: np.ndarray) -> np.ndarray:
        """Of φ, from normalized residuals, shape (n, m) → (parameters, m)."""
        if not self.pairs:
            return np.zeros((0, e.shape[1]))
        r = self.fit.noise.colour(e)
        return np.array([np.sum(b.whiten(r) ** 2, axis=0) - np.sum(a.whiten(r) ** 2, axis=0) for a, b in self.pairs])


def _forms(fit: Any, k: int) -> list[np.ndarray]:
    """Λ⁺(∂T)Λ⁺' of each parameter that moves a term's T, of what has not collapsed.

    Where a structure with correlations has collapsed, its parameters move more than what is left: none is taken.
    """
    w, at = fit.working, fit.working_theta
    if w.terms[k].form is not None and np.linalg.matrix_rank(fit.Lambda[k], tol=_COLLAPSED) < len(fit.Lambda[k]):
        return []
    inverse = np.linalg.pinv(fit.Lambda[k], rcond=_COLLAPSED)
    found = []
    for i in range(w.slices[k].start, w.slices[k].stop):
        step = np.zeros(len(at))
        step[i] = _STEP * (1.0 + abs(at[i]))
        up, down = w.factors(at + step)[k], w.factors(at - step)[k]
        form = inverse @ (up @ up.T - down @ down.T) @ inverse.T
        if np.any(np.abs(form) > 1e-3 * step[i]):
            found.append(form)
    return found


def _either_side(fit: Any, k: int, lower: float, upper: float) -> tuple[Any, Any]:
    """R a little below and a little above one parameter of φ̂."""
    sides = []
    for sign in (-1.0, 1.0):
        phi = fit.phi.copy()
        step = _STEP * (1.0 + abs(phi[k]))
        inside = phi[k] + sign * step
        phi[k] = inside if lower < inside < upper else phi[k]
        sides.append(residual_covariance(fit.design, phi))
    return sides[0], sides[1]


def without(values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Simulated values less their regression on the scores, about their means, shape (k, n).

    Parameters
    ----------
    values, scores : ndarray, shape (k, n), (parameters, n)

    References
    ----------
    Pierce (1982), The asymptotic effect of substituting estimators for parameters in certain types of statistics, Ann.
    Statist. 10, 475-478.
    """
    n = values.shape[1]
    size = scores.std(axis=1) if len(scores) else np.zeros(0)
    scores = scores[size > 1e-9 * np.abs(scores).max(axis=1, initial=1e-300)]
    if not len(scores) or len(scores) > n // 4:
        return values
    centred = scores - scores.mean(axis=1)[:, None]
    basis = np.linalg.svd(centred / np.linalg.norm(centred, axis=1)[:, None], full_matrices=False)
    axes = basis[2][basis[1] > 1e-6 * basis[1][0]]
    mean = values.mean(axis=1)[:, None]
    left = values - mean
    left = left - (left @ axes.T) @ axes
    return mean + left * np.sqrt((n - 1) / (n - 1 - len(axes)))
