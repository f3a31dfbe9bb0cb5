"""Prediction with its uncertainty, from the mixed model equations' solution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.core.modes import mode_sensitivity, random_variance
from lmmtools.core.residual.multipliers import Multiplying
from lmmtools.design.residual.rows import residual_rows
from lmmtools.errors import DataError, LMMError

__all__ = ["predict"]


def predict(
    fit: Any,
    newdata: Any = None,
    *,
    random: bool = True,
    unseen: str = "raise",
    interval: str | None = None,
    level: float = 0.95,
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
        What a level that was not in the data does: an error, or a conditional mode of zero.
    interval : {None, "mean", "observation"}
        Of the mean of a row (of its group if `random`), or of a new response with weight one (for the fitted
        rows: with their weight), whose residual has the standard deviation that the model's variance functions give
        it; those of ``fitted()`` are taken at the prediction, for the fitted rows at their own fitted values.
    level : float

    Returns
    -------
    Series, or DataFrame
        ``prediction, std_error, low, high`` with an interval; the index is the data's.

    Raises
    ------
    DataError
        If new rows lack a column, or a level is new and `unseen` is ``"raise"``; for an observation also if a
        variance function is not defined there.
    LMMError
        For an unknown `unseen` or `interval`, a level outside (0, 1), or an interval that takes in the effect of a new
        level of a factor with a known covariance matrix.

    Notes
    -----
    Given θ̂, the error of x'β̂ + z'b̂ is (x − X'V⁻¹ZTz)'(β̂ − β) + z'(b̂(β) − b), two independent parts, so its
    variance is a'Var(β̂)a + z'Var(b | y)z (Henderson 1975, Biometrics 31, sec. 3). For an unseen level
    Var(b | y) is Var(b). The uncertainty of θ̂, and of the parameters of the residuals, is not included.

    A new response is taken to have a residual of its own, also where the model lets residuals of one group be
    correlated: what the residuals seen in a group say of one that was not seen (kriging) is not used.
    """
    if interval not in (None, "mean", "observation"):
        raise LMMError(f'predict: interval={interval!r} is unknown; use None, "mean" or "observation".')
    if newdata is None:
        rows = fit.design
    else:
        rows = fit.design.new_rows(newdata, unseen=unseen, groups=random)
    value = rows.X @ fit.fixef.to_numpy()
    if rows.offset is not None:
        value = value + rows.offset
    if random:
        for term, b in zip(rows.terms, fit.modes, strict=True):
            value = value + np.einsum("iq,iq->i", term.matrix, _take(b, term.codes))
    prediction = pd.Series(value, index=rows.index, name="prediction")
    if interval is None:
        return prediction
    variance = _mean_variance(fit, rows, random)
    if interval == "observation":
        own = fit.noise.sd if newdata is None else _multiplier(fit, newdata, value)
        variance = variance + (fit.sigma * own) ** 2
        if not random:
            variance = variance + _between_variance(fit, rows)
    return _with_interval(prediction, np.sqrt(variance), level)


def _multiplier(fit: Any, newdata: Any, value: np.ndarray) -> np.ndarray | float:
    """Standard deviations over σ of the residuals of new rows with these predictions."""
    residual = fit.design.residual
    if residual is None or not residual.variances:
        return 1.0
    parts = tuple(replace(part, values=value) if part.fitted else part for part in residual_rows(fit.design, newdata))
    phi = fit.phi[residual.slices[0].stop :] if residual.correlation is not None else fit.phi
    try:
        return np.exp(Multiplying(parts, len(value)).at(phi).log_s)
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"predict: `{residual.text}` gives some of the new rows a residual standard deviation of zero or infinity, "
            "as where a power is taken of a prediction of zero: predict other rows, or the mean."
        ) from error


def _take(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Rows of `values` by code; zero where the code is −1 (an unseen level)."""
    taken = values[codes]
    if len(codes) and codes.min() < 0:
        taken[codes < 0] = 0.0
    return taken


def _mean_variance(fit: Any, rows: Any, random: bool) -> np.ndarray:
    """Variance of the error of x'β̂ [+ z'b̂]."""
    vcov = fit.vcov.to_numpy()
    if not (random and rows.terms):
        return np.einsum("ij,jk,ik->i", rows.X, vcov, rows.X)
    parts = _by_factor(fit, rows)
    a = rows.X
    for (z, codes), sensitivity in zip(parts, mode_sensitivity(fit.working, fit.Lambda, fit.solution), strict=True):
        a = a - np.einsum("iq,iqj->ij", z, _take(sensitivity, codes))
    known = fit.sigma**2 * random_variance(fit.working, fit.Lambda, fit.solution, parts)
    return np.einsum("ij,jk,ik->i", a, vcov, a) + known + _between_variance(fit, rows, unseen=True)


def _by_factor(fit: Any, rows: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows' z, terms of a factor side by side, and codes, for each grouping factor."""
    homes = np.array(fit.working.homes)
    groups = [np.flatnonzero(homes == f) for f in range(homes.max() + 1)]
    return [(np.hstack([rows.terms[k].matrix for k in mine]), rows.terms[mine[0]].codes) for mine in groups]


def _between_variance(fit: Any, rows: Any, *, unseen: bool = False) -> np.ndarray:
    """z'Var(b)z of all terms, or of those whose level was not in the data."""
    value = np.zeros(len(rows.X))
    for t, term, L in zip(rows.terms, fit.design.terms, fit.Lambda, strict=True):
        new = t.codes < 0
        if unseen and not new.any():
            continue
        own = fit.sigma**2 * np.sum((t.matrix @ L) ** 2, axis=1)
        if term.known_root is not None:
            if new.any():
                raise LMMError(
                    f"predict: an interval needs the variance of a level, and `{term.factor}` has one for those in its "
                    "known covariance matrix only; predict rows of those, or without `interval`."
                )
            own = own * np.sum(term.known_root**2, axis=1)[t.codes]
        value += np.where(new, own, 0.0) if unseen else own
    return value


def _with_interval(prediction: pd.Series, std_error: np.ndarray, level: float) -> pd.DataFrame:
    from scipy.special import ndtri

    half = float(ndtri(0.5 + check_level(level) / 2.0)) * std_error
    return pd.DataFrame(
        {"prediction": prediction, "std_error": std_error, "low": prediction - half, "high": prediction + half}
    )
