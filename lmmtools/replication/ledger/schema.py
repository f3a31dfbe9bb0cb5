"""The ledger's format: what a file of published numbers may hold, as types that check it and as a JSON Schema."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lmmtools.toml import Column

__all__ = ["Model", "Number", "Source", "Table", "Variant", "ledger_schema"]

Text = Annotated[str, Meta(min_length=1)]
Method = Literal["REML", "ML"]
Value = bool | int | float | str | list | dict


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model as it is run: a mixed model (formula) or a growth curve (growth, between, within, sigma)."""

    printed: Annotated[str, Meta(description="The model as the source writes it.")] = ""
    data: Annotated[
        Text, Meta(description="A shipped data set, or a .csv, .tsv or .parquet file; its path starts at the ledger.")
    ]
    filter: Annotated[str, Meta(description="The rows used, such as \"age > 8 and Sex in ['Male']\".")] = ""
    columns: Annotated[
        dict[str, Column],
        Meta(
            description="Kinds (number, factor or ordered) and levels of columns: "
            '{ sex = { levels = ["M", "F"] } }.'
        ),
    ] = {}
    formula: Annotated[
        Text | UnsetType,
        Meta(description="A mixed model, in R's notation.", examples=["y ~ x + (x | g)"]),
    ] = UNSET
    method: Annotated[Method | UnsetType, Meta(description="Of a mixed model; REML if left out.")] = UNSET
    residual: Annotated[
        str, Meta(description='The structure of the residuals, such as "ar1(time | g) * varident(f)".')
    ] = ""
    weights: Annotated[str, Meta(description="The column with precision weights: Var(εᵢ) = σ²/wᵢ.")] = ""
    contrasts: Annotated[
        dict[str, Text], Meta(description="Coding of factors: treatment (of all not named), sum, helmert or poly.")
    ] = {}
    row: Annotated[
        str,
        Meta(description="A factor: the data get a column row, which counts rows within its levels from 1 on."),
    ] = ""
    start: Annotated[
        dict[str, float],
        Meta(description="Where the search starts, by names of theta and residual_params; all of them, or none."),
    ] = {}
    growth: Annotated[
        Text | UnsetType,
        Meta(description="A growth curve Y = GBX' + E of long data.", examples=["distance ~ age | Subject"]),
    ] = UNSET
    between: Annotated[
        Text | UnsetType, Meta(description='G, what subjects differ in: a formula such as "~ Sex", "equal" or "free".')
    ] = UNSET
    within: Annotated[Text | UnsetType, Meta(description='X, the curve over occasions: a formula such as "~ age".')] = (
        UNSET
    )
    sigma: Annotated[Text | UnsetType, Meta(description="Σ, the covariance of the occasions; free if left out.")] = (
        UNSET
    )


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another model that is tried where a number of this source fails."""

    name: Annotated[Text, Meta(description="What the variant is, in a few words.")]
    says: Annotated[
        str,
        Meta(description="Where the source says so: then the variant is the explanation; else it prints the number."),
    ] = ""
    models: Annotated[list[Text] | UnsetType, Meta(description="The models that it is tried for; all if left out.")] = (
        UNSET
    )
    change: Annotated[dict[str, Value], Meta(description="Keys of a model, with other values; at least one.")]


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number as it is printed."""

    quantity: Annotated[Text, Meta(description="What is printed, as the source names it.")]
    printed: Annotated[
        Text,
        Meta(description='Its digits are its precision: "0.50" is not "0.5". "< .0001": a bound. "-inf": no minimum.'),
    ]
    path: Annotated[Text, Meta(description="Where it is in the result.", examples=["varcorr.Subject.Days.sd"])]
    model: Annotated[Text | UnsetType, Meta(description="A name of [models]; the table's if left out.")] = UNSET
    line: Annotated[str, Meta(description="The line in the source.")] = ""
    note: Annotated[str, Meta(description="What a reader should know of it.")] = ""
    reason: Annotated[
        str, Meta(description='Why it is not reproduced, where that can be shown; "not found" where it cannot.')
    ] = ""
    says: Annotated[str, Meta(description="Where the source itself gives this reason.")] = ""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place in the source, with the numbers printed there in the source's order."""

    place: Annotated[Text, Meta(description="Where in the source: a section, a table, a call.")]
    page: str = ""
    line: str = ""
    model: Annotated[Text | UnsetType, Meta(description="A name of [models], of all numbers that name no other.")] = (
        UNSET
    )
    read: Annotated[str, Meta(description="Where these numbers were read, if elsewhere than the rest.")] = ""
    reason: Annotated[
        str, Meta(description="Why numbers of it are not reproduced: those that have no reason of their own.")
    ] = ""
    says: Annotated[str, Meta(description="Where the source itself gives this reason.")] = ""
    numbers: Annotated[
        Annotated[list[Number], Meta(min_length=1)], Meta(description="What is printed there, in its order.")
    ]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Numbers published in one place, and the models that give them."""

    title: Annotated[Text, Meta(description="A short title.")]
    citation: Annotated[Text, Meta(description="The whole reference.")]
    read: Annotated[
        Text, Meta(description="Where the numbers were read: in the print itself, a package's documentation, …")
    ]
    remarks: Annotated[str, Meta(description="What holds for the whole source, such as the digits it prints.")] = ""
    models: Annotated[dict[str, Model], Meta(description="Models by name.")]
    variants: Annotated[list[Variant], Meta(description="Variants that are tried where a number fails.")] = []
    tables: Annotated[list[Table], Meta(min_length=1)]


def ledger_schema() -> str:
    """Return the JSON Schema of a file of published numbers, for editors: the same text every time."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Published numbers, for lmmtools",
        **msgspec.json.schema(Source),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
