"""Ledgers → `Replication`: files read, models fitted over processes, each number held against what is printed."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy

from lmmtools import __version__
from lmmtools.arguments import check_count
from lmmtools.errors import LMMError
from lmmtools.processors import processor_count
from lmmtools.replication.computing.findings import Computed, Piece, compute, lost
from lmmtools.replication.computing.groups import grouped
from lmmtools.replication.computing.workers import Died, each
from lmmtools.replication.ledger.sources import chosen
from lmmtools.replication.result import Replication, gathered

__all__ = ["replicate"]

Progress = Callable[[int, int, str], None]


def replicate(
    sources: str | Path | Iterable[str | Path] | None = None,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Replication:
    """Compute published numbers and hold them against what is printed.

    Parameters
    ----------
    sources : str, pathlib.Path, or several of them, optional
        Names of `published`, or paths of ledger files of one's own; all that come with the package if left out.
    jobs : int, optional
        Processes at a time; as many as there are processors if left out. A script that uses more than one must
        call this under ``if __name__ == "__main__":``.
    progress : callable, optional
        Called as ``progress(done, total, what)``: how many numbers are done, of how many, and the source and model of
        those that were done last.

    Returns
    -------
    Replication
        The same whatever `jobs` is. What is malformed or fails has a row that says so, and costs no other number.

    Raises
    ------
    StudyError
        If there is no such source, or a file cannot be read; nothing was run.
    LMMError
        If `jobs` is no positive whole number, or no processes can be started.

    Notes
    -----
    A computed number reproduces a printed one if it lies between the ends of what rounds to that: half a unit in the
    last place to either side. Where it does not, declared alternatives are tried, and beside any that prints the
    digits stands the chance that one does so by luck.

    Examples
    --------
    >>> import lmmtools as lt
    >>> found = lt.replicate("pbkrtest", jobs=1)
    >>> len(found.entries), found.good
    (12, True)
    """
    begun = perf_counter()
    what = "replicate: jobs, the number of processes,"
    workers = processor_count() if jobs is None else check_count(jobs, what, at_least=1)
    ledgers = chosen(sources)
    # the largest first, so that no process is left with it at the end
    groups = sorted(grouped(ledgers), key=lambda group: -len(group.entries))
    pieces = [Piece(group, {i: ledgers[i] for i, _ in group.models}) for group in groups]
    computed = _computed(pieces, workers, progress, sum(len(ledger.entries) for ledger in ledgers))
    seconds = {piece.group.label: found.seconds for piece, found in zip(pieces, computed, strict=True)}
    return Replication(
        sources=gathered(ledgers, groups, computed),
        versions={
            "lmmtools": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        seconds=seconds | {"all": perf_counter() - begun},
    )


def _computed(pieces: Sequence[Piece], workers: int, progress: Progress | None, total: int) -> list[Computed]:
    """What became of each piece, in their order."""
    tell = progress or (lambda done, total, what: None)
    done = total - sum(len(piece.group.entries) for piece in pieces)  # malformed ones take no time
    tell(done, total, "")
    found: dict[int, Computed] = {}
    try:
        for place, one in each(compute, pieces, workers):
            found[place] = lost(pieces[place]) if isinstance(one, Died) else one
            done += len(pieces[place].group.entries)
            tell(done, total, pieces[place].group.label)
    except BrokenProcessPool as error:
        raise LMMError(
            "replicate: no process could be started. In a script the call must stand under "
            '`if __name__ == "__main__":`, since every process imports the script; or use jobs=1.'
        ) from error
    return [found[place] for place in range(len(pieces))]
