"""The null distribution of a likelihood ratio whose smaller model lies on the boundary of the larger.

With the larger model's set of covariances seen as its tangent cone at the smaller's estimate, the ratio is distributed
as the squared length of the projection of a normal vector on what the smaller does not move in (Chernoff 1954, Ann.
Math. Stat. 25; Self & Liang 1987, JASA 82): free directions give a χ² each, the rest a χ̄². The metric is the efficient
information of the cone's directions: that of Σ = σ²V for one another, ½tr(V⁻¹dV₁V⁻¹dV₂), less what σ² and the free
directions explain of it; fixed effects are orthogonal to all of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.comparison.cones import Cone, NoCone, tangent_cone
from lmmtools.comparison.mixture import Mixture, Shares, mixture_of, shares_of
from lmmtools.core.algorithms.points import log_det_alone
from lmmtools.core.covariance import cholesky_psd
from lmmtools.errors import ModelError
from lmmtools.nesting import Embedding, dimension
from lmmtools.projection.blocks import blocks

__all__ = ["efficient_information", "null_distribution", "tangent_cones"]

# Relative size of an eigenvalue of the information that is none.
_NONE = 1e-10


@dataclass(frozen=True)
class _Directions:
    """Directions of T over the larger's working columns, R of them, by what they are."""

    lines: np.ndarray
    rays: np.ndarray
    blocks: tuple[np.ndarray, ...]
    union: np.ndarray | None


def tangent_cones(found: Embedding) -> list[Cone]:
    """The tangent cone of each of the larger's terms.

    Raises
    ------
    NoCone
        If that of some term is not known.
    """
    size = max((float(np.linalg.eigvalsh(T)[-1]) for T in found.typical), default=0.0)
    parts = zip(found.terms, found.typical, found.fitted, strict=True)
    return [tangent_cone(term, typical, fitted, size) for term, typical, fitted in parts]


def null_distribution(
    found: Embedding, cones: list[Cone], large: Any, *, shift: int, draws: int, rng: np.random.Generator
) -> Mixture | Shares:
    """The distribution of the likelihood ratio where cones and free directions are tested.

    Parameters
    ----------
    found : Embedding
    cones : list of Cone
    large : LMMFit
    shift : int
        How many free directions, fixed effects included, are tested.
    draws : int
    rng : numpy.random.Generator

    Raises
    ------
    NoCone
        If the design does not tell the cone's directions apart, or a cone that is not convex is tested with others.
    """
    rays, blocks = sum(len(c.rays) for c in cones), [N for c in cones for N in c.blocks]
    unions = sum(c.union is not None for c in cones)
    if unions and (rays or blocks or unions > 1):
        raise NoCone("variances are tested together with a correlation that has no value where they are zero")
    if rays == 1 and not blocks:  # whatever its length, a ray is half a line
        return mixture_of(np.eye(1), 1, (), shift=shift, draws=draws, rng=rng)
    if not all(cone.complete for cone in cones):
        raise NoCone("how the other covariances move is not known for a structure of the user's own")
    ways = _over_working(found, cones, large)
    if ways.union is not None:
        J = _efficient(ways.union, ways.lines, found, large)
        values, vectors = np.linalg.eigh(J)
        kept = values > _NONE * values[-1]
        return shares_of(vectors[:, kept] * np.sqrt(values[kept]), shift=shift, draws=draws, rng=rng)
    blocks = tuple(_even(B, ways.lines, found, large) for B in ways.blocks)
    pointed = np.concatenate([ways.rays, *(_coordinates(B) for B in blocks)])
    J = _efficient(pointed, ways.lines, found, large)
    size = np.sqrt(np.diagonal(J))
    if size.min() <= 0.0 or np.linalg.eigvalsh(J / np.outer(size, size))[0] <= 1e-8:
        raise NoCone("the data cannot tell the tested variances apart where they are zero")
    size[len(ways.rays) :] = 1.0  # a block keeps its shape
    return mixture_of(
        J / np.outer(size, size), len(ways.rays), tuple(B.shape[1] for B in blocks), shift=shift, draws=draws, rng=rng
    )


def _over_working(found: Embedding, cones: list[Cone], large: Any) -> _Directions:
    lines, rays, blocks, union = [], [], [], None
    for k, (cone, term) in enumerate(zip(cones, large.working.terms, strict=True)):
        K = term.K @ found.back(k)
        lines.append(K @ cone.lines @ K.T)
        rays.append(K @ cone.rays @ K.T)
        blocks += [K @ N for N in cone.blocks]
        union = union if cone.union is None else K @ cone.union @ K.T
    return _Directions(np.concatenate(lines), np.concatenate(rays), tuple(blocks), union)


def _even(B: np.ndarray, lines: np.ndarray, found: Embedding, large: Any) -> np.ndarray:
    """A block's columns in units in which each variance has information one."""
    own = np.einsum("ai,bi->iab", B, B)
    J = np.diagonal(_efficient(own, lines, found, large))
    if J.min() <= 0.0:
        raise NoCone("the data cannot tell the tested variances apart where they are zero")
    return B / J**0.25


def _coordinates(B: np.ndarray) -> np.ndarray:
    """BMB' along M's lower triangle, off-diagonal elements of length one."""
    made = []
    for i in range(B.shape[1]):
        for j in range(i + 1):
            half = np.outer(B[:, i], B[:, j])
            made.append(half if i == j else (half + half.T) / np.sqrt(2.0))
    return np.array(made)


def _efficient(directions: np.ndarray, lines: np.ndarray, found: Embedding, large: Any) -> np.ndarray:
    at = tuple(cholesky_psd(found.own(k, T)) for k, T in enumerate(found.fitted))
    return efficient_information(large, at, directions, lines)


def efficient_information(
    fit: Any, factors: tuple[np.ndarray, ...], directions: np.ndarray, nuisance: np.ndarray
) -> np.ndarray:
    """Expected information along some directions of T, what σ² and others explain of it taken off.

    Parameters
    ----------
    fit : LMMFit
        Of the model whose directions these are.
    factors : tuple of ndarray, shape (q, q)
        Λ of each term at the point.
    directions, nuisance : ndarray, shape (m, R, R), (k, R, R)
        Over the working columns of the fit. Parameters of its residual structure are nuisances besides.

    Returns
    -------
    ndarray, shape (m, m)
    """
    both, m = np.concatenate([directions, nuisance]), len(directions)
    information = _written_out(fit, factors, both) if len(fit.phi) else _of_products(fit, factors, both)
    if m == len(information):
        return information
    size = np.sqrt(np.maximum(np.diagonal(information)[m:], 0.0))
    size[size == 0.0] = 1.0
    other = information[m:, m:] / np.outer(size, size)
    across = information[:m, m:] / size
    return information[:m, :m] - across @ np.linalg.pinv(other, rcond=_NONE, hermitian=True) @ across.T


def _of_products(fit: Any, factors: tuple[np.ndarray, ...], both: np.ndarray) -> np.ndarray:
    """½tr(V⁻¹dV_iV⁻¹dV_j) less σ²'s part, from the derivatives of log|V|, in which V is linear."""
    products = fit.working.products.exact
    solution = products.solve(fit.working.own_factor(factors, fit.phi), reml=False)
    d = products.derivatives(log_det_alone(solution))
    trace = np.einsum("kab,ab->k", both, d.gradient)
    return 0.5 * (-d.hessian(both) - np.outer(trace, trace) / products.n)


def _written_out(fit: Any, factors: tuple[np.ndarray, ...], both: np.ndarray) -> np.ndarray:
    """The same with the residuals' parameters, at the fit's φ, after the directions; from V cluster by cluster."""
    try:
        found = blocks(fit, "the mixture's weights", "bootstrap_lrt")
    except ModelError as error:
        raise NoCone("the rows that hang together are too many") from error
    found = replace(found, Lambda=fit.working.own_factor(factors, fit.phi))
    k, R = len(both) + len(fit.phi), found.products.columns
    gram, trace = np.zeros((k, k)), np.zeros(k)
    for block in found:
        K = found.whitening(block)
        KZ = K @ block.Z
        B = [KZ @ found.spread(block.stack, D[:R, :R]) @ KZ.transpose(0, 2, 1) for D in both]
        B = np.array([*B, *(K @ M @ K.transpose(0, 2, 1) for M in block.M)])
        flat = B.reshape(k, -1)
        gram += flat @ flat.T
        trace += np.einsum("kjaa->k", B)
    return 0.5 * (gram - np.outer(trace, trace) / fit.nobs)


def shift_of(small_dimension: tuple[int, int], large: Any, cones: list[Cone]) -> int:
    """How many free directions a test has: all by which the larger goes further, less those of the cones."""
    means, covariances = dimension(large)
    pointed = sum(cone.parameters for cone in cones)
    return means - small_dimension[0] + covariances - small_dimension[1] - pointed
