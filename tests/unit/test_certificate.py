"""The certificate must fail where it should: off the optimum, at a saddle, on a flat direction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.certificate import certify_point


def _certificate(formula, data, working):
    criterion = lt.Criterion(lt.build_design(formula, data))
    solution = criterion.solve(criterion.working.stacked(np.asarray(working)))
    return certify_point(criterion, np.asarray(working), solution, criterion.differentiate(solution))


@pytest.fixture(scope="module")
def sleepstudy():
    return lt.load_dataset("sleepstudy")


def test_an_optimum_is_certified(sleepstudy):
    c = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", sleepstudy).certificate
    assert c.status == "certified"
    assert c.deviance_left < 1e-10
    assert np.all(c.hessian_eigenvalues > 0)
    assert len(c.hessian_eigenvalues) == 3
    assert np.abs(c.beta_shift).max() < 1e-6


def test_zero_is_stationary_but_not_an_optimum(sleepstudy):
    # 247 deviance units too high, with a gradient of exactly zero.
    c = _certificate("Reaction ~ Days + (Days | Subject)", sleepstudy, [0.0, 0.0, 0.0])
    assert c.status == "not an optimum"
    assert c.deviance_left > 10
    assert "could still be gained along a direction off the boundary" in c.sentence


def test_a_point_off_the_optimum_says_what_is_left(sleepstudy):
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    c = _certificate("Reaction ~ Days + (1 | Subject)", sleepstudy, fit.theta * 1.02)
    criterion = lt.Criterion(fit.design)
    left = criterion(fit.theta * 1.02) - fit.criterion
    assert c.status == "not an optimum"
    assert c.deviance_left == pytest.approx(left, rel=0.1)


def test_the_boundary_is_certified_by_the_cone_condition():
    c = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2")).certificate
    assert c.status == "certified at the boundary"
    assert len(c.gradient) == 0
    assert "variance zero" in c.sentence


def test_a_perfect_correlation_is_certified_at_the_boundary():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(30), 6)
    x = np.tile(np.arange(6.0), 30)
    u = rng.normal(size=30)
    y = u[g] * (1 + 0.5 * x) + rng.normal(size=180)
    fit = lt.fit_lmm("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    assert fit.is_singular
    assert fit.certificate.status == "certified at the boundary"
    assert len(fit.certificate.hessian_eigenvalues) == 2
    assert abs(fit.varcorr["sdcor"].iloc[2]) == pytest.approx(1.0, abs=1e-6)


def test_a_flat_direction_is_named():
    with pytest.warns(lt.LMMWarning, match=r"covariance of Sex\[Male\] and Sex\[Female\] by Subject"):
        fit = lt.fit_lmm("distance ~ Sex * I(age - 11) + (0 + Sex | Subject)", lt.load_dataset("Orthodont"))
    assert fit.certificate.status == "flat direction"
    assert fit.certificate.flat == ("the covariance of Sex[Male] and Sex[Female] by Subject",)
    assert fit.certificate.flat_by == "design"
    assert "one choice among equals" in fit.varcorr.notes[0]
    assert any("covariance of Sex[Male]" in m for m in fit.messages)


def test_an_exchangeable_split_names_both_terms():
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("score ~ Machine + (Machine || Worker)", lt.load_dataset("Machines"))
    (flat,) = fit.certificate.flat
    assert flat.startswith("the split between the variance of Intercept by Worker and the variances and covariances of")


@pytest.mark.parametrize("mean", [0.0, 1e6, 1e9])
def test_a_covariate_far_from_zero_is_no_flat_direction(mean):
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data.assign(Days=data["Days"] + mean))
    assert fit.certificate.status == "certified"
    assert fit.criterion == pytest.approx(1743.62827195849, abs=1e-6)


def test_a_variance_that_the_fixed_effects_absorb_is_flat_and_says_so():
    data = lt.load_dataset("Rail").assign(copy=lambda d: d["Rail"].astype(str))
    with pytest.warns(lt.LMMWarning, match=r"given the fixed effects, the data say nothing about .*\(1 \| Rail\)"):
        fit = lt.fit_lmm("travel ~ copy + (1 | Rail)", data)
    assert fit.certificate.status == "flat direction"
    assert fit.certificate.flat_by == "data"
    assert "Standard errors that rest on it mean nothing" in fit.messages[-1]


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_which_effects_are_zero_does_not_depend_on_units(unit):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(30), 6)
    x = np.tile(np.arange(6.0), 30)
    y = rng.normal(size=30)[g] * (1 + 0.5 * x) + rng.normal(size=180)
    combination = lt.fit_lmm("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": unit * x, "g": g}))
    assert combination.is_singular
    assert combination.zero_effects == ()
    z = rng.normal(size=30)[g] + rng.normal(size=180)
    zero = lt.fit_lmm("y ~ x + (x || g)", pd.DataFrame({"y": z - z.mean(), "x": unit * (x - 2.5), "g": g}))
    assert zero.zero_effects in ((), (("g.1", "x"),))
    assert zero.is_singular == bool(zero.zero_effects)
