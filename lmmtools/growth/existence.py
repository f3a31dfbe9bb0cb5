"""Whether the likelihood has a maximum: decided from dimensions and ranks, before anything is estimated.

Σ scalar: −2 log L → −∞ if and only if GBX' can be Y itself.

Σ diagonal: profiled over Σ the deviance is n Σ_j log(S_jj + ‖u_j − A x_j‖²), up to constants, with S = Y'(I − P_G)Y,
u_j the columns of U and x_j the rows of Q_X. It is unbounded if and only if S_jj = 0 for some occasion j at which the
curves can be put through the observations: x_j ≠ 0, or these are zero themselves.

Σ free: with Y_1 = YQ_X and Y_2 = YQ_2 the likelihood is that of Y_2 ~ N(0, Σ_22) times that of the regression of Y_1 on
G and Y_2, and their parameters vary independently (Khatri 1966; Rao 1965). So it is bounded if and only if Y_2 has rank
m − p and what that regression leaves of Y_1 has rank p; B is determined if also (I − P_G)Y_2 has rank m − p, and all
three together say that S has rank m. Rows of (I − P_G)Y span n − rank(G) dimensions at most: S is singular whenever
n − rank(G) < m.

Σ = XΩX' + σ²I: with T as in `components`, log det Σ = log det T + (m − p) log σ², where σ² is held away from zero by
‖Y_2‖² > 0, and T by T ⪰ σ²I if Ω ⪰ 0: then the likelihood is bounded, however many columns G has. If Ω may be
indefinite T can vanish where (I − P_G)Y_1 does, so it is bounded if and only if that has rank p too. With m = p any Σ
is an XΩX' + σ²I, for every σ² that is small enough: Ω and σ² cannot be told apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError, UnboundedLikelihood
from lmmtools.formats import counted, quoted
from lmmtools.growth.problem import Problem
from lmmtools.growth.structures import RANDOM

__all__ = ["exact_occasions", "null_space", "require_maximum"]

_ROUNDING = 1e-12  # of a residual, relative to the observations that it was subtracted from
_SINGULAR = 1e-10  # a singular value of residuals of length one
_NONE = 1e-8  # of a direction of length one


def require_maximum(problem: Problem, structure: str, occasions: pd.Index) -> None:
    """Refuse a model whose likelihood has no maximum on these data.

    Parameters
    ----------
    problem : Problem
    structure : {"scalar", "diagonal", "free", "random", "random, unrestricted"}
        Of Σ.
    occasions : pd.Index, shape (m,)
        For the message.

    Raises
    ------
    UnboundedLikelihood
        If −2 log L falls without bound.
    ModelError
        If the likelihood is bounded, and no one B maximises it; or if Ω and σ² cannot be told apart.
    """
    if structure in RANDOM:
        _random(problem, structure)
        return
    if problem.n == 1 and structure != "scalar":
        raise UnboundedLikelihood(
            f"sigma='{structure}': Y has one subject, so a curve can go through its observation at an occasion and the "
            "variance there goes to zero; no estimate exists. Use more subjects, or sigma='scalar'."
        )
    {"scalar": _scalar, "diagonal": _diagonal, "free": _free}[structure](problem, occasions)


def _zero(residuals: np.ndarray, problem: Problem, whole: bool = False) -> np.ndarray:
    """Columns that are no more than rounding of those of Y, or of the whole of it."""
    return np.linalg.norm(residuals, axis=0) <= _ROUNDING * np.linalg.norm(problem.Y, axis=None if whole else 0)


def _sizes(problem: Problem) -> str:
    n, g = problem.n, problem.g
    return f"{counted(n, 'subject')}, rank(G) = {g}, {counted(problem.m, 'occasion')}, rank(X) = {problem.p}"


def _scalar(problem: Problem, occasions: pd.Index) -> None:
    if _zero(problem.residuals(problem.least_squares), problem).all():
        raise UnboundedLikelihood(
            f"sigma='scalar': the curves go through every observation ({_sizes(problem)}), so σ² would be zero and the "
            "deviance falls without bound; no estimate exists. Leave columns out of between or within."
        )


def _diagonal(problem: Problem, occasions: pd.Index) -> None:
    bad = exact_occasions(problem)
    if not bad.any():
        return
    if problem.n == problem.g:
        why = (
            f"rank(G) = {problem.g} gives each of {counted(problem.n, 'subject')} a curve of its own, and these can be "
            f"put through every observation at an occasion, such as `{occasions[np.argmax(bad)]}`"
        )
        remedy = "fewer columns in between ('equal', or by group), sigma='scalar', or random coefficients by fit_lmm"
    else:
        why = (
            f"G reproduces the observations at {quoted(occasions[bad], 5)} exactly (no variation is left there within "
            "its groups), and the curves can go through them"
        )
        remedy = "sigma='scalar', or leave such occasions out"
    raise UnboundedLikelihood(
        f"sigma='diagonal': {why}. The variance there goes to zero and the deviance n log σ² to −∞ with it; no "
        f"estimate exists ({_sizes(problem)}). Use {remedy}."
    )


def exact_occasions(problem: Problem) -> np.ndarray:
    """Whether curves can go through all observations at an occasion, shape (m,)."""
    reached = np.linalg.norm(problem.within[0], axis=1) > _NONE  # relative to an orthonormal basis
    exact = (problem.n == problem.g) | _zero(problem.E, problem)
    return exact & (reached | ~problem.Y.any(axis=0))


def _free(problem: Problem, occasions: pd.Index) -> None:
    n, g, m = problem.n, problem.g, problem.m
    N = null_space(problem)
    if not N.shape[1]:
        return
    rank = m - N.shape[1]
    reached = np.linalg.norm(problem.within[0].T @ N, axis=0).max() > _NONE
    if n - g < m:
        why = (
            f"{counted(n, 'subject')} less rank(G) = {g} leave S = Y'(I − P_G)Y of rank {rank}, and a free Σ of "
            f"{counted(m, 'occasion')} needs {m}"
        )
        fewer = f"at most {counted(n - m, 'column')} in between" if n > m else "more subjects or fewer occasions"
        remedy = f"Use {fewer}, a simpler sigma, or random coefficients by fit_lmm"
    else:
        involved = occasions[np.abs(N).max(axis=1) > _NONE]
        many = f"a combination of the observations at {quoted(involved, 6)} does" if len(involved) > 1 else (
            f"the observations at {quoted(involved)} do")  # fmt: skip
        why = f"S = Y'(I − P_G)Y has rank {rank} of {m}: {many} not vary once G is taken account of"
        remedy = f"Leave {'one' if len(involved) > 1 else 'it'} out, or use a simpler sigma"
    left = problem.Y @ N
    if not reached and np.linalg.matrix_rank(left, tol=_ROUNDING * np.linalg.norm(problem.Y)) == N.shape[1]:
        raise ModelError(
            f"sigma='free': {why}. X does not reach that combination, so the likelihood is bounded, but B and the "
            f"covariances that it is adjusted by cannot be told apart. {remedy}."
        )
    raise UnboundedLikelihood(
        f"sigma='free': {why}. Some combination of occasions can be fitted exactly, its variance goes to zero and the "
        f"deviance n log det Σ to −∞ with it; no estimate exists. {remedy}."
    )


def _random(problem: Problem, structure: str) -> None:
    p, m, sigma = problem.p, problem.m, f"sigma='{structure}'"
    if p == m:
        raise ModelError(
            f"{sigma}: X has {counted(p, 'column')} for {counted(m, 'occasion')}, so XΩX' alone is any covariance "
            "matrix and σ² cannot be told from Ω. Use fewer columns in within, or sigma='free'."
        )
    if _zero(problem.Y @ problem.within[2], problem, whole=True).all():
        raise UnboundedLikelihood(
            f"{sigma}: the curves can go through every observation ({_sizes(problem)}), so σ² would be zero and the "
            "deviance falls without bound; no estimate exists. Leave columns out of within."
        )
    lost = _unexplained(problem).shape[1]
    if structure == "random" or not lost:
        return
    few = f"{counted(problem.n, 'subject')} less rank(G) = {problem.g} leave" if problem.n - problem.g < p else (
        "once G is taken account of, the data leave")  # fmt: skip
    raise UnboundedLikelihood(
        f"{sigma}: {few} the least-squares coefficients of the subjects a covariance of rank {p - lost} of {p}. Where "
        "it is singular Ω can go to −σ²(X'X)⁻¹: Σ becomes singular there, and the deviance n log det Σ falls without "
        "bound; no estimate exists. Use sigma='random', whose Ω is a covariance matrix, or fewer columns in between."
    )


def _unexplained(problem: Problem) -> np.ndarray:
    """Orthonormal directions of the coefficients in which (I − P_G)YQ_X is zero, shape (p, p − rank)."""
    E1 = problem.E @ problem.within[0]
    _, values, rows = np.linalg.svd(np.linalg.qr(E1, mode="r"))
    rounding = 100.0 * np.finfo(float).eps * np.linalg.norm(problem.Y)
    rank = int(np.sum(values > max(_SINGULAR * values[0], rounding)))
    return rows[min(rank, problem.n - problem.g) :].T


def null_space(problem: Problem) -> np.ndarray:
    """Orthonormal directions of the occasions in which (I − P_G)Y is zero, shape (m, m − rank)."""
    E, m = problem.E, problem.m
    length = np.linalg.norm(E, axis=0)
    zero = _zero(E, problem)
    scale = np.where(zero | (length == 0.0), 1.0, length)
    whole = np.linalg.norm(problem.Y, axis=0)
    blurred = 100.0 * np.finfo(float).eps * float(np.max(np.where(zero, 0.0, whole / scale)))
    _, values, rows = np.linalg.svd(np.linalg.qr(np.where(zero, 0.0, E / scale), mode="r"))  # no n × n basis
    rank = int(np.sum(values > max(_SINGULAR, blurred) * max(values[0], _NONE)))
    rank = min(rank, problem.n - problem.g)
    N = rows[rank:].T / scale[:, None]  # (E / scale) v = E (v / scale)
    return np.linalg.qr(N)[0] if N.shape[1] else np.empty((m, 0))
