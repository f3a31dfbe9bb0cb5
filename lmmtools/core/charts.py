"""Local coordinates for Λ: smooth and without redundancy wherever the search or the certificate stands.

The lower triangle of Λ is a poor coordinate system where its first diagonal elements vanish: Λ = [[0, 0], [b, c]]
has T₂₂ = b² + c², so (b, c) may turn freely. Pivoting removes this: with its rows in the order of a pivoted
Cholesky factorisation, T of rank s has a lower trapezoidal factor with s positive pivots, largest first, and
qs − s(s − 1)/2 free elements that determine T one to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.covariance import combine, factor_basis, lower_factor, theta_of
from lmmtools.core.terms import Term, stack_maps
from lmmtools.core.working import Working

__all__ = ["ZERO", "Chart", "chart"]

# Relative sds below this, in working columns of unit size, are zero.
ZERO = 1e-6
# Where no pivot is smaller than this against the largest element, the plain lower triangle will do.
_SAFE_PIVOT = 0.2


@dataclass(frozen=True)
class Chart:
    """Coordinates around one point.

    Attributes
    ----------
    Lambda : ndarray, shape (r, w)
        A factor of T̃ in the working basis.
    F : ndarray, shape (m, r, w)
        dΛ̃ along each coordinate; Λ̃ is linear in them.
    owner : ndarray of int, shape (m,)
        Term of each coordinate.
    singular : bool
        Whether T of some term has a null space (only looked at where reduced).
    parts : tuple of (Term, L, E)
        Of each term, its factor (q, s) in working columns and its coordinate directions (m, q, s).
    """

    Lambda: np.ndarray
    F: np.ndarray
    owner: np.ndarray
    singular: bool
    parts: tuple[tuple[Term, np.ndarray, np.ndarray], ...]

    def theta(self, step: np.ndarray) -> np.ndarray:
        """Working parameters after a step in these coordinates."""
        moved = []
        for k, (term, L, E) in enumerate(self.parts):
            factor = L + combine(step[self.owner == k], E)
            moved.append(theta_of(term.structure, lower_factor(factor) if term.structure == "us" else factor))
        return np.concatenate(moved)


def chart(working: Working, theta: np.ndarray, *, reduced: bool = False) -> Chart:
    """Coordinates at working parameters θ̃.

    Parameters
    ----------
    working : Working
    theta : ndarray, shape (m,)
    reduced : bool
        Leave out the directions in which T has no extent, so that the coordinates are those of the set of
        covariances of the same rank; otherwise all m, those of a vanishing pivot included.
    """
    parts = [
        (term, *_coordinates(term, theta[part], reduced))
        for term, part in zip(working.terms, working.slices, strict=True)
    ]
    return Chart(
        Lambda=np.hstack([term.S @ L for term, L, _ in parts]),
        F=stack_maps([np.matmul(term.S, E) for term, _, E in parts]),
        owner=np.repeat(np.arange(len(parts)), [len(E) for _, _, E in parts]),
        singular=any(L.shape[1] < term.q for term, L, _ in parts),
        parts=tuple(parts),
    )


def _coordinates(term: Term, theta: np.ndarray, reduced: bool) -> tuple[np.ndarray, np.ndarray]:
    """Factor (q, s) of the term's T in working columns, and its coordinate directions (m, q, s)."""
    Lambda, q = term.working_factor(theta), term.q
    if term.structure != "us":
        E = factor_basis(term.structure, q)
        if not reduced:
            return Lambda, E
        keep = np.abs(np.diagonal(Lambda)) > ZERO
        alive = np.abs(theta) > ZERO
        return Lambda[:, keep], E[alive][:, :, keep]
    pivots = np.abs(np.diagonal(Lambda))
    if not reduced and pivots.min() > _SAFE_PIVOT * np.abs(Lambda).max():
        return Lambda, factor_basis("us", q)
    L, order = _pivoted_cholesky(Lambda @ Lambda.T, ZERO**2 if reduced else -1.0)
    s = L.shape[1]
    places = [(order[i], j) for j in range(s) for i in range(j, q)]
    E = np.zeros((len(places), q, s))
    for k, (i, j) in enumerate(places):
        E[k, i, j] = 1.0
    return L, E


def _pivoted_cholesky(T: np.ndarray, zero: float) -> tuple[np.ndarray, np.ndarray]:
    """L (q, s), T = LL', with L[order] lower trapezoidal; s counts the pivots above `zero`."""
    q = len(T)
    rest, order, L = T.copy(), np.arange(q), np.zeros((q, q))
    for j in range(q):
        k = j + int(np.argmax(np.diagonal(rest)[order[j:]]))
        order[[j, k]] = order[[k, j]]
        pivot = rest[order[j], order[j]]
        if pivot <= zero:
            return L[:, :j], order
        if pivot > 0.0:
            L[order[j:], j] = rest[order[j:], order[j]] / np.sqrt(pivot)
            rest = rest - np.outer(L[:, j], L[:, j])
    return L, order
