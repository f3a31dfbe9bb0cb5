"""Other responses of one design: working models that share all but the products with the response.

Of the cross-products of [Z X e] only those with e depend on the response, and they are linear in it: for m responses at
once they are a few matrix products, Z̃'E and X̃'E. Everything else (the working basis, Z'Z with its factors, the patterns
of groups, the coupling of crossed factors) is the first model's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np

from lmmtools.core.working import Basis, Working, basis_of, working_model

__all__ = ["Responses"]

# Size of a residual against the response below which it may be rounding: the model is then made afresh, which tells.
_NEARLY_EXACT = 1e-10


class Responses:
    """Makes working models of one design with other responses.

    Parameters
    ----------
    design : Design
    working : Working
        Of the same design, with any response.
    """

    def __init__(self, design: Any, working: Working) -> None:
        self.design, self.working = design, working
        basis = self.basis = basis_of(design)
        owners = [design.terms[basis.homes.index(f)] for f in range(len(basis.z))]
        self._sums = [[_sums(basis, i, t) for i in z] for z, t in zip(basis.z, owners, strict=True)]
        self._roots = [getattr(t, "known_root", None) for t in owners]
        self._X = np.column_stack(basis.X) if basis.X else np.zeros((len(design.y), 0))

    def models(self, Y: np.ndarray) -> Iterator[Working]:
        """A working model of each response.

        Parameters
        ----------
        Y : ndarray, shape (n, m)
            In the units of the response; offsets are not taken off.

        Yields
        ------
        Working

        Raises
        ------
        ModelError
            By the iterator, if a response is reproduced to rounding.
        """
        beta, E, size = self._least_squares(Y)
        n = len(E)
        square = np.einsum("im,im->m", E, E)
        scale = np.sqrt(square / n)
        scale[scale == 0.0] = 1.0
        E /= scale
        borders = [self._border(f, E) for f in range(len(self._sums))]
        C = np.vstack([self._X.T @ E, square / scale**2])
        clear = np.sqrt(square) > _NEARLY_EXACT * size
        for k, products in enumerate(self.working.products.with_responses(borders, C)):
            if products is None or not clear[k]:
                yield working_model(dataclasses.replace(self.design, y=np.array(Y[:, k])))
                continue
            twin = copy(self.working)  # with what it has kept that does not depend on the response
            twin.__dict__.update(products=products, beta_shift=beta[:, k], y_scale=float(scale[k]))
            yield twin

    def _least_squares(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """β in the basis X̃, (p, m), whitened residuals, (n, m), and norms of the whitened responses, (m,).

        In two rounds, so that a large mean of the response costs nothing.
        """
        E = np.array(Y, dtype=float) if self.design.offset is None else Y - self.design.offset[:, None]
        if self.basis.columns.root is not None:
            E *= self.basis.columns.root[:, None]
        size = np.sqrt(np.einsum("im,im->m", E, E))
        beta = np.zeros((self._X.shape[1], E.shape[1]))
        for _ in range(2 if self._X.shape[1] else 0):
            step = np.linalg.solve(self.basis.G, self._X.T @ E)
            E -= self._X @ step
            beta += step
        return beta, E, size

    def _border(self, f: int, E: np.ndarray) -> np.ndarray:
        """Z̃'E of one factor, shape (r, effects, m)."""
        out = np.array([sums @ E for sums in self._sums[f]])
        root = self._roots[f]
        return out if root is None else np.matmul(root.T, out)


def _sums(basis: Basis, i: int, term: Any) -> Any:
    """What sums a whitened column times another by level, sparse of shape (J, n)."""
    from scipy.sparse import csc_array

    n = len(term.codes)
    return csc_array((np.array(basis.columns.whitened[i]), term.codes, np.arange(n + 1)), shape=(len(term.levels), n))
