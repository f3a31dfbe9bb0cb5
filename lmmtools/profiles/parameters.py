"""The parameters of a fit that have a profile, and the point of its ML criterion that the profiles start from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution
from lmmtools.core.starts import other_starts
from lmmtools.inference.wald import parameter_names

__all__ = ["Origin", "Parameter", "parameters_of"]


@dataclass(frozen=True)
class Parameter:
    """One parameter, by the name that all methods of intervals have for it.

    Attributes
    ----------
    name : str
    kind : {"coefficient", "sd", "cor", "sigma", "residual"}
    term : int
        Of an sd or a correlation, whose.
    places : tuple of int
        The coefficient's place; the effect's, or the two effects', within the term; that of a parameter of the residual
        structure.
    """

    name: str
    kind: str
    term: int = -1
    places: tuple[int, ...] = ()


def parameters_of(fit: Any) -> tuple[Parameter, ...]:
    """Every coefficient, then the rows of `varcorr`, then the parameters of the residual structure."""
    found = [Parameter(name, "coefficient", places=(j,)) for j, name in enumerate(fit.fixef.index)]
    terms = {term.group: k for k, term in enumerate(fit.design.terms)}
    for name, row in zip(parameter_names(fit), fit.varcorr.itertuples(), strict=False):  # varcorr's rows come first
        if row.grp == "Residual":
            found.append(Parameter(name, "sigma"))
            continue
        k = terms[row.grp]
        effects = list(fit.design.terms[k].names)
        places = tuple(effects.index(effect) for effect in (row.var1, row.var2) if effect)
        found.append(Parameter(name, "cor" if row.var2 else "sd", k, places))
    found += [Parameter(name, "residual", places=(k,)) for k, name in enumerate(fit.residual_params.index)]
    return tuple(found)


class Origin:
    """A fit by ML as the profiles need it.

    Parameters
    ----------
    fit : LMMFit
        By ML.
    """

    def __init__(self, fit: Any) -> None:
        self.fit = fit
        self.free = Criterion(fit.design, reml=False, working=fit.working)
        self.working = fit.working
        self.theta = np.concatenate([fit.theta, fit.phi])
        self.solution = self.free.solve(self.working.stacked(fit.working_theta))
        self.lowest = self.free.total(self.solution)
        self.parameters = parameters_of(fit)
        self.factors = self.working.factors(fit.working_theta)
        self.estimates = self.values(self.solution, self.factors, fit.phi)

    @cached_property
    def others(self) -> tuple[np.ndarray, ...]:
        """Other θ from which the fit's criterion would be searched."""
        return tuple(self.working.to_theta(theta) for theta in other_starts(self.working))

    @cached_property
    def _R_inverse(self) -> np.ndarray:
        return np.linalg.inv(self.working.R)

    def phi(self, Lambda: np.ndarray) -> np.ndarray:
        """Parameters of the residual structure at Λ̃, on whose last block they stand."""
        m = len(self.fit.phi)
        return np.diagonal(Lambda[-m:, -m:]) if m else np.zeros(0)

    def values(self, solution: Solution, factors: tuple[np.ndarray, ...], phi: np.ndarray) -> np.ndarray:
        """Every parameter at a solution with the terms' Λ in their own columns; NaN for correlations beside zeros."""
        w = self.working
        sigma = np.sqrt(solution.sigma2) * w.y_scale * w.noise_scale
        beta = self._R_inverse @ (w.beta_shift + w.y_scale * solution.beta)
        found = np.empty(len(self.parameters))
        for k, parameter in enumerate(self.parameters):
            if parameter.kind == "coefficient":
                found[k] = beta[parameter.places[0]]
            elif parameter.kind == "sigma":
                found[k] = sigma
            elif parameter.kind == "residual":
                found[k] = phi[parameter.places[0]]
            else:
                rows = factors[parameter.term][list(parameter.places)]
                sizes = np.sqrt((rows**2).sum(axis=1))
                if parameter.kind == "sd":
                    found[k] = sigma * sizes[0]
                else:
                    found[k] = rows[0] @ rows[1] / (sizes[0] * sizes[1]) if sizes.min() > 0.0 else np.nan
        return found
