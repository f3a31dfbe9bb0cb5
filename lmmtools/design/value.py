"""The design as values: what a model is fitted to, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmtools.formula import ParsedFormula

if TYPE_CHECKING:
    import scipy.sparse

    from lmmtools.design.newdata import NewRows, Recipe
    from lmmtools.design.residual import Correlation, Residual, Variance

__all__ = ["Design", "RandomTerm", "freeze"]


def freeze(value: object) -> None:
    """Make the arrays among a dataclass's fields read-only."""
    for item in fields(value):
        array = getattr(value, item.name)
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One covariance block of one grouping factor.

    Attributes
    ----------
    label : str
        The term as written, the intercept said: ``"(1 + Days | Subject)"``.
    factor : str
        The grouping factor: ``"Subject"``, ``"recipe:replicate"``.
    group : str
        Its name in ``varcorr``: the factor, then ``"Subject.1"`` for a factor's second term.
    structure : str or object
        ``"us"``, ``"diag"``, ``"homdiag"``, ``"cs"``, ``"homcs"``, ``"ar1"`` or ``"hetar1"``; the object itself for
        a structure of the user's own.
    names : tuple of str, length q
        Names of the effects: ``("Intercept", "Days")``.
    matrix : ndarray, shape (n, q)
        The model matrix of the bar's left side, unweighted; each column contiguous.
    codes : ndarray of intp, shape (n,)
        Which group each row is in, 0 … J-1.
    levels : pd.Index, shape (J,)
        Labels of the groups, in order of codes.
    positions : ndarray of int64, shape (q,), or None
        Where the effects of an autoregression stand, in whole steps; `matrix` then indicates them.
    known_root : ndarray, shape (J, k), or None
        A root of the known covariance of the levels, A = root root'; None where they are independent.
    """

    label: str
    factor: str
    group: str
    structure: str | Any
    names: tuple[str, ...]
    matrix: np.ndarray
    codes: np.ndarray
    levels: pd.Index
    positions: np.ndarray | None = None
    known_root: np.ndarray | None = None

    def __post_init__(self) -> None:
        freeze(self)

    def with_effects(self, keep: Sequence[int]) -> RandomTerm:
        """The term with these of its effects alone."""
        names = tuple(self.names[i] for i in keep)
        return replace(self, names=names, matrix=np.asfortranarray(self.matrix[:, keep]))


@dataclass(frozen=True, eq=False)
class Design:
    """Response, model matrices and groups of one model, from the rows used.

    Attributes
    ----------
    formula : str
        As written.
    parsed : ParsedFormula
    response : str
        Name of the response: ``"Reaction"``, ``"log10(accel)"``.
    y : ndarray, shape (n,)
        The response, in its units; offsets are not taken off.
    X : ndarray, shape (n, p)
        Fixed-effects model matrix of full column rank, each column contiguous.
    fixed_names : tuple of str, length p
    weights : ndarray, shape (n,), or None
        Precision weights, Var(ε_i) = σ²/w_i.
    offset : ndarray, shape (n,), or None
        Sum of all offsets, in units of the response.
    terms : tuple of RandomTerm
        In lme4's order: formula order where numbers of levels do not increase, else R's
        ``rev(order(levels))``.
    index : pd.Index, shape (n,)
        The data's labels of the rows used.
    dropped_rows : pd.Index
        Labels of the rows left out for missing values.
    dropped_columns : tuple of str
        Fixed effects left out because others determine them.
    messages : tuple of str
        What a reader of the result must know.
    units : Mapping[str, str]
        Units of columns, where the data know them.
    nouns : Mapping[str, tuple of str]
        What one level of a column is called, and several: ``("child", "children")``; where the data know it.
    descriptions : Mapping[str, str]
        What a column holds, in words; where the data know it.
    recipe : Recipe
        How to build the same columns from new data.
    residual : Residual or None
        The structure of the residuals' covariance; None where they are independent but for `weights`.
    """

    formula: str
    parsed: ParsedFormula
    response: str
    y: np.ndarray
    X: np.ndarray
    fixed_names: tuple[str, ...]
    weights: np.ndarray | None
    offset: np.ndarray | None
    terms: tuple[RandomTerm, ...]
    index: pd.Index
    dropped_rows: pd.Index
    dropped_columns: tuple[str, ...]
    messages: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    nouns: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    descriptions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    recipe: Recipe | None = field(default=None, repr=False)
    residual: Residual | None = None

    def __post_init__(self) -> None:
        freeze(self)

    def __reduce__(self):
        # a mapping proxy cannot be pickled, a dict can
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuilt, ({name: dict(v) if isinstance(v, MappingProxyType) else v for name, v in values.items()},)

    def __repr__(self) -> str:
        groups = ", ".join(f"{factor}: {levels}" for factor, levels in self.ngroups.items())
        return (
            f"<Design {self.formula}: {len(self.y)} rows, {self.X.shape[1]} fixed effects; groups {groups or 'none'}>"
        )

    @property
    def correlation(self) -> Correlation | None:
        """The correlation of the residuals; None where they are uncorrelated."""
        return None if self.residual is None else self.residual.correlation

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {term.factor: len(term.levels) for term in self.terms}

    @property
    def factors(self) -> dict[str, tuple[RandomTerm, ...]]:
        """The terms of each grouping factor, in order of appearance."""
        found: dict[str, list[RandomTerm]] = {}
        for term in self.terms:
            found.setdefault(term.factor, []).append(term)
        return {factor: tuple(terms) for factor, terms in found.items()}

    @property
    def groupings(self) -> dict[str, RandomTerm | Correlation]:
        """What has the codes and levels of each grouping factor: its first term, else the correlation of residuals."""
        found: dict[str, RandomTerm | Correlation] = {factor: terms[0] for factor, terms in self.factors.items()}
        if (own := self.correlation) is not None and own.group:
            found.setdefault(own.group, own)
        return found

    def mean(self, beta: np.ndarray) -> np.ndarray:
        """Xβ + offset, shape (n,)."""
        mean = self.X @ beta
        return mean if self.offset is None else mean + self.offset

    @property
    def Z(self) -> scipy.sparse.csc_array:
        """Random-effects model matrix, shape (n, Σ J q): columns by term, then level, then effect."""
        from scipy.sparse import csc_array, csr_array

        n, start, places = len(self.y), 0, []
        for term in self.terms:
            q = len(term.names)
            places.append(start + term.codes[:, None] * q + np.arange(q))
            start += q * len(term.levels)
        if not places:
            return csc_array((n, 0))
        columns, values = np.hstack(places), np.hstack([term.matrix for term in self.terms])
        rows = np.arange(n + 1) * columns.shape[1]
        return csr_array((values.ravel(), columns.ravel(), rows), shape=(n, start)).tocsc()

    def new_rows(self, newdata: object, *, unseen: str = "raise", groups: bool = True) -> NewRows:
        """The same columns from new data; see `lmmtools.design.newdata.new_rows`."""
        from lmmtools.design.newdata import new_rows

        return new_rows(self, newdata, unseen=unseen, groups=groups)

    def residual_rows(self, newdata: object) -> tuple[Variance, ...]:
        """The variance functions at new rows; see `lmmtools.design.residual.rows.residual_rows`."""
        from lmmtools.design.residual.rows import residual_rows

        return residual_rows(self, newdata)


def _rebuilt(values: dict) -> Design:
    words = {name: MappingProxyType(values[name]) for name in ("units", "nouns", "descriptions")}
    return Design(**{**values, **words})
