"""Residuals, fitted values and conditional modes beside those of responses drawn from the fitted model.

Residuals of a fit are correlated and of unequal variance, conditional modes are shrunken, by different amounts where
groups differ in size. So each is divided by the standard deviation that the model gives it, with Var(y) = σ²V::

    Var(y − ŷ) = σ²R𝒫R,   Var(b̂) = σ²TZ'𝒫ZT = σ²T − Var(b | y) − S Var(β̂) S',   S = TZ'V⁻¹X

and what is made of all of them together is held against the same of responses drawn from the model: β, b and σ are
estimated again from each, and what the other parameters' estimates do to it is taken out (`scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.assumptions.look import Look
from lmmtools.assumptions.scores import Scores, without
from lmmtools.assumptions.value import Finding
from lmmtools.core.modes import mode_sensitivity, term_columns
from lmmtools.dependence.reestimated import Reestimated
from lmmtools.projection import projection

__all__ = ["Drawn", "Question", "Simulation", "asked"]

# A variance below this share of what it is of is rounding: nothing is left to look at.
_NOTHING = 1e-8
# What a statistic still varies, beside what it would at known covariance parameters, below which it cannot be judged.
_LITTLE = 0.3
_FITTED = " The covariance parameters were fitted to just this."


@dataclass(frozen=True)
class Drawn:
    """What is looked at, of m responses.

    Attributes
    ----------
    residual : ndarray, shape (n, m)
        y − ŷ over the standard deviation of each; zero for a row that the fit goes through whatever its response is.
    normalized : ndarray, shape (n, m)
        L⁻¹(y − ŷ)/σ̂, R = LL'.
    fitted : ndarray, shape (n, m)
        In units of the response.
    modes : tuple of ndarray, shape (levels, q, m)
        Of each term, over the standard deviation of each; zero where the variance is.
    scores : ndarray, shape (parameters, m)
        Of the covariance parameters.
    """

    residual: np.ndarray
    normalized: np.ndarray
    fitted: np.ndarray
    modes: tuple[np.ndarray, ...]
    scores: np.ndarray


@dataclass(frozen=True)
class Question:
    """A check whose reference is by simulation.

    Attributes
    ----------
    check, of : str
    see : Look or None
        As of a finding.
    measure : callable
        Of m responses the statistic and what else its words need, shape (k, m), the statistic first.
    said : callable
        The finding, from ``(p_value, observed (k,), simulated (k, n))``.
    tail : {"upper", "lower", "both"}
        Which values of the statistic speak against the assumption.
    """

    check: str
    of: str
    see: Look | None
    measure: Callable[[Drawn], np.ndarray]
    said: Callable[[float, np.ndarray, np.ndarray], str]
    tail: str = "upper"


class Simulation:
    """Makes of a fit, and of responses drawn from it, what checks look at.

    Parameters
    ----------
    fit : LMMFit

    Raises
    ------
    ModelError
        If groups of correlated residuals reach across very many levels of random effects.
    """

    def __init__(self, fit: Any) -> None:
        self.fit = fit
        self.source = Reestimated(fit, "check_assumptions")
        self.mean = fit.design.mean(fit.beta)
        self._scores = Scores(fit)

    @cached_property
    def _row_scale(self) -> np.ndarray:
        """One over the standard deviation of each residual, in units of σ."""
        return _one_over_root(projection(self.fit, what="check_assumptions").residual_variance, self.fit.noise.sd**2)

    @cached_property
    def mode_scale(self) -> tuple[np.ndarray, ...]:
        """One over the standard deviation of each conditional mode of each term, in units of σ, shape (levels, q)."""
        pairs = zip(*mode_variances(self.fit), strict=True)
        return tuple(_one_over_root(found, whole) for found, whole in pairs)

    def observed(self) -> Drawn:
        """Of the response itself."""
        e = self.fit.noise.whiten(self.fit.resid.to_numpy()) / self.fit.sigma
        return self._of(e[:, None], self.fit.fitted.to_numpy()[:, None])

    def draws(self, n: int, rng: np.random.Generator) -> Iterator[Drawn]:
        """Of n responses, a few at a time."""
        for y in self.source.responses(n, rng):
            e, sigma = self.source.estimated(y)
            y -= e * sigma
            yield self._of(e, self.mean[:, None] + self.fit.sigma * self._colour(y))

    def _colour(self, e: np.ndarray) -> np.ndarray:
        """Le; of uncorrelated residuals without the detour through groups and positions."""
        noise = self.fit.noise
        return noise.sd[:, None] * e if self.fit.design.correlation is None else noise.colour(e)

    def _of(self, e: np.ndarray, fitted: np.ndarray) -> Drawn:
        residual = self._colour(e) * self._row_scale[:, None]
        effects = list(self._effects(e))
        scores = [self._scores.of_term(k, u) for k, (u, _) in enumerate(effects)]
        scores = [part for part in (*scores, self._scores.of_residuals(e)) if len(part)]
        together = np.vstack(scores) if scores else np.zeros((0, e.shape[1]))
        return Drawn(residual, e, fitted, tuple(b for _, b in effects), together)

    def _effects(self, e: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each term u = Λ'Z'𝒫y, U' of the normalized residuals, and b̂ = Λu over its standard deviations."""
        if self.source.U is None:
            return
        u, start = self.source.U.T @ e, 0
        for term, Lambda, scale in zip(self.fit.design.terms, self.fit.Lambda, self.mode_scale, strict=True):
            root, q = term.known_root, len(Lambda)
            levels = len(term.levels) if root is None else root.shape[1]
            own = u[start : start + levels * q].reshape(levels, q, -1)
            start += levels * q
            b = np.matmul(Lambda, own)
            b = b if root is None else np.tensordot(root, b, axes=1)
            yield own, b * scale[:, :, None]


def mode_variances(fit: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Var(b̂) over σ² of each term's effects, and Var(b), each a list of arrays of shape (levels, q)."""
    explained, whole = [], []
    sensitivity = mode_sensitivity(fit.working, fit.Lambda, fit.solution)
    for term, (home, mine), Lambda in zip(fit.design.terms, term_columns(fit.working), fit.Lambda, strict=True):
        own = np.tile(np.sum(Lambda**2, axis=1), (len(term.levels), 1))
        if term.known_root is not None:
            own = own * np.sum(term.known_root**2, axis=1)[:, None]
        S = sensitivity[home][:, mine]
        lost = np.diagonal(fit.mode_cov[home], axis1=1, axis2=2)[:, mine]
        lost = lost + np.einsum("jqp,pr,jqr->jq", S, fit.beta_cov, S)
        explained.append(own - lost / fit.sigma**2)
        whole.append(own)
    return explained, whole


def _one_over_root(variance: np.ndarray, whole: np.ndarray) -> np.ndarray:
    some = variance > _NOTHING * whole
    return np.where(some, 1.0 / np.sqrt(np.where(some, variance, 1.0)), 0.0)


def asked(simulation: Simulation, questions: Sequence[Question], n: int, rng: np.random.Generator) -> list[Finding]:
    """The rows of the table that these questions make."""
    own = simulation.observed()
    observed = [q.measure(own)[:, 0] for q in questions]
    drawn, scores = [], []
    for some in simulation.draws(n, rng):
        drawn.append([q.measure(some) for q in questions])
        scores.append(some.scores)
    found = []
    for k, question in enumerate(questions):
        whole = np.hstack([some[k] for some in drawn])
        simulated = without(whole, np.hstack(scores))
        little = simulated[0].std() < _LITTLE * whole[0].std()
        # then what is left is of the second order, of which nothing is known
        p_value = np.nan if little else _p_value(observed[k][0], simulated[0], question.tail)
        found.append(Finding(
            question.check, question.of, float(observed[k][0]), f"{n:,} draws", p_value,
            question.said(p_value, observed[k], simulated) + (_FITTED if little else ""), question.see,
        ))  # fmt: skip
    return found


def _p_value(value: float, simulated: np.ndarray, tail: str) -> float:
    """Share of n + 1 exchangeable values that go as far; two-sided, twice the smaller."""
    above = (1 + np.sum(simulated >= value)) / (len(simulated) + 1)
    below = (1 + np.sum(simulated <= value)) / (len(simulated) + 1)
    return float({"upper": above, "lower": below, "both": min(2.0 * min(above, below), 1.0)}[tail])
