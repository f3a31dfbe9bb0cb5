"""Reading a mapping into a msgspec Struct while listing every mistake, not only the first."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lmmtools.formats import closest

__all__ = ["TYPE_WORDS", "find_mistakes", "hint"]


def hint(name: str, valid: Iterable[str]) -> str:
    """Return ``'did you mean "x"?'`` for the closest valid name, else the list of valid names."""
    names = [str(one) for one in valid]
    meant = closest(name, names)
    if meant is not None:
        return f'did you mean "{meant}"?'
    return f"valid here: {', '.join(names)}" if names else "nothing is valid here"


def find_mistakes(kind: type[msgspec.Struct], value: Any, where: str = "") -> list[str]:
    """Return every way in which a value read from TOML fails to be a ``kind``, each with its key.

    msgspec stops at the first mistake, so each field is converted by itself here; a list of Structs
    is entered item by item.

    Parameters
    ----------
    kind : type
        A ``msgspec.Struct``.
    value : object
        What TOML gave.
    where : str
        The key of ``value``, such as ``"datasets[2]"``; empty at the top of the file.
    """
    if not isinstance(value, Mapping):
        return [f"{where}: expected a table, got {_toml_type(value)}"]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    prefix = f"{where}." if where else ""
    found = [f"{prefix}{key}: unknown key; {hint(key, fields)}" for key in value if key not in fields]
    for name, field in fields.items():
        if name not in value:
            if field.required:
                found.append(f"{prefix}{name}: missing")
            continue
        item = _item_struct(field.type)
        if item is not None and isinstance(value[name], list):
            if not value[name]:
                found.append(f"{prefix}{name}: empty; at least one is needed")
            for number, one in enumerate(value[name], start=1):
                found += find_mistakes(item, one, f"{prefix}{name}[{number}]")
        else:
            found += _field_mistake(field.type, value[name], f"{prefix}{name}")
    return found


def _field_mistake(kind: Any, value: Any, where: str) -> list[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at ")
        inner = place.strip("`").removeprefix("$")
        return [f"{where}{inner}: {_in_words(text)}{_choices(kind, value)}"]
    return []


def _choices(kind: Any, value: Any) -> str:
    """Return the allowed words when the field holds words of a fixed set."""
    words = [word for part in (kind, *typing.get_args(kind)) for word in _literal_words(part)]
    given = value if isinstance(value, list) else [value]
    wrong = [one for one in given if isinstance(one, str) and one not in words]
    return f"; {hint(wrong[0], words)}" if words and wrong else ""


def _literal_words(kind: Any) -> tuple[str, ...]:
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (list, tuple):
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _item_struct(kind: Any) -> type[msgspec.Struct] | None:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (list, tuple) and isinstance(arguments[0], type):
        if issubclass(arguments[0], msgspec.Struct):
            return arguments[0]
    return None


def _toml_type(value: Any) -> str:
    return TYPE_WORDS.get(type(value).__name__, type(value).__name__)


# msgspec's names of types, as someone who writes TOML knows them.
TYPE_WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "array": "a list",
    "list": "a list",
    "dict": "a table",
    "object": "a table",
    "null": "nothing",
}


def _in_words(text: str) -> str:
    """Return msgspec's message with types in words: ``Expected `float`, got `str` `` loses its backticks."""
    text = re.sub(r"`([^`]+)`", lambda m: " or ".join(TYPE_WORDS.get(n, n) for n in m[1].split(" | ")), text)
    return text[:1].lower() + text[1:]
