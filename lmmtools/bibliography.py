"""The papers behind the methods: one file in CSL-JSON, and how a sentence names one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.formats import nearest

__all__ = ["BIBLIOGRAPHY", "cite", "references"]

# Read by pandoc's citeproc as it is.
BIBLIOGRAPHY = Path(__file__).with_suffix(".json")


@lru_cache(maxsize=1)
def references() -> Mapping[str, Mapping[str, Any]]:
    """Every entry of the bibliography by its key, in order of keys."""
    entries = json.loads(BIBLIOGRAPHY.read_text(encoding="utf-8"))
    return MappingProxyType({entry["id"]: MappingProxyType(entry) for entry in entries})


def cite(*keys: str, parenthetical: bool = False) -> str:
    """How running text names a paper.

    Parameters
    ----------
    *keys : str
        Keys of the bibliography, with or without the ``@`` before them.
    parenthetical : bool
        Whether names and year stand in brackets together.

    Returns
    -------
    str

    Raises
    ------
    LMMError
        If there is no such key; the message names the nearest.

    Examples
    --------
    >>> cite("bates2015")
    'Bates et al. (2015)'
    >>> cite("laird1982", "bates2015", parenthetical=True)
    '(Laird & Ware, 1982; Bates et al., 2015)'
    """
    if not keys:
        raise LMMError('cite: no key was given; name a paper, such as cite("bates2015").')
    named = [_named(key.removeprefix("@")) for key in keys]
    if parenthetical:
        return f"({'; '.join(f'{authors}, {year}' for authors, year in named)})"
    return "; ".join(f"{authors} ({year})" for authors, year in named)


def _named(key: str) -> tuple[str, int]:
    """Family names as running text gives them, and the year."""
    known = references()
    if key not in known:
        have = ", ".join(known)
        raise LMMError(f"there is no reference `{key}`{nearest(key, known)}: {BIBLIOGRAPHY.name} has {have}.")
    entry = known[key]
    families = [author["family"] for author in entry["author"]]
    authors = " & ".join(families) if len(families) <= 2 else f"{families[0]} et al."
    return authors, entry["issued"]["date-parts"][0][0]
