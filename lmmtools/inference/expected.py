"""What the expected information about covariance parameters, and β̂'s covariance, are made of.

V moves along directions G_i, the first of which is the scale of V itself. With Φ = (X'V⁻¹X)⁻¹ and P_i, Q_ij and R_ij of
Kenward & Roger (1997), in coefficients in which Φ is I. The directions are those of T, taken from the cross-products,
or those of T and of φ together, written out cluster by cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.projection.blocks import Block, Blocks

__all__ = ["Expected", "expected_in_T", "expected_in_both", "observed_information"]


@dataclass(frozen=True)
class Expected:
    """Of the scale of V and m directions besides.

    Attributes
    ----------
    full : ndarray, shape (1 + m, 1 + m)
        tr(V⁻¹G_iV⁻¹G_j): twice the information were there no fixed effects.
    info : ndarray, shape (1 + m, 1 + m)
        The expected information, I_ij.
    P : ndarray, shape (m, p, p)
        Of the directions besides the scale, for which it is −I.
    quadratic : callable
        Σ W_ijQ_ij over these, W = hh' for h of shape (m, k).
    bent : callable or None
        Σ W_ijR_ij over the scale and these, for h of shape (1 + m, k); None where V is linear.
    """

    full: np.ndarray
    info: np.ndarray
    P: np.ndarray
    quadratic: Callable[[np.ndarray], np.ndarray]
    bent: Callable[[np.ndarray], np.ndarray] | None = None


def expected_in_T(fit: Any) -> Expected:
    """Where R = W⁻¹: first and second derivatives of log|V| and X'V⁻¹X in T, which the cross-products have."""
    w, s = fit.working, fit.solution
    derivatives = w.products.exact.derivatives(s)
    D, p, v = w.covariance_map, len(s.beta), s.contrast
    logdet, bends = derivatives.bends(D)
    shift = derivatives.shift(D)
    Qs = 0.5 * bends[:, :, :p, :p]  # Q_ij, its part symmetric in i and j
    C = s.S_root.T @ shift[:, :p, :p] @ s.S_root
    # 2I_0i with the scale of V: tr(V⁻¹G_i) less what X takes of it
    with_scale = np.tensordot(D, derivatives.gradient) - s.rate * (shift @ v) @ v
    info = 0.5 * (-logdet - 2.0 * np.tensordot(Qs, s.S_inverse) + np.tensordot(C, C, axes=([1, 2], [1, 2])))
    return Expected(
        full=_bordered(float(fit.nobs), with_scale - np.einsum("iaa->i", C), -logdet),
        info=_bordered(0.5 * s.nu, 0.5 * with_scale, info),
        P=C,
        quadratic=lambda half: s.S_root.T @ np.tensordot(half @ half.T, Qs) @ s.S_root,
    )


def expected_in_both(fit: Any, found: Blocks, *, linear: bool) -> Expected:
    """With a residual structure, or without random effects.

    Parameters
    ----------
    fit : LMMFit
    found : Blocks
        Of the fit.
    linear : bool
        Whether second derivatives of V are left out: V is then linear in other coordinates of the same directions.
    """
    s, m = fit.solution, len(fit.phi)
    T = _of_T(fit)
    k, p = len(T) + m, len(s.beta)
    gram, traces, moved = np.zeros((k, k)), np.zeros(k), []
    for block in found:
        B, X = _whitened(found, block, T, s.S_root)
        flat = B.reshape(k, block.rows.size * block.rows.shape[1])
        gram += flat @ flat.T
        traces += np.einsum("kjaa->k", B)
        moved.append(((B @ X).reshape(k, block.rows.size, p), X.reshape(block.rows.size, p)))
    F, X = (np.concatenate(part, axis=axis) for part, axis in zip(zip(*moved, strict=True), (1, 0), strict=True))
    C = -(X.T @ F)
    C = 0.5 * (C + C.transpose(0, 2, 1))
    flat = F.reshape(k, F[0].size if k else 0)
    info = 0.5 * (gram - 2.0 * flat @ flat.T + np.tensordot(C, C, axes=([1, 2], [1, 2])))
    return Expected(
        full=_bordered(float(fit.nobs), traces, gram),
        info=_bordered(0.5 * s.nu, 0.5 * (traces + np.einsum("iaa->i", C)), info),
        P=C,
        quadratic=lambda half: _squares(F, half),
        bent=None if linear else _Bent(fit, F[len(T) :], C[len(T) :]),
    )


def _whitened(found: Blocks, block: Block, T: np.ndarray, S_root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V^{−½}G_iV^{−½} of every direction, shape (k, J, n, n), and V^{−½}X in the coefficients of Φ = I."""
    K = found.whitening(block)
    B = [K @ M @ K.transpose(0, 2, 1) for M in block.M]
    if len(T):
        KZ = K @ block.Z
        B = [KZ @ found.spread(block.stack, D) @ KZ.transpose(0, 2, 1) for D in T] + B
    return np.array(B).reshape(-1, *K.shape), K @ (block.X @ S_root)


def _squares(F: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Σ W_ij F_i'F_j, W = hh'."""
    turned = np.tensordot(half.T, F, 1)
    return np.einsum("kia,kib->ab", turned, turned, optimize=True)


@dataclass(frozen=True)
class _Bent:
    """Σ W_ijR_ij where Var(y) = ZσT Z' + σ²R(φ), in the parameters σ²T, σ² and φ.

    σ² times ∂²V in the scale and φ_k is R_k again, and in φ_k and φ_l R_kl, so that X'V⁻¹R_klV⁻¹X is what the second
    derivatives of X'V⁻¹X lack of Q_kl + Q_lk.
    """

    fit: Any
    F: np.ndarray
    P: np.ndarray

    def __call__(self, half: np.ndarray) -> np.ndarray:
        s, m, p = self.fit.solution, len(self.P), len(self.fit.beta)
        unit = _of_phi(self.fit)
        bends = self.fit.working.products.exact.derivatives(s).bends(unit)[1][:, :, :p, :p]
        own = half[len(half) - m :]
        W = own @ own.T
        within = 2.0 * _squares(self.F, own) - s.S_root.T @ np.tensordot(W, bends) @ s.S_root
        return within - 2.0 * np.tensordot(own @ half[0], self.P, 1)


def observed_information(fit: Any) -> np.ndarray:
    """In place of the expected information the observed one at the fit, shape (1 + m, 1 + m), with β profiled out.

    In the scale of V the criterion ν log σ² + r²/σ² bends by ν, and with another parameter by −ν times the derivative
    of log r²; what σ² followed r² by is given back to the others. The parameters being σ², σ²T and φ, T moves with the
    scale, which matters as far as the fit is from its optimum.
    """
    s, d = fit.solution, fit.working.products.exact.derivatives(fit.solution)
    T = _of_T(fit)
    directions = T if fit.working.residual is None else np.concatenate([T, _of_phi(fit)])
    slope = (d.shift(directions) @ s.contrast) @ s.contrast / s.r2
    own = d.hessian(directions) + s.nu * np.outer(slope, slope)
    edge = -s.nu * slope
    edge[: len(T)] -= np.tensordot(T, d.gradient)
    return 0.5 * _bordered(float(s.nu), edge, own)


def _of_T(fit: Any) -> np.ndarray:
    """Directions of T, shape (k, R, R) with φ's rows."""
    size = fit.working.products.columns + len(fit.phi) if not fit.design.terms else 0
    return fit.working.covariance_map if fit.design.terms else np.zeros((0, size, size))


def _of_phi(fit: Any) -> np.ndarray:
    """Directions of φ itself, shape (m, R + m, R + m)."""
    m, R = len(fit.phi), fit.working.products.columns
    unit = np.zeros((m, R + m, R + m))
    unit[np.arange(m), R + np.arange(m), R + np.arange(m)] = 1.0
    return unit


def _bordered(corner: float, edge: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """[[corner, edge'], [edge, inner]]."""
    return np.block([[np.array([[corner]]), edge[None]], [edge[:, None], inner]])
