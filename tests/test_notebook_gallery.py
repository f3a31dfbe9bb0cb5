"""The gallery: every plot once, under a heading and a sentence, with its line on the page, in HTML and in PDF."""

import ast
import html
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

import lmmtools as lt
from tests.test_notebooks import check_outputs, executed, read

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "gallery.ipynb"
DRAWN = re.compile(r"^lt\.figure\(lt\.plots\.(\w+)", re.MULTILINE)
TAG = "show-input"


def cells():
    return read(NOTEBOOK).cells


def drawing():
    """The cells that draw, each with the cell before it and the names of what it draws."""
    pairs = [(before, cell, DRAWN.findall(cell.source)) for before, cell in pairwise(cells())]
    return [pair for pair in pairs if pair[-1]]


def test_every_plot_is_drawn_once():
    assert sorted(name for _, _, names in drawing() for name in names) == sorted(lt.plots.__all__)


def test_every_picture_has_a_heading_a_sentence_and_its_line():
    for before, cell, names in drawing():
        assert re.match(r"(## .+\n\n.+\n\n)?### \S.*\n\n[A-Z].*[.?]\Z", before.source), before.source
        assert len(names) == 1
        assert TAG in cell.metadata["tags"], cell.source


def test_all_code_that_makes_something_is_on_the_page():
    hidden = [cell.id for cell in cells() if cell.cell_type == "code" and TAG not in cell.metadata.get("tags", [])]
    assert hidden == ["parameters", "record"]


def test_lines_fit_the_page():
    shown = [cell.source for cell in cells() if TAG in cell.metadata.get("tags", [])]
    assert [line for source in shown for line in source.splitlines() if len(line) > 88] == []


def test_pictures_stand_in_groups_from_the_data_to_the_next_study():
    words = "\n".join(cell.source for cell in cells() if cell.cell_type == "markdown")
    groups = re.findall(r"^## (.*)", words, flags=re.MULTILINE)
    expected = ("data", "model", "random effects", "Residuals", "Influence", "Inference", "Prediction", "Planning")
    assert len(groups) == len(expected) + 1  # and the record, which reports leave out
    assert all(word in group for word, group in zip(expected, groups, strict=False))


def test_its_study_is_the_one_that_make_runs():
    from lmmtools.report.asked.expand import expand
    from lmmtools.report.asked.study import read_study

    (run,) = expand(*read_study(NOTEBOOK.parent / "studies" / "gallery.toml"))
    assert run.notebook == NOTEBOOK
    makefile = (NOTEBOOK.parents[1] / "Makefile").read_text(encoding="utf-8")
    target = re.search(r"^gallery:.*\n\t(.*)", makefile, re.MULTILINE)
    assert "lmmtools report notebooks/studies/gallery.toml --out $(OUT)/gallery" in target[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return executed(NOTEBOOK, tmp_path_factory.mktemp("gallery"))


@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(run):
    check_outputs(run)
    drawn = [output.metadata["lmmtools"]["kind"] for cell in run.cells for output in cell.get("outputs", [])]
    assert drawn.count("figure") == len(lt.plots.__all__)
    assert set(drawn) == {"figure", "record"}


@pytest.mark.slow
def test_its_page_shows_every_picture_under_its_line(run):
    from lmmtools.report.pages.export_html import LmmHtmlExporter

    text, made = LmmHtmlExporter().from_notebook_node(run)
    assert made["lmmtools_warnings"] == []
    parts = re.findall(r'<div class="listing">(.*?)</div>\s*</div>\s*<figure id="fig-[\w-]+">', text, flags=re.DOTALL)
    shown = [html.unescape(re.sub(r"<[^>]+>", "", part)) for part in parts]
    assert sorted(name for part in shown for name in DRAWN.findall(part)) == sorted(lt.plots.__all__)
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)  # offline: nothing is asked of anyone
    contents = re.search(r'<nav class="contents".*?</nav>', text, flags=re.DOTALL)[0]
    assert contents.count('class="level3"') == len(lt.plots.__all__)


@pytest.mark.slow
def test_its_pdf_shows_every_line(run, pdftotext, tmp_path):
    from lmmtools.report.pages.export_pdf import LmmPdfExporter

    pdf, made = LmmPdfExporter().from_notebook_node(run)
    assert made["lmmtools_warnings"] == []
    (tmp_path / "gallery.pdf").write_bytes(pdf)
    done = subprocess.run([pdftotext, str(tmp_path / "gallery.pdf"), "-"], check=True, capture_output=True, text=True)
    assert [name for name in lt.plots.__all__ if f"lt.figure(lt.plots.{name}," not in done.stdout] == []
    assert len(re.findall(r"^Figure \d+\.", done.stdout, flags=re.MULTILINE)) == len(lt.plots.__all__)


def test_each_cell_is_python_that_names_what_exists():
    nodes = [node for cell in cells() if cell.cell_type == "code" for node in ast.walk(ast.parse(cell.source))]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lt"}
    assert [name for name in sorted(names) if not hasattr(lt, name)] == []
