"""The exact test of one variance: the statistic's spectral form, its draws, RLRsim's numbers, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

import lmmtools as lt
from lmmtools.comparison import exact_lrt
from lmmtools.comparison.exact import _spectra
from lmmtools.comparison.spectral import Spectrum, distinct, draw_ratios, largest_ratio, reduced_eigenvalues
from tests.definitions import likelihood_ratio as definition

# RLRsim 3.1-8, 100,000 draws: statistic and p of exactRLRT, then of exactLRT.
RLRSIM = {
    "Dyestuff": ("Yield ~ 1 + (1 | Batch)", 6.36895531362114, 0.00412, 5.40282609364596, 0.0041),
    "Dyestuff2": ("Yield ~ 1 + (1 | Batch)", 0.0, 0.43898, None, None),
    "Orthodont": ("distance ~ age + (1 | Subject)", 62.1669808407275, 0.0, 62.187424285912, 0.0),
    "Rail": ("travel ~ 1 + (1 | Rail)", 36.5045052732873, 0.0, 35.3664303084342, 0.0),
    "sleepstudy": ("Reaction ~ Days + (1 | Subject)", 107.198578077187, 0.0, 106.214413351138, 0.0),
}


def agrees(test, statistic, p, n=100_000):
    assert test.statistic == pytest.approx(statistic, abs=1e-5)
    assert abs(test.p_value - p) < 4 * np.hypot(test.mc_error, np.sqrt(max(p, 1 / n) * (1 - p) / n))


@pytest.mark.parametrize("name", RLRSIM)
def test_statistic_and_p_are_those_of_rlrsim(name):
    formula, statistic, p, ml_statistic, ml_p = RLRSIM[name]
    fit = lt.fit_lmm(formula, lt.load_dataset(name))
    test = exact_lrt(fit)
    agrees(test, statistic, p)
    assert "approximate" not in test.method
    assert test.method.startswith("restricted likelihood ratio, finite-sample null distribution from 100,000 draws")
    if ml_statistic is not None:
        agrees(exact_lrt(fit.refit(reml=False)), ml_statistic, ml_p)


def test_one_of_several_components_is_approximate_and_says_so():
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", lt.load_dataset("sleepstudy"))
    test = exact_lrt(fit, "(0 + Days | Subject)")
    agrees(test, 42.79579181344, 0.0)
    assert "approximate: as if `(1 | Subject)` were known" in test.method
    assert exact_lrt(fit, "Subject.1").statistic == test.statistic


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    g = rng.permutation(np.repeat(np.arange(9), rng.integers(2, 8, 9)))
    n = len(g)
    x = rng.normal(1.0, 2.0, n)
    y = 1.0 + 0.3 * x + 0.9 * rng.normal(size=9)[g] + rng.normal(size=n)
    names = [f"g{i}" for i in g]
    return pd.DataFrame({"y": y, "x": x, "g": names, "w": rng.uniform(0.5, 2.0, n), "f": np.arange(n) % 3})


def effects(fit):
    """Z with rows weighted, a known covariance's root in it; X and y weighted too."""
    d, term = fit.design, fit.design.terms[0]
    root = np.ones(fit.nobs) if d.weights is None else np.sqrt(d.weights)
    q = term.matrix.shape[1]
    Z = np.zeros((fit.nobs, len(term.levels) * q))
    for i, code in enumerate(term.codes):
        Z[i, code * q : (code + 1) * q] = term.matrix[i]
    if term.known_root is not None:
        Z = Z @ np.kron(term.known_root, np.eye(q))
    return root * d.y, root[:, None] * d.X, root[:, None] * Z


def related(data):
    levels = sorted(data["g"].unique())
    rng = np.random.default_rng(5)
    A = rng.normal(size=(9, 7))
    return {"known": {"g": pd.DataFrame(A @ A.T / 7.0, index=levels, columns=levels)}}


@pytest.mark.parametrize("random", ["(1 | g)", "(0 + x | g)", "homdiag(1 + x | g)"])
@pytest.mark.parametrize("options", ["none", "weights", "known"])
@pytest.mark.parametrize("reml", [True, False])
def test_the_spectral_form_of_the_data_is_their_likelihood_ratio(data, random, options, reml):
    more = {"weights": {"weights": "w"}, "known": related(data)}.get(options, {})
    fit = lt.fit_lmm(f"y ~ x + {random}", data, reml=reml, **more)
    y, X, Z = effects(fit)
    mu, xi, w, left = definition.spectral_parts(y, X, Z)
    one = np.ones
    ratio = largest_ratio(
        w[None], np.array([left]), Spectrum(mu, one(len(mu), int)),
        Spectrum(mu if reml else xi, one(len(mu if reml else xi), int)), fit.nobs - (X.shape[1] if reml else 0),
    )  # fmt: skip
    assert ratio[0] == pytest.approx(exact_lrt(fit, n=1000).statistic, abs=1e-7)
    ours = _spectra(fit, 0)
    for found, values in zip(ours, (mu, xi), strict=True):
        every = np.repeat(found.values, found.counts)
        scale = 1.0 if fit.design.weights is None else fit.design.weights.mean()
        np.testing.assert_allclose(every * scale, values, rtol=1e-7)


def test_fixed_effects_tested_as_well_enter_the_ratio(data):
    fit = lt.fit_lmm("y ~ x + (1 | g)", data, reml=False)
    test = exact_lrt(fit, "g", fixed=["x"], n=20_000)
    ols = np.linalg.lstsq(np.ones((len(data), 1)), data["y"], rcond=None)[1][0]
    n = len(data)
    null = n * (1 + np.log(2 * np.pi * ols / n))
    assert test.statistic == pytest.approx(null - fit.criterion, abs=1e-8)
    assert "1 fixed effect tested as well" in test.method
    assert "`x` zero" in test.null
    without = exact_lrt(fit, "g", n=20_000)
    assert test.simulated.mean() > without.simulated.mean() + 0.8


@pytest.mark.parametrize("fixed", [(), ("x",)])
@pytest.mark.parametrize("reml", [True, False])
def test_draws_are_distributed_as_ratios_of_simulated_responses(data, reml, fixed):
    """Against maximisation of the dense likelihood for responses drawn under the hypothesis."""
    if reml and fixed:
        return
    fit = lt.fit_lmm("y ~ x + (1 | g)", data, reml=reml)
    _, X, Z = effects(fit)
    small, n = X[:, [0]] if fixed else X, len(X)
    rng = np.random.default_rng(1)
    ratios = []
    ZZ = Z @ Z.T
    grid = np.append(0.0, np.geomspace(1e-3, 30.0, 60))
    roots = [np.linalg.inv(np.linalg.cholesky(np.eye(n) + lam * ZZ)) for lam in grid]
    for y in rng.standard_normal((300, n)):
        ratios.append(_criterion(y, small, np.eye(n), reml) - min(_criterion(y, X, R, reml) for R in roots))
    draws = exact_lrt(fit, fixed=fixed, n=50_000).simulated
    for level in (0.5, 0.75, 0.9):
        cut = max(np.quantile(draws, level), 1e-9)
        p = np.mean(draws > cut)
        assert abs(np.mean(np.array(ratios) > cut) - p) < 4 * np.sqrt(p * (1 - p) / 300)


def _criterion(y, X, root, reml):
    A, b = root @ X, root @ y
    beta = np.linalg.lstsq(A, b, rcond=None)[0]
    r2, n, p = np.sum((b - A @ beta) ** 2), len(y), X.shape[1]
    nu = n - p if reml else n
    value = nu * np.log(r2) - 2.0 * np.log(np.diagonal(root)).sum()
    return value + (np.linalg.slogdet(A.T @ A)[1] if reml else 0.0)


@pytest.mark.parametrize("same", [True, False])
def test_the_largest_ratio_is_that_of_direct_maximisation(same):
    rng = np.random.default_rng(3)
    mu = distinct(np.array([0.01, 0.3, 2.0, 2.0, 2.0, 7.0, 90.0, 4e3]))
    xi = mu if same else Spectrum(1.2 * mu.values, mu.counts)
    w, left, nu = rng.chisquare(mu.counts, (60, len(mu.counts))), rng.chisquare(12, 60), 20
    found = largest_ratio(w, left, mu, xi, nu)
    for a, rest, ratio in zip(w, left, found, strict=True):

        def value(t, a=a, rest=rest):
            lam = np.exp(t)
            D = np.sum(a / (1 + lam * mu.values)) + rest
            return nu * np.log((a.sum() + rest) / D) - xi.counts @ np.log1p(lam * xi.values)

        grid = np.linspace(-25.0, 12.0, 1500)
        best = int(np.argmax([value(t) for t in grid]))
        near = (grid[max(best - 1, 0)], grid[min(best + 1, 1499)])
        refined = -minimize_scalar(lambda t: -value(t), bounds=near, method="bounded", options={"xatol": 1e-10}).fun
        assert ratio == pytest.approx(max(refined, 0.0), abs=1e-8)


def test_equal_eigenvalues_enter_together_without_changing_the_draws():
    mu = distinct(np.repeat([1.0, 5.0], [40, 3]))
    assert mu.counts.tolist() == [40, 3]
    rng = np.random.default_rng(1)
    together = draw_ratios(mu, None, n=100, p=2, tested=0, draws=40_000, rng=rng)
    apart = Spectrum(np.repeat([1.0, 5.0], [40, 3]), np.ones(43, int))
    each = draw_ratios(apart, None, n=100, p=2, tested=0, draws=40_000, rng=rng)
    for level in (0.6, 0.9, 0.95):
        assert np.mean(together > np.quantile(each, level)) == pytest.approx(1 - level, abs=0.012)


def test_few_distinct_squares_make_a_small_problem_with_the_same_eigenvalues():
    rng = np.random.default_rng(6)
    squares, C = rng.choice([2.0, 3.0, 5.0], 60), rng.normal(size=(60, 2)) / 10.0
    values, counts = reduced_eigenvalues(squares, C)
    assert len(values) < 10
    exact = np.linalg.eigvalsh(np.diag(squares) - C @ C.T)
    np.testing.assert_allclose(np.sort(np.repeat(values, counts)), exact, atol=1e-12)


def test_a_test_repeats_itself_and_another_generator_draws_anew():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    first, again = exact_lrt(fit, n=5000), exact_lrt(fit, n=5000)
    np.testing.assert_array_equal(first.simulated, again.simulated)
    other = exact_lrt(fit, n=5000, rng=np.random.default_rng(3))
    assert not np.array_equal(first.simulated, other.simulated)
    assert first.p_value == (np.count_nonzero(first.simulated > first.statistic) + 1) / 5001
    assert "(1 | Batch) has variance zero" in repr(first)
    with pytest.raises(ValueError, match="read-only"):
        first.simulated[0] = 1.0


def test_what_cannot_be_simulated_is_refused_with_another_way(data):
    def fit(random, **options):
        return lt.fit_lmm(f"y ~ x + {random}", data, **options)

    with pytest.raises(lt.ModelError, match=r"has 3 \(co\)variance parameters.*bootstrap_lrt"):
        exact_lrt(fit("(x | g)"))
    with pytest.raises(lt.ModelError, match=r"has 2 \(co\)variance parameters"):
        exact_lrt(fit("diag(x | g)"))
    several = fit("(x || g)", reml=False)
    with pytest.raises(lt.ModelError, match="use fit.refit"):
        exact_lrt(several, "g")
    with pytest.raises(lt.LMMError, match="2 random terms; say which"):
        exact_lrt(several.refit(reml=True))
    with pytest.raises(lt.LMMError, match="has no random term 'h'; name one of"):
        exact_lrt(several, "h")
    with pytest.raises(lt.LMMError, match="no fixed effect `z`"):
        exact_lrt(fit("(1 | g)", reml=False), fixed="z")
    with pytest.raises(lt.ModelError, match="fixed effects are tested by ML"):
        exact_lrt(fit("(1 | g)"), fixed="x")
    with pytest.raises(lt.LMMError, match="n, the number of draws, must be a whole number, at least 1000"):
        exact_lrt(fit("(1 | g)"), n=10)
    with pytest.raises(lt.LMMError, match="random numbers need rng=numpy.random.default_rng"):
        exact_lrt(fit("(1 | g)"), rng="3")
    with pytest.raises(lt.ModelError, match="takes fits made by fit_lmm; got str"):
        exact_lrt("y ~ 1")
