"""Fits as searches leave them that stop before the minimum: what a looser stopping rule may have printed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.core.algorithms import WITH_RESIDUAL
from lmmtools.core.covariance import theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import Optimum, minimize
from lmmtools.errors import LMMError, LMMWarning
from lmmtools.replication.alternatives.told import small
from lmmtools.results import LMMFit

__all__ = ["ALGORITHMS", "TOLERANCES", "at_theta", "stops"]

# The searches, and how far above the minimum each is left: at its first point that is no further above it.
ALGORITHMS = {
    "cobyqa": "a search by quadratic models (COBYQA)",
    "nelder-mead": "a simplex search (Nelder and Mead)",
    "bfgs": "a quasi-Newton search (L-BFGS-B)",
    "em": "EM",
}
TOLERANCES = (1e-3, 1e-5, 1e-7)


def stops(fit: LMMFit) -> Iterator[tuple[str, LMMFit]]:
    """The model at the points at which looser searches stop, each with what it is called.

    Parameters
    ----------
    fit : LMMFit

    Yields
    ------
    words : str
    at : LMMFit
        σ and β are the best there are at the point, as programs that search over θ alone have them.

    Notes
    -----
    Searches start from Λ = I, as lme4 and MixedModels.jl do; with parameters of the residuals, from where `fit_lmm`
    starts. None is made where variances follow the fitted values: there the criterion is not that of one model.
    """
    if not len(fit.working_theta) or follows_fitted(fit):
        return
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)
    for method, words in ALGORITHMS.items():
        if len(fit.phi) and method not in WITH_RESIDUAL:
            continue
        above, theta = _way(criterion, fit, method)
        for tolerance in TOLERANCES:
            if len(above) and abs(above[-1]) <= tolerance:  # else it has gone elsewhere
                first = int(np.argmax(above <= tolerance))
                yield f"{words} stopped {small(tolerance, 1)} above the minimum", at_theta(fit, criterion, theta[first])


def _way(criterion: Criterion, fit: LMMFit, method: str) -> tuple[np.ndarray, np.ndarray]:
    """How far above the minimum the points of a search lie, and the points themselves; none where it fails."""
    start = None if len(fit.phi) else _identity(fit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)
            trace = minimize(criterion, start, method, trace=True).trace
    except (LMMError, np.linalg.LinAlgError):
        return np.zeros(0), np.zeros((0, len(fit.theta)))
    return trace.criterion - fit.criterion, trace.theta


def _identity(fit: LMMFit) -> np.ndarray | None:
    """θ with Λ = I; None where a structure of covariances has parameters of another kind."""
    if any(term.form is not None for term in fit.working.terms):
        return None
    parts = [theta_of(term.structure, np.eye(len(term.names))) for term in fit.design.terms]
    return np.concatenate(parts)


def at_theta(fit: LMMFit, criterion: Criterion, theta: np.ndarray) -> LMMFit:
    """The fit's model at another [θ, φ], β and σ at their best there."""
    point = Optimum(criterion.working.from_theta(theta), np.asarray(theta, dtype=float), np.nan, 0, converged=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # that it is no optimum is the point
        return fit.at(criterion, point)


def follows_fitted(fit: Any) -> bool:
    """Whether variances are functions of the fitted values."""
    residual = fit.design.residual
    return residual is not None and any(part.fitted for part in residual.variances)
