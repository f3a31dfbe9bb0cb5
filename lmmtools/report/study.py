"""A study file: data sets and model variants in TOML, read and checked as a whole before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lmmtools.errors import StudyError
from lmmtools.report.locate import resource_dir
from lmmtools.report.mistakes import find_mistakes, hint
from lmmtools.report.parameters import Parameter, notebook_parameters, parameter_mistakes

__all__ = ["Dataset", "Method", "Study", "Variant", "read_study"]

Method = Literal["REML", "ML"]
Value = bool | int | float | str | list | dict
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a data set: ``formula``, fitted by each of ``methods``; ``parameters`` go to the notebook."""

    name: Name
    formula: Name
    title: str = ""
    methods: Annotated[list[Method], msgspec.Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["REML"])
    parameters: dict[str, Value] = {}


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shipped data set and the variants fitted to it; ``parameters`` hold for all of them."""

    name: Name
    variants: list[Variant]
    parameters: dict[str, Value] = {}


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A study: what is run, on what, with what.

    ``notebook`` is looked for beside the study file, then among the shipped notebooks; ``timeout`` is
    in seconds for each cell; ``seed`` and ``parameters`` go to every run.
    """

    datasets: list[Dataset]
    title: str = "Study"
    notebook: Name = "model_report.ipynb"
    seed: int | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    parameters: dict[str, Value] = {}


def read_study(path: Path) -> tuple[Study, Path, tuple[Parameter, ...]]:
    """Read a study file and check all of it.

    Parameters
    ----------
    path : Path
        A TOML file.

    Returns
    -------
    study : Study
    notebook : Path
        The notebook every run executes.
    parameters : tuple of Parameter
        What the notebook's parameters cell declares.

    Raises
    ------
    StudyError
        If the file cannot be read, or anything in it is wrong; every mistake is listed with its key.
    """
    content = _read_toml(path)
    found = find_mistakes(Study, content)
    if found:
        raise _study_error(path, found)
    study = msgspec.convert(content, Study)
    notebook = _find_notebook(path, study.notebook)
    declared = notebook_parameters(notebook)
    found = _model_mistakes(study) + parameter_mistakes(study, declared, notebook.name)
    if found:
        raise _study_error(path, found)
    return study, notebook, declared


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"There is no study file {path}; nothing was run.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"The study file {path} cannot be read ({error}); nothing was run.") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {error}. Nothing was run.") from error


def _find_notebook(study: Path, name: str) -> Path:
    folders = (study.resolve().parent, resource_dir("notebooks"))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    known = sorted(one.name for folder in folders for one in folder.glob("*.ipynb"))
    raise _study_error(study, [f'notebook: there is no notebook "{name}"; {hint(name, known)}'])


def _model_mistakes(study: Study) -> list[str]:
    """Return unknown data sets and formulas that cannot be read."""
    from lmmtools import FormulaError, list_datasets, parse_formula

    known = [str(name) for name in list_datasets().index]
    found = []
    for i, dataset in enumerate(study.datasets, start=1):
        if dataset.name not in known:
            found.append(f'datasets[{i}].name: there is no data set "{dataset.name}"; {hint(dataset.name, known)}')
        for j, variant in enumerate(dataset.variants, start=1):
            try:
                parse_formula(variant.formula)
            except FormulaError as error:
                found.append(f"datasets[{i}].variants[{j}].formula: {error}")
    return found


def _study_error(path: Path, found: list[str]) -> StudyError:
    count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
    lines = "\n".join(f"  {mistake}" for mistake in found)
    return StudyError(f"{path} has {count}; nothing was run.\n{lines}")
