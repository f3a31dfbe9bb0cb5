"""Residuals of every kind against their definitions with V written out, R's numbers, and what has none."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings

import lmmtools as lt
from lmmtools.residuals import whitening
from tests.definitions import residuals as definition
from tests.designs import problems, wider_problems
from tests.oracle import dense_model
from tests.properties.test_conditional_aic import _fit
from tests.properties.test_inference_residual import CURVED, LINEAR, cases


@pytest.fixture(scope="module")
def sleep():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


def check(fit):
    """Every kind that divides or decorrelates is the dense one."""
    model, theta = dense_model(fit.design, reml=fit.reml), np.append(fit.theta, fit.phi)
    for kind in ("pearson", "whitened", "standardized", "studentized"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lt.LMMWarning)  # leverage one: both sides divide by rounding
            found = fit.residuals(kind)
        there = np.isfinite(found.to_numpy())
        assume(there.any())
        with np.errstate(all="ignore"):
            expected = getattr(definition, kind)(model, theta)
        scale = np.abs(expected[there]).max()
        np.testing.assert_allclose(found[there] / scale, expected[there] / scale, rtol=1e-6, atol=1e-7)
        assert found.index.equals(fit.design.index)
        assert found.name == f"{kind} residual"


@settings(max_examples=12)
@given(problems())
def test_one_factor(problem):
    check(_fit(problem))


@settings(max_examples=10)
@given(wider_problems())
def test_several_factors_structures_and_known_covariances(problem):
    check(_fit(problem))


@settings(max_examples=6)
@given(cases((*LINEAR, *CURVED)))
def test_residual_structures(case):
    check(case.fit)


def test_block_by_block_is_the_whole(sleep, monkeypatch):
    fits = sleep, lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    for fit, block in zip(fits, (3, 31), strict=True):
        whole = fit.residuals("whitened")
        with monkeypatch.context() as patch:
            patch.setattr(whitening, "_BLOCK", block)
            np.testing.assert_allclose(fit.residuals("whitened"), whole, atol=1e-12)


def test_whitened_residuals_are_the_normalized_ones_without_random_effects():
    data = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ Sex * age", data, residual="us(age | Subject) * varident(age)")
    assert fit.residuals("whitened").to_numpy() == pytest.approx(fit.residuals("normalized").to_numpy())


def test_the_sum_of_squares_of_whitened_residuals_is_what_sigma_is_made_of(sleep):
    for fit, nu in ((sleep, 178), (sleep.refit(reml=False), 180)):
        assert np.sum(fit.residuals("whitened") ** 2) == pytest.approx(nu, rel=1e-9)


def test_numbers_of_R():
    """R 4.2.2, lme4 1.1-31, stats: rstudent.merMod divides by the full sigma; rstandard and rstudent of lm."""
    data = lt.load_dataset("sleepstudy")
    # rstudent(lmer(Reaction ~ Days + (Days|Subject), sleepstudy)); with (1|Subject), weights seq(.5, 2, l = 180)
    theirs = [-0.18265376307407, -0.627179564317935, -1.76447385117743, 0.361645518735633, 1.00507354715749]
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    # lme4's optimiser ends 1e-6 from the optimum
    assert fit.residuals("standardized").head(5).tolist() == pytest.approx(theirs, abs=3e-6)
    weighted = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights=np.linspace(0.5, 2.0, 180))
    theirs = [-0.884503918318606, -0.935368646699699, -1.38386208461446, 0.00301507663465014, 0.57952280425229]
    assert weighted.residuals("standardized").head(5).tolist() == pytest.approx(theirs, abs=1e-7)
    # lm(distance ~ age*Sex, Orthodont)
    plain = lt.fit_gls("distance ~ age * Sex", lt.load_dataset("Orthodont"))
    inner = [1.53345497890715, 0.364820277926257, 1.45229221749187, 1.66655264097298, -0.505487929335052]
    outer = [1.54361546633921, 0.36329463496662, 1.4601754270565, 1.68112071412391, -0.503670944914622]
    assert plain.residuals("standardized").head(5).tolist() == pytest.approx(inner, abs=1e-12)
    assert plain.residuals("studentized").head(5).tolist() == pytest.approx(outer, abs=1e-12)
    # resid(lme(distance ~ age, Orthodont, ~1|Subject, corAR1(form = ~1|Subject)), type = "normalized"), nlme 3.1-162
    lme = lt.fit_lmm("distance ~ age + (1 | Subject)", lt.load_dataset("Orthodont"), residual="ar1(age | Subject)")
    theirs = [0.436795115054883, -1.18503935664736, 0.742112753772193, 1.12496011187973, 0.0115536677993715]
    assert lme.residuals("normalized").head(5).tolist() == pytest.approx(theirs, abs=1e-6)


def test_leverage_one_is_told():
    data = lt.load_dataset("Orthodont").assign(only=lambda d: (np.arange(len(d)) == 5).astype(float))
    fit = lt.fit_lmm("distance ~ age + only + (1 | Subject)", data)
    without = lt.fit_lmm("distance ~ age + (1 | Subject)", data.drop(index=5))
    for kind in ("standardized", "studentized"):
        with pytest.warns(lt.LMMWarning, match=rf"no {kind} residual \(NaN\) for 1 row \(`5`\) of leverage one"):
            found = fit.residuals(kind)
        assert found.index[found.isna()].tolist() == [5]
        np.testing.assert_allclose(found.drop(index=5), without.residuals(kind), atol=1e-6)


def test_a_row_without_which_the_fit_is_perfect_is_told():
    data = pd.DataFrame({"x": np.arange(6.0), "y": [0.0, 1.0, 2.0, 3.5, 4.0, 5.0]})
    with pytest.warns(lt.LMMWarning, match=r"for 1 row \(`3`\) without which the fit is perfect"):
        found = lt.fit_gls("y ~ x", data).residuals("studentized")
    assert found.index[found.isna()].tolist() == [3]


def test_no_degree_of_freedom_without_a_row():
    fit = lt.fit_gls("y ~ x", pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 1.0]}))
    with pytest.raises(lt.ModelError, match="3 rows and 2 coefficients leave 1 degree of freedom, none without a row"):
        fit.residuals("studentized")
    assert np.isfinite(fit.residuals("standardized")).all()


def test_rows_that_hang_together_may_be_too_many(sleep, monkeypatch):
    monkeypatch.setattr(whitening, "_MOST", 500.0)
    with pytest.raises(lt.ModelError, match=re.escape("10 rows are correlated through 2 random effects")):
        sleep.residuals("whitened")


@pytest.mark.parametrize(
    ("kind", "said"),
    [("studentised", "did you mean `studentized`"), ("Pearson", "did you mean `pearson`"), ("scaled", "use one of"),
     (None, "kind=None is unknown")],
)  # fmt: skip
def test_an_unknown_kind_is_told_with_the_nearest(sleep, kind, said):
    with pytest.raises(lt.LMMError, match=said):
        sleep.residuals(kind)


def test_random_effects_of_variance_zero_leave_rows_independent():
    data = lt.load_dataset("Orthodont")
    data["distance"] -= data.groupby("Subject", observed=True)["distance"].transform("mean")
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", data)
    assert fit.is_singular
    assert fit.residuals("whitened").to_numpy() == pytest.approx(fit.residuals("pearson").to_numpy())
