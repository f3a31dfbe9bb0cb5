"""Marginal means: what they are averages of, and what has none."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt


def data(seed=1, n=96, empty=False):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "g": rng.integers(0, 12, n).astype(str),
            "A": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
            "B": rng.choice(["u", "v"], n, p=[0.7, 0.3]),
            "x": rng.uniform(1, 9, n).round(2),
            "o": rng.normal(size=n).round(2),
        }
    )
    frame["y"] = rng.normal(size=n) + rng.normal(size=12)[frame["g"].astype(int)] + frame["x"] * (frame["A"] == "b")
    return frame[~((frame["A"] == "c") & (frame["B"] == "v"))] if empty else frame


@pytest.fixture(scope="module")
def fit():
    return lt.fit_lmm("y ~ A * B + poly(x, 2) + (1 | g)", data())


@pytest.fixture(scope="module")
def empty():
    return lt.fit_lmm("y ~ A * B + x + (1 | g)", data(empty=True))


def test_columns_and_order(fit):
    means = lt.marginal_means(fit, "A", by="B")
    assert list(means.columns) == ["A", "B", "estimate", "std_error", "df", "ci_low", "ci_high"]
    assert means["A"].tolist() == ["a", "b", "c"] * 2
    assert means["B"].tolist() == ["u"] * 3 + ["v"] * 3
    assert isinstance(means, lt.Frame)
    assert "Satterthwaite" in means.caption and "95 %" in means.caption
    pd.testing.assert_frame_equal(pd.DataFrame(lt.marginal_means(fit, "A:B")), pd.DataFrame(means))
    pd.testing.assert_frame_equal(pd.DataFrame(lt.marginal_means(fit, ["A", "B"])), pd.DataFrame(means))


def test_a_mean_is_the_prediction_at_its_cell_averaged_over_the_others(fit):
    at = [{"A": a, "B": b, "x": data()["x"].mean()} for b in "uv" for a in "abc"]
    cells = fit.predict(pd.DataFrame(at), random=False).to_numpy().reshape(2, 3)
    np.testing.assert_allclose(lt.marginal_means(fit, "A")["estimate"], cells.mean(axis=0), rtol=1e-10)
    share = (data()["B"] == "v").mean()
    weighted = (1 - share) * cells[0] + share * cells[1]
    np.testing.assert_allclose(lt.marginal_means(fit, "A", weights="proportional")["estimate"], weighted, rtol=1e-10)


def test_numbers_are_at_their_mean_or_where_one_says(fit):
    means = lt.marginal_means(fit, "A")
    assert any(f"`x` = {data()['x'].mean():.6f}".rstrip("0") in note for note in means.notes)
    two = lt.marginal_means(fit, "A", by="x", at={"x": [2, 8]})
    assert two["x"].tolist() == [2, 2, 2, 8, 8, 8]
    averaged = lt.marginal_means(fit, "A", at={"x": [2, 8]})
    np.testing.assert_allclose(averaged["estimate"], two["estimate"].to_numpy().reshape(2, 3).mean(axis=0))
    assert any("Averaged over `x` = 2 and 8" in note for note in averaged.notes)
    beyond = lt.marginal_means(fit, "A", at={"x": 20})
    assert any("`x` = 20 lies outside the data" in note for note in beyond.notes)


def test_notes_say_what_was_averaged_over_and_what_that_hides(fit):
    notes = " ".join(lt.marginal_means(fit, "A").notes)
    assert "Averaged over `B`, levels weighted equally." in notes
    assert "The model has `A:B`, so these averages hide what differs between levels of `B`." in notes
    assert "weighted by the rows that have each level" in " ".join(
        lt.marginal_means(fit, "A", weights="proportional").notes
    )


def test_functions_of_numbers_are_taken_after_the_number_is_put_in():
    frame = data()
    fit = lt.fit_lmm("y ~ A + log(x) + I(x**2) + bs(x, df=4) + (1 | g)", frame)
    at = pd.DataFrame({"A": list("abc"), "x": frame["x"].mean()})
    np.testing.assert_allclose(lt.marginal_means(fit, "A")["estimate"], fit.predict(at, random=False), rtol=1e-10)


def test_levels_that_at_leaves_out_do_not_count(fit):
    some = lt.marginal_means(fit, "A", at={"B": "v"})
    whole = pd.DataFrame(lt.marginal_means(fit, "A", by="B"))
    np.testing.assert_allclose(some["estimate"], whole.loc[whole["B"] == "v", "estimate"])
    assert "Of `B` only `v`." in some.notes
    assert lt.marginal_means(fit, "A", at={"A": ["c", "a"]})["A"].tolist() == ["c", "a"]


@pytest.mark.parametrize("given", ["formula", "name", "array"])
def test_the_mean_of_the_offset_is_in_every_mean_and_in_no_slope(given):
    frame = data()
    formula = "y ~ A + x + offset(o) + (1 | g)" if given == "formula" else "y ~ A + x + (1 | g)"
    option = {"name": {"offset": "o"}, "array": {"offset": frame["o"].to_numpy()}}.get(given, {})
    fit = lt.fit_lmm(formula, frame, **option)
    without = lt.marginal_means(lt.fit_lmm("I(y - o) ~ A + x + (1 | g)", frame), "A")
    means = lt.marginal_means(fit, "A")
    np.testing.assert_allclose(means["estimate"], without["estimate"] + frame["o"].mean(), rtol=1e-7)
    assert any("offset" in note for note in means.notes)
    np.testing.assert_allclose(means.contrasts()["estimate"], without.contrasts()["estimate"], rtol=1e-6)
    slope = lt.marginal_means(fit, [], trend="x")
    assert slope["estimate"].tolist() == pytest.approx([fit.fixef["x"]], rel=1e-12)


def test_slopes_are_derivatives_of_the_fixed_part():
    frame = data()
    fit = lt.fit_lmm("y ~ A * x + I(x**3) + (x | g)", frame)
    x = 4.0
    slopes = lt.marginal_means(fit, "A", trend="x", at={"x": x})
    own = fit.fixef["x"] + np.array([0.0, fit.fixef["A[T.b]:x"], fit.fixef["A[T.c]:x"]])
    np.testing.assert_allclose(slopes["estimate"], own + 3 * x**2 * fit.fixef["I(x ** 3)"], rtol=1e-10)
    at = lt.marginal_means(fit, ["A", "x"], trend="x", at={"x": [2, x]})
    np.testing.assert_allclose(at["estimate"][3:], slopes["estimate"], rtol=1e-10)
    assert any("derivatives" in note for note in slopes.notes)
    assert "Slopes of y in x" in slopes.caption


def test_a_linear_slope_has_whole_coefficients():
    fit = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", lt.load_dataset("Orthodont"))
    slopes = lt.marginal_means(fit, "Sex", trend="age")
    np.testing.assert_array_equal(slopes.L, [[0, 1, 0, 0], [0, 1, 0, 1]])
    assert "mm per year" in repr(slopes)


def test_means_over_cells_without_rows_are_named_and_not_estimated(empty):
    means = lt.marginal_means(empty, "A:B")
    gone = means["estimate"].isna()
    assert gone.tolist() == [False] * 5 + [True]
    assert means.loc[gone, ["std_error", "df", "ci_low", "ci_high"]].isna().all(axis=None)
    assert any("Not estimable: A = c, B = v" in note for note in means.notes)
    over = lt.marginal_means(empty, "A")
    assert over["estimate"].isna().tolist() == [False, False, True]
    assert any("A = c, as it averages over `B = v`" in note for note in over.notes)
    assert lt.marginal_means(empty, "B")["estimate"].isna().tolist() == [False, True]


def test_without_the_interaction_the_empty_cell_has_a_mean_and_a_note():
    means = lt.marginal_means(lt.fit_lmm("y ~ A + B + x + (1 | g)", data(empty=True)), "A:B")
    assert means["estimate"].notna().all()
    assert any("No row used has `A = c, B = v`" in note for note in means.notes)


def test_what_confounding_leaves_undetermined_is_not_estimated():
    frame = data().assign(C=lambda d: d["A"].map({"a": "p", "b": "p", "c": "q"}))
    fit = lt.fit_lmm("y ~ A + C + (1 | g)", frame)  # C repeats A
    assert fit.design.dropped_columns
    assert lt.marginal_means(fit, "C")["estimate"].isna().all()
    # c lies in q and a, b in p, and the grid has each with both
    assert lt.marginal_means(fit, "A")["estimate"].isna().all()
    pairs = lt.marginal_means(fit, "A").contrasts()
    assert pairs["estimate"].notna().tolist() == [True, False, False]  # a and b are both in p
    assert pairs["estimate"].iloc[0] == pytest.approx(-fit.fixef["A[T.b]"])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_estimable_does_not_depend_on_the_order_of_terms(seed):
    frame = data(seed, n=40)
    frame = frame[~((frame["A"] == "b") & (frame["B"] == "u"))]
    found = []
    for formula in ("y ~ A * B + x + (1 | g)", "y ~ x + B * A + (1 | g)", "y ~ 0 + B:A + x + (1 | g)"):
        fit = lt.fit_lmm(formula, frame)
        means = pd.DataFrame(lt.marginal_means(fit, ["A", "B"], ddf="residual"))
        found.append(means[["estimate", "std_error"]].to_numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("coding", ["sum", "helmert", "poly", "SAS"])
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_coding_changes_nothing(fit, coding, ddf):
    other = lt.fit_lmm("y ~ A * B + poly(x, 2) + (1 | g)", data(), contrasts={"A": coding, "B": coding})
    for ask in ({"specs": "A"}, {"specs": "B", "weights": "proportional"}, {"specs": "A", "trend": "x"}):
        mine, theirs = (pd.DataFrame(lt.marginal_means(f, **ask, ddf=ddf)) for f in (fit, other))
        for column in ("estimate", "std_error", "df"):
            np.testing.assert_allclose(theirs[column], mine[column], rtol=2e-6, atol=1e-9)


def test_means_of_a_balanced_factor_are_those_of_its_cells():
    frame = lt.load_dataset("Machines")
    means = lt.marginal_means(lt.fit_lmm("score ~ Machine + (1 | Worker)", frame), "Machine")
    np.testing.assert_allclose(means["estimate"], frame.groupby("Machine", observed=True)["score"].mean())


def test_an_intercept_alone_has_an_overall_mean():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    means = lt.marginal_means(fit, [])
    assert list(means.columns) == ["estimate", "std_error", "df", "ci_low", "ci_high"]
    assert means["estimate"].tolist() == pytest.approx([1527.5])
    assert means["df"].tolist() == pytest.approx([5.0])


def test_variables_of_random_effects_alone_are_not_in_the_grid():
    frame = data()
    fit = lt.fit_lmm("y ~ A + (x | g)", frame)
    assert lt.marginal_means(fit, "A").L.shape == (3, 3)
    with pytest.raises(lt.ModelError, match="no variable `x`"):
        lt.marginal_means(fit, "A", at={"x": 3})


@pytest.mark.parametrize("dtype", ["category", "bool", "codes", "C"])
def test_levels_of_any_kind(dtype):
    frame = data()
    if dtype == "category":
        frame["F"] = pd.Categorical(frame["A"], categories=["c", "a", "b", "unused"])
    elif dtype == "bool":
        frame["F"] = frame["A"] == "a"
    elif dtype == "codes":
        frame["F"] = pd.Categorical(frame["A"].map({"a": 3, "b": 1, "c": 2}))
    else:
        frame["F"] = frame["A"].map({"a": 3, "b": 1, "c": 2})
    fit = lt.fit_lmm(f"y ~ {'C(F) + F:x' if dtype == 'C' else 'F'} + (1 | g)", frame)
    means = lt.marginal_means(fit, "F")
    expected = {"category": ["c", "a", "b"], "bool": [False, True]}.get(dtype, [1, 2, 3])
    assert means["F"].tolist() == expected
    at = pd.DataFrame({"F": pd.Series(expected, dtype=frame["F"].dtype), "x": frame["x"].mean()})
    np.testing.assert_allclose(means["estimate"], fit.predict(at, random=False))
    assert len(means.contrasts()) == len(expected) * (len(expected) - 1) // 2


def test_normal_and_residual_references(fit):
    normal, residual = (lt.marginal_means(fit, "A", ddf=ddf, level=0.9) for ddf in ("normal", "residual"))
    assert np.isinf(normal["df"]).all()
    np.testing.assert_allclose(normal["ci_high"] - normal["estimate"], 1.6448536 * normal["std_error"], rtol=1e-6)
    assert residual["df"].tolist() == [len(data()) - 8] * 3
    assert "90 %" in normal.caption
    assert any("too short" in note for note in normal.notes)


def test_each_mean_is_tested_against_a_value(fit):
    means = lt.marginal_means(fit, "A")
    tests = means.test(null=2.0)
    np.testing.assert_allclose(tests["statistic"], (means["estimate"] - 2.0) / means["std_error"])
    assert "each against 2" in tests.caption
    with pytest.raises(lt.LMMError, match="finite number"):
        means.test(null="a")


def test_a_table_survives_pickling_and_says_when_it_is_a_part(fit):
    means = lt.marginal_means(fit, "A")
    again = pickle.loads(pickle.dumps(means))
    pd.testing.assert_frame_equal(pd.DataFrame(again.contrasts()), pd.DataFrame(means.contrasts()))
    for part in (means[means["A"] != "a"], means[["A", "estimate"]].iloc[::-1], means.assign(estimate=0.0)):
        with pytest.raises(lt.LMMError, match="part or a changed copy"):
            part.contrasts()


BAD = [
    ({"specs": "a"}, "did you mean `A`"),
    ({"specs": "C"}, "factors `A`, `B` and the numbers `x`"),
    ({"specs": "x"}, "`x` is a number, .* trend='x'"),
    ({"specs": "g"}, "grouping factor: its effects are random"),
    ({"specs": "y"}, "is the response"),
    ({"specs": ["A", 3]}, "does not name variables"),
    ({"specs": ["A", "A"]}, "`A` more than once"),
    ({"specs": "A", "by": "A"}, "stands in specs and in by"),
    ({"specs": "A", "at": {"A": "d"}}, "no level 'd'; it has `a`, `b`, `c`"),
    ({"specs": "A", "at": {"A": []}}, "no level of `A` is left"),
    ({"specs": "A", "at": {"k": 1}}, "no variable `k`"),
    ({"specs": "A", "at": {"x": "q"}}, "holds what is none"),
    ({"specs": "A", "at": {"x": []}}, "one finite number"),
    ({"specs": "A", "at": [3]}, "does not say of which variable"),
    ({"specs": "A", "weights": "cells"}, "weights='cells' is unknown"),
    ({"specs": "A", "trend": "B"}, "is a factor in this model"),
    ({"specs": "A", "trend": "q"}, "no variable `q`"),
    ({"specs": "A", "ddf": "kr"}, "ddf='kr' is unknown"),
    ({"specs": "A", "level": 95}, "level must lie between"),
]


@pytest.mark.parametrize(("ask", "says"), BAD)
def test_bad_requests_say_what_is_wrong(fit, ask, says):
    with pytest.raises(lt.LMMError, match=says):
        lt.marginal_means(fit, **ask)


def test_points_without_a_value_are_refused():
    fit = lt.fit_lmm("y ~ A + log(x) + (1 | g)", data())
    with pytest.raises(lt.DataError, match="no finite value at x = −1"):
        lt.marginal_means(fit, "A", at={"x": -1})
    with pytest.raises(lt.DataError, match="no slope in `x` at 1e-09"):
        lt.marginal_means(fit, "A", trend="x", at={"x": 1e-9})


def test_kenward_and_roger_need_reml(fit):
    with pytest.raises(lt.ModelError, match="refit"):
        lt.marginal_means(fit.refit(reml=False), "A", ddf="kenward-roger")


def test_only_a_fit_has_means():
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.marginal_means(data(), "A")
    with pytest.raises(lt.ModelError, match="no fixed effects"):
        lt.marginal_means(lt.fit_lmm("y ~ 0 + (1 | g)", data()), [])
    taken = data().rename(columns={"A": "df"})
    with pytest.raises(lt.LMMError, match="name of a column of the table"):
        lt.marginal_means(lt.fit_lmm("y ~ df + (1 | g)", taken), "df")


def test_a_grid_beyond_memory_is_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"f{k}": rng.integers(0, 20, 300).astype(str) for k in range(10)})
    frame["g"], frame["y"] = rng.integers(0, 9, 300), rng.normal(size=300)
    fit = lt.fit_lmm("y ~ " + " + ".join(f"f{k}" for k in range(10)) + " + (1 | g)", frame)
    with pytest.raises(lt.ModelError, match="combinations of"):
        lt.marginal_means(fit, "f0")
