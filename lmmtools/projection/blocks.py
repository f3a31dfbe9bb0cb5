"""The rows of a fit with a residual structure, cluster by cluster, over a root of R.

V is block-diagonal over clusters of rows that share levels or residual groups. With R = LL' every cluster is taken as
L⁻¹[Z X e], in which V is I + Z̄TZ̄' and the derivative of R in a parameter of φ is M = L⁻¹∂RL⁻ᵀ = −L'∂R⁻¹L, written
out: of the size of the information about the parameter, however near to singular R is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.residual import NoiseAt
from lmmtools.core.several.sizes import memory_limit
from lmmtools.errors import ModelError

__all__ = ["Block", "Blocks", "blocks"]

# Numbers in the matrices of one block.
_BLOCK = 2_000_000
# Multiplications of all clusters together that are still waited for: about a minute.
_MOST = 1e12


@dataclass(frozen=True)
class Block:
    """J clusters of n rows.

    Attributes
    ----------
    rows : ndarray of int, shape (J, n)
        Among the rows in their order.
    stack : Stack or None
        The clusters' levels; None where there are no random effects.
    Z, X, e : ndarray, shape (J, n, r), (J, n, p), (J, n)
        In the working basis, over L.
    M : ndarray, shape (m, J, n, n)
        Of each parameter of φ.
    """

    rows: np.ndarray
    stack: Any
    Z: np.ndarray
    X: np.ndarray
    e: np.ndarray
    M: np.ndarray


@dataclass(frozen=True)
class Blocks:
    """The clusters of a fit.

    Attributes
    ----------
    products : Structured
    noise : NoiseAt
        R at φ.
    Lambda : ndarray
        Λ̃ of the random terms.
    kinds : tuple of (Stack or None, ndarray of int, shape (J, n))
        Clusters of one size.
    """

    products: Any
    noise: NoiseAt
    Lambda: np.ndarray
    kinds: tuple[tuple[Any, np.ndarray], ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.products.H)

    @property
    def basis(self) -> np.ndarray:
        """The identity of every cluster at once, shape (rows, largest cluster)."""
        widest = max(rows.shape[1] for _, rows in self.kinds)
        out = np.zeros((self.rows, widest))
        for _, rows in self.kinds:
            out[rows, np.arange(rows.shape[1])] = 1.0
        return out

    def __iter__(self) -> Iterator[Block]:
        r = self.products.rows.Z.shape[1]
        H = self.noise.whiten(self.products.H)
        G = self.noise.scaled(self.noise.colour(self.basis))
        U = self.noise.inverse(G)
        m = len(self.noise.slope)
        moved = [self.noise.first(k, G, U) for k in range(m)]
        for stack, rows in self.kinds:
            J, n = rows.shape
            step = max(_BLOCK // ((m + 3) * n * n), 1)
            for start in range(0, J, step):
                mine = rows[start : start + step]
                own = H[mine]
                half = G[mine][..., :n].transpose(0, 2, 1)
                M = [-np.matmul(half, F[mine][..., :n]) for F in moved]
                M = np.array(M).reshape(m, len(mine), n, n)
                Z = own[..., : stack.r] if stack is not None else own[..., :0]
                yield Block(mine, stack, Z, own[..., r:-1], own[..., -1], 0.5 * (M + M.swapaxes(2, 3)))

    def spread(self, stack: Any, D: np.ndarray) -> np.ndarray:
        """A direction of T, shape (R, R) or more, as that of a whole cluster's, shape (r, r)."""
        return self.products.spread(stack, D, self.products.rows.widths)

    def whitening(self, block: Block) -> np.ndarray:
        """K⁻¹ of every cluster, V = KK' over L; shape (J, n, n)."""
        return self.root_inverse(block.stack, block.Z, block.rows.shape)

    def root_inverse(self, stack: Any, Z: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """The same from the clusters' Z over L, shape (J, n, r), of J clusters of n rows."""
        J, n = shape
        eye = np.broadcast_to(np.eye(n), (J, n, n))
        if stack is None:
            return eye
        U = Z @ self.products.spread(stack, self.Lambda)
        return np.linalg.solve(np.linalg.cholesky(eye + U @ U.transpose(0, 2, 1)), eye)


def blocks(fit: Any, what: str, instead: str, at: np.ndarray | None = None) -> Blocks:
    """The clusters of a fit with a residual structure, or without random effects.

    Parameters
    ----------
    fit : LMMFit
    what, instead : str
        What is to be computed, and what can be used in its place, for the sentence that refuses.
    at : ndarray, shape (m + k,), optional
        Other working parameters than the fit's.

    Raises
    ------
    ModelError
        If the matrices of all clusters would not fit in memory, or take too long.
    """
    w = fit.working
    kinds = tuple(_kinds(fit))
    m, n = w.residual.n_theta + len(fit.theta), fit.nobs
    widest = max(rows.shape[1] for _, rows in kinds)
    memory = 8.0 * n * widest * (w.residual.n_theta + 4)
    work = (m + 2.0) * sum(rows.size * rows.shape[1] ** 2 for _, rows in kinds)
    if memory > max(memory_limit(), 1e8) or work > _MOST:
        raise ModelError(
            f"{what} writes out the covariance of rows that hang together through shared levels or residual groups, "
            f"and its derivatives in {m:,} parameters: with up to {widest:,} such rows, of {n:,}, these are too "
            f"large. Use {instead}, or smaller residual groups."
        )
    # of all rows, where the solution may have made do with fewer
    if at is None:
        return Blocks(w.products, w.products.noise.at(fit.phi), w.own_factor(fit.Lambda, fit.phi), kinds)
    phi = w.residual.own(at[w.places[-1]])
    return Blocks(w.products, w.products.noise.at(phi), w.stacked(at), kinds)


def _kinds(fit: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Clusters of one size together."""
    rows = fit.working.products.rows
    if fit.design.terms:
        for stack in rows.stacks:
            yield stack, np.arange(stack.rows.start, stack.rows.stop).reshape(stack.J, stack.n)
        return
    structure = fit.design.residual
    if structure is None or structure.correlation is None:
        yield None, np.arange(fit.nobs)[:, None]
        return
    codes = structure.correlation.codes[rows.order]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    sizes = np.diff(np.append(starts, len(codes)))
    for n in np.unique(sizes):
        yield None, starts[sizes == n][:, None] + np.arange(n)
