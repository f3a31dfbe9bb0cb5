"""Runs of the toy notebook made by hand, without a study file."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from lmmtools.report.asked.expand import Run
from lmmtools.report.asked.parameters import Parameter
from lmmtools.report.runs.make import Made, make_study

SUFFIXES = ("html", "pdf", "json", "ipynb")


def toy_run(notebook: Path, mode: str = "good", name: str = "", *, values: dict | None = None, **changes) -> Run:
    """A run of the toy notebook; ``mode`` says what goes wrong, and it is found by its title in the list of starts."""
    name = name or f"toy-{mode.replace(' ', '-')}"
    formula = "Yield ~ 1 + (1 | Batch)"
    own = {"dataset": "Dyestuff", "formula": formula, "reml": True, "title": name, "level": 0.95, "mode": mode}
    given = own | (values or {})
    run = Run(
        name=name,
        notebook=notebook,
        dataset="Dyestuff",
        variant=mode,
        formula=formula,
        method="REML",
        title=name,
        parameters=tuple((Parameter(key, "", None, ""), value, True) for key, value in given.items()),
        timeout=4.0,
    )
    return replace(run, **changes)


def make_toys(runs, out: Path, **options) -> Made:
    """Make the reports of some runs, two at a time."""
    return make_study(SimpleNamespace(title="Toys"), tuple(runs), out, **({"jobs": 2} | options))


def files_of(out: Path, name: str) -> dict[str, bytes]:
    """The bytes of a run's files, by suffix."""
    return {path.name.removeprefix(f"{name}."): path.read_bytes() for path in sorted(out.glob(f"{name}.*"))}
