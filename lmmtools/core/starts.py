"""Where the search starts."""

from __future__ import annotations

import numpy as np

from lmmtools.core.covariance import combine, covariance_basis, theta_of
from lmmtools.core.working import Working

__all__ = ["minque0", "other_starts", "starts"]

# No start has a relative variance below this over the mean group size: at zero the criterion is flat in Λ, and from
# near it Newton is slow to see that a variance belongs there.
_START_RELIABILITY = 0.2
# Below this sd/rms (mean/sd about 3) a slope's column counts as far from zero.
_FAR_FROM_ZERO = 0.3


def starts(working: Working) -> list[np.ndarray]:
    """Working parameters to start from: MINQUE(0), and larger slopes where their column lies far from zero.

    There the criterion can have one minimum in which the slopes' variance stands in for the intercepts' and
    another in which it is its own: the two differ by the mean/sd of the column, too far for one start.
    """
    first = minque0(working)
    points = [first]
    if min(term.spread.min() for term in working.terms) >= _FAR_FROM_ZERO:
        return points
    for size in (0.3, 3.0):
        theta = first.copy()
        for term, part in zip(working.terms, working.slices, strict=True):
            far = term.spread < _FAR_FROM_ZERO
            if far.any() and term.structure != "homdiag":
                diagonal = np.where(far, size / term.spread, np.abs(np.diagonal(term.working_factor(first[part]))))
                theta[part] = theta_of(term.structure, np.diag(diagonal))
        points.append(theta)
    return points


def other_starts(working: Working) -> list[np.ndarray]:
    """Equal relative sds, small, moderate and large, without correlation."""
    return [
        np.concatenate([theta_of(t.structure, size * np.eye(t.q)) for t in working.terms]) for size in (0.1, 1.0, 4.0)
    ]


def minque0(working: Working) -> np.ndarray:
    """Working parameters from MINQUE(0), projected into the cone.

    Equates the residual cross-products with their expectations at V = I (Rao 1971, J. Multivariate Anal. 1,
    with a-priori weights zero; the projection off X is left out, which only moves the start)::

        Σ_l t_l ⟨ZD_kZ', ZD_lZ'⟩ + s²⟨ZD_kZ', I⟩ = Σ e'ZD_kZ'e     and     Σ_l t_l tr(ZD_lZ') + s²(n − p) = e'e
    """
    m, D, G = working.products, working.covariance_map, working.gram
    ee = m.residual_products()
    lhs = np.block([[G.between, G.with_residual[:, None]], [G.with_residual[None, :], np.array([[m.n - m.p]])]])
    rhs = np.append(D.reshape(len(D), -1) @ ee.reshape(-1), m.n)  # e has unit mean square
    scale = np.sqrt(np.diagonal(lhs))
    scale[scale == 0.0] = 1.0  # a direction that V does not have; lstsq leaves it at zero
    t = np.linalg.lstsq(lhs / np.outer(scale, scale), rhs / scale, rcond=1e-10)[0] / scale
    left, dof = m.within_residual()
    s2 = max(t[-1], 0.3 * left / dof if dof > 0 else _START_RELIABILITY)
    floors = _START_RELIABILITY * np.array(working.levels)[list(working.homes)] / m.n
    parts = zip(working.terms, working.slices, floors, strict=True)
    return np.concatenate([_into_cone(term.structure, term.q, t[:-1][s] / s2, low) for term, s, low in parts])


def _into_cone(structure: str, q: int, t: np.ndarray, floor: float) -> np.ndarray:
    """Parameters of the positive definite T nearest to Σ t_kD_k with eigenvalues not below `floor`."""
    values, vectors = np.linalg.eigh(combine(t, covariance_basis(structure, q)))
    T = (vectors * np.maximum(values, max(floor, 1e-3 * values[-1]))) @ vectors.T
    return theta_of(structure, np.linalg.cholesky(T))
