"""Linear functions of the fixed effects: what may be asked, by which method, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution
from scipy.stats import norm, t

import lmmtools as lt
from lmmtools.inference.contrasts import DDF, f_test, linear_functions, t_quantile, two_sided


@pytest.fixture(scope="module")
def fit():
    data = lt.load_dataset("Orthodont")
    return lt.fit_lmm("distance ~ age * Sex + (age | Subject)", data[~data.index.isin([0, 5, 17, 40, 41, 99])])


NAMES = ["Intercept", "age", "Sex[T.Female]", "age:Sex[T.Female]"]


def test_names_mappings_matrices_and_frames_are_one(fit):
    girls = {"age": 1, "age:Sex[T.Female]": 1}
    ways = [{"girls": girls}, [[0, 1, 0, 1]], pd.DataFrame([girls], index=["girls"]).fillna(0.0), [0, 1, 0, 1]]
    tables = [fit.test(way, joint=False) for way in ways]
    for table in tables[1:]:
        np.testing.assert_array_equal(table.to_numpy(), tables[0].to_numpy())
    assert [table.index[0] for table in tables] == ["girls", "age + age:Sex[T.Female]", "girls",
                                                    "age + age:Sex[T.Female]"]  # fmt: skip
    assert fit.test("age", joint=False).equals(fit.test(["age"], joint=False))


def test_coefficients_are_their_own_contrasts(fit):
    table = fit.test(np.eye(4), joint=False)
    np.testing.assert_allclose(table.to_numpy(), fit.coef_table().to_numpy())


@pytest.mark.parametrize("ddf", DDF)
def test_one_row_has_f_of_t_squared(fit, ddf):
    alone = fit.test("age", ddf=ddf, joint=False).iloc[0]
    joint = fit.test("age", ddf=ddf).iloc[0]
    assert joint["f_value"] == pytest.approx(alone["statistic"] ** 2, rel=1e-9)
    assert joint["p_value"] == pytest.approx(alone["p_value"], rel=1e-6)
    assert joint["num_df"] == 1
    assert joint["den_df"] == pytest.approx(alone["df"], rel=1e-9)


def test_a_joint_test_does_not_depend_on_how_its_rows_are_written(fit):
    L = np.array([[0, 1, 0, 0], [0, 0, 0, 1.0]])
    both, mixed = f_test(fit, L, "kenward-roger"), f_test(fit, np.array([[2.0, 1], [1, 5]]) @ L, "kenward-roger")
    assert (both.f_value, both.den_df) == pytest.approx((mixed.f_value, mixed.den_df), rel=1e-8)
    repeated = f_test(fit, np.vstack([L, L.sum(axis=0)]), "satterthwaite")
    assert repeated.num_df == 2
    assert repeated.f_value == pytest.approx(f_test(fit, L, "satterthwaite").f_value)
    said = fit.test(np.vstack([L, L.sum(axis=0)]))
    assert "Of 3 functions 2 are independent." in said.notes


@pytest.mark.parametrize("ddf", DDF)
@pytest.mark.parametrize("unit", [1e-5, 1e6])
def test_units_of_a_covariate_change_no_test(ddf, unit):
    data = lt.load_dataset("sleepstudy").iloc[:-7]
    tests = []
    for scale in (1.0, unit):
        made = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data.assign(Days=data["Days"] * scale))
        tests.append(f_test(made, np.eye(2), ddf))
    assert tests[0].num_df == tests[1].num_df == 2
    assert tests[1].f_value == pytest.approx(tests[0].f_value, rel=1e-5)


def test_p_values_are_of_their_distributions(fit):
    found = f_test(fit, np.eye(4)[1:], "satterthwaite")
    assert found.p_value == pytest.approx(f_distribution.sf(found.f_value, 3, found.den_df))
    np.testing.assert_allclose(t_quantile([3.5, np.inf, np.nan], 0.9), [t.ppf(0.95, 3.5), norm.ppf(0.95), np.nan])
    np.testing.assert_allclose(two_sided([-2.0, 2.0, 1.0], [3.5, np.inf, np.nan]),
                               [2 * t.sf(2, 3.5), 2 * norm.sf(2), np.nan])  # fmt: skip


def test_against_another_value_the_interval_stays(fit):
    zero, one = (fit.test("age", joint=False, rhs=rhs).iloc[0] for rhs in (0.0, 0.7))
    assert (one["ci_low"], one["estimate"]) == (zero["ci_low"], zero["estimate"])
    assert one["statistic"] == pytest.approx((one["estimate"] - 0.7) / one["std_error"])


def test_satterthwaite_and_kenward_roger_never_exceed_the_rows(fit):
    for ddf in ("satterthwaite", "kenward-roger"):
        assert np.all(linear_functions(fit, np.eye(4), ddf).df < fit.nobs)


def test_by_ml_kenward_roger_is_refused_and_satterthwaite_says_what_is_missing(fit):
    by_ml = fit.refit(reml=False)
    with pytest.raises(lt.ModelError, match=r"defined for REML.*fit\.refit\(reml=True\)"):
        by_ml.coef_table(ddf="kenward-roger")
    assert "REML does not" in by_ml.test("age").notes[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"contrasts": [1, 2]}, "need 4 numbers a row.*got 2"),
        ({"contrasts": {"a": {"agee": 1}}}, "names `agee`, which is no coefficient.*did you mean `age`"),
        ({"contrasts": {"a": {"age": "1"}}}, "must be a number; got '1'"),
        ({"contrasts": {"a": [1, 2]}}, "`a` needs 4 numbers.*got 2"),
        ({"contrasts": ["agee"]}, "did you mean `age`"),
        ({"contrasts": [0, 0, 0, 0]}, "all zero"),
        ({"contrasts": [np.nan, 0, 0, 0]}, "not finite"),
        ({"contrasts": []}, "none were given|need 4 numbers"),
        ({"contrasts": object()}, "must be numbers, or names"),
        ({"contrasts": "age", "ddf": "kr"}, '"satterthwaite", "kenward-roger"'),
        ({"contrasts": "age", "ddf": "kenward_roger"}, "did you mean `kenward-roger`"),
        ({"contrasts": "age", "rhs": 1.0}, "use joint=False"),
        ({"contrasts": "age", "rhs": [1, 2], "joint": False}, "rhs must be a finite number; got"),
        ({"contrasts": "age", "joint": "yes"}, "True or False"),
        ({"contrasts": "age", "joint": False, "level": 95}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked(fit, asked, said):
    with pytest.raises(lt.LMMError, match=said):
        fit.test(**asked)


def test_rows_of_one_name_and_series_are_taken_as_they_are(fit):
    rows = pd.DataFrame([{"age": 1.0}, {"age": 2.0}], index=["same", "same"])
    table = fit.test(rows, joint=False)
    assert table.index.tolist() == ["same", "same"]
    assert table["estimate"].iloc[1] == pytest.approx(2 * table["estimate"].iloc[0])
    assert fit.test(pd.Series({"age": 1.0}, name="slope"), joint=False).equals(
        fit.test({"slope": {"age": 1}}, joint=False)
    )


@pytest.mark.parametrize("contrasts", [None, np.ones((2, 2, 4)), {"q": ["a"] * 4}, {"q": None}])
def test_what_holds_no_weights_is_refused(fit, contrasts):
    with pytest.raises(lt.LMMError, match="contrasts"):
        fit.test(contrasts)


@pytest.mark.parametrize("rhs", [np.nan, "x", [1, 2]])
def test_a_right_side_is_a_finite_number(fit, rhs):
    with pytest.raises(lt.LMMError, match="rhs must be a finite number; got"):
        fit.test("age", joint=False, rhs=rhs)


@pytest.mark.parametrize("ddf", DDF)
def test_all_coefficients_are_tested_however_far_from_zero_a_covariate_is(ddf):
    """Year 1,000,000: intercept and slope are collinear to twelve digits, and still two."""
    data = lt.load_dataset("sleepstudy").iloc[:-7]
    near, far = (
        lt.fit_lmm("Reaction ~ Days + I(Days ** 2) + (1 | Subject)", data.assign(Days=data["Days"] + shift))
        for shift in (0.0, 1e6)
    )
    one, other = f_test(near, np.eye(3), ddf), f_test(far, np.eye(3), ddf)
    assert one.num_df == other.num_df == 3
    assert other.f_value == pytest.approx(one.f_value, rel=1e-6)
    rows = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [2, 1, 1]])
    assert f_test(far, rows, ddf).num_df == 3


def test_without_fixed_effects_there_is_nothing_to_test():
    none = lt.fit_lmm("Reaction ~ 0 + (1 | Subject)", lt.load_dataset("sleepstudy"))
    with pytest.raises(lt.LMMError, match="no fixed effects"):
        none.test([1])
    assert none.anova().notes[0] == "The fixed part has no terms, so there is nothing to test."


def test_options_of_the_bootstrap_are_named(fit):
    with pytest.raises(lt.LMMError, match=r"sample is no option of the bootstrap \(did you mean `resample`"):
        fit.confint("bootstrap", n=50, rng=1, sample="cluster")


def test_quantiles_of_next_to_no_degrees_of_freedom_are_infinite():
    assert t_quantile([1e-7, 1e-3], 0.95).tolist() == [np.inf, np.inf]
    assert t_quantile(0.1, 0.95) == pytest.approx(t.ppf(0.975, 0.1), rel=1e-9)
