"""The products of several grouping factors: criterion, derivatives, identification and modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.identify import Gram
from lmmtools.core.modes import Spherical
from lmmtools.core.onefactor.blocks import bordered
from lmmtools.core.several.approach import approach
from lmmtools.core.several.columns import Cells
from lmmtools.core.several.derivatives import SeveralDerivatives
from lmmtools.core.several.frame import Frame
from lmmtools.core.several.leaf import Leaf
from lmmtools.core.several.modes import spherical, spherical_variance
from lmmtools.core.several.trailing import Trailing, compress
from lmmtools.core.solution import Solution, profile

__all__ = ["Inner", "LastProducts", "Several"]

# Effects of the last step from which on it pays to come near the optimum before anything is factorised.
_MANY = 400
# Eigenvalues of cross-products scaled to a unit diagonal below which there is no further rank.
_NO_RANK = 1e-10


@dataclass
class Inner:
    """What a solution keeps of the elimination.

    Attributes
    ----------
    Lambda : ndarray, shape (R, W)
    last : Trailing
    head : object or None
        State of the factors that were eliminated before.
    """

    Lambda: np.ndarray
    last: Trailing
    head: Any


class Several:
    """Cross-products of several grouping factors.

    Parameters
    ----------
    pairs : dict of (int, int) to Cells
        Z_f'Z_g of every two factors, f ≥ g.
    borders : list of ndarray, shape (r_f, p + 1, J_f)
        Z_f'[X e].
    C : ndarray, shape (p + 1, p + 1)
        [X e]'[X e].
    n : int
        Number of rows.
    roots : tuple of (ndarray or None)
        L of each factor whose levels have a known covariance LL'.
    order : tuple of int
        The factors of the last, dense step.
    head : object, optional
        What eliminates the others before it.
    places : dict of int to ndarray, optional
        New number of each level of the factors whose levels were renumbered.
    """

    def __init__(
        self, pairs: dict[tuple[int, int], Cells], borders: list[np.ndarray], C: np.ndarray, n: int,
        roots: tuple[np.ndarray | None, ...], order: tuple[int, ...], head: Any = None,
        places: dict[int, np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.pairs, self.borders, self.C, self.n, self.roots = pairs, borders, C, n, roots
        self.order, self.head, self.places = order, head, places or {}
        ends = np.cumsum([0, *(len(b) for b in borders)])
        self.blocks = tuple(slice(int(a), int(b)) for a, b in pairwise(ends))
        self._known: Solution | None = None  # what came last: it is asked for again where a search has ended
        self.frame = Frame(tuple(len(borders[f]) for f in order), tuple(borders[f].shape[2] for f in order))
        if head is None:
            self.A = dense_products(pairs, order, self.frame)
            self.B = LastProducts(pairs, borders, order).B

    def __getstate__(self) -> dict[str, Any]:
        """Without the last solution, which is large and quickly had again."""
        return {**self.__dict__, "_known": None}

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return len(self.C) - 1

    @property
    def R(self) -> int:
        """Number of working columns of all factors."""
        return self.blocks[-1].stop

    @property
    def exact(self) -> Several:
        """The same: nothing is merged."""
        return self

    def with_responses(self, borders: Sequence[np.ndarray], C: np.ndarray) -> Iterator[Several | None]:
        """The same products with other responses; see `Products.with_responses`."""
        placed = [_placed(b, self.places.get(f)) for f, b in enumerate(borders)]
        for k in range(C.shape[1]):
            last = [np.ascontiguousarray(b[..., k]) for b in placed]
            yield self._with_response(last, C[:, k])

    def _with_response(self, last: list[np.ndarray], C: np.ndarray) -> Several | None:
        """With one other response: Z_f'e of each factor, (r_f, effects), and [X e]'e."""
        twin = copy(self)
        twin._known = None
        borders = zip(self.borders, last, strict=True)
        twin.borders = [np.concatenate([b[:, :-1], e[:, None]], axis=1) for b, e in borders]
        twin.C = bordered(self.C, C)
        if self.head is None:
            twin.B = LastProducts(self.pairs, twin.borders, self.order).B
            return twin
        twin.head = self.head.with_response(twin.borders, last, twin.C)
        return None if twin.head is None else twin

    def solve(self, Lambda: np.ndarray, *, reml: bool) -> Solution:
        """Solve for β̂ and r² at a factor Λ̃ of shape (R, W) and evaluate the criterion.

        Raises
        ------
        numpy.linalg.LinAlgError
            If X'V⁻¹X is not positive definite, which a full-rank X excludes up to rounding.
        """
        if (known := self._known) is not None and known.reml == reml and _same(known.inner.Lambda, Lambda):
            return known
        self._known = None
        parts = [Lambda[block][:, np.any(Lambda[block] != 0, axis=0)] for block in self.blocks]
        factors = [compress(parts[f]) for f in self.order]
        if self.head is None:
            state, last = None, Trailing(self.frame, self.A, self.B, self.C, factors)
        else:
            state = self.head.forward([parts[f] for f in self.head.order])
            last = Trailing(self.frame, state.A, state.B, state.C, factors, overwrite=True)
            state.release()
        logdet = last.logdet + (0.0 if state is None else state.logdet)
        self._known = profile(last.S, self.n, logdet, reml=reml, inner=Inner(Lambda, last, state))
        return self._known

    def derivatives(self, solution: Solution) -> SeveralDerivatives:
        """Derivatives in T at a solution of these cross-products."""
        return SeveralDerivatives(solution, self.head, self.blocks, self.order)

    def approach(self, Lambda: np.ndarray, *, reml: bool) -> np.ndarray | None:
        """What to multiply each factor's Λ̃ by to be next to the optimum, shape (F,).

        None where there is no way there but the search itself: only factors of one column each have one, and it pays
        only where many effects are left to the dense step.
        """
        scalar = all(len(b) == 1 for b in self.borders) and all(root is None for root in self.roots)
        if not scalar or self.frame.N < _MANY or not isinstance(self.head, Leaf):
            return None
        t = np.einsum("rw,rw->r", Lambda, Lambda)
        found = approach(self, t, reml=reml) if np.all(t > 0) else None
        return None if found is None else np.sqrt(found / t)

    def gram(self, D: np.ndarray) -> Gram:
        """Inner products of the directions ZD_kZ', D of shape (m, R, R): Σ tr(A_fg D_k A_gf D_l)."""
        m = len(D)
        between, with_residual = np.zeros((m, m)), np.zeros(m)
        for (f, g), cells in self.pairs.items():
            left, right = D[:, self.blocks[f], self.blocks[f]], D[:, self.blocks[g], self.blocks[g]]
            r, c = cells.data.shape[:2]
            form = cells.moments().transpose(0, 2, 1, 3).reshape(r * r, c * c)
            part = left.reshape(m, -1) @ form @ right.reshape(m, -1).T
            between += part if f == g else part + part.T
            if f == g:
                own = cells.data[..., cells.rows == cells.cols].sum(axis=2)
                with_residual += left.reshape(m, -1) @ own.reshape(-1)
        return Gram(0.5 * (between + between.T), with_residual, self.n)

    def gram_off_means(self, D: np.ndarray) -> Gram:
        """The same of residuals, ⟨M ZD_kZ' M, ZD_lZ'⟩ with M = I − X(X'X)⁻¹X', where all is dense; else `gram`."""
        gram, p = self.gram(D), self.p
        if self.head is not None or not p:
            return gram
        Q = np.linalg.solve(np.linalg.cholesky(self.C[:p, :p]), self.B[:, :p].T).T  # Z'X̂, X̂ orthonormal
        moved = [self.frame.apply([d[self.blocks[f], self.blocks[f]] for f in self.order], Q) for d in D]
        along = np.array([Q.T @ x for x in moved])
        flat = np.concatenate(moved, axis=1)
        m = len(D)
        twice = np.einsum("kili->kl", (flat.T @ self.A @ flat).reshape(m, p, m, p))
        between = gram.between - twice - twice.T + np.einsum("kij,lij->kl", along, along)
        return Gram(between, gram.with_residual - np.einsum("kii->k", along), self.n)

    def residual_products(self) -> np.ndarray:
        """Σ Z'e(Z'e)' over the levels of each factor, shape (R, R), zero between factors."""
        out = np.zeros((self.R, self.R))
        for block, B in zip(self.blocks, self.borders, strict=True):
            out[block, block] = B[:, -1] @ B[:, -1].T
        return out

    def within_residual(self) -> tuple[float, int]:
        """What X and the groups leave of the response: its sum of squares and degrees of freedom.

        Where some factors are eliminated before the dense step, they are the groups.
        """
        if self.head is not None:
            within, used = self.head.within()
        else:
            values, vectors = np.linalg.eigh(_scaled(self.A)) if len(self.A) else (np.zeros(0), self.A)
            keep = values > _NO_RANK * values.max(initial=1.0)
            half = vectors[:, keep].T @ (_scale(self.A)[:, None] * self.B) / np.sqrt(values[keep])[:, None]
            within, used = self.C - half.T @ half, int(keep.sum())
        p = self.p
        size = np.sqrt(np.diagonal(self.C)[:p])
        size[size == 0.0] = 1.0
        S = within[:p, :p] / np.outer(size, size)
        values, vectors = np.linalg.eigh(S) if p else (np.zeros(0), S)
        keep = values > 1e-8
        along = vectors[:, keep].T @ (within[:p, p] / size)
        return float(within[p, p] - np.sum(along**2 / values[keep])), self.n - used - int(keep.sum())

    def spherical(self, Lambda: np.ndarray, solution: Solution, widths: Sequence[int]) -> tuple[Spherical, ...]:
        """Modes of the spherical effects of each factor at Λ̃ of shape (R, W), `widths` of its columns for each."""
        return spherical(self, self._at(Lambda, solution), widths)

    def spherical_variance(
        self, Lambda: np.ndarray, solution: Solution, rows: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """s'M⁻¹s of rows given by (s, codes) of every factor, s over its columns of Λ̃; a code of −1 adds nothing."""
        return spherical_variance(self, self._at(Lambda, solution), rows)

    def _at(self, Lambda: np.ndarray, solution: Solution) -> Solution:
        return solution if _same(solution.inner.Lambda, Lambda) else self.solve(Lambda, reml=solution.reml)


class LastProducts:
    """Z_t'Z_t and Z_t'[X e] of the factors of the last step, by cell until they are asked for."""

    def __init__(self, pairs: dict[tuple[int, int], Cells], borders: list[np.ndarray], order: tuple[int, ...]) -> None:
        self.pairs, self.order = pairs, order
        self.frame = Frame(tuple(len(borders[f]) for f in order), tuple(borders[f].shape[2] for f in order))
        m = borders[0].shape[1]
        parts = [borders[f].transpose(0, 2, 1).reshape(-1, m) for f in order]
        self.B = np.concatenate(parts) if parts else np.zeros((0, m))

    def with_borders(self, borders: list[np.ndarray]) -> LastProducts:
        """The same with other Z_f'[X e]."""
        return LastProducts(self.pairs, borders, self.order)

    def add_to(self, A: np.ndarray) -> None:
        """Add Z_t'Z_t to both triangles of A, shape (N, N)."""
        _add_products(A, self.pairs, self.order, self.frame)


def _placed(border: np.ndarray, place: np.ndarray | None) -> np.ndarray:
    """Values by level, (r, J, m), with the levels where they were renumbered to."""
    if place is None:
        return border
    out = np.empty_like(border)
    out[:, place] = border
    return out


def dense_products(pairs: dict[tuple[int, int], Cells], order: tuple[int, ...], frame: Frame) -> np.ndarray:
    """Z'Z of the factors in `order`, shape (N, N), in Fortran order."""
    A = np.zeros((frame.N, frame.N), order="F")
    _add_products(A, pairs, order, frame)
    return A


def _add_products(A: np.ndarray, pairs: dict[tuple[int, int], Cells], order: tuple[int, ...], frame: Frame) -> None:
    for f, home in enumerate(order):
        for g, other in enumerate(order[: f + 1]):
            cells = pairs[max(home, other), min(home, other)]
            if home < other:
                cells = Cells(cells.cols, cells.rows, cells.data.transpose(1, 0, 2))
            for a in range(frame.widths[f]):
                for b in range(frame.widths[g]):
                    A[frame.column(f, a), frame.column(g, b)][cells.rows, cells.cols] += cells.data[a, b]
                    if f != g:
                        A[frame.column(g, b), frame.column(f, a)][cells.cols, cells.rows] += cells.data[a, b]


def _same(A: np.ndarray, B: np.ndarray) -> bool:
    """Whether two factors are equal up to the rounding of a change of columns."""
    return A.shape == B.shape and bool(np.all(np.abs(A - B) <= 1e-14 * np.abs(A)))


def _scale(A: np.ndarray) -> np.ndarray:
    d = np.sqrt(np.diagonal(A))
    return 1.0 / np.where(d > 0, d, 1.0)


def _scaled(A: np.ndarray) -> np.ndarray:
    s = _scale(A)
    return A * s[:, None] * s
