"""What is taken of every replicate: the model's parameters, or a statistic of the user's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, LMMWarning
from lmmtools.inference.wald import parameter_names
from lmmtools.varcorr import shown_elements

__all__ = ["Parameters", "Quick", "Statistic", "taken"]


@dataclass(frozen=True)
class Quick:
    """A statistic that needs no more of a fit than a `Refit` has: saves certificate and modes of every replicate.

    Attributes
    ----------
    function : callable
        Of a `Refit`, or of an `LMMFit`: of ``design``, ``beta``, ``fixef``, ``sigma``, ``Lambda``, ``theta``, ``phi``
        and ``criterion``.
    """

    function: Callable[[Any], Any]


@dataclass(frozen=True)
class Parameters:
    """Coefficients, standard deviations, correlations, σ and φ, in the order of `names`.

    Attributes
    ----------
    names : tuple of str
        Of the coefficients, then ``sd(g, x)``, ``cor(g, x, z)``, …, ``sigma``, then of the residuals' parameters.
    elements : tuple of (ndarray, ndarray)
        Rows and columns of each term's covariance matrix that are named.
    """

    names: tuple[str, ...]
    elements: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, fit: Any) -> Parameters:
        """Those of a fit's model."""
        elements = tuple(tuple(np.array(shown_elements(t), dtype=int).T) for t in fit.design.terms)
        rows = parameter_names(fit)[: len(fit.varcorr)]
        return cls((*map(str, fit.fixef.index), *rows, *fit.residual_params.index), elements)

    def __call__(self, fit: Any) -> np.ndarray:
        """Their values, shape (k,): a correlation beside a variance of zero is NaN."""
        parts = [fit.beta]
        for Lambda, (i, j) in zip(fit.Lambda, self.elements, strict=True):
            cov = Lambda @ Lambda.T
            sd = np.sqrt(np.diagonal(cov))
            both = sd[i] * sd[j]
            with np.errstate(invalid="ignore", divide="ignore"):
                cor = np.clip(cov[i, j] / both, -1.0, 1.0)
            parts.append(np.where(i == j, fit.sigma * sd[i], np.where(both > 0, cor, np.nan)))
        return np.concatenate([*parts, [fit.sigma], fit.phi])


@dataclass(frozen=True)
class Statistic:
    """A user's statistic, with the names its values have.

    Attributes
    ----------
    names : tuple of str
    function : callable
    quick : bool
        Whether a `Refit` will do.
    """

    names: tuple[str, ...]
    function: Callable[[Any], Any]
    quick: bool

    @classmethod
    def of(cls, function: Any, fit: Any) -> Statistic:
        """The statistic, named by what it gives for the fit itself.

        Raises
        ------
        LMMError
            If it is not callable, or gives no numbers.
        """
        quick = isinstance(function, Quick)
        function = function.function if quick else function
        if not callable(function):
            raise LMMError(f"bootstrap: statistic must be a function of a fit that gives numbers; got {function!r}.")
        value = function(fit)
        numbers = _numbers(value)
        if isinstance(value, pd.Series):
            names = tuple(map(str, value.index))
        else:
            name = getattr(function, "__name__", "statistic").replace("<lambda>", "statistic")
            names = (name,) if np.ndim(value) == 0 else tuple(f"{name}[{i}]" for i in range(len(numbers)))
        if len(set(names)) < len(names) or not len(numbers):
            raise LMMError(
                f"bootstrap: the statistic gives {len(numbers)} values with the names {', '.join(names) or 'none'}; "
                "each must have a name of its own."
            )
        return cls(names, function, quick)

    def __call__(self, refit: Any) -> np.ndarray:
        """Its values, shape (k,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)  # a replicate's flat direction is no news
            fit = refit if self.quick or not hasattr(refit, "full") else refit.full()
            values = _numbers(self.function(fit))
        if len(values) != len(self.names):
            raise LMMError(
                f"the statistic gave {len(values)} values where it gave {len(self.names)} for the fit itself."
            )
        return values


def _numbers(value: Any) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError) as error:
        raise LMMError(
            f"bootstrap: statistic must give a number, an array or a Series of numbers; it gave {type(value).__name__}."
        ) from error
    if array.ndim != 1:
        raise LMMError(f"bootstrap: statistic must give a row of numbers; it gave an array of shape {array.shape}.")
    return array


def taken(what: Any, refit: Any) -> tuple[np.ndarray, str, bool]:
    """Values of a refit, the sentence of what went wrong with NaN for all of them, and whether it is singular."""
    nothing = np.full(len(what.names), np.nan)
    if not refit.ok:
        return nothing, refit.reason, False
    try:
        return what(refit), "", refit.is_singular
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        told = str(error) if isinstance(error, LMMError) else f"{type(error).__name__}: {error}"
        return nothing, told, refit.is_singular
