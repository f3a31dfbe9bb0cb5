"""Formula and data → `Design`, one step after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design import checks
from lmmtools.design.crossing import crossing_notes
from lmmtools.design.frame import Columns, numbers, take
from lmmtools.design.known import Known
from lmmtools.design.levels import Levels, categorise, interaction, is_text
from lmmtools.design.newdata import Recipe
from lmmtools.design.observed import Observed, observe
from lmmtools.design.terms import left_sides, random_terms, structures_of
from lmmtools.design.value import Design, RandomTerm
from lmmtools.errors import ModelError
from lmmtools.formula import ParsedFormula, ParsedResidual, parse_formula, parse_residual
from lmmtools.formula.translate import columns as columns_of

if TYPE_CHECKING:
    from lmmtools.design.matrices import Blueprint
    from lmmtools.design.residual import Residual
    from lmmtools.design.residual.rows import ResidualRecipe

__all__ = ["build_design"]


def build_design(
    formula: str | ParsedFormula,
    data: object,
    *,
    weights: object = None,
    offset: object = None,
    known: Mapping[str, object] | None = None,
    structures: Mapping[str, object] | None = None,
    contrasts: Mapping[str, object] | None = None,
    missing: str = "drop",
    residual: str | ParsedResidual | None = None,
) -> Design:
    """The response, model matrices and groups that a formula and data define.

    Parameters
    ----------
    formula : str
        In R's notation; see `parse_formula`.
    data : data frame
        pandas, polars, pyarrow, or another eager frame that narwhals reads. Only the columns named are taken.
    weights : str or array_like, shape (rows of data,), optional
        Precision weights, Var(ε_i) = σ²/w_i: a column, or one positive number for each row. A pandas Series is
        matched to the rows by its index, any other array by position.
    offset : str or array_like, shape (rows of data,), optional
        Added to the mean with coefficient one, besides any ``offset(…)`` of the formula; read as `weights` is.
    known : Mapping[str, object], optional
        Known covariances of a factor's levels, A in Var(b) = σ²(T ⊗ A), as they are: nothing is rescaled. By grouping
        factor, or by one term's name in ``varcorr`` (``"id.1"``); where a term is written twice, as in
        ``(1 | id) + (1 | id)``, the factor's matrix is the first one's, and the levels of the second are independent.
        Each is a DataFrame with the levels as index and columns, or a pair (labels, matrix), the only form for one
        of scipy.sparse: ``{"animal": (labels, A)}``. Levels are matched by name, in any order, numbers by value.
        None stands for independent levels.
    structures : Mapping[str, object], optional
        Covariance structures of your own by the name the formula has them under: ``{"mine": structure}`` makes
        ``mine(0 + f | g)`` a random term. For what such an object must do see `lmmtools.Structure`.
    contrasts : Mapping[str, str or array_like], optional
        Contrasts by column: ``{"temp": "poly"}``; also ``sum``, ``helmert``, ``treatment``, ``SAS``, ``diff``.
        All factors have treatment contrasts otherwise, ordered ones too (R gives those polynomials).
    missing : {"drop", "raise"}
        What to do with rows that have a missing value: leave out and say so, or refuse.
    residual : str, optional
        Correlation of the residuals within groups and what their sds depend on, such as
        ``"ar1(time | Subject) * varident(Sex)"``; see `lmmtools.formula.parse_residual`.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        If the formula or the residual structure cannot be read.
    DataError
        If the data do not hold what the formula needs, or a known covariance matrix is none, or lacks levels; if two
        rows of a residual group have one time, or a covariate of the residual sd is not what it must be.
    ModelError
        If there are as many fixed effects as rows, contrasts are unknown, `known` names no grouping factor, a
        structure does not do what it must, or `missing` is neither of its values; if the data cannot tell parameters
        of the residual structure, or the random effects say the same.

    Notes
    -----
    What ``poly``, ``scale``, ``bs`` and their like learn from the data is learnt on the rows used, after those with
    missing values are left out (R learns before). `contrasts` reaches the factors on the left side of bars too
    (lme4's reaches the fixed part only).

    Examples
    --------
    >>> from lmmtools import build_design, load_dataset
    >>> build_design("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    <Design Reaction ~ Days + (Days | Subject): 180 rows, 2 fixed effects; groups Subject: 18>
    >>> build_design("diameter ~ 1 + (1 | plate) + (1 | sample)", load_dataset("Penicillin")).ngroups
    {'plate': 24, 'sample': 6}
    """
    parsed = formula if isinstance(formula, ParsedFormula) else parse_formula(formula, structures)
    if contrasts is not None and not isinstance(contrasts, Mapping):
        raise ModelError(
            f"contrasts={contrasts!r} does not say for which column: give a mapping such as {{'f': 'sum'}}."
        )
    if missing not in ("drop", "raise"):
        raise ModelError(f"missing={missing!r} is unknown: choose 'drop' or 'raise'.")
    structure = residual if residual is None or isinstance(residual, ParsedResidual) else parse_residual(residual)
    named = (*parsed.columns, *(structure.columns if structure else ()))
    extra = [name for name in (weights, offset) if isinstance(name, str)]
    columns = take(data, dict.fromkeys([*named, *extra]))
    # a missing weight is an error, not a missing row, unless the formula reads that column too
    apart = weights if isinstance(weights, str) and weights not in (*named, offset) else None
    keep, message = checks.complete_rows(columns, missing, apart)
    used = columns if keep is None else columns.rows(keep)
    own = structures_of(parsed, structures)
    given = _Given(weights, offset, columns.index, keep, Known(known), own, structure)
    messages = [] if message is None else [message]
    dropped = columns.index[:0] if keep is None else columns.index[~keep]
    return _assemble(parsed, used, given, dict(contrasts or {}), dropped, messages)


@dataclass(frozen=True)
class _Given:
    """The arguments of the call, the labels of all rows, and which of these are used."""

    weights: object
    offset: object
    index: pd.Index
    keep: np.ndarray | None
    known: Known
    structures: Mapping[str, object]
    residual: ParsedResidual | None


def _assemble(
    parsed: ParsedFormula,
    columns: Columns,
    given: _Given,
    contrasts: Mapping[str, object],
    dropped_rows: pd.Index,
    messages: list[str],
) -> Design:
    """Groups, matrices, response, weights: everything of a Design, from complete rows."""
    from lmmtools.design.matrices import blueprint_of, materialise

    # groups first: they cost no formulaic, and a wrong group column is the commonest mistake
    groups = _groups(parsed, columns, messages)
    blueprint = blueprint_of(parsed)
    finite = _finite_columns(parsed, columns)
    categories: dict[str, Levels] = {}
    made = materialise(blueprint, columns, contrasts, note=categories.__setitem__)
    for name, found in categories.items():
        messages += checks.check_levels(name, found, fixed=True)
    checks.check_contrast_names(contrasts, list(categories))
    checks.check_names(made.names.values(), parsed)
    y = _response(parsed, columns, None if blueprint.response is None else made.values[blueprint.response])
    X, fixed_names = made.values[0], made.names[0]
    for part, names in made.names.items():
        for j, name in enumerate(names):
            if name not in finite:
                checks.check_finite(name, made.values[part][:, j], columns.index)
        checks.check_magnitude(names, made.values[part])
    texts = {name: len(found.levels) for name, found in categories.items() if is_text(columns.series[name])}
    rank, dropped_columns, about = checks.reduce_rank(X, fixed_names, texts)
    messages += about
    if dropped_columns:
        X, fixed_names = np.asfortranarray(X[:, rank.kept]), tuple(fixed_names[j] for j in rank.kept)
    weights, offset = _weights(columns, given), _offset(blueprint, made.values, columns, given)
    sides = left_sides(parsed, blueprint, made, columns, messages)
    terms = random_terms(parsed, sides, groups, given.structures, given.known, messages)
    residual, learnt = _residual(given, columns, X, y if offset is None else y - offset, terms, messages)
    named = given.offset if isinstance(given.offset, str) else None
    axes = tuple(side.axis for side in sides)
    as_array = given.offset is not None and named is None
    in_X = made.specs is None and not dropped_columns  # every variable is a column of it
    seen = Observed() if in_X else observe(blueprint, parsed, columns, categories, fixed_names)
    recipe = Recipe(blueprint, made.specs, contrasts, rank.kept, named, as_array, axes, rank.dropped, seen, learnt)
    return Design(
        parsed.text, parsed, parsed.response, y, X, fixed_names, weights, offset, terms, columns.index, dropped_rows,
        dropped_columns, tuple(dict.fromkeys(messages)), columns.units, columns.nouns, columns.descriptions, recipe,
        residual,
    )  # fmt: skip


def _groups(parsed: ParsedFormula, columns: Columns, messages: list[str]) -> dict[tuple[str, ...], Levels]:
    """Codes and levels of every grouping factor; a factor with one level is an error."""
    single = {name: categorise(name, columns.series[name]) for name in parsed.groups}
    groups = {}
    for bar in parsed.random:
        if bar.group not in groups:
            groups[bar.group] = interaction([single[name] for name in bar.group])
            messages += checks.check_levels(bar.factor, groups[bar.group], fixed=False)
    if len(groups) > 1:
        messages += crossing_notes(groups, single)
    return groups


def _residual(
    given: _Given, columns: Columns, X: np.ndarray, y: np.ndarray, terms: tuple[RandomTerm, ...], messages: list[str]
) -> tuple[Residual | None, ResidualRecipe | None]:
    """The residual structure beside the rest of the model, and how it was read."""
    if given.residual is None:
        return None, None
    from lmmtools.design.residual import checks as residual_checks
    from lmmtools.design.residual.parts import residual_of
    from lmmtools.design.residual.rows import ResidualRecipe

    learnt: dict = {}
    residual = residual_of(given.residual, columns, learnt, messages)
    residual_checks.check_within(residual.variances)
    residual_checks.check_fitted_exactly(residual.variances, X, y, random=bool(terms))
    residual_checks.check_unstructured(residual, X, random=bool(terms))
    residual_checks.check_with_terms(residual, terms, weighted=given.weights is not None)
    if note := residual_checks.correlation_note(residual.correlation, residual.variances):
        messages.append(note)
    return residual, ResidualRecipe(given.residual, learnt)


def _finite_columns(parsed: ParsedFormula, columns: Columns) -> set[str]:
    """Names that need no further look; an infinite value is told before a function of it blurs where it came from."""
    found = {"Intercept"}
    for name in dict.fromkeys([*columns_of(parsed.response_node), *parsed.predictors]):
        series = columns.series[name]
        if pd.api.types.is_float_dtype(series.dtype):
            checks.check_finite(name, numbers(name, series, "the column"), columns.index)
            found.add(name)
        elif pd.api.types.is_integer_dtype(series.dtype):
            found.add(name)
    return found


def _response(parsed: ParsedFormula, columns: Columns, made: np.ndarray | None) -> np.ndarray:
    if made is None:
        name = parsed.response_node.value
        y = numbers(name, columns.series[name], "the response")
        y = y if y.base is None else y.copy()  # not the caller's memory, which may change later
    elif made.shape[1] != 1:
        raise ModelError(
            f"the response `{parsed.response}` has {made.shape[1]} columns, one can be fitted: choose one."
        )
    else:
        y = made[:, 0]
        checks.check_finite(parsed.response, y, columns.index)
    checks.check_response(parsed.response, y)
    checks.check_magnitude([parsed.response], y[:, None])
    return y


def _weights(columns: Columns, given: _Given) -> np.ndarray | None:
    if given.weights is None:
        return None
    name = f"column `{given.weights}`" if isinstance(given.weights, str) else "the array given"
    return checks.weights_of(checks.per_row("weights", given.weights, columns, given.index, given.keep).copy(), name)


def _offset(
    blueprint: Blueprint, values: Mapping[int, np.ndarray], columns: Columns, given: _Given
) -> np.ndarray | None:
    """The sum of all offsets, of the formula and of the argument."""
    parts = [checks.single_column(blueprint.spell(blueprint.parts[i]), values[i]) for i in blueprint.offsets]
    if given.offset is not None:
        part = checks.per_row("offset", given.offset, columns, given.index, given.keep)
        checks.check_finite(given.offset if isinstance(given.offset, str) else "offset", part, columns.index)
        parts.append(part)
    return np.sum(parts, axis=0) if parts else None
