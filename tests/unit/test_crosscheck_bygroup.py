"""The law by group: against the dense oracle, finite differences, and statsmodels' own Hessian."""

import warnings

import numpy as np
import pytest

import lmmtools as lt
from lmmtools.crosscheck.bygroup import grouped_model, relative_factor
from lmmtools.crosscheck.statsmodels import _model, _parameters, loglike_there
from tests.oracle import dense_model

FORMULAS = {
    "us": "Reaction ~ Days + (Days | Subject)",
    "split": "Reaction ~ Days + (Days || Subject)",
    "homdiag": "Reaction ~ Days + homdiag(Days | Subject)",
    "both": "Reaction ~ Days + (1 | Subject) + homdiag(0 + Days + I(Days^2) | Subject)",
}


@pytest.fixture(scope="module", params=[True, False], ids=["reml", "ml"])
def reml(request):
    return request.param


@pytest.fixture(scope="module", params=FORMULAS)
def design(request):
    frame = lt.load_dataset("sleepstudy").iloc[::2].iloc[:77]  # unbalanced
    return lt.build_design(FORMULAS[request.param], frame)


def theta_of(design):
    sizes = {"us": lambda q: q * (q + 1) // 2, "diag": lambda q: q, "homdiag": lambda q: 1}
    m = sum(sizes[t.structure](t.matrix.shape[1]) for t in design.terms)
    return np.array([0.9, 0.1, 0.2])[:m]


def test_is_the_dense_law(design, reml):
    theta = theta_of(design)
    model = dense_model(design, reml=reml)
    fit, point = model.fit_at(theta), grouped_model(design, reml=reml).at(relative_factor(design, theta))
    assert point.criterion == pytest.approx(fit.criterion, rel=1e-12)
    np.testing.assert_allclose(point.beta, fit.beta, rtol=1e-10)
    np.testing.assert_allclose(point.vcov, fit.vcov, rtol=1e-10)
    assert point.sigma2 == pytest.approx(fit.sigma**2, rel=1e-11)


def test_is_the_dense_law_with_weights_and_at_a_singular_covariance(reml):
    frame = lt.load_dataset("sleepstudy").assign(w=lambda d: 1 + d["Days"] % 3)
    design = lt.build_design("Reaction ~ Days + offset(Days) + (Days | Subject)", frame, weights="w")
    theta = np.array([0.9, 0.1, 0.0])
    model = dense_model(design, reml=reml)
    point = grouped_model(design, reml=reml).at(relative_factor(design, theta))
    assert point.criterion == pytest.approx(model.criterion(theta), rel=1e-12)


def test_derivatives_are_finite_differences(design, reml):
    law = grouped_model(design, reml=reml)
    Lambda = relative_factor(design, theta_of(design))
    T = Lambda @ Lambda.T + 0.01 * np.eye(law.Z.shape[1])
    step = 1e-6
    for k, E in enumerate(law.directions):
        up, down = law.at_covariance(T + step * E), law.at_covariance(T - step * E)
        slope = (up.criterion - down.criterion) / (2 * step)
        bend = (up.gradient() - down.gradient()) / (2 * step)
        # rounding of the criterion, 1e-12, over the step; curvatures up to 1e5 times step^2
        assert law.at_covariance(T).gradient()[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(law.at_covariance(T).curvature()[k], bend, rtol=1e-5, atol=1e-4)


def test_joint_information_is_statsmodels_hessian(design, reml):
    """Two derivations of the same second derivatives, written by different people."""
    law = grouped_model(design, reml=reml)
    point = law.at(relative_factor(design, theta_of(design)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, mask = _model(design)
        model.reml, model.cov_pen, model.fe_pen, model._cov_sing = reml, None, None, 0
        theirs, _ = model.hessian(_parameters(design, point.T, point.beta))
    free = np.ones(len(theirs), dtype=bool) if mask is None else mask.get_packed(use_sqrt=False, has_fe=True) > 0
    theirs = -theirs[np.ix_(free, free)]
    np.testing.assert_allclose(point.joint_information(), theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())


def test_statsmodels_likelihood_is_the_same_function(design, reml):
    law = grouped_model(design, reml=reml)
    point = law.at(relative_factor(design, theta_of(design)))
    value = loglike_there(design, point.T, point.beta, reml=reml)
    assert -2 * value == pytest.approx(point.criterion, rel=1e-12)


def test_rounding_bounds_hold_and_are_small(design):
    """The bound covers the distance to the dense solution, and is far below anything of interest."""
    theta = theta_of(design)
    fit = dense_model(design).fit_at(theta)
    point = grouped_model(design, reml=True).at(relative_factor(design, theta))
    beta, relative = point.rounding()
    assert np.all(np.abs(point.beta - fit.beta) <= beta)
    assert np.all(beta <= 1e-8 * fit.stderr)
    assert np.all(relative <= 1e-10)
