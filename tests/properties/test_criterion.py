"""The fast criterion against V written out, its derivatives against definitions and finite differences."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lmmtools import Criterion, ModelError, build_design, minimize
from lmmtools.core.several import chainlevels, layout
from tests.designs import KNOWN_PARTS, SEVERAL_PARTS, STRUCTURED_PARTS, Problem, problems
from tests.oracle import DenseModel, dense_model, derivatives, numerical


def _criterion(problem: Problem) -> Criterion:
    """The criterion, or no example where the design is refused (its own tests cover that)."""
    try:
        return Criterion(build_design(problem.formula, problem.data, **problem.options), reml=problem.reml)
    except ModelError:
        assume(False)


def _theta(dense: DenseModel, seed: int) -> np.ndarray:
    """Any θ within its bounds, on them too; lme4's sign convention not needed: the criterion depends on ΛΛ' alone."""
    rng = np.random.default_rng(seed)
    theta, (low, high) = rng.normal(size=len(dense.bounds)), dense.bounds.T
    theta = np.where(np.isfinite(low) & ~np.isfinite(high), np.abs(theta), theta)
    theta[rng.random(len(theta)) < 0.2] = 0.0
    bounded = np.isfinite(high - low)
    theta[bounded] = low[bounded] + (high - low)[bounded] * rng.choice([0.05, 0.3, 0.6, 0.9], bounded.sum())
    return theta


def _check_value(problem: Problem, seed: int) -> None:
    criterion = _criterion(problem)
    dense = dense_model(criterion.design, reml=problem.reml)
    theta = _theta(dense, seed)
    expected = dense.criterion(theta)
    fit = dense.fit_at(theta)
    assert criterion(theta) == pytest.approx(expected, rel=1e-10, abs=1e-9)
    assert dense.deviance(theta, fit.beta, fit.sigma) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def _check_derivatives(problem: Problem, seed: int) -> None:
    """Against the oracle's, which have their own finite differences in test_crosscheck_dense, and against ours."""
    criterion = _criterion(problem)
    dense = dense_model(criterion.design, reml=problem.reml)
    theta = _theta(dense, seed)
    gradient, hessian = criterion.gradient(theta), criterion.hessian(theta)
    slope, bend = derivatives(dense, theta)
    scale = 1.0 + np.abs(hessian).max()
    np.testing.assert_allclose(gradient, slope, atol=1e-8 * scale)
    np.testing.assert_allclose(hessian, bend, atol=1e-8 * scale)
    np.testing.assert_array_equal(hessian, hessian.T)
    rise = numerical(criterion, theta, dense.bounds, 1e-3)  # rounding: eps|d|/h, 1e-10; slopes bend within one unit
    np.testing.assert_allclose(gradient, rise, atol=1e-6 * scale)


@given(problems(), st.integers(0, 2**31))
def test_criterion_is_the_dense_normal_density(problem, seed):
    _check_value(problem, seed)


@given(problems(SEVERAL_PARTS), st.integers(0, 2**31))
def test_criterion_of_several_factors_is_the_dense_normal_density(problem, seed):
    _check_value(problem, seed)


@given(problems(STRUCTURED_PARTS), st.integers(0, 2**31))
def test_criterion_of_structures_is_the_dense_normal_density(problem, seed):
    _check_value(problem, seed)


@given(problems(KNOWN_PARTS, known=True), st.integers(0, 2**31))
def test_criterion_with_a_known_matrix_is_the_dense_normal_density(problem, seed):
    _check_value(problem, seed)


@given(problems(), st.integers(0, 2**31))
def test_derivatives(problem, seed):
    _check_derivatives(problem, seed)


@given(problems(SEVERAL_PARTS), st.integers(0, 2**31))
def test_derivatives_of_several_factors(problem, seed):
    _check_derivatives(problem, seed)


@given(problems(STRUCTURED_PARTS), st.integers(0, 2**31))
def test_derivatives_of_structures(problem, seed):
    _check_derivatives(problem, seed)


@given(problems(KNOWN_PARTS, known=True), st.integers(0, 2**31))
def test_derivatives_with_a_known_matrix(problem, seed):
    _check_derivatives(problem, seed)


NESTED_PARTS = ("(1 | g/k)", "(1 + x | g) + (1 + x | g:k)", "(1 | g/k) + (1 | h)", "(1 | g:h) + (1 | g) + (0 + x | k)")


@given(problems((*SEVERAL_PARTS, *NESTED_PARTS)), st.integers(0, 2**31))
def test_whatever_is_eliminated_first_gives_the_same(problem, seed):
    """Small designs go into one dense step: here a factor, or a chain of nested ones, is eliminated before it."""
    with mock.patch.object(layout, "_SMALL", 0), mock.patch.object(chainlevels, "_SMALL", 0):
        _check_value(problem, seed)
        _check_derivatives(problem, seed)


LARGER = (
    "y ~ x + (1 + x | a) + (1 | b)",
    "y ~ x + (1 | a/c)",
    "y ~ x + (1 + x | a/c)",
    "y ~ x + (1 | a/c) + (1 | b)",
    "y ~ x + (1 | a) + (0 + x | a) + (1 + x | b) + (1 | d)",
    "y ~ x + cs(0 + f | a) + ar1(t | b)",
)


@pytest.mark.slow
@pytest.mark.parametrize("formula", LARGER)
@pytest.mark.parametrize("reml", [True, False])
def test_hundreds_of_levels_are_the_dense_law(formula, reml, larger):
    criterion = Criterion(build_design(formula, larger, weights="w"), reml=reml)
    dense = dense_model(criterion.design, reml=reml)
    for theta in (dense.start(np.random.default_rng(4)), minimize(criterion).theta):
        assert criterion(theta) == pytest.approx(dense.criterion(theta), rel=1e-10)
        gradient, hessian = criterion.gradient(theta), criterion.hessian(theta)
        slope, bend = derivatives(dense, theta)
        scale = 1e-8 * np.abs(hessian).max()
        np.testing.assert_allclose(gradient, slope, atol=scale)
        np.testing.assert_allclose(hessian, bend, atol=scale)


@pytest.fixture(scope="module")
def larger():
    """A thousand rows: 250 levels, two or three in each nested, crossed with 120 and with nine."""
    rng = np.random.default_rng(11)
    n = 1000
    a, b, c, d = (rng.integers(0, k, n) for k in (250, 120, 3, 9))
    x, t = rng.normal(size=n), rng.integers(0, 4, n)
    y = x + rng.normal(size=250)[a] + rng.normal(size=120)[b] * (1 + 0.5 * x) + rng.normal(size=(250, 3))[a, c]
    frame = {"y": y + rng.normal(size=n), "x": x, "t": t, "a": a, "b": b, "c": c, "d": d}
    return pd.DataFrame(frame).assign(f=np.array(list("uvw"))[rng.integers(0, 3, n)], w=rng.uniform(0.5, 2, n))


@given(st.integers(0, 2**31), st.integers(1, 3))
def test_moments_of_a_union_are_the_sum(seed, q):
    from lmmtools.core.onefactor.moments import group_moments

    rng = np.random.default_rng(seed)
    columns = list(rng.normal(size=(q + 2, 60)))
    codes = rng.integers(0, 5, 60)
    z, xy = list(range(q)), [0, q, q + 1]
    whole = group_moments(columns, z, xy, codes, 5)
    halves = [group_moments([c[s] for c in columns], z, xy, codes[s], 5) for s in (slice(25), slice(25, None))]
    union = halves[0] + halves[1]
    assert union.n == whole.n
    for name in ("A", "B", "C"):
        np.testing.assert_allclose(getattr(union, name), getattr(whole, name), atol=1e-12)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 + x | g)"])
@pytest.mark.parametrize("reml", [True, False])
def test_merging_groups_of_equal_design_changes_nothing(formula, reml, balanced):
    criterion = Criterion(build_design(formula, balanced), reml=reml)
    merged, groups = criterion.working.products, criterion.working.products.exact
    assert merged.blocks.A.shape[-1] == 1
    assert groups.blocks.A.shape[-1] == 1000
    Lambda = criterion.working.working_map.sum(axis=0)
    a, b = criterion.solve(Lambda, merged), criterion.solve(Lambda, groups)
    assert a.value == pytest.approx(b.value, rel=1e-13)
    da, db = criterion.differentiate(a, merged), criterion.differentiate(b, groups)
    np.testing.assert_allclose(da.gradient, db.gradient, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(da.curvature, db.curvature, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(da.WW, db.WW, rtol=1e-9, atol=1e-7)


@pytest.fixture(scope="module")
def balanced():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(1000), 4)
    x = np.tile([0.0, 1.0, 2.0, 3.0], 1000)
    y = 1 + x * (0.3 + 0.2 * rng.normal(size=1000)[g]) + rng.normal(size=1000)[g] + rng.normal(size=4000)
    return pd.DataFrame({"y": y, "x": x, "g": g})
