"""One run from parameters to its four files; whatever goes wrong stays in its own report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmmtools.report.blocks import Note, blocks
from lmmtools.report.execute import Executed, Failure, execute
from lmmtools.report.expand import Run
from lmmtools.report.files import write_whole
from lmmtools.report.page import Page, find_record, make_page

__all__ = ["SUFFIXES", "Outcome", "failed_outcome", "perform", "write_stub"]

SUFFIXES = ("html", "pdf", "json", "ipynb")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what the index shows.

    Attributes
    ----------
    run : Run
    status : str
        One of the record's statuses.
    reasons : tuple of str
    record : Mapping
        The run record, empty when there is none.
    files : tuple of str
        Names of the files it left.
    warnings : tuple of str
        Warnings raised while it ran, and what its pages could not show.
    seconds : Mapping of str to float
        Clock times.
    current : bool
        Whether the result is of the run as it is now; if not, ``reasons`` say why and the numbers are old.
    """

    run: Run
    status: str
    reasons: tuple[str, ...]
    record: Mapping[str, Any]
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    current: bool = True


def perform(run: Run, folder: Path) -> Outcome:
    """Execute a run and write ``<name>.ipynb``, ``.html``, ``.pdf`` and ``.json`` into the folder.

    Returns
    -------
    Outcome
        Also when the notebook, its kernel or a file fails: nothing is raised.
    """
    parameters = {one.name: value for one, value, given in run.parameters if given}
    try:
        executed = execute(run.notebook, parameters, timeout=run.timeout)
        return _write(run, executed, folder)
    except Exception as error:  # a full disk, a template with an error: this run's failure, no other's
        return failed_outcome(run, _reason("The report could not be written", error))


def failed_outcome(run: Run, reason: str) -> Outcome:
    """Return the outcome of a run that left nothing."""
    return Outcome(run, "failed", (reason,), {}, ())


def write_stub(run: Run, reason: str, folder: Path) -> Outcome:
    """Write the report of a run whose whole process died: its parameters and the reason."""
    import nbformat

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(f"# {run.title}", id="cell-0")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    try:
        return _write(run, Executed(notebook, Failure("process died", reason), 0.0), folder)
    except Exception as error:
        return failed_outcome(run, f"{reason} {_reason('Its report could not be written', error)}")


def _write(run: Run, executed: Executed, folder: Path) -> Outcome:
    start = time.perf_counter()
    content = blocks(executed.notebook)
    record = find_record(content)
    status, reasons = _judge(executed.failure, record)
    page = make_page(
        executed.notebook,
        title=run.title,
        status=status,
        reasons=reasons,
        parameters=run.parameters,
        facts=(("Data", run.dataset), ("Model", run.formula), ("Method", run.method)),
    )
    warnings = [one.text for one in content if isinstance(one, Note) and one.level == "warning"]
    pages, given_up = _render(executed, page)
    warnings += given_up
    result = {
        "schema": 1,
        "run": run.name,
        "status": status,
        "reasons": list(reasons),
        "dataset": run.dataset,
        "variant": run.variant,
        "formula": run.formula,
        "method": run.method,
        "parameters": {one.name: value for one, value, _ in run.parameters},
        "record": record or None,
        "warnings": warnings,
    }
    text = json.dumps(result, ensure_ascii=False, indent=1, default=str) + "\n"
    pages |= {"json": text, "ipynb": _notebook_text(executed.notebook)}
    for suffix in SUFFIXES:
        write_whole(folder / f"{run.name}.{suffix}", pages[suffix])
    seconds = {"notebook": executed.seconds, "pages": time.perf_counter() - start}
    files = tuple(f"{run.name}.{suffix}" for suffix in SUFFIXES)
    return Outcome(run, status, reasons, record, files, tuple(warnings), seconds)


def _judge(failure: Failure | None, record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return status and reasons: a failure outweighs what the record says."""
    if failure is not None:
        return "failed", (failure.sentence,)
    if not record:
        return "failed", ("The notebook ended without a run record; end it with a cell that shows record(fit).",)
    return str(record["status"]), tuple(record["reasons"])


def _render(executed: Executed, page: Page) -> tuple[dict[str, bytes | str], list[str]]:
    """Return both pages and a sentence for everything a page could not show."""
    from lmmtools.report.export_html import LmmHtmlExporter
    from lmmtools.report.export_pdf import LmmPdfExporter

    resources = {"lmmtools_page": page}
    pdf, made = LmmPdfExporter().from_notebook_node(executed.notebook, resources)
    given_up = list(made["lmmtools_warnings"])
    html, _ = LmmHtmlExporter().from_notebook_node(executed.notebook, resources)
    return {"pdf": pdf, "html": html}, given_up


def _notebook_text(notebook: Any) -> str:
    import nbformat

    return nbformat.writes(notebook, version=4) + "\n"


def _reason(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {error}"
