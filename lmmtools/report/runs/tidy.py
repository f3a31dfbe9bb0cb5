"""An executed notebook made the same for every run of one request: no clock times, no random ids, no log paths."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from lmmtools.report.runs.execute import Failure

__all__ = ["ANSI", "add_failure", "tidy", "tidy_log", "without_folders"]

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PAPERMILL_ERROR = "papermill-error-cell-tag"
# A file name starts where a word does: tried at every letter, one long line of print would take hours.
_FOLDERS = r"(?<![^\s'\"\x1b])[^\s'\"\x1b]*"
# ipykernel compiles each cell from a file named after its process.
_CELL_FILE = re.compile(rf"{_FOLDERS}ipykernel_\d+[/\\]\d+\.py")
_INSTALLED = re.compile(rf"{_FOLDERS}(?:site|dist)-packages[/\\]")
_ROOTS = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).resolve().parents[3], sysconfig.get_path("stdlib")))
# Where an object happens to be in memory: in its repr, and anywhere in a log.
_ADDRESS = re.compile(r"(?<= at )0x[0-9A-Fa-f]{6,}\b")
_ANY_ADDRESS = re.compile(r"\b0x[0-9A-Fa-f]{6,}\b")
_PROCESS = re.compile(r"\b(pid|PID|process|Process)([ =:]+)\d+\b")
# What faulthandler writes of threads other than the one that crashed, and the list of all compiled modules.
_OTHER_THREADS = re.compile(r"^Thread 0x.*\n(?:  .*\n?)*\n?", re.MULTILINE)
_MODULES = re.compile(r"^Extension modules: .*\n?", re.MULTILINE)
# Below a cell's own frames are those of IPython and ipykernel, which are not at fault.
_BELOW = re.compile(r"^(  File \"<cell>\", line \d+ in <module>\n)(?:  File .*\n?)+", re.MULTILINE)
_LOG_LINES = 40
_LONGEST = 100_000  # characters of one output: some thirty pages, which nobody reads, and no page is lost over more


def tidy(notebook: NotebookNode, private: Sequence[Path] = ()) -> tuple[NotebookNode, int | None]:
    """Return a copy without papermill's red error cells, times and paths, and with cell ids that stay.

    Parameters
    ----------
    notebook : NotebookNode
    private : sequence of Path
        Folders of this run alone, which its outputs must not name.

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
            _tidy_output(output, private)
    made.metadata.pop("papermill", None)
    return made, last


def add_failure(notebook: NotebookNode, last: int | None, failure: Failure, log: str = "") -> None:
    """Write the failure into the cell where it happened, if that cell shows none, and the log before it.

    The notebook's metadata name that cell as ``lmmtools.stopped_at``, counted from 0.
    """
    import nbformat

    shown = [number for number, cell in enumerate(notebook.cells) if _has_error(cell)]
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    at = shown[0] if shown else last if last is not None else code[0] if code else None
    if at is None:
        return
    outputs = notebook.cells[at].setdefault("outputs", [])
    if log:
        text = f"What the process wrote before it ended:\n{log}\n"
        outputs.append(nbformat.v4.new_output("stream", name="stderr", text=text))
    if not shown:
        outputs.append(nbformat.v4.new_output("error", ename=failure.kind, evalue=failure.sentence, traceback=[]))
    notebook.metadata["lmmtools"] = {"stopped_at": at}


def tidy_log(text: str, private: Sequence[Path] = ()) -> str:
    """Return the last lines of a process' log, the same whenever and wherever it is written."""
    text = _MODULES.sub("", _OTHER_THREADS.sub("", ANSI.sub("", text)))
    text = _BELOW.sub(r"\1", without_folders(text, private))
    text = _PROCESS.sub(r"\1\2…", _ANY_ADDRESS.sub("0x…", text))
    return "\n".join([line.rstrip() for line in text.strip().splitlines()][-_LOG_LINES:])


def without_folders(text: str, private: Sequence[Path] = ()) -> str:
    """Shorten file names to what they are called inside their package or folder, wherever that is."""
    text = _INSTALLED.sub("", _CELL_FILE.sub("<cell>", text))
    for root in _ROOTS:
        text = text.replace(root, "")
    for folder in private:
        for name in dict.fromkeys((os.path.realpath(folder), os.path.abspath(folder))):
            text = text.replace(f"{name}{os.sep}", "").replace(name, ".")
    return text


def _has_error(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def _tidy_output(output: Any, private: Sequence[Path]) -> None:
    def same(text: str) -> str:
        return _ADDRESS.sub("0x…", without_folders(_cut(text), private))

    if output.output_type == "stream":
        output["text"] = same(output["text"])
    elif output.output_type == "error":
        output["evalue"] = same(output["evalue"])
        output["traceback"] = [same(line) for line in output["traceback"]]
    elif "text/plain" in output["data"]:
        output["data"]["text/plain"] = same(output["data"]["text/plain"])


def _cut(text: str) -> str:
    """Return a text without its middle, if it is longer than anybody reads."""
    half = _LONGEST // 2
    if len(text) <= _LONGEST:
        return text
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"
