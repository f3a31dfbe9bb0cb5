"""The command line: ``lmmtools report``, ``replicate``, ``new``, ``schema``, ``datasets``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmmtools.errors import LMMError, StudyError
from lmmtools.formats import counted, visible

if TYPE_CHECKING:
    from lmmtools.report.replication.make import Made as Replicated
    from lmmtools.report.runs.make import Made

__all__ = ["app", "main"]

app = typer.Typer(
    help="Linear mixed models: fitted, certified, cross-checked and reported.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        from lmmtools import __version__

        typer.echo(f"lmmtools {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Linear mixed models: fitted, certified, cross-checked and reported."""


@app.command()
def report(
    study: Annotated[Path | None, typer.Argument(metavar="STUDY.toml", help="A study file.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Instead of a study: a .csv, .tsv or .parquet file, or a shipped data set.")
    ] = None,
    formula: Annotated[
        list[str] | None, typer.Option(help="A model of the data; more than one are compared too.")
    ] = None,
    residual: Annotated[
        list[str] | None,
        typer.Option(help="A structure of the residuals, such as 'ar1(time | g)'; more than one are compared."),
    ] = None,
    ml: Annotated[bool, typer.Option("--ml", help="Fit by maximum likelihood, not by REML.")] = False,
    filter: Annotated[str | None, typer.Option(help="The rows used, such as \"age > 8 and sex == 'f'\".")] = None,
    out: Annotated[Path, typer.Option(help="The folder the reports go to.")] = Path("reports"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; as many as there are processors if left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make everything anew, also what has not changed.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only the runs whose name fits, such as 'orthodont-*'.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed or have no result yet.")] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Fork kernels from one that has imported everything: faster, not on Windows.")
    ] = False,
) -> None:
    """Run a study: an HTML and a PDF report, the numbers and the executed notebook of each run, and an index.

    Only what has changed since the last time is run again.

    Without a study file, --data and --formula say what is fitted.

    Exit code 0: all runs are good.

    Exit code 1: some run failed or a cross-check is unexplained; all other reports are there.

    Exit code 2: the request was wrong and nothing was run.
    """
    from lmmtools.report.asked.expand import expand
    from lmmtools.report.runs.make import make_study
    from lmmtools.report.runs.progress import Progress

    options = {"jobs": jobs, "force": force, "only": tuple(only or ()), "failed": failed, "warm": warm}
    with _told("Stopped. Reports that were finished are kept; the same command goes on from there."):
        asked, found = _asked(study, data, formula or [], residual or [], ml, filter)
        runs = expand(asked, found)
        with Progress() as progress:
            made = make_study(asked, runs, out, started=progress.start, ended=progress.end, **options)
    _say(made)
    if not made.good:
        raise typer.Exit(1)


@contextmanager
def _told(stopped: str) -> Iterator[None]:
    """Say what stops a command, and leave with its code: 2 if the request was wrong, 130 if the user stopped it."""
    try:
        yield
    except LMMError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2 if isinstance(error, StudyError) else 1) from error
    except KeyboardInterrupt as error:
        typer.echo(stopped, err=True)
        raise typer.Exit(130) from error


def _asked(
    study: Path | None, data: str | None, formulas: list[str], residuals: list[str], ml: bool, filter: str | None
) -> Any:
    """Return the study that is asked for, from a file or from options."""
    from lmmtools.report.asked.adhoc import adhoc_study
    from lmmtools.report.asked.study import read_study

    given = {"--data": data is not None, "--formula": bool(formulas), "--residual": bool(residuals), "--ml": ml,
             "--filter": filter is not None}  # fmt: skip
    options = [option for option, there in given.items() if there]
    if study is not None:
        if options:
            raise StudyError(
                f"{', '.join(options)}: a study file says this itself; give one or the other. Nothing was run."
            )
        return read_study(study)
    if data is None:
        what = f"{', '.join(options)} without --data" if options else "There is nothing to report"
        raise StudyError(
            f"{what}: name a study file, or data and models, as in "
            "lmmtools report --data my.csv --formula 'y ~ x + (x | g)'. Nothing was run."
        )
    return adhoc_study(data, formulas, ml=ml, filter=filter or "", residuals=residuals)


def _say(made: Made) -> None:
    """Say what was made, what was kept, what failed and why, and where the index is."""
    failed = [one for one in made.outcomes if one.status in ("failed", "unexplained") and one.run.name in made.asked]
    old = [one for one in made.outcomes if not one.current and one.files]
    absent = [one for one in made.outcomes if not one.current and not one.files]
    kept = len(made.outcomes) - len(made.done) - len(old) - len(absent)
    counts = [f"{len(made.done)} made", f"{kept} kept"]
    counts += [f"{len(old)} out of date"] if old else []
    counts += [f"{len(absent)} not made yet"] if absent else []
    counts += [f"{len(failed)} failed"]
    typer.echo(f"{', '.join(counts)} in {made.seconds:.0f} s: {made.index}")
    if made.orphans:
        typer.echo(f"No longer in the study, but still in the folder: {', '.join(made.orphans)}.")
    for one in failed:
        typer.echo(f"{one.run.name} {one.status}: {' '.join(one.reasons)}", err=True)


@app.command()
def replicate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="Sources, such as bates_2015, or ledgers of your own (.toml)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder the pages go to.")] = Path("reports/replication"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time; as many as there are processors if left out.")
    ] = None,
    notebooks: Annotated[
        bool, typer.Option("--notebooks/--no-notebooks", help="Run the notebooks of the sources too.")
    ] = True,
) -> None:
    """Compute published numbers again and say of each whether it is reproduced as printed.

    Writes a page to hold beside each source, an index, one PDF, and JSON.

    Without names, every source is computed; an unknown one lists them all.

    Four sources have notebooks too, which are run again only if something changed.

    Exit code 0: every number is reproduced, or somebody has looked why not.

    Exit code 1: a number fails and nobody has looked at it, a ledger has a mistake, or a notebook failed.

    Exit code 2: the request was wrong and nothing was run.
    """
    from lmmtools.report.replication.make import make_replication
    from lmmtools.report.replication.progress import Progress
    from lmmtools.report.replication.request import read_request

    with _told("Stopped. Pages and notebooks that were finished are kept."):
        request = read_request(sources or (), notebooks=notebooks)
        with Progress() as progress:
            made = make_replication(request, out, progress, jobs=jobs)
    _say_replicated(made)
    if not made.good:
        raise typer.Exit(1)


def _say_replicated(made: Replicated) -> None:
    """Say what came of it, what nobody has looked at, and where the index is."""
    from lmmtools.report.replication.content import summary_sentence

    said = f"{summary_sentence(made.replication)} " if made.replication.sources else ""
    run = [one for one in made.notebooks if one.asked and one.status not in ("not made", "out of date")]
    said += f"{sum(one.good for one in run)} of {counted(len(run), 'notebook')} without a fault. " if run else ""
    typer.echo(f"{said}{made.seconds:.0f} s: {made.index}")
    for source in made.replication.sources:
        for _, problem in source.problems:
            typer.echo(problem, err=True)
    for one in made.replication.entries:
        if not one.looked_at:
            said = one.remark if one.verdict == "error" else f"{one.verdict_text}. {one.remark}"
            said = said.removeprefix(f"{one.where}: ")
            typer.echo(visible(f"{one.where}: {one.quantity}, printed {one.printed}: {said}"), err=True)
    for notebook in made.notebooks:
        if not notebook.good:
            typer.echo(f"{notebook.title} {notebook.status}: {' '.join(notebook.reasons)}", err=True)
    for sentence in made.given_up:
        typer.echo(sentence, err=True)


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="The folder that is made.")]) -> None:
    """Write a study to start from: a commented study file and data that it runs on at once."""
    from lmmtools.report.asked.starter import new_study

    try:
        if not name.strip():
            raise StudyError("The name is empty; nothing was written. Give the folder a name.")
        study = new_study(Path(name))
    except LMMError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{study} is ready: lmmtools report {_shell(study)}")


def _shell(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


@app.command()
def schema(
    ledger: Annotated[bool, typer.Option("--ledger", help="Of ledgers of published numbers, not of studies.")] = False,
) -> None:
    """Print the JSON Schema of study files, or of ledgers of published numbers, for editors."""
    if ledger:
        from lmmtools import ledger_schema as text
    else:
        from lmmtools.report.asked.schema import json_schema as text

    typer.echo(text(), nl=False)


@app.command()
def datasets() -> None:
    """List the data sets that come with lmmtools."""
    from lmmtools import list_datasets

    for name, about in list_datasets().iterrows():
        typer.echo(f"{name} ({about['rows']} rows): {about['title']}")


def main() -> None:
    """Run the command line."""
    app(prog_name="lmmtools")


if __name__ == "__main__":
    main()
