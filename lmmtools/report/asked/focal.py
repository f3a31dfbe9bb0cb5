"""Which coefficient is meant: its name in the model, also when it is written as a reader or as R would."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["coefficient_names", "meant"]

_CODING = re.compile(r"\[[A-Z]+\.")  # what is put before a level to say how it is coded: Sex[T.Female]
_OPEN, _CLOSE = "([{", ")]}"


def coefficient_names(formula: str, rows: pd.DataFrame) -> tuple[str, ...] | None:
    """Return the names of a model's coefficients; None if the model cannot be built of these rows."""
    from lmmtools import FormulaError, LMMError, build_design, parse_formula

    try:
        parsed = parse_formula(formula)
    except FormulaError:
        return None
    if simple := _without_building(parsed.fixed_terms, rows):
        return simple
    try:
        design = build_design(replace(parsed, random=()), rows)
    except LMMError:
        return None  # said of the formula or the data, or by the run
    return (*design.fixed_names, *design.dropped_columns)


def _without_building(terms: Iterable[tuple], rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the names where each is that of a number; nothing where a design must be built to know them."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    names = []
    for term in terms:
        name = getattr(term[0], "value", None) if len(term) == 1 else "" if term else "Intercept"
        if not isinstance(name, str) or not name:
            return ()
        column = rows.get(name) if term else None
        if term and (column is None or is_bool_dtype(column.dtype) or not is_numeric_dtype(column.dtype)):
            return ()
        names.append(name)
    return tuple(names)


def meant(asked: str, names: Iterable[str]) -> str:
    """Return the coefficient of this name, or the only one that it can stand for; nothing if there is none.

    ``Sex[Female]`` and R's ``SexFemale`` stand for ``Sex[T.Female]``, ``b:a`` stands for ``a:b``, ``I(x^2)`` for
    ``I(x ** 2)``, ``(Intercept)`` for ``Intercept``.
    """
    names = list(names)
    if asked in names:
        return asked
    for bare in (False, True):
        found = [name for name in names if _key(name, bare) == _key(asked, bare)]
        if found:
            return found[0] if len(found) == 1 else ""
    return ""


def _key(name: str, bare: bool) -> list[str]:
    """Return the parts of a coefficient's name, in no order and without what is spelt in more than one way."""
    return sorted(_plain(part, bare) for part in _parts(name))


def _plain(part: str, bare: bool) -> str:
    part = _CODING.sub("[", "".join(part.split())).replace("^", "**").replace("`", "")
    part = re.sub(r"^(as\.)?factor\(", "C(", part)
    part = "Intercept" if part == "(Intercept)" else part
    return part.replace("[", "").replace("]", "") if bare else part


def _parts(name: str) -> list[str]:
    """Return what colons join, colons within brackets left alone."""
    parts, depth = [""], 0
    for char in name:
        depth = max(0, depth + (char in _OPEN) - (char in _CLOSE))
        if char == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts
