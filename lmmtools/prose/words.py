"""Units, nouns and names as one says them: "0.66 mm a year", "27 children", "1 batch"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lmmtools.formats import counted
from lmmtools.formula.syntax import Call, Name, Node, Number, Op
from lmmtools.prose.value import literal

__all__ = ["amount", "at_zero", "capital", "groups", "moved", "noun", "step", "unit_of"]

_TIMES = {"second": "a", "minute": "a", "hour": "an", "day": "a", "week": "a", "month": "a", "year": "a"}
_PERCENT = ("%", "percent", "per cent")


def unit_of(design: Any) -> str:
    """Unit of the response; empty where none is known, as for a function of a column."""
    unit = design.units.get(design.response, "")
    return "percentage points" if unit in _PERCENT else unit


def amount(number: str, unit: str) -> str:
    """A number, as a table shows it, with its unit."""
    return f"{number} {literal(unit)}" if unit else number


def noun(design: Any, factor: str) -> tuple[str, str]:
    """What one level of a grouping factor is called, and several; ready for Markdown."""
    if factor in design.nouns:
        one, many = design.nouns[factor]
        return literal(one), literal(many)
    return f"level of {literal(factor)}", f"levels of {literal(factor)}"


def groups(design: Any, factor: str) -> str:
    """How many levels a grouping factor has: "27 children"."""
    return counted(design.ngroups[factor], *noun(design, factor))


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
    unit = _singular(units.get(column, ""))
    if not unit:
        return f"per unit of {literal(column)}"
    alike = [other for other in numbers if other != name and _singular(units.get(other, "")) == unit]
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


def _singular(unit: str) -> str:
    """A unit that is one English word, in the singular: years, inches, students; others as they are."""
    if not re.fullmatch(r"[a-z]{4,}", unit) or unit.endswith(("ss", "us", "is", "series")) or not unit.endswith("s"):
        return unit
    return re.sub(r"(?<=ch)es$|(?<=sh)es$|(?<=x)es$|s$", "", unit)


def capital(text: str) -> str:
    """`text` with the capital that begins a sentence, if it begins with a word in small letters."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]{2,}(?![\w\\(])", text) else text
