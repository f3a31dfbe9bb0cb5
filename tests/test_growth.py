"""Growth curves: the published numbers, R's, and the model written out with nm x nm matrices."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

import lmmtools as lt
from lmmtools.growth import long_responses
from lmmtools.growth.estimators import start_values
from lmmtools.growth.problem import Problem
from tests.definitions import growth as dense

DATA = lt.load_dataset("Orthodont")
LONG = "distance ~ age | Subject"
CONSTANT = 108 * np.log(2 * np.pi)


def orthodont(between="~ Sex", within="~ age", sigma="free", **kw):
    return lt.fit_gmanova(LONG, between, within, sigma, data=DATA, **kw)


# --- published -----------------------------------------------------------------------------------------

# de Leeuw (2004), Table 1, fixed rows: as printed, to one more decimal (nlme agrees where it can fit), parameters.
TABLE_1 = {
    ("scalar", "equal"): (307, 307.086, 3),
    ("scalar", "~ Sex"): (280, 279.751, 5),
    ("scalar", "free"): (91, 91.472, 55),
    ("diagonal", "equal"): (305, 304.730, 6),
    ("diagonal", "~ Sex"): (279, 278.541, 8),
    ("free", "equal"): (233, 233.217, 12),
    ("free", "~ Sex"): (221, 220.986, 14),
}


@pytest.mark.parametrize("within", ["~ age", "~ poly(age, 1)"])
@pytest.mark.parametrize(("sigma", "between"), TABLE_1)
def test_de_leeuws_table_1(sigma, between, within):
    printed, deviance, npar = TABLE_1[sigma, between]
    fit = orthodont(between, within, sigma)
    assert (round(fit.deviance), fit.npar) == (printed, npar)
    assert fit.deviance == pytest.approx(deviance, abs=5e-4)
    assert fit.criterion - fit.deviance == pytest.approx(CONSTANT, abs=1e-10)
    assert pytest.approx(198.491, abs=5e-4) == CONSTANT


@pytest.mark.parametrize(("sigma", "npar"), [("diagonal", 58), ("free", 64)])
def test_de_leeuws_unbounded_cells_are_refused_in_a_sentence(sigma, npar):
    # Table 1 prints -inf in these two cells
    with pytest.raises(lt.UnboundedLikelihood, match=r"27.*no estimate exists") as caught:
        orthodont("free", "~ age", sigma)
    assert isinstance(caught.value, lt.ModelError)


def test_de_leeuws_table_2_and_variance():
    fit = orthodont("~ Sex", "~ poly(age, 1)")
    printed = np.array([[1.00, 0, 0, 0], [0.54, 1.00, 0, 0], [0.65, 0.56, 1.00, 0], [0.52, 0.72, 0.73, 1.00]])
    assert np.array_equal(np.tril(fit.correlations.round(2)), printed)
    assert np.diagonal(fit.Sigma).round(2).tolist() == [5.12, 3.93, 5.98, 4.62]
    # the text has 0.85, which is 0.8581 cut off
    assert orthodont("free", "~ poly(age, 1)", "scalar").sigma2 == pytest.approx(0.8581018518518517, abs=1e-12)


def test_free_curves_are_de_leeuws_least_squares():
    # B = YX for an orthonormal X
    X = np.linalg.qr(np.column_stack([np.ones(4), [8, 10, 12, 14]]))[0]
    fit = orthodont("free", X, "scalar")
    np.testing.assert_allclose(fit.B, fit.Y.to_numpy() @ X, atol=1e-12)
    assert list(fit.B.index) == list(DATA["Subject"].cat.categories)


def test_the_models_of_jennrich_and_schluchter_that_are_of_this_kind():
    # Jennrich & Schluchter (1986), Biometrics 42, models 1, 2, 3 and 8: -2 log L as printed there
    assert orthodont("~ Sex", "~ 0 + C(age)").criterion == pytest.approx(416.509, abs=1e-3)
    linear = orthodont()
    assert linear.criterion == pytest.approx(419.477, abs=1e-3)
    parallel = linear.test("Sex[T.Female]", "age", test="lrt")["statistic"].iloc[0]
    assert linear.criterion + parallel == pytest.approx(426.153, abs=1e-3)
    assert orthodont(sigma="scalar").criterion == pytest.approx(478.242, abs=1e-3)


# --- R -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sigma", "between", "criterion", "B"),
    [
        ("free", "~ Sex", 419.47704811457, [15.842301181466, 0.8268030009134, 1.5830658528446, -0.35043821536304]),
        ("free", "~ 1", 431.70771887884, [16.529627233931, 0.67465070875153]),
        ("diagonal", "~ Sex", 477.03147313664, [16.241913559981, 0.79151020624605, 1.1409851551953, -0.3124011503414]),
        ("diagonal", "~ 1", 503.22048686557, [16.755158939815, 0.65916394012128]),
    ],
)
def test_nlmes_gls_has_the_same_optimum(sigma, between, criterion, B):
    # gls(..., method="ML") with corSymm, varIdent or both; its last digits are its optimiser's
    fit = orthodont(between, "~ age", sigma)
    assert fit.criterion == pytest.approx(criterion, abs=2e-8)
    assert fit.criterion <= criterion + 1e-9
    np.testing.assert_allclose(fit.B.to_numpy().ravel(), B, rtol=2e-5)


@pytest.mark.parametrize(
    ("sigma", "residual"), [("free", "us(age | Subject) * varident(age)"), ("diagonal", "varident(age)")]
)
def test_fit_gls_has_the_same_optimum_on_long_data(sigma, residual):
    fit = orthodont("~ Sex", "~ age", sigma)
    long = lt.fit_gls("distance ~ Sex + Sex:age + age", DATA, reml=False, residual=residual)
    assert (fit.criterion, fit.npar) == (pytest.approx(long.criterion, abs=1e-8), long.npar)
    names = ["Intercept", "age", "Sex[T.Female]", next(name for name in long.fixef.index if ":" in name)]
    np.testing.assert_allclose(fit.B.to_numpy().ravel(), long.fixef[names], rtol=1e-5)
    np.testing.assert_allclose(fit.se.to_numpy().ravel(), long.stderr[names], rtol=1e-5)
    assert (fit.aic, fit.bic) == (pytest.approx(long.aic, abs=1e-8), pytest.approx(long.bic, abs=1e-8))


# anova(lm(Y1 ~ g + Y2), lm(Y1 ~ Y2), test=), Y1 = Y X (X'X)^-1 and Y2 = YQ: statistic, F, df, df, p
R_SEX = {
    "wilks": (0.635725885465, 6.30305506115, 2, 22, 0.0068544),
    "pillai": (0.364274114535, 6.30305506115, 2, 22, 0.0068544),
    "hotelling-lawley": (0.573005005559, 6.30305506115, 2, 22, 0.0068544),
    "roy": (0.573005005559, 6.30305506115, 2, 22, 0.0068544),
}
R_FIVE = {
    "wilks": (0.445037928211, 1.50831304282, 12, 50.5607775324, 0.15224),
    "pillai": (0.611027403385, 1.34279224145, 12, 63, 0.21796),
    "hotelling-lawley": (1.12394868327, 1.65470222814, 12, 53, 0.10459),
    "roy": (1.00761784551, 5.28999368893, 4, 21, 0.0041602),
}


def five_groups():
    """Quadratics in five groups that are none; subjects in the order of R's reshape."""
    wide = DATA.pivot(index="Subject", columns="age", values="distance")
    wide = wide.loc[[f"{sex}{i:02d}" for sex, many in (("M", 16), ("F", 11)) for i in range(1, many + 1)]].to_numpy()
    groups = pd.DataFrame({"g": (np.arange(27) % 5).astype(str)})
    return lt.fit_gmanova(wide, "~ g", "~ t + I(t^2)", data=groups, times=[-3, -1, 1, 3])


@pytest.mark.parametrize("test", R_SEX)
def test_rs_multivariate_tests(test):
    columns = ["statistic", "f_value", "num_df", "den_df", "p_value"]
    two = orthodont().test("Sex[T.Female]", test=test)
    five = five_groups().test([f"g[T.{k}]" for k in "1234"], test=test)
    for table, theirs in ((two, R_SEX[test]), (five, R_FIVE[test])):
        ours = table[columns].iloc[0].astype(float)
        np.testing.assert_allclose(ours[:4], theirs[:4], rtol=1e-11)
        assert float(f"{ours.iloc[4]:.5g}") == theirs[4]  # R prints five digits of p
    assert two["exact"].tolist() == ["exact"]
    assert five["exact"].tolist() == [{"wilks": "Rao", "roy": "bound"}.get(test, "Pillai")]


def test_rs_covariance_adjusted_slopes():
    # summary(lm(slope ~ Sex + Y2)): estimate, standard error, p
    table = orthodont().coef_table()
    row = table.loc[("Sex[T.Female]", "age")]
    np.testing.assert_allclose(row[["estimate", "std_error", "p_value"]].astype(float),
                               [-0.350438594473982, 0.137970329871772, 1.8302514433053e-02], rtol=1e-10)  # fmt: skip
    assert row["df"] == 23
    assert table.loc[("Intercept", "age"), "std_error"] == pytest.approx(0.090514711276362, rel=1e-10)


# --- the definition ------------------------------------------------------------------------------------


def example(n=9, g=2, m=4, p=2, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    G = np.column_stack([np.ones(n), rng.normal(size=(n, g - 1))])
    X = np.vander(np.sort(rng.uniform(0, 5, m)), p, increasing=True)
    root = rng.normal(size=(m, m)) * rng.uniform(1, spread, m)
    return rng.normal(size=(n, m)) @ root.T + G @ rng.normal(size=(g, p)) @ X.T, G, X


@pytest.mark.parametrize("sigma", ["scalar", "diagonal", "free"])
@pytest.mark.parametrize("shape", [(9, 2, 4, 2), (12, 3, 3, 3), (8, 1, 5, 1), (30, 2, 6, 3)])
def test_estimates_are_those_of_the_dense_likelihood(sigma, shape):
    Y, G, X = example(*shape)
    fit = lt.fit_gmanova(Y, G, X, sigma)
    B, Sigma, covariance = dense.alternate(Y, G, X, sigma)
    whole, left = dense.deviance(Y, G, X, fit.B.to_numpy(), fit.Sigma.to_numpy())
    assert fit.criterion == pytest.approx(whole, abs=1e-9)
    assert fit.deviance == pytest.approx(left, abs=1e-9)
    np.testing.assert_allclose(fit.B, B, rtol=1e-8, atol=1e-9 * np.abs(B).max())
    np.testing.assert_allclose(fit.Sigma, Sigma, rtol=1e-8, atol=1e-9 * np.abs(Sigma).max())
    np.testing.assert_allclose(fit.vcov, covariance, rtol=1e-8, atol=1e-9 * np.abs(covariance).max())
    np.testing.assert_allclose(fit.se.to_numpy().ravel(), np.sqrt(np.diagonal(covariance)), rtol=1e-8)
    np.testing.assert_allclose(fit.fitted, G @ B @ X.T, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(fit.fitted + fit.residuals, Y, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_khatris_closed_form_needs_no_iteration(seed):
    Y, G, X = example(10, 2, 5, 2, seed)
    closed = lt.fit_gmanova(Y, G, X)
    iterated = lt.fit_gmanova(Y, G, X, algorithm="alternating")
    assert (closed.n_evaluations, closed.algorithm) == (1, "closed form")
    assert iterated.n_evaluations > 2
    assert closed.deviance == pytest.approx(iterated.deviance, abs=1e-10)
    B, Sigma = dense.khatri(Y, G, X)
    for fit in (closed, iterated):
        np.testing.assert_allclose(fit.B, B, rtol=1e-9, atol=1e-10 * np.abs(B).max())
        np.testing.assert_allclose(fit.Sigma, Sigma, rtol=1e-10, atol=1e-10 * np.abs(Sigma).max())


def test_least_squares_needs_no_iteration_either():
    Y, G, X = example()
    fits = [lt.fit_gmanova(Y, G, X, "scalar", algorithm=how) for how in ("closed form", "alternating")]
    np.testing.assert_allclose(fits[0].B, fits[1].B, rtol=1e-11)
    assert fits[0].deviance == pytest.approx(fits[1].deviance, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), sigma=st.sampled_from(["scalar", "diagonal", "free"]), power=st.integers(-6, 6),
    g=st.integers(1, 3), p=st.integers(1, 4),
)  # fmt: skip
def test_the_fit_does_not_depend_on_bases_or_units(seed, sigma, power, g, p):
    Y, G, X = example(14, g, 4, p, seed)
    rng = np.random.default_rng(seed + 1)
    left, right = (np.linalg.qr(rng.normal(size=(k, k)))[0] * rng.uniform(0.1, 10, k) for k in (g, p))
    scale = 10.0**power
    one, two = lt.fit_gmanova(Y, G, X, sigma), lt.fit_gmanova(scale * Y, G @ left, X @ right, sigma)
    assert two.deviance - one.deviance == pytest.approx(2 * Y.size * np.log(scale), abs=1e-8)
    np.testing.assert_allclose(two.fitted / scale, one.fitted, rtol=1e-7, atol=1e-7 * np.abs(Y).max())
    np.testing.assert_allclose(left @ two.B.to_numpy() @ right.T / scale, one.B, rtol=1e-6,
                               atol=1e-7 * np.abs(one.B.to_numpy()).max())  # fmt: skip


def test_raw_and_orthogonal_polynomials_of_a_calendar_year():
    data = DATA.assign(year=DATA["age"] + 1980)
    raw = lt.fit_gmanova("distance ~ year | Subject", "~ Sex", "~ I(year - 1991) + I((year - 1991)^2)", data=data)
    orthogonal = lt.fit_gmanova("distance ~ year | Subject", "~ 0 + Sex", "~ poly(year, 2)", data=data)
    assert raw.deviance == pytest.approx(orthogonal.deviance, abs=1e-9)
    np.testing.assert_allclose(raw.fitted, orthogonal.fitted, atol=1e-9)


def test_a_large_mean_costs_no_digits():
    Y, G, X = example(12, 2, 4, 2)
    far = lt.fit_gmanova(Y + 1e7, G, X)  # whose last digits are at 1e-9
    assert far.deviance == pytest.approx(lt.fit_gmanova(Y, G, X).deviance, abs=1e-5)


def test_many_subjects_are_no_matter():
    rng = np.random.default_rng(0)
    Y, G = rng.normal(size=(60_000, 8)).cumsum(axis=1), np.eye(3)[np.arange(60_000) % 3]
    for sigma in ("scalar", "diagonal", "free"):  # 60,000 by 60,000 would be 29 GB
        assert lt.fit_gmanova(Y, G, np.vander(np.linspace(-1, 1, 8), 3), sigma).npar > 9


def test_the_lowest_of_several_optima_is_taken_and_said():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(40):
        Y = rng.normal(size=(3, 4)) * rng.choice([0.05, 1.0], 4) + rng.normal(size=4) * 3
        fit = lt.fit_gmanova(Y, "equal", np.ones((4, 1)), "diagonal")
        if not fit.messages:
            continue
        found += 1
        assert "more than one local maximum" in fit.messages[0]
        problem = Problem(Y, np.ones((3, 1)), np.ones((4, 1)))
        grid = np.linspace(Y.min(), Y.max(), 4001)
        profiled = [3 * np.sum(np.log(np.mean((Y - b) ** 2, axis=0))) + 12 for b in grid]
        assert fit.deviance <= min(profiled) + 1e-9
        assert len(start_values(problem, "diagonal")) == 6
    assert found > 5


# --- hypotheses ----------------------------------------------------------------------------------------

HYPOTHESES = [
    (None, None, 0.0),
    ([[0, 1, 0]], [[0], [1]], 0.0),
    ([[0, 1, 0], [0, 0, 1]], None, 0.0),
    ([[1, 1, 0], [0, 1, -1]], [[1, 0], [1, 1]], [[0.5, -1.0], [2.0, 0.0]]),
    ([[0, 1, 0]], [[1], [2]], 0.7),
]


@pytest.mark.parametrize(("C", "D", "rhs"), HYPOTHESES)
def test_wilks_is_khatris_and_the_likelihood_ratio(C, D, rhs):
    Y, G, X = example(14, 3, 4, 2, seed=5)
    fit = lt.fit_gmanova(Y, G, X)
    full = np.eye(3) if C is None else np.array(C, float), np.eye(2) if D is None else np.array(D, float)
    table = fit.test(C, D, rhs, test=("wilks", "lrt"))
    value = table["statistic"].to_numpy()
    assert value[0] == pytest.approx(dense.wilks(Y, G, X, *full, rhs), rel=1e-9)
    B, Sigma, _ = dense.alternate(Y, G, X, "free", *full, rhs)
    np.testing.assert_allclose(full[0] @ B @ full[1], np.broadcast_to(rhs, (len(full[0]), full[1].shape[1])), atol=1e-9)
    ratio = dense.deviance(Y, G, X, B, Sigma)[1] - fit.deviance
    assert ratio == pytest.approx(value[1], abs=1e-7)
    assert value[1] == pytest.approx(-14 * np.log(value[0]), abs=1e-9)
    assert table["num_df"].tolist() == [full[0].shape[0] * full[1].shape[1]] * 2


@pytest.mark.parametrize("sigma", ["scalar", "diagonal"])
@pytest.mark.parametrize(("C", "D", "rhs"), HYPOTHESES)
def test_likelihood_ratios_of_simpler_covariances(sigma, C, D, rhs):
    Y, G, X = example(14, 3, 4, 2, seed=6)
    fit = lt.fit_gmanova(Y, G, X, sigma)
    full = np.eye(3) if C is None else np.array(C, float), np.eye(2) if D is None else np.array(D, float)
    B, Sigma, _ = dense.alternate(Y, G, X, sigma, *full, rhs)
    ratio = dense.deviance(Y, G, X, B, Sigma)[1] - fit.deviance
    table = fit.test(C, D, rhs, test="all")
    assert table.loc["likelihood ratio, χ²", "statistic"] == pytest.approx(ratio, abs=1e-7)
    if sigma == "scalar":
        df = table["num_df"].iloc[0]
        f = (np.exp(ratio / 56) - 1) * (56 - 6) / df
        np.testing.assert_allclose(table.loc["F", ["f_value", "den_df"]].astype(float), [f, 50], rtol=1e-7)


def test_one_function_is_the_square_of_its_t():
    fit = orthodont("~ Sex", "~ poly(age, 2)")
    t = fit.coef_table().loc[("Sex[T.Female]", "poly(age, 2)[1]")]
    table = fit.test("Sex[T.Female]", "poly(age, 2)[1]", test="all").drop("likelihood ratio, χ²")
    np.testing.assert_allclose(table["f_value"], t["statistic"] ** 2, rtol=1e-10)
    np.testing.assert_allclose(table["p_value"], t["p_value"], rtol=1e-9)
    by_least_squares = orthodont(sigma="scalar")
    t = by_least_squares.coef_table().loc[("Sex[T.Female]", "age"), "statistic"]
    assert by_least_squares.test("Sex[T.Female]", "age")["f_value"].iloc[0] == pytest.approx(t**2, rel=1e-10)


def test_exact_tests_hold_their_level_with_few_subjects():
    # ten subjects, five correlated occasions, two lines: the chi-squared of the same ratio is far too small
    rng = np.random.default_rng(11)
    G, X = np.column_stack([np.ones(10), np.arange(10) % 2]), np.column_stack([np.ones(5), np.arange(5)])
    root = rng.normal(size=(5, 5))
    p = []
    for _ in range(400):
        fit = lt.fit_gmanova(rng.normal(size=(10, 5)) @ root.T, G, X)
        p.append(fit.test([[0, 1]], test=("wilks", "lrt"))["p_value"].to_numpy())
    exact, asymptotic = np.array(p).T
    assert kstest(exact, "uniform").pvalue > 0.01
    assert np.mean(asymptotic < 0.05) > 0.12


def test_redundant_functions_are_told_and_left_out():
    fit = orthodont()
    table = fit.test([[0, 1], [0, 2]], "age")
    assert table["p_value"].iloc[0] == pytest.approx(fit.test("Sex[T.Female]", "age")["p_value"].iloc[0], rel=1e-12)
    assert "Of the 2 functions of C 1 are independent." in table.notes


def test_nested_models_by_likelihood_ratio():
    larger = orthodont()
    table = larger.lrt(orthodont("~ 1"))
    whole = larger.test("Sex[T.Female]", test="lrt")
    assert table["chisq"].iloc[1] == pytest.approx(whole["statistic"].iloc[0], abs=1e-9)
    assert table["p_value"].iloc[1] == pytest.approx(whole["p_value"].iloc[0], rel=1e-8)
    assert (table["df"].iloc[1], larger.lrt(orthodont(sigma="diagonal"))["df"].iloc[1]) == (2, 6)
    with pytest.raises(lt.ModelError, match="within and sigma can do"):
        orthodont(sigma="scalar").lrt(orthodont("~ 1", "~ poly(age, 2)", "free"))


# --- the ways in ---------------------------------------------------------------------------------------


def test_long_wide_polars_and_matrices_give_one_fit():
    fit = orthodont()
    wide = DATA.pivot(index="Subject", columns="age", values="distance")
    sexes = pd.DataFrame(DATA).groupby("Subject", observed=True)[["Sex"]].first()
    shuffled = sexes.sample(frac=1, random_state=1)
    others = [
        lt.fit_gmanova(wide, "~ Sex", "~ age", data=shuffled),
        lt.fit_gmanova(wide.to_numpy(), "~ Sex", "~ age", data=sexes, times=[8, 10, 12, 14]),
        lt.fit_gmanova(wide.set_axis(list("abcd"), axis=1), "~ Sex", "~ age", data=sexes, times=[8, 10, 12, 14]),
        lt.fit_gmanova(wide, "~ Sex", "~ a", data=sexes, times={"a": [8, 10, 12, 14]}),
        lt.fit_gmanova(wide, fit.between.sample(frac=1, random_state=2), fit.within),
        lt.fit_gmanova(wide.to_numpy().tolist(), fit.between.to_numpy(), fit.within.to_numpy()),
        orthodont("~ C(Sex, contr.treatment('Male'))", "~ age"),
        lt.fit_gmanova(LONG, "~ Sex", "~ age", data=DATA.sample(frac=1, random_state=3)),
        lt.fit_gmanova(LONG, "~ Sex", "~ age", data=pl.DataFrame({
            "distance": DATA["distance"].to_numpy(), "age": DATA["age"].to_numpy(),
            "Subject": DATA["Subject"].astype(str).tolist(),
            "Sex": pl.Series(DATA["Sex"].astype(str).tolist(), dtype=pl.Enum(["Male", "Female"])),
        })),
    ]  # fmt: skip
    for other in others:
        assert other.deviance == pytest.approx(fit.deviance, abs=1e-9)
        np.testing.assert_allclose(other.B, fit.B, rtol=1e-9)
        np.testing.assert_allclose(other.Sigma, fit.Sigma, rtol=1e-9)


def test_long_data_become_wide():
    found, wide = long_responses(LONG, DATA).Y, DATA.pivot(index="Subject", columns="age", values="distance")
    assert np.array_equal(found, wide)
    assert list(found.index) == list(wide.index)
    assert list(found.columns) == [8, 10, 12, 14]


def test_words_for_between_are_formulas():
    assert orthodont("equal").B.equals(orthodont("~ 1").B)
    by_subject = orthodont("~ 0 + Subject", sigma="scalar")
    np.testing.assert_allclose(by_subject.B, orthodont("free", sigma="scalar").B, rtol=1e-9)


def test_contrasts_are_a_matter_of_coding():
    fit = orthodont(contrasts={"Sex": "sum"})
    assert fit.deviance == pytest.approx(orthodont().deviance, abs=1e-9)
    assert list(fit.B.index) == ["Intercept", "Sex[S.Male]"]


def test_what_is_shown():
    fit = orthodont()
    text = repr(fit)
    for part in ("Σ free", "~ Sex (2 columns)", "27 subjects × 4 occasions", "419.4770", "220.9863", "14 parameters"):
        assert part in text
    assert set(fit._repr_mimebundle_()) == {"text/html", "text/vnd.typst", "text/plain"}
    assert (fit.aic, fit.bic) == (fit.criterion + 28, pytest.approx(fit.criterion + 14 * np.log(108)))
    assert fit.loglik == -fit.criterion / 2
    assert "σ" not in repr(orthodont(sigma="diagonal").tables()[2])
    with pytest.raises(lt.ModelError, match="Σ is free"):
        _ = fit.sigma2
    with pytest.raises(AttributeError):
        fit.deviance = 0.0
    assert fit.B.stack().index.equals(fit.vcov.index)
