"""Conditional modes of the random effects, their covariances, and how they depend on β̂.

All from the spherical effects u, b = Λu, whose modes are u = M⁻¹Λ̃'Z̃'(y − Xβ̂) with covariances σ²M⁻¹ given β̂ and θ̂
(Bates, Mächler, Bolker & Walker 2015, J. Stat. Softw. 67(1), eqs. 56 and 58).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

__all__ = [
    "Modes",
    "Spherical",
    "across_homes",
    "conditional_modes",
    "mode_sensitivity",
    "modes_by_term",
    "random_variance",
    "rows_by_factor",
    "term_columns",
    "terms_by_factor",
]


@dataclass(frozen=True)
class Spherical:
    """Modes of the spherical effects of one factor, level by level.

    Attributes
    ----------
    u : ndarray, shape (W, J)
    M_inverse : ndarray, shape (W, W, J)
        Diagonal blocks of M⁻¹: Var(u | y) over σ².
    sensitivity : ndarray, shape (W, p, J)
        M⁻¹Λ̃'Z̃'X: −∂u/∂β̂.

    Notes
    -----
    With a known covariance A = LL' of the levels all three are those of (L ⊗ I)u.
    """

    u: np.ndarray
    M_inverse: np.ndarray
    sensitivity: np.ndarray


@dataclass(frozen=True)
class Modes:
    """Conditional modes of all terms of one factor, side by side.

    Attributes
    ----------
    b : ndarray, shape (J, Q)
        TZ'V⁻¹(y − Xβ̂), in units of the response over those of Z's columns.
    cov : ndarray, shape (J, Q, Q)
        Var(b | y) at β̂ and θ̂: σ²(T − TZ'V⁻¹ZT).
    """

    b: np.ndarray
    cov: np.ndarray


def conditional_modes(working: Any, factors: tuple[np.ndarray, ...], solution: Any) -> tuple[Modes, ...]:
    """Modes and covariances of each grouping factor.

    Parameters
    ----------
    working : Working
    factors : tuple of ndarray, shape (q_k, q_k)
        Λ of each term in its own columns.
    solution : Solution
        Of the exact products at `working.own_factor(factors)`.
    """
    scale = working.y_scale * working.noise_scale
    found = []
    for Lambda, part in zip(working.by_factor(factors), _spherical(working, factors, solution), strict=True):
        half = np.matmul(Lambda, part.M_inverse.transpose(2, 0, 1))
        cov = np.matmul(half, Lambda.T)
        cov = 0.5 * (cov + cov.transpose(0, 2, 1))
        found.append(Modes((Lambda @ part.u).T * scale, solution.sigma2 * scale**2 * cov))
    return tuple(found)


def modes_by_term(working: Any, modes: tuple[Modes, ...]) -> tuple[np.ndarray, ...]:
    """Modes of each term, shape (J, q), from those of its factor, where terms stand side by side."""
    return tuple(modes[home].b[:, mine] for home, mine in term_columns(working))


def terms_by_factor(working: Any) -> list[list[int]]:
    """The terms of each grouping factor."""
    return [[k for k, home in enumerate(working.homes) if home == f] for f in range(len(working.levels))]


def term_columns(working: Any) -> list[tuple[int, slice]]:
    """The grouping factor of each term, and which columns of the factor's are its own."""
    starts, found = [0] * len(working.levels), []
    for term, home in zip(working.terms, working.homes, strict=True):
        found.append((home, slice(starts[home], starts[home] + term.q)))
        starts[home] += term.q
    return found


def rows_by_factor(working: Any, terms: Sequence[Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Z of each grouping factor, its terms side by side, and codes of its levels; `terms` may be those of new rows."""
    return [(np.hstack([terms[k].matrix for k in mine]), terms[mine[0]].codes) for mine in terms_by_factor(working)]


def mode_sensitivity(working: Any, factors: tuple[np.ndarray, ...], solution: Any) -> tuple[np.ndarray, ...]:
    """−∂b̂/∂β̂ = TZ'V⁻¹X in the original columns of X, shape (J, Q, p) for each factor."""
    parts = zip(working.by_factor(factors), _spherical(working, factors, solution), strict=True)
    return tuple(
        np.matmul(Lambda, part.sensitivity.transpose(2, 0, 1)) @ working.R * working.noise_scale
        for Lambda, part in parts
    )


def random_variance(
    working: Any, factors: tuple[np.ndarray, ...], solution: Any, rows: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """z'Var(b | y)z over σ² of rows (z, codes) of each factor, z of shape (n, Q); a code of −1 adds nothing."""
    spherical = [(z @ Lambda, codes) for (z, codes), Lambda in zip(rows, working.by_factor(factors), strict=True)]
    return working.products.exact.spherical_variance(working.own_factor(factors), solution, spherical)


def across_homes(fit: Any, homes: list[int]) -> np.ndarray:
    """Var(b | y) of a factor whose terms stand apart, for their levels' covariances differ, shape (J, Q, Q).

    Within each part it is known; across two, 2 Cov(a, b) = Var(a + b) − Var(a) − Var(b).
    """
    widths = [fit.mode_cov[h].shape[1] for h in homes]
    starts, J = np.cumsum([0, *widths]), len(fit.mode_cov[homes[0]])
    cov = np.zeros((J, starts[-1], starts[-1]))
    place = {h: slice(a, a + w) for h, a, w in zip(homes, starts, widths, strict=False)}
    for h in homes:
        cov[:, place[h], place[h]] = fit.mode_cov[h]
    empty = [(np.zeros((J, c.shape[1])), np.full(J, -1)) for c in fit.mode_cov]
    for one, other in combinations(homes, 2):
        for i in range(fit.mode_cov[one].shape[1]):
            for j in range(fit.mode_cov[other].shape[1]):
                rows = list(empty)
                for home, k in ((one, i), (other, j)):
                    z = np.zeros((J, fit.mode_cov[home].shape[1]))
                    z[:, k] = 1.0
                    rows[home] = (z, np.arange(J))
                both = fit.sigma**2 * random_variance(fit.working, fit.Lambda, fit.solution, rows)
                a, b = place[one].start + i, place[other].start + j
                cov[:, a, b] = cov[:, b, a] = 0.5 * (both - cov[:, a, a] - cov[:, b, b])
    return cov


def _spherical(working: Any, factors: tuple[np.ndarray, ...], solution: Any) -> tuple[Spherical, ...]:
    widths = [len(Lambda) for Lambda in working.by_factor(factors)]
    return working.products.exact.spherical(working.own_factor(factors), solution, widths)
