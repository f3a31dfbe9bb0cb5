"""Variances that cannot be told from the residual's: refused, with the largest model that can be estimated.

The covariance V moves along ZDZ' for each direction D of the terms, and along I for the residual variance. Where I
is a combination of the others, at a generic point, so is the likelihood constant along a line through every point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from lmmtools.core.covariance import covariance_basis
from lmmtools.core.criterion import Criterion
from lmmtools.core.identify import Gram
from lmmtools.core.structures import form_of
from lmmtools.core.terms import Term
from lmmtools.errors import ModelError

__all__ = ["refuse_confounded"]

# Effects of a term from which on only its extreme reductions are tried, and models that are tried in all.
_MOST_EFFECTS, _MOST_MODELS = 6, 300
_LESS = {"cs": "homcs", "hetar1": "ar1"}  # one variance instead of own ones


def refuse_confounded(criterion: Criterion) -> None:
    """Refuse a model whose residual variance cannot be told from its random effects.

    Raises
    ------
    ModelError
        Naming the terms, their numbers, and a reduced model that is estimable.
    """
    w, design = criterion.working, criterion.design
    if not w.gram.residual_is_confounded():
        return
    terms = [design.terms[k] for k in _fewest(w.gram, [np.arange(s.start, s.stop) for s in w.slices])]
    variances = "variance of" if len(terms) == 1 and len(terms[0].names) == 1 else "variances of"
    labels = [t.label for t in design.terms]
    names = [t.label if labels.count(t.label) == 1 else f"{t.label} called {t.group}" for t in terms]
    raise ModelError(
        f"the {variances} {' + '.join(names)} cannot be told from the residual variance: "
        f"{_found(terms, w.products.n)}, so infinitely many splits give the same likelihood. {_advice(criterion)}"
    )


def _fewest(gram: Gram, places: Sequence[np.ndarray]) -> tuple[int, ...]:
    """The fewest terms that alone are confounded with the residual; empty if even all of them are not."""
    present = [k for k, where in enumerate(places) if len(where)]
    for size in range(1, len(present) + 1):
        for some in combinations(present, size):
            if gram.subset(np.concatenate([places[k] for k in some])).residual_is_confounded():
                return some
    return ()


def _found(terms: Sequence[Any], n: int) -> str:
    """What in the design makes these terms and the residual one."""
    factor, levels = terms[0].factor, len(terms[0].levels)
    effects = sum(len(t.names) for t in terms)
    if any(t.factor != factor for t in terms):
        return f"their covariances add up to that of the residuals in all {n} rows"
    if n == levels:
        return f"each of the {levels} levels of `{factor}` has a single row ({n} rows in all)"
    if len(terms) == 1 and _one_row_a_cell(terms[0]):
        return f"no two of the {n} rows share one of its {levels} × {effects} effects"
    return f"{n} rows carry {levels} × {effects} = {levels * effects} random effects"


def _one_row_a_cell(term: Any) -> bool:
    """Whether the columns are indicators, and each effect of a level stands in one row at most."""
    if len(term.names) < 2 or not (np.all((term.matrix == 0) | (term.matrix == 1)) and np.all(term.matrix.sum(1) == 1)):
        return False
    cells = term.codes * len(term.names) + term.matrix.argmax(axis=1)
    return len(np.unique(cells)) == len(cells)


def _advice(criterion: Criterion) -> str:
    design = criterion.design
    offsets = [f"offset({offset})" for offset in design.parsed.offsets]
    fixed = " + ".join([f"{design.response} ~ {design.parsed.fixed}", *offsets])
    if smaller := _largest_estimable(criterion):
        return f"Estimable with these data: `{fixed} + {smaller}`."
    effects = "effect" if len(design.terms) == 1 else "effects"
    return f"Fit `{fixed}` by least squares, without the random {effects}, or collect several rows per level."


@dataclass(frozen=True)
class _Version:
    """A term as it is or reduced: its text, and the directions (m, R, R) in which T̃ can move; dropped if empty."""

    text: str
    D: np.ndarray


def _largest_estimable(criterion: Criterion) -> str:
    """The random part with most identified parameters that is not confounded; empty if there is none.

    A set of terms that is confounded is so in every larger model, so one of them has to go or be reduced: models are
    taken up largest first, and those that follow a confounded one differ from it in one of its fewest terms.
    """
    w, specs = criterion.working, criterion.design.terms
    none = _Version("", np.empty((0, *w.covariance_map.shape[1:])))
    versions = [
        [_Version(spec.label, w.covariance_map[part]), *_reductions(spec, term), none]
        for spec, term, part in zip(specs, w.terms, w.slices, strict=True)
    ]
    pool = [version.D for mine in versions for version in mine]
    gram = w.products.gram(np.concatenate(pool))
    places = iter(np.arange(a, b) for a, b in pairwise(np.cumsum([0, *map(len, pool)])))
    where = [[next(places) for _ in mine] for mine in versions]

    def chosen(model: tuple[int, ...]) -> list[np.ndarray]:
        return [mine[i] for mine, i in zip(where, model, strict=True)]

    def size(model: tuple[int, ...]) -> tuple[int, int, int, tuple[int, ...]]:
        """Most identified parameters first, then fewest others, then fewest changes."""
        keep = np.concatenate(chosen(model))
        return -gram.subset(keep).rank if len(keep) else 0, len(keep), np.count_nonzero(model), model

    queue, seen = [size((0,) * len(specs))], set()
    for _ in range(_MOST_MODELS):
        *_, model = heappop(queue)
        if not any(map(len, chosen(model))):
            return ""
        guilty = _fewest(gram, chosen(model))
        if not guilty:
            written = [bar.label for bar in criterion.design.parsed.random]
            texts = [mine[i].text for mine, i in zip(versions, model, strict=True)]
            in_order = sorted(zip((written.index(spec.label) for spec in specs), texts, strict=True), key=itemgetter(0))
            return " + ".join(text for _, text in in_order if text)
        for k in guilty:
            for i in range(model[k] + 1, len(versions[k])):
                smaller = (*model[:k], i, *model[k + 1 :])
                if smaller not in seen:
                    seen.add(smaller)
                    heappush(queue, size(smaller))
    return ""


def _reductions(spec: Any, term: Term) -> Iterator[_Version]:
    """Smaller versions of a term that a formula can say."""
    q, structure = term.q, term.structure
    intercept = f"(1 | {spec.factor})"
    if structure in ("us", "diag", "homdiag"):
        for kept in range(q, 0, -1):
            if kept not in (q, 1) and q > _MOST_EFFECTS:
                continue
            for smaller in ("us", "diag") if structure == "us" and kept > 1 else (structure,):
                text = "" if kept == q and smaller == structure else _write(spec, kept, smaller)
                if text:
                    yield _Version(text, _lifted(term, covariance_basis(smaller, kept)))
        if q == 1 or text == intercept:
            return
    if structure in _LESS:
        form = form_of(_LESS[structure], spec.names, spec.positions, spec.label)
        text = _LESS[structure] + spec.label.removeprefix(structure)
        yield _Version(text, _lifted(term, form.first(form.generic())))
    ones = np.ones(len(spec.matrix))
    combination = np.linalg.lstsq(spec.matrix, ones, rcond=None)[0]
    if np.allclose(spec.matrix @ combination, ones, atol=1e-8):
        yield _Version(intercept, _lifted(term, np.outer(combination, combination)[None]))


def _lifted(term: Term, D: np.ndarray) -> np.ndarray:
    """Directions among a term's first effects, in the working basis."""
    K = term.K[:, : D.shape[1]]
    return K @ D @ K.T


def _write(spec: Any, kept: int, structure: str) -> str:
    """The term with its first effects only; empty where they are not variables of the formula."""
    names = spec.names[:kept]
    if kept == len(spec.names):
        body = spec.label[spec.label.index("(") + 1 : spec.label.rindex("|")].strip()
    elif any("[" in name for name in names):
        return ""
    else:
        body = " + ".join(["1", *names[1:]] if names[0] == "Intercept" else ["0", *names])
    return f"({body} | {spec.factor})" if structure == "us" or kept == 1 else f"{structure}({body} | {spec.factor})"
