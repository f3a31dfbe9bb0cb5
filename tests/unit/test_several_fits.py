"""What is made of a fit with several grouping factors, structures and known covariances, against dense matrices."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from tests.definitions.prediction import prediction_variance
from tests.oracle import dense_model

LEVELS = [str(level) for level in sorted(lt.load_dataset("sleepstudy")["Subject"].unique())]


def related(seed=0):
    """A covariance matrix of the subjects of sleepstudy, far from the identity."""
    half = np.random.default_rng(seed).normal(size=(18, 18))
    return pd.DataFrame(half @ half.T / 18 + 0.2 * np.eye(18), index=LEVELS, columns=LEVELS)


class Falling:
    """Standard deviations in geometric progression: a structure of the user's own."""

    def n_theta(self, q):
        return 2

    def names(self, effects):
        return ("sd", "rate")

    def bounds(self, q):
        return [(0.0, np.inf), (0.1, 3.0)]

    def start(self, q):
        return [1.0, 0.5]

    def factor(self, theta, q):
        return np.diag(theta[0] * theta[1] ** np.arange(q))


CASES = {
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}),
    "vectors": ("angle ~ recipe * temp + (temp | recipe:replicate) + (1 | replicate)", "cake", {"weights": "w"}),
    "twice": ("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "sleepstudy", {}),
    "homcs": ("score ~ Machine + homcs(0 + Machine | Worker)", "Machines", {}),
    "ar1": ("Reaction ~ Days + (1 | Subject) + ar1(Days | Subject)", "sleepstudy", {}),
    "own": ("score ~ Machine + mine(0 + Machine | Worker)", "Machines", {"structures": {"mine": Falling()}}),
    "known": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"known": {"Subject": related()}}),
    "known twice": ("Reaction ~ Days + (1 | Subject) + (1 | Subject)", "sleepstudy",
                    {"known": {"Subject": related(1)}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def fits():
    def fitted(formula, name, options):
        data = lt.load_dataset(name)
        return lt.fit_lmm(formula, data.assign(w=np.linspace(1, 3, len(data))), **options)

    return {case: fitted(*of) for case, of in CASES.items()}


@pytest.fixture(scope="module", params=CASES)
def fit(fits, request):
    return fits[request.param]


def rows_of(fit):
    return [(term.matrix, term.codes) for term in fit.design.terms]


def test_modes_and_their_covariances_by_factor(fit):
    dense = dense_model(fit.design, reml=fit.reml)
    L, V = dense.Lambda(fit.theta), dense.V(fit.theta)
    T = L @ L.T
    gain = T @ dense.Z.T @ np.linalg.inv(V)
    modes = gain @ (dense.response - dense.X @ dense.fit_at(fit.theta).beta)
    Q = fit.sigma**2 * (T - gain @ dense.Z @ T)
    at, places = 0, {}
    for term in fit.design.terms:
        J, q = len(term.levels), len(term.names)
        places.setdefault(term.factor, []).append(at + np.arange(J * q).reshape(J, q))
        at += J * q
    assert list(fit.ranef) == list(fit.ranef_cov) == list(places)
    for factor, place in places.items():
        place = np.hstack(place)
        np.testing.assert_allclose(fit.ranef[factor].to_numpy(), modes[place], atol=1e-8 * np.abs(modes).max())
        expected = np.array([Q[np.ix_(k, k)] for k in place])
        np.testing.assert_allclose(fit.ranef_cov[factor], expected, atol=1e-8 * Q.max())


def test_intervals_of_fitted_rows_and_of_the_population(fit):
    dense = dense_model(fit.design, reml=fit.reml)
    mean, _ = prediction_variance(dense, fit.theta, fit.design.X, rows_of(fit))
    np.testing.assert_allclose(fit.predict(interval="mean")["std_error"], np.sqrt(mean), rtol=1e-8)
    whole = np.diagonal(dense.V(fit.theta)) * fit.sigma**2
    population = whole + np.einsum("ij,jk,ik->i", fit.design.X, fit.vcov, fit.design.X)
    got = fit.predict(random=False, interval="observation")["std_error"]
    np.testing.assert_allclose(got, np.sqrt(population), rtol=1e-8)


def test_simulations_have_the_marginal_covariance(fit):
    draws = fit.simulate(4000, np.random.default_rng(1))
    V = fit.sigma**2 * dense_model(fit.design, reml=fit.reml).V(fit.theta)
    some = np.linspace(0, fit.nobs - 1, 12).astype(int)
    np.testing.assert_allclose(np.cov(draws[some]), V[np.ix_(some, some)], atol=0.1 * V.max())


def test_a_refit_to_its_own_response_is_the_same_fit(fit):
    again = fit.refit(y=fit.design.y)
    assert again.criterion == pytest.approx(fit.criterion, abs=1e-9)
    np.testing.assert_allclose(again.theta, fit.theta, atol=1e-8)


def test_every_table_and_text_can_be_made(fit):
    assert fit.summary().text() and fit.summary().html() and fit.summary().typst()
    assert len(fit.theta_names) == len(fit.theta) == len(set(fit.theta_names))
    assert len(fit.confint()) == len(fit.fixef) + len(fit.varcorr)
    assert lt.record(fit).to_json()
    for made in (lt.prose.summary, lt.prose.model, lt.prose.data, lt.prose.icc, lt.prose.caveats, lt.prose.methods):
        assert str(made(fit))


def test_effects_of_one_name_are_told_apart(fits):
    assert list(fits["known twice"].ranef["Subject"].columns) == ["Intercept", "Intercept.1"]
    assert fits["known twice"].theta_names == ("Subject.Intercept", "Subject.1.Intercept")
    assert list(fits["twice"].ranef["Subject"].columns) == ["Intercept", "Days"]
    assert fits["twice"].theta_names == ("Subject.Intercept", "Subject.Days")
    assert list(fits["ar1"].ranef["Subject"].columns[:3]) == ["Intercept", "Days[0]", "Days[1]"]


def test_intraclass_correlations_have_a_row_a_factor(fits):
    table = lt.icc(fits["nested"])
    assert list(table["group"]) == ["batch:cask", "batch"]
    sd = fits["nested"].varcorr["vcov"].to_numpy()
    np.testing.assert_allclose(table["icc"], sd[:2] / sd.sum(), rtol=1e-12)


def test_a_known_matrix_scales_the_share_of_variance(fits):
    """Twice the matrix with half the variance is the same model."""
    formula, name, options = CASES["known"]
    doubled = {"Subject": 2.0 * options["known"]["Subject"]}
    other = lt.fit_lmm(formula, lt.load_dataset(name), known=doubled)
    fit = fits["known"]
    assert other.criterion == pytest.approx(fit.criterion, abs=1e-8)
    np.testing.assert_allclose(lt.icc(other)[["icc", "adjusted"]], lt.icc(fit)[["icc", "adjusted"]], rtol=1e-5)


def test_the_variance_of_a_level_outside_a_known_matrix_is_not_made_up(fits):
    new = pd.DataFrame({"Days": [3.0], "Subject": ["999"]})
    assert np.isfinite(fits["known"].predict(new, unseen="population")).all()
    with pytest.raises(lt.LMMError, match="those in its known covariance matrix only"):
        fits["known"].predict(new, unseen="population", interval="mean")


def test_one_new_level_of_two_factors_adds_its_variance(fits):
    fit = fits["crossed"]
    data = lt.load_dataset("Penicillin")[["plate", "sample"]].head(2).astype(str)
    new = data.assign(plate="new")
    with pytest.raises(lt.DataError, match="`plate` has"):
        fit.predict(new)
    codes = [np.full(2, -1), fit.design.new_rows(data).terms[1].codes]
    rows = [(term.matrix[:2], code) for term, code in zip(fit.design.terms, codes, strict=True)]
    dense = dense_model(fit.design, reml=fit.reml)
    L, V = dense.Lambda(fit.theta), dense.V(fit.theta)
    Z = np.hstack([dense.spread(M, code, t) for (M, code), t in zip(rows, dense.terms, strict=True)])
    weights = np.linalg.solve(V, dense.Z @ L @ L.T @ Z.T)
    d = fit.design.X[:2] - weights.T @ dense.X
    seen = ((Z @ L) ** 2).sum(axis=1) - ((dense.Z @ L @ L.T @ Z.T) * weights).sum(axis=0)
    plate = float(fit.random_covariance["plate"].iloc[0, 0])
    expected = fit.sigma**2 * seen + np.einsum("ij,jk,ik->i", d, fit.vcov, d) + plate
    got = fit.predict(new, unseen="population", interval="mean")["std_error"]
    np.testing.assert_allclose(got, np.sqrt(expected), rtol=1e-8)


def rows_named(fit):
    return [(row.grp, row.var1, row.var2) for row in fit.varcorr.itertuples()]


def test_varcorr_of_few_effects_has_every_pair(fits):
    assert rows_named(fits["homcs"]) == [
        ("Worker", "Machine[A]", ""), ("Worker", "Machine[B]", ""), ("Worker", "Machine[C]", ""),
        ("Worker", "Machine[A]", "Machine[B]"), ("Worker", "Machine[A]", "Machine[C]"),
        ("Worker", "Machine[B]", "Machine[C]"), ("Residual", "", ""),
    ]  # fmt: skip
    assert fits["homcs"].varcorr["sdcor"].iloc[3:6].nunique() == 1
    assert not fits["homcs"].varcorr.notes


def test_varcorr_of_many_positions_has_one_correlation_and_says_what_follows(fits):
    fit = fits["ar1"]
    assert rows_named(fit) == [
        ("Subject", "Intercept", ""), ("Subject.1", "Days[0]", ""), ("Subject.1", "Days[0]", "Days[1]"),
        ("Residual", "", ""),
    ]  # fmt: skip
    cov = fit.random_covariance["Subject.1"].to_numpy()
    assert fit.varcorr["sdcor"].iloc[2] == pytest.approx(cov[0, 1] / cov[0, 0])
    assert cov[0, 3] / cov[0, 0] == pytest.approx(fit.varcorr["sdcor"].iloc[2] ** 3)
    assert fit.varcorr.notes == (
        "ar1(Days | Subject): the variance is that of all 10 effects; the correlation is that of neighbours; k steps "
        "apart it is the k-th power.",
    )


def test_a_diagonal_structure_of_the_users_own_has_correlations_of_zero(fits):
    assert fits["own"].varcorr["sdcor"].iloc[3:6].tolist() == [0.0, 0.0, 0.0]


def test_known_matrices_are_named_under_the_table(fits):
    assert "times the known covariances of the levels" in fits["known"].varcorr.notes[0]


def test_levels_of_combined_factors_have_nouns(fits):
    summary = str(lt.prose.summary(fits["nested"]))
    assert "from 60 rows of 10 batches and 30 casks within batches" in summary
    assert "The rows scatter about the values fitted for their own cask of a batch with" in summary
    machines = lt.fit_lmm("score ~ Machine + (1 | Worker/Machine)", lt.load_dataset("Machines"))
    assert "6 workers and 18 combinations of worker and machine" in str(lt.prose.summary(machines))


def test_the_mathematics_of_two_factors_and_of_structures(fits):
    crossed = str(lt.prose.model(fits["crossed"]))
    assert "\\beta_{0} + b^{(1)}_{0,g_{1}(i)} + b^{(2)}_{0,g_{2}(i)} + \\varepsilon_{i}" in crossed
    assert "row $i$ is in level $g_{1}(i)$ of plate and level $g_{2}(i)$ of sample." in crossed
    assert "Random effects of different terms or levels, and residuals, are independent." in crossed
    assert "\\rho_{1}\\,\\tau_{1}^2" in str(lt.prose.model(fits["homcs"]))
    serial = str(lt.prose.model(fits["ar1"]))
    assert "b_{0i} + a_{i,t(ij)} + \\varepsilon_{ij}" in serial
    assert "\\left[\\tau_{1}^2\\,\\rho_{1}^{|s - t|}\\right]_{st}" in serial
    assert "$A$ the known covariance matrix of the levels" in str(lt.prose.model(fits["known"]))
    assert "that of the structure Falling with 2 parameters" in str(lt.prose.model(fits["own"]))


@pytest.mark.parametrize("case", ["crossed", "homcs", "ar1", "own", "known"])
def test_pandoc_reads_the_mathematics(fits, case):
    import re

    import pypandoc

    html = pypandoc.convert_text(str(lt.prose.model(fits[case])), "html", format="markdown", extra_args=["--mathml"])
    assert "\\" not in re.sub(r"<annotation.*?</annotation>", "", html, flags=re.DOTALL)


@pytest.mark.parametrize("case", CASES)
def test_plots_show_every_factor(fits, case):
    fit = fits[case]
    for plot in (lt.plots.caterpillar, lt.plots.qq_ranef, lt.plots.data_by_group):
        drawn = lt.figure(plot, fit)
        assert all(factor in drawn.caption + drawn.alt for factor in fit.ngroups)
        one = next(iter(fit.ngroups))
        assert one in lt.figure(plot, fit, factor=one).alt
        with pytest.raises(lt.LMMError, match="no grouping factor"):
            lt.figure(plot, fit, factor="nobody")


def test_of_many_effects_the_first_are_drawn(fits):
    assert "Shown are the first 6 of 11 effects by Subject." in lt.figure(lt.plots.caterpillar, fits["ar1"]).caption


def test_groups_of_a_few_rows_give_way_to_larger_ones(fits):
    assert lt.plots.data_by_group.extract(fits["nested"]).labels["factor"] == "batch"  # a cask has two rows
    assert lt.plots.data_by_group.extract(fits["crossed"]).labels["factor"] == "plate"


def test_models_with_different_factors_are_tested_where_nested():
    pastes = lt.load_dataset("Pastes")
    formulas = ["strength ~ 1 + (1 | batch)", "strength ~ 1 + (1 | batch:cask)", "strength ~ 1 + (1 | batch/cask)"]
    models = lt.fit_models(formulas, pastes, names=["batch", "cask", "both"])
    steps = lt.lattice(models)
    assert {(row.smaller, row.larger) for row in steps.itertuples()} == {("batch", "both"), ("cask", "both")}
    assert "not nested" not in str(lt.prose.verdict(models))
    assert list(steps["df"]) == [1, 1]


def test_known_matrices_and_structures_reach_the_models_that_have_them():
    data = lt.load_dataset("sleepstudy")
    formulas = ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (1 | half)",
                "Reaction ~ Days + mine(0 + half | Subject)"]  # fmt: skip
    data = data.assign(half=np.where(data["Days"] > 4, "late", "early"))
    known = {"Subject": related()}
    models = lt.fit_models(formulas, data, known=known, structures={"mine": Falling()})
    assert not models.failures
    alone = lt.fit_lmm(formulas[0], data, known=known, reml=False)
    assert models["M1"].criterion == pytest.approx(alone.criterion, abs=1e-9)
    assert models["M2"].design.terms[0].known_root is None
    with pytest.raises(lt.ModelError, match="known has `Subjct`"):
        lt.fit_models(formulas[:1], data, known={"Subjct": related()})
