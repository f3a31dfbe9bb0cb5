"""The rows of the table of checks, and the words that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.assumptions.look import Look
from lmmtools.formats import format_value
from lmmtools.frames import Frame, frame
from lmmtools.tables import Table

__all__ = ["Assumptions", "Finding", "as_frame", "interval", "judged", "untested"]

# Up to the first a finding is called rare, up to the second unusual.
_RARE, _UNUSUAL = 0.01, 0.05
_STATISTICS = (
    "Statistics: constant variance against fitted values, n R² of absolute residuals (Glejser's form of Breusch "
    "and Pagan's test), between levels, F of absolute residuals (Levene's); normality, Shapiro and Francia's W′; "
    "autocorrelation, the correlation of neighbours; linearity and independence of effects and covariates, F of what "
    "is added to the fixed part, which is refitted by REML."
)
_RESIDUALS = (
    "Residuals are those given the random effects, and effects their conditional modes, each over the standard "
    "deviation that the model gives it. The column `see` has the call that draws what to look at."
)


class Assumptions(Frame):
    """The table of `check_assumptions`.

    Attributes
    ----------
    simulations : int
        Responses drawn from the fitted model, of each check whose `df` says so.
    response : str
        What was fitted.
    fit : LMMFit
        The fit that was checked.
    looks : tuple of Look
        The calls of the column ``see``, each once, as values.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "simulations", "response", "fit", "looks"]
    simulations: int = 0
    response: str = ""
    fit: Any = None
    looks: tuple[Look, ...] = ()

    @property
    def _constructor(self) -> type[Assumptions]:
        return Assumptions

    @property
    def outstanding(self) -> Assumptions:
        """The rows with p ≤ 0.05, the smallest first: where to look before elsewhere, which is not where to worry."""
        return self[self["p_value"] <= _UNUSUAL].sort_values("p_value", kind="stable")

    @property
    def tested(self) -> tuple[str, ...]:
        """The kinds of checks, ``"Linearity"`` and others, of which at least one could be made."""
        return tuple(dict.fromkeys(self.loc[self["p_value"].notna(), "check"]))

    @property
    def factor(self) -> str:
        """The first grouping factor, of random effects or else of residuals, with two levels; empty without one."""
        return next((factor for factor, own in self.fit.design.groupings.items() if len(own.levels) > 1), "")

    @property
    def covariate(self) -> str:
        """The first number of the fixed part that is a column by itself, and no curve; empty without one."""
        from lmmtools.assumptions.bends import numeric_covariates  # it makes findings, whose type is from here

        found = numeric_covariates(self.fit.design)
        return next((one.name for one in found if one.place >= 0 and not one.curved), "")

    def table(self, max_rows: int = 40) -> Table:
        """The frame as a table that leaves findings room: what is checked in one column, pictures by their names."""
        if not self.caption or not {"check", "of", "see"} <= set(self.columns):
            return super().table(max_rows)
        names = {str(look): look.name.replace("_", " ") for look in self.looks}
        shown = pd.DataFrame(self).assign(see=self["see"].map(names).fillna(self["see"]))
        shown["check"] = [f"{check}: {of}" for check, of in zip(shown["check"], shown.pop("of"), strict=True)]
        same = {"caption": self.caption, "label": self.label, "notes": self.notes, "index": False}
        return frame(shown, headings=self._about.headings, formats=self._about.formats, **same).table(max_rows)


@dataclass(frozen=True)
class Finding:
    """One row of the table; the columns' names are the fields', and the text of `see` is its call."""

    check: str
    of: str
    statistic: float
    df: str
    p_value: float
    finding: str
    see: Look | None = None


def untested(check: str, of: str, why: str, see: Look | None = None) -> Finding:
    """The row of a check that cannot be made."""
    return Finding(check, of, np.nan, "", np.nan, f"Not tested: {why}.", see)


def judged(p_value: float) -> str:
    """How often so much is seen where an assumption holds, in words that decide nothing."""
    if not np.isfinite(p_value):
        return "There is no reference to hold this against."
    if p_value <= _RARE:
        return "Rare if it holds."
    return "Unusual if it holds." if p_value <= _UNUSUAL else "Not unusual."


def interval(values: np.ndarray, spec: str = "fixed2") -> str:
    """Where the middle 95 % of simulated values lie."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{format_value(float(low), spec)} to {format_value(float(high), spec)}"


def as_frame(findings: Sequence[Finding], n: int, fit: Any) -> Assumptions:
    """The table, with what is to be known of its p-values under it."""
    columns = list(Finding.__dataclass_fields__)
    table = pd.DataFrame([[getattr(row, name) for name in columns] for row in findings], columns=columns)
    table["see"] = ["" if row.see is None else str(row.see) for row in findings]
    made = frame(
        table.astype({"statistic": float, "p_value": float}),
        caption=f"Checks of what the model of {fit.response} takes for granted",
        label="tbl-checks",
        notes=(*_notes(table, n), _STATISTICS, _RESIDUALS),
        headings={"check": "Check", "of": "Of", "statistic": "Statistic", "df": "df", "p_value": "p",
                  "finding": "Finding", "see": "Look at"},
        formats={"statistic": "sig3", "p_value": "p"},
        index=False,
        cls=Assumptions,
    )  # fmt: skip
    looks = {str(row.see): row.see for row in findings if row.see is not None}
    made.simulations, made.response, made.fit, made.looks = n, fit.response, fit, tuple(looks.values())
    return made


def _notes(table: pd.DataFrame, n: int) -> list[str]:
    notes = []
    tested = int(table["p_value"].notna().sum())
    if tested > 1:
        notes.append(
            f"{tested} p-values, not adjusted for being so many: of {tested} assumptions that all hold, about "
            f"{format_value(0.05 * tested, 'sig2')} are expected at or below 0.05. A check suggests where to look; it "
            "does not decide."
        )
    if table["df"].str.endswith("draws").any():
        error = np.sqrt(0.05 * 0.95 / (n + 1))
        notes.append(
            f"Where df says draws, p is the share of {n:,} responses drawn from the fitted model that go as far, the "
            f"observed one counted in: never below {format_value(1.0 / (n + 1), 'sig2')}, and at 0.05 with a Monte "
            f"Carlo standard error of {format_value(float(error), 'sig2')}. Fixed effects, random effects and σ are "
            "estimated again from each; that the other covariance parameters were estimated too is allowed for to "
            "first order, by regression on their scores."
        )
    return notes
