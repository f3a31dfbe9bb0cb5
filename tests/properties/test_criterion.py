"""The fast criterion against V written out, its derivatives against definitions and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmtools import Criterion, build_design
from tests.designs import Problem, problems
from tests.oracle import dense_model


def _criterion(problem: Problem) -> Criterion:
    design = build_design(problem.formula, problem.data, **problem.options)
    return Criterion(design, reml=problem.reml)


def _theta(criterion: Criterion, seed: int) -> np.ndarray:
    """Any θ, lme4's sign convention not needed: the criterion depends on ΛΛ' alone."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=len(criterion.gradient(np.ones(len(criterion.working.theta_map)))))
    theta[rng.random(len(theta)) < 0.2] = 0.0
    return theta


@given(problems(), st.integers(0, 2**31))
def test_criterion_is_the_dense_normal_density(problem, seed):
    criterion = _criterion(problem)
    theta = _theta(criterion, seed)
    dense = dense_model(criterion.design, reml=problem.reml)
    expected = dense.criterion(theta)
    fit = dense.fit_at(theta)
    assert criterion(theta) == pytest.approx(expected, rel=1e-10, abs=1e-9)
    assert dense.deviance(theta, fit.beta, fit.sigma) == pytest.approx(expected, rel=1e-10, abs=1e-9)


@given(problems(), st.integers(0, 2**31))
def test_gradient_and_hessian_are_finite_differences(problem, seed):
    criterion = _criterion(problem)
    theta = _theta(criterion, seed)
    gradient, hessian = criterion.gradient(theta), criterion.hessian(theta)
    rise, bend = _slope(criterion, theta), _slope(criterion.gradient, theta)
    scale = 1.0 + np.abs(hessian).max()
    np.testing.assert_allclose(gradient, rise, atol=1e-6 * scale)
    np.testing.assert_allclose(hessian, bend, atol=1e-6 * scale)
    np.testing.assert_array_equal(hessian, hessian.T)


def _slope(function, theta: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Richardson's central difference: truncation h⁴, rounding eps|d|/h, both below 1e-9 of the curvature."""

    def central(step: float) -> np.ndarray:
        eye = step * np.eye(len(theta))
        return np.array([(function(theta + e) - function(theta - e)) / (2 * step) for e in eye])

    return (4.0 * central(h / 2) - central(h)) / 3.0


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
    Lambda = criterion.working_map.sum(axis=0)
    a, b = criterion.solve(Lambda, merged), criterion.solve(Lambda, groups)
    assert a.value == pytest.approx(b.value, rel=1e-13)
    da, db = criterion.differentiate(a, merged), criterion.differentiate(b, groups)
    np.testing.assert_allclose(da.gradient, db.gradient, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(da.curvature, db.curvature, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(da.WW, db.WW, rtol=1e-9, atol=1e-7)


@pytest.fixture(scope="module")
def balanced():
    import pandas as pd

    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(1000), 4)
    x = np.tile([0.0, 1.0, 2.0, 3.0], 1000)
    y = 1 + x * (0.3 + 0.2 * rng.normal(size=1000)[g]) + rng.normal(size=1000)[g] + rng.normal(size=4000)
    return pd.DataFrame({"y": y, "x": x, "g": g})
