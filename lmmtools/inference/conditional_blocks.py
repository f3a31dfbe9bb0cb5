"""How fitted values move with the response where residuals have a structure, R = LL', cluster by cluster.

With 𝒫 as in `conditional_aic`, V_k and R_k the derivatives of V and R, and rows over L, in which R is I::

    ŷ = y − R𝒫y,     ∂ŷ/∂θ_k = R𝒫V_k𝒫y − R_k𝒫y = L(𝒫a_k − M_k𝒫y),     a_k = V_k𝒫y,   M_k = L⁻¹R_kL⁻ᵀ

and the derivative of the criterion in θ_l and y is as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.charts import Chart
from lmmtools.projection.blocks import Block, Blocks, blocks

__all__ = ["Moves", "moves"]


@dataclass(frozen=True)
class Moves:
    """Of m coordinates of T and φ.

    Attributes
    ----------
    hat_trace : float
        Trace of ∂ŷ/∂y with T and φ held.
    across : ndarray, shape (m, m)
        ∂ŷ/∂θ_k times −∂²d/∂θ_l∂y.
    squares : ndarray, shape (m, m)
        ∂ŷ/∂θ_k times ∂ŷ/∂θ_l, over R.
    """

    hat_trace: float
    across: np.ndarray
    squares: np.ndarray


def moves(fit: Any, here: Chart) -> Moves:
    """How the fitted values move along the coordinates of a chart at the fit.

    Raises
    ------
    ModelError
        If rows that hang together are too many to write their covariance out.
    """
    found, s = blocks(fit, "conditional_aic", "fit.aic"), fit.solution
    trace, parts = 0.0, []
    for block in found:
        K = found.whitening(block)
        trace += float(np.sum(K * K))
        parts.append(_of_block(found, block, K, here.directions, s.beta))
    Py, VX, A, VA, own = (np.concatenate(part) for part in zip(*parts, strict=True))
    trace -= float(np.sum((VX @ s.S_root) ** 2))
    PA = VA - VX @ (s.S_inverse @ (VX.T @ A))
    moved, quadratic = PA - own, A.T @ Py
    across = 2.0 * s.nu / s.r2 * (moved.T @ PA - np.outer(moved.T @ Py, quadratic) / s.r2)
    size = (fit.sigma**2) / s.sigma2
    return Moves(fit.nobs - trace, across, size * (moved.T @ moved))


def _of_block(
    found: Blocks, block: Block, K: np.ndarray, D: np.ndarray, beta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """𝒫y, V⁻¹X, a_k, V⁻¹a_k and M_k𝒫y of the rows of a block: shapes (rows,), (rows, p) and (rows, m)."""
    R, rows = found.products.columns, block.rows.size
    inverse = K.transpose(0, 2, 1) @ K
    Py = inverse @ (block.e[..., None] - block.X @ beta[:, None])
    of_phi = np.array([M @ Py for M in block.M]).reshape(len(block.M), rows)
    own = of_phi.T @ np.diagonal(D, axis1=1, axis2=2)[:, R:].T
    A = own.reshape(*block.rows.shape, len(D))
    if block.stack is not None:
        scores = block.Z.transpose(0, 2, 1) @ Py
        turned = [block.Z @ (found.spread(block.stack, one) @ scores) for one in D]
        A = A + np.concatenate([np.zeros((*block.rows.shape, 0)), *turned], axis=2)
    flat = ((inverse @ block.X), A, inverse @ A)
    return Py.ravel(), *(part.reshape(rows, part.shape[2]) for part in flat), own
