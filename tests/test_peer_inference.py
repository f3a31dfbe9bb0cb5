"""Tests, means and reductions of other engines' own test suites and vignettes.

lmerTest: tests/test_anova.R, test_compare_sas.R (whose expected values are printed by SAS), test_contestMD.R,
test_ls_means.R, test_ranova_step.R, test_zerovar.R, zlmerTest_zeroDenom.R, test_lmerTest_paper.R. emmeans: the
unbalanced split plot of its help pages. Where no source is named the numbers are those of lmerTest 3.1-3 and emmeans
1.8.4.1 on the same models under R 4.2.2, with an optimiser run to 1e-12. Numbers with few digits are as printed.
"""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from tests.reference.lme4_fits import data


def rows(table, *columns):
    """Columns of a table, a list a row."""
    return table[list(columns)].to_numpy(dtype=float).tolist()


@pytest.fixture(scope="module")
def cake():
    return lt.load_dataset("cake")


@pytest.fixture(scope="module")
def sleep():
    return lt.load_dataset("sleepstudy")


# type I, II and III of a small unbalanced cross that SAS 101 discusses; its block variance is zero
SAS101 = {
    1: [[1, 4.830962747940], [1, 1.327527818090], [1, 0.995645863570]],
    2: [[1, 3.901306240930], [1, 1.327527818090], [1, 0.995645863570]],
    3: [[1, 3.284677586560], [1, 0.995645863570], [1, 0.995645863570]],
}


@pytest.mark.parametrize("kind", SAS101)
def test_lmertest_beside_sas_on_a_small_unbalanced_cross(kind):
    frame = pd.DataFrame({"y": [12, 14, 11, 20, 17, 23, 35, 46, 15, 16], "f": list("1212121212")})
    frame["a"], frame["b"] = list("1112222212"), list("1121222221")
    fit = lt.fit_lmm("y ~ a * b + (1 | f)", frame)
    assert fit.is_singular
    np.testing.assert_allclose(rows(fit.anova(type=kind), "num_df", "f_value"), SAS101[kind], rtol=1e-7)
    np.testing.assert_allclose(fit.anova(type=kind)["den_df"], 6.0, rtol=1e-6)
    # SAS prints type II of proc mixed
    turned = lt.fit_lmm("y ~ b * a + (1 | f)", frame).anova(type=2)
    np.testing.assert_allclose(turned["f_value"], [1.32753, 3.90131, 0.99565], rtol=1e-5)


def test_lmertest_beside_sas_on_carrots():
    fit = lt.fit_lmm("Preference ~ sens2 * Homesize + (1 + sens2 | Consumer)", data("carrots"))
    # lmerTest's own, 54.8339 and 5.16210, is where its optimiser stops
    np.testing.assert_allclose(fit.anova(type=2)["f_value"], [54.8361, 5.16138, 1.03035], rtol=2e-6)
    np.testing.assert_allclose(fit.anova(type=3)["f_value"].iloc[1:], [5.16138, 1.03035], rtol=2e-6)
    np.testing.assert_allclose(fit.anova(type=3)["den_df"], [101.0149685, 100.9860768, 101.0149685], rtol=1e-3)
    without = lt.fit_lmm("Preference ~ 0 + sens2 + Homesize + (1 + sens2 | Consumer)", data("carrots"))
    np.testing.assert_allclose(without.anova(type=1)["f_value"], [56.5394, 4169.87], rtol=1e-5)
    np.testing.assert_allclose(without.anova(type=3)["f_value"], [54.8206, 4169.87], rtol=1e-5)
    np.testing.assert_allclose(without.anova(type=3)["num_df"], [1, 2])


def test_lmertest_beside_sas_on_ham():
    fit = lt.fit_lmm("`Informed.liking` ~ Product * Age + (1 | Consumer)", data("ham"))
    np.testing.assert_allclose(fit.anova(type=2)["f_value"], [2.48135, 0.00538678, 1.48451], rtol=1e-5)
    np.testing.assert_allclose(fit.anova(type=3)["f_value"], [2.481351991, 0.005386780877, 1.484507819], rtol=1e-6)
    np.testing.assert_allclose(fit.anova(type=1)["f_value"], [7.009819670, 0.005386780877, 1.484507819], rtol=1e-6)
    formula = "`Informed.liking` ~ Product * Information * Gender + (1 | Product:Consumer) + (1 | Consumer)"
    means = lt.marginal_means(lt.fit_lmm(formula, data("ham")), "Product")
    np.testing.assert_allclose(means["estimate"], [5.8084, 5.1012, 6.0909, 5.9256], rtol=1e-5)  # SAS, as all three
    np.testing.assert_allclose(means["ci_low"], [5.3499, 4.6428, 5.6324, 5.4672], rtol=1e-5)
    np.testing.assert_allclose(means["ci_high"], [6.2668, 5.5597, 6.5493, 6.3840], rtol=1e-5)
    np.testing.assert_allclose(means["df"], 309.5134932, rtol=1e-5)


# F and df of sens2, Homesize, sens1 and their interactions, with products crossed with consumers' answers
CROSSED_COVARIATES = {
    1: ([16.4152806, 14.0239708, 0.447898979, 1.25137249, 0.107452715, 0.129987136, 1.05946148], 7.97417825),
    2: ([16.4832267, 14.0010306, 0.526044533, 1.18144110, 0.107563178, 0.335176408, 1.05946148], 7.97426422),
    3: ([16.9130176, 14.0010306, 0.481119205, 1.18144110, 0.0741968852, 0.335176408, 1.05946148], 8.02061142),
}


@pytest.mark.parametrize("kind", CROSSED_COVARIATES)
def test_lmertest_on_two_covariates_and_a_factor(kind):
    table = lt.fit_lmm("Preference ~ sens2 * Homesize * sens1 + (1 | Product)", data("carrots")).anova(type=kind)
    f_values, df = CROSSED_COVARIATES[kind]
    np.testing.assert_allclose(table["f_value"], f_values, rtol=2e-6)
    assert table["den_df"].iloc[0] == pytest.approx(df, rel=1e-5)


def test_lmertest_three_way_interaction_beside_sas():
    formula = "Preference ~ sens2 * Frequency * Income + (1 + sens2 | Consumer)"
    fit = lt.fit_lmm(formula, data("carrots"))  # twelve combinations do not occur
    assert fit.nobs == 1161
    table = fit.anova()
    p_values = [2e-5, 0.15512, 0.06939, 0.08223, 0.52459, 0.03119, 0.48344]  # SAS
    np.testing.assert_allclose(table["p_value"].iloc[1:], p_values[1:], rtol=1e-4)
    assert table["p_value"].iloc[0] == pytest.approx(1.5657e-5, rel=1e-3)  # SAS prints 2e-5
    assert table["num_df"].tolist() == [1, 4, 3, 4, 3, 6, 6]
    assert table["den_df"].round().tolist() == [83] * 7


TEMP = [[2, 254.0157694, 0.09567796460], [1, 222.0, 94.16323275], [2, 222.0, 0.04169244595]]


@pytest.mark.parametrize("coding", [None, "sum", "helmert"])
def test_lmertest_cake_with_a_covariate(cake, coding):
    fit = lt.fit_lmm("angle ~ recipe * temp + (1 | recipe:replicate)", cake, contrasts=coding and {"recipe": coding})
    for kind in (2, 3):
        np.testing.assert_allclose(rows(fit.anova(type=kind), "num_df", "den_df", "f_value"), TEMP, rtol=1e-6)
    first = [[2, 42.0, 0.2487887361], *TEMP[1:]]
    np.testing.assert_allclose(rows(fit.anova(type=1), "num_df", "den_df", "f_value"), first, rtol=1e-6)
    adjusted = fit.anova(ddf="kenward-roger")
    np.testing.assert_allclose(adjusted["f_value"], fit.anova()["f_value"], rtol=1e-6)  # balanced
    means = lt.marginal_means(fit, "recipe")
    np.testing.assert_allclose(means["estimate"], cake.groupby("recipe", observed=True)["angle"].mean(), rtol=1e-9)


def test_lmertest_cake_without_an_intercept(cake):
    fit = lt.fit_lmm("angle ~ 0 + recipe * temp + (1 | recipe:replicate)", cake)
    first = [[3, 42.0, 342.2199832], *TEMP[1:]]
    np.testing.assert_allclose(rows(fit.anova(type=1), "num_df", "den_df", "f_value"), first, rtol=1e-6)
    third = [[3, 254.0157596, 0.07142312549], *TEMP[1:]]
    np.testing.assert_allclose(rows(fit.anova(type=3), "num_df", "den_df", "f_value"), third, rtol=1e-6)


def test_lmertest_refuses_kenward_and_roger_by_ml(cake):
    fit = lt.fit_lmm("angle ~ recipe * temp + (1 | recipe:replicate)", cake, reml=False)
    with pytest.raises(lt.ModelError, match="REML"):
        fit.anova(ddf="kenward-roger")


def test_lmertest_models_without_a_fixed_term(sleep):
    for formula in ("Reaction ~ 0 + (Days | Subject)", "Reaction ~ 1 + (Days | Subject)"):
        fit = lt.fit_lmm(formula, sleep)
        assert [len(fit.anova(type=kind)) for kind in (1, 2, 3)] == [0, 0, 0]
        assert len(fit.anova(ddf="kenward-roger")) == 0


def test_lmertest_slopes_without_an_intercept(sleep):
    fit = lt.fit_lmm("Reaction ~ 0 + Days + I(Days^2) + (Days | Subject)", sleep)
    first = [[1, 18.82512165, 127.6768337], [1, 143.6794219, 1.141922989]]
    np.testing.assert_allclose(rows(fit.anova(type=1), "num_df", "den_df", "f_value"), first, rtol=1e-5)
    third = [[1, 69.0490759, 33.94748567], first[1]]
    for kind in (2, 3):
        np.testing.assert_allclose(rows(fit.anova(type=kind), "num_df", "den_df", "f_value"), third, rtol=1e-5)


def test_lmertest_tests_of_matrices(sleep):
    """Rows that repeat others, too few numbers, too many; one row is the t test squared."""
    fit = lt.fit_lmm("Reaction ~ Days + I(Days^2) + (1 | Subject) + (0 + Days | Subject)", sleep)
    for ddf in ("satterthwaite", "kenward-roger"):
        assert fit.test([[1, 0, 1], [0, 1, 0], [1, -1, 1]], ddf=ddf)["num_df"].tolist() == [2]
        one, alone = fit.test([[0, 0, 1]], ddf=ddf), fit.test([0, 0, 1], ddf=ddf, joint=False)
        assert one["f_value"].iloc[0] == pytest.approx(alone["statistic"].iloc[0] ** 2)
        assert one["den_df"].iloc[0] == pytest.approx(alone["df"].iloc[0])
    for wrong in ([1, 0], [1, 0, 1, 1], [[1, 0], [0, 1]]):
        with pytest.raises(lt.LMMError, match="3 numbers"):
            fit.test(wrong)


def test_lmertest_tests_against_a_value(cake):
    fit = lt.fit_lmm("angle ~ recipe * temp + (1 | recipe:replicate)", cake)
    L = np.eye(6)[1:3]
    joint = fit.test(L)
    np.testing.assert_allclose(rows(joint, "num_df", "den_df", "f_value"), TEMP[:1], rtol=1e-6)
    at_two = fit.test(L, joint=False, rhs=2.0)["statistic"]
    assert np.all(np.abs(at_two) > np.abs(fit.test(L, joint=False)["statistic"]))


def test_lmertest_a_variance_of_zero_changes_nothing(sleep):
    plain = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", sleep)
    more = lt.fit_lmm("Reaction ~ Days + (Days | Subject) + (1 | late)", sleep.assign(late=np.arange(180) >= 170))
    assert more.is_singular
    for ddf in ("satterthwaite", "normal"):
        np.testing.assert_allclose(more.coef_table(ddf=ddf), plain.coef_table(ddf=ddf), rtol=1e-4)


POTS = """350 1 13.3 19.9 24.5 33.6 38.9 41.4
350 4 12.4 20.5 22.1 29.4 36.9 42.3
675 2 15.8 22.4 26.9 38.0 44.8 49.2
675 3 13.9 21.0 27.5 35.9 46.8 49.0"""


def test_lmertest_four_chambers():
    lines = [line.split() for line in POTS.splitlines()]
    frame = pd.DataFrame(
        [(co2, chamber, str(k), float(y)) for co2, chamber, *ys in lines for k, y in enumerate(ys)],
        columns=["CO2", "chamber", "nutrients", "biomass"],
    )
    fit = lt.fit_lmm("biomass ~ CO2 * nutrients + (1 | chamber)", frame)
    for ddf in ("satterthwaite", "kenward-roger"):
        table = fit.anova(ddf=ddf)
        np.testing.assert_allclose(table["den_df"], [2, 10, 10], rtol=1e-6)
        np.testing.assert_allclose(table["p_value"], [0.0224955602, 4.2297310e-11, 0.020905569], rtol=1e-5)


@pytest.fixture(scope="module")
def three_temperatures(cake):
    kept = cake[cake["temperature"].astype(int) < 200]
    return kept.assign(temperature=kept["temperature"].astype(str).astype("category"))


def empty(frame, *cells):
    """The rows that are not in these cells."""
    cell = frame["recipe"].astype(str) + frame["temperature"].astype(str)
    return frame[~cell.isin(cells)]


FORMULA = "angle ~ recipe * temperature + (1 | recipe:replicate)"


def test_lmertest_means_over_an_empty_cell(three_temperatures):
    fit = lt.fit_lmm(FORMULA, empty(three_temperatures, "C195"))
    means = lt.marginal_means(fit, "recipe")
    np.testing.assert_allclose(means["estimate"], [30.4888888889, 29.3333333333, np.nan], rtol=1e-8)
    np.testing.assert_allclose(means["std_error"], [1.7407131212, 1.7407131212, np.nan], rtol=1e-6)
    np.testing.assert_allclose(means["df"], [40.29417035, 40.29417040, np.nan], rtol=1e-6)
    assert "195" in " ".join(means.notes)
    cells = lt.marginal_means(fit, ["recipe", "temperature"])
    assert cells["estimate"].isna().tolist() == [False] * 8 + [True]
    assert cells["df"].iloc[0] == pytest.approx(57.1569763, rel=1e-6)
    third = [[2, 42.30357366, 0.1772006746], [2, 69.62571434, 6.215014674], [3, 69.62571434, 1.454202049]]
    np.testing.assert_allclose(rows(fit.anova(type=3), "num_df", "den_df", "f_value"), third, rtol=1e-3)
    np.testing.assert_allclose(fit.anova(type=3)["f_value"], [row[2] for row in third], rtol=1e-6)
    first = [0.3426062457, 6.215014674, 1.454202049]
    np.testing.assert_allclose(fit.anova(type=1)["f_value"], first, rtol=1e-6)


def test_lmertest_an_empty_diagonal(three_temperatures):
    fit = lt.fit_lmm(FORMULA, empty(three_temperatures, "A175", "B185", "C195"))
    for factor in ("recipe", "temperature"):
        assert lt.marginal_means(fit, factor)["estimate"].isna().all()
    cells = lt.marginal_means(fit, ["recipe", "temperature"])
    there = [np.nan, 26.8666666667, 27.9333333333, 31.5333333333, np.nan, 28.9333333333, 30.8, 31.7333333333, np.nan]
    np.testing.assert_allclose(cells["estimate"], there, rtol=1e-8)
    np.testing.assert_allclose(cells["df"], np.where(np.isnan(there), np.nan, 53.4683349), rtol=1e-6)
    for kind, f_values in {
        1: [0.621697700946, 5.199757845046, 4.037189677146],
        2: [0.0870676673, 5.199757845046, 4.037189677146],
        3: [0.0870676673, 5.199757845046, 4.037189677146],
    }.items():
        np.testing.assert_allclose(fit.anova(type=kind)["f_value"], f_values, rtol=1e-6)
        assert fit.anova(type=kind)["num_df"].tolist() == [2, 2, 1]


TELEVISIONS = [[2, 14.0, 0.2436956265], [3, 21.0, 4.773546656], [6, 138.0, 4.177658130]]


def test_lmertest_paper_section_8():
    formula = "Sharpnessofmovement ~ TVset * Picture + (1 | Assessor) + (1 | Assessor:TVset) + (1 | Assessor:Picture)"
    fit = lt.fit_lmm(formula, data("TVbo"))
    for kind, ddf in ((3, "satterthwaite"), (2, "kenward-roger")):
        table = fit.anova(type=kind, ddf=ddf)
        np.testing.assert_allclose(rows(table, "num_df", "den_df", "f_value"), TELEVISIONS, rtol=1e-5)
        np.testing.assert_allclose(table["p_value"], [0.78698184, 0.01087850, 0.00068448], rtol=1e-5)  # as printed


def test_lmertest_paper_carrots():
    """Products crossed with three effects of each consumer; the paper's own optimum is 1e-5 above the lowest."""
    formula = "Preference ~ sens1 + sens2 + (1 + sens1 + sens2 | Consumer) + (1 | Product)"
    fit = lt.fit_lmm(formula, data("carrots"))
    assert fit.criterion <= 2 * 1869.731657 + 1e-6
    table = fit.coef_table()
    np.testing.assert_allclose(table["estimate"], [4.7991115518, 0.0108291875, 0.0706455325], rtol=1e-5)
    np.testing.assert_allclose(table["std_error"], [0.0752923640, 0.0150284676, 0.0172780627], rtol=2e-3)
    np.testing.assert_allclose(table["df"], [20.72, 9.17, 10.94], rtol=5e-3)
    dropped = lt.ranova(fit).iloc[1:]
    # the paper's 17.9 for the products is of a smaller model that its optimiser left 1.6 above the optimum
    np.testing.assert_allclose(dropped["chisq"], [1.8273907, 9.5464115, 16.3071780], rtol=3e-6)
    assert dropped["df"].tolist() == [3, 3, 1]


def test_lmertest_random_terms_of_sleepstudy(sleep):
    two = lt.ranova(lt.fit_lmm("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", sleep))
    assert two["chisq"].iloc[1:].tolist() == pytest.approx([22.8557339041, 42.7957918134], abs=1e-6)
    by_ml = lt.ranova(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", sleep, reml=False))
    assert by_ml["chisq"].iloc[1] == pytest.approx(106.214413351, abs=1e-6)


# nitro's means without nine rows, by both methods: estimate, standard error, df
SPLIT_PLOT = {
    "satterthwaite": [
        [78.8920707434, 7.28060980345, 7.28379212174],
        [97.0342529917, 7.12870736048, 6.71534050575],
        [114.198162607, 7.12888680857, 6.71582110608],
        [124.068569714, 7.06730510627, 6.49250811034],
    ],
    "kenward-roger": [
        [78.8920707434, 7.29438018242, 7.78320427994],
        [97.0342529917, 7.13627242684, 7.19143187672],
        [114.198162607, 7.13618783164, 7.19173572167],
        [124.068569714, 7.07023658054, 6.95455744285],
    ],
}


@pytest.mark.parametrize("ddf", SPLIT_PLOT)
def test_emmeans_unbalanced_split_plot(ddf):
    oats = lt.load_dataset("Oats").drop(index=[k - 1 for k in (1, 2, 3, 5, 8, 13, 21, 34, 55)])
    fit = lt.fit_lmm("yield ~ Variety + factor(nitro) + (1 | Block/Variety)", oats)
    means = lt.marginal_means(fit, "nitro", ddf=ddf)
    np.testing.assert_allclose(rows(means, "estimate", "std_error", "df"), SPLIT_PLOT[ddf], rtol=1e-5)
    tukey = lt.marginal_means(fit, "Variety", ddf=ddf).contrasts()
    assert tukey["estimate"].round(2).tolist() == [-3.23, 8.31, 11.54]
    p_values = {"satterthwaite": [0.8763, 0.4588, 0.2449], "kenward-roger": [0.8764, 0.4595, 0.2431]}[ddf]
    np.testing.assert_allclose(tukey["p_value"], p_values, atol=5.1e-5)
    trend = means.contrasts("poly")
    np.testing.assert_allclose(trend["estimate"], [152.69, -8.27, -6.32], atol=5.1e-3)
