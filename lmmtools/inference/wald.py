"""Coefficient tables and Wald intervals from β̂ and Var(β̂)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError, NotYetSupported
from lmmtools.formats import estimate_format
from lmmtools.frames import Frame, frame

__all__ = ["coef_table", "parameter_names", "wald_confint"]

# By `ddf`: what the caption says of the reference distribution, and what the note warns of.
_DDF = {
    "normal": ("normal", "The normal reference treats the variance parameters as known: with few groups the intervals "
               "are too short and the p-values too small."),
    "residual": ("t with n − rank(X) degrees of freedom", "Residual degrees of freedom count rows as if they were "
                 "independent: with few groups the intervals are too short and the p-values too small."),
}  # fmt: skip
_LATER = ("satterthwaite", "kenward-roger")


def coef_table(fit: Any, *, ddf: str = "normal", level: float = 0.95) -> Frame:
    """Estimates, standard errors, tests of zero and intervals for each fixed effect.

    Parameters
    ----------
    fit : LMMFit
    ddf : {"normal", "residual"}
        Reference distribution of estimate/std_error.
    level : float
        Confidence level.

    Returns
    -------
    Frame
        ``estimate, std_error, df, statistic, p_value, ci_low, ci_high``, a row a coefficient.

    Raises
    ------
    NotYetSupported
        For ``"satterthwaite"`` and ``"kenward-roger"``, which this version does not compute.
    LMMError
        For an unknown `ddf` or a level outside (0, 1).
    """
    df = _degrees_of_freedom(fit, ddf)
    quantile, tail = _reference(df, level)
    statistic = fit.fixef / fit.stderr
    table = pd.DataFrame(
        {
            "estimate": fit.fixef,
            "std_error": fit.stderr,
            "df": df,
            "statistic": statistic,
            "p_value": tail(np.abs(statistic.to_numpy())),
            "ci_low": fit.fixef - quantile * fit.stderr,
            "ci_high": fit.fixef + quantile * fit.stderr,
        }
    )
    together = estimate_format(table[["estimate", "ci_low", "ci_high"]].to_numpy().ravel())
    return frame(
        table,
        caption=f"Fixed effects by {fit.method}, with {_percent(level)} intervals; reference: {_DDF[ddf][0]}",
        label="tbl-coef",
        notes=(_DDF[ddf][1],),
        headings={
            "estimate": "Estimate",
            "std_error": "Std. error",
            "df": "df",
            "statistic": "z" if ddf == "normal" else "t",
            "p_value": "p",
            "ci_low": f"{_percent(level)} low",
            "ci_high": "high",
        },
        formats={
            "estimate": together,
            "std_error": "estimate",
            "df": "int" if ddf == "residual" else "text",
            "statistic": "fixed2",
            "p_value": "p",
            "ci_low": together,
            "ci_high": together,
        },
    )


def wald_confint(fit: Any, level: float = 0.95) -> Frame:
    """Wald intervals of the fixed effects; rows of sd's, correlations and σ are empty.

    A variance is no place for a symmetric interval: near zero it reaches below it and covers too seldom. The
    rows are there so that the table lines up with those of other methods.
    """
    quantile, _ = _reference(np.inf, level)
    names = [*fit.fixef.index, *parameter_names(fit)]
    low = (fit.fixef - quantile * fit.stderr).reindex(names)
    high = (fit.fixef + quantile * fit.stderr).reindex(names)
    return frame(
        pd.DataFrame({"low": low, "high": high}),
        caption=f"Wald {_percent(level)} intervals (normal), {fit.method}",
        label="tbl-confint",
        notes=(
            "A symmetric interval for a standard deviation or correlation covers too seldom near its bound; "
            "none is given.",
        ),
        headings={"low": "Low", "high": "High"},
        formats={"low": "estimate", "high": "estimate"},
    )


def parameter_names(fit: Any) -> list[str]:
    """``sd(g, x)``, ``cor(g, x, z)``, …, ``sigma`` in the order of `varcorr`."""
    names = []
    for row in fit.varcorr.itertuples():
        if row.grp == "Residual":
            names.append("sigma")
        elif row.var2:
            names.append(f"cor({row.grp}, {row.var1}, {row.var2})")
        else:
            names.append(f"sd({row.grp}, {row.var1})")
    return names


def _degrees_of_freedom(fit: Any, ddf: str) -> float:
    if ddf == "normal":
        return np.inf
    if ddf == "residual":
        return float(fit.nobs - len(fit.fixef))
    if ddf in _LATER:
        raise NotYetSupported(
            f'coef_table: ddf="{ddf}" is not computed by this version; use ddf="normal" or ddf="residual" '
            "(and say so: with few groups both are too sure)."
        )
    raise LMMError(f"coef_table: ddf={ddf!r} is unknown; use one of {', '.join(map(repr, _DDF))}.")


def _reference(df: float, level: float) -> tuple[float, Any]:
    """Two-sided quantile, and the two-sided tail probability as a function of |statistic|."""
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    upper = 0.5 + check_level(level) / 2.0
    if np.isinf(df):
        return float(ndtri(upper)), lambda t: 2.0 * ndtr(-t)
    return float(stdtrit(df, upper)), lambda t: 2.0 * stdtr(df, -t)


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
