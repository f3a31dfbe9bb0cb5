"""Tangent cones: which ways lead from a smaller model's covariance into a larger model's set of them.

At T with null space N the positive semi-definite matrices allow every D with N'DN ⪰ 0: what joins N to the rest is
free, what stays within N is a cone of its own, and no orthant. A diagonal term allows D_ii ≥ 0 at each zero. A
structure whose T is not linear in its parameters has its own: one side of each parameter on a bound and, where its one
variance is zero, the rays R(ρ), whose union is not convex.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.covariance import covariance_basis
from lmmtools.core.structures import Correlated
from lmmtools.core.terms import Term

__all__ = ["Cone", "NoCone", "tangent_cone"]

# An eigenvalue of T this small beside the largest of the point is zero; columns have size one.
_ZERO = 1e-6
# How many correlations stand for all of a ray's.
_RAYS = 201


class NoCone(Exception):
    """The tangent cone of a structure is not one that can be projected on; the text says of which."""


@dataclass(frozen=True)
class Cone:
    """A tangent cone of one term: lines, rays, positive semi-definite blocks, and at most one union of rays.

    Attributes
    ----------
    lines : ndarray, shape (a, q, q)
        Directions that are free in both senses.
    rays : ndarray, shape (b, q, q)
        Directions that lead one way, each by itself.
    blocks : tuple of ndarray, shape (q, k)
        Bases N of null spaces of two dimensions or more: NMN' for every positive semi-definite M.
    union : ndarray, shape (c, q, q)
        Rays of which no two may be added.
    parameters : int
        How many parameters move in rays, blocks and union.
    complete : bool
        Whether `lines` are all there are, which of a user's structure is not known.
    """

    lines: np.ndarray
    rays: np.ndarray
    blocks: tuple[np.ndarray, ...] = ()
    union: np.ndarray | None = None
    parameters: int = 0
    complete: bool = True


def tangent_cone(term: Term, typical: np.ndarray, fitted: np.ndarray, size: float) -> Cone:
    """The tangent cone of a term's covariances at a smaller model's.

    Parameters
    ----------
    term : Term
        Of the larger model.
    typical : ndarray, shape (q, q)
        T inside the smaller model, which says what is zero in all of it; in working columns.
    fitted : ndarray, shape (q, q)
        T at its estimate, from which a structure with a correlation takes its directions.
    size : float
        The largest eigenvalue of the smaller model's typical T in any term.

    Raises
    ------
    NoCone
        If the structure is a user's own, or the cone is not convex in more than one correlation.
    """
    values, vectors = np.linalg.eigh(typical)
    N = vectors[:, values <= _ZERO * size]
    if _is_free(term):
        return _semidefinite(vectors[:, N.shape[1] :], N) if N.shape[1] else _all(covariance_basis("us", term.q))
    if term.structure == "diag":
        zero = np.diagonal(typical) <= _ZERO * size
        basis = covariance_basis("diag", term.q)
        return Cone(basis[~zero], basis[zero], parameters=int(zero.sum()))
    if term.structure == "homdiag" or term.q == 1:
        return _one(np.eye(term.q), N.shape[1] > 0)
    if not isinstance(term.form, Correlated):
        if not N.shape[1]:
            return Cone(*[np.zeros((0, term.q, term.q))] * 2, complete=False)
        raise NoCone(f"the covariances near the null hypothesis are not known for the structure `{term.structure}`")
    if term.structure == "homcs":
        common = np.full((term.q, term.q), 1.0 / term.q)
        return _joined([_one(E, bool(np.sum(E * typical) <= _ZERO * size)) for E in (common, np.eye(term.q) - common)])
    return _correlated(term.form, typical, fitted, _ZERO * size)


def _is_free(term: Term) -> bool:
    """Whether every positive semi-definite T is a covariance of the term."""
    if term.form is None:
        return term.structure == "us"
    own = isinstance(term.form, Correlated) and not term.form.common
    return own and (term.q == 1 or (term.q == 2 and term.form.lower[-1] == -1.0))


def _all(basis: np.ndarray) -> Cone:
    return Cone(basis, np.zeros((0, *basis.shape[1:])))


def _one(E: np.ndarray, zero: bool) -> Cone:
    none = np.zeros((0, *E.shape))
    return Cone(none, E[None], parameters=1) if zero else Cone(E[None], none)


def _joined(cones: list[Cone]) -> Cone:
    return Cone(
        np.concatenate([c.lines for c in cones]),
        np.concatenate([c.rays for c in cones]),
        parameters=sum(c.parameters for c in cones),
    )


def _semidefinite(R: np.ndarray, N: np.ndarray) -> Cone:
    """{D : N'DN ⪰ 0}, R a basis of the rest."""
    k = N.shape[1]
    free = [_symmetric(R[:, i], R[:, j]) for i in range(R.shape[1]) for j in range(i + 1)]
    free += [_symmetric(u, v) for u in R.T for v in N.T]
    lines = np.array(free).reshape(-1, len(N), len(N))
    if k == 1:
        return Cone(lines, (N @ N.T)[None], parameters=1)
    return Cone(lines, np.zeros((0, len(N), len(N))), (N,), parameters=k * (k + 1) // 2)


def _symmetric(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 * (np.outer(u, v) + np.outer(v, u))


def _correlated(form: Any, typical: np.ndarray, fitted: np.ndarray, zero: float) -> Cone:
    """`cs`, `ar1` and `hetar1` over several effects."""
    dead = np.diagonal(typical) <= zero
    if dead.all():
        if not form.common:
            raise NoCone(f"`{form.name}` with variances of its own, all zero, has a tangent cone that is not convex")
        rho = form.lower[-1] + np.linspace(0.0, 1.0, _RAYS) * (form.upper[-1] - form.lower[-1])
        rays = np.array([form.correlation(r)[0] for r in rho])
        return Cone(rays[:0], rays[:0], (), rays, parameters=form.n_theta)
    if (~dead).sum() < 2:
        raise NoCone(f"the correlation of `{form.name}` has no value where one effect alone varies")
    theta = _parameters(form, fitted)
    theta[: form.n_sd][dead[: form.n_sd]] = 0.0
    lines, rays = [], []
    for k, (way, dT) in enumerate(_ways(form, theta, _correlation(form, typical))):
        (rays if way else lines).append((way or 1.0) * dT)
        if not np.any(np.abs(dT) > 0.0):
            raise NoCone(f"the variance of effect {k + 1} of `{form.name}` has no direction without its correlation")
    empty = np.zeros((0, *typical.shape))
    return Cone(np.array(lines) if lines else empty, np.array(rays) if rays else empty, parameters=len(rays))


def _parameters(form: Any, T: np.ndarray) -> np.ndarray:
    """θ of a covariance of the structure, two of whose effects vary."""
    sd = np.sqrt(np.maximum(np.diagonal(T), 0.0))
    return np.append(sd[: form.n_sd], _correlation(form, T))


def _correlation(form: Any, T: np.ndarray) -> float:
    """ρ from the correlation of the effects that stand nearest and vary; snapped to its bounds, and to zero."""
    sd = np.sqrt(np.maximum(np.diagonal(T), 0.0))
    alive = np.outer(sd, sd) > _ZERO * np.max(sd) ** 2
    lag = np.where(alive & ~np.eye(len(T), dtype=bool), form.lag if form.autoregressive else 1, np.inf)
    i, j = np.unravel_index(int(np.argmin(lag)), lag.shape)
    value = T[i, j] / (sd[i] * sd[j])
    rho = np.sign(value) * abs(value) ** (1.0 / lag[i, j])
    for bound in (form.lower[-1], 0.0, form.upper[-1]):
        rho = bound if abs(rho - bound) <= _ZERO else rho
    return float(rho)


def _ways(form: Any, theta: np.ndarray, typical_rho: float) -> Iterator[tuple[float, np.ndarray]]:
    """For each parameter 0 where it is free, 1 where it can grow, −1 where it can fall, and dT along it.

    At ρ = 0 T moves with the power of ρ that the shortest lag is; for an even one it moves one way alone.
    """
    if typical_rho in (form.lower[-1], 0.0, form.upper[-1]):
        theta = np.append(theta[:-1], typical_rho)
    first, sd = form.first(theta), np.full(form.q, theta[0]) if form.common else theta[: form.q]
    for k in range(form.n_sd):
        yield float(theta[k] <= 0.0), first[k]
    if theta[-1] == 0.0 and form.autoregressive:
        shortest = form.lag[form.lag > 0].min()
        yield float(shortest % 2 == 0), np.outer(sd, sd) * (form.lag == shortest)
        return
    yield float(theta[-1] <= form.lower[-1]) - float(theta[-1] >= form.upper[-1]), first[-1]
