"""Conditional AIC: the derivative of the fitted values, by its definition on small random designs and by refits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings

import lmmtools as lt
from lmmtools.inference.conditional_aic import conditional_aic
from tests.definitions.conditional_aic import conditional, perturbed_trace
from tests.designs import Problem, problems, wider_problems
from tests.oracle import dense_model


def _fit(problem: Problem):
    """A certified fit, or no example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            fit = lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.ModelError:
            assume(False)
    assume(fit.certificate.status.startswith("certified"))
    return fit


def _check(problem: Problem) -> None:
    fit = _fit(problem)
    ours, dense = conditional_aic(fit), conditional(dense_model(fit.design, reml=fit.reml), fit.theta)
    assert ours.loglik == pytest.approx(dense.loglik, rel=1e-9, abs=1e-7)
    assert ours.hat_trace == pytest.approx(np.trace(dense.hat), abs=1e-7 * fit.nobs)
    # A Hessian that is nearly singular magnifies what the optimum leaves of the gradient.
    trace = np.trace(dense.jacobian)
    assert ours.effective_df == pytest.approx(trace, abs=1e-5 * (1.0 + abs(trace)))
    assert ours.caic == pytest.approx(dense.caic, abs=4e-5 * (1.0 + abs(trace)))


@settings(max_examples=60)
@given(problems())
def test_the_effective_degrees_of_freedom_are_the_dense_ones(problem):
    _check(problem)


@settings(max_examples=40)
@given(wider_problems())
def test_the_effective_degrees_of_freedom_of_any_model_are_the_dense_ones(problem):
    _check(problem)


@pytest.mark.slow
@settings(max_examples=8)
@given(problems())
def test_they_are_the_sum_over_refits_with_each_response_moved(problem):
    fit = _fit(problem)
    # next to a boundary, or where the criterion is nearly flat, a finite step changes what is free
    eigenvalues = fit.certificate.hessian_eigenvalues
    assume(not len(eigenvalues) or min(eigenvalues) > 0.5)
    assert conditional_aic(fit).effective_df == pytest.approx(perturbed_trace(fit), abs=1e-3)
