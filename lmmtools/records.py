"""The run record: one fit's numbers, verdicts and provenance as a JSON-ready value."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.formats import counted, is_missing
from lmmtools.prose import singularity

__all__ = ["RECORD_MIME", "STATUSES", "Record", "record"]

RECORD_MIME = "application/vnd.lmmtools.record+json"
STATUSES = ("ok", "singular", "flat direction", "unexplained", "failed")
_VERSIONED = ("numpy", "scipy", "pandas", "formulaic", "statsmodels")


@dataclass(frozen=True)
class Record:
    """What one run found, without clock times, so that two runs of one request give the same bytes.

    Attributes
    ----------
    status : {"ok", "singular", "flat direction", "unexplained", "failed"}
        The worst thing that is true of the run, in that order.
    reasons : tuple of str
        One sentence for each thing that keeps the status from being "ok".
    dataset, title, formula, method : str or None
        What was fitted; method is "REML" or "ML".
    numbers : Mapping
        coefficients (their names in order), fixef, stderr (units of the response per unit of the column),
        varcorr (rows as in lme4), sigma, criterion, loglik, aic, bic, npar, nobs, ngroups, and icc where it
        is defined.
    certificate : Mapping
        status, sentence, gradient_norm (largest absolute component), deviance_left, flat, flat_by.
    cross_checks : tuple of Mapping
        For each cross-check its engine, ok, counts by verdict, and the rows that are not equal.
    messages : tuple of str
        What the fit had to say.
    provenance : Mapping
        data_sha256 (over the rows used), versions, seed.
    """

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
        return {"schema": 1} | {field.name: _thawed(getattr(self, field.name)) for field in fields(self)}

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)

    def __str__(self) -> str:
        """Return one line: what was fitted and how it ended."""
        head = f"{self.status}: {self.formula} ({self.method})"
        return "\n".join([head, *self.reasons])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        data = {RECORD_MIME: self.to_dict(), "text/plain": str(self)}
        return data, {"lmmtools": {"kind": "record"}}


def record(
    fit: Any,
    check: Any = None,
    *,
    dataset: str | None = None,
    title: str | None = None,
    seed: int | None = None,
) -> Record:
    """Record a fit: status, numbers, certificate, cross-check verdicts and provenance.

    Parameters
    ----------
    fit : LMMFit
        The fit to record.
    check : CrossCheck or iterable of CrossCheck, optional
        What the other engines said of it.
    dataset, title : str, optional
        How the run is called.
    seed : int, optional
        The seed random numbers were drawn with, if any were.

    Returns
    -------
    Record
        Its repr in a notebook is what a report and an index read.
    """
    checks = _as_checks(check)
    certificate = fit.certificate
    status, reasons = _status(fit, checks)
    return Record(
        status=status,
        reasons=reasons,
        dataset=dataset or None,
        title=title or None,
        formula=fit.formula,
        method=fit.method,
        numbers=_numbers(fit),
        certificate={
            "status": certificate.status,
            "sentence": certificate.sentence,
            "gradient_norm": max((abs(float(g)) for g in certificate.gradient), default=0.0),
            "deviance_left": certificate.deviance_left,
            "flat": certificate.flat,
            "flat_by": certificate.flat_by,
        },
        cross_checks=tuple(_check_summary(one) for one in checks),
        messages=tuple(str(message) for message in fit.messages),
        provenance={"data_sha256": data_sha256(fit.design), "versions": versions(), "seed": seed},
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a fit and its cross-check depend on."""
    from lmmtools import __version__

    found = {"lmmtools": __version__, "python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def data_sha256(design: Any) -> str:
    """Return the SHA-256 of the rows a fit used.

    The hash runs over names and values of response, fixed columns, weights, offset and, for each
    random term, its columns, group codes and level labels: what two equal fits have in common.
    """
    digest = hashlib.sha256()

    def add(name: str, values: Any) -> None:
        digest.update(name.encode() + b"\0")
        if values is not None:
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            digest.update(values.tobytes(order="C"))

    add(design.response, design.y)
    add("\0".join(design.fixed_names), design.X)
    add("weights", design.weights)
    add("offset", design.offset)
    for term in design.terms:
        add(f"{term.label}\0{term.structure}\0" + "\0".join(term.names), term.matrix)
        add("\0".join(str(level) for level in term.levels), term.codes)
    return digest.hexdigest()


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


def _status(fit: Any, checks: tuple[Any, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the worst status that applies and a sentence for every one that does."""
    found: list[tuple[str, str]] = []
    if fit.certificate.status == "not an optimum":
        found.append(("failed", fit.certificate.sentence))
    unexplained = [row for one in checks for row in _check_summary(one)["rows"] if _failed(row)]
    if any(not one.ok for one in checks):
        names = ", ".join(row["quantity"] for row in unexplained)
        found.append(("unexplained", f"The cross-check differs without an explanation in {names or 'a row'}."))
    if fit.certificate.status == "flat direction":
        found.append(("flat direction", _flat_sentence(fit.certificate)))
    if fit.is_singular:
        found.append(("singular", f"The fit is singular: {singularity(fit)}."))
    if not found:
        return "ok", ()
    return max((status for status, _ in found), key=STATUSES.index), tuple(sentence for _, sentence in found)


def _flat_sentence(certificate: Any) -> str:
    """What the certificate says at length, in the length of a line."""
    found, *more = certificate.flat
    if more:
        found += f", nor {counted(len(more), 'other combination')}"
    if certificate.flat_by == "data":
        return f"The data say nothing about {found}; standard errors that rest on it mean nothing either."
    return f"The data do not determine {found}; fixed effects and their standard errors do not rest on it."


def _numbers(fit: Any) -> dict[str, Any]:
    numbers = {
        "coefficients": [str(name) for name in fit.fixef.index],  # JSON objects need not keep an order
        "fixef": {str(name): value for name, value in fit.fixef.items()},
        "stderr": {str(name): value for name, value in fit.stderr.items()},
        "varcorr": [
            {key: None if _empty(value) else value for key, value in row.items()}
            for row in fit.varcorr.to_dict("records")
        ],
        "ngroups": dict(fit.ngroups),
    }
    for name in ("sigma", "criterion", "loglik", "aic", "bic", "npar", "nobs", "df_resid"):
        numbers[name] = getattr(fit, name)
    numbers["icc"] = _icc(fit)
    return numbers


def _icc(fit: Any) -> dict[str, dict[str, float]] | None:
    """Return each group's intraclass correlation, raw and adjusted, or None where the model defines none."""
    from lmmtools import icc

    try:
        table = icc(fit)
    except LMMError:  # the residual variance differs from row to row, so there is no one number
        return None
    return {str(row["group"]): {"icc": row["icc"], "adjusted": row["adjusted"]} for row in table.to_dict("records")}


def _check_summary(check: Any) -> dict[str, Any]:
    rows = check.reset_index(drop="quantity" in check.columns).to_dict("records")
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row["verdict"])] = counts.get(str(row["verdict"]), 0) + 1
    keys = ("quantity", "ours", "theirs", "difference", "verdict", "explanation")
    return {
        "engine": str(getattr(check, "engine", "")),
        "ok": bool(check.ok),
        "counts": counts,
        "rows": [
            {key: None if _empty(row[key]) else row[key] for key in keys}
            for row in rows
            if not str(row["verdict"]).startswith("equal")
        ],
    }


def _failed(row: Mapping[str, Any]) -> bool:
    return row["verdict"] == "unexplained"


def _empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and value == "")


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
