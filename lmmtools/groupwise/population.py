"""What the rest of a model says of each level's coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.groupwise.columns import Columns
from lmmtools.groupwise.leastsquares import Within

__all__ = ["others_of", "parts_elsewhere", "population_of"]

# A column repeats another where they differ by less than this share of its size.
_SAME = 1e-8


def others_of(fit: Any, columns: Columns) -> tuple[int, ...]:
    """Places of the terms of other factors."""
    return tuple(k for k in range(len(fit.design.terms)) if k not in columns.places)


def parts_elsewhere(fit: Any, columns: Columns) -> np.ndarray:
    """The fit without this factor's effects, in parts: X_cβ̂_c of each fixed effect, Z_eb of each effect of others.

    Returns
    -------
    ndarray, shape (n, parts)
    """
    design = fit.design
    parts = [design.X * fit.beta]
    for k in others_of(fit, columns):
        term = design.terms[k]
        parts.append(term.matrix * fit.modes[k][term.codes])
    return np.hstack(parts)


def population_of(columns: Columns, regressed: Within, parts: np.ndarray) -> np.ndarray:
    """Coefficients of the rest of the model in each level, shape (J, Q).

    Where a level's rows determine a coefficient it is that of the regression of the rest (`regressed`, the second of
    its right sides). Where they do not, it is that of the parts that are multiples of columns of Z in all levels
    alike, as an intercept, a slope or their differences between the sexes are; NaN where some part is none.
    """
    found = regressed.coef[:, :, 1].copy()
    lacking = ~regressed.determined
    if lacking.any():
        found[lacking] = _multiples(columns, parts)[lacking]
    return found


def _multiples(columns: Columns, parts: np.ndarray) -> np.ndarray:
    """Sum over the parts of what they are of the columns of Z, shape (J, Q)."""
    J, Q = len(columns.levels), columns.Z.shape[1]
    total = np.zeros((J, Q))
    for part in parts.T:
        total = total + _of_all(columns, part, J, Q)
    return total


def _of_all(columns: Columns, part: np.ndarray, J: int, Q: int) -> np.ndarray:
    """One part as combination of Z's columns: the same in all levels, or a multiple of one column in each."""
    size = float(np.abs(part).max(initial=0.0))
    if size == 0.0:
        return np.zeros((J, Q))
    Z, codes = columns.Z, columns.codes
    scale = np.sqrt(np.mean(Z**2, axis=0))
    scale[scale == 0.0] = 1.0
    common = np.linalg.lstsq(Z / scale, part, rcond=None)[0] / scale
    if np.abs(part - Z @ common).max() <= _SAME * size:
        return np.broadcast_to(common, (J, Q))
    for k in range(Q):
        below = np.bincount(codes, weights=Z[:, k] ** 2, minlength=J)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.bincount(codes, weights=Z[:, k] * part, minlength=J) / below
        if np.abs(part - Z[:, k] * np.nan_to_num(times)[codes]).max() <= _SAME * size:
            found = np.zeros((J, Q))
            found[:, k] = times  # NaN where the column is zero in all rows of a level, which then say nothing of it
            return found
    return np.full((J, Q), np.nan)
