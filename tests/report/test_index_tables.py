"""``index.json`` and ``index.csv``: for programs and spreadsheets."""

import csv
import io
import json

import pytest

from lmmtools.report.overview.index import index_files
from tests.report.outcomes import HOSTILE, hostile, outcome_of, record_of, varied


@pytest.fixture(scope="module")
def files():
    return index_files("A study", varied())


def test_hostile_names_are_text_in_the_tables():
    texts = index_files(HOSTILE, hostile())
    result = json.loads(texts["index.json"].encode())
    assert result["title"] == result["runs"][0]["title"] == result["runs"][0]["focal"]["name"] == HOSTILE
    assert "\ud800" in result["runs"][0]["reasons"][1]
    texts["index.csv"].encode()
    row = next(csv.DictReader(io.StringIO(texts["index.csv"], newline="")))
    assert row["title"] == HOSTILE.replace("\n", "\\n").replace("\u202e", "\\u202e").replace("\u202c", "\\u202c")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\uff1d1"])
def test_a_spreadsheet_runs_no_text(text):
    rows = index_files("A study", [outcome_of(title=text, record=record_of(-0.5))])["index.csv"]
    row = next(csv.DictReader(io.StringIO(rows, newline="")))
    assert row["title"].startswith("'")
    assert float(row["estimate"]) == -0.5  # a number stays one


def test_the_table_for_spreadsheets(files):
    assert files["index.csv"].count("\r\n") == len(varied()) + 1
    assert "\n" not in files["index.csv"].replace("\r\n", "")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(files["index.csv"], newline=""))}
    first = rows["orthodont-slope-reml"]
    assert (first["focal"], float(first["estimate"]), float(first["low"])) == ("age", 0.66, 0.52)
    assert (first["nobs"], first["groups"], first["icc"]) == ("108", "Subject: 27", "Subject: 0.74")
    assert (first["checks_equal"], first["checks_explained"], first["checks_unexplained"]) == ("2", "1", "0")
    assert (first["certificate"], first["pdf"], first["log"]) == ("certified", "orthodont-slope-reml.pdf", "")
    assert (rows["dye-failed"]["log"], rows["dye-failed"]["checks_equal"]) == ("dye-failed.log", "")
    assert (rows["old"]["status"], rows["old"]["estimate"], rows["old"]["aic"]) == ("out of date", "", "")
    assert rows["compared"]["model"] == "slope"


def test_everything_for_other_programs(files):
    result = json.loads(files["index.json"])
    assert result["schema"] == 1
    assert list(result["counts"].items()) == [
        ("ok", 5), ("singular", 1), ("unexplained", 1), ("failed", 1), ("out of date", 1), ("not made", 1)]  # fmt: skip
    first = result["runs"][0]
    assert first["record"] == record_of()
    assert first["parameters"] == {"level": 0.95}
    assert first["files"] == {kind: f"orthodont-slope-reml.{kind}" for kind in ("html", "pdf", "json", "ipynb")}
    odd = index_files("A study", [outcome_of(record=record_of(float("nan")))])["index.json"]
    assert json.loads(odd, parse_constant=pytest.fail)["runs"][0]["record"]["numbers"]["fixef"]["age"] is None
