"""Correlations between residuals that were seen and others of their groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.core.residual.noise import shape_of

__all__ = ["cross_correlations"]


def cross_correlations(seen: Any, other: Any, phi: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Corr(ε_i, ε_k) of rows i that were seen and k others, group by group.

    Parameters
    ----------
    seen : Correlation
    other : Correlation
        The same structure at other rows, whose codes are those of `seen`, or −1 where the group has no row there; its
        levels of `by` are not read, a group keeping its own.
    phi : ndarray, shape (m,)
        Parameters of the correlation.

    Returns
    -------
    list of (rows, others, correlations)
        Of each group that has others: its rows, ascending, shape (n,); the others, (k,); and (n, k).
    """
    order = np.argsort(seen.codes, kind="stable")
    starts = np.searchsorted(seen.codes[order], np.arange(len(seen.levels) + 1))
    joint = replace(
        seen, codes=np.append(seen.codes, other.codes), positions=np.vstack([seen.positions, other.positions]),
        by_codes=np.append(seen.by_codes, np.zeros_like(other.codes)),
    )  # fmt: skip
    of_level = [_between(joint, part) for part in np.split(phi, len(seen.by_levels))]
    found = []
    for group in np.unique(other.codes[other.codes >= 0]):
        rows = order[starts[group] : starts[group + 1]]
        mine = np.flatnonzero(other.codes == group)
        found.append((rows, mine, of_level[seen.by_codes[rows[0]]](seen.positions[rows], other.positions[mine])))
    return found


def _between(c: Any, phi: np.ndarray) -> Any:
    """Correlations of positions (n, d) and (k, d) at φ, shape (n, k)."""
    if c.kind == "cs":
        return lambda a, b: np.full((len(a), len(b)), phi[0])
    if c.kind in ("ar1", "car1"):
        return lambda a, b: np.power(phi[0], np.abs(a - b.T))
    shape, index = shape_of(c)
    at = shape.at(phi)
    return lambda a, b: at.matrix(index(np.vstack([a, b]))[None])[0][: len(a), len(a) :]
