"""Text of a formula → a tree of its symbols, with R's precedences and errors that point at the place.

The reader is an operator-precedence ("Pratt") parser: R's table of operators is the table below, and
reading an operand is the only recursive step. It knows no statistics; `terms` and `bars` give the
tree its meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from lmmtools.errors import FormulaError

__all__ = ["Call", "Name", "Node", "Number", "Op", "Paren", "Sequence", "Text", "Unary", "complain", "read", "walk"]

# R's precedences, low to high (?Syntax); every binary operator but `^` groups from the left.
_BINARY = {"~": 1, "||": 2, "|": 2, "<": 3, ">": 3, "<=": 3, ">=": 3, "==": 3, "!=": 3,
           "+": 4, "-": 4, "*": 5, "/": 5, "%in%": 6, ":": 7, "^": 9}  # fmt: skip
_UNARY = 8

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
      | (?P<name>[^\W\d][\w.]*|\.[^\W\d][\w.]*|\.)
      | (?P<quoted>`[^`]+`)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<op>\|\||\*\*|%in%|<=|>=|==|!=|[-~+*/:^()|,=<>\[\]])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Node:
    """A piece of a formula; `pos` is where it starts in the text and does not count in comparisons."""

    pos: int = field(compare=False)


@dataclass(frozen=True)
class Name(Node):
    """A column, or `pi`, `TRUE`, a contrast; `quoted` when written between backticks."""

    value: str
    quoted: bool = False


@dataclass(frozen=True)
class Number(Node):
    """A number as written."""

    value: str


@dataclass(frozen=True)
class Text(Node):
    """A string between quotes."""

    value: str


@dataclass(frozen=True)
class Sequence(Node):
    """``[a, b]``; R's ``c(a, b)`` becomes one when it is rendered."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Paren(Node):
    """An expression between parentheses."""

    body: Node


@dataclass(frozen=True)
class Call(Node):
    """A function applied to arguments; `keywords` are (name, value) pairs."""

    func: str
    args: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True)
class Unary(Node):
    """A sign before an operand."""

    op: str
    operand: Node


@dataclass(frozen=True)
class Op(Node):
    """A binary operator; `pos` is where the left operand starts, `at` where the operator stands."""

    op: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


def complain(text: str, pos: int, message: str) -> NoReturn:
    """Raise a FormulaError that shows `text` with a caret under position `pos`.

    Raises
    ------
    FormulaError
        Always.
    """
    flat = re.sub(r"\s", " ", text)
    raise FormulaError(f"{message}\n  {flat}\n  {' ' * min(pos, len(flat))}^")


def walk(node: Node):
    """Yield `node` and everything below it, in the order of the text."""
    yield node
    match node:
        case Paren(body=child) | Unary(operand=child):
            yield from walk(child)
        case Op(left=left, right=right):
            yield from walk(left)
            yield from walk(right)
        case Sequence(items=items):
            for item in items:
                yield from walk(item)
        case Call(args=args, keywords=keywords):
            for item in (*args, *(value for _, value in keywords)):
                yield from walk(item)


def read(text: str) -> Node:
    """Parse a whole text into a tree.

    Parameters
    ----------
    text : str
        A formula, or a residual structure.

    Returns
    -------
    Node
        The root; for a formula an ``Op`` with operator ``~``.

    Raises
    ------
    FormulaError
        For anything that is not well formed, with a caret under the place.
    """
    if not text.strip():
        raise FormulaError("the formula is empty: write it as in 'y ~ x + (1 | g)'.")
    reader = _Reader(text)
    tree = reader.expression(0)
    if reader.kind != "end":
        reader.unexpected()
    return tree


class _Reader:
    """The text's tokens and a position among them."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, pos = text, [], 0
        while pos < len(text):
            found = _TOKEN.match(text, pos)
            if found is None:
                complain(text, pos, f"`{text[pos]}` has no meaning in a formula: {_hint(text[pos])}.")
            if found.lastgroup != "space":
                self.tokens.append((found.lastgroup, found.group().replace("**", "^"), pos))
            pos = found.end()
        self.tokens.append(("end", "", len(text.rstrip())))
        self.i, self.open = 0, []

    kind = property(lambda self: self.tokens[self.i][0])
    token = property(lambda self: self.tokens[self.i][1])
    pos = property(lambda self: self.tokens[self.i][2])

    def expression(self, floor: int) -> Node:
        """Read operands joined by operators that bind tighter than `floor`."""
        left = self.operand()
        while self.kind == "op" and _BINARY.get(self.token, 0) > floor:
            op, at = self.token, self.pos
            self.i += 1
            # `a^-1` is legal in R, and powers group from the right
            right = self.expression(_BINARY[op] - (op == "^"))
            left = Op(left.pos, op, left, right, at)
        return left

    def operand(self) -> Node:
        kind, token, pos = self.tokens[self.i]
        self.i += 1
        if kind == "number":
            return Number(pos, token.rstrip("L"))
        if kind == "string":
            return Text(pos, token[1:-1])
        if kind == "quoted":
            return Name(pos, token[1:-1], quoted=True)
        if kind == "name":
            return self.call(token, pos) if self.token == "(" else Name(pos, token)
        if token in ("+", "-"):
            return Unary(pos, token, self.expression(_UNARY))
        if token == "~":
            complain(self.text, pos, "the formula has no response: write one before `~`, as in 'y ~ x + (1 | g)'.")
        if token == "(":
            self.open.append(pos)
            if self.token == ")":
                complain(self.text, pos, "nothing stands between these parentheses: fill or remove them.")
            body = self.expression(0)
            self.close(")")
            return Paren(pos, body)
        if token == "[":
            self.open.append(pos)
            items, _ = self.arguments("]")
            return Sequence(pos, items)
        self.i -= 1
        self.unexpected(operand=True)

    def call(self, func: str, pos: int) -> Call:
        self.open.append(self.pos)
        self.i += 1
        return Call(pos, func, *self.arguments(")"))

    def arguments(self, end: str) -> tuple[tuple[Node, ...], tuple[tuple[str, Node], ...]]:
        args, keywords = [], []
        while self.token != end or self.kind != "op":
            if self.kind == "name" and self.tokens[self.i + 1][1] == "=":
                name = self.token
                self.i += 2
                keywords.append((name, self.expression(0)))
            elif keywords and self.kind != "end":
                complain(self.text, self.pos, "an argument without a name follows one with a name: name it too.")
            else:
                args.append(self.expression(0))
            if self.token != ",":
                break
            self.i += 1
        self.close(end)
        return tuple(args), tuple(keywords)

    def close(self, end: str) -> None:
        if self.kind == "op" and self.token == end:
            self.i += 1
            self.open.pop()
        elif self.kind == "end":
            self.unclosed()
        else:
            self.unexpected()

    def unclosed(self) -> NoReturn:
        what = "parenthesis" if self.text[self.open[-1]] == "(" else "bracket"
        complain(self.text, self.open[-1], f"this {what} is never closed: close it, or remove it.")

    def unexpected(self, operand: bool = False) -> NoReturn:
        """Say what is wrong with the token at hand."""
        token, pos = self.token, self.pos
        before = self.tokens[self.i - 1][1] if self.i else ""
        if token in (")", "]") and not self.open:
            complain(self.text, pos, f"this `{token}` closes nothing: remove it, or open it earlier.")
        if before in ("|", "||") and operand:
            complain(self.text, pos, "the grouping factor is missing after the bar: write it as in '(1 | g)'.")
        if token in ("|", "||") and operand:
            complain(self.text, pos, "nothing stands before the bar: write (1 | g) for an intercept by group.")
        if token == before == ":":
            complain(self.text, pos - 1, "`::` (a package of R) has no meaning here: write the function alone.")
        if self.kind == "end" and self.open:
            self.unclosed()
        if self.kind == "end":
            what = "the right side is empty" if before == "~" else f"something must follow `{before}`"
            complain(self.text, pos, f"the formula ends too early: {what}; '1' stands for an intercept alone.")
        if operand:
            why = f"`{token}` cannot follow `{before}`" if before else f"a formula cannot start with `{token}`"
            complain(self.text, pos, f"{why}: a variable is missing, or one sign is too many.")
        if token == "=":
            complain(self.text, pos, "`=` has no meaning here: a formula joins response and terms by `~`.")
        complain(self.text, pos, f"an operator such as `+` is missing before `{token}`.")


def _hint(character: str) -> str:
    """What to do about a character no formula has."""
    if character == "`":
        return "a name between backticks must be closed by a second backtick"
    if character in "\"'":
        return "a quoted text must be closed by the same quote"
    if character in "\u2212\u2013\u2014":
        return "write a minus sign as -"
    if character in "\u223c\u02dc":
        return "write the tilde as ~"
    if character == "$":
        return "name the column alone; the frame comes with data="
    return "remove it, or put a column name that has it between backticks"
