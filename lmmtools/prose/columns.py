"""What each coefficient measures: which step in the data, under which conditions, or why no sentence can say it.

A column of the fixed part is a product of numbers and indicators. Its coefficient is told in words only where the
algebra of the columns agrees: the step that the words describe must change this column by one and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from lmmtools.formula.syntax import Call, Name, Node
from lmmtools.formula.translate import columns as columns_of
from lmmtools.formula.translate import render
from lmmtools.prose.words import moved

__all__ = ["Field", "Meaning", "is_step", "meanings", "slopes", "variables"]

# More conditions than this make no sentence.
_MOST_CONDITIONS = 3
# Functions of one column in which "per unit" still has a meaning a reader can use.
_STEPS = ("scale", "standardize", "log", "log2", "log10", "sqrt")


@dataclass(frozen=True)
class Field:
    """One factor of a column: a number, or the indicator of a level.

    Attributes
    ----------
    variable : str
        As the coefficient's name spells it: ``"age"``, ``"center(age)"``, ``"C(Sex)"``.
    level : str or None
        None for a number.
    base : str or None
        The level compared with; None for a number, and for an indicator of a coding without reference.
    """

    variable: str
    level: str | None = None
    base: str | None = None

    @property
    def is_step(self) -> bool:
        """Whether the coefficient compares two values of the variable, rather than holding at one."""
        return self.level is None or self.base is not None


@dataclass(frozen=True)
class Meaning:
    """What one coefficient measures.

    Attributes
    ----------
    name : str
        Of the coefficient.
    kind : {"mean", "change", "interaction", "elsewhere", "together"}
        "elsewhere": it holds where a number is 0 and the data are not; "together": only with other coefficients.
    steps : tuple of Field
        None for a mean, one for a change, two for an interaction.
    where : tuple of Field
        Conditions: a level, or a number at 0.
    """

    name: str
    kind: str
    steps: tuple[Field, ...] = ()
    where: tuple[Field, ...] = ()


@dataclass(frozen=True)
class _Column:
    """One column: its name, its fields (None when they are not numbers and plain indicators), what it reads."""

    name: str
    fields: tuple[Field, ...] | None
    reads: frozenset[str]

    @property
    def variables(self) -> set[str]:
        return {field.variable for field in self.fields or ()}

    def at(self, setting: Mapping[str, object]) -> float:
        """The column's value: numbers as they are set, indicators by the level that is set."""
        value = 1.0
        for field in self.fields:
            at = setting[field.variable]
            value *= at if field.level is None else at == field.level
        return value


def meanings(design: Any) -> tuple[Meaning, ...]:
    """What each fixed effect of a design measures, in the order of its coefficients."""
    if design.recipe is None:  # made by hand: what its columns were made from is not known
        return tuple(Meaning(name, "together") for name in design.fixed_names)
    columns = _columns(design)
    return tuple(_meaning(j, columns, design) for j in range(len(columns)))


def variables(design: Any) -> dict[str, Node]:
    """The variables of the fixed part by their spelling in names of coefficients."""
    return _spelt(part for term in design.parsed.fixed_terms for part in term)


def slopes(design: Any) -> dict[str, Node]:
    """The numbers that stand alone as random effects and whose steps mean something, by their names as effects."""
    parts = (term[0] for bar in design.parsed.random for term in bar.terms if len(term) == 1)
    effects = {name for term in design.terms for name in term.names}
    return {name: node for name, node in _spelt(parts).items() if name in effects and is_step(node)}


def _spelt(parts: Iterable[Node]) -> dict[str, Node]:
    return {render(part, lambda node, _: node.value): part for part in parts}


# --- columns ------------------------------------------------------------------------------------------


def _columns(design: Any) -> list[_Column]:
    """The columns of X with their fields; what formulaic made is rebuilt by name, and believed where it agrees."""
    nodes = variables(design)
    spec, spell = design.recipe.specs.part0, design.recipe.blueprint.spell
    bases: dict[str, str] = {}
    found: list[_Column] = []
    for part in spec.structure:
        names = [spell(name) for name in part.columns]
        made = [fields for scoped in part.scoped_terms for fields in _fields(scoped, names, spec, spell, bases)]
        exprs = {spell(factor.factor.expr) for scoped in part.scoped_terms for factor in scoped.factors}
        reads = frozenset(name for expr in exprs for name in (columns_of(nodes[expr]) if expr in nodes else ()))
        agrees = [name for name, _ in made] == names and all(_is_plain(nodes.get(expr)) for expr in exprs)
        found += [_Column(name, made[i][1] if agrees else None, reads) for i, name in enumerate(names)]
    return [found[j] for j in design.recipe.kept]


def _is_plain(node: Node | None) -> bool:
    """A column, a factor, or a function whose steps mean something."""
    match node:
        case Call(func="C" | "factor" | "as.factor" | "ordered"):
            return True
    return is_step(node)


def is_step(node: Node | None) -> bool:
    """A column, or a function of one whose steps mean something."""
    match node:
        case Name():
            return True
        case Call(func=func, args=(Name(),)) if func.removeprefix("np.").removeprefix("numpy.") in _STEPS:
            return True
    return moved(node) is not None


def _fields(
    scoped: Any, names: list[str], spec: Any, spell: Any, bases: dict[str, str]
) -> list[tuple[str, tuple[Field, ...]]]:
    """Names and fields of the columns of one scoped term; no more than a guess until the names agree."""
    if scoped.scale != 1:
        return []
    if not scoped.factors:
        return [("Intercept", ())]
    options = [_options(factor, len(scoped.factors) == 1, names, spec, spell, bases) for factor in scoped.factors]
    made = []
    for combination in product(*reversed(options)):
        words, fields = zip(*reversed(combination), strict=True)
        made.append((":".join(words), fields))
    return made


def _options(
    factor: Any, alone: bool, names: list[str], spec: Any, spell: Any, bases: dict[str, str]
) -> list[tuple[str, Field]]:
    """The columns one factor of a term takes part with: the number itself, or an indicator for each level."""
    expr = spell(factor.factor.expr)
    levels = spec.encoder_state.get(factor.factor.expr, (None, {}))[1].get("categories")
    if levels is None:
        return [(expr, Field(expr))]
    if not factor.reduced:
        return [(f"{expr}[{level}]", Field(expr, str(level))) for level in levels]
    if alone:  # the level without a column is the one the others are compared with
        left = [level for level in levels if f"{expr}[T.{level}]" not in names]
        if len(left) == 1:
            bases[expr] = left[0]
    base = bases.get(expr, levels[0])
    return [(f"{expr}[T.{level}]", Field(expr, str(level), str(base))) for level in levels if level != base]


# --- meanings -----------------------------------------------------------------------------------------


def _meaning(j: int, columns: list[_Column], design: Any) -> Meaning:
    column = columns[j]
    together = Meaning(column.name, "together")
    if column.fields is None or design.dropped_columns or len(column.fields) > _MOST_CONDITIONS:
        return together
    steps = tuple(field for field in column.fields if field.is_step)
    if len(steps) > 2 or not _is_alone(steps, columns, variables(design)):
        return together
    touched = [c for c in columns if {step.variable for step in steps} <= c.variables]
    if any(c.fields is None for c in touched):
        return together
    others = dict.fromkeys(field for c in touched for field in c.fields)
    where = tuple(_conditions(others, steps, column.fields))
    if len(where) > _MOST_CONDITIONS or not _agrees(j, columns, steps, where):
        return together
    numbers = [field.variable for field in where if field.level is None]
    seen = all(_zero_is_seen(name, columns, design) for name in numbers)
    kind = ("mean", "change", "interaction")[len(steps)] if seen else "elsewhere"
    return Meaning(column.name, kind, steps, where)


def _is_alone(steps: Iterable[Field], columns: list[_Column], nodes: Mapping[str, Node]) -> bool:
    """Whether a step's data enter the model through this variable only, and with columns that can be read."""
    for step in steps:
        reads = frozenset(columns_of(nodes[step.variable]))
        if any(reads & c.reads and (c.fields is None or step.variable not in c.variables) for c in columns):
            return False
    return True


def _conditions(others: Iterable[Field], steps: tuple[Field, ...], own: tuple[Field, ...]) -> Iterator[Field]:
    """A field for each further variable of the columns touched: its reference, the level of this column, or zero."""
    done = {step.variable for step in steps}
    for field in (*(field for field in own if not field.is_step), *others):
        if field.variable not in done:
            done.add(field.variable)
            yield field if field.base is None else Field(field.variable, field.base)


def _agrees(j: int, columns: list[_Column], steps: tuple[Field, ...], where: tuple[Field, ...]) -> bool:
    """Whether the step described changes column j by one and no other; the proof of the sentence."""
    moving = {step.variable for step in steps}
    readable = [c for c in columns if c.fields is not None and moving <= c.variables]  # no other column changes
    setting: dict[str, object] = {}
    for field in (field for c in readable for field in c.fields):
        setting.setdefault(field.variable, _start(field))
    setting.update({field.variable: _start(field) for field in where})
    changes = {id(c): 0.0 for c in readable}
    for corner in product((0, 1), repeat=len(steps)):
        sign = (-1) ** (len(steps) - sum(corner))
        moved = {s.variable: _end(s) if up else _start(s) for s, up in zip(steps, corner, strict=True)}
        for c in readable:
            changes[id(c)] += sign * c.at({**setting, **moved})
    return all(changes[id(c)] == (c is columns[j]) for c in readable)


def _start(field: Field) -> object:
    """Where a variable stands before a step: 0, the reference, or the one level of an indicator without any."""
    return 0.0 if field.level is None else field.level if field.base is None else field.base


def _end(field: Field) -> object:
    return 1.0 if field.level is None else field.level


def _zero_is_seen(variable: str, columns: list[_Column], design: Any) -> bool:
    """Whether 0 lies within the values that a number has in the rows used."""
    total = None
    for column, values in zip(columns, design.X.T, strict=True):
        if column.fields is None or variable not in column.variables:
            continue
        if all(field.variable == variable or not field.is_step for field in column.fields):
            total = values if total is None else total + values
    return total is not None and bool(total.min() <= 0.0 <= total.max())
