"""Responses drawn anew for a fit's design: from the model, or from its own residuals at every level."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.modes import terms_by_factor
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.simulate import add_effects, simulate

__all__ = ["Parametric", "Residual"]

# Eigenvalues of the modes' covariance matrix against the largest that are none.
_NO_RANK = 1e-10


class Parametric:
    """Responses from N(Xβ̂ + offset, V̂): new random effects and new residuals; see `simulate`."""

    def __init__(self, fit: Any) -> None:
        self.fit = fit

    def __call__(self, rng: np.random.Generator, m: int) -> np.ndarray:
        """m responses, shape (nobs, m)."""
        return simulate(self.fit, m, rng)


class Residual:
    """Responses from the fit's own modes and residuals, drawn with replacement.

    Modes and residuals are shrunk, so each set is centred and given the covariance matrix that the model estimates
    (reflated) before any is drawn: modes of all terms of a grouping factor together, level by level, residuals row by
    row. With weights, or a residual structure, R = LL', these are L⁻¹ times the residuals, which the model says are
    independent and alike, and L times what is drawn; with a known covariance A = LL' of the levels the modes are L⁺b̂,
    likewise.

    Parameters
    ----------
    fit : LMMFit

    Raises
    ------
    ModelError
        If a factor has too few levels for its modes to be given that matrix.

    References
    ----------
    Carpenter, Goldstein & Rasbash (2003), A novel bootstrap procedure for assessing the relationship between class size
    and achievement, Appl. Statist. 52(4), 431-443.
    """

    def __init__(self, fit: Any) -> None:
        self.fit = fit
        e = fit.noise.whiten(fit.resid.to_numpy())
        e = e - e.mean()
        self.residuals = e * (fit.sigma / np.sqrt(e @ e / len(e)))
        self.mean = fit.design.mean(fit.beta)
        self.effects = [(mine, _reflated(fit, mine)) for mine in terms_by_factor(fit.working)]

    def __call__(self, rng: np.random.Generator, m: int) -> np.ndarray:
        """m responses, shape (nobs, m)."""
        n = len(self.mean)
        responses = self.fit.noise.colour(self.residuals[rng.integers(n, size=(n, m))])
        responses += self.mean[:, None]
        for mine, modes in self.effects:
            drawn = modes[rng.integers(len(modes), size=(m, len(modes)))].transpose(2, 1, 0)  # (Q, effects, m)
            start = 0
            for term in (self.fit.design.terms[k] for k in mine):
                b = drawn[start : start + len(term.names)]
                add_effects(responses, term, b if term.known_root is None else term.known_root @ b)
                start += len(term.names)
        return responses


def _reflated(fit: Any, places: list[int]) -> np.ndarray:
    """Modes of one factor's terms, centred, with the covariance matrix that is estimated, shape (levels, Q).

    Modes lie in the range of Λ: they are reflated as the spherical effects behind them, whose covariance matrix is σ²I.
    """
    terms = [fit.design.terms[k] for k in places]
    parts = [_spherical(fit, k) for k in places]
    u = np.hstack([part for part, _ in parts])
    u = u - u.mean(axis=0)
    values, vectors = np.linalg.eigh(u.T @ u / len(u))
    if len(values) and not values[0] > _NO_RANK * max(values[-1], np.finfo(float).tiny):
        raise ModelError(
            f"the modes of {' + '.join(t.label for t in terms)}, {counted(u.shape[1], 'effect')} that vary for each of "
            f"{counted(len(u), 'level')}, lie in fewer dimensions than the estimated covariance matrix has, so they "
            'cannot be given it: use kind="parametric".'
        )
    u = fit.sigma * (u @ vectors / np.sqrt(values)) @ vectors.T if len(values) else u
    out, start = [], 0
    for part, half in parts:
        out.append(u[:, start : start + part.shape[1]] @ half.T)
        start += part.shape[1]
    return np.hstack(out)


def _spherical(fit: Any, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Modes of a term as u, shape (levels, s), and Λ of as many columns as its rank s with b = Λu."""
    term, Lambda, b = fit.design.terms[place], fit.Lambda[place], fit.modes[place]
    U, s, _ = np.linalg.svd(Lambda)
    keep = s > 1e-6 * max(float(s.max(initial=0.0)), 1e-6)
    half = U[:, keep] * s[keep]
    b = b if term.known_root is None else np.linalg.pinv(term.known_root) @ b
    return b @ (U[:, keep] / s[keep]), half
