"""Quantile residuals: every step against its definition written out, sizes and powers of the tests, and bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import lmmtools as lt
from lmmtools.noise import residual_covariance
from lmmtools.resampling import Refits
from lmmtools.uniformity import compute, levels, ranks, responses, statistics
from tests.definitions import residuals as definition
from tests.designs import problems
from tests.oracle import dense_model
from tests.properties.test_conditional_aic import _fit


@pytest.fixture(scope="module")
def sleep():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


def batches():
    return lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))


def clustered(rng, groups=25, rows=6, noise=None):
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=len(g))
    mean = 10.0 + 2.0 * x + rng.normal(size=groups)[g]
    return pd.DataFrame({"g": g.astype(str), "x": x, "y": mean + (noise or rng.normal)(size=len(g))})


# --- residuals of a response


def by_definition(fit, conditional):
    """z of the fit's own response, and ŷ, with V written out."""
    model, theta = dense_model(fit.design, reml=fit.reml), np.append(fit.theta, fit.phi)
    if conditional:
        return definition.pearson(model, theta), model.fit_at(theta).fitted
    sd = model.fit_at(theta).sigma * np.sqrt(np.diagonal(model.V(theta)))
    return definition.marginal(model, theta) / sd, None


@pytest.mark.parametrize("conditional", [True, False])
@settings(max_examples=10)
@given(problem=problems())
def test_the_data_are_taken_as_the_fit_takes_them(conditional, problem):
    fit = _fit(problem)
    rng = np.random.default_rng(1)
    found = responses.residuals_of_draws(
        fit, 2, rng, conditional=conditional, refit="profiled", workers=1, progress=False
    )  # fmt: skip
    expected, fitted = by_definition(fit, conditional)
    np.testing.assert_allclose(found.z[:, 0], expected, atol=1e-6 * np.abs(expected).max())
    if conditional:
        np.testing.assert_allclose(found.along[:, 0], fitted, rtol=1e-6, atol=1e-6 * np.abs(fitted).max())


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("residual", [None, "ar1(age | Subject) * varident(Sex)"])
def test_any_response_has_beta_and_sigma_of_its_own_and_theta_of_the_fit(conditional, residual):
    data = lt.load_dataset("Orthodont")
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", data, residual=residual, offset=np.linspace(0, 1, len(data)))
    rng = np.random.default_rng(2)
    y = rng.normal(size=fit.nobs)
    own = responses._Own(fit, conditional)
    z, e = own(fit.noise.whiten(y)[:, None])
    model = dense_model(fit.design, reml=True)
    other = type(model)(y + model.offset, model.X, model.terms, model.weights, model.offset, True, model.residual)
    theta = np.append(fit.theta, fit.phi)
    if conditional:
        assert z[:, 0] == pytest.approx(definition.pearson(other, theta), rel=1e-7)
        assert (other.y - e[:, 0]) == pytest.approx(other.fit_at(theta).fitted, rel=1e-7)
    else:
        sd = other.fit_at(theta).sigma * np.sqrt(np.diagonal(other.V(theta)))
        assert z[:, 0] == pytest.approx(definition.marginal(other, theta) / sd, rel=1e-7)


@pytest.mark.parametrize("conditional", [True, False])
def test_a_refit_has_the_residuals_of_its_own_fit(sleep, conditional):
    y = sleep.simulate(1, np.random.default_rng(4))
    (refit,) = Refits(sleep)(y)
    z, fitted = responses._at_own(refit, conditional)
    whole = sleep.refit(y[:, 0])
    expected, _ = by_definition(whole, conditional)
    np.testing.assert_allclose(z, expected, atol=1e-5)  # the ends of two searches
    if conditional:
        np.testing.assert_allclose(fitted, whole.fitted, atol=1e-3)


def test_draws_have_the_covariance_of_the_model(sleep):
    rng = np.random.default_rng(5)
    known = responses.residuals_of_draws(sleep, 4000, rng, conditional=False, refit=False, workers=1, progress=False)
    model, theta = dense_model(sleep.design), sleep.theta
    V = model.V(theta)
    sd = np.sqrt(np.diagonal(V))
    np.testing.assert_allclose(np.cov(known.z[:, 1:]), V / np.outer(sd, sd), atol=0.12)  # 7 standard errors
    assert known.z[:, 0] == pytest.approx(by_definition(sleep, False)[0], abs=1e-7)


# --- ranks and statistics


def test_a_residual_is_the_place_among_the_draws(sleep):
    z = np.random.default_rng(0).normal(size=(7, 40))
    found = ranks.row_ranks(z)
    expected = [[sum(other < one for other in row) for one in row] for row in z]
    assert found.tolist() == expected
    residuals = lt.quantile_residuals(sleep, 60, rng=2)
    drawn = responses.residuals_of_draws(
        sleep, 60, np.random.default_rng(np.random.SeedSequence(2)), conditional=False, refit="profiled", workers=1,
        progress=False,
    )  # fmt: skip
    below = (drawn.z[:, 1:] < drawn.z[:, :1]).sum(axis=1)
    assert residuals.residuals.to_numpy() == pytest.approx((below + 0.5) / 61)
    assert residuals.outliers.tolist() == sleep.design.index[(below == 0) | (below == 60)].tolist()


def test_without_estimates_of_their_own_draws_are_simulated_responses(sleep):
    """DHARMa's definition: the share of simulated responses below the observed one, r/n there."""
    found = lt.quantile_residuals(sleep, 60, rng=2, refit=False)
    drawn = sleep.simulate(60, np.random.default_rng(2))
    below = (drawn < sleep.design.y[:, None]).sum(axis=1)
    assert found.residuals.to_numpy() == pytest.approx((below + 0.5) / 61)
    assert found.predicted.to_numpy() == pytest.approx(sleep.predict(random=False).to_numpy())


def uniform_ranks(n=40, m=25, seed=3):
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(m) for _ in range(n)]), m


def test_the_distance_from_uniformity_is_that_of_the_two_distribution_functions():
    r, m = uniform_ranks()
    found = statistics.uniformity(statistics.counts_of(r))
    grid = np.arange(m)
    expected = [max(abs(np.mean(own <= j) - (j + 1) / m) for j in grid) for own in r.T]
    assert found == pytest.approx(expected)
    part = levels.Levels("g", pd.Index(["a", "b"]), np.r_[1:40:2, 0:40:2], np.array([0, 20]), np.array([20, 20]))
    within = [[max(abs(np.mean(own[rows] <= j) - (j + 1) / m) for j in grid) for own in r.T]
              for rows in (slice(1, 40, 2), slice(0, 40, 2))]  # fmt: skip
    np.testing.assert_allclose(levels.distances(r, part), within, atol=1e-12)


def test_trends_and_levels_are_shares_of_sums_of_squares():
    r, m = uniform_ranks()
    x = np.random.default_rng(1).normal(size=(40, m))
    along = np.column_stack([ranks.along_ranks(own) for own in x.T])
    for k in (0, 7):
        for given_along in (along, along[:, k]):
            fitted = np.polyval(np.polyfit(along[:, k], r[:, k], 2), along[:, k])
            assert statistics.trend(r, given_along)[k] == pytest.approx(np.var(fitted) / np.var(r[:, k]))
    two = np.repeat([0.25, 0.75], 20)  # of two values only the line is there
    fitted = np.polyval(np.polyfit(two, r[:, 0], 1), two)
    assert statistics.trend(r, two)[0] == pytest.approx(np.var(fitted) / np.var(r[:, 0]))
    assert statistics.trend(r, np.full(40, 0.5)).max() == 0.0
    code = np.repeat([0, 1, 2], [5, 15, 20])
    means = pd.DataFrame(r).groupby(code).transform("mean").to_numpy()
    np.testing.assert_allclose(statistics.between_levels(r, np.array([0, 5, 20])), means.var(axis=0) / r.var(axis=0))


def test_ranks_of_predictions_share_their_ties():
    assert ranks.along_ranks(np.array([3.0, 1.0, 1.0, 2.0])).tolist() == [0.875, 0.25, 0.25, 0.625]
    assert ranks.along_ranks(np.full(3, 2.0)).tolist() == [0.5, 0.5, 0.5]


def test_p_values_are_ranks_among_the_draws():
    draws = np.arange(1.0, 100.0)
    assert statistics.p_value(np.append(95.5, draws))[0] == pytest.approx(5 / 100)
    assert statistics.p_value(np.append(95.5, draws), two_sided=True)[0] == pytest.approx(10 / 100)
    assert statistics.p_value(np.append(1000.0, draws)) == pytest.approx((0.01, np.sqrt(0.01 * 0.99 / 99)))
    assert statistics.p_value(np.append(50.0, draws), two_sided=True)[0] == 1.0
    distance = np.array([[0.5, *[0.1] * 19], [0.2, 0.3, *[0.1] * 18]])
    alone, together = levels.p_values(distance)
    assert alone.tolist() == [1 / 20, 2 / 20]
    assert together.tolist() == [1 / 20, 2 / 20]


# --- the whole


def test_residuals_are_uniform_in_every_row_whatever_its_leverage():
    """Of true θ, at any row: a row that pulls the fit as well, where plain draws fail."""
    data = pd.DataFrame({"x": [0.0, 0.1, 0.2, 0.3, 0.4, 5.0], "y": [1.0, 2.0, 0.0, 1.0, 2.0, 7.0]})
    fit = lt.fit_gls("y ~ x", data)
    ys = fit.simulate(120, np.random.default_rng(1))
    def at_the_last(refit):
        return [lt.quantile_residuals(fit.refit(y), 39, rng=k, refit=refit).residuals.iloc[-1]
                for k, y in enumerate(ys.T)]  # fmt: skip
    assert np.var(at_the_last("profiled")) == pytest.approx(1 / 12, abs=0.027)  # four standard errors
    assert np.var(at_the_last(False)) < 0.02


def test_the_same_seed_gives_the_same_and_generators_are_taken(sleep):
    first, again = (lt.quantile_residuals(sleep, 60, rng=3) for _ in range(2))
    pd.testing.assert_series_equal(first.residuals, again.residuals)
    assert first.tests.equals(again.tests)
    generator = np.random.default_rng(3)
    given, other = (lt.quantile_residuals(sleep, 60, rng=generator) for _ in range(2))
    assert given.residuals.equals(first.residuals)
    assert not given.residuals.equals(other.residuals)


def test_without_random_effects_there_is_one_kind():
    fit = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="cs(Subject)")
    one, other = (lt.quantile_residuals(fit, 60, conditional=c) for c in (True, False))
    assert one.residuals.equals(other.residuals)
    assert not one.conditional


def test_what_is_estimated_is_said(sleep):
    found = lt.quantile_residuals(sleep, 60, conditional=True, by="Subject")
    assert "given the random effects, against 60 responses" in found.tests.caption
    assert found.tests.notes[0].startswith("β and σ, and the random effects, are estimated again")
    assert "These are 8 tests" in found.tests.notes[1]
    assert len(found.groups) == 18
    assert found.groups["p_adjusted"].ge(found.groups["p_value"]).all()
    assert found.tests.loc["uniformity by Subject", "p_value"] == pytest.approx(found.groups["p_adjusted"].min())
    plain = lt.quantile_residuals(sleep, 60, refit=False)
    assert "p-values are too large" in plain.tests.notes[0]
    known = lt.quantile_residuals(sleep, 60, refit=False, conditional=True)
    assert known.tests["p_value"].isna().all()
    assert "take the random effects for known" in known.tests.notes[0]
    flat = lt.quantile_residuals(batches(), 60)
    assert list(flat.tests.index) == ["uniformity", "dispersion", "outliers"]
    assert "Predictions are all equal, so nothing is tested along them." in flat.tests.notes


def test_it_shows_itself(sleep):
    found = lt.quantile_residuals(sleep, 60)
    assert repr(found) == repr(found.tests)
    assert found._repr_mimebundle_()[0]["text/html"].count("<tr") > 4
    assert found.normal.abs().max() < 2.5
    assert found.normal.index.equals(sleep.design.index)


def test_levels_by_values(sleep):
    data = lt.load_dataset("sleepstudy")
    by = lt.quantile_residuals(sleep, 60, by=data["Days"].ge(5).rename("late"))
    assert by.by == "late"
    assert by.groups["rows"].tolist() == [90, 90]
    gls = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="cs(Subject)")
    assert len(lt.quantile_residuals(gls, 60, by="Subject").groups) == 27


def test_a_row_of_leverage_one_is_left_out():
    data = lt.load_dataset("Orthodont").assign(only=lambda d: (np.arange(len(d)) == 5).astype(float))
    fit = lt.fit_lmm("distance ~ age + only + (1 | Subject)", data)
    found = lt.quantile_residuals(fit, 60, conditional=True)
    assert found.residuals.index[found.residuals.isna()].tolist() == [5]
    assert any("1 row of leverage one (`5`)" in note for note in found.tests.notes)
    assert 5 not in found.outliers


def test_refits_are_counted(monkeypatch):
    fit = batches()
    found = lt.quantile_residuals(fit, 60, refit=True)
    assert found.n == 60
    assert 0 < found.singular < 60
    assert any(f"{found.singular} of 60 refits are singular" in note for note in found.tests.notes)
    from lmmtools.resampling.refits import failed

    whole = responses.Refits.__call__

    def lame(self, ys, every=3):
        for k, refit in enumerate(whole(self, ys)):
            yield failed(fit, fit.design, "it limps.") if k % every == 0 else refit

    monkeypatch.setattr(responses.Refits, "__call__", lame)
    some = lt.quantile_residuals(fit, 60, refit=True)
    assert (some.n, len(some.failures)) == (39, 21)
    assert "21 of 60 refits have no estimates and are left out: 21 × it limps." in some.tests.notes
    with pytest.raises(lt.ModelError, match="33 of 50 refits have an optimum, fewer than the 39 needed.*it limps"):
        lt.quantile_residuals(fit, 50, refit=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"refit": "all"}, "refit='all' is unknown"), ({"refit": 1}, "refit=1 is unknown"), ({"n": 30}, "at least 39"),
     ({"n": 99.5}, "whole number"), ({"conditional": "yes"}, "conditional must be True or False"),
     ({"rng": None}, "random numbers need rng"), ({"by": "Subjct"}, "did you mean `Subject`"),
     ({"by": np.ones(180)}, "all rows are in one level of by"), ({"by": np.ones(3)}, "one value for each of the 180")],
)  # fmt: skip
def test_mistakes_are_told(sleep, options, said):
    with pytest.raises(lt.LMMError, match=said):
        lt.quantile_residuals(sleep, **({"n": 60} | options))


def test_what_is_no_fit_and_too_few_rows_are_told():
    with pytest.raises(lt.LMMError, match="takes a fit; got DataFrame"):
        lt.quantile_residuals(lt.load_dataset("sleepstudy"))
    few = lt.fit_gls("y ~ 1", pd.DataFrame({"y": [1.0, 2.0, 4.0]}))
    with pytest.raises(lt.ModelError, match="3 rows say nothing of a distribution"):
        lt.quantile_residuals(few)


@pytest.mark.parametrize("noise", [lambda rng: rng.exponential, lambda rng: lambda size: rng.standard_t(2, size=size)],
                         ids=["skewed", "heavy tails"])  # fmt: skip
def test_what_is_not_normal_is_seen(noise):
    rng = np.random.default_rng(8)
    fit = lt.fit_lmm("y ~ x + (1 | g)", clustered(rng, groups=60, noise=noise(rng)))
    assert lt.quantile_residuals(fit, 199, conditional=True).tests.loc["uniformity", "p_value"] < 0.02


def test_a_few_extreme_rows_are_seen():
    rng = np.random.default_rng(8)
    data = clustered(rng, groups=60)
    data.loc[[3, 50, 77, 120, 200, 310], "y"] += 9.0
    found = lt.quantile_residuals(lt.fit_lmm("y ~ x + (1 | g)", data), 999, conditional=True)
    assert {3, 50, 77, 120, 200, 310} <= set(found.outliers)
    assert found.tests.loc["outliers", "p_value"] < 0.02


def test_variances_and_curvature_are_seen():
    rng = np.random.default_rng(9)
    data = clustered(rng, groups=60)
    more = data["y"] + (data["x"] > 0) * rng.normal(scale=2.0, size=len(data))
    tests = lt.quantile_residuals(lt.fit_lmm("y ~ x + (1 | g)", data.assign(y=more)), 199).tests
    assert tests.loc["spread along Xβ̂", "p_value"] < 0.02
    tests = lt.quantile_residuals(lt.fit_lmm("y ~ x + (1 | g)", data.assign(y=data["y"] + data["x"] ** 2)), 199).tests
    assert tests.loc["location along Xβ̂", "p_value"] < 0.02
    loud = data.assign(y=data["y"] + data["g"].eq("7") * rng.normal(scale=8.0, size=len(data)))
    found = lt.quantile_residuals(lt.fit_lmm("y ~ x + (1 | g)", loud), 199, conditional=True, by="g")
    assert found.tests.loc["spread by g", "p_value"] < 0.05


@pytest.mark.slow
def test_true_models_are_seldom_rejected():
    """P(p ≤ 0.1) over 70 responses of one crossed design; rows of a group are strongly correlated."""
    rng = np.random.default_rng(1)
    data = clustered(rng, groups=12, rows=6)
    data["h"] = np.tile(np.arange(6), 12).astype(str)
    data["y"] += 2.0 * rng.normal(size=6)[data["h"].astype(int)]
    fit = lt.fit_lmm("y ~ x + (1 | g) + (1 | h)", data)
    found = {True: [], False: []}
    for k, y in enumerate(fit.simulate(70, rng).T):
        refit = fit.refit(y)
        for conditional, tests in found.items():
            tests.append(lt.quantile_residuals(refit, 39, rng=k, conditional=conditional, by="h").tests["p_value"])
    for p in map(pd.DataFrame, found.values()):
        assert (p <= 0.1).mean().max() <= 0.1 + 3.5 * np.sqrt(0.09 / 70)
        assert (p["uniformity"] <= 0.5).mean() > 0.2  # and not because nothing ever is


def test_factors_of_the_fixed_part_are_known_by_name():
    data = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ age * Sex", data.mask(data["age"] == 10))
    named, given = (lt.quantile_residuals(fit, 60, by=by) for by in ("Sex", data["Sex"]))
    assert named.groups.equals(given.groups)
    assert named.tests.equals(given.tests)
    with pytest.raises(lt.LMMError, match=r"by='sex' is no factor of the model \(did you mean `Sex`\?\)"):
        lt.quantile_residuals(fit, 60, by="sex")


def test_labels_that_occur_twice_do_not_tell_which_rows_were_used():
    data = lt.load_dataset("Orthodont")
    data.index = np.arange(len(data)) // 2
    data.loc[data["age"] == 10, "distance"] = np.nan
    fit = lt.fit_gls("distance ~ age", data)
    with pytest.raises(lt.LMMError, match="labels of by occur twice.* which 81 of its 108 rows were used"):
        lt.quantile_residuals(fit, 60, by=data["Sex"])


def test_residual_covariance_of_a_refit_is_its_own(sleep):
    """What `_at_own` relies on: R of a design at φ, without a fit."""
    noise = residual_covariance(sleep.design, sleep.phi)
    assert noise.sd.tolist() == [1.0] * 180
    assert compute.REFITS == (False, "profiled", True)
