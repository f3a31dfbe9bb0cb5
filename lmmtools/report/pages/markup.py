"""Markdown to HTML with MathML, or to Typst: one pandoc process per target for all prose of a page."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmmtools.bibliography import BIBLIOGRAPHY, references
from lmmtools.errors import LMMError
from lmmtools.report.locate import resource_dir
from lmmtools.report.pages.blocks import Prose

__all__ = ["Converted", "to_html", "to_typst"]

_MATHML = "http://www.w3.org/1998/Math/MathML"
# Characters for private use that stand for an @ which is no mark; parts.lua makes it one again.
_ESCAPED, _PLAIN = "\ue000", "\ue001"
_BACKSLASHED = re.compile(r"(?<!\\)((?:\\\\)*)\\@")
_FOOTNOTES = re.compile(r"<section id=\"sec-footnotes\".*?</section>", re.DOTALL)


@dataclass(frozen=True)
class Converted:
    """Prose in the language of a page.

    Attributes
    ----------
    parts : tuple of str
        One for each piece of prose given.
    references : str
        The list of what is cited, empty when nothing is.
    footnotes : str
        The section of all footnotes; empty for Typst, which sets them at the foot of each page.
    missing : tuple of str
        Marks such as ``@tbl-x`` that name no table, figure or paper of this page; they are shown as ``??``.
    """

    parts: tuple[str, ...] = ()
    references: str = ""
    footnotes: str = ""
    missing: tuple[str, ...] = ()


def to_html(prose: Sequence[Prose], folder: Path, labels: Mapping[str, str] | None = None) -> Converted:
    """Return prose as HTML fragments, mathematics as MathML.

    Parameters
    ----------
    prose : sequence of Prose
    folder : Path
        The template folder, which may hold a Lua filter ``prose.lua``.
    labels : Mapping of str to str, optional
        What a cross-reference to each label says, such as "Table 3".
    """
    options = ["--to=html5", "--mathml", "--id-prefix=sec-"]
    made = _convert(prose, "html", options, folder, labels or {}, "<!-- {} -->")
    *parts, last = [re.sub(r"<math.*?</math>", _repaired, part, flags=re.DOTALL) for part in (*made[0], made[1])]
    notes = _FOOTNOTES.search(last)
    listed = _FOOTNOTES.sub("", last).strip()
    return Converted(tuple(parts), listed if "csl-entry" in listed else "", notes[0] if notes else "", made[2])


def to_typst(prose: Sequence[Prose], folder: Path, labels: Mapping[str, str] | None = None) -> Converted:
    """Return prose as Typst markup, in the page design's terms (see its ``prose.lua``)."""
    parts, last, missing = _convert(prose, "typst", ["--to=typst-citations"], folder, labels or {}, "// {}")
    return Converted(parts, last if "<ref-" in last else "", "", missing)


def _convert(
    prose: Sequence[Prose], target: str, options: list[str], folder: Path, labels: Mapping[str, str], comment: str
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the converted pieces, what follows them, and the marks that name nothing."""
    if not prose:
        return (), "", ()
    texts = [_guarded(one) for one in prose]
    # Named after what it divides, so that no text can hold it.
    mark = comment.format("end of part " + hashlib.sha256("\0".join(texts).encode()).hexdigest())
    given = {"parts": texts, "target": target, "mark": mark, "labels": dict(labels), "keys": list(references())}
    whole = _pandoc(json.dumps(given), options, folder)
    *parts, missing, last = (part.strip() for part in whole.split(mark))
    return tuple(parts), last, tuple(json.loads(missing))


def _guarded(prose: Prose) -> str:
    """Return Markdown in which every @ that is no mark is something else: pandoc forgets which were escaped."""
    text = re.sub(f"[{_ESCAPED}{_PLAIN}]", "\N{REPLACEMENT CHARACTER}", prose.markdown)
    text = _BACKSLASHED.sub(rf"\1{_ESCAPED}", text)
    return text if prose.marks else text.replace("@", _PLAIN)


def _pandoc(given: str, options: list[str], folder: Path) -> str:
    import pypandoc

    shared = resource_dir("templates") / "shared"
    command = [
        pypandoc.get_pandoc_path(), "--from=commonmark", "--wrap=none", "--sandbox", *options,
        f"--lua-filter={shared / 'parts.lua'}",
        "--citeproc", f"--bibliography={BIBLIOGRAPHY}", f"--csl={shared / 'author-year.csl'}",
    ]  # fmt: skip
    lua = folder / "prose.lua"
    if lua.is_file():
        command.append(f"--lua-filter={lua}")
    text = f"~~~\n{given}\n~~~\n"  # JSON is one line, so nothing in it can end the block
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
