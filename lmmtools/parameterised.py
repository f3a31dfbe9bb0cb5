"""What any model with values of its parameters can say of itself, whether they were estimated or stated."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from lmmtools.design import Design
from lmmtools.noise import ResidualCovariance, residual_covariance

__all__ = ["Parameterised"]


class Parameterised:
    """Counts, names and covariances that follow from a design and its parameters, for frozen values that have both."""

    design: Design
    reml: bool
    beta: np.ndarray
    theta: np.ndarray
    phi: np.ndarray
    Lambda: tuple[np.ndarray, ...]
    sigma: float

    @property
    def formula(self) -> str:
        """As written."""
        return self.design.formula

    @property
    def method(self) -> str:
        """The method of fitting: ``REML`` or ``ML``."""
        return "REML" if self.reml else "ML"

    @property
    def nobs(self) -> int:
        """Rows used."""
        return len(self.design.y)

    @property
    def npar(self) -> int:
        """Number of parameters: β, θ, φ and σ."""
        return len(self.beta) + len(self.theta) + len(self.phi) + 1

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels per grouping factor."""
        return dict(self.design.ngroups)

    @property
    def random_covariance(self) -> dict[str, pd.DataFrame]:
        """σ²ΛΛ' of each term, by its name in `varcorr`."""
        return {
            t.group: pd.DataFrame(self.sigma**2 * L @ L.T, index=list(t.names), columns=list(t.names))
            for t, L in zip(self.design.terms, self.Lambda, strict=True)
        }

    @cached_property
    def noise(self) -> ResidualCovariance:
        """R(φ) over the rows used, W included: standard deviations, whitening and colouring."""
        return residual_covariance(self.design, self.phi)
