"""Every fit with a residual structure by nlme and glmmTMB: criterion, optimum, parameters.

Our criterion at their parameters is theirs to 1e-6, our optimum is no worse by more than 1e-6, and where it is no
better the parameters are theirs to 1e-2 of their standard error. Where a test allows more, the reason stands beside it.
"""

import itertools

import numpy as np
import pytest

import lmmtools as lt
from tests.reference.residual_fits import (
    EIGHT,
    design_there,
    parameters_there,
    refitted,
    rows,
    slack,
    structured,
    tables,
)

EVERY = tuple(structured())
FITTED = tuple(name for name in EVERY if "fitted()" in structured()[name]["residual"])
# Where our criterion is more than 1e-4 lower than the best of their optimisers, and by how much.
# Wheat2: as the range grows the criterion falls to that of a linear variogram, 1066.837 (nlme too, from a range of 34);
# the book's range of 27 is one of its two local minima. OvaryGaps: nlme's other starts reach ours.
ENDLESS = ("Wheat2__gls_spher_reml",)
LOWER = {"Wheat2__gls_spher_reml": 1.02606, "OvaryGaps__gls_spher_nug_ml": 0.94374}
ALIKE = tuple(name for name in EVERY if name not in LOWER)
# glmmTMB includes the uncertainty of the covariance parameters; fits by sex, arm or diet were made one by one.
WITH_ERRORS = [name for name in ALIKE if structured()[name]["se"] and "glmmTMB" not in structured()[name]["engine"]]

every_fit = pytest.mark.parametrize("name", EVERY)
alike_fit = pytest.mark.parametrize("name", ALIKE)


def criterion_of(name):
    return lt.Criterion(design_there(name), reml=structured()[name]["method"] == "REML")


def parameters_of(fit):
    return np.concatenate([fit.theta, fit.phi])


def test_the_reference_set_is_whole():
    assert len(EVERY) == 96 + 63
    assert sum("|" in fit["formula"] for fit in structured().values()) == 38 + 12
    engines = {fit["engine"].split(" ")[0] for fit in structured().values()}
    assert engines == {"nlme::gls", "nlme::lme", "glmmTMB"}
    assert len(FITTED) == 4
    assert len(tables()) == 2


@every_fit
def test_names_of_the_parameters(name):
    residual, reference = design_there(name).residual, structured()[name]
    names = residual.names if residual else ()
    assert names == tuple(reference["residual_params"])


@every_fit
def test_criterion_at_their_parameters(name):
    value = criterion_of(name)(parameters_there(name))
    assert value == pytest.approx(structured()[name]["objective"], abs=slack(name), rel=0)


@every_fit
def test_optimum_is_no_worse_than_theirs(name):
    fit, reference = refitted(name), structured()[name]
    if name in FITTED:  # a fixed point: no optimum in the parameters its fitted values depend on
        return
    assert fit.criterion <= reference["objective"] + slack(name)
    status = fit.certificate.status
    assert status == "flat direction" if name in ENDLESS else status.startswith("certified")
    assert (fit.nobs, fit.npar) == (reference["n"], reference["npar"])


@every_fit
def test_where_our_optimum_is_lower_than_theirs(name):
    lower = structured()[name]["objective"] - refitted(name).criterion
    assert lower == pytest.approx(LOWER.get(name, 0.0), abs=max(1e-4, slack(name)))


@pytest.mark.parametrize("name", [name for name in ALIKE if structured()[name]["beta"]])
def test_fixed_effects(name):
    fit, reference = refitted(name), structured()[name]
    assert np.all(np.abs(fit.fixef.to_numpy() - reference["beta"]) <= 1e-3 * fit.stderr)


@pytest.mark.parametrize("name", WITH_ERRORS)
def test_standard_errors_of_fixed_effects(name):
    fit, reference = refitted(name), structured()[name]
    n, p = fit.nobs, len(fit.fixef)
    inflated = np.sqrt(n / (n - p)) if "gls" in reference["engine"] and not fit.reml else 1.0  # nlme's vcov of gls
    # they move with the covariance parameters, which agree to 1e-2 of their own standard error
    np.testing.assert_allclose(fit.stderr * inflated, reference["se"], rtol=2e-4)


@alike_fit
def test_covariance_parameters(name):
    """[theta, phi] and sigma, in their standard errors: of the observed information, sigma's of normal theory."""
    fit, there = refitted(name), parameters_there(name)
    here, inside = parameters_of(fit), interior(fit)
    if inside.any():
        spread = standard_errors(name, here, inside)
        assert np.all(np.abs(here - there)[inside] <= 1e-2 * spread)
    edge = ~inside
    assert np.all(np.abs(here - there)[edge] <= 1e-4 * np.maximum(1.0, np.abs(here[edge])))
    assert fit.sigma == pytest.approx(structured()[name]["sigma"], rel=1e-2 / np.sqrt(2 * fit.nobs))


def interior(fit):
    """Which parameters are away from their bounds: a sd of a boundary fit is zero, a correlation at most one."""
    criterion = lt.Criterion(fit.design, reml=fit.reml)
    lower, upper = (np.asarray(side) for side in criterion.bounds)
    here = parameters_of(fit)
    return (here - lower > 1e-5) & (upper - here > 1e-5)


def standard_errors(name, here, inside):
    """Of the parameters inside, the others held: the criterion's second derivatives are twice the information."""
    hessian = criterion_of(name).hessian(here)[np.ix_(inside, inside)]
    scale = np.sqrt(np.diag(hessian))  # ranges and powers differ by orders of magnitude
    return np.sqrt(2 * np.diag(np.linalg.inv(hessian / np.outer(scale, scale)))) / scale


@pytest.mark.parametrize("name", FITTED)
def test_variances_of_fitted_values_are_the_same_fixed_point(name):
    """nlme's: with the fitted values held, its parameters are the optimum; ours is the same point."""
    fit, reference = refitted(name), structured()[name]
    held = refitted(name, reference["residual"].replace("fitted()", "fitted_there"))
    assert held.criterion <= reference["objective"] + 1e-6
    assert held.criterion == pytest.approx(reference["objective"], abs=1e-4)
    apart = np.abs(fit.fitted.to_numpy() - reference["fitted_values"])
    assert apart.max() <= 1e-2 * fit.sigma
    # what nlme stops at, in the criterion whose weights are held and in ours whose weights are our own
    assert fit.criterion == pytest.approx(reference["objective"], abs=1e-3)


@pytest.mark.parametrize("name", list(tables()))
def test_tables_of_likelihood_ratio_tests(name):
    reference = tables()[name]
    frame = rows(reference)
    fits = [lt.fit_lmm(reference["formula"], frame, residual=residual) for residual in reference["residuals"]]
    for fit, row in zip(fits, reference["table"]["values"], strict=True):
        df, aic, _, loglik = row  # nlme's BIC counts n - p rows under REML
        assert fit.npar == df
        assert fit.loglik == pytest.approx(loglik, abs=2e-6)  # nlme's own bound, 1e-6 of each criterion
        assert fit.aic == pytest.approx(aic, abs=4e-6)
    ratios = [2 * (b.loglik - a.loglik) for a, b in itertools.pairwise(fits)]
    np.testing.assert_allclose(ratios, reference["pairwise"]["LRatio"], atol=1e-5)


@pytest.mark.parametrize("model", EIGHT)
def test_the_eight_models_of_jennrich_and_schluchter(model):
    formula, residual, npar, theirs = EIGHT[model]
    frame = lt.load_dataset("Orthodont")
    fit = lt.fit_lmm if "|" in formula else lt.fit_gls
    found = fit(formula, frame, reml=False, residual=residual)
    assert found.npar == npar
    assert -2 * found.loglik == pytest.approx(theirs, abs=1e-6, rel=0)
