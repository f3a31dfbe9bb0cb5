"""R² of the fixed part and of the whole model, and the shares of its terms."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.inference.variances import variances
from tests.reference.lme4_fits import fitted

# performance 0.10.2 in R: marginal and conditional R², adjusted and unadjusted ICC.
PERFORMANCE = {
    "Dyestuff__ri_reml": (0.0, 0.418487414810305, 0.418487414810305, 0.418487414810305),
    "sleepstudy__rs_reml": (0.27865203344471, 0.799218907712505, 0.721658476080135, 0.520566874267794),
    "sleepstudy__rs_ml": (0.287611501104856, 0.792763215771995, 0.709095831067721, 0.505151714667138),
    "sleepstudy__unbal_rs_reml": (0.170630389025884, 0.806189679788243, 0.766316106055391, 0.635559290762359),
    "sleepstudy__offset_reml": (0.165271085211125, 0.766986968637698, 0.720851851141113, 0.601715883426573),
    "sleepstudy__noint_reml": (0.053095851360765, 0.987483598704918, 0.986781765278916, 0.934387747344153),
    "sleepstudy__weights_reml": (0.221024434683769, 0.634964644934362, 0.531390493721779, 0.413940210250594),
    "Machines__nested_reml": (0.467700119450023, 0.986942234169274, 0.975469155061175, 0.519242114719251),
    "Machines__rs_facint_ml": (0.512416551391822, 0.985693791690165, 0.970658954173542, 0.473277240298343),
    "Alfalfa__splitplot_reml": (0.226868111825436, 0.808386228632825, 0.752159011550289, 0.581518116807389),
}
# Here it drops random effects: those that are not among the fixed ones by name, and slopes under `||`; its numbers are
# then those of the intercept alone.
OF_THE_INTERCEPT = {
    "sleepstudy__nofixslope_reml": 0.498727551444427,
    "sleepstudy__poly2_reml": 0.484642774062554,
    "sleepstudy__rs_unc_reml": 0.489847130697578,
}


@pytest.mark.parametrize("name", PERFORMANCE)
def test_the_numbers_of_performance(name):
    found = variances(fitted(name))
    random = found.random.sum()
    ours = (found.marginal, found.conditional, random / (random + found.residual), random / found.total)
    np.testing.assert_allclose(ours, PERFORMANCE[name], atol=1e-7)


@pytest.mark.parametrize("name", OF_THE_INTERCEPT)
def test_where_performance_leaves_slopes_out_ours_are_in(name):
    fit = fitted(name)
    intercept = fit.varcorr["vcov"].iloc[0]
    assert intercept / (intercept + fit.sigma**2) == pytest.approx(OF_THE_INTERCEPT[name], abs=1e-6)
    found = variances(fit)
    assert found.random.sum() / (found.random.sum() + found.residual) > OF_THE_INTERCEPT[name] + 0.1


def test_the_random_part_is_the_mean_of_its_variances_over_the_rows():
    data = lt.load_dataset("Pastes").assign(x=np.arange(60) % 7)
    fit = lt.fit_lmm("strength ~ x + (x | batch) + (1 | sample)", data)
    whole = sum(
        np.trace(t.matrix @ fit.random_covariance[t.group].to_numpy() @ t.matrix.T) / fit.nobs for t in fit.design.terms
    )
    assert variances(fit).random.sum() == pytest.approx(whole, rel=1e-10)


def test_one_row_with_both_and_intervals():
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    table = lt.r2(fit)
    assert list(table.columns) == ["marginal", "conditional", "low", "high"]
    assert table["marginal"].iloc[0] == pytest.approx(PERFORMANCE["sleepstudy__rs_reml"][0], abs=1e-6)
    assert table[["low", "high"]].isna().all(axis=None)
    assert "replicates" in table.notes[0]
    (row,) = lt.r2(fit, n=60, rng=np.random.default_rng(1)).to_dict("records")
    assert row["low"] < row["conditional"] < row["high"]
    assert row["marginal_low"] < row["marginal"] < row["marginal_high"]


def test_with_weights_an_observation_of_weight_one_is_taken_and_no_fit_is_refused():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights=np.tile([1.0, 2.0], 90))
    for function in (lt.r2, lt.variance_explained):
        assert "an observation of weight 1" in function(fit).notes[0 if function is lt.r2 else 1]
        with pytest.raises(lt.LMMError, match=f"{function.__name__}: takes a fit"):
            function(fit.design)
    assert lt.r2(fit, weight=2.0)["conditional"].iloc[0] > lt.r2(fit, weight=1.0)["conditional"].iloc[0]


@pytest.fixture(scope="module")
def crossed():
    return lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", lt.load_dataset("Orthodont"))


def test_part_r2_is_what_the_model_loses(crossed):
    data = lt.load_dataset("Orthodont")
    table = lt.variance_explained(crossed).set_index("term")
    whole = variances(crossed).marginal
    without = {"age": "Sex", "Sex": "age", "age:Sex": "age + Sex"}
    for term, rest in without.items():
        reduced = lt.fit_lmm(f"distance ~ {rest} + (1 | Subject)", data)
        assert table.loc[term, "share"] == pytest.approx(whole - variances(reduced).marginal, abs=1e-7)
    assert table.loc["Subject", "share"] == pytest.approx(lt.icc(crossed)["icc"].iloc[0])
    rest = 1 - variances(crossed).conditional
    assert table.loc["Residual", "share"] == pytest.approx(rest)
    assert table["part"].tolist() == ["fixed"] * 3 + ["random", "residual"]


def test_inclusive_r2_is_the_squared_structure_coefficient(crossed):
    table = lt.variance_explained(crossed).set_index("term")
    mean = crossed.design.X @ crossed.beta
    age = crossed.design.X[:, list(crossed.design.fixed_names).index("age")]
    expected = np.corrcoef(age, mean)[0, 1] ** 2 * variances(crossed).marginal
    assert table.loc["age", "inclusive"] == pytest.approx(expected)
    assert table.loc[["Subject", "Residual"], "inclusive"].isna().all()


@pytest.mark.parametrize("contrasts", ["sum", "helmert"])
def test_the_coding_of_factors_changes_no_part(crossed, contrasts):
    data = lt.load_dataset("Orthodont")
    coded = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", data, contrasts={"Sex": contrasts})
    ours, theirs = (lt.variance_explained(f).set_index("term")["share"] for f in (coded, crossed))
    pd.testing.assert_series_equal(ours, theirs, atol=1e-6)


def test_a_mean_that_a_factor_holds_stays_when_the_factor_goes():
    data = lt.load_dataset("Orthodont")
    ours = lt.variance_explained(lt.fit_lmm("distance ~ 0 + Sex + (1 | Subject)", data)).set_index("term")
    theirs = lt.variance_explained(lt.fit_lmm("distance ~ Sex + (1 | Subject)", data)).set_index("term")
    pd.testing.assert_series_equal(ours["share"], theirs["share"], atol=1e-6)


def test_intervals_of_every_share():
    fit = lt.fit_lmm("distance ~ age + Sex + (1 | Subject)", lt.load_dataset("Orthodont"))
    table = lt.variance_explained(fit, n=60, rng=2, level=0.8)
    assert (table["low"] < table["high"]).all()
    assert (table["inclusive_low"] < table["inclusive_high"]).iloc[:2].all()
    assert table["inclusive_low"].iloc[2:].isna().all()
    assert any("part R²" in note for note in table.notes)


def test_without_fixed_terms_there_are_only_groups():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = lt.variance_explained(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff")))
    assert table["term"].tolist() == ["Batch", "Residual"]
    assert not any("part R²" in note for note in table.notes)
