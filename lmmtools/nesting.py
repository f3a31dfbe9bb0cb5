"""Is every model of one design a model of another? Decided from column spaces, never from the formula's text.

A model is a set of normal distributions: means in the column space of X, covariances σ²(I + Σ t_k ZD_kZ') with T in
a cone. Both are free of coding, so contrasts, units and the order of terms make no difference here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.core.covariance import combine, covariance_basis, n_theta
from lmmtools.core.rank import column_rank
from lmmtools.core.working import Working, working_model
from lmmtools.formats import listed

__all__ = ["Nesting", "dimension", "nesting", "outside"]

# An eigenvalue of T this small beside the largest is a variance of zero, in units in which columns have size one.
_ZERO = 1e-6
# Columns that finer groups may take in coarser ones; cross-products of directions take their fourth power.
_MOST_COLUMNS = 20


@dataclass(frozen=True)
class Nesting:
    """How a smaller model stands to a larger one.

    Attributes
    ----------
    inside : bool
        Whether every model of the smaller design is one of the larger's.
    boundary : bool
        Whether all of them lie where the larger's covariance is singular.
    df : int
        By how many dimensions the larger goes further.
    fixed : tuple of str
        Fixed effects of the smaller that are no combination of the larger's.
    groups : bool
        Whether both group the rows alike, or one more finely in a way that the other's groups can hold.
    """

    inside: bool
    boundary: bool
    df: int
    fixed: tuple[str, ...]
    groups: bool

    def why_not(self, small: str, large: str, say: Callable[[Sequence[str]], str]) -> str:
        """Why the one is not nested in the other, as a clause about the two names; `say` lists fixed effects."""
        found = []
        if self.fixed:
            effect = "fixed effect" if len(self.fixed) == 1 else "fixed effects"
            found.append(f"{small} has the {effect} {say(self.fixed)}, which {large} has not")
        if not self.groups:
            found.append(f"{small} and {large} group the rows differently")
        elif not self.inside and not self.fixed:
            found.append(f"the random effects of {small} are no special case of those of {large}")
        return listed(found) if found else ""


def nesting(small: Any, large: Any) -> Nesting:
    """How one fit's model stands to another's.

    Parameters
    ----------
    small, large : LMMFit
        Of the same rows.

    Returns
    -------
    Nesting
    """
    fixed = outside(small.design, large.design)
    ours, theirs = _in_common_groups(small.design.terms, large.design.terms)
    # What is already settled by the means needs no cross-products of all rows.
    boundary = _at_boundary(ours, theirs, large.design) if ours and not fixed else None
    df = sum(dimension(large)) - sum(dimension(small))
    return Nesting(boundary is not None, bool(boundary), df, fixed, bool(ours))


def dimension(fit: Any) -> tuple[int, int]:
    """Dimensions of the means and of the covariances, σ² apart, that a model can take."""
    return len(fit.beta), fit.working.gram.rank


def outside(small: Any, large: Any) -> tuple[str, ...]:
    """Names of the smaller design's fixed effects outside the larger's column space."""
    p = large.X.shape[1]
    if small.X.shape == large.X.shape and np.array_equal(small.X, large.X):
        return ()
    kept = column_rank(np.column_stack([large.X, small.X])).kept
    return tuple(small.fixed_names[j - p] for j in kept if j >= p)


def _partitions_are_same(first: Any, second: Any) -> bool:
    pairs = np.unique(first.codes.astype(np.int64) * len(second.levels) + second.codes)
    return len(pairs) == len(first.levels) == len(second.levels)


def _in_common_groups(ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Terms of two models over one grouping of the rows, the coarser of theirs; empty where neither holds the other."""
    home = theirs[0]
    if _partitions_are_same(ours[0], home):
        return [replace(t, codes=home.codes, levels=home.levels) for t in ours], theirs
    if finer := _in_groups_of(ours, home):
        return finer, theirs
    finer = _in_groups_of(theirs, ours[0])
    return (ours, finer) if finer else ((), ())


def _in_groups_of(terms: Sequence[Any], home: Any) -> list[Any]:
    """Terms of finer groups in the coarser ones of another term; empty where these cannot hold them.

    Finer groups fit into coarser ones if none lies in two: the effects of the fine groups of one coarse group are
    then effects of that group, one for each place in it, which are independent and have one variance: `(1 | a:b)` is
    `homdiag(0 + b | a)`. With several effects that covary, no structure here says that.
    """
    fine = terms[0].codes.astype(np.int64)
    pairs, codes = np.unique(fine * len(home.levels) + home.codes, return_inverse=True)
    if len(pairs) != len(terms[0].levels):
        return []
    coarse = pairs % len(home.levels)
    order = np.argsort(coarse, kind="stable")
    places = np.empty(len(coarse), dtype=np.intp)
    places[order] = np.arange(len(coarse)) - np.searchsorted(coarse[order], coarse[order])
    effects = [(t, j) for t in terms for j in range(len(t.names))]
    covary = any(t.structure != "diag" and len(t.names) > 1 for t in terms)
    if covary or (int(places.max()) + 1) * len(effects) > _MOST_COLUMNS:
        return []
    return [_by_place(t, j, places[codes], home) for t, j in effects]


def _by_place(term: Any, effect: int, place: np.ndarray, home: Any) -> Any:
    """One effect of fine groups as effects of coarse ones, a column for each place."""
    matrix = np.asfortranarray((place[:, None] == np.arange(place.max() + 1)) * term.matrix[:, [effect]])
    names = tuple(f"{term.names[effect]} {k + 1}" for k in range(matrix.shape[1]))
    return replace(term, structure="homdiag", names=names, matrix=matrix, codes=home.codes, levels=home.levels)


def _at_boundary(terms: Sequence[Any], own: Sequence[Any], design: Any) -> bool | None:
    """None where covariances are not nested; else whether the smaller's all lie on the larger's boundary.

    The terms of both models, the smaller's and the larger's own, are put side by side in one design. The smaller is
    nested if its directions ZD_kZ' add nothing to the rank of the larger's Gram matrix, and if the edges of its
    cone, written in the larger's directions, are covariances there too. Its T = I, an interior point of its own
    cone, then says where it lies.
    """
    if _are_equal(terms, own):
        return False  # as where models differ in fixed effects alone: nothing to compute
    joint = working_model(replace(design, terms=(*own, *terms)))
    m = sum(n_theta(t.structure, len(t.names)) for t in own)
    rank = joint.gram.subset(np.arange(m)).rank
    if joint.gram.rank != rank:
        return None
    edges = _edges(joint, len(own))
    for without in (None, *range(len(own) if len(own) > 1 else 0)):  # a term that repeats another leaves a choice of T
        keep = _places(joint, [k for k in range(len(own)) if k != without])
        if joint.gram.subset(keep).rank == rank and all(_smallest(joint, keep, m, edge) > -_ZERO for edge in edges):
            return _smallest(joint, keep, m, _inside(joint, len(own))) < _ZERO
    return None


def _are_equal(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Whether random terms are the same, number for number."""
    return len(ours) == len(theirs) and all(
        a.structure == b.structure and np.array_equal(a.matrix, b.matrix) and np.array_equal(a.codes, b.codes)
        for a, b in zip(ours, theirs, strict=True)
    )


def _places(joint: Working, terms: list[int]) -> np.ndarray:
    """Where the directions of some terms stand."""
    return np.array([j for k in terms for j in range(joint.slices[k].start, joint.slices[k].stop)], dtype=np.intp)


def _smallest(joint: Working, keep: np.ndarray, m: int, t: np.ndarray) -> float:
    """Smallest eigenvalue, beside the largest, of the covariances T of some directions that equal the smaller's t."""
    between = joint.gram.between
    found = np.zeros(m)
    found[keep] = np.linalg.lstsq(between[np.ix_(keep, keep)], between[keep, m:] @ t, rcond=1e-10)[0]
    values = []
    for term, part in zip(joint.terms, joint.slices, strict=True):
        if part.start < m and np.isin(part.start, keep):
            values += list(np.linalg.eigvalsh(combine(found[part], covariance_basis(term.structure, term.q))))
    return float(min(values) / max(max(values), np.finfo(float).tiny))


def _inside(joint: Working, skip: int) -> np.ndarray:
    """Coordinates of T = I of the smaller model's terms, those after the first `skip`."""
    parts = [covariance_basis(t.structure, t.q) for t in joint.terms[skip:]]
    return np.concatenate([[float(np.trace(d) > 0.0) for d in D] for D in parts])


def _edges(joint: Working, skip: int) -> list[np.ndarray]:
    """Coordinates of edges of the smaller model's cone: vv' for unit vectors and sums and differences of two."""
    start, size = joint.slices[skip].start, joint.slices[-1].stop
    edges = []
    for term, part in zip(joint.terms[skip:], joint.slices[skip:], strict=True):
        for coordinates in _edges_of(term.structure, term.q):
            edge = np.zeros(size - start)
            edge[part.start - start : part.stop - start] = coordinates
            edges.append(edge)
    return edges


def _edges_of(structure: str, q: int) -> list[np.ndarray]:
    if structure != "us":
        return list(np.eye(q) if structure == "diag" else np.ones((1, 1)))
    unit = np.eye(q)
    pairs = [(unit[i], sign * unit[j]) for i in range(q) for j in range(i) for sign in (1.0, -1.0)]
    vectors = [*unit, *(a + b for a, b in pairs)]
    rows, columns = np.triu_indices(q)
    return [v[rows] * v[columns] for v in vectors]
