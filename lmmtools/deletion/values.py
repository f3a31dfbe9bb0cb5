"""What is left of a model's estimates without each set of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

__all__ = ["Deleted"]


@dataclass(frozen=True)
class Deleted:
    """Estimates without each of K sets of rows; NaN for a set that cannot be deleted.

    Attributes
    ----------
    beta : ndarray, shape (K, p)
    sigma : ndarray, shape (K,)
    spread : ndarray, shape (K,)
        log|(X'V⁻¹X)⁻¹| without the set, less that of all rows.
    shift : ndarray, shape (K,)
        (β̂_(I) − β̂)'X'V⁻¹X(β̂_(I) − β̂), X'V⁻¹X without the set.
    displacement : ndarray, shape (K,)
        −2 log-likelihood of all rows at the estimates without the set, less the criterion.
    held : ndarray, shape (K,)
        r² without the set, the covariance parameters held at those of all rows.
    parameters : ndarray, shape (K, k)
        Standard deviations, correlations, σ and φ.
    moved : ndarray, shape (K, m)
        Of the covariance parameters, as of `Covariance.moved`.
    reasons : mapping of int to str
        Why a set cannot be deleted.
    """

    beta: np.ndarray
    sigma: np.ndarray
    spread: np.ndarray
    shift: np.ndarray
    displacement: np.ndarray
    held: np.ndarray
    parameters: np.ndarray
    moved: np.ndarray
    reasons: Mapping[int, str] = field(default_factory=dict)

    def replaced(self, at: np.ndarray, other: Deleted) -> Deleted:
        """The same with the sets `at` taken from another, in its order."""
        names = [part.name for part in fields(self) if part.name != "reasons"]
        values = {name: getattr(self, name).copy() for name in names}
        for name, whole in values.items():
            whole[at] = getattr(other, name)
        reasons = {int(at[k]): said for k, said in other.reasons.items()}
        return Deleted(**values, reasons={**self.reasons, **reasons})
