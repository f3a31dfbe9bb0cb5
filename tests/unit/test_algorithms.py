"""Several ways to the same optimum, each held against its definition and all against one another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.algorithms import compare_algorithms, iteration_table
from lmmtools.core.algorithms import METHODS
from lmmtools.core.algorithms.em import expected_factor
from lmmtools.core.algorithms.gls import _Regression
from lmmtools.core.algorithms.points import engine_levels, log_det_alone
from lmmtools.core.algorithms.restarts import lowest_of, restart_points
from lmmtools.core.optimize import minimize
from tests.oracle import dense_model

OTHERS = METHODS[1:]
CASES = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "sleepstudy ||": ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    "Dyestuff": ("Yield ~ 1 + (1 | Batch)", "Dyestuff"),
    "Dyestuff2": ("Yield ~ 1 + (1 | Batch)", "Dyestuff2"),
    "Pastes": ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
    "Penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    "Orthodont": ("distance ~ age + Sex + (age | Subject)", "Orthodont"),
    "Machines us": ("score ~ Machine + (0 + Machine | Worker)", "Machines"),
    "Machines homdiag": ("score ~ Machine + homdiag(0 + Machine | Worker)", "Machines"),
    "Machines cs": ("score ~ Machine + cs(0 + Machine | Worker)", "Machines"),
    "Machines nested": ("score ~ Machine + (1 | Worker/Machine)", "Machines"),
    "Orthodont ar1": ("distance ~ age + Sex + ar1(0 + C(age) | Subject)", "Orthodont"),
}


def _criterion(formula, data, reml=True, **options):
    data = lt.load_dataset(data) if isinstance(data, str) else data
    return lt.Criterion(lt.build_design(formula, data, **options), reml=reml)


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("case", CASES)
def test_every_algorithm_reaches_newtons_optimum(case, reml):
    criterion = _criterion(*CASES[case], reml)
    best = minimize(criterion)
    table = compare_algorithms(criterion)
    assert list(table.index) == list(METHODS)
    assert table["status"].isin(["certified", "certified at the boundary"]).all()
    assert np.abs(table["criterion"] - best.value).max() < 1e-6
    assert table.notes == ()


@pytest.mark.parametrize("method", OTHERS)
def test_weights_and_offsets_are_those_of_the_criterion(method):
    rng = np.random.default_rng(3)
    data = lt.load_dataset("sleepstudy")
    options = {"weights": rng.uniform(0.3, 3.0, len(data)), "offset": rng.normal(0.0, 10.0, len(data))}
    criterion = _criterion("Reaction ~ Days + (Days | Subject)", data, **options)
    assert minimize(criterion, method=method).value == pytest.approx(minimize(criterion).value, abs=1e-6)


@pytest.mark.parametrize("method", OTHERS)
def test_a_singular_slope_is_found_singular(method):
    rng = np.random.default_rng(11)
    g, x = np.repeat(np.arange(12), 6), rng.normal(size=72)
    data = pd.DataFrame({"y": x + rng.normal(size=12)[g] + rng.normal(size=72), "x": x, "g": g})
    criterion = _criterion("y ~ x + (x | g)", data)
    best, found = minimize(criterion), minimize(criterion, method=method)
    assert found.value == pytest.approx(best.value, abs=1e-6)
    assert np.linalg.matrix_rank([[found.theta[0], 0.0], [found.theta[1], found.theta[2]]], tol=1e-6) == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_one_way_layout_has_a_closed_form(method):
    # Balanced, J groups of r: σ̂² = MSE and σ̂_α² = (SST/J − MSE)/r, or both at the boundary (Clyde, lecture 24, where
    # the divisor r is misprinted as n); SST between, SSE within groups.
    for name in ("Dyestuff", "Dyestuff2"):
        data = lt.load_dataset(name)
        y, J, r = data["Yield"], 6, 5
        means = y.groupby(data["Batch"], observed=True).transform("mean")
        between, within = float(((means - y.mean()) ** 2).sum()), float(((y - means) ** 2).sum())
        variance = max((between / J - within / (J * (r - 1))) / r, 0.0)
        residual = within / (J * (r - 1)) if variance else (within + between) / (J * r)
        criterion = _criterion("Yield ~ 1 + (1 | Batch)", name, reml=False)
        found = minimize(criterion, method=method)
        assert found.theta[0] ** 2 == pytest.approx(variance / residual, rel=1e-4, abs=1e-12)
        fit = lt.summarize(criterion, found)
        assert fit.sigma**2 == pytest.approx(residual, rel=1e-4)


def test_balanced_ml_is_one_regression():
    # There the weights V⁻¹ ⊗ V⁻¹ do not matter, so that the first regression is the last.
    for case in ("Dyestuff", "sleepstudy", "Machines us"):
        found = minimize(_criterion(*CASES[case], reml=False), method="gls", trace=True)
        assert len(found.trace) == 2
        assert found.trace.evaluations.tolist() == [1, 2]


def _dense_parts(criterion, working):
    """θ, V⁻¹, (X'V⁻¹X)⁻¹, the residual and σ̂² at working parameters, from the oracle."""
    dense = dense_model(criterion.design, reml=criterion.reml)
    theta = criterion.working.to_theta(working)
    V_inverse = np.linalg.inv(dense.V(theta))
    S = np.linalg.inv(dense.X.T @ V_inverse @ dense.X)
    r = dense.response - dense.X @ (S @ dense.X.T @ V_inverse @ dense.response)
    return dense, theta, V_inverse, S, r, float(r @ V_inverse @ r) / dense.dof


EM_CASES = ("sleepstudy", "sleepstudy ||", "Pastes", "Penicillin", "Machines homdiag")


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("case", EM_CASES)
def test_the_em_step_is_the_mean_of_what_bb_is_expected_to_be(case, reml):
    criterion = _criterion(*CASES[case], reml)
    w = criterion.working
    working = w.from_theta(np.random.default_rng(1).uniform(0.3, 1.5, w.slices[-1].stop))
    dense, theta, V_inverse, S, r, sigma2 = _dense_parts(criterion, working)
    T_all = dense.Lambda(theta) @ dense.Lambda(theta).T
    gain = T_all @ dense.Z.T @ V_inverse
    b, cov = gain @ r, sigma2 * (T_all - gain @ dense.Z @ T_all)
    if reml:
        cov += sigma2 * gain @ dense.X @ S @ dense.X.T @ gain.T
    second = (np.outer(b, b) + cov) / sigma2
    d = criterion.differentiate(criterion.solve(w.stacked(working)))
    at = 0
    for term, part, own, levels in zip(w.terms, w.slices, dense.terms, engine_levels(criterion), strict=True):
        q, size = term.q, term.q * own.n_levels
        blocks = second[at : at + size, at : at + size].reshape(own.n_levels, q, own.n_levels, q)
        expected = np.einsum("jajb->ab", blocks) / own.n_levels
        at += size
        F = expected_factor(term.working_factor(working[part]), term.S.T @ d.gradient @ term.S, levels)
        back = np.linalg.solve(term.scale, F) if term.scale.ndim == 2 else F / term.scale[:, None]
        np.testing.assert_allclose(back @ back.T, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("case", ["sleepstudy", "sleepstudy ||", "Pastes", "Penicillin"])
def test_the_gls_step_is_the_weighted_regression_of_cross_products(case, reml):
    criterion = _criterion(*CASES[case], reml)
    w = criterion.working
    working = minimize(criterion, method="gls").working * 0.9 + 0.02
    dense, _, V_inverse, S, r, sigma2 = _dense_parts(criterion, working)
    products = np.outer(r, r)
    if reml:
        products += sigma2 * dense.X @ S @ dense.X.T
    parts = []
    for term, own in zip(w.terms, dense.terms, strict=True):
        q, Z = term.q, dense.spread(own.matrix, own.codes, own)
        free = [(i, j) for j in range(q) for i in range(j, q) if i == j or term.structure == "us"]
        for i, j in free:
            D = np.zeros((q, q))
            D[i, j] = D[j, i] = 1.0
            parts.append(Z @ np.kron(np.eye(own.n_levels), D) @ Z.T)
    parts.append(np.diag(1.0 / dense.weights) if dense.weights is not None else np.eye(len(r)))
    weighted = [V_inverse @ part @ V_inverse for part in parts]
    lhs = [[np.sum(a * part) for part in parts] for a in weighted]
    tau = np.linalg.solve(lhs, [np.sum(a * products) for a in weighted])
    solution = criterion.solve(w.stacked(working))
    regression = _Regression(criterion, working, solution, criterion.differentiate(solution))
    step, _, length = regression.step()
    found, at = w.factors(regression.moved(length * step)), 0
    for L, term in zip(found, w.terms, strict=True):
        T = L @ L.T
        mine = np.concatenate([T[j:, j] for j in range(term.q)]) if term.structure == "us" else np.diagonal(T)
        np.testing.assert_allclose(mine, tau[at : at + len(mine)] / tau[-1], rtol=1e-6, atol=1e-9)
        at += len(mine)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fixed, deviance, npar", [("age", 240.72, 6), ("age * Sex", 229.0, 8)])
def test_de_leeuws_random_coefficients(method, fixed, deviance, npar):
    # Table 1, last row, without n log 2π; "equal" prints 240, which is 240.72 cut off. σ² = 1.72 for "gender".
    criterion = _criterion(f"distance ~ {fixed} + (age | Subject)", "Orthodont", reml=False)
    fit = lt.summarize(criterion, minimize(criterion, method=method))
    left_out = fit.nobs * np.log(2.0 * np.pi)
    assert left_out == pytest.approx(198.491, abs=5e-4)
    assert fit.criterion - left_out == pytest.approx(deviance, abs=0.5 if fixed != "age" else 0.005)
    assert fit.npar == npar
    if fixed != "age":
        assert round(fit.sigma**2, 2) == 1.72


@pytest.mark.parametrize("method", OTHERS)
def test_zero_is_left_by_all(method):
    criterion = _criterion(*CASES["sleepstudy"])
    found = minimize(criterion, np.zeros(3), method)
    assert found.value == pytest.approx(1743.62827195849, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_trace_is_what_happened(method):
    criterion = _criterion(*CASES["sleepstudy"])
    found = minimize(criterion, [1.0, 0.0, 0.5], method, trace=True)
    trace = found.trace
    np.testing.assert_allclose(trace.theta[0], [1.0, 0.0, 0.5], atol=1e-12)
    assert np.array_equal(trace.theta[-1], found.theta)
    assert trace.criterion[-1] == pytest.approx(found.value, abs=1e-8)
    assert trace.evaluations[-1] == found.n_evaluations
    assert np.all(np.diff(trace.evaluations) >= 0)
    assert np.all(np.diff(trace.criterion) <= 1e-10)
    if method != "em":
        np.testing.assert_allclose(trace.criterion, [criterion(theta) for theta in trace.theta], atol=1e-9)
    assert trace.gradient[-1] < 1e-2 < trace.gradient[0]
    with pytest.raises(ValueError, match="read-only"):
        trace.theta[0, 0] = 7.0
    table = iteration_table(found)
    names = ["Subject.Intercept", "Subject.Days.Intercept", "Subject.Days"]
    assert list(table.columns) == ["iteration", "criterion", "gradient", *names, "evaluations"]
    assert table.caption.startswith("Iterations of ")


def test_ems_criterion_is_at_its_own_sigma():
    criterion = _criterion(*CASES["sleepstudy"])
    trace = minimize(criterion, [1.0, 0.0, 0.5], "em", trace=True).trace
    profiled = np.array([criterion(theta) for theta in trace.theta])
    assert np.all(trace.criterion >= profiled - 1e-9)
    assert np.any(trace.criterion > profiled + 1e-6)


def test_without_being_asked_no_trace_is_kept():
    found = minimize(_criterion(*CASES["Dyestuff"]))
    assert found.trace is None
    with pytest.raises(lt.LMMError, match=r"takes what minimize\(criterion, trace=True\) gives"):
        iteration_table(found)


@pytest.mark.parametrize("method", ["em", "ecme", "bfgs", "nelder-mead", "cobyqa"])
def test_an_early_end_is_said(method):
    criterion = _criterion(*CASES["Orthodont"])
    with pytest.warns(lt.LMMWarning, match=rf'method="{method}" has stopped before the optimum: about .* of deviance'):
        found = minimize(criterion, method=method, max_iterations=2)
    assert not found.converged
    assert found.ended.endswith('or take method="newton".')
    with pytest.warns(lt.LMMWarning, match="not an optimum"):
        assert lt.summarize(criterion, found).certificate.status == "not an optimum"
    table = compare_algorithms(criterion, [method], max_iterations=2)
    assert table["status"].tolist() == ["not an optimum"]
    again = compare_algorithms(criterion, method, max_iterations=2, caption="Again", label="tbl-again")
    assert (again.notes, again.caption, again.label) == (table.notes, "Again", "tbl-again")
    assert table.label == "tbl-algorithms" and len(table.notes) == 1


def test_searches_are_drawn_by_how_far_they_are_above_the_lowest():
    criterion = _criterion(*CASES["Orthodont"])
    newton, gls = (minimize(criterion, method=method, trace=True) for method in ("newton", "gls"))
    table = lt.plots.iterations.extract([newton, gls]).table
    lowest = min(newton.trace.criterion.min(), gls.trace.criterion.min())
    above = np.concatenate([newton.trace.criterion, gls.trace.criterion]) - lowest
    floor = 1e-13 * lowest
    np.testing.assert_allclose(table["above"], np.maximum(above, floor), rtol=1e-12)
    figure = lt.figure(lt.plots.iterations, {"one": newton, "another": newton})
    assert f"one {len(newton.trace) - 1} iterations and another" in figure.caption
    assert "counted from 1" not in figure.caption
    for bad, says in (([newton, newton], "two searches are by one algorithm"), ([], "there is none"),
                      ([minimize(criterion)], "has none"), (3, "has none")):  # fmt: skip
        with pytest.raises(lt.ModelError, match=says):
            lt.plots.iterations(bad)


def test_unknown_methods_and_starts_of_the_wrong_size_are_named():
    criterion = _criterion(*CASES["sleepstudy"])
    with pytest.raises(lt.LMMError, match="no method 'newtn'; did you mean 'newton'"):
        minimize(criterion, method="newtn")
    with pytest.raises(lt.LMMError, match="no method 7; known are newton, em"):
        minimize(criterion, method=7)
    with pytest.raises(lt.LMMError, match="no method 'simplex method'; known are"):
        compare_algorithms(criterion, ["newton", "simplex method"])
    for method in METHODS:
        with pytest.raises(lt.LMMError, match="theta must hold 3 finite numbers"):
            minimize(criterion, [1.0, 2.0], method)
    with pytest.raises(lt.LMMError, match="takes a Criterion or a fit"):
        compare_algorithms("Reaction ~ Days + (Days | Subject)")


class _OneFactor:
    """T = λλ': no inverse anywhere, so that EM proper has nothing to work with."""

    def n_theta(self, q):
        return q

    def names(self, effects):
        return tuple(f"load.{effect}" for effect in effects)

    def bounds(self, q):
        return [(-np.inf, np.inf)] * q

    def start(self, q):
        return [0.5 + 0.1 * i for i in range(q)]

    def factor(self, theta, q):
        return np.asarray(theta)[:, None]


@pytest.mark.parametrize("method", OTHERS)
def test_a_users_structure_without_an_inverse(method):
    design = lt.build_design("score ~ Machine + (0 + Machine | Worker)", lt.load_dataset("Machines"))
    design = dataclasses.replace(design, terms=(dataclasses.replace(design.terms[0], structure=_OneFactor()),))
    criterion = lt.Criterion(design)
    start = np.array(_OneFactor().start(3))
    assert minimize(criterion, start, method).value == pytest.approx(minimize(criterion).value, abs=1e-6)


def test_other_names_are_understood():
    criterion = _criterion(*CASES["Dyestuff"])
    assert minimize(criterion, method="ECM", trace=True).trace.method == "ecme"
    assert minimize(criterion, method="RIGLS", trace=True).trace.method == "gls"


def test_the_comparison_is_of_one_criterion_and_one_start():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data, reml=False)
    table = compare_algorithms(fit, ["newton", "ecme"], start=[1.0, 0.0, 0.5])
    assert "(ML)" in table.caption
    assert table["criterion"].to_numpy() == pytest.approx(fit.criterion, abs=1e-7)
    assert table["excess"].min() == 0.0
    assert table.equals(compare_algorithms(fit, ["newton", "ecme"], start=[1.0, 0.0, 0.5]))


def test_restarts_are_spread_and_always_the_same():
    criterion = _criterion(*CASES["Machines us"])
    points = restart_points(criterion.working, 7)
    again = restart_points(criterion.working, 7)
    assert all(np.array_equal(a, b) for a, b in zip(points, again, strict=True))
    sizes = [np.linalg.norm(criterion.working.terms[0].working_factor(p), 2) for p in points]
    assert min(sizes) < 0.5 and max(sizes) > 4.0
    best, found = lowest_of(criterion, points)
    assert len(found) == 7
    assert best.value == pytest.approx(minimize(criterion).value, abs=1e-8)


@pytest.mark.parametrize("case", ["Machines cs", "Orthodont ar1", "Machines homdiag", "sleepstudy ||"])
def test_restarts_lie_within_the_bounds(case):
    working = _criterion(*CASES[case]).working
    lower, upper = working.bounds
    for point in restart_points(working, 20):
        assert np.all((point >= lower) & (point <= upper))


@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | a) + (1 | b)", "y ~ x + (1 | a) + (1 | b)", "y ~ x + (x | c/a)"])
def test_the_regressions_normal_equations_are_traces_of_the_dense_v(formula):
    # Large enough for a factor to be eliminated first; the derivatives of log|V| alone, from a solution that has
    # given the criterion's before.
    rng = np.random.default_rng(4)
    n, a = 1500, rng.integers(0, 350, 1500)
    data = pd.DataFrame({"x": rng.normal(size=n), "a": a, "b": rng.integers(0, 120, n), "c": a // 9})
    data["y"] = data["x"] + rng.normal(size=350)[a] + rng.normal(size=n)
    criterion = _criterion(formula, data)
    w = criterion.working
    working = w.from_theta(rng.uniform(0.3, 1.5, w.slices[-1].stop))
    solution = criterion.solve(w.stacked(working))
    d = criterion.differentiate(solution)
    before = d.hessian(w.covariance_map)
    alone = criterion.differentiate(log_det_alone(solution))
    dense, _, V_inverse, *_ = _dense_parts(criterion, working)
    along = []
    for term, own in zip(w.terms, dense.terms, strict=True):
        Z = dense.spread(own.matrix, own.codes, own).reshape(n, own.n_levels, term.q)
        Z = Z @ np.linalg.inv(term.scale) if term.scale.ndim == 2 else Z / term.scale
        for D in term.directions:
            along.append(V_inverse @ np.einsum("iac,cd,jad->ij", Z, D, Z, optimize=True))
    traces = np.array([[np.sum(A * B.T) for A in along] for B in along])
    np.testing.assert_allclose(-alone.hessian(w.covariance_map), traces, rtol=1e-7, atol=1e-6)
    P = np.einsum("kab,ab->k", w.covariance_map, alone.gradient)
    np.testing.assert_allclose(P, [np.trace(A) for A in along], rtol=1e-8)
    np.testing.assert_allclose(criterion.differentiate(solution).hessian(w.covariance_map), before, rtol=1e-10)
