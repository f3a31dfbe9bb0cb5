"""The tests as tables: statistics of the data among those of draws, and what a small p-value would suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.formats import counted
from lmmtools.frames import Frame, frame
from lmmtools.uniformity import statistics
from lmmtools.uniformity.levels import Levels, comparable, p_values

__all__ = ["Check", "Ranked", "checks_of", "groups_table", "tests_table"]


@dataclass(frozen=True)
class Ranked:
    """What tests look at: rows without those of leverage one.

    Attributes
    ----------
    z : ndarray, shape (rows, m)
        Residuals over their standard deviations, the data's first.
    ranks, counts : ndarray, shape (rows, m), (m, m)
    along : ndarray, shape (rows,) or (rows, m)
        Ranks of predictions, of the fit or of each response.
    levels : Levels or None
    far : ndarray, shape (levels, m), or None
        The distance from uniformity within each level.
    prediction : str
        What `along` is, for names.
    """

    z: np.ndarray
    ranks: np.ndarray
    counts: np.ndarray
    along: np.ndarray
    levels: Levels | None
    far: np.ndarray | None
    prediction: str

    @property
    def flat(self) -> bool:
        """Whether the predictions of the data are all equal."""
        return bool(np.ptp(self.along if self.along.ndim == 1 else self.along[:, 0]) == 0.0)


@dataclass(frozen=True)
class Check:
    """One test: statistics, the data's first, whether both sides count, and what a small p-value suggests."""

    name: str
    statistic: np.ndarray
    suggests: str
    two_sided: bool = False


def checks_of(seen: Ranked) -> list[Check]:
    """All tests that there are; none along predictions that are all equal."""
    m = seen.ranks.shape[1]
    off = np.abs(2 * seen.ranks.astype(np.int32) - (m - 1)).astype(seen.ranks.dtype)
    found = [
        Check("uniformity", statistics.uniformity(seen.counts), "another distribution than the normal"),
        Check("dispersion", statistics.dispersion(seen.z), "covariances that do not fit the spread of the rows", True),
        Check("outliers", statistics.outliers(seen.counts), "more extreme rows, or fewer, than normal ones", True),
    ]  # fmt: skip
    if not seen.flat:
        found += [
            Check(f"location along {seen.prediction}", statistics.trend(seen.ranks, seen.along),
                  "a mean that is curved where the model's is straight"),
            Check(f"spread along {seen.prediction}", statistics.trend(off, seen.along),
                  "a variance that changes with the mean"),
        ]  # fmt: skip
    if (levels := seen.levels) is not None:
        name, largest = levels.name, comparable(seen.far, levels.sizes).max(axis=0)
        found += [
            Check(f"location by {name}", statistics.between_levels(seen.ranks[levels.order], levels.starts),
                  "levels with other means than the model's"),
            Check(f"spread by {name}", statistics.between_levels(off[levels.order], levels.starts),
                  "variances that differ between levels"),
            Check(f"uniformity by {name}", largest, "some level, see the table of levels, with another distribution"),
        ]  # fmt: skip
    return found


def tests_table(checks: list[Check], caption: str, notes: tuple[str, ...], valid: bool) -> Frame:
    """A row a test."""
    rows = []
    for check in checks:
        p = statistics.p_value(check.statistic, two_sided=check.two_sided) if valid else (np.nan, np.nan)
        rows.append((float(check.statistic[0]), float(check.statistic[1:].mean()), *p, check.suggests))
    table = pd.DataFrame(
        rows, columns=["statistic", "expected", "p_value", "mc_error", "suggests"],
        index=pd.Index([check.name for check in checks], name="test"),
    )  # fmt: skip
    return frame(
        table, caption=caption, label="tbl-quantile-residuals", notes=notes,
        headings={"test": "Test", "statistic": "Statistic", "expected": "Expected", "p_value": "p",
                  "mc_error": "± (simulation)", "suggests": "A small p suggests"},
        formats={"statistic": "sig3", "expected": "sig3", "p_value": "p", "mc_error": "sig1"},
    )  # fmt: skip


def groups_table(seen: Ranked, valid: bool) -> Frame | None:
    """A row a level; None without levels."""
    levels, m = seen.levels, seen.ranks.shape[1]
    if levels is None:
        return None
    alone, together = p_values(comparable(seen.far, levels.sizes))
    means = np.add.reduceat(seen.ranks[levels.order, 0], levels.starts, dtype=float) / levels.sizes
    table = pd.DataFrame(
        {"rows": levels.sizes, "mean": (means + 0.5) / m, "distance": seen.far[:, 0],
         "p_value": alone if valid else np.nan, "p_adjusted": together if valid else np.nan},
        index=levels.labels.rename(levels.name),
    )  # fmt: skip
    return frame(
        table,
        caption=f"Quantile residuals by {levels.name}",
        label="tbl-quantile-residuals-by",
        notes=("Mean: ½ is expected. Distance: Kolmogorov and Smirnov's, from the uniform distribution. Adjusted: for "
               f"{counted(len(table), 'level')}, by the largest distance of any level of a draw."
               + (f" With {m - 1:,} draws no p-value is below {1 / m:.2g}." if len(table) * 20 > m else ""),),
        headings={"rows": "Rows", "mean": "Mean", "distance": "Distance", "p_value": "p", "p_adjusted": "p, adjusted"},
        formats={"rows": "int", "mean": "fixed3", "distance": "fixed3", "p_value": "p", "p_adjusted": "p"},
    )  # fmt: skip
