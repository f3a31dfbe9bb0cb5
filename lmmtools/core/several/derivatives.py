"""First and second derivatives in T of the criterion of several factors.

With K = κκ' as in solution.py, W = Z'V⁻¹[X e] and δ the derivative of [X e]'V⁻¹[X e]::

    gradient    G_f = Σ_j (P_jj − W_j K W_j')
    δ           −Σ_j W_j'dT W_j for a factor of the last step; J'dS J for one eliminated before, J = [−QB; I]
    Hessian     ∂²log|V| + ⟨K, ∂²[X e]'V⁻¹[X e]⟩ − 2(ν/r²) D₁'S_XX⁻¹D₂ − (ν/r⁴) q₁q₂ [− tr(S_XX⁻¹E₁S_XX⁻¹E₂)],
                D = (δv)_X,  q = v'δv,  E = δ_XX

In the last step, with dA and R = (dS J)_t the tangents of what the elimination before has left::

    ∂²log|M|           −tr(Q dA₁ Q dA₂) − tr(P dT₁ P dT₂) + tr(dA₁ H dT₂ H') + tr(dA₂ H dT₁ H')
    ⟨K, ∂²(C − B'QB)⟩  2⟨x₁, P x₂⟩ − 2⟨R₁κ, Q R₂κ⟩ − 2⟨x₁, H'R₂κ⟩ − 2⟨x₂, H'R₁κ⟩,   x = dT Wκ

The average information is half of the last line with κ = √(ν/r²) v alone, and the two terms of the profile that
v has part in (Gilmour, Thompson & Cullis 1995, Biometrics 51): solves, but no traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmtools.core.several.trailing import Trailing
from lmmtools.core.solution import Solution

__all__ = ["SeveralDerivatives"]

# Multiplications that the exact Hessian may take where the average information would do to steer.
_CHEAP = 3e8


class SeveralDerivatives:
    """Derivatives at one solution.

    Parameters
    ----------
    solution : Solution
        Its `inner` holds the state of the elimination.
    head : object or None
        What eliminates the factors before the last step.
    blocks : sequence of slice
        Where each factor's columns stand among the R.
    order : tuple of int
        The factors of the last step; those not in it belong to the head.
    """

    def __init__(self, solution: Solution, head: Any, blocks: Sequence[slice], order: tuple[int, ...]) -> None:
        self.solution, self.head, self.blocks, self.order = solution, head, blocks, order
        self.last: Trailing = solution.inner.last
        self.state = solution.inner.head
        self.kappa = solution.kappa()
        self._known: dict[tuple[Any, ...], np.ndarray] = {}
        R = blocks[-1].stop
        self.gradient = np.zeros((R, R))
        WK = self.last.W @ self.kappa
        for f, home in enumerate(order):
            x = self.last.frame.by_level(WK, f)
            G = self.last.P_blocks(f).sum(axis=2) - np.einsum("ajm,bjm->ab", x, x)
            self.gradient[blocks[home], blocks[home]] = 0.5 * (G + G.T)
        if head is not None:
            self.pulled = head.pull(self.state, self.last, self.kappa)
            for home, G in zip(head.order, head.gradient(self.state, self.pulled), strict=True):
                self.gradient[blocks[home], blocks[home]] = G

    @property
    def exact_steering(self) -> bool:
        """Whether `steering` is the Hessian itself."""
        return self.head is None or self.head.hessian_cost(self.last.frame.N) <= _CHEAP

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Observed second derivatives along each pair of block-diagonal directions, shape (m, R, R) → (m, m)."""
        return self._along(dT, "exact", self._exact)

    def steering(self, dT: np.ndarray) -> np.ndarray:
        """The Hessian where it is cheap, else the average information."""
        return self.hessian(dT) if self.exact_steering else self._along(dT, "average", self._average)

    def beta_derivative(self, dT: np.ndarray) -> np.ndarray:
        """dβ̂ along each direction, shape (m, p)."""
        s = self.solution
        return (self.shift(dT) @ s.contrast)[:, :-1] @ s.S_inverse

    def shift(self, dT: np.ndarray) -> np.ndarray:
        """δ along each direction, shape (m, p + 1, p + 1)."""
        size = len(self.solution.contrast)
        return self._along(dT, "shift", self._flat_shifts, both=False).reshape(len(dT), size, size)

    def bends(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of log|V|, (m, m), and of [X e]'V⁻¹[X e], (m, m, p + 1, p + 1)."""
        used, coefficients = self._used(dT)
        mine, dT = self._split(used)
        m, tangents, pulled = len(dT), None, None
        if m:
            pulled = self.head.pull(self.state, self.last, self.kappa[:, :0])
            tangents = self.head.tangents(self.state, pulled, self.last, dT)
        logdet = coefficients @ self._logdet(mine, tangents, pulled) @ coefficients.T
        half = self._quadratic(mine, tangents)
        if m:
            half[:m, :m] += self.head.half_bends(self.state, pulled, tangents)
        half = np.einsum("ik,klpq,jl->ijpq", coefficients, half, coefficients, optimize=True)
        return 0.5 * (logdet + logdet.T), half + half.swapaxes(2, 3)

    def _used(self, dT: np.ndarray) -> tuple[list[tuple[int, int, int]], np.ndarray]:
        """The elementary directions that dT uses, and dT in them, shape (m, elements)."""
        used = [k for k in self._elements() if np.any(dT[:, k[1], k[2]])]
        return used, np.array([dT[:, a, b] for _, a, b in used]).reshape(len(used), len(dT)).T

    def _along(self, dT: np.ndarray, kind: str, compute: Any, *, both: bool = True) -> np.ndarray:
        """A form over the elementary directions that dT uses, carried to dT; each form is computed once."""
        used, coefficients = self._used(dT)
        key = (kind, *used)
        if key not in self._known:
            self._known[key] = compute(used)
        value = coefficients @ self._known[key]
        if not both:
            return value
        value = value @ coefficients.T
        return 0.5 * (value + value.T)

    def _elements(self) -> list[tuple[int, int, int]]:
        """(factor, row, column) of T's lower triangle, the head's factors first."""
        homes = [*(self.head.order if self.head is not None else ()), *self.order]
        found = []
        for home in homes:
            start, stop = self.blocks[home].start, self.blocks[home].stop
            found += [(home, a, b) for a in range(start, stop) for b in range(start, a + 1)]
        return found

    def _split(self, used: list[tuple[int, int, int]]) -> tuple[list[tuple[int, int, int]], np.ndarray]:
        """Elements of the last step as (place in the order, column, column); directions of the head, (m, R, R)."""
        place = {home: f for f, home in enumerate(self.order)}
        mine = [(place[h], a - self.blocks[h].start, b - self.blocks[h].start) for h, a, b in used if h in place]
        R = self.blocks[-1].stop
        dT = np.zeros((len(used) - len(mine), R, R))
        for k, (_, a, b) in enumerate(k for k in used if k[0] not in place):
            dT[k, a, b] = dT[k, b, a] = 1.0
        return mine, dT

    def _moved(self, mine: list[tuple[int, int, int]], Y: np.ndarray) -> np.ndarray:
        """dT Y of (N, m) for each element of the last step, shape (N, elements, m)."""
        frame = self.last.frame
        out = np.zeros((frame.N, len(mine), Y.shape[1]))
        for k, (f, a, b) in enumerate(mine):
            out[frame.column(f, a), k] = Y[frame.column(f, b)]
            out[frame.column(f, b), k] = Y[frame.column(f, a)]
        return out

    def _shifts(self, mine: list[tuple[int, int, int]], tangents: Any) -> np.ndarray:
        """δ of every element, shape (elements, p + 1, p + 1)."""
        frame, W = self.last.frame, self.last.W
        own = np.empty((len(mine), W.shape[1], W.shape[1]))
        for k, (f, a, b) in enumerate(mine):
            half = W[frame.column(f, a)].T @ W[frame.column(f, b)]
            own[k] = -half if a == b else -half - half.T
        return own if tangents is None else np.concatenate([tangents.shifts, own])

    def _quadratic(
        self, mine: list[tuple[int, int, int]], tangents: Any, kappa: np.ndarray | None = None
    ) -> np.ndarray:
        """⟨x₁, Px₂⟩ − ⟨R₁κ, QR₂κ⟩ − ⟨x₁, H'R₂κ⟩ − ⟨x₂, H'R₁κ⟩ of every two elements.

        Without κ the same of every two columns of [X e], shape (elements, elements, p + 1, p + 1), up to the order of
        the two.
        """
        last, N = self.last, self.last.frame.N
        inner = _matrices if kappa is None else _numbers
        x = self._moved(mine, last.W if kappa is None else last.W @ kappa)
        flat = x.reshape(N, x.shape[1] * x.shape[2])
        own = inner(x, last.P(flat).reshape(x.shape))
        if tangents is None:
            return own
        R = tangents.R if kappa is None else np.matmul(tangents.R, kappa)
        R = np.ascontiguousarray(R.transpose(1, 0, 2))  # (N, m, k)
        flat_R = R.reshape(N, R.shape[1] * R.shape[2])
        between = -inner(R, last.Q(flat_R).reshape(R.shape))
        across = -inner(last.shrink(flat_R).reshape(R.shape), x)
        above = np.concatenate([between, across], axis=1)
        return np.concatenate([above, np.concatenate([across.swapaxes(0, 1), own], axis=1)])

    def _exact(self, used: list[tuple[int, int, int]]) -> np.ndarray:
        s, (mine, dT) = self.solution, self._split(used)
        p = len(s.beta)
        tangents = self.head.tangents(self.state, self.pulled, self.last, dT) if len(dT) else None
        value = 2.0 * self._quadratic(mine, tangents, self.kappa)
        value += self._logdet(mine, tangents, self.pulled if len(dT) else None)
        shifts = self._shifts(mine, tangents)
        self._subtract_mean(value, shifts, 2.0)
        if s.reml and p and len(shifts):
            E = np.matmul(s.S_inverse, shifts[:, :p, :p])
            value -= E.reshape(len(E), -1) @ E.transpose(0, 2, 1).reshape(len(E), -1).T
        return value

    def _logdet(self, mine: list[tuple[int, int, int]], tangents: Any, pulled: Any) -> np.ndarray:
        """Second derivatives of log|V|, and of ⟨K, [X e]'V⁻¹[X e]⟩ as far as the head bends it, K as it was pulled."""
        m = 0 if tangents is None else len(tangents.R)
        value = np.zeros((m + len(mine), m + len(mine)))
        value[m:, m:] -= self._traces(mine)
        if m:
            value[:m, :m] += self.head.second(self.state, pulled, tangents)
            between, across = tangents.traces(self.last, mine)
            value[:m, :m] -= between
            value[:m, m:] += across
            value[m:, :m] += across.T
        return value

    def _average(self, used: list[tuple[int, int, int]]) -> np.ndarray:
        mine, dT = self._split(used)
        tangents = self.head.first_order(self.state, self.pulled, dT) if len(dT) else None
        kappa = self.kappa[:, :1]
        value = self._quadratic(mine, tangents, kappa)
        if len(dT):
            value[: len(dT), : len(dT)] += self.head.own_quadratic(self.state, self.pulled, dT, kappa)
        self._subtract_mean(value, self._shifts(mine, tangents), 1.0)
        return value

    def _subtract_mean(self, value: np.ndarray, shifts: np.ndarray, times: float) -> None:
        """Less `times` (ν/r²) D₁'S_XX⁻¹D₂ + (ν/r⁴) q₁q₂."""
        s = self.solution
        shifted = shifts @ s.contrast
        D, q = shifted[:, :-1], shifted @ s.contrast
        value -= times * s.rate * D @ s.S_inverse @ D.T + s.bend * np.outer(q, q)

    def _flat_shifts(self, used: list[tuple[int, int, int]]) -> np.ndarray:
        mine, dT = self._split(used)
        tangents = self.head.first_order(self.state, self.pulled, dT) if len(dT) else None
        return self._shifts(mine, tangents).reshape(len(used), len(self.solution.contrast) ** 2)

    def _traces(self, mine: list[tuple[int, int, int]]) -> np.ndarray:
        """tr(P dT₁ P dT₂) of every two elements of the last step."""
        out = np.zeros((len(mine), len(mine)))
        homes = sorted({f for f, _, _ in mine})
        tau = []  # O'dT O: the directions in the columns of Ξ
        for f, a, b in mine:
            O = self.last.outer[f]
            half = np.outer(O[a], O[b])
            tau.append(half if a == b else half + half.T)
        for f in homes:
            rows = [k for k, e in enumerate(mine) if e[0] == f]
            for g in homes:
                if g > f:
                    continue
                cols = [k for k, e in enumerate(mine) if e[0] == g]
                inner = self.last.inner_P(f, g)
                r, c, _ = inner.shape
                flat = inner.reshape(r * c, -1)
                moments = (flat @ flat.T).reshape(r, c, r, c)
                left = np.array([tau[k].reshape(-1) for k in rows])
                right = np.array([tau[k].reshape(-1) for k in cols])
                part = left @ moments.transpose(0, 2, 1, 3).reshape(r * r, c * c) @ right.T
                out[np.ix_(rows, cols)] = part
                out[np.ix_(cols, rows)] = part.T
        return out


def _numbers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """⟨x_i, y_j⟩ of (N, m, k): shape (m, m)."""
    return np.tensordot(x, y, axes=([0, 2], [0, 2]))


def _matrices(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x_i'y_j of (N, m, k): shape (m, m, k, k)."""
    return np.tensordot(x, y, axes=([0], [0])).transpose(0, 2, 1, 3)
