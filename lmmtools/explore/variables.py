"""The columns of a formula as they are, missing values included; nothing is left out yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lmmtools.design import build_design
from lmmtools.design.checks import check_finite, check_magnitude
from lmmtools.design.frame import Columns, missing_mask, numbers, take
from lmmtools.design.levels import Levels, categorise, interaction, is_categorical
from lmmtools.formula import ParsedFormula, parse_formula
from lmmtools.formula.syntax import Call, Name, Node, walk
from lmmtools.formula.translate import columns as columns_of

__all__ = ["Variable", "Variables", "read_variables"]

_CATEGORICAL = ("C", "factor", "as.factor", "ordered")


@dataclass(frozen=True, eq=False)
class Variable:
    """The response, a covariate or a grouping factor.

    Attributes
    ----------
    name : str
        As the formula has it: ``"log(y)"``, ``"Sex"``, ``"batch:cask"``.
    kind : str
        ``"number"``, ``"factor"`` or ``"ordered factor"``.
    values : ndarray, shape (n,)
        Numbers, NaN where missing; for factors the code of the level, -1 where missing.
    levels : pd.Index or None
        Of a factor, those that occur, in order.
    unit : str
    node : Node or None
        What a formula calls a covariate: ``x``, ``factor(x)``.
    """

    name: str
    kind: str
    values: np.ndarray
    levels: pd.Index | None = None
    unit: str = ""
    node: Node | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is measured rather than named."""
        return self.levels is None

    @property
    def present(self) -> np.ndarray:
        """Where it has a value, shape (n,)."""
        return ~np.isnan(self.values) if self.is_number else self.values >= 0


@dataclass(frozen=True, eq=False)
class Variables:
    """What a formula reads, row by row.

    Attributes
    ----------
    parsed : ParsedFormula
    columns : Columns
        The columns as they are in the data.
    response : Variable
    covariates, groups : tuple of Variable
        In order of the formula.
    missing : Mapping of str to ndarray
        Where each column has no value, shape (n,); every column of the formula is named.
    """

    parsed: ParsedFormula
    columns: Columns
    response: Variable
    covariates: tuple[Variable, ...]
    groups: tuple[Variable, ...]
    missing: Mapping[str, np.ndarray]

    @property
    def index(self) -> pd.Index:
        """Labels of the rows."""
        return self.columns.index

    @property
    def complete(self) -> np.ndarray:
        """Rows without a missing value: those a fit would use, shape (n,)."""
        return ~np.logical_or.reduce(list(self.missing.values()))

    def covariates_of(self, factor: str) -> tuple[Variable, ...]:
        """Covariates, those of the factor's own random terms first."""
        named = {
            name
            for bar in self.parsed.random
            if bar.factor == factor
            for term in bar.terms
            for node in term
            for name in columns_of(node)
        }
        return tuple(sorted(self.covariates, key=lambda covariate: covariate.name not in named))


def read_variables(formula: str, data: object) -> Variables:
    """The columns of a formula.

    Raises
    ------
    FormulaError, DataError
        As when a design is built: no such column, no rows, a response that is not numeric or constant.
    """
    parsed = formula if isinstance(formula, ParsedFormula) else parse_formula(formula)
    columns = take(data, parsed.columns)
    masks = {name: missing_mask(series) for name, series in columns.series.items()}
    n = len(columns)
    missing = {name: np.zeros(n, dtype=bool) if mask is None else mask for name, mask in masks.items()}
    single = {name: _levels(name, columns.series[name], missing[name]) for name in parsed.groups}
    groups = {bar.factor: _group(bar.group, single) for bar in parsed.random}
    units = columns.units
    categorical = {node.args[0].value: node for node in _nodes(parsed) if _makes_factor(node)}
    plain = {node.value for node in _nodes(parsed, inside_factor=False) if isinstance(node, Name)}
    covariates = []
    for name in parsed.predictors:
        made = categorical.get(name) if name not in plain else None
        covariates.append(_covariate(name, columns.series[name], missing[name], made, units.get(name, "")))
    return Variables(
        parsed,
        columns,
        _response(parsed, columns, missing),
        tuple(covariates),
        tuple(_factor(name, codes, levels) for name, (codes, levels) in groups.items()),
        missing,
    )


def _nodes(parsed: ParsedFormula, *, inside_factor: bool = True) -> Iterator[Node]:
    """Every node of the fixed part, the offsets and the bars' left sides."""
    terms = [*parsed.fixed_terms, *(term for bar in parsed.random for term in bar.terms)]
    for top in [*(node for term in terms for node in term), *parsed.offset_nodes]:
        if inside_factor or not _makes_factor(top):
            yield from walk(top)


def _makes_factor(node: Node) -> bool:
    return isinstance(node, Call) and node.func in _CATEGORICAL and bool(node.args) and isinstance(node.args[0], Name)


def _response(parsed: ParsedFormula, columns: Columns, missing: Mapping[str, np.ndarray]) -> Variable:
    """The response with its transformation, computed where its columns have values."""
    own = columns_of(parsed.response_node)
    alone = replace(parsed, fixed_terms=((),), offset_nodes=(), random=())
    design = build_design(alone, pd.DataFrame({name: columns.series[name] for name in own}))
    values = np.full(len(columns), np.nan)
    values[~np.logical_or.reduce([missing[name] for name in own])] = design.y
    return Variable(parsed.response, "number", values, unit=columns.units.get(parsed.response, ""))


def _covariate(name: str, series: pd.Series, gone: np.ndarray, factor: Node | None, unit: str) -> Variable:
    node = Name(0, name, quoted=True) if factor is None else factor
    if factor is None and not is_categorical(series):
        values = np.array(numbers(name, series, "the column"))
        check_finite(name, values[~gone], series.index[~gone])
        if not gone.all():
            check_magnitude([name], values[~gone][:, None])
        return Variable(name, "number", values, unit=unit, node=node)
    codes, levels = _levels(name, series, gone)
    ordered = isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered
    return Variable(name, "ordered factor" if ordered else "factor", codes, levels, unit, node)


def _factor(name: str, codes: np.ndarray, levels: pd.Index) -> Variable:
    return Variable(name, "factor", codes, levels)


def _levels(name: str, series: pd.Series, gone: np.ndarray) -> tuple[np.ndarray, pd.Index]:
    """Codes, -1 where missing, and levels that occur."""
    codes = np.full(len(series), -1, dtype=np.intp)
    if gone.all():
        return codes, pd.Index([], dtype=object)
    found = categorise(name, series[~gone])
    codes[~gone] = found.codes
    return codes, found.levels


def _group(names: tuple[str, ...], single: Mapping[str, tuple[np.ndarray, pd.Index]]) -> tuple[np.ndarray, pd.Index]:
    """Codes and levels of the combinations that occur."""
    here = np.logical_and.reduce([single[name][0] >= 0 for name in names])
    codes = np.full(len(here), -1, dtype=np.intp)
    if not here.any():
        return codes, pd.Index([], dtype=object)
    parts = []
    for name in names:
        present, own = np.unique(single[name][0][here], return_inverse=True)
        parts.append(Levels(own, single[name][1][present]))
    found = interaction(parts)
    codes[here] = found.codes
    return codes, found.levels
