"""Writing whole files or none, into a folder known to be writable and used by one process at a time."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lmmtools.errors import StudyError

__all__ = ["STATE_FOLDER", "folder_lock", "prepare_folder", "write_set", "write_whole"]

STATE_FOLDER = ".lmmtools"
_SUFFIX = ".lmmtools-part"


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name in its own folder, then rename it: readers see all of it or the old."""
    write_set(path.parent, {path.name: content})


def write_set(folder: Path, contents: Mapping[str, bytes | str | None]) -> None:
    """Write several files of a folder, all of them or none; one whose content is None is removed.

    All are written under temporary names before the first takes its place, so a full disk is met while the old
    files still stand; and if one cannot take its place, those before it are put back.
    """
    parts: dict[str, Path] = {}
    kept: dict[str, Path | None] = {}
    try:
        for name, content in contents.items():
            if content is not None:
                parts[name] = _write_part(folder, name, content)
        for name in contents:
            kept[name] = _backup(folder, name)
            if name in parts:
                os.replace(parts[name], folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except BaseException:
        for name, backup in reversed(kept.items()):
            if backup is not None:
                os.replace(backup, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        raise
    finally:
        for path in [*parts.values(), *filter(None, kept.values())]:
            path.unlink(missing_ok=True)


def _write_part(folder: Path, name: str, content: bytes | str) -> Path:
    """Write the content under a temporary name, or leave nothing."""
    handle, part = tempfile.mkstemp(dir=folder, prefix=f".{name[:80]}.", suffix=_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(part, 0o644)  # mkstemp makes files that nobody else may read
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return Path(part)


def _backup(folder: Path, name: str) -> Path | None:
    """Give the file a second name under which it outlives its replacement; None if there is no file."""
    path = folder / name
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", name)
    if not path.exists():
        return None
    backup = folder / f".{name[-80:]}.{os.getpid()}.old{_SUFFIX}"  # the files of a set differ at the end
    backup.unlink(missing_ok=True)
    try:
        os.link(path, backup)
    except OSError:  # a file system without hard links: for a moment there is no file of that name
        os.replace(path, backup)
    return backup


def prepare_folder(folder: Path) -> None:
    """Make the folder if need be, and prove that it can be written to.

    Raises
    ------
    StudyError
        If the folder cannot be made or written to. Nothing in it has been changed then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"lmmtools")
        (folder / STATE_FOLDER).mkdir(exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"The output folder {folder} cannot be written to ({error.strerror or error}); nothing was run. "
            "Choose another folder with --out or free this one."
        ) from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Have an output folder for this process alone, waiting for one that has it, and clear what a killed one left."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / STATE_FOLDER / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sys.stderr.write(f"Another process writes to {folder}; waiting until it has ended.\n")
        lock.acquire()
    try:
        for place in (folder, folder / STATE_FOLDER):
            for part in place.glob(f".*{_SUFFIX}"):
                part.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
