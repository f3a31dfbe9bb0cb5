"""Autocorrelations of a stationary ARMA(p, q) process with their derivatives in its coefficients.

    e_t = Σ φ_i e_{t−i} + a_t + Σ θ_j a_{t−j}

With ψ the weights of e_t = Σ ψ_j a_{t−j}, the autocovariances over Var(a) solve (Brockwell & Davis 1991, sec. 3.3)

    γ(h) − Σ φ_i γ(|h − i|) = Σ_{j ≥ h} θ_j ψ_{j−h},   θ_0 = 1.

Values, slopes and bends are carried together through these recursions.
"""

from __future__ import annotations

import numpy as np

__all__ = ["autocorrelations"]

# Roots so near the unit circle are on it: γ of an autoregression is lost in rounding there, that of a moving average is
# not.
_ON_CIRCLE, _BESIDE = 1e-9, 1e-6


class _Jet:
    """A number with its gradient and Hessian in m parameters."""

    __slots__ = ("bend", "slope", "value")

    def __init__(self, value: float, slope: np.ndarray, bend: np.ndarray) -> None:
        self.value, self.slope, self.bend = value, slope, bend

    def __add__(self, other: _Jet) -> _Jet:
        return _Jet(self.value + other.value, self.slope + other.slope, self.bend + other.bend)

    def __mul__(self, other: _Jet) -> _Jet:
        cross = np.outer(self.slope, other.slope)
        return _Jet(
            self.value * other.value,
            self.value * other.slope + other.value * self.slope,
            self.value * other.bend + other.value * self.bend + cross + cross.T,
        )


def autocorrelations(phi: np.ndarray, theta: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Autocorrelations at lags 0 … longest, shape (h,), with slopes (m, h) and bends (m, m, h) in (φ, θ).

    Raises
    ------
    numpy.linalg.LinAlgError
        If the autoregression is not stationary, or the moving average not invertible.
    """
    _refuse_outside(phi, theta)
    p, q, m = len(phi), len(theta), len(phi) + len(theta)
    parameters = [_Jet(float(x), e, np.zeros((m, m))) for x, e in zip([*phi, *theta], np.eye(m), strict=True)]
    zero, one = (_Jet(x, np.zeros(m), np.zeros((m, m))) for x in (0.0, 1.0))
    ar, ma = parameters[:p], [one, *parameters[p:]]
    psi: list[_Jet] = []
    for j in range(q + 1):
        psi.append(_sum([ma[j], *(ar[i - 1] * psi[j - i] for i in range(1, min(j, p) + 1))], zero))
    size = max(p, q) + 1
    right = [_sum([ma[j] * psi[j - h] for j in range(h, q + 1)], zero) for h in range(size)]
    gamma = _solve(ar, right, m)
    for h in range(size, longest + 1):
        gamma.append(_sum([ar[i - 1] * gamma[h - i] for i in range(1, p + 1)], zero))
    scale = _reciprocal(gamma[0])
    rho = [g * scale for g in gamma[: longest + 1]]
    rho[0] = one
    return (
        np.array([r.value for r in rho]),
        np.array([r.slope for r in rho]).T.copy(),
        np.array([r.bend for r in rho]).transpose(1, 2, 0).copy(),
    )


def _refuse_outside(phi: np.ndarray, theta: np.ndarray) -> None:
    """Refuse coefficients without a stationary, invertible process."""
    for coefficients, what, largest in (
        (np.negative(phi), "stationary", 1.0 - _ON_CIRCLE),
        (theta, "invertible", 1.0 + _BESIDE),
    ):
        if len(coefficients) and np.abs(np.roots(np.append(1.0, coefficients))).max(initial=0.0) > largest:
            raise np.linalg.LinAlgError(f"the process is not {what}")


def _sum(parts: list[_Jet], zero: _Jet) -> _Jet:
    total = zero
    for part in parts:
        total = total + part
    return total


def _reciprocal(x: _Jet) -> _Jet:
    v = 1.0 / x.value
    return _Jet(v, -x.slope * v**2, 2.0 * np.outer(x.slope, x.slope) * v**3 - x.bend * v**2)


def _solve(ar: list[_Jet], right: list[_Jet], m: int) -> list[_Jet]:
    """γ(0 … size − 1) from A(φ)γ = b: γ_k = A⁻¹(b_k − A_kγ), and once more for the second derivatives."""
    size, p = len(right), len(ar)
    A, A1 = np.eye(size), np.zeros((m, size, size))
    for h in range(size):
        for i in range(1, p + 1):
            A[h, abs(h - i)] -= ar[i - 1].value
            A1[i - 1, h, abs(h - i)] -= 1.0
    inverse = np.linalg.inv(A)
    gamma = inverse @ np.array([b.value for b in right])
    first = np.array([b.slope for b in right]).T - A1 @ gamma
    slopes = first @ inverse.T
    mixed = np.einsum("kab,lb->kla", A1, slopes)
    bends = (np.array([b.bend for b in right]).transpose(1, 2, 0) - mixed - mixed.transpose(1, 0, 2)) @ inverse.T
    return [_Jet(float(gamma[h]), slopes[:, h], bends[:, :, h]) for h in range(size)]
