"""A search that ended where nothing can be computed: what was found there, and what it means."""

from __future__ import annotations

import numpy as np

from lmmtools.core.criterion import Criterion
from lmmtools.core.residual import noise_of, time_order
from lmmtools.errors import ModelError
from lmmtools.formats import listed

__all__ = ["lost_in_rounding"]

# Ratio of residual standard deviations from which on rounding is their doing.
_FAR_APART = 1e6


def lost_in_rounding(criterion: Criterion, theta: np.ndarray) -> ModelError:
    """The error of estimates that rounding leaves no digits, as where a parameter runs off to infinity.

    Parameters
    ----------
    criterion : Criterion
    theta : ndarray, shape (m,)
        [θ, φ] where the search ended.
    """
    residual = criterion.working.residual
    first = len(theta) - (0 if residual is None else residual.n_theta)  # of φ
    own = first < len(theta)
    shown = list(zip(criterion.theta_names, theta, strict=True))[first if own else 0 :]
    ratio = _sd_ratio(criterion, theta[first:])
    apart = (
        f" The standard deviations of the residuals differ by a factor of {ratio:.0e} there, so that a few rows count "
        "and the others do not." if ratio > _FAR_APART else ""
    )  # fmt: skip
    advice = "use a simpler residual structure, or fewer random effects" if own else "leave out random effects"
    return ModelError(
        "No estimates: where the search for the optimum ended the covariance of the response is singular to rounding, "
        f"at {listed(f'{name} = {value:.6g}' for name, value in shown)}.{apart} The likelihood may rise for ever as "
        f"such a parameter grows, and then there is no estimate: {advice}."
    )


def _sd_ratio(criterion: Criterion, phi: np.ndarray) -> float:
    """The largest standard deviation of a residual over the smallest."""
    structure = criterion.design.residual
    if structure is None:
        return 1.0
    try:
        sd = noise_of(structure, time_order(structure.correlation, len(criterion.design.y))).at(phi).s
    except np.linalg.LinAlgError:
        return 1.0
    return float(np.max(sd) / np.min(sd))
