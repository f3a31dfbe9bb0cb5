"""A parsed residual structure and data → `Residual`: its parts, the names of φ, their ranges and places."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from lmmtools.design.frame import Columns
from lmmtools.design.residual.correlations import correlation_of
from lmmtools.design.residual.value import SPATIAL, Correlation, Residual, Variance
from lmmtools.design.residual.variances import variance_of
from lmmtools.formula import ParsedResidual

if TYPE_CHECKING:
    from formulaic import ModelSpecs

__all__ = ["residual_of"]

_INF = np.inf
Parameter = tuple[str, float, float]  # name within its part, range


def residual_of(
    parsed: ParsedResidual, columns: Columns, learnt: dict[str, ModelSpecs], messages: list[str]
) -> Residual:
    """The residual structure on the rows used.

    Parameters
    ----------
    parsed : ParsedResidual
    columns : Columns
        At the rows used.
    learnt : dict
        Takes what formulaic learns of expressions, by their names.
    messages : list of str

    Returns
    -------
    Residual

    Raises
    ------
    DataError, ModelError
        If the data cannot tell its parameters.
    """
    parts: list[Correlation | Variance] = []
    if parsed.correlation is not None:
        parts.append(correlation_of(parsed.correlation, columns, learnt, messages))
    parts += [variance_of(part, columns, learnt, messages) for part in parsed.variances]
    names: list[str] = []
    bounds, slices = [], []
    for part in parts:
        own = _of_correlation(part) if isinstance(part, Correlation) else _of_variance(part)
        names += _names(part, own, names)
        bounds += [(low, high) for _, low, high in own]
        slices.append(slice(len(bounds) - len(own), len(bounds)))
    correlation = parts[0] if parsed.correlation is not None else None
    variances = tuple(part for part in parts if isinstance(part, Variance))
    return Residual(
        parsed.text, correlation, variances, tuple(names), np.array(bounds, dtype=np.float64).reshape(-1, 2),
        tuple(slices),
    )  # fmt: skip


def _names(part: Correlation | Variance, own: Sequence[Parameter], before: Sequence[str]) -> list[str]:
    """Names of a part's parameters; with the part as written where another part has one of them."""
    names = [f"{part.kind}{name}" for name, _, _ in own]
    return [f"{part.label}{name}" for name, _, _ in own] if set(names) & set(before) else names


def _of_correlation(part: Correlation) -> list[Parameter]:
    """Parameters of a correlation: all of the first level of `by`, then all of the second, and so on."""
    found = []
    for k, level in enumerate(part.by_levels):
        suffix = f"[{level}]" if part.by else ""
        found += [(name + suffix, low, high) for name, low, high in _of_level(part, k)]
    return found


def _of_level(part: Correlation, k: int) -> list[Parameter]:
    if part.kind == "ar1":
        return [(".phi", -1.0, 1.0)]
    if part.kind == "car1":
        return [(".phi", 0.0, 1.0)]
    if part.kind == "cs":
        largest = np.bincount(part.codes[part.by_codes == k]).max()
        return [(".rho", -1.0 / (largest - 1), 1.0)]  # below, the correlation of the largest group is none
    if part.kind == "arma":
        # a polynomial of degree p without roots in the unit disc has no coefficient as large as (1 + z)^p's
        return [
            (f".{name}{i}", -float(comb(order, i)), float(comb(order, i)))
            for name, order in zip(("phi", "theta"), part.order, strict=True)
            for i in range(1, order + 1)
        ]
    if part.kind == "toep":
        return [(f".rho[{lag}]", -1.0, 1.0) for lag in part.occasions]
    if part.kind == "us":
        T = len(part.occasions)
        pairs = [(part.occasions[i], part.occasions[j]) for i in range(T) for j in range(i + 1, T)]
        return [(f".cor[{a}, {b}]", -1.0, 1.0) for a, b in pairs]
    assert part.kind in SPATIAL, part.kind
    return [(".range", 0.0, _INF), *([(".nugget", 0.0, 1.0)] if part.nugget else [])]


def _of_variance(part: Variance) -> list[Parameter]:
    if part.kind == "varfixed":
        return []
    if part.kind == "varident":
        return [(f"[{level}]", 0.0, _INF) for level in part.levels[1:]]
    own = {
        "varpower": [(".power", -_INF, _INF)],
        "varexp": [(".expon", -_INF, _INF)],
        "varconstpower": [(".const", 0.0, _INF), (".power", -_INF, _INF)],
    }[part.kind]
    if part.levels == ("",):
        return own
    return [(f"{name}[{level}]", low, high) for level in part.levels for name, low, high in own]
