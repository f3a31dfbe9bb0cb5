"""Filter expressions: a small, closed part of Python's grammar, read without ever running Python."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import nearest, quoted, visible
from lmmtools.sources.values import Value, arithmetic, column_value, compare, literal_value, negated, truth

__all__ = ["rows_kept"]

_LONGEST = 10_000  # characters of a filter: beyond that it is no filter, and Python's parser would nest too deep
_COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
_BITS = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "!=", ast.Invert: "not"}
_ALLOWED = "comparisons, `and`, `or`, `not`, `in` with a list, and arithmetic on columns"


def rows_kept(text: str, frame: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Which rows a filter keeps.

    Parameters
    ----------
    text : str
    frame : pd.DataFrame

    Returns
    -------
    keep : np.ndarray of bool
    undecided : int
        Rows left out because a missing value leaves the answer open.

    Raises
    ------
    DataError
        If the filter cannot be read, asks for more than it may, names no column, or gives no truth.
    """
    masked = _masked(text)
    reading = _Reading(text, masked, frame)
    try:
        answer = truth(reading.value(_parsed(text, masked)))
    except RecursionError as error:
        raise DataError(f"the filter `{_start(text)}` is nested too deep: use `in [...]` for long lists.") from error
    keep = answer.to_numpy(dtype=bool, na_value=False)
    undecided = answer.isna()
    if len(keep) != len(frame):  # `True`, or `1 < 2`: the same answer for every row
        raise DataError(f"the filter `{_start(text)}` names no column, so it says nothing about the rows.")
    return keep, int(undecided.sum())


def _masked(text: str) -> str:
    """The text with backticked names as underscores of the same length, and line breaks outside quotes as blanks."""
    if len(text) > _LONGEST:
        raise DataError(f"the filter has {len(text)} characters, more than {_LONGEST}: filter the file instead.")
    out, place = [], 0
    while place < len(text):
        char = text[place]
        if char in "\"'":
            end = place + 1
            while end < len(text) and text[end] != char:
                end += 2 if text[end] == "\\" else 1
            out.append(text[place : end + 1])
            place = end + 1
        elif char == "`":
            end = text.find("`", place + 1)
            if end <= place + 1:
                _refuse(text, place, "a name between backticks is empty or not closed")
            out.append("_" * (end + 1 - place))
            place = end + 1
        elif char == "#":
            _refuse(text, place, "`#` has no meaning in a filter")
        else:
            out.append(" " if char in "\r\n\t" else char)
            place += 1
    return "".join(out)


def _parsed(text: str, masked: str) -> ast.expr:
    lead = len(masked) - len(masked.lstrip())  # leading blanks are an indentation to Python
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of `1or 2` is not the reader's concern
            return ast.parse(masked.lstrip(), mode="eval").body
    except SyntaxError as error:
        place = min(len(text), lead + max((error.offset or 1) - 1, 0))
        _refuse(text, place, _advice(text, place))
    except (ValueError, MemoryError) as error:
        raise DataError(f"the filter `{_start(text)}` cannot be read ({error}): allowed are {_ALLOWED}.") from error


def _advice(text: str, place: int) -> str:
    rest = text[place:]
    if "=" in text.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "two values are compared with `==`, not `=`"
    if "&&" in text or "||" in text or "%in%" in text or rest.startswith("!"):
        return "conditions are joined by `and` and `or`, turned by `not`, and lists follow `in`"
    return "this cannot be read; a column whose name is not one word stands between backticks"


def _start(text: str) -> str:
    text = visible(text)
    return text if len(text) <= 80 else text[:79] + "…"


def _refuse(text: str, place: int, what: str) -> NoReturn:
    """Raise with the text from `place` on."""
    here = _start(text[place:])
    at = f"at `{here}`" if here else "at its end"
    raise DataError(f"the filter `{_start(text)}`, {at}: {what}. Allowed are {_ALLOWED}.")


@dataclass(frozen=True)
class _Reading:
    """A filter's text and the data it is read for."""

    text: str
    masked: str
    frame: pd.DataFrame

    def value(self, node: ast.expr) -> Value:
        """What a piece of the filter is in every row."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return literal_value(value, self._written(node))
            case ast.Name():
                return self._column(node)
            case ast.BoolOp(op=op, values=parts):
                return self._joined(isinstance(op, ast.And), [truth(self.value(one)) for one in parts], node)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self._truth_value(~truth(self.value(inner)), node)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return negated(self.value(inner), self._written(node))
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.value(inner)
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
                return arithmetic(_OPERATORS[type(op)], self.value(left), self.value(right), self._written(node))
            case ast.Compare():
                return self._compared(node)
        self._refuse_node(node)

    def _compared(self, node: ast.Compare) -> Value:
        """``a < b <= c``: every neighbouring pair."""
        sides = [node.left, *node.comparators]
        answers = [
            truth(self._pair(op, left, right, node))
            for op, left, right in zip(node.ops, sides, sides[1:], strict=False)
        ]
        return self._joined(True, answers, node)

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr, node: ast.Compare) -> Value:
        written = self._written(node)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
                self._refuse_node(right, "after `in` stands a list of values, such as ['a', 'b']")
            value = self.value(left)
            equal = [truth(compare("==", value, self.value(one), written)) for one in right.elts]
            inside = truth(self._joined(False, equal, node))
            return self._truth_value(inside if isinstance(op, ast.In) else ~inside, node)
        if type(op) not in _COMPARISONS:
            self._refuse_node(node, "values are compared with == and !=, not with `is`")
        return compare(_COMPARISONS[type(op)], self.value(left), self.value(right), written)

    def _joined(self, every: bool, answers: list, node: ast.expr) -> Value:
        whole = answers[0]
        for one in answers[1:]:
            if len(one) != len(whole):  # a side without a column is one value for all rows
                one, whole = (one.repeat(len(whole)), whole) if len(one) == 1 else (one, whole.repeat(len(one)))
            whole = whole & one if every else whole | one
        return self._truth_value(whole, node)

    def _truth_value(self, answer, node: ast.expr) -> Value:
        data, missing = answer.to_numpy(dtype=bool, na_value=False), answer.isna()
        return Value("logical", data, missing, self._written(node))

    def _column(self, node: ast.Name) -> Value:
        written = self._written(node)
        name = written[1:-1] if written.startswith("`") else written
        if name not in self.frame.columns:
            raise DataError(
                f"the filter `{_start(self.text)}` names `{name}`, but the data have no such column"
                f"{self._meant(name)}; they have {quoted(self.frame.columns, 12)}."
            )
        return column_value(self.frame[name], name)

    def _meant(self, name: str) -> str:
        for column in self.frame.columns:
            dtype = self.frame[column].dtype
            if isinstance(dtype, pd.CategoricalDtype) and name in map(str, dtype.categories):
                return f' (a value of `{column}` goes between quotes: "{name}")'
        return nearest(name, self.frame.columns)

    def _refuse_node(self, node: ast.expr, what: str = "") -> NoReturn:
        bit = _BITS.get(type(getattr(node, "op", None)))
        if not what and bit:
            what = f"write `{bit}` for what R and pandas write as a sign"
        _refuse(self.text, self._place(node), what or f"{_kind(node)} is not allowed in a filter")

    def _place(self, node: ast.expr) -> int:
        """Where a piece starts; Python counts bytes."""
        stripped = self.masked.lstrip()
        return len(self.masked) - len(stripped) + len(stripped.encode()[: node.col_offset].decode())

    def _written(self, node: ast.expr) -> str:
        stripped = self.masked.lstrip()
        end = len(self.masked) - len(stripped) + len(stripped.encode()[: node.end_col_offset].decode())
        return self.text[self._place(node) : end]


def _kind(node: ast.expr) -> str:
    match node:
        case ast.Call():
            return "a function call"
        case ast.Attribute():
            return "an attribute (a dot after a name)"
        case ast.Subscript():
            return "an index in brackets"
        case ast.Constant(value=None):
            return "`None`"
        case ast.List() | ast.Tuple() | ast.Set():
            return "a list that does not follow `in`"
    return "this"
