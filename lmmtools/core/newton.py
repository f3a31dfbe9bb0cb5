"""One Newton step: on a Hessian made positive definite, within bounds, and on an approximate Hessian with memory."""

from __future__ import annotations

import numpy as np

__all__ = ["Secant", "bounded_step", "newton_step", "tempered"]

# Eigenvalues below this against the largest are those of flat directions.
_FLAT = 1e-9
# Curvature per row that is more than that of any variance's logarithm.
_BEND = 1e3
# No coordinate steps further than this: one of two sizes would take a large sd to its negative, which is itself.
_LONGEST = 1.7


def tempered(unit: np.ndarray, H: np.ndarray, n: int) -> np.ndarray:
    """Units of the coordinates, those shortened in which the criterion bends far more than n rows' logarithms can.

    Beside a correlation next to one, whose curvature grows with the inverse square of what is left of it, every other
    direction would look flat.
    """
    bend = np.abs(np.diagonal(H)) * unit**2
    return unit / np.sqrt(np.maximum(1.0, bend / (_BEND * n)))


def newton_step(g: np.ndarray, H: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The step −|H|⁻¹g, bounded; the decrease it predicts; whether H was positive definite as it stood.

    In units in which a step of one is a large one.
    """
    values, vectors = np.linalg.eigh(H)
    along = vectors.T @ g
    floor = _FLAT * max(np.abs(values).max(), 1e-300)
    size = np.maximum(np.abs(values), floor)
    # Along a flat direction gradient and curvature are both rounding: moving there only adds noise.
    along = np.where(np.abs(values) <= floor, 0.0, along)
    step = -vectors @ (along / size)
    gain = 0.5 * float(np.sum(along**2 / size))
    return _limited(step), gain, bool(values[0] > floor)


def _limited(step: np.ndarray, longest: float = _LONGEST) -> np.ndarray:
    size = np.abs(step).max()
    return step * (longest / size) if size > longest else step


def bounded_step(
    g: np.ndarray, H: np.ndarray, box: tuple[np.ndarray, np.ndarray], longest: float = _LONGEST
) -> tuple[np.ndarray, float, bool]:
    """The same within bounds on the step (Bertsekas 1982, SIAM J. Control Optim. 20(2), projected Newton methods).

    Coordinates at a bound towards which the criterion falls stay there. In the others g's + s'|H|s/2 is minimised over
    the box, |H| their Hessian with its eigenvalues made positive.
    """
    lower, upper = box
    free = np.flatnonzero(~(((lower >= 0.0) & (g >= 0.0) & (upper > 0.0)) | ((upper <= 0.0) & (g <= 0.0))))
    step = np.zeros(len(g))
    if not len(free):
        return step, 0.0, True
    values, vectors = np.linalg.eigh(H[np.ix_(free, free)])
    floor = _FLAT * max(np.abs(values).max(), 1e-300)
    along = vectors.T @ g[free]
    slope = vectors @ np.where(np.abs(values) <= floor, 0.0, along)
    B = (vectors * np.maximum(np.abs(values), floor)) @ vectors.T
    step[free] = _box_minimum(slope, B, lower[free], upper[free])
    gain = -float(slope @ step[free]) - 0.5 * float(step[free] @ B @ step[free])
    return _limited(step, longest), gain, bool(values[0] > floor)


def _box_minimum(g: np.ndarray, B: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Minimum of g's + s'Bs/2 over a box, B positive definite, by active sets."""
    m = len(g)
    side = np.zeros(m, dtype=int)
    for _ in range(5 * m + 5):
        step = np.where(side < 0, lower, np.where(side > 0, upper, 0.0))
        inner = side == 0
        if inner.any():
            step[inner] = -np.linalg.solve(B[np.ix_(inner, inner)], (g + B @ step)[inner])
        outside = np.where(step < lower, -1, np.where(step > upper, 1, 0))
        if outside.any():
            excess = np.maximum(lower - step, step - upper) / np.maximum(np.abs(step), 1e-300)
            k = int(np.argmax(np.where(outside != 0, excess, -np.inf)))
            side[k] = outside[k]
            continue
        pull = (g + B @ step) * side  # positive where the minimum lies off the bound
        if pull.max() <= 1e-12 * (1.0 + np.abs(g).max()):
            return step
        side[int(np.argmax(pull))] = 0
    # Cycling, by rounding: a step down the gradient that is short enough.
    size = max(float(np.linalg.eigvalsh(B)[-1]), 1e-300)
    return np.clip(-g / size, lower, upper)


class Secant:
    """What the Hessian's approximation lacks, learnt from how the gradient changed along the steps taken.

    A symmetric rank-one correction A so that (H + A)s = y for the last step s and change y of the gradient, where
    both ends have the working parameters for coordinates (Dennis, Gay & Welsch 1981, ACM TOMS 7, add such a part to
    an information matrix).
    """

    def __init__(self) -> None:
        self._theta: np.ndarray | None = None
        self._gradient: np.ndarray | None = None
        self._A: np.ndarray | None = None

    def correct(self, theta: np.ndarray, plain: bool, g: np.ndarray, H: np.ndarray) -> np.ndarray:
        """The Hessian's approximation H at θ, corrected; `plain` says whether θ itself has the coordinates of g."""
        if not plain:
            self._theta = self._A = None
            return H
        if self._A is None:
            self._A = np.zeros_like(H)
        if self._theta is not None:
            s, y = theta - self._theta, g - self._gradient
            left = y - (H + self._A) @ s
            along = float(left @ s)
            if abs(along) > 1e-6 * np.linalg.norm(left) * np.linalg.norm(s):
                self._A = self._A + np.outer(left, left) / along
        self._theta, self._gradient = theta, g
        return H + self._A
