"""Pieces of work over processes; one that dies takes no piece with it but its own.

Nothing but the standard library and `processors` is imported as this module is: a process that starts here can still be
told how many threads its linear algebra may use.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Any

from lmmtools.processors import ONE_THREAD

__all__ = ["Died", "each"]


class Died:
    """What comes back of a piece whose process ended before it was done."""


def each(work: Callable[[Any], Any], pieces: Sequence[Any], jobs: int) -> Iterator[tuple[int, Any]]:
    """Work on all pieces.

    Parameters
    ----------
    work : callable
        A function of a module; with its argument and what it returns it must be picklable.
    pieces : sequence
    jobs : int
        Processes at a time; with 1, or a single piece, this one does the work.

    Yields
    ------
    place : int
        Of the piece; they come in the order in which they are done.
    found : object
        What `work` returned, or `Died`.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If no process can be started at all.
    """
    if min(jobs, len(pieces)) <= 1:
        yield from ((place, work(piece)) for place, piece in enumerate(pieces))
        return
    suspects: list[int] = []
    done = 0
    before = set(active_children())
    with _executor(min(jobs, len(pieces))) as executor:
        at_work = {executor.submit(work, piece): place for place, piece in enumerate(pieces)}
        try:
            for future in as_completed(at_work):
                try:
                    found = future.result()
                except BrokenProcessPool:
                    suspects.append(at_work[future])
                    continue
                done += 1
                yield at_work[future], found
        except BaseException:
            # who interrupts does not wait for what is at work, which may take for ever
            executor.shutdown(wait=False, cancel_futures=True)
            for process in set(active_children()) - before:
                process.terminate()
            raise
    for place in sorted(suspects):
        # a process that died may have been a neighbour's: each is tried once more, alone
        try:
            with _executor(1) as executor:
                found = executor.submit(work, pieces[place]).result()
        except BrokenProcessPool:
            if not done:
                raise
            found = Died()
        done += 1
        yield place, found


def _executor(workers: int) -> ProcessPoolExecutor:
    """Processes that are started afresh: a fork would carry over locks and threads of this one."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_settle)


def _settle() -> None:
    """One thread for linear algebra; an interrupt is the first process's to handle."""
    os.environ.update(ONE_THREAD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
