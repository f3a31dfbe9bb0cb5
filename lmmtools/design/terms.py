"""Random terms of a design: lme4's order and names, positions, known covariances, structures of the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmtools.design.frame import Columns
from lmmtools.design.known import Known
from lmmtools.design.levels import Levels
from lmmtools.design.positions import Axis, axis_of_column, axis_of_matrix
from lmmtools.design.value import RandomTerm
from lmmtools.errors import ModelError
from lmmtools.formula import POSITIONAL, STRUCTURES, BarTerm, ParsedFormula
from lmmtools.formula.syntax import Name

if TYPE_CHECKING:
    from lmmtools.design.matrices import Blueprint, Matrices

__all__ = ["Left", "left_sides", "lme4_order", "random_terms", "structures_of"]


@dataclass(frozen=True, eq=False)
class Left:
    """The left side of one bar: names (q,), model matrix (n, q), and the axis where it holds positions."""

    names: tuple[str, ...]
    matrix: np.ndarray
    axis: Axis | None = None


def structures_of(parsed: ParsedFormula, own: Mapping[str, object] | None) -> dict[str, Any]:
    """What each structure's name stands for: itself, or the user's object.

    Raises
    ------
    ModelError
        If a formula that was parsed before names a structure that is not given.
    """
    own = dict(own or {})
    for bar in parsed.random:
        if bar.structure not in STRUCTURES and bar.structure not in own:
            raise ModelError(
                f"`{bar.label}` has a structure of your own, which is not given: pass it as "
                f"structures={{'{bar.structure}': …}}."
            )
    return {**own, **{name: name for name in STRUCTURES}}


def left_sides(
    parsed: ParsedFormula, blueprint: Blueprint, made: Matrices, columns: Columns, messages: list[str]
) -> tuple[Left, ...]:
    """Names and columns of every bar, positions as indicators."""
    found: dict[tuple[object, ...], Left] = {}
    sides = []
    for bar, part in zip(parsed.random, blueprint.bars, strict=True):
        key = (part, bar.terms, bar.structure in POSITIONAL)
        if key not in found:
            if bar.structure not in POSITIONAL:
                found[key] = Left(made.names[part], made.values[part])
            else:
                found[key] = _positional(bar, part, made, columns, messages)
        sides.append(found[key])
    return tuple(sides)


def _positional(bar: BarTerm, part: int | None, made: Matrices, columns: Columns, messages: list[str]) -> Left:
    node = bar.terms[0][0]
    if part is None and isinstance(node, Name):
        axis, codes = axis_of_column(node.value, columns.series[node.value], messages)
    else:
        name = bar.label[bar.label.index("(") + 1 : bar.label.rindex("|")].strip()
        axis, codes = axis_of_matrix(name, made.names[part], made.values[part], messages)
    return Left(axis.names, axis.indicators(codes), axis)


def random_terms(
    parsed: ParsedFormula,
    sides: tuple[Left, ...],
    groups: Mapping[tuple[str, ...], Levels],
    structures: Mapping[str, Any],
    known: Known,
    messages: list[str],
) -> tuple[RandomTerm, ...]:
    """Random terms in lme4's order, a factor's later ones numbered ``.1``, ``.2`` and so on."""
    order = lme4_order([len(groups[bar.group].levels) for bar in parsed.random])
    bars, names, seen = [parsed.random[k] for k in order], [], Counter()
    for bar in bars:
        names.append(f"{bar.factor}.{seen[bar.factor]}" if seen[bar.factor] else bar.factor)
        seen[bar.factor] += 1
    known.check_names([bar.factor for bar in bars], names)
    terms, labels = [], set()
    for k, bar, group in zip(order, bars, names, strict=True):
        side, found = sides[k], groups[bar.group]
        root = known.root(bar.factor, group, bar.label in labels, found.levels, messages)
        labels.add(bar.label)
        positions = None if side.axis is None else side.axis.places
        structure = structures[bar.structure]
        if not isinstance(structure, str):
            from lmmtools.core.structures import form_of

            form_of(structure, side.names, positions, bar.label)  # what does not answer as a structure is told first
        terms.append(
            RandomTerm(
                bar.label, bar.factor, group, structure, side.names, side.matrix, found.codes, found.levels,
                positions, root,
            )
        )  # fmt: skip
    return tuple(terms)


def lme4_order(levels: list[int]) -> list[int]:
    """Formula order where numbers of levels do not increase, else R's ``rev(order(levels))``."""
    if all(a >= b for a, b in pairwise(levels)):
        return list(range(len(levels)))
    return sorted(range(len(levels)), key=levels.__getitem__)[::-1]  # not reverse=True, which keeps ties in order
