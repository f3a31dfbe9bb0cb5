"""Covariance structures as sets of matrices T: the linear space that holds one, members of it, and who is a member.

Everything is in a term's working columns, in which `us`, `diag`, `cs` and `hetar1` keep their meaning under any scaling
and the others have one scale for all columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.covariance import covariance_basis
from lmmtools.core.structures import Correlated

__all__ = ["Examples", "examples", "hull", "is_cone", "is_covariance", "is_known"]

# Relative size of what a member of a structure that is no cone may differ by from the structure.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Examples:
    """Some covariances of a structure.

    Attributes
    ----------
    typical : tuple of ndarray
        Inside, none like the other, where the structure has such.
    edges : tuple of ndarray
        On its boundary, by which a cone is known; correlations of both signs.
    """

    typical: tuple[np.ndarray, ...]
    edges: tuple[np.ndarray, ...]


def hull(term: Any) -> np.ndarray:
    """A basis of the linear space that a term's covariances span, shape (h, q, q)."""
    q, eye = term.q, np.eye(term.q)
    if term.form is None:
        return covariance_basis(term.structure, q)
    if not isinstance(term.form, Correlated) or not term.form.common:
        return covariance_basis("us", q)
    if not term.form.autoregressive:
        return np.array([eye, 1.0 - eye])[: min(q, 2)]
    return np.array([np.equal(term.form.lag, lag).astype(float) for lag in np.unique(term.form.lag)])


def examples(term: Any) -> Examples:
    """Members of a term's structure, always the same ones."""
    q = term.q
    if term.structure == "us":
        unit = np.eye(q)
        pairs = [(unit[i], sign * unit[j]) for i in range(q) for j in range(i) for sign in (1.0, -1.0)]
        edges = [np.outer(v, v) for v in (*unit, *(a + b for a, b in pairs))]
        return Examples((_mixed(q), np.eye(q)), tuple(edges))
    if term.structure in ("diag", "homdiag"):
        basis = covariance_basis(term.structure, q)
        return Examples((np.tensordot(1.0 + 0.5 * np.cos(np.arange(len(basis))), basis, 1),), tuple(basis))
    return _of_form(term.form, q)


def _mixed(q: int) -> np.ndarray:
    """A positive definite matrix without any pattern."""
    L = np.tril(np.cos(1.0 + np.arange(q * q).reshape(q, q) * 1.7))
    return L @ L.T + 0.2 * np.eye(q)


def _of_form(form: Any, q: int) -> Examples:
    """At typical parameters, and at the bounds of each."""
    low, high = np.maximum(form.lower, -2.0), np.minimum(form.upper, 2.0)
    shares = (0.5 + 0.45 * np.sin(3.1 * k + 2.3 * np.arange(len(low)) ** 1.5) for k in range(1, 9))
    inside = [form.generic(), *(low + share * (high - low) for share in shares)]
    ends = []
    for theta in inside[:4]:
        for k in range(len(low)):
            for bound in (form.lower[k], form.upper[k]):
                if np.isfinite(bound):
                    end = theta.copy()
                    end[k] = bound
                    ends.append(end)
    return Examples(tuple(map(form.covariance, inside)), tuple(map(form.covariance, ends)))


def is_known(term: Any) -> bool:
    """Whether the structure is one of the package, of whose members all is known."""
    return term.form is None or isinstance(term.form, Correlated)


def is_cone(term: Any) -> bool:
    """Whether the covariances are all positive semi-definite matrices of their hull."""
    return is_known(term) and (term.form is None or term.structure == "homcs" or term.q == 1)


def is_covariance(term: Any, T: np.ndarray, zero: float) -> bool:
    """Whether a matrix of a term's hull is a covariance of its structure, eigenvalues above −zero.

    Of a structure of the user's own nothing is known but its examples, so no other matrix is.
    """
    values = np.linalg.eigvalsh(T)
    if values[0] < -zero:
        return False
    if is_cone(term) or values[-1] <= zero:
        return True
    return is_known(term) and _has_one_correlation(term.form, T)


def _has_one_correlation(form: Any, T: np.ndarray) -> bool:
    """Whether correlations are those of one ρ within its bounds; effects without variance have any."""
    sd = np.sqrt(np.maximum(np.diagonal(T), 0.0))
    alive = sd > 1e-4 * sd.max()
    if form.common and not np.allclose(sd, sd[0], rtol=_TOLERANCE):
        return False
    if alive.sum() < 2:
        return True
    R = T[np.ix_(alive, alive)] / np.outer(sd[alive], sd[alive])
    lag = (form.lag if form.autoregressive else np.ones_like(T))[np.ix_(alive, alive)]
    apart = ~np.eye(len(R), dtype=bool)
    shortest = lag[apart].min()
    value = float(R[apart & (lag == shortest)].mean())
    size = abs(value) ** (1.0 / shortest)
    for rho in (size, -size):
        inside = form.lower[-1] - _TOLERANCE <= rho <= form.upper[-1] + _TOLERANCE
        powers = size**lag * np.where((rho < 0) & (lag % 2 == 1), -1.0, 1.0)
        if inside and np.abs(R - powers)[apart].max() <= 100 * _TOLERANCE:
            return True
    return False
