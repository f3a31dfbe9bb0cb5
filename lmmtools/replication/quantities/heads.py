"""What the first step of a path may be: which arguments it takes and how its number is read off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.formats import nearest, quoted, visible
from lmmtools.replication.quantities.paths import Call, PathError, Walk

__all__ = ["Asked", "Head", "cell", "divided", "element", "place_of", "without_constants"]


@dataclass(frozen=True)
class Asked:
    """What a head reads its number from.

    Attributes
    ----------
    fit : LMMFit or GmanovaFit
    call : Call
        The first step.
    walk : Walk
        The steps after it.
    others : Mapping
        Fits of the models of the file, by name.
    """

    fit: Any
    call: Call
    walk: Walk
    others: Mapping[str, Any]

    def option(self, name: str, otherwise: str) -> str:
        """The value of an option, or another where it is not given."""
        return self.call.options.get(name, otherwise)

    def one_of(self, name: str, otherwise: str, valid: Iterable[str]) -> str:
        """The same, of a few words.

        Raises
        ------
        PathError
            If it is none of them.
        """
        given, valid = self.option(name, otherwise), list(valid)
        if given not in valid:
            raise PathError(f"`{visible(self.walk.path)}`: {name}={visible(given)} is unknown{nearest(given, valid)}; "
                            f"valid are {quoted(valid)}.")  # fmt: skip
        return given


@dataclass(frozen=True)
class Head:
    """A first step.

    Attributes
    ----------
    read : callable
        From what is asked to the number.
    forms : Mapping[str, str]
        The path in its general form, or its forms, with what they are.
    options : tuple of str
        Keys that its arguments may have.
    arguments : tuple of int
        Least and largest number of arguments without a key.
    """

    read: Callable[[Asked], Any]
    forms: Mapping[str, str]
    options: tuple[str, ...] = ()
    arguments: tuple[int, int] = field(default=(0, 0))

    def check(self, call: Call, walk: Walk) -> None:
        """Refuse arguments that it does not take.

        Raises
        ------
        PathError
        """
        form = next(iter(self.forms))
        for key in call.options:
            if key not in self.options:
                valid = f"it takes {quoted(self.options)}" if self.options else "it takes none"
                raise PathError(f"`{visible(walk.path)}`: `{call.name}` has no option `{visible(key)}`"
                                f"{nearest(key, self.options)}; {valid}.")  # fmt: skip
        least, most = self.arguments
        if not least <= len(call.arguments) <= most:
            raise PathError(f"`{visible(walk.path)}`: `{call.name}` is written {form}.")


def element(values: pd.Series, asked: Asked, what: str) -> float:
    """An element of a series by its name."""
    return float(values.loc[asked.walk.name(what, values.index)])


def cell(table: pd.DataFrame, asked: Asked, row: str, column: str) -> float:
    """An element of a table by the names of its row and column, numbers and dates among them as they are written."""
    rows, columns = list(map(str, table.index)), list(map(str, table.columns))
    i = rows.index(str(asked.walk.name(row, rows)))
    j = columns.index(str(asked.walk.name(column, columns)))
    try:
        return float(table.iloc[i, j])
    except (TypeError, ValueError) as error:
        raise PathError(f"`{visible(asked.walk.path)}`: `{columns[j]}` holds no numbers.") from error


def place_of(asked: Asked, n: int) -> int:
    """Where a row stands that is counted from 1."""
    given = str(asked.walk.name("row", map(str, range(1, n + 1))))
    return int(given) - 1


def without_constants(asked: Asked, times: float) -> float:
    """What `constants=no` takes off: the multiple of log 2π of minus twice the log-likelihood, times a factor."""
    if asked.one_of("constants", "yes", ("yes", "no")) == "yes":
        return 0.0
    fit = asked.fit
    reml = getattr(fit, "reml", False)
    return times * (fit.nobs - (len(fit.beta) if reml else 0)) * float(np.log(2.0 * np.pi))


def divided(asked: Asked, p: int) -> float:
    """What a variance is multiplied with to have another divisor: n − p, which REML has, or n, which ML has.

    Raises
    ------
    ModelError
        If there are no more rows than coefficients.
    """
    fit, wanted = asked.fit, asked.one_of("divisor", "own", ("own", "n", "n-p"))
    n, reml = fit.nobs, getattr(fit, "reml", False)
    if wanted == "own" or wanted == ("n-p" if reml else "n"):
        return 1.0
    if n <= p:
        raise ModelError(f"n − p is not positive: there are {n} rows and {p} coefficients.")
    return n / (n - p) if wanted == "n-p" else (n - p) / n
