"""How often intervals hold the truth, and tests reject it, in small unbalanced designs: the evidence for the defaults.

``python -m benchmarks.coverage [--n 1000] [--bootstrapped 100] [--replicates 499] [--workers 2]`` simulates each scene
n times, fits every response, asks every method, and writes docs/coverage.md with docs/coverage.svg beside it. All is
seeded: the same arguments give the same numbers, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import lmmtools as lt
from benchmarks.scenes import SCENES, Scene
from lmmtools.profiles import profile_confint

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURE = ROOT / "docs" / "coverage.md", ROOT / "docs" / "coverage.svg"
LEVEL = 0.95
WALD = {
    "normal": "normal",
    "residual": "t, residual df",
    "satterthwaite": "t, Satterthwaite",
    "kenward-roger": "Kenward-Roger",
}
BOOTSTRAP = {"percentile": "bootstrap, percentile", "basic": "bootstrap, basic", "bca": "bootstrap, BCa"}
METHODS = (*WALD.values(), "profile (ML)", "cluster-robust CR2", *BOOTSTRAP.values())
Counts = dict[tuple[str, str], list[float]]


def one(scene: Scene, y: np.ndarray, rng: np.random.Generator, replicates: int) -> list[tuple[str, str, float, float]]:
    """(what, method, whether it held or rejected, length) of one response."""
    fit = scene.fit.refit(y=y)
    found = [*_coefficients(scene, fit)]
    found += _terms(scene, fit)
    if replicates:
        found += _bootstrapped(scene, fit, rng, replicates)
    found.append(("fits", "singular", float(fit.is_singular), np.nan))
    return found


def _coefficients(scene: Scene, fit: lt.LMMFit):
    for ddf, name in WALD.items():
        table = fit.coef_table(ddf=ddf, level=LEVEL)
        yield from _held(scene, name, table["ci_low"], table["ci_high"])
    table = profile_confint(fit, LEVEL, [*scene.watched.values(), scene.deviation[0]])
    yield from _held(scene, "profile (ML)", table["low"], table["high"])
    yield from _sd(scene, "profile (ML)", table)
    if scene.cluster:
        table = lt.robust_table(fit, scene.cluster, level=LEVEL)
        yield from _held(scene, "cluster-robust CR2", table["ci_low"], table["ci_high"])


def _held(scene: Scene, method: str, low: pd.Series, high: pd.Series):
    for kind, name in scene.watched.items():
        yield kind, method, *_interval(low[name], high[name], scene.truth[name])


def _interval(low: float, high: float, truth: float) -> tuple[float, float]:
    """Whether it holds the truth, NaN where there is no interval, and its length."""
    given = not (np.isnan(low) or np.isnan(high))
    return float(low <= truth <= high) if given else np.nan, float(high - low)


def _bootstrapped(scene: Scene, fit: lt.LMMFit, rng: np.random.Generator, replicates: int):
    made = lt.bootstrap(fit, replicates, rng, progress=False)
    for kind, method in BOOTSTRAP.items():
        table = made.confint(kind=kind, level=LEVEL)
        yield from _held(scene, method, table["low"], table["high"])
        yield from _sd(scene, method, table)


def _sd(scene: Scene, method: str, table: pd.DataFrame):
    name, truth = scene.deviation
    if name in table.index:
        yield "sd", method, *_interval(*table.loc[name, ["low", "high"]], truth)


def _terms(scene: Scene, fit: lt.LMMFit):
    """Sizes of tests whose null hypotheses are true, at one less the level."""
    size = 1.0 - LEVEL
    if scene.null_term:
        for ddf, name in WALD.items():
            p = fit.anova(ddf=ddf).loc[scene.null_term, "p_value"]
            yield "F test", name, float(p < size), np.nan
        p = lt.lrt(scene.smaller.refit(y=fit.design.y), fit.refit(reml=False))["p_value"].iloc[-1]
        yield "F test", "likelihood ratio, χ²", float(p < size), np.nan
    if scene.null_variance:
        small = scene.smaller.refit(y=fit.design.y)
        row = lt.lrt(small, fit).iloc[-1]
        from scipy.special import chdtrc

        yield "variance", "likelihood ratio, χ²", float(chdtrc(row["df"], row["chisq"]) < size), np.nan
        yield "variance", "likelihood ratio, mixture", float(row["p_value"] < size), np.nan
        exact = lt.exact_lrt(fit, scene.null_variance, n=2000, rng=np.random.default_rng(1))
        yield "variance", "exact (simulated)", float(exact.p_value < size), np.nan


def _chunk(given: tuple[str, int, int, int, int, int]) -> tuple[str, Counts, int]:
    name, start, stop, replicates, bootstrapped, seed = given
    warnings.simplefilter("ignore")
    scene = SCENES[name]()
    counts: Counts = defaultdict(list)
    failed = 0
    for k in range(start, stop):
        data, resample = np.random.default_rng([seed, k]).spawn(2)
        y = scene.model.simulate(1, data)[:, 0]
        try:
            for what, method, hit, length in one(scene, y, resample, replicates if k < bootstrapped else 0):
                counts[what, method].append((hit, length))
        except lt.LMMError:
            failed += 1
    return name, counts, failed


def run(
    n: int, replicates: int, bootstrapped: int, workers: int, seed: int = 1
) -> tuple[dict[str, Counts], dict[str, int]]:
    """Every scene n times."""
    step = 25
    jobs = [(name, a, min(a + step, n), replicates, bootstrapped, seed) for name in SCENES for a in range(0, n, step)]
    found: dict[str, Counts] = {name: defaultdict(list) for name in SCENES}
    failed: dict[str, int] = defaultdict(int)
    started = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        for k, (name, counts, lost) in enumerate(pool.map(_chunk, jobs), 1):
            for key, values in counts.items():
                found[name][key] += values
            failed[name] += lost
            print(f"\r{k}/{len(jobs)} {time.perf_counter() - started:.0f} s", end="", flush=True)
    print()
    return found, failed


def summarise(found: dict[str, Counts]) -> pd.DataFrame:
    """Rate, Monte-Carlo error and median length by scene, what and method."""
    rows = []
    for scene, counts in found.items():
        for (what, method), values in counts.items():
            hits, lengths = np.array(values).T
            none = float(np.isnan(hits).mean())
            hits = hits[~np.isnan(hits)]
            rate = hits.mean() if len(hits) else np.nan
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                length = float(np.nanmedian(lengths))
            error = float(np.sqrt(max(rate * (1 - rate), 0.25 / len(hits)) / len(hits))) if len(hits) else np.nan
            rows.append((scene, what, method, float(rate), error, length, none))
    return pd.DataFrame(rows, columns=["scene", "what", "method", "rate", "error", "length", "none"])


def main() -> None:
    """Simulate, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--bootstrapped", type=int, default=100, help="responses of each scene that are bootstrapped")
    parser.add_argument("--replicates", type=int, default=499)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from benchmarks.coverage_page import draw, write

    found, failed = run(given.n, given.replicates, given.bootstrapped, given.workers)
    table = summarise(found)
    write(table, dict(failed), PAGE, given.n, given.bootstrapped, given.replicates)
    draw(table, PICTURE)


if __name__ == "__main__":
    main()
