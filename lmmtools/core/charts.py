"""Local coordinates for Λ: smooth and without redundancy wherever the search or the certificate stands.

The lower triangle of Λ is a poor coordinate system where its first diagonal elements vanish: Λ = [[0, 0], [b, c]]
has T₂₂ = b² + c², so (b, c) may turn freely. Pivoting removes this: with its rows in the order of a pivoted
Cholesky factorisation, T of rank s has a lower trapezoidal factor with s positive pivots, largest first, and
qs − s(s − 1)/2 free elements that determine T one to one.

A structure whose T is not linear in θ (`structures/`) has its own θ for coordinates, within its bounds, and enters by
dT and d²T: these stay finite where T becomes singular, and dΛ does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from lmmtools.core.covariance import combine, factor_basis, lower_factor, theta_of
from lmmtools.core.solution import TDerivatives, theta_gradient, theta_hessian
from lmmtools.core.structures import Form
from lmmtools.core.terms import Term, stack_maps
from lmmtools.core.working import Working

__all__ = ["ZERO", "Chart", "Curved", "chart", "own_chart"]

# Relative sds below this, in working columns of unit size, are zero.
ZERO = 1e-6
# Where no pivot is smaller than this against the largest element, the plain lower triangle will do.
_SAFE_PIVOT = 0.2


@dataclass(frozen=True)
class Curved:
    """Coordinates of one term whose T is not linear in θ.

    Attributes
    ----------
    form : Form
    theta : ndarray, shape (m,)
    free : ndarray of int
        Which parameters are coordinates.
    at : ndarray of int
        Where these stand among all coordinates.
    columns : ndarray, shape (R, q)
        The columns that T stands over.
    """

    form: Form
    theta: np.ndarray
    free: np.ndarray
    at: np.ndarray
    columns: np.ndarray

    def first(self) -> np.ndarray:
        """dT along each coordinate, in the working basis, shape (m, R, R)."""
        return self.columns @ self.form.first(self.theta)[self.free] @ self.columns.T

    def bend(self, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ for G of shape (R, R)."""
        return self.form.bend(self.theta, self.columns.T @ G @ self.columns)[np.ix_(self.free, self.free)]

    def moved(self, step: np.ndarray) -> np.ndarray:
        """θ after a step, within the bounds."""
        theta = self.theta.copy()
        theta[self.free] += step[self.at]
        return np.clip(theta, self.form.lower, self.form.upper)


@dataclass(frozen=True)
class Chart:
    """Coordinates around one point.

    Attributes
    ----------
    Lambda : ndarray, shape (R, W)
        A factor of T̃ in the working basis.
    F : ndarray, shape (m, R, W)
        dΛ̃ along each coordinate in which Λ̃ is linear; zero for the others.
    ends : list of int
        Where each term's coordinates start, and the number m of all.
    singular : bool
        Whether T of some term has a null space (only looked at where reduced).
    held : tuple of (int, int)
        Term and place of each parameter that is on a bound (only looked at where reduced).
    plain : bool
        Whether the coordinates are the working parameters themselves.
    parts : tuple
        Of each term, how a step moves its parameters.
    linear : tuple of (_Part, slice)
        The terms whose Λ is linear in their coordinates, and which coordinates these are.
    curved : tuple of Curved
        The terms whose T is not linear in their parameters.
    """

    Lambda: np.ndarray
    F: np.ndarray
    ends: list[int]
    singular: bool
    held: tuple[tuple[int, int], ...]
    plain: bool
    parts: tuple[Callable[[np.ndarray], np.ndarray], ...]
    linear: tuple[tuple[_Part, slice], ...]
    curved: tuple[Curved, ...]

    def theta(self, step: np.ndarray) -> np.ndarray:
        """Working parameters after a step in these coordinates."""
        return np.concatenate([moved(step) for moved in self.parts])

    @property
    def owner(self) -> np.ndarray:
        """Term of each coordinate, shape (m,)."""
        return np.repeat(np.arange(len(self.parts)), np.diff(self.ends))

    @cached_property
    def sizes(self) -> np.ndarray:
        """Unit of each coordinate, shape (m,): its effect's relative standard deviation where that exceeds one.

        Criterion and curvature change by powers of these units, so that without them an effect that varies a
        thousandfold more than the residuals looks flat.
        """
        size = np.ones(len(self.F))
        if self.Lambda.size and np.abs(self.Lambda).max() > 1.0:
            rows = np.sqrt((self.Lambda**2).sum(axis=1))
            size = np.maximum(size, (np.any(self.F != 0.0, axis=2) * rows).max(axis=1, initial=0.0))
        for part in self.curved:
            size[part.at] = np.maximum(1.0, np.abs(part.theta[part.free]))
        return size

    @cached_property
    def values(self) -> np.ndarray:
        """The coordinates of this point, Λ̃ = Σ value_k F_k, shape (m,); NaN where Λ̃ is not linear in them."""
        values = np.full(self.ends[-1], np.nan)
        for part, at in self.linear:
            values[at] = (part.E * part.L).sum(axis=(1, 2)) / np.count_nonzero(part.E, axis=(1, 2))
        return values

    @cached_property
    def vanishing(self) -> np.ndarray:
        """Coordinates that can go to zero together, T moving along a line to its boundary, as masks (k, m).

        Of a free factor these are those of its last column; elsewhere each can vanish alone.
        """
        found = [(row, at) for part, at in self.linear for row in part.vanishing()]
        masks = np.zeros((len(found), self.ends[-1]), dtype=bool)
        for mask, (row, at) in zip(masks, found, strict=True):
            mask[at] = row
        return masks

    def held_at_zero(self, d: TDerivatives) -> bool:
        """Whether the criterion rises with the square of every coordinate that is zero."""
        F = self.F[np.abs(self.values) <= ZERO]
        return bool(np.all(np.sum(np.matmul(d.gradient, F) * F, axis=(1, 2)) >= 0.0))

    @cached_property
    def directions(self) -> np.ndarray:
        """dT̃ along each coordinate, shape (m, R, R)."""
        if self.linear:
            FL = np.matmul(self.F, self.Lambda.T)
            dT = FL + FL.transpose(0, 2, 1)
        else:
            dT = np.zeros((self.ends[-1], len(self.Lambda), len(self.Lambda)))
        for part in self.curved:
            dT[part.at] = part.first()
        return dT

    def gradient(self, d: TDerivatives) -> np.ndarray:
        """The criterion's gradient, shape (m,)."""
        gradient = theta_gradient(d, self.Lambda, self.F) if self.linear else np.zeros(self.ends[-1])
        for part in self.curved:
            gradient[part.at] = np.tensordot(self.directions[part.at], d.gradient)
        return gradient

    def hessian(self, d: TDerivatives, *, steering: bool = False) -> np.ndarray:
        """Its Hessian, shape (m, m), or what steers in its place."""
        if not self.curved:
            return theta_hessian(d, self.Lambda, self.F, steering=steering)
        bend = np.zeros((self.ends[-1], self.ends[-1]))
        if self.linear:
            flat = self.F.reshape(len(self.F), self.Lambda.size)
            bend += 2.0 * np.matmul(d.gradient, self.F).reshape(flat.shape) @ flat.T
        for part in self.curved:
            bend[np.ix_(part.at, part.at)] = part.bend(d.gradient)
        return (d.steering if steering else d.hessian)(self.directions) + 0.5 * (bend + bend.T)

    def box(self) -> tuple[np.ndarray, np.ndarray] | None:
        """How far each coordinate may step down and up, each (m,); None where no bounds are near or far."""
        if not self.curved:
            return None
        lower, upper = np.full(self.ends[-1], -np.inf), np.full(self.ends[-1], np.inf)
        for part in self.curved:
            lower[part.at] = (part.form.lower - part.theta)[part.free]
            upper[part.at] = (part.form.upper - part.theta)[part.free]
        return lower, upper


def chart(working: Working, theta: np.ndarray, *, reduced: bool = False) -> Chart:
    """Coordinates at working parameters θ̃.

    Parameters
    ----------
    working : Working
    theta : ndarray, shape (m,)
    reduced : bool
        Leave out the directions in which T has no extent, so that the coordinates are those of the set of
        covariances of the same rank, and parameters on their bounds; otherwise all m, those of a vanishing pivot
        included.
    """
    parts = [
        _linear(term, theta[part], reduced) if term.form is None else _curved(term.form, term.S, theta[part], reduced)
        for term, part in zip(working.parts, working.places, strict=True)
    ]
    return _assemble([term.S for term in working.parts], parts)


def own_chart(working: Working, theta: np.ndarray) -> Chart:
    """Coordinates at θ of the terms' own columns: θ itself."""
    parts = []
    for term, part in zip(working.parts, working.places, strict=True):
        if term.form is None:
            E = factor_basis(term.structure, term.q)
            parts.append(_Part(combine(theta[part], E), E, False, True, None))
        else:
            parts.append(_curved(term.own_form, term.K, theta[part], False))
    return _assemble([term.K for term in working.parts], parts)


@dataclass(frozen=True)
class _Part:
    """One term's factor (q, s), its directions (m, q, s), and what else a chart says of it."""

    L: np.ndarray
    E: np.ndarray
    singular: bool
    plain: bool
    structure: str | None
    form: Form | None = None
    theta: np.ndarray | None = None
    free: np.ndarray | None = None
    held: Sequence[int] = ()

    def vanishing(self) -> np.ndarray:
        """Which coordinates can go to zero together and have not yet, as masks (k, m)."""
        if self.structure != "us":
            mask = np.diag(np.abs(self.E * self.L).max(axis=(1, 2)) > ZERO)
            return mask[mask.any(axis=1)]
        extent = np.flatnonzero(np.abs(self.L).max(axis=0) > ZERO)
        column = self.E.any(axis=1).argmax(axis=1)
        return column == extent[-1:, None]


def _assemble(columns: list[np.ndarray], parts: list[_Part]) -> Chart:
    ends = list(accumulate((len(part.E) for part in parts), initial=0))
    moves, linear, curved = [], [], []
    for S, part, (start, stop) in zip(columns, parts, pairwise(ends), strict=True):
        if part.form is None:
            moves.append(_linear_move(part, slice(start, stop)))
            linear.append((part, slice(start, stop)))
        else:
            curved.append(Curved(part.form, part.theta, part.free, np.arange(start, stop), S))
            moves.append(curved[-1].moved)
    factors = [S @ part.L for S, part in zip(columns, parts, strict=True)]
    maps = [np.matmul(S, part.E) for S, part in zip(columns, parts, strict=True)]
    return Chart(
        Lambda=factors[0] if len(parts) == 1 else np.hstack(factors) if parts else np.zeros((0, 0)),
        F=maps[0] if len(parts) == 1 else stack_maps(maps) if parts else np.zeros((0, 0, 0)),
        ends=ends,
        singular=any(part.singular for part in parts),
        held=tuple((k, int(i)) for k, part in enumerate(parts) for i in part.held),
        plain=all(part.plain for part in parts),
        parts=tuple(moves),
        linear=tuple(linear),
        curved=tuple(curved),
    )


def _linear_move(part: _Part, at: slice) -> Callable[[np.ndarray], np.ndarray]:
    def moved(step: np.ndarray) -> np.ndarray:
        factor = part.L + combine(step[at], part.E) if len(part.E) else part.L
        if part.structure != "us":
            return theta_of(part.structure, np.diag(factor.sum(axis=1)))  # columns of zeros may be left out
        q, s = factor.shape
        whole = np.zeros((q, q))
        if s:
            whole[:, : min(q, s)] = lower_factor(factor)
        return theta_of(part.structure, whole)

    return moved


def _curved(form: Form, columns: np.ndarray, theta: np.ndarray, reduced: bool) -> _Part:
    """A structure's own θ as coordinates; where reduced, those parameters that are free and move T."""
    q, free = columns.shape[1], np.arange(form.n_theta)
    held, singular = (), False
    if reduced:
        on_bound = form.on_bound(theta) != 0
        free = free[~(on_bound | form.inert(theta))]
        held, singular = np.flatnonzero(on_bound), form.singular(theta)
    return _Part(form.factor(theta), np.zeros((len(free), q, q)), singular, True, None, form, theta, free, held)


def _linear(term: Term, theta: np.ndarray, reduced: bool) -> _Part:
    """Factor (q, s) of the term's T in working columns, and its coordinate directions (m, q, s)."""
    Lambda, q, structure = term.working_factor(theta), term.q, term.structure
    if structure != "us":
        E = factor_basis(structure, q)
        if not reduced:
            return _Part(Lambda, E, False, True, structure)
        keep = np.abs(np.diagonal(Lambda)) > ZERO
        alive = np.abs(theta) > ZERO
        return _Part(Lambda[:, keep], E[alive][:, :, keep], not keep.all(), False, structure)
    pivots = np.abs(np.diagonal(Lambda))
    if not reduced and pivots.min() > _SAFE_PIVOT * np.abs(Lambda).max():
        return _Part(Lambda, factor_basis("us", q), False, True, structure)
    L, order = _pivoted_cholesky(Lambda @ Lambda.T, ZERO**2 if reduced else -np.inf)
    s = L.shape[1]
    places = [(order[i], j) for j in range(s) for i in range(j, q)]
    E = np.zeros((len(places), q, s))
    for k, (i, j) in enumerate(places):
        E[k, i, j] = 1.0
    return _Part(L, E, s < q, False, structure)


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
