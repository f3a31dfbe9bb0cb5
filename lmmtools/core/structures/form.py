"""What the engine asks of a covariance structure whose T is not linear in its parameters."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Form"]


class Form(Protocol):
    """A structure over q effects: θ ↦ T(θ) = ΛΛ', smooth in θ within a box.

    Derivatives are those of T, not of Λ: T is a polynomial in the standard deviations and the correlation right up
    to the bounds of the box, where T becomes singular and dΛ grows without limit (√(1 − ρ²) at ρ = 1).

    Attributes
    ----------
    name : str
    n_theta : int
        Number m of parameters.
    lower, upper : ndarray, shape (m,)
        The box, bounds included.
    """

    name: str
    n_theta: int
    lower: np.ndarray
    upper: np.ndarray

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lower-triangular Λ with a non-negative diagonal, shape (q, q)."""

    def first(self, theta: np.ndarray) -> np.ndarray:
        """dT along each parameter, shape (m, q, q)."""

    def bend(self, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ along each pair of parameters for a symmetric G, shape (m, m)."""

    def second_along(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ Σ d_k d_l d²T_kl, shape (q, q): what T gains per squared step where dT vanishes along `direction`."""

    def names(self, factor: str, effects: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the parameters."""

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """T, shape (q, q)."""

    def column_scale(self, size: np.ndarray) -> np.ndarray:
        """What each column is divided by, shape (q,), given root mean squares: one number if variances are common."""

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """θ̃/θ when columns are divided by `scale`, shape (m,)."""

    def moment_basis(self) -> np.ndarray:
        """A small linear space of T, shape (k, q, q), in which moments are taken for a start."""

    def start(self, T: np.ndarray, floor: float) -> np.ndarray:
        """Parameters near a moment estimate of T in that space, variances not below `floor`."""

    def other_starts(self, sizes: list[float]) -> list[np.ndarray]:
        """A point for each size of the relative sds, with different correlations."""

    def same_covariance(self, theta: np.ndarray) -> list[np.ndarray]:
        """θ itself, and others with the same T from which other directions lead (a correlation that has no effect)."""

    def generic(self) -> np.ndarray:
        """A point inside the box at which T moves with every parameter, as it does almost everywhere."""

    def inert(self, theta: np.ndarray) -> np.ndarray:
        """Which parameters have no effect on T at θ whatever their value, bool of shape (m,)."""

    def snap(self, theta: np.ndarray) -> np.ndarray:
        """θ with what lies on a bound to rounding set there."""

    def on_bound(self, theta: np.ndarray) -> np.ndarray:
        """−1 where a parameter is on its lower bound, 1 on its upper one, else 0; shape (m,)."""

    def singular(self, theta: np.ndarray) -> bool:
        """Whether T has a null space."""
