"""Profiles of fits with a residual structure: their parameters, and all others beside them, against V written out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import lmmtools as lt
from lmmtools.profiles import profile_confint
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.paths import path_of
from tests.definitions.profile import deviance, profile_deviance
from tests.oracle import dense_model


def small_rows(seed=1, groups=14, occasions=4):
    """Rows of an autoregression with unequal variances; some are missing, and they stand in no order."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), occasions)
    t = np.tile(np.arange(occasions), groups)
    e = rng.standard_normal((groups, occasions))
    for k in range(1, occasions):
        e[:, k] = 0.6 * e[:, k - 1] + 0.8 * e[:, k]
    f = np.where(g % 2 == 0, "a", "b")
    x = rng.standard_normal(len(g))
    y = 1.0 + x + np.repeat(rng.standard_normal(groups), occasions) + e.ravel() * np.where(f == "a", 1.0, 1.5)
    data = pd.DataFrame({"y": y, "x": x, "t": t, "u": t + 0.1 * rng.random(len(t)), "g": g, "f": f, "v": 1.0 + t})
    return data.sample(frac=0.9, random_state=seed)


DATA = small_rows()
MODELS = [
    ("y ~ x", "ar1(t | g)"),
    ("y ~ x", "cs(g) * varident(f)"),
    ("y ~ x", "us(t | g)"),
    ("y ~ x", "toep(t | g, 2)"),
    ("y ~ x", "arma(t | g, 1, 1)"),
    ("y ~ x", "arma(t | g, 2, 0)"),
    ("y ~ x", "car1(u | g) * varpower(v)"),
    ("y ~ x", "exp(u | g, nugget=True)"),
    ("y ~ x + (1 | g)", "ar1(t | g) * varident(f)"),
    ("y ~ x + (1 | g)", "varexp(v)"),
    ("y ~ x + (x | g)", "ar1(t | g)"),
]
# Of the others every part is checked elsewhere; here the whole takes seconds each.
QUICK = [pytest.param(*m, marks=() if m[1] in ("ar1(t | g)", "varexp(v)") and "x |" not in m[0] else pytest.mark.slow)
         for m in MODELS]  # fmt: skip


def fitted(formula, residual, data=DATA, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_model(formula, data, residual=residual, reml=False, **options)


def moved(path, share):
    """A value of the parameter away from its estimate, within its bounds."""
    estimate, low, high = path.estimate, path.low, path.high
    if path.parameter.kind in ("sd", "sigma") or (path.parameter.kind == "residual" and np.isinf(high) and low == 0.0):
        return max(estimate, 0.1) * np.exp(0.3 * share)
    if path.parameter.kind == "coefficient":
        return estimate + share * path.origin.fit.stderr.iloc[path.parameter.places[0]]
    if np.isinf(low):
        return estimate + 0.2 * share
    room = high - estimate if share > 0 else estimate - low
    return estimate + 0.25 * share * room


def brute_force(model, parameter, value, before, start):
    """The least deviance over [θ, φ, log σ] with one of them, or a coefficient, held, by a simplex."""
    place = {"sigma": len(start) - 1, "residual": before + parameter.places[0] if parameter.places else 0}
    coefficient = (parameter.places[0], value) if parameter.kind == "coefficient" else None
    held = place.get(parameter.kind)
    free = np.arange(len(start)) != held
    set_at = np.log(value) if parameter.kind == "sigma" else value
    low, high = np.append(model.bounds, [[-10.0, 10.0]], axis=0)[free].T

    def D(z):
        if np.any(z < low) or np.any(z > high):
            return 1e6
        whole = z if held is None else np.insert(z, held, set_at)
        try:
            with np.errstate(all="ignore"):
                return float(deviance(model, model.V(whole[:-1]), np.exp(whole[-1]), coefficient))
        except np.linalg.LinAlgError:
            return 1e6

    at = start[free]
    for _ in range(3):
        at = minimize(D, at, method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-9}).x
    return D(at)


@pytest.mark.parametrize(("formula", "residual"), QUICK)
def test_a_point_is_the_lowest_deviance_with_the_parameter_held(formula, residual):
    fit = fitted(formula, residual)
    origin, model = Origin(fit), dense_model(fit.design, reml=False)
    start = np.concatenate([fit.theta, fit.phi])
    for parameter in origin.parameters:
        path = path_of(origin, parameter)
        if path.why_not():
            continue
        for share in (-0.7, 0.9):
            value = moved(path, share)
            point = path.at(value)
            if parameter.kind in ("sd", "cor"):
                kind, term = parameter.kind, parameter.term
                lowest = profile_deviance(model, kind, term, parameter.places, value, [(start, fit.sigma)])
            else:
                lowest = brute_force(model, parameter, value, len(fit.theta), np.append(start, np.log(fit.sigma)))
            if not np.isfinite(lowest):  # where SLSQP stepped out of what R can be
                assert parameter.kind in ("sd", "cor")
                continue
            assert point.deviance <= lowest + 1e-5
            got = point.parameters[origin.parameters.index(parameter)]
            assert got == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(("formula", "residual"), MODELS)
def test_deviance_and_slope_are_those_of_the_point(formula, residual):
    """From V written out at the point, and by differences along the profile."""
    fit = fitted(formula, residual)
    origin, model = Origin(fit), dense_model(fit.design, reml=False)
    for parameter in (p for p in origin.parameters if p.kind == "residual"):
        path = path_of(origin, parameter)
        if path.why_not():
            continue
        value = moved(path, 0.6)
        point = path.at(value)
        at = np.insert(point.theta, len(fit.theta) + parameter.places[0], value)
        assert point.deviance == pytest.approx(model.criterion(at), abs=1e-6)
        h = 1e-4 * max(abs(value), 0.1)
        low, high = path.at(value - h, (point,)), path.at(value + h, (point,))
        numeric = (high.deviance - low.deviance) / (2 * h)
        assert point.slope == pytest.approx(numeric, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("formula", "residual"), QUICK)
def test_the_cutoff_is_reached_at_the_limits(formula, residual):
    fit = fitted(formula, residual)
    table = profile_confint(fit)
    assert list(table.index[-len(fit.phi) :]) == list(fit.residual_params.index)
    origin = Origin(fit)
    for parameter in (p for p in origin.parameters if p.kind == "residual"):
        path = path_of(origin, parameter)
        low, high = table.loc[parameter.name]
        for limit, bound in ((low, path.low), (high, path.high)):
            if np.isfinite(limit) and limit != bound:
                assert abs(path.at(limit).zeta) == pytest.approx(1.959964, abs=2e-4)
            elif limit == bound:
                assert any(parameter.name in note for note in table.notes)
        assert low <= path.estimate <= high


def test_without_parameters_of_covariance_the_limits_are_those_of_the_normal_model():
    """β's in closed form: n log(1 + t²/n) = 1.96²; σ's with the residual sum of squares alone."""
    fit = lt.fit_gls("y ~ x", DATA, reml=False)
    table = profile_confint(fit)
    n, cut = fit.nobs, 1.959963985**2
    half = fit.stderr * np.sqrt(n * np.expm1(cut / n))
    np.testing.assert_allclose(table["high"].iloc[:2], fit.fixef + half, rtol=1e-6)
    for limit in table.loc["sigma"]:
        ratio = (fit.sigma / limit) ** 2
        assert n * (ratio - 1.0 - np.log(ratio)) == pytest.approx(cut, rel=1e-4)


def test_a_nugget_of_zero_has_zero_for_its_lower_limit():
    fit = fitted("y ~ x", "exp(u | g, nugget=True)", small_rows(seed=8))
    table = profile_confint(fit, which="exp.nugget")
    assert fit.residual_params["exp.nugget"] == pytest.approx(0.0, abs=1e-6)
    assert table.loc["exp.nugget", "low"] == 0.0 < table.loc["exp.nugget", "high"] < 1.0
    assert "exp.nugget does not reach the cutoff before 0" in " ".join(table.notes)


def test_a_profile_has_a_curve_for_each_parameter():
    found = lt.profile(fitted("y ~ x + (1 | g)", "ar1(t | g)"), "ar1.phi")
    zeta = found["zeta"].to_numpy()
    assert np.all(np.diff(zeta) > 0) and zeta[-1] > 3.0
    assert found.confint().loc["ar1.phi", "low"] < 0.5


def test_orthodont_compound_symmetry_is_the_random_intercept_model():
    """Their common limits are the same, and ρ's follow from those of the ratio of variances."""
    data = lt.load_dataset("Orthodont")
    mixed = lt.fit_lmm("distance ~ Sex * age + (1 | Subject)", data, reml=False)
    marginal = lt.fit_gls("distance ~ Sex * age", data, residual="cs(Subject)", reml=False)
    a, b = profile_confint(mixed), profile_confint(marginal)
    np.testing.assert_allclose(a.iloc[:4], b.iloc[:4], rtol=1e-5)
    assert b.loc["cs.rho", "low"] < marginal.phi[0] < b.loc["cs.rho", "high"]
