"""χ̄² distributions: the squared length of a normal vector's projection on a cone (Shapiro 1988, Int. Stat. Rev. 56).

For Z ~ N(0, J⁻¹) and a convex cone C the squared length, measured by J, of the projection on C is a mixture of χ²_j
over j = 0 … d, with the cone's weights. A cone of one ray has ½ and ½; those of others are simulated. Of a polyhedral
cone they are how often the projection lies in a face of j dimensions. Where the cone has positive semi-definite blocks,
the share that a projection keeps of Z's squared length has the distribution Beta(j/2, (d − j)/2) with weight j, and the
weights are those that fit the shares found; the even ones sum to ½, and so do the odd (Gauss and Bonnet).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

__all__ = ["Mixture", "Shares", "mixture_of", "shares_of", "squared_lengths"]

# The draws are parted into so many, whose spread is the Monte-Carlo error.
_BATCHES = 20
# Up to so many rays every face is tried.
_FACES = 6
_BINS = 60
_ITERATIONS = 3000
_EXACT = 1e-9
# A ray this short beside the longest is one that the data do not see.
_UNSEEN = 1e-6
# A search ends where a step is this short.
_SHORT = 1e-8


@dataclass(frozen=True)
class Mixture:
    """A mixture of χ² distributions.

    Attributes
    ----------
    weights : ndarray, shape (d + 1,)
        Of χ² with `shift`, `shift` + 1, … degrees of freedom.
    shift : int
    batches : ndarray, shape (b, d + 1)
        The weights from each part of the draws; none where they are exact.
    """

    weights: np.ndarray
    shift: int
    batches: np.ndarray

    def tail(self, x: float) -> tuple[float, float]:
        """The probability of more than x, and its Monte-Carlo error."""
        tails = _tails(np.arange(len(self.weights)) + self.shift, x)
        error = np.std(self.batches @ tails, ddof=1) / np.sqrt(len(self.batches)) if len(self.batches) else 0.0
        return float(self.weights @ tails), float(error)


@dataclass(frozen=True)
class Shares:
    """A distribution known by draws of the share that a projection keeps of a χ² variable.

    Attributes
    ----------
    shares : ndarray, shape (n,)
    df : int
        Degrees of freedom of that variable.
    """

    shares: np.ndarray
    df: int

    def tail(self, x: float) -> tuple[float, float]:
        """The probability of more than x, and its Monte-Carlo error."""
        from scipy.special import chdtrc

        kept = self.shares > 0.0
        tails = np.zeros(len(kept))
        tails[kept] = chdtrc(self.df, x / self.shares[kept])
        return float(tails.mean()), float(tails.std(ddof=1) / np.sqrt(len(tails)))


def _tails(df: np.ndarray, x: float) -> np.ndarray:
    """P(χ²_df > x); χ²_0 is zero."""
    from scipy.special import chdtrc

    return np.where(df > 0, chdtrc(np.maximum(df, 1), x), 0.0)


def mixture_of(
    J: np.ndarray, rays: int, blocks: tuple[int, ...], *, shift: int, draws: int, rng: np.random.Generator
) -> Mixture:
    """The χ̄² distribution of a convex cone.

    Parameters
    ----------
    J : ndarray, shape (d, d)
        Information along the cone's coordinates: its rays, then k(k + 1)/2 for each block, the lower triangle of a
        symmetric matrix row by row with off-diagonal elements times √2.
    rays : int
    blocks : tuple of int
        Order k of each positive semi-definite block.
    shift : int
        Dimensions that are free beside the cone.
    draws : int
    rng : numpy.random.Generator
    """
    d = len(J)
    if d == 1:
        return Mixture(np.array([0.5, 0.5]), shift, np.zeros((0, 2)))
    normal = rng.standard_normal((draws, d))
    squares, support = squared_lengths(J, rays, blocks, normal)
    if support is not None:
        weigh = np.array([np.bincount(part, minlength=d + 1) / len(part) for part in np.array_split(support, _BATCHES)])
        return Mixture(np.bincount(support, minlength=d + 1) / draws, shift, weigh)
    shares = squares / np.sum(normal**2, axis=1)
    parts = np.array([_weights(part, d) for part in np.array_split(shares, _BATCHES)])
    return Mixture(_weights(shares, d), shift, parts)


def shares_of(R: np.ndarray, *, shift: int, draws: int, rng: np.random.Generator) -> Shares:
    """The distribution of the squared length of the projection on the nearest of several rays.

    Parameters
    ----------
    R : ndarray, shape (c, d)
        The rays, in coordinates in which the information is the identity.
    shift, draws, rng
        As in `mixture_of`.
    """
    Z = rng.standard_normal((draws, R.shape[1]))
    length = np.linalg.norm(R, axis=1)
    seen = length > _UNSEEN * length.max()  # not one that σ² alone could be, as a covariance without correlation
    along = Z @ (R[seen] / length[seen, None]).T
    kept = np.maximum(along.max(axis=1), 0.0) ** 2
    free = np.sum(rng.standard_normal((draws, shift)) ** 2, axis=1)
    return Shares((kept + free) / (np.sum(Z**2, axis=1) + free), R.shape[1] + shift)


def squared_lengths(
    J: np.ndarray, rays: int, blocks: tuple[int, ...], normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Squared lengths of projections, and how many rays each lies on where there are nothing but rays.

    `normal` has standard normal rows, shape (n, d): with J = LL', the score Jz of a draw is L times one.
    """
    g = normal @ np.linalg.cholesky(J).T
    if not blocks and rays <= _FACES:
        return _by_faces(J, g)
    # Draws inside the cone, and in its polar cone, are told exactly; the others need a search.
    free = np.linalg.solve(J, g.T).T
    inside = np.all(np.abs(_on_cone(free, rays, blocks) - free) <= _EXACT, axis=1)
    polar = np.all(np.abs(_on_cone(g, rays, blocks)) <= _EXACT, axis=1)
    rest = ~(inside | polar)
    a = np.where(inside[:, None], free, 0.0)
    a[rest] = _by_steps(J, rays, blocks, g[rest])
    squares, whole = np.einsum("ij,ij->i", a, g), np.sum(normal**2, axis=1)
    squares = np.where(inside, whole, np.where(polar, 0.0, np.clip(squares, 0.0, whole)))
    return squares, None if blocks else np.count_nonzero(a > _EXACT, axis=1)


def _by_faces(J: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face of each draw is that whose own solution has positive parts, and longest of these."""
    squares, support = np.zeros(len(g)), np.zeros(len(g), dtype=int)
    for size in range(1, len(J) + 1):
        for face in map(list, combinations(range(len(J)), size)):
            a = np.linalg.solve(J[np.ix_(face, face)], g[:, face].T).T
            length = np.where((a > 0.0).all(axis=1), np.einsum("ij,ij->i", a, g[:, face]), 0.0)
            better = length > squares
            squares[better], support[better] = length[better], size
    return squares, support


def _by_steps(J: np.ndarray, rays: int, blocks: tuple[int, ...], g: np.ndarray) -> np.ndarray:
    """min ½a'Ja − g'a over the cone, by accelerated projected steps, started again where they overshoot."""
    step = 1.0 / np.linalg.eigvalsh(J)[-1]
    out, live = np.zeros_like(g), np.arange(len(g))
    a, ahead, t, own = out.copy(), out.copy(), np.ones(len(g)), g
    for _ in range(_ITERATIONS):
        new = _on_cone(ahead - step * (ahead @ J - own), rays, blocks)
        move = new - a
        t[np.einsum("ij,ij->i", ahead - new, move) > 0.0] = 1.0
        later = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
        ahead, t, a = new + ((t - 1.0) / later)[:, None] * move, later, new
        done = np.einsum("ij,ij->i", move, move) <= _SHORT**2 * (1.0 + np.einsum("ij,ij->i", new, new))
        if done.any():
            out[live[done]] = a[done]
            left = ~done
            live, a, ahead, t, own = live[left], a[left], ahead[left], t[left], own[left]
        if not len(live):
            return out
    out[live] = a
    return out


def _on_cone(a: np.ndarray, rays: int, blocks: tuple[int, ...]) -> np.ndarray:
    """The nearest point of the cone, each coordinate of the same length."""
    made = a.copy()
    np.maximum(made[:, :rays], 0.0, out=made[:, :rays])
    start = rays
    for k in blocks:
        stop = start + k * (k + 1) // 2
        made[:, start:stop] = _semidefinite(made[:, start:stop], k)
        start = stop
    return made


def _semidefinite(a: np.ndarray, k: int) -> np.ndarray:
    rows, columns = np.tril_indices(k)
    root = np.where(rows == columns, 1.0, np.sqrt(2.0))
    M = np.zeros((len(a), k, k))
    M[:, rows, columns] = M[:, columns, rows] = a / root
    values, vectors = np.linalg.eigh(M)
    M = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
    return M[:, rows, columns] * root


def _weights(shares: np.ndarray, d: int) -> np.ndarray:
    """Weights whose mixture of Beta distributions fits the shares, even ones and odd ones ½ each."""
    from scipy.optimize import nnls
    from scipy.special import betainc

    n, inside = len(shares), shares[(shares > 0.0) & (shares < 1.0)]
    ends = np.count_nonzero(shares == 0.0) / n, np.count_nonzero(shares == 1.0) / n
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    found = np.histogram(inside, edges)[0] / n
    j = np.arange(1, d)
    A = np.diff(betainc(j / 2.0, (d - j) / 2.0, edges[:, None]), axis=0)
    trust = np.sqrt(n / np.maximum(n * found, 1.0))
    # the two sums hold exactly, and so are given a weight that no bin has
    parity = np.array([j % 2 == 0, j % 2 == 1], dtype=float)
    rest = np.array([0.5 - ends[0] - (d % 2 == 0) * ends[1], 0.5 - (d % 2 == 1) * ends[1]])
    heavy = 1e3 * np.sqrt(n)
    w, _ = nnls(np.vstack([A * trust[:, None], heavy * parity]), np.append(found * trust, heavy * rest))
    weights = np.concatenate([[ends[0]], w, [ends[1]]])
    return weights / weights.sum()
