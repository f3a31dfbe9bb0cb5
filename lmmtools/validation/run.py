"""Fit, leave out, predict, score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.comparison.together import labels_of, require_fits
from lmmtools.errors import ModelError
from lmmtools.formats import quoted
from lmmtools.resampling.blocks import bar
from lmmtools.validation.folds import Division, divide, independent_units
from lmmtools.validation.heldout import held_out
from lmmtools.validation.tables import (
    differences_frame,
    differences_of,
    failures_frame,
    notes_of,
    rows_frame,
    scores_frame,
    scores_of,
)
from lmmtools.validation.value import CrossValidation

__all__ = ["cross_validate"]


def cross_validate(
    fits: Any,
    by: Any = None,
    folds: int | None = 10,
    repeats: int = 1,
    *,
    rng: np.random.Generator | int | None = None,
    level: float = 0.95,
    progress: bool | None = None,
) -> CrossValidation:
    """Fit models again without some rows, or without whole groups, and score what they say of these.

    Parameters
    ----------
    fits : LMMFit, sequence of LMMFit, or Mapping[str, LMMFit]
        Models of one response on the same rows, which are divided for all alike. Random or residual structure, fixed
        part and method may differ.
    by : str or array, optional
        Whose levels are left out whole: a grouping factor of one of the models, or a label for each row used (a Series
        with the data's index, or an array). By default rows are left out one by one, and groups keep their others.
    folds : int or None
        Parts into which rows, or levels, are divided at random; at most as many as there are. None leaves each out in
        turn.
    repeats : int
        How often they are divided anew; scores are averages.
    rng : numpy.random.Generator or int
        Not needed where each row or level is left out in turn.
    level : float
        Of the predictive intervals whose coverage is counted.
    progress : bool, optional
        Whether a bar is shown on standard error; by default where that is a terminal.

    Returns
    -------
    CrossValidation
        ``.scores``, ``.differences``, ``.rows``, ``.failures``.

    Raises
    ------
    ModelError
        If the models are not of the same response and rows, or none predicts a row.
    LMMError, DataError
        If an argument is none of its values.

    Notes
    -----
    Leaving out rows asks how well a model predicts further responses of groups it has seen; leaving out levels how
    well it predicts new groups. These are different questions, with different answers: the conditional predictions of
    the first rest on the modes of the groups, the second are of the population, with the variance between groups.

    A row's predictive distribution is N(x'β̂ + z'b̂ + k'ε̂, Var): parts that no remaining row tells of have mean zero and
    their whole variance; residuals that are correlated with some that remain are predicted from them. Variances are
    those of `predict`, with `level` of the normal distribution: θ̂ is each fold's own, and taken as known. A row's
    weight is its own. Columns with a state (``poly``, ``scale``, knots) keep that of all rows, which uses no response.
    A fold without a level of a fixed factor leaves the rows of that level without a prediction; the others keep theirs.

    References
    ----------
    Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation, J. Am. Stat. Assoc. 102,
    359-378.
    Roberts et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
    structure, Ecography 40, 913-929.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("sleepstudy")
    >>> line, slopes = (lt.fit_lmm(f"Reaction ~ Days + ({left} | Subject)", data) for left in ("1", "Days"))
    >>> found = lt.cross_validate({"intercepts": line, "slopes": slopes}, folds=5, rng=1)
    >>> found.scores[["rmse", "crps", "log_score"]].round(2).to_dict("index")["slopes"]["rmse"] < 30
    True
    """
    names, models = _named(fits)
    level = check_level(level)
    designs = [fit.design for fit in models]
    division = divide(designs, by, folds, repeats, rng)
    parts, failures, counts = _all_folds(names, models, division, progress)
    units, independent = independent_units(designs, division)
    design = designs[0]
    found = {
        "rows": division.by == "row",
        "what": f"each by the model fitted without {'it' if division.by == 'row' else 'its ' + division.by}",
        "level": level, "response": design.response, "unit": design.units.get(design.response, ""),
        "independent": independent,
    }  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    if rows["mean"].isna().all():
        raise ModelError(f"cross_validate: no fold of any model could be predicted; the first: {failures[0][-1]}")
    table, each = scores_of(rows, names, units, level, counts)
    notes = notes_of(found, division, table, len(failures))
    differences = differences_of(names, each, units, table)
    return CrossValidation(
        scores_frame(table, found, notes), differences_frame(differences, found),
        rows_frame([part.drop(columns="place") for part in parts], "rows held out"), failures_frame(failures),
        division.by, division.folds, len(division.of), level, found["response"], found["unit"],
    )  # fmt: skip


def _named(fits: Any) -> tuple[list[str], list[Any]]:
    """Models under their names, all of the same rows.

    Raises
    ------
    ModelError
        If they are not.
    """
    if isinstance(fits, Mapping):
        names, models = [str(name) for name in fits], list(fits.values())
    else:
        names, models = [], list(fits) if isinstance(fits, Sequence) else [fits]
    require_fits("cross_validate", tuple(models), at_least=1)
    names = names or labels_of(models)
    first = models[0]
    for name, other in zip(names[1:], models[1:], strict=True):
        same = other.response == first.response and other.design.index.equals(first.design.index)
        if not (same and np.array_equal(other.design.y, first.design.y)):
            raise ModelError(
                f"cross_validate: {quoted([names[0], name])} are of different responses or rows ({first.nobs:,} and "
                f"{other.nobs:,} rows of `{first.response}` and `{other.response}`), so their scores are of different "
                "things: fit all to the same frame, without the rows in which any of them has missing values."
            )
    return names, models


def _all_folds(
    names: list[str], models: list[Any], division: Division, progress: bool | None
) -> tuple[list[pd.DataFrame], list[tuple[str, int, int, int, str]], dict[str, tuple[int, int]]]:
    """Predictions of all folds, those that lack some with the reason, and each model's failed and singular refits."""
    parts, failures, counts = [], [], {}
    steps = len(models) * len(division.of) * division.folds
    with bar(steps, "cross-validation", progress) as advance:
        for name, fit in zip(names, models, strict=True):
            before, singular = len(failures), 0
            for repeat, of in enumerate(division.of, start=1):
                for fold in range(division.folds):
                    out = of == fold
                    held = held_out(fit, out)
                    singular += held.singular
                    if held.reason:
                        lost = int(np.isnan(held.mean).sum())
                        failures.append((name, repeat, fold + 1, lost, held.reason))
                    parts.append(_predictions(name, repeat, fold + 1, fit, out, held))
                    advance(1)
            counts[name] = (len(failures) - before, singular)
    return parts, failures, counts


def _predictions(name: str, repeat: int, fold: int, fit: Any, out: np.ndarray, held: Any) -> pd.DataFrame:
    rows = np.flatnonzero(out)
    return pd.DataFrame(
        {"model": name, "repeat": repeat, "fold": fold, "row": fit.design.index[rows], "place": rows,
         "observed": fit.design.y[rows], "mean": held.mean, "sd": held.sd}
    )  # fmt: skip
