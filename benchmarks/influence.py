"""Time of deletion: every row of 100,000, every school of MathAchieve, every level of a crossed design.

``python -m benchmarks.influence [--rounds 3]`` prints a table: the best of so many rounds, with as many threads as
OMP_NUM_THREADS allows. Fits are made before the clock starts.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

import lmmtools as lt


def drawn(n: int, groups: int, seed: int = 1) -> pd.DataFrame:
    """Rows in groups of two crossed factors, with intercepts and a slope."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, groups, n), rng.integers(0, 300, n), rng.normal(size=n)
    of_g = rng.normal(size=groups)[g] + 0.5 * rng.normal(size=groups)[g] * x
    y = 1.0 + x + of_g + 0.7 * rng.normal(size=300)[h] + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})
    return data.assign(t=data.groupby("g").cumcount())


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is deleted, in words, and the call."""
    many = drawn(100_000, 2_000)
    slopes = lt.fit_lmm("y ~ x + (x | g)", many)
    yield "100,000 rows, (x | g)", lambda: lt.influence(slopes)
    crossed = lt.fit_lmm("y ~ x + (1 | g) + (1 | h)", many)
    yield "100,000 rows, (1 | g) + (1 | h)", lambda: lt.influence(crossed)
    series = lt.fit_lmm("y ~ x + (1 | g)", many, residual="ar1(t | g)")
    yield "100,000 rows, (1 | g), ar1(t | g)", lambda: lt.influence(series)
    yield "100,000 rows by 2,000 groups, (x | g)", lambda: lt.influence(slopes, "g")
    schools = lt.fit_lmm("MathAch ~ SES + (SES | School)", lt.load_dataset("MathAchieve"))
    yield "MathAchieve, 160 schools", lambda: lt.influence(schools, "School")
    yield "MathAchieve, 160 schools, refitted", lambda: lt.influence(schools, "School", method="refit")
    yield "MathAchieve, 7,185 pupils", lambda: lt.influence(schools)
    plates = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    yield "Penicillin, 24 plates crossed with 6 samples", lambda: lt.influence(plates, "plate")
    yield "Penicillin, 24 plates, refitted", lambda: lt.influence(plates, "plate", method="refit")


def best(call: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of so many calls."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Print a line for each case as it is done."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{'deleted':48s} {'seconds':>8s}")
    for name, call in cases():
        print(f"{name:48s} {best(call, rounds):8.2f}", flush=True)


if __name__ == "__main__":
    main()
