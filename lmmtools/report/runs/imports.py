"""The modules of one's own that a notebook imports: not installed with a version, so known by their bytes alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from lmmtools.report.runs.keys import digest, file_digest, tree_digest

__all__ = ["modules_digest"]

# A word too many, found in a text, only means that a module is looked for in vain.
_IMPORT = re.compile(r"(?:^|[;:])[ \t]*(?:from[ \t]+([^\W\d]\w*)|import[ \t]+([^;#\n]+))", re.MULTILINE)
_INSTALLED = {"site-packages", "dist-packages"}


def modules_digest(notebook: Path) -> str:
    """Return the digest of all modules that a notebook imports, and these in turn; empty if there are none.

    Left out are Python's own, installed packages, whose versions are keyed, and lmmtools itself.
    """
    names, found = sorted(_imported(_code(notebook))), {}
    while names:
        name = names.pop()
        if name in found or name == "lmmtools" or name in sys.stdlib_module_names:
            continue
        places = _places(name)
        found[name] = [tree_digest(place) if place.is_dir() else file_digest(place) for place in places]
        for place in places:
            for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
                names += _imported(file.read_text(encoding="utf-8", errors="replace"))
    own = [(name, *made) for name, made in sorted(found.items()) if made]
    return digest(*(part for one in own for part in one)) if own else ""


def _code(notebook: Path) -> str:
    """Return the source of all code cells; nothing of a file that is no notebook, which its run will say."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (ValueError, KeyError, TypeError):
        return ""


def _imported(code: str) -> Iterator[str]:
    """Give the first part of the name of every module that is imported."""
    for module, several in _IMPORT.findall(code):
        for one in [module] if module else several.split(","):
            if (name := one.strip().partition(" ")[0].partition(".")[0]).isidentifier():
                yield name


def _places(name: str) -> list[Path]:
    """Return the file or the folders of a module that is not installed."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    origin = [spec.origin] if spec.has_location and spec.origin else []
    places = [Path(place) for place in spec.submodule_search_locations or origin]
    return [place for place in places if not _INSTALLED & set(place.parts) and place.exists()]
