"""One run as the study's pages and tables give it: whatever its record lacks is said, nothing is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmmtools.report.runs.outcome import Outcome

__all__ = ["FILE_KINDS", "NUMBERS", "VERDICT_CLASSES", "Check", "Entry", "Focal", "make_entry", "verdict_class"]

NUMBERS = ("sigma", "criterion", "loglik", "aic", "bic", "npar", "nobs")
FILE_KINDS = ("html", "pdf", "json", "ipynb", "log")
VERDICT_CLASSES = ("equal", "explained", "not compared", "unexplained")

_NOT_COMPARED = ("not run", "not expressible there")

_LARGEST = 1e300  # beyond it differences overflow
_KINDS = {"model_comparison": "comparison", "exploration": "exploration"}  # by notebook, where there is no record
_NO_ESTIMATE = {
    "comparison": "The comparison gives no estimate.",
    "exploration": "It explores data; nothing is estimated.",
}


@dataclass(frozen=True)
class Focal:
    """The coefficient a run is about; where there is no estimate, ``missing`` says why and the numbers are None.

    ``model`` is the one a comparison chose, whose coefficient it is.
    """

    name: str = ""
    estimate: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    model: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Check:
    """What one engine said: ``counts`` by verdict, the ``rows`` that are not equal, and the names of the ``equal``."""

    engine: str
    counts: Mapping[str, int]
    rows: tuple[Mapping[str, Any], ...]
    equal: tuple[str, ...]

    @property
    def classes(self) -> Counter[str]:
        """How many numbers are in each of `VERDICT_CLASSES`."""
        found: Counter[str] = Counter()
        for verdict, count in self.counts.items():
            found[verdict_class(verdict)] += count
        return found


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes
    ----------
    name, title, dataset, variant, formula, method : str
        As asked for; where a run has no formula or method of its own, as recorded.
    kind : {"model", "comparison", "exploration"}
    status : str
        One of the record's statuses, "out of date" or "not made".
    current : bool
        Whether the result is of the request as it is now. If not, there are no numbers here.
    verdict : str
        What a comparison found, in a sentence.
    reasons : tuple of str
        Reasons and warnings, each once.
    focal : Focal
    numbers : Mapping of str to float or None
        Every one of `NUMBERS`.
    icc, groups : tuple of (str, float) and of (str, int)
        Adjusted intraclass correlation and number of levels of each grouping factor.
    certificate : str
        The certificate's status, or nothing.
    checks : tuple of Check
    files : tuple of (str, str)
        Name and kind of each file the run left.
    parameters : Mapping
        Every parameter of the notebook.
    record : Mapping
        The run record, empty when there is none or it is of another request.
    """

    name: str
    title: str
    dataset: str
    variant: str
    formula: str
    method: str
    kind: str
    status: str
    current: bool
    verdict: str
    reasons: tuple[str, ...]
    focal: Focal
    numbers: Mapping[str, float | None]
    icc: tuple[tuple[str, float | None], ...]
    groups: tuple[tuple[str, Any], ...]
    certificate: str
    checks: tuple[Check, ...]
    files: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any]
    record: Mapping[str, Any]


def make_entry(outcome: Outcome) -> Entry:
    """Return the entry of one outcome.

    A run that failed has no numbers here, though its record may, and neither has one whose result is out of date.
    """
    run = outcome.run
    record = outcome.record if outcome.current else {}
    kind = str(outcome.record.get("kind") or _KINDS.get(run.notebook.stem, "model"))
    failed = outcome.status == "failed"
    found = {} if failed else record.get("numbers") or {}
    certificate = record.get("certificate") or {}
    # The status stands for the certificate's sentence, which the fit warned of too.
    said = (*outcome.reasons, *(one for one in outcome.warnings if one != certificate.get("sentence")))
    return Entry(
        name=run.name,
        title=run.title or run.name,
        dataset=run.dataset,
        variant=run.variant,
        formula=run.formula or str(record.get("formula") or ""),
        method=run.method or str(record.get("method") or ""),
        kind=kind,
        status=outcome.status if outcome.current else "out of date" if outcome.files else "not made",
        current=outcome.current,
        verdict=str(found.get("verdict") or ""),
        reasons=tuple(dict.fromkeys(map(_capital, said))),
        focal=_focal(run.focal, kind, found, outcome),
        numbers={name: _finite(found.get(name)) for name in NUMBERS},
        icc=tuple((group, _finite(share.get("adjusted"))) for group, share in (found.get("icc") or {}).items()),
        groups=tuple((found.get("ngroups") or {}).items()),
        certificate=str(certificate.get("status") or ""),
        checks=tuple(map(_check, record.get("cross_checks") or ())),
        files=tuple((file, _file_kind(file, run.name)) for file in outcome.files),
        parameters={one.name: value for one, value, _ in run.parameters},
        record=record,
    )


def verdict_class(verdict: str) -> str:
    """Return what a cross-check's verdict comes to; a cause that is named explains a difference."""
    if verdict in _NOT_COMPARED:
        return "not compared"
    return verdict if verdict in VERDICT_CLASSES else "explained"


def _focal(asked: str, kind: str, found: Mapping[str, Any], outcome: Outcome) -> Focal:
    """Return the estimate of the coefficient asked for, or of the last one."""
    if not outcome.current:
        return Focal(asked, missing="Out of date: no number is shown." if outcome.files else "Not made yet.")
    if outcome.status == "failed":
        return Focal(asked, missing="The run failed.")
    fixef = found.get("fixef") or {}
    names = list(found.get("coefficients") or fixef)
    if not names:
        missing = _NO_ESTIMATE.get(kind)
        return Focal(asked, missing=missing or "The record gives no coefficient.")
    name = asked or names[-1]
    if name not in names:
        return Focal(name, missing="This coefficient is not in the fit.")
    estimate = _finite(fixef.get(name))
    if estimate is None:
        return Focal(name, missing="The fit gives no estimate of it.")
    interval = found.get("intervals") or {}
    low, high = (_finite((interval.get(end) or {}).get(name)) for end in ("low", "high"))
    if low is None or high is None:
        low = high = None
    return Focal(
        name=name,
        estimate=estimate,
        se=_finite((found.get("stderr") or {}).get(name)),
        low=low,
        high=high,
        level=None if low is None else _finite(interval.get("level")),
        model=str(found.get("chosen") or ""),
    )


def _check(found: Mapping[str, Any]) -> Check:
    return Check(
        engine=str(found.get("engine") or "another engine"),
        counts={str(verdict): int(count) for verdict, count in (found.get("counts") or {}).items()},
        rows=tuple(found.get("rows") or ()),
        equal=tuple(map(str, found.get("equal") or ())),
    )


def _capital(text: str) -> str:
    """Return a reason as it begins a line."""
    return text[:1].upper() + text[1:]


def _file_kind(file: str, name: str) -> str:
    """Return what follows the run's name: ``html``, ``pdf``, ``json``, ``ipynb``, ``log``."""
    rest = file.removeprefix(f"{name}.")
    return rest.partition(".")[0] if rest != file else file.rpartition(".")[2]


def _finite(value: Any) -> float | None:
    """Return a number that can be shown and drawn; a truth value or a text is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        return None
    return value
