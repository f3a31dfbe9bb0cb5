"""Printed numbers and what is said of them: held against decimal arithmetic with more digits than any double has."""

import decimal
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmmtools.errors import StudyError
from lmmtools.replication.alternatives.luck import luck
from lmmtools.replication.printed import read_printed
from lmmtools.replication.verdicts import STATUSES, judge, no_estimate

ENOUGH = decimal.Context(prec=1500, Emin=-5000, Emax=5000)  # every double is exact in it
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def decimals(draw):
    """A number as papers print it."""
    sign = draw(st.sampled_from(["", "-", "+", "\N{MINUS SIGN}"]))
    whole = draw(st.integers(0, 10**9).map(str))
    places = draw(st.text("0123456789", max_size=12))
    power = draw(st.sampled_from(["", *(f"e{k}" for k in (-30, -11, -2, 0, 3, 20))]))
    return f"{sign}{whole}{'.' if places else ''}{places}{power}"


@st.composite
def pairs(draw):
    """A printed number and a double near it, from the same number to a dozen units away, ties among them."""
    printed = read_printed(draw(decimals()))
    off = draw(st.one_of(st.integers(-24, 24).map(lambda k: Fraction(k, 2)), st.floats(-12, 12).map(Fraction)))
    return printed, float(printed.exact + off * printed.unit)


def quantized(computed: float, printed, rounding: str) -> Decimal:
    """A double rounded to the last place of a printed number, by decimal arithmetic."""
    return Decimal(computed).quantize(Decimal(1).scaleb(printed.place, ENOUGH), rounding=rounding, context=ENOUGH)


@given(decimals())
def test_a_printed_number_is_the_decimal_that_it_says(text):
    printed = read_printed(text)
    assert printed.value == Decimal(text.replace("\N{MINUS SIGN}", "-"))
    assert printed.text == text
    assert printed.high - printed.low == printed.unit == Fraction(Decimal(1).scaleb(printed.place, ENOUGH))
    assert printed.low < printed.exact < printed.high
    plain = text.lower().split("e")[0].lstrip("+-\N{MINUS SIGN}")
    assert printed.digits == (len(plain.replace(".", "").lstrip("0")) or len(plain.partition(".")[2]) or 1)


@given(pairs())
def test_it_is_reproduced_if_and_only_if_the_computed_number_rounds_to_it(pair):
    """Whichever way ties go: to either side of a tie one of the two roundings is right."""
    printed, computed = pair
    ways = {quantized(computed, printed, way) for way in (decimal.ROUND_HALF_UP, decimal.ROUND_HALF_DOWN)}
    assert printed.prints(computed) == (printed.value in ways)
    assert (judge(printed, computed).status == "reproduced") == (printed.value in ways)


@given(pairs())
def test_it_is_truncated_if_and_only_if_it_is_cut_off_toward_zero_and_not_rounded(pair):
    printed, computed = pair
    cut = printed.value == quantized(computed, printed, decimal.ROUND_DOWN)
    assert printed.cuts(computed) == cut
    assert (judge(printed, computed).status == "truncated") == (cut and not printed.prints(computed))


@given(pairs())
def test_units_are_counted_from_the_rounded_number(pair):
    printed, computed = pair
    off = abs(printed.value - quantized(computed, printed, decimal.ROUND_HALF_UP))
    assert printed.units_off(computed) == Fraction(off) / printed.unit
    verdict = judge(printed, computed)
    if verdict.status in ("off by n", "not reproduced"):
        near = verdict.units <= 9 and verdict.units * printed.unit <= abs(Fraction(computed)) / 100
        assert (verdict.status == "off by n") == near
        assert verdict.units > 0


@given(decimals(), DOUBLES)
@example("1e300", -1e300)
@example("0", 5e-324)
def test_any_number_has_one_verdict(text, computed):
    printed = read_printed(text)
    verdict = judge(printed, computed)
    assert verdict.status in STATUSES
    assert verdict.good == (verdict.status in ("reproduced", "truncated"))
    assert 0 <= printed.agreeing(computed) <= printed.digits


@given(pairs())
def test_what_is_shown_is_the_computed_number_with_two_more_digits_or_as_many_as_it_takes(pair):
    printed, computed = pair
    shown = read_printed(printed.shown(computed))
    assert shown.prints(computed)
    assert printed.prints(float(shown.value)) == printed.prints(computed)  # nobody who rounds it is misled
    if "e" not in printed.text and printed.place >= 0 and computed == math.trunc(computed):
        assert (shown.place, float(shown.value)) == (0, computed)  # a count stays whole
    elif "e" not in printed.text:
        assert shown.place <= printed.place - 2
    else:
        assert shown.digits >= printed.digits + 2 or computed == 0


@pytest.mark.parametrize("text", ["< 0.0001", "<.0001", "<1e-4"])
def test_a_bound_is_reproduced_by_what_lies_below_it(text):
    printed = read_printed(text)
    assert [judge(printed, c).good for c in (3e-9, 0.00009999, 0.0001, 0.2)] == [True, True, False, False]
    assert printed.shown(3.21e-9).replace("\N{MINUS SIGN}", "-") == "3.21e-09"
    assert luck(printed, 0.2, [0.1, 1e-9]) is None  # how many bounds might have been printed is not known


@pytest.mark.parametrize(
    ("text", "computed", "status"),
    [
        ("0.50", 0.4962, "reproduced"),
        ("0.500", 0.4992, "off by n"),
        ("0.50", 0.4949, "not reproduced"),
        ("0.5", 0.4572, "reproduced"),
        ("2.5", 2.45, "reproduced"),  # the double is above the tie
        ("2.4", 2.4500000000000001776, "truncated"),
        ("-2.4", -2.46, "truncated"),
        ("-2.50", -2.491, "off by n"),
        ("240", 240.72, "truncated"),
        ("0.85", 0.8581, "truncated"),
        ("8.8e-11", 8.7504e-11, "reproduced"),
        ("8.8e-11", 8.8999e-11, "truncated"),
        ("1,743.6", 1743.62827195849, "reproduced"),
        ("1.000", 0.5, "not reproduced"),
        ("3", 4.0, "not reproduced"),  # one unit, but a quarter of it
        ("0", 0.5, "reproduced"),
        ("0", -0.7, "truncated"),
    ],
)
def test_verdicts_of_numbers_in_print(text, computed, status):
    assert judge(read_printed(text), computed).status == status


def test_a_tie_is_reproduced_by_either_neighbour():
    for text in ("0.2", "0.3"):
        assert judge(read_printed(text), 0.25).status == "reproduced"
    for text in ("-0.2", "-0.3"):
        assert judge(read_printed(text), -0.25).status == "reproduced"


@pytest.mark.parametrize(
    ("text", "computed", "digits"),
    [("24.74", 24.757, 3), ("24.74", 26.1, 1), ("24.74", 30.0, 0), ("9.99", 10.01, 2), ("5", -5.0, 0), ("0.0", 1.0, 0)],
)
def test_the_digits_that_agree(text, computed, digits):
    assert read_printed(text).agreeing(computed) == digits


@pytest.mark.parametrize("text", ["-inf", "-Inf", "\N{MINUS SIGN}∞", "-∞", "\N{MINUS SIGN}inf"])
def test_a_criterion_without_a_minimum_can_be_printed(text):
    printed = read_printed(text)
    assert printed.no_minimum
    found = no_estimate(printed, unbounded=True, of_criterion=True)
    assert (found.good, found.words) == (True, "no estimate exists")
    # of what does not fall to it, or of a model that failed for another cause, it says nothing that is right
    for unbounded, of_criterion in ((True, False), (False, True)):
        assert not no_estimate(printed, unbounded=unbounded, of_criterion=of_criterion).good
    assert judge(printed, 91.47).status == "not reproduced"
    assert printed.shown(91.466) == "91.466"
    assert judge(printed, -math.inf).status == "reproduced"
    assert not no_estimate(read_printed("58"), unbounded=True, of_criterion=True).good


@pytest.mark.parametrize("computed", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_reproduces_nothing(computed):
    printed = read_printed("58")
    assert not judge(printed, computed).good
    assert not printed.prints(computed)
    assert not printed.cuts(computed)


@pytest.mark.parametrize(
    "text",
    ["", " ", "abc", "<", "< x", "<< 1", "> 0.5", "<-inf", "0,50", "1 743.6", "12,34.5", "1e", "e5",
      ".", "-", "--5", "1.2.3", "12 %",
     "0x10", "1_000", "inf", "+inf", "nan", "NaN", "½", "٣", "1e99999", "5\n6", "5e400", "1e-331", "–5"],
)  # fmt: skip
def test_what_is_no_number_is_refused(text):
    with pytest.raises(StudyError, match=r"number"):
        read_printed(text)
