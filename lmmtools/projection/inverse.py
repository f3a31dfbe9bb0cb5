"""V⁻¹ row by row, without writing V out where residuals are independent.

With R = W⁻¹, V⁻¹ = W − WZ[Var(b | y)/σ²]Z'W and V⁻¹X = W(X − Z·TZ'V⁻¹X), so that all follows from the conditional modes
and from how they depend on β̂ (Bates, Mächler, Bolker & Walker 2015, J. Stat. Softw. 67(1), sec. 3). With a residual
structure V is written out, cluster by cluster of rows that hang together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.modes import (
    conditional_modes,
    mode_sensitivity,
    modes_by_term,
    random_variance,
    rows_by_factor,
)
from lmmtools.core.solution import Solution
from lmmtools.projection.blocks import blocks

__all__ = ["Inverse", "independent_rows", "structured_rows"]

# Numbers in the matrices of clusters that are taken together.
_MOST = 2_000_000


@dataclass(frozen=True)
class Inverse:
    """V⁻¹ of the rows, V over σ², in the design's order; X̃ are the working columns of X.

    Attributes
    ----------
    VX, RVX : ndarray, shape (n, p)
        V⁻¹X̃ and RV⁻¹X̃.
    plain, mixed, twice : ndarray, shape (n,)
        (V⁻¹)_ii, (RV⁻¹)_ii and (RV⁻¹R)_ii.
    response : ndarray, shape (n,)
        V⁻¹(y − Xβ̂ − offset), in units of the response.
    """

    VX: np.ndarray
    RVX: np.ndarray
    plain: np.ndarray
    mixed: np.ndarray
    twice: np.ndarray
    response: np.ndarray


def independent_rows(fit: Any, at: np.ndarray | None, solution: Solution) -> Inverse:
    """V⁻¹ where R = W⁻¹, at the fit's parameters or at working parameters `at`."""
    design, w = fit.design, fit.working
    factors = fit.Lambda if at is None else w.factors(at)
    weight = np.ones(fit.nobs) if design.weights is None else design.weights
    parts = rows_by_factor(w, design.terms)
    X = _own(fit)
    for (z, codes), taken in zip(parts, mode_sensitivity(w, factors, solution), strict=True):
        own = taken @ np.linalg.inv(w.R) if X.shape[1] else taken
        X = X - np.einsum("iq,iqj->ij", z, own[codes])
    known = random_variance(w, factors, solution, parts)
    VX = weight[:, None] * X
    mixed = 1.0 - weight * known
    left = fit.resid.to_numpy() if at is None else _residuals(fit, factors, solution)
    return Inverse(VX, X, weight * mixed, mixed, mixed / weight, weight * left)


def _own(fit: Any) -> np.ndarray:
    """X̃, whose columns are centred and scaled."""
    X = fit.design.X
    return np.linalg.solve(fit.working.R.T, X.T).T if X.shape[1] else X


def _residuals(fit: Any, factors: tuple[np.ndarray, ...], solution: Solution) -> np.ndarray:
    """y − Xβ̂ − Zb̂ − offset at other parameters: what changes of the fit's, so that large means cost no digits."""
    design, w = fit.design, fit.working
    left = fit.resid.to_numpy() - _own(fit) @ (w.y_scale * (solution.beta - fit.solution.beta))
    modes = modes_by_term(w, conditional_modes(w, factors, solution))
    for term, there, here in zip(design.terms, modes, fit.modes, strict=True):
        left = left - np.einsum("iq,iq->i", term.matrix, (there - here)[term.codes])
    return left


def structured_rows(fit: Any, at: np.ndarray | None, solution: Solution, what: str) -> Inverse:
    """V⁻¹ where residuals have a structure, or there are no random effects.

    Over a cluster's rows, R = LL' and V = LKK'L', so that V⁻¹ = A'A with A = K⁻¹L⁻¹, and RV⁻¹ = B'A with B = K⁻¹L'.
    """
    w, n = fit.working, fit.nobs
    found = blocks(fit, what, "a model without the correlation", at)
    order, p = w.products.rows.order, w.products.p
    basis, H = found.basis, found.noise.whiten(w.products.H)
    over, under = found.noise.whiten(basis), found.noise.colour(basis)
    r = w.products.rows.Z.shape[1]
    taken = Inverse(np.empty((n, p)), np.empty((n, p)), *(np.empty(n) for _ in range(4)))
    for stack, rows in found.kinds:
        J, k = rows.shape
        step = max(_MOST // (4 * k * k), 1)
        for start in range(0, J, step):
            mine = rows[start : start + step]
            Z = H[mine][..., : stack.r] if stack is not None else None
            K = found.root_inverse(stack, Z, mine.shape)
            A, B = K @ over[mine][..., :k], K @ under[mine][..., :k].transpose(0, 2, 1)
            Xe = K @ H[mine][..., r:]
            _fill(taken, order[mine], A, B, Xe[..., :-1], Xe[..., -1] - Xe[..., :-1] @ solution.beta)
    return _of_own_rows(fit, taken)


def _fill(
    taken: Inverse, rows: np.ndarray, A: np.ndarray, B: np.ndarray, X: np.ndarray, e: np.ndarray
) -> None:
    """Write what clusters have into the rows that are theirs."""
    taken.plain[rows] = np.sum(A * A, axis=1)
    taken.mixed[rows] = np.sum(A * B, axis=1)
    taken.twice[rows] = np.sum(B * B, axis=1)
    taken.VX[rows] = A.transpose(0, 2, 1) @ X
    taken.RVX[rows] = B.transpose(0, 2, 1) @ X
    taken.response[rows] = np.einsum("jab,ja->jb", A, e)


def _of_own_rows(fit: Any, taken: Inverse) -> Inverse:
    """From rows over the roots of the weights, in the unit of the working model, to the design's.

    V of the working rows is κ²·√w V √w, weights of mean one: κ² is the mean weight, or another unit of the residuals.
    """
    w, weights = fit.working, fit.design.weights
    kappa = w.noise_scale
    own = np.full(fit.nobs, kappa) if weights is None else kappa * np.sqrt(weights / np.mean(weights))
    return Inverse(
        VX=own[:, None] * taken.VX * kappa,
        RVX=taken.RVX * (kappa / own)[:, None],
        plain=own**2 * taken.plain,
        mixed=taken.mixed,
        twice=taken.twice / own**2,
        response=own * taken.response * kappa * w.y_scale,
    )
