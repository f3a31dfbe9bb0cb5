"""Where the variance of a response comes from: the fixed part, each random term, the residuals.

Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, with the mean over the rows of the variance that a random term
gives them, tr(ZΣZ')/n, in place of that of an intercept (Johnson 2014, Methods Ecol. Evol. 5, eq. 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from lmmtools.errors import LMMError

__all__ = ["Variances", "by_factor", "check_weight", "relative_variance", "variances"]


@dataclass(frozen=True)
class Variances:
    """Variances in squared units of the response.

    Attributes
    ----------
    fixed : float
        Of Xβ̂ over the rows, with divisor n − 1; offsets are no part of it.
    random : ndarray, shape (terms,)
        Of each random term, in the mean over the rows.
    residual : float
    """

    fixed: float
    random: np.ndarray
    residual: float

    @property
    def total(self) -> float:
        """All of them together."""
        return self.fixed + float(self.random.sum()) + self.residual

    @property
    def marginal(self) -> float:
        """Share of the fixed part: marginal R²."""
        return self.fixed / self.total

    @property
    def conditional(self) -> float:
        """Share of the fixed part and the random terms: conditional R²."""
        return (self.fixed + float(self.random.sum())) / self.total


def variances(fit: Any, weight: float = 1.0) -> Variances:
    """The variances of a fit.

    Parameters
    ----------
    fit : LMMFit
        Or anything with its ``design``, ``beta``, ``Lambda`` and ``sigma``.
    weight : float
        The weight that a residual has.
    """
    random = [np.mean(relative_variance(t, L)) for t, L in zip(fit.design.terms, fit.Lambda, strict=True)]
    mean = fit.design.X @ fit.beta
    return Variances(float(np.var(mean, ddof=1)), fit.sigma**2 * np.array(random), fit.sigma**2 / weight)


def relative_variance(term: Any, Lambda: np.ndarray) -> np.ndarray:
    """Variance that a term gives each row, over σ²; a known covariance matrix says how large a level's own is."""
    own = np.sum((term.matrix @ Lambda) ** 2, axis=1)
    return own if term.known_root is None else own * np.sum(term.known_root**2, axis=1)[term.codes]


def by_factor(design: Any, values: np.ndarray) -> np.ndarray:
    """Sums of a value of each term, shape (…, terms), over the terms of each grouping factor, shape (…, factors)."""
    factors = list(design.ngroups)
    belongs = np.array([[term.factor == factor for factor in factors] for term in design.terms], dtype=float)
    return values @ belongs


def check_weight(fit: Any, weight: float | None, what: str) -> tuple[float, tuple[str, ...]]:
    """The weight of the residual that shares of variance are meant for, 1 unless named, and what to say of it.

    Raises
    ------
    LMMError
        If the weight is no positive number, or the fit has none.
    """
    if fit.design.weights is None:
        if weight is not None:
            raise LMMError(f"{what}: weight={weight!r} was given, but the fit has no weights.")
        return 1.0, ()
    if weight is None:
        return 1.0, ("σ² is the residual variance of an observation of weight 1; name `weight` for another.",)
    if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 < weight < np.inf:
        raise LMMError(f"{what}: weight must be a positive number; got {weight!r}.")
    return float(weight), (f"The residual variance is that of an observation of weight {weight:g}, σ²/{weight:g}.",)
