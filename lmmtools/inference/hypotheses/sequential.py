"""Types I and II: what a term explains beyond others.

The hypothesis of a term with columns D_E beyond columns D_o is (M_o D_E)'Xβ = 0, with M_o = I − D_o(D_o'D_o)⁻D_o': the
one whose sum of squares, were rows independent and of one variance, is the reduction R(E | o). Precision weights take
no part in it.

References
----------
Goodnight, J. H. (1980). Tests of hypotheses in fixed effects linear models. Communications in Statistics A9, 167-180.
Searle, S. R. (1971). Linear Models, ch. 7.2.
"""

from __future__ import annotations

import numpy as np

__all__ = ["beyond", "in_turn"]

_DEPENDENT = 1e-9  # length of what others leave of a column, against what the intercept leaves of it


def beyond(root: np.ndarray, own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rows that span the hypotheses of `own` beyond `others`.

    Parameters
    ----------
    root : ndarray, shape (p, p)
        Upper triangle with X'X = root'root.
    own, others : ndarray, shape (p, k)
        Columns of D in those of X, ``D = X @ own``; the first of the others is the intercept if there is one.

    Returns
    -------
    ndarray, shape (rank, p)
    """
    basis = _span(root @ others)
    columns = root @ own
    if others.shape[1]:
        columns = _without(columns, _unit(root @ others[:, :1]))
    length = np.linalg.norm(columns, axis=0)
    left = _without(columns, basis) / np.where(length > 0.0, length, 1.0)
    U, values, _ = np.linalg.svd(left, full_matrices=False)
    return U[:, values > _DEPENDENT].T @ root


def in_turn(root: np.ndarray, own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The same space for independent columns `own`, each row that of a column beyond those before it and the others.

    Each row is one in its column: what Doolittle's elimination leaves of X'X.
    """
    basis = _span(root @ others)
    rows = []
    for column in (root @ own).T:
        left = _unit(_without(column[:, None], basis))
        rows.append((left.T @ root)[0] / float(left[:, 0] @ column))
        basis = np.hstack([basis, left])
    return np.array(rows)


def _span(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis, the first column's direction first."""
    if not columns.shape[1]:
        return columns
    first = _unit(columns[:, :1])
    rest = _without(columns[:, 1:], first)
    length = np.linalg.norm(rest, axis=0)
    kept = rest[:, length > _DEPENDENT * np.linalg.norm(columns[:, 1:], axis=0)]
    U, values, _ = np.linalg.svd(kept / np.linalg.norm(kept, axis=0), full_matrices=False)
    return np.hstack([first, U[:, values > _DEPENDENT]])


def _unit(column: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(column)
    return column / length if length > 0.0 else column


def _without(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The columns' parts orthogonal to a basis; twice is enough."""
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
    return columns
