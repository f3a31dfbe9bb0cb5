"""What types do not show to be wrong in a ledger: names of nothing, keys that do not go together, no numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from lmmtools.errors import StudyError
from lmmtools.replication.ledger.schema import Model
from lmmtools.replication.printed import read_printed
from lmmtools.toml import Mistake, find_mistakes, hint

__all__ = ["beyond_types"]

_GROWTH = ("between", "within", "sigma")
_MIXED = ("method", "residual", "weights", "row", "start")


def beyond_types(content: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong in a ledger beyond missing and unknown keys and wrong types.

    Parameters
    ----------
    content : mapping
        As TOML gives it, whatever else is wrong in it.
    """
    given = content.get("models")
    models = given if isinstance(given, Mapping) else {}
    for name, model in models.items():
        if not find_mistakes(Model, model):
            yield from _of_model(model, ("models", name))
    for i, variant in enumerate(_items(content, "variants")):
        yield from _of_variant(variant, ("variants", i), models)
    for i, table in enumerate(_items(content, "tables")):
        yield from _of_reason(table, ("tables", i))
        for j, number in enumerate(_items(table, "numbers")):
            if isinstance(number, Mapping):
                yield from _of_number(number, ("tables", i, "numbers", j), table, models)
                yield from _of_reason(number, ("tables", i, "numbers", j))


def _items(table: Any, key: str) -> list[Any]:
    found = table.get(key) if isinstance(table, Mapping) else None
    return found if isinstance(found, list) else []


def _of_model(model: Mapping[str, Any], path: tuple) -> Iterator[Mistake]:
    """Yield what is wrong with one that is neither a mixed model nor a growth curve, or something of both."""
    growth = "growth" in model
    if growth == ("formula" in model):
        has = "both formula and growth" if growth else "neither formula nor growth"
        yield Mistake(path, f"it has {has}; a mixed model has formula, a growth curve has growth, between and within")
        return
    strange = _MIXED if growth else _GROWTH
    what = "growth curve" if growth else "mixed model"
    for key in (key for key in strange if key in model):
        yield Mistake((*path, key), f"a {what} has none")
    for key in ("between", "within") if growth else ():
        if key not in model:
            yield Mistake((*path, key), "missing; a growth curve has growth, between and within")


def _of_variant(variant: Any, path: tuple, models: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield models it is for that are not there, and changes that are not of a model."""
    for place, name in enumerate(_items(variant, "models")):
        if isinstance(name, str) and name not in models:
            yield Mistake((*path, "models", place), _no_model(name, models))
    change = variant.get("change") if isinstance(variant, Mapping) else None
    if not isinstance(change, Mapping):
        return
    if not change:
        yield Mistake((*path, "change"), "empty; a variant changes at least one key of a model")
    fields = {field.encode_name: field for field in msgspec.structs.fields(Model)}
    for key, value in change.items():
        if key in fields:
            yield from find_mistakes(fields[key].type, value, (*path, "change", key))
        else:
            yield Mistake((*path, "change", key), f"unknown key of a model; {hint(key, fields)}")


def _of_number(number: Mapping[str, Any], path: tuple, table: Any, models: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield a model that is not there, and what is printed if it is no number."""
    above = table.get("model") if isinstance(table, Mapping) else None
    name = number.get("model", above)
    if name is None:
        yield Mistake(path, f"neither it nor its table names a model; {hint('', models)}")
    elif isinstance(name, str) and name not in models:
        whose = "" if "model" in number else "of its table: "
        yield Mistake((*path, "model"), whose + _no_model(name, models))
    elif not isinstance(name, str) and "model" not in number:
        yield Mistake(path, "the model of its table is not a text")
    for key in ("quantity", "path"):
        if isinstance(number.get(key), str) and number[key].isspace():
            yield Mistake((*path, key), "holds nothing but blanks")
    if isinstance(number.get("printed"), str) and number["printed"]:
        try:
            read_printed(number["printed"])
        except StudyError as error:
            yield Mistake((*path, "printed"), str(error))


def _of_reason(given: Any, path: tuple) -> Iterator[Mistake]:
    """Yield the source's word for a reason that is not given."""
    said = [isinstance(given, Mapping) and bool(str(given.get(key, "")).strip()) for key in ("says", "reason")]
    if said == [True, False]:
        yield Mistake((*path, "says"), "it tells where the source gives the reason, but there is no reason; add it")


def _no_model(name: str, models: Iterable[str]) -> str:
    return f'there is no model "{name}"; {hint(name, models)}'
