"""Where the templates and notebooks are: inside an installed wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from lmmtools.errors import StudyError

__all__ = ["resource_dir"]

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(kind: str) -> Path:
    """Return the folder of the shipped ``"templates"``, ``"notebooks"`` or ``"data"``.

    Raises
    ------
    StudyError
        If neither the installed package nor a checkout around it holds the folder.
    """
    for folder in (_PACKAGE / f"_{kind}", _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise StudyError(f"The {kind} that come with lmmtools are missing beside the package; install lmmtools again.")
