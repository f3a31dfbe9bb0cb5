"""What the first step of a path may be: which arguments it takes and how its number is read off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import ModelError
from lmmtools.formats import nearest, quoted, visible
from lmmtools.replication.quantities.paths import Call, PathError, Walk
from lmmtools.replication.quantities.tables import Tables

__all__ = ["Asked", "Head", "cell", "divided", "element", "place_of", "without_constants"]

Made = TypeVar("Made")


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
    tables : Tables
        What has been computed of fits.
    """

    fit: Any
    call: Call
    walk: Walk
    others: Mapping[str, Any]
    tables: Tables

    def once(self, make: Callable[[Asked], Made]) -> Made:
        """What a function makes of the fit and the first step, for all numbers alike that are read from it.

        Parameters
        ----------
        make : callable
            It looks at the fit and at the first step's arguments, and takes no step of the walk.
        """
        key = (make, self.call.arguments, frozenset(self.call.options.items()))
        return self.tables.once(self.fit, key, lambda: make(self))

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

    @property
    def level(self) -> float:
        """The confidence level.

        Raises
        ------
        PathError
            If it is no number.
        LMMError
            If it does not lie between 0 and 1.
        """
        given = self.option("level", "0.95")
        try:
            level = float(given)
        except ValueError as error:
            raise PathError(f"`{visible(self.walk.path)}`: level is a number; got {visible(given)}.") from error
        return check_level(level)

    def values(self, options: Iterable[str]) -> dict[str, list]:
        """What variables are said to be, as lists: numbers, or levels of factors; several stand between ``|``.

        Names that are no words, such as ``Sex[T.Male]``, are among the arguments, with their sign of equality.

        Raises
        ------
        PathError
            If a variable that is no factor has a value that is no number.
        """
        options = tuple(options)
        taken = {key: value for key, value in self.call.options.items() if key not in options}
        taken |= {key.strip(): value.strip() for one in self.call.arguments if "=" in one
                  for key, _, value in [one.rpartition("=")]}  # fmt: skip
        design = self.fit.design
        factors = {*design.recipe.observed.factors, *(one for factor in design.ngroups for one in factor.split(":"))}

        def value(name: str, given: str) -> Any:
            try:
                return given if name in factors else float(given)
            except ValueError as error:
                raise PathError(
                    f"`{visible(self.walk.path)}`: `{visible(name)}` is neither an option here nor a factor of the "
                    f"model{nearest(name, {*options, *factors})}, so that it is a number; got {visible(given)}."
                ) from error

        return {name: [value(name, one.strip()) for one in given.split("|")] for name, given in taken.items()}


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
    columns : bool
        Whether other keys are variables of the model, with their values.
    """

    read: Callable[[Asked], Any]
    forms: Mapping[str, str]
    options: tuple[str, ...] = ()
    arguments: tuple[int, int] = field(default=(0, 0))
    columns: bool = False

    def check(self, call: Call, walk: Walk) -> None:
        """Refuse arguments that it does not take.

        Raises
        ------
        PathError
        """
        form = next(iter(self.forms))
        for key in call.options:
            if key not in self.options and not self.columns:
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
