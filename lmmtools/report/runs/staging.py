"""What a study reads, copied once while it is hashed: what a run reads is exactly what it was keyed by."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools.errors import StudyError
from lmmtools.report.locate import resource_dir
from lmmtools.report.runs.imports import modules_digest
from lmmtools.report.runs.keys import Environment, Keys, canonical, digest, file_digest, run_keys, tree_digest

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run

__all__ = ["Staged", "Staging", "scratch_folder"]

_PREFIX = "lmm-"
_YOUNG = 60.0  # seconds in which another process may have made its folder and not yet locked it


@dataclass(frozen=True)
class Staged:
    """A run whose files are copies that nobody else changes, with the keys of these copies.

    Attributes
    ----------
    run : Run
        As the study has it, but for ``notebook``, ``source`` and ``templates``, which are the copies.
    keys : Keys
    read, rows : str
        Digest of the data file and how it is read, and of the rows that were read; empty for shipped data.
    """

    run: Run
    keys: Keys
    read: str = ""
    rows: str = ""


@dataclass
class Staging:
    """Copies for the runs of one study.

    Attributes
    ----------
    folder : Path
        The study's scratch folder.
    shared : Environment
    rows : dict of str to str
        What is known of rows already, by the digest of how they are read.
    out : Path, optional
        The folder the reports go to: no part of a template, though it may stand in a template's folder.
    """

    folder: Path
    shared: Environment
    rows: dict[str, str] = field(default_factory=dict)
    out: Path | None = None
    _copies: dict[Path, tuple[Path, str]] = field(default_factory=dict)
    _modules: dict[Path, str] = field(default_factory=dict)

    def stage(self, run: Run) -> Staged:
        """Return the run with its files copied and keyed."""
        notebook, notebook_digest = self._copy(run.notebook)
        templates = {target: self._copy(folder) for target, folder in run.templates.items()}
        data, data_digest, read, rows = None, "", "", ""
        if run.source is None:
            data_digest = _shipped_digest(run.dataset)
        else:
            data, data_digest = self._copy(run.source)
            if notebook_digest in self._shipped:  # what another reads of the file, nobody knows
                read = self._read_digest(run, data, data_digest)
                if read not in self.rows:
                    self.rows[read] = _rows_digest(run, data) or data_digest
                rows = data_digest = self.rows[read]
        if notebook not in self._modules:
            self._modules[notebook] = modules_digest(notebook)
        keys = run_keys(
            run,
            self.shared,
            notebook=notebook_digest,
            modules=self._modules[notebook],
            data=data_digest,
            templates={target: made for target, (_, made) in templates.items()},
        )
        copies = {target: copy for target, (copy, _) in templates.items()}
        return Staged(replace(run, notebook=notebook, source=data, templates=copies), keys, read, rows)

    @cached_property
    def _shipped(self) -> frozenset[str]:
        """Digests of the shipped notebooks, which use no more of a file than the rows they read."""
        return frozenset(file_digest(path) for path in resource_dir("notebooks").glob("*.ipynb"))

    def _copy(self, source: Path) -> tuple[Path, str]:
        """Return the copy of a file or folder and its digest; each is copied once."""
        if source not in self._copies:
            place = self.folder / f"in{len(self._copies)}"
            copy = place / source.name
            try:
                place.mkdir()
                if source.is_dir():
                    shutil.copytree(source, copy, ignore=self._ignored)
                    made = tree_digest(copy)
                else:
                    made = _copy_file(source, copy)
            except OSError as error:
                raise StudyError(f"{source} cannot be read ({error.strerror or error}); nothing was run.") from error
            self._copies[source] = copy, made
        return self._copies[source]

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        """Return what is no part of a template folder: compiled and hidden files, and our own reports."""
        hidden = {name for name in names if name.startswith(".") or name == "__pycache__"}
        out = None if self.out is None else self.out.resolve()
        return hidden | {name for name in names if Path(folder, name).resolve() == out}

    def _read_digest(self, run: Run, data: Path, data_digest: str) -> str:
        code = (self.shared.fit["lmmtools"], self.shared.fit["packages"])
        return digest(data.name, data_digest, canonical(_reading(run)), *code)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a temporary folder that a later run clears if this process is killed before it can."""
    from filelock import FileLock

    _clear_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / "lock")
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_leftovers() -> None:
    """Remove this user's scratch folders whose lock nobody holds: their process is gone."""
    from filelock import FileLock, Timeout

    mine = os.getuid() if hasattr(os, "getuid") else None
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = folder / "lock"
        try:
            about = lock.lstat()
            if time.time() - about.st_mtime < _YOUNG or (mine is not None and about.st_uid != mine):
                continue
            with FileLock(lock, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):  # no lock, so not ours; gone meanwhile; or still in use
            continue


def _copy_file(source: Path, copy: Path) -> str:
    """Copy a file and return the sha256 of what was copied."""
    made = hashlib.sha256()
    with source.open("rb") as old, copy.open("wb") as new:
        while chunk := old.read(1 << 20):
            made.update(chunk)
            new.write(chunk)
    copy.chmod(0o444)  # runs share it
    return made.hexdigest()


def _shipped_digest(name: str) -> str:
    """Return the digest of a shipped data set: its file and what the catalogue says of it."""
    folder = resource_dir("data")
    entry = json.loads((folder / "datasets.json").read_text(encoding="utf-8")).get(name, {})
    return digest(canonical(entry), file_digest(folder / str(entry.get("file", ""))))


def _reading(run: Run) -> dict[str, Any]:
    """Return how a run reads its data: the values of the parameters that say so."""
    values = {one.name: value for one, value, _ in run.parameters}
    return {name: values[name] for name in ("filter", "columns") if values.get(name)}


def _rows_digest(run: Run, data: Path) -> str:
    """Return the digest of the rows a run works on, as `read_data` gives them; empty if they cannot be read."""
    from lmmtools import read_data

    try:
        frame = read_data(data, **_reading(run))
        return _frame_digest(frame, data.parent)
    except Exception:  # whatever is wrong with the data, the run that reads them says it in its report
        return ""


def _frame_digest(frame: Any, folder: Path) -> str:
    from pandas.util import hash_pandas_object

    about = []
    for name, column in frame.items():
        levels = [str(level) for level in column.cat.categories] if hasattr(column, "cat") else []
        about.append([str(name), str(column.dtype), levels, bool(levels) and column.cat.ordered])
    told = canonical([about, frame.attrs.get("lmmtools", {})])
    told = told.replace(canonical(str(folder))[1:-1], "")  # the copy's place differs each time
    return digest(told, hash_pandas_object(frame, index=True).to_numpy().tobytes().hex())
