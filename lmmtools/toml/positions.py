"""Where each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["Path", "line_of", "positions"]

Path = tuple[str | int, ...]


def positions(text: str) -> dict[Path, int]:
    """Return the line of every key and of every item of an array, counted from 1.

    Parameters
    ----------
    text : str
        Valid TOML.

    Returns
    -------
    dict
        Keys are paths as in the value that ``tomllib`` reads: ``("datasets", 0, "name")``.
    """
    import tree_sitter
    import tree_sitter_toml

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
    found: dict[Path, int] = {}
    lengths: dict[Path, int] = {}  # of arrays of tables
    for node in parser.parse(text.encode()).root_node.children:
        if node.type == "pair":
            _pair(node, (), found)
        elif node.type in ("table", "table_array_element"):
            where = _header(node, lengths)
            found.setdefault(where, _line(node))
            for place in range(1, len(where)):
                found.setdefault(where[:place], _line(node))
            for child in node.children:
                if child.type == "pair":
                    _pair(child, where, found)
    return found


def line_of(path: Path, found: dict[Path, int]) -> int:
    """Return the line of a key, or that of the innermost table around it when it is not there."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


def _header(node: Node, lengths: dict[Path, int]) -> Path:
    """Return the path of ``[a.b]`` or ``[[a.b]]``: arrays of tables on the way stand for their last table."""
    keys = list(_keys(node))
    where: Path = ()
    for place, key in enumerate(keys, start=1):
        where = (*where, key)
        if place == len(keys) and node.type == "table_array_element":
            lengths[where] = lengths.get(where, 0) + 1
        if where in lengths:
            where = (*where, lengths[where] - 1)
    return where


def _pair(node: Node, where: Path, found: dict[Path, int]) -> None:
    keys = tuple(_keys(node))
    for place in range(1, len(keys) + 1):
        found.setdefault((*where, *keys[:place]), _line(node))
    _inside(node.children[-1], (*where, *keys), found)


def _inside(value: Node, where: Path, found: dict[Path, int]) -> None:
    """Enter an array or an inline table."""
    if value.type == "inline_table":
        for child in value.children:
            if child.type == "pair":
                _pair(child, where, found)
    elif value.type == "array":
        items = [one for one in value.children if one.is_named and one.type != "comment"]
        for place, one in enumerate(items):
            found[(*where, place)] = _line(one)
            _inside(one, (*where, place), found)


def _keys(node: Node) -> Iterator[str]:
    """Yield the parts of a pair's or a header's key, unquoted as ``tomllib`` does it."""
    key = next(one for one in node.children if one.type in ("bare_key", "quoted_key", "dotted_key"))
    inner = tomllib.loads(f"{key.text.decode()} = 0")
    while isinstance(inner, dict):
        (name, inner), *_ = inner.items()
        yield name


def _line(node: Node) -> int:
    return node.start_point[0] + 1
