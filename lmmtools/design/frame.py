"""The needed columns of any data frame, as pandas Series; never the whole frame.

pandas frames are read directly; everything else (polars, pyarrow, …) through narwhals. Whole numbers
stay whole numbers on the way: an id that passes through a float loses its last digits (2**60 and
2**60 + 1 would be one group).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import nearest, quoted

__all__ = ["Columns", "all_finite", "eager", "missing_mask", "numbers", "take"]


@dataclass(frozen=True)
class Columns:
    """Columns of one frame, in its order of rows.

    Attributes
    ----------
    series : Mapping[str, pd.Series]
    index : pd.Index, shape (n,)
        The frame's labels of rows; 0, 1, … where it has none.
    units : Mapping[str, str]
        Units of columns, for frames that `load_dataset` or `read_data` made.
    nouns : Mapping[str, tuple of str]
        What one level of a column is called, and several: ``("child", "children")``; for the same frames.
    descriptions : Mapping[str, str]
        What a column holds, in words; for the same frames.
    """

    series: Mapping[str, pd.Series]
    index: pd.Index
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    nouns: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    descriptions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, keep: np.ndarray) -> Columns:
        """The rows where `keep` is true."""
        return replace(self, series={name: s[keep] for name, s in self.series.items()}, index=self.index[keep])


def take(data: object, names: Iterable[str], *, empty: bool = False) -> Columns:
    """Take columns from a frame.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or another eager frame that narwhals reads.
    names : iterable of str
    empty : bool
        Whether the frame may have no rows.

    Returns
    -------
    Columns

    Raises
    ------
    DataError
        If `data` is no frame, is empty, lacks a column, or has one twice.
    """
    if isinstance(data, pd.DataFrame):
        have = data.columns
        _check_names(names, have, have.is_unique)
        columns = Columns({name: _plain(data[name]) for name in names}, data.index, *_words(data))
    else:
        columns = _take_narwhals(data, tuple(names), empty)
    if len(columns) == 0 and not empty:
        raise DataError("the data have no rows, so nothing can be estimated: check how they were read or filtered.")
    return columns


def _words(data: pd.DataFrame) -> tuple[Mapping, Mapping, Mapping]:
    """Units, nouns and descriptions of a frame's columns, where it has them."""
    about = data.attrs.get("lmmtools", {})
    nouns = {name: (str(one), str(many)) for name, (one, many) in about.get("nouns", {}).items()}
    words = about.get("units", {}), nouns, about.get("descriptions", {})
    return tuple(MappingProxyType(dict(mapping)) for mapping in words)


def _check_names(names: Iterable[str], have: Iterable[object], unique: bool) -> None:
    have = list(have)
    for name in names:
        if name not in have:
            hint = nearest(name, have)
            raise DataError(
                f"the data have no column `{name}`{hint}; they have {quoted(have, 12)}: "
                "correct the name, or add the column (a formula sees the data only, no other variables)."
            )
        if not unique and have.count(name) > 1:
            raise DataError(
                f"the data have {have.count(name)} columns named `{name}`, so the formula's is not determined: "
                "rename or remove all but one."
            )


def _plain(series: pd.Series) -> pd.Series:
    """A Series in pandas' own dtypes: pyarrow-backed ones are decoded."""
    dtype = series.dtype
    if not isinstance(dtype, pd.ArrowDtype):
        return series
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    if pa.types.is_integer(kind):
        return series.astype("UInt64" if pa.types.is_unsigned_integer(kind) else "Int64")
    if pa.types.is_boolean(kind):
        return series.astype("boolean")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan), index=series.index)
    if pa.types.is_dictionary(kind):  # its dictionary is in order of appearance: no order to keep
        return series.astype(object)
    if pa.types.is_temporal(kind):
        return pd.Series(series.to_numpy(dtype=object, na_value=None), index=series.index).infer_objects()
    return series.astype(object)


def eager(data: object) -> Any:
    """Any eager frame as one of narwhals.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or another that narwhals reads.

    Returns
    -------
    narwhals.DataFrame

    Raises
    ------
    DataError
        If `data` is no frame, is lazy, or cannot be read.
    """
    import narwhals as nw

    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise DataError(
            f"data is a {type(data).__name__}, not a data frame: pass a pandas, polars or pyarrow frame."
        ) from error
    except Exception as error:  # each back end reports two columns of one name in its own way
        reason = " ".join(str(error).split())
        raise DataError(f"the data frame cannot be read ({reason}): give every column a name of its own.") from error
    if isinstance(frame, nw.LazyFrame):
        raise DataError(f"data is lazy ({type(data).__name__}), its rows are not read yet: call .collect() first.")
    if not isinstance(frame, nw.DataFrame):
        raise DataError(f"data is a {type(data).__name__}, not a data frame: pass a pandas, polars or pyarrow frame.")
    return frame


def _take_narwhals(data: object, names: tuple[str, ...], empty: bool) -> Columns:
    frame = eager(data)
    if isinstance(frame.to_native(), pd.DataFrame):  # narwhals has no place for the order of its levels
        return take(frame.to_native(), names, empty=empty)
    have = list(frame.columns)
    _check_names(names, have, len(set(have)) == len(have))
    series = {name: _from_narwhals(name, frame[name]) for name in names}
    return Columns(series, pd.RangeIndex(len(frame)))


def _from_narwhals(name: str, column) -> pd.Series:
    """One narwhals Series as a pandas one."""
    import narwhals as nw

    dtype = column.dtype
    if dtype.is_integer() or dtype == nw.Boolean:
        if not column.is_null().any():
            return pd.Series(column.to_numpy())
        mask = column.is_null().to_numpy().astype(bool)
        values = column.fill_null(False if dtype == nw.Boolean else 0).to_numpy()
        masked = pd.arrays.BooleanArray if dtype == nw.Boolean else pd.arrays.IntegerArray
        return pd.Series(masked(np.array(values), mask))
    if dtype.is_numeric():
        return pd.Series(column.cast(nw.Float64).to_numpy())
    if dtype == nw.Enum:  # a fixed order of levels
        return pd.Series(pd.Categorical(column.cast(nw.String).to_list(), categories=list(dtype.categories)))
    if dtype in (nw.String, nw.Categorical):  # a polars Categorical has no order of its own
        return pd.Series(column.cast(nw.String).to_list(), dtype=object)
    if dtype in (nw.Date, nw.Datetime, nw.Duration, nw.Time):
        return pd.Series(column.to_list()).infer_objects()
    raise DataError(f"column `{name}` has type {dtype}, which no part of a model can use: convert it first.")


def all_finite(values: np.ndarray) -> bool:
    """Whether no value is infinite or NaN, in one fast pass."""
    with np.errstate(all="ignore"):
        # a finite sum has finite summands; only a sum that overflows needs the slower look
        return bool(np.isfinite(values.sum(dtype=np.float64)) or np.isfinite(values).all())


def missing_mask(series: pd.Series) -> np.ndarray | None:
    """Where values are missing, or None when none is."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iub":
        return None
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
        values = series.to_numpy()
        mask = np.zeros(len(values), dtype=bool) if all_finite(values) else np.isnan(values)
    else:
        mask = np.asarray(pd.isna(series.array))
    return mask if mask.any() else None


def numbers(name: str, series: pd.Series, role: str) -> np.ndarray:
    """A column's values as float64.

    Parameters
    ----------
    name, role : str
        For the error: the column, and what it is used as ("the response").
    series : pd.Series
        Without missing values, or with missing ones that become NaN.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    DataError
        If the values are no real numbers.
    """
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        return series.to_numpy().astype(np.float64, copy=False)
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(f"{role} `{name}` is complex: a model needs real numbers, such as its real part or modulus.")
    if pd.api.types.is_bool_dtype(dtype):
        raise DataError(
            f"{role} `{name}` is true or false, which a linear model does not describe: recode it as 0 and 1 "
            "if the difference of proportions is what you want."
        )
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise DataError(
            f"{role} `{name}` is a date or time ({dtype}): turn it into a number, such as days since a start."
        )
    if pd.api.types.is_numeric_dtype(dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if pd.api.types.is_object_dtype(dtype) and kind in (
        "integer",
        "floating",
        "mixed-integer-float",
        "decimal",
        "empty",
    ):
        return np.array([np.nan if pd.isna(v) else float(v) for v in series], dtype=np.float64)
    if kind in ("date", "datetime", "time", "timedelta"):
        raise DataError(f"{role} `{name}` is a {kind}: turn it into a number, such as days since a start.")
    example = next((v for v in series if not pd.isna(v)), None)
    raise DataError(f"{role} `{name}` is not numeric (for example {example!r}): convert it to numbers first.")
