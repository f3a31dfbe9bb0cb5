"""Sentences on what became of a number."""

from __future__ import annotations

from lmmtools.replication.computing.findings import Finding
from lmmtools.replication.ledger.entries import Entry
from lmmtools.replication.verdicts import Verdict

__all__ = ["computed_text", "reason_words", "remarks"]

NOT_FOUND = "not found"


def computed_text(entry: Entry, finding: Finding) -> str:
    """What was computed, with two more digits than are printed."""
    if finding.computed is not None and entry.number is not None:
        return entry.number.shown(finding.computed)
    return "no estimate" if finding.verdict.status == "no estimate" else ""


def remarks(entry: Entry, finding: Finding, reason: str) -> tuple[str, str]:
    """Why a number fails, as the ledger says it, and what was found when it was searched for.

    Parameters
    ----------
    entry : Entry
    finding : Finding
    reason : str
        What is to be said of the reason, as of `reason_words`.

    Returns
    -------
    whole, found : str
        Sentences, empty for a number that is reproduced: all of them, and those without the reason.
    """
    if finding.verdict.status == "error":
        return (entry.fault or f"{entry.where}: {finding.message}",) * 2
    searched = "" if finding.search is None else finding.search.sentence
    return tuple(" ".join(filter(None, parts)) for parts in ((finding.message, reason, searched),
                                                             (finding.message, searched)))  # fmt: skip


def reason_words(reason: str, says: str, verdict: Verdict) -> str:
    """What is said of the reason that a ledger gives for a number, or of its lack.

    Parameters
    ----------
    reason, says : str
        As in the ledger.
    verdict : Verdict
        What became of the number.
    """
    if not reason:
        return "" if verdict.good else "No reason is given."
    if verdict.status == "reproduced":
        return "The ledger gives a reason why it is not reproduced; it is."
    if reason.rstrip(".").lower() == NOT_FOUND:
        return "" if verdict.good else "Reason not found."
    return " ".join([_sentence(reason), *([f"The source itself says so ({says.rstrip('.')})."] if says else [])])


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
