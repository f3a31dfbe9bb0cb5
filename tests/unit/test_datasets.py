"""The shipped data: typed, complete, described."""

import json
import re

import pandas as pd
import pytest

from lmmtools.datasets import data_path, list_datasets, load_dataset
from lmmtools.errors import DataError

NAMES = [
    "Orthodont", "MathAchieve", "sleepstudy", "Dyestuff", "Dyestuff2", "Rail", "Oats", "Machines", "cake",
    "Penicillin", "Pastes", "InstEval", "Ovary", "Oxboys", "ergoStool", "Pixel", "Oxide", "Wafer", "Dialyzer",
    "BodyWeight", "Wheat2", "Exam", "ScotsSec", "star", "shoes_bal", "shoes_imbal",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_is_as_its_description_says(name):
    entry = json.loads((data_path() / "datasets.json").read_text(encoding="utf-8"))[name]
    frame = load_dataset(name)
    assert len(frame) == entry["rows"]
    assert list(frame.columns) == list(entry["columns"])
    for column, about in entry["columns"].items():
        assert about["description"]
        assert frame[column].isna().sum() == about.get("missing", 0)
        dtype = frame[column].dtype
        if about["kind"] in ("factor", "ordered"):
            assert dtype.ordered == (about["kind"] == "ordered")
            assert set(dtype.categories) - set(frame[column].dropna()) == set(about.get("unused", ()))
        else:
            assert dtype == ("int64" if about["kind"] == "int" else "float64")
            assert about["unit"]
    attrs = frame.attrs["lmmtools"]
    assert attrs["name"] == name and attrs["title"] and attrs["citation"] and attrs["licence"]
    assert set(attrs["units"]) <= set(frame.columns)


def test_levels_are_in_the_sources_order_not_sorted():
    assert list(load_dataset("Orthodont")["Sex"].cat.categories) == ["Male", "Female"]
    assert list(load_dataset("Rail")["Rail"].cat.categories) == ["2", "5", "1", "6", "3", "4"]
    assert list(load_dataset("cake")["temperature"].cat.categories) == ["175", "185", "195", "205", "215", "225"]
    students = load_dataset("InstEval")["s"].cat.categories
    assert list(students[:3]) == ["1", "2", "3"] and students[-1] == "2972"
    pupils = load_dataset("star")["id"].cat.categories  # R read these numbers as words
    assert list(pupils[:2]) == ["100017", "100028"] and pupils[-1] == "99992"


def test_what_a_data_set_lacks_is_missing_and_what_only_looks_so_is_not():
    star = load_dataset("star")
    assert star["math"].isna().sum() == 2183 and star["eth"].isna().sum() == 146
    assert star["birthq"].notna().all() and "NA:NA" in star["birthq"].cat.categories
    assert list(star["trace"].cat.categories) == list(star["eth"].cat.categories)  # though three do not occur
    assert not load_dataset("Exam").isna().any().any()


def test_what_a_caller_does_to_a_frame_stays_with_the_caller():
    first = load_dataset("Dyestuff")
    first.loc[0, "Yield"] = 0
    first.attrs["lmmtools"]["units"]["Yield"] = "kg"
    second = load_dataset("Dyestuff")
    assert second["Yield"].iloc[0] == 1545 and second.attrs["lmmtools"]["units"]["Yield"] == "g"


def test_an_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(DataError) as caught:
        load_dataset("sleep_study")
    assert "did you mean `sleepstudy`" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


def test_the_list_has_every_data_set_and_shows_itself():
    table = list_datasets()
    assert isinstance(table, pd.DataFrame) and list(table.index) == NAMES
    assert table.loc["sleepstudy", "rows"] == 180
    assert table.caption == "Data sets that come with lmmtools"
    assert "Reaction (ms)" in table.loc["sleepstudy", "columns"]


def _readme_line(entry):
    """What data/README.md says of one data set."""
    package = re.search(r"R package (\w+)", entry["licence"])[1]
    units = "; ".join(f"{name}: {about['unit']}" for name, about in entry["columns"].items() if "unit" in about)
    cells = (f"`{entry['file']}`", entry["rows"], entry["title"], entry["citation"], package, units)
    return f"| {' | '.join(map(str, cells))} |"


def test_the_readme_repeats_the_descriptions_word_for_word():
    entries = json.loads((data_path() / "datasets.json").read_text(encoding="utf-8")).values()
    heading = ["| file | rows | what | source | taken from | units |", "|---|---|---|---|---|---|"]
    lines = (data_path() / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("|")] == [*heading, *map(_readme_line, entries)]
    assert {path.name for path in data_path().glob("*.csv*")} == {entry["file"] for entry in entries}
