"""From a request to a folder: numbers computed, notebooks run, pages over both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lmmtools.errors import LMMError
from lmmtools.report.replication.earlier import earlier_pages
from lmmtools.report.replication.notebooks import FOLDER, Notebook, make_notebooks, not_run
from lmmtools.report.replication.pages import replication_files
from lmmtools.report.replication.request import Request
from lmmtools.report.runs.files import folder_lock, prepare_folder, write_set

__all__ = ["Made", "make_replication"]


class Told(Protocol):
    """Whoever is told how far it is."""

    def number(self, done: int, total: int, what: str) -> None:
        """Take how many numbers are computed."""

    def start(self, runs: tuple[Any, ...]) -> None:
        """Take the notebooks that will be run."""

    def end(self, outcome: Any) -> None:
        """Take how one ended."""

    def say(self, words: str) -> None:
        """Take what is done besides."""


@dataclass(frozen=True)
class Made:
    """What a replication left.

    Attributes
    ----------
    replication : Replication
    notebooks : tuple of Notebook
        Those that were asked for, and others that are in the folder.
    index : Path
    seconds : float
    given_up : tuple of str
        A sentence for everything a page could not show.
    """

    replication: Any
    notebooks: tuple[Notebook, ...]
    index: Path
    seconds: float
    given_up: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether each number that fails has been looked at, no ledger has a mistake, and no notebook failed."""
        return bool(self.replication.good) and all(one.good for one in self.notebooks)


def make_replication(request: Request, out: Path, told: Told, *, jobs: int | None = None) -> Made:
    """Compute the numbers, run the notebooks that changed, and write the pages, all of them or none.

    Parameters
    ----------
    request : Request
    out : Path
        The folder of the index; made if need be. Another process that uses it is waited for.
    told : Told
    jobs : int, optional
        Processes at a time; as many as there are processors, if left out.

    Raises
    ------
    StudyError
        If a ledger cannot be read, or the folder cannot be written to; nothing has been run then.
    LMMError
        If the pages cannot be written.
    """
    from lmmtools import Replication, replicate

    start = time.perf_counter()
    prepare_folder(out)
    with folder_lock(out):
        if request.ledgers:
            replication = replicate(request.ledgers, jobs=jobs, progress=told.number)
        else:
            replication = Replication((), {}, {})
        notebooks = not_run(request.study, [*request.notebooks, *request.unrun], out)
        given_up: list[str] = []
        try:
            if request.notebooks:
                notebooks = make_notebooks(
                    request.study, request.notebooks, out, jobs=jobs, started=told.start, ended=told.end
                )
        finally:  # also if it is stopped: the numbers are there
            told.say("pages")
            given_up = _write(replication, notebooks, out)
    return Made(replication, notebooks, out / "index.html", time.perf_counter() - start, tuple(given_up))


def _write(replication: Any, notebooks: Sequence[Notebook], out: Path) -> list[str]:
    files, given_up = replication_files(
        replication, notebooks, earlier_pages(out, [source.name for source in replication.sources])
    )
    try:
        write_set(out, files)
    except OSError as error:
        raise LMMError(
            f"The pages could not be written to {out} ({error.strerror or error}); those of before are still there. "
            f"Notebooks that were run are in {out / FOLDER}."
        ) from error
    return given_up
