"""The terms of the fixed part: which columns each has, and how categories and numbers made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design.frame import Columns
from lmmtools.design.plain import INTERCEPT
from lmmtools.errors import ModelError
from lmmtools.formula import ParsedFormula
from lmmtools.formula.syntax import Call, Name, Node, Paren

if TYPE_CHECKING:
    from lmmtools.design.value import Design

__all__ = ["Coding", "FixedTerm", "Part", "fixed_terms"]

_BASES = ("poly", "bs", "cr", "cs", "cc")  # functions of formulas that give several columns


@dataclass(frozen=True, eq=False)
class Coding:
    """How a variable that stands for categories got its columns.

    Attributes
    ----------
    codes : ndarray, shape (n,)
        The level of each row.
    full, reduced : ndarray, shape (levels, columns)
        What the columns hold for each level: where indicators of all levels fit in, and where only contrasts do.
    """

    codes: np.ndarray
    full: np.ndarray
    reduced: np.ndarray


@dataclass(frozen=True)
class Part:
    """Neighbouring columns: all products of the columns of some variables, those of the first varying fastest.

    Attributes
    ----------
    variables : tuple of (str, bool)
        Text of each, and whether it is in contrasts, which numbers never are.
    widths : tuple of int
        Number of columns of each.
    start : int
        The first column among those of the fixed part, the dropped ones counted.
    """

    variables: tuple[tuple[str, bool], ...]
    widths: tuple[int, ...]
    start: int

    @property
    def places(self) -> np.ndarray:
        """All its columns, counted as `start` is."""
        return np.arange(self.start, self.start + prod(self.widths))


@dataclass(frozen=True)
class FixedTerm:
    """One term of the fixed part.

    Attributes
    ----------
    name : str
        As coefficients spell it: ``"Sex:age"``, ``"I(x ** 2)"``, ``"Intercept"``.
    factors, covariates : tuple of str
        Its variables that stand for categories, and those that stand for numbers.
    columns : tuple of int
        Its columns of X; a column that was dropped is none.
    width : int
        Number of its columns, the dropped ones counted.
    parts : tuple of Part
    """

    name: str
    factors: tuple[str, ...]
    covariates: tuple[str, ...]
    columns: tuple[int, ...]
    width: int
    parts: tuple[Part, ...]


def fixed_terms(design: Design) -> tuple[tuple[FixedTerm, ...], dict[str, Coding]]:
    """The terms of the fixed part by degree, as R orders them, the intercept first; and the codings of their factors.

    Parameters
    ----------
    design : Design

    Returns
    -------
    tuple of FixedTerm
    dict[str, Coding]
        By the variable's text.

    Raises
    ------
    ModelError
        If categories are computed within the formula, as in ``C(x > 0)``, or if a product of two bases, such as
        ``bs(x):bs(z)``, stands without either.
    """
    recipe = design.recipe
    place = {int(full): j for j, full in enumerate(recipe.kept)}
    spell = recipe.blueprint.spell
    if recipe.learnt is None:  # every column is an intercept or a variable
        names = [() if name is None else (spell(name),) for name in recipe.blueprint.sources[0]]
        return tuple(_of_number(name, j, place) for j, name in enumerate(names)), {}
    kinds = recipe.learnt.part0.encoder_state
    start, terms, factors, numbers = 0, [], {}, {}
    for made, nodes in zip(recipe.learnt.part0.structure, design.parsed.fixed_terms, strict=True):
        variables = [(v.expr, spell(v.expr)) for v in made.term.factors] if nodes else []
        categorical = {
            text: node
            for (expr, text), node in zip(variables, nodes, strict=True)
            if kinds[expr][0].value == "categorical"
        }
        factors |= categorical
        numbers |= {text: node for (_, text), node in zip(variables, nodes, strict=True) if text not in categorical}
        texts, width = [text for _, text in variables], len(made.columns)
        parts = [tuple((spell(v.factor.expr), v.reduced) for v in s.factors if nodes) for s in made.scoped_terms]
        terms.append(
            FixedTerm(
                name=":".join(texts) or INTERCEPT,
                factors=tuple(categorical),
                covariates=tuple(text for text in texts if text not in categorical),
                columns=tuple(place[j] for j in range(start, start + width) if j in place),
                width=width,
                parts=tuple(Part(part, (), start) for part in parts),
            )
        )
        start += width
    codings = _codings(design, factors)
    single = {text for text, node in numbers.items() if not (isinstance(node, Call) and node.func in _BASES)}
    return _measured(terms, codings, single), codings


def _of_number(name: tuple[str, ...], full: int, place: Mapping[int, int]) -> FixedTerm:
    """The term of one column: a variable, or the intercept, which has no name."""
    part = Part(tuple((text, False) for text in name), (1,) * len(name), full)
    columns = (place[full],) if full in place else ()
    return FixedTerm(name[0] if name else INTERCEPT, (), name, columns, 1, (part,))


def _codings(design: Design, factors: Mapping[str, Node]) -> dict[str, Coding]:
    """Codes and coding matrices of the variables that stand for categories.

    Each level's row is made as the design's rows were, in a small frame: a row a level, the other factors at their
    first.
    """
    if not factors:
        return {}
    from lmmtools.design.matrices import blueprint_of, materialise

    known = design.recipe.observed.factors
    columns = {text: _column(text, node) for text, node in factors.items()}
    used = {name: known[name] for name in columns.values()}
    first, rows = {}, 0
    for name, levels in used.items():
        first[name], rows = rows, rows + len(levels.levels)
    series = {}
    for name, levels in used.items():
        codes = np.zeros(rows, dtype=np.intp)
        codes[first[name] : first[name] + len(levels.levels)] = np.arange(len(levels.levels))
        series[name] = pd.Series(pd.Categorical.from_codes(codes, categories=levels.levels))
    contrasts = {name: coding for name, coding in design.recipe.contrasts.items() if name in used}
    asked = ParsedFormula("", Name(0, "", True), ((), *((node,) for node in factors.values())), (), ())
    blueprint = blueprint_of(asked)
    made = materialise(blueprint, Columns(series, pd.RangeIndex(rows)), contrasts)
    spec, start, found = made.specs.part0, 1, {}
    for text, term in zip(factors, spec.structure[1:], strict=True):
        levels = used[columns[text]].levels
        mine = slice(first[columns[text]], first[columns[text]] + len(levels))
        stop = start + len(term.columns)
        order = list(spec.encoder_state[term.term.factors[0].expr][1]["categories"])
        full = np.equal.outer([order.index(level) for level in levels], np.arange(len(order))).astype(float)
        found[text] = Coding(used[columns[text]].codes, full, made.values[0][mine, start:stop])
        start = stop
    return found


def _column(text: str, node: Node) -> str:
    """The column whose levels a variable's categories are."""
    inner = node.args[0] if isinstance(node, Call) else node
    while isinstance(inner, Paren):
        inner = inner.body
    if not isinstance(inner, Name):
        raise ModelError(
            f"the categories of `{text}` are computed within the formula, so which rows share one is not known "
            "afterwards: make them a column of the data."
        )
    return inner.value


def _measured(
    terms: Sequence[FixedTerm], codings: Mapping[str, Coding], single: Iterable[str]
) -> tuple[FixedTerm, ...]:
    """The terms with the widths of their parts; how many columns a basis has follows from what there is in all."""

    def width(text: str, reduced: bool) -> int:
        return (codings[text].reduced if reduced else codings[text].full).shape[1]

    def by_categories(part: Part) -> int:
        return prod(width(*v) for v in part.variables if v[0] in codings)

    numbers = dict.fromkeys(single, 1)
    left = {t.name: (t.covariates, t.width // sum(map(by_categories, t.parts))) for t in terms if t.parts}
    for covariates, size in sorted(left.values(), key=lambda item: len(item[0])):
        unknown = [text for text in covariates if text not in numbers]
        rest = size // prod(numbers[text] for text in covariates if text in numbers)
        if len(unknown) > 1 and rest > 1:
            raise ModelError(
                f"how many columns `{unknown[0]}` and `{unknown[1]}` have is not known from their product alone: "
                "have one of them in the model by itself."
            )
        numbers.update(dict.fromkeys(unknown, rest))
    measured = []
    for term in terms:
        start, parts = term.parts[0].start if term.parts else 0, []
        for part in term.parts:
            widths = tuple(width(*v) if v[0] in codings else numbers[v[0]] for v in part.variables)
            parts.append(Part(part.variables, widths, start))
            start += prod(widths)
        measured.append(replace(term, parts=tuple(parts)))
    return tuple(measured)
