"""Influence by deletion: against the models of the rows left, written out or refitted; and what cannot be deleted."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.deletion import influential
from lmmtools.deletion.clusterwise import clusterwise
from lmmtools.deletion.covariance import covariance_of
from lmmtools.deletion.measures import told
from lmmtools.deletion.rebuilt import rebuilt
from lmmtools.deletion.rowwise import rowwise
from lmmtools.deletion.sets import sets_of
from lmmtools.projection import projection
from lmmtools.resampling.parameters import Parameters
from tests.definitions.deletion import measures, without
from tests.designs import problems, wider_problems
from tests.oracle import dense_model
from tests.properties.test_conditional_aic import _fit
from tests.properties.test_inference_residual import CURVED, LINEAR, cases


def theta_of(fit):
    return np.concatenate([fit.theta, fit.phi])


def check(fit, found, k, rows, theta=None, **tolerance):
    """One row of the table is what the definitions make of the rows left."""
    model = dense_model(fit.design, reml=fit.reml)
    expected = without(model, rows, theta_of(fit) if theta is None else theta)
    expected_held = without(model, rows, theta_of(fit)).held
    expected = type(expected)(expected.beta, expected.sigma, expected.vcov, expected.theta, expected_held)
    told = measures(model, theta_of(fit), fit.sigma, rows, expected)
    size = {"rtol": 1e-6, "atol": 1e-7} | tolerance
    row, names = found.iloc[k], fit.fixef.index
    for name in ("leverage", "likelihood_displacement"):
        np.testing.assert_allclose(row[name], told[name], err_msg=name, **size)
    np.testing.assert_allclose(abs(row["studentized"]), told["studentized"], **size)
    if len(names):
        for name in ("cooks_distance", "dffits", "mdffits", "covratio"):
            np.testing.assert_allclose(row[name], told[name], err_msg=name, **size)
        scale = fit.stderr.to_numpy()
        own = row[[f"dfbeta_{c}" for c in names]].to_numpy(dtype=float)
        np.testing.assert_allclose(own / scale, told["dfbeta"] / scale, **size)
        np.testing.assert_allclose(row[[f"dfbetas_{c}" for c in names]].to_numpy(dtype=float), told["dfbetas"], **size)
    np.testing.assert_allclose(found.parameters["sigma"].iloc[k], expected.sigma, rtol=1e-7)


def some_row(fit, found, seed):
    """A row that can be deleted."""
    whole = np.flatnonzero(found["cooks_distance"].notna() if len(fit.beta) else found["studentized"].notna())
    return int(np.random.default_rng(seed).choice(whole)) if len(whole) else None


@settings(max_examples=15)
@given(problems() | wider_problems(), st.integers(0, 99))
def test_with_theta_held_rows_are_deleted_exactly(problem, seed):
    fit = _fit(problem)
    found = lt.influence(fit, method="fixed")
    if (k := some_row(fit, found, seed)) is not None:
        check(fit, found, k, [k])


@settings(max_examples=8)
@given(cases((*LINEAR, *CURVED)), st.integers(0, 99))
def test_so_they_are_where_residuals_have_a_structure(case, seed):
    found = lt.influence(case.fit, method="fixed")
    if (k := some_row(case.fit, found, seed)) is not None:
        check(case.fit, found, k, [k])


@settings(max_examples=15)
@given(problems() | wider_problems(), st.integers(0, 99))
def test_with_theta_held_levels_are_deleted_exactly(problem, seed):
    fit = _fit(problem)
    codes = np.random.default_rng(seed).integers(0, 4, fit.nobs)  # across all factors
    found = lt.influence(fit, codes, method="fixed")
    if (k := some_row(fit, found, seed)) is not None:
        check(fit, found, k, np.flatnonzero(codes == found.index[k]))


ONE_STEP = (
    ("Dyestuff", "Yield ~ 1 + (1 | Batch)", "Batch", {}),
    ("Dyestuff", "Yield ~ 1 + (1 | Batch)", "Batch", {"reml": False}),
    ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "sample", {}),
    ("Pastes", "strength ~ 1 + (1 | batch/cask)", "batch", {}),
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)", "Subject", {"weights": "w"}),
)


@pytest.mark.parametrize(("name", "formula", "by", "options"), ONE_STEP)
def test_one_step_is_newtons_on_the_criterion_of_the_rows_left(name, formula, by, options):
    """In logarithms of standard deviations, which are θ of these models whatever the basis."""
    data = lt.load_dataset(name)
    data = data.assign(w=1.0 + np.arange(len(data)) % 3)
    fit = lt.fit_lmm(formula, data, **options)
    found = lt.influence(fit, by)
    model = dense_model(fit.design, reml=fit.reml)
    for k, level in enumerate(found.index):
        rows = np.flatnonzero(data[by].to_numpy() == level)
        theta = without(model, rows, fit.theta, steps=1).theta
        check(fit, found, k, rows, theta, rtol=1e-5, atol=1e-6)


def test_refits_are_those_of_the_data_without_the_rows():
    """A crossed design, one with correlated residuals, and single rows."""
    data = lt.load_dataset("Penicillin")
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    found = lt.influence(fit, "plate", method="refit")
    again = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data[data["plate"] != "c"])
    same(found, "c", fit, again)

    data = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ age * Sex", data, residual="ar1(age | Subject) * varident(Sex)")
    found = lt.influence(fit, "Subject", method="refit")
    again = lt.fit_gls("distance ~ age * Sex", data[data["Subject"] != "M09"], residual=fit.design.residual.text)
    same(found, "M09", fit, again)


def same(found, level, fit, again):
    own = found.parameters.loc[level]
    expected = pd.Series(Parameters.of(again)(again), index=own.index)
    np.testing.assert_allclose(own, expected, rtol=2e-5)
    np.testing.assert_allclose(found.loc[level, "dfbeta_Intercept"], (again.beta - fit.beta)[0], atol=1e-5)
    ratio = np.linalg.det(again.beta_cov) / np.linalg.det(fit.beta_cov)
    assert found.loc[level, "covratio"] == pytest.approx(ratio, rel=1e-4)


@pytest.fixture(scope="module")
def many():
    """Rows enough that each takes little with it."""
    rng = np.random.default_rng(5)
    g, x = rng.integers(0, 40, 500), rng.normal(size=500)
    y = 1 + x + rng.normal(size=40)[g] + 0.5 * rng.normal(size=40)[g] * x + rng.normal(size=500)
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "w": rng.uniform(0.5, 2.0, 500)})


def test_single_rows_at_once_are_those_one_by_one_to_second_order(many):
    fit = lt.fit_lmm("y ~ x + (x | g)", many, weights="w")
    what, covariance = Parameters.of(fit), covariance_of(fit)
    at_once, again = rowwise(fit, projection(fit), "one-step", what, covariance)
    some = np.setdiff1d(np.arange(60), again)
    one_by_one = rebuilt(fit, [np.array([k]) for k in some], "one-step", what, covariance, lambda k: None)
    for name in ("beta", "sigma", "spread", "shift", "displacement", "held", "parameters", "moved"):
        ours, theirs = getattr(at_once, name)[some], getattr(one_by_one, name)
        # the change itself to a part in a hundred, of which third order is left
        np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs - np.mean(theirs, axis=0)).max() + 1e-9)


def test_rows_that_take_much_with_them_are_deleted_from_the_design(many):
    data = many.copy()
    data.loc[3, "y"] += 15.0
    fit = lt.fit_lmm("y ~ x + (1 | g)", data)
    found = lt.influence(fit)
    model = dense_model(fit.design)
    check(fit, found, 3, [3], without(model, [3], fit.theta, steps=1).theta, rtol=1e-5)
    assert found.most(1).index[0] == 3


@pytest.mark.parametrize("method", ["fixed", "one-step"])
def test_many_levels_at_once_are_those_one_by_one(method, many):
    """Exactly where θ is held, to second order where it moves; weighted, nested within what is deleted."""
    data = many.assign(k=np.arange(500) % 2, site=many["g"].astype(int) // 2)
    fit = lt.fit_lmm("y ~ x + (1 | g) + (1 | g:k)", data, weights="w", reml=False)
    what, covariance, sets = Parameters.of(fit), covariance_of(fit), sets_of(fit, data["site"])
    at_once, again = clusterwise(fit, sets, method, what, covariance)
    some = np.setdiff1d(np.arange(sets.count), again)
    one_by_one = rebuilt(fit, sets.members(some), method, what, covariance, lambda k: None)
    part = 1e-9 if method == "fixed" else 0.03
    for name in ("beta", "sigma", "spread", "shift", "displacement", "held", "parameters", "moved"):
        ours, theirs = getattr(at_once, name)[some], getattr(one_by_one, name)
        np.testing.assert_allclose(ours, theirs, atol=part * np.abs(theirs - np.mean(theirs, axis=0)).max() + 1e-8)


def test_levels_that_are_not_independent_are_deleted_one_by_one(monkeypatch):
    monkeypatch.setattr(influential, "_MOST", 0)
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    found = lt.influence(fit, "sample", method="fixed")
    check(fit, found, 0, np.flatnonzero(fit.design.terms[1].codes == 0))


def test_a_covariance_of_less_rank_moves_within_that_rank():
    rng = np.random.default_rng(3)
    data = lt.load_dataset("sleepstudy").head(60)
    subject = np.arange(60) // 10
    data = data.assign(Reaction=30.0 * rng.normal(size=6)[subject] + data["Days"] + 25.0 * rng.normal(size=60))
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    assert fit.is_singular
    found = lt.influence(fit)
    cor = found.parameters["cor(Subject, Intercept, Days)"].dropna()
    np.testing.assert_allclose(np.abs(cor), 1.0, atol=1e-3)
    assert found["cooks_distance_varcomp"].gt(0).all()


def test_units_and_codings_change_nothing(many):
    fit = lt.fit_lmm("y ~ x + (x | g)", many)
    other = lt.fit_lmm("v ~ u + (u | g)", many.assign(v=1e-3 * many["y"] + 1e4, u=7 * many["x"] + 500))
    one, two = lt.influence(fit), lt.influence(other)
    for name in ("leverage", "studentized", "cooks_distance", "covratio", "dffits"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-5)


def test_known_covariances_least_squares_and_no_fixed_effects():
    data = lt.load_dataset("Dyestuff")
    levels = sorted(data["Batch"].unique())
    A = pd.DataFrame(0.5 * np.eye(6) + 0.5, index=levels, columns=levels)
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", data, known={"Batch": A})
    found = lt.influence(fit, "Batch", method="fixed")
    check(fit, found, 2, np.flatnonzero(data["Batch"] == "C"))

    fit = lt.fit_gls("Yield ~ 1", data)
    found = lt.influence(fit)
    y, n = data["Yield"].to_numpy(), len(data)
    t = (y - y.mean()) / np.sqrt(1 - 1 / n)
    sigma = np.sqrt(((n - 1) * y.var(ddof=1) - t**2) / (n - 2))
    np.testing.assert_allclose(found["studentized"], t / sigma, rtol=1e-9)
    np.testing.assert_allclose(found["dffits"], t / sigma / np.sqrt(n - 1), rtol=1e-9)  # Belsley, Kuh & Welsch
    np.testing.assert_allclose(found["cooks_distance"], found["cooks_distance_joint"], rtol=1e-9)

    fit = lt.fit_lmm("Yield ~ 0 + (1 | Batch)", data)
    found = lt.influence(fit, "Batch")
    assert found["cooks_distance"].isna().all()
    assert found["likelihood_displacement"].gt(0).all()


@pytest.mark.parametrize("reml", [True, False])
def test_the_distance_of_the_variances_is_in_their_observed_information(reml):
    """(σ_b², σ²) of Dyestuff: Δ'IΔ/2, I half the second derivatives of the profiled deviance, by differences."""
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"), reml=reml)
    found, model = lt.influence(fit, "Batch"), dense_model(fit.design, reml=reml)
    at = np.array([float(fit.random_covariance["Batch"].iloc[0, 0]), fit.sigma**2])

    def deviance(v):
        theta = [np.sqrt(v[0] / v[1])]
        return model.deviance(theta, model.fit_at(theta).beta, np.sqrt(v[1]))

    h = np.diag(1e-3 * at)
    steps = [(i, j) for i in range(2) for j in range(2)]
    second = [deviance(at + h[i] + h[j]) - deviance(at + h[i] - h[j]) - deviance(at - h[i] + h[j])
              + deviance(at - h[i] - h[j]) for i, j in steps]  # fmt: skip
    info = 0.5 * np.reshape(second, (2, 2)) / (4e-6 * np.outer(at, at))
    change = found.parameters[["sd(Batch, Intercept)", "sigma"]].to_numpy() ** 2 - at
    expected = np.einsum("ki,ij,kj->k", change, info, change) / 2
    np.testing.assert_allclose(found["cooks_distance_varcomp"], expected, rtol=1e-4)


def test_studentized_residuals_are_those_of_the_fit(many):
    fit = lt.fit_lmm("y ~ x + (x | g)", many, weights="w")
    np.testing.assert_allclose(lt.influence(fit, method="fixed")["studentized"], fit.residuals("studentized"))


def test_what_was_estimated_at_zero_stays_there_until_refitted():
    data = lt.load_dataset("Dyestuff2")
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", data)
    found = lt.influence(fit, "Batch")
    assert (found.parameters["sd(Batch, Intercept)"] == 0.0).all()
    assert "stay there" in found.notes[-1]


def test_a_level_that_takes_a_coefficient_with_it_is_told_and_the_rest_goes_on(many):
    data = many.assign(only=np.where(many["g"] == "7", 1.0, 0.0))
    fit = lt.fit_lmm("y ~ x + only + (1 | g)", data)
    found = lt.influence(fit, "g")
    assert found.loc["7"].drop(["rows", "leverage"]).isna().all()
    assert found.drop(index="7").notna().all(axis=None)
    assert list(found.reasons.index) == ["7"]
    assert "`only` has no estimate" in found.reasons["7"]
    assert "1 level cannot be deleted (the first: 7" in found.notes[0]


def test_a_row_that_takes_a_coefficient_with_it_is_told(many):
    data = many.assign(only=np.where(np.arange(500) == 11, 1.0, 0.0))
    found = lt.influence(lt.fit_lmm("y ~ x + only + (1 | g)", data))
    assert list(found.reasons.index) == [11]
    assert found["cooks_distance"].isna().sum() == 1


@pytest.mark.parametrize("most", [influential._MOST, 0])
def test_a_level_that_takes_a_variance_with_it_is_told(most, monkeypatch):
    """One of two batches: nothing is left between which to vary; also where levels are deleted all at once."""
    monkeypatch.setattr(influential, "_MOST", most)
    data = lt.load_dataset("Dyestuff")
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", data[data["Batch"].isin(["A", "E"])])
    found = lt.influence(fit, "Batch")
    assert found["cooks_distance"].isna().all()
    assert "a single level of `Batch` is left" in found.reasons["A"]


@pytest.mark.parametrize("method", ["one-step", "refit", "fixed"])
def test_what_no_row_left_shows_of_a_covariance_is_told(method):
    """A random effect whose column is empty; the level that residual variances are relative to."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"g": np.arange(48) // 6, "h": np.arange(48) % 3, "t": np.arange(48) % 6})
    data["y"] = rng.normal(size=(8, 3))[data["g"], data["h"]] + rng.normal(size=48) * (1 + data["h"])
    data["h"] = data["h"].astype(str)
    found = lt.influence(lt.fit_lmm("y ~ 1 + cs(0 + h | g)", data), data["h"], method=method)
    assert found["studentized"].isna().all()
    assert "no row is left that shows `h[1]`" in found.reasons["1"]

    found = lt.influence(lt.fit_gls("y ~ 1", data, residual="ar1(t | g) * varident(h)"), data["h"], method=method)
    assert "`varident[1]`, `varident[2]` and the residual variance cannot be told apart" in found.reasons["0"]
    assert "no row has the level" in found.reasons["1"]


def test_what_all_rows_do_not_tell_hides_nothing(many):
    """A random effect without effect, whose variance is flat with all rows as without some."""
    data = many.assign(zero=0.0).head(120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("y ~ x + (1 + zero || g)", data)
    alone = lt.influence(lt.fit_lmm("y ~ x + (1 | g)", data), "g")
    found = lt.influence(fit, "g")
    assert found.reasons.empty
    np.testing.assert_allclose(found["cooks_distance"], alone["cooks_distance"], rtol=1e-4, atol=1e-8)


def test_a_step_that_leads_far_is_told_and_so_is_a_fit_that_is_not_the_lowest():
    fit = lt.fit_lmm("score ~ Machine + (Machine | Worker)", lt.load_dataset("Machines"))
    step, refit = (lt.influence(fit, "Worker", method=method) for method in ("one-step", "refit"))
    assert step.loc["6", "likelihood_displacement"] < 0.5 * refit.loc["6", "likelihood_displacement"]
    assert "Without 3 levels (most of all 6) the covariance parameters move by more" in step.notes[0]
    assert not any("standard error, where one step" in note for note in refit.notes)
    lower = pd.DataFrame({"likelihood_displacement": [1.0, -2.5, 0.1]})
    (said,) = told(lower, sets_of(fit, np.arange(54) % 3), "refit", covariance_of(fit))
    assert "without the level 1 its own criterion is lower by 2.5" in said
    assert told(lower, sets_of(fit, np.arange(54) % 3), "fixed", covariance_of(fit)) == ()


def test_refusals(many):
    fit = lt.fit_lmm("y ~ x + (1 | g)", many)
    with pytest.raises(lt.LMMError, match="influence: `G` is no grouping factor of the fit.*`g`"):
        lt.influence(fit, "G")
    with pytest.raises(lt.LMMError, match=r"influence: by must hold one value for each of the 500 rows used"):
        lt.influence(fit, many["g"].to_numpy()[:499])
    with pytest.raises(lt.LMMError, match="by has no value in 1 row"):
        lt.influence(fit, many["g"].where(many.index != 4))
    with pytest.raises(lt.ModelError, match="all 500 rows are in one level"):
        lt.influence(fit, np.ones(500))
    for method in ("exact", ["refit"]):
        with pytest.raises(lt.LMMError, match="method=.* is unknown"):
            lt.influence(fit, method=method)
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.influence(many)
    found = lt.influence(fit, "g", method="fixed")
    for measure in ("cook", ["covratio"]):
        with pytest.raises(lt.LMMError, match="is none of its measures"):
            found.most(3, measure)


def test_the_table_says_what_it_is(many):
    fit = lt.fit_lmm("y ~ x + (1 | g)", many)
    found = lt.influence(fit)
    text = repr(found)
    assert "The 20 of 500 with the largest Cook's distances are shown" in text
    assert "dfbeta_x" not in text
    assert "dfbeta_x" in found.columns
    assert found.most(3, "covratio").shape[0] == 3
    assert (found.method, found.by) == ("one-step", "")
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(found))
    assert again.estimates["sigma"] == pytest.approx(fit.sigma)
    by = lt.influence(fit, many["g"].rename("site"), method="fixed")
    assert by.by == "site"
    assert by.caption.startswith("Influence of each level of site: covariance parameters held")
    np.testing.assert_array_equal(by["rows"].sum(), 500)


@pytest.mark.parametrize("rows", [20, 5000])
def test_pictures_of_few_and_of_many(rows):
    rng = np.random.default_rng(rows)
    data = pd.DataFrame({"x": rng.normal(size=rows), "g": np.arange(rows) % (rows // 4)})
    data["y"] = data["x"] + rng.normal(size=rows // 4)[data["g"]] + rng.normal(size=rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        found = lt.influence(lt.fit_lmm("y ~ x + (1 | g)", data), method="fixed")
    index = lt.figure(lt.plots.influence_index, found, measure="dfbetas_x", named=2)
    assert "Marked: the largest" in index.caption
    bubble = lt.figure(lt.plots.influence_bubble, found)
    assert ("Circles for the 50 largest of 5000" in bubble.caption) == (rows == 5000)
    assert "Cook's distance from" in bubble.alt


def test_pictures_of_levels_and_their_refusals():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    ax = lt.plots.influence_index(fit, by="Batch")
    assert [t.get_text() for t in ax.get_xticklabels()] == list("ABCDEF")
    assert lt.plots.influence_index.extract(fit, "Batch").facts["order"] == ("E", "F")  # not all of a few
    found = lt.influence(fit, "Batch")
    with pytest.raises(lt.LMMError, match="`by`, the second argument, goes with a fit"):
        lt.plots.influence_bubble(found, by="Batch")
    with pytest.raises(lt.LMMError, match="none of its measures"):
        lt.plots.influence_index(found, measure="cook")
