"""What a picture shows of ranks: quantiles of all, and quartiles along predictions, each with what draws have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.dependence.reestimated import envelope

__all__ = ["quantile_band", "quartile_bands"]

# Quantiles shown; rows of a bin, at least about, and bins.
_POINTS, _ROWS, _BINS = 200, 30, 15
_QUARTILES = (0.25, 0.5, 0.75)


def quantile_band(counts: np.ndarray, k: int) -> pd.DataFrame:
    """Quantiles of the residuals against those of a uniform distribution: ``expected, observed, low, high``.

    Parameters
    ----------
    counts : ndarray, shape (m responses, m ranks)
    k : int
        The band lies between the k-th smallest and the k-th largest of draws.
    """
    m, n = counts.shape[1], int(counts[0].sum())
    points = min(n, _POINTS)
    expected = (np.arange(points) + 0.5) / points
    below = np.cumsum(counts, axis=1)
    at = np.ceil(expected * n - 1e-9)
    found = np.stack([np.searchsorted(own, at) for own in below])
    u = (found + 0.5) / m
    low, high, _ = envelope(u[1:], k)
    return pd.DataFrame({"expected": expected, "observed": u[0], "low": low, "high": high})


def quartile_bands(ranks: np.ndarray, along: np.ndarray, k: int) -> pd.DataFrame:
    """Quartiles of residuals in bins along predictions: ``along, quartile, rows, expected, observed, low, high``.

    `along` is the mean rank of the bin's predictions, between 0 and 1. Equal predictions are in one bin. `expected` is
    the median of draws: not the quartile itself where residuals go with predictions, as those of a fit do that takes
    the random effects in.

    Parameters
    ----------
    ranks : ndarray, shape (n, m)
    along : ndarray, shape (n,) or (n, m)
        Ranks of predictions between 0 and 1, or of those of each response.
    k : int
        As of `quantile_band`.
    """
    n, m = ranks.shape
    bins = int(np.clip(n // _ROWS, 1, _BINS))
    found = np.full((m, bins, 3), np.nan)
    for j in range(m):
        if j == 0 or along.ndim == 2:
            rank = along if along.ndim == 1 else along[:, j]
            cell = np.minimum((rank * bins).astype(int), bins - 1)
            order, sizes = np.argsort(cell, kind="stable"), np.bincount(cell, minlength=bins)
            if j == 0:
                rows, where = sizes, np.bincount(cell, weights=rank, minlength=bins) / np.maximum(sizes, 1)
        for b, mine in enumerate(np.split(ranks[order, j], np.cumsum(sizes)[:-1])):
            if len(mine):
                found[j, b] = _quartiles(mine)
    u, shown = (found + 0.5) / m, []
    for b in np.flatnonzero(rows):
        for q, name in enumerate(_QUARTILES):
            draws = u[1:, b, q][~np.isnan(u[1:, b, q])]  # a draw's own predictions may leave a bin empty
            low, high, _ = envelope(draws, k) if len(draws) >= 2 * k else (np.nan,) * 3
            middle = np.median(draws) if len(draws) else np.nan
            shown.append((where[b], name, rows[b], middle, u[0, b, q], low, high))
    return pd.DataFrame(shown, columns=["along", "quartile", "rows", "expected", "observed", "low", "high"])


def _quartiles(values: np.ndarray) -> np.ndarray:
    """Quartiles, between neighbours on a line: numpy's own, without its price for a few values."""
    ordered, at = np.sort(values), np.array(_QUARTILES) * (len(values) - 1)
    low = at.astype(int)
    return ordered[low] + (at - low) * (ordered[np.minimum(low + 1, len(values) - 1)] - ordered[low])
