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

from lmmtools.core.residual.parameters import parameters_of
from lmmtools.core.residual.partial import blocks_of, coefficients, lonely_ends, partial_autocorrelations
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
# A share of nothing, so that its logit is a number.
_NO_SHARE = 1e-9
# Ranges at which a spherical correlation is looked at, in groups up to so many rows and in larger ones.
_SCANNED, _SCANNED_LARGE, _LARGE = 48, 12, 400
# A constant beside the least power it is added to that is nothing.
_NO_CONSTANT = 1e-8


def _logistic(psi: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-psi))


def _slopes_of_rate(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rate = np.exp(psi)
    phi = np.exp(-rate)
    return -rate * phi, rate * phi * (rate - 1.0)


def _slopes_of_share(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = _logistic(psi)
    return share * (1.0 - share), share * (1.0 - share) * (1.0 - 2.0 * share)


def _slopes_of_tanh(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tanh = np.tanh(psi)
    return 1.0 - tanh**2, -2.0 * tanh * (1.0 - tanh**2)


# The measures of `parameters`: φ of ψ, ψ of φ, and derivatives; an open one between −1 and 1.
_NATURAL = {
    "log": np.exp,
    "rate": lambda psi: np.exp(-np.exp(psi)),
    "share": lambda psi: np.maximum(_logistic(psi) - _NO_SHARE, 0.0),
    "open": np.tanh,
}
_WORKING = {
    "log": np.log,
    "rate": lambda phi: np.log(-np.log(phi)),
    "share": lambda phi: np.log((phi + _NO_SHARE) / (1.0 - phi - _NO_SHARE)),
    "open": np.arctanh,
}
_SLOPES = {
    "log": lambda psi: (np.exp(psi), np.exp(psi)),
    "rate": _slopes_of_rate,
    "share": _slopes_of_share,
    "open": _slopes_of_tanh,
}


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
        self._parameters = parameters_of(residual)
        self._names = tuple(residual.names)
        self.n_theta = len(self._parameters)
        low, high = self._each("low"), self._each("high")
        blocks = blocks_of(residual)
        self._blocks = [] if natural else blocks
        measures = [p.measure for p in self._parameters]
        which = {m: np.flatnonzero([found == m for found in measures]) for m in _NATURAL}
        self._unit = np.ones(self.n_theta) if natural else self._each("unit")
        self._measured = [] if natural else [(m, at) for m, at in which.items() if len(at)]
        at = which["open"]
        inside = np.zeros(self.n_theta)
        inside[at] = 0.5 * _INSIDE * (high[at] - low[at])
        self._open = at[:0] if natural else at
        self._middle = 0.5 * (low[self._open] + high[self._open])
        self._half = 0.5 * (high[self._open] - low[self._open])
        self._ends = low + inside, high - inside
        ends = [self._of_measured(end) for end in self._ends]
        self.lower, self.upper = np.minimum(*ends), np.maximum(*ends)  # a rate falls where its range grows
        if natural:  # where R may be asked for, not where it is looked for
            self.lower[which["log"]], self.upper[which["log"]] = 0.0, np.inf
            for at, _ in blocks:
                self.lower[at], self.upper[at] = -np.inf, np.inf

    def _each(self, what: str) -> np.ndarray:
        return np.array([getattr(p, what) for p in self._parameters], dtype=float)

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """φ, shape (m,)."""
        phi = np.asarray(psi, dtype=float) * self._unit
        for measure, which in self._measured:
            phi[which] = _NATURAL[measure](phi[which])
        phi[self._open] = self._middle + self._half * phi[self._open]
        for at, sign in self._blocks:
            phi[at] = sign * coefficients(phi[at])[0]
        return phi

    def working_of(self, phi: np.ndarray) -> np.ndarray:
        """ψ of φ, shape (m,)."""
        return self._of_measured(self._partial(phi))

    def _partial(self, phi: np.ndarray) -> np.ndarray:
        """φ with partial autocorrelations in place of the coefficients of autoregressions and moving averages."""
        out = np.array(phi, dtype=float)
        for at, sign in self._blocks:
            out[at] = partial_autocorrelations(sign * out[at])
        return out

    def _of_measured(self, phi: np.ndarray) -> np.ndarray:
        psi = np.array(phi, dtype=float)
        psi[self._open] = (psi[self._open] - self._middle) / self._half
        for measure, which in self._measured:
            psi[which] = _WORKING[measure](psi[which])
        return psi / self._unit

    def _jets(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First derivatives of φ_i in ψ_k, shape (i, k), and second ones, shape (i, k, l)."""
        first, second = self._slopes(psi)
        J, H = np.diag(first), np.zeros((self.n_theta,) * 3)
        each = np.arange(self.n_theta)
        H[each, each, each] = second
        if self._blocks:
            partial = self._partial(self.natural(psi))
        for at, sign in self._blocks:
            _, slopes, bends = coefficients(partial[at])
            own = first[at]
            J[at, at] = sign * slopes * own
            H[at, at, at] = sign * (bends * np.multiply.outer(own, own) + slopes[:, :, None] * np.diag(second[at]))
        return J, H

    def _slopes(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of each φ in its ψ."""
        at = np.asarray(psi, dtype=float) * self._unit
        first, second = self._unit.copy(), np.zeros(self.n_theta)
        for measure, which in self._measured:
            first[which], second[which] = _SLOPES[measure](at[which])
        first[self._open], second[self._open] = self._half * first[self._open], self._half * second[self._open]
        return first, second

    def factor(self, psi: np.ndarray) -> np.ndarray:
        """φ on a diagonal, shape (m, m)."""
        return np.diag(self.natural(psi))

    def first(self, psi: np.ndarray) -> np.ndarray:
        """dφ along each of ψ, as diagonals, shape (m, m, m)."""
        m = self.n_theta
        out = np.zeros((m, m, m))
        at = np.arange(m)
        if self._blocks:
            out[:, at, at] = self._jets(psi)[0].T
        else:
            out[at, at, at] = self._slopes(psi)[0]
        return out

    def bend(self, psi: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²φ⟩, shape (m, m)."""
        if self._blocks:
            return np.tensordot(np.diagonal(G), self._jets(psi)[1], 1)
        return np.diag(self._slopes(psi)[1] * np.diagonal(G))

    def second_along(self, psi: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ d²φ along a direction, shape (m, m)."""
        if self._blocks:
            return 0.5 * np.diag(self._jets(psi)[1] @ direction @ direction)
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
        return self.inside(self._each("start"))

    def start(self, T: np.ndarray, floor: float) -> np.ndarray:
        """`base`."""
        return self.base

    def other_starts(self, sizes: list[float]) -> list[np.ndarray]:
        """Correlations, powers and ranges of several sizes, as many as `sizes`."""
        return [self.inside(np.array([p.others[i % 7] for p in self._parameters])) for i in range(len(sizes))]

    def scan(self) -> list[np.ndarray]:
        """Ranges of spherical correlations from short to long, the rest as at `base`: at distances it has kinks."""
        c = self.residual.correlation
        if c is None or c.kind != "spher":
            return []
        step = 1 + c.nugget
        at = np.arange(0, step * len(c.by_levels), step)
        low, high = (np.log([end(self._parameters[k].others) for k in at]) for end in (min, max))
        count = _SCANNED if np.bincount(c.codes).max() <= _LARGE else _SCANNED_LARGE
        points = [self.base for _ in range(count)]
        for share, psi in zip(np.linspace(0.0, 1.2, count), points, strict=True):
            psi[at] = low + share * (high - low)
        return points

    def scattered(self, rng: np.random.Generator) -> np.ndarray:
        """ψ at random, about one or another start in each parameter."""
        near = self.inside([p.others[int(rng.integers(7))] for p in self._parameters])
        return np.clip(near + rng.normal(0.0, self._each("spread")), self.lower, self.upper)

    def inside(self, phi: Sequence[float] | np.ndarray) -> np.ndarray:
        """ψ of φ, or of the nearest that is between the bounds."""
        return self._of_measured(np.clip(np.asarray(phi, dtype=float), *self._ends))

    def nearest(self, phi: np.ndarray) -> np.ndarray:
        """ψ of φ on its natural scale, or of the nearest that is between the bounds."""
        return self.inside(self._partial(phi))

    def same_covariance(self, psi: np.ndarray) -> list[np.ndarray]:
        """ψ itself."""
        return [psi]

    def generic(self) -> np.ndarray:
        """A point at which no parameter is without effect, and no two are alike."""
        return self.inside(self._each("generic") * (1.0 + 0.05 * np.arange(self.n_theta) / max(self.n_theta, 4)))

    def inert(self, psi: np.ndarray) -> np.ndarray:
        """A range beside a nugget that leaves no correlation, and a nugget beside a range that leaves none."""
        side, out = self.on_bound(psi), np.zeros(self.n_theta, dtype=bool)
        for k in np.flatnonzero([p.measure == "share" for p in self._parameters]):
            out[k - 1], out[k] = side[k] > 0, side[k - 1] < 0
        return out

    def snap(self, psi: np.ndarray) -> np.ndarray:
        """ψ, at an end of φ where it is as good as there."""
        psi, low = np.clip(psi, self.lower, self.upper), self._of_measured(self._ends[0])
        phi, nothing = self.natural(psi), self._each("nothing")
        for k, p in enumerate(self._parameters):
            if p.span is not None:  # the power is the next parameter
                nothing[k] = _NO_CONSTANT * np.exp(min(phi[k + 1] * end for end in p.span))
        psi = np.where(phi <= nothing, low, psi)
        for k in lonely_ends(self.residual, phi):
            psi[k] = self.upper[k] if phi[k] > 0.0 else self.lower[k]
        return psi

    def on_bound(self, psi: np.ndarray) -> np.ndarray:
        """−1 on a lower bound, 1 on an upper one, else 0."""
        near = 1e-10 * np.maximum(1.0, np.abs(psi))
        low, high = psi <= self.lower + near, psi >= self.upper - near
        return np.where(low, -1, np.where(high, 1, 0))

    def singular(self, psi: np.ndarray) -> bool:
        """Never: R is positive definite inside the bounds."""
        return False

    def run_off(self, psi: np.ndarray) -> list[int]:
        """Ratios that have run off to zero or infinity, and constants to infinity: a power alone is a model."""
        low, high = psi <= self.lower + 1.0, psi >= self.upper - 1.0
        every = enumerate(self._parameters)
        return [k for k, p in every if p.can_run_off and (high[k] or (low[k] and p.span is None))]

    def beyond(self, psi: np.ndarray) -> list[int]:
        """Parameters at an end that is only that of the numbers."""
        side = self.on_bound(psi) * np.where(self._of_measured(self._ends[0]) < self._of_measured(self._ends[1]), 1, -1)
        return [k for k, p in enumerate(self._parameters) if side[k] and p.beyond[int(side[k] > 0)]]


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
