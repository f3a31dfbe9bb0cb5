"""Our fit against the dense oracle: every number at our parameters, and whether they are an optimum."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.crosscheck.bygroup import grouped_model, relative_factor
from lmmtools.crosscheck.dense import MAX_ROWS, DenseModel, dense_model
from lmmtools.crosscheck.verdicts import EQUAL, MEANINGS, NOT_RUN, UNEXPLAINED, Row

__all__ = ["check_dense"]

_SIX = 1e-6  # digits asked of a number whose rounding bound promises less
_GAIN = 1e-6  # deviance that a search around our optimum may not gain: the project's bound on criteria


def check_dense(fit: Any) -> tuple[list[Row], list[str]]:
    """Compare a fit with the dense oracle at its parameters: rows of the table, and its notes."""
    if fit.nobs > MAX_ROWS:
        text = f"V would have {fit.nobs} x {fit.nobs} entries; the limit is {MAX_ROWS} rows"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]
    model = dense_model(fit.design, reml=fit.reml)
    dense = model.fit_at(fit.theta)
    point = grouped_model(fit.design, reml=fit.reml).at(relative_factor(fit.design, fit.theta))
    loss, relative = point.rounding()
    spread = min(point.variance_rounding, _SIX)
    rows = []
    for j, name in enumerate(fit.fixef.index):
        rows.append(
            _row(f"fixed effect {name}", fit.fixef.iloc[j], dense.beta[j], min(loss[j], _SIX * dense.stderr[j]))
        )
    for j, name in enumerate(fit.fixef.index):
        bound = min(relative[j] + spread, _SIX) * dense.stderr[j]
        rows.append(_row(f"standard error {name}", fit.stderr.iloc[j], dense.stderr[j], bound))
    rows.append(_row("residual variance", fit.sigma**2, dense.sigma**2, spread * dense.sigma**2))
    size = 1e-9 * max(fit.nobs, abs(dense.criterion))
    rows.append(_row("criterion", fit.criterion, dense.criterion, size))
    rows += [*_modes(fit, model, dense, spread), _optimum(fit, model, size)]
    used = [MEANINGS[v] for v in MEANINGS if any(row.verdict == v for row in rows)]
    return rows, [*used, "Conditional modes, their covariances and fitted values: the farthest one is shown."]


def _row(quantity: str, ours: float, theirs: float, bound: float) -> Row:
    if abs(ours - theirs) <= bound:
        return Row(quantity, float(ours), float(theirs), EQUAL, "")
    return Row(quantity, float(ours), float(theirs), UNEXPLAINED, f"rounding explains {bound:.1g}")


def _farthest(quantity: str, ours: Any, theirs: Any, bounds: Any) -> Row:
    """The entry that lies farthest off, measured in its own bound."""
    ours, theirs, bounds = (np.ravel(a) for a in np.broadcast_arrays(ours, theirs, bounds))
    at = int(np.argmax(np.abs(ours - theirs) / np.maximum(bounds, np.finfo(float).tiny)))
    return _row(quantity, ours[at], theirs[at], bounds[at])


def _modes(fit: Any, model: DenseModel, dense: Any, spread: float) -> list[Row]:
    """Modes and fitted values are linear in the residuals: sigma sqrt(n) times the rounding of those.

    A mode is measured in its own effect's standard deviation.
    """
    modes, covariances = model.by_factor(dense)
    near, rows = spread * np.sqrt(fit.nobs), []
    for factor, table in fit.ranef.items():
        blocks = [fit.random_covariance[t.group].to_numpy() for t in fit.design.terms if t.factor == factor]
        sd = np.sqrt(np.concatenate([np.diag(block) for block in blocks]))
        rows.append(_farthest(f"conditional modes {factor}", table.to_numpy(), modes[factor], near * sd))
        bounds = spread * np.outer(sd, sd)
        rows.append(_farthest(f"their covariances {factor}", fit.ranef_cov[factor], covariances[factor], bounds))
    bound = near * fit.sigma + np.finfo(float).eps * fit.nobs * np.abs(fit.design.y).max()
    return [*rows, _farthest("fitted values", fit.fitted.to_numpy(), dense.fitted, bound)]


def _optimum(fit: Any, model: DenseModel, size: float) -> Row:
    """The lowest criterion that a simplex search finds around our theta, by the dense criterion."""
    from scipy.optimize import minimize

    m = len(fit.theta)
    start = np.asarray(fit.theta, dtype=float)
    simplex = np.vstack([start, start + 0.01 * np.diag(np.maximum(np.abs(start), 0.1))])
    search = minimize(
        model.criterion,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 20 + 15 * m, "xatol": 0.0, "fatol": 0.0},
    )
    return _row("lowest criterion nearby", fit.criterion, float(search.fun), _GAIN + size)
