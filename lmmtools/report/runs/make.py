"""From a study file to a folder of reports and its index."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lmmtools.errors import LMMError, StudyError
from lmmtools.processors import processor_count
from lmmtools.report.asked.expand import Run, expand
from lmmtools.report.asked.study import read_study
from lmmtools.report.runs.files import folder_lock, prepare_folder, write_set, write_whole
from lmmtools.report.runs.keys import environment
from lmmtools.report.runs.outcome import SUFFIXES, Outcome
from lmmtools.report.runs.plan import Plan, Wish, choose, make_plan
from lmmtools.report.runs.staging import Staging, scratch_folder

__all__ = ["Made", "make_reports", "make_study"]

_Index = Callable[[Sequence[Outcome]], dict[str, str]]
_INDEX_NAMES = ("index.html", "index.csv", "index.json", "crosscheck.html")


class Titled(Protocol):
    """What is asked of a study here."""

    title: str


@dataclass(frozen=True)
class Made:
    """What a study left.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Of all runs, in the study's order.
    index : Path
    seconds : float
    asked : frozenset of str
        Names of the runs that were asked for; only these count for `good`.
    done : tuple of str
        Names of the runs that were executed or whose pages were made; all others were as they should be.
    orphans : tuple of str
        Names of runs that left results in the folder and are no longer in the study.
    """

    outcomes: tuple[Outcome, ...]
    index: Path
    seconds: float
    asked: frozenset[str] = frozenset()
    done: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether no run that was asked for failed and no cross-check of theirs is unexplained."""
        asked = [outcome for outcome in self.outcomes if outcome.run.name in self.asked]
        return all(outcome.status not in ("failed", "unexplained") for outcome in asked)


def make_reports(study_file: Path, out: Path, **options: Any) -> Made:
    """Check a study, run what is not there yet, and write its reports, its index and ``run.json``.

    Parameters
    ----------
    study_file : Path
    out : Path
        The folder reports are written to; made if need be.
    **options
        As of `make_study`.

    Raises
    ------
    StudyError
        If the study or the folder is wrong; nothing has been run then.
    LMMError
        If the index cannot be written once the reports are there.
    """
    study, found = read_study(study_file)
    return make_study(study, expand(study, found), out, **options)


def make_study(
    study: Titled,
    runs: Sequence[Run],
    out: Path,
    *,
    jobs: int | None = None,
    force: bool = False,
    only: Sequence[str] = (),
    failed: bool = False,
    warm: bool = False,
    started: Callable[[tuple[Run, ...]], None] = lambda runs: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
    above: tuple[str, str] | None = None,
) -> Made:
    """Run what is not there yet of a study's runs, and write the reports, the index and ``run.json``.

    Parameters
    ----------
    study
        Whose ``title`` the index has.
    runs : sequence of Run
    out : Path
        The folder reports are written to; made if need be. Another process that uses it is waited for.
    jobs : int, optional
        Runs at a time; as many as there are processors, if left out.
    force : bool
        Make everything anew, also what is as it should be.
    only : sequence of str
        Patterns (``*``, ``?``) of run names; other runs are left as they are.
    failed : bool
        Only runs that failed or have no result.
    warm : bool
        Fork kernels from a process that has imported the stack.
    started : callable
        Called with the runs that will be done, before the first.
    ended : callable
        Called with the outcome of each of these.
    above : tuple of str, optional
        Address and name of the page that the index leads back to.
    """
    def index_of(outcomes: Sequence[Outcome]) -> dict[str, str]:
        from lmmtools.report.overview.index import index_files

        return index_files(study.title, outcomes, above=above)

    choose(runs, only)
    _keep_apart(runs, out)
    prepare_folder(out)
    with folder_lock(out), scratch_folder() as scratch:
        start, clock = time.perf_counter(), time.time()
        earlier = _times(out)
        staging = Staging(scratch, environment(), out=out)
        plan = make_plan(runs, staging, out, Wish(force, tuple(only), failed, warm), earlier)
        workers = max(1, min(jobs or processor_count(), len(plan.jobs)))
        started(tuple(job.run for job in plan.jobs))
        found, done = dict(plan.there), []
        try:
            for outcome in _performed(plan, index_of, out, workers, scratch):
                found[outcome.run.name] = outcome
                done.append(outcome.run.name)
                ended(outcome)
        finally:  # also of a study that is stopped
            outcomes = tuple(found[run.name] for run in runs)
            seconds = time.perf_counter() - start
            _write_index(index_of(outcomes), out, _times_text(clock, seconds, workers, outcomes, done))
    in_order = tuple(job.run.name for job in plan.jobs)
    return Made(outcomes, out / "index.html", seconds, plan.asked, in_order, plan.orphans)


def _keep_apart(runs: Sequence[Run], out: Path) -> None:
    """Refuse a folder in which reports would take the place of what they are made from."""
    names = {f"{run.name}.{suffix}" for run in runs for suffix in SUFFIXES} | {*_INDEX_NAMES, "run.json"}
    read = dict.fromkeys(path for run in runs for path in (run.notebook, run.source) if path is not None)
    for path in read:
        if path.name in names and path.parent.resolve() == out.resolve():
            raise StudyError(
                f"{path} would be overwritten by a report of that name; nothing was run. "
                "Choose another folder with --out or rename the file."
            )
    for folder in dict.fromkeys(folder for run in runs for folder in run.templates.values()):
        if folder.resolve() == out.resolve():
            raise StudyError(f"{folder} is a template's folder; nothing was run. Choose another folder with --out.")


def _performed(plan: Plan, index_of: _Index, out: Path, workers: int, scratch: Path) -> Iterator[Outcome]:
    """Do what is to be done, after the index says what is not there yet: no old number outlives a killed study."""
    if plan.jobs:
        from lmmtools.report.runs.pool import perform_all

        try:
            write_set(out, index_of(tuple(plan.there.values())))
        except OSError:  # no place for a new one, which is said at the end; the old one would show what is replaced
            for name in _INDEX_NAMES:
                with suppress(OSError):
                    (out / name).unlink()
        yield from perform_all(plan.jobs, workers=workers, scratch=scratch)


def _write_index(files: Mapping[str, str], out: Path, times: str) -> None:
    try:
        write_set(out, files)
        write_whole(out / "run.json", times)
    except OSError as error:
        raise LMMError(
            f"The reports are in {out}, but its index could not be written ({error.strerror or error})."
        ) from error


def _times(out: Path) -> Mapping[str, Mapping[str, float]]:
    """Return the clock times of earlier runs, by name; none if the file is not one of ours."""
    try:
        runs = json.loads((out / "run.json").read_text(encoding="utf-8"))["runs"]
        return {name: {str(k): float(v) for k, v in one.items() if k != "reused"} for name, one in runs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _times_text(clock: float, seconds: float, jobs: int, outcomes: Sequence[Outcome], done: Sequence[str]) -> str:
    """Return ``run.json``: one line a run, aligned, because the index shows it as it is."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock))
    head = json.dumps({"started": started, "seconds": round(seconds, 2), "jobs": jobs}, indent=1)
    width = max((len(one.run.name) for one in outcomes), default=0) + 3
    lines = []
    for one in outcomes:
        numbers = [f'"{key}": {value:6.2f}' for key, value in one.seconds.items()]
        words = [] if one.run.name in done else ['"reused": true']
        name = f'"{one.run.name}":'
        lines.append(f"  {name:{width}} {{{', '.join(numbers + words)}}}")
    return f'{head[:-2]},\n "runs": {{\n' + ",\n".join(lines) + "\n }\n}\n"
