"""Units, nouns and names as one says them: "0.66 mm a year", "27 children", "1 batch"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lmmtools.formats import counted, is_scale, listed, singular
from lmmtools.formula.syntax import Call, Name, Node, Number, Op
from lmmtools.formula.translate import columns as columns_of
from lmmtools.prose.value import literal

__all__ = [
    "amount",
    "at_zero",
    "capital",
    "finest",
    "from_coarse",
    "groups",
    "in_unit",
    "inner",
    "level_unit",
    "moved",
    "noun",
    "residual_groups",
    "step",
    "unit_of",
]

_TIMES = {"second": "a", "minute": "a", "hour": "an", "day": "a", "week": "a", "month": "a", "year": "a"}
_PERCENT = ("%", "percent", "per cent")


def unit_of(design: Any) -> str:
    """Unit of a change of the response; empty where none is known, as for a function of a column."""
    unit = level_unit(design)
    return "percentage points" if unit in _PERCENT else unit


def level_unit(design: Any) -> str:
    """Unit of the response itself: a mean is 40 %, a change 4 percentage points."""
    unit = design.units.get(design.response, "")
    return "" if is_scale(unit) else unit


def amount(number: str, unit: str) -> str:
    """A number, as a table shows it, with its unit."""
    return f"{number} {literal(unit)}" if unit else number


def in_unit(unit: str) -> str:
    """A unit in a list of facts: "in mm", or "a count" for what names a scale."""
    if is_scale(unit):
        return f"{'an' if unit[:1].lower() in 'aeiou' else 'a'} {literal(unit)}"
    return f"in {literal(unit)}"


def noun(design: Any, factor: str) -> tuple[str, str]:
    """What one level of a grouping factor is called, and several; ready for Markdown.

    Of `batch:cask` it is "cask of a batch" where `cask` stands for nothing else in the model, and "combination of
    worker and machine" where both do.
    """
    if factor in design.nouns:
        one, many = design.nouns[factor]
        return literal(one), literal(many)
    *above, last = parts = _parts(design, factor)
    if not above or not all(part in design.nouns for part in parts):
        return f"level of {literal(factor)}", f"levels of {literal(factor)}"
    if ":".join(above) in design.ngroups and last not in _elsewhere(design, factor):
        (one, many), (outer, outers) = design.nouns[last], noun(design, ":".join(above))
        article = "an" if outer[:1] in "aeiou" else "a"
        return f"{literal(one)} of {article} {outer}", f"{literal(many)} within {outers}"
    ones = listed(literal(design.nouns[part][0]) for part in parts)
    return f"combination of {ones}", f"combinations of {ones}"


def from_coarse(design: Any) -> list[str]:
    """The grouping factors, those of one column before combinations."""
    return sorted(design.ngroups, key=lambda factor: len(_parts(design, factor)))


def finest(design: Any) -> list[str]:
    """The grouping factors whose columns are not all part of another's."""
    parts = {factor: set(_parts(design, factor)) for factor in from_coarse(design)}
    return [f for f, own in parts.items() if not any(own < other for other in parts.values())]


def _parts(design: Any, factor: str) -> tuple[str, ...]:
    """The columns whose combinations a factor's levels are."""
    return next((bar.group for bar in design.parsed.random if bar.factor == factor), (factor,))


def _elsewhere(design: Any, factor: str) -> set[str]:
    """Columns of the fixed part, and of all factors but one and those that go on from it."""
    fixed = {name for term in design.parsed.fixed_terms for part in term for name in columns_of(part)}
    others = [bar.group for bar in design.parsed.random if not f"{bar.factor}:".startswith(f"{factor}:")]
    return fixed | {name for group in others for name in group}


def groups(design: Any, factor: str) -> str:
    """How many levels a grouping factor has: "27 children"."""
    return counted(design.ngroups[factor], *noun(design, factor))


def residual_groups(design: Any) -> str:
    """How many groups the residuals are correlated in: "27 children"; empty where they are in none."""
    c = design.correlation
    return counted(len(c.levels), *noun(design, c.group)) if c is not None and c.group else ""


def step(name: str, node: Node | None, units: Mapping[str, str], numbers: Iterable[str]) -> str:
    """One unit of a number, as one says it after a change: "a year", "per point of score", "per unit of x".

    Parameters
    ----------
    name : str
        The variable as coefficients spell it.
    node : Node
        The variable in the formula.
    units : Mapping
        Units of columns.
    numbers : iterable of str
        All variables of the formula, to tell whether a unit alone says which of them is meant.
    """
    match node:
        case Call(func="scale" | "standardize", args=(Name(value=inner),), keywords=()):
            return f"per standard deviation of {literal(inner)}"
        case Call(func="log2", args=(Name(value=inner),)):
            return f"for each doubling of {literal(inner)}"
        case Call(func="log10", args=(Name(value=inner),)):
            return f"for each tenfold increase of {literal(inner)}"
    column = moved(node) if node is not None else name
    if column is None:
        return f"per unit of {literal(name)}"
    unit = singular(units.get(column, ""))
    if not unit or is_scale(unit):
        return f"per unit of {literal(column)}"
    alike = [other for other in numbers if other != name and singular(units.get(other, "")) == unit]
    if unit in _TIMES and not alike:
        return f"{_TIMES[unit]} {unit}"
    return f"per {literal(unit)} of {literal(column)}"


def at_zero(name: str, node: Node | None) -> str:
    """Where a number is zero: "age is 0", "age is at its mean" for centred columns, "age is 11" for age less 11."""
    match node:
        case Call(func="center", args=(Name(value=inner),)):
            return f"{literal(inner)} is at its mean"
        case Call(func="scale" | "standardize", args=(Name(value=inner),), keywords=()):
            return f"{literal(inner)} is at its mean"
        case Call(func="I", args=(Op(op="-", left=Name(value=inner), right=Number(value=value)),)):
            return f"{literal(inner)} is {literal(value)}"
    return f"{literal(name)} is 0"


def moved(node: Node | None) -> str | None:
    """The column that a variable is, but for a number taken off: ``age`` of ``center(age)`` and ``I(age - 11)``."""
    match node:
        case Name(value=inner):
            return inner
        case Call(func="center", args=(Name(value=inner),)):
            return inner
        case Call(func="I", args=(Op(op="-", left=Name(value=inner), right=Number()),)):
            return inner
    return None


def inner(node: Node | None) -> str | None:
    """The column that a variable is, but for where its zero lies and how large its unit is."""
    match node:
        case Call(func="scale" | "standardize", args=(Name(value=column),), keywords=()):
            return column
    return moved(node)


def capital(text: str) -> str:
    """`text` with the capital that begins a sentence, if it begins with a word in small letters."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]{2,}(?![\w\\(])", text) else text
