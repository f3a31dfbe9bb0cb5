"""Power by simulation: each study's p-value against brute force and closed forms, designs of other sizes, refusals."""

import json
import pickle
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lmmtools as lt
from lmmtools.errors import DataError, FormulaError, LMMError, ModelError
from lmmtools.planning.hypothesis import read_test
from lmmtools.planning.result import clopper_pearson
from lmmtools.planning.simulation import Run
from lmmtools.planning.sizes import picked, read_sizes
from lmmtools.resampling.blocks import seeds_of

SLEEP = lt.load_dataset("sleepstudy")
FORMULA = "Reaction ~ Days + (Days | Subject)"
WITNESS = json.loads((Path(__file__).parents[1] / "reference" / "power.json").read_text(encoding="utf-8"))


def sleep_plan(**changed):
    stated = {"fixef": {"Intercept": 250, "Days": 5}, "sd": {"Subject": {"Intercept": 24, "Days": 6}}, "sigma": 25}
    return lt.planned(FORMULA, SLEEP.drop(columns="Reaction"), cor={"Subject": 0.1}, **(stated | changed))


def arms(levels=8, rows=3, effect=3.0, sd=2.0):
    data = pd.DataFrame(product(range(levels), range(rows)), columns=["g", "t"])
    data["x"] = (data["g"] >= levels // 2).astype(float)
    return data, lt.planned("y ~ x + (1 | g)", data, fixef={"Intercept": 0, "x": effect}, sd={"g": sd}, sigma=1.0)


def drawn(plan, n, rng, words=""):
    """The responses of the studies that `power` simulates, by its own random numbers."""
    seed = np.random.SeedSequence(rng, spawn_key=(crc32(words.encode()),))
    assert n <= 50, "one block"
    return plan.simulate(n, np.random.default_rng(seeds_of(seed, 1, "power")[0]))


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "residual", "normal"])
def test_each_study_is_fitted_and_tested_as_any_other(ddf):
    plan = sleep_plan()
    found = lt.power(plan, "Days", n=10, rng=3, ddf=ddf)
    for y, p in zip(drawn(plan, 10, 3).T, found.p_values[0], strict=True):
        fit = lt.fit_lmm(FORMULA, SLEEP.assign(Reaction=y))
        assert p == pytest.approx(fit.coef_table(ddf=ddf)["p_value"]["Days"], rel=1e-5)
    assert found["power"].iloc[0] == np.mean(found.p_values[0] <= 0.05)


def test_terms_and_linear_functions_are_tested_as_a_fit_tests_them():
    data = pd.DataFrame(product(range(12), "abc", range(2)), columns=["g", "f", "t"])
    fixef = {"Intercept": 0, "f[T.b]": 0.5, "f[T.c]": 1, "t": 0.2, "f[T.b]:t": 0, "f[T.c]:t": 1}
    plan = lt.planned("y ~ f * t + (1 | g)", data, fixef=fixef, sd={"g": 1}, sigma=1)
    Y = drawn(plan, 10, 1)
    fits = [lt.fit_lmm("y ~ f * t + (1 | g)", data.assign(y=y)) for y in Y.T]
    for test in ("f", "f:t"):
        found = lt.power(plan, test, n=10, rng=1)
        expected = [fit.anova()["p_value"][test] for fit in fits]
        np.testing.assert_allclose(found.p_values[0], expected, rtol=1e-5)
        assert f"the term `{test}` (type III), F test" in found.test and "type_m" not in found
    contrast = {"at t = 2": {"f[T.c]": 1, "f[T.c]:t": 2}}
    found = lt.power(plan, contrast, n=10, rng=1)
    expected = [fit.test(contrast, joint=False)["p_value"].iloc[0] for fit in fits]
    np.testing.assert_allclose(found.p_values[0], expected, rtol=1e-5)
    estimates = np.array([fit.test(contrast, joint=False)["estimate"].iloc[0] for fit in fits])
    rejected = np.array(expected) <= 0.05
    assert found["type_m"].iloc[0] == pytest.approx(np.mean(np.abs(estimates[rejected])) / 3.0, rel=1e-5)


@pytest.mark.parametrize(
    ("small", "method"),
    [("Reaction ~ 1 + (Days | Subject)", "ML"), ("Reaction ~ Days + (1 | Subject)", "REML"),
     ("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "REML"), ("Reaction ~ Days", "REML"),
     ("Reaction ~ 1 + (1 | Subject)", "ML")],
)  # fmt: skip
def test_likelihood_ratios_are_those_of_lrt(small, method):
    plan = sleep_plan(sd={"Subject": {"Intercept": 12, "Days": 2}})
    found = lt.power(plan, small, n=10, rng=5)
    assert f"likelihood-ratio test ({method}" in found.test
    for y, p in zip(drawn(plan, 10, 5).T[:4], found.p_values[0][:4], strict=True):
        data, reml = SLEEP.assign(Reaction=y), method == "REML"
        fit_small = lt.fit_lmm if "|" in small else lt.fit_gls
        fits = [fit_small(small, data, reml=reml), lt.fit_lmm(FORMULA, data, reml=reml)]
        assert p == pytest.approx(lt.lrt(*fits, draws=2000)["p_value"].iloc[1], rel=1e-4, nan_ok=True)
    fitted = lt.power(plan, (lt.fit_lmm if "|" in small else lt.fit_gls)(small, SLEEP), n=10, rng=5)
    np.testing.assert_allclose(fitted.p_values, found.p_values, rtol=1e-5)


def test_a_balanced_trial_is_a_t_test_of_group_means():
    data, plan = arms()
    found = lt.power(plan, "x", n=50, rng=2)
    means = pd.DataFrame(drawn(plan, 50, 2)).groupby(data["g"]).mean().to_numpy()
    expected = stats.ttest_ind(means[:4], means[4:]).pvalue
    assert found["singular"].iloc[0] == 0
    np.testing.assert_allclose(found.p_values[0], expected, rtol=1e-5)


def test_power_of_a_balanced_trial_is_that_of_noncentral_t():
    _, plan = arms()
    n, df = 400, 6
    found = lt.power(plan, "x", n=n, rng=11).iloc[0]
    shift = 3.0 / np.sqrt((4.0 + 1.0 / 3.0) * 4 / 8)
    t = stats.t.ppf(0.975, df)
    exact = stats.nct.sf(t, df, shift) + stats.nct.cdf(-t, df, shift)
    error = np.sqrt(exact * (1 - exact) / n)
    assert abs(found["power"] - exact) < 3 * error
    assert found["mc_error"] == pytest.approx(np.sqrt(found["power"] * (1 - found["power"]) / n))
    # the bound tells: the normal reference, or rows for groups, would be far outside it
    for df_wrong in (np.inf, 22):
        wrong = stats.t.ppf(0.975, df_wrong)
        assert stats.nct.sf(wrong, df, shift) - exact > 4 * error
    # given rejection the estimate is too large: E(|d| | reject)/3 by the same law, integrated
    se = 3.0 / shift
    z = np.random.default_rng(0).standard_normal(400_000) * se + 3.0
    s = se * np.sqrt(np.random.default_rng(1).chisquare(df, 400_000) / df)
    rejected = np.abs(z / s) > t
    assert found["type_m"] == pytest.approx(np.mean(np.abs(z[rejected])) / 3, rel=0.03)
    assert found["type_s"] == pytest.approx(np.mean(z[rejected] < 0), abs=0.01)


def test_no_effect_gives_the_size_of_the_test():
    _, plan = arms(effect=0.0)
    found = lt.power(plan, "x", n=300, rng=4)
    assert abs(found["power"].iloc[0] - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 300), "the normal reference would give 0.1"
    assert np.isnan(found["type_m"].iloc[0]) and "should be its level" in repr(found)


@pytest.mark.parametrize("case", WITNESS["studies"], ids=lambda case: f"{case['subjects']} subjects")
def test_power_by_lmerTest_is_the_same(case):
    n = 150
    found = lt.power(sleep_plan(), "Days", sizes={"Subject": case["subjects"]}, n=n, rng=8).iloc[0]
    for ours, theirs in ((found["power"], "rejected"), (found["singular"] / n, "singular")):
        share = case[theirs] / case["n"]
        error = np.sqrt(share * (1 - share) * (1 / case["n"] + 1 / n))
        assert abs(ours - share) < 3 * error


def test_limits_are_exact():
    found = lt.power(sleep_plan(), "Days", n=20, rng=1).iloc[0]
    k = round(found["power"] * 20)
    exact = stats.binomtest(k, 20).proportion_ci(method="exact")
    assert (found["low"], found["high"]) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson(0, 20)[0] == 0.0 and clopper_pearson(20, 20)[1] == 1.0
    assert clopper_pearson(0, 20)[1] == pytest.approx(1 - 0.025 ** (1 / 20))


def test_a_design_has_its_power_in_whatever_grid_it_stands():
    plan = sleep_plan()
    grid = lt.power(plan, "Days", sizes={"Subject": [12, 6], "rows per Subject": [4, 8]}, n=10, rng=1)
    assert grid[["Subject", "rows per Subject"]].to_numpy().tolist() == [[12, 4], [12, 8], [6, 4], [6, 8]]
    assert grid["rows"].tolist() == [48, 96, 24, 48]
    alone = lt.power(plan, "Days", sizes={"rows per Subject": 8, "Subject": 6}, n=10, rng=1)
    np.testing.assert_array_equal(alone.p_values[0], grid.p_values[3])
    again = lt.power(plan, "Days", sizes={"Subject": 6, "rows per Subject": 8}, n=10, rng=np.random.SeedSequence(1))
    np.testing.assert_array_equal(again.p_values[0], grid.p_values[3])
    other = lt.power(plan, "Days", sizes={"Subject": 6, "rows per Subject": 8}, n=10, rng=2)
    assert not np.array_equal(other.p_values[0], grid.p_values[3])


def test_a_covariate_may_come_from_any_seed():
    """Also that of the numbers which stand for the response."""
    x = np.random.default_rng(7).standard_normal(40)
    data = pd.DataFrame({"x": x, "g": np.arange(40) % 8})
    plan = lt.planned("y ~ x + (1 | g)", data, fixef={"Intercept": 0, "x": 1}, sd={"g": 1}, sigma=1)
    assert lt.power(plan, "x", n=10, rng=7)["failed"].iloc[0] == 0


def test_what_cannot_be_estimated_as_planned_is_told_without_sizes():
    one = pd.DataFrame({"g": [0, 0, 1, 1], "zero": 0.0})
    plan = lt.planned("y ~ 1 + (0 + zero | g)", one, fixef={"Intercept": 0}, sd={"g": 1}, sigma=1)
    with pytest.raises(ModelError, match=r"^no row is left that shows `zero`"):
        lt.power(plan, "Intercept", n=10, rng=1)


def test_a_generator_moves_on():
    plan, rng = sleep_plan(), np.random.default_rng(1)
    first, second = (lt.power(plan, "Days", n=10, rng=rng).p_values[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_several_models_stand_under_one_another():
    plan = sleep_plan()
    plans = {"5": plan, "10": lt.planned(plan, fixef={"Days": 10})}
    found = lt.power(plans, "Days", sizes={"Subject": [6, 9]}, n=20, rng=1)
    assert found["model"].tolist() == ["5", "5", "10", "10"] and found.varied == ("model", "Subject")
    assert found["power"].iloc[2] >= found["power"].iloc[0]
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(found))
    assert again.test == found.test and again.p_values.equals(found.p_values)


def test_a_fit_says_that_its_effect_is_an_estimate():
    fit = lt.fit_lmm(FORMULA, SLEEP)
    found = lt.power(fit, "Days", n=10, rng=1)
    assert "Hoenig & Heisey 2001" in repr(found) and found["power"].iloc[0] == 1.0
    assert "Hoenig" not in repr(lt.power(sleep_plan(), "Days", n=10, rng=1))


def test_studies_without_a_p_value_count_as_not_rejecting_and_are_told():
    plan = sleep_plan(sd={"Subject": {"Intercept": 2, "Days": 6}})
    found = lt.power(plan, "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", n=30, rng=1)
    lost = int(found["failed"].iloc[0])
    assert lost > 5 and len(found.failures) == lost and np.isnan(found.p_values[0]).sum() == lost
    assert found["power"].iloc[0] == (found.p_values[0] <= 0.05).sum() / 30
    assert f"{lost} studies without a p-value, counted as not rejecting: {lost} × the test has no" in repr(found)
    assert "has variance zero" in found.failures["sentence"].iloc[0]


# Designs of other sizes, against data frames written by hand.


def extended(data, by, chosen):
    parts = [data[data[by] == level].assign(**{by: f"new {k:03}"}) for k, level in enumerate(chosen)]
    return pd.concat(parts, ignore_index=True)


def same_model(design, other):
    """Whether two designs are one but for the labels of levels."""
    np.testing.assert_allclose(design.X, other.X)
    others = {term.group: term for term in other.terms}  # whose order follows the numbers of levels
    for a, b in ((term, others.pop(term.group)) for term in design.terms):
        np.testing.assert_allclose(a.matrix, b.matrix)
        assert len(a.levels) == len(b.levels)
        pairs = {*zip(a.codes.tolist(), b.codes.tolist(), strict=True)}
        assert len(pairs) == len(a.levels), "the same partition of the rows"
    assert not others


def sized(design, **numbers):
    for name, number in numbers.items():
        (size,), _ = read_sizes({name: number}, design)
        design = picked(design, size, number).of(design)
    return design


@pytest.mark.parametrize("number", [5, 18, 40])
def test_levels_are_cycled_or_left_out(number):
    design = lt.build_design(FORMULA, SLEEP)
    levels = [design.terms[0].levels[k % 18] for k in range(number)]
    data = extended(SLEEP.astype({"Subject": str}), "Subject", [str(level) for level in levels])
    same_model(sized(design, Subject=number), lt.build_design(FORMULA, data))


def test_nested_factors_get_new_levels_and_crossed_ones_stay():
    data = pd.DataFrame(product(range(3), range(2), range(4)), columns=["school", "class", "item"])
    data["y"] = np.random.default_rng(1).standard_normal(len(data))
    data = data.astype({"school": str, "class": str})
    formula = "y ~ 1 + (1 | school/class) + (1 | item)"
    design = lt.build_design(formula, data)
    bigger = sized(design, school=7)
    same_model(bigger, lt.build_design(formula, extended(data, "school", [str(k % 3) for k in range(7)])))
    assert bigger.ngroups == {"school:class": 14, "school": 7, "item": 4}
    more = sized(design, **{"school:class per school": 5})
    assert more.ngroups == {"school:class": 15, "school": 3, "item": 4} and len(more.y) == 60
    both = sized(design, school=5, **{"school:class per school": 3})
    assert both.ngroups == {"school:class": 15, "school": 5, "item": 4}
    items = sized(design, item=6)
    assert items.ngroups == {"school:class": 6, "school": 3, "item": 6} and len(items.y) == 36
    inner = sized(design, **{"school:class": 4})
    assert inner.ngroups["school"] == 3, "classes are left out evenly"


def test_rows_per_level_are_the_first_and_then_copies():
    data = pd.DataFrame({"g": list("aabbb"), "x": [1.0, 2, 3, 4, 5], "y": [0.0, 1, 3, 1, 2]})
    design = lt.build_design("y ~ x + (1 | g)", data, weights=data["x"])
    found = sized(design, **{"rows per g": 4})
    assert found.X[:, 1].tolist() == [1, 2, 1, 2, 3, 4, 5, 3] and found.weights.tolist() == found.X[:, 1].tolist()
    assert found.terms[0].codes.tolist() == [0] * 4 + [1] * 4
    assert sized(design, **{"rows per g": 1}).X[:, 1].tolist() == [1, 3]


@pytest.mark.parametrize("order", [list("aaaabbbbcccc"), list("abcabcabcabc"), list("aaaaaaaabbcc")])
def test_kinds_of_levels_keep_their_proportions(order):
    data = pd.DataFrame([(g, t, arm) for g, arm in enumerate(order) for t in range(2)], columns=["g", "t", "arm"])
    data["y"] = np.random.default_rng(1).standard_normal(len(data))
    for extra in ("", " + x"):  # a covariate that tells all levels apart leaves the arms
        data["x"] = np.random.default_rng(2).standard_normal(12)[data["g"]]
        design = lt.build_design(f"y ~ arm + t{extra} + (1 | g)", data)
        share = np.array([order.count(arm) for arm in "bc"]) / 12
        for number in (3, 6, 9, 12, 24, 30):
            mean = sized(design, g=number).X[:, 1:3].mean(axis=0)
            assert np.abs(mean - share).max() <= 1 / number


def test_residual_groups_go_with_their_levels():
    data = lt.load_dataset("Orthodont")
    design = lt.build_design("distance ~ age + (1 | Subject)", data, residual="ar1(age | Subject)")
    bigger = sized(design, Subject=40)
    assert len(bigger.correlation.levels) == 40 and len(np.unique(bigger.correlation.codes)) == 40
    assert sized(design, **{"rows per Subject": 3}).correlation.positions.shape == (81, 1)
    with pytest.raises(ModelError, match=r"copies would stand at the times of others, where `ar1\(age \| Subject\)`"):
        sized(design, **{"rows per Subject": 5})
    gls = lt.build_design("distance ~ age", data, residual="us(age | Subject)")
    assert len(sized(gls, Subject=50).correlation.levels) == 50


def test_related_levels_are_left_out_but_not_copied():
    data = pd.DataFrame(product(range(6), range(3)), columns=["id", "t"]).assign(y=lambda d: np.sin(d.index * 1.0))
    A = pd.DataFrame(0.5 * np.eye(6) + 0.5, range(6), range(6))
    design = lt.build_design("y ~ t + (1 | id)", data, known={"id": A})
    fewer = sized(design, id=4).terms[0]
    np.testing.assert_allclose(fewer.known_root @ fewer.known_root.T, A.to_numpy()[:4, :4], atol=1e-12)
    with pytest.raises(ModelError, match="a known covariance relates the levels of `id`"):
        sized(design, id=7)


TWELVE = pd.DataFrame(np.eye(12) + 0.2, range(12), range(12))
MODELS = {
    "gls": ("y ~ t", {"residual": "ar1(t | g)", "residual_params": {"ar1.phi": 0.5}}, "t", {"g": [6, 20]}),
    "least squares": ("y ~ t", {}, "t", {"rows": [10, 40]}),
    "ar1 ratio": ("y ~ t + (1 | g)", {"sd": {"g": 1}, "residual": "ar1(t | g)", "residual_params": {"ar1.phi": 0.3}},
                  "y ~ 1 + (1 | g)", {"g": [12]}),
    "weights, offset": ("y ~ t + (t | g)", {"sd": {"g": {"Intercept": 1, "t": 0.1}}, "weights": "w", "offset": "w"},
                        "t", {"g": [6, 14]}),
    "two terms": ("y ~ t + (1 | g) + (0 + t | g)", {"sd": {"g": 1, "g.1": 0.2}}, "y ~ t + (1 | g)", {"g": [12]}),
    "known": ("y ~ t + (1 | g)", {"sd": {"g": 1}, "known": {"g": TWELVE}}, "t", {"g": [6, 12]}),
    "singular": ("y ~ t + (t | g)", {"sd": {"g": {"Intercept": 0, "t": 0}}}, "t", None),
    "no fixed effects": ("y ~ 0 + (1 | g) + (0 + t | g)", {"sd": {"g": 1, "g.1": 1}, "fixef": None}, "y ~ 0 + (1 | g)",
                         None),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_has_power(name):
    formula, stated, test, sizes = MODELS[name]
    data = pd.DataFrame(product(range(12), range(5)), columns=["g", "t"])
    data["w"] = 1.0 + data["t"]
    plan = lt.planned(formula, data, **({"fixef": {"Intercept": 0, "t": 0.4}, "sigma": 1} | stated))
    found = lt.power(plan, test, sizes=sizes, n=12, rng=1)
    assert found["power"].between(0, 1).all() and (found["failed"] <= 2).all()
    assert found["n"].eq(12).all()
    if name == "singular":
        assert found["singular"].iloc[0] > 3 and "counted like all others" in repr(found)


def test_a_model_without_fixed_effects_has_no_coefficient_to_test():
    data = pd.DataFrame(product(range(12), range(5)), columns=["g", "t"])
    plan = lt.planned("y ~ 0 + (1 | g)", data, sd={"g": 1}, sigma=1)
    with pytest.raises(LMMError, match="neither a coefficient nor a term"):
        lt.power(plan, "t", rng=1)


@pytest.mark.parametrize("test", ["Days", "Reaction ~ 1 + (Days | Subject)"])
def test_studies_can_be_sent_to_other_processes(test):
    plan = sleep_plan()
    one = lt.power(plan, test, n=10, rng=1).p_values
    hypothesis = read_test(plan, test, "satterthwaite")
    sent = pickle.loads(pickle.dumps(Run(*hypothesis.at(()))))
    seed = seeds_of(np.random.SeedSequence(1, spawn_key=(crc32(b""),)), 1, "power")[0]
    found = [decision.p_value for decision in sent(np.random.default_rng(seed), 10)]
    np.testing.assert_array_equal(found, one[0])


BAD = {
    "no rng": ({"rng": None}, LMMError, "need rng="),
    "rng": ({"rng": "seed"}, LMMError, "got 'seed'"),
    "n": ({"n": 5}, LMMError, "n, the number of simulated studies, must be a whole number, at least 10; got 5"),
    "alpha": ({"alpha": 5}, LMMError, "alpha must lie between 0 and 1"),
    "ddf": ({"ddf": "kenward"}, LMMError, "ddf='kenward' is unknown"),
    "model": ({"model": FORMULA}, LMMError, "takes a plan made by planned, or a fit"),
    "no models": ({"model": {}}, LMMError, "empty mapping"),
    "unknown test": ({"test": "Day"}, LMMError, "test='Day' is neither a coefficient nor a term.*mean `Days`"),
    "no test": ({"test": None}, LMMError, "contrasts"),
    "weights of no coefficient": ({"test": {"a": {"Dayz": 1}}}, LMMError, "names `Dayz`"),
    "formula that cannot be read": ({"test": "Reaction ~ (1 | "}, FormulaError, None),
    "other response": ({"test": "Speed ~ 1 + (1 | Subject)"}, ModelError, "response is `Speed`, the plan's `Reaction`"),
    "not nested": ({"test": "Reaction ~ I(Days^2) + (Days | Subject)"}, ModelError, "neither is a special case"),
    "same model": ({"test": FORMULA}, ModelError, "the same model"),
    "column the plan lacks": ({"test": "Reaction ~ Age + (1 | Subject)"}, DataError, "reads `Age`, which the planned"),
    "sizes": ({"sizes": [10, 20]}, LMMError, "sizes takes grouping factors"),
    "no sizes": ({"sizes": {}}, LMMError, "sizes takes grouping factors"),
    "unknown factor": ({"sizes": {"subject": 10}}, LMMError, "sizes names 'subject'.*mean `Subject`"),
    "covariate": ({"sizes": {"Days": [5, 10]}}, LMMError, "sizes names 'Days', whose number cannot be varied"),
    "one level": ({"sizes": {"Subject": 1}}, LMMError, "at least 2; got 1"),
    "half a level": ({"sizes": {"Subject": [10.5]}}, LMMError, "whole numbers, at least 2; got 10.5"),
    "none": ({"sizes": {"Subject": []}}, LMMError, "is empty"),
    "a size twice": ({"sizes": {"Subject": [10, 10]}}, LMMError, "has a number twice"),
    "too small": ({"sizes": {"rows per Subject": [10, 2]}}, ModelError, "with 2 rows per Subject, "),
    "rank": ({"sizes": {"rows per Subject": 1}}, ModelError, "with 1 rows per Subject, `Days` has no estimate"),
    "rows": ({"sizes": {"rows": 10}}, LMMError, "`rows per Subject`"),
    "within itself": ({"sizes": {"Subject per Subject": 3}}, LMMError, "whose number cannot be varied"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_in_words(case):
    change, error, match = BAD[case]
    given = {"model": sleep_plan(), "test": "Days", "rng": 1, "n": 10} | change
    with pytest.raises(error, match=match):
        lt.power(given.pop("model"), given.pop("test"), **given)


def test_effects_and_parameters_that_no_row_shows_are_named():
    data = pd.DataFrame(product(range(12), "abc", range(2)), columns=["g", "f", "t"])
    sd = {"g": dict.fromkeys(("f[a]", "f[b]", "f[c]"), 1)}
    plan = lt.planned("y ~ t + (0 + f | g)", data, fixef={"Intercept": 0, "t": 1}, sd=sd, sigma=1)
    with pytest.raises(ModelError, match=r"with 4 rows per g, no row is left that shows `f\[c\]` of \(0 \+ f \| g\)"):
        lt.power(plan, "t", sizes={"rows per g": 4}, rng=1)
    stated = {"residual": "toep(t | g)", "residual_params": {"toep.rho[1]": 0.5, "toep.rho[2]": 0.3}}
    rows = pd.DataFrame(product(range(9), range(3)), columns=["g", "t"])
    plan = lt.planned("y ~ t", rows, fixef={"Intercept": 0, "t": 1}, sigma=1, **stated)
    with pytest.raises(ModelError, match=r"with 2 rows per g, `toep.rho\[2\]` cannot be estimated"):
        lt.power(plan, "t", sizes={"rows per g": [3, 2]}, rng=1)


def test_a_few_levels_are_told_with_their_factor():
    data = pd.DataFrame(product(range(6), range(3)), columns=["g", "t"]).assign(x=lambda d: d["g"].isin([0]) * 1.0)
    plan = lt.planned("y ~ x + (1 | g)", data, fixef={"Intercept": 0, "x": 1}, sd={"g": 1}, sigma=1)
    with pytest.raises(ModelError, match="with 2 levels of g, `x` has no estimate in these rows"):
        lt.power(plan, "x", sizes={"g": [2, 6]}, rng=1)


def test_more_refusals():
    plan, fit = sleep_plan(reml=False), lt.fit_lmm(FORMULA, SLEEP)
    with pytest.raises(ModelError, match="defined for REML"):
        lt.power(plan, "Days", ddf="kenward-roger", rng=1)
    with pytest.raises(ModelError, match="a fit does not keep its data"):
        lt.power(fit, "Reaction ~ 1 + (Days | Subject)", rng=1)
    with pytest.raises(ModelError, match="both need the same rows"):
        lt.power(fit, lt.fit_lmm("Reaction ~ 1 + (Days | Subject)", SLEEP[:100]), rng=1)
    with pytest.raises(ModelError, match="differ in their weights"):
        lt.power(fit, lt.fit_lmm("Reaction ~ 1 + (Days | Subject)", SLEEP, weights=np.ones(180)), rng=1)
    crossed = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    with pytest.raises(LMMError, match="do not lie within those of `plate`: they cross"):
        lt.power(crossed, "Intercept", sizes={"sample per plate": 3}, rng=1)
    nested = lt.fit_lmm("strength ~ 1 + (1 | batch/cask)", lt.load_dataset("Pastes"))
    with pytest.raises(LMMError, match="did you mean `batch:cask per batch`"):
        lt.power(nested, "Intercept", sizes={"cask per batch": 3}, rng=1)
    fitted = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="varpower(fitted())")
    with pytest.raises(ModelError, match="functions of the fitted values"):
        lt.power(fitted, "age", rng=1)
