"""Likelihood-ratio tests check nesting; information criteria check comparability."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import chi2

import lmmtools as lt
from lmmtools.comparison import bootstrap_lrt, exact_lrt, ranova


@pytest.fixture(scope="module")
def fits():
    data = lt.load_dataset("sleepstudy")
    formulas = {
        "null": "Reaction ~ 1 + (1 | Subject)",
        "ri": "Reaction ~ Days + (1 | Subject)",
        "slope": "Reaction ~ Days + (0 + Days | Subject)",
        "diag": "Reaction ~ Days + (Days || Subject)",
        "us": "Reaction ~ Days + (Days | Subject)",
        "poly": "Reaction ~ poly(Days, 2) + (Days | Subject)",
        "log": "Reaction ~ log(Days + 1) + (Days | Subject)",
    }
    return {name: lt.fit_lmm(f, data, reml=False) for name, f in formulas.items()}


def test_lrt_is_the_difference_of_the_criteria(fits):
    table = lt.lrt(fits["ri"], fits["null"])  # any order
    chisq = fits["null"].criterion - fits["ri"].criterion
    assert list(table.columns) == ["npar", "loglik", "deviance", "chisq", "df", "p_value", "reference"]
    assert table["chisq"].iloc[1] == pytest.approx(chisq)
    assert table["p_value"].iloc[1] == pytest.approx(chi2.sf(chisq, 1))
    assert table["reference"].tolist() == ["", "χ²(1)"]
    assert table.notes == ()


def test_a_variance_under_test_is_at_the_boundary_and_a_correlation_is_not(fits):
    table = lt.lrt(fits["ri"], fits["diag"], fits["us"])
    assert table["reference"].tolist() == ["", "½ χ²(0) + ½ χ²(1)", "χ²(1)"]
    assert table["p_value"].iloc[1] == pytest.approx(0.5 * chi2.sf(table["chisq"].iloc[1], 1))
    assert "boundary" in table.notes[0]
    two = lt.lrt(fits["ri"], fits["us"]).iloc[1]
    assert two["reference"] == "½ χ²(1) + ½ χ²(2)"
    assert two["p_value"] == pytest.approx(0.5 * chi2.sf(two["chisq"], [1, 2]).sum())


def test_fixed_effects_tested_as_well_add_to_both_parts(fits):
    row = lt.lrt(fits["null"], fits["diag"]).iloc[1]
    assert (row["df"], row["reference"]) == (2, "½ χ²(1) + ½ χ²(2)")
    assert row["p_value"] == pytest.approx(0.5 * chi2.sf(row["chisq"], [1, 2]).sum())


def test_slope_only_is_nested_in_uncorrelated(fits):
    assert lt.lrt(fits["slope"], fits["diag"])["reference"].iloc[1] == "½ χ²(0) + ½ χ²(1)"


def test_what_is_not_nested_is_refused(fits):
    with pytest.raises(lt.ModelError, match="same number of parameters"):
        lt.lrt(fits["slope"], fits["ri"])
    again = lt.fit_lmm("Reaction ~ Days + (1 + I(2 * Days) | Subject)", lt.load_dataset("sleepstudy"), reml=False)
    with pytest.raises(lt.ModelError, match="are the same model, so that there is nothing to test"):
        lt.lrt(fits["us"], again)
    with pytest.raises(lt.ModelError, match=r"the fixed effect `log\(Days \+ 1\)`, which the larger has not"):
        lt.lrt(fits["log"], fits["poly"])
    other = lt.fit_lmm("Reaction ~ Days + (1 | half)", _with_half(), reml=False)
    with pytest.raises(lt.ModelError, match=r"the random term `\(1 \| half\)`, which the larger cannot express"):
        lt.lrt(other, fits["us"])


def _with_half():
    data = lt.load_dataset("sleepstudy")
    return data.assign(half=data["Subject"].astype(str).str[-1])


def test_what_is_not_comparable_is_refused(fits):
    data = lt.load_dataset("sleepstudy")
    reml = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(lt.ModelError, match="one fit is by REML and one by ML"):
        lt.lrt(reml, fits["us"])
    with pytest.raises(lt.ModelError, match="differ in fixed effects.*REML"):
        lt.lrt(lt.fit_lmm("Reaction ~ 1 + (1 | Subject)", data), reml)
    with pytest.raises(lt.ModelError, match="180 rows and `Reaction` on 179 rows"):
        lt.compare(fits["ri"], lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data.iloc[1:], reml=False))
    with pytest.raises(lt.ModelError, match="differ in their response values"):
        lt.compare(fits["ri"], fits["ri"].refit(y=fits["ri"].design.y + np.arange(180)))
    with pytest.raises(lt.ModelError, match="differ in their weights"):
        w = np.full(180, 2.0)
        lt.compare(fits["ri"], lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, reml=False, weights=w))
    with pytest.raises(lt.ModelError, match="needs at least 2 fits"):
        lt.lrt(fits["ri"])
    with pytest.raises(lt.ModelError, match="takes fits made by fit_lmm; got str"):
        lt.compare("ri")


def test_compare_has_the_criteria_and_their_weights(fits):
    table = lt.compare(fits["ri"], fits["us"], fits["slope"])
    assert list(table.columns) == ["npar", "loglik", "aic", "aicc", "bic", "caic", "delta", "weight", "note"]
    shown = (fits["ri"], fits["us"], fits["slope"])
    np.testing.assert_allclose(table["aic"], [f.criterion + 2 * f.npar for f in shown])
    assert table["delta"].min() == 0.0
    assert table["weight"].sum() == pytest.approx(1.0)
    k, n = fits["us"].npar, 180
    assert table["aicc"].iloc[1] == pytest.approx(fits["us"].aic + 2 * k * (k + 1) / (n - k - 1))


def test_two_reml_fits_of_one_mean_may_be_compared():
    data = lt.load_dataset("sleepstudy")
    a = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)
    b = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    assert lt.lrt(a, b)["chisq"].iloc[1] == pytest.approx(42.8372, abs=1e-3)


def test_singular_fits_are_noted():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    assert "singular" in lt.compare(fit)["note"].iloc[0]
    good = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    assert lt.compare(good)["note"].tolist() == ["certified"]


def test_fits_are_frozen(fits):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fits["ri"].sigma = 1.0
    with pytest.raises(ValueError, match="read-only"):
        fits["ri"].theta[0] = 2.0


def test_each_random_term_is_taken_out_as_ranova_of_lmertest_does():
    # lmerTest 3.1-3: LRT 42.8368134349691 on 2 degrees of freedom
    table = ranova(lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy")))
    assert list(table.columns) == ["npar", "loglik", "aic", "chisq", "df", "p_value", "reference"]
    assert table.index.tolist() == ["<none>", "Days in (1 + Days | Subject)"]
    row = table.iloc[1]
    assert row["chisq"] == pytest.approx(42.8368134349691, abs=1e-6)
    assert (row["df"], row["npar"], row["reference"]) == (2, 4, "½ χ²(1) + ½ χ²(2)")
    assert row["loglik"] == pytest.approx(-893.232542697461, abs=1e-6)
    assert row["aic"] == pytest.approx(1794.46508539492, abs=1e-6)


def test_terms_are_reduced_where_they_can_be_and_dropped_where_not():
    sleep = lt.load_dataset("sleepstudy").assign(late=lambda d: (d["Days"] > 4).astype(str))

    def rows(random, **options):
        return ranova(lt.fit_lmm(f"Reaction ~ Days + {random}", sleep, **options))

    both = rows("(1 | Subject) + (0 + Days | Subject)", reml=False)
    assert both.index.tolist() == ["<none>", "(1 | Subject)", "(0 + Days | Subject)"]
    assert both["reference"].iloc[1:].tolist() == ["½ χ²(0) + ½ χ²(1)"] * 2
    ri = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", sleep, reml=False)
    assert both["loglik"].iloc[2] == pytest.approx(ri.loglik, abs=1e-8)
    cells = rows("(0 + late | Subject)")
    assert cells.index[1] == "late in (0 + late | Subject)"
    assert (cells["npar"].iloc[1], cells["reference"].iloc[1]) == (4, "½ χ²(1) + ½ χ²(2)")
    whole = rows("(Days + late | Subject)")
    assert whole.index.tolist()[1:] == [f"{x} in (1 + Days + late | Subject)" for x in ("Days", "late")]
    assert whole["df"].iloc[1:].tolist() == [3, 3]


def test_the_only_random_term_dropped_leaves_least_squares():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    table = ranova(fit)
    y = fit.design.y
    n, r2 = len(y), np.sum((y - y.mean()) ** 2)
    criterion = (n - 1) * (1 + np.log(2 * np.pi * r2 / (n - 1))) + np.log(n)
    assert table["loglik"].iloc[1] == pytest.approx(-0.5 * criterion)
    assert table["chisq"].iloc[1] == pytest.approx(6.36895531362114, abs=1e-6)
    assert table["p_value"].iloc[1] == pytest.approx(0.5 * chi2.sf(6.36895531362114, 1), rel=1e-6)
    with pytest.raises(lt.ModelError, match="ranova: takes fits made by fit_lmm"):
        ranova("fit")


def test_a_bootstrap_of_the_ratio_counts_what_became_of_its_refits(fits):
    test = bootstrap_lrt(fits["null"], fits["ri"], n=60, rng=1)
    assert test.statistic == pytest.approx(fits["null"].criterion - fits["ri"].criterion)
    assert test.p_value == pytest.approx(1 / 61)
    assert test.mc_error == pytest.approx(np.sqrt(test.p_value * (1 - test.p_value) / 60))
    assert test.simulated.shape == (60,)
    assert np.all(test.simulated >= 0.0)
    assert (test.failures, test.singular) == ((), 0)
    again = bootstrap_lrt(fits["ri"], fits["null"], n=60, rng=1)  # any order, the same draws
    np.testing.assert_array_equal(test.simulated, again.simulated)
    assert 0.3 < test.simulated.mean() < 2.5  # χ²(1) has mean one


def test_a_bootstrap_against_no_random_effects_has_the_exact_null():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    test, exact = bootstrap_lrt(None, fit, n=400, rng=2), exact_lrt(fit)
    assert test.statistic == pytest.approx(exact.statistic)
    for cut in (0.0, 0.5, 2.0):
        p = np.mean(exact.simulated > cut)
        assert abs(np.mean(test.simulated > max(cut, 1e-7)) - p) < 4 * np.sqrt(p * (1 - p) / 400)
    assert test.singular > 100
    assert f"The larger model was singular in {test.singular} of 400 replicates" in repr(test)


def test_refits_that_fail_are_counted_and_shown(fits, monkeypatch):
    from lmmtools.comparison import resampled

    class Failing(resampled.Refits):
        def __call__(self, responses):
            for k, one in enumerate(super().__call__(responses)):
                yield dataclasses.replace(one, criterion=np.nan, reason="lost its way.") if k == 2 else one

    monkeypatch.setattr(resampled, "Refits", Failing)
    test = bootstrap_lrt(fits["null"], fits["ri"], n=10, rng=1)
    assert test.failures == ((2, "lost its way."),)
    assert np.isnan(test.simulated[2])
    assert test.p_value == pytest.approx(1 / 10)
    assert "1 refit of 10 failed and could not be counted; the first: lost its way." in repr(test)


def test_a_bootstrap_asks_for_what_it_needs(fits):
    with pytest.raises(lt.LMMError, match="random numbers need rng"):
        bootstrap_lrt(fits["null"], fits["ri"], n=10)
    with pytest.raises(lt.LMMError, match="n, the number of refits, must be a whole number"):
        bootstrap_lrt(fits["null"], fits["ri"], n=0, rng=1)
    with pytest.raises(lt.ModelError, match="not nested"):
        bootstrap_lrt(fits["log"], fits["poly"], n=10, rng=1)
    with pytest.raises(lt.ModelError, match="one fit is by REML and one by ML"):
        bootstrap_lrt(fits["null"].refit(reml=True), fits["ri"], n=10, rng=1)


def test_lrt_refuses_draws_and_generators_that_are_none(fits):
    with pytest.raises(lt.LMMError, match="draws must be a whole number, at least 1000"):
        lt.lrt(fits["null"], fits["ri"], draws=10)
    with pytest.raises(lt.LMMError, match=r"lrt: random numbers need rng=numpy.random.default_rng"):
        lt.lrt(fits["null"], fits["ri"], rng="1")


def test_what_the_criteria_leave_out_is_said(fits):
    table = lt.compare(fits["ri"], fits["us"])
    assert "AIC, AICc and BIC judge predictions of new groups; cAIC" in table.notes[0]
    assert "number of rows for the sample size" in table.notes[1]
    assert not any("restricted" in note for note in table.notes)
    reml = lt.compare(fits["ri"].refit(reml=True))
    assert any("restricted likelihoods" in note for note in reml.notes)
    singular = lt.compare(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2")))
    assert any("count a variance at zero" in note for note in singular.notes)
    without = lt.compare(fits["ri"], conditional=False)
    assert np.isnan(without["caic"].iloc[0])
    assert "cAIC" not in without.notes[0]


def test_conditional_aic_is_that_of_the_fit(fits):
    from lmmtools.inference.conditional_aic import conditional_aic

    table = lt.compare(fits["ri"], fits["us"])
    np.testing.assert_allclose(table["caic"], [conditional_aic(fits[k]).caic for k in ("ri", "us")])
