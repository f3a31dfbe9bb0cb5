"""Data from anywhere: a shipped data set or a file of one's own, typed, described and filtered.

`tables` reads files, `delimited` those of text, `columns` gives columns their kinds, `filters` reads and applies
filter expressions, `values` is what such an expression computes with.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmmtools.datasets import list_datasets, load_dataset
from lmmtools.errors import DataError
from lmmtools.formats import shortened
from lmmtools.sources.columns import check_columns, describe, typed
from lmmtools.sources.filters import rows_kept
from lmmtools.sources.tables import bare_name, read_table

__all__ = ["read_data"]


def read_data(
    source: str | Path | pd.DataFrame, *, filter: str = "", columns: Mapping[str, Mapping[str, Any]] | None = None
) -> pd.DataFrame:
    """A data set that comes with the package, or a file; or a part of a frame.

    Parameters
    ----------
    source : str, pathlib.Path or pd.DataFrame
        A name of `list_datasets`, else the path of a ``.csv``, ``.tsv`` or ``.parquet`` file. Text files are
        UTF-8 with a line of column names, separated by commas, semicolons or tabs, and may be compressed
        (``.csv.gz``). Empty fields, ``NA`` and ``NaN`` are missing; so are ``.``, ``-``, ``n/a`` and ``null`` in a
        column whose other fields are all numbers. A frame is left as it is, and copied.
    filter : str
        Which rows are kept, such as ``"age > 8 and Sex in ['Male', 'Female']"``: comparisons, ``and``, ``or``,
        ``not``, ``in`` and arithmetic on columns; names that are no words stand between backticks. A row for
        which a missing value leaves the answer open is not kept.
    columns : mapping, optional
        What the file cannot say, by column: ``kind`` (``"number"``, ``"factor"`` or ``"ordered"``), ``levels``
        in their order, ``unit``, ``description``, and ``noun``, singular and plural of what a level is
        (``["child", "children"]``).

    Returns
    -------
    pd.DataFrame
        ``frame.attrs["lmmtools"]`` is as `load_dataset` gives it, with `filter`, `rows_read` (before the filter)
        and `rows_undecided` (left out because of missing values) besides.

    Raises
    ------
    DataError
        If there is no such data set or file, it cannot be read, or `filter` or `columns` do not fit it.

    Examples
    --------
    >>> read_data("Orthodont", filter="Sex == 'Female' and age >= 10").shape
    (33, 4)
    """
    columns = {} if columns is None else check_columns(columns)
    frame, about = _read(source, columns)
    describe(about, columns)
    frame, undecided, rows = _filtered(frame, filter)
    frame.attrs["lmmtools"] = about | {"filter": filter, "rows_read": rows, "rows_undecided": undecided}
    return frame


def _read(source: object, columns: Mapping[str, Mapping[str, Any]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The whole table with typed columns, and what is known of it."""
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, columns)
    if not isinstance(source, str | Path):
        raise DataError(
            f"a data source is the name of a shipped data set, the path of a file, or a pandas "
            f"data frame; got {type(source).__name__}."
        )
    shipped = list(list_datasets().index)
    if isinstance(source, str) and source in shipped:
        frame = load_dataset(source)
        about = frame.attrs.pop("lmmtools")
    else:
        path = Path(source)
        frame = read_table(path, columns, shipped)
        about = _unknown(bare_name(path), path.name)
    return typed(frame, columns), about


def _of_frame(source: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    if not source.columns.is_unique:
        raise DataError("the data frame has two columns of one name: rename or remove all but one.")
    frame = source.copy()
    known = frame.attrs.pop("lmmtools", {})
    return typed(frame, columns), _unknown("", "") | copy.deepcopy(known)


def _unknown(name: str, file: str) -> dict[str, Any]:
    """What there is to say of data that say nothing of themselves."""
    about = {"name": name, "title": name, "citation": "", "licence": "", "file": file}
    return about | {"units": {}, "descriptions": {}, "nouns": {}}


def _filtered(frame: pd.DataFrame, condition: str) -> tuple[pd.DataFrame, int, int]:
    """The rows that are kept, the number of undecided ones, and the number there were."""
    if not isinstance(condition, str):
        raise DataError(f"a filter is a text such as 'age > 8'; got {condition!r}.")
    if not condition.strip():
        return frame, 0, len(frame)
    keep, undecided = rows_kept(condition, frame)
    if not keep.any():
        why = f" ({undecided} of them because of missing values)" if undecided else ""
        text = shortened(condition, 200)
        raise DataError(f"the filter `{text}` keeps none of the {len(frame)} rows{why}: make it less strict.")
    return frame.loc[keep], undecided, len(frame)
