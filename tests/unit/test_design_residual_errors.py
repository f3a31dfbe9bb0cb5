"""What is said where data cannot tell a residual structure: each with what was found and what to do."""

import re

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.design import build_design
from lmmtools.errors import DataError, FormulaError, ModelError

CHILDREN = lt.load_dataset("Orthodont")


def series():
    """60 groups of four rows, half of them in each level of f."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.repeat(np.arange(60), 4), "t": np.tile([1, 2, 3, 4], 60)})
    data["y"], data["x"] = rng.normal(size=240), rng.uniform(1, 2, 240)
    return data.assign(f=np.where(data["g"] % 2, "a", "b"), row=np.arange(240), one="only")


DATA = series()
EARLY = DATA["t"] < 4


def messages(text, data=DATA, formula="y ~ x", **given):
    return build_design(formula, data, residual=text, **given).messages


def refused(kind, says, text, data=DATA, formula="y ~ x", **given):
    with pytest.raises(kind) as error:
        build_design(formula, data, residual=text, **given)
    found = str(error.value)
    assert re.search(says, found), found
    assert found.endswith(".")


@pytest.mark.parametrize("text", ["ar1(t | g)", "car1(t | g)", "arma(t | g, 1, 0)", "toep(t | g)", "us(t | g)"])
def test_two_rows_at_one_time(text):
    twice = DATA.copy()
    twice.loc[[5, 9, 10], "t"] = 1
    twice = twice.sample(frac=1.0, random_state=3)
    says = r"rows . and . of group `1` of `g` have one time, `t` = 1 \(and 1 more group has such rows\).*cs\(g\)"
    refused(DataError, says, text, twice)
    refused(DataError, r"`t` = 1\. Their residuals would have correlation one", text, twice[twice["g"] < 2])


def test_two_rows_at_one_time_of_the_only_series():
    twice = pd.DataFrame({"t": [1, 2, 3, 3, 4, 5, 6], "y": np.arange(7.0) ** 2, "x": [1, 0, 1, 1, 0, 0, 1]})
    refused(DataError, r"rows 2 and 3 of the data have one time, `t` = 3\. .*name the factor", "ar1(t | 1)", twice)


@pytest.mark.parametrize("kind", ["exp", "gaus", "spher", "ratio"])
def test_two_rows_at_one_place(kind):
    data = DATA.assign(z=0.5)
    data.loc[9, "t"] = 1
    says = r"rows 8 and 9 of group `2` of `g` have one place, `t`, `z` = 1, 0.5\. .*write nugget=True"
    refused(DataError, says, f"{kind}(t + z | g)", data)
    refused(DataError, r"of the data have one place.*name them, as in \w+\(t \+ z \| g\)", f"{kind}(t + z)", data)
    assert messages(f"{kind}(t + z | g, nugget=True)", data) == ()


@pytest.mark.parametrize(
    ("kind", "says", "text", "data"),
    [
        (DataError, r"240 times of `x` are no whole numbers \(1\.6\d+ in row 0.*car1\(x \| g\)", "ar1(x | g)", DATA),
        (ModelError, r"Instead, write car1\(x \| g\) or cs\(g\), merge occasions", "us(x | g)", DATA),
        (DataError, r"1 time of `t` is no whole number \(1\.5 in row 4.*factor\(t\)", "arma(t | g, 1, 0)",
         DATA.assign(t=DATA["t"] + 0.5 * (DATA["row"] == 4))),
        (DataError, r"`f` holds categories \(`a`, `b`\), and car1 needs times.*ar1\(f \| g\)", "car1(f | g)", DATA),
        (DataError, r"the time `t` is a date", "car1(t | g)", DATA.assign(t=pd.Timestamp("2024-01-01"))),
        (DataError, r"`f` holds categories.*coordinates that are numbers", "exp(t + f | g)", DATA),
        (DataError, r"no single number in each row", "ar1(poly(t, 2) | g)", DATA),
        (DataError, r"`t` is infinite in 1 of 240 rows, first in row 3", "car1(t | g)",
         DATA.assign(t=DATA["t"].where(DATA["row"] != 3, np.inf))),
        (DataError, r"no column `u`", "ar1(u | g)", DATA),
        (ModelError, r"every group of `row` has one row.*leave it out", "ar1(t | row)", DATA),
        (ModelError, r"every group of `row` has one row", "cs(row)", DATA),
        (ModelError, r"every group has one row where `f` is `b`.*leave `by` out", "cs(g, by=f)",
         DATA[(DATA["f"] == "a") | (DATA["t"] == 1)]),
        (ModelError, r"all rows are one group.*name a factor", "cs(1)", DATA),
        (ModelError, r"`one` has one level.*name a factor", "us(row | one)", DATA),
        (DataError, r"`one` has one level only \(`only`\).*leave `by` out", "ar1(t | g, by=one)", DATA),
        (DataError, r"group `0` of `g` has `0`, `1` of `h` \(and 59 more.*\(g:h is finer\)", "ar1(t | g, by=h)",
         DATA.assign(h=DATA["t"] % 2)),
        (ModelError, r"3 parameters, but rows of a group are seen at 2 distances only \(`1`, `2`\)",
         "arma(t | g, 2, 1)", DATA[EARLY]),
        (ModelError, r"1 distance only \(`1`\).*write ar1\(t \| g\)", "arma(t | g, 1, 1)", DATA[DATA["t"] < 3]),
        (ModelError, r"1 distance only", "arma(t | g, 1, 1, by=f)", DATA[(DATA["t"] < 3) | (DATA["f"] == "a")]),
        (ModelError, r"only one distance of `t` \(1\) is seen within groups.*leave the nugget out",
         "exp(t | g, nugget=True)", DATA[DATA["t"] < 3]),
        (ModelError, r"same `one2`.*write cs\(g\)", "exp(one2 | g, nugget=True)", DATA.assign(one2=4.0)),
        (ModelError, r"360 distances of `x`, more than 240 rows can tell.*toep\(x \| g, 3\)", "toep(x | g)", DATA),
        (ModelError, r"no two rows of a group are `3` apart in `t` where `f` is `b`", "toep(t | g, by=f)",
         DATA[(DATA["f"] == "a") | EARLY]),
        (DataError, r"differ in their last digits, as its values go up to 1e\+10", "toep(t | g)",
         DATA.assign(t=1e10 + DATA["t"] / 3)),
    ],
)  # fmt: skip
def test_correlations(kind, says, text, data):
    refused(kind, says, text, data)


@pytest.mark.parametrize(
    ("says", "text", "data"),
    [
        (r"4 occasions of `t`, and so 6 correlations, but only 3 groups of `g` with two rows or more", "us(t | g)",
         DATA[DATA["g"] < 3]),
        (r"only 2 groups of `g` with two rows or more where `f` is `b`.*leave `by` out", "us(t | g, by=f)",
         DATA[(DATA["f"] == "a") | (DATA["g"] < 4)]),
        (r"1 pair of occasions of `t` is never seen in one group of `g` \(1 and 4\), so nothing tells its correlation",
         "us(t | g)", DATA[(DATA["t"] != 4) & (DATA["f"] == "a") | (DATA["t"] != 1) & (DATA["f"] == "b")]),
        (r"4 pairs .* are never seen .* \(1 and 2; 1 and 4; 2 and 3; 3 and 4\).*toep\(t \| g\)", "us(t | g)",
         DATA[DATA["t"] % 2 == DATA["g"] % 2]),
        (r"never seen in one group of `g` where `f` is `b` \(1 and 4\)", "us(t | g, by=f)",
         DATA[(DATA["f"] == "a") | (DATA["t"] != np.where(DATA["g"] % 4, 1, 4))]),
        (r"\(10 parameters\), and there are 4 groups of `g`, with 1 fixed effect at each occasion: 4 \+ 1 groups are",
         "us(t | g) * varident(t)", DATA[DATA["g"] < 4]),
    ],
)  # fmt: skip
def test_unstructured_correlations_the_groups_cannot_tell(says, text, data):
    refused(ModelError, says, text, data, "y ~ t")


def test_a_free_covariance_has_a_maximum_from_the_bound_on():
    """At the bound the determinant of the residuals' cross-products is positive; below, a combination is zero."""
    five = DATA[DATA["g"] < 5]
    assert build_design("y ~ t", five, residual="us(t | g) * varident(t)").residual is not None
    refused(ModelError, r"4 \+ 2 groups", "us(t | g) * varident(t)", five, "y ~ t * f")
    Y = five["y"].to_numpy().reshape(5, 4)
    for between, singular in ((np.ones((5, 1)), False), (np.column_stack([np.ones(5), np.arange(5) % 2]), True)):
        E = Y - between @ np.linalg.lstsq(between, Y, rcond=None)[0]
        assert (np.linalg.svd(E)[1][-1] < 1e-12) == singular


BIG = pd.DataFrame({"t": np.arange(2001), "y": np.sin(np.arange(2001)), "x": np.arange(2001) % 7})


@pytest.mark.parametrize("text", ["arma(t | 1, 1, 1)", "toep(t | 1, 2)", "spher(t + x)"])
def test_groups_too_large_for_a_dense_matrix(text):
    refused(ModelError, r"2001 rows in the data.*0\.032 GB.*2000 rows are the most", text, BIG)
    assert len(build_design("y ~ x", BIG[:2000], residual=text).y) == 2000


@pytest.mark.parametrize("text", ["ar1(t | 1)", "car1(t | 1)"])
def test_closed_forms_have_no_such_limit(text):
    assert len(build_design("y ~ x", BIG, residual=text).y) == 2001


V = DATA.assign(v=DATA["x"] - 1.5, z=DATA["t"] - 1)


@pytest.mark.parametrize(
    ("kind", "says", "text", "data"),
    [
        (DataError, r"`v` is negative in \d+ rows \(rows 3, 5, .*varpower\(abs\(v\)\).*nlme", "varpower(v)", V),
        (DataError, r"`v` is negative.*varconstpower\(abs\(v\)\)", "varconstpower(v | f)", V),
        (DataError, r"`z` is zero in 60 rows.*zero or infinite.*I\(z \+ 1\), or varexp\(z\)", "varpower(z)", V),
        (DataError, r"`z` is zero.*infinite where the power is negative", "varconstpower(z)", V),
        (DataError, r"`log\(z\)` is infinite in 60 of 240 rows, first in row 0", "varpower(log(z))", V),
        (DataError, r"`log\(v\)` is not a number", "varexp(log(v))", V),
        (DataError, r"`v` is negative in .* known variance is a positive number: correct them", "varfixed(v)", V),
        (DataError, r"`z` is zero in .* known variance .* remove those rows", "varfixed(z)", V),
        (DataError, r"the covariate `f` is not numeric", "varpower(f)", V),
        (DataError, r"goes up to 2004.*as in varexp\(I\(v - 2000\)\)", "varexp(v)", V.assign(v=2000 + V["t"])),
        (DataError, r"as in varexp\(I\(\(v \+ 15000000\) / 1000000\)\)", "varexp(v)", V.assign(v=-1e7 * V["x"])),
        (DataError, r"as in varexp\(I\(v / 1000\)\)", "varexp(v)", V.assign(v=1e4 * V["v"])),
        (ModelError, r"`v` is 7 in every row", "varexp(v)", V.assign(v=7)),
        (ModelError, r"constant where `f` is `a`.*varident\(f\)", "varpower(v | f)",
         V.assign(v=np.where(V["f"] == "a", 1.0, V["x"]))),
        (ModelError, r"constant where `f` is `a`, `b`", "varpower(v | f)", V.assign(v=np.where(V["f"] == "a", 3, 2))),
        (ModelError, r"constant where `f` is `a`", "varconstpower(v | f)",
         V.assign(v=np.where(V["f"] == "a", 3.0, V["x"]))),
        (DataError, r"`one` has one level only \(`only`\)", "varpower(x | one)", V),
        (DataError, r"`one` has one level only \(`only`\).*nothing to compare", "varident(one)", V),
        (ModelError, r"1 level of `h` has one row only \(`rare`\)", "varident(h)",
         V.assign(h=np.where(V["row"] == 7, "rare", "usual"))),
        (ModelError, r"1 level of `h` has one row only \(`rare`\)", "varexp(fitted() | h)",
         V.assign(h=np.where(V["row"] == 7, "rare", "usual"))),
        (ModelError, r"240 levels of `x` have one row only.*write varpower\(x\)", "varident(x)", V),
        (ModelError, r"where `h` is `rare` \(2 rows\), the fixed effects can meet the response exactly", "varident(h)",
         V.assign(h=np.where(V["row"] < 2, "rare", "usual"))),
        (ModelError, r"where `f` is `a` \(120 rows\), the fixed effects can meet", "varident(f)",
         V.assign(y=np.where(V["f"] == "a", 3.0, V["y"]))),
        (ModelError, r"`varident\(f\)` adds nothing to `varident\(f:t\)`", "varident(f:t) * varident(f)", V),
    ],
)  # fmt: skip
def test_variance_functions(kind, says, text, data):
    refused(kind, says, text, data)


def test_strata_with_a_constant_covariate_may_stand_beside_others():
    data = V.assign(v=np.where(V["f"] == "a", 3.0, V["x"]))
    assert build_design("y ~ x", data, residual="varpower(v | f)").residual.names[0] == "varpower.power[a]"


@pytest.mark.parametrize(
    ("says", "text", "random"),
    [
        (r"`cs\(g\)` and \(1 \| g\) are the same model: .*Leave one out", "cs(g)", "(1 | g)"),
        (r"the intercept of \(1 \+ x \| g\)", "cs(g)", "(x | g)"),
        (r"\(1 \| g\) are the same model in each level of `f`", "cs(g, by=f)", "(1 | g) + (0 + x | g)"),
        (r"\(1 \| h\) are the same model", "cs(g)", "(1 | h)"),
        (r"\(1 \| g\) are the same model", "us(t | g)", "(1 | g)"),
        (r"\(1 \| g\) are the same model", "toep(t | g)", "(1 | g)"),
        (r"`us\(t \| g\) \* varident\(t\)` leaves the covariance .*of `t` free", "us(t | g) * varident(t)", "(1 | g)"),
        (r"that of \(0 \+ t \| g\) is part of it", "us(t | g) * varident(t:f)", "(0 + t | g)"),
    ],
)  # fmt: skip
def test_random_effects_the_structure_holds_already(says, text, random):
    refused(ModelError, says, text, DATA.assign(h=DATA["g"] + 100), f"y ~ x + {random}")


@pytest.mark.parametrize(
    ("text", "random", "given"),
    [
        ("cs(g)", "(1 | g)", {"weights": "x"}),
        ("cs(g) * varident(t)", "(1 | g)", {}),
        ("cs(g)", "(0 + x | g)", {}),
        ("cs(g)", "homdiag(1 + x | g)", {}),
        ("cs(f)", "(1 | g)", {}),
        ("toep(t | g, 2)", "(1 | g)", {}),
        ("us(t | g) * varident(t)", "(0 + x | g)", {}),
        ("us(t | g) * varident(f)", "(1 | g)", {}),
        ("ar1(t | g)", "(1 | g)", {}),
    ],
)
def test_random_effects_that_say_something_else(text, random, given):
    assert build_design(f"y ~ x + {random}", DATA, residual=text, **given).residual.text == text


def test_an_unstructured_correlation_is_told_from_a_covariance():
    (said,) = messages("us(t | g)")
    assert "is a correlation, and all occasions of `t` have one residual variance" in said
    assert said.endswith("(MMRM) is us(t | g) * varident(t).")
    (said,) = messages("us(factor(t) | g, by=f)")
    assert said.endswith("is us(factor(t) | g, by=f) * varident(t:f).")
    (said,) = messages("toep(t | g) * varident(f)")
    assert "but for what the variance functions say: a Toeplitz covariance" in said
    for text in ("us(t | g) * varident(t)", "us(t | g) * varident(t:f)", "toep(row | 1, 2)", "ar1(t | g)"):
        assert messages(text) == ()


def test_few_groups_behind_a_correlation_are_told():
    data = DATA[(DATA["g"] < 4) | EARLY]
    (said,) = messages("us(t | g) * varident(t)", data)
    assert "rest on few groups of `g`, 4 groups at the least: those of 1 and 4; 2 and 4; 3 and 4 of `t`" in said
    (said,) = messages("toep(t | g) * varident(t)", data)
    assert "correlations at 1 distance of `t` rest on fewer than 5 pairs of rows: 3." in said
    (said,) = messages("toep(t | g, 9) * varident(t)")
    assert "3 distances of `t` are seen within groups, fewer than 9" in said


def test_times_several_steps_apart_are_told():
    (said,) = build_design("distance ~ age", CHILDREN, residual="ar1(age | Subject)").messages
    assert "whole multiples of 2 apart" in said
    assert "its sign cannot be told" in said
    assert "ar1(factor(age) | Subject)" in said
    (said,) = messages("arma(I(3 * t) | g, 1, 1)")
    assert "multiples of 3 apart" in said
    assert "sign" not in said
    assert "arma(factor(I(3 * t)) | g, 1, 1)" in said


def test_levels_without_rows_are_told_to_have_no_sd():
    data = DATA.assign(f=pd.Categorical(DATA["f"], categories=["b", "never", "a"]))
    (said,) = messages("varident(f)", data)
    assert said == "levels of `f` without rows have no sd: `never`."
    assert build_design("y ~ x", data, residual="varident(f)").residual.names == ("varident[a]",)


def test_text_as_times_is_told_to_be_in_alphabetical_order():
    data = DATA.assign(week=DATA["t"].map("week {}".format))
    (said,) = messages("ar1(week | g)", data)
    assert "alphabetical order: `week 1`, `week 2`, `week 3`, `week 4`" in said
    assert messages("us(week | g) * varident(week)", data) == ()


def test_what_is_no_text():
    refused(FormulaError, "is a string such as", 3)
    refused(FormulaError, "leave `residual` out", " ")
