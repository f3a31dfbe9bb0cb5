"""One table value, three renderings: HTML, Typst and plain text show the same strings."""

from __future__ import annotations

import html as _html
import numbers
import re
import unicodedata
from dataclasses import dataclass, field

from lmmtools.errors import LMMError
from lmmtools.formats import format_column, is_missing, is_numeric_format, visible

__all__ = ["Column", "Table", "identifier", "typst_string"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Its name in the data.
    heading : str
        What stands above it; the name when None.
    format : str
        See :func:`lmmtools.formats.format_column`.
    header : bool
        Whether its cells name their rows (``<th scope="row">``).
    """

    name: str
    heading: str | None = None
    format: str = "text"
    header: bool = False

    @property
    def title(self) -> str:
        """The heading as shown."""
        return visible(self.name if self.heading is None else self.heading)

    @property
    def numeric(self) -> bool:
        """Whether the column is set flush right."""
        return is_numeric_format(self.format)


@dataclass(frozen=True)
class Table:
    """A table that renders itself; the text of each cell is decided once, its escaping by each medium.

    Attributes
    ----------
    columns : tuple of Column
    rows : tuple of tuple
        Values, one per column.
    caption, label : str
        Plain text; the label (``"tbl-coef"``) becomes the HTML id and the Typst label.
    notes : tuple of str
        Sentences under the table.
    cells : tuple of tuple of str
        What is shown, row by row (computed).

    Examples
    --------
    >>> columns = (Column("batch", header=True), Column("mean", "Mean yield (g)", "estimate"))
    >>> print(Table(columns, (("A", 1505.0), ("B", 1528.0)), caption="Yield").text())
    Yield
    batch  Mean yield (g)
    ─────────────────────
    A                1505
    B                1528
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = tuple(tuple(row) for row in self.rows)
        wrong = [i for i, row in enumerate(rows) if len(row) != len(self.columns)]
        if wrong:
            raise LMMError(
                f"row {wrong[0]} of the table has {len(rows[wrong[0]])} values for {len(self.columns)} "
                "columns; give one value per column."
            )
        by_column = [format_column([row[j] for row in rows], c.format) for j, c in enumerate(self.columns)]
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "cells", tuple(zip(*by_column, strict=True)) if rows else ())

    def html(self, *, style: bool = True) -> str:
        """The table as an HTML fragment, with the few rules it needs to look right by itself."""
        return _html_table(self, style=style)

    def typst(self) -> str:
        """The table as a Typst figure; lines and fonts are left to the page's own rules."""
        return _typst_table(self)

    def text(self) -> str:
        """The table in characters of equal width."""
        return _text_table(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """Every rendering, and what an exporter must know about them."""
        about = {"kind": "table", "caption": visible(self.caption), "label": identifier(self.label)}
        data = {"text/html": self.html(), "text/vnd.typst": self.typst(), "text/plain": self.text()}
        return data, {"lmmtools": {**about, "alt": ""}}


def identifier(label: str) -> str:
    """`label` with all that HTML ids and Typst labels cannot hold replaced by hyphens."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", label).strip("-.")


def typst_string(text: str) -> str:
    """`text` as a Typst string literal, in which no character has a meaning but quote and backslash."""
    return '"' + visible(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _note_parts(note: str) -> list[tuple[str, bool]]:
    """A note cut at its backticks, and of each part whether it is a name; in one piece if a name holds a backtick."""
    parts = note.split("`")
    if len(parts) % 2 == 0 or "" in parts[1::2]:
        return [(note, False)]
    return [(part, place % 2 == 1) for place, part in enumerate(parts) if part]


# --- HTML ---------------------------------------------------------------------------------------------

# `:where` has no specificity, so any rule of a page wins; JupyterLab styles all tables itself and needs
# the second group. Greys are half transparent: they do on light and dark pages.
_CSS = """\
:where(.lmm-table){border-collapse:collapse;margin:1em 0;font-size:.95em;line-height:1.4}
:where(.lmm-table caption){caption-side:top;text-align:left;padding:0 0 .5em;font-weight:600}
:where(.lmm-table th,.lmm-table td){padding:.25em .8em;text-align:left;vertical-align:baseline;border:0}
:where(.lmm-table thead th){border-bottom:1px solid rgba(128,128,128,.7);vertical-align:bottom}
:where(.lmm-table tbody th){font-weight:400}
:where(.lmm-table tbody tr:last-child>*){border-bottom:1px solid rgba(128,128,128,.7)}
:where(.lmm-table .lmm-num){text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
:where(.lmm-table tfoot td){font-size:.9em;opacity:.85;padding-top:.5em;max-width:44em}
:where(.lmm-table tfoot p){margin:0 0 .3em}
.jp-RenderedHTMLCommon .lmm-table caption{text-align:left;padding:0 0 .5em;font-weight:600;\
color:inherit;font-size:1.05em}
.jp-RenderedHTMLCommon .lmm-table th,.jp-RenderedHTMLCommon .lmm-table td{text-align:left;padding:.35em .8em}
.jp-RenderedHTMLCommon .lmm-table tbody th{font-weight:400}
.jp-RenderedHTMLCommon .lmm-table .lmm-num{text-align:right;font-variant-numeric:tabular-nums;\
white-space:nowrap}
.jp-RenderedHTMLCommon .lmm-table tfoot td{max-width:44em}
.jp-RenderedHTMLCommon .lmm-table tfoot tr{background:none}
.jp-RenderedHTMLCommon .lmm-table tfoot p{margin:0 0 .3em}
"""


_LONG = 40  # letters that any screen has room for in one line
_LONG_CELL = ' class="lmm-long"'
_RANDOM_TERM = re.compile(r"(\([^()|]*\|{1,2}[^()|]*\))")


def _escape(text: str) -> str:
    """HTML text; the dollar too, or notebook pages would take what stands between two for mathematics."""
    return _html.escape(visible(text)).replace("$", "&#36;")


def _html_table(table: Table, *, style: bool) -> str:
    name = identifier(table.label)
    head = "".join(map(_html_head, table.columns))
    parts = [f"<style>\n{_CSS}</style>\n"] if style else []
    parts.append(f'<table class="lmm-table"{f" id={_quoted(name)}" if name else ""}>\n')
    if table.caption:
        parts.append(f"<caption>{_escape(table.caption)}</caption>\n")
    parts.append(f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n")
    classes = [_cell_class(column, [row[place] for row in table.cells]) for place, column in enumerate(table.columns)]
    rows = zip(table.cells, table.rows, strict=True)
    parts.extend(f"<tr>{_html_row(table.columns, classes, cells, values)}</tr>\n" for cells, values in rows)
    parts.append("</tbody>\n")
    if table.notes:
        notes = "".join(f"<p>{_html_note(note)}</p>" for note in table.notes)
        parts.append(f'<tfoot>\n<tr><td colspan="{len(table.columns)}">{notes}</td></tr>\n</tfoot>\n')
    return "".join([*parts, "</table>"])


def _html_note(note: str) -> str:
    """A sentence; names, between backticks in it, as code."""
    return "".join(f"<code>{_escape(part)}</code>" if name else _escape(part) for part, name in _note_parts(note))


def _html_head(column: Column) -> str:
    if not column.title.strip():
        return f"<td{_css_class(column)}></td>"  # a head must not be empty
    return f'<th scope="col"{_css_class(column)}>{_escape(column.title)}</th>'


def _html_row(columns: tuple[Column, ...], classes: list[str], row: tuple[str, ...], values: tuple[object, ...]) -> str:
    cells = []
    for column, css, text, value in zip(columns, classes, row, values, strict=True):
        tag, scope = ("th", ' scope="row"') if column.header else ("td", "")
        sorts = _sort_value(value) if column.numeric else ""
        shown = _uncut(_escape(text)) if css == _LONG_CELL else _escape(text)
        cells.append(f"<{tag}{scope}{css}{sorts}>{shown}</{tag}>")
    return "".join(cells)


def _sort_value(value: object) -> str:
    """The number by which a page sorts, where it is not what the cell shows: `< 0.001` and 1.5e−7 have an order too."""
    if is_missing(value) or not isinstance(value, numbers.Real):
        return ""
    return f' data-value="{float(value):.9g}"'


def _css_class(column: Column) -> str:
    return ' class="lmm-num"' if column.numeric else ""


def _cell_class(column: Column, texts: list[str]) -> str:
    """As the head's, but sentences are marked: a page breaks them into lines, and nothing else."""
    long = not column.numeric and max(map(len, texts), default=0) > _LONG
    return _LONG_CELL if long else _css_class(column)


def _uncut(text: str) -> str:
    """Escaped text, each random term of a formula in it marked, so that a page does not cut it in two."""
    return _RANDOM_TERM.sub(r'<span class="term">\1</span>', text)


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- Typst --------------------------------------------------------------------------------------------


def _typst_table(table: Table) -> str:
    """A figure of kind table, in code mode throughout: text only ever stands in string literals."""
    aligns = ", ".join("right" if column.numeric else "left" for column in table.columns)
    head = ", ".join(typst_string(column.title) for column in table.columns)
    lines = [
        "table(",
        f"  columns: {len(table.columns)},",
        f"  align: ({aligns},),",
        f"  table.header({head}),",
        *("  " + ", ".join(map(typst_string, row)) + "," for row in table.cells),
        ")",
    ]
    body = "\n".join(lines)
    if table.notes:
        notes = " + parbreak() + ".join(map(_typst_note, table.notes))
        body += f" + block(width: 100%, align(left, text(size: 0.85em, {notes})))"
    caption = f",\n  caption: {typst_string(table.caption)}" if table.caption else ""
    name = identifier(table.label)
    label = f" <{name}>" if name else ""
    return f"#figure(\n{body},\n  kind: table{caption},\n){label}"


def _typst_note(note: str) -> str:
    """As in HTML."""
    parts = [f"raw({typst_string(part)})" if name else typst_string(part) for part, name in _note_parts(note)]
    return " + ".join(parts)


# --- text ---------------------------------------------------------------------------------------------


def _text_table(table: Table) -> str:
    titles = [column.title for column in table.columns]
    widths = [max(map(_width, (title, *(row[j] for row in table.cells)))) for j, title in enumerate(titles)]
    lines = [
        "  ".join(
            _pad(text, width, right=column.numeric)
            for text, width, column in zip(row, widths, table.columns, strict=True)
        ).rstrip(" ")
        for row in (titles, *table.cells)
    ]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    caption = [visible(table.caption)] if table.caption else []
    notes = [rule, *map(visible, table.notes)] if table.notes else []
    return "\n".join([*caption, lines[0], rule, *lines[1:], *notes])


def _pad(text: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank


def _width(text: str) -> int:
    """Columns a terminal gives to `text`: East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)
