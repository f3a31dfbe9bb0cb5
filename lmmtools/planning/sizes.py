"""Designs of other sizes: levels of a factor, or rows within its levels, added as copies or left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np

from lmmtools.core.several.chainlevels import parents
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, listed, nearest, quoted
from lmmtools.resampling.copies import copied

__all__ = ["Picked", "Size", "picked", "read_sizes", "sizes_note"]

_PER = " per "


@dataclass(frozen=True, eq=False)
class Size:
    """What a size is the number of.

    Attributes
    ----------
    name : str
        As written: ``"Subject"``, ``"rows per Subject"``, ``"pupil per school"``, ``"rows"``.
    unit : str
        The factor whose levels are counted; empty for rows.
    within : str
        The factor in whose every level they are; empty without.
    """

    name: str
    unit: str
    within: str

    def counted(self, number: int) -> str:
        """So many of it, in words."""
        return f"{number} {self.name}" if self.within or not self.unit else f"{counted(number, 'level')} of {self.name}"


def read_sizes(sizes: Any, design: Any) -> tuple[tuple[Size, ...], list[tuple[int, ...]]]:
    """What is varied, and each combination of numbers in the order given; no size and one empty combination for none.

    Raises
    ------
    LMMError
        If `sizes` is no mapping of names to numbers, a name is neither a grouping factor nor rows or levels per one, or
        a number is no whole one of at least one.
    """
    if sizes is None:
        return (), [()]
    if not isinstance(sizes, Mapping) or not sizes:
        raise LMMError(
            "power: sizes takes grouping factors with the numbers of their levels, such as {'Subject': [10, 20, 40]}; "
            f"got {sizes!r}."
        )
    found = tuple(_size(name, design) for name in sizes)
    numbers = [_numbers(size, given) for size, given in zip(found, sizes.values(), strict=True)]
    return found, list(product(*numbers))


def _numbers(size: Size, given: Any) -> list[int]:
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else [given]
    least = 1 if size.within or not size.unit else 2
    for value in values:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise LMMError(
                f"power: sizes[{size.name!r}] must be whole numbers, at least {least}; got {value!r}."
            )
    if not values:
        raise LMMError(f"power: sizes[{size.name!r}] is empty: give one number or more.")
    if len(set(values)) < len(values):
        raise LMMError(f"power: sizes[{size.name!r}] has a number twice: {', '.join(map(str, values))}.")
    return [int(value) for value in values]


def _size(name: Any, design: Any) -> Size:
    groups = _groups(design)
    if name in groups:
        return Size(name, name, "")
    if name == "rows" and not groups:
        return Size(name, "", "")
    unit, per, within = str(name).rpartition(_PER)
    if per and within in groups and unit != within and (unit == "rows" or unit in groups):
        if unit != "rows" and not _lie_within(groups[unit], groups[within].codes):
            raise LMMError(
                f"power: sizes names {name!r}, but levels of `{unit}` do not lie within those of `{within}`: they "
                f"cross, and {{{unit!r}: …}} is the number of all of them."
            )
        return Size(str(name), "" if unit == "rows" else unit, within)
    inside = [(a, b) for a in groups for b in groups if a != b and _lie_within(groups[a], groups[b].codes)]
    known = [*groups, *(f"rows per {name}" for name in groups), *(f"{a} per {b}" for a, b in inside)] or ["rows"]
    raise LMMError(
        f"power: sizes names {str(name)!r}, whose number cannot be varied{nearest(str(name), known)}; what can is "
        f"{quoted(known)}. For other covariates, other times of measurement say, plan a frame of its own for each."
    )


def _groups(design: Any) -> dict[str, Any]:
    """What groups the rows, by name, each with its codes and levels: factors, and the residual groups."""
    found = {name: terms[0] for name, terms in design.factors.items()}
    c = design.correlation
    return found if c is None or not c.group else {c.group: c, **found}


def _lie_within(inner: Any, codes: np.ndarray) -> bool:
    return parents(inner.codes, len(inner.levels), codes) is not None


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows of a study of another size, for every design of the same rows.

    Attributes
    ----------
    what : str
        Of what there is another number.
    rows : ndarray of int, shape (n,)
        Rows of the design, one as often as it is copied.
    copies : ndarray of int, shape (n,)
        The number of the copy of its level that each belongs to.
    codes : ndarray of int or None
        Level of each row of the design, those that have copies; None where rows are copied within them.
    """

    what: str
    rows: np.ndarray
    copies: np.ndarray
    codes: np.ndarray | None

    @property
    def repeats(self) -> bool:
        """Whether a row comes more than once."""
        return len(np.unique(self.rows)) < len(self.rows)

    def of(self, design: Any) -> Any:
        """These rows of a design.

        Raises
        ------
        ModelError
            If new levels would need a covariance that is not known, or residuals of different levels are correlated,
            or copied rows would stand at one time.
        """
        nested = {name: self.codes is not None and _lie_within(terms[0], self.codes) for name, terms in
                  design.factors.items()}  # fmt: skip
        if self.repeats:
            _refuse_related(design, self.what, nested)
        c = design.correlation
        if c is not None and self.codes is not None and not _lie_within(c, self.codes):
            raise ModelError(
                f"levels of `{self.what}` cannot be added or left out: `{c.label}` correlates residuals of rows in "
                "different levels, whose groups would be cut apart."
            )
        if c is not None and self.codes is None and c.kind != "cs" and self.repeats:
            raise ModelError(
                f"some level has fewer rows than that, and copies would stand at the times of others, where "
                f"`{c.label}` has no two: plan a frame with more times."
            )
        return copied(design, self.rows, self.copies, nested)


def picked(design: Any, size: Size, number: int) -> Picked:
    """The rows of a study with another number of levels of a factor, or of rows or levels in each level of it."""
    groups = _groups(design)
    if size.unit:
        return _levels(design, groups, size, number)
    codes = groups[size.within].codes if size.within else np.zeros(len(design.y), dtype=np.intp)
    rows = np.concatenate([np.resize(own, number) for own in _rows_of(codes)])
    return Picked(size.name, rows, np.zeros(len(rows), dtype=np.intp), None)


def _levels(design: Any, groups: Mapping[str, Any], size: Size, number: int) -> Picked:
    """So many levels of a factor, in all or within each level of another."""
    unit = groups[size.unit].codes
    rows_of = _rows_of(unit)
    order = _in_proportion(design, size.unit, rows_of)
    if size.within:
        outer = groups[size.within].codes[[rows[0] for rows in rows_of]]
        chosen = np.concatenate([np.resize(order[outer[order] == j], number) for j in range(outer.max() + 1)])
    else:
        chosen = np.resize(order, number)
    copies = np.repeat(np.arange(len(chosen)), [len(rows_of[j]) for j in chosen])
    return Picked(size.unit, np.concatenate([rows_of[j] for j in chosen]), copies, unit)


def _rows_of(codes: np.ndarray) -> list[np.ndarray]:
    """The rows of each level, in their order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


def _refuse_related(design: Any, by: str, nested: Mapping[str, bool]) -> None:
    related = [n for n, terms in design.factors.items() if nested[n] and any(t.known_root is not None for t in terms)]
    if related:
        names = listed(f"`{name}`" for name in related)
        raise ModelError(
            f"more levels of `{by}` than there are would be copies, but a known covariance relates the levels of "
            f"{names}, and those of new ones are not known: plan a frame of all levels with their covariance."
        )


def _in_proportion(design: Any, by: str, rows_of: list[np.ndarray]) -> np.ndarray:
    """Levels in an order in which the first so many are of the same kinds as all, as nearly as whole levels can be.

    The k-th of J levels of a kind stands at (k − ½)/J. Levels are of one kind where all their rows are alike; where
    that tells most of them apart, where the columns that are constant within levels and have few values are alike; and
    where they lie within the same levels of other factors. Where all are of one kind, or no two, the order is theirs.
    """
    for kinds in _kinds(design, by, rows_of):
        if 1 < len(set(kinds)) <= len(kinds) / 2:
            place, seen = np.empty(len(kinds)), dict.fromkeys(kinds, 0)
            total = {kind: kinds.count(kind) for kind in seen}
            for j, kind in enumerate(kinds):
                place[j] = (seen[kind] + 0.5) / total[kind]
                seen[kind] += 1
            return np.argsort(place, kind="stable")
    return np.arange(len(rows_of))


def _kinds(design: Any, by: str, rows_of: list[np.ndarray]) -> Iterator[list[bytes]]:
    """Kinds of levels, from the finest distinction to the coarsest."""
    groups = _groups(design)
    outer = [g.codes for name, g in groups.items() if name != by and _lie_within(groups[by], g.codes)]
    first = np.array([rows[0] for rows in rows_of])
    above = np.column_stack([np.zeros(len(first)), *(codes[first] for codes in outer)])
    X = np.column_stack([design.X, *(t.matrix for t in design.terms)]) + 0.0  # −0 and 0 are one value, not one pattern
    patterns = [X[rows][np.lexsort(X[rows].T)].tobytes() if X.shape[1] else b"" for rows in rows_of]
    yield [a.tobytes() + pattern for a, pattern in zip(above, patterns, strict=True)]
    order, starts = np.concatenate(rows_of), np.cumsum([0, *map(len, rows_of[:-1])])
    low, high = (extreme.reduceat(X[order], starts) for extreme in (np.minimum, np.maximum))
    between = X[first][:, np.all(low == high, axis=0)]
    few = [j for j in range(between.shape[1]) if len(np.unique(between[:, j])) <= len(first) / 2]
    yield [row.tobytes() for row in np.column_stack([above, between[:, few]])]
    yield [row.tobytes() for row in between[:, few]]
    yield [row.tobytes() for row in above]


def sizes_note(sizes: Iterable[Size], design: Any) -> str:
    """How designs of other sizes were made."""
    sizes = list(sizes)
    had = [f"{counted(len(group.levels), 'level')} of {name}" for name, group in _groups(design).items()]
    made = []
    if any(size.unit for size in sizes):
        made.append("the first so many levels, in an order that keeps their kinds in proportion")
    if any(not size.unit for size in sizes):
        made.append("the first so many rows")
    about = f" ({listed(had)})" if had else ""
    return (
        f"Sizes are made of the {len(design.y)} rows planned{about}: {listed(made)}, with copies from the first on "
        "where more are needed."
    )
