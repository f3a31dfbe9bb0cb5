"""An nbconvert exporter: an executed notebook as a PDF by way of Typst, with no LaTeX and no browser."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nbconvert.exporters.exporter import Exporter

from lmmtools.report.pages.blocks import Block, Figure, Table
from lmmtools.report.pages.exporter import LmmExporter
from lmmtools.report.pages.markup import to_typst
from lmmtools.report.pages.page import Page
from lmmtools.report.pages.pdf import compile_pdf
from lmmtools.tables import typst_string

__all__ = ["LmmPdfExporter"]

# What a template's folder may bring beside its template.
_ASSETS = (".typ", ".svg", ".png", ".jpg", ".jpeg")


class LmmPdfExporter(LmmExporter):
    """Executed notebook to PDF by way of Typst, with no LaTeX and no browser."""

    _template = "lmm_pdf"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def _template_extension_default(self) -> str:
        return ".typ.j2"

    def default_filters(self) -> Any:
        """Add ``typst``, any text as a Typst string, and ``unprinted``, the same for text that no font must draw."""
        yield from super().default_filters()
        yield "typst", typst_text
        yield "unprinted", typst_unprinted

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[bytes, dict[str, Any]]:
        """Return the PDF's bytes and the resources, whose ``lmmtools_warnings`` say what was given up."""
        copy, made = Exporter.from_notebook_node(self, nb, resources, **kwargs)
        page = self.page_of(copy, made)
        prose, converted = self.converted(page, to_typst)
        bodies = [prose.get(place, _body(block)) for place, block in enumerate(page.blocks)]
        pictures, names = _pictures(page)

        def source(plain: bool) -> str:
            shown = [""] * len(bodies) if plain else bodies
            return self.render(
                nb=copy, resources=made, page=page, plain=plain, references="" if plain else converted.references,
                blocks=list(zip(page.blocks, shown, names, strict=True)),
            )  # fmt: skip

        blame = _blame([folder / "index.typ.j2" for folder in self.folders[:-1]])
        pdf, given_up = compile_pdf(source, {**_assets(self.folders), **pictures}, blame)
        made["lmmtools_warnings"] = [*self.missing(converted), *given_up]
        return pdf, made


def typst_text(text: object) -> str:
    """Return any text, of one line or several, as a Typst string literal."""
    return '"' + "\\n".join(typst_string(line)[1:-1] for line in str(text).expandtabs(4).split("\n")) + '"'


def typst_unprinted(text: object) -> str:
    """Return text as a Typst string literal in ASCII: it keeps the characters that no shipped font has."""
    return "".join(c if c.isascii() else f"\\u{{{ord(c):x}}}" for c in typst_string(str(text)))


def _body(block: Block) -> str:
    """Return a table in its own words, labelled only if it is the first with its label; a foreign one converted."""
    if not isinstance(block, Table):
        return ""
    if not block.typst:
        return _foreign(block.html)
    head, mark, label = block.typst.rstrip().rpartition(" <")
    labelled = bool(mark) and label.endswith(">") and "\n" not in label
    return head if labelled and label != f"{block.label}>" else block.typst


def _foreign(html: str) -> str:
    """Return an HTML table of another package, such as a data frame's, as Typst; its styling is lost."""
    import pypandoc

    if "<table" not in html:
        return ""
    command = [pypandoc.get_pandoc_path(), "--from=html", "--to=typst", "--wrap=none", "--sandbox"]
    done = subprocess.run(command, input=html.encode(), capture_output=True, timeout=120)
    found = done.stdout.decode()
    return found if done.returncode == 0 and found.count("#table(") == 1 else ""


def _pictures(page: Page) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of all figures, and for each block the name of its picture."""
    files: dict[str, bytes] = {}
    names: list[str] = []
    for place, block in enumerate(page.blocks):
        if not isinstance(block, Figure):
            names.append("")
            continue
        name = f"figure{place}.svg" if block.svg else f"figure{place}.png"
        files[name] = block.svg.encode() if block.svg else base64.b64decode(block.png)
        names.append(name)
    return files, names


def _assets(folders: Sequence[Path]) -> dict[str, bytes]:
    """Return designs and pictures that templates bring; where two have one name, the inheriting template's."""
    return {
        path.name: path.read_bytes()
        for folder in reversed(folders)
        for path in sorted(folder.iterdir())
        if path.suffix in _ASSETS and path.is_file()
    }


def _blame(templates: Sequence[Path]) -> Callable[[str, int, str, str], str]:
    """Return a function that says where a line of the page's source was written: in which template of the user's."""

    def blame(file: str, line: int, text: str, said: str) -> str:
        for path in templates if file == "main" and text else ():
            for number, written in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if text in written:
                    return f"{path.parent.name}/{path.name}, line {number}: {said}"
        return f"{'the page' if file == 'main' else file}, line {line} ({text}): {said}"

    return blame
