"""The law by group: against the dense oracle, finite differences, and statsmodels' own Hessian."""

import warnings

import numpy as np
import pytest

import lmmtools as lt
from lmmtools.crosscheck.bygroup import grouped_model, relative_factor
from lmmtools.crosscheck.layout import layout_of
from lmmtools.crosscheck.statsmodels import _model, _parameters, _split, loglike_there
from tests.oracle import dense_model

FORMULAS = {
    "us": "Reaction ~ Days + (Days | Subject)",
    "split": "Reaction ~ Days + (Days || Subject)",
    "homdiag": "Reaction ~ Days + homdiag(Days | Subject)",
    "both": "Reaction ~ Days + (1 | Subject) + homdiag(0 + Days + I(Days^2) | Subject)",
    "nested": "Reaction ~ Days + (1 | Subject/Half)",
    "nested slopes": "Reaction ~ Days + (Days | Subject) + diag(1 + Days | Subject:Half)",
    "crossed": "Reaction ~ Days + (1 | Subject) + (1 | Third)",
    "crossed and nested": "Reaction ~ Days + (1 | Subject/Half) + (0 + Days | Third)",
}


@pytest.fixture(scope="module", params=[True, False], ids=["reml", "ml"])
def reml(request):
    return request.param


@pytest.fixture(scope="module", params=FORMULAS)
def design(request):
    return lt.build_design(FORMULAS[request.param], unbalanced())


def unbalanced():
    """Half of the days of fifteen subjects and a part of a sixteenth's, each subject's in two halves."""
    frame = lt.load_dataset("sleepstudy").iloc[::2].iloc[:77]
    return frame.assign(Half=np.where(frame["Days"] < 5, "first", "second"), Third=np.arange(77) % 7)


def theta_of(design):
    sizes = {"us": lambda q: q * (q + 1) // 2, "diag": lambda q: q, "homdiag": lambda q: 1}
    m = sum(sizes[t.structure](t.matrix.shape[1]) for t in design.terms)
    return np.array([0.9, 0.1, 0.2, 0.7, 0.3])[:m]


def test_is_the_dense_law(design, reml):
    theta = theta_of(design)
    model = dense_model(design, reml=reml)
    fit, point = model.fit_at(theta), grouped_model(design, reml=reml).at(relative_factor(design, theta))
    assert point.criterion == pytest.approx(fit.criterion, rel=1e-12)
    np.testing.assert_allclose(point.beta, fit.beta, rtol=1e-10)
    np.testing.assert_allclose(point.vcov, fit.vcov, rtol=1e-10)
    assert point.sigma2 == pytest.approx(fit.sigma**2, rel=1e-11)


def test_groups_are_those_of_the_outermost_factor():
    frame = unbalanced()
    nested = layout_of(lt.build_design(FORMULAS["nested slopes"], frame))
    assert (nested.factor, nested.n_groups) == ("Subject", frame["Subject"].nunique())
    assert sorted(nested.copies) == [1, 2]
    assert nested.width == 2 + 2 * 2
    crossed = layout_of(lt.build_design(FORMULAS["crossed"], frame))
    assert (crossed.factor, crossed.n_groups) == ("", 1)
    assert crossed.width == frame["Subject"].nunique() + 7


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
    T = Lambda @ Lambda.T + 0.01 * np.eye(len(Lambda))
    step = 1e-6
    for k, E in enumerate(law.directions):
        up, down = law.at_covariance(T + step * E), law.at_covariance(T - step * E)
        slope = (up.criterion - down.criterion) / (2 * step)
        bend = (up.gradient() - down.gradient()) / (2 * step)
        # rounding of the criterion, 1e-12, over the step; curvatures up to 1e5 times step^2
        assert law.at_covariance(T).gradient()[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(law.at_covariance(T).curvature()[k], bend, rtol=1e-5, atol=1e-4)


def their_order(design):
    """Our free elements of T in statsmodels' order: those of the groups' random effects, then the components."""
    split, first = _split(design), []
    for k, (term, q) in enumerate(zip(design.terms, split.layout.sizes, strict=True)):
        m = {"us": q * (q + 1) // 2, "diag": q, "homdiag": 1}[term.structure]
        first += [k not in split.effects] * m
    return np.argsort(first, kind="stable")


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
    order = [*range(design.X.shape[1]), *(design.X.shape[1] + their_order(design))]
    theirs = -theirs[np.ix_(free, free)]
    theirs = theirs[np.ix_(np.argsort(order), np.argsort(order))]
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
