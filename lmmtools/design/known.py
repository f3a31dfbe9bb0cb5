"""Known covariances of a factor's levels: kinship, phylogeny, space. Labels are matched, the matrix is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_memory
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, nearest, quoted

__all__ = ["Known"]

# Asymmetry and negative eigenvalues beyond this, against the largest element and eigenvalue, are no rounding.
_TOLERANCE = 1e-8


class Known:
    """The `known` argument, and the roots already made of it.

    Parameters
    ----------
    known : Mapping[str, object] or None
        By grouping factor, or by the name of one of its terms in ``varcorr`` (``"id.1"``): a DataFrame with labels on
        both sides, an array with an `index`, or a pair (labels, matrix), where the matrix may be of scipy.sparse.
        None stands for independent levels.

    Raises
    ------
    ModelError
        If it is no mapping.
    """

    def __init__(self, known: Mapping[str, object] | None) -> None:
        if known is not None and not isinstance(known, Mapping):
            raise ModelError(
                f"known is of type {type(known).__name__}, which does not say whose covariances these are: give a "
                "mapping such as {'animal': A}."
            )
        self._given = dict(known or {})
        self._roots: dict[tuple[str, str], np.ndarray] = {}

    def check_names(self, factors: Sequence[str], groups: Sequence[str]) -> None:
        """Raise ModelError for a matrix of something that is no grouping factor of the formula."""
        names = list(dict.fromkeys([*factors, *groups]))
        for key in self._given:
            if key not in names:
                raise ModelError(
                    f"known: `{key}` is no grouping factor of the formula{nearest(str(key), names)}; these are "
                    f"{quoted(names)}: correct the name."
                )

    def root(self, factor: str, group: str, repeated: bool, levels: pd.Index, messages: list[str]) -> np.ndarray | None:
        """The root of a term's known covariance, shape (J, k), or None.

        Parameters
        ----------
        factor, group : str
            The grouping factor, and the term's name in ``varcorr``, which is looked for first.
        repeated : bool
            Whether the same term stood before: the factor's matrix is then that one's.
        levels : pd.Index, shape (J,)
        messages : list of str
            Told how many levels of the matrix the data lack, and which repeated terms go without.

        Raises
        ------
        DataError
            If the matrix lacks labels or levels, or is no covariance matrix.
        """
        key = group if group in self._given else factor if factor in self._given and not repeated else None
        if key is None and factor in self._given:
            messages.append(
                f"known['{factor}'] is used for `{factor}` and not again for its repeated term `{group}`, whose levels "
                f"are taken as independent; known['{group}'] would give their covariances."
            )
        if key is None or self._given[key] is None:
            return None
        if (factor, key) not in self._roots:
            name = f"known['{key}']"
            labels, matrix = _labelled(name, self._given[key])
            matrix = _of_levels(name, factor, labels, matrix, levels, messages)
            self._roots[factor, key] = _root(name, matrix, levels)
        return self._roots[factor, key]


def _labelled(name: str, given: Any) -> tuple[list[str], Any]:
    """Keys of the labels and the matrix, with its columns in the order of its rows."""
    columns = None
    if isinstance(given, tuple) and len(given) == 2:
        labels, matrix = given
    elif hasattr(given, "index") and not callable(given.index):
        labels, matrix, columns = given.index, given, getattr(given, "columns", None)
    else:
        raise DataError(
            f"{name} is of type {type(given).__name__}, without labels, so its rows cannot be matched to levels: give "
            "a DataFrame with the levels as index and columns, or a pair (labels, matrix)."
        )
    sparse = hasattr(matrix, "tocsr")
    try:
        matrix = matrix.tocsr().astype(np.float64) if sparse else np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds values that are no real numbers: give a matrix of covariances.") from error
    keys = [_key(label) for label in labels]
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " × ".join(map(str, matrix.shape))
        raise DataError(f"{name} is {shape}, and covariances are square: give a row and a column for each level.")
    if len(keys) != len(matrix if not sparse else matrix.indptr[1:]):
        raise DataError(
            f"{name} has {counted(len(keys), 'label')} for {counted(matrix.shape[0], 'row')}: give one for each."
        )
    _refuse_repeated(name, keys)
    if columns is not None and (across := [_key(label) for label in columns]) != keys:
        _refuse_repeated(name, across)
        if one_sided := sorted(set(keys) ^ set(across)):
            raise DataError(
                f"{name} has other labels in its columns than in its index; on one side only are "
                f"{quoted(one_sided, 6)}: label both alike."
            )
        place = {key: i for i, key in enumerate(across)}
        matrix = matrix[:, [place[key] for key in keys]]
    return keys, matrix


def _refuse_repeated(name: str, keys: list[str]) -> None:
    if len(set(keys)) < len(keys):
        twice = [str(key) for key, again in zip(keys, pd.Index(keys).duplicated(), strict=True) if again]
        raise DataError(f"{name} has {quoted(dict.fromkeys(twice), 6)} more than once: label each row once.")


def _key(label: object) -> str:
    """The text a label is matched by: numbers by value (2 and 2.0 are one), all else as written."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _of_levels(
    name: str, factor: str, keys: list[str], matrix: Any, levels: pd.Index, messages: list[str]
) -> np.ndarray:
    """Rows and columns of the levels of the data, in their order, dense."""
    place = {key: i for i, key in enumerate(keys)}
    wanted = [_key(level) for level in levels]
    if lost := [key for key in wanted if key not in place]:
        example = f" (its labels are {quoted(keys, 3)})" if len(lost) == len(wanted) else ""
        raise DataError(
            f"{name} lacks {len(lost)} of the {counted(len(wanted), 'level')} of `{factor}` in the data: "
            f"{quoted(lost, 6)}{example}. Add them to the matrix, or leave their rows out."
        )
    if extra := len(keys) - len(wanted):
        have, were = ("has", "was") if extra == 1 else ("have", "were")
        messages.append(
            f"{name}: {extra} of its {len(keys)} levels {have} no rows and {were} left out, which changes nothing for "
            "the others."
        )
    J = len(wanted)
    check_memory(3 * 8 * J * J, f"the known covariances of the {J} levels of `{factor}`", "use fewer levels")
    rows = np.array([place[key] for key in wanted], dtype=np.intp)
    whole = len(rows) == len(keys) and np.array_equal(rows, np.arange(len(rows)))
    if hasattr(matrix, "tocsr"):
        return (matrix if whole else matrix[rows][:, rows]).toarray()
    return matrix if whole else matrix[np.ix_(rows, rows)]


def _shown(x: float) -> str:
    return f"{x:.6g}".replace("-", "−")


def _root(name: str, A: np.ndarray, levels: pd.Index) -> np.ndarray:
    """A root of A, shape (J, k), after the checks."""
    if not np.isfinite(A).all():
        i, j = np.argwhere(~np.isfinite(A))[0]
        raise DataError(
            f"{name} is not finite in {counted(int((~np.isfinite(A)).sum()), 'place')}, first for `{levels[i]}` and "
            f"`{levels[j]}`: fill or remove these levels."
        )
    largest = float(np.abs(A).max())
    if largest == 0.0:
        raise DataError(f"{name} is zero everywhere, so it leaves nothing to scale: give covariances of the levels.")
    apart = np.abs(A - A.T)
    if apart.max() > _TOLERANCE * largest:
        i, j = np.unravel_index(int(apart.argmax()), apart.shape)
        raise DataError(
            f"{name} is not symmetric: it has {_shown(A[i, j])} for `{levels[i]}` and `{levels[j]}`, and "
            f"{_shown(A[j, i])} for `{levels[j]}` and `{levels[i]}`. Correct the matrix; take (A + A.T)/2 if "
            "this is rounding."
        )
    try:
        return np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(0.5 * (A + A.T))
    if values[0] < -_TOLERANCE * values[-1]:
        raise DataError(
            f"{name} is not positive semi-definite: its smallest eigenvalue is {_shown(values[0])} (the largest "
            f"{_shown(values[-1])}), so some combination of levels would have a negative variance. Correct the matrix."
        )
    keep = values > len(values) * np.finfo(float).eps * values[-1]
    return vectors[:, keep] * np.sqrt(values[keep])
