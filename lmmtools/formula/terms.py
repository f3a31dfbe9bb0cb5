"""Wilkinson and Rogers' algebra: ``a * b``, ``(a + b)^2``, ``a / b``, ``- 1`` → a list of terms.

A term is a tuple of variables, the intercept the empty tuple; two terms are one when they hold the
same variables. formulaic does the same expansion; it is done here because lme4's ``||`` splits the left
side of a bar by its expanded terms, and because errors can then point at the text.

References
----------
Wilkinson, G. N. and Rogers, C. E. (1973). Symbolic description of factorial models for analysis of
variance. Applied Statistics 22, 392-399.
"""

from __future__ import annotations

from itertools import product

from lmmtools.formula.syntax import Call, Name, Node, Number, Op, Paren, Text, Unary, complain
from lmmtools.formula.translate import is_constant, render, validate

__all__ = ["Term", "expand", "render_terms", "written"]

Term = tuple[Node, ...]


def expand(text: str, node: Node, *, intercept: bool = True) -> tuple[Term, ...]:
    """Terms of one side of a formula, the intercept first, then by degree as R orders them.

    Parameters
    ----------
    text : str
        The whole formula, for errors.
    node : Node
    intercept : bool
        Whether an intercept is implied.

    Returns
    -------
    tuple of Term

    Raises
    ------
    FormulaError
        For what cannot be a term.
    """
    terms = _sum(text, node, [()] if intercept else [])
    return tuple(sorted(terms, key=len))


def render_terms(terms: tuple[Term, ...], name=None) -> str:
    """Text of an expanded side for formulaic, the intercept always said: ``"1 + x + x:f"``."""
    head = "1" if () in terms else "0"
    return " + ".join([head, *(":".join(render(part, name) for part in term) for term in terms if term)])


def written(terms: tuple[Term, ...]) -> str:
    """Text of an expanded side for people: as `render_terms`, names plain."""
    return render_terms(terms, lambda part, _: part.value)


def _sum(text: str, node: Node, terms: list[Term]) -> list[Term]:
    """`terms` with those of `node` added, or taken away after a minus."""
    match node:
        case Op(op="+", left=left, right=right):
            return _sum(text, right, _sum(text, left, terms))
        case Op(op="-", left=left, right=right):
            return _without(_sum(text, left, terms), _removed(text, right))
        case Unary(op="-", operand=operand):
            return _without(terms, _removed(text, operand))
        case Unary(op="+", operand=operand) | Paren(body=operand):
            return _sum(text, operand, terms)
        case Number(value="0"):
            return _without(terms, [()])
    return _union(terms, _product(text, node))


def _removed(text: str, node: Node) -> list[Term]:
    if node == Number(0, "0"):
        complain(text, node.pos, "`- 0` has no meaning: write `- 1` to leave the intercept out, `+ 1` to keep it.")
    return _sum(text, node, [])


def _product(text: str, node: Node) -> list[Term]:
    """Terms of a piece that is not a sum."""
    match node:
        case Number(value="1"):
            return [()]
        case Number(value=value):
            complain(text, node.pos, f"`{value}` is not a term: only 1 (intercept) and 0 (none) stand alone.")
        case Text():
            complain(text, node.pos, "a quoted text is not a term: write a column name without quotes.")
        case Op(op="*", left=left, right=right):
            a, b = _sum(text, left, []), _sum(text, right, [])
            return _union(_union(a, b), _cross(a, b))
        case Op(op=":" | "%in%", left=left, right=right):
            return _cross(_sum(text, left, []), _sum(text, right, []))
        case Op(op="/", left=left, right=right):
            a, b = _sum(text, left, []), _sum(text, right, [])
            whole = tuple(dict.fromkeys(part for term in a for part in term))
            return _union(a, _cross([whole], b))
        case Op(op="^"):
            return _power(text, node)
        case Paren() | Unary() | Op(op="+" | "-"):
            return _sum(text, node, [])
        case Op(op="|" | "||" as bar):
            complain(text, node.at, f"a random term needs its own parentheses: write (x {bar} g), joined by `+`.")
        case Op(op="~"):
            complain(text, node.at, "a formula has one `~` only: remove the second.")
        case Op(op=op):
            complain(text, node.at, f"`{op}` has no meaning between terms: wrap a comparison in I(…).")
        case Call(func="offset"):
            complain(text, node.pos, "offset(…) is a term of its own in the fixed part: write it after a `+` there.")
        case Name(value=value, quoted=False) if is_constant(value):
            complain(
                text, node.pos, f"`{value}` is a constant, not a term; a column of that name goes between backticks."
            )
        case Name() | Call():
            validate(text, node)
            return [(node,)]
    complain(text, node.pos, "this is not a term.")


def _power(text: str, node: Op) -> list[Term]:
    base = _sum(text, node.left, [])
    if not (isinstance(node.right, Number) and node.right.value.isdigit() and int(node.right.value) >= 1):
        complain(text, node.right.pos, "the power of a sum of terms is a whole number from 1 on, as in (a + b)^2.")
    if len(base) == 1:
        left = written(tuple(base)).removeprefix("0 + ")
        remedy = f"write I({left}^{node.right.value})" if len(base[0]) == 1 else "leave the power out"
        complain(text, node.at, f"`^` between terms means interactions, so this would be `{left}` alone: {remedy}.")
    terms = base
    for _ in range(int(node.right.value) - 1):
        terms = _union(terms, _cross(terms, base))
    return terms


def _cross(left: list[Term], right: list[Term]) -> list[Term]:
    return _union([], [tuple(dict.fromkeys(a + b)) for a, b in product(left, right)])


def _union(terms: list[Term], more: list[Term]) -> list[Term]:
    seen = {frozenset(term) for term in terms}
    out = list(terms)
    for term in more:
        if frozenset(term) not in seen:
            seen.add(frozenset(term))
            out.append(term)
    return out


def _without(terms: list[Term], gone: list[Term]) -> list[Term]:
    sets = {frozenset(term) for term in gone}
    return [term for term in terms if frozenset(term) not in sets]
