"""Correlation matrices of one group as functions of φ, with first and second derivatives.

`toep` and `us` are linear in φ: C = I + Σ φ_kE_k. The spatial ones are functions of the distance d over a range r,
with a nugget c that all off-diagonal elements lack (Pinheiro & Bates 2000, sec. 5.3.2):

    exp: e^(−d/r)    gaus: e^(−(d/r)²)    spher: 1 − 1.5 d/r + 0.5 (d/r)³ for d < r    ratio: 1/(1 + (d/r)²)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmtools.core.residual.arma import autocorrelations

__all__ = ["Arma", "Linear", "Shape", "ShapeAt", "Spatial"]

Derivatives = tuple[np.ndarray, np.ndarray | None]


class ShapeAt(Protocol):
    """Correlations at one φ."""

    def matrix(self, index: np.ndarray) -> np.ndarray:
        """C, shape (P, n, n).

        Parameters
        ----------
        index : ndarray, shape (P, n, n)
            Of P patterns, and of each pair of rows what the shape needs: a place among the parameters, a lag or a
            distance.
        """

    def derivatives(self, index: np.ndarray) -> Derivatives:
        """Slopes of C, shape (m, P, n, n), and bends (m, m, P, n, n), None where all are zero."""


class Shape(Protocol):
    """φ ↦ correlations.

    Attributes
    ----------
    m : int
        Number of parameters.
    watched : bool
        Whether C may become singular inside the bounds of φ.
    """

    m: int
    watched: bool

    def at(self, phi: np.ndarray) -> ShapeAt:
        """The correlations at φ."""


@dataclass(frozen=True)
class Linear:
    """`toep` and `us`: an element of C is a parameter, one (index −1) or zero (index −2)."""

    m: int
    watched = True

    def at(self, phi: np.ndarray) -> _LinearAt:
        """The correlations at φ."""
        return _LinearAt(np.asarray(phi, dtype=float))


@dataclass(frozen=True)
class _LinearAt:
    phi: np.ndarray

    def matrix(self, index: np.ndarray) -> np.ndarray:
        return np.append(self.phi, [0.0, 1.0])[index]

    def derivatives(self, index: np.ndarray) -> Derivatives:
        return (index == np.arange(len(self.phi))[:, None, None, None]).astype(float), None


@dataclass(frozen=True)
class Arma:
    """`arma`: a stationary process' autocorrelations at whole lags, the index."""

    p: int
    q: int
    longest: int
    watched = False

    @property
    def m(self) -> int:
        """Number of parameters."""
        return self.p + self.q

    def at(self, phi: np.ndarray) -> _ArmaAt:
        """The correlations at φ."""
        return _ArmaAt(phi[: self.p], phi[self.p :], self.longest)


class _ArmaAt:
    def __init__(self, phi: np.ndarray, theta: np.ndarray, longest: int) -> None:
        self._known = autocorrelations(phi, theta, longest)

    def matrix(self, index: np.ndarray) -> np.ndarray:
        return self._known[0][index]

    def derivatives(self, index: np.ndarray) -> Derivatives:
        return self._known[1][:, index], self._known[2][:, :, index]


@dataclass(frozen=True)
class Spatial:
    """One of the spatial structures; the index is the distance.

    Attributes
    ----------
    kind : str
    nugget : bool
    """

    kind: str
    nugget: bool
    watched = False

    @property
    def m(self) -> int:
        """Number of parameters: the range, and the nugget if there is one."""
        return 1 + self.nugget

    def at(self, phi: np.ndarray) -> _SpatialAt:
        """The correlations at φ."""
        if not phi[0] > 0.0 or (self.nugget and not 0.0 <= phi[1] < 1.0):
            raise np.linalg.LinAlgError("a range is positive, a nugget lies from 0 to below 1")
        return _SpatialAt(self.kind, float(phi[0]), float(phi[1]) if self.nugget else None)


@dataclass(frozen=True)
class _SpatialAt:
    kind: str
    range: float
    nugget: float | None

    def matrix(self, index: np.ndarray) -> np.ndarray:
        C = _FALL[self.kind](index / self.range)[0]
        if self.nugget is not None:
            C = (1.0 - self.nugget) * C
        at = np.arange(C.shape[1])
        C[:, at, at] = 1.0
        return C

    def derivatives(self, index: np.ndarray) -> Derivatives:
        x = index / self.range
        h, h1, h2 = _FALL[self.kind](x)
        off = 1.0 - np.eye(index.shape[1])
        # x = d/r: dx/dr = −x/r, d²x/dr² = 2x/r²
        slope = off * (-h1 * x / self.range)
        bend = off * (h2 * x * x + 2.0 * h1 * x) / self.range**2
        if self.nugget is None:
            return slope[None], bend[None, None]
        share = 1.0 - self.nugget
        bends = np.array([[share * bend, -slope], [-slope, np.zeros_like(slope)]])
        return np.array([share * slope, -off * h]), bends


def _exponential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    h = np.exp(-x)
    return h, -h, h


def _gaussian(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    h = np.exp(-x * x)
    return h, -2.0 * x * h, (4.0 * x * x - 2.0) * h


def _spherical(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    near = x < 1.0
    return (
        np.where(near, 1.0 - 1.5 * x + 0.5 * x**3, 0.0),
        np.where(near, -1.5 + 1.5 * x * x, 0.0),
        np.where(near, 3.0 * x, 0.0),
    )


def _rational(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    h = 1.0 / (1.0 + x * x)
    return h, -2.0 * x * h * h, (6.0 * x * x - 2.0) * h**3


_FALL = {"exp": _exponential, "gaus": _gaussian, "spher": _spherical, "ratio": _rational}
