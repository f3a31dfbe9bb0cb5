"""The study file's format: what may stand in it, as types that check it and as a JSON Schema for editors."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lmmtools import toml

__all__ = ["Column", "Dataset", "Exclude", "Include", "Method", "Study", "Templates", "Variant", "json_schema"]

Method = Literal["REML", "ML"]
Value = bool | int | float | str | list | dict
Name = Annotated[str, Meta(min_length=1)]
Pattern = Annotated[str, Meta(min_length=1, description="A name; * and ? stand for any characters, as in file names.")]
Formula = Annotated[
    str, Meta(min_length=1, description="The model, in R's mixed-model notation.", examples=["y ~ x + (x | g)"])
]


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys that may stand at the study, a data set or a variant: the nearest to the run holds."""

    notebook: Annotated[
        Name | UnsetType,
        Meta(
            description="The notebook that is executed: beside the study file, else a shipped one (model_report.ipynb)."
        ),
    ] = UNSET
    methods: Annotated[
        Annotated[list[Method], Meta(min_length=1)] | UnsetType,
        Meta(description='One run for each; ["REML"] if left out. For notebooks that have a parameter reml.'),
    ] = UNSET
    timeout: Annotated[
        Annotated[float, Meta(gt=0)] | UnsetType, Meta(description="Seconds that one cell may take; 600 if left out.")
    ] = UNSET
    outputs: Annotated[
        Annotated[list[Literal["html", "pdf"]], Meta(min_length=1)] | UnsetType,
        Meta(description="The pages that are made; both if left out. Numbers (.json) and notebook are always written."),
    ] = UNSET
    focal: Annotated[
        Name | UnsetType,
        Meta(
            description='The coefficient that the index shows, such as "age" or "Sex[T.Female]"; the last if left out.'
        ),
    ] = UNSET
    filter: Annotated[
        str | UnsetType,
        Meta(
            description="The rows used, such as \"age > 8 and Sex in ['Male']\". Filters of all levels hold together."
        ),
    ] = UNSET
    residual: Annotated[
        str | UnsetType,
        Meta(
            description="The structure of the residuals, such as \"ar1(time | g) * varident(f)\"; empty for "
            "independent ones of one variance. With it a formula may be without random effects."
        ),
    ] = UNSET
    parameters: Annotated[
        dict[str, Value], Meta(description="Further parameters of the notebook; those of all levels are merged.")
    ] = {}


class Variant(_Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model of a data set, or, for a notebook that takes several, its list of models."""

    name: Annotated[Name, Meta(description="Names the run's files, with the data set and the method.")]
    formula: Formula | UnsetType = UNSET
    formulas: Annotated[
        Annotated[list[Formula], Meta(min_length=1)] | UnsetType,
        Meta(description="Several models, for a notebook with a parameter formulas (model_comparison.ipynb)."),
    ] = UNSET
    names: Annotated[
        list[Name] | UnsetType, Meta(description="What the models of formulas are called, one name for each.")
    ] = UNSET
    residuals: Annotated[
        list[str] | UnsetType,
        Meta(description="The residual structure of each of formulas, where they differ; empty texts for none."),
    ] = UNSET
    title: Annotated[str, Meta(description="The report's title; data set and variant if left out.")] = ""


class Include(Variant, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A variant for some of the data sets."""

    datasets: Annotated[
        Annotated[list[Pattern], Meta(min_length=1)] | UnsetType,
        Meta(description="The data sets that get the variant."),
    ] = UNSET
    dataset: Annotated[Pattern | UnsetType, Meta(description="The same with one pattern.")] = UNSET


class Exclude(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Runs that are left out: those that fit all of the patterns given."""

    dataset: Pattern | UnsetType = UNSET
    variant: Pattern | UnsetType = UNSET
    method: Pattern | UnsetType = UNSET


class Column(toml.Column, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a data file cannot say of a column."""

    unit: Annotated[str, Meta(examples=["mm"])] = ""
    description: str = ""
    noun: Annotated[
        Annotated[list[Name], Meta(min_length=2, max_length=2)] | UnsetType,
        Meta(description="What one level is, and several.", examples=[["child", "children"]]),
    ] = UNSET


class Dataset(_Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Data, and the models fitted to them."""

    name: Annotated[Name, Meta(description="A shipped data set; with file, a name of your own.")]
    file: Annotated[
        Name | UnsetType, Meta(description="A .csv, .tsv or .parquet file; its path starts at the study file.")
    ] = UNSET
    columns: Annotated[dict[str, Column], Meta(description="Kinds, levels, units and nouns of columns.")] = {}
    variants: list[Variant] = []
    compare: Annotated[bool, Meta(description="One more run, which compares the data set's variants.")] = False
    explore: Annotated[bool, Meta(description="One more run, which looks at the data before any model.")] = False


class Templates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Folders whose templates take the place of the shipped ones."""

    html: Annotated[Name | UnsetType, Meta(description="A folder with index.html.j2, beside the study file.")] = UNSET
    pdf: Annotated[Name | UnsetType, Meta(description="A folder with index.typ.j2, beside the study file.")] = UNSET


class Study(_Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A study of lmmtools: data sets, the models fitted to them, and what is made of each."""

    datasets: Annotated[list[Dataset], Meta(min_length=1)]
    title: Annotated[str, Meta(description="The title of the index.")] = "Study"
    seed: Annotated[int | UnsetType, Meta(description="Goes to every run whose notebook has a parameter seed.")] = UNSET
    variants: Annotated[list[Variant], Meta(description="Variants of every data set.")] = []
    include: Annotated[list[Include], Meta(description="Variants of the data sets that fit a pattern.")] = []
    exclude: Annotated[list[Exclude], Meta(description="Runs that are left out.")] = []
    templates: Templates = Templates()


def json_schema() -> str:
    """Return the JSON Schema of a study file, for editors: the same text every time."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of lmmtools",
        **msgspec.json.schema(Study),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
