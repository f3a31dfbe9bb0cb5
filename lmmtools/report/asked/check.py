"""Whether what a study names exists and fits: notebooks, templates, data, formulas, parameters, patterns, names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from lmmtools.errors import StudyError
from lmmtools.formats import counted, listed
from lmmtools.report.asked.cases import COMPARISON, EXPLORATION, MODEL, Case, Key, cases, fits, included, stated
from lmmtools.report.asked.data_checks import DataChecks
from lmmtools.report.asked.expand import Found, safe_name
from lmmtools.report.asked.own_templates import find_templates
from lmmtools.report.asked.parameters import OWN_KEYS, Notebook, read_notebook
from lmmtools.report.asked.schema import Study
from lmmtools.report.locate import resource_dir
from lmmtools.toml.mistakes import TYPE_WORDS, Mistake, hint

__all__ = ["check"]


def check(study: Study, folder: Path, *, whole: bool = True) -> tuple[Found, list[Mistake]]:
    """Look up what a study names, and find everything that is wrong with it.

    Parameters
    ----------
    study : Study
    folder : Path
        Where its paths start.
    whole : bool
        False if parts of the study had to be left out; nothing is then said of what may be missing for that reason.
    """
    wrong: list[Mistake] = []
    notebooks = _notebooks(study, folder, wrong)
    templates = find_templates(study, folder, wrong)
    data = DataChecks(study, folder)
    found = Found(notebooks, data.sources, templates, data.focal)
    asked = cases(study, notebooks)
    wrong += data.mistakes(asked)
    wrong += _of_cases(study, asked, notebooks)
    wrong += _of_parameters(study, asked, notebooks)
    wrong += _of_names(asked)
    if whole:
        wrong += _of_patterns(study, notebooks)
        wrong += _of_matrix(study, asked)
    return found, list(dict.fromkeys(wrong))


def _notebooks(study: Study, folder: Path, wrong: list[Mistake]) -> dict[str, Notebook]:
    """Read every notebook the study names or needs."""
    places: list[tuple[Key, str]] = []
    for place, dataset in enumerate(study.datasets):
        for case in stated(study, place):
            places += case.all_of("notebook") or [(("notebook",), MODEL)]
        places += [(("datasets", place, "compare"), COMPARISON)] if dataset.compare else []
        places += [(("datasets", place, "explore"), EXPLORATION)] if dataset.explore else []
    found: dict[str, Notebook] = {}
    for key, name in dict.fromkeys(places):
        if name in found:
            continue
        try:
            found[name] = read_notebook(_find_notebook(folder, name))
        except StudyError as error:
            wrong.append(Mistake(key, str(error).removesuffix("; nothing was run.")))
    return found


def _find_notebook(folder: Path, name: str) -> Path:
    folders = (folder, resource_dir("notebooks"))
    for one in folders:
        if os.path.isfile(one / name):  # Path.is_file raises for a name that is too long
            return (one / name).absolute()
    known = sorted({one.name for place in folders for one in place.glob("*.ipynb")})
    raise StudyError(f'there is no notebook "{name}"; {hint(name, known)}')


def _of_cases(study: Study, asked: list[Case], notebooks: dict[str, Notebook]) -> Iterator[Mistake]:
    """Find what does not fit a case's notebook, and what has no meaning in any notebook."""
    for case in asked:
        for key, seconds in case.all_of("timeout"):
            if not math.isfinite(seconds):
                yield Mistake(key, f"expected a number of seconds, got {seconds}")
        notebook = notebooks.get(case.notebook)
        if notebook is not None:
            yield from _of_notebook(case, notebook, case.notebook)
    if study.seed is not UNSET and notebooks and not any("seed" in one for one in notebooks.values()):
        yield Mistake(("seed",), _none_has(notebooks, "parameter seed"))


def _of_notebook(case: Case, notebook: Notebook, name: str) -> Iterator[Mistake]:
    variant, key = case.variant, case.key
    if "dataset" not in notebook:
        keys = [place for place, _ in case.all_of("notebook")] or [("notebook",)]
        yield Mistake(keys[-1], f"{name} has no parameter dataset, which every run of a study sets")
    for word in ("formula", "formulas", "names", "residuals"):
        value = getattr(variant, word)
        if value is not UNSET and word not in notebook:
            other = {"formula": "formulas", "formulas": "formula"}.get(word, "")
            instead = f'; it takes the key "{other}"' if other and other in notebook else ""
            yield Mistake((*key, word), f"{name} has no parameter {word}{instead}")
        elif value is UNSET and word in notebook and word in ("formula", "formulas") and key[-1] != "explore":
            yield Mistake((*key, word), f"missing; {name} needs it")
    if variant.names is not UNSET and variant.formulas is not UNSET and len(variant.names) != len(variant.formulas):
        yield Mistake((*key, "names"), f"{len(variant.names)} names for {len(variant.formulas)} formulas")
    if variant.residuals is not UNSET and variant.formulas is not UNSET and key[-1] != "compare":
        if len(variant.residuals) != len(variant.formulas):
            given = counted(len(variant.residuals), "residual structure")
            text = f"{given} for {counted(len(variant.formulas), 'formula')}"
            yield Mistake((*key, "residuals"), text)
    names = [] if variant.names is UNSET else variant.names
    if twice := [one for one in dict.fromkeys(names) if names.count(one) > 1]:
        yield Mistake((*key, "names"), f'"{twice[0]}" names more than one model; give each a name of its own')
    for word, places in (("filter", [place for place, _ in case.filters]), ("columns", _columns_key(case))):
        if word not in notebook:
            yield from (Mistake(place, f"{name} has no parameter {word}") for place in places)
    if case.residual and "residual" not in notebook and key[-1] != "explore":
        yield Mistake(case.all_of("residual")[-1][0], f"{name} has no parameter residual")


def _columns_key(case: Case) -> list[Key]:
    return [("datasets", case.place, "columns")] if case.dataset.columns else []


def _of_parameters(study: Study, asked: list[Case], notebooks: dict[str, Notebook]) -> Iterator[Mistake]:
    """Find parameters that no notebook they reach knows, and values of the wrong type."""
    reached: dict[Key, tuple[Any, set[str]]] = {}
    for case in asked:
        for key, table in case.all_of("parameters"):
            for name, value in table.items():
                reached.setdefault((*key, name), (value, set()))[1].add(case.notebook)
    for key, (value, names) in reached.items():
        name, known = str(key[-1]), {one: notebooks[one] for one in sorted(names) if one in notebooks}
        if name in OWN_KEYS:
            yield Mistake(key, f"is not set here but by the key {OWN_KEYS[name]}")
        elif known and not any(name in notebook for notebook in known.values()):
            valid = sorted({one for notebook in known.values() for one in notebook.free})
            yield Mistake(key, f"{_none_has(known, 'such parameter')}; {hint(name, valid)}")
        for notebook in known.values():
            if name in notebook and name not in OWN_KEYS and not notebook[name].accepts(value):
                expected = notebook[name].expected
                yield Mistake(key, f"expected {TYPE_WORDS.get(expected, expected)}, got {value!r}")


def _of_patterns(study: Study, notebooks: dict[str, Notebook]) -> Iterator[Mistake]:
    """Find exclusions and inclusions that fit nothing."""
    datasets = [dataset.name for dataset in study.datasets]
    for place, one in enumerate(study.include):
        if one.dataset is UNSET and one.datasets is UNSET:
            yield Mistake(
                ("include", place), 'has neither "datasets" nor "dataset"; variants of all stand in [[variants]]'
            )
        given = [] if one.dataset is UNSET else [(("include", place, "dataset"), one.dataset)]
        given += (
            []
            if one.datasets is UNSET
            else [(("include", place, "datasets", i), p) for i, p in enumerate(one.datasets)]
        )
        for key, pattern in given:
            if not any(fnmatchcase(name, pattern) for name in datasets):
                yield Mistake(key, f'no data set is called "{pattern}"; {hint(pattern, datasets)}')
    everything = cases(replace(study, exclude=[]), notebooks)
    for place, one in enumerate(study.exclude):
        if one.dataset is one.variant is one.method is UNSET:
            yield Mistake(
                ("exclude", place), "is empty, which would leave out every run; name a dataset, variant or method"
            )
        elif not any(fits(one, case.dataset.name, case.variant.name, m) for case in everything for m in case.methods):
            yield Mistake(("exclude", place), f"fits no run{_nearest_run(one, everything)}")


def _nearest_run(one: Any, everything: list[Case]) -> str:
    """Return a hint for the first of the exclusion's patterns that fits nothing by itself."""
    names = {
        "dataset": [case.dataset.name for case in everything],
        "variant": [case.variant.name for case in everything],
        "method": [method for case in everything for method in case.methods if method],
    }
    for word, known in names.items():
        pattern = getattr(one, word)
        if pattern is not UNSET and not any(fnmatchcase(name, pattern) for name in known):
            return f'; no {word} is called "{pattern}": {hint(pattern, dict.fromkeys(known))}'
    return "; its patterns fit runs one by one but none together"


def _of_matrix(study: Study, asked: list[Case]) -> Iterator[Mistake]:
    """Find data sets and studies without a run, and comparisons of fewer than two models."""
    for place, dataset in enumerate(study.datasets):
        own = [case for case in asked if case.place == place]
        nothing = not any(True for _ in included(study, place)) and not dataset.compare and not dataset.explore
        if nothing:
            text = f'"{dataset.name}" has no variants, the study has none for it, and it neither compares nor explores'
            yield Mistake(("datasets", place), text)
        for case in own:
            if case.key == ("datasets", place, "compare"):
                yield from _of_comparison(case, [one for one in own if one.variant.formula is not UNSET])
            elif case.key == ("datasets", place, "explore") and not case.formulas:
                yield Mistake(case.key, "exploring starts from a formula, which says what matters; add a variant")
    if not asked:
        yield Mistake(("exclude",) if study.exclude else ("datasets",), "no run is left; nothing would be made")


def _of_comparison(case: Case, models: list[Case]) -> Iterator[Mistake]:
    models = [one for one in models if one.key[-1] != "explore"]
    if len(case.formulas) < 2:
        yield Mistake(case.key, f"comparing takes two models or more; {case.dataset.name} has {len(case.formulas)}")
    if len({one.filter for one in models}) > 1:
        yield Mistake(case.key, "the variants have different filters; only models of the same rows can be compared")
    if len({str(one.parameters.get("weights", "")) for one in models}) > 1:
        yield Mistake(case.key, "the variants have different weights; only models of the same weights can be compared")


def _of_names(asked: list[Case]) -> Iterator[Mistake]:
    """Find runs that would write the same files."""
    seen: dict[str, tuple[Case, str]] = {}
    for case in asked:
        for method in case.methods:
            stem = safe_name(case.dataset.name, case.variant.name, method)
            if stem in seen:
                text = f'{_words(case, method)} and {_words(*seen[stem])} would both write "{stem}"; rename one'
                yield Mistake((*case.key, "name"), text)
            seen.setdefault(stem, (case, method))


def _words(case: Case, method: str) -> str:
    return ", ".join(filter(None, (case.dataset.name, case.variant.name, method)))


def _none_has(notebooks: Iterable[str], what: str) -> str:
    names = list(notebooks)
    return f"{names[0]} has no {what}" if len(names) == 1 else f"{listed(names)} have no {what}"
