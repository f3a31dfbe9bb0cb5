"""The numbers of a growth curve model that paths name."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from lmmtools.replication.quantities.heads import Head, cell, divided, without_constants

__all__ = ["CURVES"]

CURVES = MappingProxyType({
    "deviance": Head(lambda a: a.fit.deviance, {"deviance": "−2 log-likelihood without nm log 2π"}),
    "criterion": Head(
        lambda a: a.fit.criterion - without_constants(a, 1.0),
        {"criterion": "−2 log-likelihood with all constants; with constants=no it is `deviance`"}, ("constants",),
    ),
    "loglik": Head(
        lambda a: a.fit.loglik + without_constants(a, 0.5),
        {"loglik": "log-likelihood; constants=no as above, also of `aic` and `bic`"}, ("constants",),
    ),
    "aic": Head(lambda a: a.fit.aic - without_constants(a, 1.0), {"aic": "criterion + 2 npar"}, ("constants",)),
    "bic": Head(
        lambda a: a.fit.bic - without_constants(a, 1.0), {"bic": "criterion + log(nm) npar"}, ("constants",)
    ),
    "npar": Head(lambda a: a.fit.npar, {"npar": "number of parameters of B and Σ"}),
    "nobs": Head(lambda a: a.fit.nobs, {"nobs": "number of observations, nm"}),
    "n_subjects": Head(lambda a: a.fit.n_subjects, {"n_subjects": "number of subjects, n"}),
    "sigma2": Head(
        lambda a: a.fit.sigma2 * divided(a, a.fit.B.size),
        {"sigma2": "σ²; with divisor=n-p that of nm less the coefficients"}, ("divisor",),
    ),
    "sigma": Head(
        lambda a: float(np.sqrt(a.fit.sigma2 * divided(a, a.fit.B.size))),
        {"sigma": "σ, likewise"}, ("divisor",),
    ),
    "Sigma": Head(
        lambda a: cell(a.fit.Sigma, a, "occasion", "occasion"), {"Sigma.8.10": "element of Σ, occasions by name"}
    ),
    "correlations": Head(
        lambda a: cell(a.fit.correlations, a, "occasion", "occasion"), {"correlations.8.10": "the same as correlation"}
    ),
    "Omega": Head(
        lambda a: cell(a.fit.Omega, a, "column of X", "column of X"),
        {"Omega.Intercept.age": "element of Ω where Σ = XΩX' + σ²I, by columns of X"},
    ),
    "B": Head(
        lambda a: cell(a.fit.B, a, "column of G", "column of X"),
        {"B.ROW.COLUMN": "coefficient, its row a column of G, its column one of X"},
    ),
    "se": Head(lambda a: cell(a.fit.se, a, "column of G", "column of X"), {"se.ROW.COLUMN": "its standard error"}),
})  # fmt: skip
