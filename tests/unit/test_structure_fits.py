"""Fits of cs, homcs, ar1, hetar1 and a user's structure: references, the dense law, boundaries, certificates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize as scipy_minimize

import lmmtools as lt
from lmmtools.core.cone import _lowest_form, steepest_escape
from lmmtools.core.newton import Secant, bounded_step
from lmmtools.core.optimality import examine
from lmmtools.core.optimize import minimize
from lmmtools.core.runaway import refuse_runaway
from tests.oracle import dense_model
from tests.unit.test_structures import Differentiated, Exchangeable

# −2 log-likelihoods of nlme 3.1-162 (pdCompSymm) and glmmTMB 1.1.5 (cs), ML and REML, and θ of the REML fit.
REFERENCES = {
    "nlme Machines": (
        "score ~ Machine + homcs(0 + Machine | Worker)",
        {True: 215.68756800822, False: 220.9188},
        (6.06365410299235 / 0.961576638289615, 0.621695655273794),
    ),
    "nlme Oats": (
        "yield ~ nitro + homcs(0 + Variety | Block)",
        {True: 593.041753315231},
        (18.2078846587075 / 12.866953277569, 0.634710218748833),
    ),
    "glmmTMB Machines": (
        "score ~ Machine + cs(0 + Machine | Worker)",
        {True: 209.220442314344},
        (4.1144850251361 / 0.962148609075895, 8.41974232153304 / 0.962148609075895,
         4.46180031176111 / 0.962148609075895, 0.735710116657741),
    ),
}  # fmt: skip


def _data(formula):
    return lt.load_dataset("Machines" if "Machine" in formula else "Oats" if "nitro" in formula else "sleepstudy")


def _criterion(formula, data, reml=True, **options):
    return lt.Criterion(lt.build_design(formula, data, **options), reml=reml)


def _examined(criterion, theta):
    working = criterion.working.from_theta(np.asarray(theta, dtype=float))
    exact = criterion.working.products.exact
    solution = criterion.solve(criterion.working.stacked(working), exact)
    return examine(criterion, working, solution, criterion.differentiate(solution, exact))


@pytest.mark.parametrize("name", REFERENCES)
def test_references(name):
    formula, objective, theta = REFERENCES[name]
    found = minimize(_criterion(formula, _data(formula)))
    assert found.converged
    assert found.value == pytest.approx(objective[True], abs=1e-9)
    np.testing.assert_allclose(found.theta, theta, rtol=2e-6)


def test_an_autoregression_leaves_the_reference_at_its_own_local_optimum():
    # glmmTMB stops where the residual variance is nearly zero, at 1739.20601522201; the criterion is 5 lower inside.
    formula = "Reaction ~ Days + ar1(Days | Subject)"
    criterion = _criterion(formula, _data(formula))
    reference = [49.5149612553667 / 0.00938335691437306, 0.799953592763503]
    assert criterion(reference) == pytest.approx(1739.20601522201, abs=1e-5)
    fit = lt.fit_lmm(formula, _data(formula))
    assert fit.criterion == pytest.approx(1734.18646794, abs=1e-6)
    assert fit.theta_names == ("Subject", "Subject.cor")
    assert fit.certificate.status == "certified"
    dense = dense_model(fit.design, reml=True)
    assert dense.criterion(fit.theta) == pytest.approx(fit.criterion, abs=1e-8)


def _layout(seed, q=4, groups=12, each=2):
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), q * each), np.tile(np.arange(q), groups * each)
    keep = rng.random(len(g)) > 0.1
    return rng, pd.DataFrame({"g": g, "t": t, "f": [f"l{i}" for i in t], "x": rng.normal(size=len(g))})[keep]


def _draw(rng, data, sd, R):
    values, vectors = np.linalg.eigh(R)
    root = np.asarray(sd)[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    b = rng.normal(size=(data["g"].max() + 1, len(root))) @ root.T
    return data.assign(y=1.0 + 0.5 * data["x"] + b[data["g"], data["t"]] + rng.normal(size=len(data)))


def _ar1(rho, q=4):
    return rho ** np.abs(np.subtract.outer(np.arange(q), np.arange(q))).astype(float)


TERMS = ["cs(0 + f | g)", "homcs(0 + f | g)", "ar1(t | g)", "hetar1(t | g)", "homcs(0 + f | g) + diag(0 + x | g)"]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("term", TERMS)
def test_no_start_of_a_dense_search_ends_lower(term, reml):
    rng, data = _layout(3)
    data = _draw(rng, data, [1.5, 0.8, 1.0, 0.4], _ar1(0.6))
    criterion = _criterion(f"y ~ x + {term}", data, reml)
    dense = dense_model(criterion.design, reml=reml)
    found = minimize(criterion)
    assert dense.criterion(found.theta) == pytest.approx(found.value, abs=1e-8)
    lower, upper = criterion.bounds
    limits = [(a if np.isfinite(a) else None, b if np.isfinite(b) else None) for a, b in zip(lower, upper, strict=True)]
    for _ in range(4):
        start = np.where(np.isfinite(upper), rng.uniform(-0.3, 0.9, len(upper)), rng.lognormal(0.0, 1.0, len(upper)))
        other = scipy_minimize(dense.criterion, start, method="L-BFGS-B", bounds=limits)
        assert found.value <= other.fun + 1e-6
    examined = _examined(criterion, found.theta)
    assert examined.curvature > 0
    assert examined.deviance_left < 1e-8


@pytest.mark.parametrize("term", [*TERMS, "cs(1 + x | g)", "ar1(t | g) + (1 | g)"])
def test_gradient_and_hessian_on_the_bounds_and_inside(term):
    rng, data = _layout(4, q=3)
    criterion = _criterion(f"y ~ x + {term}", _draw(rng, data, [1.0, 1.0, 0.5], _ar1(0.5, 3)))
    lower, upper = criterion.bounds
    inside = np.where(np.isfinite(upper), 0.4, 0.9)
    edge, step = np.where(np.isfinite(upper), upper, inside), 1e-4
    for theta in (inside, edge, np.where(np.isfinite(lower), lower, inside)):
        gradient, hessian = criterion.gradient(theta), criterion.hessian(theta)
        for k in range(len(theta)):
            away = 1.0 if theta[k] - lower[k] < upper[k] - theta[k] else -1.0
            points = [theta + away * j * step * np.eye(len(theta))[k] for j in range(4)]
            weights = away * np.array([-11.0, 18.0, -9.0, 2.0]) / (6.0 * step)  # one-sided, exact to third order
            assert weights @ [criterion(p) for p in points] == pytest.approx(gradient[k], rel=1e-4, abs=1e-4)
            numeric = weights @ np.array([criterion.gradient(p) for p in points])
            np.testing.assert_allclose(numeric, hessian[k], rtol=1e-4, atol=1e-4)


def test_theta_outside_its_bounds_is_refused_by_name():
    criterion = _criterion("score ~ Machine + homcs(0 + Machine | Worker)", lt.load_dataset("Machines"))
    with pytest.raises(lt.LMMError, match=r"`Worker.cor` must lie in \[-0.5, 1\]; got 1.2"):
        criterion([1.0, 1.2])
    with pytest.raises(lt.LMMError, match=r"`Worker` must lie in \[0, inf\]; got -1"):
        criterion([-1.0, 0.2])


@pytest.mark.parametrize("term", ["cs(0 + f | g)", "homcs(0 + f | g)", "ar1(t | g)", "hetar1(t | g)"])
def test_zero_is_left_and_not_certified(term):
    rng, data = _layout(5)
    criterion = _criterion(f"y ~ x + {term}", _draw(rng, data, [2.0] * 4, _ar1(0.8)))
    zero = np.zeros(len(criterion.bounds[0]))
    assert np.all(criterion.gradient(zero) == 0.0)
    assert _examined(criterion, zero).deviance_left > 1.0
    assert minimize(criterion, start=zero).value == pytest.approx(minimize(criterion).value, abs=1e-7)


def test_zero_with_a_negative_correlation_is_left_by_that_correlation_alone():
    # Σ_ij G_ij > 0 and tr G > 0, so neither ρ = 0 nor ρ = 1 leads down: min over ρ of ⟨G, R(ρ)⟩ is at −1/(q − 1).
    rng, data = _layout(6, each=1, groups=30)
    data = _draw(rng, data, [0.9] * 4, np.full((4, 4), -1 / 3) + 4 / 3 * np.eye(4))
    criterion = _criterion("y ~ x + homcs(0 + f | g)", data, reml=False)
    w = criterion.working
    solution = criterion.solve(w.stacked(np.zeros(2)))
    escape = steepest_escape(criterion, np.zeros(2), solution)
    G = w.terms[0].S.T @ criterion.differentiate(solution).gradient @ w.terms[0].S
    slopes = {rho: np.sum(G * ((1 - rho) * np.eye(4) + rho)) for rho in (-1 / 3, 0.0, 1.0)}
    assert escape.slope == pytest.approx(min(slopes.values()))
    assert escape.origin[1] == pytest.approx(-1 / 3)
    assert slopes[1.0] > 0


@pytest.mark.parametrize("term, R", [("homcs(0 + f | g)", 1.0), ("ar1(t | g)", 1.0), ("cs(0 + f | g)", 1.0)])
def test_a_correlation_of_one_is_certified_at_the_boundary(term, R):
    for seed in range(12):
        rng, data = _layout(seed)
        criterion = _criterion(f"y ~ x + {term}", _draw(rng, data, [1.0, 1.0, 1.0, 1.0], np.full((4, 4), R)))
        found = minimize(criterion)
        if found.theta[-1] != 1.0:
            continue
        examined = _examined(criterion, found.theta)
        assert examined.singular
        assert (0, len(found.theta) - 1) in examined.held
        assert examined.deviance_left < 1e-8
        assert criterion.gradient(found.theta)[-1] < 0  # the criterion falls towards the bound
        inside = found.theta - 1e-3 * np.eye(len(found.theta))[-1]
        assert criterion(inside) > found.value
        return
    pytest.fail("no seed ended at a correlation of one")


def test_a_single_vanishing_sd_is_on_a_bound_of_its_own():
    for seed in range(20):
        rng, data = _layout(seed)
        criterion = _criterion("y ~ x + cs(0 + f | g)", _draw(rng, data, [1.5, 1.5, 0.0, 1.5], _ar1(0.7)))
        found = minimize(criterion)
        if found.theta[2] or not np.all(found.theta[[0, 1, 3, 4]]) or found.theta[4] in (-1 / 3, 1.0):
            continue
        examined = _examined(criterion, found.theta)
        assert examined.singular
        assert examined.held == ((0, 2),)
        assert examined.deviance_left < 1e-8
        assert len(examined.gradient) == 4
        assert criterion.gradient(found.theta)[2] > 0
        return
    pytest.fail("no seed ended at one sd of zero")


@pytest.mark.parametrize("structure", [Exchangeable(), Differentiated()])
def test_a_users_structure_is_fitted_as_the_built_in_one(structure):
    data = lt.load_dataset("Machines")
    fit = lt.fit_lmm("score ~ Machine + mine(0 + Machine | Worker)", data, structures={"mine": structure})
    built_in = lt.fit_lmm("score ~ Machine + homcs(0 + Machine | Worker)", data)
    assert fit.criterion == pytest.approx(built_in.criterion, abs=1e-9)
    np.testing.assert_allclose(fit.theta, built_in.theta, rtol=1e-5)
    assert fit.theta_names == ("Worker.sd", "Worker.rho")
    assert fit.certificate.status == "certified"
    assert minimize(lt.Criterion(fit.design), start=[0.0, 0.2]).value == pytest.approx(fit.criterion, abs=1e-8)


def test_a_users_bound_that_makes_nothing_singular_is_named():
    class Bounded(Exchangeable):
        def bounds(self, q):
            return [(0.0, np.inf), (0.0, 0.4)]

        def start(self, q):
            return [1.0, 0.2]

    data = lt.load_dataset("Machines")
    fit = lt.fit_lmm("score ~ Machine + mine(0 + Machine | Worker)", data, structures={"mine": Bounded()})
    assert fit.theta[1] == 0.4
    assert fit.certificate.status == "certified at the boundary"
    assert "`Worker.rho` is at the end of what the structure allows" in fit.certificate.sentence


@pytest.mark.parametrize(
    "place, message",
    [
        (1, r"the parameter `Worker.rho` of `mine\(0 \+ Machine \| Worker\)` runs off to infinity"),
        (2, r"the variance of the random effects of `Worker` runs off to infinity against the residual"),
    ],
)
def test_what_runs_off_to_infinity_is_named(place, message):
    formula = "score ~ Machine + mine(0 + Machine | Worker) + (1 | Worker)"
    criterion = _criterion(formula, lt.load_dataset("Machines"), structures={"mine": Exchangeable()})
    far = np.ones(3)
    far[place] = 1e9
    with pytest.raises(lt.ModelError, match=message):
        refuse_runaway(criterion, far)


def test_an_unidentified_split_is_named():
    data = lt.load_dataset("Machines")
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("score ~ Machine + homcs(0 + Machine | Worker) + (1 | Worker)", data)
    assert fit.certificate.status == "flat direction"
    (flat,) = fit.certificate.flat
    assert "homcs(0 + Machine | Worker)" in flat
    assert "the variance of Intercept by Worker" in flat
    alone = lt.fit_lmm("score ~ Machine + homcs(0 + Machine | Worker)", data)
    assert fit.criterion == pytest.approx(alone.criterion, abs=1e-7)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_of_response_and_columns_change_only_what_they_must(unit):
    rng, data = _layout(10, q=2)
    data = _draw(rng, data, [1.0, 1.0], np.eye(2))
    data["y"] += data["x"] * rng.normal(size=12)[data["g"]]
    base = minimize(_criterion("y ~ x + cs(1 + x | g)", data))
    scaled = minimize(_criterion("y ~ x + cs(1 + x | g)", data.assign(x=unit * data["x"], y=100.0 * data["y"])))
    np.testing.assert_allclose(scaled.theta * [1.0, unit, 1.0], base.theta, rtol=1e-6, atol=1e-9)


def test_bounded_step_solves_the_quadratic_program():
    rng = np.random.default_rng(2)
    for _ in range(200):
        m = int(rng.integers(1, 6))
        A = rng.normal(size=(m, m))
        H, g = A @ A.T + 0.1 * np.eye(m), rng.normal(size=m)
        lower = np.where(rng.random(m) < 0.3, 0.0, -rng.exponential(1.0, m))
        upper = np.where(rng.random(m) < 0.3, np.inf, rng.exponential(0.5, m))
        step, gain, pure = bounded_step(g, H, (lower, upper), np.inf)
        assert pure
        assert np.all((step >= lower) & (step <= upper))
        held = ((lower == 0.0) & (g >= 0.0)) | ((upper == 0.0) & (g <= 0.0))
        assert np.all(step[held] == 0.0)
        slope = np.where(held, 0.0, g + H @ step)
        at_lower, at_upper = step <= lower + 1e-12, step >= upper - 1e-12
        assert np.all(slope[~at_lower & ~at_upper] == pytest.approx(0.0, abs=1e-8))
        assert np.all(slope[at_lower & ~at_upper] >= -1e-8)
        assert np.all(slope[at_upper & ~at_lower] <= 1e-8)
        assert gain >= -(g @ step + 0.5 * step @ H @ step) - 1e-10


def test_the_lowest_feasible_combination():
    B = np.array([[1.0, -3.0, 0.0], [-3.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
    lowest, x = _lowest_form(B, np.array([-1, -1, -1]))
    assert lowest == pytest.approx(-2.0)
    assert np.all(x >= 0)
    lowest, x = _lowest_form(B, np.array([-1, 1, -1]))  # the second may only fall: no gain from the pair
    assert lowest == pytest.approx(-1.0)
    lowest, x = _lowest_form(-B, np.array([-1, 1, -1]))
    assert lowest == pytest.approx(-4.0)
    assert x[0] * x[1] < 0
    big = np.eye(12)
    big[0, 1] = big[1, 0] = -2.0
    assert _lowest_form(big, np.full(12, -1))[0] == pytest.approx(-1.0)


def test_the_secant_learns_what_an_approximate_hessian_lacks():
    H = np.array([[4.0, 1.0], [1.0, 3.0]])
    approximate, secant = np.diag([5.0, 5.0]), Secant()
    theta = np.array([1.0, -1.0])
    for _ in range(4):
        g = H @ theta
        corrected = secant.correct(theta, True, g, approximate)
        theta = theta - np.linalg.solve(corrected, g)
    np.testing.assert_allclose(corrected, H, atol=1e-10)
    assert np.abs(theta).max() < 1e-12
    assert secant.correct(theta, False, g, approximate) is approximate
