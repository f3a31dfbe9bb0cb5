"""Starts, traps at the boundary, several minima, exact fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.core.optimize import minimize
from lmmtools.core.starts import minque0


def _criterion(formula, data, **options):
    return lt.Criterion(lt.build_design(formula, data), **options)


@pytest.fixture(scope="module")
def sleepstudy():
    return lt.load_dataset("sleepstudy")


def test_minque0_on_balanced_data_has_a_closed_form():
    # One-way layout, a groups of r: with the projection off X left out, the two equations are
    # r²a t + ra s² = r² Σ(ȳᵢ − ȳ)² and ra t + (ra − 1) s² = total sum of squares about the mean.
    data = lt.load_dataset("Dyestuff")
    means = data.groupby("Batch", observed=True)["Yield"].mean().to_numpy()
    y, (a, r) = data["Yield"].to_numpy(), (6, 5)
    lhs = np.array([[r**2 * a, r * a], [r * a, r * a - 1]])
    t, s2 = np.linalg.solve(lhs, [r**2 * np.sum((means - y.mean()) ** 2), np.sum((y - y.mean()) ** 2)])
    criterion = _criterion("Yield ~ 1 + (1 | Batch)", data)
    assert minque0(criterion.working)[0] == pytest.approx(np.sqrt(t / s2), rel=1e-12)


def test_zero_is_left_where_a_variance_belongs(sleepstudy):
    criterion = _criterion("Reaction ~ Days + (Days | Subject)", sleepstudy)
    assert np.all(criterion.gradient(np.zeros(3)) == 0.0)
    stuck = minimize(criterion, start=np.zeros(3))
    assert stuck.value == pytest.approx(minimize(criterion).value, abs=1e-8)


STARTS = [[0.0, 0.0, 0.4], [2.0, 0.0, 0.0], [0.0, 0.5, 0.0], [9.0, 9.0, 9.0], [-1.0, 0.2, -1.0]]


@pytest.mark.parametrize("start", STARTS)
def test_every_start_reaches_the_optimum(sleepstudy, start):
    found = minimize(_criterion("Reaction ~ Days + (Days | Subject)", sleepstudy), start=np.array(start))
    assert found.converged
    assert found.value == pytest.approx(1743.62827195849, abs=1e-8)
    np.testing.assert_allclose(found.theta, [0.966732951, 0.015169055, 0.230909595], atol=1e-5)


def test_variance_at_zero_is_exactly_zero():
    found = minimize(_criterion("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2")))
    assert found.theta.tolist() == [0.0]


def test_a_slope_far_from_zero_has_two_minima_and_the_lower_is_found():
    # x around 1000 with no fixed slope: the intercepts' variance can stand in for the slopes'.
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(8), 7)
    x = rng.normal(1000.0, 9.0, len(g))
    y = 0.3 * x + rng.normal(size=len(g))
    criterion = _criterion("y ~ 1 + diag(1 + x | g)", pd.DataFrame({"y": y, "x": x, "g": g}), reml=False)
    found = minimize(criterion)
    from tests.oracle import dense_model

    dense = dense_model(criterion.design, reml=False)
    grid = [dense.criterion(np.array([a, b])) for a in (0.0, 1.0, 30.0, 300.0) for b in (0.0, 0.01, 0.3, 3.0)]
    assert found.value <= min(grid)


def test_a_response_that_the_model_reproduces_is_refused():
    g = np.repeat(np.arange(6), 5)
    x = np.tile(np.arange(5.0), 6)
    data = pd.DataFrame({"y": 2.0 + 3.0 * x + np.array([1.0, -2, 0, 4, 3, 1])[g], "x": x, "g": g})
    with pytest.raises(lt.ModelError, match=r"reproduces the response `y` exactly.*likelihood grows without bound"):
        lt.fit_lmm("y ~ x + (1 | g)", data)


@pytest.mark.parametrize("formula", ["y ~ x + z + (1 | g)", "y ~ x + z + (x | g)"])
@pytest.mark.parametrize("weights", [(3.0, 0.0, 7.0), (0.1, 0.3, 0.0), (1e-8, 1e8, 1.0)])
def test_a_response_computed_from_the_columns_is_refused(formula, weights):
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=40), "z": rng.normal(size=40), "g": np.repeat(np.arange(8), 5)})
    a, b, c = weights
    with pytest.raises(lt.ModelError, match="the fixed effects reproduce the response `y` exactly"):
        lt.fit_lmm(formula, data.assign(y=a * data["x"] + b * data["z"] + c))


def _nearly_single_rows(seed, pairs, n, p):
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.repeat(np.arange(pairs), 2), np.arange(pairs, n - pairs)])
    return pd.DataFrame({"y": rng.normal(size=n), **{f"x{j}": rng.normal(size=n) for j in range(p)}, "g": g})


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("pairs, n, p", [(1, 20, 1), (1, 20, 3), (3, 40, 6), (3, 20, 2)])
def test_groups_of_nearly_one_row_end_at_a_minimum_or_in_a_sentence(pairs, n, p, reml):
    # Hardly anything varies within groups: the criterion has a plateau, or none, at infinite variance.
    formula = "y ~ " + " + ".join(f"x{j}" for j in range(p)) + " + (1 | g)"
    fitted = 0
    for seed in range(12):
        data = _nearly_single_rows(seed, pairs, n, p)
        try:
            fit = lt.fit_lmm(formula, data, reml=reml)
        except lt.ModelError as error:
            assert "runs off to infinity" in str(error)
            continue
        fitted += 1
        criterion = lt.Criterion(fit.design, reml=reml)
        assert fit.criterion <= min(criterion([t]) for t in (0.0, 0.3, 1.0, 1.5, 3.0, 10.0)) + 1e-6
        assert fit.certificate.status.startswith("certified")
    assert fitted or not reml


def test_n_evaluations_are_few(sleepstudy):
    assert lt.fit_lmm("Reaction ~ Days + (Days | Subject)", sleepstudy).n_evaluations <= 10


@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e6])
def test_groups_a_million_residual_sds_apart_lose_no_digit(ratio):
    # Balanced one-way layout with a slope within groups: for σ_a → ∞ the REML fit of the slope and of σ tends to
    # that of the within-groups regression, with an error of order (σ/σ_a)².
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 10)
    x, e, u = rng.normal(size=200), rng.normal(size=200), rng.normal(size=20)
    fit = lt.fit_lmm("y ~ x + (1 | g)", pd.DataFrame({"y": 1 + 0.5 * x + ratio * u[g] + e, "x": x, "g": g}))

    def within(v):
        return v - np.bincount(g, weights=v)[g] / 10

    slope = within(x) @ within(0.5 * x + e) / (within(x) @ within(x))
    rss = np.sum((within(0.5 * x + e) - slope * within(x)) ** 2)
    # Next to the limit the slope moves by (σ/σ_a)² times what the group means say; y keeps 16 digits of the ratio.
    limit = 100.0 / ratio**2 + 1e-15 * ratio
    assert fit.fixef["x"] == pytest.approx(slope, rel=limit * ratio)
    assert fit.sigma == pytest.approx(np.sqrt(rss / 179), rel=10 * limit + 1e-9)
    assert fit.certificate.status == "certified"
