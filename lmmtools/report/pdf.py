"""Typst source to PDF bytes; what cannot be had is given up step by step, so that no report is lost."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lmmtools.errors import LMMError

__all__ = ["compile_pdf", "timestamp"]

_MISSING = re.compile(r"the text `\"(.+?)\"` could not be displayed", re.DOTALL)
_ESCAPE = re.compile(r"\\u\{([0-9A-Fa-f]+)\}")
_STANDARD = "ua-1"


def timestamp() -> int:
    """Return the seconds a document is dated with: ``SOURCE_DATE_EPOCH``, or 0, so that two runs agree."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    return int(text) if text.isdigit() else 0


def compile_pdf(source: Callable[[bool], str], files: Mapping[str, bytes]) -> tuple[bytes, list[str]]:
    """Compile to PDF/UA-1; failing that to plain PDF; failing that with prose and tables as plain text.

    Parameters
    ----------
    source : callable
        ``source(plain)`` returns the main Typst file.
    files : Mapping of str to bytes
        The page design and the pictures.

    Returns
    -------
    pdf : bytes
    given_up : list of str
        A sentence for everything the reader does not get.
    """
    given_up: list[str] = []
    lacking: set[str] = set()
    reason = ""
    for plain, standards in ((False, [_STANDARD]), (False, []), (True, [])):
        with _figure_fonts() as fonts:
            pdf, reason = _attempt(source(plain), files, standards, lacking, fonts)
        if pdf is not None:
            if lacking:
                codes = ", ".join(sorted(map(_code, lacking)))
                given_up.append(f"The PDF's fonts lack {codes}; the code stands in place of the character.")
            return pdf, given_up
        lost = "made accessible (PDF/UA)" if standards else "set with its formulas and tables"
        given_up.append(f"The PDF could not be {lost}: {reason}")
    raise LMMError(f"The PDF could not be made: {reason}")


def _attempt(
    text: str, files: Mapping[str, bytes], standards: list[str], lacking: set[str], fonts: Path
) -> tuple[bytes | None, str]:
    """Compile, adding to ``lacking`` each character that Typst says no shipped font has."""
    import typst

    while True:  # ends: every turn but the last makes lacking larger
        try:
            pdf = typst.compile(
                {"main": _coded(text, lacking).encode(), **{n: _picture(n, d, lacking) for n, d in files.items()}},
                format="pdf",
                ignore_system_fonts=True,  # the same page on every machine
                font_paths=[str(fonts)],
                pdf_standards=standards,
                timestamp=timestamp(),
            )
        except typst.TypstError as error:
            reason = str(error.message)
            named = "".join(_MISSING.findall(reason))
            found = {chr(int(code, 16)) for code in _ESCAPE.findall(named)} | set(_ESCAPE.sub("", named))
            found = {char for char in found if ord(char) > 127} - lacking
            if not found:
                return None, reason
            lacking |= found
        else:
            return bytes(pdf), ""


@contextmanager
def _figure_fonts() -> Iterator[Path]:
    """Give a folder with the font figures are drawn in, which Typst does not bring.

    Copied out of matplotlib's folder, where a font of last resort has a box for every character: with it
    Typst would never say which characters cannot be shown.
    """
    spec = importlib.util.find_spec("matplotlib")
    source = Path(str(spec.origin)).parent / "mpl-data" / "fonts" / "ttf" if spec else Path()
    with tempfile.TemporaryDirectory(prefix="lmm-fonts-") as name:
        for font in sorted(source.glob("DejaVuSans*.ttf")) if spec else ():
            if "Mono" not in font.name and "Display" not in font.name:
                shutil.copyfile(font, Path(name) / font.name)
        yield Path(name)


def _picture(name: str, data: bytes, lacking: set[str]) -> bytes:
    return _coded(data.decode(), lacking).encode() if lacking and name.endswith(".svg") else data


def _coded(text: str, lacking: set[str]) -> str:
    return text.translate({ord(char): _code(char) for char in lacking})


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"
