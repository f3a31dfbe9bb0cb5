"""Variance functions: the sd multiplier s of every row, and the derivatives of its logarithm.

    varident: ratio of its level    varpower: |v|^δ    varexp: e^(δv)    varconstpower: c + |v|^δ    varfixed: √v

(Pinheiro & Bates 2000, sec. 5.2). A product of variance functions has the product of their multipliers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Multipliers", "Multiplying", "multipliers", "n_parameters"]


@dataclass(frozen=True)
class Multipliers:
    """s at one φ.

    Attributes
    ----------
    log_s : ndarray, shape (n,)
    slopes : ndarray, shape (m, n)
        ∂ log s.
    bends : dict of (int, int), ndarray of shape (n,)
        ∂² log s of each pair of parameters for which it is not zero, k ≤ l.
    """

    log_s: np.ndarray
    slopes: np.ndarray
    bends: dict[tuple[int, int], np.ndarray]


@dataclass(frozen=True)
class Multiplying:
    """Variance functions over given rows.

    Attributes
    ----------
    parts : tuple
        Each with ``kind``, ``codes``, ``levels`` and ``values``.
    n : int
        Number of rows.
    """

    parts: tuple[Any, ...]
    n: int

    @property
    def m(self) -> int:
        """Number of parameters."""
        return sum(n_parameters(part) for part in self.parts)

    def at(self, phi: np.ndarray) -> Multipliers:
        """s at φ, shape (m,).

        Raises
        ------
        numpy.linalg.LinAlgError
            If a multiplier is not a positive number.
        """
        return multipliers(self.parts, phi, self.n)


def n_parameters(part: Any) -> int:
    """Number of parameters of a variance function."""
    strata = len(part.levels)
    return {"varident": strata - 1, "varfixed": 0, "varconstpower": 2 * strata}.get(part.kind, strata)


def multipliers(parts: Sequence[Any], phi: np.ndarray, n: int) -> Multipliers:
    """See `Multiplying.at`."""
    log_s, slopes, bends, start = np.zeros(n), np.zeros((len(phi), n)), {}, 0
    for part in parts:
        stop = start + n_parameters(part)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            own = _PARTS[part.kind](part, phi[start:stop])
        log_s += own.log_s
        slopes[start:stop] = own.slopes
        bends.update({(start + k, start + l): bend for (k, l), bend in own.bends.items()})
        start = stop
    if not (np.all(np.isfinite(log_s)) and np.all(np.isfinite(slopes))):
        raise np.linalg.LinAlgError("a standard deviation is zero or infinite")
    return Multipliers(log_s, slopes, bends)


def _by_level(part: Any, phi: np.ndarray) -> Multipliers:
    ratio = np.append(1.0, phi)
    if not np.all(ratio > 0.0):
        raise np.linalg.LinAlgError("a ratio of standard deviations is positive")
    mine = (part.codes == np.arange(1, len(ratio))[:, None]).astype(float)
    slopes = mine / phi[:, None]
    return Multipliers(np.log(ratio)[part.codes], slopes, {(k, k): -slopes[k] ** 2 for k in range(len(phi))})


def _power(part: Any, phi: np.ndarray) -> Multipliers:
    log_v = np.log(np.abs(part.values))
    return Multipliers(phi[part.codes] * log_v, _of_strata(part) * log_v, {})


def _exponential(part: Any, phi: np.ndarray) -> Multipliers:
    return Multipliers(phi[part.codes] * part.values, _of_strata(part) * part.values, {})


def _constant_and_power(part: Any, phi: np.ndarray) -> Multipliers:
    const, power = phi[0::2], phi[1::2]
    if not np.all(const > 0.0):
        raise np.linalg.LinAlgError("the constant is positive")
    log_v = np.log(np.abs(part.values))
    raised = np.exp(power[part.codes] * log_v)
    s = const[part.codes] + raised
    mine = _of_strata(part)
    slopes = np.empty((len(phi), len(s)))
    slopes[0::2], slopes[1::2] = mine / s, mine * (raised * log_v / s)
    bends = {}
    for k in range(len(const)):
        c, d = slopes[2 * k], slopes[2 * k + 1]
        bends[2 * k, 2 * k] = -c * c
        bends[2 * k, 2 * k + 1] = -c * d
        bends[2 * k + 1, 2 * k + 1] = d * log_v - d * d
    return Multipliers(np.log(s), slopes, bends)


def _known(part: Any, phi: np.ndarray) -> Multipliers:
    return Multipliers(0.5 * np.log(part.values), np.zeros((0, len(part.values))), {})


def _of_strata(part: Any) -> np.ndarray:
    """Indicators of the strata, shape (strata, n)."""
    return (part.codes == np.arange(len(part.levels))[:, None]).astype(float)


_PARTS = {
    "varident": _by_level,
    "varpower": _power,
    "varexp": _exponential,
    "varconstpower": _constant_and_power,
    "varfixed": _known,
}
