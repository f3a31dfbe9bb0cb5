"""Fixed effects in sentences: each coefficient as the change it measures, in the numbers of its table, rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmmtools.formats import MINUS, closest, counted, listed, rounded
from lmmtools.formula.syntax import Call, Name
from lmmtools.prose.columns import Field, Meaning, meanings, variables
from lmmtools.prose.value import literal
from lmmtools.prose.words import amount, at_zero, capital, level_unit, step, unit_of

__all__ = ["told"]

# Sentences of an executive summary; names in a list.
_MOST_SENTENCES, _MOST_NAMES = 6, 4


@dataclass(frozen=True)
class _Estimate:
    """A coefficient and its interval: values, and the numbers of the table of fixed effects, rounded for sentences."""

    value: float
    low: float
    high: float
    shown: tuple[str, str, str]

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, (self.value, self.low, self.high)))

    def size(self, sign: float) -> tuple[str, str, str]:
        """Estimate and interval times ±1, so that a fall is said by how much."""
        if sign > 0:
            return self.shown
        value, low, high = map(_negated, self.shown)
        return value, high, low


def _negated(text: str) -> str:
    """A number as a table shows it, with the other sign."""
    if text.startswith(MINUS):
        return text.removeprefix(MINUS)
    return MINUS + text if text.strip("0.") else text


def _estimates(fit: Any, level: float, ddf: str) -> dict[str, _Estimate]:
    frame = fit.coef_table(ddf=ddf, level=level)
    table = frame.table(max_rows=max(len(frame), 40))
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in ("estimate", "ci_low", "ci_high")]
    return {
        name: _Estimate(row.estimate, row.ci_low, row.ci_high, _told([cells[j].strip() for j in places], row))
        for name, row, cells in zip(frame.index, frame.itertuples(), table.cells, strict=True)
    }


def _told(cells: list[str], row: Any) -> tuple[str, str, str]:
    """Estimate and interval of a table, rounded to the second significant digit of the standard error.

    What is beyond that digit is noise to a reader; the table keeps its digits for those who compare numbers. An end
    of an interval that leaves zero out is not rounded to zero.
    """
    if not (math.isfinite(row.std_error) and row.std_error > 0.0):
        return tuple(cells)
    decimals = 1 - int(f"{row.std_error:.1e}".partition("e")[2])
    told = [rounded(cell, decimals) for cell in cells]
    while (row.ci_low > 0 or row.ci_high < 0) and told != cells and not all(one.strip("−0.,") for one in told):
        decimals += 1
        told = [rounded(cell, decimals) for cell in cells]
    return tuple(told)


def told(fit: Any, focal: str = "", level: float = 0.95, ddf: str = "satterthwaite") -> list[str]:
    """The fixed effects in sentences, the focal one first, and what is left to the table.

    Parameters
    ----------
    fit : LMMFit
    focal : str
        A coefficient; empty for none.
    level : float
        Of the intervals.
    ddf : str
        Their degrees of freedom, as for `coef_table`.
    """
    if not len(fit.fixef):
        return ["The model has no fixed effects: its mean is zero" + (" but for the offset." if _offset(fit) else ".")]
    if fit.certificate.flat_by == "data":
        return ["The fixed effects are left to @tbl-coef: the data do not determine what their intervals rest on."]
    found = list(meanings(fit.design))
    writer = _Writer(fit, _estimates(fit, level, ddf), level, found)
    order = sorted(found, key=lambda m: (m.name != focal, m.kind == "mean"))  # changes before the level they start from
    sentences, left = [], []
    for meaning in order:
        sentence = writer.sentence(meaning) if len(sentences) < _MOST_SENTENCES else ""
        (sentences if sentence else left).append(sentence or meaning)
    missing = [_not_there(focal, fit.fixef.index)] if focal and focal not in fit.fixef.index else []
    if sentences:  # an intercept that no words fit is missed by nobody
        left = [meaning for meaning in left if meaning.name != "Intercept"]
    return [*missing, *sentences, *_left(left, writer, whole=not sentences)]


def _offset(fit: Any) -> bool:
    return fit.design.offset is not None


def _not_there(focal: str, names: Sequence[str]) -> str:
    meant = closest(focal, names)
    hint = f"; the nearest name is {literal(meant)}" if meant else ""
    return f"The coefficient asked for, {literal(focal)}, is not in this model{hint}."


def _left(left: list[Meaning], writer: _Writer, whole: bool) -> list[str]:
    """What the table alone shows, and why."""
    elsewhere = [m for m in left if m.kind == "elsewhere"]
    rest = [m for m in left if m.kind != "elsewhere"]
    said = []
    if elsewhere:
        zeros = dict.fromkeys(writer.condition(f) for m in elsewhere for f in m.where if f.level is None)
        are, hold = ("is", "it holds") if len(elsewhere) == 1 else ("are", "they hold")
        names = _names(elsewhere, whole)
        said.append(f"{names} {are} left to @tbl-coef: {hold} where {listed(zeros)}, outside the data.")
    if rest:
        together = all(m.kind == "together" for m in rest)
        why = ": they mean something only together or in their coding" if together and len(rest) > 1 else ""
        if writer.design.dropped_columns:
            why = ": a column that repeats others was dropped, and what is left depends on which"
        are = ("is" if len(rest) == 1 else "are") + (" also" if elsewhere else "")
        said.append(f"{_names(rest, whole and not elsewhere)} {are} left to @tbl-coef{why}.")
    return said


def _names(left: list[Meaning], whole: bool) -> str:
    if len(left) > _MOST_NAMES:
        return f"All {len(left)} coefficients" if whole else counted(len(left), "further coefficient")
    return listed(literal(m.name) for m in left)


class _Writer:
    """Sentences of one fit; the first says what its interval is."""

    def __init__(self, fit: Any, estimates: dict[str, _Estimate], level: float, found: list[Meaning]) -> None:
        self.design, self.estimates, self.level = fit.design, estimates, level
        self.response = literal(fit.response)
        self.unit, self.level_unit = unit_of(fit.design), level_unit(fit.design)
        self.nodes = variables(fit.design)
        self.by_steps = {(m.steps, m.where): m for m in found if m.kind == "change"}
        self.introduced = False

    def sentence(self, meaning: Meaning) -> str:
        """One coefficient; empty where words would be wrong."""
        estimate = self.estimates[meaning.name]
        write = {"mean": self._mean, "change": self._change, "interaction": self._interaction}.get(meaning.kind)
        if write is None or not estimate.is_finite or (meaning.kind == "mean" and self.design.offset is not None):
            return ""
        body = write(meaning, estimate)
        where = [self.condition(field) for field in meaning.where]
        sentence = f"Where {listed(where)}, {body}" if where else capital(body)
        return sentence + "."

    def condition(self, field: Field) -> str:
        """One condition of a sentence: "Sex is Male", "age is 0"."""
        if field.level is None:
            return at_zero(field.variable, self.nodes.get(field.variable))
        return f"{self._factor(field)} is {_level(field.level)}"

    def _factor(self, field: Field) -> str:
        """The column of a factor: Machine for C(Machine, contr.SAS) too."""
        match self.nodes.get(field.variable):
            case Call(func="C" | "factor" | "as.factor" | "ordered", args=(Name(value=column), *_)):
                return literal(column)
        return literal(field.variable)

    def _than(self, field: Field) -> str:
        """Two levels in a comparison: "Sex Female than for Male"."""
        return f"{self._factor(field)} {_level(field.level)} than for {_level(field.base)}"

    def _against(self, field: Field) -> str:
        return f"{self._factor(field)} {_level(field.level)} against {_level(field.base)}"

    def _mean(self, meaning: Meaning, estimate: _Estimate) -> str:
        shown = estimate.size(+1)
        return f"the mean of {self.response} is {amount(shown[0], self.level_unit)}{self._interval(shown)}"

    def _change(self, meaning: Meaning, estimate: _Estimate) -> str:
        (field,) = meaning.steps
        sign = 1.0 if estimate.value > 0 or not estimate.is_clear else -1.0
        shown = estimate.size(sign)
        size, interval = self._amount(shown), self._interval(shown)
        if field.level is None:
            how_much = f"{size} {self._per(field)}{interval}"
            if not estimate.is_clear:
                return f"no clear change of {self.response} with {literal(field.variable)}: {how_much}"
            return f"{self.response} {'grows' if sign > 0 else 'falls'} by {how_much}"
        if not estimate.is_clear:
            return f"no clear difference in {self.response} for {self._against(field)}: {size}{interval}"
        return f"{self.response} is {size} {'higher' if sign > 0 else 'lower'} for {self._than(field)}{interval}"

    def _interaction(self, meaning: Meaning, estimate: _Estimate) -> str:
        numbers = [field for field in meaning.steps if field.level is None]
        factors = [field for field in meaning.steps if field.level is not None]
        if not numbers:
            return self._difference_of_differences(factors, estimate)
        if len(numbers) == 2:
            return self._bending(numbers, estimate)
        return self._slopes(meaning, numbers[0], factors[0], estimate)

    def _slopes(self, meaning: Meaning, number: Field, factor: Field, estimate: _Estimate) -> str:
        """How a slope differs between two levels; told as more or less growth where both slopes go one way."""
        per = self._per(number)
        if not estimate.is_clear:
            shown = estimate.size(+1)
            return (
                f"no clear difference in the change of {self.response} with {literal(number.variable)} for "
                f"{self._against(factor)}: {self._amount(shown)} {per}{self._interval(shown)}"
            )
        reference = self._slope_at_reference(meaning, number, factor)
        if reference is not None and reference.is_clear and (reference.value + estimate.value) * reference.value > 0:
            way = math.copysign(1.0, reference.value)
            more = estimate.value * way > 0
            shown = estimate.size(way if more else -way)
            verb, less = "grows" if way > 0 else "falls", "more" if more else "less"
            size, interval = self._amount(shown), self._interval(shown)
            return f"{self.response} {verb} by {size} {per} {less} for {self._than(factor)}{interval}"
        sign = math.copysign(1.0, estimate.value)
        shown = estimate.size(sign)
        size, interval = self._amount(shown), self._interval(shown)
        way = "higher" if sign > 0 else "lower"
        return f"the change of {self.response} {per} is {size} {way} for {self._than(factor)}{interval}"

    def _slope_at_reference(self, meaning: Meaning, number: Field, factor: Field) -> _Estimate | None:
        """The slope that an interaction adds to, where a coefficient is just that."""
        base = Field(factor.variable, factor.base)
        for (steps, where), found in self.by_steps.items():
            if steps == (number,) and set(where) == {base, *meaning.where}:
                return self.estimates[found.name]
        return None

    def _difference_of_differences(self, factors: list[Field], estimate: _Estimate) -> str:
        first, second = factors
        if not estimate.is_clear:
            shown = estimate.size(+1)
            return (
                f"no clear change, for {self._against(second)}, of the difference in {self.response} for "
                f"{self._against(first)}: {self._amount(shown)}{self._interval(shown)}"
            )
        sign = math.copysign(1.0, estimate.value)
        shown = estimate.size(sign)
        return (
            f"the difference in {self.response} for {self._against(first)} is {self._amount(shown)} "
            f"{'higher' if sign > 0 else 'lower'} for {self._than(second)}{self._interval(shown)}"
        )

    def _bending(self, numbers: list[Field], estimate: _Estimate) -> str:
        first, second = numbers
        of = f"the change of {self.response} {self._per(first)}"
        sign = 1.0 if estimate.value > 0 or not estimate.is_clear else -1.0
        shown = estimate.size(sign)
        size, interval = self._amount(shown), self._interval(shown)
        if not estimate.is_clear:
            with_what = literal(second.variable)
            return f"no clear difference, with {with_what}, in {of}: {size} {self._per(second)}{interval}"
        return f"{of} {'grows' if sign > 0 else 'falls'} by {size} {self._per(second)}{interval}"

    def _per(self, field: Field) -> str:
        return step(field.variable, self.nodes.get(field.variable), self.design.units, self.nodes)

    def _amount(self, shown: tuple[str, str, str]) -> str:
        return amount(shown[0], self.unit)

    def _interval(self, shown: tuple[str, str, str]) -> str:
        name = "" if self.introduced else f"{100 * self.level:g} % interval "
        self.introduced = True
        return f" ({name}{shown[1]} to {shown[2]})"


def _level(level: str | None) -> str:
    return literal(level) if level else "(empty)"
