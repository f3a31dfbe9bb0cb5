"""DataFrames that know their caption and show themselves as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd

from lmmtools.design.frame import eager
from lmmtools.formats import counted, with_unit
from lmmtools.formula import parse_formula, parse_residual
from lmmtools.tables import Column, Table

__all__ = ["Frame", "frame", "preview"]

# Longer frames show this many rows and say how many there are.
_MOST_ROWS = 40


@dataclass(frozen=True, eq=False)
class About:
    """What a frame says of itself, with the numbers it says it of."""

    source: pd.DataFrame
    caption: str
    label: str
    notes: tuple[str, ...]
    headings: Mapping[str, str]
    formats: Mapping[str, str]
    index: bool

    def describes(self, data: pd.DataFrame) -> bool:
        """Whether every row and column of `data` is one of the source's, unchanged."""
        columns = data.columns
        if not (columns.is_unique and columns.isin(self.source.columns).all()):
            return False
        ours = pd.util.hash_pandas_object(pd.DataFrame(data), index=True)
        theirs = pd.util.hash_pandas_object(self.source[list(columns)], index=True)
        return bool(np.isin(ours, theirs).all())

    def __reduce__(self) -> tuple:
        """Pickle the mappings as dicts, since mapping proxies have no pickled form."""
        fields = (self.source, self.caption, self.label, self.notes)
        return _about, (*fields, dict(self.headings), dict(self.formats), self.index)


def _about(
    source: pd.DataFrame,
    caption: str,
    label: str,
    notes: tuple[str, ...],
    headings: Mapping[str, str],
    formats: Mapping[str, str],
    index: bool,
) -> About:
    """An `About` whose contents cannot change."""
    return About(
        source,
        caption,
        label,
        tuple(notes),
        MappingProxyType(dict(headings)),
        MappingProxyType(dict(formats)),
        index,
    )


class Frame(pd.DataFrame):
    """A DataFrame that shows itself as a :class:`~lmmtools.tables.Table`.

    Caption, label and notes belong to the numbers they were written for: they stay with a selection or a
    reordering of rows and columns, and are gone as soon as a value has changed or a column been added, by
    whatever operation. Headings and formats stay with the columns of their names.
    Make one with :func:`frame`.
    """

    _metadata: ClassVar[list[str]] = ["_about"]  # pandas carries what is named here to derived frames
    _about: About | None = None

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    @property
    def caption(self) -> str:
        """The caption, or an empty string when it no longer describes these numbers."""
        return self._about.caption if self._described else ""

    @property
    def label(self) -> str:
        """The label for cross-references, under the caption's condition."""
        return self._about.label if self._described else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences under the table, under the caption's condition."""
        return self._about.notes if self._described else ()

    @property
    def _described(self) -> bool:
        return self._about is not None and self._about.describes(self)

    def table(self, max_rows: int = _MOST_ROWS) -> Table:
        """The frame as a table of at most `max_rows` rows; a note tells how many more there are."""
        described = self._described
        about = self._about if described else None
        shown = pd.DataFrame(self.iloc[:max_rows])
        notes = about.notes if about else ()
        if len(self) > max_rows:
            notes += (f"The first {max_rows} of {len(self):,} rows are shown.",)
        keys, columns = self._index_columns(shown), self._value_columns(shown)
        return Table(
            columns=(*(column for column, _ in keys), *(column for column, _ in columns)),
            rows=tuple(zip(*(values for _, values in (*keys, *columns)), strict=True)),
            caption=about.caption if about else "",
            label=about.label if about else "",
            notes=notes,
        )

    def _index_columns(self, data: pd.DataFrame) -> list[tuple[Column, list]]:
        """The index as columns that name their rows."""
        if self._about is not None and not self._about.index:
            return []
        headings = self._about.headings if self._about is not None else {}
        index = data.index
        return [
            (
                Column(str(name or ""), headings.get(name, str(name or "")), header=True),
                list(index.get_level_values(i)),
            )
            for i, name in enumerate(index.names)
        ]

    def _value_columns(self, data: pd.DataFrame) -> list[tuple[Column, list]]:
        headings = self._about.headings if self._about is not None else {}
        formats = self._about.formats if self._about is not None else {}
        columns = []
        for position, name in enumerate(data.columns):
            values = data.iloc[:, position]
            text = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
            column = Column(text, headings.get(name, text), formats.get(name, _default_format(values)))
            columns.append((column, values.astype(object).tolist()))
        return columns

    def __repr__(self) -> str:
        """The table in text."""
        return self.table().text()

    def _repr_html_(self) -> str:
        """The table in HTML, for front ends that ask for nothing else."""
        return self.table().html()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """The renderings of the table, in place of pandas' own."""
        return self.table()._repr_mimebundle_(include, exclude)


def _default_format(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return "text"
    return "int" if pd.api.types.is_integer_dtype(values) else "estimate"


def frame(
    data: pd.DataFrame,
    *,
    caption: str,
    label: str = "",
    notes: tuple[str, ...] = (),
    headings: Mapping[str, str] = MappingProxyType({}),
    formats: Mapping[str, str] = MappingProxyType({}),
    index: bool = True,
    cls: type[Frame] = Frame,
) -> Frame:
    """A :class:`Frame` of `data`.

    Parameters
    ----------
    data : DataFrame or anything its constructor takes
    caption : str
        Plain text above the table.
    label : str
        For cross-references, such as ``"tbl-coef"``.
    notes : tuple of str
        Plain sentences under the table.
    headings, formats : mapping
        Column (or index) name to heading; column name to format, see
        :func:`lmmtools.formats.format_column`. Without a format, floats are ``"estimate"``, integers
        ``"int"``, all else ``"text"``.
    index : bool
        Whether the index is shown, as the cells that name the rows.
    cls : type
        A subclass of :class:`Frame` to make instead.

    Examples
    --------
    >>> frame(pd.DataFrame({"mean": [1505.0, 1528.0]}, index=["A", "B"]), caption="Yield (g)")
    Yield (g)
       mean
    ───────
    A  1505
    B  1528
    """
    made = cls(data)
    made._about = _about(pd.DataFrame(made), caption, label, notes, headings, formats, index)
    return made


def preview(data: object, formula: str = "", rows: int = 6, residual: str = "") -> Frame:
    """The first rows of a data set as a table, with what the data set says of itself: title, units, source.

    Parameters
    ----------
    data : data frame
        From :func:`lmmtools.load_dataset`; any other (pandas, polars, pyarrow) has no units and no source.
    formula : str
        Shows the columns that it names, all when empty.
    rows : int
    residual : str
        A residual structure, whose columns are shown as well.

    Returns
    -------
    Frame

    Raises
    ------
    FormulaError
        If the formula or the structure cannot be read.
    DataError
        If `data` is no data frame.
    """
    first = data.head(rows) if isinstance(data, pd.DataFrame) else _head(data, rows)
    about = first.attrs.get("lmmtools", {})
    units, citation = about.get("units", {}), about.get("citation", "")
    named = parse_formula(formula).columns if formula else tuple(first.columns)
    if formula and residual:
        named = tuple(dict.fromkeys([*named, *parse_residual(residual).columns]))
    shown = first.loc[:, [name for name in named if name in first.columns]]
    return frame(
        shown,
        caption=f"{about.get('title', 'The data')}: first {len(shown)} of {counted(len(data), 'row')}",
        label="tbl-data",
        notes=(f"Source: {citation.rstrip('.')}.",) if citation else (),
        headings={name: with_unit(str(name), units.get(name)) for name in shown.columns},
        formats=dict.fromkeys(shown.select_dtypes("float").columns, "data"),
        index=False,
    )


def _head(data: object, rows: int) -> pd.DataFrame:
    """The first rows of any other frame, value by value: its own way to pandas may need a further package."""
    first = eager(data).head(rows)
    return pd.DataFrame({name: first[name].to_list() for name in first.columns})
