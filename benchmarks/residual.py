"""Residual structures: lmmtools beside nlme on its own data, and an autoregression of a million rows.

``python -m benchmarks.residual [CASE ...] [--rounds 3] [--seconds 1] [--write]`` prints a table; writes RESIDUAL.md.
As in the other benchmarks every engine gets a process of its own and one thread, engines alternate within a round and
the order turns around in the next; what is timed is a data frame and a formula to estimates with standard errors.
nlme's calls are those of the reference fits (tests/reference), with its defaults.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.cases import ROOT
from benchmarks.once import MOST, SLOW, peak_mb, timed
from benchmarks.process import LIMIT, ONE_THREAD, openblas

REFERENCES = (
    "Ovary__gls_ar1_reml",
    "Ovary__lme_ar1_reml",
    "Ovary__lme_ma2_reml",
    "BodyWeight__gls_car1_reml",
    "BodyWeight__lme_exp_nug_reml",
    "BodyWeight__lme_varpow_exp_reml",
    "Orthodont__gls_us_reml",
    "Orthodont__lme_ri_ar1_reml",
    "Orthodont__lme_rs_varsex_reml",
    "Dialyzer__gls_varpow_ar1_reml",
    "Dialyzer__lme_varpow_reml",
)
GOAL = 10.0  # CPU seconds of a fit of a million rows
BETTER = 1e-6


@dataclass(frozen=True)
class Series:
    """AR(1) within series and a random intercept; `missing` of the rows are left out at random, which makes gaps."""

    series: int
    length: int
    missing: float = 0.0
    random: str = "(1 | g)"

    @property
    def formula(self) -> str:
        """The model's formula."""
        return " + ".join(part for part in ("y ~ x", self.random) if part)

    @property
    def residual(self) -> str:
        """The residual structure."""
        return "ar1(t | g)"

    def frame(self) -> pd.DataFrame:
        """The rows: autocorrelation 0.6, intercepts of sd 0.7, a slope of 0.5."""
        rng = np.random.default_rng(60)
        noise = rng.normal(size=(self.series, self.length))
        e = np.empty_like(noise)
        e[:, 0] = noise[:, 0]
        for t in range(1, self.length):
            e[:, t] = 0.6 * e[:, t - 1] + 0.8 * noise[:, t]
        x, b = rng.normal(size=e.shape), 0.7 * rng.normal(size=(self.series, 1))
        y = 1 + 0.5 * x + b + e
        g, t = np.indices(e.shape)
        frame = pd.DataFrame({"y": y.ravel(), "x": x.ravel(), "g": g.ravel(), "t": t.ravel()})
        if self.missing:
            frame = frame[rng.random(len(frame)) >= self.missing].reset_index(drop=True)
        return frame


LARGE = {
    "series1m": Series(10_000, 100),
    "series1m_gaps": Series(10_000, 100, missing=0.05),
    "series1m_gls": Series(10_000, 100, random=""),
    "series100k": Series(1_000, 100),
}
CASES = (*REFERENCES, *LARGE)


def fit_of(name: str) -> Callable:
    """What is timed here, its data read before."""
    import lmmtools as lt

    if name in LARGE:
        case = LARGE[name]
        fit = lt.fit_lmm if case.random else lt.fit_gls
        return partial(fit, case.formula, case.frame(), residual=case.residual)
    from tests.reference.residual_fits import rows, structured

    reference = structured()[name]
    fit = lt.fit_lmm if "|" in reference["formula"] else lt.fit_gls
    given = {"residual": reference["residual"], "contrasts": reference["contrasts"] or None}
    return partial(fit, reference["formula"], rows(reference), **given)


def once(name: str, seconds: float) -> None:
    """Time fits for about `seconds` in this process; print times, criterion and memory as JSON."""
    warnings.simplefilter("ignore")
    fit = fit_of(name)
    result, *first = timed(fit)
    times: list[list[float]] = []
    started = time.perf_counter()
    while first[0] < SLOW and len(times) < MOST and (not times or time.perf_counter() - started < seconds):
        result, *spent = timed(fit)
        times.append(spent)
    cpu, wall = zip(*(times or [first]), strict=True)
    answer = {"cpu": cpu, "wall": wall, "criterion": float(result.criterion), "first": first[0], "peak_mb": peak_mb()}
    print(json.dumps(answer | {"certificate": result.certificate.status}))


def ours(name: str, seconds: float) -> dict:
    """Time lmmtools on a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.residual", "--once", name, "--seconds", str(seconds)]
    done = _run(command, {})
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else _failed(done)


def nlme(name: str, seconds: float) -> dict:
    """Time nlme on a case in a process of its own."""
    from tests.reference.residual_fits import structured

    if name in LARGE:
        return {"why_not": "minutes"}
    script, blas = str(ROOT / "benchmarks" / "nlme.R"), openblas()
    done = _run(["Rscript", script, structured()[name]["call"], str(seconds)], {"LD_PRELOAD": blas} if blas else {})
    if done.returncode != 0:
        return _failed(done)
    fields = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    times = {key: [float(value) for value in fields[key]] for key in ("cpu", "wall")}
    version = "nlme {} in R {} on {}".format(*fields["version"])
    return times | {"criterion": float(fields["criterion"][0]), "version": version}


def _run(command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess:
    environment = os.environ | ONE_THREAD | more
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT)


def _failed(done: subprocess.CompletedProcess) -> dict:
    print(done.stderr[-2000:], file=sys.stderr)
    return {"why_not": "aborts"}


def measure(name: str, rounds: int, seconds: float) -> dict[str, dict]:
    """Both engines on one case, alternately; times of all rounds together."""
    found: dict[str, dict] = {}
    engines = {"lmmtools": ours, "nlme": nlme}
    for turn in range(rounds):
        for engine in engines if turn % 2 == 0 else reversed(engines):
            if found.get(engine, {}).get("why_not"):
                continue
            here = engines[engine](name, seconds)
            if engine in found and "why_not" not in here:
                here = here | {key: [*found[engine][key], *here[key]] for key in ("cpu", "wall")}
            found[engine] = here
    return found


def line(name: str, found: dict[str, dict]) -> str:
    """A row of the table."""
    us, them = found["lmmtools"], found["nlme"]
    if "why_not" in us:
        return f"| {name} | {us['why_not']} | | | | | |"
    mine = statistics.median(us["cpu"])
    wall = statistics.median(us["wall"])
    if "why_not" in them:
        goal = ("met" if mine < GOAL else "**missed**") if "1m" in name else ""
        memory = f"{us['peak_mb']:.0f}"
        return f"| {name} | {mine:.4g} | {wall:.4g} | {them['why_not']} | | {goal} | {memory} |"
    theirs, ratio = statistics.median(them["cpu"]), statistics.median(them["cpu"]) / mine
    above = us["criterion"] - them["criterion"]
    goal = "met" if ratio > 1 and (above <= BETTER or "varpow_exp" in name) else "**missed**"
    them_said = f"{theirs:.4g} ({ratio:.1f}×)"
    return f"| {name} | {mine:.4g} | {wall:.4g} | {them_said} | {above:+.1e} | {goal} | {us['peak_mb']:.0f} |"


def table(results: dict[str, dict[str, dict]]) -> str:
    """The page."""
    version = next((found["nlme"]["version"] for found in results.values() if "version" in found["nlme"]), "no nlme")
    head = (
        "# Residual structures: time\n\nMade by `python -m benchmarks.residual --write`, beside "
        f"{version}, Python {sys.version.split()[0]}, numpy {np.__version__}.\nSeconds of a warm fit by REML, one "
        "thread, medians. In brackets, how many times as long as lmmtools.\nDifference: our criterion less nlme's, "
        "both as each engine reports it; for a variance of fitted values that is no measure\nof either (both are fixed "
        f"points). Goals: faster than nlme, and a million rows in under {GOAL:g} s of CPU.\n\n"
        "| case | CPU | wall | nlme, CPU | difference | goal | peak MB |\n"
        "| --- | ---: | ---: | ---: | ---: | --- | ---: |\n"
    )
    return head + "\n".join(line(name, found) for name, found in results.items()) + "\n"


def main() -> None:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.residual", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--write", action="store_true", help="write RESIDUAL.md")
    parser.add_argument("--once", metavar="CASE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = set(given.cases) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}: choose of {', '.join(CASES)}")
    if given.once:
        once(given.once, given.seconds)
        return
    results = {}
    for name in given.cases or CASES:
        results[name] = measure(name, given.rounds, given.seconds)
        print(line(name, results[name]), flush=True)
    page = table(results)
    if given.write:
        (ROOT / "benchmarks" / "RESIDUAL.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
