"""Clyde's slides as a notebook: run once, its numbers beside those of lme4 and of the joint normal distribution."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import lmmtools as lt
from tests.test_notebooks import check_outputs, code_cells, executed, read

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "clyde.ipynb"
SLIDES = (
    "Random Effects Regression", "Linear Mixed Effects Models", "More General Model", "Marginal Distribution of Data",
    "GLS Estimation", "One Way Anova Random Effects Model", "MLEs for One-Way Random Effects Model", "Log likelihood",
    "MLEs", "Comments", "Best Linear Prediction", "Best Linear Unbiased Prediction",
    "Mixed Model Equations via Bayes Rule", "BLUEs and BLUPs via Bayes Rule", "Other Questions",
)  # fmt: skip
NUMBERS = (
    "MSE alpha2 alpha2_printed alpha2_reml sigma2_edge old old_variance new_variance solved posterior printed V_inverse"
).split()
# lme4 1.1-31: lmer(Yield ~ 1 + (1 | Batch), REML = FALSE), bobyqa with rhoend 1e-12
MODES = [-16.6282218, 0.3695160, 26.9746710, -21.8014464, 53.5798260, -42.4943447]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The executed notebook, and at its end the numbers that the tests ask for."""
    folder, notebook = tmp_path_factory.mktemp("clyde"), read(NOTEBOOK)
    asked = ", ".join(f"{name!r}: np.asarray({name}).tolist()" for name in NUMBERS)
    notebook.cells.append(nbformat.v4.new_code_cell(f"{{{asked}}}"))
    nbformat.write(notebook, folder / "clyde.ipynb")
    done = executed(folder / "clyde.ipynb", folder)
    (last,) = done.cells.pop().outputs
    return done, {name: np.array(value) for name, value in ast.literal_eval(last.data["text/plain"]).items()}


def tables(notebook):
    """The text of each table, by its label."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return {output.metadata["lmmtools"].get("label"): output.data["text/plain"] for output in outputs}


def failing(notebook):
    """What the tables of equations say does not hold."""
    text = "\n".join(tables(notebook).values())
    return [re.split(r"  +", line)[0] for line in text.splitlines() if line.endswith("  no")]


def test_every_slide_has_its_heading():
    words = "\n".join(cell.source for cell in read(NOTEBOOK).cells if cell.cell_type == "markdown")
    headings = ", ".join(re.findall(r"^##+ (.*)", words, flags=re.MULTILINE)).split(", ")
    assert [heading for heading in headings if heading in SLIDES] == list(SLIDES)


@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(run):
    check_outputs(run[0])


@pytest.mark.slow
def test_what_is_misprinted_fails_and_nothing_else(run):
    assert failing(run[0]) == [
        "as printed, (SST/J − MSE)/n", "as printed, ∂/∂σ_α² is zero", "MSE for σ², as away from the edge",
        "columns of δ, as printed = rows of Y − Xβ",
        "as printed, ZᵀZ + Σ⁻¹", "BLUPs as printed, ZᵀZ + Σ⁻¹", "BLUPs as Σ → 0",
    ]  # fmt: skip
    boxes = [cell.source for cell in run[0].cells if "> [!WARNING]" in cell.source]
    assert len(boxes) == 4  # the divisor, the transpose, the block, the limit


@pytest.mark.slow
def test_its_estimates_are_those_of_lme4(run):
    _, found = run
    assert found["MSE"] == pytest.approx(2451.25, rel=1e-12)
    assert found["alpha2"] == pytest.approx(1388.3333, rel=1e-7)
    assert found["alpha2_printed"] == pytest.approx(1388.3333 / 6, rel=1e-7)
    assert found["alpha2_reml"] == pytest.approx(1764.05, rel=1e-7)
    assert found["sigma2_edge"] == pytest.approx(3.653231**2, rel=1e-6)
    assert found["solved"] == pytest.approx([1527.5, *MODES], abs=1e-5)
    assert np.abs(found["printed"][1:]).max() < 0.03  # of effects up to 54 g


@pytest.mark.slow
def test_its_predictions_are_those_of_the_joint_normal_distribution(run):
    """Of all thirty rows and a new one, with the mean's prior variance so large that it says nothing."""
    _, found = run
    y = lt.load_dataset("Dyestuff")["Yield"].to_numpy(float).reshape(6, 5)
    V = np.kron(np.eye(6), 1388.3333333 + 2451.25 * np.eye(5))
    assert found["V_inverse"] @ V == pytest.approx(np.eye(30), abs=1e-6)
    for batch, value, variance in ((0, "old", "old_variance"), (6, None, "new_variance")):
        group = np.append(np.repeat(np.arange(6), 5), batch)
        joint = 1e9 + 1388.3333333 * (group[:, None] == group) + 2451.25 * np.eye(31)
        weights = np.linalg.solve(joint[:30, :30], joint[:30, 30])
        assert found[variance] == pytest.approx(joint[30, 30] - weights @ joint[:30, 30], rel=1e-5)
        if value:
            assert found[value] == pytest.approx(weights @ y.ravel(), rel=1e-6)


@pytest.mark.slow
def test_the_surface_has_its_optimum_on_the_edge(run):
    about = [output.metadata["lmmtools"] for cell in code_cells(run[0]) for output in cell.outputs]
    pictures = {one["label"]: one["caption"] for one in about if one["kind"] == "figure"}
    assert set(pictures) == {"fig-z", "fig-v", "fig-inside", "fig-edge"}
    assert "edge" in pictures["fig-edge"] and "edge" not in pictures["fig-inside"]
