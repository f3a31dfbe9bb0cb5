"""The numbers of one group: each model fitted once, each number read off its fit, those that fail searched for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from lmmtools.errors import LMMError, UnboundedLikelihood
from lmmtools.replication.alternatives import Candidates
from lmmtools.replication.computing.groups import Group, same_model
from lmmtools.replication.fits import Fits, fitted, one_line, unidentified
from lmmtools.replication.ledger.entries import Entry, Ledger
from lmmtools.replication.ledger.schema import Model
from lmmtools.replication.quantities import Tables, head_of, value_at
from lmmtools.replication.verdicts import Verdict, failed, judge, no_estimate, of_variant

if TYPE_CHECKING:
    from lmmtools.replication.alternatives import Search

__all__ = ["Computed", "Finding", "Piece", "compute", "lost"]

# What falls to −∞ where the likelihood grows without bound.
_FALLING = ("criterion", "deviance", "aic", "bic")


@dataclass(frozen=True)
class Finding:
    """What was computed for one number.

    Attributes
    ----------
    computed : float or None
        None where there is no estimate, or nothing could be computed.
    verdict : Verdict
    message : str
        Why nothing could be computed; empty if it was.
    search : Search or None
        What was tried where the number failed.
    """

    computed: float | None
    verdict: Verdict
    message: str = ""
    search: Search | None = None


@dataclass(frozen=True)
class Piece:
    """A group with the ledgers it is of, as it is sent to a process.

    Attributes
    ----------
    group : Group
    ledgers : Mapping[int, Ledger]
        By place; those of the group.
    """

    group: Group
    ledgers: Mapping[int, Ledger]


@dataclass(frozen=True)
class Computed:
    """What became of a group.

    Attributes
    ----------
    findings : tuple of Finding
        One for each of its entries.
    models : tuple of (str, str)
        For each of its models the certificate's status, and why it could not be fitted.
    seconds : float
    """

    findings: tuple[Finding, ...]
    models: tuple[tuple[str, str], ...]
    seconds: float


def compute(piece: Piece) -> Computed:
    """Compute the numbers of a group.

    Parameters
    ----------
    piece : Piece

    Returns
    -------
    Computed
        Whatever fails is said in it.
    """
    begun = perf_counter()
    known = _Known({}, {}, Tables())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit they are among its messages; of a search, of what is not shown
        models = tuple(_model(piece.ledgers[i], name, known) for i, name in piece.group.models)
        findings = tuple(_guarded(piece.ledgers[i].entries[j], piece.ledgers[i], known) for i, j in piece.group.entries)
    return Computed(findings, models, perf_counter() - begun)


def lost(piece: Piece) -> Computed:
    """What is said of a group whose process ended before it was done."""
    message = "The process that computed it ended early; too little memory is the usual reason."
    findings = (Finding(None, failed(), message),) * len(piece.group.entries)
    return Computed(findings, (("", message),) * len(piece.group.models), 0.0)


@dataclass(frozen=True)
class _Known:
    """Fits by what tells models apart, each made when it is first asked for; of one that failed, the error.

    And by ledger and model what is tried in place of the model, where a number fails; and what was computed of fits.
    """

    made: dict[Any, Any]
    tried: dict[Any, Candidates]
    tables: Tables

    def fit(self, model: Model, ledger: Ledger) -> Any:
        key = same_model(model, ledger)
        if key not in self.made:
            try:
                self.made[key] = fitted(model, ledger.folder)
            except Exception as error:
                self.made[key] = error
        found = self.made[key]
        if isinstance(found, Exception):
            raise found
        return found

    def alternatives(self, name: str, ledger: Ledger) -> Candidates:
        key = (ledger.name, name)
        if key not in self.tried:
            fit = partial(self.fit, ledger=ledger)
            self.tried[key] = Candidates(name, ledger.models, ledger.variants, fit, ledger.folder, self.tables)
        return self.tried[key]


def _model(ledger: Ledger, name: str, known: _Known) -> tuple[str, str]:
    """The status of a model's certificate, and why it could not be fitted."""
    try:
        certificate = getattr(known.fit(ledger.models[name], ledger), "certificate", None)
    except Exception as error:
        return "", _in_words(error)
    return ("" if certificate is None else str(certificate.status)), ""


def _guarded(entry: Entry, ledger: Ledger, known: _Known) -> Finding:
    """What becomes of a number; what nobody foresaw costs this number alone."""
    try:
        return _finding(entry, ledger, known)
    except Exception as error:
        return Finding(None, failed(), _in_words(error))


def _finding(entry: Entry, ledger: Ledger, known: _Known) -> Finding:
    number, model = entry.number, ledger.models[entry.model]
    try:
        fit = known.fit(model, ledger)
    except LMMError as error:
        if not unidentified(error):
            raise
        head = head_of(entry.path, growth=model.growth is not UNSET)  # nothing else shows that a path is mistaken
        unbounded = isinstance(error, UnboundedLikelihood)
        verdict = no_estimate(number, unbounded=unbounded, of_criterion=head in _FALLING)
        found = Finding(None, verdict, _in_words(error))
        if entry.path == "npar" and (count := getattr(error, "npar", None)) is not None:
            found = Finding(float(count), judge(number, count))  # a count of parameters needs no estimate
    else:
        computed = value_at(entry.path, fit, Fits(ledger.models, partial(known.fit, ledger=ledger)), known.tables)
        found = Finding(computed, judge(number, computed))
    if found.verdict.good or found.verdict.status == "error":
        return found
    result = known.alternatives(entry.model, ledger).search(number, found.computed, entry.path)
    explained = result.explanation
    verdict = found.verdict if explained is None else of_variant(explained.name, found.verdict)
    return Finding(found.computed, verdict, found.message, result)


def _in_words(error: Exception) -> str:
    return one_line(error) if isinstance(error, LMMError) else f"{type(error).__name__}: {one_line(error)}"
