"""What a notebook's parameters cell declares, and whether a study's parameters fit it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools.errors import StudyError
from lmmtools.report.mistakes import TYPE_WORDS, hint

if TYPE_CHECKING:
    from lmmtools.report.study import Study

__all__ = ["Parameter", "notebook_parameters", "parameter_mistakes"]

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "list": (list,),
    "dict": (dict,),
}
# What a study says in words of its own, and the notebook parameter that receives it.
OWN_KEYS = {"dataset": "datasets.name", "formula": "formula", "reml": "methods", "title": "title", "seed": "seed"}
_NEEDED = ("dataset", "formula", "reml")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes
    ----------
    name, type_name, help : str
        As written in the parameters cell; ``type_name`` is empty when none is written.
    default : object
        The literal it is set to.
    """

    name: str
    type_name: str
    default: Any
    help: str

    def accepts(self, value: Any) -> bool:
        """Say whether the value has the declared type, or that of the default where none is declared."""
        kinds = _TYPES.get(self.type_name) or ((type(self.default),) if self.default is not None else ())
        if not kinds:
            return True
        if isinstance(value, bool):  # bool is a kind of int in Python, but not in a study
            return bool in kinds
        return isinstance(value, kinds)


def notebook_parameters(path: Path) -> tuple[Parameter, ...]:
    """Return the parameters that a notebook's tagged cell declares, in its order.

    Raises
    ------
    StudyError
        If the file is no notebook, or has no cell tagged ``parameters``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations while papermill is imported
        import papermill
    try:
        found = papermill.inspect_notebook(str(path))
    except Exception as error:  # nbformat raises many kinds for a file that is no notebook
        raise StudyError(f"{path} cannot be read as a notebook ({error}); nothing was run.") from error
    if not found:
        raise StudyError(f"{path} has no cell tagged parameters that sets any; nothing was run.")
    return tuple(
        Parameter(name, _type_name(one["inferred_type_name"]), _literal(one["default"]), one["help"] or "")
        for name, one in found.items()
    )


def parameter_mistakes(study: Study, declared: tuple[Parameter, ...], notebook: str) -> list[str]:
    """Return every parameter of a study that the notebook does not know or that has the wrong type."""
    known = {parameter.name: parameter for parameter in declared}
    found = [
        f"notebook: {notebook} has no parameter {name}, which every run of a study sets"
        for name in _NEEDED
        if name not in known
    ]
    if study.seed is not None and "seed" not in known:
        found.append(f"seed: {notebook} has no parameter seed")
    for where, given in _tables(study):
        for name, value in given.items():
            key = f"{where}.{name}"
            if name in OWN_KEYS:
                found.append(f"{key}: is not set here but by the key {OWN_KEYS[name]}")
            elif name not in known:
                valid = [one for one in known if one not in OWN_KEYS]
                found.append(f"{key}: {notebook} has no such parameter; {hint(name, valid)}")
            elif not known[name].accepts(value):
                expected = known[name].type_name or type(known[name].default).__name__
                found.append(f"{key}: expected {TYPE_WORDS.get(expected, expected)}, got {value!r}")
    return found


def _tables(study: Study) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "parameters", study.parameters
    for i, dataset in enumerate(study.datasets, start=1):
        yield f"datasets[{i}].parameters", dataset.parameters
        for j, variant in enumerate(dataset.variants, start=1):
            yield f"datasets[{i}].variants[{j}].parameters", variant.parameters


def _type_name(name: str | None) -> str:
    return "" if name in (None, "None") else str(name)


def _literal(text: str) -> Any:
    """Return the value of a literal, or its text when the cell holds an expression."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
