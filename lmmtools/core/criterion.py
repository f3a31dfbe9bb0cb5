"""The criterion as a function of θ, with its gradient and Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.covariance import combine
from lmmtools.core.solution import Products, Solution, TDerivatives, theta_gradient, theta_hessian
from lmmtools.core.working import Working, working_model
from lmmtools.errors import LMMError

__all__ = ["Criterion"]


class Criterion:
    """−2 log-likelihood (ML) or −2 restricted log-likelihood (REML), profiled over β and σ.

    Parameters
    ----------
    design : Design
        As `build_design` makes it, with random effects.
    reml : bool
    working : Working, optional
        The same design's cross-products, where they are known already.

    Raises
    ------
    LMMError
        If there are no random effects.
    ModelError
        If the response is reproduced exactly.

    Notes
    -----
    Called with lme4's θ it is a pure function that any optimiser can take. Its `working` parameters are those
    that `minimize` moves in: the same Λ in centred and scaled columns.

    Examples
    --------
    >>> from lmmtools import Criterion, build_design, load_dataset
    >>> design = build_design("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> round(Criterion(design, reml=True)([1.0]), 4)
    319.7256
    """

    def __init__(self, design: Any, *, reml: bool = True, working: Working | None = None) -> None:
        if not getattr(design, "terms", ()):
            raise LMMError(f"Criterion: takes a design with random effects, made by build_design; got {design!r}.")
        self.design = design
        self.reml = bool(reml)
        self.working: Working = working or working_model(design)
        self._constant = self.working.constant(reml=self.reml)
        self._theta_map = self.working.theta_map
        self.working_map = self.working.working_map

    def __call__(self, theta: Any) -> float:
        """The criterion at θ, shape (m,)."""
        return self._constant + self.solve(self._factor(theta)).value

    def gradient(self, theta: Any) -> np.ndarray:
        """dd/dθ, shape (m,)."""
        Lambda = self._factor(theta)
        return theta_gradient(self.differentiate(self.solve(Lambda)), Lambda, self._theta_map)

    def hessian(self, theta: Any) -> np.ndarray:
        """d²d/dθdθ', shape (m, m): the observed information times two."""
        Lambda = self._factor(theta)
        return theta_hessian(self.differentiate(self.solve(Lambda)), Lambda, self._theta_map)

    def solve(self, Lambda: np.ndarray, products: Products | None = None) -> Solution:
        """Penalised least squares at a factor in the working basis, shape (R, W); value without constants."""
        return (products or self.working.products).solve(Lambda, reml=self.reml)

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
            If it does not hold m finite numbers.
        """
        values = np.asarray(theta, dtype=float)
        m = len(self._theta_map)
        if values.shape != (m,) or not np.all(np.isfinite(values)):
            raise LMMError(f"criterion: theta must hold {m} finite numbers; got {theta!r}.")
        return values

    def _factor(self, theta: Any) -> np.ndarray:
        return combine(self.check_theta(theta), self._theta_map)
