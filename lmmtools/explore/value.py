"""What an exploration found: tables and facts, frozen."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lmmtools.explore.crossing import Crossing
from lmmtools.explore.lines import Lines
from lmmtools.explore.response import Deviations
from lmmtools.explore.variables import Variables
from lmmtools.explore.variation import Split
from lmmtools.frames import Frame

__all__ = ["Exploration"]


@dataclass(frozen=True, eq=False)
class Exploration:
    """The data of a formula before any model: what :func:`lmmtools.explore_data` returns.

    Attributes
    ----------
    formula : str
    structure : Frame
        Columns: role, kind, unit, distinct and missing values, range or levels.
    missing, missing_response : Frame
        Patterns of missing values; covariates and groups where the response is missing and where it is not.
    groups : Frame
        Grouping factors: sizes of their levels and the intraclass correlation (ANOVA estimator).
    balance, design, crossing : Frame
        Values of each covariate by group; rows in the cells of two covariates; pairs of grouping factors.
    variation : Frame
        Sums of squares within and between groups.
    slopes, regressions : Frame
        Spread of the groups' least-squares slopes; every line.
    candidates : Frame
        Random structures with a verdict and its reason each.
    response, outliers : Frame
        Distribution of the response; rows that stand apart.
    messages : tuple of str
        What a reader should look at before fitting, one sentence each.
    level : float
        Of the intervals.
    facts : Mapping
        Numbers that sentences need: ``replicates``, ``scales``, ``icc``.
    variables, crossings, lines, splits, within : tuple and others
        The rows and numbers behind the tables, for plots.
    """

    formula: str
    structure: Frame
    missing: Frame
    missing_response: Frame
    groups: Frame
    balance: Frame
    design: Frame
    crossing: Frame
    variation: Frame
    slopes: Frame
    regressions: Frame
    candidates: Frame
    response: Frame
    outliers: Frame
    messages: tuple[str, ...]
    level: float
    facts: Mapping[str, Any]
    variables: Variables = field(repr=False)
    crossings: tuple[Crossing, ...] = field(repr=False)
    lines: tuple[Lines, ...] = field(repr=False)
    splits: Mapping[tuple[str, str], Split] = field(repr=False)
    within: Deviations = field(repr=False)

    kind: ClassVar[str] = "exploration"

    def __post_init__(self) -> None:
        for name in ("facts", "splits"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __repr__(self) -> str:
        rows, complete = len(self.variables.index), int(self.variables.complete.sum())
        groups = ", ".join(f"{g.name}: {len(g.levels)}" for g in self.variables.groups)
        head = f"<Exploration {self.formula}: {rows} rows, {complete} of them complete; groups {groups or 'none'}>"
        return "\n".join([head, *self.messages])

    @property
    def design_sha256(self) -> str:
        """SHA-256 over names, values and levels of every column the formula reads, all rows."""
        digest = hashlib.sha256()
        variables = self.variables
        for one in (variables.response, *variables.covariates, *variables.groups):
            digest.update(f"{one.name}\0{one.kind}\0{one.values.dtype.str}\0".encode())
            digest.update(np.ascontiguousarray(one.values).tobytes())
            if one.levels is not None:
                digest.update("\0".join(map(str, one.levels)).encode())
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Return facts of the exploration, ready for JSON: no NaN, no numpy."""
        variables = self.variables
        return {
            "nobs": len(variables.index),
            "complete_rows": int(variables.complete.sum()),
            "response": variables.response.name,
            "missing": {name: int(mask.sum()) for name, mask in variables.missing.items()},
            "ngroups": {group.name: len(group.levels) for group in variables.groups},
            "icc_anova": {name: _plain(value) for name, value in self.facts["icc"].items()},
            "crossing": [
                {"factors": [c.first, c.second], "relation": c.relation, "pairs": len(c.counts)} for c in self.crossings
            ],
            "share_within": {
                group.name: {
                    variable.name: _plain(self.splits[group.name, variable.name].share)
                    for variable in (variables.response, *variables.covariates)
                }
                for group in variables.groups
            },
            "slopes": [
                {
                    "factor": lines.factor, "covariate": lines.covariate, "lines": len(lines.table),
                    "pooled": _plain(lines.pooled), "slope_variance_moments": _plain(lines.slope_variance),
                }
                for lines in self.lines
            ],
            "candidates": {row.term: row.verdict for row in self.candidates.itertuples()},
            "outliers": [str(row) for row in self.outliers["row"]],
        }  # fmt: skip


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
