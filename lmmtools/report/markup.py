"""Markdown to HTML with MathML, or to Typst: one pandoc process per target for all prose of a notebook."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from lmmtools.errors import LMMError

__all__ = ["to_html", "to_typst"]

# Raw HTML is turned into text by the Lua filters: pandoc passes it on even without this extension.
_FORMAT = "gfm-raw_html-emoji-yaml_metadata_block+tex_math_dollars+alerts+footnotes"
_MARK = "LMMTOOLSPART{:05d}END"
_MATHML = "http://www.w3.org/1998/Math/MathML"


def to_html(parts: Sequence[str], folder: Path) -> list[str]:
    """Return each Markdown part as an HTML fragment, mathematics as MathML.

    Parameters
    ----------
    parts : sequence of str
    folder : Path
        The template folder, which may hold a Lua filter ``prose.lua``.
    """
    made = _convert(parts, ["--to=html5", "--mathml", "--id-prefix=sec-"], folder, "<p>{}</p>")
    return [re.sub(r"<math.*?</math>", _repaired, part, flags=re.DOTALL) for part in made]


def to_typst(parts: Sequence[str], folder: Path) -> list[str]:
    """Return each Markdown part as Typst markup, in the page design's terms (see its ``prose.lua``)."""
    return _convert(parts, ["--to=typst"], folder, "{}")


def _convert(parts: Sequence[str], options: list[str], folder: Path, mark: str) -> list[str]:
    """Convert all parts at once, split at the marks between them; one by one if a part swallowed a mark."""
    if not parts:
        return []
    marks = [_MARK.format(number) for number in range(1, len(parts))]
    joined = "\n\n".join(
        text for pair in zip(parts, [f"{one}\n" for one in marks] + [""], strict=True) for text in pair
    )
    whole = _pandoc(joined, options, folder)
    found: list[str] = []
    for one in marks:
        before, hit, whole = whole.partition(mark.format(one))
        if not hit:  # an unclosed fence or comment: each part by itself is still right
            return [_pandoc(part, options, folder).strip() for part in parts]
        found.append(before.strip())
    return [*found, whole.strip()]


def _pandoc(text: str, options: list[str], folder: Path) -> str:
    import pypandoc

    lua = folder / "prose.lua"
    command = [pypandoc.get_pandoc_path(), f"--from={_FORMAT}", "--wrap=none", "--sandbox", *options]
    if lua.is_file():
        command.append(f"--lua-filter={lua}")
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=120)
    if done.returncode:
        raise LMMError(f"pandoc could not convert the prose: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def _repaired(match: re.Match[str]) -> str:
    """Return one formula with its hats and spaces where they belong, and its TeX as the words a screen reader says."""
    ET.register_namespace("", _MATHML)
    math = ET.fromstring(match[0])
    for over in math.iter(f"{{{_MATHML}}}mover"):
        if len(over) == 2 and over[1].get("accent") == "true":
            over.set("accent", "true")  # browsers read it here; pandoc writes it on the mark above
    for cell in math.iter(f"{{{_MATHML}}}mtd"):
        if len(cell) > 1 and cell[0].tag == f"{{{_MATHML}}}mo":
            cell[0].set("form", "infix")  # at the start of an aligned column it stands between two sides all the same
    for annotation in math.iter(f"{{{_MATHML}}}annotation"):
        math.set("alttext", " ".join((annotation.text or "").split()))
    text = ET.tostring(math, encoding="unicode", short_empty_elements=False)
    if math.get("display") != "block":
        return text
    return f'<span class="scroll equation" tabindex="0">{text}</span>'  # a span, since it stands in a paragraph
