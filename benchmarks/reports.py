"""What a report costs: a further one of a study, a study of 200, and one in which nothing has changed.

``python -m benchmarks.reports [cost] [phases] [memory] [--write]`` prints them as tables, and writes REPORTS.md; wall
times are for an idle machine, CPU times, of ordinary kernels only, hold on a busy one too. Linux only.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.cases import ROOT

FEW = 4
MANY, REAL = 200, 50
FORMULA = "distance ~ age + (age | Subject)"
KINDS = ("parent", "worker", "kernel")
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


def cost(folder: Path, rounds: int) -> list[str]:
    """Say what a further report costs, (3 N reports - N reports) / 2 N, with ordinary and with warm kernels in turn."""
    found: dict[tuple[bool, str], list[float]] = {}
    for turn in range(rounds):
        for warm in (False, True):
            spent = {}
            for count in (FEW, 3 * FEW):
                study = folder / f"cost{count}.toml"
                study.write_text(study_text(count, "model_report.ipynb", FORMULA, "Orthodont"))
                options = ["--jobs", "2", *(["--warm"] if warm else [])]
                spent[count] = run_study(study, folder / f"cost{count}-{warm}-{turn}", *options)
            for kind in ("wall", "cpu"):
                further = (spent[3 * FEW][kind] - spent[FEW][kind]) / (2 * FEW)
                found.setdefault((warm, kind), []).append(further)
    middle = {key: statistics.median(values) for key, values in found.items()}
    head = ["a further `model_report` on Orthodont, two at a time", "seconds", "CPU seconds"]
    rows = [
        ["ordinary kernels", *(f"{middle[False, kind]:.2f} ({_all(found[False, kind])})" for kind in ("wall", "cpu"))],
        # Forked kernels are children of the fork server, which nobody waits for: their CPU time is in no account here.
        ["forked from a warm one", f"{middle[True, 'wall']:.2f} ({_all(found[True, 'wall'])})", "not counted"],
        ["warm / ordinary", f"{middle[True, 'wall'] / middle[False, 'wall']:.2f}", ""],
    ]
    return _table(head, rows)


def _all(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in sorted(values))


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def phases() -> list[str]:
    """Say where the processor time of a model report's kernel goes."""
    done = subprocess.run([sys.executable, "-c", PHASES], cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [[name, f"{seconds:.2f}"] for name, seconds in json.loads(done.stdout)]
    total = sum(float(seconds) for _, seconds in rows)
    return _table(["in the kernel of a `model_report`", "CPU seconds"], [*rows, ["in all", f"{total:.2f}"]])


def memory(folder: Path) -> list[str]:
    """Say what processes hold over many runs, one in four a real one, then what a study takes that has not changed."""
    write_toy(folder)
    study, out = folder / "many.toml", folder / "many"
    study.write_text(mixed_text())
    seen: list[dict[str, int]] = []
    spent = run_study(study, out, "--jobs", "2", watch=lambda pid: _watch(pid, seen))
    rows = []
    for part in range(5):
        some = seen[len(seen) * part // 5 : len(seen) * (part + 1) // 5]
        rows.append([f"fifth {part + 1} of {MANY} runs", *(str(max(one[kind] for one in some)) for kind in KINDS)])
    again = [run_study(study, out, "--jobs", "2") for _ in range(7)]
    times = [sorted(one[kind] for one in again) for kind in ("wall", "cpu")]
    return [
        *_table(["largest resident size, MB", *KINDS], rows),
        "",
        *_table(
            [f"{MANY} runs: {REAL} model reports, {MANY - REAL} toys", "seconds", "CPU seconds"],
            [
                ["all", f"{spent['wall']:.0f}", f"{spent['cpu']:.0f}"],
                ["nothing changed, median of 7", *(f"{statistics.median(one):.2f}" for one in times)],
                ["nothing changed, least and most", *(f"{one[0]:.2f} to {one[-1]:.2f}" for one in times)],
            ],
        ),
    ]


def mixed_text() -> str:
    """A study of as many runs as are asked for, one in four a model report."""
    real = study_text(REAL, "model_report.ipynb", FORMULA, "Orthodont")
    toys = study_text(MANY - REAL, "toy.ipynb", "Yield ~ 1 + (1 | Batch)", "Dyestuff").partition("[[datasets]]")[2]
    return real + "[[datasets]]" + toys.replace('name = "v', 'notebook = "toy.ipynb"\nname = "v')


def _watch(pid: int, seen: list[dict[str, int]]) -> None:
    """Note the memory of a process and of the largest of its workers and kernels, until it ends."""
    while Path(f"/proc/{pid}/status").exists():
        workers = _children(pid)
        kernels = [child for worker in workers for child in _children(worker)]
        largest = [max(map(_megabytes, one), default=0) for one in ([pid], workers, kernels)]
        if largest[0]:
            seen.append(dict(zip(KINDS, largest, strict=True)))
        time.sleep(0.25)


def _children(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            found += map(int, path.read_text().split())
    return found


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
    parser.add_argument("--rounds", type=int, default=5, help="how often the cost is measured; its median is given")
    parser.add_argument("--write", action="store_true", help="write benchmarks/REPORTS.md too")
    asked = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = f"python -m benchmarks.reports {' '.join(asked.what)} --rounds {asked.rounds} --write"
    lines = ["# What reports cost", "", f"`{command}`, Python {platform.python_version()}, {os.cpu_count()} cores", ""]
    with tempfile.TemporaryDirectory(prefix="lmmbench-") as name:
        measures = {
            "cost": lambda: cost(Path(name), asked.rounds),
            "phases": phases,
            "memory": lambda: memory(Path(name)),
        }
        for one in asked.what:
            made = measures[one]()
            print("\n".join([*made, ""]), flush=True)
            lines += [*made, ""]
            if asked.write:
                (ROOT / "benchmarks" / "REPORTS.md").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
