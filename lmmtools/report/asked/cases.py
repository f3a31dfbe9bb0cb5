"""What a study asks for, case by case: each variant of each data set, with the settings that hold there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from msgspec import UNSET

from lmmtools.report.asked.parameters import Notebook
from lmmtools.report.asked.schema import Dataset, Exclude, Study, Variant

__all__ = [
    "COMPARISON",
    "COVARIANCE",
    "DIAGNOSTICS",
    "EXPLORATION",
    "INFERENCE",
    "MODEL",
    "Case",
    "Key",
    "cases",
    "fits",
    "included",
    "stated",
]

Key = tuple[str | int, ...]
_SHARED = {"weights"}  # what models that are compared must have in common, and a variant may set
MODEL, COMPARISON, EXPLORATION = "model_report.ipynb", "model_comparison.ipynb", "exploration.ipynb"
INFERENCE, COVARIANCE = "inference_report.ipynb", "covariance_report.ipynb"
DIAGNOSTICS = "diagnostics_report.ipynb"


@dataclass(frozen=True)
class Case:
    """One variant of one data set.

    Attributes
    ----------
    place : int
        The data set's, counted from 0.
    dataset : Dataset
    variant : Variant
    key : tuple
        Where the variant stands in the study.
    levels : tuple of (tuple, object)
        The keys of study, data set and variant, and what stands there, outermost first.
    methods : tuple of str
        Those left after the study's exclusions; one empty word for a notebook without a choice of method.
    """

    place: int
    dataset: Dataset
    variant: Variant
    key: Key
    levels: tuple[tuple[Key, Any], ...]
    methods: tuple[str, ...] = ()

    def setting(self, name: str, default: Any = "") -> Any:
        """Return the value of an inheritable key: the nearest one's."""
        return next((value for _, value in reversed(self.all_of(name))), default)

    def all_of(self, name: str) -> list[tuple[Key, Any]]:
        """Return every value of a key that holds here, with where it stands, outermost first."""
        given = [((*key, name), getattr(level, name)) for key, level in self.levels]
        return [(key, value) for key, value in given if value is not UNSET]

    @property
    def notebook(self) -> str:
        """The name of the notebook."""
        return self.setting("notebook", MODEL)

    @property
    def filters(self) -> list[tuple[Key, str]]:
        """Filters that hold here, with where they stand."""
        return [(key, text) for key, text in self.all_of("filter") if text.strip()]

    @property
    def filter(self) -> str:
        """All filters as one."""
        texts = [text for _, text in self.filters]
        return " and ".join(f"({text})" for text in texts) if len(texts) > 1 else "".join(texts)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of all levels, the nearest one's value of each."""
        return {name: value for _, table in self.all_of("parameters") for name, value in table.items()}

    @property
    def residual(self) -> str:
        """The structure of the residuals; empty for none."""
        return self.setting("residual").strip()

    @property
    def residuals(self) -> list[str]:
        """The structure of each model's residuals."""
        if self.variant.residuals is not UNSET:
            return list(self.variant.residuals)
        return [self.residual] * len(self.formulas)

    @property
    def formulas(self) -> list[str]:
        """Its models."""
        if self.variant.formulas is not UNSET:
            return list(self.variant.formulas)
        return [] if self.variant.formula is UNSET else [self.variant.formula]


def cases(study: Study, notebooks: Mapping[str, Notebook]) -> list[Case]:
    """Return what a study asks for, in its order, without what it excludes.

    Parameters
    ----------
    study : Study
    notebooks : mapping
        Those that exist, by the name the study calls them.
    """
    found = []
    for place, dataset in enumerate(study.datasets):
        models = [case for case in _models(study, place, notebooks) if case.methods]
        if dataset.explore:
            found += _kept(study, [_exploration(study, place, dataset, models)])
        found += models
        if dataset.compare:
            found += _kept(study, [_comparison(study, place, dataset, models)])
    return found


def included(study: Study, place: int) -> Iterator[tuple[Key, Variant]]:
    """Yield the variants of one data set, with where they stand: the study's, its own, those its name fits."""
    dataset = study.datasets[place]
    yield from ((("variants", i), one) for i, one in enumerate(study.variants))
    yield from ((("datasets", place, "variants", i), one) for i, one in enumerate(dataset.variants))
    for i, one in enumerate(study.include):
        patterns = [*([] if one.datasets is UNSET else one.datasets), *([] if one.dataset is UNSET else [one.dataset])]
        if any(fnmatchcase(dataset.name, pattern) for pattern in patterns):
            yield ("include", i), one


def stated(study: Study, place: int) -> Iterator[Case]:
    """Yield a case for every variant of one data set, whatever is excluded; without methods."""
    dataset = study.datasets[place]
    for key, variant in included(study, place):
        yield Case(place, dataset, variant, key, (((), study), (("datasets", place), dataset), (key, variant)))


def _models(study: Study, place: int, notebooks: Mapping[str, Notebook]) -> Iterator[Case]:
    for case in stated(study, place):
        known = notebooks.get(case.notebook)
        methods = case.setting("methods", ["REML"]) if known is None or "reml" in known else [""]
        names = case.dataset.name, case.variant.name
        kept = tuple(method for method in methods if not _excluded(study, *names, method))
        yield replace(case, methods=kept)


def _exploration(study: Study, place: int, dataset: Dataset, models: list[Case]) -> Case:
    """Return a look at the data through the richest model, or at all columns when there is none."""
    formulas = [case.variant.formula for case in models if case.variant.formula is not UNSET]
    variant = Variant(
        name="exploration",
        notebook=EXPLORATION,
        formula=max(formulas, key=_richness) if formulas else UNSET,
        title=f"{dataset.name}: the data",
    )
    return _own(study, place, dataset, variant, "explore")


def _comparison(study: Study, place: int, dataset: Dataset, models: list[Case]) -> Case:
    """Return the comparison of a data set's models; equal formulas with equal residuals are one model.

    A covariance report that finds its structure itself is of no one model.
    """
    own: dict[tuple[str, str], Case] = {}
    for case in models:
        if case.variant.formula is not UNSET and (case.notebook != COVARIANCE or case.residual):
            own.setdefault((case.variant.formula, case.residual), case)
    variant = Variant(
        name="comparison",
        notebook=COMPARISON,
        formulas=[formula for formula, _ in own],
        residual="",
        residuals=[residual for _, residual in own] if any(residual for _, residual in own) else UNSET,
        names=[case.variant.name for case in own.values()],
        title=f"{dataset.name}: models compared",
        # All have the same of these two.
        filter=next((case.variant.filter for case in own.values()), UNSET),
        parameters={name: value for case in own.values() for name, value in case.parameters.items() if name in _SHARED},
    )
    return _own(study, place, dataset, variant, "compare")


def _own(study: Study, place: int, dataset: Dataset, variant: Variant, word: str) -> Case:
    where = ("datasets", place)
    return Case(
        place, dataset, variant, (*where, word), (((), study), (where, dataset), ((*where, word), variant)), ("",)
    )


def _kept(study: Study, found: list[Case]) -> list[Case]:
    return [case for case in found if not _excluded(study, case.dataset.name, case.variant.name, "")]


def _excluded(study: Study, dataset: str, variant: str, method: str) -> bool:
    return any(fits(one, dataset, variant, method) for one in study.exclude)


def fits(one: Exclude, dataset: str, variant: str, method: str) -> bool:
    """Whether a run has the names that an exclusion asks for."""
    asked = ((one.dataset, dataset), (one.variant, variant), (one.method, method))
    return all(pattern is UNSET or fnmatchcase(name, pattern) for pattern, name in asked)


def _richness(formula: str) -> tuple[int, int, int]:
    """Return how many columns a formula names, and how many random and fixed terms it has."""
    from lmmtools import FormulaError, parse_formula

    try:
        parsed = parse_formula(formula)
    except FormulaError:
        return 0, 0, 0
    return len(parsed.columns), sum(len(bar.terms) for bar in parsed.random), len(parsed.fixed_terms)
