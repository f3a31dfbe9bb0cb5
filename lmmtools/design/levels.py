"""Columns as categories: which level each row has, and the order of the levels.

The order is a pandas Categorical's own (ordered or not) or a polars Enum's; otherwise levels are sorted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.errors import DataError

__all__ = ["Levels", "categorise", "interaction", "is_categorical", "is_text"]


@dataclass(frozen=True, eq=False)
class Levels:
    """The categories of one column.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Which level each row has.
    levels : pd.Index, shape (J,)
        Levels that occur, in their order.
    unused : tuple
        Levels of a Categorical that do not occur.
    """

    codes: np.ndarray
    levels: pd.Index
    unused: tuple = ()


def is_categorical(series: pd.Series) -> bool:
    """Whether a predictor stands for categories: strings, booleans, Categoricals."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiuc":
        return False
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return True
    if pd.api.types.is_object_dtype(dtype):
        kinds = ("string", "boolean", "mixed", "mixed-integer")
        return pd.api.types.infer_dtype(series, skipna=True) in kinds
    return pd.api.types.is_string_dtype(dtype)


def is_text(series: pd.Series) -> bool:
    """Whether a predictor stands for categories because it holds strings."""
    return is_categorical(series) and pd.api.types.infer_dtype(series) == "string"


def categorise(name: str, series: pd.Series) -> Levels:
    """Codes and levels of a column without missing values.

    Parameters
    ----------
    name : str
        For the error.
    series : pd.Series, shape (n,)

    Returns
    -------
    Levels
        Levels that occur, in order, and those of a Categorical that do not.

    Raises
    ------
    DataError
        If the levels cannot be put in order.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.intp)
        categories = series.cat.categories
        present = np.zeros(len(categories), dtype=bool)
        present[codes] = True
        if present.all():
            return Levels(codes, pd.Index(categories))
        new = np.cumsum(present) - 1
        return Levels(new[codes], pd.Index(categories[present]), tuple(categories[~present]))
    if (narrow := _narrow_range(series)) is not None:
        return narrow
    try:
        codes, uniques = _factorize(series)
    except TypeError as error:
        raise DataError(f"column `{name}` holds values that are no labels ({error}): convert them first.") from error
    try:
        order = np.argsort(uniques, kind="stable")
    except TypeError as error:
        kinds = ", ".join(sorted({type(u).__name__ for u in uniques}))
        raise DataError(
            f"column `{name}` mixes values of types {kinds}, which have no common order: convert it to one type."
        ) from error
    if not np.array_equal(order, np.arange(len(order))):
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        codes = rank[codes]
    return Levels(codes, pd.Index(uniques[order]))


def _narrow_range(series: pd.Series) -> Levels | None:
    """Levels of whole numbers that lie close together, by counting instead of hashing and sorting."""
    dtype = series.dtype
    if not pd.api.types.is_integer_dtype(dtype):
        return None
    values = series.to_numpy(dtype="uint64" if pd.api.types.is_unsigned_integer_dtype(dtype) else "int64")
    low, high = values.min(), values.max()
    span = int(high) - int(low) + 1
    if span > 2 * len(values) + 64:
        return None
    codes = (values - low).astype(np.intp, copy=False)  # from 0, and the caller's ids are left alone
    present = np.zeros(span, dtype=bool)
    present[codes] = True
    if not present.all():
        codes = (np.cumsum(present) - 1)[codes]
    return Levels(codes, pd.Index(np.flatnonzero(present).astype(values.dtype) + low))


def _factorize(series: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """First-come codes and the distinct values."""
    dtype = series.dtype
    if pd.api.types.is_integer_dtype(dtype):
        values = series.to_numpy(dtype="uint64" if pd.api.types.is_unsigned_integer_dtype(dtype) else "int64")
    elif pd.api.types.is_bool_dtype(dtype):
        values = series.to_numpy(dtype=bool)
    else:
        values = series.array if pd.api.types.is_extension_array_dtype(dtype) else series.to_numpy()
    codes, uniques = pd.factorize(values)
    labels = (
        uniques if isinstance(uniques, np.ndarray) else uniques.to_numpy(dtype=None if dtype.kind == "f" else object)
    )
    return codes.astype(np.intp, copy=False), labels


def _cells(combined: np.ndarray, parts: list[Levels]) -> Levels:
    """Codes and levels of numbers that stand for combinations."""
    finest = max(parts, key=lambda part: len(part.levels))
    number = np.zeros(len(finest.levels), dtype=np.int64)
    number[finest.codes] = combined
    if np.array_equal(number[finest.codes], combined):  # ids of one part tell the others: sort levels, not rows
        order = np.argsort(number)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return Levels(rank[finest.codes], pd.Index(number[order]))
    return categorise("", pd.Series(combined))


def interaction(parts: list[Levels]) -> Levels:
    """Combinations that occur of several columns' levels, labelled ``"a:b"``, the last varying fastest."""
    if len(parts) == 1:
        return parts[0]
    combined, sizes = parts[0].codes.astype(np.int64), [len(part.levels) for part in parts]
    if np.prod([float(size) for size in sizes]) > 2**62:
        raise DataError(
            "the combinations of grouping columns are too many to number: use one column with an id for each."
        )
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        combined = combined * size + part.codes
    cells = _cells(combined, parts)
    texts = [np.array([str(level) for level in part.levels], dtype=object) for part in parts]
    names, rest = None, cells.levels.to_numpy()
    for text, size in zip(reversed(texts), reversed(sizes), strict=True):
        label = text[rest % size]
        names, rest = label if names is None else label + ":" + names, rest // size
    levels = pd.Index(names)
    words = [text for text, part in zip(texts, parts, strict=True) if not pd.api.types.is_numeric_dtype(part.levels)]
    if any(":" in label for text in words for label in text) and not levels.is_unique:
        raise DataError(
            f"two different groups would both be labelled `{levels[levels.duplicated()][0]}`, as the columns that "
            "make them hold `:`: replace it in their values."
        )
    return Levels(cells.codes, levels)
