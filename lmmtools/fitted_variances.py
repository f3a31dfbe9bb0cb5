"""Variance functions of the fitted values: a model is fitted again and again until these repeat themselves."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from lmmtools.design import Design
from lmmtools.errors import LMMWarning, ModelError

__all__ = ["settled"]

# Largest change of a parameter, in its standard error or relative to it, at which the fitted values repeat themselves.
_REPEATS = 1e-7
_MOST_ROUNDS = 200


def settled(design: Design, fit_once: Callable[[Design, np.ndarray | None], Any]) -> Any:
    """The fit at which the fitted values that the variances depend on are its own.

    Parameters
    ----------
    design : Design
    fit_once : callable
        The fit of a design from a start [θ, φ], or from its own.

    Notes
    -----
    The iteration of nlme (Pinheiro & Bates 2000, sec. 5.2.2): the criterion is minimised with variances that are
    functions of the fitted values before, until these repeat themselves. That is no joint maximum of the likelihood, in
    which β would move the variances too.
    """
    beta = np.linalg.lstsq(design.X, design.y if design.offset is None else design.y - design.offset, rcond=None)[0]
    values = design.X @ beta + (0.0 if design.offset is None else design.offset)
    start, before, evaluations, change = None, None, 0, np.inf
    for rounds in range(1, _MOST_ROUNDS + 1):  # noqa: B007 - told below
        fit = fit_once(_with_fitted(design, values), start)
        evaluations += fit.n_evaluations
        now = np.concatenate([fit.theta, fit.phi, fit.beta / fit.stderr.to_numpy()])
        change = np.inf if before is None else float(np.max(np.abs(now - before) / np.maximum(1.0, np.abs(now))))
        if change <= _REPEATS:
            break
        before, values, start = now, fit.fitted.to_numpy(), np.concatenate([fit.theta, fit.phi])
    else:
        warnings.warn(_unsettled(fit, change), LMMWarning, stacklevel=4)
    return dataclasses.replace(
        fit, n_evaluations=evaluations, messages=(*fit.messages, *_told(fit, rounds, change, values))
    )


def _with_fitted(design: Design, values: np.ndarray) -> Design:
    """The design with the covariate of its variance functions of fitted values set."""
    if np.any(values == 0.0) and any(part.fitted and part.kind != "varexp" for part in design.residual.variances):
        rows = list(design.index[values == 0.0][:3])
        raise ModelError(
            f"fitted values are exactly zero (rows {', '.join(map(str, rows))}), and a power of zero gives residuals "
            "without variance: use varconstpower(fitted()) or varexp(fitted()) instead."
        )
    parts = tuple(
        dataclasses.replace(part, values=values.copy()) if part.fitted else part for part in design.residual.variances
    )
    return dataclasses.replace(design, residual=dataclasses.replace(design.residual, variances=parts))


def _told(fit: Any, rounds: int, change: float, values: np.ndarray) -> list[str]:
    """What a reader must know of such a fit."""
    labels = ", ".join(f"`{part.label}`" for part in fit.design.residual.variances if part.fitted)
    told = [
        f"the variances in {labels} are functions of the fitted values of the round before; after {rounds} rounds "
        f"these repeat themselves (largest change {change:.1g}). This is nlme's iteration, not a joint maximum of the "
        "likelihood: criterion, degrees of freedom and likelihood ratios are those given the variances' fitted values."
    ]
    if negative := int(np.sum(values < 0)):
        told.append(f"{negative} fitted values are negative: a power is taken of their absolute value, as nlme does.")
    return told


def _unsettled(fit: Any, change: float) -> str:
    return (
        f"the fitted values that the variances depend on have not settled after {_MOST_ROUNDS} rounds: parameters "
        f"still change by {change:.1g}. Use a covariate in place of fitted(), or another variance function."
    )
