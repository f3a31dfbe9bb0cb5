"""Directions in which the marginal covariance V of a design can move, and their inner products across factors.

A direction is Z_f D Z_f' of one grouping factor f, D symmetric over the factor's columns. Inner products of two of
them, tr(Z_f D Z_f' Z_g E Z_g'), need the cross-products Z_f'Z_g of levels that share rows, and nothing of the size
of V: this is cheaper than the products a fit needs, and never refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.basis import Columns, random_basis
from lmmtools.core.terms import Term, working_term

__all__ = ["Space", "same_groups", "space_of"]


@dataclass(frozen=True)
class Space:
    """The columns of some terms, and inner products of directions over them.

    Attributes
    ----------
    homes : tuple of int
        Grouping factor of each term.
    terms : tuple of Term
        Each term over its factor's working columns: with T a covariance in its own working columns, STS' is one of the
        factor's.
    products : dict
        For each pair of factors f <= g: Σ (Z_f'Z_g)_ac (Z_f'Z_g)_bd over pairs of levels, shape (r, s, r, s).
    """

    homes: tuple[int, ...]
    terms: tuple[Term, ...]
    products: dict[tuple[int, int], np.ndarray]

    def inner(self, directions: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
        """Inner products of directions, each given as its term and its T, shape (m, m)."""
        full = [(self.homes[k], self.terms[k].S @ T @ self.terms[k].S.T) for k, T in directions]
        made = np.zeros((len(full), len(full)))
        for (f, g), pairs in self.products.items():
            first = [i for i, (home, _) in enumerate(full) if home == f]
            second = [i for i, (home, _) in enumerate(full) if home == g]
            if not first or not second:
                continue
            D = np.array([full[i][1] for i in first])
            E = np.array([full[i][1] for i in second])
            block = np.einsum("mab,acbd,kcd->mk", D, pairs, E, optimize=True)
            made[np.ix_(first, second)] = block
            made[np.ix_(second, first)] = block.T
        return made


def same_groups(a: Any, b: Any) -> bool:
    """Whether two terms group the rows alike and take their levels' effects for equally related."""
    if len(a.levels) != len(b.levels) or (a.known_root is None) != (b.known_root is None):
        return False
    if a.known_root is not None:
        return np.array_equal(a.codes, b.codes) and np.array_equal(a.known_root, b.known_root)
    if np.array_equal(a.codes, b.codes):
        return True
    pairs = np.unique(a.codes.astype(np.int64) * len(b.levels) + b.codes)
    return len(pairs) == len(a.levels)


def space_of(terms: Sequence[Any], weights: np.ndarray | None) -> Space:
    """The space of some terms' directions over the same rows, which may be of several designs."""
    n = len(terms[0].codes)
    columns = Columns(n, None if weights is None else np.sqrt(weights / np.mean(weights)))
    owners: list[Any] = []
    homes = []
    for term in terms:
        home = next((f for f, owner in enumerate(owners) if same_groups(term, owner)), len(owners))
        homes.append(home)
        if home == len(owners):
            owners.append(term)
    made = [random_basis([t for t, h in zip(terms, homes, strict=True) if h == f], columns) for f in range(len(owners))]
    taken = [iter(K) for _, K in made]
    found = tuple(working_term(term, next(taken[home])) for term, home in zip(terms, homes, strict=True))
    Z = [np.array([columns.whitened[i] for i in order]) for order, _ in made]
    pairs = [(f, g) for f in range(len(owners)) for g in range(f, len(owners))]
    return Space(tuple(homes), found, {(f, g): _products(Z[f], owners[f], Z[g], owners[g]) for f, g in pairs})


def _products(Z: np.ndarray, a: Any, Y: np.ndarray, b: Any) -> np.ndarray:
    """Σ over pairs of levels of the products of entries of Z'Y, known covariances of levels on both sides."""
    cells, found = pd.factorize(a.codes.astype(np.int64) * len(b.levels) + b.codes)
    r, s = len(Z), len(Y)
    own = np.array([[np.bincount(cells, z * y, len(found)) for y in Y] for z in Z]).reshape(r * s, -1)
    other = own
    if a.known_root is not None or b.known_root is not None:
        other = np.array([_related(row, found, a, b) for row in own])
    return (own @ other.T).reshape(r, s, r, s)


def _related(row: np.ndarray, cells: np.ndarray, a: Any, b: Any) -> np.ndarray:
    """A C B at the cells of C, A and B the levels' known covariances."""
    i, j = cells // len(b.levels), cells % len(b.levels)
    C = np.zeros((len(a.levels), len(b.levels)))
    C[i, j] = row
    if a.known_root is not None:
        C = a.known_root @ (a.known_root.T @ C)
    if b.known_root is not None:
        C = (C @ b.known_root) @ b.known_root.T
    return C[i, j]
