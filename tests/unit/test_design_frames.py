"""Every kind of data frame gives the same design, and only the columns named are read."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmtools.design import build_design


def _kinds(frame):
    return {
        "pandas": frame,
        "pandas nullable": frame.convert_dtypes(),
        "pandas pyarrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "pandas object": frame.astype(object),
        "polars": pl.from_pandas(frame),
        "pyarrow": pa.Table.from_pandas(frame),
    }


@pytest.mark.parametrize("kind", ["pandas nullable", "pandas pyarrow", "pandas object", "polars", "pyarrow"])
def test_every_frame_gives_the_same_design(data, kind):
    frame = data.drop(columns="h").assign(b=data["z"] > 0)
    frames = _kinds(frame)
    formula = "y ~ x * f + b + factor(k) + (x | g)"
    expected, design = build_design(formula, frames["pandas"]), build_design(formula, frames[kind])
    assert design.fixed_names == expected.fixed_names
    assert list(design.terms[0].levels) == list(expected.terms[0].levels)
    np.testing.assert_array_equal(design.X, expected.X)
    np.testing.assert_array_equal(design.y, expected.y)
    np.testing.assert_array_equal(design.terms[0].codes, expected.terms[0].codes)


@pytest.mark.parametrize("missing_one", [False, True])
@pytest.mark.parametrize("kind", ["int64", "Int64", "uint64", "object", "int64[pyarrow]", "polars", "pyarrow"])
def test_ids_never_pass_through_floats(kind, missing_one):
    ids = [2**60, 2**60 + 1, 2**60, 2**60 + 1, 2**60 + 2, 2**60 + 2]
    y, x = [1.0, 2, 4, 3, 5, 1], [1, 2, 3, 4, 5, 7]
    given = [None, *ids[1:]] if missing_one else ids
    if kind == "polars":
        frame = pl.DataFrame({"y": y, "x": x, "g": given})
    elif kind == "pyarrow":
        frame = pa.table({"y": y, "x": x, "g": given})
    elif missing_one and kind in ("int64", "uint64"):
        frame = pd.DataFrame({"y": y, "x": x, "g": pd.array(given, dtype=kind.replace("i", "I").replace("u", "U"))})
    else:
        frame = pd.DataFrame({"y": y, "x": x, "g": pd.Series(given, dtype=kind)})
    (term,) = build_design("y ~ x + (1 | g)", frame).terms
    assert [int(level) for level in term.levels] == [2**60, 2**60 + 1, 2**60 + 2]
    assert [int(term.levels[code]) for code in term.codes] == ids[missing_one:]


def test_order_of_levels_by_kind_of_frame():
    values = ["m", "z", "a", "m", "z", "a"]
    y = [1.0, 2, 3, 4, 5, 7]

    def levels(column, frame=pl.DataFrame):
        return list(build_design("y ~ 1 + (1 | f)", frame({"y": y, "f": column})).terms[0].levels)

    assert levels(pl.Series(values, dtype=pl.Categorical)) == ["a", "m", "z"]  # has no order: sorted
    assert levels(pl.Series(values, dtype=pl.Enum(["z", "m", "q", "a"]))) == ["z", "m", "a"]
    assert levels(pl.Series(values)) == ["a", "m", "z"]
    for ordered in (False, True):
        column = pd.Categorical(values, ["z", "m", "q", "a"], ordered=ordered)
        assert levels(column, pd.DataFrame) == ["z", "m", "a"]
    assert levels([3, 1, 2] * 2, pd.DataFrame) == [1, 2, 3]
    assert levels([2.5, 1.5, 0.5] * 2, pd.DataFrame) == [0.5, 1.5, 2.5]
    assert levels([True, False, True] * 2, pd.DataFrame) == [False, True]
    assert levels(pa.array(values).dictionary_encode(), pa.table) == ["a", "m", "z"]


def test_columns_that_are_not_named_are_not_touched(data):
    class Untouchable:
        def __eq__(self, other):
            raise AssertionError("an unused column was read")

        __hash__ = None

    frame = data.assign(other=pd.Series([Untouchable()] * len(data), dtype=object))
    assert build_design("y ~ x + (1 | g)", frame).ngroups == {"g": 8}


def test_index_labels_follow_the_rows(data):
    frame = data.set_index(pd.Index([f"row{i}" for i in range(48)]))
    frame.loc["row3", "x"] = np.nan
    frame.loc[["row3", "row5"], "z"] = np.nan
    design = build_design("y ~ x + z + (1 | g)", frame)
    assert list(design.dropped_rows) == ["row3", "row5"] and len(design.index) == 46
    assert "row3" not in design.index and design.y[3] == frame.loc["row4", "y"]
    assert design.messages == ("2 of 48 rows were left out for missing values, in `x` (1), `z` (2).",)
