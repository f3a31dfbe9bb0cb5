"""What a fit and its cross-checks come to: status with reasons, numbers, verdicts, and where they came from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from lmmtools.core.structures import structure_name
from lmmtools.formats import counted, is_missing
from lmmtools.models import Models
from lmmtools.prose import singularity

__all__ = ["STATUSES", "check_summary", "data_sha256", "models_sha256", "numbers_of", "status_of", "versions"]

STATUSES = ("ok", "singular", "flat direction", "unexplained", "failed")
_VERSIONED = ("numpy", "scipy", "pandas", "formulaic", "statsmodels")


def status_of(fit: Any, checks: tuple[Any, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the worst status that applies and a sentence for every one that does."""
    found: list[tuple[str, str]] = []
    if fit.certificate.status == "not an optimum":
        found.append(("failed", fit.certificate.sentence))
    unexplained = [row for one in checks for row in check_summary(one)["rows"] if _failed(row)]
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


def numbers_of(fit: Any, level: float, ddf: str = "satterthwaite") -> dict[str, Any]:
    """Return the numbers of a fit, as its tables have them, by plain names."""
    table = fit.coef_table(ddf=ddf, level=level)
    numbers = {
        "coefficients": [str(name) for name in fit.fixef.index],  # JSON objects need not keep an order
        "fixef": {str(name): value for name, value in fit.fixef.items()},
        "stderr": {str(name): value for name, value in fit.stderr.items()},
        "intervals": {
            "level": level,
            "reference": ddf,
            "low": {str(name): value for name, value in table["ci_low"].items()},
            "high": {str(name): value for name, value in table["ci_high"].items()},
        },
        "varcorr": [
            {key: None if _empty(value) else value for key, value in row.items()}
            for row in fit.varcorr.to_dict("records")
        ],
        "ngroups": dict(fit.ngroups),
        "residual": None if fit.design.residual is None else fit.design.residual.text,
        "residual_params": {str(name): value for name, value in fit.residual_params.items()},
    }
    for name in ("sigma", "criterion", "loglik", "aic", "bic", "npar", "nobs", "df_resid"):
        numbers[name] = getattr(fit, name)
    numbers["icc"] = _icc(fit)
    return numbers


def _icc(fit: Any) -> dict[str, dict[str, float]] | None:
    """Return each group's intraclass correlation, raw and adjusted, or None where the model defines none."""
    from lmmtools import icc

    structure = fit.design.residual
    if fit.design.weights is not None or (structure is not None and structure.variances):
        return None  # the residual variance differs from row to row, so there is no one number
    if not fit.design.terms:
        return None
    table = icc(fit)
    return {str(row["group"]): {"icc": row["icc"], "adjusted": row["adjusted"]} for row in table.to_dict("records")}


def check_summary(check: Any) -> dict[str, Any]:
    """Return engine, counts by verdict, the quantities that are equal, and the rows that are not."""
    rows = check.reset_index(drop="quantity" in check.columns).to_dict("records")
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row["verdict"])] = counts.get(str(row["verdict"]), 0) + 1
    keys = ("quantity", "ours", "theirs", "difference", "verdict", "explanation")
    return {
        "engine": str(getattr(check, "engine", "")),
        "ok": bool(check.ok),
        "counts": counts,
        "equal": [str(row["quantity"]) for row in rows if _is_equal(row)],
        "rows": [{key: None if _empty(row[key]) else row[key] for key in keys} for row in rows if not _is_equal(row)],
    }


def _is_equal(row: Mapping[str, Any]) -> bool:
    return str(row["verdict"]).startswith("equal")


def _failed(row: Mapping[str, Any]) -> bool:
    return row["verdict"] == "unexplained"


def _empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and value == "")


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
    random term, its columns, group codes, level labels, positions and known covariances, and what a residual
    structure reads: what two equal fits have in common.
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
        add(f"{term.label}\0{structure_name(term.structure)}\0" + "\0".join(term.names), term.matrix)
        add("\0".join(str(level) for level in term.levels), term.codes)
        for name in ("positions", "known_root"):
            if getattr(term, name) is not None:
                add(name, getattr(term, name))
    if design.residual is not None:
        for name, values in _residual_data(design.residual):
            add(name, values)
    return digest.hexdigest()


def _residual_data(residual: Any) -> Iterator[tuple[str, Any]]:
    """What a residual structure reads: groups and positions, levels and covariates; those of fitted values are not."""
    c = residual.correlation
    if c is not None:
        yield f"{c.label}\0" + "\0".join(str(level) for level in c.levels), c.codes
        yield "positions", c.positions
        yield "\0".join(c.by_levels), c.by_codes
    for part in residual.variances:
        yield f"{part.label}\0" + "\0".join(part.levels), part.codes
        yield "covariate", None if part.fitted else part.values


def models_sha256(models: Models) -> str:
    """Return one hash over those of all models, in their order."""
    return hashlib.sha256("".join(data_sha256(fit.design) for fit in models.values()).encode()).hexdigest()
