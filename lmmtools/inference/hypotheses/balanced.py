"""Type III: every term as if all cells had the same number of rows.

The hypothesis of a term E is a set of estimable functions of the over-parameterised model. They involve the parameters
of E and of terms that contain E, and no others: covariates that E lacks, and what contains it lacks, are at zero. And
they are orthogonal, as vectors of coefficients, to those that involve the containing terms alone: where all cells occur
this averages over the other factors with equal weights.

References
----------
Goodnight, J. H. (1980). Tests of hypotheses in fixed effects linear models. Communications in Statistics A9, 167-180.
SAS Institute (2016). SAS/STAT 14.2 User's Guide: The Four Types of Estimable Functions.
"""

from __future__ import annotations

import numpy as np

__all__ = ["averaged"]

_ZERO = 1e-9  # singular values of matrices whose entries are of order one


def averaged(own: np.ndarray, containing: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rows c that span the hypothesis c'β = 0, orthonormal.

    Parameters
    ----------
    own, containing, others : ndarray, shape (p, ·)
        Columns of K, by the terms that they belong to: the term itself, those that contain it, and all others.

    Returns
    -------
    ndarray, shape (rank, p)
    """
    functions = _null(others.T)
    if not containing.shape[1]:
        return functions.T
    within = _null(np.hstack([others, own]).T)
    involved = np.hstack([own, containing])
    products = (involved.T @ within).T @ (involved.T @ functions)
    return (functions @ _null(products)).T


def _null(A: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the vectors that A takes to zero, in columns."""
    if not A.size:
        return np.eye(A.shape[1])
    _, values, Vt = np.linalg.svd(A)
    rank = int(np.sum(values > _ZERO * max(values[0], 1.0)))
    return Vt[rank:].T
