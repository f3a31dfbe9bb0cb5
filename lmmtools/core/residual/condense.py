"""Fewer rows with the same sums of squares and products: groups that R gives the same covariance, turned together.

Without random effects the rows enter by Σ H_j'R_j⁻¹H_j alone. K groups of n rows of c numbers with one R_j among them
may be turned, H = (H_1, …, H_K) by an orthogonal K × K matrix, whatever R_j is: the right singular vectors of H written
as K × nc, times its singular values, are as many groups as H has rank, and have the same sums. Terms of log|R| are
still those of all groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.residual.noise import Noise, NoiseAt, noise_of

__all__ = ["Condensed", "CondensedAt", "condensed"]

# Structures whose products are made group by group; those of the others cost what reading the rows costs.
_DENSE = ("arma", "toep", "us", "exp", "gaus", "spher", "ratio")
# Numbers in a group of rows from which turning costs more than it saves; share of the rows that must be saved.
_WIDE, _WORTH = 400, 0.3


@dataclass(frozen=True)
class Condensed:
    """φ ↦ R(φ) over all rows, for its determinant, and over few, for products.

    Attributes
    ----------
    whole, few : Noise
    H : ndarray, shape (k, c)
        The few rows.
    """

    whole: Noise
    few: Noise
    H: np.ndarray

    @property
    def noise(self) -> Condensed:
        """Itself."""
        return self

    def at(self, phi: np.ndarray) -> CondensedAt:
        """R at φ; see `Noise.at`."""
        few = self.few.at(phi)
        return CondensedAt(few.correlation, few.multipliers, self.whole.at(phi))


@dataclass(frozen=True)
class CondensedAt(NoiseAt):
    """R of the few rows at one φ, with the determinant that all rows have.

    Attributes
    ----------
    whole : NoiseAt
    """

    whole: NoiseAt

    @property
    def logdet(self) -> float:
        """log|R|."""
        return self.whole.logdet

    @property
    def slope(self) -> np.ndarray:
        """∂ log|R|, shape (m,)."""
        return self.whole.slope

    @property
    def bend(self) -> np.ndarray:
        """∂² log|R|, shape (m, m)."""
        return self.whole.bend


def condensed(residual: Any, order: np.ndarray, H: np.ndarray, whole: Noise) -> Condensed | None:
    """The few rows that do for many; None where there are no such, or hardly fewer.

    Parameters
    ----------
    residual : Residual
    order : ndarray of int, shape (n,)
        Each residual group's rows together.
    H : ndarray, shape (n, c)
        The rows in that order.
    whole : Noise
        R over them.
    """
    c = residual.correlation
    if c is None or c.kind not in _DENSE:
        return None
    codes = c.codes[order]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    sizes = np.diff(np.append(starts, len(codes)))
    kept, few = [], []
    for groups in _alike(residual, order, starts, sizes):
        n = int(sizes[groups[0]])
        rows = starts[groups][:, None] + np.arange(n)
        turned = _turned(H[rows].reshape(len(groups), n * H.shape[1]))
        kept.append(rows[: len(turned)].ravel())
        few.append(turned.reshape(kept[-1].size, H.shape[1]))
    at = np.concatenate(kept)
    if len(at) > (1.0 - _WORTH) * len(H):
        return None
    place = np.argsort(at)
    return Condensed(whole, noise_of(residual, order[at[place]]), np.concatenate(few)[place])


def _alike(residual: Any, order: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
    """Groups with the same positions and the same in everything that variances depend on."""
    c = residual.correlation
    known = [c.positions, c.by_codes[:, None]]
    for part in residual.variances:
        known += [part.codes[:, None], *([part.values[:, None]] if len(part.values) else [])]
    table = np.hstack(known)[order]
    found: dict[tuple[int, bytes], list[int]] = {}
    for j, (start, n) in enumerate(zip(starts, sizes, strict=True)):
        found.setdefault((int(n), table[start : start + n].tobytes()), []).append(j)
    return list(found.values())


def _turned(block: np.ndarray) -> np.ndarray:
    """As few rows as the block has rank, with the same sums of squares and products."""
    if len(block) == 1 or block.shape[1] > _WIDE:
        return block
    if len(block) > 2 * block.shape[1]:
        block = np.linalg.qr(block, mode="r")
    _, size, vectors = np.linalg.svd(block, full_matrices=False)
    rank = max(1, int(np.sum(size > np.finfo(float).eps * max(block.shape) * size[0])))
    return size[:rank, None] * vectors[:rank]
