"""Confidence intervals of parameters that paths name: by profile, and approximate ones as nlme has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import Optimum
from lmmtools.core.residual.parameters import parameters_of
from lmmtools.errors import LMMWarning, ModelError
from lmmtools.inference.wald import parameter_names
from lmmtools.profiles.value import profile_confint
from lmmtools.replication.quantities.heads import Asked, Head

__all__ = ["INTERVALS", "approximate", "moved_fits"]

_ENDS = ("low", "high")
# Step of differences of the parameters, in their standard errors: what is left out is its square, 1e-6.
_STEP = 1e-3


def _confint(asked: Asked) -> float:
    fit, walk, level = asked.fit, asked.walk, asked.level
    name = walk.name("parameter", [*fit.fixef.index, *parameter_names(fit), *fit.residual_params.index])
    end = walk.name("end of an interval", _ENDS)
    table = asked.tables.once(fit, (_confint, level, name), lambda: profile_confint(fit, level, name))
    return float(table.loc[name, end])


def _intervals(asked: Asked) -> float:
    fit, walk, level = asked.fit, asked.walk, asked.level
    name = walk.name("covariance parameter", [*parameter_names(fit), *fit.residual_params.index])
    end = walk.name("end of an interval", _ENDS)
    moved = asked.tables.once(fit, moved_fits, lambda: moved_fits(fit))
    return approximate(fit, str(name), level, moved)[_ENDS.index(str(end))]


def approximate(fit: Any, name: str, level: float, moved: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    """The approximate interval of a covariance parameter, normal where the parameter has no bounds.

    Parameters
    ----------
    fit : LMMFit
    name : str
        As `confint` names it: ``"sd(Subject, Days)"``, ``"cor(Subject, Intercept, Days)"``, ``"sigma"``, or a
        parameter of the residuals.
    level : float
    moved : sequence of (LMMFit, LMMFit)
        What `moved_fits` returns; all intervals of a fit are made of it.

    Returns
    -------
    low, high : float

    Raises
    ------
    ModelError
        If the criterion is not curved upwards at the estimate, or the parameter is on its bound.

    Notes
    -----
    On the scale t: log of standard deviations and other positive parameters, log((x − a)/(b − x)) of those between a
    and b, correlations (−1, 1) among them, x itself of others. With ψ = [θ, φ] and H the Hessian of the criterion
    profiled over β and σ, Var(ψ̂) = 2H⁻¹. A function q(ψ, σ) that follows σ̂(ψ) has the gradient a along the
    profile, and the variance a'Var(ψ̂)a; of one in the unit of σ the variance of log σ̂ given ψ, 1/(2ν), is added,
    ν = n − p under REML, n under ML.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 2.4.3, Springer.
    """
    from scipy.special import ndtri

    read, forward, back, in_sigma = _scaled(fit, name)
    at = forward(read(fit))
    variance = 0.5 / (fit.nobs - (len(fit.beta) if fit.reml else 0)) if in_sigma else 0.0
    if len(moved) < len(fit.theta) + len(fit.phi) or not np.isfinite(at):
        raise ModelError(f"{name} has no approximate interval: the estimate is on the bound of what is possible, "
                         "or the data do not determine it. Profiles (confint) have limits there.")  # fmt: skip
    slopes = [(forward(read(above)) - forward(read(below))) / (2.0 * _STEP) for above, below in moved]
    variance += float(np.sum(np.square(slopes)))
    half = float(ndtri(0.5 + 0.5 * level)) * np.sqrt(variance)
    low, high = back(at - half), back(at + half)
    return float(low), float(high)


def moved_fits(fit: Any) -> tuple[tuple[Any, Any], ...]:
    """The model a step to either side of ψ̂ along the axes of 2H⁻¹, β and σ at their best there.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    tuple of (LMMFit, LMMFit)
        A pair an axis; none where H is not positive definite.
    """
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)
    psi = np.concatenate([fit.theta, fit.phi])
    values, axes = np.linalg.eigh(criterion.hessian(psi)) if len(psi) else (np.zeros(0), np.zeros((0, 0)))
    if not np.all(values > 0.0):
        return ()

    def at(place: np.ndarray) -> Any:
        return fit.at(criterion, Optimum(criterion.working.from_theta(place), place, np.nan, 0, converged=False))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # that they are no optima is the point
        return tuple((at(psi + step), at(psi - step)) for step in (_STEP * axes * np.sqrt(2.0 / values)).T)


def _scaled(fit: Any, name: str) -> tuple[Callable[[Any], float], Callable, Callable, bool]:
    """How a parameter is read off a fit, the scale it is normal on, the way back, and whether σ is its unit."""
    if name in fit.residual_params.index:
        which = list(fit.residual_params.index).index(name)
        return lambda found: found.phi[which], *_scale(parameters_of(fit.design.residual)[which]), False
    row = parameter_names(fit).index(name)
    if name.startswith("cor("):
        return lambda found: found.varcorr["sdcor"].iloc[row], *_between(-1.0, 1.0), False
    return lambda found: found.varcorr["sdcor"].iloc[row], np.log, np.exp, True


def _scale(parameter: Any) -> tuple[Callable, Callable]:
    low, high = float(parameter.low), float(parameter.high)
    if np.isfinite(low) and np.isfinite(high):
        return _between(low, high)
    if parameter.measure == "log":
        return np.log, np.exp
    return (lambda x: x), (lambda t: t)


def _between(low: float, high: float) -> tuple[Callable, Callable]:
    return (lambda x: np.log((x - low) / (high - x))), (lambda t: low + (high - low) / (1.0 + np.exp(-t)))


INTERVALS = MappingProxyType({
    "confint": Head(
        _confint,
        {"confint(level=0.95).NAME.low": "end of the profile interval of NAME, or `.high`; names as `confint` gives "
         "them: Days, sd(Subject, Days), cor(Subject, Intercept, Days), sigma, ar1.phi; of an REML fit that of ML, as "
         "lme4's"},
        ("level",),
    ),
    "intervals": Head(
        _intervals,
        {"intervals(level=0.95).NAME.low": "approximate interval of a covariance parameter, NAME as for `confint`: "
         "normal for log sd, log((1 + ρ)/(1 − ρ)), …, as nlme's; of fixed effects see `coef`"},
        ("level",),
    ),
})  # fmt: skip
