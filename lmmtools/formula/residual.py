"""Residual structures: ``"ar1(time | Subject) * varident(Sex)"`` → `ParsedResidual`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lmmtools.errors import FormulaError
from lmmtools.formats import nearest
from lmmtools.formula.syntax import Call, Name, Node, Number, Op, Paren, complain, read
from lmmtools.formula.terms import expand
from lmmtools.formula.translate import columns, render, validate

__all__ = ["CORRELATIONS", "VARIANCES", "ParsedResidual", "ResidualPart", "parse_residual"]

CORRELATIONS = ("ar1", "car1", "arma", "cs", "toep", "us", "exp", "gaus", "spher", "ratio")
VARIANCES = ("varident", "varpower", "varexp", "varconstpower", "varfixed")
_SPATIAL = ("exp", "gaus", "spher", "ratio")


@dataclass(frozen=True)
class ResidualPart:
    """One correlation structure or variance function.

    Attributes
    ----------
    kind : str
        Its name as written.
    variables : tuple of str
        Positions or coordinates (correlations), the covariate or factor (variance functions), as text
        for formulaic; ``("fitted()",)`` stands for the fitted values.
    group : tuple of str
        Columns whose combinations are the groups; empty for variance functions.
    options : tuple of (str, int or bool)
        ``p`` and ``q`` of arma, ``nugget`` of the spatial ones.
    columns : tuple of str
        Every column it reads.
    label : str
        The part as written.
    """

    kind: str
    variables: tuple[str, ...]
    group: tuple[str, ...]
    options: tuple[tuple[str, int | bool], ...]
    columns: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class ParsedResidual:
    """A residual structure: at most one correlation, any number of variance functions."""

    text: str
    correlation: ResidualPart | None
    variances: tuple[ResidualPart, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the structure reads."""
        parts = (*((self.correlation,) if self.correlation else ()), *self.variances)
        return tuple(dict.fromkeys(name for part in parts for name in part.columns))


def parse_residual(text: str) -> ParsedResidual:
    """Parse a residual structure.

    Parameters
    ----------
    text : str
        Structures joined by ``*``, such as ``"ar1(time | Subject) * varident(Sex)"``.

    Returns
    -------
    ParsedResidual

    Raises
    ------
    FormulaError
        For an unknown structure, a second correlation, or wrong arguments; a caret shows the place.

    Examples
    --------
    >>> parse_residual("ar1(time | Subject) * varident(Sex)").correlation.group
    ('Subject',)
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"a residual structure is a string such as 'ar1(time | g)', not {type(text).__name__}: "
            "write it between quotes."
        )
    return _parsed(text.strip())


@lru_cache(maxsize=256)
def _parsed(text: str) -> ParsedResidual:
    correlation, variances = None, []
    for call in _factors(text, read(text)):
        if call.func in VARIANCES:
            variances.append(_variance(text, call))
        elif correlation is None:
            correlation = _correlation(text, call)
        else:
            complain(text, call.pos, "a residual structure has one correlation at most: remove one of the two.")
    return ParsedResidual(text, correlation, tuple(variances))


def _factors(text: str, node: Node) -> list[Call]:
    match node:
        case Op(op="*", left=left, right=right):
            return _factors(text, left) + _factors(text, right)
        case Paren(body=body):
            return _factors(text, body)
        case Op():
            complain(text, node.at, f"residual structures are joined by `*`, not `{node.op}`.")
        case Call(func=func) if func in CORRELATIONS + VARIANCES:
            return [node]
        case Call(func=func) | Name(value=func):
            known = CORRELATIONS + VARIANCES
            if func in known:
                complain(text, node.pos, f"`{func}` needs its arguments, as in {func}({_example(func)}).")
            hint = nearest(func, known)
            complain(text, node.pos, f"`{func}` is not a residual structure{hint}: known are {', '.join(known)}.")
    complain(text, node.pos, "a residual structure is written as in 'ar1(time | g) * varident(f)'.")


def _example(kind: str) -> str:
    if kind in VARIANCES:
        return "f" if kind == "varident" else "v"
    if kind == "arma":
        return "t | g, p, q"
    return "g" if kind == "cs" else "x + y | g" if kind in _SPATIAL else "t | g"


def _correlation(text: str, call: Call) -> ResidualPart:
    wrong = f"`{call.func}` is written {call.func}({_example(call.func)})."
    if not call.args:
        complain(text, call.pos, wrong)
    first, rest = call.args[0], call.args[1:]
    if call.func == "cs" and not (isinstance(first, Op) and first.op == "|"):
        left, right = None, first
    elif isinstance(first, Op) and first.op == "|":
        left, right = first.left, first.right
    else:
        complain(text, first.pos, wrong)
    terms = () if left is None else tuple(t for t in expand(text, left) if t)
    if any(len(term) != 1 for term in terms) or (len(terms) > 1 and call.func not in _SPATIAL):
        complain(text, first.pos, wrong)
    if left is not None and not terms:
        complain(text, first.pos, f"`{call.func}` has no position before the bar: {wrong}")
    group = _group(text, right)
    read_columns = dict.fromkeys([name for term in terms for name in columns(term[0])] + list(group))
    variables = tuple(render(term[0]) for term in terms)
    options = _options(text, call, rest)
    return ResidualPart(call.func, variables, group, options, tuple(read_columns), _label(text, call))


def _group(text: str, node: Node) -> tuple[str, ...]:
    match node:
        case Name(value=value):
            return (value,)
        case Paren(body=body):
            return _group(text, body)
        case Op(op=":", left=left, right=right):
            return _group(text, left) + _group(text, right)
    complain(text, node.pos, "the group of a residual structure is a column or a:b.")


def _options(text: str, call: Call, rest: tuple[Node, ...]) -> tuple[tuple[str, int | bool], ...]:
    names = ("p", "q") if call.func == "arma" else ("nugget",) if call.func in _SPATIAL else ()
    if len(rest) > len(names):
        complain(text, rest[len(names)].pos, f"`{call.func}` is written {call.func}({_example(call.func)}).")
    given = {**dict(zip(names, rest, strict=False)), **dict(call.keywords)}
    for key, value in given.items():
        if key not in names:
            complain(text, value.pos, f"`{call.func}` has no argument `{key}`.")
    if call.func == "arma":
        for key in names:
            if not (isinstance(given.get(key), Number) and given[key].value.isdigit()):
                where = given[key].pos if key in given else call.pos
                complain(text, where, f"`arma` needs whole numbers p and q: arma(t | g, 1, 1); `{key}` is none.")
        return tuple((key, int(given[key].value)) for key in names)
    if "nugget" in given:
        flag = given["nugget"]
        if not (isinstance(flag, Name) and flag.value in ("True", "TRUE", "False", "FALSE")):
            complain(text, flag.pos, "`nugget` is True or False.")
        return (("nugget", flag.value.upper() == "TRUE"),)
    return ()


def _variance(text: str, call: Call) -> ResidualPart:
    if len(call.args) != 1 or call.keywords:
        complain(text, call.pos, f"`{call.func}` takes one variable: {call.func}({_example(call.func)}).")
    node = call.args[0]
    if isinstance(node, Call) and node.func == "fitted":
        if node.args or node.keywords or call.func in ("varident", "varfixed"):
            complain(text, node.pos, "fitted() has no arguments and stands in varpower, varexp or varconstpower.")
        return ResidualPart(call.func, ("fitted()",), (), (), (), _label(text, call))
    if call.func == "varident" and not isinstance(node, Name):
        factors = _group(text, node)
        return ResidualPart(call.func, factors, (), (), factors, _label(text, call))
    validate(text, node)
    return ResidualPart(call.func, (render(node),), (), (), columns(node), _label(text, call))


def _label(text: str, call: Call) -> str:
    """The call's own text: from its name to the parenthesis that closes it."""
    depth = 0
    for end in range(call.pos, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0 and text[end] == ")":
            break
    return text[call.pos : end + 1]
