"""Where the search starts."""

from __future__ import annotations

import numpy as np

from lmmtools.core.charts import ZERO
from lmmtools.core.covariance import combine, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.residual.moments import moments
from lmmtools.core.terms import Term
from lmmtools.core.working import Working

__all__ = ["drawn", "minque0", "ordered", "other_starts", "reopened", "starts"]

# No start has a relative variance below this over the mean group size: at zero the criterion is flat in Λ, and from
# near it Newton is slow to see that a variance belongs there.
_START_RELIABILITY = 0.2
# Other starts that are searched from with a residual structure, after a look at all of them; times that one without a
# positive definite R is drawn halfway to one that has one.
_FEW_STARTS, _DRAWN = 4, 8
# Of few parameters so many other starts are looked at.
_FEW_PARAMETERS, _LOOKED_AT = 3, 4
# Below this sd/rms (mean/sd about 3) a slope's column counts as far from zero.
_FAR_FROM_ZERO = 0.3


def starts(working: Working) -> list[np.ndarray]:
    """Working parameters to start from: MINQUE(0), and larger slopes where their column lies far from zero.

    There the criterion can have one minimum in which the slopes' variance stands in for the intercepts' and
    another in which it is its own: the two differ by the mean/sd of the column, too far for one start.
    """
    first = minque0(working) if working.terms else np.zeros(0)
    if working.residual is not None:
        first = np.append(first, _of_residuals(working))
    points = [first]
    if min((term.spread.min() for term in working.terms), default=1.0) >= _FAR_FROM_ZERO:
        return points
    for size in (0.3, 3.0):
        theta = first.copy()
        for term, part in zip(working.terms, working.slices, strict=True):
            if (term.spread < _FAR_FROM_ZERO).any():
                theta[part] = _larger_slopes(term, theta[part], size)
        points.append(theta)
    return points


def _of_residuals(working: Working) -> np.ndarray:
    """Of φ: residuals that are all but independent, or as least squares leave them where there is nothing else."""
    form = working.residual.form
    if working.terms:
        return form.base
    products = working.products
    return form.nearest(moments(products.noise, products.H[:, -1], form.natural(form.base)))


def _larger_slopes(term: Term, theta: np.ndarray, size: float) -> np.ndarray:
    """θ̃ of a term with sds of `size`, before centring, where a column lies far from zero."""
    far = term.spread < _FAR_FROM_ZERO
    if term.form is not None:
        sds = np.flatnonzero(far)
        if term.form.n_theta <= term.q:  # one sd for all, or a user's own parameters
            return theta
        theta = theta.copy()
        theta[sds] = np.clip(size / term.spread[sds], *(bound[sds] for bound in term.bounds))
        return theta
    if term.structure == "homdiag":
        return theta
    diagonal = np.where(far, size / term.spread, np.abs(np.diagonal(term.working_factor(theta))))
    return theta_of(term.structure, np.diag(diagonal))


def other_starts(working: Working) -> list[np.ndarray]:
    """Equal relative sds, small, moderate and large, without correlation; where a structure has one, with several.

    The last but two has everything else small beside a structure with a negative correlation: the variance that terms
    share can be all in one, and all in the other. So can what it shares with the residuals, hence the last two, in
    which such a structure is small, with a correlation near its lower and its upper end.
    """
    sizes = [(0.1, 0.1), (1.0, 1.0), (4.0, 4.0)]
    if not working.linear:
        sizes = [(0.1, 0.1), (1.0, 1.0), (1.0, 1.0), (4.0, 4.0), (0.1, 2.0), (1.0, 0.2), (0.1, 0.4)]
    smooth = [size for _, size in sizes]
    of_terms = [
        t.form.other_starts(smooth) if t.form else [theta_of(t.structure, size * np.eye(t.q)) for size, _ in sizes]
        for t in working.parts
    ]
    return [np.concatenate(parts) for parts in zip(*of_terms, strict=True)]


def reopened(working: Working, theta: np.ndarray) -> list[np.ndarray]:
    """An end on the boundary with each variance that vanished there, of several terms, put back, small and large.

    What one term has no part in may be better divided: the criterion can rise off the boundary and then fall to another
    minimum.
    """
    if len(working.terms) < 2:
        return []
    points, largest = [], max(1.0, float(np.abs(theta).max()))
    for term, part in zip(working.terms, working.slices, strict=True):
        if term.form is not None or np.abs(theta[part]).max() > ZERO:
            continue
        for size in (0.2 * largest, largest):
            point = theta.copy()
            point[part] = theta_of(term.structure, size * np.eye(term.q))
            points.append(point)
    return points


def ordered(
    criterion: Criterion, points: list[np.ndarray], *, few_rows: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """With a residual structure: the start to search from first, and the few to search from beside it.

    Solutions cost what reading the rows costs, and derivatives more. So with few rows the criterion is looked at in all
    of the starts, and searched from the lowest: not every correlation is one of these positions. A single parameter has
    been looked for everywhere then, and beside the lowest only those are of use that are lower than their neighbours.
    """
    if criterion.working.products.n > few_rows:
        return [drawn(criterion, theta) for theta in points], []
    others = other_starts(criterion.working)
    if len(points[0]) <= _FEW_PARAMETERS:
        others = others[:_LOOKED_AT]
    kinks = [*_between_kinks(criterion, points[0]), *_between_kinks(criterion, others[0])]
    every = [*points, *others, *kinks]
    if alone := len(every[0]) == 1:
        every = [np.array([psi]) for psi in np.unique(np.ravel(every))]
    values = [_value(criterion, theta) for theta in every]
    if not np.isfinite(min(values)):
        return [drawn(criterion, points[0])], []
    lowest = [int(k) for k in np.argsort(values) if np.isfinite(values[k])]
    beside = [k for k in lowest[1:] if not alone or values[k] <= min(values[max(k - 1, 0) : k + 2])]
    return [every[lowest[0]]], [every[k] for k in beside[:_FEW_STARTS]]


def _between_kinks(criterion: Criterion, theta: np.ndarray) -> list[np.ndarray]:
    """The start with each φ of a scan that is lower than its neighbours, where the criterion has kinks."""
    at, found = criterion.working.places[-1].start, []
    scan = [np.append(theta[:at], psi) for psi in criterion.working.residual.form.scan()]
    values = [_value(criterion, point) for point in scan]
    for k, point in enumerate(scan):
        if np.isfinite(values[k]) and values[k] <= min(values[max(k - 1, 0) : k + 2]):
            found.append(point)
    return found


def drawn(criterion: Criterion, theta: np.ndarray) -> np.ndarray:
    """A start, with φ, if there is one, drawn towards independent residuals until R is positive definite there."""
    if criterion.working.residual is None:
        return theta
    at, base = criterion.working.places[-1], criterion.working.residual.form.base
    theta = theta.copy()
    for _ in range(_DRAWN):
        if np.isfinite(_value(criterion, theta)):
            break
        theta[at] = 0.5 * (theta[at] + base)
    return theta


def _value(criterion: Criterion, theta: np.ndarray) -> float:
    """The criterion there but for a constant, infinite where it is none."""
    try:
        return criterion.solve(criterion.working.stacked(theta)).value
    except np.linalg.LinAlgError:
        return np.inf


def minque0(working: Working) -> np.ndarray:
    """Working parameters from MINQUE(0), projected into the cone.

    Equates the residual cross-products with their expectations at V = I (Rao 1971, J. Multivariate Anal. 1,
    with a-priori weights zero; the projection off X, which only moves the start, is left out except where several
    factors are few enough effects: then it is cheap, and in a balanced design the start is the optimum)::

        Σ_l t_l ⟨ZD_kZ', ZD_lZ'⟩ + s²⟨ZD_kZ', I⟩ = Σ e'ZD_kZ'e     and     Σ_l t_l tr(ZD_lZ') + s²(n − p) = e'e

    A structure that is not linear takes its moments in a linear space around it, and then what is nearest to them.
    """
    m, terms = working.products, working.terms
    if working.linear:
        D = working.covariance_map
        G = m.gram_off_means(D) if hasattr(m, "gram_off_means") else working.gram
    else:
        D = np.concatenate([t.S @ t.moment_basis @ t.S.T for t in terms])
        G = m.gram(D)
    ee = m.residual_products()
    lhs = np.block([[G.between, G.with_residual[:, None]], [G.with_residual[None, :], np.array([[m.n - m.p]])]])
    rhs = np.append(D.reshape(len(D), -1) @ ee.reshape(-1), m.n)  # e has unit mean square
    square = np.diagonal(lhs)
    # a direction that V does not have, or not off X, is rounding of either sign; lstsq leaves it at zero
    scale = np.sqrt(np.where(square > 1e-12 * square.max(), square, 1.0))
    t = np.linalg.lstsq(lhs / np.outer(scale, scale), rhs / scale, rcond=1e-10)[0] / scale
    left, dof = m.within_residual()
    s2 = max(t[-1], 0.3 * left / dof if dof > 0 else _START_RELIABILITY)
    floors = _START_RELIABILITY * np.array(working.levels)[list(working.homes)] / m.n
    moments = np.split(t[:-1] / s2, np.cumsum([len(term.moment_basis) for term in terms])[:-1])
    return np.concatenate([_into_cone(*args) for args in zip(terms, moments, floors, strict=True)])


def _into_cone(term: Term, t: np.ndarray, floor: float) -> np.ndarray:
    """Parameters of the T nearest to Σ t_kD_k that is positive definite, with eigenvalues not below `floor`."""
    T = combine(t, term.moment_basis)
    if term.form is not None:
        return term.form.start(T, floor)
    values, vectors = np.linalg.eigh(T)
    T = (vectors * np.maximum(values, max(floor, 1e-3 * values[-1]))) @ vectors.T
    return theta_of(term.structure, np.linalg.cholesky(T))
