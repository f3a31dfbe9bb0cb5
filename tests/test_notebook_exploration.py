"""The exploration notebook, run as a batch runs it: every section shows something, and it ends with a record."""

import time
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "exploration.ipynb"
RECORD = "application/vnd.lmmtools.record+json"
RUNS = {
    "Orthodont": ("distance ~ age * Sex + (age | Subject)", 4, 11),
    "Pastes": ("strength ~ 1 + (1 | batch/cask)", 3, 7),
    "InstEval": ("y ~ service + studage + lectage + (service | s) + (service | d) + (1 | dept)", 5, 9),
    "cake": ("angle ~ temp", 1, 4),
}


def executed(dataset, formula, folder):
    from nbclient import NotebookClient
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    notebook = parameterize_notebook(load_notebook_node(str(NOTEBOOK)), {"dataset": dataset, "formula": formula})
    start = time.perf_counter()
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": folder}}).execute()
    return notebook, time.perf_counter() - start


@pytest.mark.slow
@pytest.mark.parametrize("dataset", RUNS)
def test_it_runs_from_top_to_bottom(dataset, tmp_path):
    formula, figures, tables = RUNS[dataset]
    notebook, seconds = executed(dataset, formula, tmp_path)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    kinds = [output.metadata["lmmtools"]["kind"] for output in outputs]
    assert kinds.count("figure") == figures
    assert kinds.count("table") == tables
    assert kinds.count("prose") == 7
    assert kinds[-1] == "record"
    labels = [output.metadata["lmmtools"].get("label") for output in outputs]
    labels = [label for label in labels if label]
    assert len(set(labels)) == len(labels) == figures + tables
    record = outputs[-1].data[RECORD]
    assert (record["kind"], record["status"], record["formula"]) == ("exploration", "ok", formula)
    assert record["provenance"]["data_sha256"]
    assert seconds < 60  # far above what it takes; a picture of every row would be above


def test_figures_come_before_tables_before_words():
    source = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells]
    order = {"exploration_figure": 0, "exploration_table": 1}
    section: list[int] = []
    for text in source:
        if text.startswith("## "):
            section = []
        for name, rank in order.items():
            if name in text:
                section.append(rank)
                assert rank == 1 or not any(section[:-1]), text
