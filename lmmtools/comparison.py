"""Comparison of fits: likelihood-ratio tests whose nesting is checked, and information criteria."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.covariance import combine, covariance_basis
from lmmtools.core.working import working_model
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.frames import Frame, frame

__all__ = ["compare", "lrt"]

_BOUNDARY = (
    "A variance of zero lies on the boundary of what is possible, where χ² with all its degrees of freedom gives "
    "p-values that are too large: a small p stands, a large one may hide an effect.",
)
_FORMATS = {"loglik": "fixed3", "deviance": "fixed3", "chisq": "fixed3", "p_value": "p"}


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
        If responses, rows, weights or methods differ, REML fits differ in fixed effects, or a fit is not nested
        in the next.

    Notes
    -----
    Where the smaller fit sets a variance to zero, the null hypothesis lies on the boundary and χ² with the
    difference in parameters gives p-values that are too large (Self & Liang 1987, JASA 82); `reference` says so.
    """
    _require_fits("lrt", fits, at_least=2)
    ordered = sorted(fits, key=lambda f: f.npar)
    for small, large in pairwise(ordered):
        _require_comparable("lrt", small, large)
    steps = [(large, small, _require_nested(small, large)) for small, large in pairwise(ordered)]
    rows = [_first_row(ordered[0]), *(_lrt_row(*step) for step in steps)]
    return frame(
        pd.DataFrame(rows, index=_labels(ordered)),
        caption=f"Likelihood-ratio tests ({ordered[0].method} fits); each row against the one above",
        label="tbl-lrt",
        notes=_BOUNDARY if any(boundary for _, _, boundary in steps) else (),
        headings={"npar": "Parameters", "loglik": "log-lik.", "deviance": "−2 log-lik.", "chisq": "χ²",
                  "df": "df", "p_value": "p", "reference": "Reference"},
        formats=_FORMATS | {"npar": "int", "df": "int", "reference": "text"},
    )  # fmt: skip


def _first_row(fit: Any) -> dict[str, Any]:
    numbers = {"npar": fit.npar, "loglik": fit.loglik, "deviance": fit.criterion}
    return numbers | {"chisq": np.nan, "df": pd.NA, "p_value": np.nan, "reference": ""}


def _lrt_row(fit: Any, smaller: Any, boundary: bool) -> dict[str, Any]:
    from scipy.special import chdtrc

    df = fit.npar - smaller.npar
    # A larger model can only fit better; what is left below zero is rounding of the two optima.
    chisq = max(smaller.criterion - fit.criterion, 0.0)
    words = f"χ²({df}), conservative: a variance is zero under the null" if boundary else f"χ²({df})"
    return _first_row(fit) | {"chisq": chisq, "df": df, "p_value": float(chdtrc(df, chisq)), "reference": words}


def compare(*fits: Any) -> Frame:
    """Information criteria of fits to the same rows, nested or not.

    Parameters
    ----------
    *fits : LMMFit
        One or more, all by ML, or all by REML with the same fixed effects.

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
    _require_fits("compare", fits, at_least=1)
    for other in fits[1:]:
        _require_comparable("compare", fits[0], other)
    aic = np.array([f.aic for f in fits])
    delta = aic - aic.min()
    weight = np.exp(-0.5 * delta)
    table = pd.DataFrame(
        {
            "npar": [f.npar for f in fits],
            "loglik": [f.loglik for f in fits],
            "aic": aic,
            "aicc": [_aicc(f) for f in fits],
            "bic": [f.bic for f in fits],
            "delta": delta,
            "weight": weight / weight.sum(),
            "note": [_note(f) for f in fits],
        },
        index=_labels(fits),
    )
    return frame(
        table,
        caption=f"Information criteria ({fits[0].method} fits of {fits[0].nobs} rows)",
        label="tbl-compare",
        headings={"npar": "Parameters", "loglik": "log-lik.", "aic": "AIC", "aicc": "AICc", "bic": "BIC",
                  "delta": "ΔAIC", "weight": "Weight", "note": "Note"},
        formats={"npar": "int", "loglik": "fixed3", "aic": "fixed2", "aicc": "fixed2", "bic": "fixed2",
                 "delta": "fixed2", "weight": "fixed3", "note": "text"},
    )  # fmt: skip


def _aicc(fit: Any) -> float:
    k, n = fit.npar, fit.nobs
    return fit.aic + 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf


def _note(fit: Any) -> str:
    status = fit.certificate.status
    if status == "certified":
        return ""
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
    """Same response, rows, weights, offset and method; under REML the same X."""
    if a.nobs == b.nobs and a.response == b.response and not a.design.index.equals(b.design.index):
        raise ModelError(
            f"{name}: the fits are of {a.nobs} rows each, but the rows' labels or order differ; fit both to the "
            "same frame."
        )
    if a.response != b.response or a.nobs != b.nobs:
        raise ModelError(
            f"{name}: the fits are not of the same data: `{a.response}` on {a.nobs} rows and `{b.response}` on "
            f"{b.nobs} rows; fit both to the same rows (drop missing values first) and the same response."
        )
    for what, u, v in (("response values", a.design.y, b.design.y), ("weights", a.design.weights, b.design.weights),
                       ("offsets", a.design.offset, b.design.offset)):  # fmt: skip
        if (u is None) != (v is None) or (u is not None and not np.array_equal(u, v)):
            raise ModelError(f"{name}: the fits differ in their {what}, so their likelihoods are of different data.")
    if a.reml != b.reml:
        raise ModelError(f"{name}: one fit is by REML and one by ML; refit both with reml=False.")
    if a.reml and not (a.design.X.shape == b.design.X.shape and np.array_equal(a.design.X, b.design.X)):
        raise ModelError(
            f"{name}: the models differ in fixed effects, or in their coding, and were fitted by REML, whose "
            "criteria are then not comparable; refit both with reml=False."
        )


def _require_nested(small: Any, large: Any) -> bool:
    """Refuse fits that are not nested; whether the smaller lies on the boundary of the larger's covariances."""
    if small.npar == large.npar:
        raise ModelError(
            f"lrt: `{small.formula}` and `{large.formula}` have the same number of parameters ({small.npar}), so "
            "neither is a special case of the other; compare them by compare(…)."
        )
    missing = _outside(small.design, large.design)
    if missing:
        raise ModelError(
            f"lrt: `{small.formula}` is not nested in `{large.formula}`: the fixed effect `{missing}` is no "
            "combination of the larger model's; compare them by compare(…)."
        )
    boundary = _nested_at_boundary(small, large)
    if boundary is None:
        raise ModelError(
            f"lrt: `{small.formula}` is not nested in `{large.formula}`: its covariance is no special case of the "
            "larger model's; compare them by compare(…)."
        )
    return boundary


def _outside(small: Any, large: Any) -> str:
    """The first column of the smaller X outside the larger's column space; empty if none."""
    scale = np.linalg.norm(large.X, axis=0)
    Q, _ = np.linalg.qr(large.X / scale)
    rest = small.X - Q @ (Q.T @ small.X)
    rest -= Q @ (Q.T @ rest)
    far = np.linalg.norm(rest, axis=0) > 1e-8 * np.linalg.norm(small.X, axis=0)
    return small.fixed_names[int(np.argmax(far))] if far.any() else ""


def _nested_at_boundary(small: Any, large: Any) -> bool | None:
    """None where covariances are not nested; else whether the smaller's all lie on the larger's boundary.

    Both models' terms are put side by side in one design. The smaller is nested if its directions ZD_kZ' add
    nothing to the rank of the larger's Gram matrix. Then its ZTZ' at T = I, an interior point of its own cone, is
    written in the larger's directions: on the boundary if the larger's T is singular there.
    """
    a, b = small.design.terms[0], large.design.terms[0]
    pairs = np.unique(np.stack([a.codes, b.codes]), axis=1).shape[1]
    if not pairs == len(a.levels) == len(b.levels):
        return None
    recoded = [replace(t, codes=b.codes, levels=b.levels) for t in small.design.terms]
    joint = working_model(replace(large.design, terms=(*large.design.terms, *recoded)))
    everything = joint.gram
    m = len(large.theta)
    if everything.rank != everything.subset(np.arange(m)).rank:
        return None
    inside = np.concatenate([_identity(t) for t in joint.terms[len(large.design.terms) :]])
    G = everything.between
    t = np.linalg.lstsq(G[:m, :m], G[:m, m:] @ inside, rcond=1e-10)[0]
    return any(
        np.linalg.eigvalsh(combine(t[part], covariance_basis(term.structure, term.q)))[0] < 1e-6
        for term, part in zip(joint.terms, joint.slices[: len(large.design.terms)], strict=False)
    )


def _identity(term: Any) -> np.ndarray:
    """Coordinates of T = I."""
    D = covariance_basis(term.structure, term.q)
    return np.array([np.trace(d) > 0.0 for d in D], dtype=float)
