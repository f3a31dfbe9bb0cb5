"""The notebooks that compute a source section by section: which there are, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lmmtools.report.locate import resource_dir

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run
    from lmmtools.report.runs.outcome import Outcome

__all__ = ["FOLDER", "Notebook", "NotebookStudy", "make_notebooks", "not_run", "source_notebooks"]

FOLDER = "notebooks"
_OLD = "The files are of an earlier run; it has not been run again."


@dataclass(frozen=True)
class Notebook:
    """One notebook, as the index shows it.

    Attributes
    ----------
    source : str
        The name of its source, which a ledger may have too.
    title : str
    status : str
        The run's, ``not made``, or ``out of date``: what is there is of an earlier run, and nobody knows whether it
        would still come out so.
    reasons : tuple of str
    files : tuple of (str, str)
        What it left, by kind.
    asked : bool
        Whether it was asked for; only then does it count for `good`.
    """

    source: str
    title: str
    status: str = "not made"
    reasons: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    asked: bool = True

    @property
    def good(self) -> bool:
        """Whether it was not asked for, or nothing is wrong with it."""
        return not self.asked or self.status not in ("failed", "unexplained")

    @property
    def old(self) -> bool:
        """Whether its files are of an earlier run and may be out of date."""
        return self.status == "out of date"

    @property
    def page(self) -> str:
        """The address of its HTML page, seen from the index; empty if there is none, or an old one."""
        return "" if self.old else next((file for kind, file in self.files if kind == "html"), "")


@dataclass(frozen=True)
class NotebookStudy:
    """The study of source notebooks: its title, and its runs by the name of the source."""

    title: str
    runs: dict[str, Run]


def source_notebooks() -> NotebookStudy:
    """Return the study of the shipped source notebooks.

    Raises
    ------
    StudyError
        If its file is wrong.
    """
    from lmmtools.report.asked.expand import expand
    from lmmtools.report.asked.study import read_study

    study, found = read_study(resource_dir("notebooks") / "studies" / "sources.toml")
    return NotebookStudy(study.title, {run.variant: run for run in expand(study, found)})


def make_notebooks(
    study: NotebookStudy,
    names: Sequence[str],
    out: Path,
    *,
    jobs: int | None = None,
    started: Callable[[tuple[Run, ...]], None] = lambda runs: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> tuple[Notebook, ...]:
    """Run the notebooks of some sources, those alone that changed, into a folder beside the index.

    Parameters
    ----------
    study : NotebookStudy
    names : sequence of str
        Of sources.
    out : Path
        The folder of the index.
    jobs : int, optional
        Notebooks at a time.
    started, ended : callable
        As of `make_study`.

    Returns
    -------
    tuple of Notebook
        Those that were asked for, and all others that have files in the folder.
    """
    from lmmtools.report.runs.make import make_study

    runs = {name: _leading_back(name, run) for name, run in study.runs.items()}
    made = make_study(
        study, tuple(runs.values()), out / FOLDER, jobs=jobs,
        only=[runs[name].name for name in names], started=started, ended=ended, above=("../index.html", "All sources"),
    )  # fmt: skip
    by_name = {outcome.run.name: outcome for outcome in made.outcomes}
    there = [name for name in runs if name not in names and by_name[runs[name].name].files]
    return tuple(_notebook(name, by_name[runs[name].name], asked=name in names) for name in [*names, *there])


def not_run(study: NotebookStudy, names: Sequence[str], out: Path) -> tuple[Notebook, ...]:
    """Return the notebooks of some sources as long as they are not run, and all others that have files in the folder.

    Parameters
    ----------
    study : NotebookStudy
    names : sequence of str
        Of sources.
    out : Path
        The folder of the index.
    """
    from lmmtools.report.runs.outcome import SUFFIXES, file_names

    found = []
    for name in [*names, *(other for other in study.runs if other not in names)]:
        run = study.runs[name]
        there = [suffix for suffix in SUFFIXES if (out / FOLDER / f"{run.name}.{suffix}").is_file()]
        files = tuple((suffix, f"{FOLDER}/{file}") for suffix, file in zip(there, file_names(run, there), strict=True))
        if files:
            found.append(Notebook(name, run.title, "out of date", (_OLD,), files, name in names))
        elif name in names:
            found.append(Notebook(name, run.title))
    return tuple(found)


def _leading_back(name: str, run: Run) -> Run:
    """Return the run with a page that leads back to the index, and to the printed numbers of its source."""
    shipped = resource_dir("templates")
    own = shipped / f"replication_notebook_{name}"
    return replace(run, templates={"html": own if own.is_dir() else shipped / "replication_notebook", **run.templates})


def _notebook(source: str, outcome: Outcome, asked: bool) -> Notebook:
    kinds = tuple((name.rpartition(".")[2], f"{FOLDER}/{name}") for name in outcome.files)
    status = outcome.status if outcome.current else "out of date"
    return Notebook(source, outcome.run.title, status, tuple(outcome.reasons), kinds, asked)
