"""The command line: ``lmmtools report STUDY.toml``, ``lmmtools datasets``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmmtools.errors import LMMError, StudyError

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
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")],
    out: Annotated[Path, typer.Option(help="The folder the reports go to.")] = Path("reports"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; as many as there are processors if left out.")
    ] = None,
) -> None:
    """Run a study: an HTML and a PDF report, the numbers and the executed notebook of each run, and an index.

    Exit code 0: all runs are good.

    Exit code 1: some run failed or a cross-check is unexplained; all other reports are there.

    Exit code 2: the request was wrong and nothing was run.
    """
    from lmmtools.report.make import make_reports
    from lmmtools.report.progress import Progress

    try:
        with Progress() as progress:
            made = make_reports(study, out, jobs=jobs, started=progress.start, ended=progress.end)
    except LMMError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2 if isinstance(error, StudyError) else 1) from error
    count = "1 report" if len(made.outcomes) == 1 else f"{len(made.outcomes)} reports"
    typer.echo(f"{count} in {made.seconds:.0f} s: {made.index}")
    for outcome in made.outcomes:
        if outcome.status in ("failed", "unexplained"):
            typer.echo(f"{outcome.run.name} {outcome.status}: {' '.join(outcome.reasons)}", err=True)
    if not made.good:
        raise typer.Exit(1)


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
