"""Columns and groups: kinds, units, values, sizes, balance, replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.explore.variables import Variable, Variables
from lmmtools.explore.variation import anova_icc, split
from lmmtools.formats import format_value, quoted
from lmmtools.frames import Frame, frame

__all__ = ["balance_table", "design_table", "group_sizes", "group_table", "replicates", "structure_table"]

# A covariate with more distinct values than this is no column of a design table.
_DISCRETE = 12
_NAMED = 6


def structure_table(variables: Variables) -> Frame:
    """A row a column: role, kind, unit, distinct values, missing ones, range or levels."""
    rows = [_row(variables.response, "response", variables)]
    rows += [_row(covariate, "covariate", variables) for covariate in variables.covariates]
    rows += [_row(group, "groups", variables) for group in variables.groups]
    columns = "column role kind unit distinct missing values".split()
    return frame(
        pd.DataFrame(rows, columns=columns),
        caption=f"Columns of {variables.parsed.text}",
        label="tbl-structure",
        headings={
            "column": "Column", "role": "Role", "kind": "Kind", "unit": "Unit", "distinct": "Distinct values",
            "missing": "Missing", "values": "Values",
        },
        index=False,
    )  # fmt: skip


def _row(variable: Variable, role: str, variables: Variables) -> tuple[object, ...]:
    here = variable.values[variable.present]
    if not variable.is_number:
        levels = quoted(variable.levels, _NAMED).replace("`", "")
        return variable.name, role, variable.kind, "", len(variable.levels), int((~variable.present).sum()), levels
    ends = [format_value(end, "data") for end in (here.min(), here.max())] if len(here) else []
    distinct = len(np.unique(here))
    missing = int((~variable.present).sum())
    return variable.name, role, variable.kind, variable.unit, distinct, missing, " to ".join(ends)


def group_sizes(group: Variable) -> np.ndarray:
    """Rows of each level, shape (J,)."""
    return np.bincount(group.values[group.present], minlength=len(group.levels))


def group_table(variables: Variables) -> Frame:
    """A row a grouping factor: levels, rows a level, levels seen once, intraclass correlation."""
    rows = []
    for group in variables.groups:
        sizes = group_sizes(group)
        if len(sizes) == 0:
            rows.append((group.name, 0, 0, np.nan, 0, 0, np.nan))
            continue
        low, middle, high = int(sizes.min()), float(np.median(sizes)), int(sizes.max())
        rows.append(
            (group.name, len(sizes), low, middle, high, int((sizes == 1).sum()), anova_icc(variables.response, group))
        )
    return frame(
        pd.DataFrame(rows, columns="factor levels smallest median largest single icc".split()),
        caption="Groups and their sizes in rows",
        label="tbl-groups",
        notes=(
            f"ICC: intraclass correlation of {variables.response.name} by the analysis-of-variance estimator, each "
            "factor by itself and before any covariate; below zero when groups differ less than chance lets expect.",
        ),
        headings={
            "factor": "Groups", "levels": "Levels", "smallest": "Smallest", "median": "Median", "largest": "Largest",
            "single": "Levels of one row", "icc": "ICC (ANOVA)",
        },
        formats={"median": "data", "icc": "fixed3"},
        index=False,
    )  # fmt: skip


def balance_table(variables: Variables) -> Frame:
    """Whether every group has the same values of a covariate, as often: a row a factor and covariate."""
    rows = []
    for group in variables.groups:
        for covariate in variables.covariates:
            sets, commonest, groups = _value_sets(covariate, group)
            if groups:
                constant = split(covariate, group).varying == 0
                how = "the same in every group" if sets == 1 else "one in each group" if constant else "not the same"
                rows.append((group.name, covariate.name, groups, sets, commonest, how))
    return frame(
        pd.DataFrame(rows, columns="factor covariate groups sets commonest how".split()),
        caption="Balance: which values of each covariate a group has, and how often",
        label="tbl-balance",
        headings={
            "factor": "Groups", "covariate": "Covariate", "groups": "Groups with values", "sets": "Sets of values",
            "commonest": "Groups with the commonest set", "how": "Values",
        },
        index=False,
    )  # fmt: skip


def _value_sets(covariate: Variable, group: Variable) -> tuple[int, int, int]:
    """Different sets of values with their counts, groups that have the commonest, groups in all."""
    here = covariate.present & group.present
    if not here.any():
        return 0, 0, 0
    order = np.lexsort((covariate.values[here], group.values[here]))
    codes, values = group.values[here][order], covariate.values[here][order]
    parts = np.split(values, np.flatnonzero(np.diff(codes)) + 1)
    counts: dict[bytes, int] = {}
    for part in parts:
        key = part.tobytes()
        counts[key] = counts.get(key, 0) + 1
    return len(counts), max(counts.values()), len(parts)


def design_table(variables: Variables) -> Frame:
    """Rows in each cell of the first two covariates that take few values."""
    few = [c for c in variables.covariates if 2 <= len(np.unique(c.values[c.present])) <= _DISCRETE][:2]
    if len(few) < 2:
        return frame(pd.DataFrame(), caption="", label="tbl-design", index=False)
    labels = [_labels(covariate) for covariate in few]
    here = few[0].present & few[1].present
    at = [np.searchsorted(values, covariate.values[here]) for covariate, (values, _) in zip(few, labels, strict=True)]
    cells = np.zeros([len(values) for values, _ in labels], dtype=int)
    np.add.at(cells, tuple(at), 1)
    columns = [f"{few[1].name} {label}" for label in labels[1][1]]
    table = pd.DataFrame(cells, columns=columns)
    table.insert(0, "level", labels[0][1])
    return frame(
        table,
        caption=f"Design: rows in each cell of {few[0].name} and {few[1].name}",
        label="tbl-design",
        headings={"level": few[0].name},
        index=False,
    )


def _labels(covariate: Variable) -> tuple[np.ndarray, list[str]]:
    """Distinct values in order, and what they are called."""
    values = np.unique(covariate.values[covariate.present])
    if covariate.is_number:
        return values, [format_value(value, "data") for value in values]
    return values, [str(covariate.levels[int(code)]) for code in values]


def replicates(variables: Variables) -> dict[str, int]:
    """Rows that share groups and covariates with another row, and those that share the response too.

    Returns
    -------
    dict
        ``rows`` in cells of two or more, the number of such ``cells``, and ``identical`` rows: those that repeat an
        earlier row in every column of the formula.
    """
    here = variables.complete
    keys = pd.DataFrame(
        {name: pd.factorize(series[here].array)[0] for name, series in variables.columns.series.items()}
    )
    predictors = [name for name in keys if name in (*variables.parsed.predictors, *variables.parsed.groups)]
    if not predictors or keys.empty:
        return {"rows": 0, "cells": 0, "identical": 0}
    sizes = keys.groupby(predictors, sort=False).size()
    return {
        "rows": int(sizes[sizes > 1].sum()),
        "cells": int((sizes > 1).sum()),
        "identical": int(keys.duplicated().sum()),
    }
