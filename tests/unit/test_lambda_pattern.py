"""Λ written as a matrix of names: the same fits as the structures it spells, signs, and what is no pattern."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

SLEEP = lt.load_dataset("sleepstudy")
FACTOR = [["a", 0], ["b", "c"]]


def fitted(rows, **options):
    formula = "Reaction ~ Days + mine(Days | Subject)"
    return lt.fit_lmm(formula, SLEEP, structures={"mine": lt.LambdaPattern(rows)}, **options)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("rows", "formula"),
    [
        (FACTOR, "Reaction ~ Days + (Days | Subject)"),
        ([["a", 0], [0, "c"]], "Reaction ~ Days + (Days || Subject)"),
        ([["sd", 0], [0, "sd"]], "Reaction ~ Days + homdiag(Days | Subject)"),
        ([["a"], [0]], "Reaction ~ Days + (1 | Subject)"),
    ],
)
def test_a_pattern_is_the_structure_it_spells(rows, formula, reml):
    own, builtin = fitted(rows, reml=reml), lt.fit_lmm(formula, SLEEP, reml=reml)
    assert own.criterion == pytest.approx(builtin.criterion, abs=1e-8)
    np.testing.assert_allclose(own.theta, builtin.theta, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(own.fixef, builtin.fixef, rtol=1e-8)
    np.testing.assert_allclose(own.stderr, builtin.stderr, rtol=1e-6)
    assert own.theta_names == tuple(f"Subject.{name}" for name in lt.LambdaPattern(rows).names(("Intercept", "Days")))


@pytest.mark.parametrize(
    ("rows", "turning"),
    [
        (FACTOR, [["a", "b"], ["c"]]),
        ([["a", "b"], [0, "c"]], [["a"], ["b", "c"]]),
        ([["a", "b"], ["b", "a"]], [["a", "b"]]),  # both columns turn together
        ([["a", 0], [1, "c"]], [["c"]]),  # the one ties the first column
        ([["x", "own", 0], ["y", 0, "own"]], [["x", "y"], ["own"]]),
    ],
)
def test_signs_that_say_nothing_are_turned_upright_and_no_others(rows, turning):
    pattern = lt.LambdaPattern(rows)
    names = pattern.names(tuple("xy"))
    assert pattern.bounds(2) == [(-np.inf, np.inf)] * len(names)
    for theta in np.random.default_rng(3).normal(size=(20, len(names))):
        found = pattern.upright(theta, 2)
        before, after = pattern.factor(theta, 2), pattern.factor(found, 2)
        np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-14)
        ratio = dict(zip(names, found / theta, strict=True))
        assert all(found[names.index(one[0])] >= 0.0 and len({ratio[name] for name in one}) == 1 for one in turning)
        assert all(ratio[name] == 1.0 for name in names if not any(name in one for one in turning))


@pytest.mark.parametrize("rows", [[["a", "b"], [0, "c"]], [["b", "a"], ["c", 0]]])
def test_no_sign_stands_between_the_start_and_the_optimum(rows):
    """At a bound of zero for `b` the criterion rises, and beyond it lies the optimum's mirror image."""
    own, builtin = fitted(rows), lt.fit_lmm("Reaction ~ Days + (Days | Subject)", SLEEP)
    assert own.criterion == pytest.approx(builtin.criterion, abs=1e-8)
    assert own.certificate.status == "certified" and own.theta.min() > 0.0


@pytest.mark.parametrize(
    ("rows", "builtin"),
    [
        ([["a", 0, 0], ["b", "c", 0], ["d", "e", "f"]], "(0 + Machine | Worker)"),
        ([["a", 0, 0], [0, "b", 0], [0, 0, "c"]], "diag(0 + Machine | Worker)"),
        ([["c", "s", 0, 0], ["c", 0, "s", 0], ["c", 0, 0, "s"]], "homcs(0 + Machine | Worker)"),
        ([["a", "b", "b"], ["b", "a", "b"], ["b", "b", "a"]], "homcs(0 + Machine | Worker)"),
    ],
)
def test_patterns_of_three_effects_are_the_structures_they_spell(rows, builtin):
    data = lt.load_dataset("Machines")
    pattern = {"mine": lt.LambdaPattern(rows)}
    own = lt.fit_lmm("score ~ Machine + mine(0 + Machine | Worker)", data, structures=pattern)
    same = lt.fit_lmm(f"score ~ Machine + {builtin}", data)
    assert own.criterion == pytest.approx(same.criterion, abs=1e-8)
    np.testing.assert_allclose(own.random_covariance["Worker"], same.random_covariance["Worker"], rtol=1e-5, atol=1e-4)
    assert own.certificate.status == same.certificate.status == "certified"


def test_names_of_a_frame_or_an_array_of_objects_are_read_and_stripped():
    frame = pd.DataFrame([["a", 0], [0, " a "]])
    assert lt.LambdaPattern(frame).names(("x", "y")) == ("a",) == lt.LambdaPattern(frame.to_numpy()).names(("x", "y"))


def test_derivatives_are_those_of_the_factor():
    pattern = lt.LambdaPattern([["a", "b", 2], ["b", 0, "a"]])
    theta, step = np.array([0.7, -0.3]), 1e-6
    first, second = pattern.derivatives(theta, 2)
    for k, unit in enumerate(np.eye(2)):
        slope = (pattern.factor(theta + step * unit, 2) - pattern.factor(theta - step * unit, 2)) / (2 * step)
        np.testing.assert_allclose(first[k], slope, atol=1e-9)
    assert not second.any()


def test_it_shows_what_it_is_and_keeps_the_cross_check():
    assert repr(lt.LambdaPattern(FACTOR)) == "<LambdaPattern of 2 × 2 entries, 3 parameters>"
    fit = fitted([["a", "b"], ["b", "a"]])
    assert fit.certificate.status == "certified"
    assert fit.criterion == pytest.approx(lt.Criterion(fit.design)(fit.theta), abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a"], ["b", "c"]], r"one length, at least one; they have \[1, 2\]"),
        ([], "one length"),
        ([[], []], "one length"),
        ("ab", "a list of rows"),
        (3, "a list of rows"),
        ([["a", None], [0, 1]], "row 1, column 2 is None"),
        ([["a", float("nan")], [0, 1]], "row 1, column 2 is nan"),
        ([["a", " "], [0, 1]], "row 1, column 2 is ' '"),
        ([["a", True], [0, 1]], "row 1, column 2 is True"),
        ([["a", 1e200], [0, 1]], "row 1, column 2 is 1e\\+200"),
        (np.array([["a", 0], [0, "b"]]), "row 1, column 2 is the text '0', which reads as a number"),
        ([["nan"]], "reads as a number"),
        ([[1, 0], [0, 1]], "nothing to estimate"),
    ],
)
def test_what_is_no_pattern_is_refused(rows, message):
    with pytest.raises(lt.ModelError, match=message):
        lt.LambdaPattern(rows)


def test_a_pattern_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(lt.ModelError, match=r"3 rows, and the term 2 effects"):
        fitted([["a", 0, 0], [0, "b", 0], [0, 0, "c"]])
