"""Rows of several grouping factors, their products, and the same from V written out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from lmmtools.core.several import FactorColumns, several_products

__all__ = ["DESIGNS", "KINDS", "Rows", "check_all", "close", "directions", "products_of", "random_factor", "simulated"]


@dataclass
class Rows:
    columns: list
    factors: tuple
    xy: list

    @property
    def n(self):
        return len(self.columns[0])

    def Z(self, f):
        """The factor's columns spread over its effects, column after column."""
        factor = self.factors[f]
        indicator = np.eye(factor.n_levels)[factor.codes]
        if factor.root is not None:
            indicator = indicator @ factor.root
        return np.hstack([np.asarray(self.columns[i])[:, None] * indicator for i in factor.z])

    def blocks(self):
        ends = np.cumsum([0, *(len(f.z) for f in self.factors)])
        return [slice(a, b) for a, b in pairwise(ends)]

    def V(self, T):
        V = np.eye(self.n)
        for f, block in enumerate(self.blocks()):
            Z = self.Z(f)
            V += Z @ np.kron(T[block, block], np.eye(Z.shape[1] // len(self.factors[f].z))) @ Z.T
        return V

    def Xe(self):
        return np.column_stack([self.columns[i] for i in self.xy])

    def value(self, T, reml):
        V, Xe = self.V(T), self.Xe()
        S = Xe.T @ np.linalg.solve(V, Xe)
        p = len(S) - 1
        beta = np.linalg.solve(S[:p, :p], S[:p, p])
        r2 = S[p, p] - S[:p, p] @ beta
        nu = self.n - p if reml else self.n
        value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * r2 / nu))
        return value + (np.linalg.slogdet(S[:p, :p])[1] if reml else 0.0), beta


def simulated(seed, sizes, widths, *, n=90, p=2, weights=False, known=None, nested=False):
    """Random rows: factors of the given sizes, each with its first so many of three columns."""
    rng = np.random.default_rng(seed)
    root = np.sqrt(rng.uniform(0.5, 2.0, n)) if weights else np.ones(n)
    covariates = rng.normal(size=(n, 4))
    ones = np.broadcast_to(1.0, n) if not weights else root
    columns = [ones, *(covariates[:, j] * root for j in range(3)), rng.normal(size=n) * root]
    factors = []
    for f, (J, r) in enumerate(zip(sizes, widths, strict=True)):
        codes = rng.choice(J, size=n, p=rng.dirichlet(np.full(J, 3.0)))
        codes[:J] = rng.permutation(J)
        if nested and f == 1:
            codes = factors[0].codes // 2
        L = rng.normal(size=(J, J - 1)) / np.sqrt(J) if known == f else None
        factors.append(FactorColumns(list(range(r)), codes.astype(np.intp), J, L))
    return Rows(columns, tuple(factors), [*range(p), 4])


def random_factor(rows, seed, kind="full"):
    """Λ̃: lower triangular in each factor; with directions missing; zero in one factor; more columns than rows."""
    rng = np.random.default_rng(seed)
    parts = []
    for f, block in enumerate(rows.blocks()):
        r = block.stop - block.start
        L = np.tril(rng.normal(size=(r, r))) * 0.7
        if kind == "rank" and r > 1:
            L = rng.normal(size=(r, r - 1))
        if kind == "zero" and f == 1:
            L = np.zeros((r, r))
        if kind == "tiny" and f == 1:
            L = L * 1e-5
        if kind == "wide":
            L = np.hstack([L, rng.normal(size=(r, 1))])
        parts.append(L)
    out = np.zeros((sum(len(L) for L in parts), sum(L.shape[1] for L in parts)))
    i = j = 0
    for L in parts:
        out[i : i + L.shape[0], j : j + L.shape[1]] = L
        i, j = i + L.shape[0], j + L.shape[1]
    return out, [L.shape[1] for L in parts]


def directions(rows):
    out = []
    R = rows.blocks()[-1].stop
    for block in rows.blocks():
        for a in range(block.start, block.stop):
            for b in range(block.start, a + 1):
                D = np.zeros((R, R))
                D[a, b] = D[b, a] = 1.0
                out.append(D)
    return np.array(out)


def dense_derivatives(rows, T, reml, D):
    """Gradient, Hessian, average information and dβ̂ along D, from V and dV = ZDZ' written out."""
    V, Xe, p = rows.V(T), rows.Xe(), len(rows.xy) - 1
    dV = np.array([rows.V(d) - np.eye(rows.n) for d in D])
    Vi = np.linalg.inv(V)
    X, e = Xe[:, :p], Xe[:, p]
    Si = np.linalg.inv(X.T @ Vi @ X)
    P = Vi - Vi @ X @ Si @ X.T @ Vi
    r2, nu = e @ P @ e, rows.n - p if reml else rows.n
    Q = P if reml else Vi
    q = np.array([e @ P @ d @ P @ e for d in dV])
    first = np.array([np.sum(Q * d) for d in dV]) - nu / r2 * q
    moved = np.array([d @ P @ e for d in dV])
    traces = np.array([[np.sum((Q @ a) * (Q @ b).T) for b in dV] for a in dV])
    half = nu / r2 * moved @ P @ moved.T
    outer = nu / r2**2 * np.outer(q, q)
    beta = np.array([-Si @ X.T @ Vi @ d @ P @ e for d in dV])
    return first, 2.0 * half - outer - traces, half - outer, beta


def close(actual, expected, rtol):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max(initial=1e-300))


DESIGNS = {
    "two scalars": {"sizes": (8, 5), "widths": (1, 1)},
    "slopes": {"sizes": (7, 5), "widths": (2, 1)},
    "three, vectors": {"sizes": (9, 4, 6), "widths": (2, 3, 1)},
    "weighted": {"sizes": (6, 9), "widths": (2, 2), "weights": True},
    "no fixed effects": {"sizes": (6, 5), "widths": (1, 2), "p": 0},
    "known covariance": {"sizes": (8, 6), "widths": (1, 2), "known": 1},
    "only a known one": {"sizes": (9,), "widths": (2,), "known": 0},
    "nested": {"sizes": (12, 6, 4), "widths": (2, 1, 1), "nested": True},
}
KINDS = ("full", "rank", "zero", "tiny", "wide")


def products_of(rows, **options):
    return several_products(rows.columns, rows.factors, rows.xy, [f"f{k}" for k in range(len(rows.factors))], **options)


def check_all(rows, products, kind, rtol):
    Lambda, widths = random_factor(rows, 3, kind)
    T, D = Lambda @ Lambda.T, directions(rows)
    for reml in (False, True):
        solution = products.solve(Lambda, reml=reml)
        value, beta = rows.value(T, reml)
        assert solution.value == pytest.approx(value, rel=rtol)
        close(solution.beta, beta, 1e3 * rtol)
        d = products.derivatives(solution)
        first, second, average, dbeta = dense_derivatives(rows, T, reml, D)
        close([np.sum(d.gradient * x) for x in D], first, 1e2 * rtol)
        close(d.hessian(D), second, 1e2 * rtol)
        close(d.steering(D), second if d.exact_steering else average, 1e2 * rtol)
        close(d.beta_derivative(D), dbeta, 1e3 * rtol)
        mixed = np.tensordot(np.random.default_rng(0).normal(size=(2, len(D))), D, axes=1)
        weights = np.array([[np.sum(m * x) / np.sum(x * x) for x in D] for m in mixed])
        close(d.hessian(mixed), weights @ second @ weights.T, 1e2 * rtol)
        check_modes(rows, products, Lambda, widths, solution, rtol)


def check_modes(rows, products, Lambda, widths, solution, rtol):
    T = Lambda @ Lambda.T
    V, Xe, p = rows.V(T), rows.Xe(), len(rows.xy) - 1
    residual = np.linalg.solve(V, Xe[:, p] - Xe[:, :p] @ solution.beta)
    ends = np.cumsum([0, *widths])
    columns, spread = [], []
    for f, block in enumerate(rows.blocks()):
        factor = rows.factors[f]
        columns.append(rows.Z(f) @ np.kron(Lambda[block, ends[f] : ends[f + 1]], np.eye(factor.n_effects)))
        spread.append(np.eye(factor.n_effects) if factor.root is None else factor.root)
    ZL = np.hstack(columns)
    M_inverse = np.linalg.inv(np.eye(ZL.shape[1]) + ZL.T @ ZL)
    full = np.zeros((0, ZL.shape[1]))  # rows: effects at levels
    for f, w in enumerate(widths):
        before = sum(widths[g] * rows.factors[g].n_effects for g in range(f))
        block = np.kron(np.eye(w), spread[f])
        wide = np.zeros((len(block), ZL.shape[1]))
        wide[:, before : before + block.shape[1]] = block
        full = np.vstack([full, wide])
    cov, u, sensitivity = full @ M_inverse @ full.T, full @ ZL.T @ residual, full @ ZL.T @ np.linalg.solve(V, Xe[:, :p])
    found = products.spherical(Lambda, solution, widths)
    start = 0
    for f, w in enumerate(widths):
        J = rows.factors[f].n_levels
        part = slice(start, start + w * J)
        close(found[f].u.ravel(), u[part], 1e3 * rtol)
        close(found[f].sensitivity.transpose(0, 2, 1).reshape(w * J, p), sensitivity[part], 1e3 * rtol)
        close(found[f].M_inverse, np.einsum("ajbj->abj", cov[part, part].reshape(w, J, w, J)), 1e3 * rtol)
        start += w * J
    check_variance(rows, products, Lambda, widths, solution, cov, rtol)


def check_variance(rows, products, Lambda, widths, solution, cov, rtol):
    rng = np.random.default_rng(1)
    m, start = 40, 0
    z, given = np.zeros((m, len(cov))), []
    for w, factor in zip(widths, rows.factors, strict=True):
        codes = rng.integers(-1, factor.n_levels, m)
        s = rng.normal(size=(m, w))
        here = codes >= 0
        for a in range(w):
            z[here, start + a * factor.n_levels + codes[here]] = s[here, a]
        given.append((s, codes))
        start += w * factor.n_levels
    expected = np.einsum("ij,jk,ik->i", z, cov, z)
    close(products.spherical_variance(Lambda, solution, given), expected, 1e3 * rtol)
