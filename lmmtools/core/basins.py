"""Whether a search is on its way to an optimum that is known already: then it need not go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmtools.core.covariance import theta_of
from lmmtools.core.working import Working

__all__ = ["Basins"]

# A search from another start that comes this near a known optimum, and less than the second number above it, would only
# find it again.
_NEXT_TO, _LITTLE = 0.05, 0.05
# So would one whose Newton step ends there, by this share of the step, and predicts what is known to this share.
_HEADED = 0.3
# One that gains less than this share of what it is above a known optimum, so many times in a row, crosses a plain.
_PLAIN, _STEPS = 0.005, 3


class Basins:
    """Known optima, as one search sees them.

    With a residual structure, where every evaluation reads all rows, a search is given up as soon as it is plainly on
    its way to one, or crosses a plain. Without, only next to one: what looks like the way may fork.

    Parameters
    ----------
    working : Working
    optima : sequence of Optimum
        Each with `working` parameters and `value`.
    """

    def __init__(self, working: Working, optima: Sequence[Any]) -> None:
        self._working, self._early = working, working.residual is not None
        self._known = [(o.working, _upright(working, o.working), o.value) for o in optima]
        self._lowest, self._slow = min((o.value for o in optima), default=np.inf), 0

    def entered(self, theta: np.ndarray, end: np.ndarray, value: float, gain: float) -> bool:
        """Whether a Newton step from θ̃ ends at a known optimum, and predicts the criterion there."""
        if not (self._known and self._early):
            return False
        theta, end = _upright(self._working, theta), _upright(self._working, end)
        return any(
            np.linalg.norm(end - there) <= _HEADED * np.linalg.norm(theta - there)
            and abs(value - gain - lowest) <= _HEADED * (value - lowest)
            for _, there, lowest in self._known
        )

    def left(self, theta: np.ndarray, before: float, value: float) -> bool:
        """Whether a step ends next to a known optimum and above it, or is one more of several that gain little."""
        self._slow = self._slow + 1 if before - value < _PLAIN * (value - self._lowest) else 0
        return (self._early and self._slow >= _STEPS) or self._next_to(theta, value)

    def given_up(self, theta: np.ndarray, value: float) -> bool:
        """Whether a search that ended without converging was on its way to a known optimum, or is of no use."""
        return self._next_to(theta, value) or (self._early and value > self._lowest)

    def _next_to(self, theta: np.ndarray, value: float) -> bool:
        return any(
            np.all(np.abs(theta - there) <= _NEXT_TO * np.maximum(1.0, np.abs(there)))
            and 0.0 < value - lowest - 1e-11 * abs(value) < _LITTLE
            for there, _, lowest in self._known
        )


def _upright(working: Working, theta: np.ndarray) -> np.ndarray:
    """The same Λ̃ with a positive diagonal: the criterion is the same whatever the signs of its columns."""
    theta = theta.copy()
    for term, at in zip(working.terms, working.slices, strict=True):
        if term.form is None:
            Lambda = term.working_factor(theta[at])
            theta[at] = theta_of(term.structure, Lambda * np.where(np.diagonal(Lambda) < 0.0, -1.0, 1.0))
    return theta
