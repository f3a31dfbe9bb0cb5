"""File names of runs: safe on every system, the same every time, and readable where the names allow it."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["safe_name"]

# Names that the files of a study have, and names that Windows keeps for devices, whatever follows their first dot.
_TAKEN = {"index", "run", "crosscheck"}
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{device}{i}" for device in ("com", "lpt") for i in range(10)}
_LONGEST = 120  # leaves room for suffixes and temporary names under the 255 bytes file systems allow
_KEPT = re.compile(r"[a-z0-9]|(?<=[a-z0-9])\.(?=[a-z0-9])")


def safe_name(*parts: str) -> str:
    """Return the parts joined to a file stem of lower-case letters, digits, ``-`` and ``.`` only.

    A part that such a stem cannot tell from others, because it is too long or its letters are not Latin, leaves a
    digest of itself: ``模型`` becomes ``0b5b2e4d``.
    """
    pieces = [_piece(part) for part in parts if part]
    stem = "-".join(pieces)
    if len(stem) > _LONGEST:
        stem = f"{stem[: _LONGEST - 9].rstrip('-.')}-{_digest(*parts)}"
    if stem in _TAKEN or stem.split(".")[0] in _DEVICES:
        stem = f"{stem.replace('.', '-')}-{_digest(*parts)}"
    return stem or _digest(*parts)


def _piece(part: str) -> str:
    folded = unicodedata.normalize("NFKD", part.casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    stem = re.sub(r"-+", "-", "".join(_kept(plain, place) for place in range(len(plain)))).strip("-")
    told_apart = stem and plain.isascii()
    return stem if told_apart else "-".join(filter(None, (stem, _digest(part))))


def _kept(text: str, place: int) -> str:
    found = _KEPT.match(text, place)
    return found[0] if found else "-"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]
