"""From a study file to a folder of reports and its index."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmmtools.errors import LMMError
from lmmtools.report.expand import Run, expand
from lmmtools.report.files import prepare_folder, write_whole
from lmmtools.report.index import index_page
from lmmtools.report.pool import perform_all
from lmmtools.report.run import Outcome
from lmmtools.report.study import read_study

__all__ = ["Made", "make_reports"]


@dataclass(frozen=True)
class Made:
    """What a study left: outcomes in the study's order, the index page, and the seconds it took."""

    outcomes: tuple[Outcome, ...]
    index: Path
    seconds: float

    @property
    def good(self) -> bool:
        """Whether no run failed and no cross-check is unexplained."""
        return all(outcome.status not in ("failed", "unexplained") for outcome in self.outcomes)


def make_reports(
    study_file: Path,
    out: Path,
    *,
    jobs: int | None = None,
    started: Callable[[tuple[Run, ...]], None] = lambda runs: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> Made:
    """Check a study, run all of it, and write its reports, ``index.html`` and ``run.json``.

    Parameters
    ----------
    study_file : Path
    out : Path
        The folder reports are written to; made if need be.
    jobs : int, optional
        Runs at a time; as many as there are processors, if left out.
    started : callable
        Called with all runs before the first.
    ended : callable
        Called with each outcome.

    Raises
    ------
    StudyError
        If the study or the folder is wrong; nothing has been run then.
    LMMError
        If the index cannot be written once the reports are there.
    """
    start, clock = time.perf_counter(), time.time()
    study, notebook, declared = read_study(study_file)
    runs = expand(study, notebook, declared)
    prepare_folder(out)
    jobs = max(1, min(jobs or _processors(), len(runs)))
    started(runs)
    found: dict[str, Outcome] = {}
    for outcome in perform_all(runs, out, jobs=jobs):
        found[outcome.run.name] = outcome
        ended(outcome)
    outcomes = tuple(found[run.name] for run in runs)
    seconds = time.perf_counter() - start
    times = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock)),
        "seconds": round(seconds, 2),
        "jobs": jobs,
        "runs": {one.run.name: {k: round(v, 2) for k, v in one.seconds.items()} for one in outcomes},
    }
    try:
        write_whole(out / "index.html", index_page(study.title, outcomes))
        write_whole(out / "run.json", json.dumps(times, indent=1) + "\n")
    except OSError as error:
        raise LMMError(
            f"The reports are in {out}, but its index could not be written ({error.strerror or error})."
        ) from error
    return Made(outcomes, out / "index.html", seconds)


def _processors() -> int:
    """Return the processors this process may use, which on a shared machine are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
