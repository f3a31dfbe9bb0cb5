"""Notebooks: stored clean, declared parameters, no logic, and running from top to bottom as a user would."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from lmmtools.formats import rounded
from lmmtools.prose.value import MARKED

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
STUDIES = Path(__file__).parents[1] / "notebooks" / "studies"
# The notebooks of the study of sources compute what their originals print, step by step.
SOURCES = set(re.findall(r'^notebook = "(\w+)\.ipynb"', (STUDIES / "sources.toml").read_text(), flags=re.MULTILINE))
# What a test file of its own executes once and looks at closely.
APART = SOURCES | {"gallery"}


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
        assert re.fullmatch(r"\w+: (str|bool|int|float|list|dict) = .+  # .+", line), line
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
    """The package alone; in the notebooks of sources numpy too, for formulas written out with matrices."""
    importing = [cell.source for cell in code_cells(read(path)) if "import " in cell.source]
    with_arrays = ["import numpy as np\n\nimport lmmtools as lt"]
    assert importing == ["import lmmtools as lt"] or (path.stem in SOURCES and importing == with_arrays)


@BY_NAME
def test_code_that_is_read_fits_the_page(path):
    shown = [cell.source for cell in code_cells(read(path)) if "show-input" in cell.metadata.get("tags", [])]
    assert [line for source in shown for line in source.splitlines() if len(line) > 88] == []


def test_the_study_of_sources_runs_each_of_them_once():
    from lmmtools.report.asked.expand import expand
    from lmmtools.report.asked.study import read_study

    runs = expand(*read_study(STUDIES / "sources.toml"))
    assert SOURCES == {"de_leeuw", "clyde", "zheng", "berkeley"}
    assert sorted(run.notebook.stem for run in runs) == sorted(SOURCES)


def executed(path, folder):
    """The notebook with its outputs, run from top to bottom by a kernel of its own, forked warm as those of a study."""
    from nbclient import NotebookClient

    from lmmtools.report.runs.kernel import kernel_options

    notebook = read(path)
    with kernel_options(Path(folder) / "kernel.log", warm=True) as kernel:
        manager = kernel.options["kernel_manager_class"]
        NotebookClient(
            notebook, kernel_manager_class=manager, timeout=120, resources={"metadata": {"path": folder}}
        ).execute()
    return notebook


# Those apart run in tests/test_notebook_NAME.py, which look at their pages and numbers too.
@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem not in APART], ids=lambda path: path.stem)
@pytest.mark.slow
def test_it_runs_as_a_user_runs_it(path, tmp_path):
    check_outputs(executed(path, tmp_path))


def check_outputs(notebook):
    """Nothing is printed, labels name one thing, references lead somewhere, and the record is the last word."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    about = [output.metadata["lmmtools"] for output in outputs]
    labels = [one["label"] for one in about if one.get("label")]
    assert len(set(labels)) == len(labels)  # no two things of one name
    assert all(one["label"] for one in about if one.get("caption"))  # what is numbered can be referred to
    assert about[-1]["kind"] == "record"
    assert outputs[-1].data["application/vnd.lmmtools.record+json"]["status"] == "ok"
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    prose += [output.data[MARKED] for output in outputs if MARKED in output.get("data", {})]
    assert set(re.findall(r"(?<![\\\w])@((?:tbl|fig)-[\w-]+)", "\n".join(prose))) <= set(labels)


def shown(notebook, values):
    """What the cells of a notebook show, figures left out, run in this process with other parameters."""
    names = {}
    for cell in code_cells(notebook):
        *before, last = ast.parse(cell.source).body
        tail = [last] if isinstance(last, ast.Expr) and "lt.figure" not in cell.source else []
        exec(compile(ast.Module(before if tail else [*before, last], []), cell.id, "exec"), names)
        if tail:
            value = eval(compile(ast.Expression(last.value), cell.id, "eval"), names)
            if value is not None:
                yield value._repr_mimebundle_()[0]
        if "parameters" in cell.metadata.get("tags", []):
            names.update(values)


@pytest.mark.parametrize("name", ["model_report", "model_comparison"])
@pytest.mark.parametrize(("dataset", "times"), [("Dyestuff", 0), ("Dyestuff2", 1)])
def test_a_singular_fit_is_explained_and_no_other(name, dataset, times):
    notebook = read(next(path for path in NOTEBOOKS if path.stem == name))
    formula = "Yield ~ 1 + (1 | Batch)"
    outputs = list(shown(notebook, {"dataset": dataset, "formula": formula, "formulas": [formula], "check": False}))
    tables = [output for output in outputs if 'id="tbl-singular"' in output.get("text/html", "")]
    prose = "\n".join(output[MARKED] for output in outputs if MARKED in output)
    assert len(tables) == times
    assert prose.count("### What would simpler random effects change?\n") == times
    assert prose.count("@tbl-singular") == 3 * times  # in the summary, in the box, and beside the table


def test_the_model_report_says_what_its_tables_show():
    notebook = read(next(path for path in NOTEBOOKS if path.stem == "model_report"))
    values = {"formula": "distance ~ age * Sex + (age | Subject)", "focal": "age:Sex[T.Female]", "check": False}
    outputs = list(shown(notebook, values))
    tables = "\n".join(output["text/plain"] for output in outputs if "text/vnd.typst" in output)
    prose = [output["text/plain"] for output in outputs if MARKED in output]
    assert prose[0].split("\n\n")[1].startswith("- Distance grows by 0.30 mm a year less for Sex Female")
    findings = [line for line in prose[0].splitlines() if line.startswith("- ")]
    shares = re.findall(r"[\d.]+(?= %)", "\n".join(prose[1:]))  # the intraclass correlations stand under the variances
    for number in re.findall(r"\d+\.\d+", "\n".join(findings)):
        places = len(number.partition(".")[2])
        shown_as = {rounded(cell, places) for cell in re.findall(r"\d+\.\d+", tables)}
        assert number in shown_as or number in shares


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model_report", "inference_report", "model_comparison"])
@pytest.mark.parametrize(
    ("formula", "residual"),
    [
        ("distance ~ age * Sex", "us(age | Subject) * varident(age)"),
        ("distance ~ age * Sex + (1 | Subject)", "varident(Sex)"),
    ],
)
def test_it_reports_models_with_residual_structures(name, formula, residual):
    notebook = read(next(path for path in NOTEBOOKS if path.stem == name))
    values = {"formula": formula, "formulas": [formula, "distance ~ age + (1 | Subject)"], "residual": residual}
    outputs = list(shown(notebook, {**values, "replicates": 0, "title": "with a residual structure"}))
    html = "\n".join(output.get("text/html", "") for output in outputs)
    prose = "\n".join(output[MARKED] for output in outputs if MARKED in output)
    assert 'id="tbl-residual"' in html and ('id="tbl-residual-matrix"' in html) is residual.startswith("us")
    assert ('id="tbl-ranova"' in html) is (name == "inference_report" and "|" in formula)
    referred = set(re.findall(r"(?<![\\\w])@(tbl-[\w-]+)", prose))
    assert {f'id="{label}"' in html for label in referred} == {True}
    record = outputs[-1]["application/vnd.lmmtools.record+json"]
    assert record["status"] == "ok" and record["numbers"]["residual"] == residual
    assert [check["engine"] for check in record["cross_checks"]] == (
        [] if name == "inference_report" else ["the definition, evaluated densely"]
    )
