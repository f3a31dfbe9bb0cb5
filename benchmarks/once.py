"""One engine, one case, one process: `python -m benchmarks.once ENGINE CASE FOLDER SECONDS`.

Prints one line of JSON: CPU and wall-clock seconds, θ, memory in MB. The first fit warms the engine up and is
not counted, unless it is so slow that it is the only one.
"""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import ALL, read_case
from benchmarks.engines import ENGINES

MOST = 40  # counted fits a process
SLOW = 20.0  # seconds of a first fit that is not repeated


def timed(fit: Callable) -> tuple[Callable, float, float]:
    """Return what a fit returns, its seconds of CPU and its seconds on the wall."""
    clock, wall = time.process_time(), time.perf_counter()
    theta = fit()
    return theta, time.process_time() - clock, time.perf_counter() - wall


def peak_mb() -> float:
    """Return the most memory this process has held, in MB.

    Linux says it in /proc, where the count starts with the program; what `getrusage` says there includes the
    parent before the program started. macOS counts in bytes, others in kB.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def main(engine: str, name: str, folder: str, seconds: str) -> None:
    """Time fits for about `seconds`; print their times, θ and memory in MB."""
    warnings.simplefilter("ignore")  # of an optimum that the criterion will judge
    frame = read_case(name, Path(folder))
    before = peak_mb()
    fit = ENGINES[engine](ALL[name], frame)
    theta, *first = timed(fit)
    times: list[list[float]] = []
    started = time.perf_counter()
    while first[0] < SLOW and len(times) < MOST and (not times or time.perf_counter() - started < float(seconds)):
        theta, *spent = timed(fit)
        times.append(spent)
    cpu, wall = zip(*(times or [first]), strict=True)
    answer = {"cpu": cpu, "wall": wall, "theta": [float(value) for value in theta()]}
    print(json.dumps(answer | {"peak_mb": peak_mb(), "data_mb": before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
