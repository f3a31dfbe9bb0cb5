"""The engine of residual structures against the dense definition, and its ends: boundaries, units, refusals."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.core.criterion import Criterion
from lmmtools.core.residual import ResidualForm, noise_of, time_order
from lmmtools.core.residual.arma import autocorrelations
from lmmtools.core.residual.partial import coefficients, partial_autocorrelations
from tests.oracle import dense_model, derivatives

STRUCTURES = (
    "ar1(t | g)", "car1(s | g)", "arma(t | g, 2, 1)", "arma(t | g, 0, 2)", "cs(g)", "toep(t | g)", "toep(t | g, 2)",
    "us(t | g) * varident(t)", "exp(s | g, nugget=True)", "gaus(s + x | g)", "spher(s | g)",
    "ratio(s | g, nugget=True)", "ar1(t | g, by=f) * varident(f)", "varident(k)", "varpower(w | f)",
    "varexp(w) * cs(g)",
    "varconstpower(w) * car1(s | g)", "varfixed(w) * ar1(t | g)", "cs(g:h)",
)  # fmt: skip
RANDOM = ("", "(1 | g)", "(x | g)", "(1 | g/h)", "(1 | g) + (1 | c)", "(0 + x | c) + (x || g)", "cs(0 + k | g)")


def rows(seed, groups=14, times=5, shuffled=True):
    """Unbalanced series with gaps, in any order."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(2, times + 1)) for _ in range(groups - 2)] + [times, times]
    t = np.concatenate([np.sort(rng.choice(times, size=k, replace=False)) for k in sizes])
    g = np.repeat(np.arange(groups), sizes)
    n = len(g)
    frame = pd.DataFrame({
        "t": t, "g": [f"g{i:02d}" for i in g], "f": [f"f{i % 2}" for i in g], "h": [f"h{i % 2}" for i in range(n)],
        "c": rng.choice(list("abc"), n), "k": rng.choice(list("pq"), n), "x": rng.normal(size=n),
        "s": t + rng.uniform(0, 0.4, n), "w": rng.uniform(0.5, 2.0, n),
    })  # fmt: skip
    frame["y"] = 1 + frame.x + rng.normal(size=groups)[g] + rng.normal(size=n)
    return frame.sample(frac=1, random_state=seed) if shuffled else frame


def design_of(residual, random, seed, weighted=False):
    formula = f"y ~ x + t + {random}" if random else "y ~ x + t"
    return lt.build_design(formula, rows(seed), residual=residual, weights="w" if weighted else None)


def point_of(design, seed):
    """Some [θ, φ]: sds about one, φ near where the structure is generic."""
    rng = np.random.default_rng(seed)
    w = Criterion(design).working
    theta = [0.4 + 0.3 * rng.uniform(size=t.n_theta) for t in w.terms]
    form = w.residual.form
    phi = form.natural(form.generic() + 0.05 * rng.normal(size=form.n_theta))
    return np.concatenate([*theta, phi])


def agree(residual, random, seed, reml, weighted):
    design = design_of(residual, random, seed, weighted)
    criterion, dense = Criterion(design, reml=reml), dense_model(design, reml=reml)
    there = point_of(design, seed)
    gradient, hessian = derivatives(dense, there)
    assert criterion(there) == pytest.approx(dense.criterion(there), rel=1e-11)
    np.testing.assert_allclose(criterion.gradient(there), gradient, atol=1e-8 * max(1.0, np.abs(gradient).max()))
    np.testing.assert_allclose(criterion.hessian(there), hessian, atol=1e-7 * max(1.0, np.abs(hessian).max()))


@pytest.mark.parametrize("residual", STRUCTURES)
@pytest.mark.parametrize("random", ["", "(x | c)"])
def test_criterion_and_derivatives_are_those_of_the_definition(residual, random):
    agree(residual, random, seed=3, reml=True, weighted=False)


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STRUCTURES), st.sampled_from(RANDOM), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_so_they_are_for_any_design(residual, random, seed, reml, weighted):
    try:
        design_of(residual, random, seed, weighted)
    except lt.LMMError:  # the same model twice, or a level that the fixed effects meet exactly
        return
    agree(residual, random, seed, reml, weighted)


@pytest.mark.parametrize("random", RANDOM[1:])
@pytest.mark.parametrize("residual", ["ar1(t | g)", "varident(k)"])
def test_estimates_modes_and_predictions_at_the_optimum(residual, random):
    design = design_of(residual, random, seed=5)
    fit = lt.fit_lmm(design.formula, rows(5), residual=residual)
    dense = dense_model(fit.design, reml=True)
    found = dense.fit_at(np.concatenate([fit.theta, fit.phi]))
    np.testing.assert_allclose(fit.fixef, found.beta, atol=1e-8)
    np.testing.assert_allclose(fit.vcov, found.vcov, atol=1e-8)
    assert fit.sigma == pytest.approx(found.sigma, rel=1e-9)
    np.testing.assert_allclose(fit.fitted, found.fitted, atol=1e-8)
    modes, covariances = dense.by_factor(found)
    for factor, frame in fit.ranef.items():
        np.testing.assert_allclose(frame, modes[factor], atol=1e-8)
        np.testing.assert_allclose(fit.ranef_cov[factor], covariances[factor], atol=1e-8)


def test_a_known_covariance_of_the_levels_may_stand_beside_a_residual_structure():
    frame = rows(8)
    levels = sorted(frame.g.unique())
    A = 0.4 ** np.abs(np.subtract.outer(np.arange(len(levels)), np.arange(len(levels))))
    known = {"g": pd.DataFrame(A, index=levels, columns=levels)}
    fit = lt.fit_lmm("y ~ x + (1 | g)", frame, residual="varident(k)", known=known)
    dense = dense_model(fit.design, reml=True)
    there = np.concatenate([fit.theta, fit.phi])
    assert fit.criterion == pytest.approx(dense.criterion(there), rel=1e-10)
    np.testing.assert_allclose(fit.fitted, dense.fit_at(there).fitted, atol=1e-7)


@pytest.mark.parametrize("residual", ["ar1(t | g)", "us(t | g) * varident(t)", "exp(s | g, nugget=True)"])
def test_the_order_of_the_rows_does_not_matter(residual):
    frame = rows(2, groups=24, shuffled=False)
    one = lt.fit_gls("y ~ x + t", frame, residual=residual)
    other = lt.fit_gls("y ~ x + t", frame.sample(frac=1, random_state=9), residual=residual)
    assert other.criterion == pytest.approx(one.criterion, abs=1e-7)
    np.testing.assert_allclose(other.phi, one.phi, atol=2e-4)
    np.testing.assert_allclose(other.resid.reindex(one.resid.index), one.resid, atol=1e-4)


@pytest.mark.parametrize("residual", STRUCTURES)
def test_whitening_is_the_inverse_of_colouring_and_both_have_the_covariance(residual):
    design = design_of(residual, "", seed=4)
    order = time_order(design.residual.correlation, len(design.y))
    form = ResidualForm(design.residual)
    at = noise_of(design.residual, order).at(form.natural(form.generic()))
    eye = np.eye(len(order))
    L = at.colour(eye)
    np.testing.assert_allclose(at.whiten(L), eye, atol=1e-9)
    np.testing.assert_allclose(L, np.tril(L), atol=1e-12)
    inverse = at.inverse(at.scaled(eye)) / at.s[:, None]
    np.testing.assert_allclose(inverse @ L @ L.T, eye, atol=1e-8)


def test_autocorrelations_are_those_of_a_long_moving_average():
    phi, theta = np.array([0.5, -0.3]), np.array([0.4])
    psi = [1.0, 0.5 + 0.4]
    for j in range(2, 400):
        psi.append(0.5 * psi[j - 1] - 0.3 * psi[j - 2])
    psi = np.array(psi)
    gamma = np.array([psi[: len(psi) - h] @ psi[h:] for h in range(6)])
    np.testing.assert_allclose(autocorrelations(phi, theta, 5)[0], gamma / gamma[0], atol=1e-12)


@pytest.mark.parametrize(
    ("residual", "name", "low"), [("car1(s | g)", "car1.phi", True), ("exp(s | g)", "exp.range", True)]
)
def test_uncorrelated_residuals_end_on_the_boundary(residual, name, low):
    """Alternating residuals: no structure with positive correlations has anything to say of them."""
    frame = rows(1, shuffled=False)
    frame["y"] = frame.x + np.where(np.arange(len(frame)) % 2, 1.0, -1.0) + 0.01 * np.cos(np.arange(len(frame)))
    fit = lt.fit_gls("y ~ x", frame, residual=residual)
    least_squares = lt.fit_gls("y ~ x", frame)
    assert fit.certificate.status == "certified at the boundary"
    assert fit.criterion == pytest.approx(least_squares.criterion, abs=1e-6)
    assert fit.residual_params[name] < 0.2


def test_a_random_walk_is_at_the_limit_of_stationarity():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(np.arange(6), 30), "t": np.tile(np.arange(30), 6)})
    frame["y"] = rng.normal(size=(6, 30)).cumsum(axis=1).ravel()
    fit = lt.fit_gls("y ~ 1", frame, residual="ar1(t | g)")
    assert 0.9 < fit.residual_params["ar1.phi"] < 1.0
    assert fit.certificate.status.startswith("certified")


def test_only_even_lags_leave_the_sign_open_and_it_is_taken_positive():
    frame = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ age", frame, residual="ar1(age | Subject)")  # ages 8, 10, 12, 14
    half = frame.assign(visit=(frame["age"] - 8) // 2)
    by_visit = lt.fit_gls("distance ~ age", half, residual="ar1(visit | Subject)")
    assert fit.criterion == pytest.approx(by_visit.criterion, abs=1e-8)
    assert fit.residual_params["ar1.phi"] == pytest.approx(np.sqrt(by_visit.residual_params["ar1.phi"]), abs=1e-6)


def test_large_multipliers_change_sigma_and_nothing_else():
    """e^(δv) with v far from zero: σ is what is left for v = 0, and variances beside it are as clear as before."""
    frame = rows(6, groups=20)
    near = lt.fit_lmm("y ~ x + (1 | g)", frame, residual="varexp(w)")
    far = lt.fit_lmm("y ~ x + (1 | g)", frame.assign(w=frame.w + 60.0), residual="varexp(w)")
    assert far.criterion == pytest.approx(near.criterion, abs=1e-8)
    np.testing.assert_allclose(far.phi, near.phi, atol=1e-5)
    np.testing.assert_allclose(far.varcorr["vcov"][:-1], near.varcorr["vcov"][:-1], rtol=1e-4, atol=1e-9)
    assert far.sigma * np.exp(60.0 * far.phi[0]) == pytest.approx(near.sigma, rel=1e-3)


def test_variances_of_fitted_values_repeat_themselves():
    frame = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", frame, residual="varpower(fitted())")
    (part,) = fit.design.residual.variances
    np.testing.assert_allclose(part.values, fit.fitted, rtol=1e-6)
    assert any("not a joint maximum" in message for message in fit.messages)


def test_without_structure_and_random_effects_it_is_least_squares():
    frame = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ Sex * age", frame)
    X, y = fit.design.X, fit.design.y
    beta, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
    np.testing.assert_allclose(fit.fixef, beta, atol=1e-9)
    assert fit.sigma**2 == pytest.approx(rss[0] / (len(y) - 4))
    assert fit.npar == 5 and not len(fit.theta) and not len(fit.phi)
    assert fit.certificate.status == "certified"


@pytest.mark.parametrize(
    ("formula", "residual", "words"),
    [
        ("y ~ x + (1 | g)", "cs(g) * varident(k)", "cannot be told apart"),
        ("y ~ x + (1 | g)", "cs(g)", "same model"),
    ],
)
def test_structures_that_say_what_the_random_effects_say_are_refused(formula, residual, words):
    """With unequal variances the two differ, and only where they are the same they are refused."""
    frame = rows(7, groups=20)
    if "varident" in residual:
        assert lt.fit_lmm(formula, frame, residual=residual).nobs == len(frame)
        return
    with pytest.raises(lt.ModelError, match=words):
        lt.fit_lmm(formula, frame, residual=residual)


def test_pairs_of_rows_cannot_tell_an_autoregression_from_an_intercept():
    frame = rows(3, groups=20)
    frame = frame.sort_values(["g", "t"]).groupby("g").head(2)
    frame["t"] = frame.groupby("g").cumcount()
    with pytest.raises(lt.ModelError, match=r"ar1\.phi.*cannot be told apart"):
        lt.fit_lmm("y ~ x + (1 | g)", frame, residual="ar1(t | g)")


def visits(groups, seed=6):
    """Five visits, some missing, with variances and correlations of their own."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), 5), np.tile(np.arange(5), groups)
    root = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5))) + np.diag(np.arange(5) / 4))
    frame = pd.DataFrame({"g": g, "t": t, "arm": g % 2, "y": (rng.normal(size=(groups, 5)) @ root.T).ravel()})
    return frame[rng.uniform(size=len(frame)) > 0.2]


@pytest.mark.parametrize("residual", ["us(t | g) * varident(t)", "toep(t | g, by=arm)", "exp(t | g, nugget=True)"])
def test_groups_with_one_covariance_are_as_good_turned_into_few(residual):
    """An orthogonal turn of groups with the same R changes neither criterion nor derivatives."""
    design = lt.build_design("y ~ factor(t) * arm", visits(200), residual=residual)
    there = point_of(design, 1)
    few, many = Criterion(design), Criterion(design)
    assert len(few.working.products.condensed.H) < 0.5 * few.working.products.n
    many.working = replace(many.working, products=replace(many.working.products, condensed=None))
    assert few(there) == pytest.approx(many(there), rel=1e-12)
    np.testing.assert_allclose(few.gradient(there), many.gradient(there), atol=1e-9 * len(design.y))
    np.testing.assert_allclose(few.hessian(there), many.hessian(there), atol=1e-9 * len(design.y))


def test_free_covariances_start_at_moments():
    fit = lt.fit_gls("y ~ factor(t) * arm", visits(300), residual="us(t | g) * varident(t)")
    assert fit.certificate.status == "certified"
    assert fit.n_evaluations <= 8


def test_partial_autocorrelations_and_coefficients_are_each_others_inverse():
    r = np.array([0.5, -0.7, 0.2])
    a, slopes, bends = coefficients(r)
    np.testing.assert_allclose(partial_autocorrelations(a), r, atol=1e-14)
    step = 1e-6 * np.eye(3)
    differences = np.array([(coefficients(r + e)[0] - coefficients(r - e)[0]) / 2e-6 for e in step])
    np.testing.assert_allclose(slopes.T, differences, atol=1e-8)
    differences = np.array([(coefficients(r + e)[1] - coefficients(r - e)[1]) / 2e-6 for e in step])
    np.testing.assert_allclose(bends.transpose(2, 0, 1), differences, atol=1e-8)
    assert np.abs(np.roots([1.0, *-a])).max() < 1.0


@pytest.mark.parametrize("residual", ["arma(t | g, 2, 0)", "arma(t | g, 1, 1)"])
def test_a_cycle_that_never_fades_is_on_the_edge_of_stationarity(residual):
    rng = np.random.default_rng(3)
    t = np.arange(12)
    wave = np.concatenate([np.cos(np.pi * t + angle) * size for angle, size in rng.normal(size=(10, 2))])
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 12), "t": np.tile(t, 10)})
    frame["y"] = wave + 0.1 * rng.normal(size=120)
    fit = lt.fit_gls("y ~ 1", frame, residual=residual)
    assert fit.certificate.status.startswith("certified")
    again = lt.certify(fit, restarts=4)
    assert again.status == fit.certificate.status


def test_units_of_time_make_no_difference_until_numbers_end():
    frame = rows(2, groups=24)
    fit = lt.fit_gls("y ~ x", frame, residual="car1(s | g)")
    seconds = lt.fit_gls("y ~ x", frame.assign(s=1e7 * frame.s), residual="car1(s | g)")
    assert seconds.criterion == pytest.approx(fit.criterion, abs=1e-5)
    assert 1e7 * np.log(seconds.phi[0]) == pytest.approx(np.log(fit.phi[0]), rel=1e-3)
    with pytest.raises(lt.ModelError, match="double precision has no numbers.*neighbours are about 1 apart"):
        lt.fit_gls("y ~ x", frame.assign(s=1e-7 * frame.s), residual="car1(s | g)")


def test_units_of_a_constant_and_a_power_make_no_difference():
    frame = rows(5, groups=20)
    near = lt.fit_gls("y ~ x", frame, residual="varconstpower(w)")
    far = lt.fit_gls("y ~ x", frame.assign(w=1e-4 * frame.w), residual="varconstpower(w)")
    assert far.criterion == pytest.approx(near.criterion, abs=1e-5)


def test_more_occasions_than_groups_can_tell_has_no_maximum():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.repeat(np.arange(6), 5), "t": np.tile(np.arange(5), 6), "y": rng.normal(size=30)})
    frame = frame[~((frame.g == 0) & (frame.t == 4))]  # one visit missing: the count of complete groups does not tell
    with pytest.raises(lt.ModelError, match="no maximum|fewest"):
        lt.fit_gls("y ~ factor(t)", frame, residual="us(t | g) * varident(t)")


def test_a_million_rows_never_meet_a_matrix_of_a_series():
    """Closed forms: what is held is of the size of the rows."""
    rng = np.random.default_rng(3)
    n = 400
    frame = pd.DataFrame({"g": 0, "t": np.arange(n), "x": rng.normal(size=n), "y": rng.normal(size=n)})
    design = lt.build_design("y ~ x", frame, residual="ar1(t | g)")
    law = Criterion(design).working.products.noise.law
    sizes = [np.size(value) for value in vars(law).values()]
    assert max(sizes) <= n


def test_no_warning_of_arithmetic_reaches_the_user():
    frame = rows(9, groups=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", lt.LMMWarning)  # that some structure has a parameter these data say nothing of
        for residual in STRUCTURES[:-1]:
            lt.fit_gls("y ~ x + t", frame, residual=residual)


def test_parameters_without_a_covariance_are_told():
    criterion = Criterion(design_of("us(t | g)", "", seed=3))
    with pytest.raises(lt.LMMError, match="not positive definite"):
        criterion(np.tile([0.99, -0.99], 10)[: len(criterion.theta_names)])
    spatial = Criterion(design_of("exp(s | g, nugget=True)", "", seed=3))
    assert np.isfinite(spatial([1e9, 0.0]))  # far beyond where the search looks
    with pytest.raises(lt.LMMError, match=r"exp\.nugget"):
        spatial([1.0, -0.5])
    with pytest.raises(lt.LMMError, match="ratios and ranges"):
        spatial.gradient([0.0, 0.1])
