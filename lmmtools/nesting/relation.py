"""Is every model of one design a model of another? Decided from column spaces, never from the formula's text.

A model is a set of normal distributions: means in the column space of X, covariances σ²(I + Σ Z_kT_kZ_k') with each T_k
of its structure. Both are free of coding, so contrasts, units, the order of terms and how groups are written make no
difference here: `(1 | a:b)` is found inside `homcs(0 + b | a)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.basis import is_constant
from lmmtools.core.rank import column_rank
from lmmtools.design.residual import Correlation
from lmmtools.formats import listed
from lmmtools.nesting.directions import Space, same_groups, space_of
from lmmtools.nesting.members import examples, hull, is_cone, is_covariance, is_known
from lmmtools.nesting.pairs import Shifted
from lmmtools.nesting.residual import SAME, Within, residual_within

__all__ = ["Joint", "Nesting", "dimension", "nesting", "outside"]

# An eigenvalue of T this small beside the largest is a variance of zero, in units in which columns have size one.
_ZERO = 1e-6
# Share of a direction's square outside a space below which it lies in the space, and of an eigenvalue that is zero.
_OUTSIDE, _NULL = 1e-9, 1e-11
# Terms of the larger model of which every choice is tried, where they leave a choice of covariances.
_MOST_TERMS = 4


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
    random : tuple of str
        Random terms of the smaller whose covariances no combination of the larger's directions gives.
    decided : bool
        Whether the covariances could be compared; where not, nothing is said to be inside.
    residual : Within
        How the residual structures stand to each other.
    same_terms : bool
        Whether the random effects are the same, number for number.
    """

    inside: bool
    boundary: bool
    df: int
    fixed: tuple[str, ...]
    random: tuple[str, ...]
    decided: bool = True
    residual: Within = SAME
    same_terms: bool = False

    def why_not(self, small: str, large: str, say: Callable[[Sequence[str]], str]) -> str:
        """Why the one is not nested in the other, as a clause about the two names; `say` lists effects."""
        found = []
        if self.fixed:
            effect = "fixed effect" if len(self.fixed) == 1 else "fixed effects"
            found.append(f"{small} has the {effect} {say(self.fixed)}, which {large} has not")
        if self.random:
            term = "random term" if len(self.random) == 1 else "random terms"
            found.append(f"{small} has the {term} {say(self.random)}, which {large} cannot express")
        elif self.residual.why:
            found.append(f"{small} {self.residual.why.replace('the other', large)}")
        elif not self.decided:
            found.append(f"whether the random effects of {small} are a special case of those of {large} is not decided")
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

    Notes
    -----
    The larger's covariances are known by the linear space that they span and by what in it is a covariance of the
    structures. Edges and typical points of the smaller's are looked for there; where the larger's terms leave a choice
    of T, so that one that fits could be missed, `decided` is false.
    """
    fixed = outside(small.design, large.design)
    df = sum(dimension(large)) - sum(dimension(small))
    ours, theirs = small.design.terms, large.design.terms
    if ours and not theirs:
        return _without_terms(small, large, fixed, df)
    R = residual_within(small.design, large.design)
    if _are_equal(ours, theirs):  # as where models differ in fixed effects alone: nothing to compute
        return Nesting(not fixed and R.inside, R.rays > 0, df, fixed, (), R.decided, R, same_terms=True)
    if fixed or not R.inside:  # what is already settled needs no cross-products of all rows
        return Nesting(False, False, df, fixed, (), R.decided, R)
    if not ours:
        return Nesting(True, True, df, fixed, (), True, R)
    found = Joint(space_of((*theirs, *ours), large.design.weights), theirs, ours)
    beyond = found.beyond()
    if beyond:  # a correlation that only the larger has may express what its random effects do not
        return Nesting(False, False, df, fixed, beyond, R.same or not _is_correlated(large.design), R)
    inside, boundary, decided = found.verdict()
    return Nesting(inside, boundary or R.rays > 0, df, fixed, (), decided, R)


def _without_terms(small: Any, large: Any, fixed: tuple[str, ...], df: int) -> Nesting:
    """A model with random effects in one without: where these are one correlation within groups, ρ = τ²/(τ² + 1)."""
    terms = small.design.terms
    as_residual = _as_correlation(small.design)
    if as_residual is None or not _is_correlated(large.design):
        labels = tuple(t.label for t in terms)
        return Nesting(False, False, df, fixed, labels, not _is_correlated(large.design))
    R = residual_within(small.design, large.design, correlation=as_residual)
    inside = not fixed and R.inside
    return Nesting(inside, False, df, fixed, () if R.inside else (terms[0].label,), R.decided, R)


def _is_correlated(design: Any) -> bool:
    """Whether residuals are correlated."""
    return design.correlation is not None


def _as_correlation(design: Any) -> Correlation | Shifted | None:
    """What a random intercept with residuals of equal variance is: compound symmetry, with theirs if they have one.

    None for other models.
    """
    own = design.correlation
    equal = design.residual is None or not design.residual.variances
    if len(design.terms) != 1 or design.weights is not None or not equal:
        return None
    (term,), n = design.terms, len(design.y)
    if term.matrix.shape[1] != 1 or term.known_root is not None or not is_constant(term.matrix[:, 0]):
        return None
    codes, none = np.asarray(term.codes, dtype=np.intp), np.zeros(n, dtype=np.intp)
    levels, nowhere = pd.Index(term.levels), np.zeros((n, 0))
    groups = Correlation(
        "cs", term.label, term.factor, codes, levels, nowhere, (), (), np.zeros(0), (0, 0), False, "", none, ("",)
    )
    return groups if own is None else Shifted(groups, own)


def dimension(fit: Any) -> tuple[int, int]:
    """Dimensions of the means and of the covariances, σ² apart, that a model can take."""
    residual = fit.design.residual
    of_residual = 0 if residual is None else len(residual.names)
    return len(fit.beta), (fit.working.gram.rank if fit.design.terms else 0) + of_residual


def outside(small: Any, large: Any) -> tuple[str, ...]:
    """Names of the smaller design's fixed effects outside the larger's column space."""
    p = large.X.shape[1]
    if small.X.shape == large.X.shape and np.array_equal(small.X, large.X):
        return ()
    kept = column_rank(np.column_stack([large.X, small.X])).kept
    return tuple(small.fixed_names[j - p] for j in kept if j >= p)


def _are_equal(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Whether random terms are the same, number for number."""
    return len(ours) == len(theirs) and all(_is_same(a, b) for a, b in zip(ours, theirs, strict=True))


def _is_same(a: Any, b: Any) -> bool:
    roots = (a.known_root, b.known_root)
    return (
        _same_structure(a, b)
        and np.array_equal(a.matrix, b.matrix)
        and np.array_equal(a.codes, b.codes)
        and ((roots[0] is None) == (roots[1] is None) and (roots[0] is None or np.array_equal(*roots)))
    )


def _same_structure(a: Any, b: Any) -> bool:
    places = [t.positions if t.positions is not None else np.arange(len(t.names)) for t in (a, b)]
    return (a.structure is b.structure or a.structure == b.structure) and np.array_equal(*places)


class Joint:
    """The terms of two models, the larger's first, over the same rows.

    Parameters
    ----------
    space : Space
        Of all the terms.
    theirs, ours : sequence of RandomTerm
        The larger's terms and the smaller's.
    """

    def __init__(self, space: Space, theirs: Sequence[Any], ours: Sequence[Any]) -> None:
        self.space, self.theirs, self.ours = space, theirs, ours
        self.mine = range(len(theirs), len(theirs) + len(ours))
        self.hulls = [hull(term) for term in space.terms]
        self.directions = [(k, D) for k, basis in enumerate(self.hulls) for D in basis]
        self.owner = np.array([k for k, _ in self.directions])
        self.gram = space.inner(self.directions)
        self.bases: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def points(self) -> tuple[list[dict[int, np.ndarray]], list[dict[int, np.ndarray]]]:
        """Covariances of the smaller's terms: typical ones of all together, and edges of each."""
        own = {k: examples(self.space.terms[k]) for k in self.mine}
        together = []
        for i in range(max(len(some.typical) for some in own.values())):
            one = {}
            for j, (k, some) in enumerate(own.items()):
                one[k] = (1.0 + 0.3 * j) * some.typical[(i + j) % len(some.typical)]
            together.append(one)
        return together, [{k: T} for k, some in own.items() for T in some.edges]

    def _inner(self, point: dict[int, np.ndarray]) -> tuple[np.ndarray, float]:
        """Inner products of all directions with a point, and of the point with itself."""
        t = np.zeros(len(self.directions))
        for k, T in point.items():
            where = self.owner == k
            t[where] = _coordinates(self.hulls[k], T)
        return self.gram @ t, float(t @ self.gram @ t)

    def _basis(self, terms: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Which directions are some of the larger's terms', and combinations of them that are orthonormal in V."""
        if terms not in self.bases:
            keep = np.flatnonzero(np.isin(self.owner, terms))
            square = np.diagonal(self.gram)[keep]
            # a direction that V does not have is rounding of either sign, and is not to be blown up
            scale = np.sqrt(np.where(square > _NULL * square.max(initial=0.0), square, np.inf))
            values, vectors = np.linalg.eigh(self.gram[np.ix_(keep, keep)] / np.outer(scale, scale))
            held = values > _NULL * max(values[-1], 1.0)
            self.bases[terms] = keep, vectors[:, held] / np.sqrt(values[held]) / scale[:, None]
        return self.bases[terms]

    def _solve(self, point: dict[int, np.ndarray], terms: tuple[int, ...]) -> dict[int, np.ndarray] | None:
        """Covariances of some of the larger's terms that give the same V as a point, if there are any."""
        keep, basis = self._basis(terms)
        with_point, square = self._inner(point)
        along = basis.T @ with_point[keep]
        if square - along @ along > _OUTSIDE * square:
            return None
        t = basis @ along
        owner = self.owner[keep]
        return {k: np.tensordot(t[owner == k], self.hulls[k], 1) for k in terms}

    def unique(self) -> bool:
        """Whether V says what each of the larger's T is."""
        keep, basis = self._basis(tuple(range(len(self.theirs))))
        return basis.shape[1] == len(keep)

    def beyond(self) -> tuple[str, ...]:
        """Labels of the smaller's terms that leave the space the larger spans."""
        every = tuple(range(len(self.theirs)))
        found = []
        for k, term in zip(self.mine, self.ours, strict=True):
            some = examples(self.space.terms[k])
            if all(self._solve({k: T}, every) is None for T in some.typical):
                found.append(term.label if term.known_root is None else f"{term.label} with known covariances")
        return tuple(found)

    def verdict(self) -> tuple[bool, bool, bool]:
        """Whether the smaller is inside, whether on the boundary, and whether that is decided."""
        together, edges = self.points
        made = [self.found(point) for point in together]
        if all(made) and all(self.found(edge) for edge in edges):
            return True, all(_smallest(one) < _ZERO for one in made), True
        if homes := self.assigned():
            return True, len(homes) < len(self.theirs), True
        theirs = self.space.terms[: len(self.theirs)]
        return False, False, all(is_known(term) for term in theirs) and (self.unique() or all(map(is_cone, theirs)))

    def found(self, point: dict[int, np.ndarray], among: Sequence[int] | None = None) -> dict[int, np.ndarray] | None:
        """Covariances of the larger's structures that give the V of a point; fewer terms where all leave a choice.

        A point has T of some of the smaller's terms, by their places, in working columns; so has what is returned,
        for every term of the larger.
        """
        n, among = len(self.theirs), range(len(self.theirs)) if among is None else among
        for size in range(len(among), 0, -1) if n <= _MOST_TERMS else [len(among)]:
            for terms in combinations(among, size):
                made = self._solve(point, terms)
                largest = max(np.linalg.norm(T, 2) for T in made.values()) if made else 0.0
                if made and all(is_covariance(self.space.terms[k], T, _ZERO * largest) for k, T in made.items()):
                    none = {k: np.zeros((self.space.terms[k].q,) * 2) for k in range(n)}
                    return none | made
        return None

    def assigned(self) -> dict[int, int] | None:
        """A term of the larger for each of the smaller's that holds it by itself, no term for two."""
        theirs = range(len(self.theirs))
        holds = {k: [j for j in theirs if self._holds(j, k)] for k in self.mine}
        for homes in permutations(theirs, len(self.ours)):
            if all(j in holds[k] for k, j in zip(self.mine, homes, strict=True)):
                return dict(zip(self.mine, homes, strict=True))
        return None

    def _holds(self, j: int, k: int) -> bool:
        """Whether each covariance of the smaller's term k is one of the larger's term j."""
        a, b = self.ours[k - len(self.theirs)], self.theirs[j]
        if same_groups(a, b) and _same_structure(a, b) and np.array_equal(a.matrix, b.matrix):
            return True
        some = examples(self.space.terms[k])
        return all(self.found({k: T}, [j]) is not None for T in (*some.typical, *some.edges))


def _coordinates(basis: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Coordinates of T in a basis of a space that holds it."""
    return np.linalg.lstsq(basis.reshape(len(basis), -1).T, T.ravel(), rcond=None)[0]


def _smallest(made: dict[int, np.ndarray]) -> float:
    """Smallest eigenvalue of some covariances beside the largest."""
    values = [value for T in made.values() for value in np.linalg.eigvalsh(T)]
    return float(min(values) / max(max(values), np.finfo(float).tiny))
