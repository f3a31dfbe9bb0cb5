"""From a study to its runs, each with a file name that is safe on every system and stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from lmmtools.report.asked.cases import Case, Key, cases
from lmmtools.report.asked.names import safe_name
from lmmtools.report.asked.parameters import Notebook, Parameter
from lmmtools.report.asked.schema import Dataset, Study

__all__ = ["Found", "Run", "expand", "safe_name"]


@dataclass(frozen=True)
class Run:
    """One notebook execution.

    Attributes
    ----------
    name : str
        The stem of every file it leaves.
    notebook : Path
    dataset, variant, formula, method, title : str
        ``formula`` joins several by ``;``, each with its residual structure; ``method`` is empty for a notebook that
        has no choice of method.
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


@dataclass(frozen=True)
class Found:
    """What a study names and where it is.

    Attributes
    ----------
    notebooks : Mapping of str to Notebook
        By the name the study calls them.
    sources : tuple of Path or None
        The data file of each data set; None for a shipped one.
    templates : Mapping of str to Path
    focal : Mapping of (int, tuple) to str
        By place of the data set and key of the variant, the coefficient asked for as its model calls it.
    """

    notebooks: Mapping[str, Notebook] = field(default_factory=dict)
    sources: tuple[Path | None, ...] = ()
    templates: Mapping[str, Path] = field(default_factory=dict)
    focal: Mapping[tuple[int, Key], str] = field(default_factory=dict)


def expand(study: Study, found: Found) -> tuple[Run, ...]:
    """Return the runs of a checked study: one for each data set, variant and method, in the study's order.

    Parameters
    ----------
    study : Study
    found : Found
        As `read_study` gives them.
    """
    return tuple(_run(study, found, case, method) for case in cases(study, found.notebooks) for method in case.methods)


def _run(study: Study, found: Found, case: Case, method: str) -> Run:
    notebook, source = found.notebooks[case.notebook], found.sources[case.place]
    focal = found.focal.get((case.place, case.key), "")
    title = case.variant.title or f"{case.dataset.name}, {case.variant.name}"
    own = {
        "dataset": case.dataset.name if source is None else source.name,
        "filter": case.filter,
        "columns": declared(case.dataset),
        "formula": case.variant.formula,
        "formulas": case.variant.formulas,
        "names": case.variant.names,
        "residual": case.residual,
        "residuals": case.variant.residuals,
        "reml": method == "REML" if method else UNSET,
        "title": title,
        "focal": focal,
        "seed": study.seed,
    }
    said = {name: value for name, value in own.items() if value is not UNSET and value not in ("", {})}
    given = case.parameters | said
    return Run(
        name=safe_name(case.dataset.name, case.variant.name, method),
        notebook=notebook.path,
        dataset=case.dataset.name,
        variant=case.variant.name,
        formula=_models(case),
        method=method,
        title=title,
        parameters=tuple((one, given.get(one.name, one.default), one.name in given) for one in notebook.parameters),
        timeout=float(case.setting("timeout", 600.0)),
        source=source,
        focal=focal,
        outputs=tuple(dict.fromkeys(case.setting("outputs", ("html", "pdf")))),
        templates=dict(found.templates),
    )


def _models(case: Case) -> str:
    """Return the models of a case, each with its residual structure if it has one."""
    residuals = case.residuals if len(case.residuals) == len(case.formulas) else [""] * len(case.formulas)
    pairs = zip(case.formulas, residuals, strict=True)
    return "; ".join(f"{formula}, residuals {residual}" if residual else formula for formula, residual in pairs)


def declared(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return what a data set declares of its columns, as `read_data` takes it."""
    tables = msgspec.to_builtins(dataset.columns)
    return {name: {key: value for key, value in about.items() if value != ""} for name, about in tables.items()}
