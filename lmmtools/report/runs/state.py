"""What is remembered of each run beside its reports: what its result depends on, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from lmmtools.report.runs.files import STATE_FOLDER, write_whole
from lmmtools.report.runs.keys import Keys, file_digest

__all__ = ["State", "changed_files", "changed_fit", "changed_page", "forget", "known_runs", "read_state", "write_state"]

_WORDS = {
    "notebook": "the notebook",
    "modules": "a module that the notebook imports",
    "data": "the data",
    "lmmtools": "lmmtools itself",
    "python": "the Python it runs in",
    "packages": "an installed package",
    "title": "what its title block says",
    "outputs": "the list of its outputs",
    "templates": "its template",
    "report": "the code that makes pages",
    "renderers": "a package that makes pages",
    "shipped templates": "a shipped template",
    "date": "the date that SOURCE_DATE_EPOCH gives",
}


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered of a run; the same request gives the same state.

    ``fit`` and ``page`` are the parts of its `Keys`; ``rows`` is the digest of the rows that were read,
    remembered for the file and the reading options whose digest is ``read``; ``outputs`` gives the sha256 of
    each file by its suffix; ``executed`` says whether the notebook came to its end, so that its pages can be
    made again from the file even if they could not be made.
    """

    version: Literal[1]
    run: str
    status: str
    fit: dict[str, str]
    page: dict[str, str]
    outputs: dict[str, str]
    read: str = ""
    rows: str = ""
    executed: bool = False


def _path(folder: Path, name: str) -> Path:
    return folder / STATE_FOLDER / f"{name}.json"


def read_state(folder: Path, name: str) -> State | None:
    """Return what is remembered of a run; None if nothing is, or nothing that could be trusted."""
    try:
        state = msgspec.json.decode(_path(folder, name).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return state if state.run == name and {"json", "ipynb"} <= set(state.outputs) else None


def write_state(folder: Path, state: State) -> None:
    """Remember a run; done last, when all its files are there."""
    text = msgspec.json.format(msgspec.json.encode(state, order="deterministic"), indent=1)
    write_whole(_path(folder, state.run), text + b"\n")


def forget(folder: Path, name: str) -> None:
    """Forget a run; done first, before any of its files changes."""
    _path(folder, name).unlink(missing_ok=True)


def known_runs(folder: Path) -> list[str]:
    """Return the names of all runs that are remembered in a folder."""
    names = sorted(path.stem for path in (folder / STATE_FOLDER).glob("*.json"))
    return [name for name in names if read_state(folder, name)]


def changed_fit(state: State, keys: Keys) -> list[str]:
    """Return in words what a notebook's result depends on and is not as it was."""
    return _changed(state.fit, keys.fit)


def changed_page(state: State, keys: Keys) -> list[str]:
    """Return in words what only the pages depend on and is not as it was."""
    return _changed(state.page, keys.page)


def changed_files(state: State, folder: Path) -> list[str]:
    """Return the suffixes of a run's files that are missing or are not as they were written."""
    return [one for one, written in state.outputs.items() if file_digest(folder / f"{state.run}.{one}") != written]


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    differing = [part for part in {**new, **old} if old.get(part) != new.get(part)]
    return [_WORDS.get(part) or f"its {part.removeprefix('parameter ')}" for part in differing]
