"""Expectation-maximisation never raises the criterion; a user's structure is the law that it says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from tests.designs import Problem, problems, wider_problems
from tests.oracle import dense_model, derivatives


def _criterion(problem: Problem, **options) -> lt.Criterion:
    """The criterion, or no example where the design is refused."""
    try:
        return lt.Criterion(
            lt.build_design(problem.formula, problem.data, **problem.options, **options), reml=problem.reml
        )
    except lt.ModelError:
        assume(False)


@settings(max_examples=25)
@given(st.one_of(problems(), wider_problems()), st.sampled_from(["em", "ecme"]), st.integers(0, 2**31))
def test_em_never_raises_the_criterion(problem, method, seed):
    criterion = _criterion(problem)
    dense = dense_model(criterion.design, reml=problem.reml)
    start = dense.start(np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)  # it is stopped on purpose
        try:
            found = lt.minimize(criterion, start=start, method=method, max_iterations=25, trace=True)
        except lt.ModelError:  # a criterion that falls all the way to an infinite variance
            assume(False)
    values = found.trace.criterion
    # each value is right to 1e-10 of its size, and the last step may be one of rounding
    assert np.all(np.diff(values) <= 1e-9 * np.maximum(1.0, np.abs(values[1:])))
    assert found.value == pytest.approx(dense.criterion(found.theta), rel=1e-9, abs=1e-7)
    assert found.value <= dense.criterion(start) + 1e-7


class Exchangeable:
    """Compound symmetry, from its definition: one sd, one correlation."""

    def n_theta(self, q):
        return 2

    def names(self, effects):
        return ("sd", "rho")

    def bounds(self, q):
        return [(0.0, np.inf), (-1.0 / (q - 1), 1.0)]

    def start(self, q):
        return [1.0, 0.1]

    def factor(self, theta, q):
        values, vectors = np.linalg.eigh((1 - theta[1]) * np.eye(q) + theta[1])
        return theta[0] * vectors * np.sqrt(np.maximum(values, 0.0))


OWN_PARTS = ("homcs(0 + f | g)", "homcs(0 + f | g) + (1 | h)", "(1 | h) + homcs(1 + x + z | g)")


@settings(max_examples=8)
@given(problems(OWN_PARTS), st.integers(0, 2**31))
def test_a_structure_of_ones_own_is_the_same_law(problem, seed):
    own = Problem(problem.formula.replace("homcs", "mine"), problem.data, problem.reml, problem.options)
    criterion, built_in = _criterion(own, structures={"mine": Exchangeable()}), _criterion(problem)
    dense = dense_model(criterion.design, reml=problem.reml)
    theta = dense_model(built_in.design, reml=problem.reml).start(np.random.default_rng(seed))
    assert criterion(theta) == pytest.approx(dense.criterion(theta), rel=1e-10, abs=1e-9)
    assert criterion(theta) == pytest.approx(built_in(theta), rel=1e-10, abs=1e-9)
    gradient, hessian = derivatives(dense, theta)
    scale = 1e-6 * (1.0 + np.abs(hessian).max())  # both differentiate the factor numerically
    np.testing.assert_allclose(criterion.gradient(theta), gradient, atol=scale)
    np.testing.assert_allclose(criterion.hessian(theta), hessian, atol=scale)
    found = lt.minimize(criterion).value
    assert found == pytest.approx(lt.minimize(built_in).value, abs=1e-6)
