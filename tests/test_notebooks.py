"""Notebooks: stored clean, declared parameters, no logic, and running from top to bottom as a user would."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_a_report():
    assert "model_report" in {path.stem for path in NOTEBOOKS}


@BY_NAME
def test_it_is_stored_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))


@BY_NAME
def test_cell_ids_are_words_that_stay(path):
    ids = [cell.id for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in ids)


@BY_NAME
def test_it_begins_with_a_title_and_a_question(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# .+\n\n\*\*Question\.\*\* .*\?", first.source)


@BY_NAME
def test_parameters_are_one_cell_of_typed_commented_literals(path):
    tagged = [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in tagged[0].source.splitlines():
        assert re.fullmatch(r"\w+: (str|bool|int|float) = .+  # .+", line), line
        (node,) = ast.parse(line).body
        assert type(ast.literal_eval(node.value)).__name__ == node.annotation.id, line


@BY_NAME
def test_it_holds_no_logic(path):
    allowed = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)
    for cell in code_cells(read(path)):
        body = ast.parse(cell.source).body
        assert all(isinstance(node, allowed) for node in body), cell.source
        inner = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.DictComp, ast.JoinedStr)
        assert not any(isinstance(node, inner) for part in body for node in ast.walk(part)), cell.source


@BY_NAME
def test_it_imports_in_one_cell_only(path):
    importing = [cell.source for cell in code_cells(read(path)) if "import " in cell.source]
    assert importing == ["import lmmtools as lt"]


@BY_NAME
@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(path, tmp_path):
    from nbclient import NotebookClient

    notebook = read(path)
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    kinds = [output.metadata["lmmtools"]["kind"] for output in outputs]
    assert kinds.count("figure") == 5
    assert kinds.count("table") == 4
    assert kinds[-1] == "record"
    labels = [output.metadata["lmmtools"].get("label") for output in outputs]
    assert len({label for label in labels if label}) == 9  # no two things of one name
    assert outputs[-1].data["application/vnd.lmmtools.record+json"]["status"] == "ok"
