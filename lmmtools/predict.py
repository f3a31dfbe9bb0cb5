"""Prediction with its uncertainty: of the rows fitted, of new rows and of new groups."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag, check_level
from lmmtools.design.frame import take
from lmmtools.design.incoming import Incoming, incoming
from lmmtools.design.newdata import fixed_columns
from lmmtools.design.observed import fixed_variables
from lmmtools.design.residual.newcomers import correlation_rows
from lmmtools.design.residual.rows import residual_rows
from lmmtools.design.row_space import determined
from lmmtools.errors import DataError, LMMError, LMMWarning
from lmmtools.formats import counted, quoted
from lmmtools.predictive import between_variance, mean_variance, point, residual_sd, with_residuals

__all__ = ["predict"]

_INTERVALS = (None, "mean", "observation")


def predict(
    fit: Any,
    newdata: Any = None,
    *,
    random: bool = True,
    unseen: str = "raise",
    interval: str | None = None,
    level: float = 0.95,
    residuals: bool = False,
) -> pd.Series | pd.DataFrame:
    """Predicted responses.

    Parameters
    ----------
    fit : LMMFit
    newdata : frame, optional
        Anything narwhals understands; the rows fitted by default.
    random : bool
        Whether to add the conditional modes of the rows' groups; without, new rows need no group.
    unseen : {"raise", "population"}
        What a level that was not in the data does: an error, or a conditional mode of zero. With ``"population"`` so
        does a level that is missing.
    interval : {None, "mean", "observation"}
        Of the mean of a row (of its group if `random`), or of a new response with weight one (for the fitted
        rows: with their weight), whose residual has the standard deviation that the model's variance functions give
        it; those of ``fitted()`` are taken at the prediction, for the fitted rows at their own fitted values.
    level : float
    residuals : bool
        For models that correlate residuals within groups: whether new responses are predicted from the residuals seen
        in their groups too, so that a response next to one that was large is larger. Without, as for all other
        models, a new response has a residual of its own.

    Returns
    -------
    Series, or DataFrame
        ``prediction, std_error, low, high`` with an interval; the index is the data's. A new row with a missing value
        has NaN; an `LMMWarning` counts such rows.

    Raises
    ------
    DataError
        If new rows lack a column, a fixed factor has a new level, or a grouping factor has and `unseen` is
        ``"raise"``; for an observation also if a variance function is not defined there, and with `residuals` if the
        correlation is not.
    LMMError
        For an unknown `unseen` or `interval`, a level outside (0, 1), or an interval that takes in the effect of a new
        level of a factor with a known covariance matrix; and if `residuals` is asked for without groups, for the rows
        fitted, or for a mean, which has no residual.

    Notes
    -----
    Given θ̂, the error of x'β̂ + z'b̂ is (x − X'V⁻¹ZTz)'(β̂ − β) + z'(b̂(β) − b), two independent parts, so its
    variance is a'Var(β̂)a + z'Var(b | y)z [1]_. For an unseen level Var(b | y) is Var(b). The uncertainty of θ̂, and of
    the parameters of the residuals, is not included; intervals are those of the normal distribution.

    With ``residuals=True`` the best linear unbiased predictor of ε₀, k'(y − Xβ̂ − Zb̂) with k = R⁻¹Cov(ε, ε₀)/σ², is
    added (kriging [2]_), and the interval is that of the new response given everything seen: its error's variance is
    that of a row x − X'k, z − Z'k, and Var(ε₀) − σ²k'Rk. Without a nugget, a row at the very time or place of one that
    was seen is so predicted by its response, exactly. A residual group that was not seen says nothing. ``random=True``
    leaves this out by itself because a fit's fitted values do: there `predict` of the rows fitted and of the same rows
    as new data are one.

    References
    ----------
    .. [1] Henderson (1975), Best linear unbiased estimation and prediction under a selection model, Biometrics 31,
       423-447, sec. 3.
    .. [2] Goldberger (1962), Best linear unbiased prediction in the generalized linear regression model, J. Am. Stat.
       Assoc. 57, 369-375, eq. 3.12.

    Examples
    --------
    >>> import lmmtools as lt
    >>> import pandas as pd
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> new = pd.DataFrame({"Days": [10, 10], "Subject": ["308", "new"]})
    >>> fit.predict(new, unseen="population", interval="observation").round(1)
       prediction  std_error    low   high
    0       450.3       30.1  391.3  509.3
    1       356.1       72.3  214.4  497.7
    """
    _check(newdata, random, interval, residuals)
    level = check_level(level)
    if newdata is None:
        value = point(fit, fit.design, random)
        if interval is None:
            return pd.Series(value, index=fit.design.index, name="prediction")
        variance = mean_variance(fit, fit.design, random)
        if interval == "observation":
            variance = _of_observation(fit, fit.design, variance, random, fit.noise.sd)
        return _with_interval(value, variance, fit.design.index, level)
    data = incoming(
        fit.design, newdata, groups=random, unseen=unseen, effects=random or interval == "observation",
        observation=interval == "observation" or residuals, places=residuals,
    )  # fmt: skip
    rows = fit.design.new_rows(data.complete, unseen=unseen, groups=random)
    value, variance = _of_new_rows(fit, data.complete, rows, random, interval, residuals)
    value = data.spread(value)
    _tell(data, value)
    _tell_undetermined(fit.design, data.complete)
    if interval is None:
        return pd.Series(value, index=data.index, name="prediction")
    return _with_interval(value, data.spread(variance), data.index, level)


def _check(newdata: Any, random: bool, interval: str | None, residuals: bool) -> None:
    if interval not in _INTERVALS:
        raise LMMError(f'predict: interval={interval!r} is unknown; use None, "mean" or "observation".')
    check_flag(random, "predict: random")
    if not check_flag(residuals, "predict: residuals"):
        return
    if newdata is None:
        raise LMMError(
            "predict: residuals=True predicts responses that were not seen; those of the rows fitted were, so each "
            "would be its own prediction: pass new rows, or leave residuals=True out."
        )
    if not random:
        raise LMMError(
            "predict: residuals=True takes in what the groups of new rows say of them, and random=False leaves that "
            "out: use one of them."
        )
    if interval == "mean":
        raise LMMError(
            "predict: residuals=True predicts new responses, residuals included, and the mean of a row has none: use "
            'interval="observation", or leave residuals=True out.'
        )


def _of_new_rows(
    fit: Any, data: pd.DataFrame, rows: Any, random: bool, interval: str | None, residuals: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predictions of complete rows and, with an interval, the variances of their errors."""
    value = point(fit, rows, random)
    if residuals and fit.design.correlation is not None:
        found = with_residuals(fit, rows, correlation_rows(fit.design, data), _own_sd(fit, data, value))
        if lost := int((np.isnan(found[0]) & ~np.isnan(value)).sum()):
            raise DataError(
                f"predict: `{fit.design.correlation.label}` gives {counted(lost, 'new row')} correlations with the "
                "residuals of their group that no residuals together can have: predict other times or places, or "
                "without residuals=True."
            )
        return found
    if interval is None:
        return value, None
    variance = mean_variance(fit, rows, random)
    if interval == "observation":
        variance = _of_observation(fit, rows, variance, random, _own_sd(fit, data, value))
    return value, variance


def _of_observation(fit: Any, rows: Any, variance: np.ndarray, random: bool, sd: np.ndarray) -> np.ndarray:
    variance = variance + (fit.sigma * sd) ** 2
    return variance if random else variance + between_variance(fit, rows)


def _own_sd(fit: Any, data: pd.DataFrame, value: np.ndarray) -> np.ndarray:
    """Standard deviations over σ of the residuals of new rows with these predictions."""
    return residual_sd(fit, residual_rows(fit.design, data), value)


def _tell(data: Incoming, value: np.ndarray) -> None:
    """Warn of rows without a prediction."""
    lost, gone = int(np.isnan(value).sum()), int((~data.keep).sum())
    if not lost:
        return
    of = f"predict: {lost:,} of {counted(len(value), 'new row')}"
    have, their = ("has", "its prediction is") if lost == 1 else ("have", "their predictions are")
    names = quoted(data.missing)
    if lost > gone:
        why = "a fixed effect's column that is no number"
        why = why if not gone else f"missing values ({names}), or {why}"
        why += f" (of `{data.formula}` at values such as a logarithm's of zero or below)"
    else:
        why = f"{'a missing value' if lost == 1 else 'missing values'} ({names})"
    warnings.warn(f"{of} {have} {why}: {their} NaN.", LMMWarning, stacklevel=4)


def _tell_undetermined(design: Any, data: pd.DataFrame) -> None:
    """Warn of rows whose mean depends on columns without a coefficient."""
    if not design.recipe.dropped or not len(data):
        return
    full = fixed_columns(design, take(data, fixed_variables(design.parsed)))
    lost = int((~determined(design, full)).sum())
    if lost:
        warnings.warn(
            f"predict: the means of {lost:,} of {counted(len(data), 'new row')} are not determined by the data, in "
            f"which {quoted(design.dropped_columns)} repeat other columns, as they do not in these rows: the "
            "predictions take their coefficients as zero.",
            LMMWarning, stacklevel=4,
        )  # fmt: skip


def _with_interval(value: np.ndarray, variance: np.ndarray, index: pd.Index, level: float) -> pd.DataFrame:
    from scipy.special import ndtri

    std_error = np.sqrt(variance)
    half = float(ndtri(0.5 + level / 2.0)) * std_error
    columns = {"prediction": value, "std_error": std_error, "low": value - half, "high": value + half}
    return pd.DataFrame(columns, index=index)
