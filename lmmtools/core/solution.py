"""What a penalised least squares solution holds, whatever the design, and the chain rule from T to parameters.

Every kind of cross-products (one grouping factor, several) answers the same questions: the criterion at a factor Λ̃, and
its derivatives in T = Λ̃Λ̃'. Λ̃ stands over the working columns of all factors, R of them, so T is block-diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from lmmtools.core.identify import Gram
from lmmtools.core.modes import Spherical

__all__ = ["Products", "Solution", "TDerivatives", "profile", "theta_gradient", "theta_hessian"]


@dataclass(frozen=True)
class Solution:
    """The penalised least squares solution at one Λ.

    Attributes
    ----------
    value : float
        The criterion d.
    beta : ndarray, shape (p,)
        β̂, in the basis of the cross-products.
    r2 : float
        [y − Xβ̂]'V⁻¹[y − Xβ̂].
    nu : int
        Divisor of r² in σ̂².
    reml : bool
    S_root : ndarray, shape (p, p)
        A square root of S_XX⁻¹ = S_root S_root'; σ²S_XX⁻¹ is Var(β̂).
    inner : object
        What the cross-products that made it keep for its derivatives and modes.
    noise : float or None
        The residual variance where it is held; profiled out otherwise.
    """

    value: float
    beta: np.ndarray
    r2: float
    nu: int
    reml: bool
    S_root: np.ndarray
    inner: Any
    noise: float | None = None

    @cached_property
    def S_inverse(self) -> np.ndarray:
        """S_XX⁻¹, shape (p, p)."""
        return self.S_root @ self.S_root.T

    @property
    def sigma2(self) -> float:
        """σ̂² = r²/ν, or what it is held at."""
        return self.r2 / self.nu if self.noise is None else self.noise

    @property
    def rate(self) -> float:
        """The criterion's derivative in r²: 1/σ²."""
        return 1.0 / self.sigma2

    @property
    def bend(self) -> float:
        """Less its second derivative in r²: ν/r⁴, zero where σ is held."""
        return self.nu / self.r2**2 if self.noise is None else 0.0

    @property
    def contrast(self) -> np.ndarray:
        """The vector v = (−β̂, 1), shape (p + 1,): [X y]v is the residual."""
        return np.append(-self.beta, 1.0)

    def kappa(self) -> np.ndarray:
        """A factor of K = κκ': (v/σ, and under REML a square root of S_XX⁻¹), shape (p + 1, k)."""
        v = self.contrast * np.sqrt(self.rate)
        if not (self.reml and len(self.beta)):
            return v[:, None]
        return np.column_stack([v, np.vstack([self.S_root, np.zeros(len(self.beta))])])

    def constrained(self, direction: np.ndarray, value: float) -> Solution:
        """The solution with direction'β held at a value; under ML, where the criterion has β in r² alone.

        β moves along S_XX⁻¹l, r² grows by (l'β̂ − b)²/l'S_XX⁻¹l, and S_XX⁻¹ loses that direction. Derivatives of the
        criterion so constrained have the same formulas as those of the free one.
        """
        along = self.S_root.T @ direction
        size, gap = float(along @ along), float(direction @ self.beta) - value
        r2 = self.r2 + gap * gap / size
        held = self.nu * np.log(r2 / self.r2) if self.noise is None else (r2 - self.r2) / self.noise
        return replace(
            self,
            value=self.value + float(held),
            beta=self.beta - self.S_root @ along * (gap / size),
            r2=r2,
            S_root=self.S_root - np.outer(self.S_root @ along, along / size),
        )

    def at_noise(self, sigma2: float) -> Solution:
        """The solution with the residual variance held: log|V| + ν log(2πσ²) + r²/σ² in place of the profile."""
        ratio = self.r2 / (self.nu * sigma2)
        return replace(self, value=self.value + self.nu * float(ratio - 1.0 - np.log(ratio)), noise=float(sigma2))


def profile(S: np.ndarray, n: int, logdet: float, *, reml: bool, inner: Any) -> Solution:
    """Profile β and σ out of the criterion.

    Parameters
    ----------
    S : ndarray, shape (p + 1, p + 1)
        [X y]'V⁻¹[X y].
    n : int
        Number of rows.
    logdet : float
        log|V|.
    reml : bool
    inner : object
        Kept in the solution.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V⁻¹X is not positive definite, which a full-rank X excludes up to rounding, or r² is rounding itself.
    """
    p = len(S) - 1
    S_factor = np.linalg.cholesky(S[:p, :p])
    S_root = np.linalg.solve(S_factor, np.eye(p)).T
    beta = S_root @ (S_root.T @ S[:p, p])
    r2 = float(S[p, p] - S[:p, p] @ beta)
    if r2 <= np.finfo(float).eps * S[p, p]:
        raise np.linalg.LinAlgError("the residual sum of squares is lost in rounding")
    nu = n - p if reml else n
    value = logdet + nu * (1.0 + np.log(2.0 * np.pi * r2 / nu))
    if reml:
        value += 2.0 * np.log(np.diagonal(S_factor)).sum()
    return Solution(float(value), beta, r2, nu, reml, S_root, inner)


class TDerivatives(Protocol):
    """First and second derivatives of the criterion in T at one solution.

    Attributes
    ----------
    gradient : ndarray, shape (R, R)
        G, symmetric, zero between factors: dd = ⟨G, dT⟩.
    exact_steering : bool
        Whether `steering` is the Hessian itself.
    """

    gradient: np.ndarray
    exact_steering: bool

    def hessian(self, dT: np.ndarray) -> np.ndarray:
        """Observed second derivatives along each pair of block-diagonal directions, shape (m, R, R) → (m, m)."""

    def steering(self, dT: np.ndarray) -> np.ndarray:
        """The Hessian, or where that is dear the average information, which may steer but never certify."""

    def beta_derivative(self, dT: np.ndarray) -> np.ndarray:
        """dβ̂ along each direction, shape (m, p)."""

    def shift(self, dT: np.ndarray) -> np.ndarray:
        """The derivative of [X e]'V⁻¹[X e] along each direction, shape (m, p + 1, p + 1)."""

    def bends(self, dT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of log|V| and of [X e]'V⁻¹[X e]: shapes (m, m) and (m, m, p + 1, p + 1)."""


class Products(Protocol):
    """Cross-products of a design: all that the criterion needs of its rows.

    Attributes
    ----------
    n, p : int
        Rows; columns of X.
    exact : Products
        The same without any merging of groups, for the certificate and the modes.
    """

    n: int
    p: int

    @property
    def exact(self) -> Products:
        """The same without any merging of groups."""

    def with_responses(self, borders: Sequence[np.ndarray], C: np.ndarray) -> Iterator[Products | None]:
        """The same products with other responses, m of them: what does not depend on the response is shared.

        `borders` are Z_f'e of every factor, (r_f, effects, m), C is [X e]'e, (p + 1, m). None where that loses digits
        or is not worth it, and the products must be made from the rows.
        """

    def solve(self, Lambda: np.ndarray, *, reml: bool) -> Solution:
        """Solve for β̂ and r² at a factor Λ̃ of shape (R, W) and evaluate the criterion."""

    def derivatives(self, solution: Solution) -> TDerivatives:
        """Derivatives in T at a solution of these cross-products."""

    def gram(self, D: np.ndarray) -> Gram:
        """Inner products of the directions D, shape (m, R, R), of V."""

    def residual_products(self) -> np.ndarray:
        """Σ Z'e(Z'e)' over the levels of each factor, shape (R, R), zero between factors."""

    def within_residual(self) -> tuple[float, int]:
        """What X and the groups leave of the response: its sum of squares and degrees of freedom."""

    def spherical(self, Lambda: np.ndarray, solution: Solution, widths: Sequence[int]) -> tuple[Spherical, ...]:
        """Modes of the spherical effects of each factor at Λ̃ of shape (R, W), `widths` of its columns for each."""

    def spherical_variance(
        self, Lambda: np.ndarray, solution: Solution, rows: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """s'M⁻¹s of rows given by (s, codes) of every factor, s over its columns of Λ̃; a code of −1 adds nothing."""


def theta_gradient(d: TDerivatives, Lambda: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Gradient in coordinates with dΛ̃ = F_k: 2⟨GΛ̃, F_k⟩, shape (m,)."""
    return 2.0 * F.reshape(len(F), Lambda.size) @ (d.gradient @ Lambda).reshape(-1)


def theta_hessian(d: TDerivatives, Lambda: np.ndarray, F: np.ndarray, *, steering: bool = False) -> np.ndarray:
    """Hessian in coordinates in which Λ̃ is linear: H(dT_k, dT_l) + 2⟨G, F_kF_l'⟩ with dT_k = F_kΛ̃' + Λ̃F_k'."""
    FL = np.matmul(F, Lambda.T)
    width = F.shape[1] * F.shape[2]
    bend = 2.0 * np.matmul(d.gradient, F).reshape(len(F), width) @ F.reshape(len(F), width).T
    dT = FL + FL.transpose(0, 2, 1)
    return (d.steering(dT) if steering else d.hessian(dT)) + 0.5 * (bend + bend.T)
