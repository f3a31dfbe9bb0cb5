"""Refits that share a design: their cross-products and optima are those of fits from scratch, singular or not."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmmtools import Criterion, LMMWarning, ModelError, fit_lmm
from lmmtools.core.responses import Responses
from lmmtools.core.several import FactorColumns, several_products
from lmmtools.core.working import working_model
from lmmtools.resampling import refits
from tests.designs import problems, wider_problems

ANY = st.one_of(problems(), wider_problems())


def fitted(problem):
    """The fit of a random problem; those that cannot be estimated are no matter of this file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        try:
            return fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except ModelError:
            assume(False)


@settings(max_examples=25)
@given(problem=ANY, seed=st.integers(0, 1000), size=st.sampled_from([0.2, 1.0, 5.0]))
def test_products_with_another_response_are_those_made_from_its_rows(problem, seed, size):
    fit = fitted(problem)
    responses = fit.simulate(2, np.random.default_rng(seed))
    lower, upper = fit.working.bounds
    theta = np.clip(size * fit.theta + 0.1 * size, lower, upper)
    for y, shared in zip(responses.T, Responses(fit.design, fit.working).models(responses), strict=True):
        design = dataclasses.replace(fit.design, y=y)
        ours, fresh = (Criterion(design, reml=fit.reml, working=w) for w in (shared, working_model(design)))
        assert ours(theta) == pytest.approx(fresh(theta), rel=1e-10, abs=1e-8)
        gradient, hessian = fresh.gradient(theta), fresh.hessian(theta)
        np.testing.assert_allclose(ours.gradient(theta), gradient, rtol=1e-7, atol=1e-7 * (1 + np.abs(gradient).max()))
        np.testing.assert_allclose(ours.hessian(theta), hessian, rtol=1e-6, atol=1e-7 * (1 + np.abs(hessian).max()))
        np.testing.assert_allclose(shared.beta_shift, fresh.working.beta_shift, rtol=1e-9, atol=1e-9)


@settings(max_examples=15)
@given(problem=ANY, seed=st.integers(0, 1000))
def test_refits_find_the_optimum_of_a_fit_from_scratch(problem, seed):
    fit = fitted(problem)
    responses = fit.simulate(3, np.random.default_rng(seed))
    for y, ours in zip(responses.T, refits(fit, responses), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)
            try:
                whole = fit.refit(y=y)
            except ModelError as error:
                assert ours.reason == str(error)
                continue
            assert ours.ok == (whole.certificate.status != "not an optimum"), whole.certificate.sentence
            if not ours.ok:
                continue
            assert ours.criterion == pytest.approx(whole.criterion, rel=1e-11, abs=1e-6)
            assert ours.full().certificate.status != "not an optimum"
        # where the optimum is flat, or rounding decides, only the criterion is determined
        found = whole.certificate
        if found.status.startswith("certified") and found.hessian_eigenvalues.min(initial=1) > 1e-2:
            size = np.sqrt(np.diagonal(whole.beta_cov)).max(initial=0.0)
            np.testing.assert_allclose(ours.beta, whole.beta, atol=1e-3 * size)
            assert ours.sigma == pytest.approx(whole.sigma, rel=1e-3)
            assert ours.is_singular == whole.is_singular
            for a, b in zip(ours.Lambda, whole.Lambda, strict=True):
                np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-2 * max(1.0, float(np.abs(b @ b.T).max())))


@pytest.mark.parametrize("layout", ["dense", "leaf", "chain"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_way_of_elimination_takes_another_response(layout, weighted):
    rng = np.random.default_rng(3)
    n = 400
    fine, cross = rng.integers(0, 40, n), rng.integers(0, 12, n)
    root = np.sqrt(rng.uniform(0.5, 2.0, n)) if weighted else np.ones(n)
    x, e, other = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n) + rng.normal(size=40)[fine]
    columns = [root, root * x, e, other]
    factors = (FactorColumns([0, 1], fine, 40), FactorColumns([0, 1], fine // 5, 8), FactorColumns([0], cross, 12))
    first, fresh = (several_products(columns, factors, [0, 1, k], layout=layout) for k in (2, 3))
    borders = [
        np.array([np.bincount(f.codes, columns[i] * other, minlength=f.n_levels) for i in f.z])[..., None]
        for f in factors
    ]
    C = np.array([columns[i] @ other for i in (0, 1, 3)])[:, None]
    (ours,) = first.with_responses(borders, C)
    Lambda = np.diag([0.7, 0.3, 0.5, 0.2, 0.9])
    a, b = ours.solve(Lambda, reml=True), fresh.solve(Lambda, reml=True)
    assert a.value == pytest.approx(b.value, rel=1e-12)
    np.testing.assert_allclose(a.beta, b.beta, rtol=1e-9)
    np.testing.assert_allclose(ours.derivatives(a).gradient, fresh.derivatives(b).gradient, rtol=1e-7, atol=1e-7)
    assert ours.within_residual() == pytest.approx(fresh.within_residual(), rel=1e-9)
    np.testing.assert_allclose(ours.residual_products(), fresh.residual_products(), rtol=1e-9)


def test_longer_chains_are_made_from_the_rows_again():
    rng = np.random.default_rng(4)
    a = np.repeat(np.arange(80), 4)
    data = {"y": rng.normal(size=80)[a] + rng.normal(size=320), "a": a, "b": a // 4, "c": a // 16}
    import pandas as pd

    fit = fit_lmm("y ~ 1 + (1 | a) + (1 | b) + (1 | c)", pd.DataFrame(data))
    responses = fit.simulate(2, rng)
    for y, ours in zip(responses.T, refits(fit, responses), strict=True):
        assert ours.criterion == pytest.approx(fit.refit(y=y).criterion, abs=1e-8)


def test_a_response_that_lies_between_the_groups_is_taken_from_its_rows():
    rng = np.random.default_rng(5)
    import pandas as pd

    g = np.repeat(np.arange(20), 6)
    data = pd.DataFrame({"y": rng.normal(size=20)[g] + rng.normal(size=120), "x": rng.normal(size=120), "g": g})
    fit = fit_lmm("y ~ x + (1 | g)", data)
    responses = (1e5 * rng.normal(size=20)[g] + rng.normal(size=120))[:, None] + np.array([0.0, 1e8])
    for y, ours in zip(responses.T, refits(fit, responses), strict=True):
        whole = fit.refit(y=y)
        assert ours.criterion == pytest.approx(whole.criterion, abs=1e-6)
        assert ours.sigma == pytest.approx(whole.sigma, rel=1e-6)


def test_what_fails_has_its_sentence_and_the_others_are_fitted():
    from lmmtools import load_dataset

    fit = fit_lmm("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"))
    responses = np.array(fit.simulate(3, np.random.default_rng(1)))
    responses[:, 1] = 2.0 + 3.0 * fit.design.X[:, 1]
    first, second, third = refits(fit, responses)
    assert first.ok and third.ok and not second.ok
    assert "exactly" in second.reason and np.isnan(second.criterion) and np.isnan(second.beta).all()
    with pytest.raises(ModelError, match="exactly"):
        second.full()
    assert third.full().criterion == pytest.approx(third.criterion)
