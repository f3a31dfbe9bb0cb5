"""An nbconvert exporter: an executed notebook as one HTML file that asks nothing of the network."""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from typing import Any

from jinja2.filters import do_mark_safe
from nbconvert.exporters.exporter import Exporter
from nbconvert.filters import Highlight2HTML

from lmmtools.errors import LMMError
from lmmtools.report.pages.blocks import Block, Code, Figure, Prose, Table, Text
from lmmtools.report.pages.exporter import LmmExporter
from lmmtools.report.pages.foreign import plain_html
from lmmtools.report.pages.markup import to_html
from lmmtools.report.pages.policy import page_policy
from lmmtools.report.pages.terms import formula_html, message_html
from lmmtools.report.pages.webfonts import web_fonts

__all__ = ["LmmHtmlExporter"]

_HEADING = re.compile(r"<h([23]) id=\"([^\"]+)\">(.*?)</h\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_STYLE = re.compile(r"<style\b.*?</style>\s*", re.DOTALL)
# How the package's own tables and figures begin; all else comes from elsewhere.
_OUR_TABLE = re.compile(r"\s*<table class=\"lmm-table\"(?: id=\"[^\"]*\")?>")
_OUR_FIGURE = re.compile(r"<svg\b[^>]* class=\"lmm-figure\"")


class LmmHtmlExporter(LmmExporter):
    """Executed notebook to one HTML file that asks nothing of the network."""

    _template = "lmm_html"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def _create_environment(self) -> Any:
        """Make Jinja escape whatever is not known to be HTML: a template can forget nothing."""
        environment = super()._create_environment()
        environment.autoescape = True
        return environment

    def default_filters(self) -> Any:
        """Add ``data_uri``, which holds a file of the template's folder within the page, and ``formula``."""
        yield from super().default_filters()
        yield "data_uri", self.data_uri
        yield "formula", formula_html
        yield "message", message_html

    def data_uri(self, name: str) -> str:
        """Return a file of the template's folder as a ``data:`` address."""
        for folder in self.folders:
            path = folder / name
            if path.is_file():
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
        looked = " and ".join(folder.name for folder in self.folders)
        raise LMMError(f"The template asks for the file {name}, which is not in {looked}.")

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        """Return the HTML text and the resources, whose ``lmmtools_warnings`` say what could not be shown."""
        copy, made = Exporter.from_notebook_node(self, nb, resources, **kwargs)
        page = self.page_of(copy, made)
        prose, converted = self.converted(page, to_html)
        bodies = [_html_body(block, prose.get(place, "")) for place, block in enumerate(page.blocks)]
        bodies = [_with_own_ids(body, place) if body in bodies[:place] else body for place, body in enumerate(bodies)]
        bodies = [_in_frame(block, body) for block, body in zip(page.blocks, bodies, strict=True)]
        text = self.render(
            nb=copy, resources=made, page=page,
            blocks=[(block, do_mark_safe(body)) for block, body in zip(page.blocks, bodies, strict=True)],
            contents=_contents(list(prose.values()), bool(converted.references)),
            footnotes=do_mark_safe(converted.footnotes), references=do_mark_safe(converted.references),
            fonts=do_mark_safe(web_fonts()), policy=lambda script: page_policy(scripts=[str(script)]),
        )  # fmt: skip
        made["lmmtools_warnings"] = self.missing(converted)
        return text, made


def _contents(prose: list[str], cited: bool) -> list[dict[str, Any]]:
    """Return the entries of the contents list."""
    entries = [
        {"level": int(level), "id": target, "text": do_mark_safe(_TAG.sub("", _without_math_source(heading)).strip())}
        for body in prose
        for level, target, heading in _HEADING.findall(body)
    ]
    return [*entries, {"level": 2, "id": "sec-reference-list", "text": "References"}] if cited else entries


def _html_body(block: Block, prose: str) -> str:
    """Return what the template puts inside a block, as HTML."""
    if isinstance(block, Prose):
        return prose.replace("<pre>", '<pre tabindex="0">')
    if isinstance(block, Table):
        return _table_body(block)
    if isinstance(block, Figure):
        return _figure_body(block)
    if isinstance(block, Code):
        return str(Highlight2HTML(pygments_lexer="ipython3")(block.source)).replace("<pre>", '<pre tabindex="0">')
    return html.escape(block.text) if isinstance(block, Text) else ""


def _table_body(block: Table) -> str:
    """Return the table without its style sheet, with its number; one from elsewhere keeps its structure alone."""
    body = _STYLE.sub("", block.html)
    if not _OUR_TABLE.match(body):
        return plain_html(block.html).replace("<table>", f"<table>{_caption(block, html.escape(block.caption))}", 1)
    name = f' id="{block.label}"' if block.label else ""
    body = _OUR_TABLE.sub(f'<table class="lmm-table"{name}>', body, count=1)
    return re.sub(r"<caption>(.*?)</caption>", lambda m: _caption(block, m[1]), body, count=1, flags=re.DOTALL).strip()


def _caption(block: Table, text: str) -> str:
    """Return the caption in a span, which can stay in view while the table scrolls."""
    if not block.number:
        return ""
    return f'<caption><span><b class="counted">Table {block.number}.</b> {text}</span></caption>'


def _figure_body(block: Figure) -> str:
    """Return the picture; a drawing from elsewhere as an image, where its ids, styles and scripts stay its own."""
    if _OUR_FIGURE.match(block.svg.lstrip()):
        return block.svg.strip()
    if block.svg:
        source = f"image/svg+xml;base64,{base64.b64encode(block.svg.encode()).decode()}"
    else:
        source = f"image/png;base64,{''.join(block.png.split())}"
    return f'<img alt="{html.escape(block.alt)}" src="data:{html.escape(source)}">'


def _with_own_ids(svg: str, place: int) -> str:
    """Return a drawing that a page shows a second time, its ids and what refers to them made different."""

    def tag(match: re.Match[str]) -> str:
        return re.sub(r'( id="|href="#|url\(#)', rf"\1again{place}-", match[0])

    return re.sub(r"<(?!svg\b)[a-zA-Z][^<>]*>", tag, svg) if svg.startswith("<svg") else svg


def _in_frame(block: Block, body: str) -> str:
    """Return a drawing in a frame in which it scrolls where a screen is too narrow for its letters."""
    if not (isinstance(block, Figure) and body.startswith("<svg")):
        return body
    name = f"Drawing of figure {block.number}" if block.number else "Drawing"
    return f'<div class="scroll drawing" role="group" aria-label="{name}" tabindex="0">{body}</div>'


def _without_math_source(body: str) -> str:
    """Drop the TeX that MathML carries along, which a contents list must not repeat."""
    return re.sub(r"<annotation.*?</annotation>", "", body, flags=re.DOTALL)
