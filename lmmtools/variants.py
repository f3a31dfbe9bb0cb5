"""Formulas and one data frame → `Models`: every formula read first, then each fitted to the rows all can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag
from lmmtools.design.checks import complete_rows
from lmmtools.design.frame import Columns, take
from lmmtools.errors import DataError, FormulaError, LMMError, ModelError
from lmmtools.fit import fit_gls, fit_lmm
from lmmtools.formats import counted, listed, quoted
from lmmtools.formula import ParsedFormula, parse_formula, parse_residual
from lmmtools.models import Models, under_its_name
from lmmtools.results import LMMFit

__all__ = ["fit_models"]


def fit_models(
    formulas: Sequence[str],
    data: Any,
    *,
    names: Sequence[str] | None = None,
    reml: bool = False,
    weights: Any = None,
    offset: Any = None,
    residual: str | Sequence[str | None] | None = None,
    known: Mapping[str, Any] | None = None,
    structures: Mapping[str, Any] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
) -> Models:
    """Fit several models of one response to the same rows.

    Parameters
    ----------
    formulas : sequence of str
    data : frame
        Any frame narwhals understands.
    names : sequence of str, optional
        One for each formula; ``M1``, ``M2`` and so on when left out or empty.
    reml : bool
        Maximum likelihood (default), so that models with different fixed effects can be compared, or REML.
    weights, offset, contrasts, missing
        As for `fit_lmm`, for all models.
    residual : str, or sequence of str or None, optional
        Structure of the residuals, as for `fit_lmm`: of all models, or one for each formula, None for independent
        residuals of one variance. With it formulas may be without random effects.
    known, structures
        As for `fit_lmm`, each for the models that have the grouping factor, or name the structure.

    Returns
    -------
    Models
        Rows with a missing value in any column that any of the models needs are left out of all of them, since
        likelihoods of different rows cannot be compared; `messages` says how many. A model that cannot be fitted, or
        has another response than most, is in `failures`.

    Raises
    ------
    FormulaError
        If formulas or residual structures cannot be read, with all that is wrong.
    ModelError
        If names are doubled, there are fewer or more structures than formulas, `known` has a factor that no formula
        has, or none of the models can be fitted.

    Examples
    --------
    >>> import lmmtools as lt
    >>> formulas = ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)"]
    >>> models = lt.fit_models(formulas, lt.load_dataset("sleepstudy"))
    >>> list(models), models.preferred
    (['M1', 'M2'], 'M2')
    """
    named = dict(zip(_names(formulas, names), formulas, strict=True))
    parsed = _parse(named, structures)
    residuals = _residuals(named, residual)
    _check_known(known, parsed)
    failures = _other_responses(parsed)
    request = _Request(
        data, check_flag(reml, "reml"), weights, offset, residuals, known, structures, contrasts, missing
    )
    able = {name: one for name, one in parsed.items() if name not in failures}
    fits, found, messages = _fit_common(able, request)
    failures |= found
    if not fits:
        raise ModelError("fit_models: none of the models can be fitted. " + _said(failures))
    return Models(fits, named, {name: failures[name] for name in named if name in failures}, messages)


def _said(sentences: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {text}" for name, text in sentences.items())


def _names(formulas: Any, names: Sequence[str] | None) -> list[str]:
    if isinstance(formulas, str) or not isinstance(formulas, Sequence) or not formulas:
        raise ModelError(f"fit_models: formulas must be a list with at least one formula; got {formulas!r}.")
    if not names:
        return [f"M{i + 1}" for i in range(len(formulas))]
    if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in names):
        raise ModelError(f"fit_models: names must be a list of texts that are not empty; got {names!r}.")
    if len(names) != len(formulas):
        raise ModelError(
            f"fit_models: {counted(len(formulas), 'formula')} and {counted(len(names), 'name')}; give one name for "
            "each formula, or none."
        )
    doubled = list(dict.fromkeys(name for name in names if list(names).count(name) > 1))
    if doubled:
        raise ModelError(f"fit_models: {quoted(doubled)} names more than one model; give each a name of its own.")
    return list(names)


def _parse(formulas: Mapping[str, str], structures: Mapping[str, Any] | None) -> dict[str, ParsedFormula]:
    parsed, wrong = {}, {}
    for name, formula in formulas.items():
        try:
            parsed[name] = parse_formula(formula, structures)
        except FormulaError as error:
            wrong[name] = str(error)
    if wrong:
        raise FormulaError("\n".join(f"{name}: {text}" for name, text in wrong.items()))
    return parsed


def _residuals(named: Mapping[str, str], residual: Any) -> dict[str, str | None]:
    """The residual structure of each model, by its name."""
    if residual is None or isinstance(residual, str):
        given = [residual] * len(named)
    elif isinstance(residual, Sequence) and all(one is None or isinstance(one, str) for one in residual):
        given = list(residual)
    else:
        raise ModelError(
            "fit_models: residual must be a text such as 'ar1(time | g)', or a list of such texts and None, one for "
            f"each formula; got {residual!r}."
        )
    if len(given) != len(named):
        raise ModelError(
            f"fit_models: {counted(len(named), 'formula')} and {counted(len(given), 'residual structure')}; give one "
            "for each formula, or one text for all."
        )
    found = {name: one or None for name, one in zip(named, given, strict=True)}
    wrong = {}
    for name, one in found.items():
        try:
            parse_residual(one) if one else None
        except FormulaError as error:
            wrong[name] = str(error)
    if wrong:
        raise FormulaError("\n".join(f"{name}: {text}" for name, text in wrong.items()))
    return found


def _other_responses(parsed: Mapping[str, ParsedFormula]) -> dict[str, str]:
    """Variants whose response is not that of most; of the first where several are as frequent."""
    responses = [one.response for one in parsed.values()]
    most = max(dict.fromkeys(responses), key=responses.count)
    return {
        name: f"its response is `{one.response}`, that of the other models `{most}`; likelihoods of different "
        "responses, or of one on different scales, cannot be compared."
        for name, one in parsed.items()
        if one.response != most
    }


@dataclass(frozen=True, eq=False)
class _Request:
    """What all models of one call share."""

    data: Any
    reml: bool
    weights: Any
    offset: Any
    residuals: Mapping[str, str | None]
    known: Mapping[str, Any] | None
    structures: Mapping[str, Any] | None
    contrasts: Mapping[str, Any] | None
    missing: str

    def known_of(self, parsed: ParsedFormula) -> dict[str, Any] | None:
        """The known covariances of one model's grouping factors."""
        if not isinstance(self.known, Mapping):
            return self.known  # refused by the fit, if it is something else
        return {name: A for name, A in self.known.items() if name in _terms(parsed)}

    @property
    def own_columns(self) -> list[str]:
        """Columns that weights and offset name."""
        return [name for name in (self.weights, self.offset) if isinstance(name, str)]

    def read(self, name: str, parsed: ParsedFormula) -> tuple[str, ...]:
        """What formula and residual structure of one model read."""
        residual = self.residuals[name]
        return (*parsed.columns, *(parse_residual(residual).columns if residual else ()))

    def columns(self, name: str, parsed: ParsedFormula) -> tuple[str, ...]:
        """What one model reads."""
        return tuple(dict.fromkeys([*self.read(name, parsed), *self.own_columns]))


def _fit_common(
    parsed: Mapping[str, ParsedFormula], request: _Request
) -> tuple[dict[str, LMMFit], dict[str, str], tuple[str, ...]]:
    """Fits to the rows complete for all, failures, messages; a model that fails costs the others no rows."""
    failures: dict[str, str] = {}
    while parsed:
        rows, taken, wrong = _common_rows(parsed, request)
        fits: dict[str, LMMFit] = {}
        for name in taken:
            try:
                fits[name] = under_its_name(name, _fit_one, name, parsed[name], rows, request)
            except LMMError as error:
                wrong[name] = str(error)
        failures |= wrong
        if not wrong or rows.keep is None:
            return fits, failures, rows.messages
        parsed = {name: one for name, one in parsed.items() if name in fits}
    return {}, failures, ()


@dataclass(frozen=True, eq=False)
class _Rows:
    """The columns of all models, which of their rows all can use (None: all), what to say of the others, and of all."""

    columns: Columns
    keep: np.ndarray | None
    messages: tuple[str, ...]
    about: Mapping[str, Any]

    def frame(self) -> pd.DataFrame:
        """The rows used, as pandas has them."""
        columns = self.columns if self.keep is None else self.columns.rows(self.keep)
        data = pd.DataFrame(dict(columns.series), index=columns.index)
        data.attrs["lmmtools"] = dict(self.about)
        return data

    def values(self, given: Any) -> Any:
        """Weights or an offset given row by row, for the rows used: a Series by its labels, others by position."""
        if self.keep is None or given is None or isinstance(given, str):
            return given
        if isinstance(given, pd.Series):
            used = self.columns.index[self.keep]
            return given.loc[used] if given.index.is_unique and used.isin(given.index).all() else given
        values = np.asarray(given)
        return values[self.keep] if values.shape[:1] == self.keep.shape else given


def _common_rows(parsed: Mapping[str, ParsedFormula], request: _Request) -> tuple[_Rows, list[str], dict[str, str]]:
    """Rows complete in all columns of the models whose columns are there; the other models with their reasons."""
    needed, wrong = {}, {}
    for name, one in parsed.items():
        try:
            needed[name] = take(request.data, request.columns(name, one))
        except DataError as error:
            wrong[name] = str(error)
    if not needed:
        return _Rows(Columns({}, pd.RangeIndex(0)), None, (), {}), [], wrong
    about = getattr(request.data, "attrs", {}).get("lmmtools", {})
    names = dict.fromkeys(c for columns in needed.values() for c in columns.series)
    all_columns = take(request.data, names)
    # A missing weight is an error, not a missing row, unless it is needed as something else too.
    read = {column for name, one in parsed.items() for column in request.read(name, one)}
    named = isinstance(request.weights, str) and request.own_columns.count(request.weights) == 1
    apart = request.weights if named and request.weights not in read else None
    keep, message = complete_rows(all_columns, request.missing, apart)
    if keep is None:
        return _Rows(all_columns, None, (), about), list(needed), wrong
    said = [message, *_cost(needed, keep, request.missing, apart)]
    return _Rows(all_columns, keep, tuple(filter(None, said)), about), list(needed), wrong


def _cost(needed: Mapping[str, Columns], keep: np.ndarray, missing: str, apart: str | None) -> list[str]:
    """How many rows the common rows cost each model that could have used more."""
    lost = {}
    for name, columns in needed.items():
        own, _ = complete_rows(columns, missing, apart)
        lost[name] = (len(keep) if own is None else int(own.sum())) - int(keep.sum())
    costs = [f"{name} {counted(n, 'row')}" for name, n in lost.items() if n]
    if not costs:
        return []
    return [
        "models can be compared only on the same rows, those complete for all of them; that costs "
        f"{listed(costs)} that it could have used alone." if len(costs) == 1 else
        "models can be compared only on the same rows, those complete for all of them; that costs "
        f"{listed(costs)} that they could have used alone."
    ]  # fmt: skip


def _terms(parsed: ParsedFormula) -> set[str]:
    """Grouping factors of a formula, and the names in `varcorr` of their later terms."""
    seen: Counter[str] = Counter()
    for bar in parsed.random:
        seen[bar.factor] += 1
    return {factor if not k else f"{factor}.{k}" for factor, n in seen.items() for k in range(n)}


def _check_known(known: Any, parsed: Mapping[str, ParsedFormula]) -> None:
    """Refuse a matrix that none of the models has a use for."""
    names = set().union(*map(_terms, parsed.values()))
    unused = [name for name in known if name not in names] if isinstance(known, Mapping) else []
    if unused:
        raise ModelError(
            f"fit_models: known has {quoted(map(str, unused))}, no grouping factor of any of the formulas; these have "
            f"{quoted(sorted(names))}."
        )


def _fit_one(name: str, parsed: ParsedFormula, rows: _Rows, request: _Request) -> LMMFit:
    options = {
        "reml": request.reml,
        "weights": rows.values(request.weights),
        "offset": rows.values(request.offset),
        "contrasts": request.contrasts,
        "missing": request.missing,
    }
    residual = request.residuals[name]
    if not parsed.random and any(request.residuals.values()):
        return fit_gls(parsed.text, rows.frame(), residual=residual, **options)
    return fit_lmm(
        parsed.text,
        rows.frame(),
        residual=residual,
        known=request.known_of(parsed),
        structures=request.structures,
        **options,
    )
