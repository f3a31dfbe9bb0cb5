"""Paths: what names one number of a fit, in steps between dots, such as ``varcorr.Subject.Days.sd``.

A step is a name, or a name with arguments: ``coef(ddf=satterthwaite)``. Dots within brackets, parentheses and quotes
belong to a step. Names that hold dots, such as those of θ, are put together again from as many steps as match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from types import MappingProxyType

from lmmtools.errors import LMMError
from lmmtools.formats import closest, quoted, visible

__all__ = ["Call", "PathError", "Walk", "read_call", "split_path"]

_OPENING, _QUOTES = {"(": ")", "[": "]"}, "'\""
# Names that a message lists; of others it tells how many there are.
_MOST_NAMES = 30


class PathError(LMMError):
    """A path into a result cannot be read, or leads nowhere."""


@dataclass(frozen=True)
class Call:
    """A step with its arguments.

    Attributes
    ----------
    name : str
    arguments : tuple of str
        Those without a key.
    options : Mapping[str, str]
        Those with one.
    """

    name: str
    arguments: tuple[str, ...]
    options: Mapping[str, str]


def split_path(path: str) -> tuple[str, ...]:
    """The steps of a path as they are written.

    Raises
    ------
    PathError
        If a bracket or quote is not closed, or a step is empty.

    Examples
    --------
    >>> split_path("coef(ddf=normal).Sex[T.Female].statistic")
    ('coef(ddf=normal)', 'Sex[T.Female]', 'statistic')
    """
    if not isinstance(path, str) or not path.strip():
        raise PathError("a path is a text with a step or more, such as 'varcorr.Subject.Days.sd'.")
    steps = tuple(step.strip() for step in _split(path.strip(), ".", path))
    if not all(steps):
        raise PathError(f"`{visible(path)}`: a step of the path is empty: there are two dots in a row, or one at an "
                        "end.")  # fmt: skip
    return steps


def read_call(step: str, path: str) -> Call:
    """A step's name and arguments: ``anova(type=3)``; of a step without any, the name alone.

    Raises
    ------
    PathError
        If it is no name with arguments, or an option is given twice.
    """
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", step, flags=re.DOTALL)
    if match is None:
        raise PathError(f"`{visible(path)}`: `{visible(step)}` is neither a name nor a name with arguments, as in "
                        "coef(ddf=normal).")  # fmt: skip
    arguments, options = [], {}
    for part in _split(match[2], ",", path) if match[2] else ():
        key, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not re.fullmatch(r"\w+", key):
            arguments.append(_bare(part.strip()))
        elif key in options:
            raise PathError(f"`{visible(path)}`: `{key}` is given twice in `{visible(step)}`.")
        else:
            options[key] = _bare(value)
    return Call(match[1], tuple(arguments), MappingProxyType(options))


class Walk:
    """A way along a path, step by step.

    Parameters
    ----------
    path : str
    taken : tuple of int
        Which of the names that fit are taken, name by name, from the longest on; the longest of those not told of.

    Attributes
    ----------
    path : str
    left : tuple of str
        Steps that have not been taken.
    """

    def __init__(self, path: str, taken: tuple[int, ...] = ()) -> None:
        self.path, self.left, self.taken = path, split_path(path), taken
        self.fitting: list[int] = []  # of each name that was taken, how many would have fitted

    def shorter(self) -> Iterator[tuple[int, ...]]:
        """What to take instead, for every name that was taken and has a shorter one in it."""
        for place, count in enumerate(self.fitting):
            yield from ((0,) * place + (instead,) for instead in range(1, count))

    def call(self, what: str, valid: Iterable[str]) -> Call:
        """Take a step that may have arguments, its name one of `valid`.

        Raises
        ------
        PathError
            If the path ends, or there is no such step.
        """
        names = list(valid)
        self._require(what, names)
        head, *rest = self.left
        found = read_call(head, self.path)
        if found.name not in names:
            raise self.unknown(found.name, what, names)
        self.left = tuple(rest)
        return found

    def name(self, what: str, known: Iterable[object]) -> object:
        """Take as many steps as make up the longest of some names, and return the name as it is known.

        Raises
        ------
        PathError
            If the path ends, or no name is like that.
        """
        names = {str(one): one for one in known}
        self._require(what, names)
        fitting = [
            (count, next(one for one in (given, _bare(given)) if one in names))
            for count in range(len(self.left), 0, -1)
            if {given := ".".join(self.left[:count]), _bare(given)} & set(names)
        ]
        if fitting:
            which = self.taken[len(self.fitting)] if len(self.fitting) < len(self.taken) else 0
            count, one = fitting[min(which, len(fitting) - 1)]
            self.fitting.append(len(fitting))
            self.left = self.left[count:]
            return names[one]
        raise self.unknown(_bare(self._likely(list(names))), what, names)

    def _likely(self, names: list[str]) -> str:
        """How many of the steps were meant as a name: those most like one, the first alone where none is like any."""
        tries = [".".join(self.left[:count]) for count in range(1, len(self.left) + 1)]
        like = {one: SequenceMatcher(None, one, meant).ratio() for one in tries if (meant := closest(one, names))}
        return max(like, key=lambda one: like[one], default=tries[0])

    def end(self) -> None:
        """Check that no step is left.

        Raises
        ------
        PathError
        """
        if self.left:
            raise PathError(f"`{visible(self.path)}`: a number is reached before `{visible('.'.join(self.left))}`; "
                            "leave that out.")  # fmt: skip

    def unknown(self, given: str, what: str, valid: Iterable[object]) -> PathError:
        """What to raise for a step that is none of those valid there."""
        names = [str(one) for one in valid]
        meant = closest(given, names)
        hint = f" Did you mean `{visible(meant)}`?" if meant is not None else ""
        return PathError(f"`{visible(self.path)}`: `{visible(given)}` is no {what}.{hint} {_valid(names)}")

    def _require(self, what: str, valid: Iterable[object]) -> None:
        if not self.left:
            raise PathError(f"`{visible(self.path)}` ends too early: a {what} is lacking. {_valid(map(str, valid))}")


def _valid(names: Iterable[str]) -> str:
    every = [visible(name) for name in names]
    return f"Valid there: {quoted(every, _MOST_NAMES)}." if every else "Nothing is valid there: this model has none."


def _bare(text: str) -> str:
    """A text without the quotes around it."""
    return text[1:-1] if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0] else text


def _split(text: str, at: str, path: str) -> Iterator[str]:
    """The parts of a text between separators that stand outside brackets, parentheses and quotes."""
    closing, start = [], 0
    for place, sign in enumerate(text):
        if closing and sign == closing[-1]:
            closing.pop()
        elif closing and closing[-1] in _QUOTES:
            continue
        elif sign in _OPENING:
            closing.append(_OPENING[sign])
        elif sign in _QUOTES:
            closing.append(sign)
        elif sign == at and not closing:
            yield text[start:place]
            start = place + 1
    if closing:
        raise PathError(f"`{visible(path)}`: `{closing[-1]}` is lacking.")
    yield text[start:]
