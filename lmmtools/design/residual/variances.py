"""One variance function of a formula → `Variance`: levels, strata, covariate and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmtools.design.frame import Columns
from lmmtools.design.residual.value import Variance
from lmmtools.design.residual.variables import combined, label_of, labels_of, read_numbers, rows_named
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ResidualPart

if TYPE_CHECKING:
    from formulaic import ModelSpecs

__all__ = ["check_covariate", "covariate_of", "variance_of"]

_NO_VALUES = np.empty(0)
_LARGEST = 300.0  # exp(2 × 300) can be squared once more in double precision
_MANY = 10  # levels of a number, from which on it was hardly meant as a factor
_NO_EFFECT = {"varpower": 1.0, "varexp": 0.0}  # where the function is one, whatever its parameter


def variance_of(part: ResidualPart, columns: Columns, learnt: dict[str, ModelSpecs], messages: list[str]) -> Variance:
    """The variance function a formula asks for, on the rows used.

    Parameters
    ----------
    part : ResidualPart
    columns : Columns
        At the rows used.
    learnt : dict
        Takes what formulaic learns of expressions.
    messages : list of str

    Raises
    ------
    DataError, ModelError
        If the data cannot tell its parameters, or the function is not defined for the covariate.
    """
    if part.kind == "varident":
        return _by_level(part, columns, messages)
    strata = combined(part.group, columns)
    if part.group and len(strata.levels) == 1:
        raise DataError(
            f"`{part.label}`: the factor `{part.factor}` has one level only (`{label_of(strata.levels[0])}`), so there "
            "are no strata to tell apart: leave it out."
        )
    fitted = not part.nodes
    values = np.full(len(columns), np.nan) if fitted else covariate_of(part, columns, learnt)
    levels = labels_of(strata.levels)
    if part.group:
        _check_single(part, part.factor, strata.codes, levels)
    if not fitted and part.kind != "varfixed":
        _check_varies(part, strata.codes, levels, values)
    return Variance(part.kind, part.label, part.variables, strata.codes, levels, values, fitted, part.factor)


def _by_level(part: ResidualPart, columns: Columns, messages: list[str]) -> Variance:
    found, name = combined(part.variables, columns), ":".join(part.variables)
    if len(found.levels) == 1:
        raise DataError(
            f"`{part.label}`: the factor `{name}` has one level only (`{label_of(found.levels[0])}`), so there is "
            "nothing to compare its sd with: leave it out."
        )
    levels = labels_of(found.levels)
    if len(found.unused):
        messages.append(f"levels of `{name}` without rows have no sd: {quoted(map(label_of, found.unused))}.")
    number = len(part.variables) == 1 and pd.api.types.is_numeric_dtype(columns.series[name].dtype)
    _check_single(part, name, found.codes, levels, number and len(levels) > _MANY)
    return Variance(part.kind, part.label, part.variables, found.codes, levels, _NO_VALUES, False)


def _check_single(
    part: ResidualPart, name: str, codes: np.ndarray, levels: tuple[str, ...], measured: bool = False
) -> None:
    """Raise ModelError where a level has one row: its sd would shrink to zero as soon as the mean meets that row."""
    single = np.flatnonzero(np.bincount(codes) == 1)
    if not len(single):
        return
    have, other = "has" if len(single) == 1 else "have", ""
    if measured:
        other = f"write varpower({name}) or varexp({name}), which let the sd follow a number, "
    raise ModelError(
        f"`{part.label}`: {counted(len(single), 'level')} of `{name}` {have} one row only "
        f"({quoted([levels[k] for k in single])}), which tells no sd of its own: {other}merge levels, or leave those "
        "rows out."
    )


def covariate_of(
    part: ResidualPart, columns: Columns, learnt: dict[str, ModelSpecs], *, new: bool = False
) -> np.ndarray:
    """The covariate of a variance function, checked, shape (n,).

    Parameters
    ----------
    part : ResidualPart
    columns : Columns
    learnt : dict
        Takes what formulaic learns of expressions, or with `new` gives it.
    new : bool

    Raises
    ------
    DataError
        If the function is not defined for a value.
    """
    role = "the variance" if part.kind == "varfixed" else "the covariate"
    values = read_numbers(part.nodes[0], part.variables[0], columns, role, learnt, new=new)
    check_covariate(part, values, columns.index)
    return values.copy()


def check_covariate(part: ResidualPart, values: np.ndarray, index: pd.Index) -> None:
    """Raise DataError for a covariate the function is not defined for: zero, negative, or too large.

    Parameters
    ----------
    part : ResidualPart
    values : ndarray, shape (n,)
    index : pd.Index, shape (n,)
    """
    name = part.variables[0]
    if part.kind == "varexp":
        _check_exponent(part, name, values)
        return
    for what, bad in (("negative", values < 0), ("zero", values == 0)):
        rows = np.flatnonzero(bad)
        if len(rows):
            how = f"`{part.label}`: `{name}` is {what} in {counted(len(rows), 'row')} ({rows_named(index, rows)})"
            raise DataError(f"{how}, {_why_positive(part, name, what)}")


def _why_positive(part: ResidualPart, name: str, what: str) -> str:
    if part.kind == "varfixed":
        remedy = "correct or remove those rows" if what == "zero" else "correct them"
        return f"and a known variance is a positive number: {remedy}."
    if what == "zero":
        other = f", such as I({name} + 1)" if name.isidentifier() else ""
        becomes = "infinite where the power is negative" if part.kind == "varconstpower" else "zero or infinite"
        return (
            f"and the residual sd there would be {becomes}: write a covariate without zeros{other}, or "
            f"varexp({name}), which takes zero."
        )
    return (
        f"and a power is defined for positive numbers: varexp({name}) takes any, and {part.kind}(abs({name})) says "
        "that the sd depends on the size alone (nlme takes it so unasked)."
    )


def _check_exponent(part: ResidualPart, name: str, values: np.ndarray) -> None:
    largest = float(np.abs(values).max())
    if largest <= _LARGEST:
        return
    middle, width = float(values.max() + values.min()) / 2, float(values.max() - values.min())
    away = abs(middle) > width  # a year, say, which is large because of where it is counted from
    shift = f"{name} - {label_of(float(f'{middle:.3g}'))}" if away else name
    scale = 10.0 ** np.ceil(np.log10(width / 10)) if width > 10 else 1.0
    inner = f"({shift}) / {scale:.10g}" if away and scale > 1 else f"{shift} / {scale:.10g}" if scale > 1 else shift
    raise DataError(
        f"`{part.label}`: `{name}` goes up to {largest:.6g} in size, and exp of such numbers does not fit double "
        f"precision: give it in other units or counted from elsewhere, as in varexp(I({inner.replace('- -', '+ ')}))."
    )


def _check_varies(part: ResidualPart, codes: np.ndarray, levels: tuple[str, ...], values: np.ndarray) -> None:
    """Raise ModelError where the covariate is constant, so that its parameter does nothing a scale would not do."""
    low, high = np.full(len(levels), np.inf), np.full(len(levels), -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    constant = high - low <= 1e-12 * np.maximum(np.abs(low), np.abs(high))
    name = part.variables[0]
    if not part.group and constant[0]:
        raise ModelError(
            f"`{part.label}`: `{name}` is {label_of(low[0])} in every row, so the residual sd does not change with it: "
            "leave it out."
        )
    useless = constant if part.kind == "varconstpower" else constant & (low == _NO_EFFECT[part.kind])
    which = np.flatnonzero(useless if useless.any() else constant if constant.all() else False)
    if len(which):
        raise ModelError(
            f"`{part.label}`: `{name}` is constant where `{part.factor}` is {quoted([levels[k] for k in which])}, so "
            f"its parameters there are not determined: varident({part.factor}) gives each level an sd of its own, "
            f"{part.kind}({name}) has the same parameters in all."
        )
