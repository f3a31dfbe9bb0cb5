"""Replicates in blocks: each with random numbers of its own, on one processor or several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError

__all__ = ["bar", "check_rng", "generator_of", "replicate", "seeds_of"]

# Replicates in a block, and numbers in a block's responses: a block is what one call works on, whatever the workers.
_MOST, _NUMBERS = 50, 2_000_000


def replicate(
    work: Callable[[np.random.Generator, int], list[Any]],
    n: int,
    rng: Any,
    *,
    nobs: int,
    workers: int = 1,
    progress: bool | None = None,
    what: str = "bootstrap",
) -> list[Any]:
    """Items of n replicates, in order, the same bit for bit whatever the number of workers.

    Parameters
    ----------
    work : callable
        ``work(generator, m)`` gives a list of m items; for several workers it must be picklable.
    n : int
    rng : numpy.random.Generator, numpy.random.SeedSequence or int
        Every block of replicates has a generator spawned from it.
    nobs : int
        Rows of the model, on which alone the size of a block depends.
    workers : int
        Processes; 1 is this one.
    progress : bool, optional
        Whether a bar is shown on standard error; by default where that is a terminal.
    what : str
        What is done, for messages.

    Raises
    ------
    LMMError
        If `rng` is none of these, `workers` no positive whole number, or the processes cannot be used.
    """
    check_count(workers, f"{what}: workers, the number of processes,", at_least=1)
    size = int(np.clip(_NUMBERS // max(nobs, 1), 1, _MOST))
    sizes = [min(size, n - start) for start in range(0, n, size)]
    tasks = list(zip(seeds_of(rng, len(sizes), what), sizes, strict=True))
    items: list[Any] = []
    with bar(n, what, progress) as advance:
        for block in _serial(work, tasks) if workers == 1 else _parallel(work, tasks, workers, what):
            items += block
            advance(len(block))
    return items


def seeds_of(rng: Any, n: int, what: str) -> list[np.random.SeedSequence]:
    """Seeds for n streams that do not overlap; a Generator moves on by four numbers."""
    rng = check_rng(rng, what)
    if isinstance(rng, np.random.Generator):
        rng = np.random.SeedSequence([int(x) for x in rng.integers(2**32, size=4)])
    # a new one, since a SeedSequence counts its children and would give others the next time
    return np.random.SeedSequence(rng.entropy, spawn_key=rng.spawn_key, pool_size=rng.pool_size).spawn(n)


def check_rng(rng: Any, what: str) -> np.random.Generator | np.random.SeedSequence:
    """A source of random numbers.

    Raises
    ------
    LMMError
        If it is none.
    """
    if isinstance(rng, np.random.Generator | np.random.SeedSequence):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return np.random.SeedSequence(int(rng))
    got = "" if rng is None else f"; got {rng!r}"
    raise LMMError(
        f"{what}: random numbers need rng=numpy.random.default_rng(seed), or a seed such as rng=1, so that the result "
        f"can be repeated{got}."
    )


def generator_of(rng: Any, what: str) -> np.random.Generator:
    """A generator, of a seed or as given; refused as by `check_rng`."""
    return np.random.default_rng(check_rng(rng, what))


def _serial(work: Any, tasks: list[tuple[np.random.SeedSequence, int]]) -> Iterator[list[Any]]:
    for seed, m in tasks:
        yield work(np.random.default_rng(seed), m)


def _parallel(work: Any, tasks: list[tuple[np.random.SeedSequence, int]], workers: int, what: str) -> Iterator[Any]:
    """Blocks in order from processes that are started afresh: a fork would copy threads' locks."""
    import multiprocessing
    import pickle
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        packed = pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LMMError(
            f"{what}: what is computed cannot be sent to other processes ({error}): a statistic must be a function of "
            "a module, not a lambda or one defined inside a function; or use workers=1."
        ) from error
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), multiprocessing.get_context(method), initializer=_start, initargs=(packed,)
    )
    try:
        yield from pool.map(_block, *zip(*tasks, strict=True))
    except BrokenProcessPool as error:
        raise LMMError(
            f"{what}: a worker process ended early. In a script the call must stand under "
            '`if __name__ == "__main__":`, since every worker imports the script; a statistic must be a function of '
            "a module that workers can import; and memory must hold the fit once for each. Or use workers=1."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_WORK: Any = None  # of this worker process


def _start(packed: bytes) -> None:
    """Take the work once a process; an interrupt is the main process's to handle."""
    import pickle
    import signal

    global _WORK
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _WORK = pickle.loads(packed)


def _block(seed: np.random.SeedSequence, m: int) -> list[Any]:
    return _WORK(np.random.default_rng(seed), m)


@contextmanager
def bar(n: int, what: str, progress: bool | None) -> Iterator[Callable[[int], None]]:
    """What tells a bar how many of n steps more are done; by default where standard error is a terminal."""
    if not (sys.stderr is not None and sys.stderr.isatty() if progress is None else progress):
        yield lambda k: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task(what, total=n)
        yield lambda k: bar.update(task, advance=k)
