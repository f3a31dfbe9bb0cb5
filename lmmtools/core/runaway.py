"""Searches that run off: a variance to infinity against the residuals', a residual structure to a singular R."""

from __future__ import annotations

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.residual.around import multiplier
from lmmtools.core.residual.unbounded import refuse_unbounded
from lmmtools.errors import ModelError

__all__ = ["refuse_runaway", "runs_off"]

# Relative standard deviations from which there is no residual variance beside them.
_INFINITE = 3e7


def runs_off(criterion: Criterion, theta: np.ndarray) -> bool:
    """Whether some parameter has run off, beside residuals of the standard deviation they have on average."""
    largest = float(np.abs(theta).max())
    return not largest <= _INFINITE and not largest <= _INFINITE * multiplier(criterion.working, theta)


def refuse_runaway(criterion: Criterion, theta: np.ndarray, *, converged: bool = True) -> None:
    """Refuse working parameters θ̃ at which a search has run off.

    Raises
    ------
    ModelError
        Naming the variance or the parameter.
    """
    w = criterion.working
    if w.residual is not None:
        refuse_unbounded(criterion, theta[w.places[-1]], converged=converged)
    if not runs_off(criterion, theta):
        return
    size = np.abs(theta)
    largest = size.max()
    k = next(k for k, part in enumerate(w.places) if np.argmax(size) < part.stop)
    if k == len(w.terms):
        raise ModelError(
            f"the residual structure's `{criterion.theta_names[int(np.argmax(size))]}` runs off to infinity (it has "
            f"reached {largest:.1g}) while the criterion falls or stays level: the data do not determine it."
        )
    term, place = criterion.design.terms[k], int(np.argmax(size[w.slices[k]]))
    if not isinstance(term.structure, str):
        name = criterion.theta_names[w.slices[k].start + place]
        raise ModelError(
            f"the parameter `{name}` of `{term.label}` runs off to infinity (it has reached {largest:.1g}) while the "
            "criterion falls or stays level: the data do not determine it. Give it a bound, or fix it."
        )
    raise ModelError(
        f"the variance of the random effects of `{term.factor}` runs off to infinity against the residual variance "
        f"(their standard deviations' ratio has reached {largest:.1g}): the rows within its {len(term.levels)} levels "
        "leave nothing from which to estimate a residual variance. Leave out fixed or random effects, or collect more "
        "rows per level."
    )
