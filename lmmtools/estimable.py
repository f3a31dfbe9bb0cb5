"""Which variances a design can estimate, said in the model's own names, before any iteration.

A variance wholly confounded with the residual has no estimate and is refused, with the largest model that does
have one. A split that is not unique among the random effects themselves leaves the criterion, β̂ and the marginal
covariance well defined: it is fitted, and the directions are named.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.basis import is_constant
from lmmtools.core.covariance import combine, covariance_basis
from lmmtools.core.criterion import Criterion
from lmmtools.core.terms import Term
from lmmtools.errors import ModelError

__all__ = ["design_notes", "flat_directions", "refuse_confounded"]

# The GLMM FAQ's advice: a variance estimated from fewer levels than this is hardly estimated at all.
_FEW_LEVELS = 5


def refuse_confounded(criterion: Criterion) -> None:
    """Refuse a model whose residual variance cannot be told from its random effects.

    Raises
    ------
    ModelError
        Naming the term, its numbers, and a reduced model that is estimable.
    """
    w, design = criterion.working, criterion.design
    if not w.gram.residual_is_confounded():
        return
    n, levels = w.products.n, len(design.terms[0].levels)
    factor = design.terms[0].factor
    labels = " + ".join(t.label for t in design.terms)
    effects = sum(t.q for t in w.terms)
    if n == levels:
        found = f"each of the {levels} levels of `{factor}` has a single row ({n} rows in all)"
    else:
        found = f"{n} rows carry {levels} × {effects} = {levels * effects} random effects"
    raise ModelError(
        f"the variances of {labels} cannot be told from the residual variance: {found}, so infinitely many "
        f"splits give the same likelihood. {_advice(criterion)}"
    )


def _advice(criterion: Criterion) -> str:
    design = criterion.design
    offsets = [f"offset({offset})" for offset in design.parsed.offsets]
    fixed = " + ".join([f"{design.response} ~ {design.parsed.fixed}", *offsets])
    smaller = _largest_estimable(criterion)
    if smaller:
        return f"Estimable with these data: `{fixed} + {smaller}`."
    return f"Fit `{fixed}` by least squares, without the random effect, or collect several rows per level."


def _largest_estimable(criterion: Criterion) -> str:
    """The largest diagonal or shortened random part that is not confounded; empty if none can be written."""
    w, terms = criterion.working, criterion.design.terms
    if len(terms) > 1:
        return ""
    term, spec = w.terms[0], terms[0]
    own = w.products.gram(term.K @ covariance_basis("us", term.q) @ term.K.T)
    rows, columns = np.array([(i, j) for j in range(term.q) for i in range(j, term.q)]).T
    for kept in range(term.q, 0, -1):
        for structure in ("us", "diag"):
            text = _write(spec, kept, structure)
            if not text or (structure == spec.structure and kept == term.q):
                continue
            keep = np.flatnonzero((rows < kept) & ((rows == columns) | (structure == "us")))
            if not own.subset(keep).residual_is_confounded():
                return text
    return ""


def _write(spec: Any, kept: int, structure: str) -> str:
    """The term with its first effects only; empty where they are not variables of the formula."""
    names = spec.names[:kept]
    if kept == len(spec.names):
        body = spec.label[spec.label.index("(") + 1 : spec.label.rindex("|")].strip()
    elif any("[" in name for name in names):
        return ""
    else:
        body = " + ".join(["1", *names[1:]] if names[0] == "Intercept" else ["0", *names])
    return f"({body} | {spec.factor})" if structure == "us" else f"diag({body} | {spec.factor})"


def flat_directions(criterion: Criterion) -> tuple[str, ...]:
    """Combinations of (co)variances that no data of this design determine, in words."""
    w = criterion.working
    found = []
    for direction in w.gram.null_space():
        moved = [
            (spec, *_moved(term, spec, direction[part]))
            for term, spec, part in zip(w.terms, criterion.design.terms, w.slices, strict=True)
        ]
        largest = max(sizes.max(initial=0.0) for _, sizes, _ in moved)
        names = []
        for spec, sizes, words in moved:
            mine = [word for size, word in zip(sizes, words, strict=True) if size > 1e-6 * largest]
            names += mine if len(mine) <= 2 else [f"the variances and covariances of {spec.label}"]
        found.append(names[0] if len(names) == 1 else f"the split between {', '.join(names[:-1])} and {names[-1]}")
    return tuple(found)


def _moved(term: Term, spec: Any, direction: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """How far a direction moves each (co)variance of a term, in its own columns at unit size, and their names."""
    T = combine(direction, covariance_basis(term.structure, term.q))
    if term.scale.ndim == 2:
        size = np.sqrt((term.K**2).sum(axis=0))
        T = np.linalg.solve(term.scale, np.linalg.solve(term.scale, T).T) * np.outer(size, size)
    if term.structure == "homdiag":
        return np.abs(T[:1, 0]), [f"the variance of {spec.label}"]
    places = [(i, j) for j in range(term.q) for i in range(j, term.q)]
    words = [
        f"the variance of {spec.names[i]} by {spec.factor}"
        if i == j
        else f"the covariance of {spec.names[j]} and {spec.names[i]} by {spec.factor}"
        for i, j in places
    ]
    return np.array([abs(T[i, j]) for i, j in places]), words


def design_notes(criterion: Criterion) -> tuple[str, ...]:
    """What a reader should know of the design: few levels, slopes constant within groups, many effects."""
    w, design = criterion.working, criterion.design
    notes = []
    spec = design.terms[0]
    levels, n = len(spec.levels), w.products.n
    if levels < _FEW_LEVELS:
        notes.append(
            f"`{spec.factor}` has only {levels} levels: its variances rest on {levels} values and are hardly "
            "estimated; consider it as a fixed effect."
        )
    effects = levels * sum(t.q for t in w.terms)
    if effects > n and levels < n:
        notes.append(
            f"{effects} random effects are estimated from {n} rows; the variances are identified only through "
            "differences between the groups' designs. Consider fewer random slopes."
        )
    for term in design.terms:
        for name, column in zip(term.names, term.matrix.T, strict=True):
            if _varies_only_between(column, term.codes):
                notes.append(
                    f"the random slope of `{name}` varies only between the levels of `{term.factor}`, never within "
                    f"one: its variance says how the spread of the {levels} levels changes with `{name}`, not how "
                    "its effect differs between them."
                )
    return tuple(notes)


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
