"""The index and its cross-check page: what stands in them, for every kind of run."""

import json
import re
from dataclasses import replace

import pytest

from lmmtools.crosscheck.verdicts import MEANINGS
from lmmtools.records import STATUSES
from lmmtools.report.overview import index as index_module
from lmmtools.report.overview.entries import VERDICT_CLASSES, make_entry, verdict_class
from lmmtools.report.overview.index import index_files, index_page
from lmmtools.report.pages.policy import content_hash
from tests.report.outcomes import HOSTILE, Elements, hostile, outcome_of, record_of, row_of, varied

PAGES = ("index.html", "crosscheck.html")


@pytest.fixture(scope="module")
def files():
    return index_files("A study", varied())


def test_equal_outcomes_give_equal_bytes_and_no_clock_time(files):
    later = [replace(one, seconds={"notebook": 9.75}) for one in varied()]
    assert index_files("A study", later) == files
    assert list(files) == ["index.json", "index.csv", "crosscheck.html", "index.html"]
    assert index_page("A study", varied()) == files["index.html"]


def test_statuses_and_verdicts_are_those_of_records_and_cross_checks():
    assert index_module.STATUSES[: len(STATUSES)] == STATUSES
    classes = {verdict: verdict_class(verdict) for verdict in MEANINGS}
    assert set(classes.values()) == set(VERDICT_CLASSES)
    assert [verdict for verdict, kind in classes.items() if kind == "unexplained"] == ["unexplained"]
    assert {verdict for verdict, kind in classes.items() if kind == "not compared"} == {
        "not run", "not expressible there"}  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_nothing_of_the_network_and_its_policy_knows_its_script(files, page):
    found = Elements(files[page])
    policy = found.of("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    (script,) = re.findall(r"<script>(.*?)</script>", files[page], flags=re.DOTALL)
    (sheet,) = re.findall(r"<style>(.*?)</style>", files[page], flags=re.DOTALL)
    assert "default-src 'none'" in policy
    assert f"script-src {content_hash(script)};" in policy
    assert f"style-src {content_hash(sheet)};" in policy
    assert "unsafe" not in policy
    assert not [one for tag, one in found.found if "src" in one or "style" in one or tag == "link"]
    assert not [key for _, one in found.found for key in one if key.startswith("on")]
    assert all(not re.match(r"\w+:|//", one["href"]) for one in found.of("a"))


def test_the_table_is_complete_and_accessible_without_script(files):
    found = Elements(files["index.html"])
    heads = found.of("th", scope="col")
    assert [one.get("aria-sort") for one in heads].count("none") == 8
    assert len(found.of("button", **{"class": "sort"})) == 8
    assert all("disabled" in one for one in found.of("button", **{"class": "sort"}))
    assert all("hidden" in one for one in found.of("form"))
    assert len(found.of("th", scope="row")) == len(varied())
    for words in ("0.6600 ± 0.07000", "0.5200 to 0.8000", "REML", "1.310", "0.740", "454.6"):
        assert words in row_of(found, "orthodont-slope-reml"), words
    ids = [one["id"] for _, one in found.found if "id" in one]
    assert len(ids) == len(set(ids))
    assert all("_" in one for one in set(ids) - {outcome.run.name for outcome in varied()})  # no run is called so
    labels = [one["aria-label"] for one in found.of("svg", role="img")]
    assert labels[0] == "age 0.6600; 95 %: 0.5200 to 0.8000; scale from 0 to 0.840"
    hrefs = {one["href"] for one in found.of("a")}
    assert {"orthodont-slope-reml.html", "orthodont-slope-reml.pdf", "dye-failed.log", "crosscheck.html", "index.csv",
            "index.json", "run.json"} <= hrefs  # fmt: skip
    uses = {one["href"][1:] for one in found.of("use")}
    assert uses <= set(ids)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dye-singular", ("singular", "The fit is singular.", "−3.000 ± 0.07000")),
        ("dye-bad", ("unexplained", "The cross-check differs.", "1 unexplained", "1 explained", "2 equal")),
        ("dye-failed", ("failed", "ValueError: no such <batch>", "The run failed.", "log", "not checked")),
        ("old", ("out of date", "The formula changed.", "Out of date: no number is shown.", "old HTML", "old PDF")),
        ("unmade", ("not made", "Not asked for.", "Not made yet.")),
        ("absent", ("Sex[T.Female]", "This coefficient is not in the fit.")),
        ("compared", ("comparison", "The data prefer slope.", "age, in slope", "0.6600")),
        ("explored", ("exploration", "It explores data; nothing is estimated.")),
    ],
)
def test_each_row_says_what_became_of_its_run(files, name, words):
    row = row_of(Elements(files["index.html"]), name)
    for word in words:
        assert word in row, (word, row)


def test_no_number_of_an_earlier_request_is_given(files):
    for name, text in files.items():
        assert "123456" not in text, name
        assert "123,456" not in text, name
    runs = {one["name"]: one for one in json.loads(files["index.json"])["runs"]}
    assert runs["old"]["current"] is False
    assert runs["old"]["record"] is None
    assert runs["old"]["files"]["html"] == "old.html"


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"fixef": {"Intercept": 1.0, "age": None}}, "The fit gives no estimate of it."),
        ({"fixef": {}, "coefficients": []}, "The record gives no coefficient."),
        ({"fixef": {"Intercept": 1.0, "age": float("inf")}}, "The fit gives no estimate of it."),
    ],
)
def test_a_record_that_lacks_an_estimate_is_no_error(changes, missing):
    sparse = record_of()
    sparse["numbers"] |= changes
    assert make_entry(outcome_of(record=sparse)).focal.missing == missing
    assert missing in index_page("A study", [outcome_of(record=sparse)])


def test_the_barest_record_and_an_empty_study():
    bare = [outcome_of(record={"kind": "model"}), outcome_of("two", record={"numbers": None, "cross_checks": None})]
    assert "2 runs" in index_files("A study", bare)["index.html"]
    empty = index_files("Nothing", [])
    assert "0 runs" in empty["index.html"]
    assert json.loads(empty["index.json"])["runs"] == []


@pytest.mark.parametrize("page", PAGES)
def test_hostile_names_are_text_in_the_pages(page):
    text = index_files(HOSTILE, hostile())[page]
    found = Elements(text)
    assert len(found.of("script")) == 1
    assert "alert(1)" not in found.raw
    assert "\u202e" not in text
    assert "{{ x }}" in found.text
    assert "</script><script>alert(1)</script> \"' ]]> -->\\n" in found.text
    assert "עברית 😀 漢" in found.text
    text.encode()
    plain = Elements(index_files("Plain", [outcome_of(), outcome_of("other")])[page])
    assert {tag for tag, _ in found.found} - {"strong"} == {tag for tag, _ in plain.found}


def test_on_the_cross_check_page_only_the_unexplained_is_red(files):
    found = Elements(files["crosscheck.html"])
    red = [one for _, one in found.found if {"unexplained", "failed", "alarm"} & set(one.get("class", "").split())]
    assert len(red) == 1 + 1 + 1 + 3  # count, filter, sentence; and in its row: verdict, quantity, line
    calm = Elements(index_files("Calm", [outcome_of(), outcome_of("f", status="failed", record={})])["crosscheck.html"])
    assert not [one for _, one in calm.found if {"unexplained", "failed", "alarm"} & set(one.get("class", "").split())]
    assert "none unexplained" in calm.text
    opened = [one for one in found.of("details") if "open" in one]
    assert len(opened) == 1


def test_the_cross_check_page_has_no_column_without_a_number(files):
    found = Elements(files["crosscheck.html"])
    assert "Fixed effects" in found.text
    assert "Modes, fitted values" not in found.text
    assert "--groups: 2;" in files["crosscheck.html"]
    none = index_files("None", [outcome_of("f", status="failed", record={})])["crosscheck.html"]
    assert "--groups: 5;" in none


def test_the_cross_check_page_has_every_run_engine_and_difference(files):
    found = Elements(files["crosscheck.html"])
    assert (
        "19 numbers of 6 runs compared with statsmodels 0.15.0 MixedLM: 12 equal to rounding, 6 different" in found.text
    )
    assert "and 1 unexplained" in re.sub(r"\s+", " ", found.text)
    row = row_of(found, "dye-bad")
    for words in ("1 unexplained", "2 equal", "fixed effect age", "theirs should be 0.66 there", "1.00×10⁻⁴",
                  "0.071200000", "statsmodels stopped short"):  # fmt: skip
        assert words in row, words
    assert "Not checked." in found.rows["explored"]
    assert "The run failed" in found.rows["dye-failed"]
    assert "Out of date" in found.rows["old"]
    hrefs = {one["href"] for one in found.of("a")}
    assert {f"{name}.html" for name in ("dye-bad", "old", "explored")} <= hrefs
    two = record_of()
    two["cross_checks"] *= 2
    assert (
        len(Elements(index_files("x", [outcome_of(record=two)])["crosscheck.html"]).of("tbody", **{"data-f": "0,0,0"}))
        == 2
    )
