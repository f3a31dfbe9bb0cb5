"""Refits, bootstrap, triangulation and other algorithms of fits with a residual structure."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.resampling import refits
from lmmtools.resampling.clusters import Clusters

MEAN = "distance ~ Sex * age"
MODELS = [
    (MEAN, "cs(Subject)"),
    (MEAN, "us(age | Subject) * varident(age)"),
    (f"{MEAN} + (1 | Subject)", "ar1(age | Subject) * varident(Sex)"),
    (f"{MEAN} + (1 | Subject)", "varpower(fitted())"),
    (MEAN, "exp(age | Subject, nugget=True)"),
]


@pytest.fixture(scope="module")
def data():
    return lt.load_dataset("Orthodont")


def fitted(data, formula, residual, **options):
    return lt.fit_model(formula, data, residual=residual, **options)


@pytest.mark.parametrize(("formula", "residual"), MODELS)
def test_a_refit_is_the_fit_to_that_response(formula, residual, data):
    fit = fitted(data, formula, residual)
    Y = fit.simulate(3, np.random.default_rng(4))
    for k, one in enumerate(refits(fit, Y)):
        whole = fit.refit(Y[:, k])
        assert one.ok
        assert one.criterion == pytest.approx(whole.criterion, abs=1e-6)
        np.testing.assert_allclose(one.beta, whole.beta, atol=1e-5)
        assert len(one.theta) == len(whole.theta) and len(one.phi) == len(whole.phi)
        assert one.full().criterion == pytest.approx(one.criterion, abs=1e-8)


def test_refitting_the_response_itself_gives_the_fit(data):
    for formula, residual in MODELS:
        fit = fitted(data, formula, residual)
        (one,) = refits(fit, fit.design.y[:, None])
        assert one.criterion == pytest.approx(fit.criterion, abs=1e-7)
        np.testing.assert_allclose(one.phi, fit.phi, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["parametric", "residual", "cluster"])
def test_replicates_have_a_column_for_each_residual_parameter(kind, data):
    fit = fitted(data, *MODELS[2])
    made = lt.bootstrap(fit, 20, rng=1, kind=kind)
    assert list(made.columns) == [*fit.fixef.index, "sd(Subject, Intercept)", "sigma", *fit.residual_params.index]
    np.testing.assert_allclose(made.estimates[-2:], fit.phi)
    spread = made.std()
    assert 0.02 < spread["varident[Female]"] < 0.3 and 0.02 < spread["ar1.phi"] < 0.6
    again = lt.bootstrap(fit, 20, rng=1, kind=kind)
    pd.testing.assert_frame_equal(pd.DataFrame(made), pd.DataFrame(again))


def test_replicates_scatter_as_the_information_says(data):
    """Of an unstructured covariance the correlations' sampling variance is (1 − ρ²)²/n or so."""
    fit = fitted(data, MEAN, "us(age | Subject) * varident(age)")
    made = lt.bootstrap(fit, 60, rng=2)
    rho = fit.phi[:6]
    spread = made[list(fit.residual_params.index[:6])].std().to_numpy()
    np.testing.assert_allclose(spread, (1.0 - rho**2) / np.sqrt(25), rtol=0.5)


def test_residuals_are_drawn_whitened_and_coloured_again(data):
    fit = fitted(data, MEAN, "ar1(age | Subject) * varident(Sex)")
    from lmmtools.resampling.draws import Residual

    Y = Residual(fit)(np.random.default_rng(3), 3000)
    spread = np.cov(Y[:4] - fit.fitted.to_numpy()[:4, None])
    np.testing.assert_allclose(spread, fit.sigma**2 * fit.noise.matrix(np.arange(4)), rtol=0.15)


def test_clusters_keep_residual_groups_whole(data):
    fit = fitted(data, MEAN, "us(age | Subject)")
    clusters = Clusters(fit, "Subject")
    rows = np.concatenate([clusters.rows[0], clusters.rows[0], clusters.rows[5]])
    c = clusters.design_of(rows, np.repeat([0, 1, 2], 4)).residual.correlation
    assert np.bincount(c.codes).tolist() == [4, 4, 4]  # two copies of one child are two children
    np.testing.assert_array_equal(c.positions[:4], c.positions[4:8])
    everyone = clusters.fit(np.arange(clusters.levels))
    assert everyone.criterion == pytest.approx(fit.criterion, abs=1e-6)
    assert lt.bootstrap(fit, 10, rng=1, kind="cluster")._run.by == "Subject"


def test_residual_groups_that_would_be_cut_apart_are_not_drawn(data):
    frame = data.assign(school=np.where(np.arange(len(data)) % 2 == 0, "a", "b"))
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", frame, residual="cs(school)")
    with pytest.raises(lt.ModelError, match=r"`cs\(school\)` correlates residuals of rows in different levels"):
        lt.bootstrap(fit, 10, rng=1, kind="cluster", by="Subject")


def test_independent_rows_are_no_clusters(data):
    fit = lt.fit_gls(MEAN, data, residual="varident(Sex)")
    assert lt.bootstrap(fit, 10, rng=1).shape == (10, 6)
    with pytest.raises(lt.LMMError, match="no clusters to draw or to leave out"):
        lt.bootstrap(fit, 10, rng=1, kind="cluster")


def test_a_replicate_that_fails_is_counted_with_its_reason(data):
    """Of two children of one sex each, a draw of one sex alone leaves the ratio of sds without an estimate."""
    some = data[data["Subject"].isin(["M01", "M02", "M03", "F01", "F02"])]
    fit = lt.fit_gls("distance ~ age", some, residual="cs(Subject) * varident(Sex)")
    made = lt.bootstrap(fit, 60, rng=4, kind="cluster")
    assert len(made.failures) > 0
    assert made["varident[Female]"].isna().sum() == len(made.failures)


def test_one_parameter_of_the_residuals_by_every_method(data):
    fit = fitted(data, *MODELS[2])
    found = lt.triangulate(fit, "varident[Female]", n=25, rng=1)
    assert found.null == 1.0 and found["method"].iloc[0] == "Profile likelihood (ML)"
    assert found["p_value"].iloc[0] < 0.001 and len(found) == 4
    ranged = lt.triangulate(fitted(data, MEAN, "exp(age | Subject)"), "exp.range")
    assert np.isnan(ranged["p_value"]).all() and "is not tested" in ranged.sentences[0]
    assert ranged.unit == ""
    with pytest.raises(lt.LMMError, match="no parameter of its residuals"):
        lt.triangulate(fit, "varident[male]")


def test_a_coefficient_without_random_effects_by_every_method(data):
    found = lt.triangulate(fitted(data, MEAN, "cs(Subject)"), "age")
    assert found["method"].tolist()[:3] == ["Normal reference", "Residual df", "Satterthwaite's df"]
    assert not found.flips


@pytest.mark.parametrize(("formula", "residual"), [MODELS[0], MODELS[2], MODELS[4]])
def test_general_algorithms_end_where_newtons_does(formula, residual, data):
    fit = fitted(data, formula, residual)
    table = lt.compare_algorithms(fit, ["newton", "bfgs", "nelder-mead", "cobyqa"])
    assert (table["excess"] < 1e-5).all()
    assert table["status"].str.startswith("certified").all()
    trace = lt.iteration_table(lt.minimize(lt.Criterion(fit.design), method="bfgs", trace=True))
    assert list(trace.columns[3:-1])[-len(fit.phi) :] == list(fit.residual_params.index)


def test_algorithms_for_independent_residuals_are_refused(data):
    fit = fitted(data, *MODELS[2])
    assert list(lt.compare_algorithms(fit, max_iterations=2).index) == ["newton", "bfgs", "nelder-mead", "cobyqa"]
    for method in ("em", "ecme", "gls"):
        with pytest.raises(lt.LMMError, match=f'method="{method}" is made for independent residuals'):
            lt.minimize(lt.Criterion(fit.design), method=method)


def test_certificates_look_from_other_starts(data):
    for formula, residual in MODELS[:3]:
        found = lt.certify(fitted(data, formula, residual), restarts=4)
        assert found.status.startswith("certified") and found.restarts == 4


def test_a_lattice_of_models_with_residual_structures(data):
    models = lt.fit_models(
        [MEAN, MEAN, MEAN, f"{MEAN} + (1 | Subject)"], data, residual=[None, "cs(Subject)", "us(age | Subject)", None],
        names=["none", "cs", "us", "mixed"],
    )  # fmt: skip
    found = lt.lattice(models)
    pairs = set(zip(found["smaller"], found["larger"], strict=True))
    assert ("cs", "us") in pairs and ("none", "mixed") in pairs and ("mixed", "us") in pairs
    assert any({"cs", "mixed"} == {row.first, row.second} for row in found.apart.itertuples())
