"""The files of a replication: an HTML page for each source and one over all, one PDF, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmmtools.report.locate import resource_dir
from lmmtools.report.pages.page import Page
from lmmtools.report.replication.content import document, index_page, source_page
from lmmtools.report.replication.earlier import Earlier
from lmmtools.report.replication.notebooks import Notebook

__all__ = ["NAMES", "replication_files"]

# Of files that no source may be called after.
NAMES = ("index", "replication", "notebooks")


def replication_files(
    replication: Any, notebooks: Sequence[Notebook] = (), earlier: Sequence[Earlier] = ()
) -> tuple[dict[str, bytes | str], list[str]]:
    """Return the files by name, and a sentence for everything that a page could not show.

    Parameters
    ----------
    replication : Replication
    notebooks : sequence of Notebook
        Those that were asked for, and those of earlier runs.
    earlier : sequence of Earlier
        Pages of sources in the folder that are not of this run.

    Returns
    -------
    files : dict
        ``index.html``, ``NAME.html`` for each source, ``replication.pdf`` and ``replication.json``: equal results give
        equal bytes.
    given_up : list of str
    """
    from nbformat.v4 import new_notebook

    from lmmtools.report.pages.export_html import LmmHtmlExporter
    from lmmtools.report.pages.export_pdf import LmmPdfExporter

    given_up: list[str] = []

    def shown(exporter: Any, page: Page) -> Any:
        made, resources = exporter.from_notebook_node(new_notebook(), {"lmmtools_page": page})
        given_up.extend(resources.get("lmmtools_warnings", ()))
        return made

    html = LmmHtmlExporter(folder=resource_dir("templates") / "replication_html")
    pdf = LmmPdfExporter(folder=resource_dir("templates") / "replication_pdf")
    files: dict[str, bytes | str] = {
        f"{source.name}.html": shown(html, source_page(replication, source, notebooks))
        for source in replication.sources
    }
    files["index.html"] = shown(html, index_page(replication, notebooks, earlier))
    files["replication.pdf"] = shown(pdf, document(replication, notebooks))
    files["replication.json"] = replication.to_json()
    return files, list(dict.fromkeys(given_up))
