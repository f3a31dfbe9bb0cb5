"""Slope and curvature of the dense criterion in theta, from their definitions, and how far down they lead.

With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, M = P under REML and V^-1 under ML, nu the divisor of
sigma^2 and r^2 = y'Py, the criterion d has (Harville 1977, equations 4.1 and 4.5, sigma profiled out)

    d_k  = tr(M V_k) - (nu/r^2) y'P V_k P y
    d_kl = tr(M V_kl) - tr(M V_k M V_l)
           - (nu/r^2) (y'P V_kl P y - 2 y'P V_k P V_l P y) - (nu/r^4) (y'P V_k P y)(y'P V_l P y)

where V_k = Z (I (x) T_k) Z' for the term that theta_k belongs to (Z times the root of its levels' covariance), and
V_kl likewise, zero between terms. So all traces are those of T_k and T_kl with blocks of Z'MZ. For a parameter of the
residuals V_k is R_k, zero but for pairs of rows of one residual group, and V_kl is zero between them and the terms.

Where Lambda is linear in theta the boundary needs no bounds: T is the same for either sign of a column, so a variance
of zero is a stationary point, and a step off it that leads down shows as negative curvature. The parameters of the
other structures keep within theirs: a slope that leads out of them promises nothing, and a bound that is itself no
value of its parameter, such as a correlation of one, is only neared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.crosscheck.dense import DenseModel

__all__ = ["Descent", "derivatives", "descend"]

_ROUNDS = 3  # from 1 % beside an optimum, two Newton steps reach its rounding
_NONE = 1e-12  # curvature relative to the largest that is rounding
_NEAR = 0.1  # of the way to an open bound that a step leaves
_FULL = 0.02  # share of pairs from which products with a full matrix take less time
_AT = 1e-9  # a parameter so near its bound, in its own step, lies on it


@dataclass(frozen=True)
class Descent:
    """What slope and curvature at a theta promise, and what following them finds.

    Attributes
    ----------
    gain : float
        Deviance that a Newton step promises: half of g'H^-1 g, curvatures taken without their sign.
    lowest : float
        The lowest criterion met on the way.
    theta : ndarray (m,)
        Where that was.
    """

    gain: float
    lowest: float
    theta: NDArray


def derivatives(model: DenseModel, theta: NDArray) -> tuple[NDArray, NDArray]:
    """
    First and second derivatives of ``model.criterion``.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray, shape (m,)

    Returns
    -------
    gradient : ndarray, shape (m,)
    hessian : ndarray, shape (m, m)

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is singular to working precision.

    References
    ----------
    Harville, D. A. (1977). Maximum likelihood approaches to variance component estimation and to related
    problems. J. Amer. Statist. Assoc. 72, 320-338.
    """
    at = _projections(model, theta)
    gradient, hessian = _of_terms(at, _parts(model, theta))
    return (gradient, hessian) if model.law is None else _with_residual(model, theta, at, gradient, hessian)


def descend(model: DenseModel, theta: NDArray, rounds: int = _ROUNDS) -> Descent:
    """
    Follow the dense criterion downhill from theta: Newton steps, and steps along negative curvature.

    Parameters
    ----------
    model : DenseModel
    theta : ndarray, shape (m,)
    rounds : int
        Most steps to take.

    Returns
    -------
    Descent

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is singular to working precision.
    """
    at, lowest, gain = np.asarray(theta, dtype=float), model.criterion(theta), None
    if not len(at):  # nothing to move: a mean, and independent residuals of one variance
        return Descent(0.0, float(lowest), at)
    low, high = model.bounds.T
    shut = ~model.open.T
    for _ in range(rounds):
        unit = _units(model, at)
        gradient, hessian = derivatives(model, at)
        below, above = shut & (np.stack([at - low, high - at]) <= _AT * unit)
        held = (below & (gradient > 0)) | (above & (gradient < 0))
        unit = np.where(held, 0.0, unit)
        values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
        along = vectors.T @ (gradient * unit)
        none = np.abs(values) <= _NONE * np.abs(values).max()
        size = np.where(none, np.inf, np.abs(values))
        gain = 0.5 * float(np.sum(along**2 / size)) if gain is None else gain
        steps = [-vectors @ (along / size), *vectors.T[(values < 0) & ~none]]
        found = [_inside(model, at, at + unit * step) for step in _shortened(steps)]
        criteria = [_value(model, point) for point in found]
        best = int(np.argmin(criteria))
        if not criteria[best] < lowest:
            break
        at, lowest = found[best], criteria[best]
    return Descent(gain or 0.0, float(lowest), at)


def _inside(model: DenseModel, at: NDArray, to: NDArray) -> NDArray:
    """A point with each parameter moved to its bound at most, and to near it where the bound is no value."""
    low, high = model.bounds.T
    near = np.where(model.open.T, _NEAR * at + (1 - _NEAR) * np.stack([low, high]), np.stack([low, high]))
    return np.clip(to, *near)


def _value(model: DenseModel, theta: NDArray) -> float:
    """The criterion, infinite where V is singular to working precision or parameters are no covariance's."""
    try:
        return model.criterion(theta)
    except np.linalg.LinAlgError:
        return float("inf")


def _shortened(steps: list[NDArray]) -> list[NDArray]:
    """Each step, no longer than one unit, and shorter ones to either side where it has no slope to follow."""
    capped = [step / max(1.0, float(np.linalg.norm(step))) for step in steps]
    newton, *bent = capped
    return [newton, 0.1 * newton, *(size * step for step in bent for size in (-1.0, 1.0, -0.1, 0.1, -0.01, 0.01))]


def _units(model: DenseModel, theta: NDArray) -> NDArray:
    """Steps (m,) in each theta of like effect on V: about the residual variance, or the random effects' own.

    For a parameter with two bounds, a quarter of the way between them; the residuals' own are their law's.
    """
    bends = [np.sum(part.own_blocks(part.Z.T @ part.Z) * np.array([b[k] for k, b in enumerate(part.bends)]), (1, 2))
             for part in _parts(model, theta)]  # fmt: skip
    slopes = np.sqrt(np.abs(np.concatenate([np.zeros(0), *bends])) / (2 * len(model.y)))
    unit = 1.0 / np.where(slopes > 0, slopes, 1.0)
    own = np.asarray(theta, dtype=float)[: len(unit)]
    between = (model.bounds[:, 1] - model.bounds[:, 0])[: len(unit)]
    sds = ~np.isfinite(between)
    unit[sds] *= max(1.0, float(np.abs(own[sds] / unit[sds]).max(initial=0.0)))
    unit[~sds] = 0.25 * between[~sds]
    return unit if model.law is None else np.append(unit, model.law.units(model.phi(theta)))


@dataclass(frozen=True)
class _Part:
    """A term: its columns times the root of its levels' covariance, where they stand, and T's derivatives."""

    Z: NDArray
    at: slice
    slopes: NDArray
    bends: NDArray

    def by_level(self, u: NDArray) -> NDArray:
        """The term's part of a vector over all columns, (levels, q)."""
        return u[self.at].reshape(-1, self.slopes.shape[-1])

    def own_blocks(self, N: NDArray) -> NDArray:
        """Sum over levels of their diagonal blocks of N (q, q), N over all columns or the term's own."""
        q = self.slopes.shape[-1]
        block = N if len(N) == self.Z.shape[1] else N[self.at, self.at]
        levels = len(block) // q
        return np.einsum("iaib->ab", block.reshape(levels, q, levels, q))

    def times(self, slope: NDArray, N: NDArray) -> NDArray:
        """(I (x) slope) times the term's rows of N."""
        rows = N[self.at].reshape(-1, slope.shape[0], N.shape[1])
        return np.einsum("ab,ibc->iac", slope, rows).reshape(-1, N.shape[1])

    def along(self, G: NDArray) -> NDArray:
        """Inner products of G (q, q) with the slopes of T."""
        return np.einsum("kab,ab->k", self.slopes, G)

    def curved(self, G: NDArray) -> NDArray:
        """Inner products of G (q, q) with the second derivatives of T."""
        return np.einsum("klab,ab->kl", self.bends, G)


def _parts(model: DenseModel, theta: NDArray) -> list[_Part]:
    parts, start = [], 0
    for term, own in zip(model.terms, model.split(theta), strict=True):
        Z = model.spread(term.matrix, term.codes, term) @ np.kron(term.levels_root(), np.eye(term.law.q))
        parts.append(_Part(Z, slice(start, start + Z.shape[1]), term.law.slopes(own), term.law.bends(own)))
        start += Z.shape[1]
    return parts


@dataclass(frozen=True)
class _Projections:
    """M (n, n), P (n, n), Py (n,), r^2 and nu/r^2."""

    M: NDArray
    P: NDArray
    Py: NDArray
    r2: float
    rate: float


def _projections(model: DenseModel, theta: NDArray) -> _Projections:
    V_inverse = np.linalg.inv(model.V(theta))
    VX = V_inverse @ model.X
    P = V_inverse - VX @ np.linalg.solve(model.X.T @ VX, VX.T)
    Py = P @ model.response
    r2 = model.response @ Py
    return _Projections(P if model.reml else V_inverse, P, Py, r2, model.dof / r2)


def _of_terms(at: _Projections, parts: list[_Part]) -> tuple[NDArray, NDArray]:
    """Gradient and Hessian in the parameters of the terms."""
    if not parts:
        return np.zeros(0), np.zeros((0, 0))
    Z, rate = np.hstack([part.Z for part in parts]), at.rate
    NM, NP, u = Z.T @ at.M @ Z, Z.T @ at.P @ Z, Z.T @ at.Py
    own = [(part, slope) for part in parts for slope in part.slopes]
    traces = [part.own_blocks(NM) for part in parts]
    squares = [part.by_level(u).T @ part.by_level(u) for part in parts]
    moves = [(part.by_level(u) @ slope).ravel() for part, slope in own]
    turned = [part.times(slope, NM) for part, slope in own]
    flat = [u[part.at] @ move for (part, _), move in zip(own, moves, strict=True)]
    gradient = np.concatenate([part.along(G - rate * S) for part, G, S in zip(parts, traces, squares, strict=True)])
    bends = [part.curved(G - rate * S) for part, G, S in zip(parts, traces, squares, strict=True)]
    hessian = block_diag(*bends)
    for k, (part, _) in enumerate(own):
        for j, (other, _) in enumerate(own[: k + 1]):
            value = -np.sum(turned[k][:, other.at] * turned[j][:, part.at].T)
            value += 2 * rate * moves[k] @ NP[part.at, other.at] @ moves[j] - rate / at.r2 * flat[k] * flat[j]
            hessian[k, j] += value
            hessian[j, k] = hessian[k, j]
    return gradient, hessian


def _with_residual(
    model: DenseModel, theta: NDArray, at: _Projections, of_terms: NDArray, inner: NDArray
) -> tuple[NDArray, NDArray]:
    """Gradient and Hessian in all parameters, from those of the terms."""
    law, parts, t = model.law, _parts(model, theta), len(of_terms)
    jet, (i, j) = law.entries(model.phi(theta)), law.pairs
    twice = np.where(i == j, 1.0, 2.0)  # a pair of rows is two entries
    slopes = [jet.first.get(k, np.zeros(len(i))) for k in range(law.m)]
    changes = [_symmetric(slope, i, j, law.n) for slope in slopes]  # R_k
    Z = np.hstack([np.zeros((law.n, 0)), *(part.Z for part in parts)])
    u = Z.T @ at.Py
    of_T = [part.Z @ (part.by_level(u) @ slope).ravel() for part in parts for slope in part.slopes]
    moved = np.array([*of_T, *(R @ at.Py for R in changes)]).reshape(-1, law.n)  # V_k Py of every parameter
    forms = moved @ at.Py
    gradient = np.array([np.sum(twice * slope * at.M[i, j]) for slope in slopes]) - at.rate * forms[t:]
    hessian = 2 * at.rate * moved @ at.P @ moved.T - at.rate / at.r2 * np.outer(forms, forms)
    hessian[:t, :t] = inner
    for k, R in enumerate(changes):
        MRM = (R @ at.M).T @ at.M
        N = Z.T @ MRM @ Z
        with_T = np.concatenate([np.zeros(0), *(part.along(part.own_blocks(N)) for part in parts)])
        hessian[t + k, :t] -= with_T
        hessian[:t, t + k] -= with_T
        hessian[t + k, t:] -= [np.sum(twice * slope * MRM[i, j]) for slope in slopes]
    weight = twice * (at.M[i, j] - at.rate * at.Py[i] * at.Py[j])
    for (k, l), bend in jet.second.items():
        hessian[t + k, t + l] += weight @ bend
        hessian[t + l, t + k] = hessian[t + k, t + l]
    return np.append(of_terms, gradient), hessian


def _symmetric(entries: NDArray, i: NDArray, j: NDArray, n: int) -> NDArray | csr_array:
    """A symmetric matrix from one entry of each pair; sparse where few rows are in one group."""
    if len(entries) > _FULL * n**2:
        out = np.zeros((n, n))
        out[i, j] = out[j, i] = entries
        return out
    off = i != j
    rows, columns = np.append(i, j[off]), np.append(j, i[off])
    return csr_array((np.append(entries, entries[off]), (rows, columns)), shape=(n, n))
