"""Cross-products over R(φ): the criterion where residuals are correlated or of unequal variance.

The penalised least squares of the other products, with rows over R instead of I. In every cluster A = Z'R⁻¹Z,
B = Z'R⁻¹[X e], M = I + Λ'AΛ, Q = ΛM⁻¹Λ', u = QB, and

    S = [X e]'V⁻¹[X e] = E'R⁻¹E + Σ ũ'ũ,   E = [X e] − Zu,   u = Λũ,     log|V| = log|R| + Σ log|M|

a sum of squares, so that nothing is lost in differences. φ stands on the diagonal of the last block of Λ̃ (`form`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.identify import Gram
from lmmtools.core.modes import Spherical
from lmmtools.core.residual.clusters import Grouping, Kind, Rows, Stack, rows_of
from lmmtools.core.residual.condense import Condensed, condensed
from lmmtools.core.residual.derivatives import JointDerivatives
from lmmtools.core.residual.noise import Noise, NoiseAt, noise_of
from lmmtools.core.solution import Products, Solution, profile

__all__ = ["Inner", "Solved", "Structured", "structured_products"]


@dataclass(frozen=True)
class Solved:
    """What clusters of one kind keep of a solution.

    Attributes
    ----------
    kind : Kind
    Lambda : ndarray, shape (r, w)
        Of a whole cluster.
    q : ndarray, shape (J, r, w)
        A root of Q.
    A : ndarray, shape (J, r, r)
    B : ndarray, shape (J, r, p + 1)
    """

    kind: Kind
    Lambda: np.ndarray
    q: np.ndarray
    A: np.ndarray
    B: np.ndarray


@dataclass(frozen=True)
class Inner:
    """What a solution keeps for its derivatives and modes.

    Attributes
    ----------
    noise : NoiseAt
    G, U : ndarray, shape (n, r + p + 1)
        [Z E] over its standard deviations, and C⁻¹ of it.
    parts : tuple of Solved
    """

    noise: NoiseAt
    G: np.ndarray
    U: np.ndarray
    parts: tuple[Solved, ...]


@dataclass(frozen=True)
class Structured:
    """Rows of a design with a residual structure.

    Attributes
    ----------
    base : Products or None
        The same design with independent residuals; None without random effects.
    rows : Rows
    H : ndarray, shape (n, r + p + 1)
        [Z X e] in the rows' order, over the roots of the weights.
    noise : Noise
    factors : tuple of Grouping
    condensed : Condensed or None
        Without random effects, fewer rows with the same products.
    """

    base: Products | None
    rows: Rows
    H: np.ndarray
    noise: Noise
    factors: tuple[Grouping, ...]
    condensed: Condensed | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.H)

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return self.H.shape[1] - self.rows.Z.shape[1] - 1

    @property
    def exact(self) -> Structured:
        """The same: nothing is merged."""
        return self

    @property
    def columns(self) -> int:
        """Working columns of all factors, after which φ stands."""
        return sum(self.rows.widths)

    def with_responses(self, borders: Sequence[np.ndarray], C: np.ndarray) -> Iterator[None]:
        """None: everything here depends on φ, and is made from the rows."""
        for _ in range(C.shape[1]):
            yield None

    def solve(self, Lambda: np.ndarray, *, reml: bool) -> Solution:
        """Solve for β̂ and r² at Λ̃ and φ and evaluate the criterion.

        Raises
        ------
        numpy.linalg.LinAlgError
            If R is not positive definite at φ.
        """
        m = self.noise.m
        rows = self.condensed or self
        at = rows.noise.at(np.diagonal(Lambda[-m:, -m:]) if m else np.zeros(0))  # Λ̃ need not be square
        r = self.rows.Z.shape[1]
        G = at.scaled(rows.H)
        U = at.inverse(G)
        logdet, S, parts = at.logdet, np.zeros((self.p + 1,) * 2), []
        if U is G:  # the correlation is the identity
            U = G.copy()
        for kind in self.rows.kinds:
            part, half, root = self._solve_kind(kind, Lambda, G, U)
            parts.append(part)
            modes = np.matmul(root.transpose(0, 2, 1), half).reshape(-1, self.p + 1)
            S += modes.T @ modes
            logdet -= 2.0 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum())
            for some, fitted in kind.times(G[:, : kind.r], np.matmul(part.q, half)):
                G[some, r:] -= fitted
        if parts:
            U[:, r:] = at.inverse(np.ascontiguousarray(G[:, r:]))
        S += G[:, r:].T @ U[:, r:]
        return profile(0.5 * (S + S.T), self.n, logdet, reml=reml, inner=Inner(at, G, U, tuple(parts)))

    def _solve_kind(
        self, kind: Kind, Lambda: np.ndarray, G: np.ndarray, U: np.ndarray
    ) -> tuple[Solved, np.ndarray, np.ndarray]:
        """What to keep of clusters of a kind, M^(−1/2)Λ'B and M^(−1/2), lower triangular."""
        r, ZU = self.rows.Z.shape[1], kind.cross(G[:, : kind.r], U)
        A, B = ZU[:, :, : kind.r], ZU[:, :, r:]
        L = self.spread(kind, Lambda)
        M = np.eye(L.shape[1]) + np.matmul(L.T, np.matmul(A, L))
        root = np.linalg.inv(np.linalg.cholesky(M))
        q = np.matmul(L, root.transpose(0, 2, 1))
        return Solved(kind, L, q, A, B), np.matmul(q.transpose(0, 2, 1), B), root

    def spread(self, kind: Kind | Stack, Lambda: np.ndarray, widths: Sequence[int] | None = None) -> np.ndarray:
        """Λ of a whole cluster, shape (r, w), from Λ̃; each factor's columns by `widths`, else those not zero."""
        blocks = self._blocks(Lambda, widths)
        out = np.zeros((kind.r, sum(c * b.shape[1] for c, b in zip(kind.counts, blocks, strict=True))))
        i = j = 0
        for count, block in zip(kind.counts, blocks, strict=True):
            a, b = block.shape
            for _ in range(count):
                out[i : i + a, j : j + b] = block
                i, j = i + a, j + b
        return out

    def _blocks(self, Lambda: np.ndarray, widths: Sequence[int] | None) -> list[np.ndarray]:
        """Each factor's part of Λ̃."""
        ends = np.cumsum([0, *self.rows.widths])
        if widths is None:
            mine = [Lambda[a:b] for a, b in pairwise(ends)]
            return [block[:, np.any(block != 0.0, axis=0)] for block in mine]
        columns = np.cumsum([0, *widths])
        return [Lambda[a:b, c:d] for (a, b), (c, d) in zip(pairwise(ends), pairwise(columns), strict=True)]

    def derivatives(self, solution: Solution) -> JointDerivatives:
        """Derivatives in T and φ at a solution of these cross-products."""
        return JointDerivatives(solution, self.rows, self.columns)

    def gram(self, D: np.ndarray) -> Gram:
        """Inner products of the directions D of T, over independent residuals."""
        r = self.columns
        return self.base.gram(D[:, :r, :r])

    def residual_products(self) -> np.ndarray:
        """Σ Z'e(Z'e)' over the levels of each factor, zero for φ."""
        own, r = self.base.residual_products(), self.columns
        out = np.zeros((r + self.noise.m,) * 2)
        out[:r, :r] = own
        return out

    def within_residual(self) -> tuple[float, int]:
        """What X and the groups leave of the response: its sum of squares and degrees of freedom."""
        return self.base.within_residual()

    def spherical(self, Lambda: np.ndarray, solution: Solution, widths: Sequence[int]) -> tuple[Spherical, ...]:
        """Modes of the spherical effects of each factor at Λ̃, `widths` of its columns for each."""
        p = self.p
        found = [
            (np.zeros((f.vectors, w)), np.zeros((f.vectors, w, w)), np.zeros((f.vectors, w, p)))
            for f, w in zip(self.factors, widths, strict=True)
        ]
        known = [np.zeros((f.vectors * w, f.vectors * w)) if f.root is not None else None
                 for f, w in zip(self.factors, widths, strict=True)]  # fmt: skip
        for part in solution.inner.parts:
            L, inverse = self._inverse(part, Lambda, widths)
            modes = np.matmul(inverse, np.matmul(L.T, part.B))
            j = 0
            for k, (w, count, places) in enumerate(zip(widths, part.kind.counts, part.kind.places, strict=True)):
                if known[k] is not None:
                    known[k][:] = inverse[0, j : j + count * w, j : j + count * w]
                for i in range(count):
                    at = slice(j, j + w)
                    found[k][0][places[:, i]] = modes[:, at] @ solution.contrast
                    found[k][1][places[:, i]] = inverse[:, at, at]
                    found[k][2][places[:, i]] = modes[:, at, :p]
                    j += w
        return tuple(
            _of_levels(f, *mine, whole) for f, mine, whole in zip(self.factors, found, known, strict=True)
        )

    def spherical_variance(
        self, Lambda: np.ndarray, solution: Solution, rows: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """s'M⁻¹s of rows given by (s, codes) of every factor, s over its columns of Λ̃; a code of −1 adds nothing."""
        widths = [s.shape[1] for s, _ in rows]
        value = np.zeros(len(rows[0][1]))
        for part in solution.inner.parts:
            value += self._variance_in(part.kind, self._inverse(part, Lambda, widths)[1], widths, rows)
        return value

    def joint_variance(self, Lambda: np.ndarray, solution: Solution, rows: Any, widths: Sequence[int]) -> np.ndarray:
        """s'M⁻¹s of rows that have a part in any number of levels.

        Parameters
        ----------
        rows : scipy.sparse array, shape (m, Σ vectors · width)
            Over the spherical effects by factor, then vector, then column of Λ̃.
        """
        starts = np.cumsum([0, *(f.vectors * w for f, w in zip(self.factors, widths, strict=True))])
        value, columns = np.zeros(rows.shape[0]), rows.tocsc()
        for part in solution.inner.parts:
            inverse, kind = self._inverse(part, Lambda, widths)[1], part.kind
            places = [
                (start + at[:, :, None] * w + np.arange(w)).reshape(kind.J, -1)
                for start, w, at in zip(starts, widths, kind.places, strict=False)
            ]
            for own, mine in zip(inverse, np.hstack(places), strict=True):
                s = columns[:, mine]
                touched = np.unique(s.indices)
                if len(touched):
                    dense = s.tocsr()[touched].toarray()
                    value[touched] += np.einsum("ia,ab,ib->i", dense, own, dense)
        return value

    def _inverse(self, part: Solved, Lambda: np.ndarray, widths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Λ of clusters of a kind, and M⁻¹ of each."""
        L = self.spread(part.kind, Lambda, widths)
        return L, np.linalg.inv(np.eye(L.shape[1]) + np.matmul(L.T, np.matmul(part.A, L)))

    def _variance_in(
        self, kind: Kind, inverse: np.ndarray, widths: Sequence[int], rows: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """s'M⁻¹s over the clusters of one kind, a row having a part in as many clusters as its levels stand in."""
        clusters, s = [], []
        for k, (own, codes) in enumerate(rows):
            f, w, count = self.factors[k], widths[k], kind.counts[k]
            mine = np.zeros((len(codes), count * w))
            if f.root is not None:
                cluster = np.where(codes >= 0, 0, -1)
                mine[:] = (f.root[codes][:, :, None] * own[:, None]).reshape(len(codes), -1) * (codes >= 0)[:, None]
            else:
                where = np.full((f.levels + 1, 2), -1)
                where[kind.places[k].ravel()] = np.argwhere(np.ones_like(kind.places[k], dtype=bool))
                cluster, at = where[codes].T
                inside = np.flatnonzero(cluster >= 0)
                mine[inside[:, None], at[inside, None] * w + np.arange(w)] = own[inside]
            clusters.append(cluster)
            s.append(mine)
        value = np.zeros(len(rows[0][1]))
        for cluster in np.unique(np.concatenate([c[c >= 0] for c in clusters])):
            here = [np.where((c == cluster)[:, None], part, 0.0) for c, part in zip(clusters, s, strict=True)]
            touched = np.flatnonzero(np.any([c == cluster for c in clusters], axis=0))
            joint = np.hstack(here)[touched]
            value[touched] += np.einsum("ia,ab,ib->i", joint, inverse[cluster], joint)
        return value


def _of_levels(
    f: Grouping, u: np.ndarray, M_inverse: np.ndarray, sensitivity: np.ndarray, whole: np.ndarray | None
) -> Spherical:
    """By level, where effects are by the columns of a known covariance's root."""
    if f.root is not None:
        w = u.shape[1]
        u, sensitivity = f.root @ u, np.tensordot(f.root, sensitivity, 1)
        whole = whole.reshape(f.vectors, w, f.vectors, w)
        M_inverse = np.einsum("jk,kalb,jl->jab", f.root, whole, f.root, optimize=True)
    return Spherical(u.T.copy(), M_inverse.transpose(1, 2, 0).copy(), sensitivity.transpose(1, 2, 0).copy())


def structured_products(
    base: Products | None, residual: Any, factors: Sequence[Grouping], xy: Sequence[np.ndarray]
) -> Structured:
    """Products of a design with a residual structure.

    Parameters
    ----------
    base : Products or None
        Of the same design with independent residuals.
    residual : Residual
    factors : sequence of Grouping
    xy : sequence of ndarray, shape (n,)
        Columns of X̃ and e, over the roots of the weights, as those of the factors are.
    """
    rows = rows_of(factors, residual.correlation, len(xy[-1]))
    H = np.empty((len(rows.order), rows.Z.shape[1] + len(xy)))
    H[:, : rows.Z.shape[1]] = rows.Z
    for j, column in enumerate(xy):
        H[:, rows.Z.shape[1] + j] = column[rows.order]
    light = replace(rows, Z=H[:, : rows.Z.shape[1]])  # one copy of Z is enough
    noise = noise_of(residual, rows.order)
    few = None if factors else condensed(residual, rows.order, H, noise)
    return Structured(base, light, H, noise, tuple(factors), few)
