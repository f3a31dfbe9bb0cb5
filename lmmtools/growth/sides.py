"""One side of the model: the columns of G over subjects, or of X over occasions, from a formula or a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.rank import Dependence, column_rank
from lmmtools.design import checks
from lmmtools.design.frame import Columns, missing_mask, numbers
from lmmtools.errors import DataError, FormulaError, ModelError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.formula import ParsedFormula, parse_formula

__all__ = ["Side", "formula_side", "is_formula", "matrix_side", "parse_side", "require_independent"]

# What the rows of a side are, and words for a design that was not written as a formula.
ROWS = {"between": ("subject", "subjects"), "within": ("occasion", "occasions")}
_WORDS = {"between": ("equal", "free"), "within": ()}


@dataclass(frozen=True, eq=False)
class Side:
    """The columns of one side.

    Attributes
    ----------
    what : {"between", "within"}
    text : str
        As written; ``"matrix"`` for one that was given.
    names : tuple of str, length k
    matrix : ndarray, shape (rows, k)
    messages : tuple of str
    categories : tuple of str
        Columns that stand for categories.
    """

    what: str
    text: str
    names: tuple[str, ...]
    matrix: np.ndarray
    messages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def is_formula(side: Any) -> bool:
    """Whether a side is written: as a formula, or in a word."""
    return isinstance(side, str)


def parse_side(text: str, what: str) -> ParsedFormula | None:
    """A one-sided formula, read; None for the word ``"free"``.

    Parameters
    ----------
    text : str
        ``"~ Sex"``; between subjects also ``"equal"``, which is ``"~ 1"``, and ``"free"``, one column a subject.
    what : {"between", "within"}

    Raises
    ------
    FormulaError
        If it is no formula of columns: has a left side, random terms or offsets.
    """
    text = text.strip()
    if text in _WORDS[what]:
        return None if text == "free" else parse_side("~ 1", what)
    if not text.startswith("~"):
        words = [f"'{word}'" for word in _WORDS[what]]
        also = f", or one of {', '.join(words)}{nearest(text, _WORDS[what])}" if words else ""
        if "~" in text:
            raise FormulaError(f"{what}={text!r} has a left side: begin it with `~`, the response is `Y`.")
        raise FormulaError(f"{what}={text!r} is no formula: write it as in {what}='~ {text or 'x'}'{also}.")
    response = next(name for name in ("Y", "response", "lmm_response") if name not in text)
    parsed = parse_formula(f"{response} {text}")
    if parsed.random:
        raise FormulaError(
            f"{what}={text!r} has the random term {quoted([parsed.random[0].label])}, and a growth curve model has "
            "none: leave it out, or use fit_lmm."
        )
    if parsed.offset_nodes:
        raise FormulaError(f"{what}={text!r} has an offset: subtract it from the response instead.")
    return parsed


def formula_side(
    what: str, text: str, parsed: ParsedFormula | None, columns: Columns, contrasts: Mapping[str, object]
) -> Side:
    """The columns that a formula makes.

    Parameters
    ----------
    what : {"between", "within"}
    text : str
    parsed : ParsedFormula or None
        None for one column a row.
    columns : Columns
        A row a subject, or an occasion; its index names them.
    contrasts : Mapping
        By column; those of the other side are ignored.

    Raises
    ------
    DataError
        If a value is missing or infinite, or a factor has one level.
    """
    if parsed is None:
        return Side(what, text, tuple(map(str, columns.index)), np.eye(len(columns)))
    from lmmtools.design.matrices import blueprint_of, materialise

    for name in parsed.predictors:
        _complete(what, name, columns)
    categories: dict[str, Any] = {}
    made = materialise(blueprint_of(parsed), columns, contrasts, note=categories.__setitem__)
    messages: list[str] = []
    for name, found in categories.items():
        for message in checks.check_levels(name, found, fixed=True):
            messages.append(message.replace("one row", f"one {ROWS[what][0]}").replace("that row", "it"))
    checks.check_names([made.names[0]], parsed)
    matrix = np.array(made.values[0], dtype=float, order="F")
    for j, name in enumerate(made.names[0]):
        checks.check_finite(name, matrix[:, j], columns.index)
    if not matrix.shape[1]:
        raise FormulaError(f"{what}={text!r} has no columns: write '~ 1' for a constant.")
    return Side(what, text, tuple(made.names[0]), matrix, tuple(messages), tuple(categories))


def _complete(what: str, name: str, columns: Columns) -> None:
    gone = missing_mask(columns.series[name])
    if gone is not None:
        raise DataError(
            f"{what}: `{name}` is missing for {counted(int(gone.sum()), *ROWS[what])} "
            f"({quoted(columns.index[gone], 5)}): fill the values in, or leave these out of Y too."
        )


def matrix_side(what: str, given: Any, rows: pd.Index) -> Side:
    """A side given as its matrix, a DataFrame or an array.

    Raises
    ------
    DataError
        If it does not hold a finite number for each row and column, or a frame has other labels than Y.
    """
    one, many = ROWS[what]
    if isinstance(given, pd.DataFrame):
        given = _in_order(what, given, rows)
        names = tuple(map(str, given.columns))
        matrix = np.column_stack([numbers(str(c), given[c], f"{what}: the column") for c in given]) if names else None
    else:
        try:
            matrix = np.array(given, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{what} is neither a formula such as '~ 1' nor a matrix of numbers, but a {type(given).__name__}."
            ) from error
        matrix = matrix[:, None] if matrix.ndim == 1 else matrix
        letter = {"between": "g", "within": "x"}[what]
        names = tuple(f"{letter}{j + 1}" for j in range(matrix.shape[-1] if matrix.ndim else 0))
    if matrix is None or matrix.ndim != 2 or not matrix.size:
        raise DataError(f"{what} must be a matrix with a row for each {one} and at least one column.")
    if len(matrix) != len(rows):
        raise DataError(
            f"{what} has {counted(len(matrix), 'row')} and Y {counted(len(rows), one, many)}: "
            f"give {what} one row for each {one}."
        )
    for name, values in zip(names, matrix.T, strict=True):
        if not np.isfinite(values).all():
            bad = rows[~np.isfinite(values)]
            raise DataError(f"{what}: `{name}` is missing or infinite for {quoted(bad, 5)}: correct these values.")
    if len(set(names)) < len(names):
        raise DataError(f"{what} has two columns of one name ({quoted(names)}): rename one.")
    return Side(what, "matrix", names, matrix)


def _in_order(what: str, given: pd.DataFrame, rows: pd.Index) -> pd.DataFrame:
    """A frame with its rows in the order of Y's labels; by position where it has no labels of its own."""
    if given.index.equals(rows) or len(given) != len(rows):
        return given
    if given.index.is_unique and rows.is_unique and given.index.isin(rows).all():
        return given.loc[rows]
    if isinstance(rows, pd.RangeIndex):  # Y has no labels
        return given
    many = ROWS[what][1]
    raise DataError(
        f"the rows of {what} are labelled {quoted(given.index, 3)}, Y's {many} {quoted(rows, 3)}: give them the same "
        f"labels, or pass the values alone, {what}.to_numpy(), if they are in Y's order."
    )


def require_independent(side: Side) -> None:
    """Raise ModelError if a column is a combination of others, naming them, or there are more columns than rows."""
    rows, k = side.matrix.shape
    one, many = ROWS[side.what]
    if k > rows:
        has = f"{counted(k, 'column')} ({quoted(side.names, 6)}) for {counted(rows, one, many)}"
        raise ModelError(f"{side.what} has {has}: at most {rows} can be told apart, leave terms out.")
    checks.check_magnitude(side.names, side.matrix)
    rank = column_rank(side.matrix)
    if not rank.dropped:
        return
    kept = [side.names[j] for j in rank.kept]
    found = "; ".join(_repeats(side.names, kept, d) for d in rank.dropped[:3])
    raise ModelError(
        f"the columns of {side.what} are dependent, rank {len(kept)} of {k}: {found}. "
        f"Leave {'it' if len(rank.dropped) == 1 else 'them'} out, or write the formula without."
    )


def _repeats(names: tuple[str, ...], kept: list[str], found: Dependence) -> str:
    parts = [name for c, name in zip(found.coefficients, kept, strict=True) if c]
    if not parts:
        return f"`{names[found.column]}` is zero throughout"
    return f"`{names[found.column]}` is a {'multiple' if len(parts) == 1 else 'combination'} of {quoted(parts, 6)}"
