"""Every two cells of a level and the product of their values, kept from one evaluation to the next.

With V_j the coupling of level j, fixed, and C_j what a factor Λ makes of it, both products that an evaluation needs are
then one sparse matrix times one vector, M'vec(C) and M vec(Q): Σ V_j'C_jV_j and V_jQV_j'.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["Pairs", "worth_keeping"]

# Products of pairs that are kept at most.
_KEPT = 5e6
# Seconds a pair takes in an evaluation, the making of it included.
_SECONDS = 9e-9


def worth_keeping(counts: np.ndarray, r: int, otherwise: float) -> bool:
    """Whether pairs are few enough to be kept, and faster than `otherwise`, seconds, the evaluation without them."""
    pairs = 0.5 * r * (r + 1) * float(counts @ (counts + 1.0)) / 2.0
    return pairs <= _KEPT and pairs * _SECONDS <= otherwise


class Pairs:
    """Products of values V of shape (r, cells), in one sparse matrix over (level, two columns) for each two of the r.

    Parameters
    ----------
    n_cols : int
        Number N of columns.
    starts : ndarray of int, shape (levels + 1,)
        Where each level's cells begin.
    cols : ndarray of int, shape (cells,)
        Ascending within a level.
    values : ndarray, shape (r, cells)
    """

    def __init__(self, n_cols: int, starts: np.ndarray, cols: np.ndarray, values: np.ndarray) -> None:
        self.n_cols, J = n_cols, len(starts) - 1
        # Cell by cell, itself and the cells of its level before it.
        cells = np.arange(len(cols))
        begin = np.repeat(starts[:-1].astype(np.int64), np.diff(starts))
        times = cells - begin + 1
        ends = np.cumsum(times)
        index = np.int32 if max(n_cols**2, int(ends[-1]) if len(ends) else 0) < 2**31 else np.int64
        other = np.arange(int(times.sum()), dtype=index)
        other -= np.repeat((ends - times - begin).astype(index), times)
        at = (cols.astype(index) * n_cols)[other]
        at += np.repeat(cols.astype(index), times)
        indptr = np.concatenate([[0], ends])[starts].astype(index)
        self.parts = []
        for a, V in enumerate(values):
            for b, W in enumerate(values[: a + 1]):
                product = np.repeat(V, times) * W[other]
                if a != b:
                    product += np.repeat(W, times) * V[other]
                matrix = sp.csr_array((product, at, indptr), shape=(J, n_cols**2))
                own = sp.csr_array((V * W, cols, starts), shape=(J, n_cols))
                self.parts.append((a, b, matrix, matrix.T, own))

    def gram(self, C: np.ndarray) -> np.ndarray:
        """The lower triangle of ΣV_j'C_jV_j, shape (N, N) in Fortran order, for symmetric C of shape (r, r, J)."""
        out = None
        for a, b, _, transposed, _ in self.parts:
            part = transposed @ C[a, b]
            out = part if out is None else np.add(out, part, out=out)
        return out.reshape(self.n_cols, self.n_cols).T

    def quadratic(self, Q: np.ndarray) -> np.ndarray:
        """V_jQV_j' of every level, shape (r, r, J), for a Q in Fortran order with its lower triangle filled."""
        r, flat, diagonal = self.parts[-1][0] + 1, Q.T.reshape(-1), Q.diagonal()
        out = np.empty((r, r, self.parts[0][2].shape[0]))
        for a, b, matrix, _, own in self.parts:
            # Off the diagonal of Q every pair counts twice: in M as it stands with a ≠ b, by doubling it else.
            out[a, b] = out[b, a] = (2.0 if a == b else 1.0) * (matrix @ flat) - own @ diagonal
        return out
