"""Where to draw a graph in layers: an order with few crossings, then places with room for every label.

Sugiyama's method: an edge that passes a layer has a place of its own there, layers are put in order by the means of
their neighbours' places, and places are as near to those means as the widths of what stands there allow.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

__all__ = ["Layout", "layered", "spaced"]

Key: TypeAlias = Hashable
_SWEEPS = 12


@dataclass(frozen=True)
class Layout:
    """Places of a graph in layers.

    Attributes
    ----------
    x : Mapping of key to float
        Across, of every vertex and of every ``(edge, level)`` that an edge passes.
    levels : tuple of tuple of key
        What stands on each level, from left to right; vertices on even levels, edges alone on odd ones.
    """

    x: Mapping[Key, float]
    levels: tuple[tuple[Key, ...], ...]


def layered(layers: Sequence[Sequence[Key]], edges: Sequence[tuple[Key, Key]], width: Mapping[Key, float]) -> Layout:
    """Places of vertices in given layers and of edges from lower to higher layers.

    Parameters
    ----------
    layers : sequence of sequence of key
        Vertices, from the lowest layer.
    edges : sequence of pair of key
    width : Mapping
        Room that each vertex and each ``(edge, level)`` needs.
    """
    home = {vertex: 2 * k for k, layer in enumerate(layers) for vertex in layer}
    levels: list[list[Key]] = [list(layers[k // 2]) if k % 2 == 0 else [] for k in range(2 * len(layers) - 1)]
    links: list[tuple[Key, Key]] = []
    for edge in edges:
        passed = [(edge, level) for level in range(home[edge[0]] + 1, home[edge[1]])]
        for place in passed:
            levels[place[1]].append(place)
        links += pairwise([edge[0], *passed, edge[1]])
    near: dict[Key, list[Key]] = {key: [] for level in levels for key in level}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    levels = _ordered(levels, near)
    return Layout(_placed(levels, near, width), tuple(map(tuple, levels)))


def _ordered(levels: list[list[Key]], near: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Levels in the order, of those the sweeps try, with the fewest crossings."""
    best, fewest = levels, _crossings(levels, near)
    for sweep in range(_SWEEPS):
        levels = [list(level) for level in levels]
        upwards = sweep % 2 == 0
        for here in range(1, len(levels)) if upwards else range(len(levels) - 2, -1, -1):
            there = {key: i for i, key in enumerate(levels[here - 1 if upwards else here + 1])}
            levels[here] = _by_neighbours(levels[here], there, near)
        crossings = _crossings(levels, near)
        if crossings < fewest:
            best, fewest = levels, crossings
    return best


def _by_neighbours(level: list[Key], there: Mapping[Key, int], near: Mapping[Key, list[Key]]) -> list[Key]:
    """One level by the mean place of its neighbours on another; what has none stays about where it is."""
    mean = {}
    for i, key in enumerate(level):
        places = [there[k] for k in near[key] if k in there]
        mean[key] = float(np.mean(places)) if places else i * len(there) / len(level)
    return sorted(level, key=mean.__getitem__)


def _crossings(levels: list[list[Key]], near: Mapping[Key, list[Key]]) -> int:
    total = 0
    for low, high in pairwise(levels):
        there = {key: i for i, key in enumerate(high)}
        ends = [sorted(there[k] for k in near[key] if k in there) for key in low]
        total += sum(b < a for i, left in enumerate(ends) for right in ends[i + 1 :] for a in left for b in right)
    return total


def _placed(levels: list[list[Key]], near: Mapping[Key, list[Key]], width: Mapping[Key, float]) -> dict[Key, float]:
    """Places near the means of all neighbours, everything apart by its width."""
    x: dict[Key, float] = {}
    for level in levels:
        x |= zip(level, spaced([0.0] * len(level), [width[key] for key in level]), strict=True)
    for sweep in range(2 * _SWEEPS):
        for level in levels if sweep % 2 == 0 else levels[::-1]:
            wanted = [float(np.mean([x[k] for k in near[key]])) if near[key] else x[key] for key in level]
            x |= zip(level, spaced(wanted, [width[key] for key in level]), strict=True)
    return x


def spaced(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Places nearest to those wanted, by least squares, in the same order and apart by half of both widths.

    Less the room taken by those before, the places need only not decrease: pooling adjacent violators.
    """
    before = np.concatenate([[0.0], np.cumsum([(a + b) / 2 for a, b in pairwise(widths)])])
    pools: list[tuple[float, int]] = []
    for target in np.asarray(wanted, dtype=float) - before[: len(wanted)]:
        mean, count = float(target), 1
        while pools and pools[-1][0] > mean:
            last, n = pools.pop()
            mean, count = (mean * count + last * n) / (count + n), count + n
        pools.append((mean, count))
    level = [mean for mean, count in pools for _ in range(count)]
    return [float(a + b) for a, b in zip(level, before, strict=False)]
