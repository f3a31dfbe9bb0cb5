"""Singular fits: what has no variance is named, and each simpler model is what a fit of its own gives."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.collapsed import zero_directions


@pytest.fixture(scope="module")
def fan():
    """Lines that all meet at x = −4, so that slopes are a quarter of the intercepts."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(24), 8), np.tile(np.arange(8.0), 24)
    b = rng.normal(size=24)
    y = 2.0 + x + 3.0 * b[g] * (1.0 + x / 4.0) + 4.0 * rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "z": rng.normal(size=len(g)), "g": [f"child {i}" for i in g]})


@pytest.fixture(scope="module")
def singular(fan):
    fit = lt.fit_lmm("y ~ x + (x | g)", fan)
    assert fit.is_singular
    return fit


def test_a_combination_without_variance_is_one(singular):
    (zero,) = zero_directions(singular.design, singular.Lambda, singular.sigma)
    assert zero.effects == ("Intercept", "x")
    T = singular.random_covariance["g"].to_numpy()
    assert zero.z @ T @ zero.z == pytest.approx(0.0, abs=1e-10 * np.trace(T))


def test_lines_that_meet_are_told_where(singular):
    (zero,) = zero_directions(singular.design, singular.Lambda, singular.sigma)
    T = singular.random_covariance["g"].to_numpy()
    meet = -T[0, 0] / T[0, 1]
    assert "correlation +1" in zero.sentence
    assert f"all their lines meet at `x` = −{abs(meet):.2f}" in zero.sentence


def test_an_effect_without_variance_is_named():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    (zero,) = zero_directions(fit.design, fit.Lambda, fit.sigma)
    assert zero.sentence == "`Intercept` by Batch has variance zero: it is the same in every level of `Batch`."


def test_each_simpler_model_is_the_fit_of_its_own_formula(singular, fan):
    table = lt.explain_singular(singular).set_index(["model", "coefficient"])
    own = {
        "correlations in (1 + x | g)": lt.fit_lmm("y ~ x + diag(x | g)", fan),
        "x by g": lt.fit_lmm("y ~ x + (1 | g)", fan),
    }
    assert set(table.index.levels[0]) == {*own, "(1 + x | g)"}
    for model, fit in own.items():
        rows = table.loc[model]
        np.testing.assert_allclose(rows["estimate"], fit.fixef, rtol=1e-9)
        np.testing.assert_allclose(rows["std_error"], fit.stderr, rtol=1e-7)
        np.testing.assert_allclose(rows["criterion_change"], fit.criterion - singular.criterion, atol=1e-7)
        np.testing.assert_allclose(rows["shift"], (fit.fixef - singular.fixef) / singular.stderr, atol=1e-9)
        assert (rows["criterion_change"] >= -1e-7).all()


@pytest.mark.parametrize("reml", [True, False])
def test_without_random_effects_it_is_least_squares(fan, reml):
    weights = np.linspace(0.5, 2.0, len(fan))
    fit = lt.fit_lmm("y ~ x + z + (x | g)", fan, weights=weights, reml=reml)
    rows = lt.explain_singular(fit).query("model == '(1 + x | g)'")
    X, root = fit.design.X, np.sqrt(weights)
    beta, r2, *_ = np.linalg.lstsq(root[:, None] * X, root * fan["y"], rcond=None)
    nu = len(X) - X.shape[1] if reml else len(X)
    XX = X.T @ (weights[:, None] * X)
    value = nu * (1 + np.log(2 * np.pi * r2[0] / nu)) - np.log(weights).sum()
    value += np.linalg.slogdet(XX)[1] if reml else 0.0
    np.testing.assert_allclose(rows["estimate"], beta, rtol=1e-9)
    np.testing.assert_allclose(rows["std_error"], np.sqrt(r2[0] / nu * np.diag(np.linalg.inv(XX))), rtol=1e-9)
    np.testing.assert_allclose(rows["criterion_change"], value - fit.criterion, atol=1e-8)


def test_three_effects_one_of_them_a_combination(fan):
    data = fan.assign(y=fan["y"] + 0.001 * fan["z"])
    fit = lt.fit_lmm("y ~ x + z + (x + z | g)", data)
    assert fit.is_singular
    zeros = zero_directions(fit.design, fit.Lambda, fit.sigma)
    T = fit.random_covariance["g"].to_numpy()
    assert len(zeros) == 3 - np.linalg.matrix_rank(fit.Lambda[0], tol=1e-6)
    for zero in zeros:
        assert zero.z @ T @ zero.z == pytest.approx(0.0, abs=1e-9 * np.trace(T) * (zero.z @ zero.z))


def test_a_regular_fit_has_nothing_to_explain():
    table = lt.explain_singular(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff")))
    assert len(table) == 0
    assert table.notes == ("No combination of random effects has variance zero.",)


def test_only_fits_are_explained():
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.explain_singular("y ~ x")
