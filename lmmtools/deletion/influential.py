"""Influence of rows and of levels on a fit, by deleting each."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from lmmtools.deletion.clusterwise import clusterwise
from lmmtools.deletion.covariance import Covariance, covariance_of
from lmmtools.deletion.measures import measures, told
from lmmtools.deletion.rebuilt import rebuilt
from lmmtools.deletion.result import METHODS, Influence, Run, influence_frame
from lmmtools.deletion.rowwise import rowwise
from lmmtools.deletion.sets import Sets, sets_of
from lmmtools.deletion.values import Deleted
from lmmtools.errors import LMMError, LMMWarning, ModelError
from lmmtools.projection import Projection, projection
from lmmtools.resampling.blocks import bar
from lmmtools.resampling.parameters import Parameters

__all__ = ["influence"]

# Rows of all designs without a level together, up to which these designs are made: a few seconds.
_MOST = 3_000_000


def influence(fit: Any, by: Any = None, *, method: str = "one-step", progress: bool | None = None) -> Influence:
    """Influence of each row, or of each level of a factor, on the estimates of a fit: exact deletion.

    Parameters
    ----------
    fit : LMMFit
    by : str or array, optional
        Delete whole levels: of a grouping factor of the fit, of its random effects or its residuals, crossed or nested,
        or of any value for each row used, as a column of the data. Single rows by default.
    method : {"one-step", "refit", "fixed"}
        What is estimated anew without the rows: ``"refit"`` everything; ``"one-step"`` the covariance parameters by one
        step of Newton's method from those of all rows, and β and σ exactly there; ``"fixed"`` β and σ, the other
        covariance parameters held (what SAS calls noniterative).
    progress : bool, optional
        Whether to show a bar where designs are made anew; by default where standard error is a terminal.

    Returns
    -------
    Influence
        A row for each row of the data, or level: ``leverage, studentized, cooks_distance, cooks_distance_joint`` (of
        rows), ``cooks_distance_varcomp, dffits, mdffits, covratio, likelihood_displacement``, and ``dfbeta_*``,
        ``dfbetas_*`` of each coefficient; its notes define them. `most` gives the most influential, `parameters` the
        estimates without each row or level, `reasons` why some cannot be deleted: these are NaN.

    Raises
    ------
    LMMError
        If `by` is no grouping factor, or does not hold a value for each row; for an unknown method.
    ModelError
        If there is a single level, or the covariance parameters of the fit are no optimum.

    Warns
    -----
    LMMWarning
        If a refit shows that the fit of all rows is a local optimum, and not the lowest.

    Notes
    -----
    The step is taken on the criterion of the rows left, with its own gradient and Hessian, in logarithms of standard
    deviations. Effects whose variance is estimated at zero stay at zero, and parameters on a bound on it; a refit frees
    them. For single rows at θ̂ everything has a closed form, and derivatives are those of this form; what the step
    then gives is of second order in its length; where it is longer than a tenth of a standard error the design
    without the row is made, of as many rows, the longest steps first, as take seconds. Where variances are functions of
    fitted values, these are held at those of all rows but by ``"refit"``.

    References
    ----------
    Christensen, Pearson & Johnson (1992), Case-deletion diagnostics for mixed models, Technometrics 34, 38-45.
    Belsley, Kuh & Welsch (1980), Regression diagnostics, Wiley. Cook (1977), Technometrics 19, 15-18.
    Cook (1986), Assessment of local influence, J. R. Stat. Soc. B 48, 133-169, for the likelihood displacement.

    Examples
    --------
    >>> from lmmtools import fit_lmm, load_dataset
    >>> fit = fit_lmm("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> found = influence(fit, "Batch")
    >>> found["cooks_distance"].round(3).to_dict()
    {'A': 0.054, 'B': 0.0, 'C': 0.142, 'D': 0.093, 'E': 0.56, 'F': 0.352}
    """
    if not hasattr(fit, "working_theta"):
        raise LMMError(f"influence: takes a fit made by fit_lmm or fit_gls; got {type(fit).__name__}.")
    if not isinstance(method, str) or method not in METHODS:
        raise LMMError(f"influence: method={method!r} is unknown; use one of {', '.join(map(repr, METHODS))}.")
    if fit.certificate.status == "not an optimum":
        raise ModelError(
            "influence: the covariance parameters found are no optimum, so what deletion changes cannot be told from "
            f"what the search left undone. {fit.certificate.sentence}"
        )
    sets = sets_of(fit, by)
    at, covariance, what = projection(fit, what="influence"), covariance_of(fit), Parameters.of(fit)
    deleted = _deleted(fit, sets, at, method, what, covariance, progress)
    table = measures(fit, sets, deleted, at, covariance)
    run = Run(fit, sets, method, what.names, deleted, told(table, sets, method, covariance))
    if method == "refit" and run.told:
        warnings.warn(run.told[0], LMMWarning, stacklevel=2)
    return influence_frame(table, run)


def _deleted(
    fit: Any, sets: Sets, at: Projection, method: str, what: Parameters, covariance: Covariance, progress: bool | None
) -> Deleted:
    """Estimates without each set, by what is cheapest for it."""
    found, again = None, np.arange(sets.count)
    # levels that are not independent; parameters beside which R is not positive definite
    with suppress(ModelError, np.linalg.LinAlgError):
        if sets.single and method != "refit":
            found, again = rowwise(fit, at, method, what, covariance)
        elif sets.count * fit.nobs > _MOST and method != "refit":
            found, again = clusterwise(fit, sets, method, what, covariance)
    if not len(again):
        return found
    with bar(len(again), "Deleted", progress) as advance:
        anew = rebuilt(fit, sets.members(again), method, what, covariance, advance)
    return anew if found is None else found.replaced(again, anew)
