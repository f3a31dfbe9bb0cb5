"""The table of checks in a few sentences: what stands out, what was looked at without finding, and how many looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import counted, format_value, listed
from lmmtools.inference.means.adjust import holm
from lmmtools.prose.value import Prose, literal

__all__ = ["checks"]

# What is told one by one, and the largest p-value that is.
_MOST, _UNUSUAL = 3, 0.05
_ABOUT = {
    "Constant variance": "the variance of the residuals {of}",
    "Normal distribution": "the distribution of {of}",
    "No autocorrelation": "the correlation of {of}",
    "Linearity": "the shape of the relation with {of}",
    "Independent effects": "the independence of {of}",
}


def checks(found: Any) -> Prose:
    """What the checks suggest: where to look, not what to conclude.

    Parameters
    ----------
    found : Assumptions
        What `lmmtools.check_assumptions` returns.

    Returns
    -------
    Prose
        Two to five sentences; the findings of the smallest p-values are repeated as the table has them.

    Raises
    ------
    LMMError
        If it is none.
    """
    if not isinstance(found, pd.DataFrame) or not {"check", "of", "p_value", "finding"} <= set(found.columns):
        raise LMMError(f"prose.checks: takes what check_assumptions returns; got {type(found).__name__}.")
    table = pd.DataFrame(found)
    tested = table[table["p_value"].notna()].sort_values("p_value", kind="stable")
    if not len(tested):
        return Prose("None of the assumptions could be held against these data; @tbl-checks says why.")
    out = tested[tested["p_value"] <= _UNUSUAL]
    sentences = _standing_out(out) if len(out) else [
        f"None of the {counted(len(tested), 'check')} in @tbl-checks stands out, which does not show that the "
        "assumptions hold: with few rows or groups much can be off unseen."
        if len(tested) > 1 else f"The one check in @tbl-checks does not stand out: {_about(tested.iloc[0])}."
    ]  # fmt: skip
    if len(out):
        rest = tested[tested["p_value"] > _UNUSUAL]
        if len(rest):
            sentences.append(f"Nothing unusual was found in the other {len(rest)}: {_named(rest)}.")
        sentences.append(_multiplicity(tested["p_value"].to_numpy()))
    without = int(table["p_value"].isna().sum())
    if without:
        sentences.append(f"{counted(without, 'check')} could not be made, for the reasons given there.")
    return Prose(" ".join(sentences).replace("\n ", "\n"))


def _standing_out(out: pd.DataFrame) -> list[str]:
    """The findings one by one, then how many more there are."""
    first = out.iloc[:_MOST]
    verb = "stands" if len(out) == 1 else "stand"
    said = [f"{counted(len(out), 'check')} in @tbl-checks {verb} out."]
    items = [f"- {_capital(_about(row))}: {literal(_size(row.finding))}; {_p(row.p_value)}."
             for _, row in first.iterrows()]  # fmt: skip
    more = len(out) - len(first)
    if more:
        others = listed(_about(row) for _, row in out.iloc[_MOST:].iterrows())
        items.append(f"- {counted(more, 'more', 'more')}: {others}.")
    return ["\n".join([*said, "", *items, "\n"])]


def _size(finding: str) -> str:
    """The first sentence of a finding, which has the size, without its stop."""
    return finding.split(". ")[0].rstrip(".")


def _about(row: Any) -> str:
    return _ABOUT.get(row["check"], row["check"] + " of {of}").format(of=literal(row["of"]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _named(rows: pd.DataFrame) -> str:
    """What was looked at, kind by kind; single ones as long as they are few."""
    said = []
    for check, some in rows.groupby("check", sort=False):
        each = [literal(of) for of in some["of"]]
        said.append(f"{check.lower()} ({listed(each) if len(each) <= _MOST else len(each)})")
    return listed(said)


def _p(p_value: float) -> str:
    said = format_value(float(p_value), "p")
    return f"p {literal(said)}" if said.startswith("<") else f"p = {said}"


def _multiplicity(p: np.ndarray) -> str:
    """How many would stand out by chance, and how many do after Holm's adjustment."""
    left = int(np.sum(holm(p) <= _UNUSUAL))
    by_chance = format_value(_UNUSUAL * len(p), "sig2")
    after = "none does" if not left else f"{left} {'does' if left == 1 else 'do'}"
    return (
        f"Of {counted(len(p), 'check')} about {by_chance} would stand out by chance if everything held; allowing for "
        f"their number (Holm), {after}. A check suggests where to look and does not decide: what matters is how far "
        "off something is, and whether the conclusions depend on it."
    )
