"""Scores of normal predictive distributions: the smaller, the better.

Proper ones (log score, CRPS) are smallest on average where the distribution is the true one, so that neither a wrong
mean nor a wrong spread pays; squared and absolute errors judge the mean alone.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SCORES", "crps", "log_score", "mean_by_units", "row_scores"]

SCORES = ("rmse", "mae", "crps", "log_score")


def crps(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score ∫(F(x) − 1{x ≥ y})² dx of N(mean, sd²), in units of y.

    With z = (y − mean)/sd it is sd [z(2Φ(z) − 1) + 2φ(z) − 1/√π].

    References
    ----------
    Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation, J. Am. Stat. Assoc. 102,
    359-378, eq. 21 and the display after it.
    """
    from scipy.special import ndtr

    z = (y - mean) / sd
    return sd * (z * (2.0 * ndtr(z) - 1.0) + np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z * z) - 1.0 / np.sqrt(np.pi))


def log_score(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """−log of the density of N(mean, sd²) at y."""
    z = (y - mean) / sd
    return 0.5 * z * z + np.log(sd) + 0.5 * np.log(2.0 * np.pi)


def row_scores(y: np.ndarray, mean: np.ndarray, sd: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """What each row adds to each score: ``mse, mae, crps, log_score`` and ``coverage``, whether its interval has y."""
    from scipy.special import ndtri

    error = y - mean
    return {
        "mse": error**2, "mae": np.abs(error), "crps": crps(y, mean, sd), "log_score": log_score(y, mean, sd),
        "coverage": np.where(np.isnan(error), np.nan, np.abs(error) <= ndtri(0.5 + 0.5 * level) * sd),
    }  # fmt: skip


def mean_by_units(values: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """The mean of rows and its standard error when units are independent, rows within them not.

    Parameters
    ----------
    values : ndarray, shape (n,)
    units : ndarray of int, shape (n,)

    Returns
    -------
    mean, std_error : float
        The latter √[J/(J − 1) Σ_j (Σ_{i∈j} (v_i − v̄))²]/n over J units; NaN for one unit.
    """
    if not len(values):
        return np.nan, np.nan
    codes = np.unique(units, return_inverse=True)[1]
    J, mean = int(codes.max()) + 1, float(values.mean())
    sums = np.bincount(codes, values - mean)
    return mean, float(np.sqrt(J / (J - 1) * np.sum(sums**2)) / len(values)) if J > 1 else np.nan
