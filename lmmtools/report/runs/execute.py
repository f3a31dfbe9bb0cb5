"""Executing one notebook with papermill; what went wrong comes from the exception, never from the file."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools import errors
from lmmtools.report.runs.kernel import Kernel, kernel_options
from lmmtools.report.runs.tidy import add_failure, tidy, tidy_log, without_folders

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Executed", "Failure", "execute"]


@dataclass(frozen=True)
class Failure:
    """Why a notebook stopped: ``kind`` in a word or two, ``sentence`` to be read."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Executed:
    """An executed notebook without clock times, what stopped it if anything did, how long it took, and its log."""

    notebook: NotebookNode
    failure: Failure | None
    seconds: float
    log: str = ""


def execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    timeout: float,
    data: tuple[str, Path] | None = None,
    log: Path | None = None,
    warm: bool = False,
) -> Executed:
    """Execute a notebook with parameters in a kernel of its own.

    Parameters
    ----------
    notebook : Path
    parameters : Mapping
        What is injected after the parameters cell.
    timeout : float
        Seconds one cell may take.
    data : tuple of (str, Path), optional
        A file the notebook finds in its working folder: the name it has there, and where it is.
    log : Path, optional
        The file that takes what the kernel's process writes past the notebook; its end is kept if the run fails.
    warm : bool
        Whether the kernel is forked from a process that has imported the stack.

    Returns
    -------
    Executed
        Also for a notebook that fails, whose kernel dies or whose cell takes too long.
    """
    start = time.perf_counter()
    # What a process that the notebook started still writes there must not spoil the report.
    with tempfile.TemporaryDirectory(prefix="lmm-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = log or folder / "log"
        work = folder / "work"  # what a notebook writes by a relative path is thrown away with the folder
        work.mkdir()
        if data is not None:
            _give(work / data[0], data[1])
        with kernel_options(log, warm=warm) as kernel:
            output = folder / "executed.ipynb"
            error = _run(notebook, output, parameters, work, timeout, kernel)
        private = (work, folder, log.parent)
        failure = None if error is None else _failure(error, timeout, kernel, private)
        tidied, last = tidy(_read(output, notebook), private)
        said = ""
        if failure is not None:
            said = tidy_log(log.read_text(encoding="utf-8", errors="replace"), private) if log.exists() else ""
            add_failure(tidied, last, failure, said)
    return Executed(tidied, failure, time.perf_counter() - start, said)


def _run(
    notebook: Path, output: Path, parameters: Mapping[str, Any], work: Path, timeout: float, kernel: Kernel
) -> Exception | None:
    """Execute the notebook and return what stopped it."""
    from papermill import execute_notebook

    from lmmtools.report.runs.engine import ENGINE

    _quiet()
    try:
        execute_notebook(
            str(notebook),
            str(output),
            parameters=dict(parameters),
            engine_name=ENGINE,
            cwd=str(work),
            progress_bar=False,
            execution_timeout=timeout,
            shutdown_kernel="immediate",
            record_timing=False,
            raise_on_iopub_timeout=False,
            **kernel.options,
        )
    except Exception as error:  # whatever it was, it is this run's failure and no other's
        return error
    return None


def _give(place: Path, source: Path) -> None:
    """Put a data file into the run's folder: by a link, or as a copy where links are not allowed."""
    try:
        os.symlink(source, place)
    except OSError:
        shutil.copyfile(source, place)


def _read(output: Path, notebook: Path) -> NotebookNode:
    """Return the executed notebook, or the one that was to be executed if no whole one was left."""
    import nbformat

    try:
        return nbformat.read(str(output), as_version=4)
    except (OSError, nbformat.reader.NotJSONError):  # never begun, or cut off by a full disk
        return nbformat.read(str(notebook), as_version=4)


def _failure(error: Exception, timeout: float, kernel: Kernel, private: tuple[Path, ...]) -> Failure:
    """Say what stopped the notebook."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        text = without_folders(str(error.evalue).strip(), private)
        ours = error.ename in errors.__all__
        return Failure("error", text if ours else f"{error.ename}: {text}".rstrip(": "))
    if isinstance(error, CellTimeoutError):
        return Failure(
            "timeout",
            f"A cell ran longer than the {timeout:g} s it may take, so the run was stopped; "
            "raise timeout in the study file if it needs longer.",
        )
    if isinstance(error, DeadKernelError):
        return Failure("kernel died", f"The process that ran the notebook died:{kernel.death}.")
    text = without_folders(f"{type(error).__name__}: {error}", private)
    return Failure("error", f"The notebook could not be executed: {text}")


def _quiet() -> None:
    """Keep papermill's log off the terminal, where the progress bar is."""
    log = logging.getLogger("papermill")
    log.addHandler(logging.NullHandler())
    log.propagate = False
