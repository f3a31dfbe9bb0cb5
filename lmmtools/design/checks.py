"""What is wrong with the data, said before anything is estimated."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lmmtools.core.rank import Dependence, Rank, column_rank
from lmmtools.design.frame import Columns, all_finite, missing_mask, numbers
from lmmtools.design.levels import Levels
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, quoted
from lmmtools.formula import ParsedFormula

__all__ = [
    "check_contrast_names",
    "check_finite",
    "check_levels",
    "check_magnitude",
    "check_memory",
    "check_names",
    "check_response",
    "complete_rows",
    "per_row",
    "reduce_rank",
    "single_column",
    "weights_of",
]

_LARGEST = 1e100  # its square times any number of rows is finite, and the square of its reciprocal not zero


def complete_rows(columns: Columns, missing: str, apart: str | None) -> tuple[np.ndarray | None, str | None]:
    """Which rows have no missing value, and what to say about the others; (None, None) if all are complete.

    Parameters
    ----------
    columns : Columns
    missing : {"drop", "raise"}
    apart : str, optional
        A column whose missing values do not count here.

    Raises
    ------
    DataError
        With ``missing="raise"`` if a value is missing; if no row is complete.
    """
    series = {name: s for name, s in columns.series.items() if name != apart}
    masks = {name: mask for name, s in series.items() if (mask := missing_mask(s)) is not None}
    if not masks:
        return None, None
    gone = np.logical_or.reduce(list(masks.values()))
    counts = ", ".join(f"`{name}` ({int(mask.sum())})" for name, mask in masks.items())
    n = len(columns)
    if missing == "raise":
        raise DataError(
            f"{int(gone.sum())} of {n} rows {'has' if gone.sum() == 1 else 'have'} missing values, in {counts}: fill "
            "or remove them, or pass missing='drop' to leave these rows out."
        )
    if gone.all():
        whole = [name for name, mask in masks.items() if mask.all()]
        what = f"every value of {quoted(whole)} is missing" if whole else f"missing values in {counts}"
        raise DataError(
            f"none of the {n} rows is complete, {what}: check how the data were read, or leave the column out."
        )
    were = "was" if gone.sum() == 1 else "were"
    return ~gone, f"{int(gone.sum())} of {n} rows {were} left out for missing values, in {counts}."


def check_finite(name: str, values: np.ndarray, index: pd.Index) -> None:
    """Raise DataError if a value is infinite or no number, counting them and naming the first row."""
    if all_finite(values):
        return
    infinite, undefined = np.isinf(values), np.isnan(values)
    what, bad = ("infinite", infinite) if infinite.any() else ("not a number", undefined)
    raise DataError(
        f"`{name}` is {what} in {int(bad.sum())} of {len(values)} rows, first in row {index[np.argmax(bad)]}: "
        "correct these values, or make them missing."
    )


def check_magnitude(names: Sequence[str], matrix: np.ndarray) -> None:
    """Raise DataError if the squares of a column cannot be held in double precision."""
    largest = np.maximum(matrix.max(axis=0), -matrix.min(axis=0))
    for j in np.flatnonzero((largest > _LARGEST) | ((largest > 0) & (largest < 1 / _LARGEST))):
        raise DataError(
            f"the largest value of `{names[j]}` is {largest[j]:.3g}, and sums of squares of such numbers do not fit "
            "double precision: give it in other units."
        )


def check_memory(size: float, what: str, remedy: str) -> None:
    """Raise ModelError if `size` bytes are more than half of the machine's memory."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system says
        whole = 16 * 2**30
    if size > whole / 2:
        raise ModelError(
            f"{what} need a matrix of {size / 1e9:.3g} GB, and this machine has {whole / 1e9:.3g} GB: {remedy}."
        )


def check_names(parts: Iterable[Sequence[str]], parsed: ParsedFormula) -> None:
    """Raise DataError if two effects of one part, or a grouping factor and the residual, have the same name."""
    for names in parts:
        # parts share columns by name, so a column called Intercept is refused without an intercept beside it too
        names = [*names, "Intercept"] if "Intercept" in parsed.predictors and "Intercept" in names else names
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise DataError(
                f"two different effects would both be called {quoted(twice)}, so results could not tell them apart: "
                "rename the column of that name."
            )
    if any(bar.factor == "Residual" for bar in parsed.random):
        raise DataError(
            "a grouping factor called `Residual` would have the name of the residual variance: rename the column."
        )


def check_response(name: str, y: np.ndarray) -> None:
    """Raise DataError if the response is constant."""
    if len(y) and y.min() == y.max():
        raise DataError(
            f"the response `{name}` is constant ({_digits(y[0])} in all {len(y)} rows), so there is nothing to "
            "explain: check the column and the rows."
        )


def check_levels(name: str, found: Levels, fixed: bool) -> list[str]:
    """Messages about a factor's levels; a factor with one level is an error.

    Raises
    ------
    DataError
        If the factor has one level.
    """
    if len(found.levels) == 1:
        what, then = ("factor", "its effect") if fixed else ("grouping factor", "the variance between groups")
        raise DataError(
            f"the {what} `{name}` has one level only (`{found.levels[0]}`, {counted(len(found.codes), 'row')}), so "
            f"{then} cannot be estimated: leave it out, or use data with more levels."
        )
    messages = []
    if found.unused:
        if len(found.unused) == 1:
            messages.append(f"the level `{found.unused[0]}` of `{name}` has no rows and was dropped.")
        else:
            messages.append(
                f"{len(found.unused)} levels of `{name}` have no rows and were dropped: {quoted(found.unused)}."
            )
    if fixed:
        counts = np.bincount(found.codes, minlength=len(found.levels))
        single = found.levels[counts == 1]
        if len(single) and len(found.codes) > len(found.levels):
            messages.append(f"`{name}` has one row only in {quoted(single)}: its effect there rests on that row alone.")
    return messages


def per_row(what: str, values: object, columns: Columns, index: pd.Index, kept: np.ndarray | None) -> np.ndarray:
    """A `weights` or `offset` argument, a column name or an array, at the rows used.

    Parameters
    ----------
    what : {"weights", "offset"}
    values : str or array_like, shape (n,)
        A pandas Series is read by its labels, any other array by position.
    columns : Columns
        At the rows used.
    index : pd.Index, shape (n,)
        Labels of all rows of the data.
    kept : ndarray of bool, shape (n,), optional
        The rows used; all by default.

    Raises
    ------
    DataError
        If there is not one real number for each row, or a Series has other labels than the data.
    """
    if isinstance(values, str):
        return numbers(values, columns.series[values], f"the {what}")
    n, array = len(index), np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        raise DataError(f"{what} must be a column name or one real number for each row, not {type(values).__name__}.")
    if len(array) != n:
        raise DataError(
            f"{what} has {counted(len(array), 'value')}, the data have {counted(n, 'row')}: "
            "give one value for each row."
        )
    if isinstance(values, pd.Series) and not values.index.equals(index):
        array = array[_places(what, values.index, index)]
    array = array.astype(np.float64)
    return array if kept is None else array[kept]


def _places(what: str, given: pd.Index, index: pd.Index) -> np.ndarray:
    """Where each row's label stands among those of a Series with the same labels in another order."""
    if given.is_unique and index.is_unique:
        places = given.get_indexer(index)
        if (places >= 0).all():
            return places
        about = f"{int((places < 0).sum())} of the data's {len(index)} row labels are not in it"
    else:
        about = "labels occur more than once, so their order says nothing"
    raise DataError(
        f"{what} is a Series whose index differs from that of the data ({about}): give it the data's index, "
        "or pass its values as a list if they are in the order of the rows."
    )


def single_column(part: str, values: np.ndarray) -> np.ndarray:
    """The one column of an offset; a category has several, and is an error."""
    if values.shape[1] != 1:
        raise DataError(
            f"the offset `{part.removeprefix('0 + ')}` has {values.shape[1]} columns, as a category has: give numbers."
        )
    return values[:, 0]


def weights_of(weights: np.ndarray, name: str) -> np.ndarray:
    """Precision weights, checked.

    Raises
    ------
    DataError
        If one is missing, infinite, zero or negative.
    """
    for what, bad in (
        ("missing", np.isnan(weights)),
        ("infinite", np.isinf(weights)),
        ("negative", weights < 0),
        ("zero", weights == 0),
    ):
        if bad.any():
            remedy = "remove those rows" if what in ("zero", "missing") else "correct them"
            raise DataError(
                f"{int(bad.sum())} of {len(weights)} weights ({name}) are {what}; a precision weight is a "
                f"positive number (the variance is σ²/weight): {remedy}."
            )
    return weights


def reduce_rank(
    X: np.ndarray, names: tuple[str, ...], texts: Mapping[str, int]
) -> tuple[Rank, tuple[str, ...], list[str]]:
    """Independent columns and what the others repeat, the names of the others, and the same in words.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    names : tuple of str, length p
    texts : Mapping[str, int]
        Columns of text among the predictors and their numbers of levels: they may be numbers read as text.

    Raises
    ------
    ModelError
        If there are as many independent columns as rows.
    """
    rank = column_rank(X)
    n, p = len(X), len(rank.kept)
    if p >= n:
        many = [f"`{name}` is text with {counted(levels, 'level')}" for name, levels in texts.items() if levels > n / 2]
        remedy = f"{' and '.join(many)}: convert it to numbers if it holds numbers, else leave it out" if many else ""
        raise ModelError(
            f"the model has {counted(p, 'fixed effect')} for {counted(n, 'row')}, so nothing is left to estimate "
            f"variances from{'. ' + remedy if many else ': leave terms out, or add data'}."
        )
    kept_names = [names[j] for j in rank.kept]
    gone = tuple(names[d.column] for d in rank.dropped)
    return rank, gone, [_dropped(names, kept_names, d) for d in rank.dropped]


def _dropped(names: tuple[str, ...], kept: list[str], found: Dependence) -> str:
    name, parts = names[found.column], [(c, k) for c, k in zip(found.coefficients, kept, strict=True) if c]
    start = f"the fixed effect `{name}` was dropped:"
    if not parts:
        return f"{start} it is zero in every row."
    if [k for _, k in parts] == ["Intercept"]:
        return f"{start} it is {_digits(parts[0][0])} in every row, which the intercept describes."
    if len(parts) > 6:
        return f"{start} it is a combination of {quoted([k for _, k in parts], 5)}."
    text = ""
    for c, k in parts:
        size = "" if _digits(abs(c)) == "1" else f"{_digits(abs(c))} × "
        sign = ("−" if c < 0 else "") if not text else (" − " if c < 0 else " + ")
        text += f"{sign}{size}`{k}`"
    return f"{start} it equals {text}."


def _digits(x: float) -> str:
    """At most six significant digits, with a true minus sign."""
    return f"{x:.6g}".replace("-", "−")


def check_contrast_names(contrasts: Mapping[str, object], known: list[str]) -> None:
    """Raise ModelError for contrasts of a column that is no categorical predictor."""
    for name in contrasts:
        if name not in known:
            have = quoted(known) if known else "none"
            raise ModelError(
                f"contrasts: `{name}` is not a categorical column of the fixed part or a bar's left side; "
                f"these are {have}: correct the name, or write C({name}) in the formula."
            )
