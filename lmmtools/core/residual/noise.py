"""R(φ) = S C S over the rows of a design: what the criterion and its derivatives ask of the residuals.

Rows are taken over their standard deviations first, G = S⁻¹H, so that all is C⁻¹. Where a parameter moves S alone, with
a = ∂ log s, G moves by −aG; where it moves C, as `laws` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from lmmtools.core.residual.exchangeable import Exchangeable
from lmmtools.core.residual.laws import Correlated, Independent, Law, Strata
from lmmtools.core.residual.markov import Markov
from lmmtools.core.residual.multipliers import Multipliers, Multiplying
from lmmtools.core.residual.patterns import Patterned, patterns_of
from lmmtools.core.residual.shapes import Arma, Linear, Spatial

__all__ = ["Noise", "NoiseAt", "noise_of", "shape_of", "time_order"]


@dataclass(frozen=True)
class Noise:
    """φ ↦ R(φ) over rows in a given order.

    Attributes
    ----------
    law : Law
        The correlation, its parameters first.
    sds : Multiplying
        The variance functions.
    log_unit : float
        Logarithm of what all multipliers are taken over, so that large ones do not make σ, beside which variances are
        small or large, a number without meaning.
    """

    law: Law
    sds: Multiplying
    log_unit: float = 0.0

    @property
    def m(self) -> int:
        """Number of parameters."""
        return self.law.m + self.sds.m

    def at(self, phi: np.ndarray) -> NoiseAt:
        """R at φ, shape (m,).

        Raises
        ------
        numpy.linalg.LinAlgError
            If R is not positive definite there.
        """
        phi = np.asarray(phi, dtype=float)
        k = self.law.m
        sds = self.sds.at(phi[k:])
        if self.log_unit:
            sds = replace(sds, log_s=sds.log_s - self.log_unit)
        return NoiseAt(self.law.at(phi[:k]), sds)


@dataclass(frozen=True)
class NoiseAt:
    """R at one φ.

    Attributes
    ----------
    correlation : Correlated
    multipliers : Multipliers
    """

    correlation: Correlated
    multipliers: Multipliers

    @property
    def logdet(self) -> float:
        """log|R|."""
        return self.correlation.logdet + 2.0 * float(self.multipliers.log_s.sum())

    @cached_property
    def s(self) -> np.ndarray:
        """Standard deviations over σ, shape (n,)."""
        return np.exp(self.multipliers.log_s)

    def scaled(self, H: np.ndarray) -> np.ndarray:
        """G = S⁻¹H for H of shape (n, c)."""
        return H / self.s[:, None]

    def inverse(self, G: np.ndarray) -> np.ndarray:
        """C⁻¹G: SR⁻¹H where G = S⁻¹H."""
        return self.correlation.inverse(G)

    def first(self, k: int, G: np.ndarray, U: np.ndarray) -> np.ndarray:
        """S ∂_kR⁻¹ H where G = S⁻¹H and U = C⁻¹G."""
        own = len(self.correlation.slope)
        if k < own:
            return self.correlation.first(k, G, U)
        a = self.multipliers.slopes[k - own][:, None]
        return -(a * U + self.inverse(a * G))

    @cached_property
    def slope(self) -> np.ndarray:
        """∂ log|R|, shape (m,)."""
        return np.concatenate([self.correlation.slope, 2.0 * self.multipliers.slopes.sum(axis=1)])

    @cached_property
    def bend(self) -> np.ndarray:
        """∂² log|R|, shape (m, m)."""
        own, m = len(self.correlation.slope), len(self.slope)
        out = np.zeros((m, m))
        out[:own, :own] = self.correlation.bend
        for (k, l), bend in self.multipliers.bends.items():
            out[own + k, own + l] = out[own + l, own + k] = 2.0 * bend.sum()
        return out

    def second(self, G: np.ndarray, U: np.ndarray, contract: Callable[..., np.ndarray]) -> np.ndarray:
        """contract of H and ∂_k∂_lR⁻¹H for every pair, shape (m, m, c); see `laws.Correlated.second`."""
        own, slopes, bends = len(self.correlation.slope), self.multipliers.slopes, self.multipliers.bends
        first = self.correlation.second(G, U, contract)
        if not len(slopes):
            return first
        moved = -slopes[:, :, None] * G
        turned = np.array([self.correlation.first(k, G, U) for k in range(own)]).reshape(own, *G.shape)
        solved = np.array([self.inverse(one) for one in moved])
        mixed = contract(turned, moved) + contract(moved, turned).transpose(1, 0, 2)
        last = contract(moved, solved)
        last = last + last.transpose(1, 0, 2)
        for k, l in combinations_with_replacement(range(len(slopes)), 2):
            twice = slopes[k] * slopes[l] - bends.get((k, l), 0.0)
            if not np.any(twice):
                continue
            bent = (twice[:, None] * G)[None]
            value = (contract(bent, U[None]) + contract(U[None], bent))[0, 0]
            last[k, l] += value
            if k != l:
                last[l, k] += value
        upper, lower = np.hstack([first, mixed]), np.hstack([mixed.transpose(1, 0, 2), last])
        return np.vstack([upper, lower])

    def whiten(self, H: np.ndarray) -> np.ndarray:
        """L⁻¹H with R = LL'."""
        return self.correlation.whiten(self.scaled(H))

    def colour(self, H: np.ndarray) -> np.ndarray:
        """LH."""
        return self.correlation.colour(H) * self.s[:, None]


def time_order(correlation: Any, n: int) -> np.ndarray:
    """Rows in the order of residual group and position, shape (n,); as they stand where nothing is correlated."""
    if correlation is None:
        return np.arange(n)
    keys = [*correlation.positions.T[::-1], correlation.codes]
    return np.lexsort(keys)


def noise_of(residual: Any, order: np.ndarray) -> Noise:
    """R(φ) of a design's residual structure.

    Parameters
    ----------
    residual : Residual
    order : ndarray of int, shape (n,)
        In which the rows will stand; each residual group's together, by position.
    """
    parts = tuple(part.of_rows(order) for part in residual.variances)
    c = residual.correlation
    if c is None:
        law: Law = Independent()
    elif len(c.by_levels) == 1:
        law = _law(c, order, np.arange(len(order)))
    else:
        by = c.by_codes[order]
        rows = tuple(np.flatnonzero(by == level) for level in range(len(c.by_levels)))
        law = Strata(tuple(_law(c, order[mine], np.arange(len(mine))) for mine in rows), rows)
    return Noise(law, Multiplying(parts, len(order)))


def _law(c: Any, order: np.ndarray, rows: np.ndarray) -> Law:
    codes, positions = c.codes[order], c.positions[order]
    first = np.append(True, codes[1:] != codes[:-1])[: len(codes)]
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(codes)))
    if c.kind in ("ar1", "car1"):
        gap = np.where(first, 0.0, np.append(0.0, np.diff(positions[:, 0]))[: len(codes)])
        return Markov(gap, first)
    if c.kind == "cs":
        return Exchangeable(starts, sizes)
    groups = [rows[a : a + k] for a, k in zip(starts, sizes, strict=True)]
    shape, between = shape_of(c)
    return Patterned(shape, patterns_of([between(positions[mine]) for mine in groups], groups))


def shape_of(c: Any) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """The shape, and what it needs to know of a group's positions (n, k)."""
    if c.kind == "us":
        return Linear(len(c.occasions) * (len(c.occasions) - 1) // 2), lambda at: _pairs(at[:, 0], len(c.occasions))
    if c.kind == "toep":
        return Linear(len(c.lags)), lambda at: _bands(_distances(at), c.lags)
    if c.kind == "arma":
        longest = int(np.ceil(np.ptp(c.positions))) if len(c.positions) else 0
        return Arma(*c.order, longest), lambda at: _distances(at).astype(int)
    return Spatial(c.kind, c.nugget), _distances


def _distances(at: np.ndarray) -> np.ndarray:
    return np.sqrt(((at[:, None] - at) ** 2).sum(axis=2))


def _pairs(occasion: np.ndarray, T: int) -> np.ndarray:
    """Place of each pair of occasions among (1, 2), (1, 3), …, (2, 3), …; −1 on the diagonal."""
    at = occasion.astype(int)
    low, high = np.minimum(at[:, None], at), np.maximum(at[:, None], at)
    place = low * (2 * T - low - 1) // 2 + high - low - 1
    return np.where(low == high, -1, place)


def _bands(distance: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Place of each distance among the lags; −2 beyond them, −1 on the diagonal."""
    nearest = np.abs(distance[:, :, None] - lags).argmin(axis=2) if len(lags) else np.zeros(distance.shape, dtype=int)
    known = np.isclose(distance, lags[nearest], rtol=1e-9, atol=0.0) if len(lags) else np.zeros(distance.shape, bool)
    place = np.where(known, nearest, -2)
    place[np.diag_indices(len(place))] = -1
    return place
