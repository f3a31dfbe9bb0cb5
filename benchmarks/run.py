"""lmmtools beside other engines, in one run: `make bench`, or `python -m benchmarks.run --help`.

Every engine gets a process of its own, one thread, and the same rows; engines alternate within a round and
the order turns around in the next. What is timed is a data frame and a formula to estimates with standard
errors (for lmmtools all that a fit holds, conditional modes and certificate included), as CPU seconds once
warm. An optimum is judged by one criterion, lmmtools' own, at the θ each engine returns.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import CASES, ROOT, read_case, write_case
from benchmarks.engines import ENGINES
from benchmarks.start import measure_start
from benchmarks.tables import write_results

PEERS = ROOT / "benchmarks" / ".venv-peers" / "bin" / "python"
FOLDER = ROOT / "benchmarks" / ".cases"
SLOW = 10.0  # seconds of one fit after which an engine is not asked again for the case
LIMIT = 900  # seconds after which a process is stopped
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
LARGE = ("ri125k", "rs1m", "rs5")
LEFT_OUT = {
    "statsmodels": (LARGE, "takes minutes"),
    "gpboost": (("sleep", "math", "sing", "rs1m", "rs5"), "has no correlated effects"),
}


@dataclass(frozen=True)
class Timing:
    """What one engine did on one case: seconds of CPU, θ and peak memory in MB, or the reason it has none."""

    seconds: tuple[float, ...] = ()
    theta: tuple[float, ...] = ()
    peak_mb: float = 0.0
    why_not: str = ""

    @property
    def median(self) -> float:
        """Median seconds of CPU of a fit."""
        return statistics.median(self.seconds)

    def joined(self, other: "Timing") -> "Timing":
        """Return both rounds' timings as one."""
        if other.why_not:
            return other
        return Timing(self.seconds + other.seconds, other.theta, max(self.peak_mb, other.peak_mb))


def run_once(engine: str, name: str, python: Path, seconds: float) -> Timing:
    """Time one engine on one case in a process of its own."""
    formula = CASES[name].formula
    if engine == "lme4":
        command = ["Rscript", str(ROOT / "benchmarks" / "lme4.R"), name, formula, str(FOLDER), str(seconds)]
    else:
        command = [str(python), "-m", "benchmarks.once", engine, name, str(FOLDER), str(seconds)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return Timing(why_not=f"stopped after {LIMIT} s")
    if done.returncode != 0 and engine == "lmmtools":
        raise RuntimeError(f"lmmtools itself failed on {name}:\n{done.stderr}")
    if done.returncode != 0:
        missing = "No module named" in done.stderr or "no package called" in done.stderr
        return Timing(why_not="not installed" if missing else "aborts")
    if engine == "lme4":
        fields = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
        times, theta = (tuple(map(float, fields[key])) for key in ("times", "theta"))
        return Timing(times, theta, float(fields["peak_mb"][0]))
    answer = json.loads(done.stdout.splitlines()[-1])
    return Timing(tuple(answer["times"]), tuple(answer["theta"]), answer["peak_mb"])


def run_case(name: str, engines: list[str], peers: Path, rounds: int, seconds: float) -> dict[str, Timing]:
    """Time all engines on one case, alternately, in `rounds` rounds."""
    results: dict[str, Timing] = {}
    for turn in range(rounds):
        for engine in engines if turn % 2 == 0 else engines[::-1]:
            cases, reason = LEFT_OUT.get(engine, ((), ""))
            if name in cases:
                results[engine] = Timing(why_not=reason)
                continue
            known = results.get(engine)
            if known and (known.why_not or known.median > SLOW):
                continue
            python = Path(sys.executable) if engine == "lmmtools" else peers
            timing = run_once(engine, name, python, seconds)
            results[engine] = known.joined(timing) if known else timing
            print(f"  {engine:12s} {timing.why_not or f'{timing.median:.5f} s'}", flush=True)
    return results


def judge(name: str, results: dict[str, Timing]) -> dict[str, float]:
    """Return our REML criterion at every engine's θ."""
    import lmmtools as lt

    design = lt.build_design(CASES[name].formula, read_case(name, FOLDER))
    criterion = lt.Criterion(design, reml=True)
    return {engine: float(criterion(timing.theta)) for engine, timing in results.items() if timing.theta}


def main() -> None:
    """Run the cases and engines asked for; print and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="+", choices=["lme4", *ENGINES], default=["lme4", *ENGINES])
    parser.add_argument("--rounds", type=int, default=3, help="how often each engine is started for a case")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long it then goes on fitting")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python that has the peers")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    given = parser.parse_args()
    engines = ["lmmtools", *(name for name in given.engines if name != "lmmtools")]
    absent = {} if shutil.which("Rscript") else {"lme4": "Rscript is not here"}
    if not given.peers.exists():
        absent |= {name: "not installed: make bench-peers" for name in ENGINES if name != "lmmtools"}
    running = [name for name in engines if name not in absent]
    timings, criteria = {}, {}
    for name in given.cases:
        print(f"{name}: {CASES[name].about} ({write_case(name, FOLDER):,} rows)", flush=True)
        timings[name] = run_case(name, running, given.peers, given.rounds, given.seconds)
        timings[name] |= {name: Timing(why_not=absent[name]) for name in engines if name in absent}
        criteria[name] = judge(name, timings[name])
    text = write_results(given.out, timings, criteria, measure_start(), given)
    print(text)


if __name__ == "__main__":
    main()
