"""The tables of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.formats import counted, visible, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.validation.folds import Division, plural
from lmmtools.validation.scores import SCORES, mean_by_units, row_scores

__all__ = ["differences_of", "failures_frame", "rows_frame", "scores_of"]

_HEADINGS = {"rmse": "RMSE", "mae": "MAE", "crps": "CRPS", "log_score": "Log score", "coverage": "Coverage",
             "failed": "Failed", "singular": "Singular", "rows": "Rows"}  # fmt: skip

# Scores that differ by less than this, beside their size, are those of one and the same predictions.
_ROUNDING = 1e-12


def rows_frame(parts: list[pd.DataFrame], what: str) -> Frame:
    """All predictions, a row of the data as often as it was held out."""
    from scipy.special import ndtr

    table = pd.concat(parts, ignore_index=True)
    table["pit"] = ndtr((table["observed"] - table["mean"]) / table["sd"])
    return frame(
        table, caption=f"Predictions of {what}, each by the model fitted without it", label="tbl-held-out", index=False,
        headings={"model": "Model", "repeat": "Repeat", "fold": "Fold", "row": "Row", "observed": "Observed",
                  "mean": "Predicted", "sd": "sd", "pit": "PIT"},
        formats={"pit": "fixed3"},
    )  # fmt: skip


def failures_frame(found: list[tuple[str, int, int, int, str]]) -> Frame:
    """Folds whose rows, or some of them, have no prediction."""
    table = pd.DataFrame(found, columns=["model", "repeat", "fold", "rows", "reason"])
    return frame(
        table, caption="Folds with rows that could not be predicted", label="tbl-failed-folds", index=False,
        headings={"model": "Model", "repeat": "Repeat", "fold": "Fold", "rows": "Rows", "reason": "Reason"},
    )  # fmt: skip


def _by_row(rows: pd.DataFrame, names: list[str], n: int, level: float) -> dict[str, dict[str, np.ndarray]]:
    """Scores of each row of the data, averaged over repeats in which all models predict it; NaN where none does.

    A model that predicts nothing has no say.
    """
    parts = {name: rows[rows["model"] == name] for name in names}
    known = [part["mean"].notna().to_numpy() for part in parts.values()]
    both = np.logical_and.reduce([one for one in known if one.any()])
    found = {}
    for name, part in parts.items():
        one = row_scores(*(part[c].to_numpy(dtype=float) for c in ("observed", "mean", "sd")), level)
        place = part["place"].to_numpy()[both]
        times = np.bincount(place, minlength=n)
        with np.errstate(invalid="ignore"):
            found[name] = {
                key: np.bincount(place, values[both].astype(float), minlength=n) / times for key, values in one.items()
            }
    return found


def scores_of(
    rows: pd.DataFrame, names: list[str], units: np.ndarray, level: float, counts: Mapping[str, tuple[int, int]]
) -> tuple[pd.DataFrame, dict[str, dict[str, np.ndarray]]]:
    """A row a model, and the scores of each row of the data that they are means of.

    Parameters
    ----------
    rows : DataFrame
        With ``place``, the row among those fitted.
    names : list of str
    units : ndarray of int, shape (n,)
        Independent of each other.
    level : float
    counts : Mapping
        Refits that failed and that are singular, by model.
    """
    each = _by_row(rows, names, len(units), level)
    table = []
    for name in names:
        own, line = each[name], {}
        known = ~np.isnan(own["mse"])
        for score in SCORES:
            mean, se = mean_by_units(own["mse" if score == "rmse" else score][known], units[known])
            if score == "rmse":  # by the delta method
                mean = np.sqrt(mean)
                se = se / (2.0 * mean) if mean > 0.0 else 0.0
            line |= {score: mean, f"{score}_se": se}
        coverage = mean_by_units(own["coverage"][known], units[known])[0]
        table.append(line | {"coverage": coverage, "rows": int(known.sum()), "failed": counts[name][0],
                             "singular": counts[name][1]})  # fmt: skip
    return pd.DataFrame(table, index=pd.Index(names, name="model")), each


def scores_frame(table: pd.DataFrame, found: dict[str, Any], notes: tuple[str, ...]) -> Frame:
    """The scores as shown."""
    percent = f"{100 * found['level']:g} %"
    unit = found["unit"]
    headings = {name: with_unit(text, unit if name in SCORES[:3] else None) for name, text in _HEADINGS.items()}
    headings |= {f"{name}_se": "SE" for name in SCORES} | {"model": "Model"}
    return frame(
        table,
        caption=f"Scores of predictions of {visible(found['response'])}, {found['what']}: the smaller, the better; "
        f"coverage is of {percent} intervals",
        label="tbl-scores" if found["rows"] else "tbl-scores-by", notes=notes, headings=headings,
        formats={"coverage": "percent"},
    )  # fmt: skip


def differences_of(
    names: list[str], each: dict[str, dict[str, np.ndarray]], units: np.ndarray, scores: pd.DataFrame
) -> pd.DataFrame:
    """Each model's scores less those of the best, row by row of the same rows, with standard errors."""
    best = str(scores["log_score"].idxmin()) if scores["log_score"].notna().any() else names[0]
    table = []
    for name in names:
        if name == best:
            continue
        known = ~np.isnan(each[name]["mse"])
        for score in SCORES:
            a, b = (each[one]["mse" if score == "rmse" else score][known] for one in (name, best))
            if score == "rmse":  # √a − √b moves by a/(2√ā) − b/(2√b̄)
                roots = scores.loc[name, "rmse"], scores.loc[best, "rmse"]
                a, b = (x / (2.0 * root) if root > 0.0 else x for x, root in zip((a, b), roots, strict=True))
            ours, theirs = scores.loc[name, score], scores.loc[best, score]
            difference, error = ours - theirs, mean_by_units(a - b, units[known])[1]
            if abs(difference) <= _ROUNDING * (abs(ours) + abs(theirs)):
                difference = error = 0.0
            table.append((name, best, score, difference, error))
    return pd.DataFrame(table, columns=["model", "against", "score", "difference", "std_error"])


def differences_frame(table: pd.DataFrame, found: dict[str, Any]) -> Frame:
    """The differences as shown."""
    shown = table.assign(score=table["score"].map(_HEADINGS)) if len(table) else table
    return frame(
        shown,
        caption="Scores less those of the model with the best log score, of the same rows",
        label="tbl-score-differences",
        notes=(f"Standard errors take {plural(found['independent'])} as independent; they do not know that all folds "
               "share most of their rows, and that the best was chosen by its score.",),
        headings={"model": "Model", "against": "Less", "score": "Score", "difference": "Difference",
                  "std_error": "SE"},
        formats={"difference": "sig3", "std_error": "sig3"}, index=False,
    )  # fmt: skip


def notes_of(found: dict[str, Any], division: Division, scores: pd.DataFrame, failed: int) -> tuple[str, ...]:
    """What must be said of how the scores came about."""
    units = int(division.units.max()) + 1
    how = (
        f"Each of the {counted(units, division.by, plural(division.by))} is left out in turn."
        if division.folds == units
        else f"{counted(division.folds, 'fold')} of {plural(division.by)}"
        + (f", {counted(len(division.of), 'time')} divided anew." if len(division.of) > 1 else ".")
    )
    said = [
        how,
        "Predictive distributions are normal, with the uncertainty of β̂ and of the effects predicted; each fold's θ̂ is "
        "taken as known.",
        f"Standard errors take {plural(found['independent'])} as independent.",
    ]
    most = int(scores["rows"].max())
    if failed:
        said.append(
            f"{counted(failed, 'fold')} of some model left rows without a prediction (failures has the reasons)"
            + (f"; scores are of the {most:,} rows that all models predict." if most < len(division.units) else ".")
        )  # fmt: skip
    return tuple(said)
