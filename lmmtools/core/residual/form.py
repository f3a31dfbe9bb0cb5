"""The parameters φ as the engine's search has them: one more block of the covariance, beside those of the terms.

The criterion is a function of T, block-diagonal over the random terms, and of φ; the diagonal of one more block of T̃
holds φ itself. So φ has a chart, bounds, a certificate and degrees of freedom by the same code as every T that is not
linear in its parameters. Ratios, ranges and constants are searched by their logarithms, correlations by the inverse
hyperbolic tangent of their place between bounds at which R is singular: what leads there is a long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.core.terms import Term

__all__ = ["INDEPENDENT", "ResidualForm"]


@dataclass(frozen=True)
class _Independent:
    """The residual structure of a model without one: no correlation, equal variances, no parameters."""

    correlation = None
    variances = ()
    names = ()
    bounds = np.zeros((0, 2))


INDEPENDENT = _Independent()

# How near to its bounds a correlation is looked for, against half of what lies between them: there R is singular.
_INSIDE = 1e-7
# What lies between bounds that it cannot reach, and what is positive.
_OPEN = ("correlation", "decay")
_LOGARITHMIC = ("ratio", "range", "const")
# Logarithms of ratios are looked for up to so much either way.
_FAR = 25.0
_STARTS = {"correlation": 0.0, "decay": 0.5, "nugget": 0.1, "ratio": 1.0, "power": 0.0, "const": 1.0}
_OTHERS = {
    "correlation": (0.3, 0.7, -0.2, 0.9, 0.1, 0.5, 0.8),
    "decay": (0.3, 0.7, 0.1, 0.9, 0.2, 0.6, 0.8),
    "nugget": (0.1, 0.3, 0.05, 0.6, 0.2, 0.4, 0.02),
    "ratio": (1.0, 1.5, 0.7, 1.0, 2.0, 0.5, 1.0),
    "power": (0.0, 0.5, -0.5, 1.0, -1.0, 0.2, 2.0),
    "const": (1.0, 0.1, 10.0, 1.0, 0.3, 3.0, 0.01),
}


# Where R moves with every parameter: not at a power of zero, which no constant can be told from.
_GENERIC = {
    "correlation": 0.2, "coefficient": 0.2, "moving": 0.3, "decay": 0.5, "nugget": 0.2, "ratio": 1.3, "power": 0.7,
    "spread": 0.05, "const": 0.8,
}  # fmt: skip


class ResidualForm:
    """φ as a `Form`: bounds, starts, and the map from the search's coordinates ψ to φ.

    Parameters
    ----------
    residual : Residual
        A design's residual structure.
    natural : bool
        Whether ψ is φ itself.
    """

    name = "residual"

    def __init__(self, residual: Any, *, natural: bool = False) -> None:
        self.residual = residual
        self._roles, self._ranges = _roles(residual)
        self._names = tuple(residual.names)
        self.n_theta = len(self._roles)
        lowest = _lowest(residual)
        low, high = np.array([_ends(role, lowest, self._ranges) for role in self._roles]).reshape(-1, 2).T
        self._log = np.array([role in _LOGARITHMIC and not natural for role in self._roles], dtype=bool)
        self._between = np.array([role in _OPEN and not natural for role in self._roles], dtype=bool)
        closed = np.array([role in _OPEN for role in self._roles], dtype=bool)
        # what the maps of the other parameters are given, so that each is a number
        self._middle, self._half = np.zeros(self.n_theta), np.ones(self.n_theta)
        self._middle[closed] = 0.5 * (low[closed] + high[closed])
        self._half[closed] = 0.5 * (high[closed] - low[closed])
        inside = np.where(closed, _INSIDE * self._half, 0.0)
        self._ends = low + inside, high - inside
        self.lower, self.upper = (self.working_of(end) for end in self._ends)

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """φ, shape (m,)."""
        psi = np.asarray(psi, dtype=float)
        between = self._middle + self._half * np.tanh(np.where(self._between, psi, 0.0))
        return np.where(self._log, np.exp(np.where(self._log, psi, 0.0)), np.where(self._between, between, psi))

    def working_of(self, phi: np.ndarray) -> np.ndarray:
        """ψ of φ, shape (m,)."""
        phi = np.asarray(phi, dtype=float)
        share = np.where(self._between, (phi - self._middle) / self._half, 0.0)
        return np.where(
            self._log, np.log(np.where(self._log, phi, 1.0)), np.where(self._between, np.arctanh(share), phi)
        )

    def _slopes(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of each φ in its ψ."""
        phi = self.natural(psi)
        tanh = np.tanh(np.where(self._between, psi, 0.0))
        first = np.where(self._log, phi, np.where(self._between, self._half * (1.0 - tanh**2), 1.0))
        return first, np.where(self._log, phi, -2.0 * tanh * first * self._between)

    def factor(self, psi: np.ndarray) -> np.ndarray:
        """φ on a diagonal, shape (m, m)."""
        return np.diag(self.natural(psi))

    def first(self, psi: np.ndarray) -> np.ndarray:
        """dφ along each of ψ, as diagonals, shape (m, m, m)."""
        m = self.n_theta
        out = np.zeros((m, m, m))
        out[np.arange(m), np.arange(m), np.arange(m)] = self._slopes(psi)[0]
        return out

    def bend(self, psi: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²φ⟩, shape (m, m)."""
        return np.diag(self._slopes(psi)[1] * np.diagonal(G))

    def second_along(self, psi: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ d²φ along a direction, shape (m, m)."""
        return 0.5 * np.diag(self._slopes(psi)[1] * direction**2)

    def names(self, factor: str, effects: tuple[str, ...]) -> tuple[str, ...]:
        """Names of φ."""
        return self._names

    def covariance(self, psi: np.ndarray) -> np.ndarray:
        """φ on a diagonal."""
        return self.factor(psi)

    def column_scale(self, size: np.ndarray) -> np.ndarray:
        """Ones: φ stands over no columns."""
        return np.ones_like(size)

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """Ones."""
        return np.ones(self.n_theta)

    def moment_basis(self) -> np.ndarray:
        """None: the start is `base`."""
        return np.zeros((0, self.n_theta, self.n_theta))

    @property
    def base(self) -> np.ndarray:
        """ψ of residuals that are all but independent, with equal variances."""
        return self._inside([self._start(role) for role in self._roles])

    def start(self, T: np.ndarray, floor: float) -> np.ndarray:
        """`base`."""
        return self.base

    def other_starts(self, sizes: list[float]) -> list[np.ndarray]:
        """Correlations, powers and ranges of several sizes, as many as `sizes`."""
        return [self._inside([self._start(role, i) for role in self._roles]) for i in range(len(sizes))]

    def _inside(self, phi: Sequence[float]) -> np.ndarray:
        """ψ of φ, or of the nearest that is between the bounds."""
        return self.working_of(np.clip(np.array(phi, dtype=float), *self._ends))

    def _start(self, role: str, i: int | None = None) -> float:
        if role == "range":
            share = 0.25 if i is None else (0.1, 0.3, 0.6, 1.0, 0.05, 0.2, 3.0)[i % 7]
            return float(self._ranges[0] ** (1.0 - share) * self._ranges[1] ** share)
        if role in ("spread", "coefficient", "moving"):
            return 0.0 if i is None else 0.2 * (-1) ** i * (i % 3)
        return _STARTS[role] if i is None else _OTHERS[role][i % 7]

    def same_covariance(self, psi: np.ndarray) -> list[np.ndarray]:
        """ψ itself."""
        return [psi]

    def generic(self) -> np.ndarray:
        """A point at which no parameter is without effect, and no two are alike."""
        span = self._ranges[0] ** 0.3 * self._ranges[1] ** 0.7
        values = [span if role == "range" else _GENERIC[role] * (1.0 + 0.05 * k) for k, role in enumerate(self._roles)]
        return self._inside(values)

    def inert(self, psi: np.ndarray) -> np.ndarray:
        """No parameter."""
        return np.zeros(self.n_theta, dtype=bool)

    def snap(self, psi: np.ndarray) -> np.ndarray:
        """ψ, on a bound where it is there to rounding."""
        return np.clip(psi, self.lower, self.upper)

    def on_bound(self, psi: np.ndarray) -> np.ndarray:
        """−1 on a lower bound, 1 on an upper one, else 0."""
        near = 1e-10 * np.maximum(1.0, np.abs(psi))
        low, high = psi <= self.lower + near, psi >= self.upper - near
        return np.where(low, -1, np.where(high, 1, 0))

    def singular(self, psi: np.ndarray) -> bool:
        """Never: R is positive definite inside the bounds."""
        return False


class ResidualTerm(Term):
    """φ as one more term of a working model: its working parameters are ψ, its own are φ."""

    @cached_property
    def own_form(self) -> ResidualForm:
        """The same structure with φ itself for coordinates."""
        return ResidualForm(self.form.residual, natural=True)

    def own_factor(self, theta: np.ndarray) -> np.ndarray:
        """φ on a diagonal."""
        return np.diag(theta)

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """φ on a diagonal, from ψ."""
        return self.form.factor(theta)

    def own(self, theta: np.ndarray) -> np.ndarray:
        """φ, from ψ."""
        return self.form.natural(theta)

    def working(self, theta: np.ndarray) -> np.ndarray:
        """ψ, from φ."""
        return self.form.working_of(theta)


def _roles(residual: Any) -> tuple[list[str], tuple[float, float]]:
    """What each parameter is, and the shortest and longest distance within a group."""
    roles: list[str] = []
    c, ranges = residual.correlation, (1.0, 1.0)
    if c is not None:
        own = {
            "ar1": ["correlation"],
            "car1": ["decay"],
            "cs": ["correlation"],
            "arma": _coefficients(*c.order),
            "toep": ["correlation"] * len(c.lags),
            "us": ["correlation"] * (len(c.occasions) * (len(c.occasions) - 1) // 2),
        }.get(c.kind, ["range", "nugget"][: 1 + c.nugget])
        roles += own * len(c.by_levels)
        if own[0] == "range":
            ranges = _distances(c)
    for part in residual.variances:
        k = len(part.levels)
        roles += {
            "varident": ["ratio"] * (k - 1),
            "varfixed": [],
            "varconstpower": ["const", "power"] * k,
            "varexp": ["spread"] * k,
        }.get(part.kind, ["power"] * k)
    return roles, ranges


def _coefficients(p: int, q: int) -> list[str]:
    """A single coefficient lies between −1 and 1, and a moving average may lie on these ends."""
    return ["correlation" if p == 1 else "coefficient"] * p + ["moving" if q == 1 else "coefficient"] * q


def _ends(role: str, lowest: float, ranges: tuple[float, float]) -> tuple[float, float]:
    """Between what a parameter is looked for."""
    if role == "range":
        return ranges[0] * np.exp(-3.0), ranges[1] * np.exp(9.0)
    return {
        "correlation": (lowest, 1.0),
        "decay": (0.0, 1.0),
        "nugget": (0.0, 1.0 - _INSIDE),
        "moving": (-1.0, 1.0),
        "ratio": (np.exp(-_FAR), np.exp(_FAR)),
        "const": (np.exp(-_FAR), np.exp(_FAR)),
    }.get(role, (-np.inf, np.inf))


def _lowest(residual: Any) -> float:
    """The lower end of a common correlation: −1/(n − 1) for the largest group."""
    c = residual.correlation
    if c is None or c.kind != "cs":
        return -1.0
    return -1.0 / max(int(np.bincount(c.codes).max()) - 1, 1)


def _distances(c: Any) -> tuple[float, float]:
    """Shortest and longest distance between neighbours and across groups."""
    order = np.lexsort([*c.positions.T[::-1], c.codes])
    at, codes = c.positions[order], c.codes[order]
    step = np.sqrt(((at[1:] - at[:-1]) ** 2).sum(axis=1))[codes[1:] == codes[:-1]]
    step = step[step > 0]
    span = max(float(np.sqrt(np.sum(np.ptp(at[codes == j], axis=0) ** 2))) for j in np.unique(codes)[:200])
    shortest = float(step.min()) if len(step) else 1.0
    return shortest, max(span, shortest)
