"""One random-effects term in the working basis, and how terms stand side by side in Λ̃.

An unstructured term whose columns are a basis of part of Z̃ is parameterised there directly: its working θ
fills the lower triangle of K_kΛ_k. The others keep their own Λ, with columns scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.covariance import combine, covariance_basis, factor_basis, lower_factor, n_theta, theta_of
from lmmtools.core.structures import Form, form_of, structure_name

__all__ = ["Term", "stack_maps", "unit_sizes", "working_term"]


@dataclass(frozen=True)
class Term:
    """One random-effects term in the working basis.

    Attributes
    ----------
    structure : str
        Name of the covariance structure.
    K : ndarray, shape (R, q)
        Z_k = Z̃K.
    S : ndarray, shape (R, q)
        The term's working columns: its part of Λ̃ is SΛ(θ̃).
    scale : ndarray, shape (q,) or (q, q)
        Λ(θ̃) = scale × Λ: column scales (S = K/scale), or the square part of K for a term that is its own basis.
    spread : ndarray, shape (q,)
        Standard deviation of each working column over its root mean square: 1 where centred, small where a slope's
        column lies far from zero, so that slope and intercept are hard to tell apart.
    form : Form or None
        The structure itself where T is not linear in θ; None for `us`, `diag` and `homdiag`.
    """

    structure: str
    K: np.ndarray
    S: np.ndarray
    scale: np.ndarray
    spread: np.ndarray
    form: Form | None = None

    @property
    def q(self) -> int:
        """Number of effects a level."""
        return self.K.shape[1]

    @cached_property
    def n_theta(self) -> int:
        """Number of parameters."""
        return n_theta(self.structure, self.q) if self.form is None else self.form.n_theta

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of θ, each (m,); infinite for the linear structures, where signs mean nothing."""
        if self.form is not None:
            return self.form.lower, self.form.upper
        return np.full(self.n_theta, -np.inf), np.full(self.n_theta, np.inf)

    @property
    def own_form(self) -> Form | None:
        """The structure for θ in the term's own columns."""
        return self.form

    def own_factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ(θ) for θ in the term's own columns, shape (q, q)."""
        return self.working_factor(theta)

    def working_factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ(θ̃), shape (q, q)."""
        if self.form is not None:
            return self.form.factor(theta)
        return combine(theta, factor_basis(self.structure, self.q))

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ in the term's own columns, lower triangular with a non-negative diagonal, from working parameters."""
        if self.form is not None:
            return self.form.factor(self.own(theta))
        Lambda = self.working_factor(theta)
        if self.scale.ndim == 2:
            return lower_factor(np.linalg.solve(self.scale, Lambda))
        Lambda = Lambda / self.scale[:, None]
        return lower_factor(Lambda) if self.structure == "us" else np.abs(Lambda)

    def own(self, theta: np.ndarray) -> np.ndarray:
        """θ of the term in its own columns, from working parameters."""
        if self.form is not None:
            return theta / self.form.parameter_scale(self.scale)
        return theta_of(self.structure, self.factor(theta))

    def working(self, theta: np.ndarray) -> np.ndarray:
        """Working parameters, from θ in the term's own columns."""
        if self.form is not None:
            return theta * self.form.parameter_scale(self.scale)
        Lambda = self.working_factor(theta)  # the same filling: only the columns it stands for differ
        if self.scale.ndim == 2:
            return theta_of(self.structure, lower_factor(self.scale @ Lambda))
        return theta_of(self.structure, self.scale[:, None] * Lambda)

    @cached_property
    def directions(self) -> np.ndarray:
        """Directions in which T can move in working columns, shape (m, q, q): its linear space, or at a generic θ."""
        return covariance_basis(self.structure, self.q) if self.form is None else self.form.first(self.form.generic())

    @cached_property
    def moment_basis(self) -> np.ndarray:
        """A linear space of T in working columns, in which moments are taken for a start; shape (k, q, q)."""
        return covariance_basis(self.structure, self.q) if self.form is None else self.form.moment_basis()


def stack_maps(blocks: list[np.ndarray]) -> np.ndarray:
    """Maps (m_k, r, w_k) of the terms as one (Σm, r, Σw), each acting on its own columns of Λ̃."""
    m, q = sum(len(b) for b in blocks), sum(b.shape[2] for b in blocks)
    F = np.zeros((m, blocks[0].shape[1], q))
    i = j = 0
    for b in blocks:
        F[i : i + len(b), :, j : j + b.shape[2]] = b
        i, j = i + len(b), j + b.shape[2]
    return F


def unit_sizes(term: Any, noise_scale: float) -> np.ndarray:
    """What to multiply the rows of a term's Λ with for standard deviations in the response, against σ; shape (q,).

    Root mean squares of its columns, one for all where they share a variance, with weights of mean one.
    """
    size = np.sqrt(np.mean(term.matrix**2, axis=0))
    shared = isinstance(term.structure, str) and term.structure in ("homdiag", "homcs", "ar1")
    return noise_scale * (np.full(len(size), np.sqrt(np.mean(size**2))) if shared else size)


def working_term(term: Any, K: np.ndarray) -> Term:
    """Working parameterisation of a term: its own block of Z̃ where K is square there, else scaled columns."""
    q = K.shape[1]
    rows = np.flatnonzero(np.abs(K).sum(axis=1))
    if isinstance(term.structure, str) and term.structure == "us" and len(rows) == q and _invertible(K[rows]):
        S = np.zeros_like(K)
        S[rows, np.arange(q)] = 1.0
        return Term("us", K, S, K[rows], np.ones(q) if _absorbs_means(K) else _spreads(term))
    size = np.sqrt((K**2).sum(axis=0))
    size[size == 0.0] = 1.0  # a column of zeros has no effect, and is named as a flat direction
    form = form_of(term.structure, term.names, getattr(term, "positions", None), term.label)
    if form is not None:
        scale = form.column_scale(size)
    else:
        scale = np.full(q, np.sqrt(np.mean(size**2))) if term.structure == "homdiag" else size
    return Term(structure_name(term.structure), K, K / scale, scale, _spreads(term), form)


def _invertible(K: np.ndarray) -> bool:
    """Whether distinct columns of Z̃ stand behind a term's; means of any size do not matter."""
    size = np.abs(K).max(axis=0)
    return bool(np.all(size > 0)) and np.linalg.matrix_rank(K / size) == len(K)


def _absorbs_means(K: np.ndarray) -> bool:
    """Whether a square term has an intercept of its own, so that its other columns are centred."""
    return bool(np.any(np.count_nonzero(K, axis=1) > 1))


def _spreads(term: Any) -> np.ndarray:
    return np.array([_relative_spread(column) for column in term.matrix.T])


def _relative_spread(column: np.ndarray) -> float:
    """Standard deviation over root mean square; 1 for a constant, which is told from nothing else."""
    square, mean = float(column @ column) / len(column), float(column.mean())
    variance = square - mean**2
    return float(np.sqrt(variance / square)) if variance > 1e-14 * square else 1.0
