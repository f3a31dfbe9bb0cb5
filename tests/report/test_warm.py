"""Kernels forked from a warm process: the same reports, and nothing of one run in another."""

import signal
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell

import lmmtools
from lmmtools.report.runs import warm
from lmmtools.report.runs.execute import execute
from lmmtools.report.runs.warm import can_fork
from tests.report.conftest import notebook

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_fork(), reason=f"{sys.platform} does not fork safely, so there are no warm kernels"),
]

# What a careless notebook leaves behind: a changed module, a setting, a seed, an environment variable, a folder.
LITTER = """\
import os, random, sys, warnings
import numpy as np, pandas as pd, matplotlib, lmmtools
np.pi_of_another_run = 3
lmmtools.__version__ = "changed"
matplotlib.rcParams["font.size"] = 99
pd.set_option("display.precision", 1)
random.seed(1); np.random.seed(1)
os.environ["LEFT"] = "behind"
os.makedirs("below"); os.chdir("below")
warnings.simplefilter("ignore")
sys.path.insert(0, "elsewhere")
left_over = 7
"""
LOOK = """\
import os, sys, warnings
import numpy as np, pandas as pd, matplotlib, lmmtools
print(hasattr(np, "pi_of_another_run"), lmmtools.__version__, matplotlib.rcParams["font.size"])
print(pd.get_option("display.precision"), "LEFT" in os.environ, os.path.basename(os.getcwd()) == "below")
print(warnings.filters[0][0], "elsewhere" in sys.path, "left_over" in globals(), matplotlib.get_backend())
"""
DRAW = "import random, numpy as np\nprint(random.random(), np.random.random())"


def printed(tmp_path, source, warm):
    """What a notebook of one cell prints."""
    path = tmp_path / "one.ipynb"
    nbformat.write(notebook(new_code_cell("", metadata={"tags": ["parameters"]}), new_code_cell(source)), path)
    done = execute(path, {}, timeout=60, warm=warm)
    return done.failure, "".join(out["text"] for out in done.notebook.cells[-1].outputs if out.output_type == "stream")


def test_a_run_finds_nothing_that_another_left(tmp_path):
    fresh = printed(tmp_path, LOOK, warm=False)
    assert printed(tmp_path, LITTER, warm=True) == (None, "")
    assert printed(tmp_path, LOOK, warm=True) == fresh


def test_runs_draw_different_random_numbers(tmp_path):
    first, second = printed(tmp_path, DRAW, warm=True), printed(tmp_path, DRAW, warm=True)
    assert first[0] is None and second[0] is None
    assert first[1] != second[1]


@pytest.mark.parametrize("warm", [False, True])
def test_a_user_s_own_ipython_has_no_part_in_a_run(tmp_path, monkeypatch, warm):
    start_up = tmp_path / "home" / "profile_default" / "startup"
    start_up.mkdir(parents=True)
    (start_up / "mine.py").write_text("ours = 7")
    settings = "get_config().InteractiveShell.ast_node_interactivity = 'all'"
    (start_up.parent / "ipython_kernel_config.py").write_text(settings)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home"))
    assert printed(tmp_path, "1\nprint('ours' in globals())", warm) == (None, "False\n")


def test_an_interruption_while_the_stack_is_imported_is_not_the_kernels_affair(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")  # it would be set for good
    before, seen = signal.getsignal(signal.SIGINT), []

    def imported(name):
        seen.append(signal.getsignal(signal.SIGINT))
        raise RuntimeError("cannot be imported here")

    monkeypatch.setattr(warm, "import_module", lambda name: lmmtools if name == "lmmtools" else imported(name))
    monkeypatch.setattr("gc.freeze", lambda: None)
    warm.preload()
    assert set(seen) == {signal.SIG_IGN}
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_dead_warm_kernel_is_its_own_run_s_failure(tmp_path, how):
    failure, _ = printed(tmp_path, f"import os\n{how}", warm=True)
    assert failure.kind == "kernel died"
    assert printed(tmp_path, "print(1)", warm=True) == (None, "1\n")


def test_a_warm_kernel_that_takes_too_long_is_stopped(tmp_path):
    path = tmp_path / "slow.ipynb"
    nbformat.write(notebook(new_code_cell("import time\ntime.sleep(60)")), path)
    assert execute(path, {}, timeout=1, warm=True).failure.kind == "timeout"
