"""Where a smaller model's covariance lies among a larger's, and in which directions the smaller can move there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.terms import Term
from lmmtools.nesting.directions import space_of
from lmmtools.nesting.members import examples
from lmmtools.nesting.relation import Joint

__all__ = ["Embedding", "embedding", "nothing"]


@dataclass(frozen=True)
class Embedding:
    """A smaller fit among the covariances of a larger, each T in the working columns of `terms`.

    Attributes
    ----------
    terms : tuple of Term
        The larger's terms, columns of unit size.
    fitted : tuple of ndarray, shape (q, q)
        T of each at the smaller's estimate.
    typical : tuple of ndarray, shape (q, q)
        The same at a point inside the smaller model with no variance near zero: what is singular here is so in all of
        the smaller model.
    """

    terms: tuple[Term, ...]
    fitted: tuple[np.ndarray, ...]
    typical: tuple[np.ndarray, ...]

    def back(self, k: int) -> np.ndarray:
        """A with ATA' the k-th term's T in its own columns, in which Λ is given, for T in working ones."""
        scale = self.terms[k].scale
        return np.diag(1.0 / scale) if scale.ndim == 1 else np.linalg.inv(scale)

    def own(self, k: int, T: np.ndarray) -> np.ndarray:
        """T of the k-th term in its own columns, shape (q, q)."""
        A = self.back(k)
        return A @ T @ A.T


def embedding(small: Any, large: Any) -> Embedding | None:
    """Where the estimate of a nested fit lies in the larger model.

    Parameters
    ----------
    small, large : LMMFit
        Of the same rows, the one nested in the other.

    Returns
    -------
    Embedding or None
        None where the larger's T is not determined by V, so that there is no one place.
    """
    ours, theirs = small.design.terms, large.design.terms
    space = space_of((*theirs, *ours), large.design.weights)
    joint = Joint(space, theirs, ours)
    if not joint.unique():
        return None
    fitted = {k: _scaled(space.terms[k], L @ L.T) for k, L in zip(joint.mine, small.Lambda, strict=True)}
    typical = {k: (1.0 + 0.3 * i) * examples(space.terms[k]).typical[0] for i, k in enumerate(joint.mine)}
    places = [_placed(joint, point) for point in (fitted, typical)]
    if None in places:
        return None
    return Embedding(space.terms[: len(theirs)], *places)


def nothing(large: Any) -> Embedding:
    """The model without random effects among those of a fit."""
    terms = space_of(large.design.terms, large.design.weights).terms
    zero = tuple(np.zeros((term.q, term.q)) for term in terms)
    return Embedding(terms, zero, zero)


def _placed(joint: Joint, point: Mapping[int, np.ndarray]) -> tuple[np.ndarray, ...] | None:
    found = joint.found(point)
    if found is None:  # as with a structure of the user's own, of whose members nothing is known
        found = _term_by_term(joint, point)
    return None if found is None else tuple(found[k] for k in range(len(joint.theirs)))


def _term_by_term(joint: Joint, point: Mapping[int, np.ndarray]) -> dict[int, np.ndarray] | None:
    """Each of the smaller's terms within one of the larger's, equal terms as they are; zero for the others."""
    homes = joint.assigned()
    if homes is None:
        return None
    made = {k: np.zeros((term.q, term.q)) for k, term in enumerate(joint.space.terms[: len(joint.theirs)])}
    for k, home in homes.items():
        ours, theirs = joint.space.terms[k], joint.space.terms[home]
        if ours.structure == theirs.structure and np.array_equal(ours.S, theirs.S):
            made[home] = point[k]
            continue
        found = joint.found({k: point[k]}, [home])
        if found is None:
            return None
        made[home] = found[home]
    return made


def _scaled(term: Term, T: np.ndarray) -> np.ndarray:
    """T in working columns, from the term's own."""
    scale = np.diag(term.scale) if term.scale.ndim == 1 else term.scale
    return scale @ T @ scale.T
