"""Small notebooks and studies, quick because their kernels import nothing."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """\
dataset: str = "Dyestuff"  # a shipped data set
formula: str = "Yield ~ 1 + (1 | Batch)"  # the model
reml: bool = True  # REML if true, ML if false
title: str = ""  # shown on the first page
level: float = 0.95  # coverage of the intervals
mode: str = "good"  # what happens
"""

# What a record holds, without a fit: the pipeline only passes it on.
RECORD = """\
record = {
    "status": "ok", "reasons": [], "dataset": dataset, "title": title, "formula": formula,
    "method": "REML" if reml else "ML", "messages": [], "cross_checks": [], "certificate": {},
    "numbers": {"coefficients": ["Intercept"], "fixef": {"Intercept": 1527.5}, "stderr": {"Intercept": 19.4},
                "varcorr": [], "sigma": 49.5, "criterion": 319.7, "icc": None, "nobs": 30,
                "ngroups": {"Batch": 6}},
    "provenance": {"data_sha256": "0" * 64, "versions": {"python": "3"}, "seed": None},
}
if mode == "unexplained":
    record["status"], record["reasons"] = "unexplained", ["It differs."]
display({"application/vnd.lmmtools.record+json": record, "text/plain": "record"}, raw=True)
"""

TROUBLE = """\
import os, pathlib, signal, time, warnings
if "LMM_TOY_STARTS" in os.environ:
    with open(os.environ["LMM_TOY_STARTS"], "a") as starts:
        print(title, file=starts)
cause = pathlib.Path(os.environ.get("LMM_TOY_CAUSE", "/nonexistent"))
if mode.startswith("until "):
    mode = mode[6:] if cause.exists() else "good"
if mode == "raise":
    raise ValueError("no such <batch>")
if mode == "die":
    os._exit(3)
if mode == "crash":
    import ctypes
    ctypes.string_at(0)
if mode == "out of memory":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "large":
    display({"application/x-large": "x" * 4_000_000, "text/plain": "large"}, raw=True)
if mode == "print":
    for _ in range(200):
        print("x" * 100_000)
    print("the last line")
if mode == "slow":
    time.sleep(600)
if mode == "kill":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
if mode == "where":
    print(pathlib.Path.cwd() / "here", object())
    display(object())
if mode == "unexplained":
    warnings.warn("It differs.")
if mode == "warn":
    warnings.warn("mind the gap")
"""


def notebook(*cells):
    """A notebook of cells, as the pipeline finds it on disk."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=list(cells), metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    """A folder with ``toy.ipynb``, whose ``mode`` says what goes wrong."""
    folder = tmp_path_factory.mktemp("toy")
    made = notebook(
        new_markdown_cell("# A toy report\n\nThe *question* is $\\hat\\beta$."),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(TROUBLE),
        new_markdown_cell("## After the trouble"),
        new_code_cell(RECORD),
    )
    nbformat.write(made, folder / "toy.ipynb")
    return folder


@pytest.fixture
def study_file(toy_folder, tmp_path):
    """A function that writes a study of the toy notebook and returns its path."""

    def write(text, name="study.toml"):
        nbformat.write(nbformat.read(toy_folder / "toy.ipynb", as_version=4), tmp_path / "toy.ipynb")
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
