"""What a page may do: its own script and style sheets, known by their hashes, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

__all__ = ["content_hash", "page_policy"]


def content_hash(text: str) -> str:
    """Return the source expression that allows one inline script or style sheet, ``'sha256-…'``.

    Parameters
    ----------
    text : str
        What stands between the tags, to the last line break.
    """
    digest = hashlib.sha256(text.replace("\r\n", "\n").encode()).digest()  # browsers read a line break as \n
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page_policy(*, scripts: Iterable[str] = (), styles: Iterable[str] = (), frames: str = "'none'") -> str:
    """Return the content of a page's Content-Security-Policy: no request leaves it.

    Parameters
    ----------
    scripts, styles : iterable of str
        The texts of its inline scripts and style sheets; without style sheets, any inline style is allowed.
    frames : str
        What its frames may show.
    """
    allowed = " ".join(map(content_hash, scripts)) or "'none'"
    sheets = " ".join(map(content_hash, styles)) or "'unsafe-inline'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {sheets}; img-src data:; font-src data:; "
        f"frame-src {frames}; base-uri 'none'; form-action 'none'"
    )
