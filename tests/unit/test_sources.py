"""Data from files: read strictly, typed as declared, filtered by expressions that can do nothing else."""

import gzip
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.errors import DataError
from lmmtools.sources import read_data

ROWS = "y,x,g\n1,2,a\n2,,b\n3,4,a\n4,7,\n"


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and returns its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["Orthodont", "InstEval", "cake"])
def test_a_shipped_data_set_is_what_load_dataset_gives(name):
    ours, theirs = read_data(name), lt.load_dataset(name)
    pd.testing.assert_frame_equal(ours, theirs)
    about = ours.attrs["lmmtools"]
    assert {key: about[key] for key in theirs.attrs["lmmtools"]} == theirs.attrs["lmmtools"]
    assert (about["filter"], about["rows_read"], about["rows_undecided"]) == ("", len(ours), 0)


def test_nouns_come_with_the_data():
    nouns = lt.load_dataset("Orthodont").attrs["lmmtools"]["nouns"]
    assert nouns["Subject"] == ["child", "children"]


def test_what_a_file_is_about(file):
    frame = read_data(file(ROWS, "growth.csv"), columns={"y": {"unit": "mm"}, "g": {"noun": ["group", "groups"]}})
    about = frame.attrs["lmmtools"]
    assert about["name"] == "growth" and about["file"] == "growth.csv" and about["rows_read"] == 4
    assert about["units"] == {"y": "mm"} and about["nouns"] == {"g": ["group", "groups"]}
    assert str(frame["x"].dtype) == "float64" and frame["x"].isna().sum() == 1 and frame["g"].isna().sum() == 1


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbfy,g\n1.5,a\n2.5,b\n", "bom.csv"),
        (b"y;g\r\n1,5;a\r\n2,5;b\r\n", "semicolon.csv"),
        (b"y;g\n1.5;a\n2.5;b\n", "point.csv"),
        (b"y\tg\n1.5\ta\n2.5\tb\n", "tabs.csv"),
        (b"y\tg\n1.5\ta\n2.5\tb\n", "data.tsv"),
        (b'y, g\n1.5, "a"\n\n2.5, b\n  \n', "blanks.csv"),
        (gzip.compress(b"y,g\n1.5,a\n2.5,b\n", mtime=0), "data.csv.gz"),
        (b"sep=;\r\ny;g\r\n1,5;a\r\n2,5;b\r\n", "excel.csv"),
        (b"y\tg\n15e-1\ta\n2,5e0\tb\n", "comma.tsv"),
        (b"y,g\r1.5,a\r2.5,b\r", "macintosh.csv"),
    ],
)
def test_the_same_table_in_many_spellings(file, content, name):
    frame = read_data(file(content, name))
    assert list(frame.columns) == ["y", "g"] and frame["y"].tolist() == [1.5, 2.5] and frame["g"].tolist() == ["a", "b"]


def test_r_s_row_names_and_missing_values(file):
    frame = read_data(file('"","y"\n"1",NA\n"2",3\n'))
    assert list(frame.columns) == ["row", "y"] and frame["y"].isna().tolist() == [True, False]


def test_what_is_missing_where_all_others_are_numbers(file):
    frame = read_data(file("x,y,g\n1,.,a\n.,-2.5e3,.\nN/A,null,-\n2,7,b\n"))
    assert frame["x"].isna().tolist() == [False, True, True, False] and frame["x"].dtype == "float64"
    assert frame["y"].tolist()[1::2] == [-2500.0, 7.0] and frame["y"].isna().sum() == 2
    assert frame["g"].tolist() == ["a", ".", "-", "b"]  # words are words
    kept = read_data(file("x,y\n1,2\n.,3\n"), columns={"x": {"kind": "factor"}})
    assert kept["x"].tolist() == ["1", "."]
    assert read_data(file("x;y\n1,5;2\n.;3\n"), columns={"x": {"kind": "number"}})["x"].isna().tolist() == [False, True]


def test_truths_with_gaps_and_codes_too_long_for_a_number(file):
    frame = read_data(file(f"b,id,y\nTRUE,{10**30},1\n,{10**30 + 1},2\nFALSE,{10**30},3\n"))
    assert str(frame["b"].dtype) == "boolean" and frame["b"].isna().tolist() == [False, True, False]
    assert frame["id"].tolist() == [str(10**30), str(10**30 + 1), str(10**30)]
    path = file(f"b,id,y\nTRUE,{10**30},1\n,{10**30 + 1},2\nFALSE,{10**30},3\n")
    assert read_data(path, filter=f"not b or id == '{10**30 + 1}'")["y"].tolist() == [2, 3]


def test_separators_of_thousands_are_not_taken_for_decimal_points(file):
    text = "x;y\n1.234;1,5\n3.000;2,5\n"
    assert read_data(file(text))["x"].tolist() == ["1.234", "3.000"]
    with pytest.raises(DataError, match="has decimal commas, so `1.234` in column `x` may not be the number it looks"):
        read_data(file(text), columns={"x": {"kind": "number"}})
    with pytest.raises(DataError, match="1 value cannot be read as one: `much`"):
        read_data(file("x;y\n1,25;1,5\nmuch;2,5\n"), columns={"x": {"kind": "number"}})


def test_parquet_from_a_data_base(tmp_path):
    table = pa.table(
        {
            "x": pa.array([Decimal("1.10"), Decimal("2.20"), None], pa.decimal128(10, 2)),
            "day": pa.array([date(2024, 1, 1), date(2024, 2, 1), None]),
            "at": pa.array([datetime(2024, 1, 1), datetime(2024, 2, 1), None], pa.timestamp("us", "Europe/Berlin")),
            "none": pa.nulls(3),
            "text": pa.array([None, None, None], pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    frame = read_data(tmp_path / "data.parquet", filter="x > 1.5 and day > '2024-01-15' and at > '2024-01-15'")
    assert frame["x"].tolist() == [2.2] and str(frame["none"].dtype) == "float64"
    with pytest.raises(DataError, match="`text` has no value in any row, so nothing equals it"):
        read_data(tmp_path / "data.parquet", filter="text == 'a'")


def test_an_index_without_a_name_is_a_column(tmp_path):
    pd.DataFrame({"y": [1.0, 2.0]}, index=["a", "b"]).to_parquet(tmp_path / "data.parquet")
    assert read_data(tmp_path / "data.parquet")["row"].tolist() == ["a", "b"]


def test_parquet_keeps_its_types(tmp_path):
    theirs = pd.DataFrame(
        {
            "f": pd.Categorical(["b", "a"], ["b", "a"]),
            "o": pd.Categorical(["lo", "hi"], ["lo", "hi"], ordered=True),
            "t": pd.to_datetime(["2020-01-01", "2021-01-01"]),
            "b": [True, None],
        }
    )
    theirs.to_parquet(tmp_path / "data.parquet")
    frame = read_data(tmp_path / "data.parquet")
    assert (
        list(frame["f"].cat.categories) == ["b", "a"] and frame["o"].cat.ordered and str(frame["b"].dtype) == "boolean"
    )
    assert read_data(tmp_path / "data.parquet", filter="o > 'lo' and t >= '2020-06-01'").index.tolist() == [1]
    assert read_data(tmp_path / "data.parquet", filter="b").attrs["lmmtools"]["rows_undecided"] == 1


def test_another_program_s_order_of_appearance_is_no_order(tmp_path):
    pl.DataFrame({"g": ["z", "a"]}, schema={"g": pl.Categorical}).write_parquet(tmp_path / "p.parquet")
    assert str(read_data(tmp_path / "p.parquet")["g"].dtype) == "str"


WRONG_FILES = {
    "empty": (b"", "data.csv", "`data.csv` is empty"),
    "header only": (b"y,g\n", "data.csv", "has column names but no rows"),
    "ragged": (b"y,g\n1,a\n1,a,3\n2\n", "data.csv", "is ragged: line 3 has 3 fields (and 1 further line)"),
    "ragged after Excel's line": (b"sep=;\ny;g\n1;a\n1\n", "data.csv", "is ragged: line 4 has 1 field,"),
    "one name twice": (b"y,y\n1,2\n", "data.csv", "names more than one column `y`"),
    "no name": (b"y,,g\n1,2,3\n", "data.csv", "has no name for column 2"),
    "another encoding": ("y,g\n1,ä\n".encode("latin-1"), "data.csv", "is not UTF-8 (byte 0xE4 in line 2)"),
    "utf-16": ("y,g\n1,a\n".encode("utf-16"), "data.csv", "is not UTF-8 (byte 0xFF in line 1)"),
    "zero byte": (b"y,g\n1,\0\n", "data.csv", "holds a zero byte in line 2"),
    "open quote": (b'y,g\n1,"a\n2,b\n', "data.csv", "look for a quote that is not closed"),
    "no gzip": (b"y,g\n1,a\n", "data.csv.gz", "is no whole gzip file"),
    "half a gzip": (gzip.compress(b"y,g\n1,a\n" * 50)[:-9], "data.csv.gz", "is no whole gzip file"),
    "no Parquet": (b"PAR1nonsense", "data.parquet", "is no readable Parquet file"),
    "no bytes of Parquet": (b"", "data.parquet", "is no Parquet file"),
    "spreadsheet": (b"PK", "data.xlsx", "is of no kind that is read"),
}


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_a_wrong_file_has_its_sentence(file, wrong):
    content, name, expected = WRONG_FILES[wrong]
    with pytest.raises(DataError) as caught:
        read_data(file(content, name))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Orthodnt", "did you mean `Orthodont`"),
        ("{}/dta.csv", "did you mean `data.csv`"),
        ("{}/nowhere/data.csv", "(and no folder `"),
        ("{}", "is a folder"),
        ("x" * 5000 + ".csv", "cannot be read (File name too long)"),
        ("a\0b.csv", "cannot be read"),
        (3, "got int"),
    ],
)
def test_a_source_that_is_none(file, tmp_path, source, expected):
    file(ROWS)
    with pytest.raises(DataError) as caught:
        read_data(source.format(tmp_path) if isinstance(source, str) else source)
    assert expected in str(caught.value)


def test_factors_are_read_as_they_are_written(file):
    path = file("g,o\n01,2\nNA,10\n1,\n")
    declared = {"g": {"kind": "factor", "levels": ["NA", "1", "01"]}, "o": {"kind": "ordered", "levels": [2, 10.0]}}
    frame = read_data(path, columns=declared)
    assert frame["g"].tolist() == ["01", "NA", "1"] and list(frame["g"].cat.categories) == ["NA", "1", "01"]
    assert frame["o"].cat.ordered and list(frame["o"].cat.categories) == ["2", "10"] and frame["o"].isna().sum() == 1
    assert declared["o"]["levels"] == [2, 10.0], "what was passed in is left alone"
    by_size = read_data(path, columns={"o": {"kind": "factor"}})["o"]
    assert list(by_size.cat.categories) == ["2", "10"]


WRONG_COLUMNS = [
    ({"q": {}}, "the data have no column `q`"),
    ({"Y": {}}, "did you mean `y`"),
    ({"g": {"kind": "number"}}, "3 values cannot be read as one: `a`, `b`"),
    ({"g": {"kind": "numbr"}}, "did you mean `number`"),
    ({"g": {"knd": "number"}}, "unknown key `knd` (did you mean `kind`?)"),
    ({"g": {"kind": "factor", "levels": ["a", "B"]}}, "`g` holds `b` (did you mean `B`?)"),
    ({"g": {"kind": "factor", "levels": ["a", "b", "a"]}}, "name `a` more than once"),
    ({"g": {"kind": "factor", "levels": []}}, "at least one"),
    ({"g": {"kind": "ordered"}}, "its levels must be listed"),
    ({"g": {"levels": ["a", "b"]}}, 'its kind must be "factor" or "ordered"'),
    ({"g": {"noun": ["child"]}}, "is singular and plural"),
    ({"g": {"unit": 3}}, "is a text; got 3"),
    ({"g": 3}, "is a mapping"),
    ([], "got list"),
]


@pytest.mark.parametrize(("columns", "expected"), WRONG_COLUMNS)
def test_a_wrong_declaration_has_its_sentence(file, columns, expected):
    with pytest.raises(DataError) as caught:
        read_data(file("y,g\n1,a\n2,b\n3,a\n"), columns=columns)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "kept", "undecided"),
    [
        ("x > 2", [2, 3], 1),
        ("not x > 2", [0], 1),
        ("not (x > 2 or y == 2)", [0], 0),
        ("x > 2 or g == 'b'", [1, 2, 3], 0),  # true whatever x is
        ("x > 2 and g == 'b'", [], 2),
        ("g != 'a'", [1], 1),
        ("g in ['a']", [0, 2], 1),
        ("g not in ('a', 'b') or y > 0", [0, 1, 2, 3], 0),
        ("2 < x <= 4", [2], 1),
        ("-y + 2 * x ** 2 % 5 // 1 >= 0 / 1", [0], 1),
        ("x / (y - 1) > 1e9", [0], 1),
        ("`y` == 1 or\n 3==y", [0, 2], 0),
        ("  y == 1", [0], 0),
    ],
)
def test_a_filter_keeps_rows_for_which_it_is_true(file, condition, kept, undecided):
    if not kept:
        with pytest.raises(DataError, match=rf"keeps none of the 4 rows \({undecided} of them because of missing"):
            read_data(file(ROWS), filter=condition)
        return
    frame = read_data(file(ROWS), filter=condition)
    assert frame.index.tolist() == kept
    assert frame.attrs["lmmtools"]["rows_undecided"] == undecided and frame.attrs["lmmtools"]["rows_read"] == 4
    assert frame.attrs["lmmtools"]["filter"] == condition


def test_names_that_are_no_words_and_texts_that_look_like_names(file):
    path = file("日本,a b,<script>\n1,'x',`\n2,z,😀\n")
    assert len(read_data(path, filter="日本 == 1 and `a b` == \"'x'\" and `<script>` == '`'")) == 1
    assert len(read_data(path, filter="`<script>` == '😀' and 日本 < 4")) == 1


def test_columns_of_two_kinds_are_not_compared():
    frame = pd.DataFrame({"i": [1, 2], "b": [True, False]})
    with pytest.raises(DataError, match=r"`i`, which holds numbers, with `b`, which holds true or false\.$"):
        read_data(frame, filter="i == b")
    with pytest.raises(DataError, match=r"the filter `i > 2\\nand b` keeps none"):
        read_data(frame, filter="i > 2\nand b")


def test_ordered_levels_compare_in_their_order():
    cool = read_data("cake", filter="temperature < '195'")
    assert set(cool["temperature"]) == {"175", "185"}


REFUSED = {
    "__import__('os').system('x')": "a function call is not allowed",
    "age.real > 1": "an attribute (a dot after a name) is not allowed",
    "age[0] > 1": "an index in brackets is not allowed",
    "[age for age in age]": "is not allowed",
    "(lambda: 1)() == 1": "a function call is not allowed",
    "f'{age}' == 'x'": "is not allowed",
    "age := 3": "compared with `==`, not `=`",
    "age > 8  # years": "`#` has no meaning",
    "age > None": "`None` is not allowed",
    "age is 8": "not with `is`",
    "age > 8 & age < 12": "write `and`",
    "~(age > 8)": "write `not`",
    "age = 8": "compared with `==`",
    "age > 8 && age < 12": "joined by `and` and `or`",
    "age in 8": "after `in` stands a list",
    "age in []": "after `in` stands a list",
    "age > 8 and": "this cannot be read",
    "`age": "is empty or not closed",
    "agee > 8": "did you mean `age`?",
    "Sex == Male": 'goes between quotes: "Male"',
    "Sex == 'male'": "has no value `male` (did you mean `Male`?)",
    "Sex == 1": "write the value between quotes",
    "age == '8'": "write the number without quotes",
    "Sex < 'Male'": "texts have no order here",
    "Sex + 1 > 2": "not numbers",
    "age": "not true or false",
    "age and Sex": "not true or false",
    "True": "names no column",
    "1 < 2": "names no column",
    "age > 99": "keeps none of the 108 rows",
    "(" * 250 + "age" + ")" * 250 + " > 8": "this cannot be read",
    "not " * 2400 + "age > 8": "nested too deep",
    "age > 8 or " * 2000 + "age > 8": "characters, more than",
    "age\0 > 8": "this cannot be read",
}


@pytest.mark.parametrize("condition", REFUSED, ids=lambda text: text[:30].replace("\0", "0"))
def test_a_filter_that_is_none_has_its_sentence(condition):
    with pytest.raises(DataError) as caught:
        read_data("Orthodont", filter=condition)
    assert REFUSED[condition] in str(caught.value)


PIECE = st.sampled_from(
    ["age", "Sex", "`age`", "8", "'Male'", "==", "<", "in", "[", "]", "(", ")", "and", "or", "not", "+", "**", "-", ",",
     "9999999999999999999999", "1e400", "\n", "`", "'", "is", "None", "True", ".", "x", "=", "é", "#", "\\", ":", "%"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=30), st.lists(PIECE, max_size=12).map(" ".join)))
def test_any_text_is_a_filter_or_is_refused_in_a_sentence(text):
    try:
        frame = read_data("Orthodont", filter=text)
    except DataError as error:
        assert str(error).endswith((".", "`")), error
    else:
        assert 0 < len(frame) <= 108


def test_a_frame_is_filtered_and_left_alone():
    whole = lt.load_dataset("Orthodont")
    part = read_data(whole, filter="age > 8", columns={"age": {"unit": "a"}})
    assert (
        len(part) == 81 and part.attrs["lmmtools"]["units"]["age"] == "a" and part.attrs["lmmtools"]["rows_read"] == 108
    )
    pd.testing.assert_frame_equal(whole, lt.load_dataset("Orthodont"))
    assert whole.attrs == lt.load_dataset("Orthodont").attrs
    bare = read_data(pd.DataFrame({"y": [1, 2]}), filter="y > 1")
    assert bare.attrs["lmmtools"]["units"] == {} and bare["y"].tolist() == [2]
    with pytest.raises(DataError, match="two columns of one name"):
        read_data(pd.DataFrame([[1, 2]], columns=["y", "y"]))


def test_a_filter_is_applied_to_the_fit():
    frame = read_data("Orthodont", filter="Sex == 'Female'")
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", frame)
    assert fit.nobs == 44 and np.isfinite(fit.criterion)
