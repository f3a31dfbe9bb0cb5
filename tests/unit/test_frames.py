import copy
import pickle

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lmmtools.frames
from lmmtools.errors import DataError
from lmmtools.frames import Frame, frame, preview


@pytest.fixture
def plain():
    return pd.DataFrame(
        {"estimate": [251.405, 10.467, -1.0], "p_value": [1e-9, 0.04, 0.5], "n": [3, 4, 5]},
        index=["Intercept", "Days", "x"],
    )


@pytest.fixture
def made(plain):
    return frame(
        plain, caption="Cap", label="tbl-a", notes=("Note.",), headings={"p_value": "p"}, formats={"p_value": "p"}
    )


KEEP = {
    "columns": lambda f: f[["estimate"]],
    "rows": lambda f: f[f["n"] > 3],
    "slice": lambda f: f.iloc[:2],
    "labels": lambda f: f.loc[["Days"], "estimate":"p_value"],
    "query": lambda f: f.query("n > 3"),
    "order": lambda f: f.sort_values("p_value"),
    "drop": lambda f: f.drop(columns="n"),
    "copy": lambda f: f.copy(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda f: pickle.loads(pickle.dumps(f)),
}
LOSE = {
    "arithmetic": lambda f: f * 2,
    "one column of it": lambda f: f[["n"]] + 1,
    "new column": lambda f: f.assign(z=1),
    "rename": lambda f: f.rename(columns={"n": "m"}),
    "transpose": lambda f: f.T,
    "swapped": lambda f: f.set_axis(f.index[::-1], axis=0),
    "group means": lambda f: f.groupby("n").mean(),
}


@pytest.mark.parametrize("name", KEEP)
def test_a_selection_keeps_its_caption(made, name):
    got = KEEP[name](made)
    assert isinstance(got, Frame)
    assert (got.caption, got.label, got.notes) == ("Cap", "tbl-a", ("Note.",))


@pytest.mark.parametrize("name", LOSE)
def test_other_numbers_lose_it(made, name):
    got = LOSE[name](made)
    assert (got.caption, got.label, got.notes) == ("", "", ())
    assert got.table().caption == ""


def test_a_value_changed_in_place_loses_it(made):
    changed = made.copy()
    changed.loc["Days", "estimate"] = 0.0
    assert changed.caption == ""
    assert made.caption == "Cap"


def test_the_data_it_was_made_of_may_change_without_it(plain):
    made = frame(plain, caption="Cap")
    plain.loc["Days", "estimate"] = 0.0
    assert made.caption == "Cap"
    assert made.loc["Days", "estimate"] == 10.467


def test_it_equals_the_plain_frame(made, plain):
    pd.testing.assert_frame_equal(made, plain)
    pd.testing.assert_frame_equal(plain, made, check_frame_type=False)
    assert made.equals(plain)


def test_columns_are_plain_series(made):
    assert type(made["estimate"]) is pd.Series
    assert type(made.mean()) is pd.Series


def test_headings_and_formats_stay_with_their_columns(made):
    table = (made[["p_value"]] / 2).table()
    assert [column.title for column in table.columns] == ["", "p"]
    assert table.cells[0] == ("Intercept", "< 0.001")


def test_default_formats():
    data = pd.DataFrame({"x": [1.25], "k": [20000], "s": ["a"], "b": [True], "c": pd.Categorical(["u"])})
    assert frame(data, caption="").table().cells == (("0", "1.250", "20,000", "a", "True", "u"),)


def test_the_index_can_be_left_out(plain):
    assert [c.name for c in frame(plain, caption="", index=False).table().columns] == list(plain)


def test_every_level_of_an_index_names_rows():
    data = pd.DataFrame({"x": [1.0]}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["g", "k"]))
    columns = frame(data, caption="", headings={"g": "Group"}).table().columns
    assert [(c.title, c.header) for c in columns] == [("Group", True), ("k", True), ("x", False)]


def test_long_frames_say_what_they_leave_out():
    table = frame(pd.DataFrame({"x": range(2972)}), caption="Long", notes=("First.",)).table()
    assert len(table.rows) == 40
    assert table.notes == ("First.", "The first 40 of 2,972 rows are shown.")


def test_big_integers_are_not_rounded():
    data = pd.DataFrame({"id": [2**60, 2**60 + 1]})
    assert frame(data, caption="", index=False).table().cells == (
        ("1,152,921,504,606,846,976",),
        ("1,152,921,504,606,846,977",),
    )


def test_it_shows_itself_as_its_table(made):
    data, metadata = made._repr_mimebundle_()
    assert data["text/plain"] == repr(made) == made.table().text()
    assert data["text/html"] == made._repr_html_() == made.table().html()
    assert metadata["lmmtools"]["caption"] == "Cap"


def test_a_notebook_takes_our_renderings_over_pandas(made):
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(made)
    assert data["text/html"] == made.table().html()
    assert "text/vnd.typst" in data
    assert metadata["lmmtools"]["label"] == "tbl-a"


def test_a_subclass_can_be_made():
    class Checked(Frame):
        @property
        def _constructor(self):
            return Checked

    made = frame(pd.DataFrame({"x": [1.0]}), caption="Cap", cls=Checked)
    assert type(made) is type(made.iloc[:1]) is Checked
    assert made.caption == "Cap"


def test_preview_has_units_and_source():
    data = pd.DataFrame({"y": [26.0, 21.5], "g": ["a", "b"], "other": [1, 2]})
    data.attrs["lmmtools"] = {"title": "Growth", "units": {"y": "mm"}, "citation": "Someone (1964)."}
    table = preview(data, "y ~ 1 + (1 | g)").table()
    assert table.caption == "Growth: first 2 of 2 rows"
    assert [column.title for column in table.columns] == ["y (mm)", "g"]
    assert table.cells == (("26.0", "a"), ("21.5", "b"))
    assert table.notes == ("Source: Someone (1964).",)


def test_preview_of_any_frame_shows_all_columns():
    assert list(preview(pd.DataFrame({"a": [1], "b": [2]}))) == ["a", "b"]


@pytest.mark.parametrize("kind", [pl.DataFrame, pa.table])
def test_preview_of_frames_that_are_not_pandas(kind):
    data = kind({"y": [26.0, 21.5, 3.0], "g": ["a", None, "b"], "other": [1, 2, 3]})
    shown = preview(data, "y ~ 1 + (1 | g)", rows=2)
    assert shown.caption == "The data: first 2 of 3 rows"
    assert shown.table().cells == (("26.0", "a"), ("21.5", ""))


@pytest.mark.parametrize("data", [{"a": [1]}, [1, 2], None, "sleepstudy"])
def test_preview_of_no_frame_is_refused_in_a_sentence(data):
    with pytest.raises(DataError, match=f"data is a {type(data).__name__}, not a data frame: pass a pandas, polars"):
        preview(data)


def test_all_public_names_exist():
    assert all(hasattr(lmmtools.frames, name) for name in lmmtools.frames.__all__)
