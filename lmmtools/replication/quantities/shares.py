"""What paths name of a fit as a whole: shares of variance, parts of the criterion, tests of random terms."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.comparison import ranova
from lmmtools.inference.conditional_aic import ConditionalAIC, conditional_aic
from lmmtools.measures import icc, r2
from lmmtools.replication.quantities.heads import Asked, Head, cell, element

__all__ = ["SHARES"]

_COLUMNS = ("npar", "loglik", "aic", "chisq", "df", "p_value")


def _nu(fit: Any) -> int:
    return fit.nobs - (len(fit.beta) if fit.reml else 0)


def _logdet(asked: Asked) -> float:
    """What is left of the criterion without ν(1 + log 2πσ²) and, under REML, log |X'V⁻¹X|, Var(y) = σ²V."""
    fit = asked.fit
    rest = fit.criterion - _nu(fit) * (1.0 + np.log(2.0 * np.pi * fit.sigma**2))
    return float(rest + np.linalg.slogdet(fit.vcov / fit.sigma**2)[1]) if fit.reml else float(rest)


def _r2(asked: Asked) -> pd.Series:
    return pd.DataFrame(r2(asked.fit)).iloc[0][["marginal", "conditional"]]


def _icc(asked: Asked) -> pd.DataFrame:
    return pd.DataFrame(icc(asked.fit)).set_index("group")[["icc", "adjusted"]]


def _conditional(asked: Asked) -> ConditionalAIC:
    return conditional_aic(asked.fit)


def _ranova(asked: Asked) -> pd.DataFrame:
    from scipy.special import chdtrc

    table = pd.DataFrame(ranova(asked.fit))[list(_COLUMNS)]
    if asked.one_of("reference", "own", ("own", "chisq")) == "chisq":
        tail = [float("nan") if pd.isna(q) else float(chdtrc(int(q), max(x, 0.0)))
                for q, x in zip(table["df"], table["chisq"], strict=True)]  # fmt: skip
        table = table.assign(p_value=tail)
    return table


SHARES = MappingProxyType({
    "r2": Head(
        lambda a: element(a.once(_r2), a, "share"),
        {"r2.marginal": "share of the variance that the fixed effects explain; `r2.conditional` with the random ones"},
    ),
    "icc": Head(
        lambda a: cell(a.once(_icc), a, "grouping factor", "column"),
        {"icc.GROUP.adjusted": "intraclass correlation; `.icc` with the fixed part in the total"},
    ),
    "caic": Head(lambda a: a.once(_conditional).caic, {"caic": "conditional AIC"}),
    "hat_trace": Head(
        lambda a: a.once(_conditional).hat_trace, {"hat_trace": "sum of the leverages ∂ŷᵢ/∂yᵢ, θ held"}
    ),
    "pwrss": Head(
        lambda a: _nu(a.fit) * a.fit.sigma**2, {"pwrss": "penalised residual sum of squares, σ²n, under REML σ²(n − p)"}
    ),
    "logdet": Head(
        _logdet,
        {"logdet": "log determinant of Var(y)/σ²: MixedModels.jl's logdet, lme4's ldL2 where no row has a weight"},
    ),
    "ranova": Head(
        lambda a: cell(a.once(_ranova), a, "random term", "column"),
        {"ranova.TERM.COLUMN": "likelihood-ratio test without a random term: npar, loglik, aic, chisq, df, p_value; "
         "terms as `ranova` writes them", "ranova(reference=chisq).TERM.p_value": "p by χ², as lmerTest"},
        ("reference",),
    ),
})  # fmt: skip
