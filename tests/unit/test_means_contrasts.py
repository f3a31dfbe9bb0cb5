"""Contrasts of marginal means: coefficients, adjustments, what they promise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr
from scipy.stats import studentized_range, t

import lmmtools as lt
from lmmtools.inference.means.adjust import adjusted, half_width
from lmmtools.inference.means.families import contrast_coefficients, level_labels
from lmmtools.inference.means.ranges import range_quantile, range_tail
from tests.unit.test_means import data


@pytest.fixture(scope="module")
def fit():
    return lt.fit_lmm("y ~ A * B + x + (1 | g)", data())


@pytest.fixture(scope="module")
def means(fit):
    return lt.marginal_means(fit, "A")


def test_columns_of_contrasts(fit):
    table = lt.marginal_means(fit, "A", by="B").contrasts()
    assert list(table.columns) == [
        "B", "contrast", "estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high"
    ]  # fmt: skip
    assert table["contrast"].tolist() == ["a - b", "a - c", "b - c"] * 2
    assert "adjusted by Tukey's method" in table.caption and "within B" in table.caption
    assert isinstance(table, lt.Frame)


def test_contrasts_are_those_of_the_means(means):
    estimate = means["estimate"].to_numpy()
    pairs = means.contrasts()
    np.testing.assert_allclose(pairs["estimate"], [estimate[a] - estimate[b] for a, b in ((0, 1), (0, 2), (1, 2))])
    np.testing.assert_allclose(means.contrasts("eff")["estimate"], estimate - estimate.mean())
    np.testing.assert_allclose(means.contrasts("consec")["estimate"], np.diff(estimate))
    assert means.contrasts("eff")["estimate"].sum() == pytest.approx(0.0, abs=1e-12)
    control = means.contrasts("trt.vs.ctrl", ref="b")
    assert control["contrast"].tolist() == ["a - b", "c - b"]
    np.testing.assert_allclose(control["estimate"], estimate[[0, 2]] - estimate[1])
    np.testing.assert_allclose(pairs.L @ means.rows.fit.beta, pairs["estimate"])


def test_polynomials_are_the_smallest_whole_numbers():
    _, C = contrast_coefficients("poly", list("abcde"), [(c,) for c in "abcde"])
    assert C.tolist() == [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]]
    names, C = contrast_coefficients("poly", list("abcdef"), [(c,) for c in "abcdef"])
    assert names == ["linear", "quadratic", "cubic", "quartic", "degree 5"]
    assert C[0].tolist() == [-5, -3, -1, 1, 3, 5]
    # spaced as the levels are: 0, 1, 3
    _, C = contrast_coefficients("poly", ["f0", "f1", "f3"], [("0",), ("1",), ("3",)])
    assert C.tolist() == [[-4, -1, 5], [2, -3, 1]]


def test_labels_tell_levels_apart():
    assert level_labels({"nitro": [0.0, 0.2]}) == ["nitro0", "nitro0.2"]
    assert level_labels({"A": ["a", "b"], "t": ["175", "185"]}) == ["a t175", "b t185"]
    assert level_labels({"A": ["a-b", "c"]}) == ["(a-b)", "c"]


def test_own_coefficients(means):
    estimate = means["estimate"].to_numpy()
    table = means.contrasts({"early": [0.5, 0.5, -1], "level": {"a": 1}, "ends": {"a": 1, "c": -1}})
    np.testing.assert_allclose(
        table["estimate"], [estimate[:2].mean() - estimate[2], estimate[0], estimate[0] - estimate[2]]
    )
    assert table["contrast"].tolist() == ["early", "level", "ends"]
    assert any("`level` do not sum to zero" in note for note in table.notes)
    assert "not adjusted for their number" in table.caption
    rows = means.contrasts(np.array([[1, -1, 0], [0, 1, -1]]), adjust="holm")
    assert rows["contrast"].tolist() == ["contrast 1", "contrast 2"]
    assert means.contrasts([1, -1, 0])["estimate"].tolist() == pytest.approx([estimate[0] - estimate[1]])


def test_keys_of_several_factors(fit):
    means = lt.marginal_means(fit, ["A", "B"])
    table = means.contrasts({"k": {("a", "u"): 1, "b v": -1}})
    assert table["estimate"].tolist() == pytest.approx([means["estimate"][0] - means["estimate"][4]])


def test_one_contrast_is_not_adjusted(fit):
    means = lt.marginal_means(fit, "B")
    tables = [means.contrasts(adjust=adjust) for adjust in ("tukey", "holm", "sidak", "none")]
    for table in tables:
        pd.testing.assert_frame_equal(pd.DataFrame(table), pd.DataFrame(tables[-1]))
        assert "adjusted" not in table.caption


@pytest.mark.parametrize("adjust", ["tukey", "holm", "bonferroni", "sidak", "none"])
def test_adjusted_intervals_and_p_values_agree(means, adjust):
    table = means.contrasts(adjust=adjust)
    clear = (table["ci_low"] > 0) | (table["ci_high"] < 0)
    if adjust != "holm":  # its intervals are Bonferroni's
        assert clear.tolist() == (table["p_value"] < 0.05).tolist()
    else:
        assert any("Bonferroni" in note for note in table.notes)
    alone = means.contrasts(adjust="none")
    assert (table["p_value"] >= alone["p_value"] - 1e-15).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 8), min_size=2, max_size=8), st.floats(1.5, 300), st.integers(3, 9))
def test_adjustments_from_their_definitions(statistics, nu, k):
    statistic = np.array(statistics)
    df, c = np.full(len(statistic), nu), len(statistic)
    p = 2 * t.sf(statistic, nu)
    np.testing.assert_allclose(adjusted(statistic, df, "bonferroni", k), np.minimum(c * p, 1), rtol=1e-10)
    np.testing.assert_allclose(adjusted(statistic, df, "sidak", k), 1 - (1 - p) ** c, rtol=1e-6, atol=1e-14)
    order = sorted(range(c), key=lambda i: p[i])
    holm = {i: max(min((c - j) * p[m], 1) for j, m in enumerate(order[: place + 1])) for place, i in enumerate(order)}
    np.testing.assert_allclose(adjusted(statistic, df, "holm", k), [holm[i] for i in range(c)], rtol=1e-10)
    np.testing.assert_allclose(half_width(df, "holm", k, 0.95), t.isf(0.025 / c, nu), rtol=1e-9)
    np.testing.assert_allclose(half_width(df, "sidak", k, 0.95), t.isf((1 - 0.95 ** (1 / c)) / 2, nu), rtol=1e-9)


@pytest.mark.parametrize("k", [2, 3, 7, 40])
@pytest.mark.parametrize("nu", [1.0, 2.6, 17.3, 400.0, np.inf])
def test_the_studentized_range_is_scipys(k, nu):
    q = np.array([0.3, 1.0, 3.1, 6.0, 11.0])
    np.testing.assert_allclose(range_tail(q, k, np.full(5, nu)), studentized_range.sf(q, k, nu), rtol=0, atol=2e-12)
    high = range_quantile(0.95, k, np.array([nu, nu]))
    assert high[0] == high[1]
    np.testing.assert_allclose(range_tail(high, k, np.full(2, nu)), 0.05, rtol=1e-10)


def test_quantiles_at_many_df_are_interpolated_to_rounding():
    df = np.append(np.linspace(2.5, 90.0, 60), np.inf)
    alone = np.concatenate([range_quantile(0.95, 5, df[k : k + 1]) for k in range(0, len(df), 6)])
    np.testing.assert_allclose(range_quantile(0.95, 5, df)[::6], alone, rtol=1e-10)


def test_the_range_of_two_is_a_t():
    q, df = np.array([0.1, 2.0, 5.0]), np.array([1.4, 30.0, 7.5])
    np.testing.assert_allclose(range_tail(q, 2, df), 2 * stdtr(df, -q / np.sqrt(2)), rtol=1e-12)


def test_tests_together_are_f_tests(fit, means):
    joint = means.contrasts().test()
    assert joint["num_df"].tolist() == [2]
    again = means.contrasts("eff").test()
    np.testing.assert_allclose(
        pd.DataFrame(joint)[["f_value", "den_df", "p_value"]], pd.DataFrame(again)[["f_value", "den_df", "p_value"]]
    )
    by = lt.marginal_means(fit, "A", by="B").contrasts().test()
    assert by["B"].tolist() == ["u", "v"]
    pair = lt.marginal_means(fit, "B").contrasts()
    assert pair.test()["f_value"].tolist() == pytest.approx((pair["statistic"] ** 2).tolist())
    assert pair.test()["p_value"].tolist() == pytest.approx(pair["p_value"].tolist())


def test_contrasts_of_what_is_not_estimable(fit):
    gone = lt.fit_lmm("y ~ A * B + x + (1 | g)", data(empty=True))
    table = lt.marginal_means(gone, "A", by="B").contrasts()
    assert table["estimate"].isna().tolist() == [False, False, False, False, True, True]
    assert any("Not estimable: `a - c (B = v)`, `b - c (B = v)`." in note for note in table.notes)
    # one pair is left, of two means
    alone = lt.marginal_means(gone, "A", by="B").contrasts(adjust="none")
    assert table["p_value"][3] == pytest.approx(alone["p_value"][3])
    assert table.test()["num_df"].tolist() == [2, 1]


def test_what_the_model_makes_equal_is_zero_and_has_no_test(fit):
    table = lt.marginal_means(fit, "B", trend="x").contrasts()
    assert table["estimate"].tolist() == [0.0]
    assert table["std_error"].tolist() == [0.0]
    assert np.isnan(table["p_value"][0])
    assert any("Zero by the model" in note for note in table.notes)


BAD = [
    (("pair",), {}, "did you mean `pairwise`"),
    ((5,), {}, "1 coefficient for 3 means"),
    (([1, -1],), {}, "2 coefficients for 3 means, `a`, `b`, `c`"),
    (([[1, -1, 0], [1, 0]],), {}, "`contrast 2` has 2 coefficients"),
    (([0, 0, 0],), {}, "all coefficients"),
    (([1, np.nan, 0],), {}, "not finite"),
    (({},), {}, "is empty"),
    (([],), {}, "no coefficients"),
    (({"k": {"z": 1}},), {}, "no mean for 'z'; there are `a`, `b`, `c`"),
    (({"k": ["a", "b", "c"]},), {}, "are no numbers"),
    (("eff",), {"adjust": "tukey"}, "for all pairwise differences"),
    ((), {"adjust": "fdr"}, "adjust='fdr' is unknown"),
    ((), {"by": "Q"}, "by='Q' is no column"),
    ((), {"ref": "a"}, "ref names the control"),
    (("trt.vs.ctrl",), {"ref": "z"}, "no mean for 'z'"),
    ((), {"by": "A"}, "nothing to compare"),
]


@pytest.mark.parametrize(("args", "options", "says"), BAD)
def test_bad_contrasts_say_what_is_wrong(means, args, options, says):
    with pytest.raises(lt.LMMError, match=says):
        means.contrasts(*args, **options)


def test_a_part_of_the_contrasts_has_no_joint_test(means):
    with pytest.raises(lt.LMMError, match="part or a changed copy"):
        means.contrasts().iloc[:2].test()


@pytest.mark.parametrize("nu", [1e-12, 1e-7, 1e-3, 0.0499, 0.0501, 0.1])
def test_the_range_of_two_is_a_t_at_next_to_no_degrees_of_freedom(nu):
    """Satterthwaite's can be 1e-7; the grid of log s must not grow with 1/df."""
    q = np.array([0.5, 3.0, 100.0, 1e30])
    np.testing.assert_allclose(range_tail(q, 2, np.full(4, nu)), 2 * stdtr(nu, -q / np.sqrt(2)), rtol=1e-9)
    assert range_quantile(0.95, 3, np.array([nu]))[0] > range_quantile(0.95, 3, np.array([1.0]))[0]
