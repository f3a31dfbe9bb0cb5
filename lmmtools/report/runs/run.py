"""One run from parameters to its files; whatever goes wrong stays in its own report."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmmtools.report.runs.files import write_set, write_whole
from lmmtools.report.runs.outcome import Outcome, failed_outcome, outcome_of, result_text
from lmmtools.report.runs.state import State, forget, write_state
from lmmtools.report.runs.tidy import tidy_log

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run
    from lmmtools.report.pages.page import Page
    from lmmtools.report.runs.execute import Executed, Failure
    from lmmtools.report.runs.staging import Staged

__all__ = ["Job", "Outcome", "perform", "write_stub"]

Contents = dict[str, bytes | str | None]


@dataclass(frozen=True)
class Job:
    """What is to be done of a run.

    Attributes
    ----------
    run : Run
        As the study has it.
    staged : Staged
        The same with its files copied, and its keys.
    folder : Path
        Where its files go.
    log : Path
        Takes what its processes write past the notebook.
    work : str
        Whether the notebook is executed or only its pages made again from the notebook that was kept.
    warm : bool
        Whether the kernel is forked from a process that has imported the stack.
    """

    run: Run
    staged: Staged
    folder: Path
    log: Path
    work: Literal["execute", "render"] = "execute"
    warm: bool = False

    @property
    def private(self) -> tuple[Path, ...]:
        """Folders that no output may name."""
        return (*(path.parent for path in self.staged.run.templates.values()), self.log.parent, self.folder)


def perform(job: Job) -> Outcome:
    """Execute a run, or only make its pages again, and write its files.

    Returns
    -------
    Outcome
        Also when the notebook, its kernel, a template or a file fails: nothing is raised.
    """
    try:
        executed = _executed(job)
        start = time.perf_counter()
        contents = _contents(job, executed)
        _commit(job, contents, executed=executed.failure is None)
        seconds = {"notebook": executed.seconds, "pages": time.perf_counter() - start}
        return outcome_of(job.run, str(contents["json"]), _there(contents), seconds)
    except Exception as error:  # a full disk, most likely: this run's failure, no other's
        log = tidy_log("".join(traceback.format_exception(error)), job.private)
        return write_stub(job, f"The report could not be written ({_said(job, error)}).", log)


def write_stub(job: Job, reason: str, log: str = "") -> Outcome:
    """Write the report of a run that has no content: its parameters, the reason and the log.

    If even that does not fit or has no place, each file that can be written is, and what was there of the others
    is left alone: the index says what happened.
    """
    from lmmtools.report.runs.execute import Executed, Failure

    failure = Failure("no report", reason)
    contents: Contents = {"json": result_text(job.run, {}, status="failed", reasons=[reason], log=log)}
    try:
        contents = _contents(job, Executed(_stub_notebook(job.run, failure, log), failure, 0.0, log))
        _commit(job, contents)
    except Exception as error:
        written = _write_singly(job, contents)
        left = ", ".join(f".{suffix}" for suffix in written) or "nothing"
        return failed_outcome(
            job.run, f"{reason} Of its report, {left} could be written ({_said(job, error)}).", written
        )
    return outcome_of(job.run, str(contents["json"]), _there(contents), {})


def _executed(job: Job) -> Executed:
    """Return the executed notebook as its file holds it, so that pages made again from the file are the same."""
    import nbformat

    from lmmtools.report.runs.execute import Executed, execute

    if job.work == "render":
        text = (job.folder / f"{job.run.name}.ipynb").read_text(encoding="utf-8")
        return Executed(nbformat.reads(text, as_version=4), None, 0.0)
    run = job.staged.run
    parameters = {one.name: value for one, value, given in run.parameters if given}
    data = None if run.source is None else (run.source.name, run.source)
    made = execute(run.notebook, parameters, timeout=run.timeout, data=data, log=job.log, warm=job.warm)
    return replace(made, notebook=nbformat.reads(_notebook_text(made.notebook), as_version=4))


def _contents(job: Job, executed: Executed) -> Contents:
    """Judge an executed notebook and make its pages; what its files hold, by suffix, None where there is no file."""
    from lmmtools.report.pages.blocks import Note, blocks
    from lmmtools.report.pages.page import find_record, make_page
    from lmmtools.report.runs.render import render

    run = job.run
    content = blocks(executed.notebook)
    record = find_record(content)
    status, reasons = _judge(executed.failure, record)

    def page(problems: tuple[str, ...]) -> Page:
        return make_page(
            executed.notebook,
            title=run.title,
            status="failed" if problems else status,
            reasons=reasons + problems,
            parameters=run.parameters,
            facts=(("Data", run.dataset), ("Model", run.formula), ("Method", run.method)),
        )

    made = render(executed.notebook, run.outputs, page, templates=job.staged.run.templates, private=job.private)
    warnings = [one.text for one in content if isinstance(one, Note) and one.level == "warning"]
    log = "\n".join(filter(None, (executed.log, made.log)))
    text = result_text(
        run,
        record,
        status="failed" if made.problems else status,
        reasons=[*reasons, *made.problems],
        warnings=[*warnings, *made.given_up],
        log=log,
    )
    others = {"json": text, "ipynb": _notebook_text(executed.notebook), "log": f"{log}\n" if log else None}
    return {"html": None, "pdf": None, **made.pages, **others}


def _judge(failure: Failure | None, record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return status and reasons: a failure outweighs what the record says."""
    if failure is not None:
        return "failed", (failure.sentence,)
    if not record:
        return "failed", ("The notebook ended without a run record; end it with a cell that shows record(fit).",)
    return str(record["status"]), tuple(record["reasons"])


def _commit(job: Job, contents: Contents, *, executed: bool = False) -> None:
    """Write the files of a run together; what is remembered of it goes first and comes last."""
    forget(job.folder, job.run.name)
    write_set(job.folder, {f"{job.run.name}.{suffix}": content for suffix, content in contents.items()})
    staged = job.staged
    state = State(
        version=1,
        run=job.run.name,
        status=outcome_of(job.run, str(contents["json"]), (), {}).status,
        fit=dict(staged.keys.fit),
        page=dict(staged.keys.page),
        outputs={suffix: _sha256(content) for suffix, content in contents.items() if content is not None},
        read=staged.read,
        rows=staged.rows,
        executed=executed,
    )
    write_state(job.folder, state)


def _write_singly(job: Job, contents: Contents) -> list[str]:
    """Write those files of a run that can be written, the small ones first, and return their suffixes."""
    forget(job.folder, job.run.name)
    written = []
    for suffix, content in sorted(contents.items(), key=lambda item: len(item[1] or "")):
        if content is not None:
            try:
                write_whole(job.folder / f"{job.run.name}.{suffix}", content)
            except OSError:  # the next may have a place; the outcome says which are there
                continue
            written.append(suffix)
    return written


def _stub_notebook(run: Run, failure: Failure, log: str) -> Any:
    import nbformat

    from lmmtools.report.runs.tidy import add_failure

    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# {run.title}", id="cell-0"),
            nbformat.v4.new_code_cell("", id="cell-1"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    add_failure(made, 1, failure, log)
    return made


def _there(contents: Contents) -> list[str]:
    return [suffix for suffix, content in contents.items() if content is not None]


def _said(job: Job, error: Exception) -> str:
    """Return an error in a few words, without the temporary names in it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return tidy_log(f"{type(error).__name__}: {error}", job.private)


def _notebook_text(notebook: Any) -> str:
    import nbformat

    return nbformat.writes(notebook, version=4) + "\n"


def _sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
