"""Cross-products of the rows by level of a chain of nested factors, with a dense border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmtools.core.several.chainlevels import Tree, trees

__all__ = ["ChainProducts", "Factor", "chain_products"]


class Factor(Protocol):
    """The columns of a factor; `root` (J, k) of a known covariance of its levels, whose effects are then k a column."""

    z: list[int]
    codes: np.ndarray
    n_levels: int
    root: np.ndarray | None


@dataclass(frozen=True)
class ChainProducts:
    """Cross-products of the rows with one another, by level of the finest factor each belongs to.

    Attributes
    ----------
    links : list of Tree
        Between successive factors.
    places : list of ndarray of int, shape (J_f,)
        Where each level stands in the arrays.
    leaf : ndarray, shape (r_1, c_1 + w, J_1)
        The finest factor's columns with the columns of all chain factors and of the border.
    coarser : ndarray, shape (c_2, c_2 + w, J_2), or None
        The columns of the other chain factors likewise, by level of the second; None if there is only one.
    widths : list of int
        r_f.
    """

    links: list[Tree]
    places: list[np.ndarray]
    leaf: np.ndarray
    coarser: np.ndarray | None
    widths: list[int]

    def rows(self, f: int) -> np.ndarray:
        """The columns of factor f with its own, the coarser factors' and the border's, shape (r_f, c_f + w, J_f)."""
        if f == 0:
            return self.leaf
        skip = sum(self.widths[1:f])
        value = self.coarser[skip : skip + self.widths[f], skip:]
        for link in self.links[1:f]:
            value = link.up(value)
        return value


class _Sums:
    """Σ xy by level, each pair of columns once: by rows for the finest factor, from its sums for the second."""

    def __init__(self, columns: Sequence[np.ndarray], codes: np.ndarray, n_levels: int) -> None:
        self.columns, self.codes, self.n_levels = columns, codes, n_levels
        self._pairs: dict[tuple[int, int], np.ndarray] = {}

    def product(self, i: int, j: int) -> tuple[np.ndarray | None, float]:
        """x_i x_j as (values, factor); values None where both are constant (zero stride)."""
        x, y = self.columns[i], self.columns[j]
        if x.strides == (0,) and y.strides == (0,):
            return None, float(x[0] * y[0])
        if x.strides == (0,) or y.strides == (0,):
            constant, varying = (x, y) if x.strides == (0,) else (y, x)
            return varying, float(constant[0])
        return x * y, 1.0

    def pair(self, i: int, j: int) -> np.ndarray:
        """Shape (J,)."""
        key = (min(i, j), max(i, j))
        if key not in self._pairs:
            values, factor = self.product(*key)
            self._pairs[key] = _scaled(np.bincount(self.codes, weights=values, minlength=self.n_levels), factor)
        return self._pairs[key]

    def block(self, i: int, factor: Factor) -> np.ndarray:
        """Column i with the effects of a trailing factor, column by column of it, shape (N_t, J)."""
        cells, size = self.codes * np.intp(factor.n_levels) + factor.codes, self.n_levels * factor.n_levels
        blocks = []
        for a in factor.z:
            values, scale = self.product(i, a)
            table = _scaled(np.bincount(cells, weights=values, minlength=size), scale).reshape(self.n_levels, -1)
            blocks.append((table if factor.root is None else table @ factor.root).T)
        return np.concatenate(blocks)


def _scaled(x: np.ndarray, factor: float) -> np.ndarray:
    return x.astype(float) if factor == 1.0 else x * factor


def chain_products(
    columns: Sequence[np.ndarray], chain: Sequence[Factor], trailing: Sequence[Factor], xy: Sequence[int]
) -> ChainProducts:
    """Cross-products by level.

    Parameters
    ----------
    columns : list of ndarray, shape (n,)
        Whitened.
    chain : list of Factor
        Finest first, each nested in the next.
    trailing : list of Factor
        The border's factors, in its order; then come the columns `xy`.
    xy : list of int
        Indices of [X e].

    Raises
    ------
    ValueError
        If a factor is not nested in the next.
    """
    links, places = trees([(f.codes, f.n_levels) for f in chain])
    z = [i for f in chain for i in f.z]
    first = len(chain[0].z)
    codes = _placed(chain[0].codes, places[0])
    leaf = _Sums(columns, codes, chain[0].n_levels)
    effects = [f.n_levels if f.root is None else f.root.shape[1] for f in trailing]
    width = sum(len(f.z) * k for f, k in zip(trailing, effects, strict=True)) + len(xy)

    def border(sums: _Sums, i: int) -> np.ndarray:
        return np.concatenate([*(sums.block(i, f) for f in trailing), [sums.pair(i, j) for j in xy]])

    own = np.empty((first, len(z) + width, chain[0].n_levels))
    for a, i in enumerate(z[:first]):
        own[a, : len(z)] = [leaf.pair(i, j) for j in z]
        own[a, len(z) :] = border(leaf, i)
    widths = [len(f.z) for f in chain]
    if len(chain) == 1:
        return ChainProducts(links, places, own, None, widths)
    second = _Sums(columns, _placed(chain[1].codes, places[1]), chain[1].n_levels)
    for key, value in leaf._pairs.items():
        second._pairs[key] = links[0].up(value)
    rest = z[first:]
    coarser = np.empty((len(rest), len(rest) + width, chain[1].n_levels))
    for a, i in enumerate(rest):
        coarser[a, : len(rest)] = [second.pair(i, j) for j in rest]
        if i in z[:first]:
            coarser[a, len(rest) :] = links[0].up(own[z.index(i), len(z) :])
        else:
            coarser[a, len(rest) :] = border(second, i)
    return ChainProducts(links, places, own, coarser, widths)


def _placed(codes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Codes as places in the arrays."""
    return codes if np.array_equal(place, np.arange(len(place))) else place[codes]
