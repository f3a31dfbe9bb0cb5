"""Many runs over a few worker processes; a worker that dies takes no run with it but its own."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from lmmtools.report.runs.kernel import KERNEL_ENVIRONMENT
from lmmtools.report.runs.outcome import Outcome
from lmmtools.report.runs.run import Job, perform, write_stub
from lmmtools.report.runs.tidy import tidy_log

__all__ = ["perform_all"]

# Workers are replaced after this many runs each, so that memory stays flat. Not by max_tasks_per_child,
# under which an executor that is fed while it works can wait for ever (CPython issue 115634).
_RUNS_PER_WORKER = 25


def perform_all(jobs: Sequence[Job], *, workers: int, scratch: Path) -> Iterator[Outcome]:
    """Perform all jobs, ``workers`` at a time, and yield each outcome as it is there.

    A run whose worker process dies is tried once more alone, because the worker that died may have been
    its neighbour's; if that worker dies too, the run is failed and gets a report that says so.
    """
    size = workers * _RUNS_PER_WORKER
    for first in range(0, len(jobs), size):
        suspects: list[Job] = []
        left = list(jobs[first : first + size])
        while left:
            with _executor(min(workers, len(left)), scratch) as executor:
                yield from _until_broken(executor, left, suspects, workers)
        for job in suspects:
            yield _alone(job, scratch)


def _until_broken(
    executor: ProcessPoolExecutor, left: list[Job], suspects: list[Job], workers: int
) -> Iterator[Outcome]:
    """Take jobs from ``left`` until none is left or a worker dies; jobs that were at work then are suspects."""
    at_work: dict[Future[Outcome], Job] = {}
    broken = False
    while at_work or (left and not broken):
        while left and len(at_work) < workers and not broken:
            job = left.pop(0)
            try:
                at_work[executor.submit(_perform_logged, job)] = job
            except BrokenProcessPool:
                left.insert(0, job)
                broken = True
        done, _ = wait(at_work, return_when=FIRST_COMPLETED)
        for future in done:
            job = at_work.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                suspects.append(job)
                broken = True
            except Exception as error:  # a job or an outcome that cannot be sent to another process
                yield write_stub(job, f"Its result could not be handed over ({type(error).__name__}: {error}).")


def _alone(job: Job, scratch: Path) -> Outcome:
    try:
        with _executor(1, scratch) as executor:
            return executor.submit(_perform_logged, job).result()
    except BrokenProcessPool:
        log = tidy_log(job.log.read_text(encoding="utf-8", errors="replace"), job.private) if job.log.exists() else ""
        reason = "The process that made this report died; too little memory is the usual reason."
        return write_stub(job, reason, log)
    except Exception as error:
        return write_stub(job, f"Its result could not be handed over ({type(error).__name__}: {error}).")


def _perform_logged(job: Job) -> Outcome:
    """Perform a job in a worker, whose own crash is written where the kernel's would be."""
    with job.log.open("wb") as log:
        faulthandler.enable(log, all_threads=False)
        try:
            return perform(job)
        finally:
            faulthandler.disable()


def _executor(workers: int, scratch: Path) -> ProcessPoolExecutor:
    """Return workers started afresh: a fork would carry over locks and threads of this process."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_settle, initargs=(str(scratch),))


def _settle(scratch: str) -> None:
    """Set a worker's environment, and keep its temporary files where they are cleared even if it dies."""
    os.environ.update(KERNEL_ENVIRONMENT)
    tempfile.tempdir = scratch
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the study's process is gone, or it would write where another may be at work by now."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
