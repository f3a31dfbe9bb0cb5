"""An executed notebook made the same for every run of one request: no clock times, no random ids, no log paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from lmmtools.report.execute import Failure

__all__ = ["ANSI", "add_failure", "tidy"]

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PAPERMILL_ERROR = "papermill-error-cell-tag"
# ipykernel compiles each cell from a file named after its process.
_CELL_FILE = re.compile(r"[^\s\x1b]*ipykernel_\d+[/\\]\d+\.py")

_INSTALLED = re.compile(r"[^\s'\"\x1b]*(?:site|dist)-packages[/\\]")
_ROOT = f"{Path(__file__).resolve().parents[2]}{os.sep}"


def tidy(notebook: NotebookNode) -> tuple[NotebookNode, int | None]:
    """Return a copy without papermill's red error cells, times and paths, and with cell ids that stay.

    Returns
    -------
    notebook : NotebookNode
    last : int or None
        The cell that was started last, counted from 0.
    """
    import nbformat

    made = nbformat.from_dict(notebook)
    made.cells = [cell for cell in made.cells if _PAPERMILL_ERROR not in cell.metadata.get("tags", [])]
    last = None
    for number, cell in enumerate(made.cells):
        if cell.metadata.pop("papermill", {}).get("start_time"):
            last = number
        cell.metadata.pop("execution", None)
        cell["id"] = f"cell-{number}"  # papermill gives the cell it injects a random one
        for output in cell.get("outputs", []):
            _tidy_output(output)
    made.metadata.pop("papermill", None)
    return made, last


def add_failure(notebook: NotebookNode, last: int | None, failure: Failure) -> None:
    """Write the failure into the cell where it happened, if that cell shows none.

    The notebook's metadata name that cell as ``lmmtools.stopped_at``, counted from 0.
    """
    import nbformat

    shown = [number for number, cell in enumerate(notebook.cells) if _has_error(cell)]
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    at = shown[0] if shown else last if last is not None else code[0] if code else None
    if at is None:
        return
    if not shown:
        output = nbformat.v4.new_output("error", ename=failure.kind, evalue=failure.sentence, traceback=[])
        notebook.cells[at].setdefault("outputs", []).append(output)
    notebook.metadata["lmmtools"] = {"stopped_at": at}


def _has_error(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def _tidy_output(output: Any) -> None:
    if output.output_type == "stream":
        output["text"] = _without_folders(output["text"])
    elif output.output_type == "error":
        output["traceback"] = [_without_folders(line) for line in output["traceback"]]


def _without_folders(text: str) -> str:
    """Shorten file names to what they are called inside their package, wherever that is installed."""
    return _INSTALLED.sub("", _CELL_FILE.sub("<cell>", text)).replace(_ROOT, "")
