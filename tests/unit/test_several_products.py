"""Products of several grouping factors against V written out: value, derivatives, modes, variances, every layout."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from lmmtools.core.several import FactorColumns, several_products
from lmmtools.core.several.approach import _Factorised
from lmmtools.core.several.coupling import _half
from lmmtools.core.several.pairs import worth_keeping
from lmmtools.core.solution import theta_gradient, theta_hessian
from lmmtools.errors import ModelError
from tests.several_rows import DESIGNS, KINDS, check_all, close, directions, products_of, random_factor, simulated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", DESIGNS)
def test_the_dense_layout_is_v_written_out(design, kind):
    rows = simulated(1, **DESIGNS[design])
    check_all(rows, products_of(rows, layout="dense"), kind, 1e-11)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", [name for name in DESIGNS if name != "only a known one"])
def test_a_factor_eliminated_first_is_v_written_out(design, kind, average, monkeypatch):
    if average:
        monkeypatch.setattr("lmmtools.core.several.derivatives._CHEAP", 0.0)
    rows = simulated(1, **DESIGNS[design])
    check_all(rows, products_of(rows, layout="leaf"), kind, 1e-11)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("design", ["two scalars", "three, vectors"])
def test_any_share_of_heavy_columns_gives_the_same(design, share, monkeypatch):
    monkeypatch.setattr(
        "lmmtools.core.several.coupling.Coupling._cheapest",
        lambda self, *_: (0.0, int(np.ceil(share * self.shape[1]))),
    )
    monkeypatch.setattr("lmmtools.core.several.coupling._CHUNK", 16)
    monkeypatch.setattr("lmmtools.core.several.coupling._KEPT_PAIRS", 0)
    rows = simulated(4, **DESIGNS[design])
    check_all(rows, products_of(rows, layout="leaf"), "full", 1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", ["two scalars", "slopes", "three, vectors"])
def test_pairs_kept_from_one_evaluation_to_the_next_give_the_same(design, kind, monkeypatch):
    monkeypatch.setattr("lmmtools.core.several.pairs._SECONDS", 0.0)
    rows = simulated(4, **DESIGNS[design])
    products = products_of(rows, layout="leaf")
    check_all(rows, products, kind, 1e-11)
    assert products.head.coupling.pairs is not None
    again = pickle.loads(pickle.dumps(products))
    Lambda, _ = random_factor(rows, 2)
    assert "pairs" not in vars(again.head.coupling)
    assert again.solve(Lambda, reml=True).value == products.solve(Lambda, reml=True).value


def test_pairs_are_kept_only_where_they_are_few_and_faster(monkeypatch):
    counts = np.full(1000, 20)  # 210 pairs each
    assert worth_keeping(counts, 1, 1.0)
    assert not worth_keeping(counts, 1, 1e-4)
    monkeypatch.setattr("lmmtools.core.several.pairs._KEPT", 3e5)
    assert worth_keeping(counts, 1, 1.0)
    assert not worth_keeping(counts, 2, 1.0)


def test_a_weight_without_a_triangular_root_is_multiplied_out():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 6))
    D = [rng.normal(size=(4, 6)) for _ in range(2)]
    for weight in (half @ half.T, half + half.T):
        X, Y = _half(np.asfortranarray(weight))(D)
        for a, b in ((0, 0), (0, 1)):
            close(X[a] @ Y[b].T, D[a] @ weight @ D[b].T, 1e-12)


def test_the_layouts_agree_on_a_larger_design():
    rows = simulated(6, (400, 150, 12), (2, 1, 1), n=4000)
    Lambda, widths = random_factor(rows, 2)
    dense, leaf = (products_of(rows, layout=layout) for layout in ("dense", "leaf"))
    a, b = (products.solve(Lambda, reml=True) for products in (dense, leaf))
    assert b.value == pytest.approx(a.value, rel=1e-12)
    d, e = dense.derivatives(a), leaf.derivatives(b)
    D = directions(rows)
    close(e.gradient, d.gradient, 1e-10)
    close(e.hessian(D), d.hessian(D), 1e-10)
    pairs = zip(leaf.spherical(Lambda, b, widths), dense.spherical(Lambda, a, widths), strict=True)
    for mine, theirs in pairs:
        close(mine.u, theirs.u, 1e-10)
        close(mine.M_inverse, theirs.M_inverse, 1e-10)


def test_traces_in_single_precision_keep_six_digits(monkeypatch):
    rows = simulated(6, (400, 150, 12), (1, 1, 1), n=4000)
    Lambda, _ = random_factor(rows, 2)
    products, D = products_of(rows, layout="leaf"), directions(rows)
    solution = products.solve(Lambda, reml=True)
    exact = products.derivatives(solution).hessian(D)
    monkeypatch.setattr("lmmtools.core.several.leaf._SINGLE", 0)
    close(products.derivatives(solution).hessian(D), exact, 1e-6)


def test_gradient_and_hessian_by_finite_differences():
    rows = simulated(2, (9, 6), (2, 2))
    products = products_of(rows)
    Lambda, _ = random_factor(rows, 5)
    F = np.zeros((6, *Lambda.shape))
    for k, (a, b) in enumerate([(0, 0), (1, 0), (1, 1), (2, 2), (3, 2), (3, 3)]):
        F[k, a, b] = 1.0
    theta = np.tensordot(F, Lambda, axes=([1, 2], [0, 1]))

    def at(t):
        L = np.tensordot(t, F, axes=1)
        solution = products.solve(L, reml=True)
        d = products.derivatives(solution)
        return solution.value, theta_gradient(d, L, F), theta_hessian(d, L, F)

    _, gradient, hessian = at(theta)
    h = 1e-5
    for k, step in enumerate(h * np.eye(6)):
        up, down = at(theta + step), at(theta - step)
        assert (up[0] - down[0]) / (2 * h) == pytest.approx(gradient[k], rel=1e-6, abs=1e-6)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * h), hessian[k], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sizes", [(700, 300), (700, 200, 12)])
def test_an_approach_by_estimated_traces_ends_next_to_the_optimum(sizes, monkeypatch):
    monkeypatch.setattr("lmmtools.core.several.products._MANY", 0)
    rng = np.random.default_rng(7)
    rows = simulated(7, sizes, [1] * len(sizes), n=20_000)
    effects = [sd * rng.normal(size=f.n_levels)[f.codes] for sd, f in zip((0.8, 0.5, 0.6), rows.factors)]  # noqa: B905
    rows.columns[4] = rows.columns[4] + sum(effects)
    products = products_of(rows, layout="leaf")
    for reml in (True, False):
        start = np.diag([0.3, 0.9, 0.5][: len(sizes)])
        Lambda = start * products.approach(start, reml=reml)
        D, t = directions(rows), np.diag(Lambda) ** 2
        d = products.derivatives(products.solve(Lambda, reml=reml))
        g = np.diag(d.gradient) * t
        H = d.hessian(D) * np.outer(t, t)
        assert 0.5 * g @ np.linalg.solve(H, g) < 1e-6


@pytest.mark.parametrize("sizes", [(500, 200), (300, 200, 12)])
@pytest.mark.parametrize("reml", [False, True])
def test_an_approach_by_a_factor_in_single_precision_has_the_gradient(sizes, reml):
    rows = simulated(7, sizes, [1] * len(sizes), n=3000)
    products = products_of(rows, layout="leaf")
    t = np.array([0.4, 0.2, 0.1])[: len(sizes)]
    gradient, average = _Factorised(products, reml).at(t, (1e-10, 1e-6, 1e-10))
    d = products.derivatives(products.solve(np.diag(np.sqrt(t)), reml=reml))
    close(gradient, np.diag(d.gradient), 1e-5)
    close(average, d._along(directions(rows), "average", d._average), 1e-8)


def test_no_approach_where_there_is_none(monkeypatch):
    monkeypatch.setattr("lmmtools.core.several.products._MANY", 0)
    slopes = simulated(1, **DESIGNS["slopes"])
    assert products_of(slopes, layout="leaf").approach(np.eye(3), reml=True) is None
    scalars = simulated(1, **DESIGNS["two scalars"])
    assert products_of(scalars, layout="leaf").approach(np.diag([1.0, 0.0]), reml=True) is None
    assert products_of(scalars, layout="dense").approach(np.eye(2), reml=True) is None


@pytest.mark.parametrize("design", DESIGNS)
def test_gram_residual_products_and_what_is_left(design):
    rows = simulated(3, **DESIGNS[design])
    products, D = products_of(rows), directions(rows)
    dV = [rows.V(x) - np.eye(rows.n) for x in D]
    gram = products.gram(D)
    close(gram.between, [[np.sum(a * b) for b in dV] for a in dV], 1e-12)
    close(gram.with_residual, [np.trace(a) for a in dV], 1e-12)
    assert gram.n == rows.n
    Xe, p = rows.Xe(), len(rows.xy) - 1
    dense, M = products_of(rows, layout="dense"), np.eye(rows.n) - Xe[:, :p] @ np.linalg.pinv(Xe[:, :p])
    close(dense.gram_off_means(D).between, [[np.sum((M @ a @ M) * b) for b in dV] for a in dV], 1e-11)
    close(dense.gram_off_means(D).with_residual, [np.trace(M @ a) for a in dV], 1e-11)
    leaf = products_of(rows, layout="leaf")
    if leaf.head is not None:
        close(leaf.gram_off_means(D).between, gram.between, 1e-12)
    for f, block in enumerate(rows.blocks()):
        Ze = (rows.Z(f).T @ Xe[:, p]).reshape(block.stop - block.start, -1)
        close(products.residual_products()[block, block], Ze @ Ze.T, 1e-12)
    everything = np.hstack([*(rows.Z(f) for f in range(len(rows.factors))), Xe[:, :p]])
    coefficients, _, rank, _ = np.linalg.lstsq(everything, Xe[:, p], rcond=1e-10)
    left, dof = products.within_residual()
    assert dof == rows.n - rank
    assert left == pytest.approx(np.sum((Xe[:, p] - everything @ coefficients) ** 2), rel=1e-9)


def test_what_memory_does_not_hold_is_refused_by_name(monkeypatch):
    crossed = (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    factors = tuple(FactorColumns([0], c, J) for c, J in zip(crossed, (500_000, 200_000), strict=True))
    columns = [np.broadcast_to(1.0, 4), np.array([1.0, -1.0, 0.5, -0.5])]
    with pytest.raises(ModelError, match=r"`b` \(200,000 levels × 1 effects\), which the rows of `a` tie.* GB"):
        several_products(columns, factors, [0, 1], ["a", "b"])
    monkeypatch.setattr("lmmtools.core.several.sizes.memory_limit", lambda: 1000.0)
    rows = simulated(1, (8, 5), (1, 1))
    with pytest.raises(ModelError, match="`f0` .* and `f1`"):
        products_of(rows, layout="dense")
