"""The text of a TOML file and what it holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from lmmtools.errors import StudyError
from lmmtools.formats import visible
from lmmtools.toml.mistakes import hint

__all__ = ["read_toml"]


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
    what : str
        What such a file is called: ``"study file"``.

    Returns
    -------
    text : str
    content : dict

    Raises
    ------
    StudyError
        If it is not there, cannot be read, or is not TOML; with the line, where there is one.
    """
    shown = visible(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError as error:
        beside = sorted(one.name for one in path.parent.glob("*.toml"))
        meant = f" ({hint(path.name, beside)})" if beside else ""
        raise StudyError(f"There is no {what} {shown}{meant}; nothing was run.") from error
    except IsADirectoryError as error:
        raise StudyError(f"{shown} is a folder; name the {what} in it. Nothing was run.") from error
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        line = (at[1] if at else None) or text.count("\n") + 1
        raise StudyError(f"{shown}:{line}: this is not valid TOML: {error}. Nothing was run.") from error
    except RecursionError as error:
        raise StudyError(f"The {what} {shown} is nested too deep; nothing was run.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise StudyError(f"{shown}:{line}: this is not UTF-8; save the file as UTF-8. Nothing was run.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StudyError(f"The {what} {shown} cannot be read ({reason}); nothing was run.") from error
