"""Residual structures whose parameters no data of a design can tell apart, or from the random effects: refused.

V moves along R_k for each parameter of φ, along ZDZ' for each direction of T, and along V itself for σ². At a generic
point these are written out for clusters of few rows; where one is a combination of the others, so is the likelihood
constant along a line through every point (compound symmetry and a random intercept are the same model).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.identify import eliminated
from lmmtools.core.residual import noise_of
from lmmtools.errors import ModelError
from lmmtools.formats import listed, quoted

__all__ = ["refuse_confounded_residual"]

# Clusters of more rows than the first are not written out, nor more rows in all than the second: nothing is said then.
_MOST_ROWS, _MOST_IN_ALL = 300, 20_000
# Correlations with the same few parameters for every pair of rows.
_ONE_FOR_ALL = ("ar1", "car1", "arma", "cs", "exp", "gaus", "spher", "ratio")
# Clusters that are looked at before asking whether they tell everything apart.
_AT_ONCE = 8
# Relative eigenvalue below which directions are dependent: those of R are smooth functions, not rounding.
_DEPENDENT = 1e-10


def refuse_confounded_residual(criterion: Criterion) -> None:
    """Refuse a residual structure that says what the random effects, or its own parts, say already.

    Raises
    ------
    ModelError
        Naming the parameters.
    """
    w = criterion.working
    residual = criterion.design.residual
    if w.residual is None or not w.residual.n_theta:
        return
    _refuse_unmoved(criterion)
    c = residual.correlation
    if not w.terms and len(residual.variances) < 2 and (c is None or (c.kind in _ONE_FOR_ALL and not c.by)):
        return  # variances tell s, and the correlation C
    names, gram = _names(criterion), None
    for more in _grams(criterion):
        gram = more if gram is None else gram + more
        if not _null_space(gram).size:
            return
    if gram is None or _too_large(criterion):
        return
    scale = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    still = scale <= 1e-12 * max(float(scale.max()), 1e-300)
    still[: len(still) - 1 - w.residual.n_theta] = False  # a random effect without effect is the certificate's matter
    if still.any():
        raise ModelError(
            f"{listed([names[k] for k in np.flatnonzero(still)])} cannot be estimated: the covariance of these "
            "rows does not depend on it (no two rows of a group, or no rows of a level, are there that it would "
            "describe). Use a structure with fewer parameters, or check groups and positions."
        )
    direction = np.abs(eliminated(_null_space(gram).T)[0])
    moved = list(dict.fromkeys(names[k] for k in np.flatnonzero(direction > 1e-5 * direction.max())))
    if not any(name in names[len(names) - 1 - w.residual.n_theta : -1] for name in moved):
        return  # among the random effects alone: told by the certificate
    raise ModelError(_told(criterion, moved))


def _refuse_unmoved(criterion: Criterion) -> None:
    """Refuse a variance function's parameter that no row has: a level without rows, as a resampled design may leave."""
    noise, form = criterion.working.products.noise, criterion.working.residual.form
    slopes = noise.sds.at(form.natural(form.generic())[noise.law.m :]).slopes
    names = criterion.design.residual.names[noise.law.m :]
    if none := [name for name, slope in zip(names, slopes, strict=True) if not np.any(slope)]:
        raise ModelError(
            f"`{listed(none)}` cannot be estimated: no row has the level that it describes. Merge levels, or leave the "
            "variance function out."
        )
    # a scale of all rows alike, as that of a variance function whose base level has no row, is σ's
    if len(slopes) and _spans_constant(np.atleast_2d(slopes)):
        raise ModelError(
            f"{quoted(names)} and the residual variance cannot be told apart by these rows: none has the level, or the "
            "value, that they are relative to. Merge levels, or leave the variance function out."
        )


def _spans_constant(slopes: np.ndarray) -> bool:
    """Whether a combination of slopes of log s, shape (m, n), is the same in all rows."""
    ones = np.ones(slopes.shape[1])
    left = ones - slopes.T @ np.linalg.lstsq(slopes.T, ones, rcond=None)[0]
    return bool(np.abs(left).max() <= _DEPENDENT)


def _told(criterion: Criterion, moved: list[str]) -> str:
    text = criterion.design.residual.text
    terms = [t.label for t in criterion.design.terms if any(t.label in name for name in moved)]
    between = f"the random effects {listed(terms)} and the residual structure `{text}`" if terms else f"`{text}`"
    advice = (
        "Leave out one of the two: they describe the same covariance."
        if terms
        else "Leave out one of its parts, or use a structure with fewer parameters."
    )
    return (
        f"{between}: {listed(moved)} cannot be told apart by any data of this design, for a change of one is made up "
        f"by the others and the covariance stays what it is. {advice}"
    )


def _names(criterion: Criterion) -> list[str]:
    """What moves V, in words: a direction of each term, φ, σ²."""
    w, names = criterion.working, []
    for spec, term in zip(criterion.design.terms, w.terms, strict=True):
        names += [f"the (co)variances of {spec.label}"] * len(term.directions)
    return [*names, *(f"`{name}`" for name in criterion.design.residual.names), "the residual variance"]


def _null_space(gram: np.ndarray) -> np.ndarray:
    """Directions of unit scale along which V does not move, as columns."""
    scale = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    return vectors[:, values <= _DEPENDENT * values[-1]]


def _too_large(criterion: Criterion) -> bool:
    """Whether not all clusters could be looked at."""
    stacks = criterion.working.products.rows.stacks
    large = any(rows > _MOST_ROWS for rows, _ in _sizes(criterion, stacks))
    return large or criterion.working.products.n > _MOST_IN_ALL


def _sizes(criterion: Criterion, stacks: Any) -> list[tuple[int, int]]:
    """Rows of the clusters of each kind, and how many there are."""
    if criterion.working.products.rows.Z.shape[1]:
        return [(stack.n, stack.J) for stack in stacks]
    correlation = criterion.design.residual.correlation
    if correlation is None:
        return []
    sizes = np.bincount(correlation.codes)
    return [(int(n), int(np.sum(sizes == n))) for n in np.unique(sizes[sizes > 0])]


def _grams(criterion: Criterion) -> Iterator[np.ndarray]:
    """Inner products tr(R⁻¹V_kR⁻¹V_l) at a generic φ, a handful of clusters at a time."""
    w = criterion.working
    D = [t.S @ t.directions @ t.S.T for t in w.terms]
    R = w.products.columns
    D = np.concatenate(D)[:, :R, :R] if D else np.zeros((0, 0, 0))
    size = len(D) + w.residual.n_theta + 1
    phi = w.residual.form.natural(w.residual.form.generic())
    clusters, looked_at = iter(_clusters(criterion)), 0
    while some := list(islice(clusters, _AT_ONCE)):
        rows = np.concatenate([mine for mine, _, _ in some])
        looked_at += len(rows)
        if looked_at > _MOST_IN_ALL:
            return
        noise = noise_of(criterion.design.residual.of_rows(w.products.rows.order[rows]), np.arange(len(rows))).at(phi)
        gram, at = np.zeros((size, size)), 0
        for mine, Z, effects in some:
            here = np.arange(at, at + len(mine))
            at += len(mine)
            if len(mine) > _MOST_ROWS:
                continue
            own, slopes = _written(noise, here, len(rows))
            moves = [*(Z @ effects(one) @ Z.T for one in D), *slopes, own]
            inverse = np.linalg.inv(own)
            turned = np.array([(inverse @ move).ravel() for move in moves])
            across = np.array([(inverse @ move).T.ravel() for move in moves])
            gram += turned @ across.T
        yield gram


def _clusters(criterion: Criterion) -> Iterator[tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Rows of each cluster in the products' order, its Z, and what spreads T over its effects."""
    products = criterion.working.products
    if products.rows.Z.shape[1]:
        for stack in products.rows.stacks:
            spread = partial(products.spread, stack, widths=products.rows.widths)
            for j in range(stack.J):
                start = stack.rows.start + j * stack.n
                rows = np.arange(start, start + stack.n)
                yield rows, products.rows.Z[rows, : stack.r], spread
        return
    correlation = criterion.design.residual.correlation
    if correlation is None:
        edges = np.unique(np.append(np.arange(0, products.n, _MOST_ROWS), products.n))
    else:
        codes = correlation.codes[products.rows.order]
        edges = np.append(np.flatnonzero(np.append(True, np.diff(codes) != 0)), len(codes))
    for a, b in pairwise(edges):
        yield np.arange(a, b), np.zeros((b - a, 0)), lambda one: np.zeros((0, 0))


def _written(noise: Any, rows: np.ndarray, n: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """R of a cluster and its slopes: ∂R = −R(∂R⁻¹)R, for R⁻¹ is what is at hand."""
    basis = np.zeros((n, len(rows)))
    basis[rows, np.arange(len(rows))] = 1.0
    G = noise.scaled(basis)
    U = noise.inverse(G)
    s = noise.s[rows][:, None]
    R = np.linalg.inv(U[rows] / s)
    R = 0.5 * (R + R.T)
    return R, [-R @ (noise.first(k, G, U)[rows] / s) @ R for k in range(len(noise.slope))]
