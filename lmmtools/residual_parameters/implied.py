"""What the parameters of a residual structure imply: correlations by lag or of occasions, standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.residual.arma import autocorrelations

__all__ = ["OccasionMatrix", "by_lag", "deviations", "neighbours", "occasions"]

# Standard deviations this near to one another, relatively, are one.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class OccasionMatrix:
    """Correlations of the residuals of one group at its occasions.

    Attributes
    ----------
    level : str
        Of the factor whose levels have parameters of their own; empty without one.
    labels : tuple of str, length T
    correlation : ndarray, shape (T, T)
        NaN where no two rows of a group are that far apart, so that there is no such parameter.
    sd : ndarray, shape (T,), or None
        Residual standard deviations in units of the response, where they depend on the occasion alone.
    """

    level: str
    labels: tuple[str, ...]
    correlation: np.ndarray
    sd: np.ndarray | None


def deviations(fit: Any) -> tuple[float, float]:
    """Smallest and largest residual standard deviation over the rows used, at weight one."""
    sd = fit.sigma * fit.noise.sd
    if fit.design.weights is not None:
        sd = sd * np.sqrt(fit.design.weights)
    return float(sd.min()), float(sd.max())


def by_lag(fit: Any, longest: int = 3) -> dict[str, np.ndarray]:
    """Correlations at lags 1 … `longest` of an `arma`, by level of its `by` (an empty text without)."""
    c = fit.design.correlation
    p, q = c.order
    found = {}
    for k, level in enumerate(c.by_levels):
        phi = fit.phi[k * (p + q) : (k + 1) * (p + q)]
        found[level] = autocorrelations(phi[:p], phi[p:], longest)[0][1:]
    return found


def neighbours(fit: Any) -> tuple[float, bool]:
    """How far apart neighbouring rows of a group are, in the median, and whether all are: of ``ar1`` and ``car1``."""
    c = fit.design.correlation
    order = fit.noise.order
    at, codes = c.positions[order, 0], c.codes[order]
    gaps = np.diff(at)[codes[1:] == codes[:-1]]
    middle = float(np.median(gaps)) if len(gaps) else 1.0
    return middle, bool(np.ptp(gaps) <= 1e-9 * middle) if len(gaps) else True


def occasions(fit: Any, most: int = 8) -> tuple[OccasionMatrix, ...]:
    """The matrices of a `us` or `toep`, one for each level of its `by`; none of more than `most` occasions."""
    structure, c = fit.design.residual, fit.design.correlation
    if c is None or c.kind not in ("us", "toep"):
        return ()
    positions = c.positions[:, 0]
    times = np.unique(positions)
    if not 1 < len(times) <= most:
        return ()
    codes = np.searchsorted(times, positions)
    m = structure.slices[0].stop // len(c.by_levels)
    found = []
    for k, level in enumerate(c.by_levels):
        phi = fit.phi[k * m : (k + 1) * m]
        C = _unstructured(phi, len(times)) if c.kind == "us" else _banded(fit, c, phi, times)
        sd = _of_occasions(fit, codes, c.by_codes == k, len(times))
        found.append(OccasionMatrix(level, _labels(c, times), C, sd))
    return tuple(found)


def _labels(c: Any, times: np.ndarray) -> tuple[str, ...]:
    return c.occasions if c.kind == "us" else tuple(f"{time:.10g}" for time in times)


def _unstructured(phi: np.ndarray, T: int) -> np.ndarray:
    C = np.eye(T)
    i, j = np.triu_indices(T, 1)
    C[i, j] = C[j, i] = phi
    return C


def _banded(fit: Any, c: Any, phi: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Correlations by distance; beyond the last band they are zero where the formula says how many bands there are."""
    part = fit.design.recipe.residual.parsed.correlation
    beyond = 0.0 if part.option("k", 0) else np.nan
    place = c.lag_codes(np.abs(times[:, None] - times))
    C = np.where(place >= 0, phi[place], beyond)
    np.fill_diagonal(C, 1.0)
    return C


def _of_occasions(fit: Any, codes: np.ndarray, mine: np.ndarray, T: int) -> np.ndarray | None:
    """Standard deviation at each occasion, if it is the same in all rows of it."""
    own, sd = codes[mine], fit.sigma * fit.noise.sd[mine]
    low, high = np.full(T, np.inf), np.zeros(T)
    np.minimum.at(low, own, sd)
    np.maximum.at(high, own, sd)
    seen = high > 0.0
    if np.any(high[seen] - low[seen] > _SAME * high[seen]):
        return None
    return np.where(seen, high, np.nan)
