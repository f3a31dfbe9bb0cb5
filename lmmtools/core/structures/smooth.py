"""Structures with one correlation: T = D R(ρ) D, D the diagonal of relative standard deviations.

`cs` and `homcs` have R_ij = ρ off the diagonal (compound symmetry), with own variances and with one; `ar1` and
`hetar1` have R_ij = ρ^|t_i − t_j| over integer positions t (first-order autoregression), with one variance and with
own. θ holds the relative sds, then ρ. T is a polynomial in θ, so its derivatives hold on the bounds too:
sd = 0, ρ = 1, and ρ = −1/(q − 1) or −1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.covariance import lower_factor, theta_names
from lmmtools.errors import ModelError

__all__ = ["SMOOTH", "Correlated"]

SMOOTH = ("cs", "homcs", "ar1", "hetar1")
# Relative sds below this, in working columns of unit size, are zero; correlations this near a bound are on it.
_ZERO = 1e-6
_ON_BOUND = 1e-10
# Lags beyond so many distinct ones are one class in the moment estimate.
_LAG_CLASSES = 4


class Correlated:
    """One of `SMOOTH` over q effects.

    Parameters
    ----------
    name : str
    q : int
    positions : array_like of int, shape (q,), optional
        For `ar1` and `hetar1`; 0, 1, …, q − 1 by default.

    Raises
    ------
    ModelError
        If positions are not distinct whole numbers.

    Notes
    -----
    A single effect has no correlation: θ is then its relative sd alone. Where all lags are even, ρ and −ρ are the
    same model, and ρ is taken from [0, 1].
    """

    def __init__(self, name: str, q: int, positions: Any = None) -> None:
        self.name, self.q = name, q
        self.common = name in ("homcs", "ar1")
        self.autoregressive = name in ("ar1", "hetar1")
        self.positions = _whole(name, np.arange(q) if positions is None else positions, q)
        self.lag = np.abs(self.positions[:, None] - self.positions)
        self.n_sd = 1 if self.common else q
        self.n_theta = self.n_sd + (q > 1)
        self.lower, self.upper = np.zeros(self.n_theta), np.full(self.n_theta, np.inf)
        if q > 1:
            even = bool(np.all(self.lag % 2 == 0))
            self.lower[-1] = (0.0 if even else -1.0) if self.autoregressive else -1.0 / (q - 1)
            self.upper[-1] = 1.0

    def _split(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        sd = np.full(self.q, theta[0]) if self.common else theta[: self.q]
        return sd, float(theta[-1]) if self.q > 1 else 0.0

    def correlation(self, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """R(ρ) with its first and second derivative, each (q, q)."""
        if not self.autoregressive:
            others = 1.0 - np.eye(self.q)
            return np.eye(self.q) + rho * others, others, np.zeros_like(others)
        lag = self.lag
        first = lag * rho ** np.maximum(lag - 1, 0)
        return rho**lag, first, lag * (lag - 1) * rho ** np.maximum(lag - 2, 0)

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """T, shape (q, q)."""
        sd, rho = self._split(theta)
        return np.outer(sd, sd) * self.correlation(rho)[0]

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lower-triangular Λ with a non-negative diagonal, from R's factor in closed form."""
        sd, rho = self._split(theta)
        C = self._autoregressive_root(rho) if self.autoregressive else self._exchangeable_root(rho)
        Lambda = sd[:, None] * C
        if self.autoregressive and np.any(np.diff(self.positions) < 0):
            return lower_factor(Lambda)
        return Lambda

    def _autoregressive_root(self, rho: float) -> np.ndarray:
        """R's factor over increasing positions: column j holds the innovations that enter at position j."""
        order = np.argsort(self.positions)
        t = self.positions[order]
        innovation = np.sqrt(np.append(1.0, np.maximum(1.0 - rho ** (2 * np.diff(t)), 0.0)))
        C = np.zeros((self.q, self.q))
        C[order] = np.tril(rho ** np.maximum(t[:, None] - t, 0)) * innovation
        return C

    def _exchangeable_root(self, rho: float) -> np.ndarray:
        j = np.arange(self.q)
        pivots = np.append(1.0, np.maximum((1 - rho) * (1 + j[1:] * rho) / (1 + (j[1:] - 1) * rho), 0.0))
        below = np.zeros(self.q)
        below[:-1] = np.sqrt(pivots[:-1]) * rho / (1 + j[:-1] * rho)
        return np.tril(np.broadcast_to(below, (self.q, self.q)), -1) + np.diag(np.sqrt(pivots))

    def first(self, theta: np.ndarray) -> np.ndarray:
        """dT along each parameter, shape (m, q, q)."""
        sd, rho = self._split(theta)
        R, R1, _ = self.correlation(rho)
        dT = np.zeros((self.n_theta, self.q, self.q))
        if self.common:
            dT[0] = 2.0 * theta[0] * R
        else:
            k = np.arange(self.q)
            dT[k, k] = R * sd
            dT[k, :, k] += R * sd
        if self.q > 1:
            dT[-1] = np.outer(sd, sd) * R1
        return dT

    def bend(self, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ along each pair of parameters, shape (m, m)."""
        sd, rho = self._split(theta)
        R, R1, R2 = self.correlation(rho)
        B = np.zeros((self.n_theta, self.n_theta))
        cross = 2.0 * (G * R1) @ sd
        if self.common:
            B[0, 0] = 2.0 * np.sum(G * R)
            cross = cross.sum(keepdims=True)
        else:
            B[: self.q, : self.q] = 2.0 * G * R
        if self.q > 1:
            B[:-1, -1] = B[-1, :-1] = cross
            B[-1, -1] = sd @ (G * R2) @ sd
        return B

    def second_along(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ Σ d_k d_l d²T_kl for a direction along which dT vanishes: one in the sds alone."""
        if self.q > 1 and direction[-1]:
            return np.zeros((self.q, self.q))
        step, _ = self._split(direction)
        return np.outer(step, step) * self.correlation(self._split(theta)[1])[0]

    def names(self, factor: str, effects: tuple[str, ...]) -> tuple[str, ...]:
        """``g.x`` for the relative sd of x, ``g`` for a common one, and ``g.cor``."""
        return theta_names(self.name, factor, effects)

    def column_scale(self, size: np.ndarray) -> np.ndarray:
        """One number where variances are common, else a number for each column."""
        return np.full(self.q, np.sqrt(np.mean(size**2))) if self.common else size

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """The scales of the sds; a correlation has none."""
        return np.append(scale[: self.n_sd], np.ones(self.n_theta - self.n_sd))

    def _lag_classes(self) -> list[np.ndarray]:
        if not self.autoregressive:
            return [1.0 - np.eye(self.q)] if self.q > 1 else []
        lags = np.unique(self.lag[self.lag > 0])
        classes = [np.equal(self.lag, lag).astype(float) for lag in lags[:_LAG_CLASSES]]
        if len(lags) > _LAG_CLASSES:
            classes.append((self.lag > lags[_LAG_CLASSES - 1]).astype(float))
        return classes

    def moment_basis(self) -> np.ndarray:
        """Variances, and one covariance for each lag, the longest ones together."""
        eye = np.eye(self.q)
        variances = [eye] if self.common else [np.diag(e) for e in eye]
        return np.array(variances + self._lag_classes())

    def start(self, T: np.ndarray, floor: float) -> np.ndarray:
        """Variances of T, and the ρ whose R is nearest to its correlations, well inside its bounds."""
        variances = np.diagonal(T)
        variances = np.full(self.q, variances.mean()) if self.common else variances
        variances = np.maximum(variances, max(floor, 1e-3 * variances.max(initial=0.0)))
        theta = np.sqrt(variances[: self.n_sd])
        if self.q == 1:
            return theta
        C = np.clip(T / np.sqrt(np.outer(variances, variances)), -1.0, 1.0)
        weight = (1.0 - np.eye(self.q)) / np.maximum(self.lag, 1) if self.autoregressive else 1.0 - np.eye(self.q)
        grid = self._inside(np.linspace(0.05, 0.95, 37))
        misfit = [np.sum(weight * (C - self.correlation(rho)[0]) ** 2) for rho in grid]
        return np.append(theta, grid[int(np.argmin(misfit))])

    def _inside(self, share: Any) -> Any:
        return self.lower[-1] + np.asarray(share) * (self.upper[-1] - self.lower[-1])

    def other_starts(self, sizes: list[float]) -> list[np.ndarray]:
        """Equal sds of each size, with a correlation of zero, high, low, and lower still."""
        sds = [np.full(self.n_sd, float(size)) for size in sizes]
        if self.q == 1:
            return sds
        shares = (0.85, 0.25, 0.1, 0.05, 0.05, 0.97)
        correlations = (0.0, *(self._inside(share) for share in shares))
        return [np.append(sd, correlations[k % 7]) for k, sd in enumerate(sds)]

    def same_covariance(self, theta: np.ndarray) -> list[np.ndarray]:
        """θ, and where ρ has no effect, θ at other values of ρ: its bounds, and between them for powers of ρ."""
        if not self.inert(theta).any():
            return [theta]
        values = self._inside(np.linspace(0.0, 1.0, 41 if self.autoregressive else 2))
        return [np.append(theta[:-1], rho) for rho in values]

    def generic(self) -> np.ndarray:
        """Unequal sds and a ρ that is no simple fraction."""
        theta = 1.0 + 0.1 * np.sin(1.0 + np.arange(self.n_theta))
        if self.q > 1:
            theta[-1] = self._inside(0.6180339887)
        return theta

    def inert(self, theta: np.ndarray) -> np.ndarray:
        """The correlation, where fewer than two effects vary."""
        sd, _ = self._split(theta)
        dead = np.zeros(self.n_theta, dtype=bool)
        dead[-1] = self.q > 1 and np.count_nonzero(np.abs(sd) > _ZERO) < 2
        return dead

    def snap(self, theta: np.ndarray) -> np.ndarray:
        """Sds and correlation on their bounds where they are to rounding; zero where a correlation has no effect."""
        snapped = theta.copy()
        sds = snapped[: self.n_sd]
        # where all vanish together T does, with the square of what is left; one alone may matter to first order
        sds[sds <= (1e-4 if sds.max() <= 1e-4 else _ZERO)] = 0.0
        if self.q > 1:
            for bound in (self.lower[-1], self.upper[-1]):
                snapped[-1] = bound if abs(snapped[-1] - bound) <= _ZERO else snapped[-1]
            snapped[self.inert(snapped)] = 0.0
        return snapped

    def on_bound(self, theta: np.ndarray) -> np.ndarray:
        """Where an sd is zero or the correlation at a bound."""
        where = np.zeros(self.n_theta, dtype=int)
        where[: self.n_sd][theta[: self.n_sd] <= _ZERO] = -1
        if self.q > 1:
            where[-1] = int(theta[-1] >= self.upper[-1] - _ON_BOUND) - int(theta[-1] <= self.lower[-1] + _ON_BOUND)
        return where

    def singular(self, theta: np.ndarray) -> bool:
        """Whether an sd is zero, or the correlation one that makes R singular."""
        sd, rho = self._split(theta)
        singular = self.q > 1 and (rho >= 1.0 - _ON_BOUND or rho <= -1.0 / self._width() + _ON_BOUND)
        return bool(np.any(sd <= _ZERO) or singular)

    def _width(self) -> float:
        return 1.0 if self.autoregressive else self.q - 1.0


def _whole(name: str, positions: Any, q: int) -> np.ndarray:
    """Positions as integers.

    Raises
    ------
    ModelError
        If they are not q distinct whole numbers.
    """
    values = np.asarray(positions, dtype=float)
    whole = np.round(values)
    finite = values.shape == (q,) and bool(np.all(np.isfinite(values)))
    if not finite or np.any(np.abs(values - whole) > 1e-9 * np.abs(values)):
        raise ModelError(
            f"`{name}` counts lags in whole numbers, so its positions must be {q} whole numbers; got {positions!r}. "
            "Use a column of whole numbers (for times 0.5 apart, twice the time), or a factor whose levels stand in "
            "order."
        )
    if len(np.unique(whole)) < q:
        raise ModelError(f"`{name}` needs distinct positions; got {positions!r}.")
    return whole.astype(np.int64)
