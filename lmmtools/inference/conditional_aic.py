"""The conditional Akaike information criterion, with the estimation of the covariance parameters accounted for.

With 𝒫 = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹ the fitted values are ŷ = y − 𝒫y (rows whitened by √w), and with V_k = ∂V/∂θ_k::

    ∂ŷ/∂y = I − 𝒫 + Σ_k 𝒫V_k𝒫y (dθ̂_k/dy),     dθ̂/dy = −H⁻¹ ∂²d/∂θ∂y
    ∂²d/∂θ_l∂y = −2(ν/r²) 𝒫V_l𝒫y + 2(ν/r⁴)(y'𝒫V_l𝒫y) 𝒫y

H is the observed Hessian of the profiled criterion d along the covariances of the same rank: what has collapsed stays
collapsed for any y nearby. The trace needs inner products of 𝒫g_k with each other and with 𝒫y, where g_k = V_k𝒫y, and
no more: with g_1, … as further columns of the fixed part they are those of a design of the same kind, and follow from
its cross-products, for 𝒫𝒫 = 𝒫 − 𝒫ZTZ'𝒫. With a residual structure see `conditional_blocks`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.charts import Chart, chart
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimality import curvature
from lmmtools.core.solution import Solution
from lmmtools.core.working import Working, working_model
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import format_value
from lmmtools.inference.conditional_blocks import moves

__all__ = ["ConditionalAIC", "conditional_aic"]

# Size of a column beside what X explains of it, below which nothing is left of it.
_NOTHING = 1e-9
# What θ̂ may move along a flat direction, in units of ∂ŷ/∂y, before it counts.
_MOVES = 1e-4


@dataclass(frozen=True)
class ConditionalAIC:
    """Conditional AIC of a fit.

    Attributes
    ----------
    caic : float
        −2 loglik + 2(effective_df + 1 + parameters of the residual structure); the 1 is for σ².
    loglik : float
        Log-density of the response given the random effects, at β̂, b̂ and σ̂.
    effective_df : float
        Φ = Σ ∂ŷᵢ/∂yᵢ, θ̂ moving with y.
    hat_trace : float
        The same sum with θ held at θ̂: the trace of the hat matrix, ρ of Hodges & Sargent (2001).
    """

    caic: float
    loglik: float
    effective_df: float
    hat_trace: float


def conditional_aic(fit: Any) -> ConditionalAIC:
    """Akaike's criterion for predicting new responses of the same groups.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    ConditionalAIC

    Raises
    ------
    ModelError
        If θ̂ is no optimum, or not determined by the response, so that it has no derivative; or, with a residual
        structure, if rows that hang together are too many to write their covariance out.

    Notes
    -----
    The criterion is Greven & Kneib's, whose penalty counts the estimation of θ; leaving it out (Vaida & Blanchard
    2005, with ρ = `hat_trace`) always prefers the model with more random effects. σ² counts as one parameter, which
    is exact as n grows; Vaida & Blanchard's finite-sample factors for an estimated σ² are not applied, since they are
    derived for known θ. The likelihood takes σ̂ as the fit has it: under REML that of REML.

    With a residual structure the density given the random effects is that of σ̂²R(φ̂), φ̂ moves with y as θ̂ does, and
    every parameter of φ counts as one besides, for the same reason as σ²: the covariance of an unbiased estimate with
    the score of its parameter is one. Variances that depend on fitted values are taken as known functions of these.

    References
    ----------
    Greven & Kneib (2010), Biometrika 97, 773-789; Vaida & Blanchard (2005), Biometrika 92; Hodges &
    Sargent (2001), Biometrika 88.

    Examples
    --------
    >>> from lmmtools import fit_lmm, load_dataset
    >>> fit = fit_lmm("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> found = conditional_aic(fit)
    >>> round(found.hat_trace, 4), round(found.effective_df, 4)
    (4.9126, 5.3476)
    """
    if not hasattr(fit, "working_theta"):
        raise LMMError(f"conditional_aic: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    if fit.certificate.status == "not an optimum":
        raise ModelError(
            "conditional_aic: the covariance parameters found are no optimum, so how they would move with the response "
            f"is not defined. {fit.certificate.sentence}"
        )
    loglik = _conditional_loglik(fit)
    if fit.working.residual is None:
        held = hat_trace(fit)
        total = held + _moved_by_theta(fit)
    else:
        found = moves(fit, chart(fit.working, fit.working_theta, reduced=True))
        held = found.hat_trace
        total = held + (_solved_trace(fit, found.across, found.squares) if len(found.across) else 0.0)
    caic = -2.0 * loglik + 2.0 * (total + 1.0 + len(fit.phi))
    return ConditionalAIC(caic=caic, loglik=loglik, effective_df=total, hat_trace=held)


def hat_trace(fit: Any) -> float:
    """Trace of ∂ŷ/∂y with θ held: n − tr 𝒫, from the cross-products.

    n − tr V⁻¹ = ⟨T, ΣP⟩ and tr((X'V⁻¹X)⁻¹X'V⁻²X) = p − tr((X'V⁻¹X)⁻¹ΣW_X'TW_X), with P and W as in `core`; the
    gradient holds ΣP.
    """
    solution, d, T = fit.solution, _derivatives(fit), _covariance(fit.working, fit.Lambda)
    p = len(solution.beta)
    shift = d.shift(T[None])[0]  # −ΣW'TW
    kappa = solution.kappa()
    of_blocks = np.sum(d.gradient * T) - np.sum(kappa * (shift @ kappa))  # ⟨T, ΣP⟩
    return float(of_blocks + p + np.sum(solution.S_inverse * shift[:p, :p]))


def _derivatives(fit: Any) -> Any:
    return fit.working.products.exact.derivatives(fit.solution)


def _covariance(working: Working, factors: tuple[np.ndarray, ...]) -> np.ndarray:
    """T̃ in the working basis."""
    Lambda = working.own_factor(factors)
    return Lambda @ Lambda.T


def _conditional_loglik(fit: Any) -> float:
    """log N(y; ŷ, σ̂²R)."""
    weights, noise = fit.design.weights, fit.noise
    logdet = noise.at.logdet - (0.0 if weights is None else float(np.log(weights).sum()))
    squares = float(np.sum(noise.whiten(fit.resid.to_numpy()) ** 2))
    return -0.5 * float(fit.nobs * np.log(2.0 * np.pi * fit.sigma**2) + logdet + squares / fit.sigma**2)


def _moved_by_theta(fit: Any) -> float:
    """Σ over rows of (∂ŷ/∂θ)(dθ̂/dy)."""
    here = chart(fit.working, fit.working_theta, reduced=True)
    if not len(here.F):
        return 0.0
    once, twice = _projected_products(fit, _shifts_of_rows(fit, here))
    r2, q = once[-1, -1], once[:-1, -1]
    nu = fit.solution.nu
    # [k, l]: ∂ŷ/∂θ_k times −∂²d/∂θ_l∂y
    across = 2.0 * nu / r2 * (twice[:-1, :-1] - np.outer(twice[:-1, -1], q) / r2)
    return _solved_trace(fit, across, twice[:-1, :-1])


def _solved_trace(fit: Any, across: np.ndarray, moved: np.ndarray) -> float:
    """tr(H⁻¹ across'), flat directions left out where no fitted value moves along them."""
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)
    derivatives = criterion.differentiate(fit.solution, fit.working.products.exact)
    by_design = len(fit.certificate.flat) if fit.certificate.flat_by == "design" else 0
    found = curvature(criterion, fit.working_theta, derivatives, flat_by_design=by_design)
    axes = found.unit[:, None] * found.vectors
    along, squares = (np.einsum("ki,kl,li->i", axes, M, axes) for M in (across, moved))
    values, steep = found.values, found.steep
    if np.any(values[steep] < 0.0) or np.any(squares[~steep] > (_MOVES * fit.sigma) ** 2):
        raise ModelError(
            "conditional_aic: the criterion is flat, or falls, along a direction of the covariance parameters that "
            "changes the fitted values, so a small change of the response may move them by any amount (smallest "
            f"eigenvalue of the scaled Hessian {format_value(values[0], 'estimate')}). Simplify the random effects."
        )
    return float(np.sum(along[steep] / values[steep]))


def _shifts_of_rows(fit: Any, here: Chart) -> np.ndarray:
    """g_k = V_k𝒫y of each coordinate, rows whitened by weights of mean one, shape (n, m)."""
    design, working = fit.design, fit.working
    root = np.ones(fit.nobs) if design.weights is None else np.sqrt(design.weights) / working.noise_scale
    left = root * fit.resid.to_numpy()  # 𝒫y
    found = np.empty((fit.nobs, len(here.F)))
    for k, (at, dT) in _directions(here).items():
        term, part = design.terms[k], working.terms[k]
        scale = part.scale
        Z = np.linalg.solve(scale.T, term.matrix.T).T if scale.ndim == 2 else term.matrix / scale
        Z = Z * (working.noise_scale * root)[:, None]
        levels = len(term.levels) if term.known_root is None else len(term.known_root)
        sums = np.array([np.bincount(term.codes, left * z, levels) for z in Z.T]).T
        if term.known_root is not None:
            sums = term.known_root @ (term.known_root.T @ sums)
        found[:, at] = np.einsum("iq,kqs,is->ik", Z, dT, sums[term.codes], optimize=True)
    return found


def _directions(here: Chart) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By term: its coordinates, and dT along each in the term's working columns, shape (m, q, q)."""
    found = {}
    for part, at in here.linear:
        if at.stop > at.start:
            half = np.matmul(part.E, part.L.T)
            found[int(here.owner[at.start])] = (np.arange(at.start, at.stop), half + half.transpose(0, 2, 1))
    for part in here.curved:
        if len(part.at):
            found[int(here.owner[part.at[0]])] = (part.at, part.form.first(part.theta)[part.free])
    return found


def _projected_products(fit: Any, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[g y]'𝒫[g y] and [g y]'𝒫𝒫[g y], each (m + 1, m + 1)."""
    design = fit.design
    root = np.ones(fit.nobs) if design.weights is None else np.sqrt(design.weights) / fit.working.noise_scale
    Q, coefficients = _beside(root[:, None] * design.X, g)
    p, k = design.X.shape[1], Q.shape[1]
    if p + k >= fit.nobs:  # they hold y too, and no design is left
        return _few_products(fit, np.column_stack([g, root * (design.y - _offset(design))]), root)
    X = np.asfortranarray(np.hstack([design.X, Q / root[:, None]]))
    names = (*design.fixed_names, *(f"g{i}" for i in range(k)))
    working = working_model(dataclasses.replace(design, X=X, fixed_names=names))
    products = working.products.exact
    solution = products.solve(working.own_factor(fit.Lambda), reml=False)
    T = _covariance(working, fit.Lambda)
    S, taken = _products_of(solution), -products.derivatives(solution).shift(T[None])[0]
    # columns of X, g and y in the basis of these products
    own = np.zeros((p + k + 1, p))
    own[:-1] = working.R[:, :p]
    other = np.zeros((p + k + 1, g.shape[1] + 1))
    other[:-1, :-1] = working.R[:, p:] @ coefficients
    other[:-1, -1], other[-1, -1] = working.beta_shift, working.y_scale
    if p:
        other = other - own @ np.linalg.solve(own.T @ S @ own, own.T @ S @ other)
    once = other.T @ S @ other
    return once, once - other.T @ taken @ other


def _offset(design: Any) -> Any:
    return 0.0 if design.offset is None else design.offset


def _few_products(fit: Any, columns: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """C'𝒫C and C'𝒫𝒫C of columns C of as few rows as there are effects, by 𝒫 itself."""
    V = np.eye(fit.nobs)
    for term, Lambda in zip(fit.design.terms, fit.Lambda, strict=True):
        own = (fit.working.noise_scale * root)[:, None] * (term.matrix @ Lambda)
        levels = np.eye(len(term.levels)) if term.known_root is None else term.known_root @ term.known_root.T
        V += (own @ own.T) * levels[np.ix_(term.codes, term.codes)]
    X = root[:, None] * fit.design.X
    W = np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W) if X.shape[1] else W
    return columns.T @ P @ columns, columns.T @ P @ P @ columns


def _beside(X: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q (n, k) and C (k, m): g is QC and something in the columns of X, Q of rank k beside X."""
    size = np.linalg.norm(g, axis=0)
    size[size == 0.0] = 1.0
    left = g / size
    if X.shape[1]:
        basis = np.linalg.qr(X)[0]
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
    U, values, Vt = np.linalg.svd(left, full_matrices=False)
    keep = values > _NOTHING
    n = np.sqrt(len(g))
    return n * U[:, keep], values[keep, None] * Vt[keep] * size / n


def _products_of(solution: Solution) -> np.ndarray:
    """[X e]'V⁻¹[X e] of a solution, shape (p + 1, p + 1)."""
    p = len(solution.beta)
    S = np.empty((p + 1, p + 1))
    factor = np.linalg.inv(solution.S_root).T
    S[:p, :p] = factor @ factor.T
    S[:p, p] = S[p, :p] = S[:p, :p] @ solution.beta
    S[p, p] = solution.r2 + S[p, :p] @ solution.beta
    return S
