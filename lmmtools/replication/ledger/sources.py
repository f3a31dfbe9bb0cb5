"""Which ledgers are meant: those that come with the package by name, a user's own by path."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lmmtools.datasets import data_path
from lmmtools.errors import StudyError
from lmmtools.formats import visible
from lmmtools.frames import Frame, frame
from lmmtools.replication.ledger.entries import Ledger
from lmmtools.replication.ledger.reading import read_ledger
from lmmtools.toml import hint

__all__ = ["chosen", "published"]


def published() -> Frame:
    """The sources whose printed numbers come with the package.

    Returns
    -------
    Frame
        A row a source, by the name that `replicate` takes: title, how many numbers, and the reference.

    Examples
    --------
    >>> int(published().loc["pbkrtest", "numbers"])
    12
    """
    ledgers = [read_ledger(path) for path in _shipped().values()]
    table = pd.DataFrame(
        {
            "title": [ledger.title for ledger in ledgers],
            "numbers": [len(ledger.entries) for ledger in ledgers],
            "citation": [ledger.citation for ledger in ledgers],
        },
        index=pd.Index([ledger.name for ledger in ledgers], name="name"),
    )
    headings = {"name": "Name", "title": "Source", "numbers": "Numbers", "citation": "Reference"}
    return frame(table, caption="Published numbers that come with lmmtools", label="tbl-published", headings=headings)


def chosen(sources: str | Path | Iterable[str | Path] | None) -> tuple[Ledger, ...]:
    """Read the ledgers that are meant, each once.

    Parameters
    ----------
    sources : str, pathlib.Path, several of them, or None
        Names of those that come with the package, or paths; None for all of the former.

    Raises
    ------
    StudyError
        If there is no such source, with the nearest; if a file cannot be read, or two files have one name.
    """
    shipped = _shipped()
    if sources is None:
        paths = list(shipped.values())
    else:
        asked = [sources] if isinstance(sources, str | Path) else list(sources)
        if not asked:
            raise StudyError("replicate: no source is named; leave sources out for all. Nothing was run.")
        paths = list({path.resolve(): path for path in (_path(one, shipped) for one in asked)}.values())
    names = [path.stem for path in paths]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        both = " and ".join(visible(str(path)) for path in paths if path.stem == doubled)
        raise StudyError(f"{both} have one name, under which results are kept; rename one. Nothing was run.")
    return tuple(map(read_ledger, paths))


def _path(source: str | Path, shipped: dict[str, Path]) -> Path:
    """Where a source is: by its name, else the file."""
    if not isinstance(source, str | Path):
        raise StudyError(f"replicate: a source is a name or a path, not {source!r}. Nothing was run.")
    if str(source) in shipped:
        return shipped[str(source)]
    path = Path(source)
    if path.suffix == ".toml" or path.is_dir():
        return path
    if path.exists():
        raise StudyError(f"{visible(str(source))} is no ledger: the name of one ends in .toml. Nothing was run.")
    raise StudyError(
        f'There is no source "{visible(str(source))}" ({hint(str(source), shipped)}); a ledger of your own is named by '
        "its path. Nothing was run."
    )


def _shipped() -> dict[str, Path]:
    """The files that come with the package, by name."""
    return {path.stem: path for path in sorted((data_path() / "published").glob("*.toml"))}
