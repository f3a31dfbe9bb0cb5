"""Random terms: ``(x | g)``, ``(x || a/b)``, ``ar1(t | g)`` → one `BarTerm` for each covariance block."""

from __future__ import annotations

from dataclasses import dataclass

from lmmtools.formats import nearest
from lmmtools.formula.syntax import Call, Name, Node, Number, Op, Paren, complain, walk
from lmmtools.formula.terms import Term, expand, written

__all__ = ["POSITIONAL", "STRUCTURES", "BarTerm", "alone", "bar_of", "bar_terms"]

STRUCTURES = ("us", "diag", "homdiag", "cs", "homcs", "ar1", "hetar1")
POSITIONAL = ("ar1", "hetar1")  # their left side names positions, not effects
# lme4's argument `hom`: the structure with one variance, and with own ones
_HOMOGENEOUS = {"diag": ("homdiag", "diag"), "cs": ("homcs", "cs"), "ar1": ("ar1", "hetar1")}


@dataclass(frozen=True)
class BarTerm:
    """One covariance block of one grouping factor, as the formula asks for it.

    Attributes
    ----------
    structure : str
        One of ``us diag homdiag cs homcs ar1 hetar1``, or the name of a structure of the user's own.
    terms : tuple of Term
        The expanded left side; the intercept is the empty term.
    group : tuple of str
        Columns whose combinations are the groups: ``("a", "b")`` for ``a:b``.
    pos : int
        Where the term starts in the text.
    """

    structure: str
    terms: tuple[Term, ...]
    group: tuple[str, ...]
    pos: int

    @property
    def factor(self) -> str:
        """The grouping factor as written: ``"Subject"``, ``"recipe:replicate"``."""
        return ":".join(self.group)

    @property
    def label(self) -> str:
        """The term as people write it: ``"(1 + Days | Subject)"``, ``"diag(0 + f | g)"``."""
        left = written(self.terms)
        if left.startswith(("0 + ", "1 + ")) and self.structure in POSITIONAL:
            left = left[4:]
        return f"{'' if self.structure == 'us' else self.structure}({left} | {self.factor})"


def bar_of(text: str, node: Node, own: tuple[str, ...] = ()) -> tuple[str, Op] | None:
    """The structure and the bar of a random term, or None when `node` is none.

    Parameters
    ----------
    text : str
        The whole formula, for errors.
    node : Node
    own : tuple of str
        Names of the user's own structures.

    Raises
    ------
    FormulaError
        When a bar stands inside a function that is no covariance structure.
    """
    match node:
        case Paren(body=Op(op="|" | "||") as bar):
            return "us", bar
        case Paren(body=Paren() | Call() as body):
            return bar_of(text, body, own)
        case Call(func=func, args=args) if any(isinstance(a, Op) and a.op in ("|", "||") for a in args):
            if func not in (known := (*STRUCTURES, *own)):
                hint = nearest(func, known)
                more = "" if own else ", and those given by structures="
                complain(
                    text, node.pos, f"`{func}` is not a covariance structure{hint}: known are {', '.join(known)}{more}."
                )
            structure = _with_hom(func, node)
            if structure is None:
                complain(text, node.pos, f"`{func}` takes one argument, as in {func}(x | g).")
            if args[0].op == "||":
                complain(text, args[0].at, f"`||` already says how effects covary: write {func}(x | g), one bar.")
            return structure, args[0]
    return None


def _with_hom(func: str, call: Call) -> str | None:
    """The structure a call names, with lme4's ``hom = TRUE`` or ``FALSE`` as well; None for other arguments."""
    if len(call.args) > 1:
        return None
    match call.keywords:
        case ():
            return func
        case (("hom", Name(value="TRUE" | "True" | "FALSE" | "False" as value)),) if func in _HOMOGENEOUS:
            return _HOMOGENEOUS[func][value.upper() == "FALSE"]
    return None


def alone(node: Node) -> Node:
    """lme4's ``y ~ 1 | g``: a right side that is a bar for an intercept, and that alone, as if in parentheses."""
    match node:
        case Op(op="|", left=Number(value="1")):
            return Paren(node.pos, node)
    return node


def bar_terms(text: str, structure: str, bar: Op) -> tuple[BarTerm, ...]:
    """The blocks a bar stands for, in lme4's order (split by effect first, then finest group first).

    Parameters
    ----------
    text : str
        The whole formula, for errors.
    structure : str
    bar : Op

    Returns
    -------
    tuple of BarTerm

    Raises
    ------
    FormulaError
        For an empty left side, a left side with an offset or bar, or a group that is not a factor.
    """
    for part in walk(bar.left):
        if isinstance(part, Op) and part.op in ("|", "||"):
            complain(text, bar.at, "a random term has one bar: write crossed factors as (x | a) + (x | b).")
    terms = expand(text, bar.left, intercept=structure not in POSITIONAL)
    if structure in POSITIONAL:
        terms = _positions(text, structure, bar, terms)
    if not terms:
        complain(text, bar.pos, "this random term has no effect left: write (1 | g), or name a variable.")
    blocks = [(term,) for term in terms] if bar.op == "||" else [terms]
    groups = _groups(text, bar.right)
    return tuple(BarTerm(structure, block, group, bar.pos) for block in blocks for group in groups)


def _positions(text: str, structure: str, bar: Op, terms: tuple[Term, ...]) -> tuple[Term, ...]:
    kept = tuple(term for term in terms if term)
    if len(kept) != 1 or len(kept[0]) != 1:
        complain(text, bar.pos, f"`{structure}` takes one variable with the positions, as in {structure}(t | g).")
    return kept


def _groups(text: str, node: Node) -> list[tuple[str, ...]]:
    """Grouping factors of a bar's right side: ``a/b/c`` is a:b:c, a:b and a."""
    match node:
        case Paren(body=body):
            return _groups(text, body)
        case Op(op="/", left=left, right=right):
            outer, inner = _groups(text, left), _groups(text, right)
            if len(inner) > 1:
                complain(text, right.pos, "nesting is written from the coarsest on, as in (1 | a/b/c).")
            return [tuple(dict.fromkeys(outer[0] + inner[0])), *outer]
        case Op(op=":", left=left, right=right):
            parts = [group for side in (left, right) for group in _groups(text, side)]
            if len(parts) != 2:
                complain(text, node.at, "`:` and `/` do not mix here: write each grouping factor in a term of its own.")
            return [tuple(dict.fromkeys(parts[0] + parts[1]))]
        case Op(op="+" | "*"):
            how = "(x | a) + (x | b)" + (" + (x | a:b)" if node.op == "*" else "")
            complain(text, node.at, f"a random term has one grouping factor: write {how}.")
        case Call(func="factor" | "as.factor" | "C", args=(Name(value=value),), keywords=()):
            return [(value,)]  # a grouping variable is a factor already
        case Name(value=value) if value != ".":
            return [(value,)]
    complain(
        text, node.pos, "the right side of a bar is a column, a:b or a/b: make other groupings a column of the data."
    )
