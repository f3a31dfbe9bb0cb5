"""The grammar of residual structures: what is read, and what is said where it cannot be."""

import re

import pytest

from lmmtools.errors import FormulaError
from lmmtools.formula import parse_residual


@pytest.mark.parametrize(
    ("text", "variables", "group", "by", "options", "columns"),
    [
        ("spher(x + y)", ("x", "y"), (), (), (), ("x", "y")),
        ("exp(x + y | 1, nugget=True)", ("x", "y"), (), (), (("nugget", True),), ("x", "y")),
        ("gaus(x | g, nugget=FALSE)", ("x",), ("g",), (), (("nugget", False),), ("x", "g")),
        ("ratio(log(x) | g, TRUE)", ("log(x)",), ("g",), (), (("nugget", True),), ("x", "g")),
        ("ar1(t | a/b)", ("t",), ("a", "b"), (), (), ("t", "a", "b")),
        ("ar1(t | 1)", ("t",), (), (), (), ("t",)),
        ("ar1(factor(t) | g)", ("factor(t)",), ("g",), (), (), ("t", "g")),
        ("us(visit | id, by=arm)", ("visit",), ("id",), ("arm",), (), ("visit", "id", "arm")),
        ("car1(t | id, by=a:b)", ("t",), ("id",), ("a", "b"), (), ("t", "id", "a", "b")),
        ("toep(t | g, 3)", ("t",), ("g",), (), (("k", 3),), ("t", "g")),
        ("toep(t | g, k=2, by=f)", ("t",), ("g",), ("f",), (("k", 2),), ("t", "g", "f")),
        ("arma(t | g, 1, q=0, by=f)", ("t",), ("g",), ("f",), (("p", 1), ("q", 0)), ("t", "g", "f")),
        ("cs(a:b, by=f)", (), ("a", "b"), ("f",), (), ("a", "b", "f")),
        ("ar1(`the time` | `a)b`)", ("the time",), ("a)b",), (), (), ("the time", "a)b")),
    ],
)
def test_correlations(text, variables, group, by, options, columns):
    part = parse_residual(text).correlation
    assert (part.variables, part.group, part.by, part.options) == (variables, group, by, options)
    assert part.columns == columns
    assert part.label == text
    assert len(part.nodes) == len(variables)


@pytest.mark.parametrize(
    ("text", "variables", "strata", "columns"),
    [
        ("varident(a/b)", ("a", "b"), (), ("a", "b")),
        ("varpower(v | f)", ("v",), ("f",), ("v", "f")),
        ("varconstpower(abs(v) | a:b)", ("abs(v)",), ("a", "b"), ("v", "a", "b")),
        ("varexp(fitted() | f)", ("fitted()",), ("f",), ("f",)),
        ("varpower(v / 2)", ("I(v / 2)",), (), ("v",)),
        ("varfixed(1 / n)", ("I(1 / n)",), (), ("n",)),
    ],
)
def test_variance_functions(text, variables, strata, columns):
    (part,) = parse_residual(text).variances
    assert (part.variables, part.group, part.columns, part.label) == (variables, strata, columns, text)


def test_labels_stop_at_their_own_parenthesis():
    parsed = parse_residual(" (ar1(t | g)) * varpower(I((v + 1) / 2) | f) * varident(f) ")
    assert [part.label for part in (parsed.correlation, *parsed.variances)] == [
        "ar1(t | g)",
        "varpower(I((v + 1) / 2) | f)",
        "varident(f)",
    ]
    assert parsed.columns == ("t", "g", "v", "f")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ar1(t)", "or | 1 where all rows are one group"),
        ("us(t)", "`us` is written us(t | g).\n"),
        ("ar1(1 | g)", "the order of rows is never one"),
        ("ar1(t + u | g)", "`ar1` is written ar1(t | g)"),
        ("ar1(t | g, 2)", "`ar1` is written ar1(t | g)"),
        ("ar1(t | g, order=2)", "no argument `order`; it knows by"),
        ("ar1(t || g)", "`ar1` is written"),
        ("cs(t | g)", "write cs(g)"),
        ("us(t | g + h)", "a:b for combinations"),
        ("us(t | g, by=3)", "a:b for combinations"),
        ("toep(t | g, 0)", "whole number from 1 on"),
        ("toep(t | g, 1.5)", "whole number from 1 on"),
        ("toep(t | g, 2, k=3)", "`k` of `toep` is given twice"),
        ("arma(t | g, 0, 0)", "p = q = 0"),
        ("arma(t | g, 1, -1)", "`q` is not one"),
        ("arma(t | g, 1)", "`q` is missing"),
        ("corAR1(t | g)", "nlme's corAR1 is ar1(t | g) here"),
        ("varIdent(f)", "nlme's varIdent is varident(f) here"),
        ("varident(a, b)", "combinations of factors are varident(a:b)"),
        ("varident(f | g)", "write varident(a:b)"),
        ("varident(1)", "needs a factor"),
        ("varfixed(v | f)", "no parameter"),
        ("varident(f) * varident(f)", "written twice"),
        ("varpower(v) * ar1(t | g) * varpower(v)", "written twice"),
        ("varpower(3)", "no column"),
        ("ar1(t | g) * us(t | g)", "one correlation at most"),
        ("  ", "leave `residual` out"),
    ],
)
def test_errors_say_what_to_write(text, says):
    with pytest.raises(FormulaError, match=re.escape(says)):
        parse_residual(text)


def test_an_error_points_at_its_place():
    with pytest.raises(FormulaError) as error:
        parse_residual("ar1(t | g) * varfixed(v | f)")
    line, caret = str(error.value).splitlines()[-2:]
    assert line[caret.index("^")] == "|"
    assert caret.index("^") > line.index("varfixed")
