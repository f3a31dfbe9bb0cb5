"""What has no variance in a singular fit, in names and in the units of its columns.

A term is singular where z'b has variance zero for some z ≠ 0, that is T z = 0. Such a z is a combination of the term's
columns, and z'b is in units of the response, so it is told as one: an effect without variance, or effects that
are multiples of one another (a correlation of ±1, lines that all meet in one point).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.basis import is_constant
from lmmtools.core.charts import ZERO
from lmmtools.core.identify import eliminated
from lmmtools.core.terms import unit_sizes
from lmmtools.formats import shown

__all__ = ["ZeroDirection", "zero_directions"]


@dataclass(frozen=True)
class ZeroDirection:
    """A combination z'b of one term's random effects that has variance zero.

    Attributes
    ----------
    group : str
        The term's name in `varcorr`.
    effects : tuple of str
        The effects that take part.
    z : ndarray, shape (q,)
        Values of the term's columns at which z'b is zero in every group.
    clause, sentence : str
        The same in words, short and at length.
    """

    group: str
    effects: tuple[str, ...]
    z: np.ndarray
    clause: str
    sentence: str


def zero_directions(design: Any, factors: tuple[np.ndarray, ...], sigma: float) -> tuple[ZeroDirection, ...]:
    """Every combination of random effects with variance zero.

    Parameters
    ----------
    design : Design
    factors : tuple of ndarray, shape (q, q)
        Λ of each term.
    sigma : float
        Residual standard deviation, in units of the response.

    Returns
    -------
    tuple of ZeroDirection
        Empty where the fit is not singular.
    """
    found = []
    weight_root = 1.0 if design.weights is None else float(np.sqrt(np.mean(design.weights)))
    for term, Lambda in zip(design.terms, factors, strict=True):
        size = unit_sizes(term, weight_root)
        size[size == 0.0] = 1.0
        for null in _sparse_null_space(size[:, None] * Lambda):
            z = null * size / weight_root
            takes_part = np.abs(null) > 1e-5 * np.abs(null).max()
            effects = tuple(n for n, part in zip(term.names, takes_part, strict=True) if part)
            z = np.where(takes_part, z, 0.0)
            words = _words(design, term, sigma * Lambda, z, np.flatnonzero(takes_part))
            found.append(ZeroDirection(term.group, effects, z, *words))
    return tuple(found)


def _sparse_null_space(L: np.ndarray) -> np.ndarray:
    """Rows v with v'LL'v = 0, with as few elements in each as elimination gives."""
    U, s, _ = np.linalg.svd(L)
    s = np.append(s, np.zeros(len(L) - len(s)))
    basis = eliminated(U[:, s <= ZERO].T)
    basis[np.abs(basis) < 1e-9] = 0.0
    return basis


def _words(design: Any, term: Any, factor: np.ndarray, z: np.ndarray, places: np.ndarray) -> tuple[str, str]:
    """Clause and sentence: an effect without variance, two that are multiples, or a combination of several.

    `factor` is that of Var(b) itself, in units of the response.
    """
    names = [f"`{term.names[i]}`" for i in places]
    if len(places) == 1:
        clause = f"{names[0]} by {term.factor} has variance zero"
        return clause, f"{clause}: it is the same in every level of `{term.factor}`."
    if len(places) == 2:
        return _two(design, term, factor, z, places, names)
    pivot = places[np.argmax(np.abs(z[places] * np.linalg.norm(factor[places], axis=1)))]
    rest = [f"{shown(-z[i] / z[pivot], 3)} × `{term.names[i]}`" for i in places if i != pivot]
    clause = f"`{term.names[pivot]}` by {term.factor} is determined by the term's other effects"
    return clause, f"{clause}: in every level it equals {' + '.join(rest)}."


def _two(
    design: Any, term: Any, factor: np.ndarray, z: np.ndarray, places: np.ndarray, names: list[str]
) -> tuple[str, str]:
    i, j = places
    ratio, unit = -z[i] / z[j], design.units.get(design.response, "")
    sd = float(np.linalg.norm(factor[i]))
    sign = "+1" if ratio > 0 else "−1"
    clause = f"{names[1]} by {term.factor} is {shown(ratio, 3)} × {names[0]} in every level (correlation {sign})"
    text = (
        f"{clause}: the levels differ in one way only, with a standard deviation of {shown(sd, 3)}"
        f"{' ' + unit if unit else ''} in {names[0]}"
    )
    if is_constant(term.matrix[:, i]) and not is_constant(term.matrix[:, j]):
        meet = z[j] / z[i] * term.matrix[0, i]
        return clause, f"{text}, and all their lines meet at {names[1]} = {shown(meet, 3)}."
    return clause, f"{text}."
