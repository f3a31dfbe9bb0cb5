"""What a result depends on, part by part, as digests: equal parts give equal bytes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmtools.report.locate import resource_dir

if TYPE_CHECKING:
    from lmmtools.report.asked.expand import Run

__all__ = ["Environment", "Keys", "canonical", "digest", "environment", "file_digest", "run_keys", "tree_digest"]

_RUNS = Path(__file__).resolve().parent
_REPORT = _RUNS.parent
_PACKAGE = _REPORT.parent
# Of the report, only these have a part in what a kernel computes; all others only make pages of it.
_EXECUTING = ("engine.py", "execute.py", "kernel.py", "pool.py", "run.py", "tidy.py", "warm.py", "warm_stack.py")
# The wheel's copies of data, notebooks and templates are keyed where they are used; the command line computes nothing.
_NOT_COMPUTING = {"report", "_data", "_notebooks", "_templates", "__main__.py"}
# A notebook may import any installed package, but these it has no use for: they make pages or run the study.
_RENDERERS = {
    "beautifulsoup4", "bleach", "defusedxml", "filelock", "jinja2", "jupyterlab-pygments", "markupsafe", "mistune",
    "nbconvert", "pandocfilters", "pygments", "pypandoc", "pypandoc-binary", "rich", "soupsieve", "tinycss2",
    "tree-sitter", "tree-sitter-toml", "typer", "typst", "webencodings",
}  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """What one run's result depends on.

    Attributes
    ----------
    fit : Mapping of str to str
        Part to digest; when one differs, the notebook is executed again.
    page : Mapping of str to str
        Part to digest; when only one of these differs, pages are made again from the notebook that was kept.
    """

    fit: Mapping[str, str]
    page: Mapping[str, str]


@dataclass(frozen=True)
class Environment:
    """The parts that all runs of a study share, as in `Keys`."""

    fit: Mapping[str, str]
    page: Mapping[str, str]


def environment() -> Environment:
    """Return what all results of this Python depend on: the code, the interpreter and the installed packages."""
    renderers, others = _distributions()
    executing = [file_digest(_RUNS / name) for name in _EXECUTING]
    return Environment(
        fit={
            "lmmtools": digest(tree_digest(_PACKAGE, leave_out=_NOT_COMPUTING), *executing),
            "python": digest(sys.version, sys.platform, platform.machine()),
            "packages": digest(*others),
        },
        page={
            "report": tree_digest(_REPORT),
            "renderers": digest(*renderers),
            "shipped templates": digest(
                tree_digest(resource_dir("templates")), file_digest(_PACKAGE / "bibliography.json")
            ),
            "date": digest(os.environ.get("SOURCE_DATE_EPOCH", "")),
        },
    )


def run_keys(
    run: Run, shared: Environment, *, notebook: str, data: str, templates: Mapping[str, str], modules: str = ""
) -> Keys:
    """Return the keys of a run, given the digests of its notebook, what that imports, its data and its templates."""
    given = {f"parameter {one.name}": digest(canonical([value, set_])) for one, value, set_ in run.parameters}
    told = [run.name, run.title, run.dataset, run.variant, run.formula, run.method, run.focal]
    helps = [[one.name, one.type_name, one.help] for one, _, _ in run.parameters]
    return Keys(
        fit={"notebook": notebook, "modules": modules, "data": data, **given, **shared.fit},
        page={
            "title": digest(canonical([told, helps])),
            "outputs": digest(*run.outputs),
            "templates": digest(canonical(sorted(templates.items()))),
            **shared.page,
        },
    )


def digest(*parts: str) -> str:
    """Return the sha256 of some texts; where one ends and the next begins matters."""
    made = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def canonical(value: Any) -> str:
    """Return a parameter's value as JSON; the order of a table's keys is kept, because a notebook may walk it."""
    return json.dumps(value, separators=(",", ":"), default=str)


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, or an empty text if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""


def tree_digest(folder: Path, leave_out: set[str] | frozenset[str] = frozenset()) -> str:
    """Return a digest of the names and bytes of all files below a folder, without what is hidden or compiled."""
    parts: list[str] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        aside = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if not aside and inside.parts[0] not in leave_out and path.is_file():
            parts += [inside.as_posix(), file_digest(path)]
    return digest(*parts)


def _distributions() -> tuple[list[str], list[str]]:
    """Return renderers, and all other installed distributions, as ``name-version``.

    Read off the names of their folders: importlib.metadata opens every one of them, which takes a hundred times longer.
    """
    found = {
        path.stem
        for entry in dict.fromkeys(sys.path)
        for pattern in ("*.dist-info", "*.egg-info")
        for path in Path(entry).glob(pattern)
    }
    renderers = {one for one in found if re.sub(r"[-_.]+", "-", one.split("-")[0]).lower() in _RENDERERS}
    return sorted(renderers), sorted(found - renderers)
