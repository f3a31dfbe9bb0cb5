"""What a kernel leaves is made the same for every run of one request."""

import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lmmtools.report.runs.execute import Failure
from lmmtools.report.runs.kernel import Kernel
from lmmtools.report.runs.tidy import add_failure, tidy, tidy_log, without_folders

CRASH = """\
Fatal Python error: Segmentation fault

Thread 0x00007fe0aa34f030 (most recent call first):
  File "/usr/x/threading.py", line 324 in wait
  File "/usr/x/threading.py", line 607 in wait

Current thread 0x00007fe0bb34f030 (most recent call first):
  File "/venv/lib/python3.11/site-packages/numpy/linalg.py", line 5 in solve
  File "/tmp/ipykernel_77/12345.py", line 3 in <module>
  File "/venv/lib/python3.11/site-packages/IPython/core/shell.py", line 9 in run

Extension modules: numpy._core, scipy.linalg (total: 2)
"""


def test_a_crash_is_told_without_threads_addresses_and_places():
    assert tidy_log(CRASH).splitlines() == [
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x… (most recent call first):",
        '  File "numpy/linalg.py", line 5 in solve',
        '  File "<cell>", line 3 in <module>',
    ]
    assert tidy_log("killed process 4711 (pid=12), PID 9") == "killed process … (pid=…), PID …"
    assert tidy_log("\n".join(map(str, range(100)))).splitlines() == [str(number) for number in range(60, 100)]
    assert tidy_log(" \n") == ""


def test_folders_are_taken_out_and_words_are_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    text = f"the reports in {tmp_path}/reports/a.html and {tmp_path}/reports"
    assert without_folders(text, [Path("reports")]) == "the reports in a.html and ."


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, " too little memory is the usual reason"),
        (-9, " it was killed from outside (SIGKILL); too little memory is the usual reason"),
        (-11, " it crashed (SIGSEGV: Segmentation fault)"),
        (-6, " it crashed (SIGABRT: Aborted)"),
        (3, " it left with exit code 3"),
    ],
)
def test_how_a_kernel_died(code, words):
    assert Kernel(exit_code=code).death == words


def test_outputs_lose_addresses_and_folders_but_no_numbers(tmp_path):
    outputs = [
        new_output("stream", name="stdout", text=f"<A at 0x7fe0aa34f030> 0xdeadbeef {tmp_path}/a.txt"),
        new_output("display_data", data={"text/plain": "<B object at 0x7fe0aa34f030>", "text/html": "<b>"}),
        new_output("error", ename="E", evalue=f"{tmp_path}/a.txt", traceback=["<C at 0x7fe0aa34f030>"]),
    ]
    made, _ = tidy(new_notebook(cells=[new_code_cell("x", outputs=outputs)]), [tmp_path])
    stream, shown, error = made.cells[0].outputs
    assert stream.text == "<A at 0x…> 0xdeadbeef a.txt"
    assert shown.data == {"text/plain": "<B object at 0x…>", "text/html": "<b>"}
    assert (error.evalue, error.traceback) == ("a.txt", ["<C at 0x…>"])


def test_long_lines_take_no_long_time_and_what_nobody_reads_is_cut():
    path = "/venv/lib/python3.11/site-packages/numpy/linalg.py"
    started = time.process_time()
    assert without_folders("x" * 300_000 + f" {path}") == "x" * 300_000 + " numpy/linalg.py"
    assert time.process_time() - started < 5  # a search that starts anew at every letter takes minutes
    printed = new_output("stream", name="stdout", text="first\n" + "x" * 1_000_000 + "\nlast\n")
    made, _ = tidy(new_notebook(cells=[new_code_cell("x", outputs=[printed])]))
    text = made.cells[0].outputs[0].text
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast\n")
    assert "\n[900,012 characters left out]\n" in text
    assert len(text) < 101_000


def test_the_log_stands_before_the_failure_in_the_cell_that_stopped():
    notebook = new_notebook(cells=[new_code_cell("a", id="a"), new_code_cell("b", id="b")])
    add_failure(notebook, 1, Failure("kernel died", "It died."), "Segmentation fault")
    log, error = notebook.cells[1].outputs
    assert log.text == "What the process wrote before it ended:\nSegmentation fault\n"
    assert error.evalue == "It died."
    assert notebook.metadata["lmmtools"] == {"stopped_at": 1}
    nbformat.validate(notebook)
