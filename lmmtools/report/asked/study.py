"""A study file: data sets and model variants in TOML, read and checked as a whole before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lmmtools.errors import StudyError
from lmmtools.formats import shortened, visible
from lmmtools.report.asked.check import check
from lmmtools.report.asked.expand import Found
from lmmtools.report.asked.schema import Study
from lmmtools.toml import Mistake, find_mistakes, key_text, line_of, positions, read_toml

__all__ = ["read_study", "study_of"]

_DATA = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".parquet", ".pq")
# Without one of these a table means nothing: what would be said of the rest of it is not said.
_NEEDED = {"name", "datasets", "formula", "formulas", "file", "notebook"}


def read_study(path: Path) -> tuple[Study, Found]:
    """Read a study file and check all of it.

    Parameters
    ----------
    path : Path
        A TOML file.

    Returns
    -------
    study : Study
    found : Found
        Where its notebooks, data files and templates are; `expand` makes runs of the two.

    Raises
    ------
    StudyError
        If the file cannot be read, or anything in it is wrong; every mistake is listed with its line and key.
    """
    _not_data(path)
    text, content = read_toml(path, "study file")
    lines = positions(text)

    def place(mistake: Mistake) -> tuple[int, str]:
        line = line_of(mistake.path, lines)
        return line, f"{path}:{line}: {key_text(mistake.path)}" if mistake.path else f"{path}:{line}"

    return study_of(content, path.parent, name=str(path), place=place)


def study_of(
    content: Mapping[str, Any], folder: Path, *, name: str, place: Callable[[Mistake], tuple[int, str]]
) -> tuple[Study, Found]:
    """Check what a study file or a request holds.

    Parameters
    ----------
    content : mapping
        As TOML gives it.
    folder : Path
        Where paths in it start.
    name : str
        What the mistakes are in.
    place : callable
        Gives a mistake's rank and says where it is.

    Raises
    ------
    StudyError
        If anything is wrong; every mistake is listed.
    """
    wrong = find_mistakes(Study, content)
    kept, origin = _sound_part(content, wrong)
    found = Found()
    if not find_mistakes(Study, kept):
        study = msgspec.convert(kept, Study)
        found, more = check(study, folder, whole=not wrong)
        wrong += [Mistake(_original(one.path, origin), one.text) for one in more]
    if wrong:
        ranked = sorted(((*place(one), one.text) for one in wrong), key=lambda one: one[0])
        raise _study_error(name, [f"{where}: {text}" for _, where, text in ranked])
    return study, found


def _not_data(path: Path) -> None:
    """Refuse a data file that is given for a study."""
    if path.name.lower().endswith(_DATA) and path.is_file():
        command = f"lmmtools report --data {visible(shlex.quote(str(path)))} --formula 'y ~ x + (x | g)'"
        raise StudyError(f"{visible(str(path))} is a data file, not a study; report it by {command}. Nothing was run.")


def _sound_part(content: Mapping[str, Any], wrong: list[Mistake]) -> tuple[Any, dict[tuple, list[int]]]:
    """Return the content without its mistakes, so that the rest can be checked too, and what items of lists were."""
    bad = {_removable(one, content) for one in wrong}
    origin: dict[tuple, list[int]] = {}

    def sound(value: Any, path: tuple) -> Any:
        if isinstance(value, Mapping):
            return {key: sound(one, (*path, key)) for key, one in value.items() if (*path, key) not in bad}
        if isinstance(value, list):
            origin[path] = [place for place in range(len(value)) if (*path, place) not in bad]
            return [sound(value[place], (*path, place)) for place in origin[path]]
        return value

    return ({} if () in bad else sound(content, ())), origin


def _removable(one: Mistake, content: Any) -> tuple:
    """Return the innermost key around a mistake that can be left out without changing what the rest means."""
    path = one.path
    while path:
        value = _at(content, path)
        if isinstance(path[-1], int) and isinstance(value, Mapping):
            break
        if isinstance(path[-1], str) and path[-1] not in _NEEDED and value is not None:
            break
        path = path[:-1]
    return path


def _at(content: Any, path: tuple) -> Any:
    """Return what stands at a path, None where nothing does."""
    for part in path:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return None
    return content


def _original(path: tuple, origin: Mapping[tuple, list[int]]) -> tuple:
    """Return a path into the sound part as one into the whole."""
    made: tuple = ()
    for part in path:
        known = origin.get(made, ())
        made = (*made, known[part] if isinstance(part, int) and part < len(known) else part)
    return made


def _safe_line(text: str) -> str:
    """Return a line that may hold a study's own words, without what a terminal would obey."""
    return shortened(text, 600)


def _study_error(name: str, found: list[str]) -> StudyError:
    name, count = visible(name), "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
    lines = "\n".join("  " + "\n    ".join(map(_safe_line, mistake.split("\n"))) for mistake in found)
    return StudyError(f"{name} has {count}; nothing was run.\n{lines}")
