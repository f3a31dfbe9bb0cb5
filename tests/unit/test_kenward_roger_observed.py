"""Kenward and Roger's inference with the observed information: SAS's numbers, tables that say so, what is refused.

With residual structures it is compared with its definition in `tests/properties/test_inference_residual.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.inference import kenward_roger as module
from tests.definitions import kenward_roger as definition
from tests.oracle import dense_model
from tests.reference.lme4_fits import data, fitted
from tests.unit.test_inference_residual import MMRM, growth

OBSERVED = "kenward-roger-observed"
SAID = "with the observed information, as SAS PROC MIXED and mmrm"
# SAS's `model FEV1 = ARMCD / ddfm=kr; repeated AVISIT / subject=USUBJID type=…`, as the R package mmrm 0.3.18 keeps it
# in design/ddfm_covtype/kr_*.csv (sp(exp) in kr1_spexp.csv, as its listing says) and its test-kenwardroger.R has it:
# difference of arms, standard error, df. SAS stops earlier than we do (−2 REML log-likelihood of un 3667.96276376, ours
# is 3667.96275614), hence a tolerance for each.
SAS = {
    "ar1(VISITN | USUBJID)": (4.22574315817874, 0.95865439662225, 188.46934887972, 1e-6),
    "cs(USUBJID)": (4.19663617897035, 0.7964696053595, 177.038485931223, 1e-6),
    "exp(VISITN + VISITN2 | USUBJID)": (4.21488979997259, 0.90527620094771, 195.584197921463, 1e-5),
    "toep(VISITN | USUBJID)": (4.47051860580552, 0.87839805519623, 160.027408337368, 1e-4),
    "us(VISITN | USUBJID) * varident(VISITN)": (3.81972492174648, 0.66124382270307, 160.733266403768, 3e-4),
}
# Degrees of freedom of type=arh(1) and toeph; SAS writes these in variances, so its standard errors are others.
SAS_DF = {
    "ar1(VISITN | USUBJID) * varident(VISITN)": (188.225339095373, 1e-4),
    "toep(VISITN | USUBJID) * varident(VISITN)": (180.062730071701, 1e-5),
}


@pytest.mark.parametrize("residual", SAS)
def test_numbers_are_those_of_sas(residual):
    *expected, rtol = SAS[residual]
    fit = lt.fit_gls("FEV1 ~ ARMCD", data("fev"), residual=residual)
    found = fit.coef_table(ddf=OBSERVED).loc["ARMCD[T.TRT]", ["estimate", "std_error", "df"]]
    np.testing.assert_allclose(found.to_numpy(float), expected, rtol=rtol)
    default = fit.coef_table(ddf="kenward-roger").loc["ARMCD[T.TRT]", "df"]
    assert abs(default / expected[2] - 1.0) > 10.0 * rtol


@pytest.mark.parametrize("residual", SAS_DF)
def test_degrees_of_freedom_do_not_depend_on_the_parameters_and_are_those_of_sas(residual):
    df, rtol = SAS_DF[residual]
    fit = lt.fit_gls("FEV1 ~ ARMCD", data("fev"), residual=residual)
    assert fit.coef_table(ddf=OBSERVED).loc["ARMCD[T.TRT]", "df"] == pytest.approx(df, rel=rtol)


def test_a_random_intercept_is_compound_symmetry():
    *expected, rtol = SAS["cs(USUBJID)"]
    fit = lt.fit_lmm("FEV1 ~ ARMCD + (1 | USUBJID)", data("fev"))
    table = fit.coef_table(ddf=OBSERVED)
    found = table.loc["ARMCD[T.TRT]", ["estimate", "std_error", "df"]]
    np.testing.assert_allclose(found.to_numpy(float), expected, rtol=rtol)
    assert "KR (linear)" not in table.caption
    assert any("random effects is the observed one, as SAS PROC MIXED takes it" in note for note in table.notes)


@pytest.mark.parametrize("name", ["sleepstudy__unbal_rs_reml", "Penicillin__crossed_reml", "Pixel__pb_reml"])
def test_random_effects_have_the_definition_s_numbers(name):
    fit = fitted(name)
    found, p = fit.kenward_roger_observed, len(fit.beta)
    expected = definition.kenward_roger(dense_model(fit.design), fit.theta, observed=True)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6)
    np.testing.assert_allclose(found.df(np.eye(p)), [expected.df(l) for l in np.eye(p)], rtol=1e-6)
    np.testing.assert_allclose(found.f_test(np.eye(p)), expected.f_test(np.eye(p)), rtol=1e-6)


@pytest.mark.parametrize("residual", [MMRM, "toep(t | g)", "ar1(t | g)", "car1(t | g) * varident(arm)", ""])
def test_degrees_of_freedom_of_one_function_are_those_of_satterthwaite(residual):
    """2/A₂ is 2(l'Φl)² over the variance of l'Φl to first order, and the information is of the same Hessian."""
    trial = growth(24, 11, missing=13)
    fit = lt.fit_gls("y ~ t * arm", trial, residual=residual) if residual else lt.fit_lmm("y ~ t + (t | g)", trial)
    L = np.vstack([np.eye(len(fit.beta)), np.ones(len(fit.beta))])
    np.testing.assert_allclose(fit.kenward_roger_observed.df(L), fit.satterthwaite.df(L), rtol=1e-6)
    assert not np.allclose(fit.kenward_roger.df(L), fit.satterthwaite.df(L), rtol=1e-3)


def test_where_data_are_complete_both_informations_are_one():
    """A saturated covariance is its own estimate, and a balanced variance component that of its mean squares."""
    whole = lt.fit_gls("y ~ C(t) * arm", growth(14, 5), residual=MMRM)
    balanced = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    for fit in (whole, balanced):
        one, other = fit.kenward_roger_observed, fit.kenward_roger
        L = np.eye(len(fit.beta))
        np.testing.assert_allclose(one.df(L), other.df(L), rtol=1e-5)
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("residual", "label", "said"),
    [
        (MMRM, "; KR (linear)", '(vcov = "Kenward-Roger-Linear"); their paper has the expected one'),
        ("ar1(t | g)", "; the formula of 1997 in the residual parameters as named", "adjusted standard errors do"),
    ],
)
def test_every_table_says_which_information_it_is(residual, label, said):
    fit = lt.fit_gls("y ~ C(t) * arm", growth(30, 7, missing=11), residual=residual)
    means = lt.marginal_means(fit, "arm", ddf=OBSERVED)
    tables = [
        fit.coef_table(ddf=OBSERVED),
        fit.test(["arm[T.b]"], ddf=OBSERVED),
        fit.test(["arm[T.b]"], ddf=OBSERVED, joint=False),
        fit.anova(3, ddf=OBSERVED),
        means,
        means.contrasts(),
    ]
    for table in tables:
        assert SAID + label in table.caption
    for table in tables[:5]:
        assert said in " ".join(table.notes)
    assert SAID in means.contrasts().test().caption
    assert SAID not in fit.coef_table(ddf="kenward-roger").caption
    # one fit, one inference, whatever is asked
    row = tables[2].iloc[0]
    assert (tables[1]["f_value"].iloc[0], tables[1]["den_df"].iloc[0]) == pytest.approx((row.statistic**2, row.df))
    assert tables[0].loc["arm[T.b]", "df"] == row.df == fit.kenward_roger_observed.df(np.eye(8))[4]


def test_words_and_pictures_know_it():
    made = lt.residual_structures("distance ~ age", lt.load_dataset("Orthodont"), ["cs(Subject)", "ar1(age | Subject)"])
    found = lt.structure_effects(made, "age", ddf=("satterthwaite", OBSERVED))
    assert found[f"df | {OBSERVED}"].notna().all()
    assert SAID in found.caption
    lt.plots.structure_effects(found)
    fit = made.best
    assert "Kenward and Roger's, with standard errors" in str(lt.prose.summary(fit, ddf=OBSERVED))
    assert "with the observed information about the covariance parameters" in str(lt.prose.methods(fit, ddf=OBSERVED))
    assert lt.record(fit, ddf=OBSERVED) is not None
    assert all("observed" not in name for name in lt.triangulate(fit, "age")["method"])


def test_fits_by_ml_are_refused_by_its_name():
    fit = lt.fit_gls("y ~ t", growth(), residual="ar1(t | g)", reml=False)
    with pytest.raises(lt.ModelError, match='coef_table: ddf="kenward-roger-observed" is defined for REML'):
        fit.coef_table(ddf=OBSERVED)
    with pytest.raises(lt.LMMError, match=r"did you mean `kenward-roger-observed`"):
        fit.coef_table(ddf="kenward-roger-observd")


def test_variances_of_zero_have_no_observed_information():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    assert fit.is_singular
    with pytest.raises(lt.ModelError, match=r"variance of Intercept in Batch is estimated as zero.*\"kenward-roger\""):
        fit.coef_table(ddf=OBSERVED)
    # an intercept that is a multiple of the slope: no single variance is zero
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(12), 6), np.tile(np.arange(6.0), 12)
    y = rng.normal(size=12)[g] * (1 + 2 * x) + rng.normal(size=72)
    line = lt.fit_lmm("y ~ x + (1 + x | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    assert line.is_singular
    assert not line.zero_effects
    with pytest.raises(lt.ModelError, match="variance of a combination of random effects is estimated as zero"):
        line.anova(ddf=OBSERVED)


def test_a_nugget_of_zero_is_refused_and_no_reason_for_the_expected_information():
    rng = np.random.default_rng(2)
    t, g = np.tile(np.arange(4.0), 12), np.repeat(np.arange(12), 4)
    root = np.linalg.cholesky(np.exp(-np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0))) / 2.0))
    for _ in range(20):  # until the estimate is on its bound
        y = (rng.normal(size=(12, 4)) @ root.T).ravel()
        fit = lt.fit_gls("y ~ 1", pd.DataFrame({"y": y, "t": t, "g": g}), residual="exp(t | g, nugget=True)")
        if fit.residual_params["exp.nugget"] < 1e-12:
            break
    assert fit.residual_params["exp.nugget"] < 1e-12
    assert fit.coef_table(ddf="kenward-roger")["df"].notna().all()
    with pytest.raises(lt.ModelError, match=r"exp\.nugget = \S+ is at the end of its range"):
        fit.coef_table(ddf=OBSERVED)


def test_a_likelihood_that_does_not_bend_down_is_refused(monkeypatch):
    fit = lt.fit_gls("y ~ t", growth(), residual="ar1(t | g)")
    whole = module.observed_information(fit)
    monkeypatch.setattr(module, "observed_information", lambda _: whole - 2.0 * np.diag([0.0, whole[1, 1]]))
    with pytest.raises(lt.ModelError, match=r"does not bend down \(the certificate says of this fit: certified\)"):
        fit.coef_table(ddf=OBSERVED)
