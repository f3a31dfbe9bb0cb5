"""The forest plot: scales that runs share, and marks on them."""

from dataclasses import replace

import pytest

from lmmtools.report.overview.entries import Focal, make_entry
from lmmtools.report.overview.forest import forest
from tests.report.outcomes import outcome_of, record_of


def entry_of(estimate, half=None, **changes):
    focal = Focal("age", estimate, None, *((None, None) if half is None else (estimate - half, estimate + half)))
    return replace(make_entry(outcome_of(**changes)), focal=focal)


def place(text):
    return float(text.removesuffix("%"))


def test_runs_of_one_data_set_and_coefficient_share_a_scale():
    runs = [entry_of(1, 0.5), entry_of(2, 0.5), entry_of(40, 3, dataset="Other"), entry_of(5, formula="log(y) ~ age",
            record=record_of(formula="log(y) ~ age"))]  # fmt: skip
    scales, marks = forest(runs)
    assert [mark.scale for mark in marks] == [0, 0, 1, 2]
    assert scales[0].low == 0  # zero is near, so it is on the scale
    assert scales[0].zero
    assert scales[1].zero == ""  # 37 to 43: zero would squeeze the interval into a fifth
    assert place(marks[0].point) < place(marks[1].point)
    assert place(marks[1].start) < place(marks[1].point) < place(marks[1].end)
    at = {label: place(where) for where, label in scales[0].ticks}
    assert at["1"] == pytest.approx(place(marks[0].point), abs=0.11)


def test_an_endless_interval_runs_out_of_the_scale_and_flattens_no_other():
    runs = [entry_of(1 + i / 10, 0.5) for i in range(9)] + [entry_of(1, 1e6)]
    (scale,), marks = forest(runs)
    assert scale.high < 20
    assert marks[-1].beyond == ("0%", "100%")
    assert all(mark.beyond == () for mark in marks[:-1])
    assert place(marks[0].end) - place(marks[0].start) > 5
    assert marks[-1].words.startswith("age 1.000; −999999 to 1000001; scale from ")


@pytest.mark.parametrize("values", [(0.0,), (1527.5,), (1e-310,), (-1e299, 1e299), (5e15, 5e15 + 1), (1e-12, 2e-12)])
def test_scales_of_every_size(values):
    scales, marks = forest([entry_of(value) for value in values])
    assert all(0 <= place(mark.point) <= 100 for mark in marks)
    assert all(1 <= len(scale.ticks) <= 7 for scale in scales)
    assert all(len(label) < 12 for scale in scales for _, label in scale.ticks)


def test_an_interval_that_was_not_computed_is_not_drawn():
    without = make_entry(outcome_of(record=record_of(interval=False)))
    assert (without.focal.low, without.focal.high, without.focal.level) == (None, None, None)
    _, (mark,) = forest([without])
    assert (mark.start, mark.end) == ("", "")
    assert mark.point
    assert " to " not in mark.words.partition(";")[0]
