"""What a reader should know of a design that is fitted: few levels, single rows, slopes constant within groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.basis import is_constant
from lmmtools.core.criterion import Criterion

__all__ = ["design_notes"]

# The GLMM FAQ's advice: a variance estimated from fewer levels than this is hardly estimated at all.
_FEW_LEVELS = 5


def design_notes(criterion: Criterion) -> tuple[str, ...]:
    """What a reader should know of the design, factor by factor and term by term."""
    n = criterion.working.products.n
    factors: dict[str, list[Any]] = {}
    for term in criterion.design.terms:
        factors.setdefault(term.factor, []).append(term)
    notes = [note for factor, terms in factors.items() for note in _of_factor(factor, terms, n)]
    if len(factors) > 1:
        notes += _of_all(factors, n)
    for term in criterion.design.terms:
        notes += _of_slopes(term)
    return tuple(dict.fromkeys(notes))


def _of_factor(factor: str, terms: list[Any], n: int) -> list[str]:
    levels, notes = len(terms[0].levels), []
    if levels < _FEW_LEVELS:
        notes.append(
            f"`{factor}` has only {levels} levels: its variances rest on {levels} values and are hardly "
            "estimated; consider it as a fixed effect."
        )
    effects = levels * sum(len(t.names) for t in terms if _is_free(t))
    if effects > n and levels < n:
        notes.append(
            f"{effects} random effects are estimated from {n} rows; the variances are identified only through "
            "differences between the groups' designs. Consider fewer random slopes."
        )
    independent = all(getattr(t, "known_root", None) is None for t in terms)
    single = 0 if levels <= n / 2 or not independent else int(np.sum(np.bincount(terms[0].codes) == 1))
    if 2 * single > levels and levels < n:
        notes.append(
            f"{single} of the {levels} levels of `{factor}` have a single row: what tells the variance between levels "
            f"from the residual variance are the rows of the other {levels - single}."
        )
    return notes


def _is_free(term: Any) -> bool:
    """Whether each effect has a variance of its own, and none is tied to another's by the structure."""
    return isinstance(term.structure, str) and term.structure in ("us", "diag")


def _of_all(factors: dict[str, list[Any]], n: int) -> list[str]:
    sizes = {f: len(terms[0].levels) * sum(len(t.names) for t in terms if _is_free(t)) for f, terms in factors.items()}
    total = sum(sizes.values())
    if total <= n or max(sizes.values()) > n:
        return []
    parts = ", ".join(f"{size} by `{factor}`" for factor, size in sizes.items() if size)
    return [
        f"the factors have {total} random effects together ({parts}), more than the {n} rows: the variances are told "
        "apart by few differences in how the factors combine. Consider fewer factors or slopes."
    ]


def _of_slopes(term: Any) -> list[str]:
    if getattr(term, "positions", None) is not None:
        return []
    return [
        f"the random slope of `{name}` varies only between the levels of `{term.factor}`, never within "
        f"one: its variance says how the spread of the {len(term.levels)} levels changes with `{name}`, not how "
        "its effect differs between them."
        for name, column in zip(term.names, term.matrix.T, strict=True)
        if _varies_only_between(column, term.codes)
    ]


def _varies_only_between(column: np.ndarray, codes: np.ndarray) -> bool:
    """Whether a column varies, but never within a group; the first rows mostly settle it."""
    if is_constant(column):
        return False
    for rows in (slice(0, 1000), slice(None)):
        x, g = column[rows], codes[rows]
        first = np.empty(g.max() + 1)
        first[g[::-1]] = x[::-1]
        if not np.array_equal(first[g], x):
            return False
    return True
