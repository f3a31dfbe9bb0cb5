"""lmmtools beside other engines, in one run: `make bench`, or `python -m benchmarks.run --help`.

Every engine gets a process of its own, one thread, and the same rows; engines alternate within a round and
the order turns around in the next. What is timed is a data frame and a formula to estimates with standard
errors (for lmmtools all that a fit holds, conditional modes and certificate included), as CPU and wall-clock
seconds once warm. An optimum is judged by one criterion, lmmtools' own, at the θ each engine returns.
"""

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import CASES, ROOT, read_case, write_case
from benchmarks.engines import ENGINES
from benchmarks.process import FOLDER, LIMIT, Timing, openblas, run_once
from benchmarks.scaling import measure_scaling
from benchmarks.start import measure_start
from benchmarks.tables import write_readme, write_results

PEERS = ROOT / "benchmarks" / ".venv-peers" / "bin" / "python"
SLOW = 4.0  # seconds of one fit after which an engine is not asked in a second round
ONE_FACTOR = ("sleep", "math", "sing", "ri125k", "rs1m", "rs5")
SLOPES = ("sleep", "math", "sing", "rs1m", "rs5", "crossvec", "crosssing")
SEVERAL = tuple(name for name in CASES if name not in ONE_FACTOR)
LEFT_OUT = {
    "lme4": {"ml1m": "minutes"},
    "mixedlm-rs": dict.fromkeys(SEVERAL, "one factor only"),
    "statsmodels": dict.fromkeys(("ri125k", "rs1m", "rs5"), "minutes") | dict.fromkeys(SEVERAL, "one factor only"),
    "lme-python": dict.fromkeys(("cross100k", "crossvec", "inst", "ml1m"), "minutes"),
    "gpboost": dict.fromkeys(SLOPES, "no correlated effects"),
}
NAMES = ["lmmtools", "lme4", *(name for name in ENGINES if name != "lmmtools")]
SEVERAL_NAMES = {"ours": ["lmmtools"], "peers": NAMES[2:]}


def run_case(name: str, engines: list[str], given: argparse.Namespace) -> dict[str, Timing]:
    """Time all engines on one case, alternately, in the rounds asked for."""
    results: dict[str, Timing] = {}
    for turn in range(given.rounds):
        for engine in engines if turn % 2 == 0 else engines[::-1]:
            if name in LEFT_OUT.get(engine, {}):
                results[engine] = Timing(why_not=LEFT_OUT[engine][name])
                continue
            known = results.get(engine)
            if known and (known.why_not or known.median > SLOW):
                continue
            python = Path(sys.executable) if engine == "lmmtools" else given.peers
            timing = run_once(engine, name, python, given.seconds, given.limit, given.blas)
            results[engine] = known.joined(timing) if known else timing
            print(f"  {engine:12s} {timing.why_not or f'{timing.median:.5f} s'}", flush=True)
    return results


def judge(name: str, results: dict[str, Timing]) -> dict[str, float]:
    """Return how far above ours the criterion is at every engine's θ; ours itself under "lmmtools".

    gpboost maximises the unrestricted likelihood, so that its θ is held against our optimum of that.
    """
    import lmmtools as lt

    frame, formula = read_case(name, FOLDER), CASES[name].formula
    thetas = {engine: timing.theta for engine, timing in results.items() if timing.theta}
    if "lmmtools" not in thetas:
        return {}
    design = lt.build_design(formula, frame)
    reml = lt.Criterion(design, reml=True)
    ours = float(reml(thetas.pop("lmmtools")))
    found = {engine: float(reml(theta)) - ours for engine, theta in thetas.items() if engine != "gpboost"}
    if "gpboost" in thetas:
        ml = lt.Criterion(design, reml=False)
        found["gpboost"] = float(ml(thetas["gpboost"])) - float(ml(lt.fit_lmm(formula, frame, reml=False).theta))
    return {"lmmtools": ours} | found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what is asked for, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--only", default=",".join(NAMES), help="engines, such as ours,lme4 or ours,peers")
    parser.add_argument("--quick", action="store_true", help="the small cases, one round, no plots; about a minute")
    parser.add_argument("--rounds", type=int, help="how often each engine is started for a case (3)")
    parser.add_argument("--seconds", type=float, help="how long it then goes on fitting (1)")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds that stop a process ({LIMIT:g})")
    parser.add_argument("--no-plots", action="store_true", help="leave the scaling plots as they are")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python that has the peers")
    parser.add_argument("--blas", default=openblas(), help="library that lme4 is given as its BLAS")
    parser.add_argument("--readme", action="store_true", help="put the README's table anew too")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    given = parser.parse_args(arguments)
    given.cases = given.cases or [name for name, case in CASES.items() if case.quick or not given.quick]
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (0.5 if given.quick else 1.0)
    asked = [name for part in given.only.split(",") for name in SEVERAL_NAMES.get(part, [part])]
    unknown = set(asked) - set(NAMES)
    if unknown:
        parser.error(f"--only: no engine {', '.join(unknown)}: choose of ours, peers, {', '.join(NAMES)}")
    given.engines = [name for name in NAMES if name in asked]
    return given


def main() -> int:
    """Run the cases and engines asked for; print and write the tables; return how many cases we fail."""
    given = parse()
    absent = {} if shutil.which("Rscript") else {"lme4": "Rscript is not here"}
    if not given.peers.exists():
        absent |= dict.fromkeys(NAMES[2:], "not installed: make bench-peers")
    running = [name for name in given.engines if name not in absent]
    timings, criteria = {}, {}
    for name in given.cases:
        print(f"{name}: {CASES[name].about} ({write_case(name, FOLDER):,} rows)", flush=True)
        timings[name] = run_case(name, running, given)
        timings[name] |= {name: Timing(why_not=absent[name]) for name in given.engines if name in absent}
        criteria[name] = judge(name, timings[name])
        kept = {case: {engine: asdict(timing) for engine, timing in by.items()} for case, by in timings.items()}
        (FOLDER / "results.json").write_text(json.dumps([kept, criteria]))
    plots = not (given.quick or given.no_plots)
    curves = measure_scaling(running, given) if plots else None
    print(write_results(given, timings, criteria, measure_start(), curves))
    if given.readme:
        write_readme(ROOT / "README.md", timings, criteria)
    return sum(bool(by["lmmtools"].why_not) for by in timings.values() if "lmmtools" in by)


if __name__ == "__main__":
    sys.exit(main())
