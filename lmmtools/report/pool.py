"""Many runs over a few worker processes; a worker that dies takes no run with it but its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from lmmtools.report.expand import Run
from lmmtools.report.kernel import KERNEL_ENVIRONMENT
from lmmtools.report.run import Outcome, failed_outcome, perform, write_stub

__all__ = ["perform_all"]

# Workers are replaced after this many runs each, so that memory stays flat. Not by max_tasks_per_child,
# under which an executor that is fed while it works can wait for ever (CPython issue 115634).
_RUNS_PER_WORKER = 25


def perform_all(runs: Sequence[Run], folder: Path, *, jobs: int) -> Iterator[Outcome]:
    """Perform all runs, ``jobs`` at a time, and yield each outcome as it is there.

    A run whose worker process dies is tried once more alone, because the worker that died may have been
    its neighbour's; if that worker dies too, the run is failed and gets a report that says so.
    """
    size = jobs * _RUNS_PER_WORKER
    with tempfile.TemporaryDirectory(prefix="lmm-", ignore_cleanup_errors=True) as scratch:
        for first in range(0, len(runs), size):
            suspects: list[Run] = []
            left = list(runs[first : first + size])
            while left:
                with _executor(min(jobs, len(left)), scratch) as executor:
                    yield from _until_broken(executor, left, suspects, folder, jobs)
            for run in suspects:
                yield _alone(run, folder, scratch)


def _until_broken(
    executor: ProcessPoolExecutor, left: list[Run], suspects: list[Run], folder: Path, jobs: int
) -> Iterator[Outcome]:
    """Take runs from ``left`` until none is left or a worker dies; runs that were at work then are suspects."""
    at_work: dict[Future[Outcome], Run] = {}
    broken = False
    while at_work or (left and not broken):
        while left and len(at_work) < jobs and not broken:
            run = left.pop(0)
            try:
                at_work[executor.submit(perform, run, folder)] = run
            except BrokenProcessPool:
                left.insert(0, run)
                broken = True
        done, _ = wait(at_work, return_when=FIRST_COMPLETED)
        for future in done:
            run = at_work.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                suspects.append(run)
                broken = True
            except Exception as error:  # an outcome that cannot be sent back
                yield failed_outcome(run, f"{type(error).__name__}: {error}")


def _alone(run: Run, folder: Path, scratch: str) -> Outcome:
    try:
        with _executor(1, scratch) as executor:
            return executor.submit(perform, run, folder).result()
    except BrokenProcessPool:
        reason = "The process that made this report died; too little memory is the usual reason."
        return write_stub(run, reason, folder)


def _executor(workers: int, scratch: str) -> ProcessPoolExecutor:
    """Return workers started afresh: a fork would carry over locks and threads of this process."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_settle, initargs=(scratch,))


def _settle(scratch: str) -> None:
    """Set a worker's environment, and keep its temporary files where they are cleared even if it dies."""
    os.environ.update(KERNEL_ENVIRONMENT)
    tempfile.tempdir = scratch
