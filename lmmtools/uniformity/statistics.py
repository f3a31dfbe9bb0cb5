"""What is looked at in ranks: of the data and of every draw alike, so that the draws say what is to be expected.

Ranks of m responses are 0 to m − 1, and u = (rank + ½)/m. Every statistic has shape (m,), the data's first.
"""

from __future__ import annotations

import numpy as np

__all__ = ["between_levels", "counts_of", "dispersion", "outliers", "p_value", "trend", "uniformity"]


def counts_of(ranks: np.ndarray) -> np.ndarray:
    """How often each response has each rank, shape (m responses, m ranks)."""
    m = ranks.shape[1]
    return np.stack([np.bincount(ranks[:, k], minlength=m) for k in range(m)])


def uniformity(counts: np.ndarray) -> np.ndarray:
    """Kolmogorov and Smirnov's largest distance from the uniform distribution over the ranks."""
    m = counts.shape[1]
    share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    return np.abs(share - np.arange(1, m + 1) / m).max(axis=1)


def dispersion(z: np.ndarray) -> np.ndarray:
    """Mean square of residuals over their standard deviations, over its mean among draws."""
    square = np.einsum("ij,ij->j", z, z)
    return square / square[1:].mean()


def outliers(counts: np.ndarray) -> np.ndarray:
    """How many rows a response is the smallest or the largest of."""
    return (counts[:, 0] + counts[:, -1]).astype(float)


def trend(values: np.ndarray, along: np.ndarray) -> np.ndarray:
    """R² of values, shape (n, m), on a parabola in the ranks of predictions, shape (n,) or (n, m)."""
    found = np.empty(values.shape[1])
    basis = _parabola(along) if along.ndim == 1 else None
    for k in range(values.shape[1]):
        own = _parabola(along[:, k]) if basis is None else basis
        v = values[:, k] - values[:, k].mean()
        found[k] = np.sum((own @ v) ** 2) / max(float(v @ v), 1e-300)
    return found


def _parabola(x: np.ndarray) -> np.ndarray:
    """x and x² made orthonormal to each other and to one, shape (2, n); zero where x has not the values for it."""
    line = x - x.mean()
    bow = line * line
    bow -= bow.mean()
    size = float(line @ line)
    if size > 0.0:
        line = line / np.sqrt(size)
        before = float(bow @ bow)
        bow -= line * (line @ bow)
        size = float(bow @ bow)
        bow = bow / np.sqrt(size) if size > 1e-9 * before else np.zeros_like(bow)
    return np.stack([line, bow])


def between_levels(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Share of the sum of squares of values, shape (n, m), between levels, whose rows begin at `starts`."""
    n = len(values)
    sizes = np.diff(np.append(starts, n))[:, None]
    sums = np.add.reduceat(values, starts, axis=0, dtype=float)
    mean = sums.sum(axis=0) / n
    total = np.einsum("ij,ij->j", values, values, dtype=float) - n * mean**2
    return np.sum((sums / sizes - mean) ** 2 * sizes, axis=0) / np.maximum(total, 1e-300)


def p_value(statistic: np.ndarray, *, two_sided: bool = False) -> tuple[float, float]:
    """p by the rank of the data's statistic among all, and its Monte-Carlo standard error.

    As the data's is one of m exchangeable values where the model is true, P(p ≤ α) ≤ α (Barnard 1963); doubled, the
    smaller of both sides, as well.
    """
    n = len(statistic) - 1
    slack = 1e-12 * max(abs(float(statistic[0])), 1e-300)
    sides = [np.sum(statistic[1:] >= statistic[0] - slack)]
    if two_sided:
        sides.append(np.sum(statistic[1:] <= statistic[0] + slack))
    one = (1.0 + min(sides)) / (n + 1.0)
    factor = 2.0 if two_sided else 1.0
    return min(1.0, factor * one), factor * float(np.sqrt(one * (1.0 - one) / n))
