"""Pages of sources that an earlier run left in the folder: no run may hide them, or pass them off as its own."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Earlier", "earlier_pages"]

# How the page of a source says whose it is; it stands after the fonts.
_OURS = re.compile(r'<header class="masthead" data-ledger="([^"]*)">.*?<h1>(.*?)</h1>', re.DOTALL)


@dataclass(frozen=True)
class Earlier:
    """A page of an earlier run.

    Attributes
    ----------
    name, title : str
        The name of its source, which is also that of the page, and its title.
    written : str
        When, in UTC.
    """

    name: str
    title: str
    written: str


def earlier_pages(out: Path, current: Collection[str]) -> tuple[Earlier, ...]:
    """Return the pages of sources in a folder that a run does not write anew.

    Parameters
    ----------
    out : Path
    current : collection of str
        Names of the sources whose pages it writes.
    """
    found = []
    for path in sorted(out.glob("*.html")):
        if path.stem in current:
            continue
        try:
            ours = _OURS.search(path.read_text(encoding="utf-8", errors="replace"))
            written = time.strftime("%Y-%m-%d %H:%M", time.gmtime(path.stat().st_mtime))
        except OSError:  # it cannot be read, or is no longer there: nobody's page
            continue
        if ours and html.unescape(ours[1]) == path.stem:
            found.append(Earlier(path.stem, html.unescape(ours[2]), written))
    return tuple(found)
