"""Exploration: sums of squares, lines and estimators from their definitions; words, verdicts and bad input."""

import json
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.explore.crossing import crossing_of
from lmmtools.explore.lines import lines_of
from lmmtools.explore.variables import Variable
from lmmtools.explore.variation import anova_icc, split

TABLES = (
    "structure missing missing_response groups balance design crossing variation slopes regressions candidates "
    "response outliers"
).split()
FORMULAS = {
    "Orthodont": "distance ~ age * Sex + (age | Subject)",
    "Penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "Pastes": "strength ~ 1 + (1 | batch/cask)",
    "Oats": "yield ~ nitro * Variety + (1 | Block/Variety)",
    "Machines": "score ~ Machine + (Machine | Worker)",
    "MathAchieve": "MathAch ~ cses * Sector + MEANSES + (cses | School)",
}


@pytest.fixture(scope="module")
def found():
    return {name: lt.explore_data(lt.load_dataset(name), formula) for name, formula in FORMULAS.items()}


def verdicts(exploration):
    return dict(zip(exploration.candidates["term"], exploration.candidates["verdict"], strict=True))


# --- numbers from their definitions -------------------------------------------------------------------


@st.composite
def unbalanced(draw):
    """Random unbalanced groups with values missing here and there, some groups of one row."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=8))
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = rng.integers(0, 4, len(codes)) + draw(st.sampled_from([0.0, 1e3])) + rng.choice([0.0, 0.25], len(codes))
    y = 10 * rng.normal(size=len(codes)) + codes + draw(st.sampled_from([0.0, 1e4]))
    gone = rng.random(len(codes)) < draw(st.sampled_from([0.0, 0.2]))
    f = rng.integers(-1 if gone.any() else 0, 3, len(codes))
    return codes, np.where(gone, np.nan, x), y, f


def variables(codes, x, y, f):
    levels = pd.Index([f"g{i}" for i in range(codes.max() + 1)])
    return (
        Variable("g", "factor", codes, levels),
        Variable("x", "number", x),
        Variable("y", "number", y),
        Variable("f", "factor", f, pd.Index(["a", "b", "c"])),
    )


@given(unbalanced())
def test_sums_of_squares_are_those_of_the_definition(data):
    codes, x, y, f = data
    g, *columns = variables(codes, x, y, f)
    for column in columns:
        here = column.present
        found = split(column, g)
        indicators = column.values[here][:, None]
        if not column.is_number:
            indicators = (indicators == np.arange(3)).astype(float)
        total = between = within = 0.0
        varying = 0
        for values in indicators.T:
            if not len(values):
                continue
            total += np.sum((values - values.mean()) ** 2)
            for group in np.unique(codes[here]):
                mine = values[codes[here] == group]
                between += len(mine) * (mine.mean() - values.mean()) ** 2
                within += np.sum((mine - mine.mean()) ** 2)
        varying = sum(len(np.unique(column.values[here & (codes == group)])) > 1 for group in np.unique(codes[here]))
        size = {"rtol": 1e-9, "atol": 1e-9 * total + 1e-11}
        np.testing.assert_allclose([found.total, found.between, found.within], [total, between, within], **size)
        assert found.varying == varying
        assert found.rows == here.sum()


@given(unbalanced())
def test_lines_are_least_squares_with_one_variance(data):
    codes, x, y, f = data
    g, cx, cy, _ = variables(codes, x, y, f)
    lines = lines_of(cy, cx, g, 0.9)
    here = ~np.isnan(x)
    rss, dof, expected, without = 0.0, 0, {}, []
    for group in np.unique(codes[here]):
        mine = here & (codes == group)
        X = np.column_stack([np.ones(mine.sum()), x[mine]])
        if len(np.unique(x[mine])) < 2:
            without.append(f"g{group}")
            continue
        beta = np.linalg.lstsq(X, y[mine], rcond=None)[0]
        rss += np.sum((y[mine] - X @ beta) ** 2)
        dof += mine.sum() - 2
        expected[f"g{group}"] = beta, np.linalg.inv(X.T @ X)
    assert lines.without == tuple(without)
    assert lines.dof == dof
    for row in lines.table.itertuples():
        beta, inverse = expected[row.level]
        np.testing.assert_allclose([row.intercept, row.slope], beta, rtol=1e-6, atol=1e-5)
        if dof and rss > 1e-6:
            se = np.sqrt(rss / dof * np.diag(inverse))
            np.testing.assert_allclose([row.intercept_se, row.slope_se], se, rtol=1e-5)
            from scipy.stats import t

            np.testing.assert_allclose(row.slope_high - row.slope, t.ppf(0.95, dof) * row.slope_se, rtol=1e-9)
    if len(expected) > 1 and dof and rss > 1e-6:
        b = np.array([beta[1] for beta, _ in expected.values()])
        w = 1 / np.array([rss / dof * inverse[1, 1] for _, inverse in expected.values()])
        q, k = np.sum(w * (b - w @ b / w.sum()) ** 2), len(b) - 1
        np.testing.assert_allclose(lines.pooled, w @ b / w.sum(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(lines.heterogeneity, q / k, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            lines.slope_variance, (q - k) / (w.sum() - np.sum(w**2) / w.sum()), rtol=1e-3, atol=1e-4
        )


@given(unbalanced())
def test_the_anova_estimator_is_that_of_the_mean_squares(data):
    codes, x, y, f = data
    g, _, cy, _ = variables(codes, x, y, f)
    sizes = np.bincount(codes)
    J, n = len(sizes), len(codes)
    found = anova_icc(cy, g)
    if n == J:
        assert np.isnan(found)
        return
    means = np.array([y[codes == j].mean() for j in range(J)])
    msb = np.sum(sizes * (means - y.mean()) ** 2) / (J - 1)
    msw = sum(np.sum((y[codes == j] - means[j]) ** 2) for j in range(J)) / (n - J)
    n0 = (n - np.sum(sizes**2) / n) / (J - 1)
    np.testing.assert_allclose(found, (msb - msw) / (msb + (n0 - 1) * msw), rtol=1e-6, atol=1e-9)


def test_the_moment_estimate_finds_the_variance_of_the_slopes():
    rng = np.random.default_rng(11)
    estimates = []
    for _ in range(300):
        codes = np.repeat(np.arange(12), rng.integers(3, 9, 12))
        x = rng.normal(size=len(codes))
        y = rng.normal(1.0, 0.7, 12)[codes] * x + rng.normal(size=len(codes))
        g, cx, cy, _ = variables(codes, x, y, codes % 3)
        estimates.append(lines_of(cy, cx, g, 0.95).slope_variance)
    assert np.mean(estimates) == pytest.approx(0.49, abs=4 * np.std(estimates) / np.sqrt(300))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30))
def test_crossing_is_what_brute_force_says(pairs):
    a, b = (np.unique(v, return_inverse=True)[1] for v in np.array(pairs).T)
    levels = [pd.Index([f"{name}{i}" for i in range(v.max() + 1)]) for name, v in (("a", a), ("b", b))]
    found = crossing_of(Variable("a", "factor", a, levels[0]), Variable("b", "factor", b, levels[1]))
    occur = set(zip(a, b, strict=True))
    in_b = all(len({q for p, q in occur if p == i}) == 1 for i in set(a))
    in_a = all(len({p for p, q in occur if q == j}) == 1 for j in set(b))
    full = occur == set(product(set(a), set(b)))
    expected = (
        "the same groups" if in_a and in_b else "nested" if in_a or in_b else "fully crossed" if full
        else "partially crossed"
    )  # fmt: skip
    assert found.relation == expected
    assert len(found.counts) == len(occur)
    assert found.counts.sum() == len(pairs)
    if expected == "nested":
        assert found.first == ("a" if in_b else "b")


# --- known data ---------------------------------------------------------------------------------------


def test_orthodont(found):
    e = found["Orthodont"]
    assert verdicts(e) == dict.fromkeys(
        ("(1 | Subject)", "(1 + age | Subject)", "diag(1 + age | Subject)"), "estimable"
    )
    varies = e.variation.set_index("column")["how"]
    assert varies["age"] == "within groups only"
    assert varies["Sex"] == "between groups only"
    assert e.balance.set_index("covariate").loc["age", "how"] == "the same in every group"
    assert e.outliers["row"].tolist() == ["34", "33"]  # the boy whose distance falls by a centimetre
    assert e.design.iloc[:, 1:].to_numpy().tolist() == [[16, 11]] * 4
    assert lt.explore_data(lt.load_dataset("Orthodont"), e.formula).design_sha256 == e.design_sha256


def test_relations_of_factors(found):
    assert [c.relation for c in found["Penicillin"].crossings] == ["fully crossed"]
    assert list(verdicts(found["Penicillin"])) == ["(1 | plate)", "(1 | sample)", "(1 | plate) + (1 | sample)"]
    (pastes,) = found["Pastes"].crossings
    assert (pastes.first, pastes.second, pastes.relation) == ("batch:cask", "batch", "nested")
    assert verdicts(found["Pastes"])["(1 | batch:cask) + (1 | batch)"] == "estimable"


def test_labels_used_again_are_asked_about():
    crossed = lt.explore_data(lt.load_dataset("Pastes"), "strength ~ 1 + (1 | batch) + (1 | cask)")
    assert any("(1 | batch/cask)" in message for message in crossed.messages)
    nested = lt.explore_data(lt.load_dataset("Pastes"), FORMULAS["Pastes"])
    assert not any("used again" in message for message in nested.messages)


def test_the_candidates_are_judged_as_a_fit_judges_them(found):
    """What is called not estimable is refused by a fit, and what is called estimable is not."""
    machines = lt.load_dataset("Machines").drop_duplicates(["Worker", "Machine"])
    e = lt.explore_data(machines, "score ~ Machine + (Machine | Worker)")
    judged = verdicts(e)
    assert judged["(1 + Machine | Worker)"] == "not estimable"
    assert judged["(1 | Worker)"] == "estimable"
    with pytest.raises(lt.ModelError, match="cannot be told from the residual variance"):
        lt.fit_lmm("score ~ Machine + (Machine | Worker)", machines)
    assert lt.fit_lmm("score ~ Machine + (1 | Worker)", machines).nobs == 18


def test_levels_told_apart_are_those_of_full_rank():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(30), rng.integers(1, 6, 30))
    data = pd.DataFrame({"g": g, "x": rng.integers(0, 3, len(g)), "z": rng.normal(size=len(g))})
    data["y"] = rng.normal(size=len(g))
    e = lt.explore_data(data, "y ~ x + z + (x + z | g)")
    told = dict(zip(e.candidates["term"], e.candidates["told"], strict=True))
    for names, term in ((["x"], "(1 + x | g)"), (["z"], "(1 + z | g)"), (["x", "z"], "(1 + x + z | g)")):
        full = [
            np.linalg.matrix_rank(np.column_stack([np.ones(len(rows)), rows[names]])) == 1 + len(names)
            for _, rows in data.groupby("g")
        ]
        assert 0 < sum(full) < 30
        assert told[term].split() == [str(sum(full)), "of", "30"]


def test_few_levels_are_weak():
    data = lt.load_dataset("Orthodont")
    data = data[data["Subject"].isin(["M01", "M02", "F01"])]
    e = lt.explore_data(data, "distance ~ age + (age | Subject)")
    assert set(e.candidates["verdict"]) == {"weak"}
    assert any("3 levels" in message for message in e.messages)


def test_groups_of_one_row():
    data = pd.DataFrame({"y": np.arange(8.0) ** 2, "x": np.arange(8.0), "g": list("abcdefgh")})
    e = lt.explore_data(data, "y ~ x + (x | g)")
    assert set(e.candidates["verdict"]) == {"not estimable"}
    assert any("every level of `g` has one row" in message for message in e.messages)
    assert len(e.regressions) == 0


def test_groups_without_a_line_are_named():
    data = lt.load_dataset("Orthodont")
    data = data[(data["Subject"] != "M05") | (data["age"] == 8)]
    e = lt.explore_data(data, "distance ~ age + (age | Subject)")
    assert e.lines[0].without == ("M05",)
    assert any("`M05`" in message and "without a line" in message for message in e.messages)
    assert any("seen in one row" in message for message in e.messages)


def test_factors_written_in_the_formula():
    e = lt.explore_data(lt.load_dataset("sleepstudy"), "log(Reaction) ~ factor(Days) + (1 | Subject)")
    kinds = e.structure.set_index("column")["kind"]
    assert kinds["Days"] == "factor"
    assert kinds["log(Reaction)"] == "number"
    assert len(e.lines) == 0
    both = lt.explore_data(lt.load_dataset("sleepstudy"), "Reaction ~ factor(Days) + Days + (Days | Subject)")
    assert both.structure.set_index("column").loc["Days", "kind"] == "number"


def test_another_scale_only_where_the_numbers_show_it(found):
    assert not any("skewed" in message for e in found.values() for message in e.messages)
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(20), 15)
    y = np.exp(0.3 * rng.normal(size=20)[g] + rng.normal(size=300))
    e = lt.explore_data(pd.DataFrame({"y": y, "g": g}), "y ~ 1 + (1 | g)")
    assert any("logarithm is less so" in message and "may suit" in message for message in e.messages)
    negative = lt.explore_data(pd.DataFrame({"y": y - 1, "g": g}), "y ~ 1 + (1 | g)")
    assert not any("skewed" in message for message in negative.messages)


def test_rows_entered_twice():
    data = lt.load_dataset("Orthodont")
    e = lt.explore_data(pd.concat([data, data.iloc[[4]]], ignore_index=True), FORMULAS["Orthodont"])
    assert e.facts["replicates"] == {"rows": 2, "cells": 1, "identical": 1}
    assert any("entered twice" in message for message in e.messages)


# --- missing values, and data that are hardly there ---------------------------------------------------


def holes(share=0.1):
    rng = np.random.default_rng(2)
    data = lt.load_dataset("Orthodont").astype({"age": float, "Subject": object, "Sex": object})
    for name in data:
        data.loc[rng.random(len(data)) < share, name] = np.nan
    return data


def test_missing_values_are_counted_and_nothing_is_lost_over_them():
    data = holes()
    e = lt.explore_data(data, FORMULAS["Orthodont"])
    assert e.missing["rows"].sum() == 108
    assert e.missing["rows"].is_monotonic_decreasing
    assert e.structure.set_index("column")["missing"].to_dict() == {
        name: int(data[name].isna().sum()) for name in ("distance", "age", "Sex", "Subject")
    }
    assert e.summary()["complete_rows"] == len(data.dropna())
    assert len(e.missing_response) == 3
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", data.dropna())
    assert fit.nobs == e.summary()["complete_rows"]


def test_a_missing_response_that_goes_with_a_covariate_is_said():
    data = lt.load_dataset("Orthodont")
    data.loc[(data["age"] == 14) & (data["Sex"] == "Male"), "distance"] = np.nan
    e = lt.explore_data(data, FORMULAS["Orthodont"])
    table = e.missing_response.set_index("column")
    assert table.loc["age", "missing"] == 14
    assert table.loc["Sex", "missing"] in (0, 1)
    assert "goes with" in str(lt.prose.exploration_missing(e))


def test_no_complete_row():
    data = lt.load_dataset("Orthodont").astype({"age": float})
    data.loc[::2, "age"] = np.nan
    data.loc[1::2, "Sex"] = None
    e = lt.explore_data(data, FORMULAS["Orthodont"])
    assert e.messages[0].startswith("None of the 108 rows is complete")
    assert set(e.candidates["verdict"]) == {"not estimable"}
    assert len(e.regressions) == 27


ODD = {
    "no groups": ("Orthodont", "distance ~ age + Sex"),
    "nothing at all": ("Orthodont", "distance ~ 1"),
    "categories only": ("Machines", "score ~ Machine + (1 | Worker)"),
    "offset": ("Orthodont", "distance ~ Sex + offset(age) + (1 | Subject)"),
    "structures": ("cake", "angle ~ temp + ar1(temperature | replicate)"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_formulas_have_every_table_and_word(case):
    name, formula = ODD[case]
    every_word_and_picture(lt.explore_data(lt.load_dataset(name), formula))


def one_group():
    return lt.load_dataset("Orthodont").query("Subject == 'M01'")


@pytest.mark.parametrize("data", [one_group, holes], ids=["one group", "holes"])
def test_odd_data_have_every_table_and_word(data):
    every_word_and_picture(lt.explore_data(data(), "distance ~ age * Sex + (age | Subject)"))


def test_no_group_with_two_responses():
    data = lt.load_dataset("Orthodont")
    data.loc[data["age"] > 8, "distance"] = np.nan
    e = lt.explore_data(data, "distance ~ age + (age | Subject)")
    assert e.lines == ()
    every_word_and_picture(e)


def test_a_column_missing_throughout():
    data = lt.load_dataset("Orthodont").assign(z=np.nan, f=pd.Series([None] * 108, dtype=object))
    every_word_and_picture(lt.explore_data(data, "distance ~ age + z + (1 | Subject) + (1 | f)"))


def every_word_and_picture(e):
    assert all(isinstance(getattr(e, name), lt.Frame) for name in TABLES)
    json.dumps(e.summary(), allow_nan=False)
    for name in TABLES:
        shown = lt.prose.exploration_table(e, name)
        assert shown is None or shown.table().html()
    for word in ("candidates", "groups", "lines", "missing", "response", "summary", "variation"):
        assert len(str(getattr(lt.prose, f"exploration_{word}")(e))) > 20
    assert repr(e)
    for plot in ("response", "group_sizes", "missing", "crossing", "within_between", "group_lines", "slopes"):
        assert lt.figure(getattr(lt.plots, plot), e).alt


def test_polars_and_pyarrow_are_read():
    import pyarrow as pa

    data = lt.load_dataset("Orthodont").astype({"Subject": str, "Sex": str})
    plain, arrow = (lt.explore_data(d, FORMULAS["Orthodont"]) for d in (data, pa.Table.from_pandas(data)))
    pd.testing.assert_frame_equal(pd.DataFrame(plain.variation), pd.DataFrame(arrow.variation))


def test_shuffled_rows_change_no_number(found):
    data = lt.load_dataset("Oats").sample(frac=1, random_state=3)
    shuffled = lt.explore_data(data, FORMULAS["Oats"])
    for name in ("variation", "slopes", "candidates", "crossing", "groups", "structure"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(getattr(shuffled, name)), pd.DataFrame(getattr(found["Oats"], name)), rtol=1e-9, atol=1e-9
        )


# --- errors -------------------------------------------------------------------------------------------

BAD = {
    "distance ~ agee + (1 | Subject)": "no column `agee` .did you mean `age`",
    "Sex ~ age + (1 | Subject)": "response `Sex` is not numeric",
    "distance ~ age + (1 | Subjects)": "did you mean `Subject`",
    "distance + age": "has no `~`",
}


@pytest.mark.parametrize("formula", BAD)
def test_mistakes_have_their_sentences(formula):
    with pytest.raises(lt.LMMError, match=BAD[formula]):
        lt.explore_data(lt.load_dataset("Orthodont"), formula)


def test_no_rows_and_no_frame():
    with pytest.raises(lt.DataError, match="have no rows"):
        lt.explore_data(lt.load_dataset("Orthodont").iloc[:0], "distance ~ age")
    with pytest.raises(lt.DataError, match="not a data frame"):
        lt.explore_data([1, 2], "distance ~ age")
    with pytest.raises(lt.DataError, match="`z` is infinite in 1 of 108 rows, first in row 0"):
        lt.explore_data(lt.load_dataset("Orthodont").assign(z=[np.inf] + [0.0] * 107), "distance ~ z")
    with pytest.raises(lt.DataError, match="do not fit double precision"):
        lt.explore_data(lt.load_dataset("Orthodont").assign(z=np.logspace(0, 200, 108)), "distance ~ z")
    with pytest.raises(lt.LMMError, match="level must lie"):
        lt.explore_data(lt.load_dataset("Orthodont"), "distance ~ age", level=95)


@pytest.mark.parametrize(("group", "words"), [("one", "1 level"), ("none", "no level: every value is missing")])
def test_groups_that_cannot_differ(group, words):
    data = lt.load_dataset("Orthodont").assign(one="a", none=None)
    formula = f"distance ~ age + (1 | {group})"
    said = f"`{group}` has {words}, so nothing can differ between its groups; a fit refuses it."
    assert said in lt.explore_data(data, formula).messages
    with pytest.raises(lt.LMMError):
        lt.fit_lmm(formula, data)


def test_a_table_that_is_none():
    e = lt.explore_data(lt.load_dataset("Dyestuff"), "Yield ~ 1 + (1 | Batch)")
    with pytest.raises(lt.LMMError, match="no table `variaton` .did you mean `variation`"):
        lt.prose.exploration_table(e, "variaton")


def test_it_is_frozen_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        e = lt.explore_data(lt.load_dataset("Dyestuff2"), "Yield ~ 1 + (1 | Batch)")
    with pytest.raises(AttributeError):
        e.formula = "y ~ 1"
    with pytest.raises(TypeError):
        e.facts["icc"] = {}
    assert e.kind == "exploration"


def test_sentences_say_no_more_than_the_numbers():
    below = str(lt.prose.exploration_response(lt.explore_data(lt.load_dataset("Dyestuff2"), "Yield ~ 1 + (1 | Batch)")))
    assert "before any covariate, is −0.097 by Batch; below zero, groups differ less than" in below
    growth = lt.load_dataset("Orthodont")
    growth.loc[3, "distance"] = np.nan
    e = lt.explore_data(growth, "distance ~ age + (age | Subject)")
    assert "108 rows, 107 of them complete" in str(lt.prose.exploration_summary(e))
    assert "below zero" not in str(lt.prose.exploration_response(e))
    ratings = lt.explore_data(lt.load_dataset("MathAchieve"), "MathAch ~ SES + Sex + Minority + MEANSES + (1 | School)")
    assert "points per unit." in str(lt.prose.exploration_lines(ratings))
    said = str(lt.prose.exploration_candidates(ratings))
    n = len(ratings.candidates)
    assert n <= 6 or f"identifies all {n} candidates" in said or f"of the {n} candidates" in said
