"""What a notebook's parameters cell declares, and whether a study's parameters fit it."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmtools.errors import StudyError

__all__ = ["OWN_KEYS", "Notebook", "Parameter", "read_notebook"]

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "list": (list,),
    "dict": (dict,),
}
# What a study says in words of its own, and the notebook parameter that receives it.
OWN_KEYS = {
    "dataset": "datasets.name or datasets.file",
    "filter": "filter",
    "columns": "datasets.columns",
    "formula": "formula",
    "formulas": "formulas",
    "names": "names",
    "residual": "residual",
    "residuals": "residuals",
    "reml": "methods",
    "title": "title",
    "focal": "focal",
    "seed": "seed",
}


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

    @property
    def expected(self) -> str:
        """The type that a value must have; empty if any will do."""
        if self.type_name.partition("[")[0] in _TYPES:
            return self.type_name.partition("[")[0]
        return "" if self.default is None else type(self.default).__name__

    def accepts(self, value: Any) -> bool:
        """Say whether the value has the declared type, or that of the default where none is declared."""
        kinds = _TYPES.get(self.expected, ())
        if not kinds:
            return True
        if isinstance(value, bool):  # bool is a kind of int in Python, but not in a study
            return bool in kinds
        return isinstance(value, kinds)


@dataclass(frozen=True)
class Notebook:
    """A notebook and the parameters that its tagged cell declares, in its order."""

    path: Path
    parameters: tuple[Parameter, ...]

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return next(one for one in self.parameters if one.name == name)

    @property
    def free(self) -> list[str]:
        """Names of the parameters that a study sets in its tables of parameters."""
        return [one.name for one in self.parameters if one.name not in OWN_KEYS]


def read_notebook(path: Path) -> Notebook:
    """Return a notebook's parameters.

    Raises
    ------
    StudyError
        If the file is no notebook, or has no cell tagged ``parameters``.
    """
    # Read here and not by papermill, whose import takes longer than checking a whole study.
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
        sources = ["".join(cell["source"]) for cell in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"{path.name} cannot be read as a notebook ({type(error).__name__}: {error}); nothing was run."
        ) from error
    try:
        parameters = tuple(_parameters(sources[0])) if sources else ()
    except SyntaxError as error:
        raise StudyError(f"{path.name}: its parameters cell is no Python ({error}); nothing was run.") from error
    if not parameters:
        raise StudyError(f"{path.name} has no cell tagged parameters that sets any; nothing was run.")
    return Notebook(path, parameters)


def _parameters(source: str) -> list[Parameter]:
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        name = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
        if not name or getattr(node, "value", None) is None:
            continue
        kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        found[name] = Parameter(name, kind, _literal(node.value), comments.get(node.end_lineno, ""))
    return list(found.values())


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal, or its text when the cell holds an expression."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return ast.unparse(node)
