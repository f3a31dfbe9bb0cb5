"""Delimited text to a table: separators, decimal signs and spellings of missing values as they occur in the wild."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import counted, listed, quoted

__all__ = ["check_unique", "read_delimited"]

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_MISSING = ("", "NA", "NaN", "nan")
# What also stands for a missing value where all others are numbers: SAS, SQL, spreadsheets and people write these.
_NO_NUMBER = frozenset({".", "-", "?", "na", "Na", "n/a", "N/A", "#N/A", "null", "NULL", "None"})
_COMMA = r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?"
_NUMBER = {
    ".": re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"),
    ",": re.compile(r"[-+]?(?:\d+,?\d*|,\d+)(?:[eE][-+]?\d+)?"),
}
_POINT = re.compile(r"[-+]?\d*\.\d")
_LONGEST_FIELD = 10_000_000  # characters; Python's own limit is met by texts people do have


def read_delimited(path: Path, text: str, separators: str, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table in a text.

    Parameters
    ----------
    path : pathlib.Path
        Named in errors.
    text : str
    separators : str
        Those it may have; the one that makes most columns of the first line is taken.
    columns : mapping
        What is declared of columns, checked.
    """
    text = text if "\n" in text else text.replace("\r", "\n")  # an old Macintosh's line ends
    if found := re.match(r'"?sep=([,;\t])"?\r?\n', text):  # how Excel is told the separator
        text, separators = text[found.end() - 1 :], found[1]  # a blank line stays, for the numbers of lines
    separator = max(separators, key=lambda one: len(_first_row(text, one)))
    names = _checked_rows(path, text, separator)
    decimal = "," if separator != "," and _has_decimal_comma(text, separator) else "."
    missing = {name: _missing_words(columns.get(name, {})) for name in names}
    frame = _parsed(path, text, separator, decimal, names, missing, columns)
    more = {name: _no_numbers(frame[name], decimal) for name in frame if not _is_factor(columns, name)}
    if any(more.values()):
        missing = {name: [*words, *more.get(name, ())] for name, words in missing.items()}
        frame = _parsed(path, text, separator, decimal, names, missing, columns)
    for name in frame.columns:
        frame[name] = _settled(frame[name])
        if decimal == "," and columns.get(name, {}).get("kind") == "number":
            frame[name] = _with_points(path, name, frame[name])
    return frame


def _parsed(
    path: Path,
    text: str,
    separator: str,
    decimal: str,
    names: list[str],
    missing: Mapping[str, list[str]],
    columns: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=0,
            names=names,
            index_col=False,
            dtype=dict.fromkeys((name for name in names if _is_factor(columns, name)), "str"),
            keep_default_na=False,
            na_values=missing,
            decimal=decimal,
            skipinitialspace=True,
            low_memory=False,
        )
    except (ValueError, OverflowError) as error:  # pandas' ParserError is a ValueError
        raise DataError(f"`{path.name}` cannot be read as a table ({error}).") from error


def _is_factor(columns: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return columns.get(name, {}).get("kind") in ("factor", "ordered")


def _missing_words(about: Mapping[str, Any]) -> list[str]:
    """What stands for a missing value: not a word that the column declares a level."""
    return [word for word in _MISSING if word not in about.get("levels", ())]


def _no_numbers(values: pd.Series, decimal: str) -> list[str]:
    """Words that mean a missing value because all others of a column are numbers."""
    if pd.api.types.is_numeric_dtype(values.dtype) or not (odd := values.isin(_NO_NUMBER)).any():
        return []
    rest = [word for word in values[~odd].dropna().unique() if isinstance(word, str)]
    if not rest or not all(_NUMBER[decimal].fullmatch(word.strip()) for word in rest):
        return []
    return sorted(values[odd].unique())


def _settled(values: pd.Series) -> pd.Series:
    """Truths of which some are missing as such, whole numbers too long for a number as text: they are codes."""
    if values.dtype != object:
        return values
    kinds = set(map(type, values.dropna()))
    if kinds == {bool}:
        return values.astype("boolean")
    return values.map(str, na_action="ignore").astype("str") if kinds == {int} else values


def _with_points(path: Path, name: str, values: pd.Series) -> pd.Series:
    """A declared number whose fields are not all numbers, with decimal points for its decimal commas."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values
    words = [word for word in values.dropna().unique() if isinstance(word, str)]
    if points := [word for word in words if _POINT.match(word)]:
        raise DataError(
            f"`{path.name}` has decimal commas, so `{points[0]}` in column `{name}` may not be the number it looks "
            "like: write all its numbers with one decimal sign and without separators of thousands."
        )
    return values.str.replace(rf"^\s*({_COMMA})\s*$", lambda found: found[1].replace(",", "."), regex=True)


def _has_decimal_comma(text: str, separator: str) -> bool:
    field = rf'(?:^|{separator})"?{_COMMA}"?(?:{separator}|\r?$)'
    return re.search(field, text, flags=re.MULTILINE) is not None


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
    check_unique(path, names)
    return names


def check_unique(path: Path, names: list[str]) -> None:
    """Raise DataError if two columns have one name."""
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(f"`{path.name}` names more than one column {quoted(twice)}: each needs a name of its own.")
