"""Where a search for φ starts without random effects: correlations and ratios of the residuals of least squares."""

from __future__ import annotations

import numpy as np

from lmmtools.core.residual.exchangeable import Exchangeable
from lmmtools.core.residual.laws import Law, Strata
from lmmtools.core.residual.markov import Markov
from lmmtools.core.residual.multipliers import n_parameters
from lmmtools.core.residual.noise import Noise
from lmmtools.core.residual.patterns import Patterned
from lmmtools.core.residual.shapes import Linear

__all__ = ["moments"]

# Correlations of few residuals are drawn a little towards none, so that they make a matrix that is positive definite.
_SHRUNK = 0.9
_LEAST = 0.02


def moments(noise: Noise, e: np.ndarray, base: np.ndarray) -> np.ndarray:
    """φ of residuals e in the rows' order, shape (m,); `base` where a structure has no simple moments."""
    phi, z = base.copy(), np.asarray(e, dtype=float)
    at = noise.law.m
    for part in noise.sds.parts:
        size = n_parameters(part)
        if part.kind == "varident":
            squares = np.bincount(part.codes, z * z, minlength=size + 1)
            rms = np.sqrt(squares / np.maximum(np.bincount(part.codes, minlength=size + 1), 1))
            if np.all(rms > 0.0):
                phi[at : at + size] = rms[1:] / rms[0]
                z = z / rms[part.codes]
        elif part.kind == "varfixed":
            z = z / np.sqrt(part.values)
        at += size
    phi[: noise.law.m] = _of_law(noise.law, z, phi[: noise.law.m])
    return phi


def _of_law(law: Law, z: np.ndarray, base: np.ndarray) -> np.ndarray:
    if isinstance(law, Strata):
        parts = np.split(base, np.cumsum([one.m for one in law.laws])[:-1])
        triples = zip(law.laws, law.rows, parts, strict=True)
        return np.concatenate([_of_law(one, z[rows], part) for one, rows, part in triples])
    if isinstance(law, Markov):
        return _of_neighbours(law, z, base)
    if isinstance(law, Exchangeable):
        sums, squares = (np.add.reduceat(x, law.starts) for x in (z, z * z))
        pairs = float(np.sum(law.sizes * (law.sizes - 1.0)))
        mean = float(squares.sum()) / max(len(z), 1)
        return np.array([_SHRUNK * float(np.sum(sums**2 - squares)) / (pairs * mean)]) if pairs * mean > 0 else base
    if isinstance(law, Patterned) and isinstance(law.shape, Linear):
        return _of_pairs(law, z, base)
    return base


def _of_neighbours(law: Markov, z: np.ndarray, base: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(~law.first)
    if not len(rows):
        return base
    gap = float(np.median(law.gap[rows]))
    rows = rows[law.gap[rows] <= 1.5 * gap]
    one, other = z[rows], z[rows - 1]
    size = float(np.sqrt((one @ one) * (other @ other)))
    r = _SHRUNK * float(one @ other) / size if size > 0.0 else 0.0
    if r > _LEAST:
        return np.array([r ** (1.0 / gap)])
    return np.array([r]) if gap == 1.0 and base[0] > 0.0 else base


def _of_pairs(law: Patterned, z: np.ndarray, base: np.ndarray) -> np.ndarray:
    sums = np.zeros((3, law.m))
    for batch in law.batches:
        here = z[batch.rows]
        index = batch.index[batch.which]
        one, other = np.broadcast_arrays(here[:, :, None], here[:, None, :])
        seen = index >= 0
        at, a, b = index[seen], one[seen], other[seen]
        sums += [np.bincount(at, weights, minlength=law.m) for weights in (a * b, a * a, b * b)]
    size = np.sqrt(sums[1] * sums[2])
    return np.where(size > 0.0, _SHRUNK * sums[0] / np.where(size > 0.0, size, 1.0), base)
