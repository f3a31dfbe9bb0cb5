"""The working model: the design in a basis where its cross-products lose no digits.

Cross-products of raw columns are useless when a mean is large against a standard deviation. So the columns of
X and Z are centred and scaled, y is replaced by its least-squares residual e, and everything is whitened by
√w before any product is formed. None of it changes the model:

* X = X̃R: β = R⁻¹β̃, and under REML log|X'V⁻¹X| = log|X̃'V⁻¹X̃| + 2 log|det R|;
* y = Xβ₀ + s·e with β₀ the least-squares estimate: the criterion profiles β out and so sees only e;
* weights are taken over their mean w̄, and √w̄ goes into K: the criterion does not depend on the scale of V;
* Z_k = Z̃K_k for each term k of the factor: ZTZ' = Z̃(ΣK_kΛ_kΛ_k'K_k')Z̃', so the factor K_kΛ_k is carried
  through, never T itself (which would lose twice the digits).

An unstructured term whose columns are a basis of part of Z̃ is parameterised there directly: its working θ
fills the lower triangle of K_kΛ_k. The others keep their own Λ, with columns scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.basis import Columns, fixed_basis, least_squares, random_basis
from lmmtools.core.blocks import Blocks, blocks_of, merge, within_by_rows, within_estimate, within_residual
from lmmtools.core.covariance import combine, covariance_basis, factor_basis, lower_factor, n_theta, theta_of
from lmmtools.core.identify import Gram, gram
from lmmtools.core.moments import group_moments
from lmmtools.errors import ModelError

__all__ = ["Term", "Working", "stack_maps", "working_model"]


# Size of a residual against the response below which it is rounding.
_EXACT = 1e-14


@dataclass(frozen=True)
class Term:
    """One random-effects term in the working basis.

    Attributes
    ----------
    structure : str
    K : ndarray, shape (r, q)
        Z_k = Z̃K.
    S : ndarray, shape (r, q)
        The term's working columns: its part of Λ̃ is SΛ(θ̃).
    scale : ndarray, shape (q,) or (q, q)
        Λ(θ̃) = scale × Λ: column scales (S = K/scale), or the square part of K for a term that is its own basis.
    spread : ndarray, shape (q,)
        Standard deviation of each working column over its root mean square: 1 where centred, small where a slope's
        column lies far from zero, so that slope and intercept are hard to tell apart.
    """

    structure: str
    K: np.ndarray
    S: np.ndarray
    scale: np.ndarray
    spread: np.ndarray

    @property
    def q(self) -> int:
        """Number of effects a level."""
        return self.K.shape[1]

    def working_factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ(θ̃), shape (q, q)."""
        return combine(theta, factor_basis(self.structure, self.q))

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Λ in the term's own columns, lower triangular with a non-negative diagonal, from working parameters."""
        Lambda = self.working_factor(theta)
        if self.scale.ndim == 2:
            return lower_factor(np.linalg.solve(self.scale, Lambda))
        Lambda = Lambda / self.scale[:, None]
        return lower_factor(Lambda) if self.structure == "us" else np.abs(Lambda)

    def working(self, theta: np.ndarray) -> np.ndarray:
        """Working parameters of a θ in lme4's parameterisation."""
        Lambda = self.working_factor(theta)  # the same filling: only the columns it stands for differ
        if self.scale.ndim == 2:
            return theta_of(self.structure, lower_factor(self.scale @ Lambda))
        return theta_of(self.structure, self.scale[:, None] * Lambda)


@dataclass(frozen=True)
class Working:
    """Cross-products in the working basis and the maps back.

    Attributes
    ----------
    blocks, groups : Blocks
        Merged by pattern, for the optimiser; one block a group, for the certificate and the modes.
    terms : tuple of Term
    R : ndarray, shape (p, p)
        X = X̃R.
    beta_shift : ndarray, shape (p,)
        A β in the basis X̃ about which y is taken: e = (y − offset − X̃ beta_shift)/y_scale.
    y_scale : float
        Root mean square of the whitened residual.
    noise_scale : float
        Root of the mean weight w̄: the working weights are w/w̄, so that σ is √w̄ times the working one, and Λ the
        working one over √w̄ (which is part of each K).
    log_weights : float
        Σ log(w/w̄).
    """

    blocks: Blocks
    groups: Blocks
    terms: tuple[Term, ...]
    R: np.ndarray
    beta_shift: np.ndarray
    y_scale: float
    noise_scale: float
    log_weights: float

    def constant(self, *, reml: bool) -> float:
        """What the working criterion lacks: scale of y, transform of X, weights."""
        n, p = self.blocks.n, self.blocks.p
        value = 2.0 * (n - p if reml else n) * np.log(self.y_scale) - self.log_weights
        if reml:
            value += 2.0 * np.linalg.slogdet(self.R)[1] if p else 0.0
        return float(value)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each term's parameters stand in θ."""
        ends = np.cumsum([0, *(n_theta(t.structure, t.q) for t in self.terms)])
        return tuple(slice(a, b) for a, b in pairwise(ends))

    def to_theta(self, working: np.ndarray) -> np.ndarray:
        """θ as lme4 has it, from working parameters."""
        factors = zip(self.terms, self.factors(working), strict=True)
        return np.concatenate([theta_of(t.structure, L) for t, L in factors])

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """Working parameters, from θ as lme4 has it."""
        return np.concatenate([t.working(theta[s]) for t, s in zip(self.terms, self.slices, strict=True)])

    def factors(self, working: np.ndarray) -> tuple[np.ndarray, ...]:
        """Λ of each term in its own columns."""
        return tuple(t.factor(working[s]) for t, s in zip(self.terms, self.slices, strict=True))

    @cached_property
    def working_map(self) -> np.ndarray:
        """F with Λ̃(θ̃) = Σ θ̃_k F_k, shape (m, r, Σq)."""
        return stack_maps([np.matmul(t.S, factor_basis(t.structure, t.q)) for t in self.terms])

    @cached_property
    def theta_map(self) -> np.ndarray:
        """F with Λ̃(θ) = Σ θ_k F_k for lme4's θ, shape (m, r, Σq)."""
        return stack_maps([np.matmul(t.K, factor_basis(t.structure, t.q)) for t in self.terms])

    @cached_property
    def covariance_map(self) -> np.ndarray:
        """D with T̃ = Σ t_k D_k, shape (m, r, r)."""
        return np.concatenate([t.S @ covariance_basis(t.structure, t.q) @ t.S.T for t in self.terms])

    @cached_property
    def gram(self) -> Gram:
        """Inner products of the directions in which V can move."""
        return gram(self.blocks, self.covariance_map)


def stack_maps(blocks: list[np.ndarray]) -> np.ndarray:
    """Maps (m_k, r, w_k) of the terms as one (Σm, r, Σw), each acting on its own columns of Λ̃."""
    m, q = sum(len(b) for b in blocks), sum(b.shape[2] for b in blocks)
    F = np.zeros((m, blocks[0].shape[1], q))
    i = j = 0
    for b in blocks:
        F[i : i + len(b), :, j : j + b.shape[2]] = b
        i, j = i + len(b), j + b.shape[2]
    return F


def working_model(design: Any) -> Working:
    """Whiten, centre and scale a design of one grouping factor and form its cross-products.

    Parameters
    ----------
    design : Design
        Anything with `y`, `X`, `fixed_names`, `weights`, `offset` and `terms` (each with `matrix`, `names`,
        `structure`, `codes`, `levels`); X of full column rank.

    Raises
    ------
    ModelError
        If the response is reproduced to rounding, by the fixed effects or within every group.
    """
    y = design.y if design.offset is None else design.y - design.offset
    weight = 1.0 if design.weights is None else float(np.mean(design.weights))
    root = None if design.weights is None else np.sqrt(design.weights / weight)
    columns = Columns(len(y), root)
    R, x_index, Xw, G = fixed_basis(design, columns)
    z_index, K = random_basis(design, columns)
    beta, e = least_squares(y, Xw, G, columns)
    digits = float(np.linalg.norm(e) / max(np.linalg.norm(y if root is None else root * y), np.finfo(float).tiny))
    _refuse_exact(design, digits <= _EXACT, "the fixed effects reproduce")
    codes, n_groups = design.terms[0].codes, len(design.terms[0].levels)
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights / weight).sum())

    def blocks_about(e: np.ndarray) -> tuple[Blocks, float, tuple[Any, ...]]:
        scale = float(np.sqrt(e @ e / len(e))) or 1.0
        rows = ([*columns.whitened, e / scale], z_index, [*x_index, len(columns.whitened)], codes)
        return blocks_of(group_moments(*rows, n_groups)), scale, rows

    groups, e_scale, rows = blocks_about(e)
    if (shift := within_estimate(groups)) is not None:
        beta += e_scale * shift
        groups, e_scale, rows = blocks_about(e - e_scale * sum(b * x for b, x in zip(shift, Xw, strict=True)))
        groups = within_by_rows(groups, *rows)
        left, dof = within_residual(groups)
        _refuse_exact(design, dof > 0 and left <= (_EXACT / digits) ** 2 * groups.n, "the model reproduces")
    terms = tuple(_term(t, np.sqrt(weight) * k) for t, k in zip(design.terms, K, strict=True))
    return Working(merge(groups), groups, terms, R, beta, e_scale, np.sqrt(weight), log_weights)


def _refuse_exact(design: Any, exact: bool, what: str) -> None:
    if exact:
        raise ModelError(
            f"{what} the response `{design.response}` exactly, to the last digit of its numbers, so no residual "
            "variance is left to estimate and the likelihood grows without bound. Check whether the response was "
            "computed from the other columns, or carries a constant so large that its digits are lost; otherwise "
            "leave out fixed or random effects."
        )


def _term(term: Any, K: np.ndarray) -> Term:
    """Working parameterisation of a term: its own block of Z̃ where K is square there, else scaled columns."""
    q = K.shape[1]
    rows = np.flatnonzero(np.abs(K).sum(axis=1))
    if term.structure == "us" and len(rows) == q and _invertible(K[rows]):
        S = np.zeros_like(K)
        S[rows, np.arange(q)] = 1.0
        return Term("us", K, S, K[rows], np.ones(q) if _absorbs_means(K) else _spreads(term))
    size = np.sqrt((K**2).sum(axis=0))
    size[size == 0.0] = 1.0  # a column of zeros has no effect, and is named as a flat direction
    scale = np.full(q, np.sqrt(np.mean(size**2))) if term.structure == "homdiag" else size
    return Term(term.structure, K, K / scale, scale, _spreads(term))


def _invertible(K: np.ndarray) -> bool:
    """Whether distinct columns of Z̃ stand behind a term's; means of any size do not matter."""
    size = np.abs(K).max(axis=0)
    return bool(np.all(size > 0)) and np.linalg.matrix_rank(K / size) == len(K)


def _absorbs_means(K: np.ndarray) -> bool:
    """Whether a square term has an intercept of its own, so that its other columns are centred."""
    return bool(np.any(np.count_nonzero(K, axis=1) > 1)) or np.count_nonzero(K) == 1


def _spreads(term: Any) -> np.ndarray:
    return np.array([_relative_spread(column) for column in term.matrix.T])


def _relative_spread(column: np.ndarray) -> float:
    """Standard deviation over root mean square; 1 for a constant, which is told from nothing else."""
    square, mean = float(column @ column) / len(column), float(column.mean())
    variance = square - mean**2
    return float(np.sqrt(variance / square)) if variance > 1e-14 * square else 1.0
