"""Growth curves with random coefficients, Sigma = X Omega X' + s I: from the definition, and against fit_lmm."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

import lmmtools as lt
from lmmtools.errors import LMMError, ModelError
from tests.definitions import growth as dense

DATA = lt.load_dataset("Orthodont")
LONG = "distance ~ age | Subject"
CONSTANT = 108 * np.log(2 * np.pi)
BOTH = ("random", "random, unrestricted")
SEXES = DATA.drop_duplicates("Subject").set_index("Subject")["Sex"]


def orthodont(between="~ Sex", sigma="random", within="~ age", **kw):
    return lt.fit_gmanova(LONG, between, within, sigma, data=DATA, **kw)


def example(n=9, g=2, m=4, p=2, seed=0, between=0.5):
    """Subjects whose lines vary about G: by little, and Omega is estimated on its boundary."""
    rng = np.random.default_rng(seed)
    G = np.column_stack([np.ones(n), rng.normal(size=(n, g - 1))])
    X = np.vander(np.sort(rng.uniform(0, 3, m)), p, increasing=True)
    B = G @ rng.normal(size=(g, p)) + between * rng.normal(size=(n, p))
    return B @ X.T + rng.normal(size=(n, m)), G, X


# --- published, and the same model of long data ---------------------------------------------------------


@pytest.mark.parametrize("within", ["~ age", "~ poly(age, 1)"])
@pytest.mark.parametrize(
    ("between", "deviance", "npar"), [("equal", 240.721, 6), ("~ Sex", 229.315, 8), ("free", 91.472, 58)]
)
def test_de_leeuws_table_1_last_row(between, deviance, npar, within):
    # printed: 240 (6), which is 240.72 cut off; 229 (8); -inf (58), which it is only if Omega may be indefinite
    fit = orthodont(between, within=within)
    assert (fit.deviance, fit.npar) == (pytest.approx(deviance, abs=5e-4), npar)
    assert fit.criterion - fit.deviance == pytest.approx(CONSTANT, abs=1e-10)


@pytest.mark.parametrize(("between", "formula"), [("equal", "age"), ("~ Sex", "age * Sex")])
def test_fit_lmm_has_the_same_optimum(between, formula):
    fit, long = orthodont(between), lt.fit_lmm(f"distance ~ {formula} + (age | Subject)", DATA, reml=False)
    assert (fit.criterion, fit.npar) == (pytest.approx(long.criterion, abs=1e-8), long.npar)
    assert fit.sigma2 == pytest.approx(long.sigma**2, rel=1e-6)
    np.testing.assert_allclose(fit.Omega, long.sigma**2 * long.Lambda[0] @ long.Lambda[0].T, rtol=1e-5)
    modes = lt.shrinkage(long).table
    level, effect = modes["level"].astype(str), modes["effect"]
    wide = pd.DataFrame(modes).assign(level=level).pivot(index="level", columns="effect", values="compromise")
    assert set(effect) == {"Intercept", "age"}
    ours = fit.conditional.set_axis(fit.conditional.index.astype(str))
    np.testing.assert_allclose(wide.loc[ours.index, ["Intercept", "age"]], ours, rtol=1e-5)


def test_the_papers_variance_and_the_shrinkage_identity():
    # the text has 1.72; the identity holds for orthonormal columns of X alone
    X = np.linalg.qr(np.column_stack([np.ones(4), [8, 10, 12, 14]]))[0]
    for within, holds in ((X, True), ("~ age", False)):
        fit = orthodont(within=within)
        assert fit.sigma2 == pytest.approx(1.7162037037, abs=1e-9)
        model = fit.between.to_numpy() @ fit.B.to_numpy()
        least = orthodont("free", "scalar", within).B.to_numpy()
        weight = fit.Omega.to_numpy() @ np.linalg.inv(fit.Omega.to_numpy() + fit.sigma2 * np.eye(2))
        printed = model @ (np.eye(2) - weight) + least @ weight
        assert (np.abs(printed - fit.conditional).max().max() < 1e-10) == holds


# --- the definition -------------------------------------------------------------------------------------

SHAPES = [(9, 2, 4, 2), (8, 2, 5, 1)]


@pytest.mark.parametrize("between", [1.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", BOTH)
def test_it_is_the_lowest_deviance_of_the_definition(sigma, shape, between):
    Y, G, X = example(*shape, seed=7, between=between)
    fit = lt.fit_gmanova(Y, G, X, sigma)
    B, Sigma, Omega = (value.to_numpy() for value in (fit.B, fit.Sigma, fit.Omega))
    np.testing.assert_allclose(X @ Omega @ X.T + fit.sigma2 * np.eye(len(X)), Sigma, atol=1e-11)
    whole, left = dense.deviance(Y, G, X, B, Sigma)
    assert (fit.criterion, fit.deviance) == (pytest.approx(whole, abs=1e-9), pytest.approx(left, abs=1e-9))
    lowest = dense.lowest_random(Y, G, X, sigma == "random")
    assert fit.deviance <= lowest + 1e-9
    assert fit.deviance == pytest.approx(lowest, abs=1e-5)  # a search without derivatives


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), sigma=st.sampled_from(BOTH), p=st.integers(1, 3), power=st.integers(-6, 6),
    between=st.sampled_from([0.0, 0.3, 2.0]),
)  # fmt: skip
def test_the_fit_does_not_depend_on_bases_or_units(seed, sigma, p, power, between):
    Y, G, X = example(14, 2, 5, p, seed, between)
    rng = np.random.default_rng(seed + 1)
    turn = np.linalg.qr(rng.normal(size=(p, p)))[0] * rng.uniform(0.1, 10, p)
    scale = 10.0**power
    one, two = lt.fit_gmanova(Y, G, X, sigma), lt.fit_gmanova(scale * Y, G, X @ turn, sigma)
    iterated = lt.fit_gmanova(Y, G, X, sigma, algorithm="alternating")
    assert two.deviance - one.deviance == pytest.approx(2 * Y.size * np.log(scale), abs=1e-8)
    assert iterated.deviance == pytest.approx(one.deviance, abs=1e-9)
    size = np.abs(one.Sigma.to_numpy()).max()
    np.testing.assert_allclose(two.Sigma / scale**2, one.Sigma, atol=1e-9 * size)
    curves = [fit.conditional.to_numpy() @ fit.within.to_numpy().T for fit in (one, two)]
    np.testing.assert_allclose(curves[1] / scale, curves[0], atol=1e-8 * np.abs(Y).max())
    roots = np.linalg.eigvalsh(X @ one.Omega.to_numpy() @ X.T)
    assert sigma != "random" or roots.min() >= -1e-10 * size


def test_where_omega_binds_it_is_singular_and_said_so():
    Y, G, X = example(12, 2, 4, 2, seed=3, between=0.0)
    fit, loose = (lt.fit_gmanova(Y, G, X, sigma) for sigma in BOTH)
    assert loose.deviance < fit.deviance <= lt.fit_gmanova(Y, G, X, "scalar").deviance
    assert np.linalg.eigvalsh(fit.Omega).min() == pytest.approx(0.0, abs=1e-12)
    assert np.linalg.eigvalsh(loose.Omega).min() < 0
    assert "Ω is singular, of rank" in fit.messages[0]
    assert "negative eigenvalue" in loose.messages[0]
    assert orthodont().messages == ()


@pytest.mark.parametrize(("shape", "rank"), [((1, 1, 4, 2), 0), ((2, 1, 3, 2), 1), ((3, 3, 3, 1), 0)])
def test_few_subjects_leave_omega_on_its_edge(shape, rank):
    # n - rank(G) directions of the coefficients vary at most: Omega is zero in the others
    Y, G, X = example(*shape, seed=2, between=9.0)
    fit = lt.fit_gmanova(Y, G, X, "random")
    assert fit.deviance == pytest.approx(dense.lowest_random(Y, G, X, True), abs=1e-5)
    assert np.linalg.matrix_rank(fit.Omega, tol=1e-9) == rank
    assert f"of rank {rank} of {X.shape[1]}" in fit.messages[0]


def test_one_line_each_leaves_no_variance_to_omega():
    fit, scalar = orthodont("free"), orthodont("free", "scalar")
    assert not fit.Omega.to_numpy().any()
    assert fit.deviance == pytest.approx(scalar.deviance, abs=1e-10)
    assert "of rank 0 of 2" in fit.messages[0]
    assert "there are no standard errors" in repr(fit)
    with pytest.raises(ModelError, match="rank\\(G\\) = 27 for 27 subjects leaves no degrees of freedom"):
        fit.coef_table()


# --- whether there is an estimate -----------------------------------------------------------------------


def refused(*model):
    try:
        lt.fit_gmanova(*model)
    except lt.UnboundedLikelihood:
        return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 8), m=st.integers(2, 5), g=st.integers(1, 8), p=st.integers(1, 4), sigma=st.sampled_from(BOTH),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_generic_data_are_refused_by_dimensions(n, m, g, p, sigma, seed):
    Y, G, X = example(n, min(g, n), m, min(p, m - 1), seed)
    unbounded = sigma != "random" and n - G.shape[1] < X.shape[1]
    assert refused(Y, G, X, sigma) == unbounded
    if unbounded:
        path = lt.deviance_path(Y, G, X, sigma)
        k = X.shape[1] - max(n - G.shape[1], 0)
        np.testing.assert_allclose(path["change"][1:], -n * k * np.log(10), rtol=1e-4)


def test_curves_through_every_observation_are_refused_by_both():
    Y, G, X = example(9, 2, 4, 2)
    straight = Y @ X @ np.linalg.inv(X.T @ X) @ X.T
    for sigma in BOTH:
        with pytest.raises(lt.UnboundedLikelihood, match="through every observation.*σ² would be zero"):
            lt.fit_gmanova(straight, G, X, sigma)
        path = lt.deviance_path(straight, G, X, sigma)
        assert path["change"].iloc[-1] == pytest.approx(-9 * 2 * np.log(10), rel=1e-3)
    constant = Y - Y @ X @ np.linalg.inv(X.T @ X) @ X.T + G @ np.ones((2, 2)) @ X.T  # all have the curve of G
    assert refused(constant, G, X, BOTH[1]) and not refused(constant, G, X, BOTH[0])
    with pytest.raises(lt.UnboundedLikelihood, match="the data leave the least-squares coefficients.* rank 0 of 2"):
        lt.fit_gmanova(constant, G, X, BOTH[1])


def test_as_many_columns_as_occasions_are_refused_since_any_sigma_is_such():
    Y, G, _ = example()
    with pytest.raises(ModelError, match="4 columns for 4 occasions, so XΩX' alone is any covariance matrix") as caught:
        lt.fit_gmanova(Y, G, np.eye(4), "random")
    assert not isinstance(caught.value, lt.UnboundedLikelihood)


@pytest.mark.parametrize(("sigma", "k"), [("diagonal", 1), ("free", 2), ("random, unrestricted", 2)])
def test_the_cells_of_the_paper_without_a_minimum(sigma, k):
    with pytest.raises(lt.UnboundedLikelihood, match=r"27.*no estimate exists"):
        orthodont("free", sigma)
    path = lt.deviance_path(LONG, "free", "~ age", sigma, data=DATA)
    np.testing.assert_allclose(path["change"][1:], -27 * k * np.log(10), rtol=1e-6)
    assert path["deviance"].iloc[-1] < -200
    assert f"With k = {k} and n = 27" in path.notes[0]


def test_a_path_goes_through_an_occasion_that_x_hardly_reaches():
    Y = np.random.default_rng(1).normal(size=(9, 4))
    Y[:, 2] = 3.0  # one value in all of G = 1
    path = lt.deviance_path(Y, np.ones((9, 1)), np.array([[1.0], [1], [1e-7], [1]]), "diagonal")
    np.testing.assert_allclose(path["change"][1:], -9 * np.log(10), rtol=1e-6)


def test_a_bounded_deviance_has_no_path():
    long = lt.deviance_path(LONG, "free", "~ age", "free", data=DATA, steps=12)
    np.testing.assert_allclose(long["change"][1:], -27 * 2 * np.log(10), rtol=1e-3)
    with pytest.raises(LMMError, match="at most 12"):
        lt.deviance_path(LONG, "free", "~ age", "free", data=DATA, steps=400)
    with pytest.raises(ModelError, match="bounded below, so no path leads to −∞"):
        lt.deviance_path(LONG, "free", "~ age", "random", data=DATA)
    Y, _, X = example(5, 1, 4, 2)
    path = lt.deviance_path(Y @ X @ np.linalg.inv(X.T @ X) @ X.T, np.eye(5), X, "scalar")
    np.testing.assert_allclose(path["change"][1:], -5 * 4 * np.log(10), rtol=1e-6)


# --- inference ------------------------------------------------------------------------------------------


def test_coefficients_are_judged_by_the_least_squares_lines():
    # a two-sample t test of the children's own slopes; fit_lmm by REML has the same standard error
    slopes = orthodont("free", "scalar").B["age"]
    girls = slopes[SEXES.loc[slopes.index] == "Female"]
    t = ttest_ind(girls, slopes[SEXES.loc[slopes.index] == "Male"])
    long = lt.fit_lmm("distance ~ age * Sex + (age | Subject)", DATA)
    for sigma in BOTH:
        row = orthodont(sigma=sigma).coef_table().loc[("Sex[T.Female]", "age")]
        assert (row["statistic"], row["df"]) == (pytest.approx(t.statistic), 25)
        assert row["p_value"] == pytest.approx(t.pvalue)
        assert row["std_error"] == pytest.approx(long.stderr["age:Sex[T.Female]"], rel=1e-5)


@pytest.mark.parametrize("sigma", BOTH)
@pytest.mark.parametrize("between", [1.0, 0.0])
def test_wilks_is_a_manovas_and_the_ratio_is_the_likelihoods(sigma, between):
    Y, G, X = example(12, 3, 4, 2, seed=5, between=between)
    fit = lt.fit_gmanova(Y, G, X, sigma)
    C, D = np.array([[0.0, 1, 0], [0, 0, 1]]), np.array([[0.0], [1]])
    table = fit.test(C, D, test=("wilks", "lrt"))
    own = Y @ X @ np.linalg.inv(X.T @ X) @ D
    rss = [np.sum((own - Z @ np.linalg.lstsq(Z, own, rcond=None)[0]) ** 2) for Z in (G, G[:, :1])]
    assert table["statistic"].iloc[0] == pytest.approx(rss[0] / rss[1], rel=1e-9)
    assert table["f_value"].iloc[0] == pytest.approx((rss[1] - rss[0]) / 2 / (rss[0] / 9), rel=1e-9)
    assert (table["den_df"].iloc[0], table["exact"].iloc[0]) == (9, "exact")
    under = dense.lowest_random(Y, G, X, sigma == "random", C, D)
    assert table["statistic"].iloc[1] == pytest.approx(under - fit.deviance, abs=1e-4)


def test_too_few_degrees_of_freedom_are_refused():
    Y, G, X = example(4, 3, 4, 2)
    fit = lt.fit_gmanova(Y, G, X, "random")
    with pytest.raises(LMMError, match="1 degrees of freedom are left for the covariance of 2 functions"):
        fit.test()
    assert fit.test(D="x2")["den_df"].tolist() == [1]


def test_ratios_of_nested_models_and_those_on_an_edge_are_refused():
    random, loose = orthodont(), orthodont(sigma=BOTH[1])
    assert orthodont(sigma="free").lrt(random)["df"].iloc[1] == 6
    assert loose.lrt(orthodont(sigma="scalar"))["df"].iloc[1] == 3
    assert random.lrt(orthodont("equal"))["chisq"].iloc[1] == pytest.approx(240.7209 - 229.3152, abs=1e-4)
    for larger, smaller, says in (
        (random, orthodont(sigma="scalar"), "the edge of what they can be"),
        (random, orthodont(within="~ 1"), "with more columns in within"),
        (loose, random, "is an inequality"),
        (random, loose, "sigma can do"),
        (random, orthodont(sigma="diagonal"), "sigma can do"),
    ):
        with pytest.raises(ModelError, match=says):
            larger.lrt(smaller)
    Y, G, X = example(12, 2, 4, 2, seed=3, between=0.0)
    with pytest.raises(ModelError, match="estimated on the edge"):
        lt.fit_gmanova(Y, G, X, "free").lrt(lt.fit_gmanova(Y, G, X, "random"))


# --- tables, pictures, words ----------------------------------------------------------------------------

PRINTED = {"scalar": ["307(3)", "91(55)"], "random": ["240(6)", "−∞(58)"]}


def test_the_tables_of_the_paper():
    table = lt.gmanova_table(LONG, {"equal": "equal", "own": "free"}, "~ age", ("scalar", "random"), data=DATA,
                             printed=PRINTED)  # fmt: skip
    assert list(table) == ["equal, printed", "equal", "own, printed", "own"]
    assert table.loc["random"].tolist() == ["240(6)", "240.72 (6)", "−∞(58)", "91.47 (58)"]
    loose = lt.gmanova_table(LONG, ["free"], "~ age", ["random, unrestricted"], data=DATA)
    assert loose.iloc[0].tolist() == ["−∞ (58)"]
    triangle = [["1.00"], ["0.54", "1.00"], ["0.65", "0.56", "1.00"], ["0.52", "0.72", "0.73", "1.00"],
                ["5.12", "3.93", "5.98", "4.62"]]  # fmt: skip
    both = orthodont(sigma="free").correlation_table(triangle)
    for name in ("8", "10", "12", "14"):
        shown = [f"{value:.2f}" if np.isfinite(value) else "" for value in both[name]]
        assert shown == both[f"{name}, printed"].tolist()
    assert both.caption.endswith("variances (mm squared)")
    for bad, says in (({"scalar": ["1"]}, "1 text for 'scalar'"), ({"scalr": []}, "did you mean")):
        with pytest.raises(LMMError, match=says):
            lt.gmanova_table(LONG, ["equal", "free"], "~ age", ["scalar"], data=DATA, printed=bad)
    assert lt.gmanova_table(LONG, "equal", "~ age", "scalar", data=DATA, printed={"scalar": "307(3)"}).shape == (1, 2)
    for between, printed in (([], None), ("equal", ["307(3)"])):
        with pytest.raises(LMMError, match="gmanova_table"):
            lt.gmanova_table(LONG, between, "~ age", "scalar", data=DATA, printed=printed)
    with pytest.raises(LMMError, match="must be rows of texts"):
        orthodont(sigma="free").correlation_table(3)
    with pytest.raises(LMMError, match="rows of \\[1, 2, 3, 4, 4\\]"):
        orthodont(sigma="free").correlation_table(triangle[:-1])


def test_what_is_shown_and_what_is_refused():
    text = repr(orthodont())
    for part in ("Σ = XΩX' + σ²I", "229.3152", "8 parameters", "Ω, covariance of the subjects' coefficients", "1.716"):
        assert part in text
    with pytest.raises(ModelError, match="Σ is free and has no Ω: fit with sigma='random'"):
        _ = orthodont(sigma="free").Omega
    assert orthodont(sigma="free").conditional.loc["M01"].tolist() == pytest.approx([15.842, 0.827], abs=1e-3)
    with pytest.raises(ModelError, match="'ramdom' is unknown.*random"):
        orthodont(sigma="ramdom")


def test_curves_are_drawn_apart_on_the_same_axes():
    free, gender, random = (orthodont(*model) for model in (("free", "scalar"), ("~ Sex", "free"), ("~ Sex", "random")))
    found = [lt.plots.growth_curves.extract(fit, by=SEXES) for fit in (free, gender, random)]
    assert [data.facts["curves"] for data in found] == [27, 2, 27]
    assert all(data.facts["ends"] == pytest.approx((16.5, 31.75)) for data in found)
    table = found[2].table.pivot(index="subject", columns="x", values="y")
    fitted = random.conditional.to_numpy() @ random.within.to_numpy().T
    np.testing.assert_allclose(table.loc[random.Y.index.astype(str)], fitted)
    figure = lt.figure(lt.plots.growth_curves, random, by=SEXES)
    assert "Male solid and Female dashed" in figure.caption and "Conditional expectation" in figure.caption
    for by, says in (([1, 2], "as a Series or a mapping"), (dict(SEXES[1:]), "does not name"),
                     (dict(zip(SEXES.index, range(27), strict=True)), "27 values")):  # fmt: skip
        with pytest.raises(LMMError, match=says):
            lt.plots.growth_curves.extract(random, by=by)
    with pytest.raises(ModelError, match="takes what fit_gmanova returns"):
        lt.plots.growth_curves(3)
