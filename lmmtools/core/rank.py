"""Which columns of a model matrix are combinations of earlier ones, and of which.

R's rule (LINPACK's ``dqrdc2``): columns are taken from the left, and one whose part orthogonal to the
columns kept so far is shorter than `tolerance` times its own length is dropped. Lengths are those of the
columns after centring when the first column is constant, so that a large mean is not mistaken for
collinearity: R drops the cube of a calendar year, this does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["TOLERANCE", "Dependence", "Rank", "column_rank"]

TOLERANCE = 1e-7  # R's qr(tol=); cross-products square it, which just stays above rounding (2e-16)
_CLEAR = 1e-4  # orthogonal parts above this are seen in the cross-products without doubt (their square is 1e-8)
_CONSTANT = 1e-12  # deviations this small beside the mean are rounding, not data
_ROWS = 16_384  # rows centred at a time: a block of a few columns stays in the processor's cache


@dataclass(frozen=True)
class Dependence:
    """A dropped column: ``X[:, column] == X[:, kept] @ coefficients`` to rounding.

    Attributes
    ----------
    column : int
        Its place in X.
    coefficients : ndarray, shape (rank,)
        Multipliers of the kept columns, exact zeros where they do not take part.
    """

    column: int
    coefficients: np.ndarray


@dataclass(frozen=True)
class Rank:
    """The independent columns of a matrix and what the others repeat.

    Attributes
    ----------
    kept : ndarray, shape (rank,)
        Places of the columns that stay, increasing.
    dropped : tuple of Dependence
        The others, in their order.
    """

    kept: np.ndarray
    dropped: tuple[Dependence, ...]


def column_rank(X: np.ndarray, tolerance: float = TOLERANCE) -> Rank:
    """Independent columns of `X`, earlier ones preferred.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite numbers.
    tolerance : float
        Length of a column's orthogonal part, relative to the (centred) column, below which it is dropped.

    Returns
    -------
    Rank

    Notes
    -----
    The Cholesky factor of the centred, scaled cross-products has these relative lengths on its diagonal;
    where they are all large, and that is nearly always, it settles the matter in one pass over the rows.
    Otherwise columns are orthogonalised one by one, twice each ("twice is enough"), which is as stable as
    Householder's QR.

    References
    ----------
    Giraud, L., Langou, J. and Rozloznik, M. (2005). The loss of orthogonality in the Gram-Schmidt
    orthogonalization process. Computers & Mathematics with Applications 50, 1069-1075.
    """
    n, p = X.shape
    if p == 0:
        return Rank(np.empty(0, dtype=np.intp), ())
    centre, scale, gram = _moments(X)
    if n >= p and _clearly_independent(gram, scale):
        return Rank(np.arange(p), ())
    return _orthogonalise(X, centre, scale, tolerance)


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What to subtract from each column, the length of what is left (0: nothing is), and its cross-products."""
    n, p = X.shape
    centre, gram = np.zeros(p), np.zeros((p, p))
    first = X[:, 0]
    constant = n > 0 and first[0] != 0 and first.min() == first.max()
    if constant:
        centre[1:] = X[:, 1:].mean(axis=0)
    for i in range(0, n, _ROWS):
        block = X[i : i + _ROWS] - centre
        gram += block.T @ block
    scale = np.sqrt(np.diag(gram))
    if constant:
        scale[np.abs(centre) * (_CONSTANT * np.sqrt(n)) >= scale] = 0.0  # another constant column
    return centre, scale, gram


def _clearly_independent(gram: np.ndarray, scale: np.ndarray) -> bool:
    if not scale.all():
        return False
    try:
        factor = np.linalg.cholesky(gram / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return False
    return bool(np.diag(factor).min() > _CLEAR)


def _orthogonalise(X: np.ndarray, centre: np.ndarray, scale: np.ndarray, tolerance: float) -> Rank:
    n, p = X.shape
    Q = np.empty((n, min(n, p)), order="F")
    R = np.zeros((min(n, p), p))  # centred X[:, j] = Q R[:, j] for kept columns
    kept, dropped = [], []
    for j in range(p):
        rest = X[:, j] - centre[j]
        done = Q[:, : len(kept)]
        for _ in range(2):
            part = done.T @ rest
            rest -= done @ part
            R[: len(kept), j] += part
        length = np.linalg.norm(rest)
        if scale[j] > 0 and length > tolerance * scale[j] and len(kept) < n:
            R[len(kept), j] = length
            Q[:, len(kept)] = rest / length
            kept.append(j)
        else:
            dropped.append(j)
    places = np.array(kept, dtype=np.intp)
    return Rank(places, tuple(_dependence(X, j, places, R, centre, scale) for j in dropped))


def _dependence(
    X: np.ndarray, j: int, kept: np.ndarray, R: np.ndarray, centre: np.ndarray, scale: np.ndarray
) -> Dependence:
    """Column j in terms of the columns kept before it, the centring undone."""
    before = kept[kept < j]
    coefficients = np.zeros(len(kept))
    if len(before) == 0:
        return Dependence(j, coefficients)
    k = len(before)
    inner = np.linalg.solve(R[:k, before], R[:k, j])
    size = np.abs(inner) * scale[before]
    inner[size <= 1e-9 * max(scale[j], np.abs(centre[j]))] = 0.0
    coefficients[:k] = inner
    if centre.any():  # the first column is constant and carries the means
        rest = centre[j] - centre[before] @ inner + X[0, 0] * inner[0]
        reach = np.abs(centre[before]) @ np.abs(inner) + abs(centre[j]) + abs(X[0, 0] * inner[0])
        coefficients[0] = 0.0 if abs(rest) <= 1e-9 * reach else rest / X[0, 0]
    return Dependence(j, coefficients)
