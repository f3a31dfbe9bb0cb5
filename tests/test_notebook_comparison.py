"""The comparison notebook, run from top to bottom as a user would, on good models and on bad ones."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "model_comparison.ipynb"
RECORD = "application/vnd.lmmtools.record+json"


def executed(folder, **parameters):
    """The executed notebook's outputs, its parameters set as papermill sets them."""
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = next(k for k, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    given = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(given))
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": folder}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(outputs):
    return [output.metadata["lmmtools"]["kind"] for output in outputs]


@pytest.mark.slow
def test_it_runs_as_it_is(tmp_path):
    outputs = executed(tmp_path)
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    assert kinds(outputs).count("figure") == 4
    assert kinds(outputs).count("table") == 7
    assert kinds(outputs)[0] == "prose"  # the verdict comes first
    assert kinds(outputs)[-1] == "record"
    labels = [output.metadata["lmmtools"].get("label") for output in outputs]
    assert {"fig-lattice", "fig-forest", "tbl-models", "tbl-lattice", "tbl-compare", "tbl-coefficients"} <= set(labels)
    assert len([label for label in labels if label]) == len({label for label in labels if label})
    record = outputs[-1].data[RECORD]
    assert (record["kind"], record["status"], record["numbers"]["chosen"]) == ("comparison", "ok", "M2")


@pytest.mark.slow
def test_variants_that_fail_and_hostile_names_leave_a_whole_report(tmp_path):
    formulas = [
        "Reaction ~ Days + (1 | Subject)", "Reaction ~ I(2*Days) + (1 | Subject)", "Reaction ~ nope + (1 | Subject)",
        "log(Reaction) ~ Days + (1 | Subject)", "Reaction ~ Days + (1 | Subject) + (Days | Subject)",
    ]  # fmt: skip
    names = ["<script>", "$$", "@fig-x", "[@key]", "#[]"]
    outputs = executed(tmp_path, dataset="sleepstudy", formulas=formulas, names=names, check=False)
    assert all(output.output_type != "error" for output in outputs)
    record = outputs[-1].data[RECORD]
    assert [row["status"] for row in record["numbers"]["models"]] == ["ok", "ok", "failed", "failed", "flat direction"]
    assert [reason.partition(":")[0] for reason in record["reasons"]] == names[2:]
    assert "<script>" not in "".join(output.data.get("text/html", "") for output in outputs if "data" in output)
