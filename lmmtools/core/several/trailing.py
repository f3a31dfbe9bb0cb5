"""The last step of the elimination: effects whose cross-products are dense, and the fixed effects.

Notation (A = S_tt, B = S_t[X e], C = S_[X e][X e] are what the elimination before has left; T = ΛΛ' level by level)::

    M = I + Λ'AΛ = LL'     Q = ΛM⁻¹Λ'     H = I − QA     P = A − AQA = Z'V⁻¹Z     W = H'B = Z'V⁻¹[X e]
    [X e]'V⁻¹[X e] = C − B'QB

A factor whose Λ has an inverse needs only M⁻¹: H'Y = Λ⁻ᵀM⁻¹Λ'Y and P = Λ⁻ᵀ(I − M⁻¹)Λ⁻¹. Where Λ is singular, or
so small that I − M⁻¹ is rounding, the same is formed from A, with nothing divided by Λ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from lmmtools.core.several.frame import Frame, mirror

__all__ = ["Trailing", "compress"]

# Singular values of Λ relative to its largest that are rounding.
_ZERO = 1e-15
# A factor is taken through Λ⁻¹ where its smallest relative variance times the mean of A's diagonal is above this.
_INVERTIBLE = 1e-2


@dataclass(frozen=True)
class Compressed:
    """A factor of T with as many columns as its rank: Λ = root @ rotation, the rotation's rows orthonormal."""

    root: np.ndarray
    rotation: np.ndarray
    smallest: float

    def spherical(self, blocks: np.ndarray) -> np.ndarray:
        """M⁻¹ in the columns of Λ, shape (W, W, J), from the same in those of the root, (k, k, J)."""
        R = self.rotation
        value = np.einsum("ka,klj,lb->abj", R, blocks, R)
        return value + (np.eye(R.shape[1]) - R.T @ R)[:, :, None]


def compress(Lambda: np.ndarray) -> Compressed:
    """Drop the directions in which T is zero; Λ of shape (r, W)."""
    r = len(Lambda)
    U, s, Vt = np.linalg.svd(Lambda, full_matrices=False)
    keep = s > max(_ZERO * s.max(initial=0.0), np.finfo(float).tiny)
    smallest = float(s.min()) if keep.sum() == r else 0.0
    if r == Lambda.shape[1] and keep.all():
        return Compressed(Lambda, np.eye(r), smallest)
    return Compressed(U[:, keep] * s[keep], Vt[keep], smallest)


class Trailing:
    """The dense step at one Λ.

    Parameters
    ----------
    frame : Frame
        Of the effects.
    A : ndarray, shape (N, N)
        In Fortran order, its lower triangle filled, and both where a factor has several columns.
    B : ndarray, shape (N, p + 1)
    C : ndarray, shape (p + 1, p + 1)
    factors : sequence of Compressed
    overwrite : bool
        Whether A may be written over.

    Attributes
    ----------
    logdet : float
        log|M|.
    S : ndarray, shape (p + 1, p + 1)
        [X e]'V⁻¹[X e].
    """

    def __init__(
        self, frame: Frame, A: np.ndarray, B: np.ndarray, C: np.ndarray, factors: Sequence[Compressed], *,
        overwrite: bool = False,
    ) -> None:  # fmt: skip
        self.frame, self.factors, self.B = frame, tuple(factors), B
        self.spheres = Frame(tuple(c.root.shape[1] for c in factors), frame.levels)
        diagonal = A.diagonal()
        self.soft = tuple(c.smallest**2 * diagonal[frame.slice(f)].mean() <= _INVERTIBLE for f, c in enumerate(factors))
        self.A = A if any(self.soft) or not overwrite else None
        M = frame.congruence([c.root for c in factors], A, overwrite=self.A is None)
        np.einsum("ii->i", M)[...] += 1.0
        if len(M):
            M, info = lapack.dpotrf(M, lower=1, clean=0, overwrite_a=1)
            if info:
                raise np.linalg.LinAlgError("I + Λ'AΛ is not positive definite")
        self._M, self._inverted = M, False
        self.logdet = 2.0 * float(np.log(M.diagonal()).sum())
        half = self._to_spheres(B)
        if len(M):
            half = blas.dtrsm(1.0, M, half, lower=1)
        self.S = C - half.T @ half

    @cached_property
    def outer(self) -> tuple[np.ndarray, ...]:
        """O of each factor: Λ⁻ᵀ, or the identity where Λ is taken for singular."""
        return tuple(
            np.eye(len(c.root)) if soft else np.linalg.inv(c.root).T
            for c, soft in zip(self.factors, self.soft, strict=True)
        )

    @property
    def inverse(self) -> np.ndarray:
        """M⁻¹ with its lower triangle filled; takes the place of its factor."""
        if not self._inverted:
            if len(self._M):
                self._M, _ = lapack.dpotri(self._M, lower=1, overwrite_c=1)
            self._inverted = True
        return self._M

    @cached_property
    def full_inverse(self) -> np.ndarray:
        """M⁻¹ with both triangles."""
        return mirror(self.inverse)

    def weight(self) -> tuple[np.ndarray | None, np.ndarray]:
        """Q as (d, M⁻¹), Q = dM⁻¹d with a number for every effect, or as (None, Q); with both triangles."""
        if all(c.root.shape == (1, 1) for c in self.factors):
            return np.repeat([c.root[0, 0] for c in self.factors], self.frame.levels), self.full_inverse
        return None, self.spheres.congruence([c.root.T for c in self.factors], self.full_inverse)

    @property
    def lower_Q(self) -> np.ndarray:
        """Q in Fortran order with its lower triangle filled."""
        return self.spheres.congruence([c.root.T for c in self.factors], self.inverse)

    def _to_spheres(self, Y: np.ndarray) -> np.ndarray:
        """Λ'Y."""
        return self.frame.apply([c.root.T for c in self.factors], Y)

    def solve(self, Y: np.ndarray) -> np.ndarray:
        """M⁻¹Λ'Y of (N, m), shape (Ñ, m)."""
        x = self._to_spheres(Y)
        if not x.size:
            return x
        if self._inverted:
            return blas.dsymm(1.0, self._M, x, lower=1)
        return lapack.dpotrs(self._M, x, lower=1)[0]

    def Q(self, Y: np.ndarray) -> np.ndarray:
        """QY."""
        return self.from_spheres(self.solve(Y))

    def from_spheres(self, x: np.ndarray) -> np.ndarray:
        """Λx."""
        return self.spheres.apply([c.root for c in self.factors], x)

    def shrink(self, Y: np.ndarray) -> np.ndarray:
        """H'Y = Y − AQY."""
        x = self.solve(Y)
        return self._mixed(x, lambda: Y - self._times_A(self.from_spheres(x)))

    def P(self, Y: np.ndarray) -> np.ndarray:
        """PY."""
        if not Y.size:
            return Y
        if self.A is not None:
            return self.shrink(self._times_A(Y))
        x = self.frame.apply([o.T for o in self.outer], Y)  # Λ⁻¹Y
        return self.spheres.apply(self.outer, x - blas.dsymm(1.0, self.inverse, x, lower=1))

    def _times_A(self, Y: np.ndarray) -> np.ndarray:
        return blas.dsymm(1.0, self.A, Y, lower=1) if Y.size else Y

    def _mixed(self, x: np.ndarray, direct: Callable[[], np.ndarray]) -> np.ndarray:
        """Λ⁻ᵀx for the factors that have it, what `direct` gives for the others."""
        if not any(self.soft):
            return self.spheres.apply(self.outer, x)
        out = direct()
        for f, soft in enumerate(self.soft):
            if not soft:
                part = x[self.spheres.slice(f)]
                out[self.frame.slice(f)] = (self.outer[f] @ part.reshape(len(self.outer[f]), -1)).reshape(part.shape)
        return out

    @cached_property
    def W(self) -> np.ndarray:
        """Z'V⁻¹[X e], shape (N, p + 1)."""
        return self.shrink(self.B)

    @cached_property
    def J(self) -> np.ndarray:
        """−QB, shape (N, p + 1)."""
        return -self.Q(self.B)

    @cached_property
    def half_rows(self) -> dict[int, np.ndarray]:
        """A_f,·ΛM⁻¹ of each factor taken for singular, shape (rJ, Ñ)."""
        out = {}
        for f, soft in enumerate(self.soft):
            if soft:
                rows = np.asfortranarray(self._rows_of_A(f).T)
                out[f] = self.solve(rows).T
        return out

    def _rows_of_A(self, f: int) -> np.ndarray:
        mine = self.frame.slice(f)
        rows = np.array(self.A[mine])
        # Only the lower triangle need be filled: the columns after the factor's own stand below it.
        rows[:, mine.stop :] = self.A[mine.stop :, mine].T
        rows[:, mine] = np.tril(rows[:, mine]) + np.tril(rows[:, mine], -1).T
        return rows

    def inverse_blocks(self, f: int) -> np.ndarray:
        """Diagonal blocks of M⁻¹, shape (k, k, J)."""
        return self.spheres.diagonal_blocks(self.inverse, f)

    def P_blocks(self, f: int) -> np.ndarray:
        """Diagonal blocks of P, shape (r, r, J)."""
        if not self.soft[f]:
            O, inner = self.outer[f], -self.inverse_blocks(f)
            np.einsum("aaj->aj", inner)[...] += 1.0
            return np.einsum("ac,cdj,bd->abj", O, inner, O)
        rows = self._rows_of_A(f)
        back = self._to_spheres(np.ascontiguousarray(rows.T)).T
        value = self.frame.diagonal_blocks(self.A, f)
        return value - self.frame.quadratic_blocks(self.half_rows[f], np.ascontiguousarray(back), f)

    def inner_P(self, f: int, g: int) -> np.ndarray:
        """Ξ with P_fg = O_f Ξ_fg O_g', a vector of J_f J_g for each pair of columns, shape (k_f, k_g, J_f J_g)."""
        if self.soft[f] and self.soft[g]:
            back = self._to_spheres(np.ascontiguousarray(self._rows_of_A(g).T))
            whole = self._rows_of_A(f)[:, self.frame.slice(g)] - self.half_rows[f] @ back
        elif self.soft[f]:
            whole = self.half_rows[f][:, self.spheres.slice(g)]
        elif self.soft[g]:
            whole = self.half_rows[g][:, self.spheres.slice(f)].T
        else:
            whole = -self.full_inverse[self.spheres.slice(g), self.spheres.slice(f)].T  # which stands row by row
            if f == g:
                np.einsum("jj->j", whole)[...] += 1.0
        J, K = self.frame.levels[f], self.frame.levels[g]
        parts = whole.reshape(len(whole) // J, J, whole.shape[1] // K, K).transpose(0, 2, 1, 3)
        return parts.reshape(*parts.shape[:2], J * K)
