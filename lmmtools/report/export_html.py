"""An nbconvert exporter: an executed notebook as one HTML file that asks nothing of the network."""

from __future__ import annotations

import html
import re
from typing import Any

from nbconvert.exporters.exporter import Exporter
from nbconvert.filters import Highlight2HTML

from lmmtools.report.blocks import Block, Code, Figure, Note, Prose, Table, Text
from lmmtools.report.exporter import LmmExporter
from lmmtools.report.markup import to_html

__all__ = ["LmmHtmlExporter"]

_HEADING = re.compile(r"<h([23]) id=\"([^\"]+)\">(.*?)</h\1>", re.DOTALL)
_FOOTNOTES = re.compile(r"<section id=\"sec-footnotes\".*?</section>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


class LmmHtmlExporter(LmmExporter):
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


def _without_math_source(body: str) -> str:
    """Drop the TeX that MathML carries along, which a contents list must not repeat."""
    return re.sub(r"<annotation.*?</annotation>", "", body, flags=re.DOTALL)
