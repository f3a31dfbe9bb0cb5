"""The fixed part with a parameter for every cell of its factors, as a combination of the columns of X.

A factor has an indicator of each level there, an interaction one of each cell that occurs, each times the term's
covariates: D, shape (n, m), whose columns need not be independent. D = XK, with K, shape (p, m), made of the coding
alone; Xβ = Db then says β = Kb, so that the functions c'β are the estimable functions (c'K)b. No row of D is formed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.fixed_terms import Coding, FixedTerm, Part, fixed_terms
from lmmtools.errors import ModelError

if TYPE_CHECKING:
    from lmmtools.design import Design

__all__ = ["Overparameterised", "overparameterise"]

_ZERO = 1e-11  # numbers of order one that are rounding
_MOST = 2**40  # combinations of levels that are numbered without a look at which occur
_SPANNED = 1e-8  # what an indicator may differ from a combination of coded columns


@dataclass(frozen=True)
class Overparameterised:
    """D = XK.

    Attributes
    ----------
    terms : tuple of FixedTerm
    K : ndarray, shape (p, m)
        For columns of X divided by `scale`, and columns of D divided so that no entry exceeds one by much.
    places : tuple of ndarray
        The columns of each term in D, the first factor's levels varying fastest.
    firsts : tuple of ndarray
        Of how many factors each of a term's columns has the first level; treatment contrasts name those of none.
    scale, units : ndarray, shape (p,), (m,)
        What the columns of X and of D were divided by.
    """

    terms: tuple[FixedTerm, ...]
    K: np.ndarray
    places: tuple[np.ndarray, ...]
    firsts: tuple[np.ndarray, ...]
    scale: np.ndarray
    units: np.ndarray

    def columns(self, terms: Sequence[int]) -> np.ndarray:
        """K at the columns of some terms."""
        return self.K[:, np.concatenate([self.places[i] for i in terms])] if terms else self.K[:, :0]


def overparameterise(design: Design) -> Overparameterised:
    """The over-parameterised fixed part of a design.

    Raises
    ------
    ModelError
        If a factor's contrasts leave some of its levels' differences out, so that a cell has no parameter.
    """
    terms, codings = fixed_terms(design)
    families: dict[frozenset[str], list[int]] = {}
    for i, term in enumerate(terms):
        families.setdefault(frozenset(term.covariates), []).append(i)
    blocks: list[list[np.ndarray]] = [[] for _ in terms]
    firsts, units = [[] for _ in terms], [[] for _ in terms]
    X_of_full, scale = _kept(design), np.abs(design.X).max(axis=0, initial=0.0)
    for family in families.values():
        coded = _coded([terms[i] for i in family], codings)
        for places in coded.places:
            rows = X_of_full[:, places] * scale[:, None]
            columns = [rows @ block for block in coded.solution]
            # covariates have units, and these must not decide what is zero
            size = max(np.abs(block).max(initial=0.0) for block in columns) or 1.0
            for i, block, first in zip(family, columns, coded.firsts, strict=True):
                blocks[i].append(np.where(np.abs(block) < _ZERO * size, 0.0, block / size))
                firsts[i].append(first)
                units[i].append(np.full(block.shape[1], size))
    places, start = [], 0
    for own in blocks:
        width = sum(block.shape[1] for block in own)
        places.append(np.arange(start, start + width))
        start += width
    return Overparameterised(
        terms=terms,
        K=np.hstack([block for own in blocks for block in own]) if terms else np.empty((0, 0)),
        places=tuple(places),
        firsts=tuple(np.concatenate(own) for own in firsts),
        scale=scale,
        units=np.concatenate([unit for own in units for unit in own]) if terms else np.empty(0),
    )


def _kept(design: Design) -> np.ndarray:
    """All columns of the fixed part from those of X, shape (p, p + dropped)."""
    recipe = design.recipe
    p = len(recipe.kept)
    M = np.zeros((p, p + len(recipe.dropped)))
    M[np.arange(p), recipe.kept] = 1.0
    for gone in recipe.dropped:
        M[:, gone.column] = gone.coefficients
    return M


@dataclass(frozen=True)
class _Coded:
    """Terms of the same covariates: where each covariate's columns are, and what of them makes each term's cells.

    `firsts` counts the factors of a cell that are at their first level.
    """

    places: list[np.ndarray]
    solution: list[np.ndarray]
    firsts: list[np.ndarray]


def _coded(terms: Sequence[FixedTerm], codings: Mapping[str, Coding]) -> _Coded:
    """Solve for the cells' indicators, whose products with a covariate are combinations of the coded ones' products."""
    used = list(dict.fromkeys(name for term in terms for name in term.factors))
    cells = dict(zip(used, _distinct([codings[name] for name in used]).T, strict=True))
    rows = len(cells[used[0]]) if used else 1
    order = sorted({name for term in terms for name in term.covariates})
    made = [_columns(part, codings, cells, rows, order) for term in terms for part in term.parts]
    values, covariate = np.hstack([v for v, _ in made]), np.concatenate([c for _, c in made])
    places = np.concatenate([part.places for term in terms for part in term.parts])
    alone = values[:, covariate == 0]  # the factors' part is the same for each covariate
    solution, firsts = [], []
    for term in terms:
        indicators, first = _indicators([cells[name] for name in term.factors], rows)
        coefficients = np.linalg.lstsq(alone, indicators, rcond=1e-10)[0]
        if np.abs(alone @ coefficients - indicators).max(initial=0.0) > _SPANNED:
            _refuse(term, codings)
        solution.append(coefficients)
        firsts.append(first)
    return _Coded([places[covariate == k] for k in range(covariate.max() + 1)], solution, firsts)


def _columns(
    part: Part, codings: Mapping[str, Coding], cells: Mapping[str, np.ndarray], rows: int, covariates: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """What the factors contribute to each column, shape (cells, columns), and which covariate it is multiplied by."""
    width = prod(part.widths)
    index = np.unravel_index(np.arange(width), part.widths, order="F") if part.widths else ()
    values, numbers = np.ones((rows, width)), {}
    for (name, reduced), size, which in zip(part.variables, part.widths, index, strict=True):
        if name in codings:
            coding = codings[name].reduced if reduced else codings[name].full
            values *= coding[cells[name]][:, which]
        else:
            numbers[name] = which, size
    if not covariates:
        return values, np.zeros(width, dtype=np.intp)
    at, sizes = zip(*(numbers[name] for name in covariates), strict=True)
    return values, np.ravel_multi_index(at, sizes)


def _distinct(codings: Sequence[Coding]) -> np.ndarray:
    """The combinations of levels that occur, shape (cells, factors)."""
    if not codings:
        return np.zeros((1, 0), dtype=np.intp)
    combined, size = np.zeros(len(codings[0].codes), dtype=np.int64), 1
    for coding in codings:
        if size * len(coding.full) > _MOST:  # numbered anew, so that many factors do not run out of numbers
            numbers, combined = np.unique(combined, return_inverse=True)
            combined, size = combined.reshape(-1), len(numbers)
        combined, size = combined * len(coding.full) + coding.codes, size * len(coding.full)
    if size > max(4 * len(combined), 100_000):
        rows = np.unique(combined, return_index=True)[1]
    else:
        place = np.full(size, -1)
        place[combined] = np.arange(len(combined))
        rows = place[place >= 0]
    return np.stack([coding.codes[rows] for coding in codings], axis=1)


def _indicators(codes: Sequence[np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """One column for each combination of levels that occurs, and how many of these are first ones."""
    if not codes:
        return np.ones((rows, 1)), np.zeros(1, dtype=int)
    cells, which = np.unique(np.stack(codes[::-1], axis=1), axis=0, return_inverse=True)
    return np.equal.outer(which.reshape(-1), np.arange(len(cells))).astype(float), np.sum(cells == 0, axis=1)


def _refuse(term: FixedTerm, codings: Mapping[str, Coding]) -> None:
    for name in term.factors:
        coding = codings[name].reduced
        rank = np.linalg.matrix_rank(np.column_stack([np.ones(len(coding)), coding]))
        if rank < len(coding):
            raise ModelError(
                f"the contrasts of `{name}` tell {rank} of its {len(coding)} levels apart, so the model is not one of "
                "its levels and no hypothesis about them is tested: give levels − 1 independent contrasts, or test "
                "coefficients by fit.test(…)."
            )
    raise ModelError(
        f"the cells of `{term.name}` are no combinations of its columns, so hypotheses about them are not defined: "
        "test coefficients by fit.test(…)."
    )
