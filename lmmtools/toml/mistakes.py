"""Reading a mapping into a msgspec Struct while listing every mistake, not only the first."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from lmmtools.formats import closest, shortened

__all__ = ["TYPE_WORDS", "Mistake", "find_mistakes", "hint", "key_text"]


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a study.

    Attributes
    ----------
    path : tuple of str and int
        Its key: ``("datasets", 0, "name")``.
    text : str
        What is wrong, and the nearest valid name.
    """

    path: tuple[str | int, ...]
    text: str


def key_text(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it, items counted from 1: ``datasets[1].name``."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part + 1}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            out += ("." if out else "") + (shortened(part, 60) if plain else f'"{shortened(part, 60)}"')
    return out


def hint(name: str, valid: Iterable[str]) -> str:
    """Return ``'did you mean "x"?'`` for the closest valid name, else the list of valid names."""
    names = [str(one) for one in valid]
    meant = closest(name, names)
    if meant is not None:
        return f'did you mean "{meant}"?'
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"valid here: {', '.join(names[:20])}{more}" if names else "nothing is valid here"


def find_mistakes(kind: Any, value: Any, path: tuple[str | int, ...] = ()) -> list[Mistake]:
    """Return every way in which a value read from TOML fails to be a ``kind``, each with its key.

    msgspec stops at the first mistake, so tables and lists are entered here and it sees their leaves only.

    Parameters
    ----------
    kind : type
        A ``msgspec.Struct``, or the type of one of its fields.
    value : object
        What TOML gave.
    path : tuple of str and int
        The key of ``value``; empty at the top of the file.
    """
    inner = _plain(kind)
    origin, arguments = typing.get_origin(inner), typing.get_args(inner)
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        if not isinstance(value, Mapping):
            return [Mistake(path, f"expected a table, got {_toml_type(value)}")]
        return list(_of_struct(inner, value, path))
    if origin is list and isinstance(value, list):
        if said := _wrong_length(kind, len(value)):
            return [Mistake(path, said)]
        return [one for place, item in enumerate(value) for one in find_mistakes(arguments[0], item, (*path, place))]
    if origin is dict and isinstance(value, Mapping):
        return [one for key, item in value.items() for one in find_mistakes(arguments[1], item, (*path, str(key)))]
    return _of_leaf(kind, value, path)


def _of_struct(kind: type[msgspec.Struct], value: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[Mistake]:
    fields = _fields(kind)
    for key in value:
        if key not in fields:
            yield Mistake((*path, key), f"unknown key; {hint(key, fields)}")
    for name, field in fields.items():
        if name in value:
            yield from find_mistakes(field.type, value[name], (*path, name))
        elif field.required:
            yield Mistake((*path, name), "missing")


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _of_leaf(kind: Any, value: Any, path: tuple[str | int, ...]) -> list[Mistake]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error).partition(" - at ")[0]
        words = [word for word in typing.get_args(_plain(kind)) if typing.get_origin(_plain(kind)) is typing.Literal]
        if words and isinstance(value, str):
            return [Mistake(path, f'"{shortened(value, 60)}" is not valid here; {hint(value, words)}')]
        return [Mistake(path, _in_words(text))]
    return []


def _plain(kind: Any) -> Any:
    """Return a field's type without its notes, and without the mark that it may be left out."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    arguments = [one for one in typing.get_args(kind) if one is not msgspec.UnsetType]
    if len(arguments) < len(typing.get_args(kind)) and len(arguments) == 1:
        return _plain(arguments[0])
    return kind


def _wrong_length(kind: Any, length: int) -> str:
    """Return what is wrong with a list of so many items; empty if nothing is."""
    metas = list(_metas(kind))
    least = max((meta.min_length or 0 for meta in metas), default=0)
    most = min((meta.max_length for meta in metas if meta.max_length is not None), default=length)
    if least == most and length != least:
        return f"expected a list of {least}, got {length}"
    if length < least:
        return "empty; at least one is needed" if length == 0 else f"expected a list of {least} or more, got {length}"
    return f"expected a list of at most {most}, got {length}" if length > most else ""


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    """Yield the notes on a field's type, also those inside the mark that it may be left out."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Annotated:
        yield from (one for one in arguments[1:] if isinstance(one, msgspec.Meta))
        yield from _metas(arguments[0])
    elif msgspec.UnsetType in arguments:
        yield from (meta for one in arguments for meta in _metas(one))


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
    "datetime": "a time",
    "date": "a date",
    "time": "a time",
}


def _in_words(text: str) -> str:
    """Return msgspec's message with types in words: ``Expected `float`, got `str` `` loses its backticks."""
    text = re.sub(r"`([^`]+)`", lambda m: " or ".join(TYPE_WORDS.get(n, n) for n in m[1].split(" | ")), text)
    text = re.sub(r"^Expected text of length >= 1$", "is empty", text)
    text = re.sub(r" > (\d+)\.0$", r" > \1", text)
    return text[:1].lower() + text[1:]
