"""Pairs of rows of one group with their distances: all of them, or a random sample where they are very many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmmtools.dependence.places import Places, distinct
from lmmtools.errors import ModelError

__all__ = ["Pairs", "bins_of", "pairs_of"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows.

    Attributes
    ----------
    i, j : ndarray of int, shape (P,)
        Rows of each pair.
    distance : ndarray, shape (P,)
        Euclidean, in the units of the positions.
    total : int
        How many pairs there are in all, up to the longest distance where that was given and they were counted.
    drawn : int
        How many of these were drawn at random; `total` where all were taken.
    """

    i: np.ndarray
    j: np.ndarray
    distance: np.ndarray
    total: int
    drawn: int

    @property
    def sampled(self) -> bool:
        """Whether these are a sample."""
        return self.drawn < self.total


def pairs_of(
    places: Places, most: int, rng: np.random.Generator, what: str, max_distance: float | None = None
) -> Pairs:
    """Pairs of rows within groups, at most `most` of them.

    A sample is drawn uniformly and without replacement from all pairs, whatever their number: a pair is a rank, from
    which its group and its two rows follow.

    Parameters
    ----------
    places : Places
    most : int
    rng : numpy.random.Generator
        For the sample.
    what : str
        The function that asks.
    max_distance : float, optional
        The longest distance of a pair; without a limit all pairs count.

    Raises
    ------
    ModelError
        If no group has two rows, or none so near to each other.
    """
    sizes = np.bincount(places.codes)
    if max_distance is not None and places.positions.shape[1] == 1 and (sizes * (sizes - 1) // 2).sum() > most:
        return _near(places, most, rng, what, max_distance)
    order = np.argsort(places.codes, kind="stable")
    starts = np.append(0, np.cumsum(sizes))
    ends = np.cumsum(sizes * (sizes - 1) // 2)
    total = int(ends[-1])
    if not total:
        raise ModelError(f"{what}: no group of `{places.group}` has two rows, so there are no pairs to compare.")
    ranks = np.arange(total) if total <= most else np.sort(rng.choice(total, size=most, replace=False, shuffle=False))
    home = np.searchsorted(ends, ranks, side="right")
    within = ranks - np.append(0, ends)[home]
    later = ((1.0 + np.sqrt(1.0 + 8.0 * within)) / 2.0).astype(np.int64)
    later -= later * (later - 1) // 2 > within  # the root was rounded up
    later += later * (later + 1) // 2 <= within
    earlier = within - later * (later - 1) // 2
    i, j = order[starts[home] + earlier], order[starts[home] + later]
    distance = np.sqrt(((places.positions[i] - places.positions[j]) ** 2).sum(axis=1))
    if max_distance is not None:
        near = distance <= max_distance * (1.0 + 1e-12)
        if not near.any():
            raise ModelError(_too_short(what, max_distance, float(distance.min())))
        i, j, distance = i[near], j[near], distance[near]
    return Pairs(i, j, distance, total, len(ranks))


def _near(places: Places, most: int, rng: np.random.Generator, what: str, furthest: float) -> Pairs:
    """Pairs no further apart than a time, from rows in the order of group and time: each is near in that order too."""
    order = np.lexsort([places.positions[:, 0], places.codes])
    time, group = places.positions[order, 0], places.codes[order]
    counts = [int(found.sum()) for found in _offsets(time, group, furthest)]
    total = sum(counts)
    if not total:
        gaps = np.diff(time)[group[1:] == group[:-1]]
        raise ModelError(_too_short(what, furthest, float(gaps.min())))
    share, taken = min(1.0, most / total), []
    for k, found in enumerate(_offsets(time, group, furthest)):
        first = np.flatnonzero(found)
        if share < 1.0:
            first = first[rng.random(len(first)) < share]
        taken.append((order[first], order[first + k + 1], time[first + k + 1] - time[first]))
    i, j, distance = (np.concatenate(part) for part in zip(*taken, strict=True))
    return Pairs(i, j, distance, total, len(i))


def _offsets(time: np.ndarray, group: np.ndarray, furthest: float) -> Iterator[np.ndarray]:
    """Whether a row and the one so many places later are a pair, for 1, 2, … places until there is none."""
    for k in range(1, len(time)):
        found = (group[k:] == group[:-k]) & (time[k:] - time[:-k] <= furthest * (1.0 + 1e-12))
        if not found.any():
            return
        yield found


def _too_short(what: str, furthest: float, nearest: float) -> str:
    return f"{what}: no two rows of a group are within {furthest:g}; the nearest are {nearest:g} apart."


def bins_of(distance: np.ndarray, most: int) -> np.ndarray:
    """Which bin each distance is in: one for each different distance, else bins between its quantiles."""
    values, codes = distinct(distance)
    if len(values) <= most:
        return codes
    breaks = np.unique(np.quantile(distance, np.linspace(0.0, 1.0, most + 1)))
    # bins hold their upper ends, the first its lower end too
    return np.unique(np.searchsorted(breaks[1:-1], distance, side="left"), return_inverse=True)[1]
