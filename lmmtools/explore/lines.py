"""Least-squares lines of the response on one covariate, group by group, and how far their slopes differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.explore.variables import Variable, Variables
from lmmtools.frames import Frame, frame

__all__ = ["Lines", "lines_of", "regression_table", "slope_table"]


@dataclass(frozen=True, eq=False)
class Lines:
    """One line a group, by least squares, with the residual variance pooled over the groups.

    Attributes
    ----------
    factor, covariate : str
    table : DataFrame
        ``level, rows, intercept, slope`` and their ``…_se``, ``…_low``, ``…_high``; ``mean_x``; a row a group that has
        a line. Standard errors take the residual variance as equal in all groups.
    without : tuple of str
        Levels with fewer than two values of the covariate, which have no line.
    sigma, dof : float, int
        Pooled residual standard deviation and its degrees of freedom; NaN and 0 where every line is exact.
    pooled : float
        The common slope within groups, Σ w_j slope_j with w_j proportional to the groups' sums of squares of x.
    heterogeneity : float
        Q/(K − 1), Q = Σ (slope_j − pooled)²/se_j²: one on average when all true slopes are equal.
    slope_variance : float
        Moment estimate of the variance of the true slopes, (Q − (K − 1))/(Σw − Σw²/Σw), w = 1/se²; below zero when
        the slopes differ less than their standard errors let expect.

    References
    ----------
    DerSimonian & Laird (1986), Meta-analysis in clinical trials, Control. Clin. Trials 7, eq. 9.
    """

    factor: str
    covariate: str
    table: pd.DataFrame
    without: tuple[str, ...]
    sigma: float
    dof: int
    pooled: float
    heterogeneity: float
    slope_variance: float


def lines_of(response: Variable, covariate: Variable, group: Variable, level: float) -> Lines:
    """Lines of the rows that have all three values."""
    from scipy.special import stdtrit

    here = response.present & covariate.present & group.present
    x, y = covariate.values[here], response.values[here]
    used, codes = np.unique(group.values[here], return_inverse=True)
    n = np.bincount(codes, minlength=len(used))
    mean_x, mean_y = (np.bincount(codes, weights=v) / n for v in (x, y))
    dx, dy = x - mean_x[codes], y - mean_y[codes]
    low, high = np.full(len(used), np.inf), np.full(len(used), -np.inf)
    np.minimum.at(low, codes, x)
    np.maximum.at(high, codes, x)
    has = high > low
    sxx = np.where(has, np.bincount(codes, weights=dx * dx, minlength=len(used)), np.nan)
    slope = np.bincount(codes, weights=dx * dy, minlength=len(used)) / sxx
    rest = np.where(has[codes], dy - slope[codes] * dx, 0.0)
    dof = int((n[has] - 2).sum())
    sigma = float(np.sqrt(rest @ rest / dof)) if dof > 0 else np.nan
    made = {
        "level": group.levels[used.astype(int)].astype(str), "rows": n, "mean_x": mean_x,
        "intercept": mean_y - slope * mean_x, "intercept_se": sigma * np.sqrt(1 / n + mean_x**2 / sxx),
        "slope": slope, "slope_se": sigma / np.sqrt(sxx),
    }  # fmt: skip
    quantile = float(stdtrit(dof, 0.5 + level / 2)) if dof > 0 else np.nan
    for name in ("intercept", "slope"):
        made[f"{name}_low"] = made[name] - quantile * made[f"{name}_se"]
        made[f"{name}_high"] = made[name] + quantile * made[f"{name}_se"]
    table = pd.DataFrame(made)
    without = tuple(table["level"][~has])
    weights = sxx[has] / np.sum(sxx[has])
    pooled = float(weights @ slope[has]) if has.any() else np.nan
    spread = _spread(table["slope"][has].to_numpy(), table["slope_se"][has].to_numpy(), pooled)
    table = table[has].reset_index(drop=True)
    return Lines(group.name, covariate.name, table, without, sigma, dof, pooled, *spread)


def _spread(slopes: np.ndarray, errors: np.ndarray, pooled: float) -> tuple[float, float]:
    """Q/(K − 1) and the moment estimate of the variance of the true slopes."""
    if len(slopes) < 2 or not np.all(errors > 0):
        return np.nan, np.nan
    w = errors**-2.0
    q, k = float(w @ (slopes - pooled) ** 2), len(slopes) - 1
    return q / k, (q - k) / float(w.sum() - np.sum(w**2) / w.sum())


def regression_table(found: list[Lines], variables: Variables, level: float) -> Frame:
    """Every line as a row."""
    columns = "factor covariate level rows intercept intercept_low intercept_high slope slope_low slope_high".split()
    parts = [lines.table.assign(factor=lines.factor, covariate=lines.covariate)[columns] for lines in found]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    percent = f"{100 * level:g} %"
    return frame(
        table,
        caption=f"Least-squares lines of {variables.response.name}, group by group, with {percent} intervals",
        label="tbl-regressions",
        notes=(
            "Intervals take the residual variance as equal in all groups of a factor. The intercept is the line's "
            "height where the covariate is zero.",
        ),
        headings={
            "factor": "Groups", "covariate": "Covariate", "level": "Level", "rows": "Rows", "intercept": "Intercept",
            "intercept_low": f"{percent} low", "intercept_high": "high", "slope": "Slope",
            "slope_low": f"{percent} low", "slope_high": "high",
        },
        formats=dict.fromkeys(columns[4:], "estimate"),
        index=False,
    )  # fmt: skip


def slope_table(found: list[Lines]) -> Frame:
    """What a random slope could explain: the spread of the slopes beside their standard errors."""
    rows = [
        (
            lines.factor, lines.covariate, len(lines.table), len(lines.without), lines.pooled,
            lines.table["slope"].std() if len(lines.table) > 1 else np.nan,
            float(np.sqrt(np.mean(lines.table["slope_se"] ** 2))), lines.heterogeneity,
            float(np.sqrt(max(lines.slope_variance, 0.0))) if np.isfinite(lines.slope_variance) else np.nan,
        )
        for lines in found
    ]  # fmt: skip
    columns = "factor covariate lines without pooled sd error heterogeneity slope_sd".split()
    return frame(
        pd.DataFrame(rows, columns=columns),
        caption="Spread of the groups' slopes beside their standard errors",
        label="tbl-slopes",
        notes=(
            "Ratio: squared deviations from the pooled slope over squared standard errors, per degree of freedom; "
            "near 1 when all groups share one slope. Moment SD: DerSimonian and Laird's moment estimate of the "
            "standard deviation of the true slopes, zero when the ratio is below 1; no estimate by likelihood.",
        ),
        headings={
            "factor": "Groups", "covariate": "Covariate", "lines": "Lines", "without": "Groups without",
            "pooled": "Pooled slope", "sd": "SD of slopes", "error": "Typical SE", "heterogeneity": "Ratio",
            "slope_sd": "Moment SD",
        },
        formats={"heterogeneity": "fixed2", "pooled": "sig4", "sd": "sig4", "error": "sig4", "slope_sd": "sig4"},
        index=False,
    )  # fmt: skip
