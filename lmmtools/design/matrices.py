"""One formulaic materialisation for every part of a formula, into columns of float64.

The fixed part, the left sides of all bars, a transformed response and the offsets share variables; they
are built together so that each variable is evaluated once, and the specs formulaic learns (levels,
contrasts, knots, scalings) are kept to build the same columns from new data. Where all parts are plain
columns (`plain.py`) there is nothing to learn, and specs are made only when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from keyword import iskeyword

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpecs
from formulaic.errors import FormulaicError
from formulaic.formula import StructuredFormula
from formulaic.materializers.base import FormulaMaterializer

from lmmtools.design.encoding import coded
from lmmtools.design.frame import Columns, numbers
from lmmtools.design.levels import categorise, is_categorical
from lmmtools.design.plain import Joiner, plain_matrices, plain_sources
from lmmtools.design.transforms import CONTEXT
from lmmtools.errors import DataError, LMMError
from lmmtools.formula import POSITIONAL, BarTerm, ParsedFormula
from lmmtools.formula.syntax import Name
from lmmtools.formula.terms import Term, render_terms
from lmmtools.formula.translate import RESERVED

__all__ = ["Blueprint", "Matrices", "blueprint_of", "materialise", "plain_specs"]

_ALIAS = re.compile(r"lmm(\d+)_")


class _ColumnMaterializer(FormulaMaterializer):
    """formulaic's steps over a mapping of arrays, without a data frame on the way in or out."""

    REGISTER_NAME = "lmmtools"
    REGISTER_OUTPUTS = ("numpy",)

    @FormulaMaterializer.override
    def _init(self) -> None:
        self._joiner = Joiner(self.nrows)

    @FormulaMaterializer.override
    @property
    def nrows(self) -> int:
        return self.params["rows"]

    @FormulaMaterializer.override
    def _encode_constant(self, value, metadata, encoder_state, spec, drop_rows):
        return float(value)  # spread over the rows when the columns are joined

    @FormulaMaterializer.override
    def _encode_categorical(self, values, metadata, encoder_state, spec, drop_rows, reduced_rank=False):
        raise DataError("a function of the formula turns numbers into categories: wrap it in C(…) to say so.")

    @FormulaMaterializer.override
    def _encode_numerical(self, values, metadata, encoder_state, spec, drop_rows):
        return np.asarray(values, dtype=np.float64)

    @FormulaMaterializer.override
    def _get_columns_for_term(self, factors, spec, scale=1):
        out = {}
        for combination in product(*(factor.items() for factor in reversed(factors))):
            names, columns = zip(*reversed(combination), strict=True)
            column = columns[0]
            for other in columns[1:]:
                column = column * other
            out[":".join(names)] = column if scale == 1 else scale * column
        return out

    @FormulaMaterializer.override
    def _combine_columns(self, cols, spec, drop_rows):
        return self._joiner.join(cols)


@dataclass(frozen=True)
class Blueprint:
    """What formulaic is asked for: the text of each part, and the columns behind its names.

    Attributes
    ----------
    parts : tuple of str
        Distinct texts; the fixed part is the first.
    columns : tuple of (str, bool)
        Column and "as a category" of each alias ``lmm0_``, ``lmm1_``, …; plain names need none.
    plain : tuple of str
        Columns that go by their own names.
    response, offsets, bars : int or None, tuple of int
        Which part each is; a response that is a plain column has none, nor a bar whose positions are one.
    sources : tuple
        What the columns of each part are read from, where none is computed; see `plain_sources`.
    """

    parts: tuple[str, ...]
    columns: tuple[tuple[str, bool], ...]
    plain: tuple[str, ...]
    response: int | None
    offsets: tuple[int, ...]
    bars: tuple[int | None, ...]
    sources: tuple[tuple[str | None, ...] | None, ...]

    def spell(self, name: str) -> str:
        """A name formulaic gave, with columns under their own names."""
        if not self.columns:
            return name

        def column(found: re.Match) -> str:
            i = int(found.group(1))
            return self.columns[i][0] if i < len(self.columns) else found.group()

        return _ALIAS.sub(column, name)


@dataclass(frozen=True)
class Matrices:
    """Matrices of a blueprint's parts by number, their columns' names, and what builds them again.

    There are no `specs` where all parts are plain columns: then `plain_specs` gives them.
    """

    values: Mapping[int, np.ndarray]
    names: Mapping[int, tuple[str, ...]]
    specs: ModelSpecs | None


@lru_cache(maxsize=512)
def blueprint_of(parsed: ParsedFormula) -> Blueprint:
    """The parts of a parsed formula, in formulaic's spelling."""
    aliases: dict[tuple[str, bool], str] = {}
    plain: dict[str, None] = {}

    def name(node: Name, categorical: bool) -> str:
        usual = node.value.isidentifier() and not iskeyword(node.value) and node.value not in RESERVED
        if usual and not categorical and not _ALIAS.search(node.value):
            plain[node.value] = None
            return node.value
        return aliases.setdefault((node.value, categorical), f"lmm{len(aliases)}_")

    def is_column_of_positions(bar: BarTerm) -> bool:
        return bar.structure in POSITIONAL and isinstance(bar.terms[0][0], Name)

    parts: dict[str, tuple[Term, ...]] = {}

    def part(*terms: Term) -> int:
        text = render_terms(terms, name)
        parts.setdefault(text, terms)
        return list(parts).index(text)

    part(*parsed.fixed_terms)
    bars = tuple(None if is_column_of_positions(bar) else part(*bar.terms) for bar in parsed.random)
    simple = isinstance(parsed.response_node, Name)
    response = None if simple else part((parsed.response_node,))
    offsets = tuple(part((node,)) for node in parsed.offset_nodes)
    sources = tuple(plain_sources(terms, name) for terms in parts.values())
    return Blueprint(tuple(parts), tuple(aliases), tuple(plain), response, offsets, bars, sources)


@lru_cache(maxsize=512)
def _formula(parts: tuple[str, ...]) -> StructuredFormula:
    """formulaic's own parse of the parts; it is read, never changed."""
    return Formula(**{f"part{i}": text for i, text in enumerate(parts)})


def materialise(
    blueprint: Blueprint,
    columns: Columns,
    contrasts: Mapping[str, object],
    specs: ModelSpecs | None = None,
    note: Callable[[str, object], None] = lambda name, levels: None,
) -> Matrices:
    """Build the matrices of all parts.

    Parameters
    ----------
    blueprint : Blueprint
    columns : Columns
    contrasts : Mapping
        Contrasts by column; see `encoding.contrast_of`.
    specs : ModelSpecs, optional
        Those of an earlier call, to build the same columns from new data.
    note : callable
        Told the levels of every categorical column, ``note(name, Levels)``.

    Returns
    -------
    Matrices

    Raises
    ------
    DataError
        If a part cannot be computed from these columns.
    """
    data = _variables(blueprint, columns, contrasts, note)
    if specs is None and (made := plain_matrices(blueprint.sources, data, len(columns))) is not None:
        spelt = {i: tuple(blueprint.spell(name) for name in names) for i, (names, _) in enumerate(made)}
        return Matrices({i: matrix for i, (_, matrix) in enumerate(made)}, spelt, None)
    try:
        return _computed(blueprint, data, len(columns), specs)
    except FormulaicError as error:
        raise _explained(error, blueprint, columns) from error


@lru_cache(maxsize=512)
def plain_specs(blueprint: Blueprint) -> ModelSpecs:
    """What formulaic would have learnt where all parts are plain columns, and nothing depends on their values."""
    numbers = np.zeros(1)
    data = {source: numbers for part in blueprint.sources for source in part if source is not None}
    return _computed(blueprint, data, 1, None).specs


def _computed(blueprint: Blueprint, data: Mapping[str, object], rows: int, specs: ModelSpecs | None) -> Matrices:
    """The matrices of all parts as formulaic makes them."""
    wanted = _formula(blueprint.parts) if specs is None else specs
    with np.errstate(all="ignore"):
        made = _ColumnMaterializer(data, context=CONTEXT, rows=rows).get_model_matrix(
            wanted, output="numpy", na_action="ignore"
        )
    values, names, learnt = {}, {}, {}
    for key, matrix in made._structure.items():
        i, spec = int(key.removeprefix("part")), matrix.model_spec
        values[i], learnt[key] = matrix.__wrapped__, spec
        names[i] = tuple(blueprint.spell(name) for name in spec.column_names)
    return Matrices(values, names, _for_new_data(blueprint, learnt) if specs is None else specs)


def _for_new_data(blueprint: Blueprint, learnt: Mapping[str, object]) -> ModelSpecs:
    """The specs of every part but the response, which new data need not have."""
    # formulaic notes a variable's levels only in the part where it came first; all parts need them
    pool = {expr: state for spec in learnt.values() for expr, state in spec.encoder_state.items()}
    for spec in learnt.values():
        spec.encoder_state.update(pool)
    alone = blueprint.response not in (*blueprint.offsets, *blueprint.bars)
    return ModelSpecs(
        **{key: spec for key, spec in learnt.items() if not (alone and key == f"part{blueprint.response}")}
    )


def _variables(blueprint: Blueprint, columns: Columns, contrasts: Mapping, note: Callable) -> dict[str, object]:
    """Every column the parts read, under the name they read it by: float64, or coded categories."""
    asked = [(name, (name, False)) for name in blueprint.plain]
    asked += [(f"lmm{i}_", key) for i, key in enumerate(blueprint.columns)]
    data: dict[str, object] = {}
    for alias, (name, as_category) in asked:
        if name not in columns.series:  # a response's column, when new data are read
            continue
        series = columns.series[name]
        if not as_category and not is_categorical(series):
            data[alias] = numbers(name, series, "the column")
            continue
        category = _category(name, series, note)
        data[alias] = coded(name, category, contrasts.get(name))
    return data


def _category(name: str, series: pd.Series, note: Callable) -> pd.Categorical:
    gone = pd.isna(series).to_numpy()  # only new data can have missing values here
    found = categorise(name, series[~gone] if gone.any() else series)
    note(name, found)
    codes = found.codes
    if gone.any():
        codes = np.full(len(series), -1, dtype=np.intp)
        codes[~gone] = found.codes
    return pd.Categorical.from_codes(codes, categories=found.levels)


def _explained(error: FormulaicError, blueprint: Blueprint, columns: Columns) -> LMMError:
    """One sentence for what formulaic could not compute."""
    cause = error.__cause__
    if isinstance(cause, LMMError):
        return cause
    found = re.search(r"Unable to evaluate factor `(.*)`\. \[", str(error))
    what = f"`{blueprint.spell(found.group(1))}`" if found else "the formula"
    categories = [n for n, s in columns.series.items() if is_categorical(s) and f"{n}" in what]
    if categories:
        return DataError(
            f"{what} cannot be computed: `{categories[0]}` holds categories, not numbers: use it by itself, "
            "or convert it."
        )
    return DataError(f"{what} cannot be computed from these data ({cause or error}): change the term or the data.")
