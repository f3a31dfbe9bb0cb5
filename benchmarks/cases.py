"""The benchmark cases: what each one fits, and its rows, the same on every machine.

Each case is a formula in R's notation and a maker of its columns. `write_case` stores them twice: as an npz
file for Python engines and as raw little-endian columns for R. Random cases draw from numpy's PCG64 with a
fixed seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
Columns = dict[str, np.ndarray]


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
    """

    formula: str
    about: str
    columns: Callable[[], Columns]

    @property
    def fixed(self) -> str:
        """The part without bars, response included."""
        return self.formula.split(" + (")[0]

    @property
    def group(self) -> str:
        """Name of the grouping factor."""
        return self.formula.split("|")[1].strip(" )")

    @property
    def effects(self) -> tuple[str, ...]:
        """Columns with random slopes; the intercept is always there."""
        left = self.formula.split("(")[1].split("|")[0]
        return tuple(name for name in (part.strip() for part in left.split("+")) if name != "1")


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


def _singular() -> Columns:
    rng, n, groups = np.random.default_rng(6), 20_000, 300
    g, x = rng.integers(0, groups, n), rng.normal(size=n)
    y = 1 + x + rng.normal(size=groups)[g] * 0.5 + rng.normal(size=n)  # no slope variance in truth
    return {"y": y, "x": x, "g": g}


def _many_groups() -> Columns:
    rng, groups = np.random.default_rng(1), 125_000
    g, x = np.repeat(np.arange(groups), 3), rng.normal(size=3 * groups)
    y = 1 + 0.5 * x + rng.normal(size=groups)[g] * 0.7 + rng.normal(size=3 * groups)
    return {"y": y, "x": x, "g": g}


def _many_rows() -> Columns:
    rng, n, groups = np.random.default_rng(2), 10**6, 10_000
    g, x = np.sort(rng.integers(0, groups, n)), rng.normal(size=n)
    b = rng.multivariate_normal([0, 0], [[0.5, 0.1], [0.1, 0.2]], groups)
    y = 1 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=n)
    shuffled = rng.permutation(n)  # rows of one group are not together
    return {"y": y[shuffled], "x": x[shuffled], "g": g[shuffled]}


def _five_effects() -> Columns:
    rng, n, groups = np.random.default_rng(4), 10**5, 500
    g, x = rng.integers(0, groups, n), rng.normal(size=(n, 4))
    factor = np.tril(rng.normal(size=(5, 5)) * 0.25) + np.eye(5) * 0.3
    b = rng.normal(size=(groups, 5)) @ factor.T
    y = 1 + x @ [0.1, 0.2, 0.3, 0.4] + b[g, 0] + (b[g, 1:] * x).sum(1) + rng.normal(size=n)
    return {"y": y, "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "x4": x[:, 3], "g": g}


CASES = {
    "sleep": Case("y ~ x + (x | g)", "sleepstudy: 180 rows, 18 groups, slope", _sleepstudy),
    "math": Case("y ~ x + m + (x | g)", "MathAchieve: 7,185 rows, 160 groups, slope", _math),
    "sing": Case("y ~ x + (x | g)", "20,000 rows, 300 groups, slope variance at zero", _singular),
    "ri125k": Case("y ~ x + (1 | g)", "125,000 groups of 3 rows, intercept", _many_groups),
    "rs1m": Case("y ~ x + (x | g)", "1,000,000 rows unsorted, 10,000 groups, slope", _many_rows),
    "rs5": Case(
        "y ~ x1 + x2 + x3 + x4 + (x1 + x2 + x3 + x4 | g)",
        "100,000 rows, 500 groups, five correlated effects",
        _five_effects,
    ),
}


def write_case(name: str, folder: Path) -> int:
    """Write a case's columns into `folder` unless they are there; return its number of rows."""
    columns = CASES[name].columns()
    path = folder / f"{name}.npz"
    if not path.exists():
        raw = folder / name
        raw.mkdir(parents=True, exist_ok=True)
        for column, values in columns.items():
            kind, ending = ("<i4", "int") if values.dtype.kind in "iu" else ("<f8", "dbl")
            values.astype(kind).tofile(raw / f"{column}.{ending}")
        np.savez(path, **columns)  # last, so that a killed run leaves no case half written
    return len(columns["y"])


def read_case(name: str, folder: Path) -> pd.DataFrame:
    """Return a written case as a data frame."""
    with np.load(folder / f"{name}.npz") as columns:
        return pd.DataFrame({column: columns[column] for column in columns.files})
