"""Which numbers are computed together: those whose models are needed by one another, so that each is fitted once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from lmmtools.datasets import list_datasets
from lmmtools.errors import LMMError
from lmmtools.replication.ledger.entries import Entry, Ledger
from lmmtools.replication.ledger.schema import Model
from lmmtools.replication.quantities import models_named

__all__ = ["Group", "grouped", "same_model"]

# What tells a model from others: itself, and the folder of its data where these are not shipped.
Key = tuple[bytes, str]


@dataclass(frozen=True)
class Group:
    """Numbers that one process computes.

    Attributes
    ----------
    label : str
        Source and model of the first of them, for who waits.
    models : tuple of (int, str)
        The models to fit: place of the ledger, and name there.
    entries : tuple of (int, int)
        The numbers: place of the ledger, and of the entry there.
    """

    label: str
    models: tuple[tuple[int, str], ...]
    entries: tuple[tuple[int, int], ...]


def same_model(model: Model, ledger: Ledger) -> Key:
    """What is equal for models that are the same, in whatever ledger, and however the source writes them."""
    folder = "" if model.data in _shipped() else str(ledger.folder)
    return msgspec.json.encode(msgspec.structs.replace(model, printed="")), folder


@cache
def _shipped() -> frozenset[str]:
    """Names of the data sets that come with the package."""
    return frozenset(list_datasets().index)


def grouped(ledgers: Sequence[Ledger]) -> tuple[Group, ...]:
    """The models of some ledgers and the numbers read from them, in groups that share no model.

    Parameters
    ----------
    ledgers : sequence of Ledger

    Returns
    -------
    tuple of Group
        Every model is in one of them, also one that no number needs; numbers with a fault are in none.
    """
    found = {(i, name): same_model(one, own) for i, own in enumerate(ledgers) for name, one in own.models.items()}
    leader = {key: key for key in found.values()}

    def root(key: Key) -> Key:
        while leader[key] != key:
            key = leader[key]
        return key

    sound = [(i, j, one) for i, own in enumerate(ledgers) for j, one in enumerate(own.entries) if not one.fault]
    for i, _, entry in sound:
        first, *others = (found[i, name] for name in _needed(entry, ledgers[i]))
        for other in others:
            leader[root(other)] = root(first)
    models: dict[Key, list[tuple[int, str]]] = {}
    entries: dict[Key, list[tuple[int, int]]] = {}
    for place, key in found.items():
        models.setdefault(root(key), []).append(place)
    for i, j, entry in sound:
        entries.setdefault(root(found[i, entry.model]), []).append((i, j))
    return tuple(
        Group(f"{ledgers[own[0][0]].name}: {own[0][1]}", tuple(own), tuple(entries.get(key, ())))
        for key, own in models.items()
    )


def _needed(entry: Entry, ledger: Ledger) -> Iterator[str]:
    """The models of the ledger that a number is read from."""
    yield entry.model
    try:
        named = models_named(entry.path)
    except LMMError:  # a path that cannot be read is told where it is followed
        return
    yield from (name for name in named if name in ledger.models)
