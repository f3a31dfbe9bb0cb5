"""Nested factors eliminated one after the other: against V written out, its inverse and its traces."""

from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest

from lmmtools.core.several.chain import Chain
from lmmtools.core.several.chainlevels import choose_chain, longest_chain, parents, trees
from lmmtools.core.several.chainproducts import chain_products
from lmmtools.core.several.columns import FactorColumns

# Factors' numbers of columns, finest first; whether a crossed factor and one of known covariance stand in the border.
CASES = {
    "one": ([2], False),
    "two": ([1, 1], False),
    "finer slope": ([2, 1], False),
    "coarser slopes": ([1, 2, 2], False),
    "four": ([1, 2, 1, 2], True),
    "border": ([2, 2, 1], True),
}


def spread(columns, f):
    """Z of a factor: column after column, level after level."""
    Z = np.zeros((len(f.codes), len(f.z), f.n_levels))
    for a, i in enumerate(f.z):
        Z[np.arange(len(f.codes)), a, f.codes] = columns[i]
    parts = Z.transpose(1, 0, 2)
    return np.hstack([part if f.root is None else part @ f.root for part in parts])


class Case:
    """A small random unbalanced nested design with random Λ, one of them singular, and V written out."""

    def __init__(self, widths, crossed, seed=0, n=70):
        rng = self.rng = np.random.default_rng(seed)
        levels = [14, 7, 3, 2][: len(widths)]
        codes = [rng.integers(0, levels[0], n)]
        for J, K in pairwise(levels):
            above = np.concatenate([np.arange(K), rng.integers(0, K, J - K)])
            codes.append(rng.permutation(above)[codes[-1]])
        self.columns = [np.broadcast_to(1.0, n), *rng.normal(size=(5, n))]
        self.chain = [
            FactorColumns([0, 1][:r] if f != 2 else [2, 3][:r], c, J)
            for f, (r, c, J) in enumerate(zip(widths, codes, levels, strict=True))
        ]
        self.trailing = []
        if crossed:
            self.trailing.append(FactorColumns([0, 2], rng.integers(0, 3, n), 3))
            self.trailing.append(FactorColumns([4], rng.integers(0, 4, n), 4, rng.normal(size=(4, 2))))
        self.xy = [0, 1, 5]
        self.Y = np.hstack([*(spread(self.columns, f) for f in self.trailing), np.array(self.columns)[self.xy].T])
        self.Z = [spread(self.columns, f) for f in self.chain]
        self.factors = [np.tril(rng.normal(size=(r, r))) for r in widths]
        self.factors[0][-1, -1] = 0.0 if widths[0] > 1 else 0.8
        products = chain_products(self.columns, self.chain, self.trailing, self.xy)
        self.elimination = Chain(products, self.Y.T @ self.Y)
        self.weights = self.symmetric(self.Y.shape[1])
        self.apart = rng.normal(size=(self.Y.shape[1], 2))
        self.weights = self.weights + self.apart @ self.apart.T

    def symmetric(self, *shape):
        x = self.rng.normal(size=(*shape, shape[-1]))
        return x + np.swapaxes(x, -1, -2)

    def moved(self, T):
        """ΣZ_f(T_f ⊗ I)Z_f'."""
        parts = zip(self.Z, self.chain, T, strict=True)
        return sum(Z @ np.kron(part, np.eye(f.n_levels)) @ Z.T for Z, f, part in parts)

    def pull(self, state):
        return self.elimination.pull(state, self.weights - self.apart @ self.apart.T, self.apart)

    @property
    def V(self):
        return np.eye(len(self.Y)) + self.moved([L @ L.T for L in self.factors])

    def directions(self, m):
        """m random directions in the T of all factors, a third of the parts zero."""
        parts = [self.symmetric(m, len(L)) for L in self.factors]
        for part in parts:
            part[self.rng.permutation(m)[: m // 3]] = 0.0
        return parts


@pytest.fixture(params=[(name, seed) for name in CASES for seed in (0, 1)], ids=lambda p: f"{p[0]}-{p[1]}")
def case(request):
    name, seed = request.param
    return Case(*CASES[name], seed=seed)


def test_elimination_is_v_inverted(case):
    state = case.elimination.forward(case.factors)
    assert state.logdet == pytest.approx(np.linalg.slogdet(case.V)[1], rel=1e-12)
    np.testing.assert_allclose(state.S, case.Y.T @ np.linalg.solve(case.V, case.Y), rtol=1e-11, atol=1e-11)


def test_derivatives_are_those_of_v(case):
    """Of log|V| + ⟨Φ, Y'V⁻¹Y⟩, the trace formulas."""
    chain, dT = case.elimination, case.directions(7)
    state = chain.forward(case.factors)
    pulled, tangents = case.pull(state), chain.tangents(state, dT)
    inverse = np.linalg.inv(case.V)
    dV = [case.moved([part[k] for part in dT]) for k in range(7)]
    VY = inverse @ case.Y
    K = inverse - VY @ case.weights @ VY.T
    gradient = sum(np.einsum("ab,kab->k", G, part) for G, part in zip(chain.gradient(state, pulled), dT, strict=True))
    np.testing.assert_allclose(gradient, [np.sum(K * d) for d in dV], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tangents.dS, [-VY.T @ d @ VY for d in dV], rtol=1e-9, atol=1e-9)
    M = [inverse @ d for d in dV]
    hessian = [
        [-np.sum(a * b.T) + 2 * np.sum((dV[i] @ VY @ case.weights) * (b @ VY)) for b in M] for i, a in enumerate(M)
    ]
    found = chain.second(state, pulled, tangents)
    np.testing.assert_allclose(found, hessian, rtol=1e-9, atol=1e-9 * np.abs(hessian).max())


def test_derivatives_are_finite_differences():
    case, step = Case([2, 1, 2], True), 1e-5
    case.factors[0] = np.array([[0.9, 0.0], [0.2, 0.7]])
    chain, dT = case.elimination, case.directions(3)

    def at(k, t):
        moved = [np.linalg.cholesky(L @ L.T + t * part[k]) for L, part in zip(case.factors, dT, strict=True)]
        state = chain.forward(moved)
        return state, state.logdet + np.sum(case.weights * state.S)

    state = chain.forward(case.factors)
    pulled, tangents = case.pull(state), chain.tangents(state, dT)
    blocks = chain.gradient(state, pulled)
    for k in range(3):
        (forth, up), (back, down) = at(k, step), at(k, -step)
        slope = sum(np.sum(G * part[k]) for G, part in zip(blocks, dT, strict=True))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)
        np.testing.assert_allclose(tangents.dS[k], (forth.S - back.S) / (2 * step), rtol=1e-5, atol=1e-5)
        ahead = chain.gradient(forth, case.pull(forth))
        behind = chain.gradient(back, case.pull(back))
        change = [
            sum(np.sum((a - b) * part[j]) for a, b, part in zip(ahead, behind, dT, strict=True)) / (2 * step)
            for j in range(3)
        ]
        np.testing.assert_allclose(chain.second(state, pulled, tangents)[k], change, rtol=1e-5)


def test_projection_is_least_squares(case):
    left, rank = case.elimination.project()
    Z = np.hstack(case.Z)
    residual = case.Y - Z @ np.linalg.lstsq(Z, case.Y, rcond=1e-10)[0]
    assert rank == np.linalg.matrix_rank(Z)
    np.testing.assert_allclose(left, residual.T @ residual, atol=1e-11 * len(Z))


def exact_solve(A, B):
    """A⁻¹B and log|A| of a positive definite matrix of decimals."""
    A, B, logdet = A.copy(), B.copy(), Decimal(0)
    for k in range(len(A)):
        logdet += A[k, k].ln()
        for i in range(k + 1, len(A)):
            times = A[i, k] / A[k, k]
            A[i, k:] -= times * A[k, k:]
            B[i] -= times * B[k]
    for k in reversed(range(len(A))):
        B[k] = (B[k] - sum((A[k, j] * B[j] for j in range(k + 1, len(A))), 0 * B[k])) / A[k, k]
    return B, logdet


@pytest.mark.parametrize("scales", [(1, 1), (1e6, 1), (1, 1e4), (1e4, 1e4), (1e-7, 1e4), (1e4, 1e-7)])
def test_nothing_is_lost_where_variances_lie_far_apart(scales):
    decimals = np.vectorize(Decimal, otypes=[object])
    case = Case([2, 2], False, seed=4, n=24)
    shapes = np.array([[[0.9, 0.0], [0.5, 0.4]], [[0.6, 0.0], [-0.8, 0.3]]])
    case.factors = list(np.array(scales, dtype=float)[:, None, None] * shapes)
    chain = case.elimination
    state = chain.forward(case.factors)
    blocks = chain.gradient(state, chain.pull(state, np.zeros((3, 3)), np.zeros((3, 0))))
    with localcontext() as context:
        context.prec = 60
        V = decimals(np.eye(24))
        for Z, f, L in zip(case.Z, case.chain, case.factors, strict=True):
            half = decimals(Z) @ decimals(np.kron(L, np.eye(f.n_levels)))
            V = V + half @ half.T
        solved, logdet = exact_solve(V, decimals(np.hstack([case.Y, *case.Z])))
        S = (decimals(case.Y).T @ solved[:, :3]).astype(float)
        P, at = [], 3
        for Z, f in zip(case.Z, case.chain, strict=True):
            part = (decimals(Z).T @ solved[:, at : at + Z.shape[1]]).reshape(2, f.n_levels, 2, f.n_levels)
            P.append(np.einsum("ajbj->ab", part.astype(float)))
            at += Z.shape[1]
    assert state.logdet == pytest.approx(float(logdet), rel=1e-14)
    size = np.sqrt(np.diagonal(S))
    np.testing.assert_allclose(state.S / np.outer(size, size), S / np.outer(size, size), atol=1e-13)
    for G, expected, L in zip(blocks, P, case.factors, strict=True):
        found, true = L.T @ G @ L, L.T @ expected @ L
        np.testing.assert_allclose(found, true, atol=1e-9 * np.abs(true).max())


def test_parents():
    codes, coarser = np.array([3, 0, 0, 3, 1]), np.array([1, 0, 0, 1, 1])
    np.testing.assert_array_equal(parents(codes, 4, coarser), [0, 1, -1, 1])
    assert parents(codes, 4, np.array([1, 0, 0, 0, 1])) is None
    assert parents(coarser, 2, codes) is None


def test_the_chain_is_the_largest():
    rng = np.random.default_rng(0)
    leaf = rng.integers(0, 40, 300)
    pupil, school, town = leaf, leaf // 4, leaf // 20
    year = rng.integers(0, 5, 300)
    factors = [(year, 5), (town, 2), (pupil, 40), (school, 10)]
    assert longest_chain(factors, [5, 2, 40, 10]) == [2, 3, 1]
    same = [(school, 10), (rng.permutation(10)[school], 10)]
    assert sorted(longest_chain(same, [10, 10])) == [0, 1]


def test_levels_without_rows_change_nothing():
    case = Case([1, 1], False)
    fine, coarse = case.chain
    renumbered = [FactorColumns([0], fine.codes + 2, 18), FactorColumns([0], 2 * coarse.codes, 15)]
    links, places = trees([(f.codes, f.n_levels) for f in renumbered])
    assert np.all(np.diff(links[0].parent) >= 0)
    assert sorted(places[0]) == list(range(18))
    chain = Chain(chain_products(case.columns, renumbered, [], case.xy), case.Y.T @ case.Y)
    state, expected = chain.forward(case.factors), case.elimination.forward(case.factors)
    assert state.logdet == pytest.approx(expected.logdet, rel=1e-14)
    np.testing.assert_allclose(state.S, expected.S, rtol=1e-12, atol=1e-12)


def test_factors_of_one_partition_are_nested_both_ways():
    case = Case([1, 1], False)
    case.chain[1] = FactorColumns([1], case.rng.permutation(14)[case.chain[0].codes], 14)
    case.Z[1] = spread(case.columns, case.chain[1])
    chain = Chain(chain_products(case.columns, case.chain, [], case.xy), case.Y.T @ case.Y)
    state = chain.forward(case.factors)
    np.testing.assert_allclose(state.S, case.Y.T @ np.linalg.solve(case.V, case.Y), rtol=1e-11, atol=1e-11)


def test_a_factor_that_is_not_nested_is_refused():
    codes = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="not nested"):
        trees([(codes, 2), (np.array([0, 1, 0, 1]), 2)])


def test_a_chain_is_chosen_where_it_pays():
    n, rng = 4000, np.random.default_rng(0)
    leaf = rng.integers(0, 1000, n)
    nested = [FactorColumns([0], leaf // 10, 100), FactorColumns([0], leaf, 1000)]
    assert choose_chain(nested, 3) == [1, 0]
    assert choose_chain([*nested, FactorColumns([0], rng.integers(0, 8, n), 8)], 3) == [1, 0]
    assert choose_chain([*nested, FactorColumns([0], rng.integers(0, 2000, n), 2000)], 3) == []
    small = [FactorColumns([0], leaf % 10, 10), FactorColumns([0], leaf % 5, 5)]
    assert choose_chain(small, 3) == []
