"""Covariance structures of a random-effects term: θ ↦ Λ with Var(b) = σ²ΛΛ', those that are linear in θ.

Each structure is its basis (E₁, …, E_m): Λ(θ) = Σ θ_k E_k, and its linear space of relative covariance
matrices T = ΛΛ'. `us` fills the lower triangle column by column, as lme4 does (Bates, Mächler, Bolker & Walker
2015, J. Stat. Softw. 67(1), eq. 12 ff.); `diag` has a free diagonal; `homdiag` is one number times the identity.
The structures that are not linear stand in `structures/`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

__all__ = [
    "LINEAR",
    "STRUCTURES",
    "combine",
    "cholesky_psd",
    "covariance_basis",
    "factor_basis",
    "lower_factor",
    "n_theta",
    "theta_names",
    "theta_of",
]

LINEAR = ("us", "diag", "homdiag")
_COMMON, _OWN = ("homcs", "ar1"), ("cs", "hetar1")  # one correlation, with one variance and with own ones
STRUCTURES = LINEAR


@lru_cache(maxsize=64)
def _positions(structure: str, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the parameters in Λ; `homdiag` has its single one at (0, 0)."""
    if structure == "us":
        columns, rows = np.triu_indices(q)
        return rows, columns
    return (np.arange(q),) * 2 if structure == "diag" else (np.zeros(1, dtype=int),) * 2


def n_theta(structure: Any, q: int) -> int:
    """Number of parameters of a structure over q effects; a user's own says it itself."""
    if not isinstance(structure, str):
        return int(structure.n_theta(q))
    if structure in _COMMON + _OWN:
        return (1 if structure in _COMMON else q) + (q > 1)
    return len(_positions(structure, q)[0])


@lru_cache(maxsize=64)
def factor_basis(structure: str, q: int) -> np.ndarray:
    """Basis E of Λ: shape (m, q, q), Λ(θ) = Σ θ_k E_k. Read-only."""
    if structure == "homdiag":
        E = np.eye(q)[None]
    else:
        rows, columns = _positions(structure, q)
        E = np.zeros((len(rows), q, q))
        E[np.arange(len(rows)), rows, columns] = 1.0
    E.setflags(write=False)
    return E


@lru_cache(maxsize=64)
def covariance_basis(structure: str, q: int) -> np.ndarray:
    """Basis D of the linear space of T: shape (m, q, q), symmetric, T = Σ t_k D_k. Read-only."""
    E = factor_basis(structure, q)
    D = np.minimum(E + E.transpose(0, 2, 1), 1.0)
    D.setflags(write=False)
    return D


def combine(theta: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Σ θ_k basis_k, shape (a, b) of a basis of shape (m, a, b)."""
    return (theta @ basis.reshape(len(basis), -1)).reshape(basis.shape[1:])


def theta_of(structure: str, Lambda: np.ndarray) -> np.ndarray:
    """The θ of a factor of this structure, shape (m,)."""
    return Lambda[_positions(structure, len(Lambda))]


def theta_names(structure: Any, factor: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of θ.

    ``Subject.Intercept`` is the relative sd (or the diagonal element of Λ) of one effect, ``Subject`` that of all
    effects of a structure with one variance, ``Subject.Days.Intercept`` an element of Λ below the diagonal, and
    ``Subject.cor`` the correlation of `cs`, `homcs`, `ar1` and `hetar1`. A user's structure names its own.
    """
    if not isinstance(structure, str):
        return tuple(f"{factor}.{name}" for name in structure.names(tuple(names)))
    if structure in _COMMON + _OWN:
        sds = (factor,) if structure in _COMMON else tuple(f"{factor}.{name}" for name in names)
        return (*sds, f"{factor}.cor") if len(names) > 1 else sds
    if structure == "homdiag":
        return (factor,)
    return tuple(
        f"{factor}.{names[i]}" if i == j else f"{factor}.{names[i]}.{names[j]}"
        for i, j in zip(*_positions(structure, len(names)), strict=True)
    )


def cholesky_psd(T: np.ndarray) -> np.ndarray:
    """Lower-triangular L with LL' = T and a non-negative diagonal, for a T that may be singular.

    From the LQ factor of T's symmetric square root, so that no pivot is ever divided by. Negative eigenvalues
    (rounding, or a moment estimate outside the cone) count as zero.
    """
    values, vectors = np.linalg.eigh(T)
    return lower_factor(vectors * np.sqrt(np.maximum(values, 0.0)))


def theta_of_covariance(structure: str, T: np.ndarray) -> np.ndarray:
    """The θ of a T of a linear structure, shape (m,); T may be singular."""
    if structure == "us":
        return theta_of(structure, cholesky_psd(T))
    # not by a Cholesky factor, whose columns stand elsewhere where a variance is zero
    return theta_of(structure, np.diag(np.sqrt(np.maximum(np.diagonal(T), 0.0))))


def lower_factor(F: np.ndarray) -> np.ndarray:
    """Lower-triangular L, non-negative diagonal, with LL' = FF'; F has shape (q, s), L (q, min(q, s))."""
    R = np.linalg.qr(F.T, mode="r")
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return (R * signs[:, None]).T
