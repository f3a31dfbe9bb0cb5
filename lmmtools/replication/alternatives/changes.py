"""Other models that may stand behind a number: the declared list, each with what it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from lmmtools.design.fixed_terms import fixed_terms
from lmmtools.errors import LMMError
from lmmtools.replication.fits import data_of
from lmmtools.replication.ledger.schema import Model, Variant

__all__ = ["CODINGS", "Change", "changes"]

CODINGS = ("treatment", "sum", "helmert", "poly")


@dataclass(frozen=True)
class Change:
    """A change of a model.

    Attributes
    ----------
    words : str
    says : str
        Where the source says that it is this; empty if it does not.
    apply : callable
        From a model to the changed one.
    stated : bool
        Whether the file states it.
    recodes : bool
        Whether factors are coded otherwise and nothing else: coefficients have other names, in the same places.
    """

    words: str
    says: str
    apply: Callable[[Model], Model]
    stated: bool = False
    recodes: bool = False


def changes(
    name: str, fit: Any, models: Mapping[str, Model], variants: Sequence[Variant], folder: Path
) -> Iterator[Change]:
    """The models that are tried in place of one, in their order.

    Parameters
    ----------
    name : str
        Of the model in the file.
    fit : LMMFit, GmanovaFit or None
        Of the model, if it has one.
    models : Mapping[str, Model]
        Those of the file, whose filters are tried.
    variants : sequence of Variant
        Those that the file states; of these the ones that are for the model.
    folder : pathlib.Path
        Where the file is.
    """
    model = models[name]
    for variant in variants:
        if variant.models is UNSET or name in variant.models:
            recodes = set(variant.change) == {"contrasts"}
            yield Change(variant.name, variant.says.strip(), _stated(variant.change), stated=True, recodes=recodes)
    if model.formula is not UNSET:
        other = "REML" if model.method == "ML" else "ML"
        yield Change(f"fitted by {other}", "", _with(method=other))
    yield from _codings(model, fit)
    yield from _filters(model, models, folder)


def _stated(change: Mapping[str, Any]) -> Callable[[Model], Model]:
    return lambda model: msgspec.convert(msgspec.to_builtins(model) | dict(change), Model)


def _with(**values: Any) -> Callable[[Model], Model]:
    return lambda model: msgspec.structs.replace(model, **values)


def _codings(model: Model, fit: Any) -> Iterator[Change]:
    """All factors of the fixed part coded in one way, where they are not."""
    if model.formula is UNSET or fit is None:
        return
    try:
        terms, _ = fixed_terms(fit.design)
    except LMMError:  # categories that are computed within the formula have no coding to change
        return
    columns = set(fit.design.parsed.columns)
    factors = list(dict.fromkeys(name for term in terms for name in term.factors if name in columns))
    now = [model.contrasts.get(name, CODINGS[0]) for name in factors]
    for coding in CODINGS:
        if factors and now != [coding] * len(factors):
            contrasts = {**model.contrasts, **dict.fromkeys(factors, coding)}
            yield Change(f"{coding} contrasts", "", _with(contrasts=contrasts), recodes=True)


def _filters(model: Model, models: Mapping[str, Model], folder: Path) -> Iterator[Change]:
    """Rows that have no missing value in any column, and those that other models of the same data have."""
    try:
        data = data_of(model, folder)
    except LMMError:
        return
    gaps = [str(name) for name in data.columns if data[name].isna().any()]
    if gaps:
        complete = " and ".join((*([f"({model.filter})"] if model.filter else []), *(f"`{c}` == `{c}`" for c in gaps)))
        yield Change("the rows that are complete in all columns of the data", "", _with(filter=complete))
    stated = dict.fromkeys(one.filter for one in models.values() if one.data == model.data)
    for text in stated:
        if text != model.filter:
            yield Change(f"the rows where {text}" if text else "all rows of the data", "", _with(filter=text))
