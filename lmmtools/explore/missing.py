"""What is missing: by pattern, and whether a missing response goes with covariates or groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.explore.variables import Variable, Variables
from lmmtools.formats import listed
from lmmtools.formula.translate import columns as columns_of
from lmmtools.frames import Frame, frame

__all__ = ["missing_response_table", "missing_table", "patterns"]


def patterns(variables: Variables) -> tuple[np.ndarray, np.ndarray]:
    """Combinations of missing columns that occur, the commonest first, and their rows.

    Returns
    -------
    ndarray of bool, shape (patterns, columns)
    ndarray of int, shape (patterns,)
    """
    masks = np.column_stack(list(variables.missing.values()))
    if not masks.any():
        return np.zeros((1, masks.shape[1]), dtype=bool), np.array([len(masks)])
    found, counts = np.unique(masks, axis=0, return_counts=True)
    order = np.lexsort((*found.T[::-1], -counts))
    return found[order], counts[order]


def missing_table(variables: Variables) -> Frame:
    """A row a pattern: the columns that are missing together, and in how many rows; none when nothing is."""
    found, counts = patterns(variables)
    names = list(variables.missing)
    n = len(variables.index)
    rows = [
        (listed([name for name, gone in zip(names, pattern, strict=True) if gone]) if pattern.any() else "nothing",
         int(count), count / n)
        for pattern, count in zip(found, counts, strict=True)
        if found.any()
    ]  # fmt: skip
    return frame(
        pd.DataFrame(rows, columns=["pattern", "rows", "share"]),
        caption="Missing values by pattern",
        label="tbl-missing",
        headings={"pattern": "Missing together", "rows": "Rows", "share": "Share of rows"},
        formats={"share": "percent"},
        index=False,
    )


def missing_response_table(variables: Variables) -> Frame:
    """Covariates and groups where the response is missing beside where it is not; no rows when none is missing."""
    gone = np.logical_or.reduce([variables.missing[name] for name in columns_of(variables.parsed.response_node)])
    rows = []
    if gone.any() and not gone.all():
        for variable in (*variables.covariates, *variables.groups):
            rows += _compared(variable, gone)
    return frame(
        pd.DataFrame(rows, columns="column what missing observed difference".split()),
        caption=f"Where {variables.response.name} is missing, and where it is not",
        label="tbl-missing-response",
        notes=(
            "Difference: of the means over the standard deviation, or of the shares. Rows missing at a rate that "
            "depends on what the model holds do little harm; on the missing values themselves, much.",
        ),
        headings={
            "column": "Column", "what": "", "missing": "Response missing", "observed": "Observed",
            "difference": "Difference",
        },
        formats={"missing": "sig3", "observed": "sig3", "difference": "fixed2"},
        index=False,
    )  # fmt: skip


def _compared(variable: Variable, gone: np.ndarray) -> list[tuple[str, str, float, float, float]]:
    """The mean of a number, or the level whose share differs most."""
    here = variable.present
    absent, present = variable.values[here & gone], variable.values[here & ~gone]
    if not len(absent) or not len(present):
        return []
    if variable.is_number:
        spread = float(np.std(variable.values[here], ddof=1)) if here.sum() > 1 else 0.0
        means = float(absent.mean()), float(present.mean())
        return [(variable.name, "mean", *means, (means[0] - means[1]) / spread if spread else 0.0)]
    shares = [np.bincount(codes, minlength=len(variable.levels)) / len(codes) for codes in (absent, present)]
    most = int(np.argmax(np.abs(shares[0] - shares[1])))
    a, b = (float(share[most]) for share in shares)
    return [(variable.name, f"share of {variable.levels[most]}", a, b, a - b)]
