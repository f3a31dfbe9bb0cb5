"""Which terms of a model lie within which others."""

from __future__ import annotations

from collections.abc import Sequence

from lmmtools.design.fixed_terms import FixedTerm

__all__ = ["contains", "containing"]


def contains(larger: FixedTerm, smaller: FixedTerm) -> bool:
    """Whether all factors of the smaller term, and more, are in the larger, and the same covariates in both.

    So ``age`` lies within ``Sex:age`` and ``Sex`` does not; the intercept lies within every term without covariates.
    """
    return set(smaller.factors) < set(larger.factors) and set(smaller.covariates) == set(larger.covariates)


def containing(terms: Sequence[FixedTerm], i: int) -> list[int]:
    """Places of the terms that contain the i-th."""
    return [j for j, term in enumerate(terms) if contains(term, terms[i])]
