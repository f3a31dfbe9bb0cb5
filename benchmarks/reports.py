"""What a report costs: a further one of a study, a study of 200, and one in which nothing has changed.

``python -m benchmarks.reports [cost] [phases] [memory]`` prints them; wall times are for an idle machine,
CPU times of all processes hold on a busy one too. POSIX only.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import ROOT

FEW = 4
MANY = 200
TOY = """\
record = {"status": "ok", "reasons": [], "dataset": dataset, "title": title, "formula": formula, "method": "REML",
          "messages": [], "cross_checks": [], "certificate": {}, "provenance": {"data_sha256": "0" * 64,
          "versions": {"python": "3"}, "seed": None},
          "numbers": {"coefficients": ["Intercept"], "fixef": {"Intercept": 1.0}, "stderr": {"Intercept": 1.0},
                      "varcorr": [], "sigma": 1.0, "criterion": 1.0, "icc": None, "nobs": 30, "ngroups": {"g": 6}}}
display({"application/vnd.lmmtools.record+json": record, "text/plain": "record"}, raw=True)
"""
PARAMETERS = """\
dataset: str = "Dyestuff"  # data
formula: str = "Yield ~ 1 + (1 | Batch)"  # model
reml: bool = True  # REML if true
title: str = ""  # title
level: float = 0.95  # coverage
"""
# The cells of a model report's kernel, timed where they run.
PHASES = """
import json, resource
marks = []
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
def mark(name):
    marks.append((name, cpu()))
mark("python")
import ipykernel.kernelapp, ipykernel.zmqshell
mark("ipykernel")
import lmmtools as lt
import numpy, pandas
mark("numpy, pandas")
data = lt.load_dataset("Orthodont")
fit = lt.fit_lmm("distance ~ age + (age | Subject)", data)
mark("scipy, formula, first fit")
import matplotlib.figure, matplotlib.backends.backend_svg
mark("matplotlib")
for plot in ("data_by_group", "residuals_fitted", "qq_residuals", "qq_ranef", "caterpillar"):
    lt.figure(getattr(lt.plots, plot), fit)._repr_mimebundle_()
mark("five figures")
before = cpu()
comparison = lt.cross_check(fit)
mark("cross-check with its imports")
lt.record(fit, comparison).to_json()
mark("record")
print(json.dumps([[name, after - start] for (_, start), (name, after) in zip([("", 0.0), *marks], marks)]))
"""


def study_text(count: int, notebook: str, formula: str, dataset: str) -> str:
    """A study of ``count`` runs that differ in a parameter."""
    head = f'title = "Benchmark"\nnotebook = "{notebook}"\n[[datasets]]\nname = "{dataset}"\n'
    return head + "".join(
        f'[[datasets.variants]]\nname = "v{number}"\nformula = "{formula}"\n'
        f"[datasets.variants.parameters]\nlevel = {0.5 + number / 1000}\n"
        for number in range(count)
    )


def write_toy(folder: Path) -> None:
    """Write a notebook whose kernel imports nothing."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = [
        new_markdown_cell("# Toy"),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(TOY),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "toy.ipynb")


def run_study(study: Path, out: Path, *options: str, watch: Callable[[int], None] | None = None) -> dict[str, float]:
    """Run a study as from the command line; seconds on the clock and of all processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "lmmtools", "report", str(study), "--out", str(out), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if watch:
        threading.Thread(target=watch, args=(process.pid,), daemon=True).start()
    said, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"The study failed:\n{said}\n{errors}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "cpu": cpu}


def cost(folder: Path, warm: bool) -> None:
    """Print what a further report costs: (3 N reports - N reports) / 2 N."""
    options = ["--jobs", "2", *(["--warm"] if warm else [])]
    found = {}
    for count in (FEW, 3 * FEW):
        study = folder / f"cost{count}.toml"
        study.write_text(study_text(count, "model_report.ipynb", "distance ~ age + (age | Subject)", "Orthodont"))
        found[count] = run_study(study, folder / f"cost{count}", *options)
        times = json.loads((folder / f"cost{count}" / "run.json").read_text())["runs"].values()
        mean = {key: sum(one[key] for one in times) / count for key in ("notebook", "pages")}
        print(f"{count} model reports of Orthodont, two at a time: {found[count]['wall']:.1f} s,", end=" ")
        print(f"{found[count]['cpu']:.1f} s of CPU; notebook {mean['notebook']:.2f} s, pages {mean['pages']:.2f} s")
    for kind in ("wall", "cpu"):
        print(f"marginal cost of a report, {kind}: {(found[3 * FEW][kind] - found[FEW][kind]) / (2 * FEW):.2f} s")


def phases() -> None:
    """Print where the processor time of a model report's kernel goes."""
    done = subprocess.run([sys.executable, "-c", PHASES], cwd=ROOT, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    for name, seconds in rows:
        print(f"  {name:30s} {seconds:6.2f} s of CPU")
    print(f"  {'in all':30s} {sum(seconds for _, seconds in rows):6.2f} s of CPU")


def memory(folder: Path) -> None:
    """Print the memory of the study's process and of its workers over many runs, then what a rerun takes."""
    write_toy(folder)
    study = folder / "many.toml"
    study.write_text(study_text(MANY, "toy.ipynb", "Yield ~ 1 + (1 | Batch)", "Dyestuff"))
    seen: list[tuple[float, int, int]] = []
    spent = run_study(study, folder / "many", "--jobs", "2", watch=lambda pid: _watch(pid, seen))
    print(f"{MANY} toy reports: {spent['wall']:.0f} s, {spent['cpu']:.0f} s of CPU")
    for part in range(5):
        rows = seen[len(seen) * part // 5 : len(seen) * (part + 1) // 5]
        parent, worker = max(row[1] for row in rows), max(row[2] for row in rows)
        print(f"  fifth {part + 1}: parent at most {parent} MB, a worker at most {worker} MB")
    again(folder)


def again(folder: Path) -> None:
    """Print what a study of many runs takes when nothing has changed, from process start to exit."""
    for _ in range(3):
        spent = run_study(folder / "many.toml", folder / "many", "--jobs", "2")
        print(f"{MANY} reports, nothing changed: {spent['wall']:.2f} s, {spent['cpu']:.2f} s of CPU")


def _watch(pid: int, seen: list[tuple[float, int, int]]) -> None:
    """Note the memory of a process and of the largest of its workers, twice a second, until it ends."""
    start = time.perf_counter()
    while Path(f"/proc/{pid}/status").exists():
        children = Path(f"/proc/{pid}/task/{pid}/children")
        try:
            workers = [_megabytes(int(child)) for child in children.read_text().split()]
            seen.append((time.perf_counter() - start, _megabytes(pid), max(workers, default=0)))
        except OSError:  # it has just ended
            return
        time.sleep(0.5)


def _megabytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["cost", "phases", "memory"], default=["cost", "phases", "memory"])
    parser.add_argument("--warm", action="store_true", help="fork kernels from a process that has imported the stack")
    asked = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory(prefix="lmmbench-") as name:
        folder = Path(name)
        if "cost" in asked.what:
            cost(folder, asked.warm)
        if "phases" in asked.what:
            phases()
        if "memory" in asked.what:
            memory(folder)


if __name__ == "__main__":
    main()
