"""Writing whole files or none, into a folder known to be writable."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from lmmtools.errors import StudyError

__all__ = ["prepare_folder", "write_whole"]

_SUFFIX = ".lmmtools-part"
_LEFTOVER_SECONDS = 3600.0  # longer than any single file takes to write, so no other process still needs it


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name in its own folder, then rename it: readers see all of it or the old."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)  # mkstemp makes files that nobody else may read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def prepare_folder(folder: Path) -> None:
    """Make the folder if need be, prove that it can be written to, and clear what a killed run left half-written.

    Raises
    ------
    StudyError
        If the folder cannot be made or written to. Nothing in it has been changed then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"lmmtools")
    except OSError as error:
        raise StudyError(
            f"The output folder {folder} cannot be written to ({error.strerror or error}); nothing was run. "
            "Choose another folder with --out or free this one."
        ) from error
    oldest = time.time() - _LEFTOVER_SECONDS
    for part in folder.glob(f".*{_SUFFIX}"):
        if part.stat().st_mtime < oldest:
            part.unlink(missing_ok=True)
