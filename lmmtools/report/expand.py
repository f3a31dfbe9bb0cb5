"""From a study to its runs, each with a file name that is safe on every system and stays the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmmtools.errors import StudyError
from lmmtools.report.parameters import Parameter
from lmmtools.report.study import Dataset, Study, Variant

__all__ = ["Run", "expand", "safe_name"]

# Names the study's own files have, and names Windows keeps for devices.
_TAKEN = {"index", "run", "con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(10)}
_LONGEST = 120  # leaves room for suffixes and temporary names under the 255 bytes file systems allow


@dataclass(frozen=True)
class Run:
    """One notebook execution.

    Attributes
    ----------
    name : str
        The stem of every file it leaves.
    notebook : Path
    dataset, variant, formula, method, title : str
    parameters : tuple of (Parameter, object, bool)
        All parameters of the notebook in its order, each with its value and whether the study sets it.
    timeout : float
        Seconds a cell may take.
    source : Path or None
        The data file; None for a shipped data set.
    focal : str
        The coefficient the index shows; the last one when empty.
    outputs : tuple of str
        The pages that are made: ``html``, ``pdf`` or both.
    templates : Mapping of str to Path
        For ``html`` and ``pdf``, a folder whose template takes the place of the shipped one.
    """

    name: str
    notebook: Path
    dataset: str
    variant: str
    formula: str
    method: str
    title: str
    parameters: tuple[tuple[Parameter, Any, bool], ...]
    timeout: float
    source: Path | None = None
    focal: str = ""
    outputs: tuple[str, ...] = ("html", "pdf")
    templates: Mapping[str, Path] = field(default_factory=dict)


def expand(study: Study, notebook: Path, declared: tuple[Parameter, ...]) -> tuple[Run, ...]:
    """Return one run for each data set, variant and method, in the study's order.

    Raises
    ------
    StudyError
        If two runs would have the same file name.
    """
    runs = [
        _run(study, dataset, variant, method, notebook, declared)
        for dataset in study.datasets
        for variant in dataset.variants
        for method in variant.methods
    ]
    clashes = list(_clashes(runs))
    if clashes:
        raise StudyError("Nothing was run.\n" + "\n".join(f"  {clash}" for clash in clashes))
    return tuple(runs)


def safe_name(*parts: str) -> str:
    """Return the parts joined to a file stem of lower-case letters, digits, ``-`` and ``.`` only."""
    text = unicodedata.normalize("NFKD", "-".join(parts)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")[:_LONGEST].rstrip("-.")


def _run(
    study: Study,
    dataset: Dataset,
    variant: Variant,
    method: str,
    notebook: Path,
    declared: tuple[Parameter, ...],
) -> Run:
    title = variant.title or f"{dataset.name}, {variant.name}"
    own = {"dataset": dataset.name, "formula": variant.formula, "reml": method == "REML", "title": title}
    if study.seed is not None:
        own["seed"] = study.seed
    given = study.parameters | dataset.parameters | variant.parameters | own
    return Run(
        name=safe_name(dataset.name, variant.name, method),
        notebook=notebook,
        dataset=dataset.name,
        variant=variant.name,
        formula=variant.formula,
        method=method,
        title=title,
        parameters=tuple((one, given.get(one.name, one.default), one.name in given) for one in declared),
        timeout=study.timeout,
    )


def _clashes(runs: list[Run]) -> Iterator[str]:
    seen: dict[str, Run] = {}
    for run in runs:
        words = f"{run.dataset}, {run.variant}, {run.method}"
        if not run.name or run.name in _TAKEN:
            yield f'{words}: cannot name files "{run.name}"; give the variant another name'
        elif run.name in seen:
            other = seen[run.name]
            yield (
                f"{words} and {other.dataset}, {other.variant}, {other.method}: "
                f'both would write "{run.name}"; give one variant another name'
            )
        seen.setdefault(run.name, run)
