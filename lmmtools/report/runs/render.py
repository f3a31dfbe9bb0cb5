"""The pages of an executed notebook; one that cannot be made as asked is made plainer, and the reader is told."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lmmtools.errors import LMMError
from lmmtools.report.pages.pdf import forget_layouts
from lmmtools.report.runs.tidy import tidy_log

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from lmmtools.report.pages.page import Page

__all__ = ["Rendered", "render"]

# What is tried in turn: the study's own template, the shipped one, the shipped one without the notebook's content.
_AS_ASKED, _SHIPPED, _BARE, _NONE = range(4)


@dataclass(frozen=True)
class Rendered:
    """The pages that could be made, by target.

    Attributes
    ----------
    pages : Mapping of str to bytes or str
    given_up : tuple of str
        A sentence for everything a page could not show.
    problems : tuple of str
        A sentence for every page that could not be made as asked, which fails the run.
    log : str
        Where in the templates and their code that was.
    """

    pages: Mapping[str, bytes | str]
    given_up: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    log: str = ""


@dataclass
class _Attempts:
    """How plainly each target is made, and what went wrong with the ways tried before."""

    level: dict[str, int]
    problems: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def render(
    notebook: NotebookNode,
    outputs: Sequence[str],
    page: Callable[[tuple[str, ...]], Page],
    *,
    templates: Mapping[str, Path],
    private: Sequence[Path] = (),
) -> Rendered:
    """Make the pages of a notebook.

    Parameters
    ----------
    notebook : NotebookNode
    outputs : sequence of str
        ``html``, ``pdf`` or both.
    page : callable
        Gives the page from the problems met so far, which it shows.
    templates : Mapping of str to Path
        The study's own template folders, by target.
    private : sequence of Path
        Folders that no page may name.
    """
    attempts = _Attempts({target: _AS_ASKED if target in templates else _SHIPPED for target in outputs})
    while True:
        shown = page(tuple(attempts.problems))
        made: dict[str, bytes | str] = {}
        given_up: list[str] = []
        for target in outputs:
            if attempts.level[target] == _NONE:
                continue
            try:
                made[target], lost = _page(target, notebook, shown, attempts.level[target], templates.get(target))
            except Exception as error:  # an error in a template, or in what makes pages: tried again, plainer
                _next(attempts, target, error, templates.get(target), private)
                break
            given_up += lost
        else:
            if "pdf" in made:
                forget_layouts()  # or a worker would grow with every run
            log = "\n".join(attempts.log)
            return Rendered(made, tuple(dict.fromkeys(given_up)), tuple(attempts.problems), log)


def _page(
    target: str, notebook: NotebookNode, page: Page, level: int, template: Path | None
) -> tuple[bytes | str, Sequence[str]]:
    from lmmtools.report.pages.export_html import LmmHtmlExporter
    from lmmtools.report.pages.export_pdf import LmmPdfExporter

    exporter = {"html": LmmHtmlExporter, "pdf": LmmPdfExporter}[target]
    shown = page if level != _BARE else _bare(page)
    folder = template if level == _AS_ASKED else None
    made, resources = exporter(folder=folder).from_notebook_node(notebook, {"lmmtools_page": shown})
    return made, resources.get("lmmtools_warnings", ())


def _bare(page: Page) -> Page:
    """Return the page with nothing but its title block."""
    return replace(page, blocks=())


def _next(attempts: _Attempts, target: str, error: Exception, template: Path | None, private: Sequence[Path]) -> None:
    """Remember what went wrong with a page and choose the next plainer one."""
    page, level = target.upper(), attempts.level[target]
    what = str(error) if isinstance(error, LMMError) else f"{type(error).__name__}: {error}"
    what = tidy_log(what, private).partition("\n")[0]
    if level == _AS_ASKED and template is not None:
        said = f'The template "{template.name}" cannot be used for the {page} page; it is made with the shipped one.'
    elif level == _SHIPPED:
        said = f"The {page} page cannot show this report; it has the title block alone."
    else:
        said = f"The {page} page cannot be made."
    attempts.problems.append(f"{said} {what}")
    attempts.log.append(tidy_log("".join(traceback.format_exception(error)), private))
    attempts.level[target] = level + 1
