"""𝒫 = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹ row by row, V = Var(y)/σ², at the covariance parameters of a fit or at others.

What V⁻¹ gives is found in `inverse`; here the fixed effects are taken out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lmmtools.projection.inverse import independent_rows, structured_rows

__all__ = ["Projection", "projection"]


@dataclass(frozen=True)
class Projection:
    """𝒫 and what belongs to it, rows as the design's.

    Attributes
    ----------
    diagonal : ndarray, shape (n,)
        𝒫_ii: one over the variance, over σ², of the prediction error of y_i from all other rows.
    response : ndarray, shape (n,)
        𝒫y, in units of the response; R𝒫y are the conditional residuals.
    VX : ndarray, shape (n, p)
        V⁻¹X.
    half : ndarray, shape (n, p)
        V⁻¹X·root, so that 𝒫 = V⁻¹ − half half'.
    root : ndarray, shape (p, p)
        A root of (X'V⁻¹X)⁻¹ = root root', in the columns of X.
    inverse : ndarray, shape (n,)
        (V⁻¹)_ii.
    residual_variance : ndarray, shape (n,)
        (R𝒫R)_ii: variance over σ² of the conditional residual y − ŷ.
    leverage : ndarray, shape (n,)
        1 − (R𝒫)_ii = ∂ŷ_i/∂y_i at fixed covariance parameters: lme4's ``hatvalues``.
    beta : ndarray, shape (p,)
        β̂ at these parameters.
    r2 : float
        (y − Xβ̂)'V⁻¹(y − Xβ̂), in squared units of the response.
    value : float
        The working criterion d there, profiled over β and σ, less its constants.
    """

    diagonal: np.ndarray
    response: np.ndarray
    VX: np.ndarray
    half: np.ndarray
    root: np.ndarray
    inverse: np.ndarray
    residual_variance: np.ndarray
    leverage: np.ndarray
    beta: np.ndarray
    r2: float
    value: float

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), np.ndarray):
                value.setflags(write=False)


def projection(fit: Any, at: np.ndarray | None = None, *, what: str = "leverage") -> Projection:
    """𝒫 of a fit, row by row.

    Parameters
    ----------
    fit : LMMFit
    at : ndarray, shape (m + k,), optional
        Other working parameters than the fit's, as charts of `core.charts` give them.
    what : str
        What is computed, for the sentence that refuses.

    Raises
    ------
    ModelError
        With a residual structure, if rows that hang together are too many to write their covariance out.
    numpy.linalg.LinAlgError
        If V is not positive definite at these parameters.

    Notes
    -----
    Costs a pass over the rows, and with a residual structure the cubes of the sizes of clusters.
    """
    w = fit.working
    solution = fit.solution if at is None else w.products.exact.solve(w.stacked(at), reml=fit.reml)
    if w.residual is None:
        rows = independent_rows(fit, at, solution)
    else:
        rows = structured_rows(fit, at, solution, what)
    p = len(solution.beta)
    S_root = solution.S_root / w.noise_scale  # X̃'V⁻¹X̃ of the working rows is that of the rows over κ²
    half = rows.VX @ S_root
    turned = rows.RVX @ S_root
    beta = w.beta_shift + w.y_scale * solution.beta
    return Projection(
        diagonal=rows.plain - np.sum(half * half, axis=1),
        response=rows.response,
        VX=rows.VX @ w.R if p else rows.VX,
        half=half,
        root=np.linalg.solve(w.R, S_root) if p else S_root,
        inverse=rows.plain,
        residual_variance=rows.twice - np.sum(turned * turned, axis=1),
        leverage=1.0 - rows.mixed + np.sum(turned * half, axis=1),
        beta=np.linalg.solve(w.R, beta) if p else beta,
        r2=float(solution.r2) * (w.y_scale * w.noise_scale) ** 2,
        value=float(solution.value),
    )
