"""Text → parsed formula: R's mixed-model notation, read once, without looking at any data.

The whole grammar is read here, residual structures too.
`syntax` turns text into a tree, `terms` and `bars` give the tree its meaning, `translate` writes R's
spelling as formulaic's, and `residual` reads residual structures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from lmmtools.errors import FormulaError
from lmmtools.formula.bars import POSITIONAL, STRUCTURES, BarTerm, alone, bar_of, bar_terms
from lmmtools.formula.residual import ParsedResidual, ResidualPart, parse_residual
from lmmtools.formula.syntax import Call, Name, Node, Number, Op, Paren, complain, read, walk
from lmmtools.formula.terms import Term, expand, render_terms
from lmmtools.formula.translate import columns, render, validate

__all__ = [
    "POSITIONAL",
    "STRUCTURES",
    "BarTerm",
    "ParsedFormula",
    "ParsedResidual",
    "ResidualPart",
    "parse_formula",
    "parse_residual",
]


@dataclass(frozen=True)
class ParsedFormula:
    """A formula that has been read and understood; it holds no data.

    Attributes
    ----------
    text : str
        The formula as written.
    response_node : Node
        The response, a column or an expression of one.
    fixed_terms : tuple of Term
        Terms of the fixed part; the intercept is the empty term.
    offset_nodes : tuple of Node
        What stands inside ``offset(…)``.
    random : tuple of BarTerm
        One entry for each covariance block, in lme4's order of expansion.
    """

    text: str
    response_node: Node
    fixed_terms: tuple[Term, ...]
    offset_nodes: tuple[Node, ...]
    random: tuple[BarTerm, ...]

    @property
    def response(self) -> str:
        """The response as text, names plain: ``"log10(accel)"``."""
        return render(self.response_node, lambda part, _: part.value)

    @property
    def fixed(self) -> str:
        """The fixed part as formulaic reads it, the intercept said: ``"1 + Days"``."""
        return render_terms(self.fixed_terms)

    @property
    def offsets(self) -> tuple[str, ...]:
        """The offsets as formulaic reads them."""
        return tuple(render(node) for node in self.offset_nodes)

    @property
    def predictors(self) -> tuple[str, ...]:
        """Columns read by the fixed part, the offsets and the left sides of the bars."""
        terms = [*self.fixed_terms, *(term for bar in self.random for term in bar.terms)]
        nodes = [*(node for term in terms for node in term), *self.offset_nodes]
        return tuple(dict.fromkeys(name for node in nodes for name in columns(node)))

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns read by the right sides of the bars."""
        return tuple(dict.fromkeys(name for bar in self.random for name in bar.group))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the formula reads, response first."""
        return tuple(dict.fromkeys([*columns(self.response_node), *self.predictors, *self.groups]))


def parse_formula(text: str, structures: Iterable[str] | None = None) -> ParsedFormula:
    """Parse a mixed-model formula in R's notation.

    Parameters
    ----------
    text : str
        ``response ~ terms``, with random terms such as ``(1 + x | g)``, ``(x || g)``, ``(1 | a/b)``,
        ``diag(f | g)``, ``ar1(t | g)`` and offsets as ``offset(x)``.
    structures : Mapping or iterable of str, optional
        Names of covariance structures of your own, as `fit_lmm` takes them: with ``"mine"`` among them,
        ``mine(0 + f | g)`` is a random term.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    FormulaError
        When the text is not a formula; the message shows the place and says what to do. When a structure has the
        name of a built-in one, or one that a formula cannot hold.

    Examples
    --------
    >>> parsed = parse_formula("Reaction ~ Days + (Days || Subject)")
    >>> parsed.fixed, [term.label for term in parsed.random]
    ('1 + Days', ['(1 | Subject)', '(0 + Days | Subject)'])
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"a formula is a string such as 'y ~ x + (1 | g)', not {type(text).__name__}: write it between quotes."
        )
    return _parsed(text.strip(), _own_names(structures))


def _own_names(structures: Iterable[str] | None) -> tuple[str, ...]:
    """Names of the user's structures, checked."""
    if structures is None:
        return ()
    if isinstance(structures, str) or not isinstance(structures, Iterable):
        raise FormulaError(
            f"structures={structures!r} does not say which name stands for which structure: give a mapping such as "
            "{'mine': structure}."
        )
    for name in structures:
        if name in STRUCTURES:
            raise FormulaError(f"structures: `{name}` is the name of a built-in structure: choose another name.")
        if not (isinstance(name, str) and name.replace(".", "_").isidentifier()):
            raise FormulaError(f"structures: {name!r} cannot be written in a formula: use letters, digits and `_`.")
    return tuple(structures)


@lru_cache(maxsize=512)
def _parsed(text: str, own: tuple[str, ...]) -> ParsedFormula:
    tree = read(text)
    if not (isinstance(tree, Op) and tree.op == "~"):
        complain(
            text, len(text.rstrip()), "the formula has no `~`: write the response before it, as in 'y ~ x + (1 | g)'."
        )
    if isinstance(tree.left, Op) and tree.left.op == "~":
        complain(text, tree.at, "a formula has one `~` only: remove the second.")
    response = _response(text, tree.left)
    fixed, offsets, bars = _split(text, alone(tree.right), own)
    fixed_terms = expand(text, fixed) if fixed is not None else ((),)
    random = tuple(block for structure, bar in bars for block in bar_terms(text, structure, bar))
    for part in (part for terms in (fixed_terms, *(bar.terms for bar in random)) for term in terms for part in term):
        if part == response or (isinstance(response, Name) and response.value in columns(part)):
            complain(text, part.pos, "the response stands on the right side too, and would explain itself: remove it.")
    return ParsedFormula(text, response, fixed_terms, tuple(offsets), random)


def _response(text: str, node: Node) -> Node:
    if isinstance(node, Paren):
        return _response(text, node.body)
    if isinstance(node, Op) and node.op in ("+", "-", "*", "/", "^"):
        validate(text, node)
        return Call(node.pos, "I", (node,))  # R computes a response arithmetically: y/2 is a half of y
    validate(text, node)
    if not isinstance(node, Name | Call):
        complain(text, node.pos, "the response must be a column or a function of one, as log(y).")
    return node


def _split(text: str, node: Node, own: tuple[str, ...]) -> tuple[Node | None, list[Node], list[tuple[str, Op]]]:
    """The right side's fixed part without bars and offsets, the offsets, and the bars."""
    if isinstance(node, Op) and node.op == "+":
        left, offsets, bars = _split(text, node.left, own)
        right, more_offsets, more_bars = _split(text, node.right, own)
        offsets, bars = offsets + more_offsets, bars + more_bars
        if left is None or right is None:
            return left if right is None else right, offsets, bars
        return Op(node.pos, "+", left, right, node.at), offsets, bars
    if isinstance(node, Op) and node.op == "-":
        left, offsets, bars = _split(text, node.left, own)
        _refuse_bar(text, node.right, "taken away with `-`")
        left = Number(node.pos, "1") if left is None else left
        return Op(node.pos, "-", left, node.right, node.at), offsets, bars
    if (found := bar_of(text, node, own)) is not None:
        return None, [], [found]
    if isinstance(node, Call) and node.func == "offset":
        if len(node.args) != 1 or node.keywords:
            complain(text, node.pos, "offset(…) takes one variable.")
        validate(text, node.args[0])
        inner = node.args[0]
        return None, [inner if isinstance(inner, Name | Call) else Call(inner.pos, "I", (inner,))], []
    if isinstance(node, Paren) and isinstance(node.body, Op) and node.body.op == "+":
        return _split(text, node.body, own)
    if isinstance(node, Op) and node.op in ("*", "/", ":", "^", "%in%"):
        _refuse_bar(text, node, f"combined by `{node.op}`")
    return node, [], []


def _refuse_bar(text: str, node: Node, how: str) -> None:
    for part in walk(node):
        if isinstance(part, Op) and part.op in ("|", "||"):
            complain(text, part.at, f"a random term cannot be {how}: join it by `+`.")
        if isinstance(part, Call) and part.func == "offset":
            complain(text, part.pos, f"an offset cannot be {how}: join it by `+`.")
