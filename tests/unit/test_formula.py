"""Text → parsed formula: the grammar, the translation to formulaic's spelling, errors that point."""

import re

import pytest

from lmmtools.errors import FormulaError
from lmmtools.formula import parse_formula, parse_residual


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y ~ 1", "1"),
        ("y ~ x", "1 + x"),
        ("y ~ 0 + x", "0 + x"),
        ("y ~ x - 1", "0 + x"),
        ("y ~ -1 + x", "0 + x"),
        ("y ~ 0 + x + 1", "1 + x"),
        ("y ~ a * b", "1 + a + b + a:b"),
        ("y ~ a + b:c + d", "1 + a + d + b:c"),  # R orders terms by degree
        ("y ~ (a + b + c)^2", "1 + a + b + c + a:b + a:c + b:c"),
        ("y ~ (a + b)**2 - a:b", "1 + a + b"),
        ("y ~ a / b", "1 + a + a:b"),
        ("y ~ (a + b) / c", "1 + a + b + a:b:c"),
        ("y ~ a + b %in% a", "1 + a + b:a"),
        ("y ~ a * b * c - a:b:c", "1 + a + b + c + a:b + a:c + b:c"),
        ("y ~ x + x", "1 + x"),
        ("y ~ a:b + b:a", "1 + a:b"),
        ("y ~ I(x^2)", "1 + I(x ** 2)"),
        ("y ~ I(-x^2 / 2)", "1 + I(-x ** 2 / 2)"),
        ("y ~ I((x - 3)^2)", "1 + I((x - 3) ** 2)"),
        ("y ~ log(x^2)", "1 + log(x ** 2)"),
        ("y ~ np.log(x)", "1 + log(x)"),
        ("y ~ factor(x)", "1 + C(x)"),
        ("y ~ as.factor(x)", "1 + C(x)"),
        ("y ~ ordered(x)", "1 + C(x, contr.poly)"),
        ("y ~ factor(x, levels = c(2, 1))", "1 + C(x, levels=[2, 1])"),
        ("y ~ C(f, contr.treatment(base = 'b'))", "1 + C(f, contr.treatment(base='b'))"),
        ("y ~ poly(x, 2, raw = TRUE)", "1 + poly(x, 2, raw=True)"),
        ("y ~ poly(x, 2L)", "1 + poly(x, 2)"),
        ("y ~ bs(x, df = 4)", "1 + bs(x, df=4)"),
        ("y ~ sin(2 * pi * t)", "1 + sin(2 * pi * t)"),
        ("y ~ IQ.ver.cen + `my col`", "1 + `IQ.ver.cen` + `my col`"),
        ("y ~ T + F", "1 + T + F"),
        ("y ~ offset(z)", "1"),
        ("y ~ x +\n  z", "1 + x + z"),
    ],
)
def test_fixed_part_in_formulaics_spelling(text, fixed):
    assert parse_formula(text).fixed == fixed


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("y ~ (1 | g)", ["(1 | g)"]),
        ("y ~ (x | g)", ["(1 + x | g)"]),
        ("y ~ (1 + x | g)", ["(1 + x | g)"]),
        ("y ~ (0 + x | g)", ["(0 + x | g)"]),
        ("y ~ (x - 1 | g)", ["(0 + x | g)"]),
        ("y ~ ((x | g))", ["(1 + x | g)"]),
        ("y ~ ((1 | g) + x)", ["(1 | g)"]),
        ("y ~ (x || g)", ["(1 | g)", "(0 + x | g)"]),
        ("y ~ (x * f || g)", ["(1 | g)", "(0 + x | g)", "(0 + f | g)", "(0 + x:f | g)"]),
        ("y ~ (0 + x || g)", ["(0 + x | g)"]),
        ("y ~ (1 | a:b)", ["(1 | a:b)"]),
        ("y ~ (1 | a/b)", ["(1 | a:b)", "(1 | a)"]),  # lme4 puts the finest first
        ("y ~ (1 | a/b/c)", ["(1 | a:b:c)", "(1 | a:b)", "(1 | a)"]),
        ("y ~ (x || a/b)", ["(1 | a:b)", "(1 | a)", "(0 + x | a:b)", "(0 + x | a)"]),
        ("y ~ (1 | factor(g))", ["(1 | g)"]),
        ("y ~ us(x | g)", ["(1 + x | g)"]),
        ("y ~ diag(0 + f | g)", ["diag(0 + f | g)"]),
        ("y ~ homdiag(x | g)", ["homdiag(1 + x | g)"]),
        ("y ~ cs(f | g) + homcs(f | g)", ["cs(1 + f | g)", "homcs(1 + f | g)"]),
        ("y ~ ar1(t | g) + hetar1(0 + t | g)", ["ar1(t | g)", "hetar1(t | g)"]),
        ("y ~ (I(x^2) | g)", ["(1 + I(x ** 2) | g)"]),
    ],
)
def test_random_terms(text, labels):
    assert [term.label for term in parse_formula(text).random] == labels


def test_the_response_is_read_as_arithmetic():
    assert parse_formula("log10(accel) ~ x").response == "log10(accel)"
    assert parse_formula("y/2 ~ x").response == "I(y / 2)"
    assert parse_formula("I(y/2) ~ x").response == "I(y / 2)"
    assert parse_formula("Informed.liking ~ x").response == "Informed.liking"


def test_columns_are_those_the_formula_reads_and_no_more():
    parsed = parse_formula("log(y) ~ x + I(x^2 * pi) + C(f, contr.sum) + offset(log(e)) + (z | a/b)")
    assert parsed.columns == ("y", "x", "f", "z", "e", "a", "b")
    assert parsed.groups == ("a", "b")
    assert parsed.offsets == ("log(e)",)


def test_parsing_is_memoised_and_frozen():
    parsed = parse_formula("y ~ x + (1 | g)")
    assert parse_formula(" y ~ x + (1 | g) ") is parsed
    with pytest.raises(AttributeError):
        parsed.text = "z ~ x"


@pytest.mark.parametrize(
    ("text", "pointed", "says"),
    [
        ("y ~ x + (1 | g", "(1 | g", "never closed"),
        ("y ~ x) + 1", ") + 1", "closes nothing"),
        ("y x", "x", "missing before `x`"),
        ("x + z", "", "no `~`"),
        ("~ x", "~ x", "no response"),
        ("5 ~ x", "5 ~", "no column"),
        ("y ~", "", "right side is empty"),
        ("y ~ x +", "", "must follow `+`"),
        ("y ~ (1 | )", ")", "grouping factor is missing"),
        ("y ~ (| g)", "| g", "nothing stands before the bar"),
        ("y ~ ()", "()", "nothing stands between"),
        ("y ~ x | g", "| g", "own parentheses"),
        ("y ~ (1 | g | h)", "| h", "one bar"),
        ("y ~ (1 | a + b)", "+ b", "(x | a) + (x | b)"),
        ("y ~ (1 | a * b)", "* b", "(x | a:b)"),
        ("y ~ (0 | g)", "0 | g", "no effect left"),
        ("y ~ diga(x | g)", "diga", "did you mean `diag`"),
        ("y ~ diag(x || g)", "|| g", "one bar"),
        ("y ~ ar1(t + u | g)", "t + u", "one variable"),
        ("y ~ (1 | g) * x", "| g", "join it by `+`"),
        ("y ~ x - (1 | g)", "| g", "join it by `+`"),
        ("y ~ offset(x):z", "offset", "join it by `+`"),
        ("y ~ log(offset(x))", "offset", "term of its own"),
        ("y ~ x^2", "^2", "I(x^2)"),
        ("y ~ (a:b)^2", "^2", "leave the power out"),
        ("y ~ (a + b)^x", "x", "whole number"),
        ("y ~ 2 * x", "2 *", "only 1 (intercept) and 0"),
        ("y ~ 'x'", "'x'", "without quotes"),
        ("y ~ pi", "pi", "constant"),
        ("y ~ x > 3", "> 3", "I(…)"),
        ("y ~ I(a:b)", ":b", "arithmetic"),
        ("y ~ lgo(x)", "lgo", "did you mean `log`"),
        ("y ~ mean(x)", "mean", "center(x)"),
        ("y ~ log(x, 2)", "2)", "log2"),
        ("y ~ poly(x, deg = 2)", "2)", "no argument `deg`"),
        ("y ~ log()", "log", "needs a variable"),
        ("y ~ I(1)", "I(1)", "no column"),
        ("y ~ offset(3)", "3)", "no column"),
        ("y ~ sin(pi)", "sin", "no column"),
        ("y ~ I('a')", "'a'", "text or list"),
        ("y ~ I(x + c(1, 2))", "c(1", "not a function"),
        ("y ~ poly(x, x)", "x)", "number, a text, a list"),
        ("y ~ poly(x, 1.5)", "1.5", "whole number"),
        ("y ~ poly(x, degree=0)", "0)", "whole number"),
        ("y ~ C(f, contr.sum(x))", "x))", "number, a text, a list"),
        ("y ~ contr.sum(x)", "contr", "not a function"),
        ("y ~ TRUE", "TRUE", "constant"),
        ("y ~ . + (1 | g)", ". +", "name the columns"),
        ("y ~ x ~ z", "~ z", "one `~`"),
        ("y = x", "= x", "`~`"),
        ("y ~ data$x", "$x", "no meaning"),
        ("y \u223c x", "\u223c", "write the tilde as ~"),
        ("y ~ __import__('os')", "__import__", "not a function"),
        ("y ~ print(x)", "print", "not a function"),
        ("y ~ eval('1')", "eval", "not a function"),
        ("y ~ np.linalg.inv(x)", "np.linalg.inv", "not a function"),
        ("y ~ x[0]", "[0]", "missing before"),
        ("y ~ (lambda: 0)()", "()", "missing before"),
        ("y ~ x +* z", "* z", "cannot follow"),
    ],
)
def test_errors_point_at_the_place_and_say_what_to_do(text, pointed, says):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    message, shown, caret = str(caught.value).split("\n")
    assert says in message
    assert shown.strip() == text
    at = caret.index("^") - (len(shown) - len(text))
    assert text[at:].startswith(pointed)


def test_structures_of_ones_own_are_known_by_name():
    with pytest.raises(
        FormulaError, match=r"`mien` is not a cov.* \(did you mean `mine`\?\): known are us, .*, mine\."
    ):
        parse_formula("y ~ mien(0 + f | g)", {"mine": object()})
    with pytest.raises(FormulaError, match="and those given by structures="):
        parse_formula("y ~ mine(0 + f | g)")


@pytest.mark.parametrize(
    ("structures", "says"),
    [
        ({"us": 1}, "`us` is the name of a built-in structure"),
        ({"my own": 1}, "'my own' cannot be written in a formula"),
        ({3: 1}, "3 cannot be written in a formula"),
        ("mine", "give a mapping such as {'mine': structure}"),
        (3, "structures=3 does not say"),
    ],
)
def test_names_of_structures_are_checked(structures, says):
    with pytest.raises(FormulaError, match=re.escape(says)):
        parse_formula("y ~ x + (1 | g)", structures)


@pytest.mark.parametrize("text", ["", "   ", None, 3, ["y ~ x"]])
def test_what_is_no_formula_is_said_to_be_none(text):
    with pytest.raises(FormulaError, match="y ~ x"):
        parse_formula(text)


@pytest.mark.parametrize(
    ("text", "kind", "variables", "group", "options"),
    [
        ("ar1(t | g)", "ar1", ("t",), ("g",), ()),
        ("car1(t | g)", "car1", ("t",), ("g",), ()),
        ("arma(t | g, 1, 2)", "arma", ("t",), ("g",), (("p", 1), ("q", 2))),
        ("arma(t | g, p = 2, q = 0)", "arma", ("t",), ("g",), (("p", 2), ("q", 0))),
        ("cs(g)", "cs", (), ("g",), ()),
        ("toep(t | a:b)", "toep", ("t",), ("a", "b"), ()),
        ("us(t | g)", "us", ("t",), ("g",), ()),
        ("exp(x + y | g, nugget=True)", "exp", ("x", "y"), ("g",), (("nugget", True),)),
        ("spher(x | g)", "spher", ("x",), ("g",), ()),
    ],
)
def test_residual_correlations(text, kind, variables, group, options):
    part = parse_residual(text).correlation
    assert (part.kind, part.variables, part.group, part.options, part.label) == (kind, variables, group, options, text)


def test_residual_structures_combine_by_products():
    parsed = parse_residual("ar1(time | Subject) * varident(Sex) * varpower(fitted()) * varfixed(I(1/v))")
    assert parsed.correlation.kind == "ar1"
    assert [(part.kind, part.variables) for part in parsed.variances] == [
        ("varident", ("Sex",)),
        ("varpower", ("fitted()",)),
        ("varfixed", ("I(1 / v)",)),
    ]
    assert parsed.columns == ("time", "Subject", "Sex", "v")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ar2(t | g)", "did you mean `ar1`"),
        ("ar1(t)", "ar1(t | g)"),
        ("ar1(t | g) * cs(g)", "one correlation at most"),
        ("ar1(t | g) + varident(f)", "joined by `*`"),
        ("arma(t | g, 1)", "`q` is missing"),
        ("exp(x | g, nugget = 3)", "True or False"),
        ("varident", "needs its arguments"),
        ("varfixed(fitted())", "varpower"),
        ("", "empty"),
        (3, "string"),
    ],
)
def test_residual_errors(text, says):
    with pytest.raises(FormulaError, match=re.escape(says)):
        parse_residual(text)
