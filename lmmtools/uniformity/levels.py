"""Uniformity level by level of a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.dependence.places import for_rows
from lmmtools.errors import LMMError
from lmmtools.formats import nearest, quoted

__all__ = ["Levels", "comparable", "distances", "levels_of", "p_values"]

# Numbers sorted at a time.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Levels:
    """A factor's levels over some rows: `order` has the rows by level, `starts` where each begins in it."""

    name: str
    labels: pd.Index
    order: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


def levels_of(fit: Any, by: Any, rows: np.ndarray, what: str) -> Levels:
    """The levels that rows have.

    Parameters
    ----------
    fit : LMMFit
    by : str or array_like
        A grouping factor of the model, of random effects or of correlated residuals, a factor of its fixed part, or a
        value for each row used.
    rows : ndarray of bool, shape (n,)
        Those looked at.
    what : str

    Raises
    ------
    LMMError
        If there is no such factor, values do not fit the rows, or all rows are in one level.
    """
    design = fit.design
    if isinstance(by, str):
        fixed = design.recipe.observed.factors if design.recipe is not None else {}
        known = fixed | design.groupings
        if by not in known:
            raise LMMError(
                f"{what}: by={by!r} is no factor of the model{nearest(by, known)}, which has "
                f"{quoted(known) or 'none'}; for another column pass its values, by=data[{by!r}]."
            )
        codes, labels, name = known[by].codes, known[by].levels, by
    else:
        values = for_rows(design, by, what, "by")
        codes, labels = pd.factorize(values.iloc[:, 0], sort=True)
        name = str(values.columns[0])
    mine = np.flatnonzero(rows)
    present, codes = np.unique(codes[mine], return_inverse=True)
    if len(present) < 2:
        raise LMMError(f"{what}: all rows are in one level of {name}, so there is nothing to compare by it.")
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    return Levels(name, pd.Index(labels)[present], order, np.cumsum(sizes) - sizes, sizes)


def distances(ranks: np.ndarray, levels: Levels) -> np.ndarray:
    """Kolmogorov and Smirnov's distance within each level, of each response, shape (levels, m)."""
    n, m = ranks.shape
    code = np.repeat(np.arange(len(levels.sizes)), levels.sizes)[:, None].astype(np.int64)
    place = (np.arange(n) - levels.starts[code[:, 0]])[:, None]
    size = levels.sizes[code[:, 0]][:, None]
    found = np.empty((len(levels.sizes), m))
    step = max(_AT_ONCE // n, 1)
    for start in range(0, m, step):
        key = np.sort(code * m + ranks[levels.order, start : start + step], axis=0) - code * m
        far = np.maximum((place + 1) / size - (key + 1) / m, key / m - place / size)
        found[:, start : start + step] = np.maximum.reduceat(far, levels.starts, axis=0)
    return found


def comparable(distance: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Distances of levels of different sizes on one scale (Stephens 1970)."""
    root = np.sqrt(sizes)[:, None]
    return (root + 0.12 + 0.11 / root) * distance


def p_values(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each level alone, and adjusted for all: as large as the largest of any level of a draw (Westfall & Young)."""
    m = distance.shape[1]
    own = distance[:, :1] * (1.0 - 1e-12)
    alone = (1 + np.sum(distance[:, 1:] >= own, axis=1)) / m
    largest = distance[:, 1:].max(axis=0)
    return alone, (1 + np.sum(largest[None] >= own, axis=1)) / m
