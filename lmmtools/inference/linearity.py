"""Whether the covariances that a residual structure allows make up a linear space.

σ²R(φ) then is linear in some (co)variances, whatever parameters it is written in: an unstructured correlation with an
sd for each occasion, a common correlation, Toeplitz, sds by group. Of such a family every member lies in the span of R
and its derivatives at any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import listed
from lmmtools.projection.blocks import Blocks

__all__ = ["is_linear"]

# What a member has beside that span, over its difference from R.
_BESIDE = 1e-7
# Members that are looked at, and how far they are in coordinates of the search; they move nearer while R is not
# positive definite.
_MEMBERS, _STEP, _HALVINGS = 3, 0.3, 12


def is_linear(fit: Any, found: Blocks) -> bool:
    """Whether Var(y) is linear in σ²T and the residuals' (co)variances.

    Parameters
    ----------
    fit : LMMFit
    found : Blocks
        Of the fit.

    Raises
    ------
    ModelError
        If R is so near to singular that it has no neighbours.
    """
    if not len(fit.phi):
        return True
    members = [_over_root(found, at) for at in _members(fit)]
    if not members:
        raise ModelError(
            "Kenward and Roger's method: the covariance of the residuals is singular to rounding at the parameters "
            f"{listed([f'{name} = {value:.6g}' for name, value in fit.residual_params.items()])}. Use "
            'ddf="satterthwaite", or a simpler residual structure.'
        )
    triangle = np.zeros((0, 1 + len(fit.phi) + len(members)))
    for block in found:
        J, n = block.rows.shape
        eye = np.broadcast_to(np.eye(n), (J, n, n))
        others = [_square(whole[block.rows][..., :n]) - eye for whole in members]
        columns = np.array([part.ravel() for part in (eye, *block.M, *others)]).T
        triangle = np.linalg.qr(np.vstack([triangle, columns]), mode="r")
    k = 1 + len(fit.phi)
    span, others = triangle[:, :k], triangle[:, k:]
    size = np.linalg.norm(span, axis=0)
    span = span / np.where(size > 0.0, size, 1.0)
    left = others - span @ np.linalg.lstsq(span, others, rcond=None)[0]
    return bool(np.all(np.linalg.norm(left, axis=0) <= _BESIDE * np.linalg.norm(others, axis=0)))


def _members(fit: Any) -> list[Any]:
    """R at other φ."""
    part, noise = fit.working.residual, fit.working.products.noise
    psi = fit.working_theta[fit.working.places[-1]]
    rng, found = np.random.default_rng(0), []
    for _ in range(_MEMBERS):
        step = _STEP * rng.normal(size=len(psi))
        for halving in range(_HALVINGS):
            near = np.clip(psi + 0.5**halving * step, part.form.lower, part.form.upper)
            try:
                found.append(noise.at(part.form.natural(near)))
                break
            except np.linalg.LinAlgError:
                continue
    return found


def _over_root(found: Blocks, at: Any) -> np.ndarray:
    """L⁻¹ times a root of another R, every cluster's side by side; shape (rows, largest cluster)."""
    return found.noise.whiten(at.colour(found.basis))


def _square(root: np.ndarray) -> np.ndarray:
    return root @ root.transpose(0, 2, 1)
