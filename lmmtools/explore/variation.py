"""Sums of squares within and between groups, from the definition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.explore.variables import Variable, Variables
from lmmtools.frames import Frame, frame

__all__ = ["Split", "anova_icc", "out_of", "split", "variation_table", "varies_within"]

# A sum of squares this small beside another is the rounding of means.
_ROUNDING = 1e-24


@dataclass(frozen=True)
class Split:
    """One variable's sum of squares about its mean, in two parts.

    Attributes
    ----------
    rows, groups : int
        Rows with a value of both, and groups among them.
    total, between, within : float
        Sums of squares, total = between + within; for a factor summed over the indicators of its levels.
    varying : int
        Groups in which the variable takes more than one value.
    """

    rows: int
    groups: int
    total: float
    between: float
    within: float
    varying: int

    @property
    def share(self) -> float:
        """Share of the variation that lies within groups; NaN for a constant."""
        return self.within / self.total if self.total > 0 else np.nan

    @property
    def how(self) -> str:
        """Where the variable varies, in words."""
        if self.total == 0:
            return "constant"
        if self.varying == 0:
            return "between groups only"
        return "within groups only" if self.between == 0 else "within and between"


def split(variable: Variable, group: Variable) -> Split:
    """Split a variable's sum of squares by the levels of a grouping factor."""
    here = variable.present & group.present
    values = variable.values[here]
    used, codes = np.unique(group.values[here], return_inverse=True)
    if len(values) == 0:
        return Split(0, 0, 0.0, 0.0, 0.0, 0)
    sizes = np.bincount(codes)
    parts = _of_numbers(values, codes, sizes) if variable.is_number else _of_levels(values, codes, sizes)
    low, high = _extremes(values, codes, len(used))
    return Split(len(values), len(used), *parts, int((high > low).sum()))


def _of_numbers(x: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> tuple[float, float, float]:
    if x.min() == x.max():
        return 0.0, 0.0, 0.0
    deviation = x - x.mean()
    means = np.bincount(codes, weights=deviation) / sizes
    rest = deviation - means[codes]
    low, high = _extremes(x, codes, len(sizes))
    within = float(rest @ rest) if (high > low).any() else 0.0
    between = float(sizes @ means**2)
    between = 0.0 if between <= _ROUNDING * within else between
    return between + within, between, within


def _of_levels(levels: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> tuple[float, float, float]:
    """Of the indicators of all levels: Σ n_l (1 − n_l/n), with n_l and n_gl counts of levels and of cells."""
    n, counts = len(levels), np.bincount(levels)
    pairs, cells = np.unique(codes * len(counts) + levels, return_counts=True)
    inside = float(np.sum(cells**2 / sizes[pairs // len(counts)]))
    overall = float(np.sum(counts**2) / n)
    return n - overall, max(inside - overall, 0.0), n - inside


def _extremes(values: np.ndarray, codes: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each group."""
    low, high = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    return low, high


def varies_within(found: Split) -> bool:
    """Whether a variable can have a slope that differs between groups: it varies within two of them or more."""
    return found.varying >= 2


def out_of(some: int, whole: int) -> str:
    """``"3 of 27"``, which no table breaks."""
    return f"{some}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}{whole}"


def anova_icc(response: Variable, group: Variable) -> float:
    """Intraclass correlation by the analysis-of-variance estimator; NaN where it is not defined.

    References
    ----------
    Donner (1986), A review of inference procedures for the intraclass correlation coefficient in the one-way
    random effects model, Int. Stat. Rev. 54, eq. 2.1.
    """
    found = split(response, group)
    here = response.present & group.present
    _, sizes = np.unique(group.values[here], return_counts=True)
    n, groups = found.rows, found.groups
    if groups < 2 or n <= groups or found.total == 0:
        return np.nan
    between, within = found.between / (groups - 1), found.within / (n - groups)
    size = (n - np.sum(sizes**2) / n) / (groups - 1)
    below = between + (size - 1) * within
    return float((between - within) / below) if below > 0 else np.nan


def variation_table(variables: Variables) -> tuple[Frame, dict[tuple[str, str], Split]]:
    """Sums of squares of the response and each covariate by each grouping factor, and the same by name."""
    found = {
        (group.name, variable.name): split(variable, group)
        for group in variables.groups
        for variable in (variables.response, *variables.covariates)
    }
    rows = [
        (factor, name, s.rows, s.total, s.between, s.within, s.share, out_of(s.varying, s.groups), s.how)
        for (factor, name), s in found.items()
    ]
    columns = ("factor column rows total between within share varying how").split()
    table = frame(
        pd.DataFrame(rows, columns=columns),
        caption="Variation within and between groups: sums of squares about the mean",
        label="tbl-variation",
        notes=("For a factor, the sums run over the indicators of its levels.",) if _has_factor(variables) else (),
        headings={
            "factor": "Groups", "column": "Column", "rows": "Rows", "total": "Total", "between": "Between",
            "within": "Within", "share": "Share within", "varying": "In groups",
            "how": "It varies",
        },
        formats={"total": "sig4", "between": "sig4", "within": "sig4", "share": "percent"},
        index=False,
    )  # fmt: skip
    return table, found


def _has_factor(variables: Variables) -> bool:
    return any(not covariate.is_number for covariate in variables.covariates)
