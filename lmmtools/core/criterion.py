"""The criterion as a function of θ, with its gradient and Hessian."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.charts import Chart, own_chart
from lmmtools.core.covariance import theta_names
from lmmtools.core.residual.around import in_unit, multiplier
from lmmtools.core.solution import Products, Solution, TDerivatives
from lmmtools.core.working import Working, working_model
from lmmtools.errors import LMMError

__all__ = ["Criterion"]


# Logarithm of multipliers that are far from one: thresholds in units of σ mean something else there.
_FAR_FROM_UNIT = 3.0


class Criterion:
    """−2 log-likelihood (ML) or −2 restricted log-likelihood (REML), profiled over β and σ.

    Parameters
    ----------
    design : Design
        As `build_design` makes it.
    reml : bool
    working : Working, optional
        The same design's cross-products, where they are known already.

    Raises
    ------
    LMMError
        If it is none.
    ModelError
        If the response is reproduced exactly.

    Notes
    -----
    Called with lme4's θ, or with [θ, φ] where the design has a residual structure, φ on its natural scale, it is a
    pure function that any optimiser can take. Its `working` parameters are those
    that `minimize` moves in: the same Λ in centred and scaled columns.

    Examples
    --------
    >>> from lmmtools import Criterion, build_design, load_dataset
    >>> design = build_design("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> round(Criterion(design, reml=True)([1.0]), 4)
    319.7924
    """

    def __init__(self, design: Any, *, reml: bool = True, working: Working | None = None) -> None:
        if not hasattr(design, "terms"):
            raise LMMError(f"Criterion: takes a design, as build_design makes it; got {design!r}.")
        self.design = design
        self.reml = bool(reml)
        self.working: Working = working or working_model(design)
        self._constant = self.working.constant(reml=self.reml)
        self._holds: tuple[Callable[[Solution], Solution], ...] = ()

    def __call__(self, theta: Any) -> float:
        """The criterion at θ, shape (m,)."""
        values = self.check_theta(theta)
        try:
            return self._constant + self.solve(self.working.stacked_own(values)).value
        except np.linalg.LinAlgError as error:
            raise self._undefined(values) from error

    def gradient(self, theta: Any) -> np.ndarray:
        """dd/dθ, shape (m,)."""
        here, d = self._at(theta)
        return here.gradient(d)

    def hessian(self, theta: Any) -> np.ndarray:
        """d²d/dθdθ', shape (m, m): the observed information times two."""
        here, d = self._at(theta)
        return here.hessian(d)

    def _at(self, theta: Any) -> tuple[Chart, TDerivatives]:
        values = self.check_theta(theta)
        here = own_chart(self.working, values)
        try:
            return here, self.differentiate(self.solve(here.Lambda))
        except np.linalg.LinAlgError as error:
            raise self._undefined(values) from error

    def _undefined(self, theta: np.ndarray) -> LMMError:
        given = ", ".join(f"{name} = {value:g}" for name, value in zip(self.theta_names, theta, strict=True))
        return LMMError(
            f"criterion: it has no value at {given}: there the covariance of the rows is not positive definite, or "
            "singular to rounding. Correlations must make up a positive definite matrix, ratios and ranges be positive."
        )

    def solve(self, Lambda: np.ndarray, products: Products | None = None) -> Solution:
        """Penalised least squares at a factor in the working basis, shape (R, W); value without constants."""
        solution = (products or self.working.products).solve(Lambda, reml=self.reml)
        for hold in self._holds:
            solution = hold(solution)
        return solution

    def held(
        self, *, direction: np.ndarray | None = None, value: float = 0.0, sigma: float | None = None
    ) -> Criterion:
        """The criterion with something held, for `minimize` as for any other use: what a profile is made of.

        Parameters
        ----------
        direction, value : ndarray, shape (p,), and float
            direction'β = value, under ML, in the columns of the design's X.
        sigma : float
            The residual standard deviation, in units of the response.
        """
        w, holds = self.working, list(self._holds)
        if direction is not None:
            if self.reml:
                raise LMMError("criterion: fixed effects are held under ML; under REML there are none to hold.")
            own = np.linalg.solve(w.R.T, np.asarray(direction, dtype=float))  # l'β = (R⁻¹'l)'β̃
            target = (float(value) - own @ w.beta_shift) / w.y_scale
            holds.append(lambda solution: solution.constrained(own, target))
        if sigma is not None:
            noise = (sigma / (w.y_scale * w.noise_scale)) ** 2
            holds.append(lambda solution: solution.at_noise(noise))
        found = Criterion(self.design, reml=self.reml, working=w)
        found._holds = tuple(holds)
        return found

    def in_better_unit(self, theta: np.ndarray) -> Criterion | None:
        """The same criterion with standard deviations over the mean of the residuals' where these are far from σ.

        None where σ will do at working parameters θ̃.
        """
        w = self.working
        away = float(np.log(multiplier(w, theta))) if w.terms else 0.0
        if abs(away) <= _FAR_FROM_UNIT:
            return None
        return Criterion(self.design, reml=self.reml, working=in_unit(w, w.products.noise.log_unit + away))

    def differentiate(self, solution: Solution, products: Products | None = None) -> TDerivatives:
        """Derivatives in T at a solution of the same cross-products."""
        return (products or self.working.products).derivatives(solution)

    def total(self, solution: Solution) -> float:
        """The criterion with all constants."""
        return self._constant + solution.value

    def check_theta(self, theta: Any) -> np.ndarray:
        """θ as an array of shape (m,).

        Raises
        ------
        LMMError
            If it does not hold m finite numbers, or one of a structure's parameters is outside its bounds.
        """
        values = np.asarray(theta, dtype=float)
        lower, upper = self.bounds
        m = len(lower)
        if values.shape != (m,) or not np.all(np.isfinite(values)):
            raise LMMError(f"criterion: theta must hold {m} finite numbers; got {theta!r}.")
        outside = np.flatnonzero((values < lower) | (values > upper))
        if len(outside):
            k = int(outside[0])
            raise LMMError(
                f"criterion: `{self.theta_names[k]}` must lie in [{lower[k]:g}, {upper[k]:g}]; got {values[k]:g}."
            )
        return values

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of θ, each (m,): infinite for `us`, `diag` and `homdiag`."""
        return self.working.bounds

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of θ, see `lmmtools.core.covariance.theta_names`, and of φ."""
        names = [n for t in self.design.terms for n in theta_names(t.structure, t.factor, t.names)]
        residual = getattr(self.design, "residual", None)
        return (*names, *(residual.names if residual is not None else ()))
