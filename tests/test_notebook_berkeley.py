"""The notebook beside the Berkeley slides: executed once, its identities, its errata and its numbers."""

import re
import subprocess
from pathlib import Path

import pytest

import lmmtools as lt
from tests.test_notebooks import check_outputs, executed, read

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "berkeley.ipynb"
ERRATA = {
    "tbl-fixed-b": ["as printed, b for β"],
    "tbl-full": ["ℓ_Full with N/2, as printed", "its maximum over σ² = σ̂²_ML, with N/2"],
    "tbl-profiled": ["−2ℓ*_REML(θ) as printed", "θ with the largest ℓ*_REML as printed"],
    "tbl-law": ["−2 log density of the printed law"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return executed(NOTEBOOK, tmp_path_factory.mktemp("berkeley"))


def outputs(run):
    return [output for cell in run.cells for output in cell.get("outputs", [])]


def table(run, label):
    """The rows of one table: its first column, and the numbers of the others as shown."""
    (found,) = [one for one in outputs(run) if one.metadata["lmmtools"].get("label") == label]
    lines = [line for line in found.data["text/plain"].splitlines() if "  " in line and "──" not in line]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(run):
    check_outputs(run)


@pytest.mark.slow
def test_each_identity_holds_and_each_erratum_fails(run):
    tables = [one for one in outputs(run) if re.search(r"\sHolds\n", one.data["text/plain"])]
    failing = {
        one.metadata["lmmtools"]["label"]: [
            re.split(r"\s{2,}", line)[0] for line in one.data["text/plain"].splitlines() if line.endswith("  no")
        ]
        for one in tables
    }
    assert {label: names for label, names in failing.items() if names} == ERRATA
    assert len(tables) >= 15


@pytest.mark.slow
def test_its_numbers_are_those_of_the_reference(run):
    """lme4's fits of sleepstudy and Pastes, the digits that its documentation prints."""
    rows = {row[0]: row[1:] for row in table(run, "tbl-ml-reml")}
    assert rows["β̂ Intercept"] == ["251.405"] * 2 and rows["β̂ Days"] == ["10.467"] * 2
    assert rows["sd of intercepts"] == ["23.781", "24.740"] and rows["sd of slopes"] == ["5.717", "5.922"]
    assert rows["se(β̂ Intercept)"] == ["6.632", "6.825"] and rows["se(β̂ Days)"] == ["1.502", "1.546"]
    assert rows["σ̂"] == ["25.592"] * 2
    full = table(run, "tbl-full")
    assert full[1][1:3] == ["−875.970"] * 2 and full[4][1:3] == ["654.941", "6549.41"]
    profiled = {row[0]: row[1:3] for row in table(run, "tbl-profiled")}
    assert [float(one) for one in profiled["θ with the largest ℓ*_REML as printed"]] == [1.2, 0.0]
    assert table(run, "tbl-printed")[1] == ["0.0", "107.20", "0.00"]
    figures = {one.metadata["lmmtools"]["label"]: one.metadata["lmmtools"]["caption"] for one in outputs(run)
               if one.metadata["lmmtools"]["kind"] == "figure"}  # fmt: skip
    assert "ML 1.17; REML 1.20" in figures["fig-curve"]
    assert "(0.980, 0.234), 1743.67" in figures["fig-surface"]
    stages = {row[0]: row[1] for row in table(run, "tbl-stages")}
    assert stages["optimum"] == "1743.63"


@pytest.mark.slow
def test_every_topic_of_the_slides_has_its_heading(run):
    words = "\n".join(cell.source for cell in run.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^## (.+)", words, flags=re.MULTILINE)
    assert headings[:4] == ["Theory", "Maximum-Likelihood Estimation", "To sum up", "Final Remarks"]
    assert words.count("**Erratum.**") == len(ERRATA)
    pictures = {one.metadata["lmmtools"]["label"] for one in outputs(run)
                if one.metadata["lmmtools"]["kind"] == "figure"}  # fmt: skip
    assert {"fig-matrix-z", "fig-matrix-var-b", "fig-matrix-v", "fig-lambda", "fig-curve", "fig-surface"} <= pictures


@pytest.mark.slow
def test_its_page_refers_to_nothing_that_is_not_there(run):
    from lmmtools.report.pages.export_html import LmmHtmlExporter

    text, made = LmmHtmlExporter().from_notebook_node(run)
    assert made["lmmtools_warnings"] == []
    assert text.count("Erratum.") == len(ERRATA)
    assert text.count('class="listing"') == len(listed_cells())


@pytest.mark.slow
def test_in_its_pdf_tables_and_pictures_stand_below_their_code(run, pdftotext, tmp_path):
    from lmmtools.report.pages.export_pdf import LmmPdfExporter

    pdf, made = LmmPdfExporter().from_notebook_node(run)
    assert made["lmmtools_warnings"] == []
    (tmp_path / "berkeley.pdf").write_bytes(pdf)
    command = [pdftotext, "-layout", str(tmp_path / "berkeley.pdf"), "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    at, captions = 0, numbered(run)
    for cell in run.cells:
        if "show-input" not in cell.metadata.get("tags", []):
            continue
        at = text.index(cell.source.splitlines()[0], at)
        if cell.outputs:
            at += re.search(next(captions), text[at:], flags=re.MULTILINE).end()


def numbered(run):
    """How the caption of each output begins in the PDF."""
    counts = {"Table": 0, "Figure": 0}
    for one in outputs(run):
        if one.metadata["lmmtools"].get("caption"):
            kind = "Figure" if one.metadata["lmmtools"]["kind"] == "figure" else "Table"
            counts[kind] += 1
            yield rf"^ *{kind} {counts[kind]}\. "


def listed_cells():
    return [cell for cell in read(NOTEBOOK).cells if "show-input" in cell.metadata.get("tags", [])]


def test_all_code_that_makes_something_is_on_the_page():
    tagged = {cell.id for cell in listed_cells()}
    hidden = [cell.id for cell in read(NOTEBOOK).cells if cell.cell_type == "code" and cell.id not in tagged]
    assert hidden == ["parameters", "record"]


def test_lines_fit_the_page():
    lines = [line for cell in listed_cells() for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 88] == []


def test_data_are_as_the_arrays_suppose():
    data = lt.load_dataset("sleepstudy")
    assert data["Days"].to_numpy().reshape(18, 10).tolist() == [list(range(10))] * 18
    assert len(set(data["Subject"].iloc[::10])) == 18
