"""Where the variance of a response comes from: the fixed part, each random term, the residuals.

Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, with the mean over the rows of the variance that a random term
gives them, tr(ZΣZ')/n, in place of that of an intercept (Johnson 2014, Methods Ecol. Evol. 5, eq. 10). Where residual
variances differ by a variance function, the mean over the rows stands for them in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from lmmtools.core.residual.multipliers import Multiplying
from lmmtools.errors import LMMError
from lmmtools.formats import quoted

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
        In the mean over the rows, weights left aside.
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
        Or anything with its ``design``, ``beta``, ``Lambda``, ``phi`` and ``sigma``.
    weight : float
        The weight that a residual has.
    """
    random = [np.mean(relative_variance(t, L)) for t, L in zip(fit.design.terms, fit.Lambda, strict=True)]
    mean = fit.design.X @ fit.beta
    residual = fit.sigma**2 * _mean_multiplier(fit) / weight
    return Variances(float(np.var(mean, ddof=1)), fit.sigma**2 * np.array(random), residual)


def _mean_multiplier(fit: Any) -> float:
    """Mean over the rows of the squared sd multipliers of the residuals."""
    structure = fit.design.residual
    if structure is None or not structure.variances:
        return 1.0
    start = 0 if structure.correlation is None else structure.slices[0].stop
    found = Multiplying(structure.variances, len(fit.design.y)).at(fit.phi[start:])
    return float(np.mean(np.exp(2.0 * found.log_s)))


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
    """The weight of the residual that shares of variance are meant for, 1 unless named, and what to say of residuals.

    Raises
    ------
    LMMError
        If the weight is no positive number, or the fit has none.
    """
    if fit.design.weights is None:
        if weight is not None:
            raise LMMError(f"{what}: weight={weight!r} was given, but the fit has no weights.")
        return 1.0, _of_structure(fit)
    if weight is None:
        told = "σ² is the residual variance of an observation of weight 1; name `weight` for another."
        return 1.0, (told, *_of_structure(fit))
    if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 < weight < np.inf:
        raise LMMError(f"{what}: weight must be a positive number; got {weight!r}.")
    told = f"The residual variance is that of an observation of weight {weight:g}, σ²/{weight:g}."
    return float(weight), (told, *_of_structure(fit))


def _of_structure(fit: Any) -> tuple[str, ...]:
    """What to say of residuals with a structure."""
    structure, told = fit.design.residual, []
    if structure is not None and structure.variances:
        labels = quoted([part.label for part in structure.variances])
        told.append(f"Residual variances differ by {labels}: their mean over the rows, σ² tr(S²)/n, stands for them.")
    if structure is not None and structure.correlation is not None:
        told.append(
            f"Residuals that {structure.correlation.label} correlates count as residual variance, not as variance "
            "between groups."
        )
    return tuple(told)
