"""Every lme4 fit of the reference set, number by number; those of nlme and glmmTMB by criterion.

The bounds are the project's: criterion 1e-7 at given theta, 1e-6 one-sided at the optimum, beta 1e-5 standard
errors, standard errors 1e-5 and sd's 1e-4 relative, modes 1e-4 sigma. They leave room for the *reference's*
optimum: its gradient in theta is 1e-6 or less, which moves theta by about 1e-7. Where a test allows more or
looks at less, the reason stands beside it.
"""

import itertools

import numpy as np
import pytest

import lmmtools as lt
from lmmtools.core.modes import conditional_modes
from tests.reference.lme4_fits import LARGE, UNIDENTIFIED, base, fitted, new_rows, references, refit
from tests.reference.other_fits import OTHERS_LOWER, design_of, others, refitted, theta_there

EVERY = tuple(references())
IDENTIFIED = tuple(name for name in EVERY if base(name) not in UNIDENTIFIED)
# Where our criterion is more than 1e-4 lower than lme4's: a name here is a finding, not an error.
LOWER: tuple[str, ...] = ()


def _each(names):
    """The tests of every fit; those of large data are slow."""
    slow = [pytest.mark.slow]
    large = {name for name in names if references()[name]["n"] >= LARGE}
    return pytest.mark.parametrize("name", [pytest.param(n, marks=slow if n in large else []) for n in names])


every_fit = _each(EVERY)
identified_fit = _each(IDENTIFIED)


def test_the_reference_set_is_whole():
    assert len(EVERY) == 210
    assert sum(len(reference["n_groups"]) > 1 for reference in references().values()) == 48
    assert len(EVERY) - len(IDENTIFIED) == 4
    assert sum(reference["isSingular"] for reference in references().values()) == 14
    assert len(others()) == 67


@every_fit
def test_design_has_the_same_rows_groups_and_columns(name):
    fit, reference = fitted(name), references()[name]
    assert fit.nobs == reference["n"]
    assert list(fit.ngroups.values()) == list(reference["n_groups"].values())
    assert len(fit.fixef) == len(reference["coef_names"])  # compared in order from here on
    assert len(fit.theta_names) == len(reference["theta_names"])


@every_fit
def test_criterion_at_chosen_theta_and_at_the_reference_optimum(name):
    fit, reference = fitted(name), references()[name]
    criterion = lt.Criterion(fit.design, reml=fit.reml)
    points = [*reference["objective_at"], {"theta": reference["theta"], "value": reference["objective"]}]
    for point in points:
        assert criterion(point["theta"]) == pytest.approx(point["value"], abs=1e-7, rel=0)


@every_fit
def test_optimum_is_no_worse_than_lme4s(name):
    fit, reference = fitted(name), references()[name]
    assert fit.criterion <= reference["objective"] + 1e-6


@every_fit
def test_where_our_optimum_is_lower_than_lme4s(name):
    fit, lower = fitted(name), fitted(name).criterion < references()[name]["objective"] - 1e-4
    assert lower == (name in LOWER)
    assert not lower or fit.certificate.status.startswith("certified")


@every_fit
def test_fixed_effects(name):
    fit, reference = fitted(name), references()[name]
    stderr = np.array(reference["se"])
    assert np.all(np.abs(fit.fixef.to_numpy() - reference["beta"]) <= 1e-5 * stderr)
    np.testing.assert_allclose(fit.stderr, stderr, rtol=1e-5)
    scale = np.outer(stderr, stderr)  # covariances may be zero: compared as correlations
    np.testing.assert_allclose(fit.vcov.to_numpy() / scale, np.array(reference["vcov"]) / scale, atol=2e-5)


@every_fit
def test_information_criteria(name):
    fit, reference = fitted(name), references()[name]
    assert fit.npar == reference["npar"]
    assert fit.df_resid == reference["df_residual"]
    # both are the criterion plus a constant: its own bound
    assert fit.loglik == pytest.approx(reference["logLik"], abs=1e-6, rel=0)
    assert fit.aic == pytest.approx(reference["AIC"], abs=1e-6, rel=0)
    assert fit.bic == pytest.approx(reference["BIC"], abs=1e-6, rel=0)


@every_fit
def test_residual_standard_deviation(name):
    assert fitted(name).sigma == pytest.approx(references()[name]["sigma"], rel=1e-5)


@identified_fit
def test_standard_deviations_and_correlations(name):
    fit, reference = fitted(name), references()[name]
    for ours, theirs in zip(fit.random_covariance.values(), reference["varcorr"], strict=True):
        sd, sd_there = np.sqrt(np.diag(ours)), np.array(theirs["sd"])
        # On the boundary theta is only as good as the root of the criterion's rounding, sqrt(1e-14 |d|) ~ 1e-6
        # of sigma: a zero there is 1e-14 in one engine and 0 in the other.
        edge = sd_there < 1e-5 * reference["sigma"]
        assert np.all(sd[edge] < 1e-5 * reference["sigma"])
        np.testing.assert_allclose(sd[~edge], sd_there[~edge], rtol=1e-4)
        cov_there = np.array(theirs["cov"])[np.ix_(~edge, ~edge)]
        scale = np.outer(sd_there[~edge], sd_there[~edge])
        np.testing.assert_allclose(ours.to_numpy()[np.ix_(~edge, ~edge)] / scale, cov_there / scale, atol=2e-4)


@every_fit
def test_singular_fits_are_called_singular(name):
    fit, reference = fitted(name), references()[name]
    if name in IDENTIFIED:
        assert fit.is_singular == reference["isSingular"]
        assert fit.certificate.status == ("certified at the boundary" if fit.is_singular else "certified")


@pytest.mark.parametrize("name", [n for n in EVERY if n not in IDENTIFIED])
def test_unidentified_fits_say_so_and_have_the_same_marginal_covariance(name):
    fit, reference = fitted(name), references()[name]
    assert fit.certificate.status == "flat direction"
    said = " ".join((*fit.certificate.flat, fit.certificate.sentence))
    assert all(word in said for word in UNIDENTIFIED[base(name)])
    ours = reference_v = 0.0
    same = fit.design.terms[0].codes[:, None] == fit.design.terms[0].codes[None, :]
    for term, theirs in zip(fit.design.terms, reference["varcorr"], strict=True):
        ours = ours + term.matrix @ fit.random_covariance[term.group].to_numpy() @ term.matrix.T * same
        reference_v = reference_v + term.matrix @ np.array(theirs["cov"]) @ term.matrix.T * same
    ours = ours + fit.sigma**2 * np.eye(fit.nobs)
    reference_v = reference_v + reference["sigma"] ** 2 * np.eye(fit.nobs)
    # lme4 stops within 1e-7 deviance of the ridge's bottom; V's entries are as good as the sd's, twice 1e-4
    np.testing.assert_allclose(ours, reference_v, atol=2e-4 * reference_v.max())


@pytest.mark.parametrize("name", [n for n in EVERY if n not in IDENTIFIED])
def test_unidentified_fits_warn(name):
    with pytest.warns(lt.LMMWarning, match="not the only one"):
        refit(name)


def modes_and_covariances(name, covariances=None):
    """Of each grouping factor: the reference, our modes in the order of its levels, covariances (or others)."""
    fit, left = fitted(name), dict(references()[name]["ranef"])
    covariances = fit.ranef_cov if covariances is None else covariances
    for factor, table in fit.ranef.items():
        parts = factor.split(":")
        there = next(key for key in left if sorted(key.split(":")) == sorted(parts))  # R may turn a:b around
        order = [parts.index(part) for part in there.split(":")]
        pieces = [str(label).split(":") if len(parts) > 1 else [str(label)] for label in table.index]
        position = {":".join(label[k] for k in order): i for i, label in enumerate(pieces)}
        theirs = left.pop(there)
        rows = [position[label] for label in theirs["levels"]]
        yield factor, theirs, table.to_numpy()[rows], covariances[factor][rows]
    assert not left


@identified_fit
def test_conditional_modes(name):
    fit = fitted(name)
    for factor, theirs, modes, _ in modes_and_covariances(name):
        assert fit.ngroups[factor] == theirs["n_levels"]
        assert np.abs(modes - np.array(theirs["values"])).max() <= 1e-4 * fit.sigma


def condvar_pairs(name, covariances=None):
    """lme4's condVar, a list per level or a matrix for the first levels, with several terms one of each; and ours."""
    fit = fitted(name)
    for factor, theirs, _, covariance in modes_and_covariances(name, covariances):
        sizes = [term.matrix.shape[1] for term in fit.design.terms if term.factor == factor]
        listed = theirs["condVar"] if len(sizes) > 1 else [theirs["condVar"]]
        ends = list(itertools.accumulate(sizes))
        for stop, q, values in zip(ends, sizes, listed, strict=True):
            expected = np.array(values, dtype=float).reshape(-1, q, q)
            yield expected, covariance[: len(expected), stop - q : stop, stop - q : stop]


@identified_fit
def test_covariances_of_conditional_modes(name):
    for expected, ours in condvar_pairs(name):
        # (co)variances of the modes are at most those of the effects, known to 2e-4 (twice the sd's bound)
        np.testing.assert_allclose(ours, expected, atol=2e-4 * np.abs(expected).max() + 1e-10 * fitted(name).sigma ** 2)


@identified_fit
def test_covariances_of_conditional_modes_at_lme4s_parameters(name):
    """At the same theta the optima have no part in the difference."""
    fit = fitted(name)
    theta, w = np.array(references()[name]["theta"]), fit.working
    Lambda = tuple(term.own_factor(theta[place]) for term, place in zip(w.terms, w.slices, strict=True))
    solution = w.products.exact.solve(w.own_factor(Lambda), reml=fit.reml)
    found = [part.cov for part in conditional_modes(w, Lambda, solution)]
    for expected, ours in condvar_pairs(name, dict(zip(fit.ranef_cov, found, strict=True))):
        np.testing.assert_allclose(ours, expected, atol=1e-6 * np.abs(expected).max() + 1e-20 * fit.sigma**2)


@every_fit
def test_fitted_values_and_residuals(name):
    fit, reference = fitted(name), references()[name]
    near = 1e-4 * fit.sigma  # the modes' bound
    assert np.abs(fit.fitted.to_numpy()[:10] - reference["fitted_first10"]).max() <= near
    assert np.abs(fit.resid.to_numpy()[:10] - reference["resid_first10"]).max() <= near
    pearson = fit.residuals("pearson").to_numpy()[:10]
    # sqrt(w) r / sigma: the modes' bound over sigma, and sigma's own 1e-5
    weights = np.ones(fit.nobs) if fit.design.weights is None else fit.design.weights
    expected = np.array(reference["pearson_resid_first10"])
    assert np.all(np.abs(pearson - expected) <= 1e-4 * np.sqrt(weights.max()) + 1e-5 * np.abs(expected))


@identified_fit
def test_predictions_for_known_and_new_levels(name):
    fit, reference = fitted(name), references()[name]
    there = reference["predict"]
    if there is None:
        pytest.skip("the reference predicts nothing here")
    conditional = fit.predict(new_rows(reference), unseen="population")
    population = fit.predict(new_rows(reference), random=False)
    assert np.abs(conditional.to_numpy() - there["conditional"]).max() <= 1e-4 * fit.sigma
    assert np.abs(population.to_numpy() - there["population"]).max() <= 1e-4 * fit.sigma


def every_other(names):
    """The tests of every fit by nlme or glmmTMB."""
    return pytest.mark.parametrize("name", names)


OTHERS = tuple(others())


@every_other(OTHERS)
def test_criterion_at_the_parameters_of_nlme_and_glmmtmb(name):
    reference = others()[name]
    criterion = lt.Criterion(design_of(name), reml=reference["method"] == "REML")
    # nlme holds logLik to 1e-6 at best, 2e-6 of deviance (its three optimisers differ by that)
    assert criterion(theta_there(name)) == pytest.approx(reference["objective"], abs=2e-6, rel=0)


@every_other(OTHERS)
def test_optimum_is_no_worse_than_that_of_nlme_and_glmmtmb(name):
    fit, reference = refitted(name), others()[name]
    assert fit.criterion <= reference["objective"] + 1e-6
    assert fit.certificate.status.startswith("certified")
    assert (fit.nobs, fit.npar) == (reference["n"], reference["npar"])


@every_other(OTHERS)
def test_where_our_optimum_is_lower_than_that_of_nlme_and_glmmtmb(name):
    lower = others()[name]["objective"] - refitted(name).criterion
    assert lower == pytest.approx(OTHERS_LOWER.get(name, 0.0), abs=1e-4)


@every_other([name for name in OTHERS if name not in OTHERS_LOWER])
def test_fixed_effects_of_nlme_and_glmmtmb(name):
    fit, reference = refitted(name), others()[name]
    short = max(reference["objective"] - fit.criterion, 0.0) + 2e-6
    # within `short` deviance of the optimum, every parameter is within its root of its standard error
    assert np.all(np.abs(fit.fixef.to_numpy() - reference["beta"]) <= np.sqrt(short) * fit.stderr)
    if reference["engine"].startswith("nlme"):  # glmmTMB's standard errors include the uncertainty of theta
        np.testing.assert_allclose(fit.stderr, reference["se"], rtol=np.sqrt(short))
