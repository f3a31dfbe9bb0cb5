"""Nested models: found whatever the coding, tested by what the definition gives."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize

import lmmtools as lt
from lmmtools.nesting import nesting
from tests.oracle import dense_model

# Each the same means, or the same covariances, in other words.
FIXED = (
    ("x", "I(2*x)"), ("x", "I(x - 3)"), ("f * h", "f + h + f:h"), ("f", "0 + f"), ("f", "C(f, contr.sum)"),
    ("x + z", "I(x + z) + I(x - z)"), ("poly(x, 2)", "x + I(x^2)"), ("x * f", "f + f:x"),
    ("1", "1"), ("x + z", "z + x"), ("0 + f:h", "f * h"),
)  # fmt: skip
RANDOM = (
    ("(x | g)", "(1 + I(2*x) | g)"), ("(x | g)", "(I(x - 3) | g)"), ("(1 + x | g)", "(0 + I(x + 1) + I(x - 1) | g)"),
    ("(x || g)", "diag(1 + x | g)"), ("(1 | g)", "homdiag(1 | g)"), ("(f | g)", "(0 + f | g)"),
    ("(0 + x | g)", "(0 + I(-x) | g)"), ("(1 | g)", "(1 | relabelled)"), ("(1 | g:f)", "homdiag(0 + f | g)"),
)  # fmt: skip
# Smaller and larger, and whether the smaller lies where a variance is zero.
STEPS = (
    ("(1 | g)", "(x || g)", True), ("(1 | g)", "(x | g)", True), ("(x || g)", "(x | g)", False),
    ("homdiag(1 + x | g)", "diag(1 + x | g)", False), ("homdiag(1 + x | g)", "(x | g)", False),
    ("(0 + x | g)", "(x | g)", True), ("(x | g)", "(x + z | g)", True), ("(1 | g)", "(f | g)", True),
    ("homdiag(0 + f | g)", "(f | g)", False), ("(0 + I(x - 3) | g)", "(x | g)", True),
    ("(1 | g:f)", "(f | g)", False), ("(1 | g:f)", "diag(0 + f | relabelled)", False),
    ("(0 + x | g:f)", "(0 + f:x | g)", False),
)  # fmt: skip
UNRELATED = (
    ("(1 | g)", "(0 + x | g)"), ("(x || g)", "(I(x - 3) || g)"), ("(1 | g)", "homdiag(1 + x | g)"),
    ("(0 + x | g)", "diag(0 + I(x + z) + I(x - z) + z | g)"), ("(1 | g)", "(1 | g:f)"),
    ("(x | g:f)", "(x | g)"), ("(1 | g:f)", "(x | g)"), ("(1 | g:f)", "(1 | f)"), ("(1 | g:f)", "(1 | g:h)"),
)  # fmt: skip


def frame(seed: int) -> pd.DataFrame:
    """Unbalanced groups, every combination of two factors present, slopes that differ between groups."""
    rng = np.random.default_rng(seed)
    g = rng.permutation(np.repeat(np.arange(8), rng.integers(5, 10, size=8)))
    n = len(g)
    f, h = np.array(list("abc"))[np.arange(n) % 3], np.array(["u", "v"])[np.arange(n) // 3 % 2]
    x, z = rng.normal(1.0, 2.0, n), rng.normal(size=n)
    y = x + rng.normal(size=8)[g] + 0.5 * rng.normal(size=8)[g] * x + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "h": h, "g": g, "relabelled": [f"G{9 - k}" for k in g]})


def fitted(formulas: list[str], data: pd.DataFrame, **options) -> lt.models.Models:
    """The models, or no example where all are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_models(formulas, data, **options)


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from(FIXED), st.sampled_from(RANDOM), st.booleans())
def test_the_same_model_in_other_words_is_recognised(seed, fixed, random, reml):
    formulas = [f"y ~ {a} + {b}" for a, b in zip(fixed, random, strict=True)]
    models = fitted(formulas, frame(seed), reml=reml)
    steps = lt.lattice(models)
    assert len(steps) == 0
    assert [node.same for node in steps.nodes] == [("M2",)]
    assert steps.apart["reason"].tolist() == ["the same model, written differently"]
    criteria = lt.compare(models)["aic"]
    assert criteria.iloc[0] == pytest.approx(criteria.iloc[1], abs=1e-5)  # REML's too, on one coding


@given(seeds, st.sampled_from(STEPS), st.sampled_from(FIXED), st.integers(0, 1))
def test_covariances_are_ordered_by_what_they_can_be(seed, step, fixed, which):
    small, large, boundary = step
    models = fitted([f"y ~ {fixed[which]} + {small}", f"y ~ {fixed[1 - which]} + {large}"], frame(seed))
    found = nesting(models["M1"], models["M2"])
    assert (found.inside, found.boundary) == (True, boundary)
    assert found.df == models["M2"].npar - models["M1"].npar
    assert not nesting(models["M2"], models["M1"]).inside


@given(seeds, st.sampled_from(UNRELATED))
def test_what_is_no_special_case_is_not_tested(seed, pair):
    models = fitted([f"y ~ x + {part}" for part in pair], frame(seed))
    steps = lt.lattice(models)
    assert len(steps) == 0
    assert len(steps.nodes) == 2
    (reason,) = steps.apart["reason"]
    assert "no special case" in reason or "cannot express" in reason


@settings(max_examples=12)
@given(seeds, st.sampled_from(STEPS[:7]), st.booleans())
def test_a_step_is_the_difference_of_the_dense_deviances(seed, step, wider):
    small, large, _ = step
    data = frame(seed)
    models = fitted([f"y ~ x + {small}", f"y ~ x {'+ z' if wider else ''} + {large}"], data)
    assume(len(models.sound) == 2)
    (row,) = pd.DataFrame(lt.lattice(models)).to_dict("records")
    lowest = []
    for fit in models.values():
        dense = dense_model(fit.design, reml=False)
        options = {"maxiter": 400, "fatol": 1e-9, "xatol": 1e-7}
        found = scipy_minimize(dense.criterion, fit.theta + 0.02, method="Nelder-Mead", options=options)
        lowest.append(min(found.fun, dense.criterion(fit.theta)))
    assert row["chisq"] == pytest.approx(lowest[0] - lowest[1], abs=2e-5)
    assert row["df"] == models["M2"].npar - models["M1"].npar


@given(seeds)
def test_reml_steps_do_not_depend_on_the_coding_of_the_means(seed):
    data = frame(seed)
    own = fitted(["y ~ x + (1 | g)", "y ~ x + (x | g)"], data, reml=True)
    other = fitted(["y ~ x + (1 | g)", "y ~ I(100*x - 7) + (x | g)"], data, reml=True)
    ours, theirs = (lt.lattice(models)["chisq"].iloc[0] for models in (own, other))
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert lt.lrt(*other.values())["chisq"].iloc[1] == pytest.approx(ours, abs=1e-6)
    np.testing.assert_allclose(lt.compare(own)["delta"], lt.compare(other)["delta"], atol=1e-6)
