"""The dense oracle: a linear mixed model from its definition, with V built row by row.

    y = o + X beta + sum_t Z_t b_t + e,   b_t ~ N(0, sigma^2 A_t (x) T_t),   e ~ N(0, sigma^2 R)

with a term t for each bar of the formula (any number of grouping factors, or none), T_t the covariance of one level's
effects (`structures`), A_t that of its levels, known (I unless given), and R that of the residuals (`residual_laws`;
W^-1 unless given). So Var(y) = sigma^2 V with V = sum_t Z_t (A_t (x) T_t) Z_t' + R. Everything below is read off that
normal law, costs O(n^3), and shares no line with the fast path: it makes its own Z, Lambda and R, factorises V
itself and never forms a cross-product. It is slow on purpose and is what the fast path is tested against.

`theta` is all parameters: those of the terms, then phi, those of the residuals, on their natural scale.

References
----------
Harville, D. A. (1977). Maximum likelihood approaches to variance component estimation and to related
problems. J. Amer. Statist. Assoc. 72, 320-338 (P, and the derivatives of both likelihoods).
Bates, D., Maechler, M., Bolker, B., Walker, S. (2015). Fitting linear mixed-effects models using lme4.
J. Statist. Softw. 67(1) (theta, Lambda, and what the criterion contains).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag, qr, solve_triangular

from lmmtools.crosscheck.residual_laws import ResidualLaw
from lmmtools.crosscheck.rounding import Rounding
from lmmtools.crosscheck.structures import Structure, structure_of
from lmmtools.errors import ModelError
from lmmtools.formats import counted, format_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_ROWS", "DenseFit", "DenseModel", "DenseTerm", "dense_model", "square"]

MAX_ROWS = 2000  # V is n x n: 32 MB and ten seconds of work for a check here, and the cube of n from here on


@dataclass(frozen=True)
class DenseTerm:
    """One covariance block: columns `matrix` (n, q), level numbers `codes` (n,), and its structure.

    `structure` is a name or a user's object; `positions` (q,) are those of an autoregression. `known` (J, k) is a root
    of the known covariance A of the levels: Cov(b) = sigma^2 A (x) T, with A = known known' or, by default, I.
    """

    factor: str
    matrix: NDArray
    codes: NDArray
    structure: Any = "us"
    positions: NDArray | None = None
    known: NDArray | None = None

    @property
    def n_levels(self) -> int:
        """Levels of the grouping factor."""
        return int(np.max(self.codes)) + 1 if self.known is None else len(self.known)

    @cached_property
    def law(self) -> Structure:
        """The structure of one level's effects."""
        return structure_of(self.structure, self.matrix.shape[1], self.positions)

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters of the block."""
        return self.law.m

    def factor_of(self, theta: NDArray) -> NDArray:
        """A relative covariance factor (q, k) of one level's effects at the block's own slice of theta."""
        return self.law.root(theta)

    def levels_root(self) -> NDArray:
        """A root (J, k) of the covariance of the levels."""
        return np.eye(self.n_levels) if self.known is None else np.asarray(self.known, dtype=float)


@dataclass(frozen=True)
class DenseFit:
    """Everything the normal law says at one theta, beta and sigma profiled out (arrays as in DenseModel)."""

    theta: NDArray
    criterion: float
    beta: NDArray
    vcov: NDArray
    sigma: float
    modes: NDArray
    modes_cov: NDArray
    fitted: NDArray

    @property
    def stderr(self) -> NDArray:
        """Standard errors of beta (p,)."""
        return np.sqrt(np.diag(self.vcov))


@dataclass(frozen=True)
class DenseModel:
    """A mixed model held as dense arrays.

    Parameters
    ----------
    y : ndarray (n,)
        Response, offset not yet subtracted.
    X : ndarray (n, p)
        Fixed-effects matrix of full column rank; p may be 0.
    terms : tuple of DenseTerm
        Random-effects blocks, in the order in which theta runs through them; there may be none.
    weights, offset : ndarray (n,) or None
        Precision weights, Var(e_i) = sigma^2 / w_i, and known part of the mean.
    reml : bool
        Which criterion.
    residual : Residual or None
        The structure of the residuals, as a design holds it.

    Raises
    ------
    ModelError
        If there are more than `MAX_ROWS` rows.
    """

    y: NDArray
    X: NDArray
    terms: tuple[DenseTerm, ...]
    weights: NDArray | None = None
    offset: NDArray | None = None
    reml: bool = True
    residual: Any = None

    def __post_init__(self) -> None:
        """Refuse a V that would not fit in memory."""
        if len(self.y) > MAX_ROWS:
            raise ModelError(
                f"The dense oracle builds V with {square(len(self.y))} entries; its limit is "
                f"{counted(MAX_ROWS, 'row')}. Check a subset of the groups, or use another engine."
            )

    @property
    def dof(self) -> int:
        """Divisor of sigma^2: n - p under REML, n under ML."""
        return len(self.y) - (self.X.shape[1] if self.reml else 0)

    @cached_property
    def Z(self) -> NDArray:
        """Random-effects matrix (n, Q): columns by term, then level, then effect."""
        return np.hstack([np.zeros((len(self.y), 0)), *(self.spread(t.matrix, t.codes, t) for t in self.terms)])

    @staticmethod
    def spread(matrix: NDArray, codes: NDArray, term: DenseTerm) -> NDArray:
        """Columns of Z for one term on any rows; rows with code -1 (a new level) are zero."""
        q = term.matrix.shape[1]
        out = np.zeros((len(codes), term.n_levels * q))
        for i, level in enumerate(codes):
            if level >= 0:
                out[i, level * q : (level + 1) * q] = matrix[i]
        return out

    def Lambda(self, theta: NDArray) -> NDArray:
        """Relative covariance factor (Q, K) of all random effects."""
        if not self.terms:
            return np.zeros((0, 0))
        return block_diag(*(np.kron(term.levels_root(), block) for block, term in self.blocks(theta)))

    def blocks(self, theta: NDArray) -> list[tuple[NDArray, DenseTerm]]:
        """The (q, k) factor of every term, with the term."""
        return [(term.factor_of(part), term) for part, term in zip(self.split(theta), self.terms, strict=True)]

    def split(self, theta: NDArray) -> list[NDArray]:
        """Each term's own part of theta."""
        cuts = np.cumsum([term.n_theta for term in self.terms], dtype=int)
        return np.split(np.asarray(theta, dtype=float), cuts)[:-1]

    def phi(self, theta: NDArray) -> NDArray:
        """The parameters of the residuals: theta beyond the terms' own."""
        return np.asarray(theta, dtype=float)[sum(term.n_theta for term in self.terms) :]

    @cached_property
    def law(self) -> ResidualLaw | None:
        """The structure of the residuals, if there is one."""
        return None if self.residual is None else ResidualLaw(self.residual, len(self.y), self.weights)

    @property
    def bounds(self) -> NDArray:
        """Lowest and highest value of each theta, (m, 2)."""
        own = [] if self.law is None else [self.law.bounds]
        return np.vstack([np.zeros((0, 2)), *(term.law.bounds for term in self.terms), *own])

    @property
    def open(self) -> NDArray:
        """Which of the bounds are not themselves values, (m, 2)."""
        terms = np.zeros((sum(term.n_theta for term in self.terms), 2), dtype=bool)
        return terms if self.law is None else np.vstack([terms, self.law.open])

    def R(self, theta: NDArray) -> NDArray:
        """Covariance of the residuals over sigma^2, (n, n)."""
        if self.law is not None:
            return self.law.R(self.phi(theta))
        return np.diag(np.ones(len(self.y)) if self.weights is None else 1.0 / self.weights)

    def V(self, theta: NDArray) -> NDArray:
        """Marginal covariance over sigma^2, (n, n)."""
        ZL = self.Z @ self.Lambda(theta)
        return ZL @ ZL.T + self.R(theta)

    @property
    def response(self) -> NDArray:
        """The response less its offset (n,)."""
        return self.y if self.offset is None else self.y - self.offset

    def criterion(self, theta: NDArray) -> float:
        """-2 log-likelihood (restricted under REML) with all constants, beta and sigma profiled out."""
        whitened = _whiten(self, theta)
        restricted = whitened.logdet_x if self.reml else 0.0
        return whitened.logdet_v + restricted + self.dof * (1 + np.log(2 * np.pi * whitened.r2 / self.dof))

    def fit_at(self, theta: NDArray) -> DenseFit:
        """
        Estimates, standard errors, conditional modes and their covariance at a given theta.

        Parameters
        ----------
        theta : ndarray, shape (m,)

        Returns
        -------
        DenseFit

        Raises
        ------
        numpy.linalg.LinAlgError
            If V is singular to working precision, or no covariance of the residuals has these parameters.
        """
        w = _whiten(self, theta)
        sigma = np.sqrt(w.r2 / self.dof)
        T = self.Lambda(theta) @ self.Lambda(theta).T
        cov_by = T @ self.Z.T  # Cov(b, y) over sigma^2
        half = solve_triangular(w.L, cov_by.T, lower=True)
        modes = half.T @ w.e  # E(b | y) = T Z' V^-1 (y - X beta)
        noise = solve_triangular(w.L, w.e, lower=True, trans="T")  # R^-1 E(e | y) = V^-1 (y - X beta)
        return DenseFit(
            theta=np.asarray(theta, dtype=float),
            criterion=self.criterion(theta),
            beta=w.beta,
            vcov=sigma**2 * w.inverse_x,
            sigma=float(sigma),
            modes=modes,
            modes_cov=sigma**2 * (T - half.T @ half),  # Var(b | y), beta known: lme4's condVar
            fitted=self.y - self.R(theta) @ noise,  # X beta + Z b may cancel
        )

    def rounding(self, theta: NDArray) -> Rounding:
        """What rounding leaves of the estimates at a given theta."""
        w = _whiten(self, theta)
        R = self.R(theta)
        scale = 1.0 / np.sqrt(np.diag(R))[:, None]
        # rows scaled to a unit diagonal of R, of eigenvalues low ... high: those of V lie in [low, high + |ZL|^2]
        low, high = (1.0, 1.0) if self.law is None else np.linalg.eigvalsh(scale * R * scale.T)[[0, -1]]
        Z, Lambda = scale * self.Z, self.Lambda(theta)
        carried = 1.0 if self.law is None else self.law.amplification(self.phi(theta))
        # the products Z L carry errors of |Z||L| eps, and R those of its parameters
        sizes = [_norm(np.abs(Z) @ np.abs(Lambda)), _norm(Z @ Lambda)]
        size = np.abs(self.response) + np.abs(self.X) @ np.abs(w.beta)
        return Rounding(
            n=len(self.y),
            condition=float(carried * (np.sqrt(high) + sizes[0]) * (np.sqrt(high) + sizes[1]) / low),
            S=w.LX.T @ w.LX,
            beta=w.beta,
            y_norm=float(np.linalg.norm(scale[:, 0] * size) / np.sqrt(low)),
            q=w.r2,
        )

    def by_factor(self, fit: DenseFit) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Modes (J, q) and covariances (J, q, q) of each factor, the columns of its terms side by side."""
        columns: dict[str, list[NDArray]] = {}
        start = 0
        for term in self.terms:
            size = term.n_levels * term.matrix.shape[1]
            places = np.arange(start, start + size).reshape(term.n_levels, -1)
            columns.setdefault(term.factor, []).append(places)
            start += size
        where = {factor: np.hstack(parts) for factor, parts in columns.items()}
        modes = {factor: fit.modes[at] for factor, at in where.items()}
        covariances = {
            factor: np.array([fit.modes_cov[np.ix_(level, level)] for level in at]) for factor, at in where.items()
        }
        return modes, covariances


@dataclass(frozen=True)
class _Whitened:
    """L L' = V and the generalised least squares solution in whitened coordinates."""

    L: NDArray
    LX: NDArray
    beta: NDArray
    e: NDArray
    logdet_v: float
    logdet_x: float
    inverse_x: NDArray

    @property
    def r2(self) -> float:
        return float(self.e @ self.e)


def _norm(A: NDArray) -> float:
    """A bound of the spectral norm: the root of the largest sums of a column and of a row."""
    return float(np.sqrt(np.linalg.norm(A, 1) * np.linalg.norm(A, np.inf))) if A.size else 0.0


def square(n: int) -> str:
    """``"7185 × 7185"``."""
    return f"{format_value(n, 'int')} × {format_value(n, 'int')}"


def _whiten(model: DenseModel, theta: NDArray) -> _Whitened:
    L = np.linalg.cholesky(model.V(theta))
    LX = solve_triangular(L, model.X, lower=True)
    Ly = solve_triangular(L, model.response, lower=True)
    Q, R = qr(LX, mode="economic")  # never X'V^-1 X: its condition number is the square of this one's
    beta = solve_triangular(R, Q.T @ Ly)
    Rinv = solve_triangular(R, np.eye(R.shape[0]))
    return _Whitened(
        L=L,
        LX=LX,
        beta=beta,
        e=Ly - LX @ beta,
        logdet_v=2 * float(np.log(np.diag(L)).sum()),
        logdet_x=2 * float(np.log(np.abs(np.diag(R))).sum()),
        inverse_x=Rinv @ Rinv.T,
    )


def dense_model(design: Any, *, reml: bool = True) -> DenseModel:
    """
    Copy a Design's raw arrays into a DenseModel: y, X, each term's matrix, codes, structure and known root.

    The structure of the residuals is taken as it is: its arrays are frozen.

    Parameters
    ----------
    design : Design
    reml : bool
        Which criterion.

    Returns
    -------
    DenseModel

    Raises
    ------
    ModelError
        If there are more than `MAX_ROWS` rows.
    """
    terms = tuple(
        DenseTerm(
            factor=t.factor,
            matrix=np.array(t.matrix, dtype=float),
            codes=np.array(t.codes),
            structure=t.structure,
            positions=t.positions,
            known=t.known_root,
        )
        for t in design.terms
    )
    return DenseModel(
        y=np.array(design.y, dtype=float),
        X=np.array(design.X, dtype=float),
        terms=terms,
        weights=None if design.weights is None else np.array(design.weights, dtype=float),
        offset=None if design.offset is None else np.array(design.offset, dtype=float),
        reml=reml,
        residual=design.residual,
    )
