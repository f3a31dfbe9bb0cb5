"""An executed notebook as a flat list of neutral blocks; which MIME type is read is decided here alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmmtools.formats import visible
from lmmtools.records import RECORD_MIME
from lmmtools.report.runs.tidy import ANSI
from lmmtools.tables import identifier

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "Block",
    "Code",
    "Error",
    "Figure",
    "Note",
    "Prose",
    "Record",
    "Table",
    "Text",
    "blocks",
    "join_code",
    "labels_of",
]


@dataclass(frozen=True)
class Block:
    """One thing on a page; ``kind`` is its class in lower case, for templates."""

    @property
    def kind(self) -> str:
        """Name of the kind of block."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Prose(Block):
    """Markdown, written in the notebook or computed by it.

    ``marks`` says whether ``[@key]`` and ``@tbl-x`` in it are citations and cross-references; in Markdown
    that comes from elsewhere they are text.
    """

    markdown: str
    marks: bool = True


@dataclass(frozen=True)
class Table(Block):
    """A table; ``typst`` is empty for one that does not describe itself for the PDF, ``number`` 0 without a caption."""

    html: str
    typst: str
    text: str
    caption: str
    label: str
    number: int = 0


@dataclass(frozen=True)
class Figure(Block):
    """A picture: SVG text, or PNG in base 64; ``number`` is 0 without a caption."""

    svg: str
    png: str
    caption: str
    label: str
    alt: str
    number: int = 0


@dataclass(frozen=True)
class Code(Block):
    """The source of a cell; ``open`` where it is to be read, and not folded away or left to the end."""

    source: str
    open: bool = False


@dataclass(frozen=True)
class Text(Block):
    """What a cell printed, or a result that only has characters to show."""

    text: str


@dataclass(frozen=True)
class Note(Block):
    """A warning that was raised while a cell ran, or a word of the pipeline's own."""

    level: str
    text: str


@dataclass(frozen=True)
class Error(Block):
    """What stopped the notebook."""

    name: str
    sentence: str
    traceback: str


@dataclass(frozen=True)
class Record(Block):
    """The run record; shown by the title block, the footer and the index, not where it stands."""

    content: Mapping[str, Any]


# Markdown of the package's own prose, whose marks are still to be resolved.
_MARKED = "text/vnd.lmmtools.markdown"
# The parameters stand in the title block.
_SKIPPED = {"parameters", "injected-parameters"}
_WARNING = re.compile(r"^(?:<cell>|\S.*?\.py):\d+: (\w+): (.*)\n?((?: {2}.*\n?)?)", re.MULTILINE)


def blocks(notebook: NotebookNode) -> tuple[Block, ...]:
    """Return the blocks of an executed notebook.

    Cells tagged ``remove`` are left out, ``hide-input`` hides a cell's source and ``show-input`` shows it where it
    stands. Nothing follows the cell in which the notebook stopped: prose about results that are not there would
    mislead.
    """
    return join_code(_numbered(_blocks(notebook)))


def labels_of(content: Iterable[Block]) -> dict[str, str]:
    """Return what a cross-reference to each captioned table or figure says: ``{"tbl-coef": "Table 3"}``."""
    return {
        one.label: f"{type(one).__name__} {one.number}"
        for one in content
        if isinstance(one, (Table, Figure)) and one.number and one.label
    }


def join_code(content: Iterable[Block]) -> tuple[Block, ...]:
    """Return the blocks, the code of a cell that shows nothing joined to that of the next; what is open stays open."""
    joined: list[Block] = []
    for block in content:
        last = joined[-1] if joined else None
        if isinstance(block, Code) and isinstance(last, Code) and block.open == last.open:
            joined[-1] = Code(f"{last.source}\n\n{block.source}", block.open)
        else:
            joined.append(block)
    return tuple(joined)


def _numbered(content: Iterable[Block]) -> Iterator[Block]:
    """Count captioned tables, and captioned figures; a label belongs to the first that has it."""
    counts = {Table: 0, Figure: 0}
    taken: set[str] = set()
    for one in content:
        if isinstance(one, (Table, Figure)):
            counts[type(one)] += bool(one.caption)
            label = "" if one.label in taken else one.label
            taken.add(label)
            one = replace(one, label=label, number=counts[type(one)] if one.caption else 0)
        yield one


def _blocks(notebook: NotebookNode) -> Iterator[Block]:
    stopped_at = notebook.metadata.get("lmmtools", {}).get("stopped_at")
    for number, cell in enumerate(notebook.cells):
        tags = set(cell.metadata.get("tags", []))
        if "remove" in tags:
            yield from (one for one in _outputs(cell) if isinstance(one, (Record, Error)))
        elif cell.cell_type == "markdown" and cell.source.strip():
            yield Prose(cell.source)
        elif cell.cell_type == "code" and not tags & _SKIPPED:
            if cell.source.strip() and "hide-input" not in tags:
                yield Code(cell.source, "show-input" in tags)
            yield from _outputs(cell)
        elif cell.cell_type == "code":
            yield from (one for one in _outputs(cell) if isinstance(one, (Note, Error)))
        if number == stopped_at:
            left = sum(later.cell_type == "code" for later in notebook.cells[number + 1 :])
            if left:
                cells = "1 later cell was" if left == 1 else f"{left} later cells were"
                yield Note("note", f"The notebook stopped here; {cells} not run.")
            return


def _outputs(cell: Any) -> Iterator[Block]:
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield from _stream(output["name"], output["text"])
        elif output.output_type == "error":
            trace = ANSI.sub("", "\n".join(output["traceback"]))
            yield Error(output["ename"], ANSI.sub("", output["evalue"]), trace)
        else:
            yield _choose(output["data"], output.get("metadata", {}))


def _stream(name: str, text: str) -> Iterator[Block]:
    """Split what was printed into warnings, without the line of code that raised them, and the rest."""
    text = ANSI.sub("", text)
    if name == "stderr":
        for match in _WARNING.finditer(text):
            yield Note("warning", match[2].strip())
        text = _WARNING.sub("", text)
    if text.strip():
        yield Text(text.strip("\n"))


def _choose(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Block:
    """Return the block of one output, from the richest form it offers."""
    about = metadata.get("lmmtools", {})
    caption, label = visible(str(about.get("caption") or "")), identifier(str(about.get("label") or ""))
    plain = str(data.get("text/plain", ""))
    if RECORD_MIME in data:
        content = data[RECORD_MIME]
        return Record(json.loads(content) if isinstance(content, str) else content)
    if "image/svg+xml" in data or "image/png" in data:
        alt = visible(str(about.get("alt") or caption or plain))
        png = "" if "image/svg+xml" in data else str(data["image/png"]).strip()
        return Figure(str(data.get("image/svg+xml", "")), png, caption, label, alt)
    if _MARKED in data:
        return Prose(str(data[_MARKED]))
    if "text/markdown" in data:
        return Prose(str(data["text/markdown"]), marks=False)
    if "text/latex" in data:
        return Prose(str(data["text/latex"]), marks=False)
    if "text/html" in data:
        return Table(str(data["text/html"]), str(data.get("text/vnd.typst", "")), plain, caption, label)
    return Text(plain)
