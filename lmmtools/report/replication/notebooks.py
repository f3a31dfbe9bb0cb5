"""The notebooks that compute a source section by section: which there are, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools.report.locate import resource_dir

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run
    from lmmtools.report.runs.outcome import Outcome

__all__ = ["FOLDER", "Notebook", "NotebookStudy", "make_notebooks", "not_made", "source_notebooks"]

FOLDER = "notebooks"


@dataclass(frozen=True)
class Notebook:
    """One notebook, as the index shows it.

    Attributes
    ----------
    source : str
        The name of its source, which a ledger may have too.
    title : str
    status : str
        The run's, or ``not made``.
    reasons : tuple of str
    files : tuple of Link
        What it left, by kind.
    """

    source: str
    title: str
    status: str = "not made"
    reasons: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.status not in ("failed", "unexplained")

    @property
    def page(self) -> str:
        """The address of its HTML page, seen from the index; empty if there is none."""
        return next((file for kind, file in self.files if kind == "html"), "")


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
    """
    from lmmtools.report.runs.make import make_study

    runs = {name: _leading_back(run) for name, run in study.runs.items()}
    made = make_study(
        study, tuple(runs.values()), out / FOLDER, jobs=jobs,
        only=[runs[name].name for name in names], started=started, ended=ended,
    )  # fmt: skip
    by_name = {outcome.run.name: outcome for outcome in made.outcomes}
    return tuple(_notebook(name, by_name[runs[name].name]) for name in names)


def not_made(study: NotebookStudy, names: Sequence[str]) -> tuple[Notebook, ...]:
    """Return the notebooks of some sources as long as they are not run."""
    return tuple(Notebook(name, study.runs[name].title) for name in names)


def _leading_back(run: Run) -> Run:
    """Return the run with a page that leads back to the index."""
    return replace(run, templates={"html": resource_dir("templates") / "replication_notebook", **run.templates})


def _notebook(source: str, outcome: Any) -> Notebook:
    kinds = [(name.rpartition(".")[2], f"{FOLDER}/{name}") for name in outcome.files]
    return Notebook(source, outcome.run.title, outcome.status, tuple(outcome.reasons), tuple(kinds))
