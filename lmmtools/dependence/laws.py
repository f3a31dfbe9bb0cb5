"""The fitted correlation of residuals as a function of distance, where the structure has one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.residual import noise_of

__all__ = ["correlation_at", "correlation_curve"]

# Structures whose distances are whole steps; points of the curves of all others.
_WHOLE, _POINTS = ("ar1", "arma"), 121


def correlation_at(fit: Any, distance: np.ndarray, level: int = 0) -> np.ndarray:
    """Correlation of two residuals so far apart; NaN where the structure has none that is a function of distance.

    Parameters
    ----------
    fit : LMMFit
    distance : ndarray, shape (d,)
        Positive.
    level : int
        Of the factor whose levels have parameters of their own.
    """
    residual = fit.design.residual
    c = fit.design.correlation
    if c is None:
        return np.zeros(len(distance))
    if c.kind == "us":
        return np.full(len(distance), np.nan)
    # The structure itself over as many groups of two rows, so that its formula stands in one place only.
    k = c.positions.shape[1]
    d = len(distance)
    positions = np.zeros((2 * d, k))
    if k:
        positions[1::2, 0] = distance
    pairs = replace(
        c, codes=np.repeat(np.arange(d), 2), levels=pd.RangeIndex(d), positions=positions,
        by_codes=np.full(2 * d, level, dtype=np.intp),
    )  # fmt: skip
    at = noise_of(replace(residual, correlation=pairs, variances=()), np.arange(2 * d)).at(fit.phi[residual.slices[0]])
    first = np.zeros((2 * d, 1))
    first[::2] = 1.0
    return at.colour(first)[1::2, 0]


def correlation_curve(fit: Any, furthest: float) -> pd.DataFrame:
    """The fitted correlation up to a distance: ``level, distance, correlation``; no rows where there is none.

    Where there are random effects the residuals left over by these have another correlation, so there is no curve.

    Parameters
    ----------
    fit : LMMFit
    furthest : float
        The longest distance, in the units of the positions.
    """
    c = fit.design.correlation
    none = pd.DataFrame({"level": pd.Series(dtype=str), "distance": [], "correlation": []})
    if fit.design.terms or (c is not None and c.kind == "us"):
        return none
    if c is not None and c.kind == "toep":
        distance = np.asarray(c.lags)
    elif c is not None and c.kind in _WHOLE:
        distance = np.arange(1.0, np.floor(furthest + 1e-9) + 1.0)
    else:
        distance = np.linspace(0.0, furthest, _POINTS)[1:]
    distance = distance[distance <= furthest * (1.0 + 1e-12)]
    if not len(distance):
        return none
    levels = ("",) if c is None else c.by_levels
    parts = [
        pd.DataFrame({"level": name, "distance": distance, "correlation": correlation_at(fit, distance, k)})
        for k, name in enumerate(levels)
    ]
    return pd.concat(parts, ignore_index=True)
