"""A chain in front of the dense step gives what the dense step gives alone, which its own tests hold against V."""

from itertools import pairwise

import numpy as np
import pytest

from lmmtools.core.several import FactorColumns, several_products
from lmmtools.core.several.chainhead import ChainHead, chain_several

# Columns of the chain's factors, finest first, and what stands beside it.
CASES = {
    "pure": ([1, 1], ()),
    "pure, slopes": ([1, 2, 2], ()),
    "crossed": ([2, 2, 1], ("crossed",)),
    "one factor": ([2], ("crossed",)),
    "crossed and known": ([1, 1, 2], ("crossed", "known")),
}
KINDS = ("full", "singular", "zero", "wide")


def rows_of(widths, beside, seed=0, n=90):
    """Columns, factors in random order, [X e], and which factors are the chain."""
    rng = np.random.default_rng(seed)
    levels = [15, 7, 3][: len(widths)]
    codes = [rng.integers(0, levels[0], n)]
    for J, K in pairwise(levels):
        above = np.concatenate([np.arange(K), rng.integers(0, K, J - K)])
        codes.append(rng.permutation(above)[codes[-1]])
    factors = [FactorColumns(list(range(r)), c, J) for r, c, J in zip(widths, codes, levels, strict=True)]
    if "crossed" in beside:
        factors.append(FactorColumns([0, 2], rng.integers(0, 4, n), 4))
    if "known" in beside:
        factors.append(FactorColumns([0], rng.integers(0, 5, n), 5, rng.normal(size=(5, 3))))
    shuffled = rng.permutation(len(factors))
    order = [int(np.flatnonzero(shuffled == k)[0]) for k in range(len(widths))]
    columns = [np.broadcast_to(1.0, n), *rng.normal(size=(4, n))]
    return columns, [factors[k] for k in shuffled], [0, 1, 4], order


def factor_of(factors, kind, seed=1):
    """Λ̃ and the number of its columns that belong to each factor."""
    rng = np.random.default_rng(seed)
    parts = [np.tril(rng.normal(size=(f.r, f.r))) for f in factors]
    if kind == "singular":
        parts = [L * (np.arange(len(L)) == 0) for L in parts]
    if kind == "zero":
        parts[0] = np.zeros_like(parts[0])
        parts[-1] = np.zeros_like(parts[-1])
    if kind == "wide":
        parts = [np.hstack([L, rng.normal(size=(len(L), 1))]) for L in parts]
    Lambda = np.zeros((sum(map(len, parts)), sum(L.shape[1] for L in parts)))
    i = j = 0
    for L in parts:
        Lambda[i : i + L.shape[0], j : j + L.shape[1]] = L
        i, j = i + L.shape[0], j + L.shape[1]
    return Lambda, [L.shape[1] for L in parts]


def directions(products, seed=2):
    """Every element of T, and some mixtures."""
    R, found = products.R, []
    for block in products.blocks:
        for a in range(block.start, block.stop):
            for b in range(block.start, a + 1):
                D = np.zeros((R, R))
                D[a, b] = D[b, a] = 1.0
                found.append(D)
    mixtures = np.random.default_rng(seed).normal(size=(2, len(found)))
    return np.concatenate([found, np.tensordot(mixtures, found, axes=1)])


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * max(np.abs(expected).max(initial=0.0), 1e-6))


@pytest.fixture(params=CASES)
def both(request):
    columns, factors, xy, order = rows_of(*CASES[request.param])
    chain = chain_several(columns, factors, xy, order)
    assert isinstance(chain.head, ChainHead)
    return factors, chain, several_products(columns, factors, xy, layout="dense")


@pytest.mark.parametrize("reml", [True, False], ids=["reml", "ml"])
@pytest.mark.parametrize("kind", KINDS)
def test_criterion_and_derivatives(both, kind, reml):
    factors, chain, dense = both
    Lambda, _ = factor_of(factors, kind)
    found, expected = chain.solve(Lambda, reml=reml), dense.solve(Lambda, reml=reml)
    assert found.value == pytest.approx(expected.value, rel=1e-12)
    same(found.beta, expected.beta)
    D = directions(dense)
    d, e = chain.derivatives(found), dense.derivatives(expected)
    same(d.gradient, e.gradient)
    same(d.hessian(D), e.hessian(D))
    same(d.beta_derivative(D), e.beta_derivative(D))
    assert d.exact_steering
    same(d.steering(D), e.hessian(D))


@pytest.mark.parametrize("kind", KINDS)
def test_modes_and_variances(both, kind):
    factors, chain, dense = both
    Lambda, widths = factor_of(factors, kind)
    found, expected = chain.solve(Lambda, reml=True), dense.solve(Lambda, reml=True)
    for f, g in zip(chain.spherical(Lambda, found, widths), dense.spherical(Lambda, expected, widths), strict=True):
        same(f.u, g.u)
        same(f.M_inverse, g.M_inverse)
        same(f.sensitivity, g.sensitivity)
    rng = np.random.default_rng(3)
    rows = [(rng.normal(size=(60, w)), rng.integers(-1, f.n_levels, 60)) for f, w in zip(factors, widths, strict=True)]
    for (_, codes), factor in zip(rows, factors, strict=True):  # half of them are rows of the data
        codes[:30] = factor.codes[:30]
    rows = [
        (s, np.maximum(codes, 0) if f.root is not None else codes) for (s, codes), f in zip(rows, factors, strict=True)
    ]
    same(chain.spherical_variance(Lambda, found, rows), dense.spherical_variance(Lambda, expected, rows))


def test_what_starts_and_identifies(both):
    _, chain, dense = both
    D = directions(dense)
    found, expected = chain.gram(D), dense.gram(D)
    same(found.between, expected.between)
    same(found.with_residual, expected.with_residual)
    same(chain.residual_products(), dense.residual_products())
    (left, dof), (true_left, true_dof) = chain.within_residual(), dense.within_residual()
    assert (left, dof) == (pytest.approx(true_left, rel=1e-10), true_dof)


def test_large_nested_designs_are_chains():
    rng = np.random.default_rng(0)
    n = 3000
    pupil = rng.integers(0, 600, n)
    factors = [FactorColumns([0], pupil // 20, 30), FactorColumns([0], pupil, 600)]
    columns = [np.broadcast_to(1.0, n), rng.normal(size=n)]
    products = several_products(columns, factors, [0, 1])
    assert isinstance(products.head, ChainHead)
    assert products.head.order == (1, 0)
    assert products.order == ()


@pytest.mark.parametrize("which", [0, 1], ids=["finer", "coarser"])
def test_a_small_residual_next_to_large_effects_keeps_its_digits(which):
    """The levels' effects are 10⁶ times the residual: differences of sums of squares would leave four digits of it."""
    columns, factors, xy, order = rows_of([2, 1], ())
    rng = np.random.default_rng(5)
    large = 1e6
    columns = [*columns[:4], columns[4] + large * rng.normal(size=15)[factors[order[which]].codes]]
    Lambda, _ = factor_of(factors, "full")
    products = chain_several(columns, factors, xy, order)
    Lambda[products.blocks[order[which]]] *= large
    parts = []
    for factor, block in zip(factors, products.blocks, strict=True):
        Z = np.hstack([columns[i][:, None] * np.eye(factor.n_levels)[factor.codes] for i in factor.z])
        parts.append(Z @ np.kron(Lambda[block, block], np.eye(factor.n_levels)))
    ZL = np.hstack(parts)
    X, y = np.column_stack([columns[0], columns[1]]), columns[4]
    penalised = np.block([[X, ZL], [np.zeros((ZL.shape[1], 2)), np.eye(ZL.shape[1])]])
    Q = np.linalg.qr(penalised)[0]
    rest = np.concatenate([y, np.zeros(ZL.shape[1])])
    for _ in range(2):
        rest -= Q @ (Q.T @ rest)
    assert products.solve(Lambda, reml=False).r2 == pytest.approx(rest @ rest, rel=1e-8)
