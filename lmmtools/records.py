"""The run record: what a model, a comparison of models or an exploration found, as a JSON-ready value."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.findings import (
    STATUSES,
    check_summary,
    data_sha256,
    models_sha256,
    numbers_of,
    status_of,
    versions,
)
from lmmtools.formats import visible
from lmmtools.models import Models
from lmmtools.prose.preference import headline
from lmmtools.results import LMMFit

__all__ = ["KINDS", "RECORD_MIME", "STATUSES", "Record", "record"]

RECORD_MIME = "application/vnd.lmmtools.record+json"
KINDS = ("model", "comparison", "exploration")


@dataclass(frozen=True)
class Record:
    """What one run found, without clock times, so that two runs of one request give the same bytes.

    Attributes
    ----------
    kind : {"model", "comparison", "exploration"}
        What the run was for.
    status : {"ok", "singular", "flat direction", "unexplained", "failed"}
        The worst thing that is true of the run, in that order; of a comparison, of the model it chose.
    reasons : tuple of str
        One sentence for each thing that keeps the status from being "ok"; of a comparison also for each variant that
        was left out or is doubtful, which leaves the status as it is.
    dataset, title, formula, method : str or None
        What was fitted; method is "REML" or "ML". Of a comparison, formula and method of the model chosen; of an
        exploration, the formula it looked at, empty for none, and no method.
    numbers : Mapping
        coefficients (their names in order), fixef, stderr (units of the response per unit of the column), intervals
        (level, reference, low, high), varcorr (rows as in lme4), residual (the structure as written, None for none),
        residual_params, sigma, criterion, loglik, aic, bic, npar, nobs,
        ngroups, and icc where it is defined. Of a comparison, those of the model chosen, fitted by REML, its name
        (chosen), how all were fitted to be compared (compared_by), a sentence
        (verdict), each of them (models: name, formula, residual, status,
        reason, npar, loglik, aic, aicc, bic, delta, weight), and the tests (steps: smaller, larger, df, chisq, p_value,
        reference). Of an exploration, the facts its summary gives.
    certificate : Mapping
        status, sentence, gradient_norm (largest absolute component), deviance_left, flat, flat_by; empty for an
        exploration.
    cross_checks : tuple of Mapping
        For each cross-check its engine, ok, counts by verdict, the quantities that are equal, and the rows that
        are not.
    messages : tuple of str
        What the fit had to say.
    provenance : Mapping
        data_sha256 (over the rows used), versions, seed.
    """

    kind: str
    status: str
    reasons: tuple[str, ...]
    dataset: str | None
    title: str | None
    formula: str
    method: str
    numbers: Mapping[str, Any]
    certificate: Mapping[str, Any]
    cross_checks: tuple[Mapping[str, Any], ...]
    messages: tuple[str, ...]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain dicts, lists, strings and finite numbers (``None`` for what is not)."""
        return {"schema": 2} | {field.name: _thawed(getattr(self, field.name)) for field in fields(self)}

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)

    def __str__(self) -> str:
        """Return one line: what was fitted and how it ended."""
        what = {"model": "", "comparison": "chosen: ", "exploration": "explored: "}[self.kind]
        head = f"{self.status}: {what}{self.formula or self.dataset}" + (f" ({self.method})" if self.method else "")
        return "\n".join([head, *self.reasons])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        data = {RECORD_MIME: self.to_dict(), "text/plain": str(self)}
        return data, {"lmmtools": {"kind": "record"}}


def record(
    found: Any,
    check: Any = None,
    *,
    dataset: str | None = None,
    title: str | None = None,
    seed: int | None = None,
    level: float = 0.95,
    ddf: str = "satterthwaite",
) -> Record:
    """Record a run: status, numbers, certificate, cross-check verdicts and provenance.

    Parameters
    ----------
    found : LMMFit, Models or exploration
        The fit, the comparison or the exploration to record.
    check : CrossCheck or iterable of CrossCheck, optional
        What the other engines said of the fit, or of the model a comparison chose.
    dataset, title : str, optional
        How the run is called.
    seed : int, optional
        The seed random numbers were drawn with, if any were.
    level : float
        Confidence level of the intervals among the numbers.
    ddf : str
        Their degrees of freedom, as for `coef_table`.

    Returns
    -------
    Record
        Its repr in a notebook is what a report and an index read.

    Raises
    ------
    LMMError
        If `found` or `check` is nothing of the kind.
    """
    checks = _as_checks(check)
    if isinstance(found, LMMFit):
        parts, sha256 = _of_fit(found, checks, level, ddf), data_sha256(found.design)
    elif isinstance(found, Models):
        parts, sha256 = _of_models(found, checks, level, ddf), models_sha256(found)
    elif getattr(found, "kind", None) == "exploration":
        parts, sha256 = _of_exploration(found), found.design_sha256 or None
    else:
        raise LMMError(f"record: takes a fit, what fit_models returns, or an exploration; got {type(found).__name__}.")
    provenance = {"data_sha256": sha256, "versions": versions(), "seed": seed}
    return Record(**parts, dataset=dataset or None, title=title or None, provenance=provenance)


def _of_fit(fit: LMMFit, checks: tuple[Any, ...], level: float, ddf: str) -> dict[str, Any]:
    certificate = fit.certificate
    status, reasons = status_of(fit, checks)
    return {
        "kind": "model",
        "status": status,
        "reasons": reasons,
        "formula": fit.formula,
        "method": fit.method,
        "numbers": numbers_of(fit, level, ddf),
        "certificate": {
            "status": certificate.status,
            "sentence": certificate.sentence,
            "gradient_norm": max((abs(float(g)) for g in certificate.gradient), default=0.0),
            "deviance_left": certificate.deviance_left,
            "flat": certificate.flat,
            "flat_by": certificate.flat_by,
        },
        "cross_checks": tuple(check_summary(one) for one in checks),
        "messages": tuple(str(message) for message in fit.messages),
    }


def _of_models(models: Models, checks: tuple[Any, ...], level: float, ddf: str) -> dict[str, Any]:
    """Everything of the model chosen, and how it stands among the others."""
    chosen = _of_fit(models.chosen, checks, level, ddf)
    numbers = chosen["numbers"] | {
        "chosen": models.preferred,
        "compared_by": models.method,
        "verdict": headline(models),
        "models": list(_models(models)),
        "steps": pd.DataFrame(models.steps).to_dict("records"),
    }
    doubts = [f"{visible(row['name'])}: {row['reason']}" for row in numbers["models"] if _is_doubtful(row)]
    messages = dict.fromkeys((*models.messages, *chosen["messages"]))
    return chosen | {
        "kind": "comparison",
        "numbers": numbers,
        "reasons": (*chosen["reasons"], *doubts),
        "messages": tuple(messages),
    }


def _is_doubtful(row: Mapping[str, Any]) -> bool:
    """Whether a model says nothing in the comparison; a singular one does, and a fit by REML decides on the chosen."""
    return row["status"] in ("failed", "flat direction")


def _models(models: Models) -> Iterator[dict[str, Any]]:
    """A row for each model asked for; those that were left out have no numbers."""
    criteria = models.criteria
    for name, formula in models.formulas.items():
        known = name in models
        status, reasons = status_of(models[name], ()) if known else ("failed", (models.failures[name],))
        row = criteria.loc[name] if known else {}
        structure = models[name].design.residual if known else None
        residual = None if structure is None else structure.text
        told = {"name": name, "formula": formula, "residual": residual, "status": status}
        yield (
            told
            | {"reason": " ".join(reasons) or None}
            | {key: row[key] if known else None for key in ("npar", "loglik", "aic", "aicc", "bic", "delta", "weight")}
        )


def _of_exploration(found: Any) -> dict[str, Any]:
    return {
        "kind": "exploration",
        "status": "ok",
        "reasons": (),
        "formula": found.formula or "",
        "method": None,
        "numbers": found.summary(),
        "certificate": {},
        "cross_checks": (),
        "messages": tuple(str(message) for message in found.messages),
    }


def _as_checks(check: Any) -> tuple[Any, ...]:
    if check is None:
        return ()
    if hasattr(check, "ok"):
        return (check,)
    if isinstance(check, Iterable) and all(hasattr(one, "ok") for one in check):
        return tuple(check)
    raise LMMError(
        f"record: check is a {type(check).__name__}, which is not what cross_check returns; "
        "pass check=cross_check(fit), several of them in a tuple, or None."
    )


def _frozen(value: Any) -> Any:
    """Return the value with immutable containers and plain, finite scalars."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): _frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if hasattr(value, "item"):  # numpy scalars
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    return value
