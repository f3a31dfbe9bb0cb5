"""One engine on one case in a process of its own, one thread."""

import json
import os
import statistics
import subprocess
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import ALL, ROOT

FOLDER = ROOT / "benchmarks" / ".cases"
LIMIT = 300.0  # seconds after which a process is stopped
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Timing:
    """What one engine did on one case: CPU and wall-clock seconds, θ, peak memory in MB, or why it has none."""

    seconds: tuple[float, ...] = ()
    wall: tuple[float, ...] = ()
    theta: tuple[float, ...] = ()
    peak_mb: float = 0.0
    why_not: str = ""
    version: str = ""

    @property
    def median(self) -> float:
        """Median seconds of CPU of a fit."""
        return statistics.median(self.seconds)

    @property
    def median_wall(self) -> float:
        """Median seconds on the wall."""
        return statistics.median(self.wall)

    def joined(self, other: "Timing") -> "Timing":
        """Return both rounds' timings as one."""
        if other.why_not:
            return other
        seconds, wall = self.seconds + other.seconds, self.wall + other.wall
        return Timing(seconds, wall, other.theta, max(self.peak_mb, other.peak_mb), version=other.version)


def openblas() -> str | None:
    """Name or path of an OpenBLAS that R can be given; one unpacked below `benchmarks/.openblas` counts."""
    unpacked = sorted((ROOT / "benchmarks" / ".openblas").rglob("libopenblasp*.so"))
    return str(unpacked[0]) if unpacked else find_library("openblas")


def run_once(engine: str, name: str, python: Path, seconds: float, limit: float, blas: str | None) -> Timing:
    """Time one engine on one case in a process of its own."""
    environment = os.environ | ONE_THREAD
    if engine == "lme4":
        command = ["Rscript", str(ROOT / "benchmarks" / "lme4.R"), name, ALL[name].formula, str(FOLDER), str(seconds)]
        environment |= {"LD_PRELOAD": blas} if blas else {}
    else:
        command = [str(python), "-m", "benchmarks.once", engine, name, str(FOLDER), str(seconds)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return Timing(why_not=f"over {limit:.0f} s")
    if done.returncode != 0:
        told = [line for line in done.stderr.splitlines() if "rror" in line or "panicked" in line] or ["no message"]
        print(f"  {engine}: {told[-1]}", flush=True)
        missing = "No module named" in done.stderr or "no package called" in done.stderr
        return Timing(why_not="not installed" if missing else "aborts")
    if engine == "lme4":
        fields = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
        cpu, wall, theta = (tuple(map(float, fields[key])) for key in ("cpu", "wall", "theta"))
        lme4, r, library = fields["version"]
        return Timing(cpu, wall, theta, float(fields["peak_mb"][0]), version=f"lme4 {lme4} in R {r} on {library}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Timing(*(tuple(answer[key]) for key in ("cpu", "wall", "theta")), answer["peak_mb"])
