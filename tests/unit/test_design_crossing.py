"""What is said of grouping factors that stand side by side, from their codes alone."""

import numpy as np
import pandas as pd
import pytest

from lmmtools.design import build_design
from lmmtools.design.crossing import is_within
from lmmtools.design.levels import categorise, interaction


@pytest.fixture
def pupils():
    """Four pupils in each of 60 classes, five classes in each of 12 schools, three schools in each of 4 towns."""
    rng = np.random.default_rng(3)
    klass = np.repeat(np.arange(60), 4)
    school = klass // 5
    return pd.DataFrame(
        {
            "y": rng.normal(size=240),
            "class": klass,
            "room": klass % 5 + 1,
            "school": school,
            "town": school // 3,
            "name": [f"school {s}" for s in school],
        }
    )


def notes(formula: str, data: pd.DataFrame) -> tuple[str, ...]:
    return build_design(formula, data).messages


def test_nested_factors_need_no_remark(pupils):
    assert notes("y ~ 1 + (1 | school/class)", pupils) == ()
    assert notes("y ~ 1 + (1 | school) + (1 | class)", pupils) == ()
    assert notes("y ~ 1 + (1 | town/school/room)", pupils) == ()
    assert build_design("y ~ 1 + (1 | school/class)", pupils).ngroups == {"school:class": 60, "school": 12}


def test_one_partition_under_two_names(pupils):
    (message,) = notes("y ~ 1 + (1 | school) + (1 | name)", pupils)
    assert message == (
        "`school` and `name` group the rows alike (12 levels each): they are one grouping factor under two names, and "
        "the variance of an effect by the one cannot be told from its variance by the other. Leave one of them out."
    )
    (message,) = notes("y ~ 1 + (1 | class) + (1 | school:room)", pupils)
    assert "`class` and `school:room` group the rows alike (60 levels each)" in message


def test_nesting_the_wrong_way_round(pupils):
    (message,) = notes("y ~ 1 + (1 | class/school)", pupils)
    assert message == (
        "`class:school` groups the rows as `class` does (60 levels each), since each level of `class` occurs with one "
        "level of `school` only: their variances cannot be told apart. Where `class` lies within `school`, write "
        "(1 | school/class), the coarser factor first; else leave `class:school` out."
    )
    (message,) = notes("y ~ 1 + (1 | name/school)", pupils)  # neither is the coarser
    assert message.endswith("cannot be told apart. Leave `name:school` out.")


def test_separate_parts_of_a_crossed_design():
    rng = np.random.default_rng(5)
    part = np.repeat([0, 1, 2], [120, 60, 60])
    a, b = part * 10 + np.arange(240) % 10, part * 6 + rng.integers(0, 6, 240)
    data = pd.DataFrame({"y": rng.normal(size=240), "a": a, "b": b, "part": part})
    (message,) = notes("y ~ 1 + (1 | a) + (1 | b)", data)
    assert "`a` and `b` are crossed in 3 separate parts, which share no level of either: 120 rows with" in message
    assert "120 rows with 10 of `a` (`0`, `1`, `2`, …) and 6 of `b` (`0`, `1`, `2`, …); 60 rows with" in message
    assert "check that levels are labelled alike everywhere" in message
    assert notes("y ~ 1 + (1 | a) + (1 | b) + (1 | part)", data) == ()  # the parts are in the model
    assert notes("y ~ 1 + (1 | a) + (1 | b)", data[data["part"] == 0]) == ()
    more = pd.concat([data.assign(a=data["a"] + 100 * k, b=data["b"] + 100 * k) for k in range(2)])
    assert "; and 3 parts more." in notes("y ~ 1 + (1 | a) + (1 | b)", more)[0]


def test_a_long_chain_of_levels_is_one_part():
    n = 400  # each a shares one b with the next: far apart, yet connected
    data = pd.DataFrame({"y": np.sin(np.arange(n)), "a": np.arange(n) // 2, "b": (np.arange(n) + 1) // 2})
    assert notes("y ~ 1 + (1 | a) + (1 | b)", data) == ()


def _numbered_within(sizes, rows):
    cells = [(s, c) for s, size in enumerate(sizes) for c in range(1, size + 1) for _ in range(rows)]
    data = pd.DataFrame(cells, columns=["school", "room"])
    return data.assign(y=np.sin(np.arange(len(data))))


def test_ids_that_start_anew_are_pointed_out():
    data = _numbered_within([2, 3, 5, 4, 5, 2, 3], rows=4)
    (message,) = notes("y ~ 1 + (1 | school) + (1 | room)", data)
    assert message == (
        "`room` is numbered anew within each level of `school` (from 1 on, 2 to 5 of them), and taken as it is: `room` "
        "1 of one `school` and of another have the same random effect. If they are different things, write "
        "(1 | school/room)."
    )
    assert notes("y ~ 1 + (1 | school/room)", data) == ()


@pytest.mark.parametrize(
    "data",
    [
        _numbered_within([5] * 7, rows=4),  # a full crossing
        _numbered_within([2, 3, 5, 4, 5, 2, 3], rows=1),  # occasions, and units that leave early
        _numbered_within([2, 3, 5, 4, 5, 2, 3], rows=4).replace({"room": {1: 9}}),  # not numbered from one on
        _numbered_within([2, 3, 5, 4, 5, 2, 3], rows=4).query("not (school == 2 and room == 3)"),  # with gaps
    ],
    ids=["crossed", "occasions", "other numbers", "gaps"],
)
def test_what_may_be_crossed_is_not_called_nested(data):
    assert notes("y ~ 1 + (1 | school) + (1 | room)", data) == ()


def test_one_factor_lies_within_another_or_not(pupils):
    found = {name: categorise(name, pupils[name]) for name in ("class", "room", "school")}
    assert is_within(found["class"], found["school"]) and not is_within(found["room"], found["school"])


@pytest.mark.parametrize("names", [("school", "class"), ("class", "school"), ("school", "room"), ("town", "room")])
def test_combinations_are_labelled_and_sorted_by_their_parts(pupils, names):
    shuffled = pupils.sample(frac=1.0, random_state=1)
    found = interaction([categorise(name, shuffled[name]) for name in names])
    expected = shuffled[list(names)].drop_duplicates().sort_values(list(names))
    assert list(found.levels) == [f"{a}:{b}" for a, b in expected.itertuples(index=False)]
    assert list(found.levels[found.codes]) == [f"{a}:{b}" for a, b in shuffled[list(names)].itertuples(index=False)]
