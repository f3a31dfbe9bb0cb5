"""Near the optimum without a single factorisation: Newton steps on a gradient whose traces are estimated.

For factors of one column each, T = diag(t). Everything but the traces tr M⁻¹ is exact and takes only solves with
M, by conjugate gradients on what the elimination of the first factor leaves, K = D − E: the effects of crossed factors
are nearly orthogonal once their means are taken out, so a few iterations do. The traces are estimated from a few
probes z of random signs (Hutchinson 1990, Commun. Stat. Simul. 19),

    tr(K⁻¹G) = tr(UU'K⁻¹G) + tr(D⁻¹G) − tr(UU'D⁻¹G) + E[x'(K⁻¹ − D⁻¹)Gx],   x = (I − UU')z,

with U the mean of each factor, along which K is nearly singular, and G = I or what the first factor's levels see. For
G = I the next term of the series, D⁻¹ED⁻¹, whose trace is zero, is taken off too. What is left to chance
moves the estimates of t by about 1e-5 of themselves; the search proper starts there.

Where factors are nearly nested, or share few levels, those iterations are many. With few enough effects K is then
factorised and inverted in single precision: half the time of doing so in double, and solves are refined to all digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from lmmtools.core.newton import Secant
from lmmtools.core.several.frame import mirror

__all__ = ["approach"]

_PROBES, _STEPS = 24, 8
# Iterations after which the factors are not as nearly orthogonal as this way needs.
_SOLVES = 32
# Effects up to which K may be factorised instead; seconds that takes, over N³, and a column of an iteration, per cell.
_FEW, _FACTORISED, _ITERATED = 2500, 2e-11, 1e-9
# Relative residuals of the solves for W, for traces and for curvature, far from the optimum and near it.
_ROUGH, _FINE = (1e-5, 1e-3, 1e-2), (1e-8, 1e-4, 1e-3)
# Levels of a factor coarse enough to be taken along with the means.
_COARSE = 60
# Predicted gain at which the approach is over, and the relative size of variances below which it is given up.
_NEAR, _SMALL = 1e-7, 1e-3


def approach(products: Any, t: np.ndarray, *, reml: bool) -> np.ndarray | None:
    """Relative variances near the optimum, shape (F,), from a start t; None where this way does not lead there.

    Parameters
    ----------
    products : Several
        One column a factor, the first of them eliminated before the dense step.
    t : ndarray, shape (F,)
    reml : bool
    """
    problem = _Problem(products, reml)
    try:
        return _descend(problem, t)
    except _SlowError:
        if problem.frame.N > _FEW:
            return None
    try:
        return _descend(_Factorised(products, reml), t)
    except _SlowError:
        return None


def _descend(problem: _Problem, t: np.ndarray) -> np.ndarray | None:
    """Newton steps in log t; None where they do not come to an end, or come to where a variance is next to zero."""
    floor = _SMALL * problem.levels / problem.products.n
    before, secant = np.inf, Secant()
    for k in range(_STEPS):
        if not np.all(np.isfinite(t)) or np.any(t <= floor):
            return None
        g, H = problem.at(t, _FINE if k else _ROUGH)
        g = g * t
        H = secant.correct(np.log(t), True, g, H * np.outer(t, t))
        values, vectors = np.linalg.eigh(H)
        if values[0] <= 1e-9 * values[-1]:
            return None
        along = vectors.T @ g
        step = -vectors @ (along / values)
        t = t * np.exp(np.clip(step, -1.5, 1.5))
        gain = 0.5 * float(np.sum(along**2 / values))
        # Convergence is linear at worst: the next gain is to this one as this one to the last.
        if k and gain * min(gain / before, 1.0) < _NEAR:
            return t
        before = gain
    return None


class _SlowError(Exception):
    """The solves take too many iterations."""


class _Problem:
    """Cross-products in the form that solves take, and the probes."""

    def __init__(self, products: Any, reml: bool) -> None:
        leaf = products.head
        self.products, self.leaf, self.reml = products, leaf, reml
        self.homes = [*leaf.order, *products.order]
        self.frame, coupling = products.frame, leaf.coupling
        root = leaf.F[0, 0]
        self.a1, self.B1 = root**2, root[:, None] * leaf.N[0].T  # Z₁'Z₁ and Z₁'[X e]
        values = coupling.values[0] * np.repeat(root, coupling.counts)
        self.B = coupling.matrix(values)
        self.BT = self.B.T.tocsr()
        self.squares = coupling.matrix(values**2).T.tocsr()
        self.at_, self.Bt = self._last(leaf.rest)
        self.levels = np.array([len(self.a1), *self.frame.levels], dtype=float)
        self.solved: dict[str, np.ndarray] = {}  # what came out last time is where the next solve begins
        self._begin()

    def _begin(self) -> None:
        """The coarse directions, the probes, and how many iterations are worth while."""
        rng = np.random.default_rng(0)
        self.means = self._coarse()
        z = rng.choice([-1.0, 1.0], size=(self.frame.N, _PROBES))
        self.z = z - self.means @ (self.means.T @ z)
        self.iterations = _SOLVES
        if self.frame.N <= _FEW:
            once = _ITERATED * self.B.nnz * (self.means.shape[1] + _PROBES)
            self.iterations = int(np.clip(_FACTORISED * self.frame.N**3 / once, 6, _SOLVES))

    def _coarse(self) -> np.ndarray:
        """The mean of each factor, and how each level of a factor falls to those of a coarse one; orthonormal."""
        frame = self.frame
        columns = [np.zeros((frame.N, len(frame.levels)))]
        for f in range(len(frame.levels)):
            columns[0][frame.slice(f), f] = 1.0
        for g, J in enumerate(frame.levels):
            if self.off is not None and J <= _COARSE:
                columns.append(np.eye(frame.N, J, -frame.starts[g]))
                columns.append((self.off[:, frame.starts[g] : frame.starts[g + 1]] / self.at_[:, None]).toarray())
        basis, R = np.linalg.qr(np.hstack(columns))
        size = np.abs(np.diagonal(R))
        return np.ascontiguousarray(basis[:, size > 1e-8 * size.max()])

    def _last(self, rest: Any) -> tuple[np.ndarray, np.ndarray]:
        """The diagonal of Z_t'Z_t and Z_t'[X e]; what is off the diagonal goes to `self.off`."""
        diagonal, rows, cols, data = np.empty(self.frame.N), [], [], []
        for f, home in enumerate(self.products.order):
            diagonal[self.frame.slice(f)] = self.products.pairs[home, home].data[0, 0]
            for g, other in enumerate(self.products.order[:f]):
                cells = self.products.pairs[max(home, other), min(home, other)]
                left, right = (cells.rows, cells.cols) if home > other else (cells.cols, cells.rows)
                left, right = left + self.frame.starts[f], right + self.frame.starts[g]
                rows += [left, right]
                cols += [right, left]
                data += [cells.data[0, 0]] * 2
        shape = (self.frame.N, self.frame.N)
        self.off = None
        if rows:
            self.off = sp.csr_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))), shape=shape)
        return diagonal, rest.B

    def at(self, t: np.ndarray, rtol: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Gradient, its traces estimated, and average information in t, in the order of the factors."""
        t = t[self.homes]
        self.t1, self.s = t[0], np.sqrt(np.repeat(t[1:], self.frame.levels))
        self.D1 = 1.0 + self.t1 * self.a1
        self._prepare()
        C, p = self.products.C, self.products.p
        nu = self.products.n - (p if self.reml else 0)
        S, W1, Wt = self._project("W", self.B1, self.Bt, C, rtol[0])
        S_inverse = np.linalg.inv(S[:p, :p])
        beta = S_inverse @ S[:p, p]
        v = np.append(-beta, 1.0)
        r2 = float(S[p, p] - S[:p, p] @ beta)
        w = np.concatenate([W1, Wt]) @ v
        ends = np.cumsum([0, *self.levels.astype(int)])
        slices = [slice(a, b) for a, b in pairwise(ends)]
        WX = np.concatenate([W1, Wt])[:, :p]
        q = np.array([w[s] @ w[s] for s in slices])
        gradient = self._traces(t, rtol[1]) - nu / r2 * q
        if self.reml:
            gradient -= [np.sum((WX[s] @ S_inverse) * WX[s]) for s in slices]
        average = nu / r2 * self._curvature(w, slices, S_inverse, rtol[2]) - nu / r2**2 * np.outer(q, q)
        place = np.argsort(self.homes)
        return gradient[place], average[np.ix_(place, place)]

    def _prepare(self) -> None:
        """What solves at this t need."""
        self.diagonal = 1.0 + self.s**2 * (self.at_ - self.squares @ (self.t1 / self.D1))
        inner = self.means.T @ self._times(self.means)
        self.coarse = np.linalg.inv(0.5 * (inner + inner.T))

    def _project(self, name: str, Y1: np.ndarray, Yt: np.ndarray, C: np.ndarray, rtol: float) -> tuple[np.ndarray, ...]:
        """Y'V⁻¹Y, Z₁'V⁻¹Y and Z_t'V⁻¹Y from Z'Y and Y'Y."""
        weight = (self.t1 / self.D1)[:, None]
        R = self.s[:, None] * (Yt - self.BT @ (weight * Y1))
        x = self._solve(name, R, rtol)
        W1 = (Y1 - self.B @ (self.s[:, None] * x)) / self.D1[:, None]
        return C - Y1.T @ (weight * Y1) - R.T @ x, W1, x / self.s[:, None]

    def _times(self, x: np.ndarray) -> np.ndarray:
        """K x."""
        s = self.s[:, None]
        y = s * x
        out = self.at_[:, None] * y - self.BT @ ((self.t1 / self.D1)[:, None] * (self.B @ y))
        if self.off is not None:
            out += self.off @ y
        return x + s * out

    def _solve(self, name: str, Y: np.ndarray, rtol: float) -> np.ndarray:
        """K⁻¹Y by preconditioned conjugate gradients, all columns at once."""
        size = np.sqrt(np.sum(Y * Y, axis=0))
        size[size == 0.0] = 1.0
        x = self.solved[name].copy() if name in self.solved else self._preconditioned(Y)
        self.solved[name] = x
        r = Y - self._times(x)
        z = self._preconditioned(r)
        d, rz = z, np.sum(r * z, axis=0)
        for _ in range(self.iterations):
            Kd = self._times(d)
            curvature = np.sum(d * Kd, axis=0)
            step = rz / np.where(curvature > 0, curvature, 1.0)
            x += step * d
            r -= step * Kd
            if np.all(np.sqrt(np.sum(r * r, axis=0)) <= rtol * size):
                return x
            z = self._preconditioned(r)
            new = np.sum(r * z, axis=0)
            d = z + (new / np.where(rz > 0, rz, 1.0)) * d
            rz = new
        raise _SlowError

    def _preconditioned(self, r: np.ndarray) -> np.ndarray:
        """By the diagonal and the means."""
        return r / self.diagonal[:, None] + self.means @ (self.coarse @ (self.means.T @ r))

    def _seen(self, x: np.ndarray) -> np.ndarray:
        """What the first factor's levels see: Gx with tr M⁻¹ over them Σ1/D + tr(K⁻¹G)."""
        s = self.s[:, None]
        return s * (self.BT @ ((self.t1 / self.D1**2)[:, None] * (self.B @ (s * x))))

    def _traces(self, t: np.ndarray, rtol: float) -> np.ndarray:
        """tr P_f = (J − tr M⁻¹)/t of every factor."""
        z, U, D = self.z, self.means, self.diagonal[:, None]
        KU, Kz = np.hsplit(self._solve("traces", np.hstack([U, z]), rtol), [U.shape[1]])
        Gz, GU = self._seen(z), self._seen(U)
        G_diagonal = self.s**2 * (self.squares @ (self.t1 / self.D1**2))
        first = np.sum(1.0 / self.D1) + np.sum(KU * GU) + np.sum(G_diagonal / self.diagonal) - np.sum(U / D * GU)
        first += np.sum((Kz - z / D) * Gz) / _PROBES
        traces = [first]
        near = z / D
        next_ = near - self._times(near) / D + near  # D⁻¹z + D⁻¹ED⁻¹z
        near_U = U / D
        next_U = near_U - self._times(near_U) / D + near_U
        for f in range(len(t) - 1):
            mine = self.frame.slice(f)
            value = np.sum(U[mine] * KU[mine]) + np.sum(1.0 / self.diagonal[mine]) - np.sum(U[mine] * next_U[mine])
            traces.append(value + np.sum(z[mine] * (Kz[mine] - next_[mine])) / _PROBES)
        return (self.levels - np.array(traces)) / t

    def _curvature(self, w: np.ndarray, slices: list[slice], S_inverse: np.ndarray, rtol: float) -> np.ndarray:
        """h_k'P_Vh_l for h_k = Z_kw_k."""
        J, p, m = len(self.a1), len(S_inverse), len(slices)
        x = np.zeros((len(w), m))
        for k, s in enumerate(slices):
            x[s, k] = w[s]
        x1, xt = x[:J], x[J:]
        Y1 = self.a1[:, None] * x1 + self.B @ xt
        Yt = self.at_[:, None] * xt + self.BT @ x1
        if self.off is not None:
            Yt += self.off @ xt
        hh = x1.T @ Y1 + xt.T @ Yt
        hX = x1.T @ self.B1[:, :p] + xt.T @ self.Bt[:, :p]
        C = np.block([[self.products.C[:p, :p], hX.T], [hX, hh]])
        left, right = np.hstack([self.B1[:, :p], Y1]), np.hstack([self.Bt[:, :p], Yt])
        S, _, _ = self._project("curvature", left, right, C, rtol)
        return S[p:, p:] - S[p:, :p] @ np.linalg.solve(S[:p, :p], S[:p, p:]) if p else S


class _Factorised(_Problem):
    """The same with K factorised in single precision, and its traces taken from its inverse."""

    def _begin(self) -> None:
        self.iterations = _SOLVES

    def _prepare(self) -> None:
        K = self.leaf.coupling.gram(np.sqrt(self.a1 * self.t1 / self.D1)[None, None], full=False)
        np.negative(K, out=K)
        self.leaf.rest.add_to(K)
        s = self.s.astype(np.float32)
        K = K.astype(np.float32, order="F")
        K *= s[:, None]
        K *= s
        np.einsum("ii->i", K)[...] += 1.0
        self.root, info = lapack.spotrf(K, lower=1, clean=0, overwrite_a=1)
        if info:
            raise _SlowError

    def _preconditioned(self, r: np.ndarray) -> np.ndarray:
        return lapack.spotrs(self.root, r.astype(np.float32), lower=1)[0].astype(float, order="C")

    def _traces(self, t: np.ndarray, rtol: float) -> np.ndarray:
        inverse = lapack.spotri(self.root, lower=1)[0]
        seen = self.leaf.coupling.quadratic(_Weight(inverse * self.s[:, None] * self.s))[0, 0]
        first = np.sum(1.0 / self.D1) + (self.a1 * self.t1 / self.D1**2) @ seen
        own = inverse.diagonal().astype(float)
        traces = [first, *(own[self.frame.slice(f)].sum() for f in range(len(t) - 1))]
        return (self.levels - np.array(traces)) / t


@dataclass(frozen=True)
class _Weight:
    """Q with its lower triangle filled, as the last step gives it."""

    lower_Q: np.ndarray

    def weight(self) -> tuple[None, np.ndarray]:
        return None, mirror(self.lower_Q)
