"""The residual covariance of a fit, σ²R(φ̂), in the order of the design's rows: what simulation and residuals need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.residual import INDEPENDENT, NoiseAt, noise_of, time_order
from lmmtools.design.crossing import refines
from lmmtools.errors import ModelError

__all__ = ["ResidualCovariance", "residual_covariance", "spherical_effects"]

# Numbers in a whitened Z that has no pattern.
_DENSE = 20_000_000


@dataclass(frozen=True)
class ResidualCovariance:
    """R = W^(−½) S C S W^(−½) at one φ.

    Attributes
    ----------
    sd : ndarray, shape (n,)
        Standard deviation of each residual over σ.
    groups : ndarray of int, shape (n,)
        Residual group of each row; rows of different ones are independent.
    order : ndarray of int, shape (n,)
        The rows by residual group and position, as they stand in `at`.
    at : NoiseAt
        S C S in that order.
    weights : ndarray, shape (n,), or None
    """

    sd: np.ndarray
    groups: np.ndarray
    order: np.ndarray
    at: NoiseAt
    weights: np.ndarray | None

    def whiten(self, e: np.ndarray) -> np.ndarray:
        """L⁻¹e with R = LL', L lower triangular in the order of residual group and position; shape (n,) or (n, c).

        Each row less what those before it in its group say of it, over its standard deviation: independent rows of unit
        variance, where e has covariance R.
        """
        return self._through(self.at.whiten, e, before=True)

    def colour(self, e: np.ndarray) -> np.ndarray:
        """Le: residuals of covariance R, from independent ones of unit variance."""
        return self._through(self.at.colour, e, before=False)

    def matrix(self, rows: np.ndarray) -> np.ndarray:
        """R of some rows, shape (k, k): of a few groups, for it is written out for all rows of those it touches."""
        rows = np.asarray(rows)
        touched = np.flatnonzero(np.isin(self.groups, self.groups[rows]))
        basis = np.zeros((len(self.sd), len(touched)))
        basis[touched, np.arange(len(touched))] = 1.0
        L = self.colour(basis)[rows]
        return L @ L.T

    def _through(self, change: Any, e: np.ndarray, *, before: bool) -> np.ndarray:
        e = np.asarray(e, dtype=float)
        H = e.reshape(len(e), -1)
        root = None if self.weights is None else np.sqrt(self.weights)[:, None]
        if root is not None and before:
            H = H * root
        found = np.empty_like(H)
        found[self.order] = change(H[self.order])
        if root is not None and not before:
            found = found / root
        return found.reshape(e.shape)


def residual_covariance(design: Any, phi: np.ndarray) -> ResidualCovariance:
    """R at φ, of a design's rows.

    Parameters
    ----------
    design : Design
        With or without a residual structure.
    phi : ndarray, shape (m,)
        On the natural scale; empty without a structure.

    Returns
    -------
    ResidualCovariance
    """
    structure = design.residual or INDEPENDENT
    order = time_order(structure.correlation, len(design.y))
    at = noise_of(structure, order).at(phi)
    sd = np.empty(len(order))
    sd[order] = at.s
    if design.weights is not None:
        sd = sd / np.sqrt(design.weights)
    groups = np.arange(len(order)) if structure.correlation is None else structure.correlation.codes
    return ResidualCovariance(sd, groups, order, at, design.weights)


def spherical_effects(fit: Any, what: str, instead: str) -> Any:
    """U = L⁻¹ZΛ̂ of all terms side by side, known covariances of levels included, so that V = L(I + UU')L'.

    Parameters
    ----------
    fit : LMMFit
        With random effects; of it, `design`, `Lambda` and `noise` are used.
    what, instead : str
        What is computed, and what to do where it cannot be, for the sentence that refuses.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, effects)
        Rows in the design's order.

    Raises
    ------
    ModelError
        If groups of correlated residuals reach across very many levels of random effects.
    """
    from scipy.sparse import csr_array, eye_array, hstack, kron

    n, parts = len(fit.design.y), []
    for term, Lambda in zip(fit.design.terms, fit.Lambda, strict=True):
        q, levels = len(Lambda), len(term.levels)
        if refines(fit.noise.groups, term.codes):  # a level's own rows whiten among themselves: Z keeps its pattern
            Z = _by_level(fit.noise.whiten(term.matrix), term.codes, levels)
        elif n * levels * q <= _DENSE:
            Z = csr_array(fit.noise.whiten(_by_level(term.matrix, term.codes, levels).toarray()))
        else:
            raise ModelError(
                f"{what}: groups of correlated residuals reach across the {levels:,} levels of `{term.factor}`, too "
                f"many to write the random effects out; {instead}."
            )
        root = eye_array(levels, format="csr") if term.known_root is None else csr_array(term.known_root)
        parts.append(Z @ kron(root, csr_array(Lambda), format="csr"))
    return hstack(parts, format="csr")


def _by_level(matrix: np.ndarray, codes: np.ndarray, levels: int) -> Any:
    """Z of one term: its matrix's rows in the columns of their level, sparse of shape (n, levels · q)."""
    from scipy.sparse import csr_array

    n, q = matrix.shape
    columns = (codes[:, None] * q + np.arange(q)).reshape(-1)
    return csr_array((np.ascontiguousarray(matrix).reshape(-1), columns, np.arange(n + 1) * q), shape=(n, levels * q))
