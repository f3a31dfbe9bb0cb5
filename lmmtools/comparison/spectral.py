"""Draws from the finite-sample null distribution of the likelihood ratio of one variance, by its spectral form.

Of y = Xβ + Zb + ε with Var(b) = λσ²I only the eigenvalues of Z'Z and of Z'P₀Z matter, P₀ the projection off X. With
them, (restricted) likelihood ratios of λ = 0 are distributed as (Crainiceanu & Ruppert 2004, eqs. 7 and 9)::

    RLRT   sup_λ {(n − p) log(Q/D(λ)) − Σ log(1 + λμ_s)}
    LRT    sup_λ {n log(Q/D(λ)) − Σ log(1 + λξ_s)} + n log(1 + Σ u²/Q)

with D(λ) = Σ w_s²/(1 + λμ_s) + χ²_{n − p − r}, Q = D(0), and as many u as fixed effects are tested besides. Equal
eigenvalues enter together, their w² as one χ².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Spectrum", "distinct", "draw_ratios", "largest_ratio", "reduced_eigenvalues"]

# Relative size of an eigenvalue that is zero, and of differences between those that are equal.
_ZERO, _EQUAL = 1e-10, 1e-9
# λ times the mean eigenvalue where the search begins and ends, and how many points it tries.
_LOW, _HIGH, _GRID = 1e-4, 1e6, 120
_NEWTON, _CLOSE = 12, 1e-5
# Numbers held at once.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Spectrum:
    """Distinct eigenvalues and how often each occurs.

    Attributes
    ----------
    values : ndarray, shape (k,)
    counts : ndarray of int, shape (k,)
    """

    values: np.ndarray
    counts: np.ndarray


def distinct(values: np.ndarray, counts: np.ndarray | None = None) -> Spectrum:
    """Eigenvalues, those that are equal once and zeros left out."""
    counts = np.ones(len(values), dtype=int) if counts is None else counts
    order = np.argsort(values)
    values, counts = values[order], counts[order]
    kept = values > _ZERO * values[-1]
    values, counts = values[kept], counts[kept]
    first = np.append(True, np.diff(values) > _EQUAL * values[-1])
    places = np.cumsum(first) - 1
    totals = np.bincount(places, counts).astype(int)
    return Spectrum(np.bincount(places, counts * values) / totals, totals)


def reduced_eigenvalues(squares: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of diag(squares) − CC', with counts: exact, and cheap where many of the squares are equal.

    Of m equal squares all but as many as C has columns are eigenvalues themselves; what is left is of the size of
    the number of distinct squares.
    """
    found, counts, kept, rows = [], [], [], []
    keys = np.round(squares / max(squares.max(), np.finfo(float).tiny), 12)
    _, first, group, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    for places, at in zip(np.split(order, np.cumsum(sizes)[:-1]), first, strict=True):
        part = C[places]
        if len(places) > C.shape[1]:
            found.append(squares[at])
            counts.append(len(places) - C.shape[1])
            part = np.linalg.qr(part, mode="r")
        kept += [squares[at]] * len(part)
        rows.append(part)
    small = np.vstack(rows)
    values = np.linalg.eigvalsh(np.diag(kept) - small @ small.T)
    return np.append(found, values), np.append(np.array(counts, dtype=int), np.ones(len(values), dtype=int))


def draw_ratios(
    mu: Spectrum, xi: Spectrum | None, *, n: int, p: int, tested: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws from the null distribution, shape (draws,).

    Parameters
    ----------
    mu : Spectrum
        Of Z'P₀Z.
    xi : Spectrum or None
        Of Z'Z, for the likelihood ratio; None for the restricted one.
    n, p : int
        Rows, and columns of X of the larger model.
    tested : int
        Fixed effects that the smaller model leaves out; none under REML.
    draws : int
    rng : numpy.random.Generator
    """
    parts, chunk = [], max(1, min(draws, _CHUNK // (len(mu.values) + _GRID)))
    for start in range(0, draws, chunk):
        m = min(chunk, draws - start)
        w = _squares(mu.counts, m, rng)
        rest = n - p - int(mu.counts.sum())
        left = rng.chisquare(rest, size=m) if rest > 0 else np.zeros(m)
        ratio = largest_ratio(w, left, mu, xi or mu, n - p if xi is None else n)
        if tested:
            ratio += n * np.log1p(rng.chisquare(tested, size=m) / (w.sum(axis=1) + left))
        parts.append(ratio)
    return np.concatenate(parts)


def _squares(counts: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """χ² draws with the given degrees of freedom, shape (m, k)."""
    if np.all(counts == 1):
        w = rng.standard_normal((m, len(counts)))
        return np.multiply(w, w, out=w)
    return rng.chisquare(counts, size=(m, len(counts)))


def largest_ratio(w: np.ndarray, left: np.ndarray, mu: Spectrum, xi: Spectrum, nu: int) -> np.ndarray:
    """sup over λ ≥ 0 of ν log(Q/D(λ)) − Σ log(1 + λξ_s) for each row of w, shape (m, k) → (m,)."""
    unit = 1.0 / (mu.counts @ mu.values / mu.counts.sum())
    grid = unit * np.append(0.0, np.geomspace(_LOW, _HIGH, _GRID))
    D = w @ (1.0 / (1.0 + np.outer(mu.values, grid))) + left[:, None]
    # 0 at λ = 0, whatever the draw
    values = nu * np.log(D[:, :1] / D) - xi.counts @ np.log1p(np.outer(xi.values, grid))
    best = values.argmax(axis=1)
    ratio = values[np.arange(len(w)), best]
    slope = nu * (w @ mu.values) / D[:, 0] - xi.counts @ xi.values
    rises = np.flatnonzero((best > 0) | (slope > 0.0))
    at = _stationary(w[rises], left[rises], mu, xi, nu, _between(grid, values[rises], best[rises]))
    shrink = 1.0 / (1.0 + at[:, None] * mu.values)
    kept = np.einsum("ij,ij->i", w[rises], shrink) + left[rises]
    refined = nu * np.log(D[rises, 0] / kept) - np.log1p(at[:, None] * xi.values) @ xi.counts
    ratio[rises] = np.maximum(refined, np.maximum(ratio[rises], np.finfo(float).tiny))
    return ratio


def _between(grid: np.ndarray, values: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, ...]:
    """The grid points on either side of the best one, and where a parabola through the three in log λ is highest."""
    rows, inside = np.arange(len(best)), np.clip(best, 2, _GRID - 1)
    down, up = (values[rows, inside] - values[rows, inside + side] for side in (-1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.clip(np.nan_to_num(0.5 * (down - up) / (down + up)), -0.9, 0.9)
    ratio = grid[2] / grid[1]
    start = np.where(best == inside, grid[inside] * ratio**shift, np.maximum(grid[best], 0.5 * grid[1]))
    return grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID)], start


def _stationary(
    w: np.ndarray, left: np.ndarray, mu: Spectrum, xi: Spectrum, nu: int, where: tuple[np.ndarray, ...]
) -> np.ndarray:
    """λ between two grid points where the ratio is stationary, by Newton's steps kept between them."""
    low, high, at = where
    out, live = at.copy(), np.arange(len(at))
    for _ in range(_NEWTON):
        f = at[:, None] * mu.values
        np.reciprocal(np.add(f, 1.0, out=f), out=f)
        h = f if xi is mu else 1.0 / (1.0 + at[:, None] * xi.values)
        wf = w * f
        D = wf.sum(axis=1) + left
        wf *= f
        first = wf @ mu.values
        wf *= f
        second = 2.0 * wf @ mu.values**2
        slope = nu * first / D - h @ (xi.counts * xi.values)
        h *= h
        bend = nu * ((first / D) ** 2 - second / D) + h @ (xi.counts * xi.values**2)
        low, high = np.where(slope > 0.0, at, low), np.where(slope > 0.0, high, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = at - slope / bend
        new = np.where((step > low) & (step < high) & (bend < 0.0), step, 0.5 * (low + high))
        out[live] = new
        more = np.abs(new - at) > _CLOSE * new  # the ratio is flat there: its own error is of the square of this
        if not more.any():
            break
        low, high, at, live, w, left = (one[more] for one in (low, high, new, live, w, left))
    return out
