"""What the two nbconvert exporters share: the page, its prose converted in one go, where templates are found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbconvert.exporters import TemplateExporter

from lmmtools.report.blocks import Prose
from lmmtools.report.locate import resource_dir
from lmmtools.report.page import Page, make_page

__all__ = ["LmmExporter", "template_folder"]


def template_folder(name: str) -> Path:
    """Return the folder of a shipped template, such as ``lmm_html``."""
    return resource_dir("templates") / name


class LmmExporter(TemplateExporter):
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
