"""Two thin nbconvert exporters: the same page laid out as one offline HTML file, or as a PDF."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbconvert.exporters import TemplateExporter
from nbconvert.exporters.exporter import Exporter
from nbconvert.filters import Highlight2HTML

from lmmtools.report.blocks import Block, Code, Figure, Note, Prose, Table, Text
from lmmtools.report.locate import resource_dir
from lmmtools.report.markup import to_html, to_typst
from lmmtools.report.page import Page, make_page
from lmmtools.report.pdf import compile_pdf
from lmmtools.tables import typst_string

__all__ = ["LmmHtmlExporter", "LmmPdfExporter", "template_folder"]

_HEADING = re.compile(r"<h([23]) id=\"([^\"]+)\">(.*?)</h\1>", re.DOTALL)
_FOOTNOTES = re.compile(r"<section id=\"sec-footnotes\".*?</section>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def template_folder(name: str) -> Path:
    """Return the folder of a shipped template, such as ``lmm_html``."""
    return resource_dir("templates") / name


class _LmmExporter(TemplateExporter):
    """What both exporters do: make the page, convert its prose in one go, render the template."""

    _template = ""

    def __init__(self, config: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("template_name", self._template)
        folder = str(resource_dir("templates"))
        kwargs.setdefault("extra_template_basedirs", [folder])  # where a template is looked for by its name
        kwargs.setdefault("extra_template_paths", [folder])  # so that one can extend "lmm_html/index.html.j2"
        super().__init__(config=config, **kwargs)

    def page_of(self, notebook: Any, resources: Mapping[str, Any]) -> Page:
        """Return the page the run prepared, or one made from the notebook alone."""
        return resources.get("lmmtools_page") or make_page(notebook)

    def prose_of(self, page: Page, convert: Any) -> dict[int, str]:
        """Return converted prose by the block's place, from one pandoc process."""
        places = [place for place, block in enumerate(page.blocks) if isinstance(block, Prose)]
        parts = [block.markdown for block in page.blocks if isinstance(block, Prose)]
        return dict(zip(places, convert(parts, template_folder(self._template)), strict=True))


class LmmHtmlExporter(_LmmExporter):
    """Executed notebook to one HTML file that asks nothing of the network."""

    _template = "lmm_html"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        """Return the HTML text and the resources."""
        copy, made = Exporter.from_notebook_node(self, nb, resources, **kwargs)
        page = self.page_of(copy, made)
        prose = self.prose_of(page, to_html)
        notes = "".join(match[0] for match in map(_FOOTNOTES.search, prose.values()) if match)
        prose = {place: _FOOTNOTES.sub("", body) for place, body in prose.items()}
        bodies = [_html_body(block, prose.get(place, "")) for place, block in enumerate(page.blocks)]
        contents = [
            {"level": int(level), "id": target, "text": _TAG.sub("", heading)}
            for body in prose.values()
            for level, target, heading in _HEADING.findall(_without_math_source(body))
        ]
        text = self.template.render(
            nb=copy, resources=made, page=page, blocks=list(zip(page.blocks, bodies, strict=True)),
            contents=contents, footnotes=notes,
        )  # fmt: skip
        return text, made


class LmmPdfExporter(_LmmExporter):
    """Executed notebook to PDF by way of Typst, with no LaTeX and no browser."""

    _template = "lmm_pdf"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def _template_extension_default(self) -> str:
        return ".typ.j2"

    def default_filters(self) -> Any:
        """Add ``typst``, which writes any text as a Typst string."""
        yield from super().default_filters()
        yield "typst", typst_text

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[bytes, dict[str, Any]]:
        """Return the PDF's bytes and the resources, whose ``lmmtools_warnings`` say what was given up."""
        copy, made = Exporter.from_notebook_node(self, nb, resources, **kwargs)
        page = self.page_of(copy, made)
        prose = self.prose_of(page, to_typst)
        files, pictures = _pictures(page)

        def source(plain: bool) -> str:
            bodies = [
                "" if plain else prose[place] if isinstance(block, Prose) else getattr(block, "typst", "")
                for place, block in enumerate(page.blocks)
            ]
            return self.template.render(
                nb=copy, resources=made, page=page, plain=plain,
                blocks=list(zip(page.blocks, bodies, pictures, strict=True)),
            )  # fmt: skip

        design = (template_folder(self._template) / "page.typ").read_text(encoding="utf-8")
        pdf, given_up = compile_pdf(source, {"page.typ": design.encode(), **files})
        made["lmmtools_warnings"] = given_up
        return pdf, made


def typst_text(text: object) -> str:
    """Return any text, of one line or several, as a Typst string literal."""
    return '"' + "\\n".join(typst_string(line)[1:-1] for line in str(text).expandtabs(4).split("\n")) + '"'


def _html_body(block: Block, prose: str) -> str:
    """Return what the template puts inside a block, as HTML."""
    if isinstance(block, Prose):
        return prose
    if isinstance(block, Table):
        return _table_body(block)
    if isinstance(block, Figure) and block.svg:
        return _inline_svg(block)
    if isinstance(block, Code):
        return Highlight2HTML(pygments_lexer="ipython3")(block.source)
    return block.text if isinstance(block, (Text, Note)) else ""


def _table_body(block: Table) -> str:
    """Return the table without style and script; its caption can stay in view while the table scrolls."""
    body = re.sub(r"<(style|script)\b.*?</\1>", "", block.html, flags=re.DOTALL)
    return re.sub(r"<caption>(.*?)</caption>", r"<caption><span>\1</span></caption>", body, flags=re.DOTALL).strip()


def _inline_svg(block: Figure) -> str:
    """Return the SVG element alone, saying what it shows to those who do not see it."""
    svg = block.svg[block.svg.index("<svg") :].strip()
    if "aria-label" in svg[: svg.index(">")]:
        return svg
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(block.alt)}"', 1)


def _pictures(page: Page) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of all figures, and for each block the name of its picture."""
    import base64

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


def _without_math_source(body: str) -> str:
    """Drop the TeX that MathML carries along, which a contents list must not repeat."""
    return re.sub(r"<annotation.*?</annotation>", "", body, flags=re.DOTALL)
