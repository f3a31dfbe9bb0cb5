"""Bad input, one row each: the call, the class of error, and what its message must say.

A message names what was found, with its numbers, and what to do; it is one or two sentences (a formula's
error adds the place), and never a traceback of numpy, pandas or formulaic. To add a case, add a row.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lmmtools.datasets import load_dataset
from lmmtools.design import build_design
from lmmtools.errors import DataError, FormulaError, LMMError, ModelError
from lmmtools.fit import fit_lmm

N = 24


def frame(**columns) -> pd.DataFrame:
    """24 good rows in four groups, with columns replaced or added; ``column=None`` leaves one out."""
    rng = np.random.default_rng(1)
    good = pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": np.arange(N) / 3,
            "z": rng.normal(size=N),
            "f": list("aabbccdd") * 3,
            "g": np.repeat([1, 2, 3, 4], 6),
        }
    )
    return good.assign(**columns).drop(columns=[name for name, values in columns.items() if values is None])


class Case(NamedTuple):
    """One bad input: its name, what is called, the class of error, fragments of the message."""

    name: str
    call: Callable[[], object]
    error: type[LMMError]
    says: tuple[str, ...]


def design(name: str, formula: str, data: object, error: type[LMMError], *says: str, **arguments) -> Case:
    """A case of `build_design`."""
    return Case(name, lambda: build_design(formula, data, **arguments), error, says)


def fitting(name: str, formula: str, data: object, error: type[LMMError], *says: str, **arguments) -> Case:
    """A case of `fit_lmm`: the design can be built, but not estimated."""
    return Case(name, lambda: fit_lmm(formula, data, **arguments), error, says)


def known(name: str, matrix: object, *says: str) -> Case:
    """A case of a known covariance of the levels of `f`, which are a, b, c and d."""
    return design(name, "y ~ x + (1 | f)", frame(), DataError, "known['f']", *says, known={"f": matrix})


F = "y ~ x + (1 | g)"
X, G = frame()["x"], frame()["g"]
A = pd.DataFrame(np.eye(4) + 0.5, list("abcd"), list("abcd"))
TWO = "y ~ x + (1 | g) + (1 | f)"
DAYS = pd.date_range("2024-01-01", periods=N)

CASES = [
    # the data
    design("empty", F, frame().iloc[:0], DataError, "no rows", "check how they were read"),
    design("no frame", F, {"y": [1]}, DataError, "dict", "pandas, polars or pyarrow"),
    design("lazy frame", F, pl.from_pandas(frame()).lazy(), DataError, "lazy", ".collect()"),
    design("missing column", "y ~ days + (1 | g)", frame(Days=X), DataError, "no column `days`", "did you mean `Days`"),
    design("missing group column", "y ~ x + (1 | gg)", frame(), DataError, "no column `gg`", "did you mean `g`", "`z`"),
    design("missing weights column", F, frame(), DataError, "no column `w`", weights="w"),
    design("missing offset column", F, frame(), DataError, "no column `o`", offset="o"),
    design("caller's variable", "y ~ N + (1 | g)", frame(), DataError, "no column `N`", "sees the data only"),
    design("builtin", "y ~ print + (1 | g)", frame(), DataError, "no column `print`"),
    design("attribute", "y ~ x.__class__ + (1 | g)", frame(), DataError, "no column `x.__class__`"),
    design(
        "duplicate columns",
        F,
        pd.concat([frame(), frame()[["x"]]], axis=1),
        DataError,
        "2 columns named `x`",
        "rename or remove",
    ),
    # missing and infinite values
    design("missing refused", F, frame(x=X.where(X > 1)), DataError, "4 of 24", "`x` (4)", "'drop'", missing="raise"),
    design("all-missing response", F, frame(y=np.nan), DataError, "24", "every value of `y` is missing"),
    design(
        "no complete row",
        F,
        frame(x=X.where(G < 3), y=X.where(G > 2)),
        DataError,
        "none of the 24 rows",
        "`y` (12)",
        "`x` (12)",
    ),
    design("infinite predictor", F, frame(x=X.where(X > 1, np.inf)), DataError, "`x` is infinite in 4 of 24", "row 0"),
    design("infinite response", F, frame(y=X.where(X < 7, -np.inf)), DataError, "`y` is infinite in 3 of 24", "row 21"),
    design(
        "infinite in a nullable column",
        F,
        frame(x=X.where(X > 1, np.inf).astype("Float64")),
        DataError,
        "`x` is infinite in 4 of 24",
    ),
    design("infinite beside missing", F, frame(x=[np.inf, np.nan, *X[2:]]), DataError, "`x` is infinite in 1 of 23"),
    design("log of a negative", "y ~ log(z) + (1 | g)", frame(), DataError, "`log(z)` is not a number in", "of 24"),
    design("log of zero", "log(x) ~ z + (1 | g)", frame(), DataError, "`log(x)` is infinite in 1 of 24", "row 0"),
    design("missing option", F, frame(), ModelError, "missing='omit'", "'drop' or 'raise'", missing="omit"),
    # the response
    design("constant response", F, frame(y=3.5), DataError, "`y` is constant", "3.5 in all 24 rows"),
    design("one row", F, frame().iloc[:1], DataError, "one level only"),
    design("text response", "f ~ x + (1 | g)", frame(), DataError, "response `f` is not numeric", "'a'"),
    design("complex response", F, frame(y=X + 1j), DataError, "response `y` is complex", "real"),
    design("true-false response", F, frame(y=X > 2), DataError, "response `y` is true or false", "0 and 1"),
    design("date response", F, frame(y=DAYS), DataError, "response `y` is a date", "number"),
    design("two responses", "poly(y, 2) ~ x + (1 | g)", frame(), ModelError, "2 columns", "choose one"),
    design("huge response", F, frame(y=1e160 * X), DataError, "`y` is 7.67e+160", "other units"),
    design("tiny response", F, frame(y=1e-200 * X), DataError, "`y` is 7.67e-200", "other units"),
    # predictors
    design("complex predictor", F, frame(x=X + 1j), DataError, "`x` is complex"),
    design("date predictor", F, frame(x=DAYS), DataError, "`x` is a date", "days since"),
    design("duration predictor", F, frame(x=pd.to_timedelta(X, "D")), DataError, "`x` is a date or time", "number"),
    design("python dates", F, frame(x=[day.date() for day in DAYS]), DataError, "`x` is a date", "number"),
    design("mixed types", "y ~ m + (1 | g)", frame(m=[1, "a"] * 12), DataError, "`m` mixes", "int, str"),
    design("no labels", F, frame(g=[[1]] * N), DataError, "`g` holds values that are no labels"),
    design("one level", "y ~ f + (1 | g)", frame(f="a"), DataError, "factor `f` has one level only", "`a`, 24 rows"),
    design("one group", F, frame(g=7), DataError, "grouping factor `g` has one level only", "`7`, 24 rows"),
    design("log of a category", "y ~ log(f) + (1 | g)", frame(), DataError, "`log(f)`", "`f` holds categories"),
    design("offset of a category", "y ~ offset(f) + (1 | g)", frame(), DataError, "offset `f` has 4 columns"),
    design("too high a degree", "y ~ poly(g, 4) + (1 | f)", frame(), DataError, "more than 4", "has 4", "lower"),
    design("saturated", "y ~ factor(x) + (1 | g)", frame(), ModelError, "24 fixed effects for 24 rows"),
    design("unknown contrasts", "y ~ f + (1 | g)", frame(), ModelError, "`polly`", "`poly`", contrasts={"f": "polly"}),
    design("contrasts of numbers", "y ~ f + (1 | g)", frame(), ModelError, "`x` is not", "`f`", contrasts={"x": "sum"}),
    design(
        "contrast matrix too small",
        "y ~ f + (1 | g)",
        frame(),
        ModelError,
        "3 rows",
        "4 levels",
        contrasts={"f": np.eye(3)[:, 1:]},
    ),
    design(
        "no such reference level",
        "y ~ C(f, contr.treatment(base='q')) + (1 | g)",
        frame(),
        FormulaError,
        "`f`",
        "'q'",
        "`a`, `b`, `c`, `d`",
    ),
    design("a level left out", "y ~ C(f, levels=['a', 'b']) + (1 | g)", frame(), DataError, "`f` has `c`, `d` in 12"),
    design("huge values", F, frame(x=1e200 * X), DataError, "`x` is 7.67e+200", "other units"),
    design("tiny values", "y ~ 1 + (x | g)", frame(x=1e-200 * X), DataError, "`x` is 7.67e-200", "other units"),
    design(
        "column Intercept",
        "y ~ Intercept + (1 | g)",
        frame(Intercept=X),
        DataError,
        "`Intercept`",
        "rename",
    ),
    design(
        "bar Intercept", "y ~ 1 + (Intercept | g)", frame(Intercept=X), DataError, "`Intercept`", "rename the column"
    ),
    design("product name", "y ~ x:z + `x:z` + (1 | g)", frame(**{"x:z": X**2}), DataError, "`x:z`", "rename"),
    design("level name", "y ~ f + `f[T.b]` + (1 | g)", frame(**{"f[T.b]": X}), DataError, "`f[T.b]`", "rename"),
    design("group Residual", "y ~ x + (1 | Residual)", frame(Residual=G), DataError, "`Residual`", "rename the column"),
    design("contrasts a text", "y ~ f + (1 | g)", frame(), ModelError, "'sum'", "mapping", contrasts="sum"),
    design("contrasts a list", "y ~ f + (1 | g)", frame(), ModelError, "`f`", "matrix", contrasts={"f": ["a", "b"]}),
    design("numbers as text", F, frame(x=X.astype(str)), ModelError, "`x` is text with 24 levels", "convert it"),
    design(
        "joined labels clash",
        "y ~ x + (1 | p:q)",
        frame(p=["a:b", "a"] * 12, q=["c", "b:c"] * 12),
        DataError,
        "labelled `a:b:c`",
    ),
    design("response on the right", "y ~ y + x + (1 | g)", frame(), FormulaError, "response", "right side", "remove"),
    # weights and offset
    design("zero weights", F, frame(w=[0.0] + [1.0] * 23), DataError, "1 of 24", "`w`", "zero", weights="w"),
    design("negative weights", F, frame(w=-1.0), DataError, "24 of 24 weights", "negative", weights="w"),
    design("missing weights", F, frame(w=X.where(X > 1)), DataError, "4 of 24", "missing", weights="w"),
    design("infinite weights", F, frame(), DataError, "24 of 24", "infinite", weights=np.full(N, np.inf)),
    design("text weights", F, frame(), DataError, "weights `f` is not numeric", weights="f"),
    design("weights too short", F, frame(), DataError, "weights has 2 values", "24 rows", weights=[1.0, 2.0]),
    design("weights no numbers", F, frame(), DataError, "weights must be", weights=np.ones((N, 2))),
    design(
        "weights of other rows",
        F,
        frame(),
        DataError,
        "weights is a Series whose index differs",
        "20 of the data's 24",
        "as a list",
        weights=pd.Series(1.0, index=range(20, 44)),
    ),
    design(
        "offset with labels twice",
        F,
        frame().set_axis([1, 2] * 12),
        DataError,
        "offset is a Series whose index differs",
        "more than once",
        offset=pd.Series(1.0, index=[2, 1] * 12),
    ),
    design("infinite offset", F, frame(o=np.inf), DataError, "`o` is infinite in 24", offset="o"),
    # the formula
    design("typo", "y ~ x ++* z", frame(), FormulaError, "cannot follow", "^"),
    design("unclosed", "y ~ x + (1 | g", frame(), FormulaError, "never closed", "^"),
    design("no tilde", "y + x", frame(), FormulaError, "no `~`"),
    design("no group", "y ~ x + (1 | )", frame(), FormulaError, "grouping factor is missing"),
    design("no formula", "", frame(), FormulaError, "empty"),
    design("formula of another type", None, frame(), FormulaError, "NoneType", "'y ~ x + (1 | g)'"),
    design("python in the formula", "y ~ __import__('os') + (1 | g)", frame(), FormulaError, "`__import__` is not"),
    design("unknown function", "y ~ sqr(x) + (1 | g)", frame(), FormulaError, "did you mean `sqrt`"),
    design("power of a column", "y ~ x^2 + (1 | g)", frame(), FormulaError, "I(x^2)"),
    design(
        "unknown structure", "y ~ ar2(x | g)", frame(), FormulaError, "`ar2` is not", "did you mean `ar1`", "hetar1"
    ),
    design(
        "misspelt own structure", "y ~ mi(x | g)", frame(), FormulaError, "us, diag, ", "mine", structures={"mine": 1}
    ),
    design("built-in structure", F, frame(), FormulaError, "`us` is the name of a built-in", structures={"us": 1}),
    design("no structure", "y ~ mine(x | g)", frame(), ModelError, "mine(1 + x | g)", "lacks", structures={"mine": 1}),
    # positions
    design(
        "uneven positions",
        "y ~ ar1(t | g)",
        frame(t=[0, 1, 2, 3, 4.5, 5.17] * 4),
        DataError,
        "`4.5`, `5.17` do not fit",
    ),
    design("one position", "y ~ ar1(t | g)", frame(t=3), DataError, "`t` has one position only (3)"),
    design("positions as dates", "y ~ ar1(t | g)", frame(t=DAYS), DataError, "position `t` is a date", "days since"),
    design("infinite position", "y ~ ar1(x | g)", frame(x=X.where(X > 1, np.inf)), DataError, "`x` is infinite in 4"),
    # known covariances
    known("known without labels", np.eye(4), "ndarray, without labels", "(labels, matrix)"),
    known("known not square", A.iloc[:3], "3 × 4", "square"),
    known("known no numbers", A.astype(str) + "a", "no real numbers"),
    known("known lacks levels", A.iloc[:2, :2], "lacks 2 of the 4 levels of `f`", "`c`, `d`"),
    known(
        "known of others",
        (range(4), A.to_numpy()),
        "lacks 4 of the 4 levels",
        "its labels are `0`, `1`, `2` and 1 more",
    ),
    known("known with too few labels", (list("abc"), A.to_numpy()), "3 labels for 4 rows"),
    known("known labels twice", A.rename(index={"b": "a"}), "`a` more than once"),
    known("known labels differ", A.rename(columns={"d": "e"}), "on one side only are `d`, `e`"),
    known("known not symmetric", A.where(A != A.iloc[0, 1], np.triu(A)), "not symmetric: it has", "`a` and `b`", "0.5"),
    known("known indefinite", A - 1.2, "not positive semi-definite", "smallest eigenvalue is −1.8"),
    known("known not finite", A.replace(1.5, np.nan), "not finite in 4 places", "`a` and `a`"),
    known("known of zeros", A * 0, "zero everywhere"),
    design(
        "known of no factor", F, frame(), ModelError, "`G` is no grouping factor", "did you mean `g`", known={"G": A}
    ),
    design("known no mapping", F, frame(), ModelError, "DataFrame", "{'animal': A}", known=A),
    # what the design cannot identify
    fitting("no random effects", "y ~ x", frame(), FormulaError, "`y ~ x` has no random effects", "(1 | group)"),
    fitting("one row a group", F, frame(g=np.arange(N)), ModelError, "24 levels of `g`", "Fit `y ~ 1 + x`"),
    fitting(
        "as many random effects as rows",
        "y ~ 1 + (1 + x | g)",
        frame(g=np.repeat(np.arange(12), 2), x=np.tile([0.0, 1.0], 12)),
        ModelError,
        "24 rows carry 12 × 2 = 24 random effects",
        "`y ~ 1 + diag(1 + x | g)`",
    ),
    fitting(
        "as many levels as rows",
        "y ~ x + (1 + x | g) + (1 | row)",
        frame(row=np.arange(N)),
        ModelError,
        "the variance of (1 | row) cannot be told from the residual variance",
        "each of the 24 levels of `row` has a single row",
        "Estimable with these data: `y ~ 1 + x + (1 + x | g)`.",
    ),
    fitting(
        "one row a combination",
        "y ~ x + (1 | g/k)",
        frame(k=np.tile(np.arange(6), 4)),
        ModelError,
        "24 levels of `g:k`",
        "`y ~ 1 + x + (1 | g)`",
    ),
    fitting(
        "an effect for every row",
        "y ~ x + homcs(0 + factor(k) | g)",
        frame(k=np.tile(np.arange(6), 4)),
        ModelError,
        "no two of the 24 rows share one of its 4 × 6 effects",
        "`y ~ 1 + x + (1 | g)`",
    ),
    fitting(
        "known to be independent",
        "y ~ x + (1 | row)",
        frame(row=np.arange(N)),
        ModelError,
        "24 levels of `row`",
        known={"row": (range(N), np.eye(N))},
    ),
    design("zero weights of two factors", TWO, frame(w=[0.0] + [1.0] * 23), DataError, "1 of 24", "zero", weights="w"),
    fitting("response from the columns", F, frame(y=2 * X + G), ModelError, "reproduces the response `y` exactly"),
    # data sets
    Case("data set", lambda: load_dataset("Orthodnt"), DataError, ("`Orthodnt`", "`Orthodont`", "sleepstudy")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_in_a_sentence(case):
    with pytest.raises(case.error) as caught:
        case.call()
    assert type(caught.value) is case.error
    message = str(caught.value)
    for fragment in case.says:
        assert fragment in message, message
    sentences, *place = message.split("\n")
    assert len(place) in (0, 2) and len(sentences) < 500
    assert not re.search(r"Traceback|numpy|ufunc|formulaic|dtype\(|lmm\d+_", message), message


def test_names_of_cases_are_distinct():
    assert len({case.name for case in CASES}) == len(CASES)


# What is let through is told in the design's messages.
NOTED = [
    ("missing dropped", F, frame(x=X.where(X > 1)), ("4 of 24 rows", "`x` (4)")),
    ("group missing", F, frame(g=G.where(G > 1).astype(float)), ("6 of 24 rows", "`g` (6)")),
    ("collinear", "y ~ x + z + s + (1 | g)", frame(s=2 * X), ("`s` was dropped", "2 × `x`")),
    ("constant column", "y ~ x + c + (1 | g)", frame(c=5), ("`c` was dropped", "5 in every row")),
    ("category with one row", "y ~ f + (1 | g)", frame(f=["e", *frame()["f"][1:]]), ("one row only in `e`",)),
    ("unused level", "y ~ f + (1 | g)", frame(f=pd.Categorical(frame()["f"], list("abcde"))), ("level `e` of `f`",)),
    (
        "same groups twice",
        "y ~ x + (1 | g) + (1 | h)",
        frame(h=10 - G),
        ("`g` and `h` group the rows alike (4 levels",),
    ),
    (
        "nested the wrong way",
        "y ~ x + (1 | h/g)",
        frame(h=np.repeat(np.arange(8), 3)),
        ("`h:g` groups the rows as `h` does (8 levels each)", "write (1 | g/h), the coarser factor first"),
    ),
    (
        "nesting left out",
        "y ~ x + (1 | g) + (1 | k)",
        frame(k=[1, 1, 1, 2, 2, 2] * 2 + [1, 1, 2, 2, 3, 3] + [1] * 6),
        ("`k` is numbered anew within each level of `g` (from 1 on, 1 to 3 of them)", "write (1 | g/k)"),
    ),
    (
        "separate parts",
        "y ~ x + (1 | g) + (1 | k)",
        frame(k=[1, 2, 3] * 4 + [4, 5] * 6),
        (
            "`g` and `k` are crossed in 2 separate parts",
            "12 rows with 2 of `g` (`1`, `2`) and 3 of `k` (`1`, `2`, `3`)",
        ),
    ),
    ("positions by alphabet", "y ~ x + ar1(f | g)", frame(), ("positions are in alphabetical order: `a`, `b`",)),
    ("wide steps", "y ~ x + ar1(t | g)", frame(t=[0, 7, 14, 28, 35, 42] * 4), ("multiples of 7, counted from 0",)),
]


# What the fit adds: it is estimated, and the reader told what it rests on.
NOTED_BY_FIT = [
    ("slope constant within groups", "y ~ x + (1 + b | g)", frame(b=G**2), ("`b` varies only between the levels",)),
    (
        "more random effects than rows",
        "y ~ 1 + (1 + x + z | g)",
        frame(g=np.repeat(np.arange(10), [3, 3, 3, 3, 2, 2, 2, 2, 2, 2]), x=np.sin(np.arange(N))),
        ("30 random effects are estimated from 24 rows",),
    ),
    ("few levels", F, frame(), ("`g` has only 4 levels",)),
    ("few levels of two factors", TWO, frame(), ("`g` has only 4 levels", "`f` has only 4 levels")),
    (
        "slope constant within the second factor's levels",
        "y ~ x + (1 | f) + (1 + b | h)",
        frame(h=np.repeat(np.arange(8), 3), b=np.repeat(np.sin(np.arange(8)), 3)),
        ("`b` varies only between the levels of `h`",),
    ),
    (
        "many levels with one row",
        F,
        frame(g=[*range(14), *[14] * 5, *[15] * 5]),
        ("14 of the 16 levels of `g` have a single row", "the rows of the other 2"),
    ),
    (
        "more random effects than rows by two factors",
        "y ~ 1 + (1 + x | h) + (1 + z | k)",
        frame(h=np.arange(N) // 3, k=np.arange(N) * 7 % N % 8),
        ("32 random effects together (16 by `h`, 16 by `k`), more than the 24 rows",),
    ),
]


@pytest.mark.parametrize(("name", "formula", "data", "says"), NOTED_BY_FIT, ids=[row[0] for row in NOTED_BY_FIT])
def test_what_is_fitted_with_doubts_is_noted(name, formula, data, says):
    notes = "\n".join(fit_lmm(formula, data).messages)
    assert all(fragment in notes for fragment in says), notes


@pytest.mark.parametrize(("name", "formula", "data", "says"), NOTED, ids=[row[0] for row in NOTED])
def test_what_is_let_through_is_noted(name, formula, data, says):
    (message,) = build_design(formula, data).messages
    assert all(fragment in message for fragment in says), message
