"""LMMFit: its tables, predictions, simulations and refits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

import lmmtools as lt


@pytest.fixture(scope="module")
def fit():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


def test_coefficients_by_both_reference_distributions(fit):
    normal, residual = fit.coef_table(ddf="normal"), fit.coef_table(ddf="residual", level=0.9)
    z = fit.fixef / fit.stderr
    np.testing.assert_allclose(normal["p_value"], 2 * norm.sf(np.abs(z)))
    np.testing.assert_allclose(normal["ci_high"] - fit.fixef, norm.ppf(0.975) * fit.stderr)
    assert np.all(residual["df"] == 178)
    np.testing.assert_allclose(residual["p_value"], 2 * t.sf(np.abs(z), 178))
    np.testing.assert_allclose(fit.fixef - residual["ci_low"], t.ppf(0.95, 178) * fit.stderr)
    assert normal.caption == "Fixed effects by REML, with 95 % intervals; reference: normal"
    assert "t with n − rank(X) degrees of freedom" in residual.caption
    assert "p-values too small" in normal.notes[0]


def test_satterthwaite_is_the_default():
    unbalanced = lt.load_dataset("sleepstudy").query("not (Subject in ['308', '309'] and Days > 3)")
    made = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", unbalanced)
    table = made.coef_table()
    assert "Satterthwaite" in table.caption
    np.testing.assert_allclose(table["df"], made.satterthwaite.df(np.eye(2)))
    np.testing.assert_allclose(table["p_value"], 2 * t.sf(np.abs(table["statistic"]), table["df"]))
    np.testing.assert_allclose(table["ci_high"], made.fixef + t.ppf(0.975, table["df"]) * made.stderr)
    assert any("REML does not" in note for note in made.refit(reml=False).coef_table().notes)


def test_unknown_arguments_name_the_known_ones(fit):
    for call, known in (
        (lambda: fit.coef_table(ddf="kr"), '"residual", "normal"'),
        (lambda: fit.coef_table(level=95), "between 0 and 1"),
        (lambda: fit.confint(method="exact"), "wald"),
        (lambda: fit.residuals("pearsons"), "'pearson'"),
        (lambda: fit.predict(fit.design.index.to_frame(), unseen="zero"), "'population'"),
        (lambda: fit.predict(interval="confidence"), '"mean" or "observation"'),
        (lambda: fit.simulate(2, rng="1"), "numpy.random.Generator or a seed"),
        (lambda: fit.simulate(-1, np.random.default_rng(1)), "at least 1; got -1"),
        (lambda: fit.simulate(2.5, np.random.default_rng(1)), "whole number"),
        (lambda: fit.refit(reml="ML"), "True or False; got 'ML'"),
        (lambda: lt.fit_lmm("Reaction ~ 1 + (1 | Subject)", lt.load_dataset("sleepstudy"), reml="ML"), "got 'ML'"),
        (lambda: fit.refit(y=["a"] * 180), "180 numbers"),
        (lambda: fit.refit(y=fit.fitted.iloc[::-1]), "another order"),
        (lambda: lt.icc("a"), "got str"),
        (lambda: lt.Criterion(fit), "as build_design makes it"),
        (lambda: lt.icc(fit, level=95), "between 0 and 1"),
        (lambda: lt.icc(fit, n=2.5), "bootstrap replicates, must be a whole number"),
        (lambda: lt.Criterion(fit.design)([1.0]), "3 finite numbers"),
        (lambda: lt.minimize(lt.Criterion(fit.design), start=[1, 2]), "3 finite numbers"),
        (lambda: fit.predict(interval="mean", level=2), "between 0 and 1"),
        (lambda: fit.refit(y=[1.0, 2.0]), "180 finite numbers"),
    ):
        with pytest.raises(lt.LMMError, match=known):
            call()


def test_confint_rows_are_named_as_in_every_method(fit):
    wald, profile = fit.confint("wald"), fit.confint()
    assert list(wald.index) == list(profile.index) == [
        "Intercept", "Days", "sd(Subject, Intercept)", "sd(Subject, Days)", "cor(Subject, Intercept, Days)", "sigma",
    ]  # fmt: skip
    assert wald["low"].isna().sum() == 4
    assert profile.notna().to_numpy().all()
    assert "profile (ML)" in profile.caption
    with pytest.raises(lt.LMMError, match='goes with method="bootstrap" only'):
        fit.confint("profile", n=100)
    with pytest.raises(lt.LMMError, match="did you mean `bootstrap`"):
        fit.confint("boot")


def test_varcorr_has_lme4s_layout(fit):
    table = fit.varcorr
    assert list(table.columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    np.testing.assert_allclose(table["sdcor"], [24.7404, 5.9221, 0.0656, 25.5918], atol=2e-4)
    assert table["grp"].iloc[-1] == "Residual"
    assert fit.theta_names == ("Subject.Intercept", "Subject.Days.Intercept", "Subject.Days")


def test_residuals_add_up(fit):
    np.testing.assert_allclose(fit.fitted + fit.resid, fit.design.y)
    np.testing.assert_allclose(fit.residuals("pearson"), fit.resid / fit.sigma)
    np.testing.assert_allclose(fit.residuals("marginal"), fit.design.y - fit.predict(random=False))


def test_weighted_residuals_use_the_weights():
    data = lt.load_dataset("sleepstudy")
    w = np.tile([1.0, 4.0], 90)
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights=w)
    np.testing.assert_allclose(fit.residuals("pearson"), np.sqrt(w) * fit.resid / fit.sigma)


def test_prediction_of_new_rows(fit):
    new = pd.DataFrame({"Days": [0.0, 9.0, 9.0], "Subject": ["308", "335", "new"]}, index=["a", "b", "c"])
    with pytest.raises(lt.LMMError, match="new"):
        fit.predict(new)
    got = fit.predict(new, unseen="population")
    b = fit.ranef["Subject"]
    expected = [
        fit.fixef["Intercept"] + b.loc["308", "Intercept"],
        fit.fixef @ [1, 9] + b.loc["335"] @ [1, 9],
        fit.fixef @ [1, 9],
    ]
    np.testing.assert_allclose(got, expected)
    assert list(got.index) == ["a", "b", "c"]
    table = fit.predict(new, unseen="population", interval="observation")
    assert list(table.columns) == ["prediction", "std_error", "low", "high"]
    assert table["std_error"].iloc[2] > table["std_error"].iloc[1] > fit.sigma


def test_population_prediction_needs_no_group(fit):
    got = fit.predict(pd.DataFrame({"Days": [0.0, 9.0]}), random=False, interval="observation")
    np.testing.assert_allclose(got["prediction"], [fit.fixef["Intercept"], fit.fixef @ [1, 9]])
    rows = pd.DataFrame({"Days": [0.0, 9.0], "Subject": ["308", "x"]})
    known = fit.predict(rows, random=False, interval="observation")
    pd.testing.assert_frame_equal(got, known)


def test_simulations_have_the_fitted_moments(fit):
    draws = fit.simulate(4000, np.random.default_rng(1))
    assert draws.shape == (180, 4000)
    Z = fit.design.Z[:10, :2].toarray()
    V = Z @ fit.random_covariance["Subject"].to_numpy() @ Z.T + fit.sigma**2 * np.eye(10)
    # The relative Monte Carlo error of a covariance from 4000 draws is about √(2/4000) = 2 %.
    np.testing.assert_allclose(np.cov(draws[:10]), V, atol=0.1 * V.max())
    np.testing.assert_allclose(draws.mean(axis=1), fit.predict(random=False), atol=5 * np.sqrt(V.max() / 4000))
    np.testing.assert_array_equal(draws[:, :3], fit.simulate(4000, np.random.default_rng(1))[:, :3])
    np.testing.assert_array_equal(draws, fit.simulate(4000, 1))


def test_refit_by_the_other_method_and_to_another_response(fit):
    ml = fit.refit(reml=False)
    assert not ml.reml
    assert ml.criterion == pytest.approx(1751.93934446320, abs=1e-7)
    assert fit.refit(y=fit.design.y).criterion == pytest.approx(fit.criterion, abs=1e-9)
    assert fit.refit(y=2 * fit.design.y).sigma == pytest.approx(2 * fit.sigma)


def test_icc_is_the_share_between_groups(fit):
    # performance 0.10.2 in R: icc(m) on the same fit.
    table = lt.icc(fit)
    assert table["adjusted"].iloc[0] == pytest.approx(0.721658476, abs=1e-6)
    assert table["icc"].iloc[0] == pytest.approx(0.520566874, abs=1e-6)
    assert table[["low", "high"]].isna().all(axis=None)
    drawn = lt.icc(fit, n=60, rng=np.random.default_rng(2))
    assert drawn["low"].iloc[0] < drawn["adjusted"].iloc[0] < drawn["high"].iloc[0]


def test_icc_of_a_weighted_fit_is_of_an_observation_of_weight_one():
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", lt.load_dataset("sleepstudy"), weights=np.tile([1.0, 2.0], 90))
    assert "an observation of weight 1" in lt.icc(fit).notes[0]


def test_counts_and_criteria(fit):
    assert (fit.nobs, fit.npar, fit.df_resid, fit.ngroups) == (180, 6, 174, {"Subject": 18})
    assert fit.aic == pytest.approx(fit.criterion + 12)
    assert fit.bic == pytest.approx(fit.criterion + 6 * np.log(180))
    assert fit.loglik == -fit.criterion / 2
    assert fit.method == "REML"


def test_summary_shows_every_table_in_every_medium(fit):
    text = repr(fit)
    for part in ("Reaction ~ Days + (Days | Subject)", "180 in 18 levels of Subject", "1743.6283", "Days", "Residual"):
        assert part in text
    bundle = fit.summary()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/vnd.typst", "text/plain"}
    assert bundle["text/html"].count("<table") == 3


def test_no_fixed_effects_at_all():
    data = lt.load_dataset("Rail")
    fit = lt.fit_lmm("travel ~ 0 + (1 | Rail)", data)
    assert len(fit.fixef) == 0
    assert fit.criterion == pytest.approx(fit.refit(reml=False).criterion)
    assert len(fit.coef_table()) == 0
    assert "travel" in repr(fit)


def test_frames_of_other_libraries_give_the_same_fit(fit):
    import polars as pl
    import pyarrow as pa

    data = lt.load_dataset("sleepstudy")
    plain = data.assign(Subject=data["Subject"].astype(str))
    for other in (pl.from_pandas(plain), pa.Table.from_pandas(plain)):
        again = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", other)
        assert again.criterion == pytest.approx(fit.criterion, abs=1e-9)
        assert isinstance(again.fixef, pd.Series)


def test_an_unknown_residual_structure_has_the_nearest_name():
    data = lt.load_dataset("sleepstudy")
    with pytest.raises(lt.FormulaError, match="ar1"):
        lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, residual="ar2(Days | Subject)")


def test_what_a_user_changes_in_a_table_does_not_change_the_fit(fit):
    before = fit.predict().iloc[0]
    for value in (fit.fixef, fit.stderr, fit.fitted, fit.resid):
        value.iloc[0] = 99.0
    vcov, ranef = fit.vcov, fit.ranef["Subject"]
    vcov.iloc[0, 0] = ranef.iloc[0, 0] = 99.0
    assert fit.predict().iloc[0] == before
    assert 99.0 not in (fit.fixef.iloc[0], fit.fitted.iloc[0], fit.resid.iloc[0], fit.vcov.iloc[0, 0])
    assert fit.coef_table()["estimate"].iloc[0] == pytest.approx(251.405, abs=1e-3)
