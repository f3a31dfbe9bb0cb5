"""The response's distribution: over all rows and within groups, values that stand apart, other scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.explore.lines import Lines
from lmmtools.explore.variables import Variable, Variables
from lmmtools.frames import Frame, frame

__all__ = ["Deviations", "deviations", "other_scale", "outlier_table", "response_table", "robust_distance", "skewness"]

# Iglewicz & Hoaglin (1993), How to detect and handle outliers: modified z-scores beyond this are looked at.
_APART = 3.5
_MAD_TO_SD = 1.4826
_MOST_NAMED = 20
# A scale is mentioned when the skewness within groups is beyond the first and another halves it.
_SKEWED, _BETTER = 1.0, 0.5


@dataclass(frozen=True, eq=False)
class Deviations:
    """The response of each row with a value, less what its group expects.

    Attributes
    ----------
    places : ndarray of int, shape (m,)
        Rows of the data.
    values : ndarray, shape (m,)
    about : str
        From what they are taken, in words.
    """

    places: np.ndarray
    values: np.ndarray
    about: str


def deviations(variables: Variables, group: Variable | None, lines: Lines | None, y: np.ndarray) -> Deviations:
    """Deviations of `y` from each group's line where there is one, else its mean; from the overall mean without groups.

    Where a group's line is exact, having as few rows as parameters, the pooled slope is used.
    """
    if group is None:
        here = np.flatnonzero(~np.isnan(y))
        return Deviations(here, y[here] - y[here].mean(), "the mean")
    keep = ~np.isnan(y) & group.present
    if lines is None:
        here = np.flatnonzero(keep)
        return Deviations(here, _about_means(y[here], group.values[here]), f"the means of {group.name}")
    x = next(c for c in variables.covariates if c.name == lines.covariate)
    here = np.flatnonzero(keep & x.present)
    codes = group.values[here]
    dx, dy = (_about_means(v[here], codes) for v in (x.values, y))
    square, product = (np.bincount(codes, weights=dx * v) for v in (dx, dy))
    enough = (np.bincount(codes) > 2) & (square > 0)
    common = product.sum() / square.sum()
    slope = np.where(enough, product / np.where(square > 0, square, 1.0), common)
    return Deviations(here, dy - slope[codes] * dx, f"the lines of {group.name} on {x.name}")


def _about_means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    sizes = np.maximum(np.bincount(codes), 1)
    return values - (np.bincount(codes, weights=values) / sizes)[codes]


def skewness(values: np.ndarray) -> float:
    """Third central moment over the cubed standard deviation; NaN for fewer than three values or a constant."""
    centred = values - np.mean(values) if len(values) else values
    square = float(np.mean(centred**2)) if len(values) > 2 else 0.0
    return float(np.mean(centred**3)) / square**1.5 if square > 0 else np.nan


def robust_distance(values: np.ndarray) -> np.ndarray:
    """Distance from the median in robust standard deviations; zero where half of the values are equal."""
    centre = np.median(values)
    scale = _MAD_TO_SD * np.median(np.abs(values - centre))
    return (values - centre) / scale if scale > 0 else np.zeros_like(values)


def response_table(variables: Variables, within: Deviations) -> Frame:
    """Moments and quantiles of the response, and of its deviations within groups."""
    y = variables.response.values
    y = y[~np.isnan(y)]
    rows = [_described(variables.response.name, y)]
    if variables.groups:
        rows.append(_described(f"about {within.about}", within.values))
    return frame(
        pd.DataFrame(rows, columns="what rows mean sd smallest lower median upper largest skewness".split()),
        caption=f"Distribution of {variables.response.name}",
        label="tbl-response",
        headings={
            "what": "Values", "rows": "Rows", "mean": "Mean", "sd": "SD", "smallest": "Smallest",
            "lower": "Lower quartile", "median": "Median", "upper": "Upper quartile", "largest": "Largest",
            "skewness": "Skewness",
        },
        formats=dict.fromkeys("mean sd smallest lower median upper largest".split(), "sig4") | {"skewness": "fixed2"},
        index=False,
    )  # fmt: skip


def _described(what: str, values: np.ndarray) -> tuple[object, ...]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    mean = 0.0 if abs(values.mean()) < 1e-12 * np.abs(values).max(initial=1e-300) else float(values.mean())
    return what, len(values), mean, sd, *np.quantile(values, [0, 0.25, 0.5, 0.75, 1]), skewness(values)


def outlier_table(variables: Variables, within: Deviations, group: Variable | None) -> Frame:
    """Rows that stand apart, overall or within their group, the farthest first."""
    y = variables.response.values
    overall, inside = np.zeros(len(y)), np.zeros(len(y))
    here = ~np.isnan(y)
    overall[here] = robust_distance(y[here])
    inside[within.places] = robust_distance(within.values)
    farthest = np.maximum(np.abs(overall), np.abs(inside))
    places = np.flatnonzero(farthest > _APART)
    places = places[np.argsort(-farthest[places], kind="stable")]
    table = pd.DataFrame(
        {
            "row": [str(variables.index[place]) for place in places],
            "group": [_level(group, place) for place in places],
            "value": y[places],
            "overall": overall[places],
            "within": inside[places],
        }
    )
    more = len(places) - _MOST_NAMED
    return frame(
        table if group is not None else table.drop(columns=["group"]),
        caption=f"Rows whose {variables.response.name} stands apart",
        label="tbl-outliers",
        notes=(
            f"Distances are in robust standard deviations (1.4826 × the median absolute deviation), from the median "
            f"and from {within.about}; rows beyond {_APART} by either are listed."
            + (f" The farthest {_MOST_NAMED} of {len(places)} are shown in a report." if more > 0 else ""),
        ),
        headings={
            "row": "Row", "group": group.name if group is not None else "", "value": variables.response.name,
            "overall": "Overall", "within": "Within its group",
        },
        formats={"value": "data", "overall": "fixed1", "within": "fixed1"},
        index=False,
    )  # fmt: skip


def _level(group: Variable | None, place: int) -> str:
    return "" if group is None or group.values[place] < 0 else str(group.levels[group.values[place]])


def other_scale(variables: Variables, group: Variable | None, lines: Lines | None) -> dict[str, float]:
    """Skewness within groups on the response's own scale and on others it allows; empty when it is not skewed."""
    y = variables.response.values
    own = skewness(deviations(variables, group, lines, y).values)
    if not np.isfinite(own) or abs(own) <= _SKEWED or np.nanmin(y) < 0:
        return {}
    scales = {"square root": np.sqrt(y)}
    if np.nanmin(y) > 0:
        scales["logarithm"] = np.log(y)
    found = {name: skewness(deviations(variables, group, lines, values).values) for name, values in scales.items()}
    better = {name: value for name, value in found.items() if abs(value) <= _BETTER * abs(own)}
    return {"own": own} | better if better else {}
