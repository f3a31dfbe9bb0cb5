"""Whole levels of a grouping factor drawn, or left out: designs of the rows that remain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.core.several.chainlevels import parents
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import listed, nearest, quoted
from lmmtools.resampling.copies import copied, impossible
from lmmtools.resampling.refits import Refit, failed, refit_design

__all__ = ["Clusters", "cluster_factor", "main_factor"]

# Parts at most into which the levels are divided where each is left out in turn.
_MOST_PARTS = 200


def cluster_factor(design: Any, by: Any, what: str) -> str:
    """The grouping factor named, or the only one, or the one within whose levels all others lie.

    Without random effects the residual groups are the levels.

    Raises
    ------
    LMMError
        If it is no grouping factor of the model, or none is named and there is no such one.
    """
    factors = list(_groups(design))
    if by is None:
        top, alone = main_factor(design)
        if alone:
            return top
        raise LMMError(
            f"{what}: the grouping factors {listed([f'`{f}`' for f in factors])} cross, so it must be said whose "
            f"levels are independent of each other: by={factors[0]!r}, say."
        )
    if by not in factors:
        raise LMMError(
            f"{what}: by={by!r} is no grouping factor of this model{nearest(str(by), factors)}; these are "
            f"{quoted(factors)}."
        )
    return str(by)


def main_factor(design: Any) -> tuple[str, bool]:
    """The factor within whose levels all others lie, and True; else the one of most levels, and False."""
    owners = _groups(design)
    if not owners:
        raise LMMError(
            "bootstrap: this model has neither random effects nor residuals that are correlated within groups, so "
            "there are no clusters to draw or to leave out: its rows are independent."
        )
    for name, top in sorted(owners.items(), key=lambda item: len(item[1].levels)):
        if all(parents(t.codes, len(t.levels), top.codes) is not None for t in owners.values()):
            return name, True
    return max(owners, key=lambda name: len(owners[name].levels)), False


def _groups(design: Any) -> dict[str, Any]:
    """What groups the rows, by name, each with its codes and levels: factors, or without them the residual groups."""
    if design.factors:
        return {name: terms[0] for name, terms in design.factors.items()}
    c = design.correlation
    return {} if c is None or not c.group else {c.group: c}


class Clusters:
    """Fits to some levels of a grouping factor, each as often as it is drawn.

    Parameters
    ----------
    fit : LMMFit
    by : str
        The grouping factor.

    Notes
    -----
    A level drawn twice counts as two levels, and so do the levels of factors nested in it. Levels of a factor that it
    is nested in, or crossed with, stay what they are: rows of two copies that share such a level share its effect.
    Residual groups are copied whole, so they must lie within the levels.

    Raises
    ------
    ModelError
        If residuals of different levels are correlated.
    """

    def __init__(self, fit: Any, by: str) -> None:
        self.origin, self.design, self.by = fit, fit.design, by
        term = _groups(self.design)[by]
        self.levels = len(term.levels)
        self._refuse_cut_residuals(term)
        order = np.argsort(term.codes, kind="stable")
        ends = np.cumsum(np.bincount(term.codes, minlength=self.levels))
        self.rows = np.split(order, ends[:-1])
        self.nested = {
            name: parents(terms[0].codes, len(terms[0].levels), term.codes) is not None
            for name, terms in self.design.factors.items()
        }

    def _refuse_cut_residuals(self, term: Any) -> None:
        c = self.design.correlation
        if c is None or parents(c.codes, int(c.codes.max()) + 1, term.codes) is not None:
            return
        raise ModelError(
            f"levels of `{self.by}` cannot be drawn or left out: `{c.label}` correlates residuals of rows in different "
            'levels, whose groups would be cut apart. Use kind="parametric", or draw a factor within whose levels the '
            "residual groups lie."
        )

    def refuse_known(self) -> None:
        """Refuse levels that are related: two copies of one level would be one and the same.

        Raises
        ------
        ModelError
        """
        related = [n for n, terms in self.design.factors.items() if any(t.known_root is not None for t in terms)]
        if self.by in related or any(self.nested[name] for name in related):
            raise ModelError(
                f'bootstrap: kind="cluster" draws levels of `{self.by}` as if they were independent, but a known '
                f'covariance relates the levels of {listed([f"`{f}`" for f in related])}: use kind="parametric".'
            )

    def crossed(self) -> list[str]:
        """Other factors whose levels stay what they are."""
        return [name for name, nested in self.nested.items() if not nested]

    def drawn(self, rng: np.random.Generator, m: int) -> Iterator[Refit]:
        """m fits to as many levels as there are, drawn with replacement."""
        for levels in rng.integers(self.levels, size=(m, self.levels)):
            yield self.fit(levels)

    def left_out(self) -> tuple[list[Refit], int]:
        """Fits without each level in turn, or without each of so many parts of them; and how many levels a part has."""
        parts = min(self.levels, _MOST_PARTS)
        part = np.arange(self.levels) * parts // self.levels
        return [self.fit(np.flatnonzero(part != k)) for k in range(parts)], -(-self.levels // parts)

    def fit(self, levels: np.ndarray) -> Refit:
        """A fit to the rows of these levels, a level as often as it is named."""
        rows = np.concatenate([self.rows[j] for j in levels])
        copies = np.repeat(np.arange(len(levels)), [len(self.rows[j]) for j in levels])
        design = self.design_of(rows, copies)
        if reason := impossible(design):
            return failed(self.origin, design, reason)
        return refit_design(self.origin, design)

    def design_of(self, rows: np.ndarray, copies: np.ndarray) -> Any:
        """The design of some rows, shape (n,), with the number of the copy of its level that each belongs to."""
        return copied(self.design, rows, copies, self.nested)
