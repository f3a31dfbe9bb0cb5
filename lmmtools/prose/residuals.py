"""What the residuals of a fit have in common, in sentences: the numbers of their table, rounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.formats import format_value, listed, rounded, shared_unit, shown
from lmmtools.prose.value import Prose, literal
from lmmtools.prose.words import amount, capital, noun, residual_groups, unit_of
from lmmtools.residual_parameters import (
    by_lag,
    deviations,
    far_apart,
    neighbours,
    residual_correlations,
    residual_table,
)

__all__ = ["correlated", "in_words", "residuals", "scattering", "spread_out"]

# Levels, distances or pairs beyond which only the extremes are told.
_MOST_TOLD = 4
_LAWS = {
    "ar1": "a first-order autoregression",
    "car1": "a first-order autoregression in continuous time",
    "arma": "an autoregressive moving average",
    "cs": "compound symmetry",
    "toep": "one correlation for each distance (Toeplitz)",
    "us": "one correlation for each pair of occasions (unstructured)",
    "exp": "a correlation that falls exponentially with distance",
    "gaus": "a Gaussian correlation of distance",
    "spher": "a spherical correlation of distance",
    "ratio": "a rational quadratic correlation of distance",
}


def residuals(fit: Any) -> Prose | None:
    """The residual structure under a heading of its own; None where residuals are independent and of one variance.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Prose or None
        What the residuals have in common, in the numbers of `residual_table`, which it refers to.
    """
    if fit.design.residual is None:
        return None
    matrix = ", as a matrix in @tbl-residual-matrix" if residual_correlations(fit) is not None else ""
    lead = f"The residuals have {in_words(fit)}; @tbl-residual has the parameters{matrix}."
    return Prose(" ".join(["### What do the residuals have in common?\n\n" + lead, *correlated(fit), *spread_out(fit)]))


def in_words(fit: Any) -> str:
    """What the residual structure is: "compound symmetry within children, and an sd for each level of Sex"."""
    structure = fit.design.residual
    c, parts = structure.correlation, []
    if c is not None:
        within = f" within {noun(fit.design, c.group)[1]}" if c.group else ""
        own = _by_level(c.by)
        order = f" of order {c.order[0]}, {c.order[1]}" if c.kind == "arma" else ""
        near = " and a nugget" if c.nugget else ""
        parts.append(f"{_LAWS[c.kind]}{order}{near}{within}{own}")
    for part in structure.variances:
        name = literal(":".join(part.variables)) if not part.fitted else "the fitted values"
        said = {
            "varident": f"a standard deviation for each level of {name}",
            "varpower": f"a standard deviation that is a power of {name}",
            "varexp": f"a standard deviation that is exponential in {name}",
            "varconstpower": f"a standard deviation that is a constant plus a power of {name}",
            "varfixed": f"variances proportional to {name}",
        }[part.kind]
        parts.append(f"{said}{_by_level(part.strata)}")
    return listed(parts)


def _by_level(factor: str) -> str:
    """A clause: whose levels have parameters of their own; empty where there is no such factor."""
    return f", its parameters those of each level of {literal(factor)}" if factor else ""


def _estimates(fit: Any) -> list[str]:
    """The parameters as their table shows them, to two decimals."""
    frame = residual_table(fit)
    table = frame.table(max_rows=max(len(frame), 1))
    place = next(j for j, column in enumerate(table.columns) if column.name == "estimate")
    return [rounded(cells[place].strip(), 2) for cells in table.cells]


def correlated(fit: Any) -> Iterator[str]:
    """Sentences on the correlation of residuals; nothing where there is none, or the data do not determine it."""
    structure, c = fit.design.residual, fit.design.correlation
    if c is None or fit.certificate.flat_by:
        return
    one = f" of one {noun(fit.design, c.group)[0]}" if c.group else ""
    m = structure.slices[0].stop // len(c.by_levels)
    numbers = _estimates(fit)
    for k, level in enumerate(c.by_levels):
        mine = numbers[k * m : (k + 1) * m]
        where = f"Where {literal(c.by)} is {literal(level)}, residuals" if level else "Residuals"
        yield f"{where}{one} {_said(fit, c, mine, fit.phi[k * m : (k + 1) * m], level)}."


def _said(fit: Any, c: Any, numbers: list[str], phi: np.ndarray, level: str) -> str:
    """What is said of residuals of one group."""
    if c.kind == "cs":
        return f"have a correlation of {numbers[0]}, whichever two they are"
    if c.kind in ("ar1", "car1"):
        gap, same = neighbours(fit)
        near = numbers[0] if gap == 1.0 else format_value(float(phi[0]) ** gap, "fixed2")
        far = _apart(fit.design, c, f"{gap:.3g}")
        beside = f"{far}, as neighbours are" if same else f"{far}, as neighbours are in the median"
        return f"{beside}, correlate {near}; k times as far apart, the k-th power of that"
    if c.kind == "arma":
        lags = [format_value(value, "fixed2") for value in by_lag(fit)[level]]
        return f"{_apart(fit.design, c)} correlate {lags[0]}, twice as far apart {lags[1]}, three times {lags[2]}"
    if c.kind == "toep":
        return _by_distance(fit.design, c, numbers)
    if c.kind == "us":
        return _of_pairs(c, numbers, phi)
    return _spatial(fit.design, c, numbers, phi)


def _apart(design: Any, c: Any, distance: str = "1") -> str:
    """How far apart two rows are; the variable is told where its unit does not tell it."""
    said = literal(far_apart(design, c, distance))
    known = design.units.get(c.variables[0]) and not c.categorical
    return said if known else f"{said} in {literal(c.variables[0])}"


def _by_distance(design: Any, c: Any, numbers: list[str]) -> str:
    if len(numbers) > _MOST_TOLD:
        first, last = _apart(design, c, c.occasions[0]), _apart(design, c, c.occasions[-1])
        return f"{first} correlate {numbers[0]}, {last} {numbers[-1]}"
    parts = [f"{_apart(design, c, lag)} {number}" for lag, number in zip(c.occasions, numbers, strict=True)]
    return "correlate " + listed(parts)


def _of_pairs(c: Any, numbers: list[str], phi: np.ndarray) -> str:
    i, j = np.triu_indices(len(c.occasions), 1)
    name = literal(c.variables[0])
    if len(numbers) == 1:
        return f"at {name} {literal(c.occasions[0])} and {literal(c.occasions[1])} correlate {numbers[0]}"
    low, high = int(np.argmin(phi)), int(np.argmax(phi))
    ends = [f"{numbers[k]} ({literal(c.occasions[i[k]])} and {literal(c.occasions[j[k]])})" for k in (low, high)]
    return f"at different values of {name} correlate between {ends[0]} and {ends[1]}"


def _spatial(design: Any, c: Any, numbers: list[str], phi: np.ndarray) -> str:
    unit = shared_unit(design.units, c.variables)
    reach = amount(numbers[0], unit)
    what = {"spher": "to nothing", "ratio": "to one half"}.get(c.kind, "to 37 %")
    what = f"{what} of it" if c.nugget and c.kind != "spher" else what
    if c.nugget:
        near = format_value(1.0 - phi[1], "fixed2")
        return f"correlate {near} where they are near, and over a distance of {reach} that falls {what}"
    return f"have a correlation that falls over a distance of {reach} {what}"


def spread_out(fit: Any, whose: str = "their", within: str = "") -> Iterator[str]:
    """Sentences on the standard deviations of residuals, where they differ by the model.

    Parameters
    ----------
    fit : LMMFit
    whose : str
        Of what they are said, as in "the residual".
    within : str
        What the sentences begin with, as in "Within one child".
    """
    structure = fit.design.residual
    parts = () if structure is None else structure.variances
    if not parts:
        return
    unit, told = unit_of(fit.design), f"{within}, {whose}" if within else ""
    if len(parts) == 1 and parts[0].kind == "varident" and len(parts[0].levels) <= _MOST_TOLD:
        sds = [fit.sigma, *(fit.sigma * fit.phi[structure.slices[-1]])]
        name = literal(":".join(parts[0].variables))
        said = [
            f"{amount(shown(sd), unit)} where {name if not k else 'it'} is {literal(level)}"
            for k, (sd, level) in enumerate(zip(sds, parts[0].levels, strict=True))
        ]
        yield f"{told or capital(whose)} standard deviation is {listed(said)}."
        return
    low, high = (amount(shown(value), unit) for value in deviations(fit))
    told = told or f"Over the rows used {whose}"
    yield f"{told} standard deviation runs from {low} to {high}{_direction(fit)}."


def _direction(fit: Any) -> str:
    """With what the standard deviation grows, where it is one thing."""
    structure = fit.design.residual
    part = structure.variances[0]
    if len(structure.variances) > 1 or part.kind not in ("varpower", "varexp") or part.levels != ("",):
        return ""
    name = "the fitted value" if part.fitted else literal(part.variables[0])
    return f", {'growing' if fit.phi[structure.slices[-1]][0] > 0 else 'falling'} with {name}"


def scattering(fit: Any) -> Iterator[str]:
    """Findings of a model without random effects: how far rows scatter, and what they have in common."""
    if fit.design.residual is None or not fit.design.residual.variances:
        sd = amount(shown(fit.sigma), unit_of(fit.design))
        where = "At weight one, the rows" if fit.design.weights is not None else "The rows"
        yield f"{where} scatter about the mean with a standard deviation of {sd}."
    yield from spread_out(fit, whose="the residual")
    yield from correlated(fit)
    if not residual_groups(fit.design) and fit.design.residual is None:
        yield "No row tells anything of another: the model takes them as independent."
