"""What sections on diagnostics show, or why they have nothing to show: sentences that lead to tables and figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import format_value, shown
from lmmtools.prose.value import Prose, literal
from lmmtools.validation.folds import plural

__all__ = ["covariates", "effects", "held_out", "predicted"]


def covariates(found: Any, covariate: str = "") -> Prose:
    """What is shown of the numbers of the fixed part, and whether slopes within and between groups are compared.

    Parameters
    ----------
    found : Assumptions
        What `lmmtools.check_assumptions` returns.
    covariate : str
        Whose partial residuals are shown; that of `found` if left out.

    Raises
    ------
    LMMError
        If `found` is something else.
    """
    if not hasattr(found, "tested") or not hasattr(found, "covariate"):
        raise LMMError(f"prose.covariates: takes what check_assumptions returns; got {type(found).__name__}.")
    name = covariate or found.covariate
    if name:
        said = (
            f"Partial residuals are what the rest of the model leaves of the response for {literal(name)} to explain. "
            "A bend that their smooth has and the fitted component lacks suggests another function of it."
        )
    else:
        said = "The fixed part has no number that is a straight line by itself, so there are no partial residuals."
    return Prose(f"{said} {_compared(found)}".strip())


def _compared(found: Any) -> str:
    """Whether random effects could be held against the covariates, or why not."""
    table = pd.DataFrame(found)
    table = table[table["check"] == "Independent effects"]
    if not len(table):
        return ""
    if table["p_value"].notna().any():
        return (
            "A random effect is taken to be independent of the covariates; where it is not, the slope within groups is "
            "another than that between them (@tbl-mundlak), and the model's own slope is a mixture of the two."
        )
    each = [f"{literal(row.of.removesuffix(' and covariates'))}: {_why(row.finding)}" for row in table.itertuples()]
    return f"Slopes within groups and between them cannot be compared ({'; '.join(each)})."


def _why(finding: str) -> str:
    return literal(finding.removeprefix("Not tested: ").rstrip("."))


def effects(fit: Any, summary: Any = None) -> Prose | None:
    """How to look at conditional modes, under a heading of its own; None of a model without random effects.

    Parameters
    ----------
    fit : LMMFit
    summary : Frame, optional
        ``lmmtools.shrinkage(fit).summary``, where it is shown.
    """
    if not fit.design.terms:
        return None
    said = (
        "## Random effects\n\n"
        "The conditional modes are the model's best guess of each group's effects (@fig-caterpillar). They are drawn "
        "towards zero the more, the less the data say about the group, so they spread less than the effects do, and "
        "look more normal than the effects may be."
    )
    if summary is None:
        return Prose(f"{said} @fig-qq-ranef compares them with a normal distribution.")
    return Prose(
        f"{said} @fig-shrinkage draws how far each group is moved from its own least squares, @tbl-shrinkage-summary "
        "how much of the effects' variance is left in the modes, and @fig-ranef-pairs has the modes beside the "
        "distribution that was fitted."
    )


def predicted(fit: Any, grid: Any = None) -> Prose:
    """What is drawn of predictions, or why nothing is.

    Parameters
    ----------
    fit : LMMFit
    grid : PredictionGrid or None
        What `lmmtools.prediction_grid` returns, where there is something to run over.
    """
    if grid is None:
        return Prose("The fixed part has no predictor, so the prediction is the same for every new group.")
    return Prose(
        f"What the model predicts of {literal(fit.response)} for groups that were not seen (@fig-prediction): the band "
        "is how well the mean is known, which single rows scatter around."
    )


def held_out(rows: Any, levels: Any = None) -> Prose:
    """How well rows are predicted that the model was not fitted to, and those of whole levels.

    Parameters
    ----------
    rows : CrossValidation
        What `lmmtools.cross_validate` returns where rows are left out.
    levels : CrossValidation, optional
        Where levels of a factor are.

    Returns
    -------
    Prose
        One or two sentences.

    Raises
    ------
    LMMError
        If these are something else.
    """
    for one in (rows, levels):
        if one is not None and not hasattr(one, "scores"):
            raise LMMError(f"prose.held_out: takes what cross_validate returns; got {type(one).__name__}.")
    said = (
        f"Predicted by fits without them, in {rows.folds} parts, rows are missed by {_missed(rows)} (@tbl-scores). "
        "That is how well the model would predict further rows of groups it has seen."
    )
    if levels is not None:
        said += (
            f" Whole {literal(plural(levels.by))}, left out in {levels.folds} parts, are "
            f"missed by {_missed(levels)} (@tbl-scores-by): groups it has not seen."
        )
    right = "Where the model is right, intervals cover as often as they say, up to chance, and the histogram is flat."
    return Prose(f"{said} {right}")


def _missed(found: Any) -> str:
    """The root mean square error with its unit, and what intervals cover."""
    row = found.scores.iloc[0]
    unit = f" {literal(found.unit)}" if found.unit else ""
    covered = format_value(float(row["coverage"]), "percent")
    return f"{shown(row['rmse'])}{unit} (root mean square), and {100 * found.level:g} % intervals cover {covered}"
