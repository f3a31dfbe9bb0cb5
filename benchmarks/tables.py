"""The benchmark's tables, as Markdown."""

import argparse
import platform
import textwrap
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASES

EQUAL = 1e-6  # criteria closer than this are the same optimum


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the first column is text, the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False)


def _time(timing, ours) -> str:
    if timing.why_not:
        return timing.why_not
    seconds = f"{timing.median:.2g}" if timing.median < 1 else f"{timing.median:.1f}"
    return seconds if timing is ours else f"{seconds} ({timing.median / ours.median:.1f}×)"


def times_table(timings) -> str:
    """CPU seconds of a fit, with each engine's ratio to lmmtools."""
    engines = list(next(iter(timings.values())))
    rows = [
        [CASES[name].about, *(_time(by[engine], by["lmmtools"]) for engine in engines)]
        for name, by in timings.items()
    ]
    return table(["case", *engines], rows)


def criteria_table(criteria, engines) -> str:
    """The REML criterion of lmmtools, and how far above it the others stop."""
    peers = [engine for engine in engines if engine != "lmmtools"]
    rows = []
    for name, by in criteria.items():
        ours = by["lmmtools"]
        above = (f"{by[peer] - ours:+.1e}" if peer in by else "" for peer in peers)
        rows.append([name, f"{ours:.8f}", *above])
    return table(["case", "lmmtools", *peers], rows)


def floor_table(timings, criteria) -> str:
    """The fastest Python engine at an equal or better criterion, and the ratio of its time to ours."""
    rows = []
    for name, by in timings.items():
        ours = by["lmmtools"]
        peers = {
            engine: timing.median / ours.median
            for engine, timing in by.items()
            if engine not in ("lmmtools", "lme4")
            and timing.seconds
            and criteria[name][engine] <= criteria[name]["lmmtools"] + EQUAL
        }
        best = min(peers, key=peers.get, default=None)
        lme4 = by.get("lme4")
        rows.append([
            name,
            f"{lme4.median / ours.median:.1f}×" if lme4 and lme4.seconds else "",
            f"{peers[best]:.2f}× ({best})" if best else "none reaches it",
            f"{ours.peak_mb:.0f}",
        ])
    return table(["case", "against lme4", "fastest Python peer at as good an optimum", "peak MB"], rows)


def write_results(path: Path, timings, criteria, start: dict[str, float], given: argparse.Namespace) -> str:
    """Write the tables and the command that makes them to `path`; return the text."""
    engines = list(next(iter(timings.values())))
    arguments = f"--rounds {given.rounds} --seconds {given.seconds:g} --cases {' '.join(given.cases)}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "formulaic"))
    parts = (
        "# Benchmarks",
        _wrapped(f"""Made by `make bench`, here as `python -m benchmarks.run {arguments}`, with
            Python {platform.python_version()}, {packages}. `make bench-peers` installs the Python engines
            beside it; lme4 is wherever `Rscript` has it. Look at ratios: seconds belong to the machine of
            the day."""),
        _wrapped("""CPU seconds of a warm fit by REML, one thread, from a data frame and a formula to
            estimates with standard errors; for lmmtools also conditional modes with their covariances and
            the certificate. In brackets, how many times as long as lmmtools."""),
        times_table(timings),
        _wrapped("""The REML criterion where lmmtools stops, and how far above it the others do, all
            evaluated by lmmtools at their θ. (gpboost maximises the unrestricted likelihood.)"""),
        criteria_table(criteria, engines),
        _wrapped(f"""As good an optimum: a criterion no more than {EQUAL:g} above that of lmmtools. Peak
            memory is that of lmmtools' process, data included."""),
        floor_table(timings, criteria),
        _wrapped(f"""Getting going, CPU seconds, medians of fresh processes: numpy and pandas {start['base']:.2f} s;
            `import lmmtools` above them {start['import']:.3f} s; the engine behind its names
            {start['names']:.2f} s; then sleepstudy read and fitted for the first time
            {start['first']:.2f} s. That process has then held
            {start['peak_mb']:.0f} MB at most."""),
    )
    text = "\n\n".join(parts) + "\n"
    path.write_text(text, encoding="utf-8")
    return text
