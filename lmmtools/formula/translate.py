"""What may be called inside a formula, and the translation of R's spelling to formulaic's Python.

formulaic evaluates Python text. Only names of columns, numbers, the operators of arithmetic and the
functions listed here get through, so a formula can reach neither the caller's variables nor builtins.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lmmtools.formats import counted, nearest
from lmmtools.formula.syntax import (
    Call,
    Name,
    Node,
    Number,
    Op,
    Paren,
    Sequence,
    Text,
    Unary,
    complain,
    walk,
)

__all__ = ["CONTRASTS", "FUNCTIONS", "RESERVED", "columns", "is_constant", "render", "validate"]

CONTRASTS = ("treatment", "sum", "helmert", "poly", "SAS", "diff")

_TRIGONOMETRY = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
_MATHS = (*_TRIGONOMETRY, "sqrt", "abs", "exp", "log", "log2", "log10", "log1p", "expm1")
_SPLINE = ("df", "knots", "lower_bound", "upper_bound", "extrapolation")
_CUBIC = ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation")

# name -> (most arguments without a name, names of arguments)
FUNCTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys(("I", *_MATHS), (1, ())),
    "C": (2, ("contrasts", "levels")),
    "factor": (1, ("levels",)),
    "as.factor": (1, ()),
    "ordered": (1, ("levels",)),
    "poly": (2, ("degree", "raw")),
    "bs": (2, ("degree", "include_intercept", *_SPLINE)),
    "cr": (2, _CUBIC),
    "cs": (2, _CUBIC),
    "cc": (2, _CUBIC),
    "scale": (1, ("center", "scale")),
    "center": (1, ()),
    "standardize": (1, ()),
}
_CATEGORICAL = {"C", "factor", "as.factor", "ordered"}
_LITERALS = {"TRUE": "True", "FALSE": "False", "True": "True", "False": "False", "NULL": "None", "None": "None"}
# names with a meaning of their own in translated text; columns called so go by another name there
RESERVED = frozenset({*FUNCTIONS, "pi", "contr", "np", "True", "False", "None"})
_ADVICE = {"mean": "center(x) subtracts the mean", "sd": "scale(x) divides by the standard deviation",
           "cbind": "one response at a time can be fitted", "ns": "cr(x, df=…) is a natural spline",
           "s": "cr(x, df=…) is a natural spline", "as.numeric": "convert the column in the data",
           "relevel": "C(x, contr.treatment(base='b')) chooses the reference level",
           "dummy": "I(x == 'b') is one where x is b", "cut": "cut the column in the data"}  # fmt: skip

# contrasts of Python's other formulas
_PATSY = {"Treatment": "contr.treatment(base='b')", "Sum": "contr.sum", "Helmert": "contr.helmert",
          "Poly": "contr.poly", "Diff": "contr.diff"}  # fmt: skip


def validate(text: str, node: Node) -> None:
    """Check one variable of a formula: `x`, `log(x)`, `I(x^2)`, `C(f, contr.sum)`.

    Parameters
    ----------
    text : str
        The whole formula, for the error.
    node : Node

    Raises
    ------
    FormulaError
        For an unknown function, wrong arguments, an operator without meaning in arithmetic, or no column at all.
    """
    _validate_value(text, node)
    if not columns(node):
        complain(text, node.pos, f"`{render(node)}` has no column in it: name one, or leave it out.")


def _validate_value(text: str, node: Node) -> None:
    """Check what stands for one number in each row."""
    match node:
        case Op(op="~" | "|" | "||" | ":" | "%in%"):
            complain(text, node.at, f"`{node.op}` has no meaning in a function or response: only arithmetic has.")
        case Op(op=op, left=left, right=right):
            for side in (left, right):
                if not (op in ("==", "!=") and isinstance(side, Text)):  # I(f == 'a')
                    _validate_value(text, side)
        case Paren(body=inner) | Unary(operand=inner):
            _validate_value(text, inner)
        case Name(value="."):
            complain(text, node.pos, "`.` (all other columns) is not read: name the columns.")
        case Name(value=value, quoted=False) if is_constant(value) and value != "pi":
            complain(text, node.pos, f"`{value}` is no number: a column of that name goes between backticks.")
        case Text() | Sequence():
            complain(text, node.pos, "a text or list has no meaning here: name a column.")
        case Call():
            _validate_call(text, node)


def _validate_call(text: str, call: Call) -> None:
    name = call.func.removeprefix("np.").removeprefix("numpy.")
    if name == "offset":
        complain(text, call.pos, "offset(…) is a term of its own: write it after a `+`, outside other functions.")
    if name not in FUNCTIONS:
        advice = f": {_ADVICE[name]}" if name in _ADVICE else nearest(name, FUNCTIONS)
        known = ", ".join(sorted(FUNCTIONS))
        complain(text, call.pos, f"`{call.func}` is not a function of formulas{advice}. Known are {known}.")
    most, keywords = FUNCTIONS[name]
    if not call.args:
        complain(text, call.pos, f"`{call.func}` needs a variable between its parentheses.")
    if len(call.args) > most:
        more = " log2(x) and log10(x) give other bases." if name == "log" else ""
        takes = counted(most, "unnamed argument")
        complain(text, call.args[most].pos, f"`{call.func}` takes {takes}, not {len(call.args)}.{more}")
    for key, value in call.keywords:
        if key not in keywords:
            known = f"it knows {', '.join(keywords)}" if keywords else "it has none"
            complain(text, value.pos, f"`{call.func}` has no argument `{key}`: {known}.")
    _validate_value(text, call.args[0])
    for value in (*call.args[1:], *(value for _, value in call.keywords)):
        _validate_literal(text, value)
    if name == "poly":
        for degree in (*call.args[1:], *(value for key, value in call.keywords if key == "degree")):
            if not (isinstance(degree, Number) and degree.value.isdigit() and int(degree.value) > 0):
                complain(text, degree.pos, "the degree of poly(x, degree) is a whole number from 1 on.")


def _validate_literal(text: str, node: Node) -> None:
    """Check an argument after the first: settings are written out, they do not vary with the rows."""
    match node:
        case Number() | Text():
            return
        case Name(value=value, quoted=False) if is_constant(value):
            return
        case Unary(operand=Number()):
            return
        case Sequence(items=items) | Call(func="c", args=items, keywords=()):
            for item in items:
                _validate_literal(text, item)
            return
        case Call(func=func) if is_constant(func):
            for item in (*node.args, *(value for _, value in node.keywords)):
                _validate_literal(text, item)
            return
    name = getattr(node, "func", None) or getattr(node, "value", None)
    other = f"; {name} is {_PATSY[name]} here" if name in _PATSY else ""
    complain(
        text, node.pos, f"this argument is a number, a text, a list of these, or contrasts such as contr.sum{other}."
    )


def render(node: Node, name: Callable[[Name, bool], str] | None = None, *, categorical: bool = False) -> str:
    """Python text of one variable, as formulaic reads it.

    Parameters
    ----------
    node : Node
    name : callable, optional
        ``name(node, categorical)`` gives the text of a column; `categorical` says that it stands as the
        first argument of ``C``. By default unusual names are put between backticks.
    categorical : bool
        Whether `node` itself stands there.

    Returns
    -------
    str
    """
    name = name or (lambda part, _: _quoted(part))

    def inner(part: Node) -> str:
        return render(part, name)

    match node:
        case Number(value=value):
            return value
        case Text(value=value):
            return repr(value)
        case Name(value=value, quoted=False) if is_constant(value):
            return _LITERALS.get(value, value)
        case Name():
            return name(node, categorical)
        case Paren(body=body):
            return f"({inner(body)})"
        case Unary(op=op, operand=operand):
            return f"{op}{inner(operand)}"
        case Op(op=op, left=left, right=right):
            return f"{inner(left)} {op.replace('^', '**')} {inner(right)}"
        case Sequence(items=items) | Call(func="c", args=items):
            return f"[{', '.join(map(inner, items))}]"
        case Call():
            return _render_call(node, name)
    raise TypeError(f"not a part of a formula: {node!r}")


def _render_call(call: Call, name: Callable[[Name, bool], str]) -> str:
    func = call.func.removeprefix("np.").removeprefix("numpy.")
    categorical = func in _CATEGORICAL
    args = [render(arg, name, categorical=categorical and i == 0) for i, arg in enumerate(call.args)]
    if func == "ordered":
        args.append("contr.poly")
    args += [f"{key}={render(value, name)}" for key, value in call.keywords]
    return f"{'C' if categorical else func}({', '.join(args)})"


def is_constant(value: str) -> bool:
    """Whether an unquoted name is no column: ``pi``, ``TRUE``, ``contr.sum``."""
    contrast = value.startswith("contr.") and value.removeprefix("contr.") in CONTRASTS
    return contrast or value == "pi" or value in _LITERALS


def _quoted(node: Name) -> str:
    plain = re.fullmatch(r"[^\W\d]\w*", node.value) and node.value not in RESERVED
    return node.value if plain else f"`{node.value}`"


def columns(node: Node) -> tuple[str, ...]:
    """The columns one variable reads, in the order of the text."""
    names = (p.value for p in walk(node) if isinstance(p, Name) and (p.quoted or not is_constant(p.value)))
    return tuple(dict.fromkeys(names))
