"""Executing one notebook with papermill; what went wrong comes from the exception, never from the file."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools import errors
from lmmtools.report.kernel import kernel_options
from lmmtools.report.tidy import add_failure, tidy

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
    """An executed notebook without clock times, what stopped it if anything did, and how long it took."""

    notebook: NotebookNode
    failure: Failure | None
    seconds: float


def execute(notebook: Path, parameters: Mapping[str, Any], *, timeout: float) -> Executed:
    """Execute a notebook with parameters in a kernel of its own.

    Parameters
    ----------
    notebook : Path
    parameters : Mapping
        What is injected after the parameters cell.
    timeout : float
        Seconds one cell may take.

    Returns
    -------
    Executed
        Also for a notebook that fails, whose kernel dies or whose cell takes too long.
    """
    import nbformat
    from papermill import execute_notebook

    _quiet()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lmm-run-") as folder, kernel_options() as options:
        output = Path(folder) / "executed.ipynb"
        failure = None
        try:
            execute_notebook(
                str(notebook),
                str(output),
                parameters=dict(parameters),
                cwd=folder,  # what a notebook writes by a relative path is thrown away with the folder
                progress_bar=False,
                execution_timeout=timeout,
                shutdown_kernel="immediate",
                record_timing=False,
                raise_on_iopub_timeout=False,
                **options,
            )
        except Exception as error:  # whatever it was, it is this run's failure and no other's
            failure = _failure(error, timeout)
        executed = nbformat.read(str(output if output.exists() else notebook), as_version=4)
    tidied, last = tidy(executed)
    if failure is not None:
        add_failure(tidied, last, failure)
    return Executed(tidied, failure, time.perf_counter() - start)


def _failure(error: Exception, timeout: float) -> Failure:
    """Say what stopped the notebook."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        text = str(error.evalue).strip()
        ours = error.ename in errors.__all__
        return Failure("error", text if ours else f"{error.ename}: {text}".rstrip(": "))
    if isinstance(error, CellTimeoutError):
        return Failure(
            "timeout",
            f"A cell ran longer than the {timeout:g} s it may take, so the run was stopped; "
            "raise timeout in the study file if it needs longer.",
        )
    if isinstance(error, DeadKernelError):
        return Failure(
            "kernel died",
            "The process that ran the notebook died; too little memory is the usual reason.",
        )
    return Failure("error", f"The notebook could not be executed: {type(error).__name__}: {error}")


def _quiet() -> None:
    """Keep papermill's log off the terminal, where the progress bar is."""
    log = logging.getLogger("papermill")
    log.addHandler(logging.NullHandler())
    log.propagate = False
