"""Files to tables: CSV and Parquet, with a sentence for whatever is wrong with a file."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import nearest
from lmmtools.sources.delimited import check_unique, read_delimited

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["bare_name", "read_table"]

_TEXT = {".csv": ",;\t", ".txt": ",;\t", ".tsv": "\t"}


def bare_name(path: Path) -> str:
    """The file's name without folder and endings: ``growth`` for ``data/growth.csv.gz``."""
    name = path.name.removesuffix(".gz")
    return Path(name).stem or path.name


def read_table(path: Path, columns: Mapping[str, Mapping[str, Any]], shipped: Iterable[str] = ()) -> pd.DataFrame:
    """The table in a file.

    Parameters
    ----------
    path : pathlib.Path
    columns : mapping
        Columns declared factors are read as text, so that ``01`` stays ``01``.
    shipped : iterable of str
        Other names `path` may have been meant to be.

    Returns
    -------
    pd.DataFrame

    Raises
    ------
    DataError
        If the file is missing, is no table, or one of its rows or column names is wrong.
    """
    content = _content(path, shipped)
    plain = path.name.lower().removesuffix(".gz")
    if path.name.lower().endswith(".gz"):
        content = _decompressed(path, content)
    suffix = Path(plain).suffix
    if suffix in (".parquet", ".pq"):
        frame = _parquet(path, content)
    elif suffix in _TEXT:
        frame = read_delimited(path, _decoded(path, content), _TEXT[suffix], columns)
    else:
        raise DataError(
            f"`{path.name}` is of no kind that is read: data are .csv, .tsv or .parquet files, text also as .csv.gz."
        )
    if frame.empty:
        raise DataError(f"`{path.name}` has column names but no rows: check how it was written.")
    return frame


def _content(path: Path, shipped: Iterable[str]) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        folder = path.parent
        beside = [one.name for one in folder.iterdir()] if os.path.isdir(folder) else []
        names = list(shipped) if path.name == str(path) else []
        meant = nearest(path.name, [*beside, *names])
        place = "" if os.path.isdir(folder) else f" (and no folder `{folder}`)"
        raise DataError(f"there is no data set or file `{path}`{place}{meant}.") from error
    except IsADirectoryError as error:
        raise DataError(f"`{path}` is a folder: name a data file in it.") from error
    except (OSError, ValueError) as error:  # no permission, a name no file system allows
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"`{path}` cannot be read ({reason}).") from error


def _decompressed(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"`{path.name}` is no whole gzip file ({error}): compress it again.") from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"`{path.name}` is not UTF-8 (byte 0x{content[error.start]:02X} in line {line}): save it as UTF-8."
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"`{path.name}` holds a zero byte in line {line}, so it is no text in UTF-8: save it as UTF-8.")
    if not text.strip():
        raise DataError(f"`{path.name}` is empty: a data file has a line of column names, then rows.")
    return text


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    if not content:
        raise DataError(f"`{path.name}` is empty: it is no Parquet file.")
    try:
        table = parquet.read_table(io.BytesIO(content))
        names, by_pandas = table.column_names, b"pandas" in (table.schema.metadata or {})
        frame = table.to_pandas(ignore_metadata=True, date_as_object=False)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise DataError(f"`{path.name}` is no readable Parquet file ({reason}): write it again.") from error
    check_unique(path, names)
    for name in frame.columns:
        frame[name] = _settled(frame[name], table.schema.field(name).type, by_pandas)
    unnamed = "__index_level_0__"  # what pandas calls an index without a name
    return frame if "row" in frame else frame.rename(columns={unnamed: "row"})


def _settled(series: pd.Series, kind: pa.DataType, by_pandas: bool) -> pd.Series:
    """A column as a model needs it: exact decimals and columns without values are numbers."""
    import pyarrow as pa

    if isinstance(series.dtype, pd.CategoricalDtype) and not series.cat.ordered and not by_pandas:
        # Others store the order of appearance, which means nothing.
        return series.astype(series.cat.categories.dtype)
    if pa.types.is_boolean(kind) and series.dtype == object:
        return series.astype("boolean")
    return series.astype(float) if pa.types.is_decimal(kind) or pa.types.is_null(kind) else series
