"""Contrasts: which linear combinations of a family of means are taken, and what they are called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, nearest, quoted

__all__ = ["METHODS", "contrast_coefficients", "level_labels"]

METHODS = ("pairwise", "trt.vs.ctrl", "eff", "consec", "poly")
_DEGREES = ("linear", "quadratic", "cubic", "quartic")
_MOST_DEGREES = 6


def level_labels(columns: Mapping[str, Sequence[object]]) -> list[str]:
    """What each mean of a family is called in contrasts: its levels side by side, ``"A 175"``.

    Levels that are numbers go by their factor's name, ``"nitro0.2"``, and a label that holds a sign of arithmetic by
    parentheses.
    """
    parts = []
    for name, values in columns.items():
        texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        parts.append([name + text for text in texts] if any(map(_is_number, texts)) else texts)
    labels = [" ".join(part) for part in zip(*parts, strict=True)]
    return [f"({label})" if any(sign in label for sign in "+-*/") else label for label in labels]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def contrast_coefficients(
    method: Any, labels: Sequence[str], keys: Sequence[tuple[object, ...]], ref: Any = None
) -> tuple[list[str], np.ndarray]:
    """Names and coefficients of the contrasts of one family.

    Parameters
    ----------
    method : str, mapping or array_like
        One of `METHODS`; names to coefficients, each a sequence of k numbers or a mapping of levels to them; or an
        array of shape (k,) or (contrasts, k).
    labels : sequence of str, length k
        What the means are called.
    keys : sequence of tuple, length k
        Their levels.
    ref : object, optional
        The control of ``"trt.vs.ctrl"``: a level, a tuple of levels, or a label; the first mean by default.

    Returns
    -------
    names : list of str
    C : ndarray, shape (contrasts, k)

    Raises
    ------
    LMMError
        If `method` is unknown, coefficients are no numbers, not one for each mean, or a level is absent.
    ModelError
        If there is one mean only.
    """
    if ref is not None and method != "trt.vs.ctrl":
        raise LMMError('contrasts: ref names the control of "trt.vs.ctrl", and other methods have none.')
    if not isinstance(method, str):
        return _custom(method, labels, keys)
    if method not in METHODS:
        raise LMMError(
            f"contrasts: method={method!r} is unknown{nearest(method, METHODS)}; use one of {quoted(METHODS)}, a "
            "mapping of names to coefficients, or an array of coefficients."
        )
    if len(labels) < 2:
        raise ModelError(f"contrasts: there is nothing to compare `{labels[0]}` with.")
    control = 0 if ref is None else _place(ref, labels, keys)
    return _NAMED[method](labels, keys, control)


def _rows(k: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """A row for each (plus, minus)."""
    pairs = list(pairs)
    C, rows = np.zeros((len(pairs), k)), np.arange(len(pairs))
    C[rows, [plus for plus, _ in pairs]], C[rows, [minus for _, minus in pairs]] = 1.0, -1.0
    return C


def _differences(labels: Sequence[str], pairs: list[tuple[int, int]]) -> tuple[list[str], np.ndarray]:
    return [f"{labels[a]} - {labels[b]}" for a, b in pairs], _rows(len(labels), pairs)


def _pairwise(labels: Sequence[str], keys: Any, control: int) -> tuple[list[str], np.ndarray]:
    return _differences(labels, list(combinations(range(len(labels)), 2)))


def _with_control(labels: Sequence[str], keys: Any, control: int) -> tuple[list[str], np.ndarray]:
    return _differences(labels, [(i, control) for i in range(len(labels)) if i != control])


def _consecutive(labels: Sequence[str], keys: Any, control: int) -> tuple[list[str], np.ndarray]:
    return _differences(labels, [(b, a) for a, b in pairwise(range(len(labels)))])


def _effects(labels: Sequence[str], keys: Any, control: int) -> tuple[list[str], np.ndarray]:
    k = len(labels)
    return [f"{label} effect" for label in labels], np.eye(k) - 1.0 / k


def _polynomial(
    labels: Sequence[str], keys: Sequence[tuple[object, ...]], control: int
) -> tuple[list[str], np.ndarray]:
    """Orthogonal polynomials over the levels' values, as the smallest whole numbers where levels are equally spaced."""
    k = len(labels)
    degrees = min(k - 1, _MOST_DEGREES)
    names = [_DEGREES[d] if d < len(_DEGREES) else f"degree {d + 1}" for d in range(degrees)]
    return names, np.array([_smallest(row) for row in _orthogonal(_scores(keys), degrees)])


def _scores(keys: Sequence[tuple[object, ...]]) -> list[Fraction]:
    """Values of levels that are numbers; their places otherwise."""
    texts = [str(key[0]) for key in keys]
    if any(len(key) != 1 for key in keys) or not all(map(_is_number, texts)):
        return [Fraction(i) for i in range(len(keys))]
    return [Fraction(float(text)).limit_denominator(10**9) for text in texts]


def _orthogonal(x: list[Fraction], degrees: int) -> list[list[Fraction]]:
    """Values of the orthogonal polynomials of degree 1 … at x, by Gram and Schmidt in exact arithmetic."""
    k = len(x)
    basis = [[Fraction(1)] * k]
    for _ in range(degrees):
        row = [value * t for value, t in zip(basis[-1], x, strict=True)]
        for other in basis:
            along = sum(a * b for a, b in zip(row, other, strict=True)) / sum(b * b for b in other)
            row = [a - along * b for a, b in zip(row, other, strict=True)]
        basis.append(row)
    return basis[1:]


def _smallest(row: list[Fraction]) -> list[float]:
    """The row as the smallest whole numbers, where these are small; with a largest coefficient of one otherwise."""
    whole = [value * math.lcm(*(value.denominator for value in row)) for value in row]
    whole = [value / (math.gcd(*(int(value) for value in whole)) or 1) for value in whole]
    largest = max(abs(value) for value in whole)
    return [float(value) if largest < 10**4 else float(value / largest) for value in whole]


_NAMED = {
    "pairwise": _pairwise,
    "trt.vs.ctrl": _with_control,
    "eff": _effects,
    "consec": _consecutive,
    "poly": _polynomial,
}


def _custom(method: Any, labels: Sequence[str], keys: Any) -> tuple[list[str], np.ndarray]:
    if isinstance(method, Mapping):
        if not method:
            raise LMMError("contrasts: the mapping of contrasts is empty; give names and coefficients.")
        return [str(name) for name in method], np.array(
            [_coefficients(str(name), given, labels, keys) for name, given in method.items()]
        )
    rows = list(method) if isinstance(method, Iterable) else [method]
    if rows and all(np.ndim(row) == 0 for row in rows):
        rows = [rows]
    if not rows:
        raise LMMError("contrasts: no coefficients were given.")
    names = [f"contrast {i + 1}" for i in range(len(rows))]
    return names, np.array([_coefficients(name, row, labels, keys) for name, row in zip(names, rows, strict=True)])


def _coefficients(name: str, given: Any, labels: Sequence[str], keys: Any) -> np.ndarray:
    if isinstance(given, Mapping):
        row = np.zeros(len(labels))
        for level, value in given.items():
            row[_place(level, labels, keys)] = _finite(name, [value])[0]
    else:
        row = _finite(name, given)
        if row.shape != (len(labels),):
            raise LMMError(
                f"contrasts: `{name}` has {counted(row.size, 'coefficient')} for {counted(len(labels), 'mean')}, "
                f"{quoted(labels, 12)}: give one for each, in this order, or a mapping of levels to coefficients."
            )
    if not row.any():
        raise LMMError(f"contrasts: all coefficients of `{name}` are zero.")
    return row


def _finite(name: str, given: Any) -> np.ndarray:
    try:
        row = np.array(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise LMMError(f"contrasts: the coefficients of `{name}` are no numbers: {given!r}.") from error
    if not np.all(np.isfinite(row)):
        raise LMMError(f"contrasts: a coefficient of `{name}` is not finite: {given!r}.")
    return row


def _place(level: Any, labels: Sequence[str], keys: Sequence[tuple[object, ...]]) -> int:
    """Which mean a level, a tuple of levels or a label stands for."""
    wanted = level if isinstance(level, tuple) else (level,)
    for place, key in enumerate(keys):
        if key == wanted or labels[place] == level or (len(key) == 1 and str(key[0]) == str(level)):
            return place
    raise LMMError(
        f"contrasts: there is no mean for {level!r}{nearest(str(level), labels)}; there are {quoted(labels, 12)}."
    )
