"""Mixtures at the boundary: weights against closed forms, information and cones against their definitions."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import lmmtools as lt
from lmmtools.comparison import bootstrap_lrt
from lmmtools.comparison.boundary import efficient_information, null_distribution, shift_of, tangent_cones
from lmmtools.comparison.mixture import Mixture, Shares, mixture_of, shares_of, squared_lengths
from lmmtools.core.structures import SMOOTH
from lmmtools.nesting import dimension, embedding
from tests.definitions import likelihood_ratio as definition
from tests.unit.test_structures import Exchangeable


def simulated(J, rays, blocks=(), shift=0, draws=40_000):
    return mixture_of(np.array(J, dtype=float), rays, blocks, shift=shift, draws=draws, rng=np.random.default_rng(1))


def test_one_component_has_half_and_half():
    found = simulated([[2.7]], 1, shift=3)
    assert found.weights.tolist() == [0.5, 0.5]
    p, error = found.tail(5.0)
    assert p == pytest.approx(0.5 * chi2.sf(5.0, 3) + 0.5 * chi2.sf(5.0, 4))
    assert error == 0.0


@pytest.mark.parametrize("cosine", [0.0, 0.6, -0.8])
def test_two_variances_have_the_weights_of_their_angle(cosine):
    # Self & Liang (1987), case 7: the cone of two rays, angle α apart, has α/2π, ½ and ½ − α/2π
    angle = np.arccos(cosine)
    found = simulated([[1.0, cosine], [cosine, 1.0]], 2)
    np.testing.assert_allclose(found.weights, [0.5 - angle / (2 * np.pi), 0.5, angle / (2 * np.pi)], atol=0.01)
    p, error = found.tail(2.0)
    exact = 0.5 * chi2.sf(2.0, 1) + angle / (2 * np.pi) * chi2.sf(2.0, 2)
    assert abs(p - exact) < 4 * error < 0.01


def test_many_independent_variances_have_binomial_weights():
    found = simulated(np.eye(7), 7)
    np.testing.assert_allclose(found.weights, np.array([1, 7, 21, 35, 35, 21, 7, 1]) / 128, atol=0.01)


def test_semidefinite_matrices_of_order_two_are_a_circular_cone():
    # of half-angle 45° in the Frobenius metric: ends (1 − √½)/2, and each two of the same parity sum to ½
    found = simulated(np.eye(3), 0, (2,))
    end = (1.0 - np.sqrt(0.5)) / 2.0
    np.testing.assert_allclose(found.weights, [end, 0.5 - end, 0.5 - end, end], atol=0.008)
    assert found.weights[::2].sum() == pytest.approx(0.5)


def test_a_product_of_cones_has_the_convolution_of_their_weights():
    end = (1.0 - np.sqrt(0.5)) / 2.0
    both = np.convolve([end, 0.5 - end, 0.5 - end, end], [0.5, 0.5])
    np.testing.assert_allclose(simulated(np.eye(4), 1, (2,)).weights, both, atol=0.02)


def test_weights_do_not_depend_on_how_a_block_is_coded():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(3, 6))
    J = A @ A.T
    C = np.array([[1.0, 0.4], [-0.7, 2.0]])
    basis = [np.array(b) for b in ([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]])]
    basis[1] = basis[1] / np.sqrt(2.0)
    K = np.array([[np.sum((C.T @ b @ C) * e) for b in basis] for e in basis])
    ours, theirs = simulated(J, 0, (2,)), simulated(K.T @ J @ K, 0, (2,))
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=0.012)
    assert ours.tail(4.0)[0] == pytest.approx(theirs.tail(4.0)[0], abs=4 * ours.tail(4.0)[1])


def test_projections_have_the_length_that_a_search_over_the_cone_finds():
    rng = np.random.default_rng(4)
    A = rng.normal(size=(3, 5))
    J, normal = A @ A.T, rng.standard_normal((40, 3))
    Z = np.linalg.solve(np.linalg.cholesky(J).T, normal.T).T
    squares, support = squared_lengths(J, 3, (), normal)
    found = [definition.squared_length(J, z, np.eye(3), tries=20_000) for z in Z]
    np.testing.assert_allclose(squares, found, rtol=0.03, atol=0.02)
    assert set(support) <= {0, 1, 2, 3}
    t = np.linspace(0, np.pi, 60)
    rays = np.stack([np.cos(t) ** 2, np.sqrt(2.0) * np.cos(t) * np.sin(t), np.sin(t) ** 2], axis=1)
    squares, none = squared_lengths(J, 0, (2,), normal)
    found = [definition.squared_length(J, z, rays, tries=20_000) for z in Z]
    assert none is None
    assert np.all(squares >= np.array(found) - 1e-9)
    np.testing.assert_allclose(squares, found, rtol=0.06, atol=0.05)


def test_two_ways_to_project_on_rays_agree(monkeypatch):
    from lmmtools.comparison import mixture

    rng = np.random.default_rng(5)
    A = rng.normal(size=(4, 7))
    normal = rng.standard_normal((500, 4))
    faces = squared_lengths(A @ A.T, 4, (), normal)
    monkeypatch.setattr(mixture, "_FACES", 0)
    steps = squared_lengths(A @ A.T, 4, (), normal)
    np.testing.assert_allclose(faces[0], steps[0], atol=1e-6)
    np.testing.assert_array_equal(faces[1], steps[1])


def test_the_nearest_of_rays_in_two_opposite_senses_is_chi_squared():
    found = shares_of(np.array([[1.0], [-1.0]]), shift=1, draws=50_000, rng=np.random.default_rng(1))
    p, error = found.tail(3.0)
    assert p == pytest.approx(chi2.sf(3.0, 2), abs=max(4 * error, 1e-12))


def test_a_ray_that_the_data_do_not_see_is_none():
    rays = np.array([[1.0, 0.0], [1e-9, 1e-9], [0.0, 0.0], [0.0, 2.0]])
    all_of_them, seen = (
        shares_of(R, shift=0, draws=2_000, rng=np.random.default_rng(1)) for R in (rays, rays[[0, 3]])
    )
    np.testing.assert_array_equal(all_of_them.shares, seen.shares)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(14), rng.integers(6, 11, 14))
    n = len(g)
    x, z, f = rng.normal(1.0, 2.0, n), rng.normal(size=n), np.arange(n) % 3
    h, t = rng.integers(0, 5, n), np.concatenate([np.arange(c) % 4 for c in np.bincount(g)])
    y = x + rng.normal(size=14)[g] * 1.5 + 0.4 * rng.normal(size=14)[g] * x + rng.normal(size=n)
    y = y + 0.8 * rng.normal(size=5)[h] + rng.normal(size=(14, 4))[g, t]
    return pd.DataFrame({"y": y, "x": x, "z": z, "f": [f"l{i}" for i in f], "g": g, "h": h, "t": t, "w": 1.0 + f})


def fits(data, *random, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return [lt.fit_lmm(f"y ~ x + {one}", data, reml=False, **options) for one in random]


def distribution(small, large, draws=5000):
    found = embedding(small, large)
    cones = tangent_cones(found)
    shift = shift_of(dimension(small), large, cones)
    return null_distribution(found, cones, large, shift=shift, draws=draws, rng=np.random.default_rng(1)), cones


@pytest.mark.parametrize(("small", "large", "weights"), [
    ("(1 | g)", "(x | g)", "1 2"), ("(1 | g)", "(x || g)", "0 1"), ("(x || g)", "(x + z | g)", "3 4"),
    ("(0 + x | g)", "(x | g)", "1 2"), ("(1 | g)", "(1 | g) + (1 | h)", "0 1"), ("(1 | g)", "homcs(0 + f | g)", "0 1"),
    ("(1 | g)", "cs(0 + f | g)", "2 3"), ("(x | g)", "(x | g) + (1 | h)", "0 1"),
    ("(1 | g)", "(1 | g) + homdiag(0 + f | h)", "0 1"), ("(x | g)", "(x | g) + (1 | g:f)", "0 1"),
])  # fmt: skip
def test_one_variance_at_zero_has_its_covariances_beside_it(data, small, large, weights):
    found, _ = distribution(*fits(data, small, large))
    shift = int(weights[0])
    assert isinstance(found, Mixture)
    assert (found.weights.tolist(), found.shift) == ([0.5, 0.5], shift)
    row = lt.lrt(*fits(data, small, large)).iloc[1]
    assert row["reference"] == f"½ χ²({shift}) + ½ χ²({shift + 1})"


@pytest.mark.parametrize(("small", "large"), [
    ("(x || g)", "(x | g)"), ("homdiag(1 + x | g)", "diag(1 + x | g)"), ("homdiag(0 + t4 | g)", "ar1(t | g)"),
    ("homdiag(0 + f | g)", "homcs(0 + f | g)"), ("homcs(0 + f | g)", "cs(0 + f | g)"), ("(1 | g:f)", "(f | g)"),
])  # fmt: skip
def test_what_lies_inside_is_chi_squared(data, small, large):
    less, more = fits(data.assign(t4=data["t"].astype(str)), small, large)
    table = lt.lrt(less, more)
    df = more.npar - less.npar
    assert table["reference"].iloc[1] == f"χ²({df})"
    assert table["p_value"].iloc[1] == pytest.approx(chi2.sf(table["chisq"].iloc[1], df))
    assert not table.notes


def test_a_correlation_that_can_only_enter_by_its_square_is_at_the_boundary(data):
    even = data.assign(t=np.array([0, 2, 5, 7])[data["t"]], t4=data["t"].astype(str))  # the shortest lag is 2
    table = lt.lrt(*fits(even, "homdiag(0 + t4 | g)", "ar1(t | g)"))
    assert table["reference"].iloc[1] == "½ χ²(0) + ½ χ²(1)"


def test_several_variances_are_simulated_with_their_error(data):
    table = lt.lrt(*fits(data, "(1 | g)", "(x | g) + (1 | h)"))
    reference = table["reference"].iloc[1]
    assert "weights from 20,000 draws, p ± " in reference
    assert reference.startswith("0.")
    assert "mixture of χ² distributions" in table.notes[0]
    again = lt.lrt(*fits(data, "(1 | g)", "(x | g) + (1 | h)"))
    assert again["p_value"].iloc[1] == table["p_value"].iloc[1]  # the same draws
    other = lt.lrt(*fits(data, "(1 | g)", "(x | g) + (1 | h)"), draws=5000, rng=np.random.default_rng(9))
    assert other["p_value"].iloc[1] != table["p_value"].iloc[1]


@pytest.mark.parametrize("options", [{}, {"weights": "w"}])
@pytest.mark.parametrize(("small", "large"), [("(1 | g)", "(x + z | g)"), ("(1 | g)", "(x || g) + (1 | h)")])
def test_the_information_is_that_of_the_definition(data, small, large, options):
    small, large = fits(data, small, large, **options)
    found = embedding(small, large)
    cones = tangent_cones(found)
    root = np.ones(len(data)) if not options else np.sqrt(data["w"].to_numpy())

    def spread(k, T):
        term = large.design.terms[k]
        Z = root[:, None] * term.matrix
        return (Z @ T @ Z.T) * np.equal.outer(term.codes, term.codes)

    V = np.eye(len(data)) + sum(spread(k, found.own(k, T)) for k, T in enumerate(found.fitted))
    directions, over, lines, nuisance = [], [], [], []
    for k, cone in enumerate(cones):
        A, K = found.back(k), large.working.terms[k].K
        pointed = [*cone.rays, *(np.outer(N[:, i], N[:, i]) for N in cone.blocks for i in range(N.shape[1]))]
        for D in pointed:
            directions.append(spread(k, A @ D @ A.T))
            over.append(K @ A @ D @ A.T @ K.T)
        for D in cone.lines:
            lines.append(spread(k, A @ D @ A.T))
            nuisance.append(K @ A @ D @ A.T @ K.T)
    R = large.working.terms[0].K.shape[0]
    factors = tuple(np.linalg.cholesky(found.own(k, T) + 1e-14 * np.eye(len(T))) for k, T in enumerate(found.fitted))
    ours = efficient_information(large, factors, np.array(over), np.array(nuisance).reshape(-1, R, R))
    np.testing.assert_allclose(ours, definition.efficient_information(V, directions, lines), rtol=1e-5, atol=1e-6)


def test_the_place_of_the_smaller_model_gives_its_covariance(data):
    small, large = fits(data, "(1 | g:f)", "(f | g)")
    found = embedding(small, large)
    T = found.own(0, found.fitted[0])
    Z = large.design.terms[0].matrix
    np.testing.assert_allclose(np.diagonal(Z @ T @ Z.T), np.full(len(data), (small.Lambda[0] ** 2).item()), rtol=1e-8)


@pytest.mark.parametrize(("small", "large", "why"), [
    ("(1 | h)", "(1 | h) + cs(0 + f | g)", "not convex"),
    ("(1 | g)", "(1 | g) + ar1(t | g)", "in several ways"),
])  # fmt: skip
def test_where_no_distribution_is_known_there_is_no_p_value(data, small, large, why):
    table = lt.lrt(*fits(data, small, large))
    assert np.isnan(table["p_value"].iloc[1])
    assert table["reference"].iloc[1].startswith("none: ")
    assert why in table["reference"].iloc[1]
    assert "bootstrap_lrt" in table.notes[-1]


def test_a_serial_correlation_that_appears_with_its_variance_is_projected_on_rays(data):
    small, large = fits(data, "(1 | h)", "(1 | h) + ar1(t | g)")
    found, _ = distribution(small, large)
    assert isinstance(found, Shares)
    row = lt.lrt(small, large).iloc[1]
    assert "nearest of many rays" in row["reference"]
    # between a variance alone, and a variance with two free directions of covariance
    assert 0.5 * chi2.sf(4.0, 1) < found.tail(4.0)[0] < chi2.sf(4.0, 3)


def test_a_nuisance_variance_at_zero_leaves_fixed_effects_testable_and_no_others():
    data = lt.load_dataset("Dyestuff2").assign(half=lambda d: np.arange(len(d)) % 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        null, mean, slope = (lt.fit_lmm(f"Yield ~ {one}", data, reml=False) for one in (
            "1 + (1 | Batch)", "half + (1 | Batch)", "1 + (half | Batch)"))  # fmt: skip
    assert null.is_singular
    assert lt.lrt(null, mean)["reference"].iloc[1] == "χ²(1)"
    table = lt.lrt(null, slope)
    assert table["reference"].iloc[1] == "none: in the smaller model `Intercept` by Batch has variance zero"
    assert np.isnan(table["p_value"].iloc[1])
    assert "bootstrap_lrt" in table.notes[0]


def test_structures_of_the_package_are_all_known():
    assert set(SMOOTH) == {"cs", "homcs", "ar1", "hetar1"}  # `cones` has a case for each


def test_a_structure_of_the_users_own_beside_what_is_tested_needs_no_directions_for_one_variance(data):
    own = {"structures": {"mine": Exchangeable()}}
    small, large = fits(data, "mine(0 + f | g)", "mine(0 + f | g) + (1 | h)", **own)
    assert lt.lrt(small, large)["reference"].iloc[1] == "½ χ²(0) + ½ χ²(1)"
    two = fits(data, "mine(0 + f | g) + (x || h)", **own)[0]
    assert "structure of the user's own" in lt.lrt(small, two)["reference"].iloc[1]
    alone = fits(data, "(1 | h) + mine(0 + f | g)", **own)[0]
    assert "not known for the structure" in lt.lrt(fits(data, "(1 | h)")[0], alone)["reference"].iloc[1]


def simulate_ratios(small, large, n, seed):
    found = bootstrap_lrt(small, large, n, rng=seed, progress=False)
    assert not found.failures
    return found.simulated


@pytest.mark.slow
@pytest.mark.parametrize(("small", "large"), [
    ("(1 | g)", "(x || g)"), ("(1 | g)", "(x | g)"), ("(1 | g)", "(x || g) + (0 + z | g)"), ("(1 | g)", "(x + z | g)"),
])  # fmt: skip
def test_ratios_of_simulated_responses_follow_the_mixture(small, large):
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(150), 8)
    x = np.tile([-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5], 150)
    z = np.tile([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0], 150)
    frame = pd.DataFrame({"g": g, "x": x, "z": z, "y": rng.normal(size=150)[g] * 2.0 + rng.normal(size=1200)})
    less, more = (lt.fit_lmm(f"y ~ x + z + {one}", frame, reml=False) for one in (small, large))
    found, _ = distribution(less, more, draws=10_000)
    n = 1000
    ratios = simulate_ratios(less, more, n, 12)
    for level in (0.25, 0.1, 0.05):
        x = np.linspace(0.01, 20, 4000)
        cut = x[np.argmin([abs(found.tail(one)[0] - level) for one in x])]
        assert abs(np.mean(ratios > cut) - level) < 4.5 * np.sqrt(level * (1 - level) / n) + 0.006
