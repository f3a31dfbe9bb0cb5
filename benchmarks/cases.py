"""The benchmark cases: what each one fits, and its rows, the same on every machine.

Each case is a formula in R's notation and a maker of its columns. `write_case` stores them twice: as an npz
file for Python engines and as raw little-endian columns for R. Random cases draw from numpy's PCG64 with a
fixed seed. Terms stand in the order of their numbers of levels, the largest first: so does θ in every engine.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
Columns = dict[str, np.ndarray]
ROWS = (3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)
GROUPS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000)
LEVELS = (10, 30, 100, 300, 1_000, 2_000)


@dataclass(frozen=True)
class Case:
    """One model on one data set.

    Attributes
    ----------
    formula : str
        R's notation; one bar per grouping factor.
    about : str
        What the case is, for the table.
    columns : callable
        Makes the columns; numeric ones float64, group labels integers.
    quick : bool
        Whether every engine fits it in about a second.
    """

    formula: str
    about: str
    columns: Callable[[], Columns]
    quick: bool = False

    @property
    def fixed(self) -> str:
        """The part without bars, response included."""
        return self.formula.split(" + (")[0]

    @property
    def predictors(self) -> list[str]:
        """Columns of the fixed part; the intercept is always there."""
        return [name.strip() for name in self.fixed.split("~")[1].split("+")]

    @property
    def terms(self) -> list[tuple[list[str], str]]:
        """For each term the columns with random slopes, and the grouping factor; every term has its intercept."""
        bars = [bar.split("|") for bar in re.findall(r"\((.*?)\)", self.formula)]
        return [([x for x in map(str.strip, left.split("+")) if x != "1"], group.strip()) for left, group in bars]

    @property
    def groups(self) -> list[str]:
        """Names of the grouping factors."""
        return [group for _, group in self.terms]


def _sleepstudy() -> Columns:
    frame = pd.read_csv(ROOT / "data" / "sleepstudy.csv")
    return {
        "y": frame["Reaction"].to_numpy(float),
        "x": frame["Days"].to_numpy(float),
        "g": frame["Subject"].to_numpy(int),
    }


def _math() -> Columns:
    frame = pd.read_csv(ROOT / "data" / "MathAchieve.csv.gz", dtype={"School": str})
    return {
        "y": frame["MathAch"].to_numpy(float),
        "x": frame["SES"].to_numpy(float),
        "m": frame["MEANSES"].to_numpy(float),
        "g": frame["School"].astype(int).to_numpy(),
    }


def _insteval() -> Columns:
    frame = pd.read_csv(ROOT / "data" / "InstEval.csv.gz")
    labels = {name: frame[name].to_numpy(int) for name in ("s", "d", "dept")}
    return {"y": frame["y"].to_numpy(float), "service": frame["service"].to_numpy(float)} | labels


def _response(rng: np.random.Generator, x: np.ndarray, slope: float, parts: list[np.ndarray]) -> np.ndarray:
    y = 1 + slope * x
    for part in parts:
        y = y + part
    return y + rng.normal(size=len(x))


def _singular() -> Columns:
    rng, n, groups = np.random.default_rng(6), 20_000, 300
    g, x = rng.integers(0, groups, n), rng.normal(size=n)
    y = _response(rng, x, 1.0, [rng.normal(size=groups)[g] * 0.5])  # no slope variance in truth
    return {"y": y, "x": x, "g": g}


def _many_groups() -> Columns:
    rng, groups = np.random.default_rng(1), 125_000
    g, x = np.repeat(np.arange(groups), 3), rng.normal(size=3 * groups)
    y = _response(rng, x, 0.5, [rng.normal(size=groups)[g] * 0.7])
    return {"y": y, "x": x, "g": g}


def _slopes(n: int, groups: int) -> Columns:
    rng = np.random.default_rng(2)
    g, x = np.sort(rng.integers(0, groups, n)), rng.normal(size=n)
    b = rng.multivariate_normal([0, 0], [[0.5, 0.1], [0.1, 0.2]], groups)
    y = _response(rng, x, 0.5, [b[g, 0], b[g, 1] * x])
    shuffled = rng.permutation(n)  # rows of one group are not together
    return {"y": y[shuffled], "x": x[shuffled], "g": g[shuffled]}


def _five_effects() -> Columns:
    rng, n, groups = np.random.default_rng(4), 10**5, 500
    g, x = rng.integers(0, groups, n), rng.normal(size=(n, 4))
    factor = np.tril(rng.normal(size=(5, 5)) * 0.25) + np.eye(5) * 0.3
    b = rng.normal(size=(groups, 5)) @ factor.T
    y = 1 + x @ [0.1, 0.2, 0.3, 0.4] + b[g, 0] + (b[g, 1:] * x).sum(1) + rng.normal(size=n)
    return {"y": y, "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "x4": x[:, 3], "g": g}


def _nested(seed: int, n: int, classes: int) -> Columns:
    rng = np.random.default_rng(seed)
    c, x = rng.integers(0, classes, n), rng.normal(size=n)
    school = c // 10
    y = _response(rng, x, 0.2, [0.5 * rng.normal(size=classes)[c], 0.4 * rng.normal(size=classes // 10)[school]])
    return {"y": y, "x": x, "c": c, "sc": school}


def _crossed(seed: int, n: int, levels: tuple[int, int], sd: tuple[float, float]) -> Columns:
    rng = np.random.default_rng(seed)
    a, b, x = rng.integers(0, levels[0], n), rng.integers(0, levels[1], n), rng.normal(size=n)
    y = _response(rng, x, 0.3, [rng.normal(size=levels[0])[a] * sd[0], rng.normal(size=levels[1])[b] * sd[1]])
    return {"y": y, "x": x, "a": a, "b": b}


def _crossed_slopes() -> Columns:
    rng, n = np.random.default_rng(9), 10**5
    a, b, x = rng.integers(0, 1000, n), rng.integers(0, 300, n), rng.normal(size=n)
    u = rng.multivariate_normal([0, 0], [[0.6, 0.15], [0.15, 0.2]], 1000)
    y = _response(rng, x, 0.3, [u[a, 0], u[a, 1] * x, 0.5 * rng.normal(size=300)[b]])
    return {"y": y, "x": x, "a": a, "b": b}


def _crossed_singular() -> Columns:
    rng, n = np.random.default_rng(15), 20_000  # of some seeds, one where both variances end at zero
    a, b, x = rng.integers(0, 400, n), rng.integers(0, 150, n), rng.normal(size=n)
    y = _response(rng, x, 0.3, [0.5 * rng.normal(size=400)[a]])  # neither slopes nor b vary in truth
    return {"y": y, "x": x, "a": a, "b": b}


def _ratings() -> Columns:
    rng, n, users, films = np.random.default_rng(5), 10**6, 6000, 3900
    weights = rng.lognormal(0, 1.1, users), rng.lognormal(0, 1.5, films)
    u, v = (rng.choice(len(w), size=int(n * 1.35), p=w / w.sum()) for w in weights)
    pairs = rng.permutation(np.unique(u * films + v))[:n]  # each film once a user
    u, v = pairs // films, pairs % films
    n = len(u)
    x = rng.normal(size=n)
    y = 3.5 + 0.1 * x + 0.45 * rng.normal(size=users)[u] + 0.6 * rng.normal(size=films)[v] + 0.9 * rng.normal(size=n)
    return {"y": y, "x": x, "u": u, "v": v}


ONE, SLOPE = "y ~ x + (1 | g)", "y ~ x + (x | g)"
NESTED, CROSSED = "y ~ x + (1 | c) + (1 | sc)", "y ~ x + (1 | a) + (1 | b)"
CASES = {
    "sleep": Case(SLOPE, "sleepstudy: 180 rows, 18 groups, slope", _sleepstudy, True),
    "math": Case("y ~ x + m + (x | g)", "MathAchieve: 7,185 rows, 160 groups, slope", _math, True),
    "sing": Case(SLOPE, "20,000 rows, 300 groups, slope variance at zero", _singular, True),
    "ri125k": Case(ONE, "125,000 groups of 3 rows, intercept", _many_groups),
    "rs1m": Case(SLOPE, "1,000,000 rows unsorted, 10,000 groups, slope", partial(_slopes, 10**6, 10_000)),
    "rs5": Case(
        "y ~ x1 + x2 + x3 + x4 + (x1 + x2 + x3 + x4 | g)",
        "100,000 rows, 500 groups, five correlated effects",
        _five_effects,
    ),
    "nested": Case(NESTED, "200,000 rows, 20,000 classes in 2,000 schools", partial(_nested, 7, 200_000, 20_000)),
    "nested200k": Case(
        NESTED, "1,000,000 rows, 200,000 classes in 20,000 schools", partial(_nested, 8, 10**6, 200_000)
    ),
    "cross100k": Case(
        CROSSED, "100,000 rows, 2,000 × 1,000 crossed", partial(_crossed, 3, 10**5, (2000, 1000), (0.8, 0.5))
    ),
    "crossvec": Case("y ~ x + (x | a) + (1 | b)", "100,000 rows, 1,000 with slopes × 300 crossed", _crossed_slopes),
    "crosssing": Case(
        "y ~ x + (x | a) + (1 | b)",
        "20,000 rows, 400 with slopes × 150 crossed, two variances at zero",
        _crossed_singular,
        True,
    ),
    "inst": Case(
        "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
        "InstEval: 73,421 rows, 2,972 × 1,128 × 14 crossed",
        _insteval,
    ),
    "ml1m": Case("y ~ x + (1 | u) + (1 | v)", "1,000,000 ratings, 6,000 × 3,900 crossed", _ratings),
}

# For the plots: one thing grows, the rest stays. By curve, the number that grows and the case.
SCALING = {
    "rows": {n: Case(SLOPE, f"{n:,} rows, 1,000 groups", partial(_slopes, n, 1000)) for n in ROWS},
    "groups": {J: Case(SLOPE, f"100,000 rows, {J:,} groups", partial(_slopes, 100_000, J)) for J in GROUPS},
    "levels": {
        J: Case(CROSSED, f"100,000 rows, 2,000 × {J:,}", partial(_crossed, 3, 10**5, (2000, J), (0.8, 0.5)))
        for J in LEVELS
    },
}
ALL = CASES | {f"{curve}-{size}": case for curve, cases in SCALING.items() for size, case in cases.items()}


def write_case(name: str, folder: Path) -> int:
    """Write a case's columns into `folder` unless they are there; return its number of rows."""
    path = folder / f"{name}.npz"
    if not path.exists():
        columns = ALL[name].columns()
        raw = folder / name
        raw.mkdir(parents=True, exist_ok=True)
        for column, values in columns.items():
            kind, ending = ("<i4", "int") if values.dtype.kind in "iu" else ("<f8", "dbl")
            values.astype(kind).tofile(raw / f"{column}.{ending}")
        part = path.with_suffix(".part.npz")
        np.savez(part, **columns)
        part.replace(path)  # last, so that a killed run leaves no case half written
    with np.load(path) as columns:
        return len(columns["y"])


def read_case(name: str, folder: Path) -> pd.DataFrame:
    """Return a written case as a data frame."""
    with np.load(folder / f"{name}.npz") as columns:
        return pd.DataFrame({column: columns[column] for column in columns.files})
