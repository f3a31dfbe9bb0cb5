"""Fitted values, residuals, predictions and covariances of rows that paths name."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from lmmtools.matrices.build import matrices_of_rows
from lmmtools.replication.quantities.heads import Asked, Head, place_of
from lmmtools.replication.quantities.paths import PathError

__all__ = ["PREDICTED"]

_KINDS = ("response", "marginal", "pearson", "standardized", "studentized", "normalized", "whitened")
_COLUMNS = ("prediction", "std_error", "low", "high")


def _fitted(asked: Asked) -> float:
    """Xβ̂ and the conditional modes of all grouping factors, of none, or of those that are named."""
    fit, given = asked.fit, asked.option("random", "yes")
    row = place_of(asked, fit.nobs)
    if given == "yes":
        return float(fit.fitted.iloc[row])
    valid = [*fit.ngroups]
    chosen = [] if given == "no" else [one.strip() for one in given.split("+")]
    for name in chosen:
        if name not in valid:
            raise asked.walk.unknown(name, "grouping factor (or `yes`, `no`)", valid)
    value = float(fit.fitted.iloc[row])
    for term, modes in zip(fit.design.terms, fit.modes, strict=True):
        if term.factor not in chosen:
            value -= float(term.matrix[row] @ modes[term.codes[row]])
    return value


def _resid(asked: Asked) -> float:
    kind = asked.one_of("kind", "response", _KINDS)
    return float(asked.fit.residuals(kind).iloc[place_of(asked, asked.fit.nobs)])


def _resid_quantile(asked: Asked) -> float:
    kind, [given] = asked.one_of("kind", "pearson", _KINDS), asked.call.arguments
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise PathError(f"`{asked.walk.path}`: a quantile is asked for by a number from 0 to 1; got {given}.")
    return float(np.nanquantile(asked.fit.residuals(kind), share))


def _predict(asked: Asked) -> float:
    """At one new row; a grouping factor of which no level is given has a conditional mode of zero."""
    fit = asked.fit
    row = {name: values[0] for name, values in asked.values(("level", "interval")).items()}
    grouping = {name for factor in fit.ngroups for name in factor.split(":")}
    kind = asked.one_of("interval", "mean", ("mean", "observation"))
    column = asked.walk.name("column", _COLUMNS)
    known = {name for name in grouping if name in row}
    random = bool(known)
    _check_levels(asked, row)
    absent = dict.fromkeys(grouping - known, None) if random else {}
    data = pd.DataFrame([{**absent, **row}])
    if column == "prediction":
        return float(fit.predict(data, random=random, unseen="population").iloc[0])
    table = fit.predict(data, random=random, unseen="population", interval=kind, level=asked.level)
    return float(table[column].iloc[0])


def _check_levels(asked: Asked, row: dict) -> None:
    """Refuse levels that the data do not have: only what is not said may be without a conditional mode."""
    for term in asked.fit.design.terms:
        parts = term.factor.split(":")
        if all(part in row for part in parts):
            given, levels = ":".join(str(row[part]) for part in parts), list(map(str, term.levels))
            if given not in levels:
                raise asked.walk.unknown(given, f"level of {term.factor}", levels)


def _covariance(asked: Asked) -> float:
    """Of two responses, or of their residuals: the matrices are made of these rows alone."""
    fit = asked.fit
    which = asked.one_of("of", "y", ("y", "residuals"))
    rows = [place_of(asked, fit.nobs), place_of(asked, fit.nobs)]
    matrices = matrices_of_rows(fit, np.unique(rows))
    relative = matrices.V if which == "y" else matrices.R
    return fit.sigma**2 * float(relative.toarray()[0, -1] if rows[0] != rows[1] else relative.toarray()[0, 0])


PREDICTED = MappingProxyType({
    "fitted": Head(
        _fitted,
        {"fitted.ROW": "fitted value, rows used counted from 1",
         "fitted(random=no).ROW": "Xβ̂ alone, nlme's level 0; with random=Dog, or random=Dog+Side, the conditional "
         "modes of these factors beside it"},
        ("random",),
    ),
    "resid": Head(
        _resid,
        {"resid.ROW": "residual, likewise",
         "resid(kind=pearson).ROW": "of another kind, as `residuals` has them: marginal, pearson, standardized, …"},
        ("kind",),
    ),
    "resid_quantile": Head(
        _resid_quantile,
        {"resid_quantile(0.25, kind=pearson)": "quantile of residuals, Pearson's where no kind is said (linear "
         "between order statistics): 0 is the least, 0.5 the median, 1 the largest"},
        ("kind",), (1, 1),
    ),
    "predict": Head(
        _predict,
        {"predict(age=16, Subject=M11).prediction": "prediction at a new row; factors of which no level is given have "
         "no part in it",
         "predict(age=16, interval=mean, level=0.95).low": "and its interval, `.high`, `.std_error`; of a new response "
         "with interval=observation"},
        ("interval", "level"), (0, 999), columns=True,
    ),
    "V": Head(
        _covariance,
        {"V.ROW.ROW": "covariance of two responses, of one row its variance, as nlme's getVarCov(type = \"marginal\")",
         "V(of=residuals).ROW.ROW": "that of the residuals alone: an element of σ²R"},
        ("of",),
    ),
})  # fmt: skip
