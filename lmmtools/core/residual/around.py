"""A working model around a residual structure: its rows as the random effects have them, and φ beside θ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.core.residual.clusters import Grouping
from lmmtools.core.residual.form import INDEPENDENT, ResidualForm, ResidualTerm
from lmmtools.core.terms import Term

__all__ = ["about", "groupings", "in_unit", "multiplier", "structure_of", "with_residual"]


def structure_of(design: Any) -> Any:
    """The residual structure; without one, independent residuals where there are no random effects to have products."""
    structure = getattr(design, "residual", None)
    return structure if structure is not None or design.terms else INDEPENDENT


def about(y: np.ndarray, root: np.ndarray | None, X: Sequence[np.ndarray], beta: np.ndarray) -> np.ndarray:
    """The response over the roots of the weights, less X̃β, from the columns of X̃ so whitened."""
    e = y.astype(float, copy=True) if root is None else root * y
    for b, x in zip(beta, X, strict=True):
        e -= b * x
    return e


def groupings(design: Any, basis: Any) -> list[Grouping]:
    """Working columns, codes and known covariance of every factor."""
    found = []
    for f, order in enumerate(basis.z):
        term = design.terms[basis.homes.index(f)]
        Z = np.column_stack([basis.columns.whitened[i] for i in order])
        found.append(Grouping(Z, np.asarray(term.codes), len(term.levels), getattr(term, "known_root", None)))
    return found


def with_residual(structure: Any, terms: tuple[Term, ...]) -> tuple[Term, tuple[Term, ...]]:
    """φ as a term below the others, and these with as many more rows in K and S."""
    form = ResidualForm(structure)
    m, R = form.n_theta, len(terms[0].K) if terms else 0
    own = np.vstack([np.zeros((R, m)), np.eye(m)])
    below = [
        replace(t, K=np.vstack([t.K, np.zeros((m, t.q))]), S=np.vstack([t.S, np.zeros((m, t.q))])) for t in terms
    ]
    return ResidualTerm("residual", own, own, np.ones(m), np.ones(m), form), tuple(below)


def multiplier(working: Any, theta: np.ndarray) -> float:
    """Standard deviation of the residuals over σ at working parameters θ̃, in the geometric mean of the rows."""
    if working.residual is None:
        return 1.0
    phi = working.residual.own(theta[working.places[-1]])
    return float(np.exp(working.products.noise.at(phi).multipliers.log_s.mean()))


def in_unit(working: Any, log_unit: float) -> Any:
    """The same working model with the multipliers of the residuals' standard deviations taken over another unit."""
    change = np.exp(log_unit - working.products.noise.log_unit)
    noise = replace(working.products.noise, log_unit=log_unit)
    return replace(
        working,
        products=replace(working.products, noise=noise),
        terms=tuple(replace(t, K=t.K / change, scale=t.scale / change) for t in working.terms),
        noise_scale=working.noise_scale / change,
    )
