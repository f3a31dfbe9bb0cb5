"""Our fit against the dense oracle: every number at our parameters, and whether they are an optimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.crosscheck.dense import MAX_ROWS, DenseModel, dense_model, square
from lmmtools.crosscheck.derivatives import descend
from lmmtools.crosscheck.verdicts import EQUAL, ILL, MEANINGS, NOT_RUN, UNEXPLAINED, Row
from lmmtools.formats import counted, shown

__all__ = ["check_dense"]

_SIX = 1e-6  # digits asked of a number whose rounding bound promises less
_LAST_DIGITS = 8  # roundings of a coefficient itself, as many as the sums it comes from leave
_GAIN = 1e-6  # deviance that no step from our optimum may gain: the project's bound on criteria


def check_dense(fit: Any) -> tuple[list[Row], list[str]]:
    """
    Compare a fit with the dense oracle at its parameters.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    rows : list of Row
    notes : list of str
    """
    if fit.nobs > MAX_ROWS:
        text = f"V would have {square(fit.nobs)} entries; the limit is {counted(MAX_ROWS, 'row')}"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]
    try:
        return _compare(fit, dense_model(fit.design, reml=fit.reml), _parameters(fit))
    except np.linalg.LinAlgError as error:
        text = f"V cannot be factorised at our parameters, in raw columns ({error})"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]


def _parameters(fit: Any) -> np.ndarray:
    """Theta, and behind it the parameters of the residuals where they have a structure."""
    if fit.design.residual is None:
        return np.asarray(fit.theta, dtype=float)
    return np.append(fit.theta, fit.residual_params.to_numpy())


def _compare(fit: Any, model: DenseModel, theta: np.ndarray) -> tuple[list[Row], list[str]]:
    dense = model.fit_at(theta)
    digits = model.rounding(theta)
    loss, relative = digits.fixed()
    spread = min(digits.variance, _SIX)
    rows = []
    for j, name in enumerate(fit.fixef.index):
        # no number is held better than to its own last digits, whatever its standard error
        digits = _LAST_DIGITS * float(np.spacing(abs(dense.beta[j])))
        bound = max(min(loss[j], _SIX * dense.stderr[j]), digits)
        rows.append(_row(f"fixed effect {name}", fit.fixef.iloc[j], dense.beta[j], bound))
    for j, name in enumerate(fit.fixef.index):
        bound = min(relative[j] + spread, _SIX) * dense.stderr[j]
        rows.append(_row(f"standard error {name}", fit.stderr.iloc[j], dense.stderr[j], bound))
    rows.append(_row("residual variance", fit.sigma**2, dense.sigma**2, spread * dense.sigma**2))
    size = 1e-9 * max(fit.nobs, abs(dense.criterion))
    # log sigma^2 stands in the criterion once for each degree of freedom, and brings the rounding of sigma^2 with it
    rows.append(_row("criterion", fit.criterion, dense.criterion, size + model.dof * spread))
    rows += [*_modes(fit, model, dense, spread), *_optimum(fit, model, theta, size)]
    used = [MEANINGS[v] for v in MEANINGS if any(row.verdict == v for row in rows)]
    return rows, [*used, "Conditional modes, their covariances and fitted values: the farthest one is shown."]


def _row(quantity: str, ours: float, theirs: float, bound: float, why: str = "") -> Row:
    if abs(ours - theirs) <= bound:
        return Row(quantity, float(ours), float(theirs), EQUAL, "")
    return Row(quantity, float(ours), float(theirs), UNEXPLAINED, why or f"rounding explains {shown(bound, 1)} at most")


def _farthest(quantity: str, ours: Any, theirs: Any, bounds: Any) -> Row:
    """The row of the entry that lies farthest off, measured in its own bound."""
    ours, theirs, bounds = (np.ravel(a) for a in np.broadcast_arrays(ours, theirs, bounds))
    with np.errstate(over="ignore"):  # where nothing may differ, what does is infinitely far
        at = int(np.argmax(np.abs(ours - theirs) / np.maximum(bounds, np.finfo(float).tiny)))
    return _row(quantity, ours[at], theirs[at], bounds[at])


def _modes(fit: Any, model: DenseModel, dense: Any, spread: float) -> list[Row]:
    """Rows for modes, their covariances and fitted values.

    Modes and fitted values are linear in the residuals, so their rounding is sqrt(n) times that of the residuals,
    measured in the largest residual standard deviation for fitted values (sigma, but for a structure of the residuals)
    and in the standard deviation of its own effect for a mode.
    """
    modes, covariances = model.by_factor(dense)
    near, rows = spread * np.sqrt(fit.nobs), []
    for factor, table in fit.ranef.items():
        blocks = [fit.random_covariance[t.group].to_numpy() for t in fit.design.terms if t.factor == factor]
        sd = np.sqrt(np.concatenate([np.diag(block) for block in blocks]))
        rows.append(_farthest(f"conditional modes {factor}", table.to_numpy(), modes[factor], near * sd))
        bounds = spread * np.outer(sd, sd)
        rows.append(_farthest(f"their covariances {factor}", fit.ranef_cov[factor], covariances[factor], bounds))
    largest = 1.0 if model.law is None else float(np.sqrt(np.diag(model.R(dense.theta)).max()))
    bound = near * fit.sigma * largest + np.finfo(float).eps * fit.nobs * np.abs(fit.design.y).max()
    return [*rows, _farthest("fitted values", fit.fitted.to_numpy(), dense.fitted, bound)]


def _optimum(fit: Any, model: DenseModel, theta: np.ndarray, size: float) -> list[Row]:
    """Whether the dense criterion's own slope and curvature lead down from our parameters, and how far.

    Where a variance function is one of the fitted values they are held, as they are in the last step of the fit.
    """
    found, bound = descend(model, theta), _GAIN + size
    why = f"a Newton step on the dense criterion promises {shown(found.gain, 2)} deviance"
    left = _row("deviance left to gain", float(fit.certificate.deviance_left), found.gain, bound, why)
    lower = f"steps from our parameters gain {shown(fit.criterion - found.lowest, 2)} deviance"
    lowest = _row("lowest criterion nearby", fit.criterion, found.lowest, bound, lower)
    if left.verdict == UNEXPLAINED and lowest.verdict == EQUAL:  # a slope that nothing follows from is rounding
        left = replace(left, verdict=ILL, explanation=f"{why}, but steps from our parameters gain none")
    return [left, lowest]
