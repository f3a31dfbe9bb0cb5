"""Whole fits: against the dense oracle, and what changes of units, order and labels must not change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from tests.definitions.prediction import prediction_variance
from tests.designs import Problem, problems, wider_problems
from tests.oracle import dense_model, descend

# Those that a shift of x leaves the same model: every slope of x has its intercept, unstructured.
LOCATED_PARTS = (
    "(1 | g)", "(1 + x | g)", "(1 | g:f)", "(1 | g) + (1 | h)", "(1 + x | g) + (1 | h)", "(1 + x | g) + (1 + x | g:k)",
    "(1 | h) + (1 | g) + (1 + x | k)",
)  # fmt: skip


def _fit(problem: Problem, data=None, **options):
    """The fit, or no example where the design is refused as confounded (its own tests cover that)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)  # flat designs among the random ones: expected here
        try:
            return lt.fit_lmm(
                problem.formula,
                problem.data if data is None else data,
                reml=problem.reml,
                **(problem.options | options),
            )
        except lt.ModelError:
            assume(False)


def _identified(fit) -> bool:
    return fit.certificate.status.startswith("certified")


def _check_estimates(problem: Problem) -> None:
    fit = _fit(problem)
    dense = dense_model(fit.design, reml=problem.reml)
    at = dense.fit_at(fit.theta)
    assert fit.criterion == pytest.approx(at.criterion, rel=1e-9, abs=1e-7)
    se = at.stderr
    np.testing.assert_allclose(fit.fixef.to_numpy(), at.beta, atol=1e-7 * np.append(se, 1.0).max())
    np.testing.assert_allclose(fit.stderr.to_numpy(), se, rtol=1e-7)
    assert fit.sigma == pytest.approx(at.sigma, rel=1e-7)
    modes, covariances = dense.by_factor(at)
    for factor, b in modes.items():
        np.testing.assert_allclose(fit.ranef[factor].to_numpy(), b, atol=1e-6 * fit.sigma)
        np.testing.assert_allclose(fit.ranef_cov[factor], covariances[factor], atol=1e-6 * fit.sigma**2)
    np.testing.assert_allclose(fit.fitted.to_numpy(), at.fitted, atol=1e-6 * fit.sigma)
    assert fit.criterion <= descend(dense, fit.theta).lowest + 1e-6


@given(problems())
def test_estimates_are_the_dense_ones_and_no_point_nearby_is_better(problem):
    _check_estimates(problem)


@settings(max_examples=25)
@given(wider_problems())
def test_estimates_of_any_model_are_the_dense_ones(problem):
    _check_estimates(problem)


def _check_optimum(problem: Problem) -> None:
    """No start finds a lower point: not the oracle's own optimiser, and not ours unless its end says why.

    With a correlation among the parameters and so few rows, about one design in 300 has a lower minimum that no start
    of ours reaches (an sd at zero and a correlation at its bound): the end must then be a minimum all the same.
    """
    fit = _fit(problem)
    assume(_identified(fit))
    dense = dense_model(fit.design, reml=problem.reml)
    lowest, _ = dense.lowest(starts=5)
    if lowest < fit.criterion - 1e-6:
        assert {t.structure for t in fit.design.terms} & {"cs", "homcs", "ar1", "hetar1"}
        assert descend(dense, fit.theta).lowest > fit.criterion - 1e-6
        return
    criterion, rng = lt.Criterion(fit.design, reml=problem.reml), np.random.default_rng(0)
    for _ in range(5):
        try:
            end = lt.minimize(criterion, start=dense.start(rng))
        except lt.ModelError:  # from far out: a criterion that falls all the way to an infinite variance
            continue
        assert end.value >= fit.criterion - 1e-6
        if end.value > fit.criterion + 1e-6:  # another minimum: nothing nearby is lower by the oracle either
            assert descend(dense, end.theta).lowest > end.value - 1e-6


@settings(max_examples=25)
@given(problems())
def test_optimum_from_five_starts(problem):
    _check_optimum(problem)


@settings(max_examples=25)
@given(wider_problems())
def test_optimum_of_any_model_from_five_starts(problem):
    _check_optimum(problem)


def _check_certificate(problem: Problem) -> None:
    fit = _fit(problem)
    assert fit.certificate.status != "not an optimum"
    assert fit.certificate.deviance_left <= 1e-6
    assert (fit.certificate.status == "flat direction") == bool(fit.certificate.flat)
    assert fit.is_singular == (fit.certificate.status == "certified at the boundary") or fit.certificate.flat


@given(problems())
def test_every_fit_is_certified_or_says_why_not(problem):
    _check_certificate(problem)


@settings(max_examples=25)
@given(wider_problems())
def test_every_fit_of_any_model_is_certified_or_says_why_not(problem):
    _check_certificate(problem)


@settings(max_examples=25)
@given(
    st.one_of(problems(), wider_problems()),
    st.floats(-1e6, 1e6),
    st.sampled_from([1e-3, 7.0, 1e5]),
)
def test_location_and_scale_of_the_response(problem, a, c):
    # Without an intercept in X a shift is not a change of units but of the model.
    assume(not problem.formula.startswith("y ~ 0 + ") or problem.formula.startswith("y ~ 0 + f + "))
    options = {k: (c * v if k == "offset" else v) for k, v in problem.options.items()}
    one = _fit(problem)
    two = _fit(problem, problem.data.assign(y=a + c * problem.data["y"]), **options)
    assume(_identified(one))
    shift = (two.nobs - (len(two.fixef) if problem.reml else 0)) * 2.0 * np.log(c)
    # a + cy is stored with 16 digits, so a/c of them are lost to its own variation; the rest is the optimiser's.
    lost = 1e-8 + 1e-14 * abs(a) / c
    assert two.criterion - shift == pytest.approx(one.criterion, abs=1e-6 + two.nobs * lost)
    assert two.sigma / c == pytest.approx(one.sigma, rel=10 * lost + 1e-6)
    np.testing.assert_allclose(two.stderr.to_numpy() / c, one.stderr.to_numpy(), rtol=1e3 * lost)


@settings(max_examples=25)
@given(
    problems(LOCATED_PARTS),
    st.sampled_from([0.0, 30.0, 1e3, 1e6]),
    st.sampled_from([1e-2, 1.0, 50.0]),
)
def test_location_and_scale_of_a_covariate(problem, mean, c):
    assume("~ x" in problem.formula)
    one = _fit(problem)
    assume(_identified(one))
    two = _fit(problem, problem.data.assign(x=c * (mean + problem.data["x"])))
    # log|X'V⁻¹X| follows the units of x, one factor c² for each column that holds x; nothing else does.
    columns = sum("x" in name for name in one.fixef.index)
    units = 2.0 * columns * np.log(c) if problem.reml else 0.0
    assert two.criterion - units == pytest.approx(one.criterion, abs=1e-6)
    assert two.sigma == pytest.approx(one.sigma, rel=1e-6)
    assert two.fixef["x"] * c == pytest.approx(one.fixef["x"], abs=1e-6 * one.stderr["x"])
    np.testing.assert_allclose(two.fitted.to_numpy(), one.fitted.to_numpy(), atol=1e-5 * one.sigma)


@settings(max_examples=25)
@given(st.one_of(problems(), wider_problems()), st.integers(0, 2**31))
def test_order_of_rows_and_names_of_groups(problem, seed):
    one = _fit(problem)
    assume(_identified(one))
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(problem.data)), {}
    data = problem.data
    for factor, new in (("g", "g"), ("h", "H")):
        if factor in data:
            labels = rng.permutation(20)
            names[factor] = {old: f"{new}{label}" for old, label in zip(data[factor].unique(), labels, strict=False)}
            data = data.assign(**{factor: data[factor].map(names[factor])})
    options = problem.row_options(lambda _, v: v[order])
    if "known" in options:
        options["known"] = {"g": options["known"]["g"].rename(index=names["g"], columns=names["g"])}
    two = _fit(problem, data.iloc[order], **options)
    assert two.criterion == pytest.approx(one.criterion, abs=1e-7)
    np.testing.assert_allclose(two.fixef.to_numpy(), one.fixef.to_numpy(), atol=1e-5 * np.append(one.stderr, 1).max())
    np.testing.assert_allclose(two.fitted.loc[one.fitted.index], one.fitted, atol=1e-4 * one.sigma)


@settings(max_examples=25)
@given(st.one_of(problems(), wider_problems()), st.sampled_from([1e-3, 4.0, 1e4]))
def test_scale_of_the_weights(problem, c):
    """w → cw: σ²V = σ²ZTZ' + σ²W⁻¹ is the same law with σ√c and T/c, so nothing but σ and the relative sds moves."""
    assume("weights" in problem.options)
    one = _fit(problem)
    two = _fit(problem, weights=c * problem.options["weights"])
    assume(_identified(one))
    assert two.criterion == pytest.approx(one.criterion, abs=1e-6)
    assert two.sigma == pytest.approx(one.sigma * np.sqrt(c), rel=1e-6)
    np.testing.assert_allclose(two.stderr.to_numpy(), one.stderr.to_numpy(), rtol=1e-5)
    np.testing.assert_allclose(two.fixef.to_numpy(), one.fixef.to_numpy(), atol=1e-5 * np.append(one.stderr, 1).max())
    for group, covariance in one.random_covariance.items():
        size = np.sqrt(np.diag(covariance))
        # on the boundary an sd is as good as the root of the criterion's rounding: 1e-6 of sigma
        near = 1e-4 * np.outer(size, size) + 1e-6 * one.sigma * size.max(initial=one.sigma)
        assert np.all(np.abs(two.random_covariance[group].to_numpy() - covariance.to_numpy()) <= near)


def _check_intervals(problem: Problem) -> None:
    fit = _fit(problem)
    dense = dense_model(fit.design, reml=problem.reml)
    rows = tuple((t.matrix, t.codes) for t in fit.design.terms)
    mean, observation = prediction_variance(dense, fit.theta, fit.design.X, rows)
    got = fit.predict(interval="mean")["std_error"].to_numpy()
    np.testing.assert_allclose(got, np.sqrt(mean), rtol=1e-5, atol=1e-6 * fit.sigma)
    unseen = tuple((t.matrix, np.full(fit.nobs, -1)) for t in fit.design.terms)
    _, population = prediction_variance(dense, fit.theta, fit.design.X, unseen)
    if fit.design.weights is None:
        got = fit.predict(interval="observation")["std_error"].to_numpy()
        np.testing.assert_allclose(got, np.sqrt(observation), rtol=1e-5)
        got = fit.predict(random=False, interval="observation")["std_error"].to_numpy()
        np.testing.assert_allclose(got, np.sqrt(population), rtol=1e-5)


@given(problems())
def test_prediction_variances_are_those_of_the_mixed_model_equations(problem):
    _check_intervals(problem)


@settings(max_examples=25)
@given(wider_problems())
def test_prediction_variances_of_any_model(problem):
    _check_intervals(problem)
