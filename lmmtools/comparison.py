"""Comparison of fits: likelihood-ratio tests whose nesting is checked, and information criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.formats import counted, quoted
from lmmtools.frames import Frame, frame
from lmmtools.nesting import Nesting, nesting, outside

__all__ = ["BOUNDARY", "compare", "criteria_of", "likelihood_ratio", "lrt", "named_fits", "why_not_comparable"]

BOUNDARY = (
    "A variance of zero lies on the boundary of what is possible, where χ² with all its degrees of freedom gives "
    "p-values that are too large: a small p stands, a large one may hide an effect.",
)
_FORMATS = {"loglik": "fixed3", "deviance": "fixed3", "chisq": "fixed3", "p_value": "p"}
_RECODED = (
    "The models code the same mean in different columns, on which REML's criterion depends; all are given for the "
    "columns of the first.",
)


def lrt(*fits: Any) -> Frame:
    """Likelihood-ratio tests of successively larger nested fits.

    Parameters
    ----------
    *fits : LMMFit
        Two or more, of the same rows; they are put in order of their number of parameters.

    Returns
    -------
    Frame
        A row a fit: ``npar, loglik, deviance, chisq, df, p_value, reference``; each row tests the fit above it
        against its own, and `reference` says against which distribution.

    Raises
    ------
    ModelError
        If responses, rows, weights or methods differ, REML fits differ in the means they can take, or a fit is not
        nested in the next.

    Notes
    -----
    Where the smaller fit sets a variance to zero, the null hypothesis lies on the boundary and χ² with the
    difference in parameters gives p-values that are too large (Self & Liang 1987, JASA 82); `reference` says so.
    """
    _require_fits("lrt", fits, at_least=2)
    ordered = sorted(fits, key=lambda f: f.npar)
    for small, large in pairwise(ordered):
        _require_comparable("lrt", small, large)
    steps = [_require_nested(small, large) for small, large in pairwise(ordered)]
    criteria = criteria_of(ordered)
    rows = [_first_row(fit, at) for fit, at in zip(ordered, criteria, strict=True)]
    for row, step, (small, large) in zip(rows[1:], steps, pairwise(criteria), strict=True):
        row |= likelihood_ratio(small, large, step)
    boundary = any(step.boundary for step in steps)
    return frame(
        pd.DataFrame(rows, index=_labels(ordered)),
        caption=f"Likelihood-ratio tests ({ordered[0].method} fits); each row against the one above",
        label="tbl-lrt",
        notes=(*(BOUNDARY if boundary else ()), *_recoded(ordered, criteria)),
        headings={"npar": "Parameters", "loglik": "log-lik.", "deviance": "−2 log-lik.", "chisq": "χ²",
                  "df": "df", "p_value": "p", "reference": "Reference"},
        formats=_FORMATS | {"npar": "int", "df": "int", "reference": "text"},
    )  # fmt: skip


def _first_row(fit: Any, criterion: float) -> dict[str, Any]:
    numbers = {"npar": fit.npar, "loglik": -0.5 * criterion, "deviance": criterion}
    return numbers | {"chisq": np.nan, "df": pd.NA, "p_value": np.nan, "reference": ""}


def likelihood_ratio(small: float, large: float, step: Nesting) -> dict[str, Any]:
    """``chisq, df, p_value, reference`` of a test of nested models from their criteria."""
    from scipy.special import chdtrc

    # A larger model can only fit better; what is left below zero is rounding of the two optima.
    chisq = max(small - large, 0.0)
    words = f"χ²({step.df}), conservative: a variance is zero under the null" if step.boundary else f"χ²({step.df})"
    return {"chisq": chisq, "df": step.df, "p_value": float(chdtrc(step.df, chisq)), "reference": words}


def compare(*fits: Any) -> Frame:
    """Information criteria of fits to the same rows, nested or not.

    Parameters
    ----------
    *fits : LMMFit or Mapping[str, LMMFit]
        One or more, all by ML, or all by REML with the same means; or one mapping of names to them, as
        `fit_models` makes it.

    Returns
    -------
    Frame
        ``npar, loglik, aic, aicc, bic, delta, weight, note``, in the order given; `delta` and `weight` (Akaike's)
        are of AIC; aicc uses the number of rows (Hurvich & Tsai 1989, Biometrika 76).

    Raises
    ------
    ModelError
        As `lrt`, nesting apart.
    """
    labels, fits = named_fits(fits)
    _require_fits("compare", fits, at_least=1)
    for other in fits[1:]:
        _require_comparable("compare", fits[0], other)
    criteria = np.array(criteria_of(fits))
    npar = np.array([f.npar for f in fits])
    aic = criteria + 2.0 * npar
    delta = aic - aic.min()
    weight = np.exp(-0.5 * delta)
    table = pd.DataFrame(
        {
            "npar": npar,
            "loglik": -0.5 * criteria,
            "aic": aic,
            "aicc": [_aicc(value, f) for value, f in zip(aic, fits, strict=True)],
            "bic": criteria + np.log(fits[0].nobs) * npar,
            "delta": delta,
            "weight": weight / weight.sum(),
            "note": [_note(f) for f in fits],
        },
        index=labels or _labels(fits),
    )
    return frame(
        table,
        caption=f"Information criteria ({fits[0].method} fits of {counted(fits[0].nobs, 'row')})",
        label="tbl-compare",
        notes=_recoded(fits, criteria),
        headings={"npar": "Parameters", "loglik": "log-lik.", "aic": "AIC", "aicc": "AICc", "bic": "BIC",
                  "delta": "ΔAIC", "weight": "Weight", "note": "Note"},
        formats={"npar": "int", "loglik": "fixed3", "aic": "fixed2", "aicc": "fixed2", "bic": "fixed2",
                 "delta": "fixed2", "weight": "fixed3", "note": "text"},
    )  # fmt: skip


def named_fits(fits: tuple[Any, ...]) -> tuple[list[str], tuple[Any, ...]]:
    """Names and fits of a mapping that is the only argument; no names, and the fits as they are, otherwise."""
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        return list(fits[0]), tuple(fits[0].values())
    return [], fits


def criteria_of(fits: Sequence[Any]) -> list[float]:
    """Criteria that can be compared: those of REML as if every X were coded as the first."""
    if not fits[0].reml or not len(fits[0].beta):
        return [fit.criterion for fit in fits]
    # −2 restricted log-likelihood − log|X'X| depends on the column space of X alone (Harville 1974, Biometrika 61).
    size = [_log_size(fit.design.X) for fit in fits]
    return [fit.criterion - (own - size[0]) for fit, own in zip(fits, size, strict=True)]


def _log_size(X: np.ndarray) -> float:
    """log|X'X|."""
    return 2.0 * float(np.log(np.abs(np.diagonal(np.linalg.qr(X, mode="r")))).sum())


def _recoded(fits: Sequence[Any], criteria: Sequence[float]) -> tuple[str, ...]:
    same = all(fit.criterion == criterion for fit, criterion in zip(fits, criteria, strict=True))
    return () if same else _RECODED


def _aicc(aic: float, fit: Any) -> float:
    k, n = fit.npar, fit.nobs
    return aic + 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf


def _note(fit: Any) -> str:
    status = fit.certificate.status
    return "singular: AIC counts a variance at zero as a parameter" if fit.is_singular else status


def _labels(fits: Any) -> list[str]:
    """Formulas, numbered where two are alike."""
    formulas = [f.formula for f in fits]
    return [t if formulas.count(t) == 1 else f"{t} [{i + 1}]" for i, t in enumerate(formulas)]


def _require_fits(name: str, fits: tuple[Any, ...], *, at_least: int) -> None:
    from lmmtools.results import LMMFit

    if len(fits) < at_least:
        raise ModelError(f"{name}: needs at least {counted(at_least, 'fit')}; got {len(fits) or 'none'}.")
    for fit in fits:
        if not isinstance(fit, LMMFit):
            raise ModelError(f"{name}: takes fits made by fit_lmm; got {type(fit).__name__}.")


def _require_comparable(name: str, a: Any, b: Any) -> None:
    reason = why_not_comparable(a, b)
    if reason:
        raise ModelError(f"{name}: {reason}")


def why_not_comparable(a: Any, b: Any) -> str:
    """Why likelihoods of two fits cannot be compared; empty if they can.

    They can be if response, rows, weights, offset and method are the same, under REML the column space of X too.
    """
    if a.nobs == b.nobs and a.response == b.response and not a.design.index.equals(b.design.index):
        return f"the fits are of {a.nobs} rows each, but the rows' labels or order differ; fit both to the same frame."
    if a.response != b.response or a.nobs != b.nobs:
        return (
            f"the fits are not of the same data: `{a.response}` on {a.nobs} rows and `{b.response}` on "
            f"{b.nobs} rows; fit both to the same rows (drop missing values first) and the same response."
        )
    for what, u, v in (("response values", a.design.y, b.design.y), ("weights", a.design.weights, b.design.weights),
                       ("offsets", a.design.offset, b.design.offset)):  # fmt: skip
        if (u is None) != (v is None) or (u is not None and not np.array_equal(u, v)):
            return f"the fits differ in their {what}, so their likelihoods are of different data."
    if a.reml != b.reml:
        return "one fit is by REML and one by ML; refit both with reml=False."
    if a.reml and (len(a.beta) != len(b.beta) or outside(a.design, b.design)):
        return (
            "the models differ in fixed effects and were fitted by REML, whose criteria are then not comparable; "
            "refit both with reml=False."
        )
    return ""


def _require_nested(small: Any, large: Any) -> Nesting:
    """Refuse fits that are not nested."""
    if small.npar == large.npar:
        raise ModelError(
            f"lrt: `{small.formula}` and `{large.formula}` have the same number of parameters ({small.npar}), so "
            "neither is a special case of the other; compare them by compare(…)."
        )
    found = nesting(small, large)
    if found.inside and found.df > 0:
        return found
    names = "the smaller model", "the larger"
    why = found.why_not(*names, quoted) or "the larger model's further parameters change nothing that data can show"
    known = "not nested" if found.decided else "not known to be nested"
    raise ModelError(f"lrt: `{small.formula}` is {known} in `{large.formula}`: {why}; compare them by compare(…).")
