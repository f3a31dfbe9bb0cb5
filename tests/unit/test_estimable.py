"""Refusals and notes that follow from the design alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.core.optimize import minimize
from lmmtools.results import summarize


def _data(n_groups, size, seed=0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    x = np.tile(np.arange(float(size)), n_groups)
    return pd.DataFrame({"y": rng.normal(size=len(g)), "x": x, "z": rng.normal(size=len(g)), "g": g})


def test_one_row_a_group_is_refused_with_the_model_without_it():
    with pytest.raises(lt.ModelError) as e:
        lt.fit_lmm("y ~ x + (1 | g)", _data(20, 1).assign(x=np.arange(20.0)))
    assert "each of the 20 levels of `g` has a single row (20 rows in all)" in str(e.value)
    assert "Fit `y ~ 1 + x` by least squares" in str(e.value)


def test_as_many_effects_as_rows_are_refused_with_a_smaller_model():
    with pytest.raises(lt.ModelError) as e:
        lt.fit_lmm("y ~ x + (1 + x | g)", _data(10, 2))
    assert "20 rows carry 10 × 2 = 20 random effects" in str(e.value)
    assert "`y ~ 1 + x + diag(1 + x | g)`" in str(e.value)


def test_the_suggested_model_fits():
    fit = lt.fit_lmm("y ~ x + diag(1 + x | g)", _data(10, 2))
    assert fit.certificate.status.startswith("certified")


def test_more_effects_than_rows_are_noted_where_the_variances_are_identified():
    data = _data(25, 2)
    fit = lt.fit_lmm("y ~ 1 + (1 + z + x | g)", data.assign(x=data["z"] ** 2))
    assert any("75 random effects are estimated from 50 rows" in m for m in fit.messages)


def test_a_slope_constant_within_groups_is_noted():
    data = _data(12, 4)
    data["between"] = data["g"] % 5
    fit = lt.fit_lmm("y ~ 1 + (1 + between | g)", data)
    assert any("`between` varies only between the levels of `g`" in m for m in fit.messages)


def test_few_levels_are_noted():
    fit = lt.fit_lmm("y ~ 1 + (1 | g)", _data(3, 6))
    assert any("`g` has only 3 levels" in m for m in fit.messages)


def test_ordinary_designs_have_nothing_to_note():
    assert lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy")).messages == ()


# --- several factors


@pytest.fixture
def cells():
    """Twelve schools of five classes of four pupils, measured once; four positions within each class."""
    rng = np.random.default_rng(4)
    klass = np.repeat(np.arange(60), 4)
    y = rng.normal(size=240) + rng.normal(size=12)[klass // 5] + rng.normal(size=60)[klass]
    return pd.DataFrame(
        {"y": y, "x": rng.normal(size=240), "klass": klass, "school": klass // 5, "t": np.tile([1, 2, 3, 4], 60)}
    ).assign(row=np.arange(240))


@pytest.mark.parametrize(
    ("random", "named", "found", "smaller"),
    [
        ("(1 | school) + (1 | row)", "variance of (1 | row)", "each of the 240 levels of `row`", "(1 | school)"),
        (
            "(1 + x | school) + (1 | row) + (1 | klass)",
            "variance of (1 | row)",
            "a single row",
            "(1 + x | school) + (1 | klass)",
        ),
        ("(1 | school/klass/t)", "variance of (1 | school:klass:t)", "240 levels", "(1 | school:klass) + (1 | school)"),
        (
            "(1 | school) + homcs(0 + factor(t) | klass)",
            "variances of homcs(0 + C(t) | klass)",
            "no two of the 240 rows share one of its 60 × 4 effects",
            "(1 | school) + (1 | klass)",
        ),
        (
            "(1 | school) + diag(0 + factor(t) | klass)",
            "variances of diag(0 + C(t) | klass)",
            "no two of the 240 rows",
            "(1 | school) + (1 | klass)",
        ),
        (
            "(1 | school) + (0 + factor(t) | klass)",
            "variances of (0 + C(t) | klass)",
            "no two of the 240 rows",
            "(1 | school) + (1 | klass)",
        ),
    ],
)
def test_the_largest_estimable_model_of_several_factors_is_named(cells, random, named, found, smaller):
    with pytest.raises(lt.ModelError) as caught:
        lt.fit_lmm(f"y ~ x + {random}", cells)
    message = str(caught.value)
    assert f"the {named} cannot be told from the residual variance" in message
    assert found in message
    assert f"Estimable with these data: `y ~ 1 + x + {smaller}`." in message
    assert lt.fit_lmm(f"y ~ 1 + x + {smaller}", cells).certificate.status.startswith("certified")


def test_an_autoregression_needs_three_positions_beside_the_residual(cells):
    assert lt.fit_lmm("y ~ x + ar1(t | klass)", cells).certificate.status.startswith("certified")
    with pytest.raises(lt.ModelError, match="no two of the 120 rows") as caught:
        lt.fit_lmm("y ~ x + ar1(t | klass)", cells[cells["t"] < 3])
    assert "`y ~ 1 + x + (1 | klass)`" in str(caught.value)


def test_only_together_are_two_factors_the_residual():
    data = pd.DataFrame({"y": np.sin(np.arange(12) ** 2), "a": np.arange(12) // 3, "b": np.arange(12) % 3})
    data["row"] = np.arange(12)
    fit = lt.fit_lmm("y ~ 1 + (1 | a) + (1 | b)", data)
    assert fit.certificate.status.startswith("certified")
    with pytest.raises(lt.ModelError, match="12 levels of `a:b`"):
        lt.fit_lmm("y ~ 1 + (1 | a) + (1 | b) + (1 | a:b)", data)


def test_two_factors_that_add_up_to_the_residual():
    half = np.arange(24) < 12  # each row of one half is a level of `a`, of the other half one of `b`
    row = np.arange(24)
    data = pd.DataFrame({"y": np.sin(row**2), "early": 1.0 * half, "late": 1.0 - half})
    data = data.assign(a=np.where(half, row, -1), b=np.where(half, -1, row))
    with pytest.raises(lt.ModelError) as caught:
        lt.fit_lmm("y ~ 1 + (0 + early | a) + (0 + late | b)", data)
    message = str(caught.value)
    assert "variances of (0 + early | a) + (0 + late | b) cannot be told" in message
    assert "their covariances add up to that of the residuals in all 24 rows" in message
    assert "Estimable with these data: `y ~ 1 + (0 + early | a)`" in message


def test_levels_with_one_row_are_estimable_where_their_covariance_is_known(cells):
    row = cells["row"].to_numpy()
    far = np.abs(np.subtract.outer(row, row))
    known = (row, 0.7**far)
    fit = lt.fit_lmm("y ~ x + (1 | row)", cells, known={"row": known})
    assert fit.certificate.status.startswith("certified") and fit.messages == ()
    with pytest.raises(lt.ModelError, match=r"variance of \(1 \| row\) called row\.1 cannot be told") as caught:
        lt.fit_lmm("y ~ x + (1 | row) + (1 | row)", cells, known={"row": known})
    assert "`y ~ 1 + x + (1 | row)`" in str(caught.value)


@pytest.mark.parametrize(
    ("random", "named"),
    [
        ("(1 | klass) + (1 | klass)", ["the variance of Intercept by klass and the variance of Intercept by klass.1"]),
        ("(1 | klass/school)", ["variance of Intercept by klass:school", "variance of Intercept by klass"]),
        ("(1 | school) + (1 | twin)", ["variance of Intercept by school", "variance of Intercept by twin"]),
        ("(1 + x | school) + (0 + x | twin)", ["variance of x by school", "variance of x by twin"]),
        ("(1 + x + double | school) + (1 | klass)", ["variance", "by school", "(1 + x + double | school)"]),
        ("(1 + kind | school) + (1 | klass)", ["the variance of kind by school"]),
        ("homcs(0 + half | school) + (1 | school)", ["homcs(0 + half | school)", "variance of Intercept by school"]),
    ],
)
def test_splits_that_are_not_unique_are_fitted_and_named(cells, random, named):
    data = cells.assign(twin=100 - cells["school"], half=np.where(cells["t"] < 3, "early", "late"))
    data = data.assign(double=2 * data["x"], kind=data["school"] % 2)
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm(f"y ~ x + {random}", data)
    assert fit.certificate.status == "flat direction"
    assert all(words in " ".join(fit.certificate.flat) for words in named), fit.certificate.flat


def test_every_factor_and_term_is_looked_at(cells):
    data = cells.assign(town=cells["school"] % 3, size=np.sin(cells["klass"]))
    messages = "\n".join(lt.fit_lmm("y ~ x + (1 + size | klass) + (1 | town)", data).messages)
    assert "`town` has only 3 levels" in messages
    assert "`size` varies only between the levels of `klass`" in messages


def test_many_levels_with_a_single_row_are_counted():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.normal(size=60), "a": [*range(30), *np.repeat(range(30, 40), 3)]})
    data["b"] = np.tile(range(6), 10)
    messages = "\n".join(lt.fit_lmm("y ~ 1 + (1 | a) + (1 | b)", data).messages)
    assert "30 of the 40 levels of `a` have a single row" in messages and "of the other 10." in messages


# --- where a search ends


def test_a_search_that_ends_where_no_digit_is_left_is_said_with_what_was_found():
    data = _data(12, 5).assign(v=np.append(0.1, np.linspace(0.5, 3.0, 59)))
    criterion = lt.Criterion(lt.build_design("y ~ z", data, residual="varpower(v)"), reml=True)
    optimum = minimize(criterion)
    far = dataclasses.replace(optimum, theta=np.array([60.0]))
    with pytest.raises(lt.ModelError) as e:
        summarize(criterion, far)
    assert "singular to rounding, at varpower.power = 60. The standard deviations of the residuals" in str(e.value)
    assert str(e.value).endswith("use a simpler residual structure, or fewer random effects.")
    assert summarize(criterion, optimum).certificate.status == "certified"
