"""The iterations of a search, one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmtools.core.algorithms.points import working_gradient
from lmmtools.core.covariance import theta_names
from lmmtools.core.criterion import Criterion
from lmmtools.core.solution import Solution

__all__ = ["Recorder", "Trace"]


@dataclass(frozen=True)
class Trace:
    """What a search did, iteration by iteration; row 0 is where it started.

    Attributes
    ----------
    method : str
    names : tuple of str, length m
        Of the elements of θ.
    criterion : ndarray, shape (k,)
        With all constants. EM proper carries a σ² of its own, and its values are those at that σ²; all others profile
        σ out.
    gradient : ndarray, shape (k,)
        Length of the gradient in working parameters (Λ over columns that are centred and of unit size).
    theta : ndarray, shape (k, m)
        lme4's parameters.
    evaluations : ndarray of int, shape (k,)
        Evaluations of the criterion so far.
    """

    method: str
    names: tuple[str, ...]
    criterion: np.ndarray
    gradient: np.ndarray
    theta: np.ndarray
    evaluations: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.criterion, self.gradient, self.theta, self.evaluations):
            array.setflags(write=False)

    def __repr__(self) -> str:
        return f"<Trace of {self.method}: {len(self) - 1} iterations>"

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.criterion)

    @property
    def iteration(self) -> np.ndarray:
        """Number of each row, from 0."""
        return np.arange(len(self))


class Recorder:
    """Takes down every point that a search reports.

    Parameters
    ----------
    criterion : Criterion
    method : str

    Attributes
    ----------
    before : int
        Evaluations made before the present stretch of the search.
    """

    def __init__(self, criterion: Criterion, method: str) -> None:
        self.criterion, self.method = criterion, method
        self.before, self._ended = 0, False
        self._rows: list[tuple[np.ndarray, float, float | None, int]] = []

    def __call__(self, theta: np.ndarray, value: float, gradient: float | None, evaluations: int) -> None:
        """Take down working parameters, the criterion without constants, ‖gradient‖ if known, evaluations so far."""
        if self._ended and np.array_equal(self._rows[-1][0], theta):
            theta, value, gradient, _ = self._rows.pop()  # a stretch starts where the last one ended
        self._ended = False
        self._rows.append((theta.copy(), value, gradient, self.before + evaluations))

    def at(self, theta: np.ndarray, solution: Solution, evaluations: int) -> None:
        """Take down where a stretch has ended, and count on from there."""
        self.before, self._ended = 0, bool(self._rows)
        self(theta, solution.value, None, evaluations)
        self.before, self._ended = evaluations, True

    def trace(self) -> Trace:
        """What was taken down."""
        w = self.criterion.working
        constant = w.constant(reml=self.criterion.reml)
        gradient = [self._gradient(theta) if g is None else g for theta, _, g, _ in self._rows]
        return Trace(
            method=self.method,
            names=_names(self.criterion),
            criterion=np.array([constant + value for _, value, _, _ in self._rows]),
            gradient=np.array(gradient),
            theta=np.array([w.to_theta(theta) for theta, _, _, _ in self._rows]).reshape(len(self._rows), -1),
            evaluations=np.array([evaluations for _, _, _, evaluations in self._rows], dtype=int),
        )

    def _gradient(self, theta: np.ndarray) -> float:
        """Of a point reached without derivatives."""
        w = self.criterion.working
        try:
            solution = self.criterion.solve(w.stacked(theta))
        except np.linalg.LinAlgError:
            return np.nan
        return float(np.linalg.norm(working_gradient(w, theta, self.criterion.differentiate(solution).gradient)))


def _names(criterion: Criterion) -> tuple[str, ...]:
    """Names of θ, each once, those of a repeated factor by the term's own name for its group; then of φ."""
    found: list[str] = []
    for term in criterion.design.terms:
        names = theta_names(term.structure, term.factor, term.names)
        found += theta_names(term.structure, term.group, term.names) if set(names) & set(found) else names
    residual = getattr(criterion.design, "residual", None)
    return (*found, *(residual.names if residual is not None else ()))
