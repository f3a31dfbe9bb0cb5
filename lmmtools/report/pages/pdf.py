"""Typst source to PDF bytes; what cannot be had is given up step by step, so that no report is lost."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.figures import FONTS
from lmmtools.report.pages.placing import lessons

__all__ = ["compile_pdf", "forget_layouts", "timestamp"]

_MISSING = re.compile(r"the text `\"(.+?)\"` could not be displayed", re.DOTALL)
_ESCAPE = re.compile(r"\\u\{([0-9A-Fa-f]+)\}")
# File, line, and the text of the line, as Typst points at an error.
_POINTER = re.compile(r"┌─ (?:.*/)?([^/\n:]+):(\d+):\d+\s*\n\s*│\s*\n\s*\d+ │ ?(.*)")

Blame = Callable[[str, int, str, str], str]


def timestamp() -> int:
    """Return the seconds a document is dated with: ``SOURCE_DATE_EPOCH``, or 0, so that two runs agree."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    return int(text) if text.isdigit() else 0


def compile_pdf(
    source: Callable[[bool], str], files: Mapping[str, bytes], blame: Blame = "{0}, line {1}: {3}".format
) -> tuple[bytes, list[str]]:
    """Compile to PDF/UA-1; failing that to plain PDF; failing that with prose and tables as plain text.

    Parameters
    ----------
    source : callable
        ``source(plain)`` returns the main Typst file.
    files : Mapping of str to bytes
        The page design and the pictures.
    blame : callable
        Given the file, the number and the text of the line at which Typst stopped, and what it said, returns
        that with the place where it was written.

    Returns
    -------
    pdf : bytes
    given_up : list of str
        A sentence for everything the reader does not get.

    Raises
    ------
    LMMError
        If not even plain text can be set: the design itself has an error.
    """
    given_up: list[str] = []
    lacking: set[str] = set()
    reason = ""
    for plain, standards in ((False, ["ua-1"]), (False, []), (True, [])):
        pdf, reason = _attempt(source(plain), files, standards, lacking, blame)
        if pdf is not None:
            if lacking:
                codes = ", ".join(sorted(map(_code, lacking)))
                given_up.append(f"The PDF's fonts lack {codes}; the code stands in place of the character.")
            return pdf, given_up
        lost = "made accessible (PDF/UA)" if standards else "set with its formulas and tables"
        given_up.append(f"The PDF could not be {lost}: {reason}")
    raise LMMError(f"The PDF could not be made: {reason}")


def forget_layouts() -> None:
    """Let go of what Typst remembers of earlier pages, 20 MB of each that no other page has a use for.

    It drops what none of the last ten documents needed, so ten empty ones are set; that takes 0.03 s.
    """
    import typst

    for _ in range(_REMEMBERED):
        typst.compile(b"", format="svg", font_paths=_fonts())


def _attempt(
    text: str, files: Mapping[str, bytes], standards: list[str], lacking: set[str], blame: Blame
) -> tuple[bytes | None, str]:
    """Compile, adding to ``lacking`` each character that Typst says no shipped font has."""
    import typst

    while True:  # ends: every turn but the last makes lacking larger
        inputs = {"main": _coded(text, lacking).encode(), **{n: _picture(n, d, lacking) for n, d in files.items()}}
        try:
            pdf = typst.compile(
                inputs | {"lessons.json": json.dumps(_lessons(inputs)).encode()},
                format="pdf",
                font_paths=_fonts(),
                pdf_standards=standards,
                timestamp=timestamp(),
            )
        except typst.TypstError as error:
            found = _characters(str(error.message)) - lacking
            if not found:
                return None, _reason(error, blame)
            lacking |= found
        else:
            return bytes(pdf), ""


def _lessons(inputs: dict[str, bytes]) -> dict[str, Any]:
    """Return what a first layout taught of where figures and tables should stand."""
    import typst

    def look(learned: dict[str, Any]) -> list[dict[str, Any]]:
        files = inputs | {"lessons.json": json.dumps(learned).encode()}
        try:
            found = typst.query(files, "<lmm-mark>", field="value", font_paths=_fonts())
        except RuntimeError:  # compiling will say so, and where
            return []
        return list(json.loads(found))

    return lessons(look)


def _characters(message: str) -> set[str]:
    """Return the characters beyond ASCII that Typst says it could not display."""
    named = "".join(_MISSING.findall(message))
    found = {chr(int(code, 16)) for code in _ESCAPE.findall(named)} | set(_ESCAPE.sub("", named))
    return {char for char in found if ord(char) > 127}


def _reason(error: Any, blame: Blame) -> str:
    """Return what Typst says, and where it says it."""
    said = "; ".join([str(error.message), *map(str, error.hints)])
    found = _POINTER.search(str(error.diagnostic))
    return blame(found[1], int(found[2]), found[3].strip(), said) if found else said


@lru_cache(maxsize=1)
def _fonts() -> Any:
    """Return the fonts of every page, looked for once in a process: Typst's own, the shipped ones, and DejaVu Sans.

    No font of the machine is used: the same page everywhere. DejaVu Sans is matplotlib's, copied out of its
    folder, where a font of last resort has a box for every character: with that, Typst would never say
    which characters cannot be shown. Used once, its files are in memory and the copies can go.
    """
    import typst

    spec = importlib.util.find_spec("matplotlib")
    source = Path(str(spec.origin)).parent / "mpl-data" / "fonts" / "ttf" if spec else Path()
    with tempfile.TemporaryDirectory(prefix="lmm-fonts-") as folder:
        for style in ("", "-Bold", "-Oblique", "-BoldOblique"):
            shutil.copyfile(source / f"DejaVuSans{style}.ttf", Path(folder) / f"DejaVuSans{style}.ttf")
        fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(FONTS), folder])
        typst.compile(_EACH_STYLE, font_paths=fonts)
    return fonts


_REMEMBERED = 11
_EACH_STYLE = b'#set text(font: "DejaVu Sans"); a #strong[a #emph[a]] #emph[a]'


def _picture(name: str, data: bytes, lacking: set[str]) -> bytes:
    return _coded(data.decode(), lacking).encode() if lacking and name.endswith(".svg") else data


def _coded(text: str, lacking: set[str]) -> str:
    return text.translate({ord(char): _code(char) for char in lacking})


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"
