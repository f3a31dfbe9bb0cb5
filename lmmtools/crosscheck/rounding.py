"""How many digits rounding leaves of estimates that are computed from raw columns: bounds, not guesses.

References
----------
Higham, N. J. (2002). Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM, sections 3.1 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rounding"]

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Rounding:
    """Bounds on the rounding errors of generalised least squares.

    Attributes
    ----------
    n : int
        Rows.
    condition : float
        Bound on the condition of V, with that of forming it.
    S : ndarray (p, p)
        X'V^-1 X.
    beta : ndarray (p,)
    y_norm : float
        Norm of |y| + |X||beta|, whitened.
    q : float
        r'V^-1 r.
    """

    n: int
    condition: float
    S: NDArray
    beta: NDArray
    y_norm: float
    q: float

    @property
    def unit(self) -> float:
        """n eps times the condition of V: rounding of a quadratic form in V^-1.

        The worst case of a sum of n products, each with a solve in V.
        """
        return self.n * _EPS * self.condition

    def fixed(self) -> tuple[NDArray, NDArray]:
        """Bounds on rounding errors of beta (absolute) and of its standard errors (relative).

        Backward errors |dS_ij| <= g sqrt(S_ii S_jj) of the weighted normal equations, and the same of their
        right side, carried to beta element by element, with g = `unit`.
        """
        if not len(self.beta):
            return np.zeros(0), np.zeros(0)
        inverse, size = np.abs(np.linalg.inv(self.S)), np.sqrt(np.diag(self.S))
        spread, unit = inverse @ size, self.unit
        return unit * spread * (size @ np.abs(self.beta) + self.y_norm), unit * spread**2 / np.diag(inverse)

    @property
    def residual(self) -> float:
        """Relative bound on the rounding error of linear forms in V^-1 r: r = y - X beta cancels."""
        return self.unit * self.y_norm / float(np.sqrt(self.q))

    @property
    def variance(self) -> float:
        """Relative bound on the rounding error of sigma^2: twice that of r, and beta's own in second order."""
        loss = self.fixed()[0]
        return 2 * self.residual + float(loss @ np.abs(self.S) @ loss) / self.q
