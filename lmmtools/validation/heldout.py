"""One model fitted without some rows, and the normal distributions it predicts for them."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.core.rank import column_rank
from lmmtools.design.newdata import NewRows, NewTerm
from lmmtools.errors import LMMError, LMMWarning
from lmmtools.formats import counted, quoted
from lmmtools.predictive import mean_variance, point, residual_sd, with_residuals
from lmmtools.resampling.copies import copied, impossible
from lmmtools.resampling.refits import refit_design

__all__ = ["HeldOut", "held_out"]

# A row's part outside the columns that remain, beside its size, that is rounding.
_NONE = 1e-7


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of m rows held out.

    Attributes
    ----------
    mean, sd : ndarray, shape (m,)
        NaN where there is none.
    singular : bool
    reason : str
        Why some rows, or all, have no prediction; empty where none lacks one.
    """

    mean: np.ndarray
    sd: np.ndarray
    singular: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Training:
    """The rows that are left.

    Attributes
    ----------
    design : Design
    places : tuple of ndarray of int, shape (levels,)
        Of each term, the new code of every level of the whole; −1 where it has no row left.
    groups : ndarray of int, shape (residual groups,), or None
        The same of the residual groups.
    kept : ndarray of int
        Columns of X that have an estimate still.
    """

    design: Any
    places: tuple[np.ndarray, ...]
    groups: np.ndarray | None
    kept: np.ndarray


def held_out(fit: Any, out: np.ndarray) -> HeldOut:
    """Predict rows by the model fitted to the others.

    Parameters
    ----------
    fit : LMMFit
        Of all rows: the model, the method and the start.
    out : ndarray of bool, shape (n,)

    Returns
    -------
    HeldOut
        Each row's response given those of the rows fitted, θ̂ as if known: its level's effects and, where residuals
        are correlated, its group's residuals are predicted where rows of them are left, else marginal.
    """
    rows, others = np.flatnonzero(out), np.flatnonzero(~out)
    nothing = np.full(len(rows), np.nan)
    left = _training(fit.design, others)
    known, lost = _determined(fit.design, rows, others, left.kept)
    if reason := impossible(left.design) or _without_level(left.design):
        return HeldOut(nothing, nothing, False, reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)  # a fold's flat direction is its own; predictions are told
            refit = refit_design(fit, left.design)
            if refit.reason:
                return HeldOut(nothing, nothing, False, refit.reason)
            mean, variance = _predicted(refit.full(), fit.design, rows[known], left)
    except (LMMError, np.linalg.LinAlgError) as error:
        return HeldOut(nothing, nothing, False, str(error))
    if gone := int(np.isnan(mean).sum()):
        why = (
            f"`{fit.design.correlation.label}` gives {counted(gone, 'row')} correlations with the residuals of their "
            "group that no residuals together can have."
        )
        lost = f"{lost} {why}".strip()
    found = HeldOut(nothing.copy(), nothing.copy(), bool(refit.is_singular), lost)
    found.mean[known], found.sd[known] = mean, np.sqrt(variance)
    return found


def _training(design: Any, rows: np.ndarray) -> Training:
    """The design of these rows, and where what it lacks stood."""
    made = copied(design, rows, np.zeros(len(rows), dtype=np.intp), dict.fromkeys(design.factors, False))
    terms, places = [], []
    for old, new in zip(design.terms, made.terms, strict=True):
        if old.known_root is not None:  # relatives tell of a level without rows
            new = dataclasses.replace(new, codes=old.codes[rows], levels=old.levels, known_root=old.known_root)
        terms.append(new)
        places.append(_places(old, rows, new.codes))
    groups = None if design.correlation is None else _places(design.correlation, rows, made.correlation.codes)
    kept = column_rank(made.X).kept if made.X.shape[1] else np.zeros(0, dtype=np.intp)
    names = tuple(design.fixed_names[k] for k in kept)
    made = dataclasses.replace(made, terms=tuple(terms), X=np.asfortranarray(made.X[:, kept]), fixed_names=names)
    return Training(made, tuple(places), groups, kept)


def _places(old: Any, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    place = np.full(len(old.levels), -1, dtype=np.intp)
    if getattr(old, "known_root", None) is not None:
        return np.arange(len(old.levels))
    place[old.codes[rows]] = codes
    return place


def _determined(design: Any, rows: np.ndarray, others: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, str]:
    """Which of the rows have a mean that the others determine, and what is said of those that have none."""
    p = design.X.shape[1]
    if len(kept) == p:
        return np.ones(len(rows), dtype=bool), ""
    gone = np.setdiff1d(np.arange(p), kept)
    X = design.X[others]
    C = np.linalg.lstsq(X[:, kept], X[:, gone], rcond=None)[0]
    left = np.abs(design.X[np.ix_(rows, gone)] - design.X[np.ix_(rows, kept)] @ C)
    size = np.abs(design.X[rows]).max(axis=1, initial=0.0)[:, None]
    known = np.all(left <= _NONE * np.maximum(size, 1.0), axis=1)
    if known.all():
        return known, ""
    names = [design.fixed_names[k] for k, column in zip(gone, left.T, strict=True) if np.any(column > _NONE)]
    have = "has" if len(names) == 1 else "have"
    return known, (
        f"{quoted(names)} {have} no estimate in the rows that are left, so {counted(int((~known).sum()), 'row')} "
        "cannot be predicted."
    )


def _without_level(design: Any) -> str:
    """Why the residual structure has no estimate in these rows, if so."""
    if design.residual is None:
        return ""
    for part in design.residual.variances:
        if len(lost := sorted(set(range(len(part.levels))) - set(part.codes.tolist()))):
            return f"`{part.label}`: no row that is left has {quoted([part.levels[k] for k in lost])}."
    c = design.residual.correlation
    if c is not None and (lost := sorted(set(range(len(c.by_levels))) - set(c.by_codes.tolist()))):
        return f"`{c.label}`: no row that is left has {quoted([c.by_levels[k] for k in lost])}."
    return ""


def _predicted(fit: Any, whole: Any, rows: np.ndarray, left: Training) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of responses at rows of the whole design."""
    terms = zip(whole.terms, left.places, strict=True)
    new = NewRows(
        whole.X[np.ix_(rows, left.kept)],
        None if whole.offset is None else whole.offset[rows],
        tuple(NewTerm(term.matrix[rows], place[term.codes[rows]]) for term, place in terms),
        whole.index[rows],
    )
    value = point(fit, new, True)
    sd = _own_sd(fit, whole, rows, value)
    if whole.correlation is None:
        return value, mean_variance(fit, new, True) + (fit.sigma * sd) ** 2
    where = whole.correlation.of_rows(rows)
    return with_residuals(fit, new, dataclasses.replace(where, codes=left.groups[where.codes]), sd)


def _own_sd(fit: Any, whole: Any, rows: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Standard deviations over σ of the residuals of the rows, weights included."""
    parts = () if whole.residual is None else tuple(part.of_rows(rows) for part in whole.residual.variances)
    sd = residual_sd(fit, parts, value)
    return sd if whole.weights is None else sd / np.sqrt(whole.weights[rows])
