"""What is asked of a replication: ledgers of published numbers, and notebooks of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmmtools.errors import StudyError
from lmmtools.formats import listed, visible
from lmmtools.report.replication.notebooks import NotebookStudy, source_notebooks
from lmmtools.report.replication.pages import NAMES
from lmmtools.toml import hint

__all__ = ["Request", "read_request"]


@dataclass(frozen=True)
class Request:
    """What is asked for, and is there.

    Attributes
    ----------
    ledgers : tuple of str
        Names of shipped ledgers, and paths of others.
    notebooks : tuple of str
        Names of sources whose notebooks are run.
    unrun : tuple of str
        Names of those whose notebooks are only named.
    study : NotebookStudy
        All notebooks of sources.
    """

    ledgers: tuple[str, ...]
    notebooks: tuple[str, ...]
    unrun: tuple[str, ...]
    study: NotebookStudy


def read_request(sources: Sequence[str], *, notebooks: bool = True) -> Request:
    """Return what some names and paths ask for: everything, if there are none.

    Parameters
    ----------
    sources : sequence of str
        Names of shipped sources, which have a ledger, a notebook, or both; paths of ledgers of the user's own.
    notebooks : bool
        Whether notebooks are run.

    Raises
    ------
    StudyError
        If a source is unknown (the nearest is named), has a name that is taken, or nothing is left to do.
    """
    from lmmtools import published

    study = _study(notebooks)
    shipped = [str(name) for name in published().index]
    asked = list(dict.fromkeys(sources)) or [*shipped, *(name for name in study.runs if name not in shipped)]
    wrong = [said for one in asked if (said := _wrong(one, [*shipped, *study.runs]))]
    if wrong:
        raise StudyError(
            f"{' '.join(wrong)} Nothing was run. A ledger of your own is named by its path: mine/table.toml."
        )
    ledgers = tuple(one for one in asked if one not in study.runs or one in shipped)
    named = tuple(one for one in asked if one in study.runs)
    if not ledgers and not notebooks:
        raise StudyError(
            f"{listed(named)}: there is a notebook, but no ledger of printed numbers, and notebooks are not asked for. "
            "Nothing was run; leave out --no-notebooks."
        )
    return Request(ledgers, named if notebooks else (), () if notebooks else named, study)


def _study(needed: bool) -> NotebookStudy:
    """Return the notebooks of sources; none if their file is wrong and they are not needed."""
    try:
        return source_notebooks()
    except StudyError:
        if needed:
            raise
        return NotebookStudy("", {})


def _wrong(source: str, known: Sequence[str]) -> str:
    """Return what is wrong with the name of nothing, or with a ledger whose page would take the place of another."""
    if source in known:
        return ""
    if not source.strip():
        return "The name of a source is empty."
    path = Path(source)
    if path.suffix != ".toml" and not path.exists():
        meant = hint(source, list(dict.fromkeys(known)))
        return f'There is no source "{visible(source)}"; {meant}{"" if meant.endswith("?") else "."}'
    if path.stem in NAMES:
        return f"{visible(source)}: a page called {path.stem}.html would take the place of another; rename the ledger."
    return ""
