"""Cross-checks of fits whose residuals have a structure: against the dense definition, and what is said elsewhere."""

import dataclasses

import numpy as np
import pytest

import lmmtools as lt
from lmmtools.crosscheck.against_dense import check_dense
from tests.oracle import dense_model

CASES = {
    "cs(Subject)": ("distance ~ Sex * age", "Orthodont"),
    "us(age | Subject) * varident(age)": ("distance ~ Sex * age", "Orthodont"),
    "ar1(Days | Subject) * varexp(Days)": ("Reaction ~ Days + (1 | Subject)", "sleepstudy"),
    "exp(Days | Subject, nugget=True)": ("Reaction ~ Days", "sleepstudy"),
    "varpower(fitted())": ("Reaction ~ Days + (1 | Subject)", "sleepstudy"),
}


def fit_of(residual):
    formula, name = CASES[residual]
    fit = lt.fit_lmm if "|" in formula else lt.fit_gls
    return fit(formula, lt.load_dataset(name), residual=residual)


@pytest.mark.parametrize("residual", CASES)
def test_dense(residual):
    check = lt.cross_check(fit_of(residual), engine="dense")
    assert check.ok, check[check["verdict"] == "unexplained"].to_string()
    assert {"criterion", "residual variance", "fitted values", "lowest criterion nearby"} <= set(check["quantity"])


class Changed:
    """A fit that reports something else."""

    def __init__(self, fit, **changes):
        self.__dict__.update(changes, _fit=fit)

    def __getattr__(self, name):
        return getattr(self._fit, name)


def wrong(fit):
    rows, _ = check_dense(fit)
    return {row.quantity for row in rows if row.verdict == "unexplained"}


@pytest.mark.parametrize("residual", ["cs(Subject)", "ar1(Days | Subject) * varexp(Days)"])
def test_other_parameters_of_the_residuals_are_noticed(residual):
    """They give other numbers; and where those are what a fit reports, it is no optimum."""
    fit = fit_of(residual)
    phi = fit.residual_params * 0.9
    assert {"criterion", "residual variance", "standard error Intercept"} <= wrong(Changed(fit, residual_params=phi))
    there = dense_model(fit.design).criterion(np.append(fit.theta, phi))
    found = wrong(Changed(fit, residual_params=phi, criterion=there))
    assert {"deviance left to gain", "lowest criterion nearby"} <= found and "criterion" not in found


def test_statsmodels_cannot_express_a_residual_structure():
    check = lt.cross_check(fit_of("cs(Subject)"))
    assert check["verdict"].tolist() == ["not expressible there"]
    assert check["explanation"].tolist() == [
        "MixedLM has independent residuals of one variance; it cannot express cs(Subject)"
    ]


def test_statsmodels_needs_random_effects():
    fit = lt.fit_gls("distance ~ Sex * age", lt.load_dataset("Orthodont"))
    assert fit.design.residual is None
    check = lt.cross_check(fit)
    assert check["explanation"].tolist() == ["MixedLM needs random effects, and this model has none"]
    assert lt.cross_check(fit, engine="dense").ok


def test_fitted_values_come_with_the_design_of_the_fit():
    fit = fit_of("varpower(fitted())")
    start = lt.build_design(fit.formula, lt.load_dataset("sleepstudy"), residual="varpower(fitted())")
    with pytest.raises(lt.ModelError, match="take the design of a fit"):
        check_dense(Changed(fit, design=dataclasses.replace(fit.design, residual=start.residual)))
