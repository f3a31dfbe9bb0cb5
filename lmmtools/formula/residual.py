"""Residual structures: ``"ar1(time | Subject) * varident(Sex)"`` → `ParsedResidual`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lmmtools.errors import FormulaError
from lmmtools.formats import listed, nearest
from lmmtools.formula.syntax import Call, Name, Node, Number, Op, Paren, complain, read
from lmmtools.formula.terms import expand
from lmmtools.formula.translate import columns, render, validate

__all__ = ["CORRELATIONS", "VARIANCES", "ParsedResidual", "ResidualPart", "parse_residual"]

CORRELATIONS = ("ar1", "car1", "arma", "cs", "toep", "us", "exp", "gaus", "spher", "ratio")
VARIANCES = ("varident", "varpower", "varexp", "varconstpower", "varfixed")
_SPATIAL = ("exp", "gaus", "spher", "ratio")
_OPTIONS = {"arma": ("p", "q"), "toep": ("k",), **dict.fromkeys(_SPATIAL, ("nugget",))}  # in order, besides `by`
_OF_NLME = {"corAR1": "ar1", "corCAR1": "car1", "corARMA": "arma", "corCompSymm": "cs", "corSymm": "us",
            "corExp": "exp", "corGaus": "gaus", "corSpher": "spher", "corRatio": "ratio", "varIdent": "varident",
            "varPower": "varpower", "varExp": "varexp", "varConstPower": "varconstpower",
            "varFixed": "varfixed"}  # fmt: skip


@dataclass(frozen=True)
class ResidualPart:
    """One correlation structure or variance function.

    Attributes
    ----------
    kind : str
        Its name as written.
    variables : tuple of str
        Positions or coordinates (correlations), the covariate or the factor's columns (variance functions), names
        plain; ``("fitted()",)`` stands for the fitted values.
    nodes : tuple of Node
        The same as trees; empty for ``varident``, whose variables are columns, and for the fitted values.
    group : tuple of str
        Columns whose combinations are the groups of a correlation, or the strata of a variance function; empty where
        all rows are one.
    by : tuple of str
        Columns whose combinations have parameters of their own; empty without.
    options : tuple of (str, int or bool)
        ``p`` and ``q`` of arma, ``k`` of toep, ``nugget`` of the spatial ones.
    columns : tuple of str
        Every column it reads.
    label : str
        The part as written.
    """

    kind: str
    variables: tuple[str, ...]
    nodes: tuple[Node, ...]
    group: tuple[str, ...]
    by: tuple[str, ...]
    options: tuple[tuple[str, int | bool], ...]
    columns: tuple[str, ...]
    label: str

    @property
    def factor(self) -> str:
        """The group or strata as written: ``"Subject"``, ``"a:b"``."""
        return ":".join(self.group)

    def option(self, name: str, otherwise: int | bool) -> int | bool:
        """The value of an option, or another where it is not given."""
        return dict(self.options).get(name, otherwise)


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
        Structures joined by ``*``, such as ``"ar1(time | Subject) * varident(Sex)"``: at most one correlation, any
        number of variance functions.

    Returns
    -------
    ParsedResidual

    Raises
    ------
    FormulaError
        For an unknown structure, a second correlation, or wrong arguments; a caret shows the place.

    Notes
    -----
    Correlations within groups, which are a column, ``a:b`` or ``a/b`` (both the combinations), or ``1`` for all rows:
    ``ar1(t | g)`` and ``arma(t | g, p, q)`` over whole numbers or the positions of a factor's levels; ``car1(t | g)``
    over any times; ``cs(g)``; ``toep(t | g)`` with a correlation for each distance, ``toep(t | g, k)`` for the k
    smallest; ``us(t | g)`` for each pair of occasions; ``exp``, ``gaus``, ``spher`` and ``ratio`` of the Euclidean
    distance, as in ``exp(x + y | g, nugget=True)``, where the group may be left out. ``by=f`` gives each level of a
    factor parameters of its own. All have unit diagonal: an unstructured covariance is ``us(t | g) * varident(t)``.

    Variance functions: ``varident(f)`` or ``varident(a:b)``, an sd for each level as a ratio to the first's;
    ``varpower(v)`` |v|^δ; ``varexp(v)`` exp(δv); ``varconstpower(v)`` c + |v|^δ; ``varfixed(v)`` √v, nothing to
    estimate. The three with a power or exponent take ``fitted()`` for v, and strata, ``varpower(v | f)``.

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
    if not text:
        raise FormulaError("the residual structure is empty: write it as in 'ar1(time | g)', or leave `residual` out.")
    correlation, variances = None, []
    for call in _factors(text, read(text)):
        if call.func in VARIANCES:
            part = _variance(text, call)
            if any((part.kind, part.variables, part.group) == (o.kind, o.variables, o.group) for o in variances):
                complain(text, call.pos, f"`{part.label}` is written twice, and says nothing new: remove one.")
            variances.append(part)
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
            meant = _OF_NLME.get(func)
            hint = f" (nlme's {func} is {meant}({_example(meant)}) here)" if meant else nearest(func, known)
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
    left, right = _sides(text, call, wrong)
    terms = () if left is None else tuple(t for t in expand(text, left) if t)
    if any(len(term) != 1 for term in terms) or (len(terms) > 1 and call.func not in _SPATIAL):
        complain(text, first.pos, wrong)
    if left is not None and not terms:
        complain(
            text,
            first.pos,
            f"`{call.func}` has no position before the bar, and the order of rows is never one: {wrong}",
        )
    group = () if right is None else _group(text, right)
    given = _arguments(text, call, rest)
    by = _group(text, given.pop("by")) if "by" in given else ()
    nodes = tuple(term[0] for term in terms)
    used = dict.fromkeys([*(name for node in nodes for name in columns(node)), *group, *by])
    variables = tuple(map(_plain, nodes))
    return ResidualPart(
        call.func, variables, nodes, group, by, _options(text, call, given), tuple(used), _label(text, call)
    )


def _sides(text: str, call: Call, wrong: str) -> tuple[Node | None, Node | None]:
    """What stands before the bar and after it; None for what may be missing."""
    first = call.args[0]
    if isinstance(first, Op) and first.op == "|":
        if call.func == "cs":
            complain(text, first.at, "`cs` has no positions, every two rows of a group are alike: write cs(g).")
        return first.left, first.right
    if call.func == "cs":
        return None, first
    if call.func in _SPATIAL and not (isinstance(first, Op) and first.op == "||"):
        return first, None
    whole = "" if call.func == "us" else ", or | 1 where all rows are one group"  # correlations of pairs need groups
    complain(text, first.pos, f"{wrong[:-1]}{whole}.")


def _group(text: str, node: Node) -> tuple[str, ...]:
    """Columns whose combinations are the groups; none for ``1``."""
    match node:
        case Number(value="1"):
            return ()
        case Name(value=value):
            return (value,)
        case Paren(body=body):
            return _group(text, body)
        case Op(op=":" | "/", left=left, right=right):
            return tuple(dict.fromkeys(_group(text, left) + _group(text, right)))
    complain(
        text, node.pos, "groups and levels are a column, or a:b for combinations (a/b means the same here): write one."
    )


def _arguments(text: str, call: Call, rest: tuple[Node, ...]) -> dict[str, Node]:
    """Arguments after the first, by name."""
    names = _OPTIONS.get(call.func, ())
    if len(rest) > len(names):
        complain(text, rest[len(names)].pos, f"`{call.func}` is written {call.func}({_example(call.func)}).")
    given = dict(zip(names, rest, strict=False))
    for key, value in call.keywords:
        if key in given:
            complain(text, value.pos, f"`{key}` of `{call.func}` is given twice: remove one.")
        if key not in (*names, "by"):
            complain(text, value.pos, f"`{call.func}` has no argument `{key}`; it knows {listed((*names, 'by'))}.")
        given[key] = value
    return given


def _options(text: str, call: Call, given: dict[str, Node]) -> tuple[tuple[str, int | bool], ...]:
    if call.func == "arma":
        for key in ("p", "q"):
            if not (isinstance(given.get(key), Number) and given[key].value.isdigit()):
                where = given[key].pos if key in given else call.pos
                found = f"`{key}` is not one" if key in given else f"`{key}` is missing"
                complain(text, where, f"`arma` needs whole numbers p and q, as in arma(t | g, 1, 1); {found}.")
        orders = tuple((key, int(given[key].value)) for key in ("p", "q"))
        if not any(order for _, order in orders):
            complain(text, call.pos, "arma with p = q = 0 is no correlation: leave it out, or give p or q.")
        return orders
    if "k" in given:
        if not (isinstance(given["k"], Number) and given["k"].value.isdigit() and int(given["k"].value) > 0):
            complain(text, given["k"].pos, "the number of distances of toep(t | g, k) is a whole number from 1 on.")
        return (("k", int(given["k"].value)),)
    if "nugget" in given:
        flag = given["nugget"]
        if not (isinstance(flag, Name) and flag.value in ("True", "TRUE", "False", "FALSE")):
            complain(text, flag.pos, "`nugget` is True or False.")
        return (("nugget", flag.value.upper() == "TRUE"),)
    return ()


def _variance(text: str, call: Call) -> ResidualPart:
    if len(call.args) != 1 or call.keywords:
        more = "; combinations of factors are varident(a:b)" if call.func == "varident" else ""
        complain(text, call.pos, f"`{call.func}` takes one variable: {call.func}({_example(call.func)}){more}.")
    node, strata = call.args[0], ()
    if isinstance(node, Op) and node.op == "|":
        if call.func == "varident":
            complain(text, node.at, "`varident` has no strata: write varident(a:b) for an sd of each combination.")
        if call.func == "varfixed":
            complain(text, node.at, "`varfixed` has no parameter that could differ by strata: write varfixed(v).")
        node, strata = node.left, _group(text, node.right)
    label = _label(text, call)
    if isinstance(node, Call) and node.func == "fitted":
        if node.args or node.keywords or call.func in ("varident", "varfixed"):
            complain(text, node.pos, "fitted() has no arguments and stands in varpower, varexp or varconstpower.")
        return ResidualPart(call.func, ("fitted()",), (), strata, (), (), strata, label)
    if call.func == "varident":
        factors = _group(text, node)
        if not factors:
            complain(text, node.pos, "`varident` needs a factor, whose levels have sds of their own: varident(f).")
        return ResidualPart(call.func, factors, (), (), (), (), factors, label)
    validate(text, node)
    if not isinstance(node, Name | Call):
        node = Call(node.pos, "I", (node,))  # v/2 is arithmetic here, nothing else could be meant
    used = tuple(dict.fromkeys([*columns(node), *strata]))
    return ResidualPart(call.func, (_plain(node),), (node,), strata, (), (), used, label)


def _plain(node: Node) -> str:
    """A variable as people write it."""
    if isinstance(node, Call) and node.func in ("factor", "as.factor", "ordered") and len(node.args) == 1:
        return f"{node.func}({_plain(node.args[0])})"  # which would be C(…) for formulaic
    return render(node, lambda part, _: part.value)


def _label(text: str, call: Call) -> str:
    """The call's own text: from its name to the parenthesis that closes it."""
    depth, quoted = 0, False
    for end in range(call.pos, len(text)):
        quoted ^= text[end] == "`"
        depth += 0 if quoted else (text[end] == "(") - (text[end] == ")")
        if depth == 0 and text[end] == ")" and not quoted:
            break
    return text[call.pos : end + 1]
