"""Which (co)variances the data leave open, and so two engines may report differently and both be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from lmmtools.core.covariance import combine, covariance_basis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.core.terms import Term

__all__ = ["is_flat_by_data", "open_covariances"]

# A direction of one term's variance, seen in another term's columns, leaves rounding of 1e-15 and no more.
_MOVED = 1e-6


def is_flat_by_data(fit: Any) -> bool:
    """Whether V, and not only its split into terms, moves along what the fit's certificate calls flat."""
    certificate = fit.certificate
    return certificate.status == "flat direction" and certificate.flat_by == "data"


def open_covariances(fit: Any) -> NDArray:
    """
    Mark the (co)variances of the random effects that the fit's flat directions move.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    ndarray of bool, shape (q, q)
        The terms side by side, in the order of the design. All are marked where the flatness comes from the data,
        none where the fit has no flat direction.
    """
    terms = fit.working.terms
    q = sum(term.q for term in terms)
    if fit.certificate.status != "flat direction":
        return np.zeros((q, q), dtype=bool)
    if is_flat_by_data(fit):
        return np.ones((q, q), dtype=bool)
    found = np.zeros((q, q), dtype=bool)
    for direction in fit.working.gram.null_space():
        parts = zip(terms, fit.working.slices, strict=True)
        moved = np.abs(block_diag(*(_covariances(term, direction[part]) for term, part in parts)))
        found |= moved > _MOVED * moved.max()
    return found


def _covariances(term: Term, direction: NDArray) -> NDArray:
    """What a direction adds to a term's covariances (q, q), its columns taken at unit size."""
    T = combine(direction, covariance_basis(term.structure, term.q))
    size = np.sqrt((term.K**2).sum(axis=0))
    if term.scale.ndim == 2:
        back = np.linalg.solve(term.scale, np.linalg.solve(term.scale, T).T)
    else:
        back = T / np.outer(term.scale, term.scale)
    return back * np.outer(size, size)
