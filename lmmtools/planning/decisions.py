"""What a simulated study decides: the p-value of one test, from a refit of its response."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from lmmtools.comparison.ratio import likelihood_ratio
from lmmtools.comparison.together import criteria_of
from lmmtools.core.working import Working, working_model
from lmmtools.errors import LMMError, LMMWarning, ModelError
from lmmtools.inference.contrasts import f_test, linear_functions, two_sided
from lmmtools.nesting import Nesting, dimension
from lmmtools.resampling.refits import Refit, Refits

__all__ = ["Decision", "Ratio", "Smaller", "Wald"]

# Draws for the weights of a study's mixture of χ², where they have no closed form: its p is known to some percent.
_DRAWS = 2000
_NO_P = "the test has no p-value: {}."


@dataclass(frozen=True)
class Decision:
    """What became of one simulated study.

    Attributes
    ----------
    p_value : float
        NaN where there is none, and `reason` says why.
    estimate : float
        Of the function tested, where it is one; else NaN.
    singular : bool
    reason : str
    """

    p_value: float
    estimate: float
    singular: bool
    reason: str


def _failed(reason: str, singular: bool = False) -> Decision:
    return Decision(np.nan, np.nan, singular, reason)


@dataclass(frozen=True)
class Wald:
    """The t or F test of linear functions Lβ = 0.

    Attributes
    ----------
    L : ndarray, shape (k, p)
    ddf : str
        Of `linear_functions` and `f_test`.
    refits : Refits
        Of the model.
    """

    L: np.ndarray
    ddf: str
    refits: Refits

    def decisions(self, Y: np.ndarray) -> Iterator[Decision]:
        """One for each response, a column of Y."""
        return map(self._decide, self.refits(Y))

    def _decide(self, refit: Refit) -> Decision:
        if not refit.ok:
            return _failed(refit.reason)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LMMWarning)  # a study's flat direction is no news
                p_value, estimate = self._test(refit.full())
        except (ModelError, np.linalg.LinAlgError) as error:
            return _failed(str(error), refit.is_singular)
        if np.isnan(p_value):
            return _failed(_NO_P.format("its degrees of freedom have no value"), refit.is_singular)
        return Decision(p_value, estimate, refit.is_singular, "")

    def _test(self, fit: Any) -> tuple[float, float]:
        if len(self.L) > 1:
            return f_test(fit, self.L, self.ddf).p_value, np.nan
        found = linear_functions(fit, self.L, self.ddf)
        with np.errstate(invalid="ignore", divide="ignore"):
            statistic = found.estimate / found.std_error
        return float(two_sided(statistic, found.df)[0]), float(found.estimate[0])


@dataclass(frozen=True, eq=False)
class Smaller:
    """The smaller model of a likelihood-ratio test, as much of a fit as refits and comparisons need.

    Attributes
    ----------
    design : Design
    reml : bool
    theta, phi : ndarray
        From which searches of residual structures start.
    working : Working
    """

    design: Any
    reml: bool
    theta: np.ndarray
    phi: np.ndarray
    working: Working

    @property
    def formula(self) -> str:
        """As written."""
        return self.design.formula

    @property
    def beta(self) -> np.ndarray:
        """As many zeros as there are coefficients, for the models' dimensions."""
        return np.zeros(self.design.X.shape[1])

    @property
    def npar(self) -> int:
        """Number of parameters: β, θ, φ and σ."""
        return self.design.X.shape[1] + len(self.theta) + len(self.phi) + 1

    def at(self, criterion: Any, optimum: Any) -> Any:
        """The whole fit of a criterion at its optimum."""
        from lmmtools.results import summarize

        return summarize(criterion, optimum)

    def on(self, design: Any) -> Smaller:
        """The same for other rows."""
        return replace(self, design=design, working=working_model(design))


@dataclass(frozen=True)
class Ratio:
    """The likelihood-ratio test of a smaller model, against the distributions that `lrt` has with ``draws=2000``.

    Attributes
    ----------
    small, large : Refits
        Of the two models, by one method.
    step : Nesting
    coding : float
        What the smaller's criterion lacks under REML because its X is coded in another way.
    whole : bool
        Whether the distribution depends on more of the fits than their criteria.
    """

    small: Refits
    large: Refits
    step: Nesting
    coding: float
    whole: bool

    @classmethod
    def of(cls, small: Smaller, plan: Any, step: Nesting) -> Ratio:
        """The test of a smaller model in a plan."""
        pair = [SimpleNamespace(reml=plan.reml, beta=m.beta, criterion=0.0, design=m.design) for m in (plan, small)]
        more, less = criteria_of(pair)
        whole = dimension(plan)[1] != dimension(small)[1] or not step.same_terms
        return cls(Refits(small), Refits(plan), step, less - more, whole)

    def decisions(self, Y: np.ndarray) -> Iterator[Decision]:
        """One for each response, a column of Y; singular is the larger model."""
        return map(self._decide, self.small(Y), self.large(Y))

    def _decide(self, small: Refit, large: Refit) -> Decision:
        if small.reason or large.reason:
            return _failed(small.reason or large.reason, bool(large.ok and large.is_singular))
        criteria = small.criterion + self.coding, large.criterion
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LMMWarning)
                pair = (small.full(), large.full()) if self.whole else (small, large)
                found = likelihood_ratio(*pair, criteria, self.step, draws=_DRAWS)
        except (LMMError, np.linalg.LinAlgError) as error:
            return _failed(str(error), large.is_singular)
        if np.isnan(found["p_value"]):
            return _failed(_NO_P.format(found["reference"].removeprefix("none: ")), large.is_singular)
        return Decision(found["p_value"], np.nan, large.is_singular, "")
