"""Zheng's slides as a notebook: run once, its numbers beside those of lme4 and of least squares."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import lmmtools as lt
from tests.test_notebooks import check_outputs, code_cells, executed, read

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "zheng.ipynb"
SLIDES = (
    "4.1.1 Introduction to LMMs", "Restrictions of linear model", "Motivating Example: mathachieve dataset",
    "A better model", "Cluster data", "Longitudinal data", "Within group and between group", "Fixed and random effects",
    "4.1.2 Basics of Linear Mixed Models", "Grouped observations",
    "Linear mixed models", "Interpretation: mathachieve dataset", "Random coefficients", "With-in group correlations",
    "Two sources of randomness", "LMM Matrix form I", "LMM Matrix form II", "Matrix form II",
    "Conclusion",
)  # fmt: skip
NUMBERS = "fit.beta D sigma2_gamma sigma2_epsilon correlation mixed.fixef both.fixef b_W b_B fit.criterion V".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The executed notebook, and at its end the numbers that the tests ask for."""
    folder, notebook = tmp_path_factory.mktemp("zheng"), read(NOTEBOOK)
    asked = [f"{name!r}: np.asarray({name}).tolist()" for name in NUMBERS]
    asked += ["'schools': [catholic.tolist(), public.tolist()]", "'few': few"]
    notebook.cells.append(nbformat.v4.new_code_cell(f"{{{', '.join(asked)}}}"))
    nbformat.write(notebook, folder / "zheng.ipynb")
    done = executed(folder / "zheng.ipynb", folder)
    (last,) = done.cells.pop().outputs
    return done, ast.literal_eval(last.data["text/plain"])


@pytest.fixture(scope="module")
def pupils():
    return lt.load_dataset("MathAchieve")


def test_the_slides_follow_one_another():
    words = "\n".join(cell.source for cell in read(NOTEBOOK).cells if cell.cell_type == "markdown")
    headings = re.findall(r"^##+ (.*)", words, flags=re.MULTILINE)
    assert [heading for heading in headings if heading in SLIDES] == list(SLIDES)


def test_code_on_the_page_fits_it():
    shown = [cell.source for cell in code_cells(read(NOTEBOOK)) if "show-input" in cell.metadata.get("tags", [])]
    assert [line for source in shown for line in source.splitlines() if len(line) > 88] == []


def test_it_reads_raw_columns_alone():
    source = "\n".join(cell.source for cell in code_cells(read(NOTEBOOK)))
    taken = re.findall(r"data\[(.+?)\]", source)
    assert taken == ['["School", "Sector", "SES", "MEANSES", "MathAch"', '"School"', '"meanses"', '"cses"']
    compared = re.findall(r'"(\w+), as it comes with the data": \(pupils\["(\w+)"\], data\["(\w+)"\]\)', source)
    assert compared == [("meanses",) * 3, ("cses",) * 3]  # the only use of those that come computed


@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(run):
    check_outputs(run[0])


@pytest.mark.slow
def test_the_model_is_that_of_lme4(run):
    """lme4 1.1-31 with cses computed in R; the school model by bobyqa, rhoend 1e-12: its usual stop is 3e-7 higher."""
    _, found = run
    assert found["fit.beta"] == pytest.approx([12.031926927, 5.246238503, 1.372223570, 2.194979231], rel=1e-6)
    assert np.array(found["D"]) == pytest.approx(
        np.array([[2.385098474, 0.232552507], [0.232552507, 0.700674905]]), rel=1e-5
    )
    assert found["fit.criterion"] == pytest.approx(46543.329993207, abs=1e-8)
    assert (found["sigma2_gamma"], found["sigma2_epsilon"]) == pytest.approx((8.614024837, 39.148321891), rel=1e-5)
    assert found["correlation"] == pytest.approx(8.614024837 / (8.614024837 + 39.148321891), rel=1e-5)
    assert found["mixed.fixef"] == pytest.approx([12.657480257, 2.390195793], rel=1e-6)
    assert found["both.fixef"] == pytest.approx([12.683307769, 5.866173832, 2.191171965], rel=1e-6)


@pytest.mark.slow
def test_the_slope_within_schools_is_that_of_a_regression_with_all_schools_in_it(run, pupils):
    schools = (pupils["School"].to_numpy()[:, None] == pupils["School"].cat.categories.to_numpy()).astype(float)
    design = np.column_stack([pupils["SES"], schools])
    slope = np.linalg.solve(design.T @ design, design.T @ pupils["MathAch"].to_numpy())[0]
    assert run[1]["b_W"] == pytest.approx(slope, rel=1e-10)
    assert run[1]["b_W"] < run[1]["mixed.fixef"][1] < run[1]["b_B"]


@pytest.mark.slow
def test_twenty_schools_of_each_sector_are_drawn(run, pupils):
    sector = pupils.groupby("School", observed=True)["Sector"].first()
    for names, kind in zip(run[1]["schools"], ("Catholic", "Public"), strict=True):
        assert len(set(names)) == 20
        assert set(sector[names]) == {kind}


@pytest.mark.slow
def test_v_is_block_diagonal_by_school(run, pupils):
    V, few = np.array(run[1]["V"]), run[1]["few"]
    of = np.repeat(few, pupils.groupby("School", observed=True).size()[few])
    same = of[:, None] == of
    assert V.shape == (53, 53)
    assert np.all(V[~same] == 0.0) and np.all(V[same] > 0.0)


@pytest.mark.slow
def test_only_what_was_said_to_fail_fails(run):
    outputs = [output.data["text/plain"] for cell in code_cells(run[0]) for output in cell.outputs]
    lines = "\n".join(outputs).splitlines()
    assert [re.split("  +", line)[0] for line in lines if line.endswith("  no")] == [
        "MEANSES = meanses",
        "β₁ is the slope within schools",
    ]
