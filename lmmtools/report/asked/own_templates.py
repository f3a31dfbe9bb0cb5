"""Whether the template folders a study names exist, hold what they must, and can be read as templates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import UNSET

from lmmtools.report.asked.schema import Study
from lmmtools.report.locate import resource_dir
from lmmtools.toml.mistakes import Mistake, hint

__all__ = ["find_templates"]

_PAGES = {"html": ("index.html.j2", "lmm_html"), "pdf": ("index.typ.j2", "lmm_pdf")}


def find_templates(study: Study, folder: Path, wrong: list[Mistake]) -> dict[str, Path]:
    """Return the template folders of a study, by target, and add what is wrong with them."""
    found = {}
    for target, (page, shipped) in _PAGES.items():
        name = getattr(study.templates, target)
        if name is UNSET:
            continue
        key = ("templates", target)
        found[target] = (folder / name).absolute()
        if not os.path.isdir(found[target]):
            beside = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
            wrong.append(Mistake(key, f'there is no folder "{name}"; {hint(name, beside)}'))
        elif not os.path.isfile(found[target] / page):
            wrong.append(Mistake(key, f'the folder "{name}" has no {page}'))
        else:
            wrong += [Mistake(key, said) for said in _unreadable(found[target], shipped)]
    return found


def _unreadable(folder: Path, shipped: str) -> Iterator[str]:
    """Yield what keeps templates from being read: syntax, and other templates they name that are nowhere."""
    import jinja2
    from jinja2 import meta

    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])  # nbconvert's, whose import takes long
    templates = resource_dir("templates")
    places = (folder, templates / shipped, templates)
    for path in sorted(folder.glob("*.j2")):
        where = f"{folder.name}/{path.name}"
        try:
            tree = environment.parse(path.read_text(encoding="utf-8"))
        except jinja2.TemplateSyntaxError as error:
            yield f"{where}, line {error.lineno}: {error.message}"
            continue
        except (OSError, ValueError) as error:
            yield f"{where} cannot be read ({getattr(error, 'strerror', None) or error})"
            continue
        for name in meta.find_referenced_templates(tree):
            if name is not None and not any(os.path.isfile(place / name) for place in places):
                known = [f"{shipped}/{one.name}" for one in sorted((templates / shipped).glob("*.j2"))]
                own = [one.name for one in sorted(folder.glob("*.j2")) if one != path]
                yield f'{where}: there is no template "{name}"; {hint(name, [*known, *own])}'
