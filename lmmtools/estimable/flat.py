"""Combinations of (co)variances among the random effects that no data of a design determine, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from lmmtools.core.covariance import combine, covariance_basis
from lmmtools.core.criterion import Criterion
from lmmtools.core.terms import Term

__all__ = ["flat_directions"]


def flat_directions(criterion: Criterion) -> tuple[str, ...]:
    """Combinations of (co)variances that no data of this design determine, in words."""
    w, specs = criterion.working, criterion.design.terms
    if not specs:
        return ()
    effects = Counter((spec.factor, name) for spec in specs for name in spec.names)
    found = []
    for direction in w.gram.null_space():
        moved = []
        for term, spec, part in zip(w.terms, specs, w.slices, strict=True):
            # a factor's second term has a name of its own where the first one has the same effect
            repeated = any(effects[spec.factor, name] > 1 for name in spec.names)
            moved.append((spec, *_moved(term, spec, direction[part], spec.group if repeated else spec.factor)))
        largest = max(sizes.max(initial=0.0) for _, sizes, _ in moved)
        names = []
        for spec, sizes, words in moved:
            mine = [word for size, word in zip(sizes, words, strict=True) if size > 1e-6 * largest]
            names += mine if len(mine) <= 2 else [f"the variances and covariances of {spec.label}"]
        found.append(names[0] if len(names) == 1 else f"the split between {', '.join(names[:-1])} and {names[-1]}")
    return tuple(found)


def _moved(term: Term, spec: Any, direction: np.ndarray, by: str) -> tuple[np.ndarray, list[str]]:
    """How far a direction moves each (co)variance of a term, in its own columns at unit size, and their names."""
    if term.form is not None:
        return np.abs(direction), [_parameter(name, spec) for name in term.form.names(spec.group, spec.names)]
    T = combine(direction, covariance_basis(term.structure, term.q))
    if term.scale.ndim == 2:
        size = np.sqrt((term.K**2).sum(axis=0))
        T = np.linalg.solve(term.scale, np.linalg.solve(term.scale, T).T) * np.outer(size, size)
    if term.structure == "homdiag":
        return np.abs(T[:1, 0]), [f"the variance of {spec.label}"]
    places = [(i, j) for j in range(term.q) for i in range(j, term.q)]
    words = [
        f"the variance of {spec.names[i]} by {by}"
        if i == j
        else f"the covariance of {spec.names[j]} and {spec.names[i]} by {by}"
        for i, j in places
    ]
    return np.array([abs(T[i, j]) for i, j in places]), words


def _parameter(name: str, spec: Any) -> str:
    """A parameter of a structure that is not linear, as `Form.names` calls it, in words."""
    own = name.removeprefix(f"{spec.group}.")
    if not isinstance(spec.structure, str):
        return f"the parameter {own} of {spec.label}"
    if own == "cor":
        return f"the correlation of {spec.label}"
    return f"the variance of {spec.label}" if own == name else f"the variance of {own} by {spec.factor}"
