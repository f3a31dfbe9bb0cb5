"""Pairs of rows whose residuals a structure correlates, and what each pair's correlation is a function of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.design.crossing import refines
from lmmtools.design.residual import SPATIAL, Correlation
from lmmtools.design.residual.variables import distinct

__all__ = ["LINEAR", "Pairs", "Shifted", "aligned", "distinct_groups", "is_spatial", "pairs_of"]

# Correlations that are parameters themselves, one for each class of pairs.
LINEAR = ("cs", "toep", "us")
# Pairs that are written out.
_MOST = 4_000_000
# Roundings that computed distances may differ by and be one: up to 1e-9 of the largest.
_ROUNDINGS = 1000.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows in one residual group, in increasing order.

    Attributes
    ----------
    ids : ndarray of int, shape (k,)
        i n + j of rows i < j.
    distance : ndarray, shape (k,)
        Between their positions.
    key : ndarray of int, shape (k,)
        Pairs with the same key have the same correlation; −1 where it is zero.
    by : ndarray of int, shape (k,)
        Level with parameters of its own.
    """

    ids: np.ndarray
    distance: np.ndarray
    key: np.ndarray
    by: np.ndarray

    def taken(self, places: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(self.ids[places], self.distance[places], self.key[places], self.by[places])


@dataclass(frozen=True)
class Shifted:
    """What a random intercept and correlated residuals amount to together: (τ² + ρ)/(τ² + 1) within the groups.

    Attributes
    ----------
    groups : Correlation
        Compound symmetry.
    own : Correlation
        Of the residuals.
    """

    groups: Correlation
    own: Correlation

    kind = "shifted"

    @property
    def label(self) -> str:
        """Both, as written."""
        return f"{self.groups.label} + {self.own.label}"


def pairs_of(c: Correlation | Shifted) -> Pairs | None:
    """All pairs of a correlation structure; None where they are too many to be written out."""
    if isinstance(c, Shifted):
        return _shifted(pairs_of(c.groups), pairs_of(c.own))
    n = len(c.codes)
    sizes = np.bincount(c.codes)
    if float(np.sum(sizes.astype(float) ** 2)) > 2.0 * _MOST:
        return None
    order = np.argsort(c.codes, kind="stable")
    starts = np.cumsum([0, *sizes[:-1]])
    low, high = [], []
    for size in np.unique(sizes[sizes > 1]):
        rows = order[starts[sizes == size][:, None] + np.arange(size)]
        i, j = np.triu_indices(size, 1)
        low.append(rows[:, i].ravel())
        high.append(rows[:, j].ravel())
    a, b = (np.concatenate(side) if side else np.zeros(0, dtype=int) for side in (low, high))
    a, b = np.minimum(a, b), np.maximum(a, b)
    ids = a.astype(np.int64) * n + b
    at = np.argsort(ids)
    a, b = a[at], b[at]
    distance = np.sqrt(((c.positions[a] - c.positions[b]) ** 2).sum(axis=1))
    return Pairs(ids[at], distance, _keys(c, a, b, distance), c.by_codes[a])


def distinct_groups(a: Any, b: Any) -> tuple[Any, Any] | None:
    """Two structures on the rows of groups of which no two are alike; None where they do not group the rows alike.

    What holds for one group holds for all with the same positions and levels of `by`.
    """
    if isinstance(a, Shifted) or isinstance(b, Shifted) or not _same_partition(a.codes, b.codes):
        return None
    order = np.lexsort([*b.positions.T, *a.positions.T, a.codes])
    ends = np.flatnonzero(np.diff(a.codes[order])) + 1
    kept: dict[bytes, np.ndarray] = {}
    for rows in np.split(order, ends):
        parts = (a.positions[rows], b.positions[rows], a.by_codes[rows], b.by_codes[rows])
        kept.setdefault(b"|".join(part.tobytes() for part in parts), rows)
    rows = np.sort(np.concatenate(list(kept.values())))
    return _of_rows(a, rows), _of_rows(b, rows)


def _same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return refines(a, b) and refines(b, a)


def _of_rows(c: Correlation, rows: np.ndarray) -> Correlation:
    own = c.of_rows(rows)
    return replace(own, codes=np.unique(own.codes, return_inverse=True)[1].astype(np.intp))


def _shifted(groups: Pairs | None, own: Pairs | None) -> Pairs | None:
    """Pairs of either: within the groups zero is a correlation like any other, for it is shifted too."""
    if groups is None or own is None:
        return None
    ids = np.union1d(groups.ids, own.ids)
    inside = np.isin(ids, groups.ids, assume_unique=True)
    key = np.full(len(ids), -1)
    key[np.searchsorted(ids, own.ids)] = own.key
    beyond = np.where(key < 0, -1, key + int(key.max(initial=0)) + 2)
    return Pairs(ids, np.zeros(len(ids)), np.where(inside, key + 1, beyond), np.zeros(len(ids), dtype=int))


def _keys(c: Correlation, a: np.ndarray, b: np.ndarray, distance: np.ndarray) -> np.ndarray:
    by = c.by_codes[a].astype(np.int64)
    if c.kind == "cs":
        return by
    if c.kind == "us":
        at, T = c.positions[:, 0].astype(np.int64), len(c.occasions)
        return (by * T + np.minimum(at[a], at[b])) * T + np.maximum(at[a], at[b])
    if c.kind == "toep":
        lag = c.lag_codes(distance)
        return np.where(lag < 0, -1, by * (len(c.lags) + 1) + lag)
    lag = distinct(distance, _ROUNDINGS)[1]
    own = by * (int(lag.max(initial=0)) + 1) + lag
    beyond = (c.kind == "arma" and c.order[0] == 0) & (distance > c.order[1] + 0.5)
    return np.where(beyond, -1, own)


def aligned(small: Pairs, large: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """For each pair of the larger its place in the smaller, −1 where it has none; and the smaller's pairs left over."""
    place = np.searchsorted(small.ids, large.ids)
    place = np.where(place < len(small.ids), place, 0)
    found = small.ids[place] == large.ids if len(small.ids) else np.zeros(len(large.ids), dtype=bool)
    left = np.setdiff1d(np.arange(len(small.ids)), place[found], assume_unique=False)
    return np.where(found, place, -1), left


def is_spatial(kind: str) -> bool:
    """Whether a correlation falls off with a range."""
    return kind in SPATIAL
