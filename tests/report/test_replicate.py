"""`lmmtools replicate`: its pages, its request, its exit codes; numbers by hand, so that nothing is fitted but once."""

import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pikepdf
import pytest
from nbformat.v4 import new_markdown_cell
from typer.testing import CliRunner

import lmmtools
from lmmtools.__main__ import app
from lmmtools.errors import StudyError
from lmmtools.report.locate import resource_dir
from lmmtools.report.overview.index import index_files
from lmmtools.report.pages.export_html import LmmHtmlExporter
from lmmtools.report.replication import make, request
from lmmtools.report.replication.content import index_page, summary_sentence
from lmmtools.report.replication.earlier import earlier_pages
from lmmtools.report.replication.notebooks import Notebook, not_run, source_notebooks
from lmmtools.report.replication.pages import replication_files
from lmmtools.report.replication.request import read_request
from lmmtools.report.replication.rows import number_rows
from lmmtools.report.replication.signs import SIGNS
from tests.report.conftest import notebook
from tests.report.pages import HOSTILE
from tests.report.replications import NUMBERS, printed_as, replication, sharing, silent, source
from tests.report.test_html import Elements

AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
NOTEBOOKS = (
    Notebook("first", "First, computed", "ok", (), (("html", "notebooks/first.html"), ("pdf", "notebooks/first.pdf"))),
    Notebook("third", "Third, computed", "failed", ("It stopped.",), (("ipynb", "notebooks/third.ipynb"),)),
)  # fmt: skip
LEDGER = """\
title = "Dyestuff"
citation = "Davies, O. L. (1947). Statistical methods."
read = "the print"
[models.fm1]
data = "Dyestuff"
formula = "Yield ~ 1 + (1 | Batch)"
[[tables]]
place = "Table 1"
model = "fm1"
numbers = [
  { quantity = "mean", printed = "1527.5", path = "fixef.Intercept" },
  { quantity = "Residual", printed = "49.51", path = "varcorr.Residual.sd" },
]
"""


@pytest.fixture(scope="module")
def found():
    return replication(source("first"), source("second"), source("hostile", f" {HOSTILE}"))


@pytest.fixture(scope="module")
def made(found):
    return replication_files(found, NOTEBOOKS)


@pytest.fixture(scope="module")
def files(made):
    return made[0]


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("replication")
    for name, content in files.items():
        (out / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return out


def pages(found, notebooks, earlier=()):
    """Files of a replication that take no time to make."""
    words = " ".join([source.title for source in found.sources] + [f"{one.title}: {one.status}" for one in notebooks])
    return {"index.html": words, "replication.json": found.to_json()}, []


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that gives the command arguments; numbers and notebooks come from the test, pages are words."""
    told = []

    def replicate(sources, *, jobs, progress):
        told.append(tuple(map(str, sources)))
        progress(0, 2, "")
        progress(2, 2, "first: fm1")
        return replication(source("first", rows=NUMBERS[:-1]))

    monkeypatch.setattr(lmmtools, "replicate", replicate)
    monkeypatch.setattr(make, "make_notebooks", lambda study, names, out, **_: make.not_run(study, names, out))

    monkeypatch.setattr(make, "replication_files", pages)

    def ran(*arguments):
        return CliRunner().invoke(app, ["replicate", *arguments, "--out", str(tmp_path / "out")])

    ran.told, ran.out = told, tmp_path / "out"
    return ran


def rows_of(page):
    """The rows of a page's tables of numbers, as words."""
    table = re.findall(r'<div class="scroll ledger[^"]*".*?</table>', page, flags=re.DOTALL)
    rows = [row for one in table for row in re.findall(r"<tr[^>]*>.*?</tr>", one, flags=re.DOTALL)]
    return [Elements(row).words for row in rows if '<th scope="col"' not in row]


# --- pages ------------------------------------------------------------------------------------------------


def test_a_sentence_says_what_became_of_all_numbers():
    assert summary_sentence(replication(source("first"))) == (
        "Of 10 printed numbers in 1 source, 3 are reproduced as printed, 1 is truncated, "
        "1 is reproduced under a variant, 1 is rightly said to have no estimate, "
        "1 is off by some units in the last place, 1 is not reproduced, "
        "1 is without an estimate, 1 is not computed, for an error."
    )


def test_every_verdict_has_words_of_its_own_and_those_of_one_mark_have_one_colour():
    assert len({sign.heading for sign in SIGNS}) == len(SIGNS)
    assert len({(sign.mark, sign.kind) for sign in SIGNS}) == len({sign.mark for sign in SIGNS})


def test_numbers_stand_in_the_order_of_the_source_and_what_is_said_of_a_miss_below_it(files):
    rows = rows_of(files["first.html"])
    numbers = [row for row in rows if row.startswith("quantity")]
    assert [re.search(r"quantity (\d+)", row)[1] for row in numbers] == [*map(str, range(10, 18)), "40", "41"]
    for row, (printed, _, _, _, _, remark) in zip(numbers, NUMBERS, strict=False):
        assert printed_as(printed) in row.split()
        below = rows[rows.index(row) + 1]
        assert remark.replace("`", "")[1:] in below  # which begins with a capital
        assert not remark or not below.startswith("quantity")
    words = " ".join(numbers)
    for said in ("✓ reproduced", "✓ truncated", "→ under a variant", "≈ off by 2 units", "≠ not reproduced", "! error"):
        assert said in words


def test_points_align_and_digits_beyond_the_printed_ones_are_told_apart():
    first, second, *_ = number_rows(source("first").entries)
    assert (first.computed, first.more) == ("1743.6", "28")
    assert (second.computed, second.more) == ("24.74", "88")
    assert len(first.pads[0]) - len(second.pads[0]) == 1
    by_printed = {row.printed: row for row in number_rows(source("first").entries)}
    assert by_printed["−∞"].computed == "no estimate"
    assert by_printed["8.8e−11"].computed == ""


def test_each_model_stands_above_its_numbers_as_printed_and_as_run(files):
    words = Elements(files["first.html"]).words
    before, _, after = words.partition("Table 1, p. 12 fm1 printed lmer(y ~ x, data) run y ~ x + (x | g)")
    assert before and after.lstrip().startswith("sleepstudy, REML, filter x > 1 Quantity Printed Computed Verdict")
    assert "Table 2, p. 13, line 7" in words
    assert "found it failed" in words


def test_every_link_leads_somewhere(files):
    ids = {name: {attrs["id"] for _, attrs in Elements(text).found if "id" in attrs}
           for name, text in files.items() if name.endswith(".html")}  # fmt: skip
    links = [(name, attrs["href"]) for name in ids for attrs in Elements(files[name]).of("a")]
    for name, link in links:
        page, _, anchor = unquote(link).partition("#")
        if not page.startswith("notebooks/"):
            assert (page or name) in files, link
            assert not anchor or anchor in ids[page or name], link
    assert ("index.html", "first.html#n14") in links  # from a miss to its row
    assert {("index.html", "first.html"), ("first.html", "index.html"), ("first.html", "second.html")} <= set(links)
    assert {("index.html", "notebooks/first.html"), ("first.html", "notebooks/first.html")} <= set(links)


def test_the_index_lists_what_is_not_reproduced_with_its_reason_and_no_more(files):
    rows = rows_of(files["index.html"])
    numbers = [row for row in rows if row.startswith("quantity")]
    assert len(numbers) == 3 * 6  # of each source: truncated, variant, off by n, not reproduced, no estimate, error
    assert all(any(row.startswith(f"quantity {at} ") for row in numbers) for at in (11, 12, 13, 14, 15, 17))
    assert rows.count("Table 1, p. 12") == 3
    assert sum("Reason not found." in row for row in rows) == 3
    words = Elements(files["index.html"]).words
    for said in (
        "First, computed",
        "failed It stopped.",
        "What the verdicts mean",
        "sha256 " + "0" * 64,
        "python 3.11",
    ):
        assert said in words


def test_a_reason_that_numbers_of_a_place_share_is_said_once_and_what_was_tried_is_a_line(pdftotext, tmp_path):
    files = replication_files(replication(sharing()))[0]
    page, index = rows_of(files["shared.html"]), rows_of(files["index.html"])
    words = Elements(files["shared.html"]).words
    assert words.count("The search ended early.") == 1
    assert "2 numbers here are not reproduced as printed. The search ended early." in words
    assert all(sum(one.search.sentence in row for row in page) == 1 for one in sharing().entries if one.search)
    assert index == [
        "Table 1, p. 12 The search ended early.",
        "quantity 13 line 7 −0.138 −0.14010 ≈ off by 2 units none of 2 1.3×10⁻⁹",
        "quantity 14 612.1002 612.089900 ≠ not reproduced 1 of 2, luck 50 % < 10⁻¹⁰",
    ]
    (tmp_path / "page.pdf").write_bytes(files["replication.pdf"])
    command = [pdftotext, "-layout", str(tmp_path / "page.pdf"), "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert text.count("The search ended early.") == 2  # in the list of misses, and beside the source
    assert re.search(r"none of 2 +1\.3×10−?", text)


def test_pages_of_earlier_runs_are_named_and_dated_and_none_of_their_numbers_is_shown(found, folder, tmp_path):
    for name in ("first.html", "second.html", "hostile.html", "index.html"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "mine.html").write_text('<p>data-ledger="mine"</p>', encoding="utf-8")
    (tmp_path / "copy.html").write_bytes((folder / "first.html").read_bytes())
    earlier = earlier_pages(tmp_path, ["second"])
    assert [(one.name, one.title, one.written) for one in earlier] == [
        ("first", "On first", "1970-01-01 00:00"), ("hostile", f"On hostile {HOSTILE}", "1970-01-01 00:00")
    ]  # fmt: skip
    page = LmmHtmlExporter(folder=resource_dir("templates") / "replication_html").from_notebook_node(
        notebook(), {"lmmtools_page": index_page(replication(source("second")), (), earlier)}
    )[0]
    assert "Pages of earlier runs" in page and 'href="first.html"' in page
    assert "first.html#" not in page
    assert "Of 10 printed numbers in 1 source" in Elements(page).words


@pytest.mark.parametrize(
    ("template", "links"),
    [("replication_notebook", ["../index.html"]),
     ("replication_notebook_de_leeuw", ["../index.html", "../de_leeuw.html"])],
)  # fmt: skip
def test_a_notebook_leads_back_to_the_index_and_to_the_ledger_of_its_source(template, links):
    exporter = LmmHtmlExporter(folder=resource_dir("templates") / template)
    page = Elements(exporter.from_notebook_node(notebook(new_markdown_cell("# First")))[0])
    assert [attrs["href"] for attrs in page.of("a") if attrs["href"].startswith("..")] == links


def test_each_source_with_a_ledger_and_a_notebook_has_a_template_that_leads_from_one_to_the_other():
    both = set(lmmtools.published().index) & set(source_notebooks().runs)
    named = resource_dir("templates").glob("replication_notebook_*")
    assert {folder.name.removeprefix("replication_notebook_") for folder in named} == both


def test_the_index_of_the_notebooks_leads_back():
    page = Elements(index_files("Notebooks", [], above=("../index.html", "All sources"))["index.html"])
    assert "../index.html" in [attrs["href"] for attrs in page.of("a")]
    assert "../index.html" not in index_files("Notebooks", [])["index.html"]


def test_notebooks_of_earlier_runs_are_not_said_to_be_missing(tmp_path):
    study = source_notebooks()
    (tmp_path / "notebooks").mkdir()
    for run in ("clyde", "zheng"):
        (tmp_path / "notebooks" / f"{study.runs[run].name}.html").write_text("old", encoding="utf-8")
    told = [(one.source, one.status, one.page, one.asked) for one in not_run(study, ["clyde", "berkeley"], tmp_path)]
    assert told == [
        ("clyde", "out of date", "", True), ("berkeley", "not made", "", True), ("zheng", "out of date", "", False)
    ]  # fmt: skip


def test_hostile_text_is_text_and_nothing_is_asked_of_the_network(files):
    plain, hostile = Elements(files["first.html"]), Elements(files["hostile.html"])
    assert [tag for tag, _ in plain.found if tag in ("script", "img", "style")] == ["style", "script"]
    assert {tag for tag, _ in hostile.found} == {tag for tag, _ in plain.found}
    assert len({len(page.of("script", "style", "tr", "h2", "dd", "code")) for page in (plain, hostile)}) == 1
    for text in (files["index.html"], files["hostile.html"]):
        page = Elements(text)
        assert page.open == page.crossed == []
        assert not [attrs for attrs in page.of("script", "img", "link", "iframe") if "src" in attrs or "href" in attrs]
        assert any("default-src 'none'" in attrs.get("content", "") for attrs in page.of("meta"))
    assert "{{ 7 * 7 }}" in hostile.words


def test_a_mistake_of_a_ledger_is_told_on_its_page():
    broken = source("first", rows=NUMBERS[:1], problems=((3, "first.toml:3: models.fm3: unknown key `x`"),))
    page = replication_files(replication(broken))[0]["first.html"]
    assert "first.toml:3: models.fm3: unknown key `x`" in Elements(page).words


def test_equal_results_give_equal_bytes(found, files):
    again = replication_files(found, NOTEBOOKS)[0]
    assert {name: again[name] == content for name, content in files.items()} == dict.fromkeys(files, True)


def test_the_pdf_is_accessible_and_every_source_begins_a_page(made, folder, pdftotext):
    assert made[1] == [] or made[1] == [one for one in made[1] if "fonts lack" in one]  # of the hostile source
    with pikepdf.open(folder / "replication.pdf") as document:
        assert document.open_metadata().get("pdfuaid:part") == "1"
        pages = len(document.pages)
    begun = []
    for number in range(1, pages + 1):
        command = [pdftotext, "-f", str(number), "-l", str(number), str(folder / "replication.pdf"), "-"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        begun += re.findall(r"\A(?:.*\n+){2}On (\w+)(?: [^\x00]{0,400})?\n+Author, A\. \(2015\)", text)
    assert begun == ["first", "second", "hostile"]


# --- request ----------------------------------------------------------------------------------------------


def test_a_source_may_have_a_ledger_a_notebook_or_both():
    everything = read_request(())
    shipped = list(lmmtools.published().index)
    assert list(everything.ledgers) == shipped
    assert set(everything.notebooks) == {"de_leeuw", "clyde", "zheng", "berkeley"}
    both = read_request(("de_leeuw", "pbkrtest", "clyde"))
    assert both.ledgers == ("de_leeuw", "pbkrtest")
    assert both.notebooks == ("de_leeuw", "clyde")
    without = read_request(("de_leeuw",), notebooks=False)
    assert (without.ledgers, without.notebooks, without.unrun) == (("de_leeuw",), (), ("de_leeuw",))


@pytest.mark.parametrize(
    ("sources", "options", "said"),
    [
        (["pbkrtst"], {}, 'no source "pbkrtst"; did you mean "pbkrtest"'),
        (["zeng"], {}, 'did you mean "zheng"'),
        (["clyde"], {"notebooks": False}, "leave out --no-notebooks"),
        (["somewhere/index.toml"], {}, "would take the place of another"),
    ],
)
def test_a_request_that_is_wrong_says_what_is_meant(sources, options, said):
    with pytest.raises(StudyError, match=re.escape(said)) as caught:
        read_request(sources, **options)
    assert "othing was run" in str(caught.value)


def test_without_notebooks_a_study_of_them_that_is_wrong_stops_nothing(monkeypatch):
    def broken():
        raise StudyError("sources.toml:3: unknown key `titel`")

    monkeypatch.setattr(request, "source_notebooks", broken)
    assert read_request(("de_leeuw",), notebooks=False).ledgers == ("de_leeuw",)
    assert set(read_request((), notebooks=False).ledgers) == set(lmmtools.published().index)
    with pytest.raises(StudyError, match="titel"):
        read_request(("de_leeuw",))


# --- the command ------------------------------------------------------------------------------------------


def test_it_says_what_was_found_and_writes_the_pages(run):
    done = run("pbkrtest", "clyde")
    assert done.exit_code == 0, done.output
    assert run.told == [("pbkrtest",)]
    assert "Of 9 printed numbers in 1 source" in done.output
    assert {path.name for path in run.out.iterdir()} == {".lmmtools", "index.html", "replication.json"}
    assert json.loads((run.out / "replication.json").read_text(encoding="utf-8"))["good"] is True


def test_a_number_nobody_has_looked_at_is_named_and_fails(run, monkeypatch):
    monkeypatch.setattr(lmmtools, "replicate", lambda sources, **_: replication(source("first")))
    done = run("--no-notebooks")
    assert done.exit_code == 1
    assert "first.toml:17: quantity 17, printed 8.8e-11: there is no data set" in done.output


def test_a_notebook_that_failed_fails(run, monkeypatch):
    monkeypatch.setattr(make, "make_notebooks", lambda *_, **__: NOTEBOOKS)
    done = run("clyde")
    assert done.exit_code == 1
    assert run.told == []  # it has no ledger
    assert "Third, computed failed: It stopped." in done.output
    assert "First, computed" in (run.out / "index.html").read_text(encoding="utf-8")


def test_an_unknown_source_is_told_before_anything_is_run(run):
    done = run("pbkrtest", "de_leuw")
    assert done.exit_code == 2
    assert 'did you mean "de_leeuw"' in done.output
    assert run.told == [] and not run.out.exists()


def test_stopped_while_numbers_are_computed_it_leaves_what_was_there(run, monkeypatch):
    assert run("pbkrtest").exit_code == 0
    before = {path.name: path.read_bytes() for path in run.out.iterdir() if path.is_file()}

    def stopped(sources, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lmmtools, "replicate", stopped)
    done = run("pbkrtest")
    assert done.exit_code == 130
    assert {path.name: path.read_bytes() for path in run.out.iterdir() if path.is_file()} == before


def test_stopped_while_notebooks_run_the_numbers_are_written(run, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(make, "make_notebooks", stopped)
    done = run("pbkrtest", "clyde")
    assert done.exit_code == 130
    assert (run.out / "index.html").read_text(encoding="utf-8").endswith("mixed model equations: not made")


def test_a_ledger_of_ones_own_is_computed(tmp_path):
    (tmp_path / "mine.toml").write_text(LEDGER, encoding="utf-8")
    made = make.make_replication(read_request([str(tmp_path / "mine.toml")]), tmp_path / "out", silent(), jobs=1)
    assert made.good
    rows = rows_of((tmp_path / "out" / "mine.html").read_text(encoding="utf-8"))
    assert [row.split("Computed")[0] for row in rows] == [
        "mean 1527.5 1527.500 ✓ reproduced fixef.Intercept", "Residual 49.51 49.5101 ✓ reproduced varcorr.Residual.sd"
    ]  # fmt: skip


def test_notebooks_go_beside_the_index_and_are_asked_for_by_the_name_of_their_source(tmp_path, monkeypatch):
    from lmmtools.report.replication import notebooks
    from lmmtools.report.runs import make as studies
    from lmmtools.report.runs.outcome import Outcome

    def make_study(study, runs, out, *, only, **_):
        outcomes = [Outcome(run, "ok", (), {}, (f"{run.name}.html",)) for run in runs]
        assert out == tmp_path / "notebooks"
        return studies.Made(tuple(outcomes), out / "index.html", 0.0, frozenset(only))

    monkeypatch.setattr(studies, "make_study", make_study)
    one, *others = notebooks.make_notebooks(source_notebooks(), ["clyde"], tmp_path)
    assert (one.source, one.page, one.good) == ("clyde", "notebooks/dyestuff-clyde.html", True)
    assert [other.asked for other in others] == [False] * 3  # which have files there too


def test_the_schema_of_a_ledger_is_printed_too():
    printed = CliRunner().invoke(app, ["schema", "--ledger"]).stdout
    assert json.loads(printed)["title"] != json.loads(CliRunner().invoke(app, ["schema"]).stdout)["title"]


# --- looked at --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_axe_finds_nothing_and_no_page_is_wider_than_the_screen(folder, chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, width, scheme in (("index", 1280, "light"), ("hostile", 390, "dark")):
            page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            page.goto((folder / f"{name}.html").as_uri())
            page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
            result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == []
            for narrower in (width, 320):
                page.set_viewport_size({"width": narrower, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth") <= narrower
        browser.close()
