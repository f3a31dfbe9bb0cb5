import math

import numpy as np
import pandas as pd
import pytest

from lmmtools.errors import LMMError
from lmmtools.formats import (
    closest,
    counted,
    effect_unit,
    format_column,
    format_value,
    is_scale,
    listed,
    nearest,
    quoted,
    rounded,
    shortened,
    singular,
    spread,
    visible,
)


@pytest.mark.parametrize(
    ("values", "spec", "shown"),
    [
        ([251.40510485, 10.46728596], "estimate", ("251.41", "10.47")),
        ([0.7844, -0.04075, 16.3406], "estimate", ("0.7844", "−0.0408", "16.3406")),
        ([1505.0, 1528.0], "estimate", ("1505", "1528")),
        ([10.0, -1e-17, 0.0], "estimate", ("10.00", "−1.00×10⁻¹⁷", "0.00")),
        ([3e12], "estimate", ("3.00×10¹²",)),
        ([1e-9, 0.0009999, 0.001, 0.9999], "p", ("< 0.001", "< 0.001", "0.001", "1.000")),
        ([3, -2, 40_000, 2**60 + 1], "int", ("3", "−2", "40,000", "1,152,921,504,606,846,977")),
        ([0.3333, -0.00001], "percent", ("33.3 %", "0.0 %")),
        ([-1.005, 2.0], "fixed2", ("−1.00", "2.00")),
        ([123456.0, -4.87e-14, 0.0], "sci", ("1.23×10⁵", "−4.87×10⁻¹⁴", "0")),
        ([26.0, 21.5, -0.125], "data", ("26.000", "21.500", "−0.125")),
        ([1.5, math.inf, -math.inf], "fixed1", ("1.5", "∞", "−∞")),
        ([1.5, None, math.nan], "fixed1", ("1.5", "—", "—")),
        ([27.0, 0.1 + 0.2 - 0.3, -0.0, 1e12, 3 - 1e-15], "plain6", ("27", "5.55112×10⁻¹⁷", "0", "1.00000×10¹²", "3")),
        (["a", None, math.nan, pd.NA], "text", ("a", "", "", "")),
        ([True, "not run", 1.25], "fixed1", ("1.0", "not run", "1.2")),
    ],
)
def test_formats(values, spec, shown):
    assert format_column(values, spec) == shown


def test_numpy_numbers_are_shown_like_pythons():
    assert format_column([np.float64(-1.5), np.int64(3)], "fixed1") == ("−1.5", "3.0")


def test_significant_digits_align_at_the_point():
    shown = format_column([1.5, 123.25, 1743.0, 20000.0], "sig4")
    assert [text.rstrip("\u2007\u2008") for text in shown] == ["1.500", "123.2", "1743", "20000"]
    assert len({len(text) - text.replace("\u2008", ".").index(".") for text in shown}) == 1
    assert format_column([27.0, 26.99, 1.5], "plain3") == ("27\u2008\u2007\u2007", "27.0\u2007", "1.50")


def test_rounding_never_leaves_a_signed_zero():
    assert format_column([-0.0001, 0.0], "fixed2") == ("0.00", "0.00")
    assert format_value(-0.0, "sig3") == "0.00"


def test_a_count_with_a_fraction_is_not_rounded_away():
    assert format_column([2.5], "int") == ("2.50000",)


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(LMMError, match="'decimal' is not a column format; use estimate, data, p"):
        format_column([1.0], "decimal")


def test_control_characters_are_shown_not_obeyed():
    assert visible("a\nb\tc\u202e") == "a\\nb\\tc\\u202e"
    assert visible("Größe 日本 −1") == "Größe 日本 −1"


def test_words_agree_in_number():
    assert counted(1, "level") == "1 level"
    assert counted(12_000, "row") == "12,000 rows"
    assert counted(2, "quantity", "quantities") == "2 quantities"


def test_words_in_a_row():
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert quoted(["a", 1]) == "`a`, `1`"
    assert quoted("abcdef", most=4) == "`a`, `b`, `c`, `d` and 2 more"
    assert quoted([]) == ""


def test_the_word_that_was_meant():
    known = ["Reaction", "Days", 7]
    assert closest("reactoin", known) == "Reaction"
    assert closest("zebra", known) is None
    assert nearest("day", known) == " (did you mean `Days`?)"
    assert nearest("zebra", known) == ""


def test_short_names_keep_their_length():
    assert shortened("Subject", 7) == "Subject"
    assert shortened("Subject", 6) == "Subje…"
    assert shortened("a\nb") == "a\\nb"


@pytest.mark.parametrize("spec", [f"fixed{n}" for n in range(10)])
def test_every_fixed_format_has_its_decimals(spec):
    assert format_value(math.pi, spec) == f"{math.pi:.{spec[-1]}f}"


def test_units_of_effects():
    units = {"distance": "mm", "age": "years"}
    assert effect_unit(units, "distance", "Intercept") == "mm"
    assert effect_unit(units, "distance", "age") == "mm per year"
    assert effect_unit(units, "distance", "dose") == "mm per unit"
    assert effect_unit(units, "log(distance)", "age") is None


@pytest.mark.parametrize(
    ("text", "decimals", "told"),
    [
        ("0.3048", 2, "0.30"),
        ("−0.5689", 2, "−0.57"),
        ("0.3850", 2, "0.39"),
        ("−0.0004", 2, "0.00"),
        ("0.30", 3, "0.30"),  # no digit that the table has not
        ("617112817", -7, "620,000,000"),
        ("52345", -2, "52,300"),
        ("1.55×10⁻¹⁰", 1, "1.55×10⁻¹⁰"),
        ("—", 2, "—"),
    ],
)
def test_numbers_of_tables_rounded_for_sentences(text, decimals, told):
    assert rounded(text, decimals) == told


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([26, 100], "26 to 100"),
        ([1, 5], "1 to 5"),
        ([194.3322, 466.3535], "194 to 466"),
        ([-2.832, 24.993], "−2.8 to 25.0"),
        ([0.0004, 123.0], "0.00040 to 123"),
        ([12000, 345678], "12,000 to 345,678"),
        ([2e-9, 3e-9], "2.00×10⁻⁹ to 3.00×10⁻⁹"),
        ([0.0, 0.0], "0 to 0"),
    ],
)
def test_ranges_share_their_decimals(values, text):
    assert spread(np.array(values)) == text


@pytest.mark.parametrize(
    ("unit", "one"), [("years", "year"), ("cycles", "cycle"), ("inches", "inch"), ("mass", "mass")]
)
def test_units_in_the_singular(unit, one):
    assert singular(unit) == one


def test_scales_are_no_units():
    assert is_scale("standard score")
    assert is_scale("count")
    assert not is_scale("points")
    assert effect_unit({"y": "points", "x": "standard score"}, "y", "x") == "points per unit"
