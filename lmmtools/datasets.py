"""The data that come with the package: typed columns, levels in their order, units and sources."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import nearest

if TYPE_CHECKING:
    from lmmtools.frames import Frame

__all__ = ["data_path", "list_datasets", "load_dataset"]

_DTYPES = {"float": "float64", "int": "int64", "factor": "str", "ordered": "str"}
_ORDERS = {"numeric": int, "text": str}  # of labels that are too many to list: numbers, or sorted as words are


def data_path() -> Path:
    """The folder with the data: inside the package when it was installed from a wheel, else the checkout's.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_data", package.parent / "data"):
        if (folder / "datasets.json").is_file():
            return folder
    raise DataError(
        "the package's data are not installed: reinstall lmmtools, or work in a checkout, which has them in data/."
    )


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, dict[str, Any]]:
    """datasets.json; read once, copied by whoever hands parts of it out."""
    return json.loads((data_path() / "datasets.json").read_text(encoding="utf-8"))


def load_dataset(name: str) -> pd.DataFrame:
    """One of the data sets that come with the package.

    Parameters
    ----------
    name : str
        As in `list_datasets`.

    Returns
    -------
    pd.DataFrame
        Factors are Categoricals with the source's order of levels (ordered where the source orders them),
        counts are integers unless some are missing. ``frame.attrs["lmmtools"]`` holds `name`, `title`, `units`
        (by column), `descriptions` (by column), `nouns` (by column: what one level is called, and several),
        `citation`, `licence` and `file`.

    Raises
    ------
    DataError
        If there is no such data set; the message lists all, and the nearest name.

    Examples
    --------
    >>> load_dataset("sleepstudy").attrs["lmmtools"]["units"]["Reaction"]
    'ms'
    """
    known = _catalogue()
    if name not in known:
        names = ", ".join(sorted(known, key=str.lower))
        raise DataError(f"there is no data set `{name}`{nearest(str(name), known)}: known are {names}.")
    entry = known[name]
    columns = entry["columns"]
    frame = pd.read_csv(
        data_path() / entry["file"],
        dtype={column: _DTYPES[about["kind"]] for column, about in columns.items()},
        keep_default_na=False,
        na_values=[""],
    )
    for column, about in columns.items():
        if "levels" in about:
            frame[column] = _factor(frame[column], about)
    frame.attrs["lmmtools"] = {
        "name": name,
        **{key: entry[key] for key in ("title", "citation", "licence", "file")},
        "units": {column: about["unit"] for column, about in columns.items() if "unit" in about},
        "descriptions": {column: about["description"] for column, about in columns.items()},
        "nouns": {column: list(about["noun"]) for column, about in columns.items() if "noun" in about},
    }
    return frame


def _factor(values: pd.Series, about: dict[str, Any]) -> pd.Categorical:
    levels = about["levels"]
    if isinstance(levels, str):
        levels = sorted(values.dropna().unique(), key=_ORDERS[levels])
    return pd.Categorical(values, categories=levels, ordered=about["kind"] == "ordered")


def list_datasets() -> Frame:
    """The data sets that come with the package.

    Returns
    -------
    Frame
        One row a data set: title, number of rows, columns with their units, source.
    """
    from lmmtools.frames import frame

    table = pd.DataFrame(
        {
            "title": [entry["title"] for entry in _catalogue().values()],
            "rows": [entry["rows"] for entry in _catalogue().values()],
            "columns": [_described(entry["columns"]) for entry in _catalogue().values()],
            "citation": [entry["citation"] for entry in _catalogue().values()],
        },
        index=pd.Index(list(_catalogue()), name="name"),
    )
    return frame(
        table,
        caption="Data sets that come with lmmtools",
        label="tbl-datasets",
        headings={"title": "Title", "rows": "Rows", "columns": "Columns (units)", "citation": "Source"},
        formats={"title": "text", "rows": "int", "columns": "text", "citation": "text"},
    )


def _described(columns: dict[str, dict[str, Any]]) -> str:
    return ", ".join(f"{name} ({about['unit']})" if "unit" in about else name for name, about in columns.items())
