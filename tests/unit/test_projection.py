"""𝒫 row by row against 𝒫 written out: any design, any structure of the residuals, at the fit and elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import lmmtools as lt
from lmmtools.core.charts import chart
from lmmtools.projection import projection
from tests.definitions.deletion import projected
from tests.designs import problems, wider_problems
from tests.oracle import dense_model
from tests.properties.test_conditional_aic import _fit
from tests.properties.test_inference_residual import CURVED, LINEAR, cases


def check(fit, at=None):
    """Every number of a projection is the dense one."""
    w = fit.working
    theta = w.to_theta(fit.working_theta if at is None else at)
    dense, found = projected(dense_model(fit.design, reml=fit.reml), theta), projection(fit, at)
    same = {"rtol": 1e-8, "atol": 1e-9}
    size = np.sqrt(np.diagonal(dense.V_inverse))
    np.testing.assert_allclose(found.inverse / size**2, 1.0, **same)
    np.testing.assert_allclose(found.diagonal / size**2, np.diagonal(dense.P) / size**2, **same)
    np.testing.assert_allclose(found.leverage, dense.leverage, **same)
    RPR = np.diagonal(dense.R @ dense.P @ dense.R) * size**2
    np.testing.assert_allclose(found.residual_variance * size**2, RPR, **same)
    scale = np.abs(dense.Py / size).max()
    np.testing.assert_allclose(found.response / size / scale, dense.Py / size / scale, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.VX, dense.VX, rtol=1e-8, atol=1e-9 * np.abs(dense.VX).max(initial=1.0))
    np.testing.assert_allclose(found.half @ found.half.T, dense.V_inverse - dense.P, atol=1e-8 * size.max() ** 2)
    one = dense_model(fit.design, reml=fit.reml).fit_at(theta)
    assert found.r2 == pytest.approx(one.sigma**2 * (fit.nobs - (fit.reml * len(fit.beta))), rel=1e-8)


def elsewhere(fit):
    """Working parameters near by."""
    here = chart(fit.working, fit.working_theta)
    return here.theta(0.05 * np.ones(here.ends[-1]))


@settings(max_examples=12)
@given(problems())
def test_one_factor(problem):
    fit = _fit(problem)
    check(fit)
    check(fit, elsewhere(fit))


@settings(max_examples=12)
@given(wider_problems())
def test_several_factors_structures_and_known_covariances(problem):
    fit = _fit(problem)
    check(fit)
    check(fit, elsewhere(fit))


@settings(max_examples=6)
@given(cases((*LINEAR, *CURVED)))
def test_residual_structures(case):
    check(case.fit)
    check(case.fit, elsewhere(case.fit))


def test_of_least_squares_it_is_the_hat_matrix():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_gls("Reaction ~ Days", data)
    X = fit.design.X
    hat = X @ np.linalg.solve(X.T @ X, X.T)
    found = projection(fit)
    np.testing.assert_allclose(found.leverage, np.diagonal(hat), atol=1e-13)
    np.testing.assert_allclose(found.response, fit.resid.to_numpy(), atol=1e-9)
    np.testing.assert_allclose(found.residual_variance, 1.0 - np.diagonal(hat), atol=1e-13)
    assert not found.diagonal.flags.writeable
