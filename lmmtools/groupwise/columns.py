"""The columns of Z that belong to one grouping factor, and the metric in which its rows are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.crossing import refines
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import effect_unit, nearest, quoted

__all__ = ["Columns", "columns_of", "factor_of", "refuse_without_effects", "units_of", "whitening"]


@dataclass(frozen=True, eq=False)
class Columns:
    """All terms of one grouping factor, side by side.

    Attributes
    ----------
    factor : str
    places : tuple of int
        Where its terms stand in the design.
    names : tuple of str, length Q
        As in the fit's ``ranef``.
    Z : ndarray, shape (n, Q)
    codes : ndarray of int, shape (n,)
    levels : pd.Index, shape (J,)
    """

    factor: str
    places: tuple[int, ...]
    names: tuple[str, ...]
    Z: np.ndarray
    codes: np.ndarray
    levels: pd.Index

    @property
    def rows(self) -> np.ndarray:
        """Rows of each level, shape (J,)."""
        return np.bincount(self.codes, minlength=len(self.levels))


def refuse_without_effects(fit: Any, what: str) -> None:
    """Refuse what is no fit, or a fit without random effects.

    Raises
    ------
    ModelError
        With what to do instead.
    """
    design = getattr(fit, "design", None)
    if design is None or not hasattr(fit, "modes"):
        raise ModelError(f"{what}: takes a fitted model, as fit_lmm returns it; got {type(fit).__name__}.")
    if not design.terms:
        raise ModelError(
            f"{what}: `{design.formula}` has no random effects, so no level has any. A regression within each level "
            "of a column needs none: fit_groups('y ~ x | g', data)."
        )


def factor_of(fit_or_design: Any, factor: str | None, what: str) -> str:
    """The grouping factor asked for; by default the one of most effects a level, the first of these.

    Raises
    ------
    LMMError
        If there is no such factor.
    """
    factors = getattr(fit_or_design, "design", fit_or_design).factors
    if factor is None:
        return max(factors, key=lambda name: sum(len(term.names) for term in factors[name]))
    if not isinstance(factor, str) or factor not in factors:
        raise LMMError(
            f"{what}: `{factor}` is no grouping factor of this model{nearest(str(factor), factors)}; factor can be "
            f"{quoted(factors)}."
        )
    return factor


def columns_of(design: Any, factor: str) -> Columns:
    """The columns of a grouping factor that the design has."""
    places = tuple(k for k, term in enumerate(design.terms) if term.factor == factor)
    names: list[str] = []
    for term in (design.terms[k] for k in places):
        number = term.group.removeprefix(term.factor)
        names += [f"{name}{number}" if name in names else name for name in term.names]
    first = design.terms[places[0]]
    Z = np.hstack([design.terms[k].matrix for k in places])
    return Columns(factor, places, tuple(names), Z, first.codes, first.levels)


def whitening(fit: Any, columns: Columns, what: str) -> Callable[[np.ndarray], np.ndarray]:
    """R^(−½), by which rows of one level are compared.

    Raises
    ------
    ModelError
        If residuals of different levels are correlated, so that no level is by itself.
    """
    if not refines(fit.noise.groups, columns.codes):
        raise ModelError(
            f"{what}: residuals of `{fit.design.residual.text}` are correlated across levels of `{columns.factor}`, so "
            "no level can be looked at by itself; take a factor whose levels hold whole groups of correlated "
            "residuals, or regress without the structure: fit_groups('y ~ x | g', data)."
        )
    return fit.noise.whiten


def units_of(design: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """Units of the coefficients, empty where they are not known."""
    return tuple(effect_unit(design.units, design.response, name) or "" for name in names)
