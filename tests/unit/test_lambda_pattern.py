"""Λ written as a matrix of names: the same fits as the structures it spells, signs, and what is no pattern."""

import numpy as np
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
    ("rows", "signed"),
    [
        (FACTOR, ["a", "c"]),
        ([["a", "b"], ["b", "a"]], ["a"]),  # both columns turn together
        ([["a", 0], [1, "c"]], ["c"]),  # the one ties the first column
        ([["x", "own", 0], ["y", 0, "own"]], ["x", "own"]),
        ([["a", "b"], ["c", 0]], ["a", "b"]),
    ],
)
def test_only_signs_that_say_nothing_are_fixed(rows, signed):
    pattern = lt.LambdaPattern(rows)
    names = pattern.names(tuple("xy"))
    assert [name for name, (low, _) in zip(names, pattern.bounds(2), strict=True) if low == 0.0] == signed
    rng = np.random.default_rng(3)
    for _ in range(20):  # whatever the signs, some θ within the bounds has the same ΛΛ'
        theta = rng.normal(size=len(names))
        Lambda = pattern.factor(theta, 2)
        turned = [pattern.factor(np.where(flip, -theta, theta), 2) for flip in _flips(len(names))
                  if np.all((np.where(flip, -theta, theta) >= 0) | [n not in signed for n in names])]  # fmt: skip
        assert any(np.allclose(one @ one.T, Lambda @ Lambda.T) for one in turned)


def _flips(m):
    return np.array(np.meshgrid(*[[False, True]] * m)).reshape(m, -1).T


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
        ([[1, 0], [0, 1]], "nothing to estimate"),
    ],
)
def test_what_is_no_pattern_is_refused(rows, message):
    with pytest.raises(lt.ModelError, match=message):
        lt.LambdaPattern(rows)


def test_a_pattern_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(lt.ModelError, match=r"3 rows, and the term 2 effects"):
        fitted([["a", 0, 0], [0, "b", 0], [0, 0, "c"]])
