"""Sentences on what became of a number, and a model in a line."""

from __future__ import annotations

from msgspec import UNSET

from lmmtools.replication.compute import Finding
from lmmtools.replication.ledger import Entry
from lmmtools.replication.schema import Column, Model

__all__ = ["computed_text", "model_line", "model_method", "model_options", "remark"]

NOT_FOUND = "not found"


def computed_text(entry: Entry, finding: Finding) -> str:
    """What was computed, with two more digits than are printed."""
    if finding.computed is not None and entry.number is not None:
        return entry.number.shown(finding.computed)
    return "no estimate" if finding.verdict.status == "no estimate" else ""


def remark(entry: Entry, finding: Finding) -> str:
    """Why a number fails, as the ledger says it, and what was found when it was searched for.

    Parameters
    ----------
    entry : Entry
    finding : Finding

    Returns
    -------
    str
        Sentences; empty for a number that is reproduced.
    """
    if finding.verdict.status == "error":
        return entry.fault or f"{entry.where}: {finding.message}"
    parts = [finding.message]
    if entry.reason == NOT_FOUND:
        parts.append("" if finding.verdict.good else "Reason not found.")
    elif entry.reason:
        parts.append(_sentence(entry.reason))
    elif not finding.verdict.good:
        parts.append("No reason is given.")
    if entry.reason and finding.verdict.status == "reproduced":
        parts.append("The ledger gives a reason why it is not reproduced; it is.")
    if entry.says:
        parts.append(f"The source itself says so ({entry.says.strip().rstrip('.')}).")
    if finding.search is not None:
        parts.append(finding.search.sentence)
    return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def model_line(model: Model) -> str:
    """What is fitted, in a line: the formula, or that of a growth curve with both its sides."""
    if model.growth is UNSET:
        return str(model.formula)
    sigma = "free" if model.sigma is UNSET else model.sigma
    return f"{model.growth}, between {model.between}, within {model.within}, Σ {sigma}"


def model_method(model: Model) -> str:
    """How it is estimated: growth curves by maximum likelihood, mixed models by REML if nothing is said."""
    if model.growth is not UNSET:
        return "ML"
    return "REML" if model.method is UNSET else model.method


def model_options(model: Model) -> tuple[tuple[str, str], ...]:
    """What else is set, with what it is called."""
    start = ", ".join(f"{name} = {value:g}" for name, value in model.start.items())
    contrasts = ", ".join(f"{name}: {coding}" for name, coding in model.contrasts.items())
    columns = ", ".join(f"{name}: {_column(about)}" for name, about in model.columns.items())
    found = {
        "Rows": model.filter,
        "Columns": columns,
        "Residuals": model.residual,
        "Column row": f"counts rows within {model.row}" if model.row else "",
        "Weights": model.weights,
        "Contrasts": contrasts,
        "Search starts at": start,
    }
    return tuple((label, text) for label, text in found.items() if text)


def _column(about: Column) -> str:
    ordered = "" if about.levels is UNSET else " of levels " + ", ".join(map(str, about.levels))
    return ("as read" if about.kind is UNSET else about.kind) + ordered
