"""The numbers of a mixed model that paths name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from lmmtools.comparison import lrt
from lmmtools.comparison.together import criteria_of, require_comparable, require_nested
from lmmtools.core.criterion import Criterion
from lmmtools.errors import LMMError, ModelError
from lmmtools.inference.containment import sequential_anova
from lmmtools.inference.contrasts import DDF
from lmmtools.replication.quantities.heads import Asked, Head, cell, divided, element, place_of, without_constants
from lmmtools.replication.quantities.paths import PathError

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


def _stderr(asked: Asked) -> float:
    scale = float(np.sqrt(divided(asked, len(asked.fit.beta))))
    return scale * element(asked.fit.stderr, asked, "coefficient")


def _correlation(asked: Asked) -> float:
    sd = np.sqrt(np.diagonal(asked.fit.vcov))
    return cell(asked.fit.vcov / np.outer(sd, sd), asked, "coefficient", "coefficient")


def _coef(asked: Asked) -> float:
    ddf = asked.one_of("ddf", "satterthwaite", DDF)
    return cell(asked.fit.coef_table(ddf=ddf), asked, "coefficient", "column")


def _anova(asked: Asked) -> float:
    kind = asked.one_of("type", "3", ("1", "2", "3", "sequential"))
    if kind == "sequential":
        table = sequential_anova(asked.fit, asked.one_of("ddf", "containment", ("containment", "residual", "normal")))
    else:
        table = asked.fit.anova(type=int(kind), ddf=asked.one_of("ddf", "satterthwaite", DDF))
    return cell(table, asked, "term", "column")


def _test(asked: Asked) -> float:
    known = list(asked.fit.fixef.index)
    for name in asked.call.arguments:
        if name not in known:
            raise asked.walk.unknown(name, "coefficient", known)
    table = asked.fit.test(list(asked.call.arguments), ddf=asked.one_of("ddf", "satterthwaite", DDF))
    columns = list(table.columns)
    return float(table.iloc[0][asked.walk.name("column", columns)])


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
    if second in ("sd", "var") and second not in names:
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


def _ranef(asked: Asked) -> float:
    modes = asked.fit.ranef
    return cell(modes[asked.walk.name("grouping factor", modes)], asked, "level", "random effect")


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
    reference = column.options.get("reference", "own")
    if set(column.options) - {"reference"} or column.arguments or (column.options and column.name != "p_value"):
        raise PathError(f"`{asked.walk.path}`: of the columns p_value takes an option, reference=chisq, and no other.")
    if reference not in ("own", "chisq"):
        raise PathError(f"`{asked.walk.path}`: reference={reference} is unknown; valid are `own` and `chisq`.")
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
    "fixef": Head(lambda a: element(a.fit.fixef, a, "coefficient"), {"fixef.NAME": "estimate of a fixed effect"}),
    "stderr": Head(
        _stderr,
        {"stderr.NAME": "its standard error",
         "stderr(divisor=n-p).NAME": "that of ML times √(n/(n − p)), as nlme's summary prints it"},
        _DIVISOR,
    ),
    "vcov": Head(
        lambda a: cell(a.fit.vcov, a, "coefficient", "coefficient"), {"vcov.A.B": "covariance of two of them"}
    ),
    "cor": Head(_correlation, {"cor.A.B": "their correlation"}),
    "coef": Head(
        _coef,
        {"coef(ddf=satterthwaite).NAME.COLUMN": "cell of `coef_table`; with ddf=normal, `statistic` is the "
         "estimate over its standard error, as lme4 prints t"},
        ("ddf",),
    ),
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
    "ranef": Head(_ranef, {"ranef.GROUP.LEVEL.EFFECT": "conditional mode"}),
    "fitted": Head(
        lambda a: a.fit.fitted.iloc[place_of(a, a.fit.nobs)], {"fitted.ROW": "fitted value, rows used counted from 1"}
    ),
    "resid": Head(lambda a: a.fit.resid.iloc[place_of(a, a.fit.nobs)], {"resid.ROW": "residual, likewise"}),
    "criterion_at": Head(
        _criterion_at, {"criterion_at(0.713)": "criterion at θ, then the parameters of the residuals"}, (), (1, 999)
    ),
    "anova": Head(
        _anova,
        {"anova(type=3, ddf=satterthwaite).TERM.COLUMN": "cell of `anova`; Kenward and Roger's with ddf=kenward-roger",
         "anova(type=sequential, ddf=containment).TERM.COLUMN": "each term beyond those above it by the fit's own V, "
         "the intercept first, with the denominators of Pinheiro and Bates: nlme's table"},
        ("type", "ddf"),
    ),
    "test": Head(
        _test,
        {"test(NAME, NAME, ddf=satterthwaite).COLUMN": "joint F test of coefficients: f_value, num_df, …"},
        ("ddf",), (1, 999),
    ),
    "lrt": Head(
        _lrt,
        {"lrt(SMALL, LARGE).chisq": "likelihood ratio of two models of the file",
         "lrt(SMALL, LARGE).df": "its degrees of freedom",
         "lrt(SMALL, LARGE).p_value": "its p by the distribution that the hypothesis has, as `lrt` says",
         "lrt(SMALL, LARGE).p_value(reference=chisq)": "p by χ², whatever the hypothesis"},
        (), (2, 2),
    ),
})  # fmt: skip
