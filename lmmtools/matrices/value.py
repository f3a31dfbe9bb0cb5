"""The matrices of a model as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_array, diags_array, eye_array
from scipy.sparse.csgraph import connected_components

from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest
from lmmtools.frames import Frame, frame
from lmmtools.matrices.blockwise import block_sizes, blockwise
from lmmtools.matrices.room import check_room

__all__ = ["NAMES", "ModelMatrices"]

#: What each matrix is, by name.
NAMES = {
    "X": "fixed-effects model matrix X",
    "Z": "random-effects model matrix Z",
    "Lambda": "relative covariance factor Λ",
    "L": "sparse Cholesky factor L of Λ'Z'R⁻¹ZΛ + I",
    "T": "relative covariance T = ΛΛ' of the random effects",
    "R": "relative covariance R of the residuals",
    "V": "relative marginal covariance V = ZTZ' + R",
    "cor(V)": "marginal correlation of the response",
    "var(y)": "marginal covariance σ̂²V of the response",
    "var(b)": "covariance σ̂²T of the random effects",
    "vcov": "covariance of the fixed-effects estimates",
    "cor(vcov)": "correlation of the fixed-effects estimates",
}
_MOST_CELLS = 1_000_000  # of a frame, which is dense


@dataclass(frozen=True, eq=False, repr=False)
class ModelMatrices:
    """y = Xβ + Zb + o + ε with Var(b) = σ²T, T = ΛΛ', Var(ε) = σ²R and Var(y) = σ²V, V = ZTZ' + R.

    All but X and `vcov` are scipy sparse arrays (``.toarray()`` writes one out); T, V and L are computed when they
    are first asked for. Columns of Z stand by term, then level, then effect, the terms in the order of ``varcorr``.

    Attributes
    ----------
    formula : str
    X : ndarray, shape (n, p)
    Z : sparse array, shape (n, q)
    Lambda : sparse array, shape (q, k)
        Relative covariance factor; k = q but for a known covariance of the levels that is singular.
    R : sparse array, shape (n, n)
        Covariance of the residuals over σ², precision weights and residual structure included.
    sigma : float
        Residual standard deviation, in units of the response.
    vcov : ndarray, shape (p, p)
        Var(β̂), of the whole fit.
    rows : DataFrame, shape (n, factors)
        The level of each row of every grouping factor; its index is the data's.
    effects, spherical : pd.MultiIndex, shape (q,), (k,)
        Term, level and effect of each column of Z, and of each spherical effect, u in b = Λu.
    fixed_names : tuple of str, length p
    residual_groups : ndarray of int, shape (n,)
        Rows of different numbers have independent residuals.
    known : bool
        Whether levels of some factor are correlated by a known covariance.
    """

    formula: str
    X: np.ndarray
    Z: csc_array
    Lambda: csc_array
    R: csc_array
    sigma: float
    vcov: np.ndarray
    rows: pd.DataFrame
    effects: pd.MultiIndex
    spherical: pd.MultiIndex
    fixed_names: tuple[str, ...]
    residual_groups: np.ndarray
    known: bool

    def __post_init__(self) -> None:
        for array in (self.X, self.vcov, self.residual_groups):
            array.setflags(write=False)
        for sparse in (self.Z, self.Lambda, self.R):
            _fixed(sparse)

    def __repr__(self) -> str:
        n, p = self.X.shape
        sizes = (counted(n, "row"), counted(p, "fixed effect"), counted(self.Z.shape[1], "random effect"))
        return f"<ModelMatrices {self.formula}: {', '.join(sizes)}>"

    @cached_property
    def T(self) -> csc_array:
        """ΛΛ', shape (q, q)."""
        per_column = np.diff(self.Lambda.indptr).astype(float)
        check_room("T", float(per_column @ per_column), self.Lambda.shape[0])
        return _fixed(csc_array(self.Lambda @ self.Lambda.T))

    @cached_property
    def V(self) -> csc_array:
        """ZTZ' + R, shape (n, n)."""
        check_room("V", self._entries_of_V, len(self.X))
        ZL = self.Z @ self.Lambda
        return _fixed(csc_array(ZL @ ZL.T + self.R))

    @property
    def _entries_of_V(self) -> float:
        """At most so many entries of V are not zero."""
        n = float(len(self.X))
        pairs = sum(block_sizes(pd.factorize(self.rows[name])[0]) for name in self.rows)
        return n * n if self.known else min(pairs + block_sizes(self.residual_groups), n * n)

    @cached_property
    def L(self) -> csc_array:
        """Lower Cholesky factor of Λ'Z'R⁻¹ZΛ + I, shape (k, k), in the order of `spherical`: no permutation."""
        k = self.Lambda.shape[1]
        whitened = blockwise(self.R, self.residual_groups, _inverse_root) @ self.Z @ self.Lambda
        per_row = np.diff(whitened.tocsr().indptr).astype(float)
        check_room("Λ'Z'R⁻¹ZΛ + I", min(float(per_row @ per_row), float(k) * k), k)
        A = csc_array(whitened.T @ whitened + eye_array(k))
        # Fill stays within what hangs together, so each part is factorised by itself, densely.
        _, part = connected_components(A, directed=False) if k else (0, np.zeros(0, dtype=int))
        check_room("L", block_sizes(part), k)
        return _fixed(blockwise(A, part, np.linalg.cholesky))

    def matrix(self, name: str) -> Any:
        """One of them by name, those of `lmmtools.matrices.NAMES`.

        Raises
        ------
        LMMError
            If there is no such name.
        """
        if not isinstance(name, str) or name not in NAMES:
            known = ", ".join(map(repr, NAMES))
            raise LMMError(f"model_matrices: there is no matrix {name!r}{nearest(str(name), NAMES)}; use {known}.")
        if name in ("var(y)", "var(b)"):
            return csc_array(self.sigma**2 * (self.V if name == "var(y)" else self.T))
        if name == "cor(V)":
            scale = diags_array(1.0 / np.sqrt(self.V.diagonal()))
            return csc_array(scale @ self.V @ scale)
        if name == "cor(vcov)":
            se = np.sqrt(np.diagonal(self.vcov))
            return self.vcov / np.outer(se, se)
        return getattr(self, name)

    def labels(self, name: str) -> tuple[pd.Index, pd.Index]:
        """Labels of rows and columns of one of them."""
        fixed = pd.Index(self.fixed_names, name="coefficient")
        rows = pd.MultiIndex.from_arrays(
            [*(self.rows[factor] for factor in self.rows), self.rows.index.astype(str)], names=[*self.rows, "row"]
        )
        sides = {"X": (rows, fixed), "Z": (rows, self.effects), "Lambda": (self.effects, self.spherical),
                 "L": (self.spherical,) * 2, "T": (self.effects,) * 2, "var(b)": (self.effects,) * 2,
                 "vcov": (fixed,) * 2, "cor(vcov)": (fixed,) * 2}  # fmt: skip
        return sides.get(name, (rows, rows))

    def frame(self, name: str) -> Frame:
        """One of them written out with its labels.

        Parameters
        ----------
        name : str
            One of `lmmtools.matrices.NAMES`: ``"V"``, ``"cor(V)"``, ``"Z"``.

        Returns
        -------
        Frame

        Raises
        ------
        LMMError
            If there is no such name, or it has more than a million cells.
        """
        found = self.matrix(name)
        if found.shape[0] * found.shape[1] > _MOST_CELLS:
            raise LMMError(
                f"model_matrices: {name} has {found.shape[0]:,} × {found.shape[1]:,} cells, too many for a table: "
                f"name some groups, or use .matrix({name!r}), which is sparse."
            )
        dense = found if isinstance(found, np.ndarray) else found.toarray()
        index, columns = self.labels(name)
        said = NAMES[name]
        return frame(
            pd.DataFrame(dense, index=index, columns=columns),
            caption=f"{said[0].upper()}{said[1:]}: {self.formula}",
            label="tbl-matrix",
            formats=dict.fromkeys(columns, "sig4"),
        )


def _fixed(sparse: csc_array) -> csc_array:
    """The same, whose values cannot be changed; in order, since scipy sorts in place when it compares."""
    if sparse.data.flags.writeable:
        sparse.sum_duplicates()
    sparse.data.setflags(write=False)
    return sparse


def _inverse_root(blocks: np.ndarray) -> np.ndarray:
    """K⁻¹ of each block KK', K lower triangular."""
    return np.linalg.inv(np.linalg.cholesky(blocks))
