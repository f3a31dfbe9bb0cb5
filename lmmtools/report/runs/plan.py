"""What is to be done of a study: which runs are executed, which pages made again, what is kept or left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from lmmtools.errors import StudyError
from lmmtools.report.runs.outcome import Outcome, failed_outcome, outcome_of
from lmmtools.report.runs.run import Job
from lmmtools.report.runs.state import State, changed_files, changed_fit, changed_page, known_runs, read_state
from lmmtools.toml.mistakes import hint

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run
    from lmmtools.report.runs.staging import Staged, Staging

__all__ = ["Plan", "Wish", "choose", "make_plan"]


@dataclass(frozen=True)
class Wish:
    """What was asked for of a study.

    Attributes
    ----------
    force : bool
        Make everything anew.
    only : tuple of str
        Patterns of run names; all runs, if empty.
    failed : bool
        Only runs that failed or have no result.
    warm : bool
        Fork kernels from a process that has imported the stack.
    """

    force: bool = False
    only: tuple[str, ...] = ()
    failed: bool = False
    warm: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what is there of every run before that, by the run's name.

    ``asked`` are the names of the runs that were asked for; ``orphans`` those of runs that left results here
    and are no longer in the study.
    """

    jobs: tuple[Job, ...]
    there: Mapping[str, Outcome]
    asked: frozenset[str]
    orphans: tuple[str, ...]


def choose(runs: Sequence[Run], patterns: Sequence[str]) -> frozenset[str]:
    """Return the names of the runs that some pattern matches; of all, if there is none.

    Raises
    ------
    StudyError
        If a pattern matches no run.
    """
    names = [run.name for run in runs]
    if not patterns:
        return frozenset(names)
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            raise StudyError(f'No run of the study is called "{pattern}", so nothing was run; {hint(pattern, names)}')
        found |= matching
    return frozenset(found)


def make_plan(
    runs: Sequence[Run], staging: Staging, out: Path, wish: Wish, times: Mapping[str, Mapping[str, float]]
) -> Plan:
    """Compare what the study asks for with what is in the folder.

    Parameters
    ----------
    runs : sequence of Run
    staging : Staging
        Copies and keys the runs' files.
    out : Path
    wish : Wish
    times : Mapping
        Clock times of earlier runs, by name.
    """
    chosen = choose(runs, wish.only)
    states = {run.name: read_state(out, run.name) for run in runs}
    staging.rows.update({state.read: state.rows for state in states.values() if state is not None and state.read})
    jobs: list[Job] = []
    earlier: dict[str, Outcome] = {}
    asked: set[str] = set()
    for run in runs:
        staged, state = staging.stage(run), states[run.name]
        wanted = run.name in chosen and not (wish.failed and state is not None and state.status != "failed")
        seconds = times.get(run.name, {})
        work, why = _work(state, staged, out)
        if wanted:
            asked.add(run.name)
            if wish.force or state is None or (state.status == "failed" and not state.executed):
                work = "execute"
            elif state.status == "failed":
                work = work or "render"
            if work:
                jobs.append(Job(run, staged, out, staging.folder / f"{run.name}.log", work, wish.warm))
        earlier[run.name] = _earlier(run, state, out, seconds, why)
    there = {run.name for run in runs}
    orphans = tuple(name for name in known_runs(out) if name not in there)
    return Plan(tuple(jobs), earlier, frozenset(asked), orphans)


def _work(state: State | None, staged: Staged, out: Path) -> tuple[str, str]:
    """Return what it takes to make a run's result current, nothing if it is, and why, as a sentence."""
    if state is None:
        return "execute", "It has not been made yet."
    fit, page, files = changed_fit(state, staged.keys), changed_page(state, staged.keys), changed_files(state, out)
    why = ""
    if fit or page:
        why = f"Out of date; changed since it was made: {', '.join([*fit, *page])}."
    elif files:
        why = f"Missing or changed by another program: {', '.join(f'.{suffix}' for suffix in files)}."
    if fit or "ipynb" in files:
        return "execute", why
    return ("render" if page or files else ""), why


def _earlier(run: Run, state: State | None, out: Path, seconds: Mapping[str, float], why: str) -> Outcome:
    """Return the outcome of a run as long as it is not done, from what it left; its numbers only if they still hold."""
    if state is None:
        return _outdated(run, (), why)
    there = [suffix for suffix in state.outputs if (out / f"{run.name}.{suffix}").is_file()]
    if why:
        return _outdated(run, there, why)
    return outcome_of(run, (out / f"{run.name}.json").read_bytes(), there, seconds)


def _outdated(run: Run, there: Sequence[str], why: str) -> Outcome:
    made = failed_outcome(run, why, there)
    return replace(made, current=False)
