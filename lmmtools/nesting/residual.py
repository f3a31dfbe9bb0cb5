"""Which residual structures are special cases of which: decided from pairs of rows and columns of log s, not from text.

A correlation is a function of a key of each pair of rows (its distance, its pair of occasions); the one with fewer
parameters is a special case where the larger can give each of its keys a correlation of its own, or where one family
holds the other. Variance functions are linear in their parameters on the scale of log s, so that they are compared as
column spaces; a constant plus a power is not, and is matched by its covariate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.design.crossing import refines
from lmmtools.nesting.pairs import LINEAR, Pairs, Shifted, aligned, distinct_groups, is_spatial, pairs_of

__all__ = ["SAME", "Within", "residual_within"]

_OUTSIDE = 1e-8
_EQUAL = 1e-9


@dataclass(frozen=True)
class Within:
    """How a smaller model's residual structure stands to a larger's.

    Attributes
    ----------
    inside : bool
        Whether every R of the smaller is one of the larger's.
    same : bool
        Whether they are the same, parameter by parameter.
    rays : int
        Parameters of the larger that are on a bound in all of the smaller model: a nugget of zero.
    unknown : str
        Why no χ² or mixture holds, where none does: a parameter that means nothing in the smaller model.
    decided : bool
    why : str
        Where not inside, or not decided, a clause.
    """

    inside: bool
    same: bool = False
    rays: int = 0
    unknown: str = ""
    decided: bool = True
    why: str = ""

    def joined(self, other: Within) -> Within:
        """Of a correlation and of variance functions together."""
        return Within(
            self.inside and other.inside,
            self.same and other.same,
            self.rays + other.rays,
            self.unknown or other.unknown,
            self.decided and other.decided,
            self.why or other.why,
        )


SAME = Within(True, same=True)


def residual_within(small: Any, large: Any, *, correlation: Any = None) -> Within:
    """How the residual structure of one design stands to that of another, of the same rows.

    Parameters
    ----------
    small, large : Design
    correlation : Correlation, optional
        In place of the smaller's own: what its random effects amount to.
    """
    ours, theirs = small.residual, large.residual
    if correlation is None and ours is theirs:
        return SAME
    if correlation is None:
        correlation = None if ours is None else ours.correlation
    variances = () if ours is None else ours.variances
    others = () if theirs is None else theirs.variances
    found = _correlations(correlation, None if theirs is None else theirs.correlation)
    return found.joined(_variances(variances, others, len(small.y)))


def _correlations(small: Any, large: Any) -> Within:
    if small is None and large is None:
        return SAME
    if small is None:
        return _from_none(large)
    if large is None:
        return Within(False, why=f"has correlated residuals, `{small.label}`")
    if _identical(small, large):
        return SAME
    ours, theirs = pairs_of(small), pairs_of(large)
    if (ours is None or theirs is None) and (fewer := distinct_groups(small, large)):
        ours, theirs = map(pairs_of, fewer)
    if ours is None or theirs is None:
        return Within(False, decided=False, why="has residual groups of too many pairs of rows to compare")
    place, left = aligned(ours, theirs)
    kept = np.flatnonzero(place >= 0)
    if np.any(ours.key[left] >= 0):
        return Within(False, why=f"correlates residuals, `{small.label}`, that the other leaves uncorrelated")
    if large.kind in LINEAR:
        return _in_classes(small, large, ours, theirs, place)
    if isinstance(small, Shifted):
        return Within(False, decided=False, why=f"has `{small.label}` for its correlation, which is not looked for")
    if np.any(place < 0):
        return Within(False, why=f"leaves residuals uncorrelated, `{small.label}`, that the other correlates")
    return _in_family(small, large, ours.taken(place[kept]), theirs.taken(kept))


def _identical(a: Any, b: Any) -> bool:
    """Whether two correlations are the same, parameter by parameter."""
    parts = ("kind", "order", "nugget")
    arrays = ("codes", "positions", "by_codes", "lags")
    return all(getattr(a, k) == getattr(b, k) for k in parts) and all(
        np.array_equal(getattr(a, k), getattr(b, k)) for k in arrays
    )


def _from_none(large: Any) -> Within:
    """Independent residuals in a correlation structure."""
    if large.nugget:
        return Within(True, unknown=f"without correlation the range of `{large.label}` and its nugget mean nothing")
    if large.kind == "arma" and min(large.order) > 0:
        return Within(True, unknown=f"without correlation the two parts of `{large.label}` cancel, whatever their size")
    one_sided = is_spatial(large.kind) or large.kind == "car1" or (large.kind == "ar1" and _all_even(large))
    return Within(True, rays=len(large.by_levels) if one_sided else 0)


def _all_even(c: Any) -> bool:
    """Whether all lags within groups are even, so that φ and −φ are the same."""
    odd = np.mod(c.positions[:, 0], 2.0)
    sizes = np.bincount(c.codes)
    some = np.bincount(c.codes, weights=odd)
    return bool(np.all((some == 0) | (some == sizes)))


def _in_classes(small: Any, large: Any, ours: Pairs, theirs: Pairs, place: np.ndarray) -> Within:
    """In a structure with a parameter for each class of pairs: one correlation in each, none where it has none."""
    key = np.where(place >= 0, ours.key[place], -1) if len(ours.key) else np.full(len(place), -1)
    if np.any(key[theirs.key < 0] >= 0):
        return Within(False, why=f"correlates residuals, `{small.label}`, at distances where the other has none")
    order = np.argsort(theirs.key, kind="stable")
    classes, keys = theirs.key[order], key[order]
    if np.any((np.diff(classes) == 0) & (np.diff(keys) != 0) & (classes[1:] >= 0)):
        return Within(False, why=f"has different correlations, `{small.label}`, where the other has one")
    return Within(True)


def _in_family(small: Any, large: Any, ours: Pairs, theirs: Pairs) -> Within:
    """In a structure of a few parameters: of the same family, or of one that it holds."""
    no = Within(False, why=f"has the correlation `{small.label}`, which the other cannot express")
    if not refines(theirs.by, ours.by):
        return replace(no, why=f"has correlations by level of `{small.by}`, which the other has not")
    alike = np.allclose(ours.distance, theirs.distance, rtol=_EQUAL, atol=0.0)
    scaled = alike or _proportional(ours.distance, theirs.distance)
    a, b = small.kind, large.kind
    with_nugget = Within(True, rays=len(large.by_levels) * (large.nugget and not small.nugget))
    same = (a == b and is_spatial(a)) or {a, b} <= {"car1", "exp"}
    if same and scaled:
        return no if small.nugget and not large.nugget else with_nugget
    if not alike:
        return no
    if a == "ar1" and b in ("car1", "exp") and _all_even(small):
        return with_nugget
    if b == "ar1" and a in ("ar1", "car1"):
        return Within(True)
    if b == "arma":
        return _in_arma(small, large, no)
    return no


def _in_arma(small: Any, large: Any, no: Within) -> Within:
    p, q = (1, 0) if small.kind in ("ar1", "car1") else small.order if small.kind == "arma" else (np.inf, 0)
    if p > large.order[0] or q > large.order[1]:
        return no
    if p < large.order[0] and q < large.order[1]:
        return Within(True, unknown=f"the further parameters of `{large.label}` can cancel each other")
    return Within(True)


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    if not len(a) or a.max() <= 0.0 or b.max() <= 0.0:
        return len(a) == 0
    return bool(np.allclose(a / a.max(), b / b.max(), rtol=_EQUAL, atol=1e-12))


def _variances(small: Sequence[Any], large: Sequence[Any], n: int) -> Within:
    if len(small) == len(large) and all(_same_variance(a, b) for a, b in zip(small, large, strict=True)):
        return SAME
    ours, theirs, rays, unknown = _matched(list(small), list(large))
    if ours is None:
        return Within(False, why=f"has the variance function `{theirs}`, which the other cannot express")
    more, offset = _log_s(ours, n)
    span, given = _log_s(theirs, n)
    basis = np.column_stack([np.ones(n), span])
    size = np.sqrt((basis**2).sum(axis=0))
    Q = np.linalg.svd(basis / np.where(size > 0.0, size, 1.0), full_matrices=False)
    Q = Q[0][:, Q[1] > 1e-10 * Q[1][0]]
    for column in (*more.T, offset - given):
        rest = column - Q @ (Q.T @ column)
        if rest @ rest > _OUTSIDE**2 * max(float(column @ column), 1e-300):
            labels = " * ".join(part.label for part in ours) or "equal variances"
            return Within(False, why=f"has residual variances, `{labels}`, which the other cannot express")
    return Within(True, rays=rays, unknown=unknown)


def _same_variance(a: Any, b: Any) -> bool:
    """Whether two variance functions are the same; of fitted values, each has its own fit's."""
    given = (a.fitted and b.fitted) or np.array_equal(a.values, b.values)
    return a.kind == b.kind and np.array_equal(a.codes, b.codes) and given


def _matched(small: list[Any], large: list[Any]) -> tuple[list[Any] | None, Any, int, str]:
    """Without constants plus powers: those of the larger matched with the smaller's, or with its powers.

    Nor with functions of the fitted values that both have: their covariates differ from fit to fit.
    """
    rays, unknown = 0, ""
    for part in [one for one in large if one.fitted and one.kind != "varconstpower"]:
        equal = next((one for one in small if _same_variance(one, part)), None)
        if equal is not None:
            small.remove(equal)
            large.remove(part)
    for part in [one for one in large if one.kind == "varconstpower"]:
        large.remove(part)
        equal = next((one for one in small if _same_variance(one, part)), None)
        power = next((one for one in small if one.kind == "varpower" and _same_covariate(one, part)), None)
        if equal is not None:
            small.remove(equal)
        elif power is not None:
            small.remove(power)
            rays += len(part.levels)
        else:
            unknown = f"where the power of `{part.label}` is zero its constant means nothing"
    left = next((one for one in small if one.kind == "varconstpower"), None)
    return (None, left.label, 0, "") if left is not None else (small, large, rays, unknown)


def _same_covariate(a: Any, b: Any) -> bool:
    given = (a.fitted and b.fitted) or np.array_equal(np.abs(a.values), np.abs(b.values))
    return np.array_equal(a.codes, b.codes) and given


def _log_s(parts: Sequence[Any], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of log s along each parameter, shape (n, m), and what is known of it."""
    columns, offset = [np.zeros((n, 0))], np.zeros(n)
    for part in parts:
        own = part.codes[:, None] == np.arange(len(part.levels))
        if part.kind == "varident":
            columns.append(own[:, 1:].astype(float))
        elif part.kind == "varfixed":
            offset = offset + 0.5 * np.log(np.abs(part.values))
        else:
            value = np.log(np.abs(part.values)) if part.kind == "varpower" else part.values
            columns.append(own * value[:, None])
    return np.hstack(columns), offset
