"""Files to tables: CSV and Parquet, with a sentence for whatever is wrong with a file."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import counted, listed, nearest, quoted

__all__ = ["bare_name", "read_table"]

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_MISSING = ("", "NA", "NaN", "nan")
_TEXT = {".csv": ",;\t", ".txt": ",;\t", ".tsv": "\t"}
_DECIMAL_COMMA = re.compile(r'(?:^|;)"?[-+]?\d+,\d+"?(?:;|$)', flags=re.MULTILINE)
_LONGEST_FIELD = 10_000_000  # characters; Python's own limit is met by texts people do have


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
        frame = _csv(path, _decoded(path, content), _TEXT[suffix], columns)
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


def _csv(path: Path, text: str, separators: str, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    separator = max(separators, key=lambda one: len(_first_row(text, one)))
    names = _checked_rows(path, text, separator)
    kept_as_text = [name for name in names if columns.get(name, {}).get("kind") in ("factor", "ordered")]
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=0,
            names=names,
            index_col=False,
            dtype=dict.fromkeys(kept_as_text, "str"),
            keep_default_na=False,
            na_values={name: _missing_words(columns.get(name, {})) for name in names},
            decimal="," if separator == ";" and _DECIMAL_COMMA.search(text) else ".",
            skipinitialspace=True,
            low_memory=False,
        )
    except (ValueError, OverflowError) as error:  # pandas' ParserError is a ValueError
        raise DataError(f"`{path.name}` cannot be read as a table ({error}).") from error


def _missing_words(about: Mapping[str, Any]) -> list[str]:
    """What stands for a missing value: not a word that the column declares a level."""
    return [word for word in _MISSING if word not in about.get("levels", ())]


def _first_row(text: str, separator: str) -> list[str]:
    try:
        return next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
    except csv.Error:
        return []


def _checked_rows(path: Path, text: str, separator: str) -> list[str]:
    """Names of the columns, once every row is known to have a field for each."""
    # pandas fills short rows up and makes an index of long ones without a word.
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(io.StringIO(text), delimiter=separator, strict=True, skipinitialspace=True)
    header: list[str] = []
    wrong: list[tuple[int, int]] = []
    try:
        for row in rows:
            if not row or (len(header) > 1 and row == [""]):
                continue  # a blank line
            if not header:
                header = _column_names(path, row)
            elif len(row) != len(header):
                wrong.append((rows.line_num, len(row)))
    except csv.Error as error:
        raise DataError(
            f"`{path.name}` cannot be read from line {rows.line_num} on ({error}): look for a quote that is not closed."
        ) from error
    if wrong:
        line, fields = wrong[0]
        more = f" (and {counted(len(wrong) - 1, 'further line')})" if len(wrong) > 1 else ""
        raise DataError(
            f"`{path.name}` is ragged: line {line} has {counted(fields, 'field')}{more}, but the first line names "
            f"{counted(len(header), 'column')}, separated by {_SEPARATORS[separator]}: mend the lines or the names."
        )
    return header


def _column_names(path: Path, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if names[0] == "" and "row" not in names:
        names[0] = "row"  # R's write.csv puts the names of rows first, without a heading
    unnamed = [str(place) for place, name in enumerate(names, start=1) if not name]
    if unnamed:
        raise DataError(f"`{path.name}` has no name for column {listed(unnamed)}: name every column in the first line.")
    _check_unique(path, names)
    return names


def _check_unique(path: Path, names: list[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(f"`{path.name}` names more than one column {quoted(twice)}: each needs a name of its own.")


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    if not content:
        raise DataError(f"`{path.name}` is empty: it is no Parquet file.")
    try:
        table = parquet.read_table(io.BytesIO(content))
        names, by_pandas = table.column_names, b"pandas" in (table.schema.metadata or {})
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise DataError(f"`{path.name}` is no readable Parquet file ({reason}): write it again.") from error
    _check_unique(path, names)
    for name in frame.columns:
        series = frame[name]
        if isinstance(series.dtype, pd.CategoricalDtype) and not series.cat.ordered and not by_pandas:
            # Others store the order of appearance, which means nothing.
            frame[name] = series.astype(series.cat.categories.dtype)
        elif pa.types.is_boolean(table.schema.field(name).type) and series.dtype == object:
            frame[name] = series.astype("boolean")
    return frame
