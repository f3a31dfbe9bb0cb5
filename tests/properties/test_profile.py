"""Profiles against their definition with V written out: any parameter, anywhere, on small random designs."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

import lmmtools as lt
from lmmtools.profiles import profile_confint
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.paths import path_of
from tests.definitions import profile as definition
from tests.designs import problems, wider_problems
from tests.oracle import dense_model

places, shares = st.integers(0, 20), st.floats(-1.0, 1.0)


def held(problem, place, share):
    """One parameter of the fit by ML, a value for it, and the point of its profile there; None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            fit = lt.fit_lmm(problem.formula, problem.data, reml=False, **problem.options)
        except lt.ModelError:
            return None
        origin = Origin(fit)
        parameter = origin.parameters[place % len(origin.parameters)]
        path = path_of(origin, parameter)
        if path.why_not():
            return None
        if parameter.kind == "cor":
            value = path.low + (path.high - path.low) * (share + 1.0) / 2.0
        elif parameter.kind == "coefficient":
            value = path.estimate + 4.0 * share * fit.stderr.iloc[parameter.places[0]]
        else:
            value = (path.estimate or 0.3 * fit.sigma) * np.exp(share)
        return path, path.at(value)


def at_the_point(path, point):
    """The deviance from V written out, at the factors and sigma where the search ended."""
    model = dense_model(path.origin.fit.design, reml=False)
    coefficient = path.parameter.places[0] if path.parameter.kind == "coefficient" else None
    column = None if coefficient is None else (coefficient, point.value)
    return definition.deviance(model, definition.covariance(model, point.factors), point.parameters[-1], column)


@settings(max_examples=20)
@given(problem=st.one_of(problems(), wider_problems()), place=places, share=shares)
def test_a_point_has_the_value_that_is_held_and_the_deviance_of_its_definition(problem, place, share):
    if (found := held(problem, place, share)) is None:
        return
    path, point = found
    got = point.parameters[path.origin.parameters.index(path.parameter)]
    if np.isfinite(got):  # a correlation beside a vanished effect is any
        assert got == pytest.approx(point.value, rel=1e-8, abs=1e-8)
    assert at_the_point(path, point) == pytest.approx(point.deviance, rel=1e-9, abs=1e-6)


@pytest.mark.slow
@settings(max_examples=20)
@given(problem=st.one_of(problems(), wider_problems()), place=places, share=shares)
def test_brute_force_finds_nothing_lower(problem, place, share):
    if (found := held(problem, place, share)) is None:
        return
    path, point = found
    if path.parameter.kind == "cor" and abs(point.value) < 1e-2:
        return  # of a power of a correlation, zero to SLSQP's rounding is not zero
    point = path.elsewhere(point) or point
    fit, model = path.origin.fit, dense_model(path.origin.fit.design, reml=False)
    rng = np.random.default_rng(1)
    starts = [(np.clip(fit.theta, *model.bounds.T), fit.sigma)]
    starts += [(model.start(rng), fit.sigma * np.exp(rng.normal(0.0, 0.5))) for _ in range(3)]
    p = path.parameter
    brute = definition.profile_deviance(model, p.kind, p.term, p.places, point.value, starts)
    assert not brute < min(point.deviance, getattr(path.plateau, "deviance", np.inf)) - 1e-5


@settings(max_examples=15)
@given(problem=st.one_of(problems(), wider_problems()), place=places, share=shares)
def test_the_slope_is_the_derivative_of_the_profile(problem, place, share):
    if (found := held(problem, place, share)) is None or not np.isfinite(found[1].slope):
        return
    path, point = found
    step = 1e-5 * (abs(point.value) + 1e-2)
    if not path.low < point.value - step < point.value + step < path.high:
        return
    below, above = (path.at(point.value + way * step, (point,)) for way in (-1.0, 1.0))
    numeric = (above.deviance - below.deviance) / (2.0 * step)
    bend = abs(above.deviance - 2.0 * point.deviance + below.deviance) / step  # kinks, and where it bends much
    assert point.slope == pytest.approx(numeric, rel=1e-4, abs=1e-5 / step * 1e-4 + bend + 1e-4)


@settings(max_examples=8)
@given(problem=st.one_of(problems(), wider_problems()), place=places)
def test_limits_are_where_the_deviance_has_risen_by_the_cutoff_or_bounds_before_it(problem, place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            fit = lt.fit_lmm(problem.formula, problem.data, reml=False, **problem.options)
        except lt.ModelError:
            return
        origin = Origin(fit)
        parameter = origin.parameters[place % len(origin.parameters)]
        path = path_of(origin, parameter)
        table = profile_confint(fit, 0.9, parameter.name)
        low, high = table.loc[parameter.name]
        if path.why_not():
            assert np.isnan([low, high]).all()
            assert path.why_not() in table.notes
            return
        assert low <= path.estimate <= high
        for end, bound in ((low, path.low), (high, path.high)):
            if end == bound:
                assert parameter.name in " ".join(table.notes)
                continue
            point = path.at(end)
            point = path.elsewhere(point) or point
            assert abs(point.zeta) == pytest.approx(ndtri(0.95), abs=1e-6)
