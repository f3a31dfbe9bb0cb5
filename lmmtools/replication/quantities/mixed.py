"""The numbers of a mixed model that paths name."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from lmmtools.comparison import lrt
from lmmtools.comparison.together import criteria_of, require_comparable, require_nested
from lmmtools.core.criterion import Criterion
from lmmtools.errors import LMMError, ModelError
from lmmtools.replication.quantities.coefficients import COEFFICIENTS, TESTS
from lmmtools.replication.quantities.groupwise import GROUPWISE
from lmmtools.replication.quantities.heads import Asked, Head, divided, element, without_constants
from lmmtools.replication.quantities.intervals import INTERVALS
from lmmtools.replication.quantities.means import MEANS
from lmmtools.replication.quantities.paths import PathError
from lmmtools.replication.quantities.predicted import PREDICTED
from lmmtools.replication.quantities.shares import SHARES

__all__ = ["MIXED"]

_COLUMNS = ("chisq", "df", "p_value")


def _criterion(asked: Asked) -> float:
    return asked.fit.criterion - without_constants(asked, 1.0)


def _bic(asked: Asked) -> float:
    fit = asked.fit
    given = asked.one_of("n", "nobs", ("nobs", "nobs-p"))
    n = fit.nobs if given == "nobs" else fit.nobs - len(fit.beta)
    if n <= 0:
        raise ModelError(f"n − p is not positive: there are {fit.nobs} rows and {len(fit.beta)} coefficients.")
    return _criterion(asked) + float(np.log(n)) * fit.npar


def _sigma2(asked: Asked) -> float:
    return asked.fit.sigma**2 * divided(asked, len(asked.fit.beta))


def _varcorr(asked: Asked) -> float:
    """A variance, sd, covariance or correlation of random effects; of residuals a variance or sd."""
    fit, walk = asked.fit, asked.walk
    covariances = fit.random_covariance
    group = walk.name("group", (*covariances, "Residual"))
    if group == "Residual":
        return {"sd": fit.sigma, "var": fit.sigma**2}[walk.name("measure", ("sd", "var"))]
    table = covariances[group]
    values, names = table.to_numpy(), list(table.index)
    i = names.index(walk.name(f"random effect of {group}", names))
    second = walk.name("measure, or second effect", (*names, "sd", "var"))
    if second in ("sd", "var") and not walk.left:  # even if an effect is called so: of two, a measure follows
        return float(np.sqrt(values[i, i]) if second == "sd" else values[i, i])
    j = names.index(second)
    measure = walk.name("measure of two effects", ("cov", "cor"))
    return float(values[i, j] if measure == "cov" else _correlated(values, i, j, asked))


def _correlated(values: np.ndarray, i: int, j: int, asked: Asked) -> float:
    both = float(np.sqrt(values[i, i] * values[j, j]))
    if both == 0.0:
        raise ModelError("a variance of zero leaves no correlation.")
    return values[i, j] / both


def _theta(asked: Asked) -> float:
    names = list(asked.fit.theta_names)
    return float(asked.fit.theta[names.index(asked.walk.name("element of θ", names))])


def _ngroups(asked: Asked) -> int:
    return asked.fit.ngroups[asked.walk.name("grouping factor", asked.fit.ngroups)]


def _criterion_at(asked: Asked) -> float:
    try:
        theta = [float(one) for one in asked.call.arguments]
    except ValueError as error:
        raise PathError(f"`{asked.walk.path}`: θ is made of numbers, as in criterion_at(0.713).") from error
    fit = asked.fit
    return Criterion(fit.design, reml=fit.reml, working=fit.working)(theta)


def _lrt(asked: Asked) -> float:
    """The likelihood ratio of two models of the file, named by whoever asks, and fitted as the file says."""
    for name in asked.call.arguments:
        if name not in asked.others:
            raise asked.walk.unknown(name, "model of this file", asked.others)
    pair = [asked.others[name] for name in asked.call.arguments]
    for name, fit in zip(asked.call.arguments, pair, strict=True):
        if not hasattr(fit, "design"):
            raise PathError(f"`{asked.walk.path}`: `{name}` is a growth curve; lrt compares mixed models.")
    small, large = sorted(pair, key=lambda fit: fit.npar)
    column = asked.walk.call("column", _COLUMNS)
    if set(column.options) - {"reference"} or column.arguments or (column.options and column.name != "p_value"):
        raise PathError(f"`{asked.walk.path}`: of the columns p_value takes an option, reference=chisq, and no other.")
    reference = replace(asked, call=column).one_of("reference", "own", ("own", "chisq"))
    if column.name == "p_value" and reference == "own":
        return float(lrt(small, large)["p_value"].iloc[1])
    return _ratio(small, large)[column.name]


def _ratio(small: Any, large: Any) -> dict[str, float]:
    """Statistic, degrees of freedom and tail probability of χ², whatever the null hypothesis makes of it."""
    from scipy.special import chdtrc

    require_comparable("lrt", small, large)
    require_nested("lrt", small, large)
    first, second = criteria_of([small, large])
    chisq, df = first - second, large.npar - small.npar
    if df <= 0:
        raise LMMError("the two models have the same number of parameters, so there is nothing to test.")
    return {"chisq": chisq, "df": df, "p_value": float(chdtrc(df, max(chisq, 0.0)))}


_CONSTANTS, _DIVISOR = ("constants",), ("divisor",)

MIXED = MappingProxyType({
    "criterion": Head(
        _criterion,
        {"criterion": "−2 log-likelihood, restricted under REML, with all constants",
         "criterion(constants=no)": "without n log 2π, (n − p) log 2π under REML"},
        _CONSTANTS,
    ),
    "loglik": Head(
        lambda a: a.fit.loglik + without_constants(a, 0.5),
        {"loglik": "log-likelihood, restricted under REML; `constants=no` as above"}, _CONSTANTS,
    ),
    "aic": Head(lambda a: a.fit.aic - without_constants(a, 1.0), {"aic": "criterion + 2 npar"}, _CONSTANTS),
    "bic": Head(
        _bic,
        {"bic": "criterion + log(n) npar, as lme4 has it", "bic(n=nobs-p)": "the same with n − p, as nlme under REML"},
        ("n", "constants"),
    ),
    "npar": Head(lambda a: a.fit.npar, {"npar": "number of parameters: β, θ, those of the residuals, σ"}),
    "nobs": Head(lambda a: a.fit.nobs, {"nobs": "rows used"}),
    "ngroups": Head(_ngroups, {"ngroups.GROUP": "number of its levels"}),
    "df_resid": Head(lambda a: a.fit.df_resid, {"df_resid": "n − npar"}),
    "sigma": Head(
        lambda a: float(np.sqrt(_sigma2(a))),
        {"sigma": "residual standard deviation",
         "sigma(divisor=n-p)": "what ML estimates times √(n/(n − p)); divisor=n: what REML does times √((n − p)/n)"},
        _DIVISOR,
    ),
    "sigma2": Head(_sigma2, {"sigma2": "its square, with the same options"}, _DIVISOR),
    **COEFFICIENTS,
    "varcorr": Head(
        _varcorr,
        {"varcorr.GROUP.EFFECT.sd": "standard deviation of a random effect", "varcorr.GROUP.EFFECT.var": "variance",
         "varcorr.GROUP.A.B.cor": "correlation of two", "varcorr.GROUP.A.B.cov": "covariance",
         "varcorr.Residual.sd": "σ; with `.var` its square"},
    ),
    "theta": Head(_theta, {"theta.NAME": "relative covariance parameter, as lme4 names them"}),
    "residual_params": Head(
        lambda a: element(a.fit.residual_params, a, "residual parameter"),
        {"residual_params.NAME": "parameter of the residuals, such as `ar1.phi` or `varident[Female]`"},
    ),
    **GROUPWISE,
    **PREDICTED,
    "criterion_at": Head(
        _criterion_at, {"criterion_at(0.713)": "criterion at θ, then the parameters of the residuals"}, (), (1, 999)
    ),
    **INTERVALS,
    **TESTS,
    **MEANS,
    "lrt": Head(
        _lrt,
        {"lrt(SMALL, LARGE).chisq": "likelihood ratio of two models of the file",
         "lrt(SMALL, LARGE).df": "its degrees of freedom",
         "lrt(SMALL, LARGE).p_value": "its p by the distribution that the hypothesis has, as `lrt` says",
         "lrt(SMALL, LARGE).p_value(reference=chisq)": "p by χ², whatever the hypothesis"},
        (), (2, 2),
    ),
    **SHARES,
})  # fmt: skip
