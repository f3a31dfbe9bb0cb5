"""Fixed effects that paths name, and tests of them."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.fixed_terms import fixed_terms
from lmmtools.errors import ModelError
from lmmtools.inference.containment import containment_df, sequential_anova
from lmmtools.inference.contrasts import DDF, t_quantile, two_sided
from lmmtools.replication.quantities.heads import Asked, Head, cell, divided, element
from lmmtools.replication.quantities.paths import PathError

__all__ = ["COEFFICIENTS", "TESTS"]

_KENWARD_ROGER = {"kenward-roger": "kenward_roger", "kenward-roger-observed": "kenward_roger_observed"}
# Distributions that go with any standard error, so that its divisor may be chosen.
_PLAIN = ("containment", "residual", "normal")
_EVERY = (*DDF, "containment")


def _stderr(asked: Asked) -> float:
    scale = float(np.sqrt(divided(asked, len(asked.fit.beta))))
    return scale * element(asked.fit.stderr, asked, "coefficient")


def _covariance(asked: Asked) -> pd.DataFrame:
    """Var(β̂), Kenward and Roger's if asked for, σ² with another divisor if asked for."""
    fit, ddf = asked.fit, asked.one_of("ddf", "none", ("none", *_KENWARD_ROGER))
    if ddf == "none":
        return fit.vcov * divided(asked, len(fit.beta))
    if "divisor" in asked.call.options:
        raise PathError(f"`{asked.walk.path}`: divisor does not go with Kenward and Roger's covariance.")
    return pd.DataFrame(getattr(fit, _KENWARD_ROGER[ddf]).covariance, fit.vcov.index, fit.vcov.columns)


def _correlation(asked: Asked) -> float:
    table = asked.once(_covariance)
    sd = np.sqrt(np.diagonal(table))
    return cell(table / np.outer(sd, sd), asked, "coefficient", "coefficient")


def _plain_df(fit: Any, ddf: str) -> np.ndarray:
    """Degrees of freedom of each coefficient: those of its term by Pinheiro and Bates, n − p, or infinitely many."""
    if ddf != "containment":
        return np.full(len(fit.beta), float(fit.nobs - len(fit.beta)) if ddf == "residual" else np.inf)
    terms = fixed_terms(fit.design)[0]
    df, found = containment_df(fit, terms), np.full(len(fit.beta), np.nan)
    for term in terms:
        found[list(term.columns)] = df[term.name]
    return found


def _shared(fit: Any, ddf: str, weights: np.ndarray) -> float:
    """The degrees of freedom that all coefficients have which some linear functions, shape (k, p), are made of."""
    every = _plain_df(fit, ddf)[np.any(weights != 0.0, axis=0)]
    if not np.all(every == every[0]):
        told = ", ".join(f"{df:g}" for df in dict.fromkeys(every))
        raise ModelError(f"ddf=containment: these coefficients have different denominators, {told}; nlme refuses this "
                         "test too. ddf=satterthwaite and ddf=kenward-roger have one for it.")  # fmt: skip
    return float(every[0])


def _scale(asked: Asked, ddf: str) -> float:
    """What σ² is multiplied with."""
    if "divisor" in asked.call.options and ddf not in _PLAIN:
        raise PathError(f"`{asked.walk.path}`: divisor goes with ddf=containment, residual or normal, which leave the "
                        "standard error as it is.")  # fmt: skip
    return divided(asked, len(asked.fit.beta))


def _by_t(estimate: pd.Series, error: pd.Series, df: np.ndarray, level: float) -> pd.DataFrame:
    """Wald tests and intervals, the columns those of `coef_table`."""
    half = t_quantile(df, level) * error
    return pd.DataFrame({
        "estimate": estimate, "std_error": error, "df": df, "statistic": estimate / error,
        "p_value": two_sided(estimate / error, df), "ci_low": estimate - half, "ci_high": estimate + half,
    })  # fmt: skip


def _by_f(table: pd.DataFrame, scale: float) -> pd.DataFrame:
    """F tests with σ² another number of times as large."""
    from scipy.special import chdtrc, fdtrc

    q, df, f_value = table["num_df"], table["den_df"], table["f_value"] / scale
    return table.assign(f_value=f_value, p_value=np.where(np.isinf(df), chdtrc(q, q * f_value), fdtrc(q, df, f_value)))


def _coefficients(asked: Asked) -> pd.DataFrame:
    fit, ddf = asked.fit, asked.one_of("ddf", "satterthwaite", _EVERY)
    scale = _scale(asked, ddf)
    if ddf in _PLAIN:
        return _by_t(fit.fixef, fit.stderr * float(np.sqrt(scale)), _plain_df(fit, ddf), asked.level)
    return fit.coef_table(ddf, asked.level)


def _anova(asked: Asked) -> pd.DataFrame:
    fit, kind = asked.fit, asked.one_of("type", "3", ("1", "2", "3", "sequential"))
    if kind == "sequential":
        ddf = asked.one_of("ddf", "containment", _PLAIN)
        return _by_f(sequential_anova(fit, ddf), _scale(asked, ddf))
    if "divisor" in asked.call.options:
        raise PathError(f"`{asked.walk.path}`: divisor goes with type=sequential.")
    return fit.anova(type=int(kind), ddf=asked.one_of("ddf", "satterthwaite", DDF))


def _test(asked: Asked) -> pd.DataFrame:
    """The F test of some coefficients being zero."""
    fit, known = asked.fit, list(asked.fit.fixef.index)
    for name in asked.call.arguments:
        if name not in known:
            raise asked.walk.unknown(name, "coefficient", known)
    weights = np.eye(len(known))[[known.index(name) for name in asked.call.arguments]]
    ddf = asked.one_of("ddf", "satterthwaite", _EVERY)
    scale = _scale(asked, ddf)
    if ddf not in _PLAIN:
        return fit.test(weights, ddf=ddf)
    return _by_f(fit.test(weights, ddf="normal").assign(den_df=_shared(fit, ddf, weights)), scale)


def _combination(asked: Asked) -> pd.DataFrame:
    """A linear function of the fixed effects with its t test, which is the F test with one degree of freedom."""
    fit, weights = asked.fit, _weights(asked)
    ddf = asked.one_of("ddf", "satterthwaite", _EVERY)
    scale = _scale(asked, ddf)
    if ddf in _PLAIN:
        error = np.sqrt(scale * np.diagonal(weights @ fit.vcov.to_numpy() @ weights.T))
        df = np.array([_shared(fit, ddf, weights)])
        table = _by_t(pd.Series(weights @ fit.beta), pd.Series(error), df, asked.level)
    else:
        table = fit.test(weights, ddf=ddf, joint=False, level=asked.level)
    return table.assign(num_df=1, den_df=table["df"], f_value=table["statistic"] ** 2)


def _weights(asked: Asked) -> np.ndarray:
    """What each coefficient is multiplied with, shape (1, p)."""
    known = list(asked.fit.fixef.index)
    for one in asked.call.arguments:
        if "=" not in one:
            raise PathError(f"`{asked.walk.path}`: weights are written NAME=WEIGHT; got {one}.")
    given = {name: values[0] for name, values in asked.values(("ddf", "divisor", "level")).items()}
    for name in given:
        if name not in known:
            raise asked.walk.unknown(name, "coefficient", known)
    return np.array([[float(given.get(name, 0.0)) for name in known]])


def _only(make: Callable[[Asked], pd.DataFrame]) -> Callable[[Asked], float]:
    """How a number of a table with one row is read off."""

    def read(asked: Asked) -> float:
        table = asked.once(make)
        return float(table.iloc[0][asked.walk.name("column", list(table.columns))])

    return read


COEFFICIENTS = MappingProxyType({
    "fixef": Head(lambda a: element(a.fit.fixef, a, "coefficient"), {"fixef.NAME": "estimate of a fixed effect"}),
    "stderr": Head(
        _stderr,
        {"stderr.NAME": "its standard error",
         "stderr(divisor=n-p).NAME": "that of ML times √(n/(n − p)), as nlme's summary prints it"},
        ("divisor",),
    ),
    "vcov": Head(
        lambda a: cell(a.once(_covariance), a, "coefficient", "coefficient"),
        {"vcov.A.B": "covariance of two of them; divisor=n-p as of `stderr`",
         "vcov(ddf=kenward-roger).A.B": "Kenward and Roger's adjusted one"},
        ("ddf", "divisor"),
    ),
    "cor": Head(_correlation, {"cor.A.B": "their correlation; ddf=kenward-roger as above"}, ("ddf",)),
    "coef": Head(
        lambda a: cell(a.once(_coefficients), a, "coefficient", "column"),
        {"coef(ddf=satterthwaite, level=0.95).NAME.COLUMN": "cell of `coef_table`: estimate, std_error, df, statistic, "
         "p_value, ci_low, ci_high; with ddf=normal, `statistic` is the estimate over its standard error, as lme4 "
         "prints t",
         "coef(ddf=containment, divisor=n-p).NAME.COLUMN": "the same with the degrees of freedom of Pinheiro and "
         "Bates: nlme's table of an `lme` (divisor=n-p of one by ML) and its `intervals`; of a `gls` ddf=residual"},
        ("ddf", "divisor", "level"),
    ),
})  # fmt: skip

TESTS = MappingProxyType({
    "anova": Head(
        lambda a: cell(a.once(_anova), a, "term", "column"),
        {"anova(type=3, ddf=satterthwaite).TERM.COLUMN": "cell of `anova`: sum_sq, mean_sq, num_df, den_df, f_value, "
         "p_value; Kenward and Roger's with ddf=kenward-roger",
         "anova(type=sequential, ddf=containment).TERM.COLUMN": "each term beyond those above it by the fit's own V, "
         "the intercept first, with the denominators of Pinheiro and Bates: nlme's table, by ML with divisor=n-p; of "
         "a `gls` ddf=residual"},
        ("type", "ddf", "divisor"),
    ),
    "test": Head(
        _only(_test),
        {"test(NAME, NAME, ddf=satterthwaite).COLUMN": "joint F test of coefficients: num_df, den_df, f_value, "
         "p_value; ddf=containment, by ML with divisor=n-p too, as nlme's anova(fit, Terms = …)"},
        ("ddf", "divisor"), (1, 999),
    ),
    "combination": Head(
        _only(_combination),
        {"combination(Intercept=1, Days=5, ddf=satterthwaite).COLUMN": "linear function of the coefficients: columns "
         "of `coef` and of `test`, whose options it has; nlme's anova(fit, L = …)"},
        ("ddf", "divisor", "level"), (0, 999), columns=True,
    ),
})  # fmt: skip
