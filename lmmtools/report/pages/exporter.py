"""What the two nbconvert exporters share: the page, its prose converted in one go, where templates are found."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from nbconvert.exporters import TemplateExporter

from lmmtools.errors import LMMError
from lmmtools.report.locate import resource_dir
from lmmtools.report.pages.blocks import Prose, labels_of
from lmmtools.report.pages.markup import Converted
from lmmtools.report.pages.page import Page, make_page

__all__ = ["LmmExporter", "template_folder"]


def template_folder(name: str) -> Path:
    """Return the folder of a shipped template, such as ``lmm_html``."""
    return resource_dir("templates") / name


class LmmExporter(TemplateExporter):
    """What both exporters do: make the page, convert its prose in one go, render the template.

    Parameters
    ----------
    folder : Path, optional
        A folder of the user's own with a template that inherits from the shipped one and overrides some blocks.
    """

    _template = ""

    def __init__(self, config: Any = None, *, folder: Path | None = None, **kwargs: Any) -> None:
        self.folders = tuple(one for one in (folder, template_folder(self._template)) if one is not None)
        # The user's folder before ours; "lmm_html/index.html.j2" is always ours.
        paths = [*map(str, self.folders), str(resource_dir("templates"))]
        kwargs = {"template_name": self._template, "template_paths": paths, **kwargs}
        super().__init__(config=config, **kwargs)

    def _create_environment(self) -> Any:
        """Make Jinja refuse names that nothing stands behind, instead of printing nothing."""
        environment = super()._create_environment()
        environment.undefined = StrictUndefined
        return environment

    def page_of(self, notebook: Any, resources: Mapping[str, Any]) -> Page:
        """Return the page the run prepared, or one made from the notebook alone."""
        return resources.get("lmmtools_page") or make_page(notebook)

    def converted(self, page: Page, convert: Callable[..., Converted]) -> tuple[dict[int, str], Converted]:
        """Return converted prose by the block's place, and all that was made with it, from one pandoc process."""
        places = [place for place, block in enumerate(page.blocks) if isinstance(block, Prose)]
        prose = [block for block in page.blocks if isinstance(block, Prose)]
        made = convert(prose, template_folder(self._template), labels_of(page.blocks))
        return dict(zip(places, made.parts, strict=True)), made

    def render(self, **values: Any) -> str:
        """Return the rendered template.

        Raises
        ------
        LMMError
            If a template has an error; the message names its file and line.
        """
        try:
            return str(self.template.render(**values))
        except TemplateError as error:
            raise LMMError(_located(error, self.folders)) from error

    @staticmethod
    def missing(made: Converted) -> list[str]:
        """Return a sentence for each mark in the prose that names nothing."""
        return [
            f"{mark} is no table, figure or paper that this report knows; ?? stands in its place."
            for mark in made.missing
        ]


def _located(error: TemplateError, folders: tuple[Path, ...]) -> str:
    """Say in which template an error is, and in which line."""
    places = [(one.filename, one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    places.append((getattr(error, "filename", None) or "", getattr(error, "lineno", None)))
    found = [(Path(name), line) for name, line in places if name.endswith(".j2")]
    what = getattr(error, "message", None) or str(error)
    if not found:
        return f"The template of {folders[0].name} cannot be used: {what}."
    path, line = found[-1]
    return f"The template {path.parent.name}/{path.name} has an error in line {line}: {what}."
