"""The model in which some effects of one term do not vary, and how its points look in the full one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmtools.core.covariance import theta_of_covariance
from lmmtools.core.criterion import Criterion
from lmmtools.core.terms import Term
from lmmtools.profiles.forms import Held
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.path import Way

__all__ = ["way_without"]


def way_without(origin: Origin, term: int, effects: tuple[int, ...]) -> Way:
    """The criterion with the variances of some effects at zero, of one term; no slope.

    Of a term with one variance for all effects nothing is left; one with own variances and one correlation loses the
    correlation with all effects but one.
    """
    w = origin.working
    left = _left(w.terms[term], effects)
    terms, homes = list(w.terms), list(w.homes)
    starts = [origin.theta[part] for part in w.places]
    if left is None:
        del terms[term], homes[term], starts[term]
    else:
        terms[term] = left
        starts[term] = _start(w.terms[term], left, starts[term], origin.factors[term], effects)
    if not starts:
        return Way(origin.free, None, lambda *_: np.nan)
    held = Criterion(origin.fit.design, reml=False, working=replace(w, terms=tuple(terms), homes=tuple(homes)))

    def factors(found: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        size = len(origin.factors[term])
        others = [i for i in range(size) if i not in effects]
        full = np.zeros((size, size))
        if left is not None:
            full = found[term] if left.form is not None else full
            if left.form is None:
                full[np.ix_(others, range(len(others)))] = found[term]
        return (*found[:term], full, *found[term + (left is not None) :])

    return Way(held, np.concatenate(starts), lambda *_: np.nan, factors)


def _left(term: Term, effects: tuple[int, ...]) -> Term | None:
    """What is left of a term; None where nothing is."""
    others = [i for i in range(term.q) if i not in effects]
    if not others or term.structure == "homdiag" or getattr(term.form, "common", False):
        return None
    if term.form is not None and len(others) > 1:
        return replace(term, form=Held(term.form, effects[0], 0.0))
    K = term.K[:, others]
    size = np.sqrt((K**2).sum(axis=0))
    size[size == 0.0] = 1.0
    structure = term.structure if term.form is None else "us"
    return Term(structure, K, K / size, size, term.spread[others])


def _start(term: Term, left: Term, theta: np.ndarray, Lambda: np.ndarray, effects: tuple[int, ...]) -> np.ndarray:
    if left.form is not None:
        return np.delete(theta, effects[0])
    others = [i for i in range(len(Lambda)) if i not in effects]
    return theta_of_covariance(left.structure, (Lambda @ Lambda.T)[np.ix_(others, others)])
