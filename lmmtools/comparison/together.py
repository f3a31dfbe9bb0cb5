"""Which fits may be compared, under what names, and by which numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import counted, quoted
from lmmtools.nesting import Nesting, nesting, outside

__all__ = [
    "criteria_of",
    "labels_of",
    "named",
    "named_fits",
    "own_fitted",
    "recoded",
    "require_comparable",
    "require_fits",
    "require_nested",
    "why_not_comparable",
]

_RECODED = (
    "The models code the same mean in different columns, on which REML's criterion depends; all are given for the "
    "columns of the first.",
)

_OWN_FITTED = (
    "Where variances are functions of the fitted values, a likelihood is that given the fit's own: ratios of such "
    "likelihoods, and criteria, are compared as nlme does, but they are not those of nested families."
)


def named_fits(fits: tuple[Any, ...]) -> tuple[list[str], tuple[Any, ...]]:
    """Names and fits of a mapping that is the only argument; no names, and the fits as they are, otherwise."""
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        return list(fits[0]), tuple(fits[0].values())
    return [], fits


def labels_of(fits: Sequence[Any]) -> list[str]:
    """Formulas with their residual structures, numbered where two are alike."""
    formulas = [named(f) for f in fits]
    return [t if formulas.count(t) == 1 else f"{t} [{i + 1}]" for i, t in enumerate(formulas)]


def named(fit: Any) -> str:
    """A fit's formula, and its residual structure where it has one."""
    return fit.formula if fit.design.residual is None else f"{fit.formula}, {fit.design.residual.text}"


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


def recoded(fits: Sequence[Any], criteria: Sequence[float]) -> tuple[str, ...]:
    """The note that criteria are not those of the fits' own columns, where they are not."""
    same = all(fit.criterion == criterion for fit, criterion in zip(fits, criteria, strict=True))
    return () if same else _RECODED


def own_fitted(fits: Sequence[Any]) -> tuple[str, ...]:
    """The note that likelihoods are those given each fit's own fitted values, where variances are functions of them."""
    structures = [fit.design.residual for fit in fits if fit.design.residual is not None]
    return (_OWN_FITTED,) if any(part.fitted for one in structures for part in one.variances) else ()


def require_fits(name: str, fits: tuple[Any, ...], *, at_least: int) -> None:
    """Refuse too few fits, and what is no fit.

    Raises
    ------
    ModelError
    """
    from lmmtools.results import LMMFit

    if len(fits) < at_least:
        raise ModelError(f"{name}: needs at least {counted(at_least, 'fit')}; got {len(fits) or 'none'}.")
    for fit in fits:
        if not isinstance(fit, LMMFit):
            raise ModelError(f"{name}: takes fits made by fit_lmm; got {type(fit).__name__}.")


def require_comparable(name: str, a: Any, b: Any) -> None:
    """Refuse fits whose likelihoods are not of the same data and method.

    Raises
    ------
    ModelError
    """
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


def require_nested(name: str, small: Any, large: Any) -> Nesting:
    """How the one lies in the other; refuse fits that are not nested.

    Raises
    ------
    ModelError
    """
    found = nesting(small, large)
    if small.npar == large.npar:
        if found.inside and found.df == 0:
            raise ModelError(
                f"{name}: `{named(small)}` and `{named(large)}` are the same model{_in_part(small, large)}, so that "
                "there is nothing to test."
            )
        raise ModelError(
            f"{name}: `{named(small)}` and `{named(large)}` have the same number of parameters ({small.npar}), so "
            "neither is a special case of the other; compare them by compare(…)."
        )
    if found.inside and found.df > 0:
        return found
    names = "the smaller model", "the larger"
    why = found.why_not(*names, quoted) or "the larger model's further parameters change nothing that data can show"
    known = "not nested" if found.decided else "not known to be nested"
    raise ModelError(f"{name}: `{named(small)}` is {known} in `{named(large)}`: {why}; compare them by compare(…).")


def _in_part(small: Any, large: Any) -> str:
    """Where two models with as many parameters are the same only as far as the one can go."""
    if small.design.residual is large.design.residual or nesting(large, small).inside:
        return ""
    return " as far as the first can go (its correlation cannot be negative, that of the second can)"
