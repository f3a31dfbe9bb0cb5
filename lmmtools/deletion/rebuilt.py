"""Deletion by the design of the rows that are left: any model, any rows.

The criterion of the rows left has a gradient g and a Hessian H of its own at θ̂ of all rows. One step of Newton's method
goes to θ̂ − H⁻¹g, where β̂ and σ̂ are those of the rows left; a refit goes on until it is there. Coordinates are those of
`core.charts`: effects whose variance is zero with all rows stay at zero, and parameters on a bound stay there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.charts import chart
from lmmtools.core.criterion import Criterion
from lmmtools.core.newton import bounded_step, newton_step
from lmmtools.core.optimality import curvature
from lmmtools.core.solution import Solution
from lmmtools.core.working import Working
from lmmtools.deletion.coordinates import coordinates
from lmmtools.deletion.covariance import Covariance
from lmmtools.deletion.values import Deleted
from lmmtools.errors import ModelError
from lmmtools.estimable import refuse_confounded, refuse_confounded_residual
from lmmtools.resampling.copies import copied, impossible, unseen
from lmmtools.resampling.parameters import Parameters
from lmmtools.resampling.refits import refit_design

__all__ = ["rebuilt"]

# Halvings of a step that leads up, or out of where the criterion has a value.
_HALVINGS = 5


@dataclass(frozen=True)
class _At:
    """Estimates of the rows left, at covariance parameters [θ, φ] in the terms' own columns."""

    working: Working
    solution: Solution
    theta: np.ndarray

    @property
    def beta(self) -> np.ndarray:
        w = self.working
        own = w.beta_shift + w.y_scale * self.solution.beta
        return np.linalg.solve(w.R, own) if len(own) else own

    @property
    def sigma(self) -> float:
        w = self.working
        return float(np.sqrt(self.solution.sigma2) * w.y_scale * w.noise_scale)

    @property
    def Lambda(self) -> tuple[np.ndarray, ...]:
        return self.working.factors(self.working.from_theta(self.theta))

    @property
    def phi(self) -> np.ndarray:
        w = self.working
        return self.theta[len(self.theta) - (0 if w.residual is None else w.residual.n_theta) :]

    @property
    def root(self) -> np.ndarray:
        """A root of (X'V⁻¹X)⁻¹ in the columns of X."""
        w, half = self.working, self.solution.S_root / self.working.noise_scale
        return np.linalg.solve(w.R, half) if len(half) else half


def rebuilt(
    fit: Any, members: list[np.ndarray], method: str, what: Parameters, covariance: Covariance,
    advance: Callable[[int], None],
) -> Deleted:  # fmt: skip
    """Estimates without each set of rows.

    Parameters
    ----------
    fit : LMMFit
    members : list of ndarray of int
        The rows of each set.
    method : {"one-step", "refit", "fixed"}
    what : Parameters
        Of the fit's model.
    covariance : Covariance
        Of the fit.
    advance : callable
        Told of every set that is done.
    """
    whole = _At(fit.working, fit.solution, np.concatenate([fit.theta, fit.phi]))
    rows, reasons = [], {}
    left, flat = np.ones(fit.nobs, dtype=bool), len(covariance.H) + 1 - covariance.count
    for k, mine in enumerate(members):
        left[mine] = False
        try:
            rows.append(_measured(fit, whole, what, covariance, *_without(fit, np.flatnonzero(left), method, flat)))
        except (ModelError, np.linalg.LinAlgError) as error:
            reasons[k] = _told(error)
            rows.append(_nothing(fit, what, covariance))
        left[mine] = True
        advance(1)
    return Deleted(*(np.array(part) for part in zip(*rows, strict=True)), reasons)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ModelError) else "the criterion of the rows left is singular to rounding."


def _without(fit: Any, rows: np.ndarray, method: str, flat: int) -> tuple[_At, float]:
    """Estimates from these rows alone, and r² with θ̂ held; `flat` directions are so with all rows.

    Raises
    ------
    ModelError
        If these rows do not determine the model.
    """
    factors = dict.fromkeys(fit.design.factors, False)
    design = copied(fit.design, rows, np.zeros(len(rows), dtype=np.intp), factors)
    if reason := impossible(design) or ("" if unseen(fit.design) else unseen(design)):
        raise ModelError(reason)
    start = np.concatenate([fit.theta, fit.phi])
    criterion = Criterion(design, reml=fit.reml)
    if method == "refit":
        found = refit_design(fit, design)
        if not found.ok:
            raise ModelError(found.reason)
        w = found.working
        at = _At(w, w.products.solve(w.stacked(found.optimum.working), reml=fit.reml), found.optimum.theta)
    else:
        _refuse(criterion)
    w = criterion.working
    held = _At(w, w.products.solve(w.stacked_own(start), reml=fit.reml), start)
    if method == "fixed":
        at = held
    elif method == "one-step":
        at = _stepped(criterion, held, flat)
    return at, float(held.solution.r2) * (w.y_scale * w.noise_scale) ** 2


def _refuse(criterion: Criterion) -> None:
    """Refuse rows that do not tell the variances apart."""
    if criterion.design.terms:
        refuse_confounded(criterion)
    if criterion.design.residual is not None:
        refuse_confounded_residual(criterion)


def _stepped(criterion: Criterion, held: _At, flat: int) -> _At:
    """One step of Newton's method from where the parameters were held."""
    w = criterion.working
    start = w.from_theta(held.theta)
    d = criterion.differentiate(held.solution)
    here = chart(w, start, reduced=True)
    if not here.ends[-1]:
        return held
    found = curvature(criterion, start, d)
    if np.sum(~found.steep) > flat:
        raise ModelError(
            "the rows left do not determine all covariance parameters: along some of them their criterion is flat."
        )
    own = coordinates(here)
    unit, box = np.where(own.log, 1.0, found.unit), own.box()
    H, g = own.hessian(d) * np.outer(unit, unit), unit * own.gradient(d)
    step = newton_step(g, H)[0] if box is None else bounded_step(g, H, (box[0] / unit, box[1] / unit))[0]
    for k in range(_HALVINGS):
        there = own.theta(unit * step * 0.5**k)
        try:
            solution = w.products.solve(w.stacked(there), reml=criterion.reml)
        except np.linalg.LinAlgError:  # beyond where R is positive definite
            continue
        if solution.value <= held.solution.value:
            return _At(w, solution, w.to_theta(there))
    return held


def _measured(
    fit: Any, whole: _At, what: Parameters, covariance: Covariance, at: _At, held: float
) -> tuple[Any, ...]:
    """What is asked of one set's deletion, in the order of `Deleted`."""
    root, dfbeta, spread, shift = at.root, at.beta - whole.beta, 0.0, 0.0
    if len(root):
        spread = 2.0 * (np.linalg.slogdet(root)[1] - np.linalg.slogdet(whole.root)[1])
        shift = float(np.sum(np.linalg.solve(root, dfbeta) ** 2))
    Lambda = fit.working.own_factor(at.Lambda, at.phi)[: len(covariance.T)]
    moved = covariance.moved(Lambda, fit.working.from_theta(at.theta)[len(fit.theta) :])
    parameters = what(at)[len(dfbeta) :]
    return at.beta, at.sigma, spread, shift, _deviance(fit, at) - fit.criterion, held, parameters, moved


def _nothing(fit: Any, what: Parameters, covariance: Covariance) -> tuple[Any, ...]:
    """NaN in its place."""
    p = len(fit.beta)
    shapes = ((p,), (), (), (), (), (), (len(what.names) - p,), (len(covariance.H),))
    return tuple(np.full(shape, np.nan) for shape in shapes)


def _deviance(fit: Any, at: _At) -> float:
    """−2 log-likelihood of all rows at these β, σ, θ and φ; restricted under REML, β taken as it is."""
    w = fit.working
    criterion = Criterion(fit.design, reml=fit.reml, working=w)
    s = criterion.solve(w.stacked_own(at.theta))
    noise = (at.sigma / (w.y_scale * w.noise_scale)) ** 2
    off = 0.0
    if len(s.beta):
        gap = (w.R @ at.beta - w.beta_shift) / w.y_scale - s.beta
        off = float(np.sum(np.linalg.solve(s.S_root, gap) ** 2)) / noise
    return criterion.total(s.at_noise(noise)) + off
