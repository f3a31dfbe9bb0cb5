"""An nbconvert exporter: an executed notebook as a PDF by way of Typst, with no LaTeX and no browser."""

from __future__ import annotations

from typing import Any

from nbconvert.exporters.exporter import Exporter

from lmmtools.report.blocks import Figure, Prose
from lmmtools.report.exporter import LmmExporter, template_folder
from lmmtools.report.markup import to_typst
from lmmtools.report.page import Page
from lmmtools.report.pdf import compile_pdf
from lmmtools.tables import typst_string

__all__ = ["LmmPdfExporter"]


class LmmPdfExporter(LmmExporter):
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
