"""Tests of contrasts that the user writes: coefficients by name, weights, or a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag
from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import (
    check_ddf,
    df_format,
    estimate_columns,
    estimates_frame,
    f_reference,
    f_test,
    linear_functions,
    reference,
    reference_notes,
    two_sided,
)

__all__ = ["contrast_matrix", "contrast_tests"]


def contrast_tests(
    fit: Any, contrasts: Any, *, ddf: str = "satterthwaite", joint: bool = True, rhs: Any = 0.0, level: float = 0.95
) -> Frame:
    """Test linear functions of the fixed effects.

    Parameters
    ----------
    fit : LMMFit
    contrasts : array_like, DataFrame, Mapping or sequence of str
        A matrix (k, p) or a vector (p,) over the coefficients in their order; a DataFrame with coefficients as
        columns; ``{"slope at 2": {"Days": 1, "Days:Sex": 2}}``, names of rows to the weights that are not zero; or
        names of coefficients, each tested.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
    joint : bool
        One F test of all rows, or a t test of each.
    rhs : float or array_like, shape (k,)
        What the linear functions are under the null hypothesis.
    level : float
        Confidence level, of t tests.

    Returns
    -------
    Frame
        ``num_df, den_df, f_value, p_value``, or, not joint, the columns of `coef_table`, a row a function: the interval
        is that of the function, statistic and p-value are of its difference from `rhs`.

    Raises
    ------
    LMMError
        If the contrasts do not fit the coefficients, or an argument is unknown.
    ModelError
        For Kenward and Roger's method, where it is not defined.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> fit.test({"day 5": {"Intercept": 1, "Days": 5}}, joint=False)["df"].round(2).tolist()
    [17.0]
    """
    L, names = contrast_matrix(contrasts, list(fit.design.fixed_names))
    check_ddf(ddf, fit, "test")
    target = _right_side(rhs, len(L))
    if check_flag(joint, "joint"):
        if np.any(target != 0.0):
            raise LMMError("test: a joint test is of all functions being zero; with rhs use joint=False.")
        found = f_test(fit, L, ddf)
        numbers = {"num_df": found.num_df, "den_df": found.den_df, "f_value": found.f_value, "p_value": found.p_value}
        table = pd.DataFrame([numbers], index=[", ".join(names) if len(names) < 4 else counted(len(names), "function")])
        dependent = (f"Of {len(L)} functions {found.num_df} are independent.",) if found.num_df < len(L) else ()
        return frame(
            table, caption=f"F test of linear functions of the fixed effects ({fit.method}); {f_reference(fit, ddf)}",
            label="tbl-test", notes=(*reference_notes(fit, ddf, found.den_df), *dependent),
            headings={"num_df": "df", "den_df": "Denominator df", "f_value": "F", "p_value": "p"},
            formats={"num_df": "int", "den_df": df_format([found.den_df]), "f_value": "fixed3", "p_value": "p"},
        )  # fmt: skip
    functions = linear_functions(fit, L, ddf)
    columns = estimate_columns(functions, level)
    columns["statistic"] = (functions.estimate - target) / functions.std_error
    columns["p_value"] = two_sided(columns["statistic"], functions.df)
    against = () if not np.any(target) else (f"Tested against {', '.join(f'{x:g}' for x in target)}.",)
    return estimates_frame(
        pd.DataFrame(columns, index=names), level, ddf,
        caption=f"Linear functions of the fixed effects by {fit.method}; reference: {reference(fit, ddf)}",
        label="tbl-test", notes=(*reference_notes(fit, ddf, functions.df), *against),
    )  # fmt: skip


def contrast_matrix(contrasts: Any, coefficients: list[str]) -> tuple[np.ndarray, list[str]]:
    """Rows over the coefficients, shape (k, p), and their names.

    Raises
    ------
    LMMError
        If they name other coefficients, have another length, hold what is no number, or a row of zeros.
    """
    if not coefficients:
        raise LMMError("contrasts: the model has no fixed effects, so there is nothing to test.")
    if isinstance(contrasts, str):
        contrasts = [contrasts]
    if isinstance(contrasts, pd.Series) and set(contrasts.index) & set(coefficients):
        contrasts = pd.DataFrame([contrasts])
    if isinstance(contrasts, pd.DataFrame):
        names = [str(name) for name in contrasts.index]
        L = np.array([_weights(row, name, coefficients) for name, row in
                      zip(names, contrasts.to_dict("records"), strict=True)])  # fmt: skip
    elif isinstance(contrasts, Mapping):
        names = [str(name) for name in contrasts]
        L = np.array([_weights(row, str(name), coefficients) for name, row in contrasts.items()])
    elif isinstance(contrasts, Sequence) and contrasts and all(isinstance(name, str) for name in contrasts):
        names = list(contrasts)
        L = np.array([_weights({name: 1.0}, name, coefficients) for name in names])
    else:
        try:
            L = np.atleast_2d(np.array(contrasts, dtype=float))
        except (TypeError, ValueError) as error:
            raise LMMError(f"contrasts must be numbers, or names of coefficients; got {contrasts!r}.") from error
        if contrasts is None or L.ndim != 2 or L.shape[1] != len(coefficients):
            got = None if contrasts is None else L.shape[1] if L.ndim == 2 else f"an array of shape {L.shape}"
            raise LMMError(
                f"contrasts need {counted(len(coefficients), 'number')} a row, one for each of {quoted(coefficients)}; "
                f"got {got}."
            )
        names = [_spelt(row, coefficients) for row in L]
    if not len(L):
        raise LMMError("contrasts: none were given.")
    for name, row in zip(names, L, strict=True):
        if not np.all(np.isfinite(row)) or not np.any(row):
            what = "all zero" if np.all(np.isfinite(row)) else "not finite"
            raise LMMError(f"contrasts: the weights of `{name}` are {what}, so there is nothing to test.")
    return L, names


def _weights(row: Any, name: str, coefficients: list[str]) -> np.ndarray:
    if not isinstance(row, Mapping):
        try:
            values = np.atleast_1d(np.asarray(row, dtype=float))
        except (TypeError, ValueError) as error:
            raise LMMError(f"contrasts: the weights of `{name}` must be numbers; got {row!r}.") from error
        if values.shape != (len(coefficients),):
            raise LMMError(
                f"contrasts: `{name}` needs {counted(len(coefficients), 'number')}, one for each of "
                f"{quoted(coefficients)}; got {values.size}."
            )
        return values
    out = np.zeros(len(coefficients))
    for key, weight in row.items():
        if key not in coefficients:
            raise LMMError(
                f"contrasts: `{name}` names `{key}`, which is no coefficient of this model"
                f"{nearest(str(key), coefficients)}; it has {quoted(coefficients)}."
            )
        if not isinstance(weight, Real):
            raise LMMError(f"contrasts: the weight of `{key}` in `{name}` must be a number; got {weight!r}.")
        out[coefficients.index(key)] = weight
    return out


def _spelt(row: np.ndarray, coefficients: list[str]) -> str:
    """A row as text: ``Days + 2 Days:Sex``."""
    parts = []
    for weight, name in zip(row, coefficients, strict=True):
        if weight:
            sign = "− " if weight < 0 else "+ "
            parts.append(f"{sign}{name}" if abs(weight) == 1 else f"{sign}{abs(weight):.4g} {name}")
    text = " ".join(parts)
    return text.removeprefix("+ ") or "0"


def _right_side(rhs: Any, k: int) -> np.ndarray:
    try:
        target = np.broadcast_to(np.asarray(rhs, dtype=float), (k,))
    except (TypeError, ValueError):
        target = np.array([np.nan])
    if not np.all(np.isfinite(target)):
        several = f", or {k} of them" if k > 1 else ""
        raise LMMError(f"test: rhs must be a finite number{several}; got {rhs!r}.")
    return target
