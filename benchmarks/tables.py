"""The benchmark's results, as Markdown."""

import argparse
import platform
import re
import shlex
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.goals import EQUAL, GOALS, LOWEST, NEAR, SLEEPSTUDY, Goal
from benchmarks.process import Timing

Timings = dict[str, dict[str, Timing]]
Criteria = dict[str, dict[str, float]]


def table(head: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """Return a Markdown table; the first `texts` columns are text, the others numbers."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False, break_long_words=False)


def _seconds(value: float) -> str:
    """Two significant digits, three where a second or more."""
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def _ratio(value: float) -> str:
    return f"{value:.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 10 else f"{value:.2f}×"


def fastest(by: dict[str, Timing], criteria: dict[str, float], above: float) -> str | None:
    """The fastest Python engine at a criterion not so far above ours."""
    good = [name for name, value in criteria.items() if name not in ("lmmtools", "lme4") and value <= above]
    return min(good, key=lambda engine: by[engine].median, default=None)


def lowest(name: str, criteria: dict[str, float]) -> float:
    """How far ours is above the lowest criterion known, of this run or before."""
    others = [above for engine, above in criteria.items() if engine not in ("lmmtools", "gpboost")]
    known = LOWEST.get(name)
    return max([0.0, *(-above for above in others), *([] if known is None else [criteria["lmmtools"] - known])])


def floor_of(name: str, by: dict[str, Timing], criteria: dict[str, float]) -> list[str]:
    """What of the floor is not met, in words; nothing where all is."""
    ours, peer = by["lmmtools"], fastest(by, criteria, EQUAL)
    broken = [f"criterion {lowest(name, criteria):.1e} too high"] if lowest(name, criteria) > EQUAL else []
    if name == "sleep":
        slow = ours.median > SLEEPSTUDY
        return broken + ([f"{ours.median * 1000:.1f} ms"] if slow else [])
    if peer and by[peer].median < ours.median:
        broken.append(f"{_ratio(by[peer].median / ours.median)} of {peer}")
    return broken


def goals_of(goal: Goal, by: dict[str, Timing], criteria: dict[str, float]) -> list[tuple[str, bool | None]]:
    """Every goal of a case in words, and whether it is met; None where it was not measured."""
    ours, peer, lme4 = by["lmmtools"], fastest(by, criteria, NEAR), by.get("lme4")
    told = []
    if goal.lme4 is not None:
        met = lme4.median / ours.median >= goal.lme4 if lme4 and lme4.seconds else None
        told.append((f"{goal.lme4:g}× lme4", met))
    if goal.peer is not None:
        told.append((f"{goal.peer:g}× peer", by[peer].median / ours.median >= goal.peer if peer else None))
    if goal.seconds is not None:
        told.append((f"{goal.seconds:g} s", ours.median <= goal.seconds))
    return told


def main_table(timings: Timings, criteria: Criteria) -> str:
    """A row a case: ours, lme4, the best peers, the floor, the goals."""
    signs = {True: "met", False: "**missed**", None: "not measured"}
    rows = []
    for name, by in timings.items():
        ours = by["lmmtools"]
        if ours.why_not:
            rows.append([CASES[name].about, ours.why_not, *[""] * 6])
            continue
        goals = goals_of(GOALS.get(name, Goal()), by, criteria[name])
        rows.append(
            [
                CASES[name].about,
                *_side_by_side(by, criteria[name]),
                _nearly(by, criteria[name]),
                ", ".join(floor_of(name, by, criteria[name])) or "met",
                ", ".join(f"{text} {signs[met]}" for text, met in goals),
                f"{ours.peak_mb:.0f}",
            ]
        )
    return table([*HEAD, "a faster one, how far above it stops", "floor", "goals", "peak MB"], rows)


HEAD = ["case", "lmmtools", "lme4", "fastest Python engine at as good an optimum"]


def _side_by_side(by: dict[str, Timing], criteria: dict[str, float]) -> list[str]:
    ours, lme4, peer = by["lmmtools"], by.get("lme4", Timing(why_not="not asked")), fastest(by, criteria, EQUAL)
    return [_seconds(ours.median), _against(lme4, ours), f"{peer} {_against(by[peer], ours)}" if peer else "none"]


def _nearly(by: dict[str, Timing], criteria: dict[str, float]) -> str:
    """A Python engine that is faster than the fastest of those as good."""
    peer = fastest(by, criteria, NEAR)
    if peer is None or peer == fastest(by, criteria, EQUAL):
        return ""
    return f"{peer} {_against(by[peer], by['lmmtools'])} {criteria[peer]:+.0e}"


def _against(timing: Timing, ours: Timing) -> str:
    return timing.why_not or f"{_seconds(timing.median)} ({_ratio(timing.median / ours.median)})"


def write_readme(path: Path, timings: Timings, criteria: Criteria) -> None:
    """Put the first table of a README's section `How fast` anew."""
    rows = [
        [CASES[name].about, *_side_by_side(by, criteria[name])]
        for name, by in timings.items()
        if not by["lmmtools"].why_not
    ]
    before, heading, after = path.read_text(encoding="utf-8").partition("## How fast\n")
    after = re.sub(r"(?m)(^\|.*\n)+", lambda _: table(HEAD, rows) + "\n", after, count=1)
    path.write_text(before + heading + after, encoding="utf-8")


def times_table(timings: Timings, wall: bool = False) -> str:
    """Seconds of a fit by every engine."""
    engines = list(next(iter(timings.values())))
    rows = [
        [
            name,
            *(t.why_not or _seconds(t.median_wall if wall else t.median) for t in (by[engine] for engine in engines)),
        ]
        for name, by in timings.items()
    ]
    return table(["case", *engines], rows)


def criteria_table(criteria: Criteria, engines: list[str]) -> str:
    """The REML criterion of lmmtools, and how far above it the others stop."""
    peers = [engine for engine in engines if engine != "lmmtools"]
    rows = []
    for name, by in criteria.items():
        above = (f"{by[peer]:+.1e}" if peer in by else "" for peer in peers)
        rows.append([name, f"{by['lmmtools']:.8f}" if by else "", *above])
    return table(["case", "lmmtools", *peers], rows)


def memory_table(timings: Timings) -> str:
    """Peak memory of the processes, data included."""
    engines = list(next(iter(timings.values())))
    rows = [
        [name, *(f"{by[engine].peak_mb:.0f}" if by[engine].seconds else "" for engine in engines)]
        for name, by in timings.items()
    ]
    return table(["case", *engines], rows)


def scaling_table(curves) -> str:
    """The figures behind the plot."""
    engines = list(dict.fromkeys(name for by in curves.values() for name in by))
    rows = []
    for curve, by in curves.items():
        sizes = dict.fromkeys(size for points in by.values() for size in points)
        for size in sizes:
            told = [by.get(engine, {}).get(size, Timing(why_not="")) for engine in engines]
            memory = told[0].peak_mb if told[0].seconds else 0.0
            times = (_seconds(t.median) if t.seconds else t.why_not for t in told)
            rows.append([f"{size:,} {curve}", *times, f"{memory:.0f}"])
    return table(["", *engines, f"peak MB of {engines[0]}"], rows)


def _head(timings: Timings) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "formulaic"))
    arguments = " ".join(["python -m benchmarks.run", *map(shlex.quote, sys.argv[1:])])
    found = {t.version for by in timings.values() for t in by.values() if t.version}
    return _wrapped(f"""Made by `make bench`, here as `{arguments}`, with
        Python {platform.python_version()}, {packages}{"".join(f", {text}" for text in sorted(found))}.
        `make bench-peers` installs the Python engines beside it; lme4 is wherever `Rscript` has it. Look at
        ratios: seconds belong to the machine of the day.""")


def write_results(given: argparse.Namespace, timings: Timings, criteria: Criteria, start, curves) -> str:
    """Write the tables and the command that makes them; return the text."""
    engines = list(next(iter(timings.values())))
    parts = [
        "# Benchmarks",
        _head(timings),
        _wrapped("""CPU seconds of a warm fit by REML, one thread, medians, from a data frame and a formula to
            estimates with standard errors; for lmmtools also missing values, validation, conditional modes
            with their covariances and the certificate. In brackets, how many times as long as lmmtools."""),
        main_table(timings, criteria) if "lmmtools" in engines else "",
        _wrapped(f"""As good an optimum: a criterion no more than {EQUAL:g} above that of lmmtools. Floor: a
            criterion no more than {EQUAL:g} above the lowest known, and no Python engine faster at as good an
            optimum (sleepstudy: at most {SLEEPSTUDY * 1000:g} ms). A faster engine that stops within
            {NEAR:g} above is shown too, and goals are held against it. Peak memory is that of lmmtools'
            process, data included."""),
        "## All engines",
        "CPU seconds:",
        times_table(timings),
        "Seconds on the wall:",
        times_table(timings, wall=True),
        _wrapped("""The REML criterion where lmmtools stops, and how far above it the others do, all
            evaluated by lmmtools at their θ. gpboost maximises the unrestricted likelihood: its θ is held
            against lmmtools' optimum of that."""),
        criteria_table(criteria, engines),
        "Peak memory in MB of a process that fits nothing else, data included:",
        memory_table(timings),
        _wrapped("""Not in the tables, since they are too slow to compete: interlace 0.3.2 and FLASH-MM 0.1.0
            took 28 and 26 s for the 2,000 × 1,000 crossed case."""),
    ]
    if curves:
        parts += ["## Growth", "![Time against size](scaling.svg)", scaling_table(curves)]
    parts += [
        "## Getting going",
        _wrapped(f"""CPU seconds, medians of fresh processes: numpy and pandas {start["base"]:.2f} s;
            `import lmmtools` above them {start["import"]:.3f} s; the engine behind its names
            {start["names"]:.2f} s; then sleepstudy read and fitted for the first time
            {start["first"]:.2f} s. That process has then held
            {start["peak_mb"]:.0f} MB at most."""),
    ]
    text = "\n\n".join(filter(None, parts)) + "\n"
    Path(given.out).write_text(text, encoding="utf-8")
    return text
