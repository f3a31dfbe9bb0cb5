"""What a filter computes with: numbers, texts and truths of every row, some of them missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import nearest, quoted

__all__ = ["Value", "arithmetic", "column_value", "compare", "literal_value", "negated", "truth"]

_WORDS = {"number": "numbers", "text": "text", "logical": "true or false", "time": "times"}
_ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
_COMPARE = {"==": np.equal, "!=": np.not_equal, **_ORDER}
_ARITHMETIC = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide, "%": np.mod, "**": np.power,
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A column, a literal, or what was computed from them.

    Attributes
    ----------
    kind : str
        ``number``, ``text``, ``logical`` or ``time``.
    data : np.ndarray
        One value a row, or a single one.
    missing : np.ndarray
        Where there is none.
    written : str
        What it is in the filter.
    levels : tuple of str
        Of a column of text: what it holds or may hold.
    ordered : bool
        Whether the levels have an order.
    literal : bool
        Whether it is a value written in the filter.
    """

    kind: str
    data: np.ndarray
    missing: np.ndarray
    written: str
    levels: tuple[str, ...] = ()
    ordered: bool = False
    literal: bool = False

    @property
    def words(self) -> str:
        """What it holds, in words."""
        if self.literal:
            return {"number": "a number", "text": "a text", "logical": "true or false"}[self.kind]
        shown = f" ({quoted(self.levels, 4)})" if self.levels else ""
        return _WORDS[self.kind] + shown


def literal_value(value: Any, written: str) -> Value:
    """A value written in the filter."""
    kind = "logical" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    data = np.array(value, dtype=object if kind == "text" else None)
    if data.dtype == object and kind == "number":  # an integer beyond 64 bits
        data = np.array(float(value))
    return Value(kind, data, np.array(False), written, literal=True)


def column_value(series: pd.Series, written: str) -> Value:
    """A column of the data.

    Raises
    ------
    DataError
        If it holds neither numbers nor text nor truths nor times.
    """
    dtype, missing = series.dtype, series.isna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        levels = tuple(str(level) for level in dtype.categories)
        return Value("text", _texts(series), missing, written, levels, dtype.ordered)
    if pd.api.types.is_bool_dtype(dtype):
        return Value("logical", series.fillna(False).to_numpy(dtype=bool), missing, written)
    if pd.api.types.is_numeric_dtype(dtype):
        exact = not missing.any() and dtype.kind in "iu"
        return Value("number", series.to_numpy() if exact else _floats(series), missing, written)
    if isinstance(dtype, pd.DatetimeTZDtype):  # what clocks showed there
        return Value("time", series.dt.tz_localize(None).to_numpy(), missing, written)
    if isinstance(dtype, np.dtype) and dtype.kind == "M":
        return Value("time", series.to_numpy(), missing, written)
    texts = _texts(series)
    if all(isinstance(one, str) for one in series.dropna()):
        return Value("text", texts, missing, written, tuple(dict.fromkeys(texts[~missing])))
    raise DataError(
        f"`{written}` holds neither numbers, texts, times nor true and false ({dtype}), which is all that a filter "
        "compares: filter by another column."
    )


def _texts(series: pd.Series) -> np.ndarray:
    return np.array([str(one) for one in series.astype(object)], dtype=object)


def _floats(series: pd.Series) -> np.ndarray:
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def truth(value: Value) -> pd.arrays.BooleanArray:
    """A value as an answer that may be open, for Kleene's logic.

    Raises
    ------
    DataError
        If it is neither true nor false.
    """
    if value.kind != "logical":
        raise DataError(f"`{value.written}` is {value.words}, not true or false: compare it, as in `x > 1`.")
    data, missing = np.broadcast_arrays(value.data, value.missing)
    return pd.arrays.BooleanArray(np.atleast_1d(data).astype(bool), np.atleast_1d(missing).astype(bool))


def negated(value: Value, written: str) -> Value:
    """A number with its sign turned."""
    return arithmetic("-", literal_value(0, "0"), value, written)


def arithmetic(op: str, left: Value, right: Value, written: str) -> Value:
    """Two numbers added, multiplied, ….

    Raises
    ------
    DataError
        If one is no number.
    """
    for side in (left, right):
        if side.kind != "number":
            raise DataError(f"`{written}` computes with `{side.written}`, which is {side.words}, not numbers.")
    with np.errstate(all="ignore"):  # a division by zero leaves the answer open or infinite, which is compared as such
        data = _ARITHMETIC[op](left.data.astype(np.float64), right.data.astype(np.float64))
    literal = left.literal and right.literal
    return Value("number", data, left.missing | right.missing | np.isnan(data), written, literal=literal)


def compare(op: str, left: Value, right: Value, written: str) -> Value:
    """Two values compared, row by row.

    Raises
    ------
    DataError
        If they are of two kinds, a text is no level of the column, or an order is asked for that does not exist.
    """
    left, right = _as_time(left, right), _as_time(right, left)
    if left.kind != right.kind:
        two = f"{_described(left)} with {_described(right)}".removesuffix(",")
        raise DataError(f"`{written}` compares {two}{_remedy(left, right)}.")
    missing = left.missing | right.missing
    one, two = left.data, right.data
    if left.kind == "text":
        one, two = _text_operands(op, left, right, written)
    elif left.kind == "logical" and op in _ORDER:
        raise DataError(f"`{written}`: true and false have no order; use == or !=.")
    return Value("logical", np.asarray(_COMPARE[op](one, two), dtype=bool), missing, written)


def _described(value: Value) -> str:
    return f"`{value.written}` ({value.words})" if value.literal else f"`{value.written}`, which holds {value.words},"


def _remedy(left: Value, right: Value) -> str:
    literal = left if left.literal else right if right.literal else None
    other = right if literal is left else left
    if literal is None:
        return ""
    if other.kind == "text" and literal.kind == "number":
        return f': write the value between quotes, "{literal.written}"'
    if other.kind == "logical":
        return f": write `{other.written}` or `not {other.written}` alone"
    if other.kind == "number" and literal.kind == "text":
        return ": write the number without quotes"
    return ""


def _as_time(value: Value, other: Value) -> Value:
    """A text compared with times, read as one."""
    if not (value.literal and value.kind == "text" and other.kind == "time"):
        return value
    try:
        return Value("time", np.datetime64(str(value.data)), value.missing, value.written)
    except ValueError as error:
        raise DataError(
            f"`{value.written}` is no time such as '2024-05-31', but `{other.written}` holds times."
        ) from error


def _text_operands(op: str, left: Value, right: Value, written: str) -> tuple[np.ndarray, np.ndarray]:
    for column, literal in ((left, right), (right, left)):
        if literal.literal and not column.literal and not column.levels:
            raise DataError(f"`{written}`: `{column.written}` has no value in any row, so nothing equals it.")
        if literal.literal and not column.literal and str(literal.data) not in column.levels:
            raise DataError(
                f"`{written}`: `{column.written}` has no value `{literal.data}`"
                f"{nearest(str(literal.data), column.levels)}; it has {quoted(column.levels, 12)}."
            )
    if op not in _ORDER:
        return left.data, right.data
    ranked = left if left.ordered else right
    if not (left.ordered or right.ordered) or (left.ordered and right.ordered and left.levels != right.levels):
        raise DataError(
            f"`{written}`: texts have no order here; list the values with `in`, or declare the column ordered."
        )
    rank = {level: place for place, level in enumerate(ranked.levels)}
    return tuple(np.vectorize(lambda text: rank.get(text, -1), otypes=[int])(side.data) for side in (left, right))
